"""The history: every run listed, filtered, sorted and paged; two side by side; again, import, export, delete."""

import json
import re

import pytest
from playwright.sync_api import expect
from runs import REPORTS, SMALL, import_report, real_run, row, sql, wait_for_end

from conftest import wait_for


@pytest.fixture(scope="module")
def runs(server):
    """A real run, and the same at half its speed as if it had come after it; and reports from elsewhere."""
    first = real_run(server)
    again = row(server, first)["report"]
    again["created"] = again["created"].replace("20", "21", 1)  # a hundred years later
    second = import_report(server, again)
    sql(server, "UPDATE run SET imported = 0 WHERE id = ?", second)
    sql(server, "UPDATE run SET decode_tps = 1000, decode_log_mean = ln(1000), decode_log_sd = 0.01 WHERE id = ?", first)
    sql(server, "UPDATE run SET decode_tps = 500, decode_log_mean = ln(500), decode_log_sd = 0.01 WHERE id = ?", second)
    other = {name: import_report(server, name) for name in ("full", "healthy", "failed", "compare")}
    return {"first": first, "second": second} | other


def open_list(page, server, query=""):
    page.goto(f"{server.url}/history{query}")
    table = page.get_by_role("region", name="All runs")
    expect(table).to_be_visible()
    return table


def row_of(table, run):
    return table.get_by_role("row").filter(has=table.page.locator(f'a[href="/history/{run}"]'))


def actions(page, table, run, name):
    row_of(table, run).get_by_role("button", name=re.compile("^Actions")).click()
    page.get_by_role("menuitem", name=name).locator("visible=true").click()


def test_every_run_is_there(server, page, runs):
    table = open_list(page, server)
    for run in runs.values():
        expect(row_of(table, run)).to_have_count(1)
    expect(row_of(table, runs["failed"])).to_contain_text("failed")
    expect(row_of(table, runs["full"])).to_contain_text("imported")
    expect(row_of(table, runs["compare"])).to_contain_text("comparison")
    row_of(table, runs["full"]).get_by_role("link").click()
    expect(page.get_by_role("heading", name="Llama-3.2-1B-Instruct-4bit", level=2)).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="History", level=1)).to_be_visible()


def test_filters_stay_in_the_address(server, page, runs):
    table = open_list(page, server)
    page.get_by_role("combobox", name="Outcome").select_option("failed")
    expect(row_of(table, runs["failed"])).to_have_count(1)
    expect(row_of(table, runs["full"])).to_have_count(0)
    assert "status=failed" in page.url
    page.reload()
    expect(row_of(table, runs["failed"])).to_have_count(1)
    expect(row_of(table, runs["full"])).to_have_count(0)
    page.get_by_role("combobox", name="Kind").select_option("compare")
    expect(page.get_by_text("No run is like that.")).to_be_visible()
    page.get_by_role("button", name="Show all runs").click()
    expect(row_of(table, runs["full"])).to_have_count(1)
    page.get_by_role("combobox", name="Measured").select_option("here")
    expect(row_of(table, runs["full"])).to_have_count(0)
    expect(row_of(table, runs["first"])).to_have_count(1)
    page.get_by_role("combobox", name="Measured").select_option("")
    page.get_by_role("combobox", name="Model", exact=True).select_option("Llama-3.2-1B-Instruct-4bit")
    expect(row_of(table, runs["full"])).to_have_count(1)
    expect(row_of(table, runs["first"])).to_have_count(0)


def test_on_a_phone_the_filters_are_behind_one_button(server, page, runs):
    page.set_viewport_size({"width": 390, "height": 800})
    table = open_list(page, server, "?kind=profile&origin=imported")
    button = page.get_by_role("button", name="Filters (2 active)", exact=True)
    outcome = page.get_by_role("combobox", name="Outcome")
    expect(outcome).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    outcome.select_option("failed")
    expect(page.get_by_role("button", name="Filters (3 active)", exact=True)).to_be_visible()
    expect(row_of(table, runs["failed"])).to_have_count(1)
    page.get_by_role("button", name="Filters (3 active)", exact=True).click()
    expect(outcome).to_be_hidden()
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(outcome).to_be_visible()  # where there is room for all
    expect(page.get_by_role("button", name=re.compile("^Filters"))).to_be_hidden()


def test_sorts_by_a_header(server, page, runs):
    table = open_list(page, server)
    expect(row_of(table, runs["full"])).to_have_count(1)
    table.get_by_role("button", name="First token", exact=True).click()
    shown = table.get_by_role("row").all_inner_texts()[1:]
    assert "Llama-3.2-1B" in shown[0], shown[0]  # 341 ms, the longest of all
    table.get_by_role("button", name="First token", exact=True).click()
    expect(table.get_by_role("columnheader", name=re.compile("First token"))).to_have_attribute("aria-sort", "ascending")


def test_a_regression_is_flagged(server, page, runs):
    table = open_list(page, server)
    slow = row_of(table, runs["second"])
    expect(slow.get_by_text("regression")).to_be_visible()
    expect(slow).to_contain_text("slower: −50.0")
    chart = page.get_by_role("img", name=re.compile("^Decoding speed of builtin"))
    expect(chart.locator("canvas")).to_be_visible()
    expect(page.get_by_text("One run was really slower").first).to_be_visible()


def test_two_side_by_side_by_keyboard(server, page, runs):
    table = open_list(page, server)
    compare = page.get_by_role("button", name="Compare the two chosen")
    expect(compare).to_be_disabled()
    for run in (runs["full"], runs["healthy"]):
        row_of(table, run).get_by_role("checkbox").focus()
        page.keyboard.press("Space")
    expect(compare).to_be_enabled()
    compare.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Two runs side by side")).to_be_visible()
    figures = page.get_by_role("region", name="Figures of both runs")
    expect(figures.get_by_role("row").filter(has_text="Prefill speed").first).to_contain_text("is really better")
    expect(figures.get_by_text("no verdict: measured once")).not_to_have_count(0)
    expect(page.get_by_text(re.compile("other model:"))).to_be_visible()
    expect(page.get_by_text("Threads: A")).to_be_visible()

    page.goto(f"{server.url}/history/diff?a={runs['full']}&b={runs['full']}")
    expect(figures.get_by_text("no real difference")).not_to_have_count(0)
    expect(figures.get_by_text("is really better")).to_have_count(0)


def test_a_diff_that_is_none(server, page, runs):
    page.goto(f"{server.url}/history/diff?a={runs['full']}")
    expect(page.get_by_text("A diff is of two runs")).to_be_visible()


def choose_file(page, path):
    with page.expect_file_chooser() as waiting:
        page.get_by_role("button", name="Import a report").click()
    waiting.value.set_files(path)


def test_import_of_a_report_from_elsewhere(server, page):
    open_list(page, server)
    choose_file(page, REPORTS / "healthy.json")
    expect(page.get_by_role("heading", name="Llama-3.1-8B-Instruct-4bit", level=2)).to_be_visible()
    expect(page.get_by_text("imported from another machine")).to_be_visible()


def test_a_bad_file_says_what_is_wrong(server, page, tmp_path):
    open_list(page, server)
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({"schema": "llmind.report/9"}))
    choose_file(page, bad)
    expect(page.get_by_text(re.compile("bad.json was not imported.*llmind.report/1")).first).to_be_visible()
    bad.write_text("no JSON at all")
    choose_file(page, bad)
    expect(page.get_by_text(re.compile("it is no JSON")).first).to_be_visible()


def test_export(server, page, runs, tmp_path):
    table = open_list(page, server)
    with page.expect_download() as waiting:
        actions(page, table, runs["full"], "Export as JSON")
    waiting.value.save_as(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == "llmind.report/1"


def test_delete_asks_first(server, page):
    run = import_report(server, "quick")
    table = open_list(page, server)
    actions(page, table, run, "Delete")
    dialog = page.get_by_role("dialog", name="Delete this run?")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    expect(row_of(table, run)).to_have_count(1)
    actions(page, table, run, "Delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(row_of(table, run)).to_have_count(0)
    assert server.get(f"/api/profiling/runs/{run}").status_code == 404


def test_run_again_with_the_same_request(server, page, runs):
    table = open_list(page, server)
    before = {one["id"] for one in server.get("/api/profiling/runs").json()["runs"]}
    actions(page, table, runs["first"], "Run again")
    expect(page.get_by_role("heading", name="Performance", level=1)).to_be_visible()
    listed = wait_for(
        lambda: {one["id"] for one in server.get("/api/profiling/runs").json()["runs"]} - before, "the run to begin"
    )
    (run,) = listed
    wait_for_end(server, run)
    asked, again = row(server, runs["first"])["request"], row(server, run)["request"]
    assert {k: v for k, v in asked.items() if v is not None} == {k: v for k, v in again.items() if v is not None}


def test_a_run_that_goes_on_appears_when_it_is_over(server, page):
    page.goto(f"{server.url}/history")
    answer = server.post("/api/profiling/runs", SMALL | {"configurations": []})
    run = answer.json()["run_id"]
    page.goto(f"{server.url}/history/{run}")
    expect(page.get_by_text(re.compile("This run is still going on|Median of")).first).to_be_visible()
    wait_for_end(server, run)
    expect(page.get_by_role("tablist", name="Results")).to_be_visible(timeout=60_000)


def test_a_run_that_is_not_there(server, page):
    page.goto(f"{server.url}/history/{'0' * 32}")
    expect(page.get_by_text("There is no such run")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="All runs").last.click()
    expect(page.get_by_role("heading", name="History", level=1)).to_be_visible()


def test_a_run_that_measured_nothing(server, page, runs):
    """Its reason, not four dashes."""
    page.goto(f"{server.url}/history/{runs['failed']}")
    expect(page.get_by_text("Nothing was measured")).to_be_visible()
    expect(page.get_by_text("it is cut short; download it again").first).to_be_visible()
    expect(page.get_by_role("tablist", name="Results")).to_have_count(0)


def test_a_list_on_a_phone_shows_model_and_speed(server, page, runs):
    """Without scrolling; with scrolling, the figures of a row keep its name beside them."""
    page.set_viewport_size({"width": 390, "height": 800})
    table = open_list(page, server)
    row = row_of(table, runs["full"])
    link, speed = row.get_by_role("link"), row.get_by_role("cell").first

    def inside(part):
        box, edge = part.bounding_box(), table.bounding_box()
        return box["x"] >= edge["x"] and box["x"] + box["width"] <= edge["x"] + edge["width"] + 1

    assert inside(link) and inside(speed)
    assert not inside(row.get_by_role("button", name=re.compile("^Actions")))
    expect(speed).to_contain_text("tok/s")
    expect(table).to_have_attribute("data-more", "")
    left = link.bounding_box()["x"]
    table.evaluate("(e) => e.scrollTo(e.scrollWidth, 0)")
    expect(table).not_to_have_attribute("data-more", "")
    assert abs(link.bounding_box()["x"] - left) <= 1
    assert inside(row.get_by_role("button", name=re.compile("^Actions")))


def test_older_runs_come_by_the_page(server, page, runs):
    """By two at a time here, and not by a hundred."""
    page.route("**/api/profiling/runs?*limit=100*", lambda route: route.continue_(url=route.request.url.replace("limit=100", "limit=2")))
    table = open_list(page, server)
    listed = server.get("/api/profiling/runs").json()["runs"]
    oldest = listed[-1]["id"]
    expect(row_of(table, listed[0]["id"])).to_have_count(1)
    expect(row_of(table, oldest)).to_have_count(0)
    for more in range(2, len(listed), 2):
        expect(table.get_by_role("row")).to_have_count(1 + more)
        page.get_by_role("button", name="Show older runs").click()
    expect(row_of(table, oldest)).to_have_count(1)
    expect(page.get_by_role("button", name="Show older runs")).to_have_count(0)

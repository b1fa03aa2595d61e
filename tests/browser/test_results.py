"""The results of a run: every tab read, a recommendation applied and undone, every report opened, hostile text harmless."""

import csv
import json
import re
import subprocess

import jsonschema
import pytest
from playwright.sync_api import expect
from layout import fits
from runs import hostile, import_report, real_run, report, rewrite

from conftest import ROOT

TABS = ("Metrics", "Optimizations", "Analysis", "Charts")


def recommend(value):
    value["analysis"]["bottlenecks"] = [{
        "id": "enough", "severity": "Medium", "kind": "limit", "title": "Fewer threads do as well",
        "evidence": {"threads": 2, "enough_threads": 1}, "explanation": "One is enough.", "principal": True,
    }]  # fmt: skip
    value["analysis"]["recommendations"] = [
        {"id": "threads=1", "text": "Use one thread.", "expected_pct": 12.0, "provable": True,
         "setting": {"key": "threads", "value": 1}, "because": "enough"},
        {"id": "smaller", "text": "Take a smaller model.", "expected_pct": None, "expected_pct_reason": "it is not here",
         "provable": False, "setting": None, "because": None},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def own(server):
    run = real_run(server)
    rewrite(server, run, recommend)
    return run


@pytest.fixture(scope="module")
def full(server):
    return import_report(server, "full")


def open_run(page, server, run):
    page.goto(f"{server.url}/history/{run}")
    expect(page.get_by_role("tablist", name="Results")).to_be_visible()


def tab(page, name):
    page.get_by_role("tab", name=re.compile(name)).click()
    return page.get_by_role("tabpanel")


def stat(page, label):
    return page.locator(".stat").filter(has=page.get_by_text(label, exact=True)).first


# ---- reading ----


def test_every_tab_of_a_real_run(server, page, own):
    open_run(page, server, own)
    expect(page.get_by_role("heading", name="builtin", level=2)).to_be_visible()
    for label in ("Performance", "Memory", "Response time"):
        expect(stat(page, label).locator("strong")).to_have_text(re.compile(r"\d"))
    expect(stat(page, "GPU utilization")).to_contain_text("no GPU")
    expect(page.get_by_text("indicative", exact=True)).to_be_visible()

    expect(tab(page, "Metrics").get_by_role("region", name=re.compile("Every run of"))).not_to_have_count(0)
    optimizations = tab(page, "Optimizations")
    expect(optimizations.get_by_role("heading", name="Baseline", level=3)).to_be_visible()
    expect(optimizations.get_by_role("img", name=re.compile("^Change"))).not_to_have_count(0)
    expect(tab(page, "Analysis").get_by_role("heading", name="Fewer threads do as well")).to_be_visible()
    charts = tab(page, "Charts")
    for name in ("Throughput per scenario", "Memory, predicted and measured", "The run in time"):
        expect(charts.get_by_role("img", name=name).locator("canvas")).to_be_visible()
    charts.get_by_role("button", name="Refresh").click()
    expect(charts.get_by_role("img", name="Throughput per scenario").locator("canvas")).to_be_visible()


def test_the_figures_are_those_of_the_report(server, page, full):
    open_run(page, server, full)
    expect(stat(page, "Performance")).to_contain_text("16.5")
    expect(stat(page, "Performance")).to_contain_text("±0.275")
    expect(page.get_by_text("imported from another machine")).to_be_visible()

    metrics = tab(page, "Metrics")
    depth = metrics.get_by_role("region", name="Prefill and decode by depth of context")
    deepest = depth.get_by_role("row").filter(has_text="4096")
    expect(deepest).to_contain_text("14.8")
    depth.get_by_role("button", name="Decode, tok/s", exact=True).click()
    expect(depth.get_by_role("columnheader", name=re.compile("Decode"))).to_have_attribute("aria-sort", "descending")
    expect(depth.get_by_role("row").nth(1)).to_contain_text("decode 128 @ 0")

    optimizations = tab(page, "Optimizations")
    expect(optimizations.get_by_role("heading", name="Best: 4 at once")).to_be_visible()
    expect(optimizations.get_by_text("no real difference")).not_to_have_count(0)
    expect(optimizations.get_by_text("transparent huge pages are switched off")).not_to_have_count(0)

    analysis = tab(page, "Analysis")
    first = analysis.get_by_role("region", name="Bottlenecks").get_by_role("heading").first
    expect(first).to_have_text("Decoding is bound by memory bandwidth")
    expect(analysis.get_by_text("principal bottleneck")).to_have_count(1)
    for word in ("High", "Medium", "Low"):
        expect(analysis.get_by_text(word, exact=True)).to_be_visible()
    expect(analysis.get_by_text("3.20 ms of each 59.6 ms token is fixed cost")).to_be_visible()
    expect(analysis.get_by_role("button", name="Apply")).to_have_count(0)  # it is for another machine


def test_no_winner_is_crowned_without_a_real_difference(server, page):
    value = report("full")
    for one in value["configurations"]:
        one["best"] = one["id"] == "kv_bits=8"  # whatever the report claims
    open_run(page, server, import_report(server, value))
    panel = tab(page, "Optimizations")
    expect(panel.get_by_role("heading", name="No winner")).to_be_visible()
    expect(panel.get_by_text("🏆")).to_have_count(0)


def test_what_if_by_keyboard(server, page, full):
    open_run(page, server, full)
    page.get_by_role("tab", name=re.compile("Metrics")).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name=re.compile("Analysis"))).to_be_focused()
    bits = page.get_by_role("slider", name="Bits per weight")
    answer = page.locator(".answer strong")
    before = answer.inner_text()
    bits.focus()
    page.keyboard.press("Home")
    expect(bits).to_have_attribute("aria-valuetext", re.compile("^2"))
    expect(answer).not_to_have_text(before)
    expect(page.locator(".answer")).to_contain_text("+")


def test_what_is_not_known_says_why(server, page):
    open_run(page, server, import_report(server, "remote"))
    expect(stat(page, "Memory")).to_contain_text("a remote target is a black box")
    dash = tab(page, "Metrics").get_by_role("button", name="not known").first
    dash.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("tooltip").first).to_be_visible()
    expect(tab(page, "Analysis").get_by_text("a remote target is a black box")).not_to_have_count(0)


def test_a_comparison_with_a_model_that_failed(server, page):
    page.goto(f"{server.url}/history/{import_report(server, 'compare')}")
    table = page.get_by_role("region", name="Models compared").last
    expect(table.get_by_role("row").filter(has_text="broken-model")).to_contain_text("failed")
    expect(page.get_by_role("img", name="Speed of the models").locator("canvas")).to_be_visible()


# ---- doing ----


def test_apply_and_undo(server, page, own):
    def threads():
        return server.get("/api/settings").json()["values"]["threads"]

    open_run(page, server, own)
    card = tab(page, "Analysis").locator(".card").filter(has_text="Use one thread.")
    expect(card).to_contain_text("+12.0")
    assert threads() is None
    card.get_by_role("button", name="Apply").click()
    expect(card.get_by_text(re.compile("Applied: Threads is set to 1.*takes effect when"))).to_be_visible()
    assert threads() == 1

    page.reload()
    card = tab(page, "Analysis").locator(".card").filter(has_text="Use one thread.")
    card.get_by_role("button", name="Undo").click()
    expect(card.get_by_role("button", name="Apply")).to_be_visible()
    assert threads() is None


def test_in_words(server, page, full):
    """The loaded model says what the analysis says; it is labelled, and what could not be believed is left out."""
    open_run(page, server, full)
    card = tab(page, "Analysis").locator(".card").filter(has_text="AI summary")
    page.route("**/narrate", lambda route: route.fulfill(status=503, json={"error": {"message": "the worker is gone", "type": "server_error"}}))
    page.expected_errors += ["503"]
    card.get_by_role("button", name="Say it in words").click()
    expect(card.get_by_role("alert")).to_contain_text("he worker is gone")
    page.unroute("**/narrate")
    card.get_by_role("button", name="Retry").click()
    expect(card.get_by_text("written by builtin")).to_be_visible()
    expect(card).to_contain_text("memory bandwidth")
    expect(card.get_by_role("alert")).to_have_count(0)
    said = {"text": None, "text_reason": "no sentence of it could be believed", "left_out": 1, "model": "other", "figures": "",
            "took_ms": 12.5, "sentences": [{"text": "It needs 999 GB.", "kept": False, "reason": "it has a figure that the report does not have"}]}  # fmt: skip
    page.route("**/narrate", lambda route: route.fulfill(json=said))
    card.get_by_role("button", name="Say it again").click()
    expect(card).to_contain_text("no sentence of it could be believed")
    card.get_by_text("What was left out, and why").click()
    expect(card).to_contain_text("It needs 999 GB.")


def test_an_undo_that_came_too_late(server, page, own):
    open_run(page, server, own)
    card = tab(page, "Analysis").locator(".card").filter(has_text="Use one thread.")
    card.get_by_role("button", name="Apply").click()
    expect(card.get_by_role("button", name="Undo")).to_be_visible()
    server.request("PUT", "/api/settings", json={"threads": 2})
    card.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("nothing was put back").first).to_be_visible()
    expect(card.get_by_role("button", name="Apply")).to_be_visible()
    server.request("PUT", "/api/settings", json={"threads": None})


def test_prove_it(server, page, own):
    """Where the server can: the proof runs from the card, and its sentence stays beside the recommendation."""
    can = "/api/profiling/runs/{id}/prove" in server.get("/openapi.json").json()["paths"]
    open_run(page, server, own)
    card = tab(page, "Analysis").locator(".card").filter(has_text="Use one thread.")
    expect(card.get_by_role("button", name="Apply")).to_be_visible()
    if not can:
        expect(card.get_by_role("button", name="Prove it")).to_have_count(0)
        return
    card.get_by_role("button", name="Prove it").click()
    expect(card.get_by_role("progressbar", name="Proving it")).to_be_visible()
    proof = card.get_by_role("link", name="The run that shows it")
    expect(proof).to_be_visible(timeout=180_000)
    expect(card.get_by_text(re.compile("^(proved|failed its proof|not settled by its proof)$"))).to_be_visible()
    expect(card.get_by_text(re.compile("threads? → 1"))).to_be_visible()
    proof.click()
    expect(page.get_by_role("heading", name="What the proof found")).to_be_visible()
    expect(page.get_by_role("region", name="Configurations side by side")).to_be_visible()


# ---- files ----


def is_json(path):
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(path.read_text()))


def is_csv(path):
    rows = list(csv.reader(path.read_text().splitlines()))
    assert len(rows) > 5 and len({len(row) for row in rows}) == 1, rows[:3]


def is_pdf(path):
    told = subprocess.run(["pdfinfo", path], capture_output=True, text=True, check=True).stdout
    assert int(re.search(r"^Pages:\s+(\d+)", told, re.MULTILINE)[1]) >= 1, told
    subprocess.run(["pdftoppm", "-r", "20", "-png", path, path.with_suffix("")], check=True)
    assert list(path.parent.glob("*.png"))


def is_markdown(path):
    assert re.search(r"^#", path.read_text(), re.MULTILINE) and "builtin" in path.read_text()


FORMATS = {"JSON": is_json, "CSV": is_csv, "PDF": is_pdf, "HTML": None, "Markdown": is_markdown}


@pytest.mark.parametrize("name", FORMATS)
def test_every_report_is_downloaded_and_opens(server, browser, page, own, tmp_path, name):
    open_run(page, server, own)
    page.get_by_role("button", name="Download report").click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name=re.compile(name)).click()
    download = waiting.value
    extension = "md" if name == "Markdown" else name.lower()
    assert download.suggested_filename == f"llmind-builtin-{own[:8]}.{extension}"
    path = tmp_path / download.suggested_filename
    download.save_as(path)
    if name != "HTML":
        FORMATS[name](path)
        return
    other = browser.new_page()  # a file, so not one of the server's pages
    other.goto(path.as_uri())
    expect(other.locator("body")).to_contain_text("builtin")
    other.close()


def test_a_chart_as_png_and_svg(server, page, full, tmp_path):
    open_run(page, server, full)
    tab(page, "Charts")
    for kind, begins in (("PNG picture", b"\x89PNG"), ("SVG drawing", b"<svg")):
        page.get_by_role("button", name="Download Throughput per scenario").click()
        with page.expect_download() as waiting:
            page.get_by_role("menuitem", name=kind).locator("visible=true").click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        assert path.read_bytes().startswith(begins), path


def test_copies_as_curl_and_as_markdown(server, page, own):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_run(page, server, own)
    page.get_by_role("button", name="Copy run as curl").click()
    curl = page.evaluate("navigator.clipboard.readText()")
    assert curl.startswith("curl -X POST ") and '"test_prompts":["Say hello."]' in curl
    optimizations = tab(page, "Optimizations")
    optimizations.get_by_role("button", name="Copy as Markdown").click()
    table = page.evaluate("navigator.clipboard.readText()")
    assert "| Configuration |" in table and "±" in table
    assert table.rstrip().splitlines()[-1].count("LLMind") == 1  # the machine's line


# ---- harm ----


def test_a_hostile_report_does_no_harm(server, page):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.set_viewport_size({"width": 360, "height": 800})
    run = import_report(server, hostile())
    open_run(page, server, run)
    for name in TABS:
        panel = tab(page, name)
        expect(panel).not_to_be_empty()
        assert page.locator("main :is(script, iframe, object, img)").count() == 0
        assert page.locator('main a[href^="javascript:"]').count() == 0
        assert fits(page), name
    page.goto(f"{server.url}/history")
    expect(page.get_by_role("region", name="All runs")).to_be_visible()
    assert fits(page)
    page.goto(f"{server.url}/history/diff?a={run}&b={run}")
    expect(page.get_by_role("heading", name="Two runs side by side")).to_be_visible()
    assert fits(page)
    assert not dialogs


def test_nothing_is_wider_than_a_wide_window(server, page, full):
    """Narrow ones: test_layout.py."""
    page.set_viewport_size({"width": 2560, "height": 800})
    open_run(page, server, full)
    for name in TABS:
        expect(tab(page, name)).not_to_be_empty()
        assert fits(page), name

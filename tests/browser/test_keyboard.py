"""The whole page by keyboard alone: every flow is gone through by Tab, arrows, Enter, Space and Escape, and the focus is
seen wherever it stands and is never lost. (A run that is started and cancelled: test_performance.py.)"""

import re

import pytest
from keyboard import focus, keeps_focus, press, tab_to
from playwright.sync_api import expect
from runs import import_report
from states import fill
from test_chat import chat_of, chatterer, endless, finished, question, slow, slow_page, some_text  # noqa: F401 - and fixtures
from test_results import own  # noqa: F401 - a fixture

from conftest import wait_for

TABS = ("Metrics", "Optimizations", "Analysis", "Charts")


@pytest.fixture(scope="module")
def shelf(server):
    return fill(server)


def heading(page, name):
    return page.get_by_role("heading", name=name, level=1)


def test_from_page_to_page(shelf, page):
    page.goto("/chat")
    expect(question(page)).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    page.reload()
    heading(page, "New conversation").wait_for()
    skip = page.get_by_role("link", name="Skip to the page")
    tab_to(page, skip, back=True)
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    for name in ("Models", "Performance", "History", "Settings"):
        press(page, page.get_by_role("navigation", name="Pages").get_by_role("link", name=name), back=True)
        expect(heading(page, name)).to_be_focused()
    page.go_back()
    expect(heading(page, "History")).to_be_focused()


def test_a_conversation(shelf, page):
    server = shelf.server
    page.goto("/chat")
    expect(question(page)).to_be_focused()
    press(page, page.get_by_role("button", name="Options"))
    dialog = page.get_by_role("dialog", name="Options")
    expect(dialog.get_by_role("textbox", name="System prompt")).to_be_focused()
    tab_to(page, dialog.get_by_role("spinbutton", name="Longest answer, tokens"))
    page.keyboard.type("12")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Options (1 changed)")).to_be_focused()
    tab_to(page, question(page))
    page.keyboard.type("What is TTFT?")
    page.keyboard.press("Enter")
    finished(page)
    expect(question(page)).to_be_focused()

    before = chat_of(page, server)["messages"][1]["created_at"]
    press(page, page.get_by_role("button", name="Regenerate"))
    expect(question(page)).to_be_focused()
    wait_for(lambda: [m["created_at"] for m in chat_of(page, server)["messages"][1:]] not in ([], [before]), "another answer")
    finished(page)
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()

    press(page, page.get_by_role("button", name="Edit"))
    expect(page.get_by_role("textbox", name="Your question, changed")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+A")
    page.keyboard.type("What is MBU?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="earlier version")).to_be_visible()
    finished(page)
    keeps_focus(page)
    wait_for(lambda: chat_of(page, server)["messages"][0]["content"] == "What is MBU?", "the changed question")

    more = page.locator("main header").get_by_role("button", name="More for this conversation")
    press(page, more)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="Export as Markdown").locator("visible=true")).to_be_focused()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert "What is MBU?" in download.value.path().read_text()
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    expect(heading(page, "By keyboard")).to_be_visible()
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete this conversation?")
    press(page, dialog.get_by_role("button", name="Delete"))
    page.wait_for_url("**/chat")
    expect(dialog).to_be_hidden()
    keeps_focus(page)
    tab_to(page, page.get_by_role("searchbox", name="Search conversations"), back=True)
    page.keyboard.type("TTFT")
    expect(page.get_by_role("navigation", name="Conversations").get_by_role("link").first).to_be_visible()
    press(page, page.get_by_role("navigation", name="Conversations").get_by_role("link").first)
    finished(page)
    keeps_focus(page)


def test_an_answer_is_stopped(slow_page):  # noqa: F811
    page = slow_page
    page.goto("/chat")
    endless(page)
    page.keyboard.press("Escape")
    tab_to(page, question(page))
    page.keyboard.type("Tell me everything")
    page.keyboard.press("Enter")
    some_text(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    page.keyboard.press("Enter")
    finished(page)
    expect(question(page)).to_be_focused()


def test_a_model_is_loaded_and_unloaded(shelf, page):
    page.goto("/models")
    card = page.get_by_role("region", name="second", exact=True)
    card.wait_for()
    press(page, card.get_by_role("button", name="Load", exact=True))
    dialog = page.get_by_role("dialog", name="Load second")
    expect(dialog.get_by_role("spinbutton", name="Context, tokens")).to_be_focused()
    page.keyboard.type("512")
    press(page, dialog.get_by_role("button", name="Load", exact=True))
    expect(dialog).to_be_hidden(timeout=120_000)
    expect(page.get_by_role("region", name="Loaded now")).to_contain_text("second")
    expect(card.get_by_role("button", name="Unload")).to_be_visible()
    keeps_focus(page)  # what opened the dialog is another button now
    press(page, card.get_by_role("button", name="Unload"))
    expect(page.get_by_role("region", name="Loaded now")).to_contain_text("The next question loads one", timeout=120_000)
    expect(card.get_by_role("button", name="Load", exact=True)).to_be_visible()
    keeps_focus(page)
    assert shelf.server.post("/api/models/load", {"model": "builtin"}).status_code == 200


def test_what_is_measured_is_chosen(shelf, page):
    page.goto("/performance")
    run = page.get_by_role("button", name="Run Profiling")
    expect(run).to_be_enabled(timeout=120_000)
    press(page, page.get_by_role("button", name="Pause"))
    expect(page.get_by_role("button", name="Go on")).to_be_focused()
    press(page, page.get_by_role("switch", name="Quick mode"), key="Space")
    press(page, page.get_by_role("button", name="Use my own prompts"))
    expect(page.get_by_role("textbox", name="Prompt 1")).to_be_focused()
    page.keyboard.type("Say hello.")
    press(page, page.get_by_role("button", name="Remove prompt 1"))
    expect(page.get_by_role("button", name="Use my own prompts")).to_be_focused()
    press(page, page.get_by_role("button", name="Compare Models"))
    dialog = page.get_by_role("dialog", name=re.compile("Compare models"))
    expect(dialog.get_by_role("checkbox").first).to_be_focused()
    page.keyboard.press("Space")
    expect(dialog.get_by_role("checkbox").first).not_to_be_checked()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Compare Models")).to_be_focused()
    press(page, page.get_by_role("button", name="Optimization Guide"))
    guide = page.get_by_role("dialog", name=re.compile("Optimization Guide"))
    expect(guide.get_by_role("searchbox", name="Search the guide")).to_be_focused()
    page.keyboard.type("kv-bits")
    expect(guide.locator("mark").first).to_be_visible()
    press(page, guide.get_by_role("navigation").get_by_role("button").first)
    assert "<h3" in focus(page)
    page.keyboard.press("Escape")
    expect(guide).to_be_hidden()
    expect(page.get_by_role("button", name="Optimization Guide")).to_be_focused()


def test_results_are_read_applied_and_downloaded(shelf, page):
    page.goto(f"/history/{shelf.own}")
    page.get_by_role("tablist", name="Results").wait_for()
    press(page, page.get_by_role("button", name="Download report"))
    page.keyboard.press("c")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".csv")
    keeps_focus(page)
    tab_to(page, page.get_by_role("tab", name=re.compile(TABS[0])))
    for name in TABS:
        tab = page.get_by_role("tab", name=re.compile(name))
        expect(tab).to_be_focused()
        expect(tab).to_have_attribute("aria-selected", "true")
        page.keyboard.press("Tab")
        expect(page.get_by_role("tabpanel")).to_be_focused()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name=re.compile(TABS[0]))).to_be_focused()  # round and round
    page.keyboard.press("ArrowLeft")
    menu = page.get_by_role("button", name="Download Throughput per scenario")
    expect(page.get_by_role("img", name="Throughput per scenario").locator("canvas")).to_be_visible()
    press(page, menu)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".png")
    expect(menu).to_be_focused()

    tab_to(page, page.get_by_role("tab", name=re.compile("Charts")), back=True)
    page.keyboard.press("ArrowLeft")
    card = page.get_by_role("tabpanel").locator(".card").filter(has_text=re.compile("Threads"))
    apply = card.get_by_role("button", name="Apply")  # that of another card is there all the time
    undo = card.get_by_role("button", name="Undo")
    press(page, apply)
    expect(undo).to_be_visible()
    keeps_focus(page)
    assert shelf.server.get("/api/settings").json()["values"]["threads"] == 1
    if not undo.evaluate("(e) => e === document.activeElement"):
        tab_to(page, undo)
    page.keyboard.press("Enter")
    expect(apply).to_be_visible()
    keeps_focus(page)
    assert shelf.server.get("/api/settings").json()["values"]["threads"] is None


def test_runs_are_filtered_opened_compared_and_deleted(shelf, page):
    gone = import_report(shelf.server, "quick")
    page.goto("/history")
    table = page.get_by_role("region", name="All runs")

    def row(run):
        return table.get_by_role("row").filter(has=page.locator(f'a[href="/history/{run}"]'))

    expect(row(gone)).to_have_count(1)
    tab_to(page, page.get_by_role("combobox", name="Outcome"))
    page.keyboard.type("failed")
    expect(row(shelf.failed)).to_have_count(1)
    expect(row(shelf.full)).to_have_count(0)
    expect(page.get_by_role("combobox", name="Outcome")).to_be_focused()
    page.keyboard.press("Home")
    expect(row(shelf.full)).to_have_count(1)
    press(page, table.get_by_role("button", name="First token", exact=True))
    expect(table.get_by_role("columnheader", name=re.compile("First token"))).to_have_attribute("aria-sort", "descending")

    press(page, row(gone).get_by_role("button", name=re.compile("^Actions")))
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete this run?")
    press(page, dialog.get_by_role("button", name="Delete"))
    expect(row(gone)).to_have_count(0)
    keeps_focus(page)

    page.reload()
    row(shelf.full).wait_for()
    first, second = sorted(
        (row(run).get_by_role("checkbox") for run in (shelf.full, shelf.healthy)),
        key=lambda box: box.bounding_box()["y"],
    )
    for box in (first, second):
        press(page, box, key="Space")
    press(page, page.get_by_role("button", name="Compare the two chosen"), back=True)
    page.get_by_role("region", name="Figures of both runs").wait_for()
    keeps_focus(page)
    press(page, page.get_by_role("main").get_by_role("link", name="All runs"))
    row(shelf.full).wait_for()
    keeps_focus(page)
    press(page, row(shelf.full).get_by_role("link"))
    page.get_by_role("tablist", name="Results").wait_for()
    keeps_focus(page)


def test_a_recommendation_is_proved(own, page):  # noqa: F811
    page.goto(f"/history/{own}")
    tab_to(page, page.get_by_role("tab", name=re.compile("Metrics")))
    for _ in range(TABS.index("Analysis")):
        page.keyboard.press("ArrowRight")
    card = page.get_by_role("tabpanel").locator(".card").filter(has_text="Use one thread.")
    press(page, card.get_by_role("button", name="Prove it"))
    expect(card.get_by_role("progressbar", name="Proving it")).to_be_visible()
    keeps_focus(page)
    proof = card.get_by_role("link", name="The run that shows it")
    expect(proof).to_be_visible(timeout=180_000)
    keeps_focus(page)
    if not proof.evaluate("(e) => e === document.activeElement"):
        tab_to(page, proof)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What the proof found")).to_be_visible()
    keeps_focus(page)


def test_on_a_phone_runs_and_conversations_are_deleted(shelf, open_context):
    """With a keyboard at a phone, or a window as narrow as one: what lies beside the page there lies in drawers."""
    server, page = shelf.server, open_context(viewport={"width": 390, "height": 844}).new_page()
    run = import_report(server, "quick")
    chat = server.post("/api/chats", {"title": "Not for ever"}).json()["id"]
    page.goto("/history")
    link = page.locator(f'main a[href="/history/{run}"]')
    actions = page.get_by_role("row").filter(has=page.locator(f'a[href="/history/{run}"]')).get_by_role("button", name=re.compile("^Actions"))
    press(page, actions)
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    press(page, page.get_by_role("dialog", name="Delete this run?").get_by_role("button", name="Delete"))
    expect(link).to_have_count(0)
    keeps_focus(page)
    assert server.get(f"/api/profiling/runs/{run}").status_code == 404

    page.goto(f"/chat/{chat}")
    expect(page.get_by_role("heading", name="Not for ever")).to_be_visible()
    press(page, page.get_by_role("button", name="Conversations"), back=True)
    drawer = page.get_by_role("dialog", name="Conversations")
    press(page, drawer.get_by_role("button", name="More for Not for ever"))
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    press(page, page.get_by_role("dialog", name=re.compile("^Delete")).get_by_role("button", name="Delete"))
    expect(page.get_by_role("link", name=re.compile("Not for ever"))).to_have_count(0)
    keeps_focus(page)
    assert server.get(f"/api/chats/{chat}").status_code == 404


def test_settings_are_changed_and_put_back(shelf, page):
    page.goto("/settings")
    field = page.locator('[data-setting="temperature"]')
    field.wait_for()
    tab_to(page, field.get_by_role("spinbutton"))
    page.keyboard.type("0.5")
    page.keyboard.press("Tab")
    expect(field).to_contain_text("Saved")
    assert shelf.server.get("/api/settings").json()["values"]["temperature"] == 0.5
    press(page, field.get_by_role("button", name="Temperature: back to the default"), back=True)
    expect(field.get_by_role("button", name="Temperature: back to the default")).to_have_count(0)
    assert "input" in keeps_focus(page)  # the field's own
    page.keyboard.type("0.7")
    page.keyboard.press("Tab")
    everything = page.get_by_role("main").get_by_role("button", name="All to their defaults")
    press(page, everything, back=True)
    dialog = page.get_by_role("dialog")
    press(page, dialog.get_by_role("button", name="All to their defaults"))
    expect(dialog).to_be_hidden()
    keeps_focus(page)  # what opened the dialog is disabled now
    press(page, page.get_by_role("region", name="Notices").get_by_role("button", name="Undo"))
    expect(field.get_by_role("spinbutton")).to_have_value("0.7")
    keeps_focus(page)
    tab_to(page, page.get_by_role("combobox", name="Colours"), back=True)
    page.keyboard.type("Light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    shelf.server.request("PUT", "/api/settings", json={"theme": None, "temperature": None})

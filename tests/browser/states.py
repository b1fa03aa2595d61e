"""Every tab, dialog and state of the page, one after another in one document: what is true of all of them is tested there.

    for state in walk(page, shelf):
        ...look at the page...

`shelf` is what the server has to have for it. The walk needs no model that answers and measures nothing: what takes time
in life is a recorded run, an answer of the test, or a stream that stands still (held.py). It works at any width.
"""

import re
import shutil
from types import SimpleNamespace

from held import hold, prepare, sse, tell
from playwright.sync_api import expect
from runs import import_report, report, sql

from conftest import BUILTIN

PHONE = 832  # px: below it the navigation is a bar (52rem)
TABS = ("Metrics", "Optimizations", "Analysis", "Charts")
ANSWER = """## What it means

**TTFT** is the time to the *first token*. See [the paper](https://example.org/paper) and `prefill`:

| step | time |
|---|---:|
| prefill | 95 ms |
| decode | 24 ms |

```python
print("a line of code that is much longer than any phone is wide, so that it has to scroll inside of its own box")
```

#### Deep below

# And a title

> Measure first.

1. one
2. two
   - and a half
"""


def fill(server):
    """Models, conversations and runs, so that nothing is empty."""
    folder = server.folder / ".local" / "share" / "llmind" / "models"
    shutil.copytree(BUILTIN, folder / "second", ignore=shutil.ignore_patterns("corpus", "train"))
    (folder / "broken-model-with-a-rather-long-name").mkdir(parents=True)
    (folder / "broken-model-with-a-rather-long-name" / "config.json").write_text('{"model_type": "llama"')
    chat = server.post("/api/chats", {"title": "What is TTFT, and why is it longer for a long prompt?"}).json()["id"]
    body = {"content": "What is TTFT?", "stream": False, "max_tokens": 12}
    assert server.post(f"/api/chats/{chat}/messages", body).status_code == 200
    own = report("full")
    own["analysis"]["recommendations"][0] |= {"setting": {"key": "threads", "value": 1}, "provable": True}
    runs = {name: import_report(server, name) for name in ("failed", "quick", "remote", "healthy", "full", "compare")}
    runs["own"] = import_report(server, own)
    sql(server, "UPDATE run SET imported = 0 WHERE id = ?", runs["own"])  # as if it had been measured here
    return SimpleNamespace(server=server, chat=chat, **runs)


def go(page, path):
    """As a link does: in the same document."""
    page.evaluate("""(path) => {
        const link = document.createElement('a');
        link.href = path;
        document.body.append(link);
        link.click();
        link.remove();
    }""", path)  # fmt: skip


def heading(page, name, **more):
    expect(page.get_by_role("heading", name=name, **more).first).to_be_visible()


def close(page, dialog):
    dialog.get_by_role("button", name="Close", exact=True).click()
    expect(dialog).to_be_hidden()


def refuse(status, message, code="refused", **headers):
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    return lambda route: route.fulfill(status=status, json={"error": error}, headers=headers)


def walk(page, shelf):
    page.expected_errors += ["ERR_", "Failed to fetch"]  # where the server is gone
    prepare(page)
    page.goto("/chat")
    for part in (_chat, _models, _performance, _results, _history, _settings, _troubles):
        yield from part(page, shelf)


def _chat(page, shelf):
    narrow = page.viewport_size["width"] < PHONE
    heading(page, "Ask the model on this machine")
    yield "chat: nothing asked yet"
    page.get_by_role("button", name="Options").click()
    options = page.get_by_role("dialog", name="Options")
    options.get_by_role("spinbutton", name="Temperature").fill("9")
    expect(options.get_by_text("It must be a number from 0 to 2")).to_be_visible()
    yield "chat: options, one of them wrong"
    options.get_by_role("button", name="All to their defaults").click()
    close(page, options)

    go(page, f"/chat/{shelf.chat}")
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    yield "chat: a conversation"
    page.locator("main header").get_by_role("button", name="More for this conversation").click()
    expect(page.get_by_role("menuitem", name="Rename")).to_be_visible()
    yield "chat: menu"
    page.get_by_role("menuitem", name="Rename").click()
    dialog = page.get_by_role("dialog", name="Rename the conversation")
    expect(dialog).to_be_visible()
    yield "chat: rename"
    close(page, dialog)
    page.locator("main header").get_by_role("button", name="More for this conversation").click()
    page.get_by_role("menuitem", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this conversation?")
    expect(dialog).to_be_visible()
    yield "chat: delete"
    close(page, dialog)
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("textbox", name="Your question, changed")).to_be_focused()
    yield "chat: a question being changed"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="What do these figures mean?").focus()
    expect(page.get_by_role("tooltip").first).to_be_visible()
    yield "chat: an explanation"

    asked = {"index": 2, "role": "user", "content": "And why?", "saved": True, "saved_reason": None}
    hold(page, "/messages", sse(("progress", {"state": "waiting_for_profile", "waited_s": 3.0})), "POST")
    question = page.get_by_role("textbox", name="Your question", exact=True)
    question.fill("And why?")
    question.press("Enter")
    expect(page.get_by_text("A profiling run is measuring.")).to_be_visible()
    yield "chat: a question that waits"
    tell(page, "/messages", sse(("message", {"message": asked}),
                                ("progress", {"state": "reading_prompt", "prompt_done": 512, "prompt_tokens": 2048})))  # fmt: skip
    expect(page.get_by_role("progressbar", name="Reading the prompt")).to_be_visible()
    yield "chat: a long prompt being read"
    tell(page, "/messages", sse(("delta", {"reasoning": "Let me think."}),
                                ("delta", {"content": ANSWER})))  # fmt: skip
    expect(page.get_by_role("article", name="Answer being written").get_by_role("table")).to_be_visible()
    yield "chat: an answer being written"
    tell(page, "/messages", sse(("error", {"error": {"message": "the model's process ended", "type": "server_error",
                                                      "code": "worker_died", "param": None}})), last=True)  # fmt: skip
    expect(page.get_by_text("The answer broke off")).to_be_visible()
    yield "chat: an answer that broke off"
    if narrow:
        page.get_by_role("button", name="Conversations").click()
        dialog = page.get_by_role("dialog", name="Conversations")
        expect(dialog.get_by_role("link").first).to_be_visible()
        yield "chat: the list in its drawer"
        close(page, dialog)
    else:
        page.get_by_role("searchbox", name="Search conversations").fill("nobody said this")
        expect(page.get_by_text("Nothing was said about")).to_be_visible()
        yield "chat: nothing found"
        page.get_by_role("searchbox", name="Search conversations").fill("")
    go(page, "/chat/" + "0" * 32)
    expect(page.get_by_text("There is no such conversation")).to_be_visible()
    yield "chat: not there"


def downloads():
    """One download in each state, as the server tells them, oldest first."""
    def job(number, model, state, **more):
        figures = {"done_bytes": 412_000_000, "total_bytes": 1_200_000_000, "files_done": 3, "files": 7}
        unknown = {name: None for name in ("bytes_per_second", "eta_s", "file", "judgement", "note", "error")}
        return {"id": f"{number:016x}", "model": model, "state": state, "forced": False, "refused": False,
                "created": "2026-01-01T00:00:00Z"} | figures | unknown | more  # fmt: skip

    far = {"done_bytes": None, "total_bytes": None, "files_done": None, "files": None}
    return [
        job(1, "mlx-community/Qwen3-0.6B-4bit", "complete", judgement="qwen3, 4-bit: it needs 612 MB of memory, and fits"),
        job(2, "org/of-another-kind", "failed", **far, refused=True,
            error={"code": "unsupported", "message": "not fetched: models of the kind \"mamba9\" cannot be run"}),
        job(3, "org/gated", "failed", **far, error={"code": "not_found", "message": "org/gated is gated: accept its terms"}),
        job(4, "mlx-community/a-model-with-a-name-that-is-longer-than-a-telephone-is-wide-4bit@main", "fetching",
            bytes_per_second=31e6, eta_s=26, file="model.safetensors", judgement="llama, 4-bit: it needs 5.1 GB of memory"),
        job(5, "org/paused", "paused"),
        job(6, "org/waiting", "queued", **far, note="a profiling run measures; it goes on afterwards"),
        job(7, "org/cancelled", "cancelled"),
    ]  # fmt: skip


def _downloads(page):
    said = downloads()
    field = page.get_by_role("textbox", name="Name on Hugging Face")
    field.fill("a name without an owner")
    expect(page.get_by_text("It must be like")).to_be_visible()
    yield "models: to download, with a wrong name"
    field.fill("")
    hold(page, f"/downloads/{said[3]['id']}/events", sse(("progress", said[3])))
    page.route("**/api/models/downloads", lambda route: route.fulfill(json={"downloads": said}))
    go(page, "/settings")
    heading(page, "Settings", level=1)
    go(page, "/models")
    expect(page.get_by_role("progressbar", name="Downloading")).to_be_visible()
    expect(page.get_by_role("list", name="Downloads").get_by_role("listitem")).to_have_count(len(said))
    yield "models: downloads in every state"
    page.unroute("**/api/models/downloads")
    go(page, "/settings")
    heading(page, "Settings", level=1)
    go(page, "/models")
    expect(page.get_by_role("list", name="Downloads")).to_have_count(0)


def _models(page, shelf):
    go(page, "/models")
    yield from _downloads(page)
    card = page.get_by_role("region", name="second", exact=True)
    expect(card).to_be_visible()
    yield "models: the list"
    card.get_by_role("button", name="Load", exact=True).click()
    dialog = page.get_by_role("dialog", name="Load second")
    dialog.get_by_text("Rarer options").click()
    dialog.get_by_role("spinbutton", name="Context, tokens").fill("99999")
    expect(dialog.get_by_text(re.compile("whole number from 1 to"))).to_be_visible()
    yield "models: load, with a wrong option"
    dialog.get_by_role("spinbutton", name="Context, tokens").fill("")
    page.route("**/api/models/load", refuse(400, "the model does not fit in memory: weights 9000 MiB, and 100 MiB are available",
                                           "limit"), times=1)  # fmt: skip
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    yield "models: load, refused"
    close(page, dialog)
    expect(page.get_by_role("alert").filter(has_text="weights 9000 MiB")).to_be_visible()
    yield "models: a load that failed"
    page.get_by_role("searchbox", name="Search the models").fill("nothing like this")
    expect(page.get_by_text("No model is like that")).to_be_visible()
    yield "models: nothing found"
    page.get_by_role("searchbox", name="Search the models").fill("")


def running(page, run_id):
    """A run of another window goes on, as far as the page can tell, until idle()."""
    told = [("begin", {"type": "begin", "run_id": run_id, "kind": "profile", "model": "builtin", "time": "2026-01-01T00:00:00Z"}),
            ("phase", {"type": "phase", "phase": "tests", "step": "medium", "progress": 0.42, "eta_s": 18}),
            ("note", {"type": "note", "text": "Another program used 40 % of the processor."})]  # fmt: skip
    for number in range(1, 7):
        told.append(("sample", {"type": "sample", "number": number, "test": "simple", "run": number, "warmup": number == 1,
                                "outcome": "ok", "decode_tokens_per_second": 40 + number, "tokens_per_second": 36 + number,
                                "ttft_ms": 95}))  # fmt: skip
    hold(page, f"/runs/{run_id}/events", sse(*told))
    now = {"run_id": run_id, "kind": "profile", "model": "builtin", "started": "2026-01-01T00:00:00Z", "phase": "tests",
           "step": "medium", "progress": 0.42, "eta_s": 18, "waiting": 1}  # fmt: skip
    page.route("**/api/profiling/status",
               lambda route: route.fulfill(json=route.fetch().json() | {"status": "running", "running": now}))  # fmt: skip


def ended(page, run_id, status, message):
    page.unroute("**/api/profiling/status")
    tell(page, f"/runs/{run_id}/events",
         sse(("end", {"type": "end", "run_id": run_id, "status": status, "message": message})), last=True)  # fmt: skip


def _performance(page, shelf):
    go(page, "/performance")
    run = page.get_by_role("button", name="Run Profiling")
    expect(run).to_be_enabled()
    expect(page.locator('[data-gauge="speed"]')).to_be_visible()
    expect(page.get_by_role("heading", name="The last comparison of models")).to_be_visible()
    expect(page.get_by_role("tablist", name="Results")).to_be_visible()
    yield "performance: the last results"
    # From here on without results, which are looked at below, and are much to draw.
    page.route("**/api/profiling/runs?**", lambda route: route.fulfill(json={"runs": [], "next": None, "total": 0}))
    go(page, "/history")
    expect(page.get_by_text("No runs yet")).to_be_visible()
    yield "history: nothing yet"
    go(page, "/performance")
    expect(run).to_be_enabled()
    expect(page.locator("[data-results]")).to_have_count(0)
    yield "performance: first visit"
    page.get_by_text("Advanced: depths").click()
    page.get_by_role("button", name="Use my own prompts").click()
    page.get_by_text("1 model cannot be used").click()
    page.get_by_role("spinbutton", name="Longest answer, tokens").fill("0")
    run.click()
    expect(page.get_by_role("textbox", name="Prompt 1")).to_have_attribute("aria-invalid", "true")
    yield "performance: everything to be chosen, some of it wrong"
    page.get_by_role("button", name="Remove prompt 1").click()
    page.get_by_role("button", name="Everything as it was at first").click()
    page.get_by_role("button", name="Compare Models").click()
    dialog = page.get_by_role("dialog", name=re.compile("Compare models"))
    expect(dialog.get_by_role("checkbox", name="builtin")).to_be_visible()
    yield "performance: what to compare"
    close(page, dialog)
    page.get_by_role("button", name="Optimization Guide").click()
    guide = page.get_by_role("dialog", name=re.compile("Optimization Guide"))
    expect(guide.get_by_role("heading", name="This machine", level=3, exact=True)).to_be_visible()
    yield "performance: guide"
    guide.get_by_role("searchbox").fill("nothing has this word")
    expect(guide.get_by_text("Nothing is found")).to_be_visible()
    yield "performance: guide, nothing found"
    close(page, guide)
    page.get_by_role("button", name="Pause").click()
    running(page, "1")
    expect(page.locator('[data-run="1"]').get_by_role("img", name="Speed of each measurement").locator("canvas")).to_be_visible()
    yield "performance: a run goes on, live figures paused"
    page.get_by_role("button", name="Go on").click()
    ended(page, "1", "failed", "the run needs 38210 MiB of memory, and 1210 MiB are available beside the loaded model "
                               "'builtin'; without it there would be 40210 MiB: \"unload_current\": true")  # fmt: skip
    expect(page.locator("[data-outcome=failed]")).to_be_visible()
    yield "performance: a run that failed"
    page.locator("[data-outcome=failed]").get_by_role("button", name="Dismiss").click()
    page.route("**/api/profiling/runs", lambda route: refuse(409, "a run is going on", "run_in_progress")(route)
               if route.request.method == "POST" else route.fallback())  # fmt: skip
    run.click()
    expect(page.get_by_role("alert").filter(has_text="Your run was not started")).to_be_visible()
    yield "performance: another run in the way"
    page.unroute("**/api/profiling/runs")
    page.get_by_role("alert").filter(has_text="Your run was not started").get_by_role("button", name="Dismiss").click()
    page.unroute("**/api/profiling/runs?**")


def _results(page, shelf):
    go(page, f"/history/{shelf.own}")
    for name in TABS:
        page.get_by_role("tab", name=re.compile(name)).click()
        panel = page.get_by_role("tabpanel")
        expect(panel).to_have_attribute("aria-labelledby", re.compile(name.lower()))
        if name == "Charts":
            for chart in panel.get_by_role("img").all():
                expect(chart.locator("canvas").first).to_be_visible()
            panel.get_by_text("Show as a table").first.click()
            expect(panel.get_by_role("table").first).to_be_visible()
        if name == "Analysis":
            panel.get_by_role("button", name="Say it in words").click()
            expect(panel.get_by_text("written by builtin")).to_be_visible()
        yield f"results: {name}"
    page.get_by_role("button", name="Download report").click()
    expect(page.get_by_role("menuitem", name="PDF")).to_be_visible()
    yield "results: formats of a report"
    page.keyboard.press("Escape")
    go(page, f"/history/{shelf.remote}")
    expect(page.get_by_text("Measured from outside")).to_be_visible()
    yield "results: of another server"
    go(page, f"/history/{shelf.compare}")
    expect(page.get_by_role("img", name="Speed of the models").locator("canvas")).to_be_visible()
    yield "results: a comparison"
    go(page, f"/history/{shelf.failed}")
    expect(page.get_by_text("Nothing was measured")).to_be_visible()
    yield "results: a run that failed"
    go(page, "/history/" + "0" * 32)
    expect(page.get_by_text("There is no such run")).to_be_visible()
    yield "results: not there"


def _history(page, shelf):
    go(page, "/history")
    table = page.get_by_role("region", name="All runs")
    expect(table.get_by_role("link").first).to_be_visible()
    yield "history: the list"
    filters = page.get_by_role("button", name="Filters")
    if filters.is_visible():
        filters.click()
    page.get_by_role("combobox", name="Outcome").select_option("interrupted")
    expect(page.get_by_text("No run is like that.")).to_be_visible()
    yield "history: filtered, nothing left"
    page.get_by_role("button", name="Show all runs").click()
    row = table.get_by_role("row").filter(has=page.locator(f'a[href="/history/{shelf.own}"]'))
    row.get_by_role("button", name=re.compile("^Actions")).click()
    expect(page.get_by_role("menuitem", name="Delete").locator("visible=true")).to_be_visible()
    yield "history: what can be done with a run"
    page.get_by_role("menuitem", name="Delete").locator("visible=true").click()
    dialog = page.get_by_role("dialog", name="Delete this run?")
    expect(dialog).to_be_visible()
    yield "history: delete"
    close(page, dialog)
    go(page, f"/history/diff?a={shelf.full}&b={shelf.healthy}")
    expect(page.get_by_role("region", name="Figures of both runs")).to_be_visible()
    yield "history: two runs side by side"
    go(page, f"/history/diff?a={shelf.full}&b=")
    expect(page.get_by_text("A diff is of two runs")).to_be_visible()
    yield "history: one run side by side"


def _settings(page, shelf):
    go(page, "/settings")
    temperature = page.locator('[data-setting="temperature"]')
    temperature.get_by_role("spinbutton").fill("5")
    temperature.get_by_role("spinbutton").press("Tab")
    expect(temperature).to_contain_text("from 0 to 2")
    seed = page.locator('[data-setting="seed"]')
    seed.get_by_role("spinbutton").fill("7")
    seed.get_by_role("spinbutton").press("Tab")
    expect(seed).to_contain_text("Saved")
    expect(page.get_by_text("Last-level cache")).to_be_visible()
    yield "settings: one wrong, one changed"
    page.get_by_role("button", name="All to their defaults").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="All to their defaults")).to_be_visible()
    yield "settings: back to the defaults"
    dialog.get_by_role("button", name="All to their defaults").click()
    expect(page.get_by_role("region", name="Notices")).to_be_visible()
    yield "settings: a notice"


def _troubles(page, shelf):
    page.route("**/api/models", refuse(400, "the folder of the models could not be read: permission denied"))
    go(page, "/models")
    expect(page.get_by_role("alert").filter(has_text="The models could not be listed")).to_be_visible()
    yield "trouble: a list that could not be read"
    page.unroute("**/api/models")
    page.evaluate("history.pushState(null, '', '/nowhere'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.get_by_text("There is no page at /nowhere")).to_be_visible()
    yield "trouble: an unknown address"
    page.route("**/api/settings", refuse(401, "this server wants an API key", "invalid_api_key"))
    go(page, "/settings")
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("API key").fill("wrong")
    dialog.get_by_label("API key").press("Enter")
    expect(dialog.get_by_text("did not accept this key")).to_be_visible()
    yield "trouble: a key is wanted"
    page.unroute("**/api/settings")
    close(page, dialog)

    kept = []
    page.route("**/api/profiling/runs?**", lambda route: kept.append(route))
    go(page, "/history")
    expect(page.get_by_text("Reading the history")).to_be_visible()
    yield "trouble: an answer that takes its time"
    page.route("**/health", lambda route: route.abort())
    page.route("**/api/**", lambda route: route.abort())
    for route in kept:
        route.abort()
    expect(page.get_by_role("region", name="Connection")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="The history could not be read")).to_be_visible()
    yield "trouble: the server is gone"
    page.unroute_all(behavior="ignoreErrors")
    expect(page.get_by_role("region", name="All runs")).to_be_visible()  # by itself

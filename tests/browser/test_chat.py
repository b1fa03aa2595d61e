"""The Chat page: streaming, stop, regenerate, edit, export, hostile answers, and a server that dies meanwhile."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from playwright.sync_api import expect
from serving import BUILTIN, PROGRAM, wait_for

PATIENCE_MS = 120_000
LINE = re.compile(r"^\d+\stokens?\s·\s[\d.,\u202f\s]+k?tok/s\s·\sTTFT\s[\d.,\u202f]+\sm?s\s·\scached\s\d+")


def question(page):
    return page.get_by_role("textbox", name="Your question", exact=True)


def answers(page):
    return page.get_by_role("article", name=re.compile("^Answer of"))


def ask(page, text):
    question(page).fill(text)
    question(page).press("Enter")


def finished(page, count=1):
    """Waits until there are so many answers and none is being written."""
    expect(answers(page)).to_have_count(count, timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def chat_of(page, server):
    page.wait_for_url(re.compile(r"/chat/[0-9a-f]{32}$"))
    return server.get(f"/api/chats/{page.url.rsplit('/', 1)[1]}").json()


def talked(server, *questions, **fields):
    """A conversation that exists already; its id."""
    chat = server.post("/api/chats", fields).json()
    for text in questions:
        body = {"content": text, "stream": False, "max_tokens": 12}
        assert server.post(f"/api/chats/{chat['id']}/messages", body).status_code == 200
    return chat["id"]


def set_options(page, **values):
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    names = {"temperature": "Temperature", "max_tokens": "Longest answer, tokens", "seed": "Seed"}
    for key, value in values.items():
        dialog.get_by_role("spinbutton", name=names[key]).fill(str(value))
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


@pytest.fixture(scope="module")
def chatterer(tmp_path_factory):
    """The folder of a model that talks until it is stopped: one of random weights has no reason to end."""
    folder = tmp_path_factory.mktemp("models") / "chatterer"
    command = [PROGRAM, "synth", "llama-3.2-1b", "--layers", "1", folder]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"LLMIND_BUILTIN": str(BUILTIN)})
    return folder


@pytest.fixture
def slow(start_server, chatterer):
    return start_server("--model", chatterer)


@pytest.fixture
def slow_page(slow, open_context):
    return open_context(server=slow).new_page()


def endless(page, tokens=1500):
    """An answer that takes seconds."""
    set_options(page, temperature=1, max_tokens=tokens, seed=3)


def some_text(page):
    """Until the answer that is being written has begun."""
    writing = page.get_by_role("article", name="Answer being written")
    expect(writing.locator(".markdown").first).not_to_be_empty(timeout=PATIENCE_MS)


def stream(*told):
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told)


def message(role, content, index, **more):
    return {"index": index, "role": role, "content": content, "saved": True, "saved_reason": None} | more


def say(page, content, **more):
    """The next answer is this one; the server's own is never asked for."""
    told = stream(("message", {"message": message("user", "x", 0)}), ("delta", {"content": content}),
                  ("done", {"message": message("assistant", content, 1, model="builtin", **more)}))  # fmt: skip
    asked = []

    def answer(route):
        asked.append(route.request.post_data_json["content"])
        route.fulfill(body=told, content_type="text/event-stream")

    def chat(route):  # the page reads it again when the answer has ended
        if not asked or route.request.method != "GET":
            route.continue_()
            return
        said = [message("user", asked[0], 0), message("assistant", content, 1, model="builtin", **more)]
        route.fulfill(json=route.fetch().json() | {"messages": said, "message_count": 2})

    page.route("**/messages", answer)
    page.route(re.compile(r"/api/chats/[0-9a-f]{32}$"), chat)


# ---- a conversation ----


def test_a_first_question_is_answered_in_a_stream(server, page):
    page.goto("/chat")
    expect(question(page)).to_be_focused()
    page.get_by_role("button", name="What is TTFT?").click()
    finished(page)
    chat = chat_of(page, server)
    said = chat["messages"][1]
    expect(answers(page)).to_contain_text(said["content"][:40])
    expect(page.locator("main .line")).to_have_text(LINE)
    expect(page.get_by_role("status").first).to_contain_text("Answer: ")  # read out once, when it is finished
    ask(page, "Hello")
    finished(page, 2)
    expect(question(page)).to_be_focused()
    expect(question(page)).to_have_value("")
    expect(page.get_by_role("navigation", name="Conversations").locator("[aria-current]")).to_contain_text("What is TTFT?")
    page.reload()
    finished(page, 2)


def test_shift_enter_is_a_new_line(server, page):
    page.goto("/chat")
    question(page).press_sequentially("one")
    before = question(page).bounding_box()["height"]
    for _ in range(3):
        question(page).press("Shift+Enter")
    question(page).press_sequentially("two")
    expect(question(page)).to_have_value("one\n\n\ntwo")
    assert question(page).bounding_box()["height"] > before
    question(page).press("Enter")
    finished(page)
    assert chat_of(page, server)["messages"][0]["content"] == "one\n\n\ntwo"


def test_stop_keeps_what_came(slow, slow_page):
    server, page = slow, slow_page
    page.goto("/chat")
    endless(page)
    ask(page, "Tell me everything")
    some_text(page)
    page.get_by_role("button", name="Stop").click()
    finished(page)
    expect(question(page)).to_be_focused()
    said = chat_of(page, server)["messages"][1]
    if said["stopped"]:  # else the answer was quicker than the click
        expect(answers(page)).to_contain_text("Stopped before its end.")
    assert said["content"].strip()


def test_leaving_the_page_does_not_end_the_answer(slow, slow_page):
    server, page = slow, slow_page
    page.goto("/chat")
    endless(page, 200)
    ask(page, "Tell me everything")
    some_text(page)
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    page.go_back()
    finished(page)
    assert chat_of(page, server)["messages"][1]["finish_reason"] in ("length", "stop")


def test_regenerate_replaces_the_last_answer(server, page):
    identity = talked(server, "Tell me a story", "Another story")
    before = server.get(f"/api/chats/{identity}").json()["messages"]
    page.goto(f"/chat/{identity}")
    finished(page, 2)
    expect(page.get_by_role("button", name="Regenerate")).to_have_count(1)  # of the last only
    set_options(page, temperature=1, max_tokens=30, seed=7)
    page.get_by_role("button", name="Regenerate").click()
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    finished(page, 2)
    after = server.get(f"/api/chats/{identity}").json()["messages"]
    assert after[:3] == before[:3] and len(after) == 4 and after[3]["created_at"] != before[3]["created_at"]
    expect(answers(page).last).to_contain_text(after[3]["content"][:20])


def test_edit_branches_and_loses_nothing(server, page):
    identity = talked(server, "What is TTFT?", "And what is MBU?", title="Figures")
    before = server.get(f"/api/chats/{identity}").json()
    page.goto(f"/chat/{identity}")
    finished(page, 2)
    page.get_by_role("button", name="Edit").nth(1).click()
    field = page.get_by_role("textbox", name="Your question, changed")
    expect(field).to_be_focused()
    field.press("Escape")
    expect(page.get_by_role("button", name="Edit").nth(1)).to_be_focused()
    page.get_by_role("button", name="Edit").nth(1).click()
    field.fill("And what is a token?")
    field.press("Enter")
    page.wait_for_url(lambda url: identity not in url)
    finished(page, 2)
    branch = chat_of(page, server)
    assert [m["content"] for m in branch["messages"]][::2] == ["What is TTFT?", "And what is a token?"]
    assert branch["branch_of"] == identity
    assert server.get(f"/api/chats/{identity}").json() == before
    page.reload()
    earlier = page.get_by_role("link", name="earlier version")
    earlier.click()
    page.wait_for_url(f"**/{identity}")
    expect(page.get_by_text("And what is MBU?", exact=True)).to_be_visible()
    expect(earlier).to_have_count(0)


def test_export_rename_search_and_delete(server, page):
    identity = talked(server, "What is a quokka?")
    page.goto(f"/chat/{identity}")
    finished(page)
    more = page.locator("main header").get_by_role("button", name="More for this conversation")
    more.click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as Markdown").click()
    text = download.value.path().read_text()
    assert text.startswith("# ") and "What is a quokka?" in text and download.value.suggested_filename.endswith(".md")

    more.click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("textbox", name="Name").fill("Small kangaroos")
    page.get_by_role("textbox", name="Name").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Small kangaroos")

    page.get_by_role("searchbox", name="Search conversations").fill("quokka")
    found = page.get_by_role("navigation", name="Conversations").get_by_role("link")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("Small kangaroos")
    page.get_by_role("searchbox", name="Search conversations").fill("nobody said this")
    expect(page.get_by_text("Nothing was said about")).to_be_visible()

    more.click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog", name="Delete this conversation?").get_by_role("button", name="Delete").click()
    page.wait_for_url("**/chat")
    assert server.get(f"/api/chats/{identity}").status_code == 404


def test_options_reach_the_model_and_go_back(server, page):
    page.goto("/chat")
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    dialog.get_by_role("textbox", name="System prompt").fill("Be brief.")
    dialog.get_by_role("spinbutton", name="Longest answer, tokens").fill("3")
    dialog.get_by_role("spinbutton", name="Temperature").fill("9")
    expect(dialog.get_by_text("It must be a number from 0 to 2")).to_be_visible()
    dialog.get_by_role("spinbutton", name="Temperature").fill("0")
    dialog.get_by_role("button", name="Close").click()
    ask(page, "Tell me a story")
    finished(page)
    chat = chat_of(page, server)
    assert chat["system"] == "Be brief." and chat["messages"][1]["timings"]["generated_tokens"] <= 3
    page.get_by_role("button", name="Options (2 changed)").click()
    dialog.get_by_role("button", name="All to their defaults").click()
    dialog.get_by_role("button", name="Without a system prompt").click()
    expect(dialog.get_by_role("textbox", name="System prompt")).to_have_value("")
    dialog.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Options", exact=True)).to_be_visible()
    assert chat_of(page, server)["system"] is None


def test_a_link_to_nothing_says_so(server, page):
    page.goto("/chat/" + "0" * 32)
    expect(page.get_by_text("There is no such conversation")).to_be_visible()


# ---- what the server tells on the way ----


def test_a_dialog_that_closes_takes_the_focus_from_nobody(page):
    """Its close event comes late: who has gone on to the question meanwhile would press the button that opens it again."""
    page.goto("/chat")
    page.get_by_role("button", name="Options").click()
    dialog = page.get_by_role("dialog", name="Options")
    expect(dialog).to_be_visible()
    page.evaluate("""() => new Promise((after) => {
        document.querySelector('dialog[open]').addEventListener('close', () => requestAnimationFrame(after));
        document.querySelector('dialog[open]').close();
        document.querySelector('main textarea').focus();
    })""")
    expect(dialog).to_be_hidden()
    expect(question(page)).to_be_focused()
    page.get_by_role("button", name="Options").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Options")).to_be_focused()


def test_waiting_for_a_profile_can_be_stopped_and_gives_the_question_back(server, page):
    run = server.post("/api/profiling/runs", {"repeats": 20, "max_tokens": 200, "configurations": []}).json()["run_id"]
    waiting, stopped = page.get_by_text("A profiling run is measuring."), page.get_by_role("status").get_by_text("Stopped.")
    try:
        for _ in range(20):  # until one comes, and is stopped, while a repeat is timed
            page.goto("/chat")
            wait_for(lambda: server.get("/api/performance").json()["phase"] == "parked", "a timed repeat")
            ask(page, "Am I in the way?")
            expect(waiting.or_(answers(page))).to_be_visible(timeout=PATIENCE_MS)
            if not waiting.is_visible():
                continue
            page.get_by_role("button", name="Stop").click()
            expect(stopped.or_(answers(page))).to_be_visible(timeout=PATIENCE_MS)
            if stopped.is_visible():
                break
        expect(question(page)).to_have_value("Am I in the way?")
    finally:
        server.request("DELETE", f"/api/profiling/runs/{run}")


def test_what_is_not_saved_says_so(server, page):
    page.goto("/chat")
    say(page, "Fine.", saved=False, saved_reason="the disk is full")
    ask(page, "x")
    expect(page.get_by_text("Not saved, kept in memory only: the disk is full.").first).to_be_visible()


# ---- hostile answers ----

HOSTILE = """# Hi <script>window.pwned = 1</script>

<img src="https://evil.example/a.png" onerror="window.pwned = 2"><svg onload="window.pwned = 3"></svg>
<iframe srcdoc="<script>parent.pwned = 4</script>"></iframe><a href="javascript:window.pwned = 5">raw</a>

[script](javascript:window.pwned=6) [data](data:text/html,<script>1</script>) [file](file:///etc/passwd)
[fine](https://example.org/fine) ![picture](https://evil.example/p.png) ![inline](data:image/png;base64,AAAA)

```html"><script>window.pwned = 7</script>
<script>window.pwned = 8</script>
```

שלום עולם

| `a | b **c
|---|:-
| [x](javascript:1) | <b onclick="window.pwned=9">x</b>

**never *closed `either [nor](this
"""
TABLE = "|" + " column |" * 60 + "\n|" + "---|" * 60 + "\n" + ("|" + " averylongwordindeed |" * 60 + "\n") * 200


def test_a_hostile_answer_does_no_harm(server, page):
    page.goto("/chat")
    say(page, HOSTILE)
    ask(page, "x")
    finished(page)
    said = answers(page).locator(".text")
    said.get_by_role("link").first.hover()
    assert page.evaluate("window.pwned") is None
    assert said.locator("script, img, svg, iframe, style, object, form, [onclick], [onerror], [onload]").count() == 0
    links = said.locator("a").evaluate_all("all => all.map((a) => [a.protocol, a.target, a.rel])")
    assert links and all(link == ["https:", "_blank", "noopener noreferrer"] for link in links), links
    expect(said).to_contain_text("<script>window.pwned = 8</script>")
    hebrew = said.get_by_text("שלום עולם")
    assert hebrew.evaluate("(e) => getComputedStyle(e).direction") == "rtl"
    assert said.get_by_role("heading").first.evaluate("(e) => e.tagName") == "H3"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("content", [TABLE, "W" * 20_000, "> " * 300 + "deep", "- " * 200 + "deep", "```\n" + "x" * 5000],
                         ids=["table", "word", "quotes", "list", "code"])  # fmt: skip
def test_a_huge_answer_stays_in_its_place(server, page, width, content):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/chat")
    say(page, content)
    ask(page, "x")
    finished(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(question(page)).to_be_in_viewport()


def test_a_hostile_title_is_text(server, page):
    title = '<img src=x onerror="window.pwned=1"> ' + "W" * 300
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(f"/chat/{talked(server, title=title)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x")
    page.get_by_role("button", name="Conversations").click()
    expect(page.get_by_role("dialog").get_by_role("link").first).to_contain_text("<img src=x")
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# ---- a server that dies ----


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_server_that_dies_in_the_middle_costs_nothing(start_server, open_context, chatterer):
    port = free_port()
    first = start_server("--model", chatterer, "--port", port)
    page = open_context(server=first).new_page()
    page.expected_errors += ["ERR_", "Failed to fetch", "network error"]
    page.goto("/chat")
    endless(page)
    ask(page, "Tell me everything")
    some_text(page)
    os.kill(first.pid, signal.SIGKILL)
    first.process.wait()
    broken = page.get_by_role("article", name="Unfinished answer")
    expect(broken).to_contain_text("The answer broke off")
    came = broken.locator(".text").inner_text()
    assert came
    expect(page.get_by_role("region", name="Connection")).to_be_visible()

    second = start_server("--model", chatterer, "--port", port, "--data-dir", first.data)
    expect(page.get_by_role("region", name="Connection")).to_be_hidden(timeout=PATIENCE_MS)
    expect(broken.locator(".text")).to_have_text(came)  # what came is still there
    set_options(page, temperature=0, max_tokens=5, seed=1)
    broken.get_by_role("button", name="Retry").click()
    finished(page)
    said = chat_of(page, second)["messages"]
    assert [m["role"] for m in said] == ["user", "assistant"], said  # asked once
    assert said[0]["content"] == "Tell me everything"

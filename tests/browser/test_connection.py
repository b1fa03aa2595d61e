"""The way to the server: replies that are lost, a server that is killed and started again. The page says so, goes on by
itself, and loses nothing. (An answer or a run cut off in its middle: test_chat.py, test_performance.py.)"""

import os
import signal

from playwright.sync_api import expect
from test_chat import ask, finished, free_port, question



def test_two_lost_replies_are_asked_for_again(server, page):
    page.expected_errors += ["ERR_CONNECTION_RESET"]
    lost = []

    def lose(route):
        if len(lost) == 2:
            return route.continue_()
        route.fetch()  # the server did answer
        lost.append(route.request.url)
        route.abort("connectionreset")

    page.route("**/api/models", lose)
    page.goto("/models")
    expect(page.get_by_role("region", name="builtin", exact=True)).to_be_visible()
    assert len(lost) == 2
    expect(page.get_by_role("alert").filter(has_text="The models could not be listed")).to_have_count(0)
    expect(page.get_by_role("region", name="Connection")).to_be_hidden()


def test_a_write_is_never_sent_twice(server, page):
    """The server may have done it: the user is told, and decides."""
    page.expected_errors += ["ERR_CONNECTION_RESET"]
    page.goto("/settings")
    seed = page.locator('[data-setting="seed"]')
    sent = []

    def lose(route):
        if route.request.method != "PUT":
            return route.continue_()
        sent.append(route.request.post_data_json)
        route.abort("connectionreset")

    page.route("**/api/settings", lose)
    seed.get_by_role("spinbutton").fill("7")
    seed.get_by_role("spinbutton").press("Tab")
    expect(seed).to_contain_text("Not saved")
    expect(seed.get_by_role("button", name="Retry")).to_be_visible()
    expect(page.get_by_role("region", name="Connection")).to_be_hidden()  # and it would have tried again by now
    assert sent == [{"seed": 7}]


def test_a_server_killed_and_started_again(start_server, open_context):
    port = free_port()
    first = start_server("--port", port)
    page = open_context(server=first).new_page()
    page.expected_errors += ["ERR_", "Failed to fetch", "network error"]
    page.goto("/chat")
    ask(page, "What is TTFT?")
    finished(page)
    question(page).fill("A draft that is not sent yet")
    gone = page.get_by_role("region", name="Connection")

    os.kill(first.pid, signal.SIGKILL)
    first.process.wait()
    expect(gone).to_contain_text("LLMind does not answer")
    expect(page.get_by_role("region", name="Status")).to_contain_text("No connection")
    expect(question(page)).to_have_value("A draft that is not sent yet")
    page.get_by_role("link", name="Models", exact=True).click()  # a page that was not loaded before it went
    expect(page.get_by_text("This page could not be loaded from LLMind")).to_be_visible()

    second = start_server("--port", port, "--data-dir", first.data)
    expect(gone).to_be_hidden()
    expect(page.get_by_role("region", name="Loaded now")).to_contain_text("builtin")  # by itself
    page.go_back()
    finished(page)
    expect(question(page)).to_have_value("A draft that is not sent yet")
    question(page).press("Enter")
    finished(page, 2)
    assert len(second.get("/api/chats").json()["chats"]) == 1

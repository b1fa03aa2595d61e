"""Saved conversations: what is said is there afterwards, whole, whatever ended it."""

import os
import signal
import threading

import pytest
from conftest import events, wait_for

WORDS = 4  # tokens of an answer, where the text does not matter


def new_chat(server, **fields):
    response = server.post("/api/chats", fields)
    assert response.status_code == 201, response.text
    return response.json()


def send(server, identity, **body):
    with server.client.stream("POST", f"/api/chats/{identity}/messages", json={"max_tokens": WORDS} | body) as reply:
        assert reply.status_code == 200, reply.read()
        assert reply.headers["content-type"].startswith("text/event-stream")
        return list(events(reply))


def whole(server, identity, **body):
    response = server.post(f"/api/chats/{identity}/messages", {"stream": False, "max_tokens": WORDS} | body)
    assert response.status_code == 200, response.text
    return response.json()


def read(server, identity):
    return server.get(f"/api/chats/{identity}").json()


def test_a_turn_is_streamed_and_saved(server):
    chat = new_chat(server)
    assert chat["message_count"] == 0 and chat["title"] == "New chat" and chat["saved"] is True
    told = send(server, chat["id"], content="Tell me about a cat")
    first, last = told[0], told[-1]
    assert first["message"]["role"] == "user" and first["message"]["saved"] and first["message"]["index"] == 0
    text = "".join(event.get("content", "") for event in told)
    assert text and last["message"]["content"] == text
    assert last["saved"] is True and last["saved_reason"] is None
    assert last["finish_reason"] in ("stop", "length") and last["model"] == "builtin"
    assert last["timings"]["generated_tokens"] <= WORDS and last["timings"]["ttft_ms"] > 0
    kept = read(server, chat["id"])
    assert kept["title"] == "Tell me about a cat" and kept["message_count"] == 2
    assert kept["messages"] == [first["message"], last["message"]]


def test_the_model_hears_the_whole_conversation(server):
    chat = new_chat(server, system="Be brief.")
    one = whole(server, chat["id"], content="Hello", seed=1)
    two = whole(server, chat["id"], content="And now?", seed=1)
    assert two["timings"]["prompt_tokens"] > one["timings"]["prompt_tokens"] + one["timings"]["generated_tokens"]
    assert two["user_message"]["index"] == 2 and two["message"]["index"] == 3


def test_the_same_seed_says_the_same_again(server):
    chat = new_chat(server)
    one = whole(server, chat["id"], content="A story", seed=5, temperature=1, max_tokens=12)
    for _ in range(2):
        again = whole(server, chat["id"], regenerate=True, seed=5, temperature=1, max_tokens=12)
        assert again["message"]["content"] == one["message"]["content"]
        assert again["user_message"] is None
    other = whole(server, chat["id"], regenerate=True, seed=6, temperature=1, max_tokens=12)
    messages = read(server, chat["id"])["messages"]
    assert len(messages) == 2 and messages[1]["content"] == other["message"]["content"]


def test_a_second_send_to_a_chat_that_is_being_answered_gets_409(server, problem):
    chat = new_chat(server)
    url = f"/api/chats/{chat['id']}/messages"
    body = {"content": "Count", "max_tokens": 400, "temperature": 1, "seed": 3}
    with server.client.stream("POST", url, json=body) as reply:
        told = events(reply)
        assert "message" in next(told)
        problem(server.post(url, {"content": "me too"}), 409, code="chat_busy")
        stopped = server.post(f"/api/chats/{chat['id']}/stop").json()["stopped"]
        last = list(told)[-1]
    if stopped:
        assert last["finish_reason"] == "cancelled" or last["timings"]["generated_tokens"] >= 1
    assert server.post(f"/api/chats/{chat['id']}/stop").json() == {"stopped": False}
    assert [m["content"] for m in read(server, chat["id"])["messages"]][0] == "Count"
    assert whole(server, chat["id"], content="me too")["saved"] is True


def test_what_a_client_that_left_had_got_is_kept(server):
    chat = new_chat(server)
    body = {"content": "Tell me everything", "max_tokens": 450, "temperature": 1.5, "seed": 2}
    got = ""
    with server.client.stream("POST", f"/api/chats/{chat['id']}/messages", json=body) as reply:
        for event in events(reply):
            got += event.get("content", "")
            if len(got) > 10:
                break
    kept = wait_for(lambda: len(m := read(server, chat["id"])["messages"]) == 2 and m, "the answer to be saved")
    assert kept[1]["content"].startswith(got)
    assert kept[1]["stopped"] is (kept[1]["finish_reason"] == "cancelled")


def test_many_chats_at_once(server):
    failures = []

    def talk(number):
        chat = new_chat(server)
        for i in range(3):
            done = whole(server, chat["id"], content=f"chat {number} message {i}")
            if not done["saved"]:
                failures.append(done)
        said = [m["content"] for m in read(server, chat["id"])["messages"] if m["role"] == "user"]
        if said != [f"chat {number} message {i}" for i in range(3)]:
            failures.append(said)

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_branch_begins_as_the_other_did(server, problem):
    chat = new_chat(server, title="first", system="Be kind.")
    for text in ("one", "two"):
        whole(server, chat["id"], content=text, max_tokens=4)
    before = read(server, chat["id"])
    reply = server.post("/api/chats", {"branch_of": chat["id"], "messages": 2})
    assert reply.status_code == 201 and reply.json()["message_count"] == 2 and reply.json()["saved"]
    branch = read(server, reply.json()["id"])
    assert (branch["title"], branch["system"], branch["model"]) == ("first", "Be kind.", before["model"])
    assert branch["messages"] == before["messages"][:2]
    whole(server, branch["id"], content="another two", max_tokens=4)
    assert read(server, chat["id"]) == before
    assert [m["content"] for m in read(server, branch["id"])["messages"]][::2] == ["one", "another two"]
    empty = server.post("/api/chats", {"branch_of": chat["id"], "messages": 0, "title": "other"}).json()
    assert empty["message_count"] == 0 and empty["title"] == "other"
    problem(server.post("/api/chats", {"branch_of": chat["id"], "messages": 5}), 400)
    problem(server.post("/api/chats", {"branch_of": chat["id"]}), 400, param="messages")
    problem(server.post("/api/chats", {"branch_of": "0" * 32, "messages": 0}), 404)
    problem(server.request("PATCH", f"/api/chats/{chat['id']}", json={"branch_of": chat["id"]}), 400, param="branch_of")


def test_a_branch_knows_what_it_began_as(server):
    chat = new_chat(server, title="the first of three")
    whole(server, chat["id"], content="one", max_tokens=4)
    branch = server.post("/api/chats", {"branch_of": chat["id"], "messages": 2}).json()
    second = server.post("/api/chats", {"branch_of": branch["id"], "messages": 0}).json()
    links = {chat["id"]: None, branch["id"]: chat["id"], second["id"]: branch["id"]}
    assert {c["id"]: c["branch_of"] for c in (chat, branch, second)} == links
    assert {c: read(server, c)["branch_of"] for c in links} == links
    listed = server.get("/api/chats?search=the first of three").json()["chats"]
    assert {c["id"]: c["branch_of"] for c in listed} == links
    renamed = server.request("PATCH", f"/api/chats/{branch['id']}", json={"title": "the first of two"}).json()
    assert renamed["branch_of"] == chat["id"]
    messages = read(server, branch["id"])["messages"]
    assert server.request("DELETE", f"/api/chats/{chat['id']}").status_code == 200
    left = read(server, branch["id"])
    assert left["branch_of"] is None and left["messages"] == messages
    assert read(server, second["id"])["branch_of"] == branch["id"]


def test_pages_and_search(server):
    ids = [new_chat(server, title=f"page 100%_ {i}")["id"] for i in range(5)]
    new_chat(server, title="page 100xx")
    seen, before = [], ""
    while True:
        query = {"limit": 2, "search": "PAGE 100%_"} | ({"before": before} if before else {})
        page = server.get("/api/chats", params=query).json()
        assert len(page["chats"]) <= 2
        seen += [chat["id"] for chat in page["chats"]]
        before = page["next"]
        if not before:
            break
    assert seen == ids[::-1]
    whole(server, ids[2], content="the rare word xylophone\\ here")
    found = server.get("/api/chats", params={"search": "xylophone\\"}).json()["chats"]
    assert [chat["id"] for chat in found] == [ids[2]]
    assert server.get("/api/chats", params={"limit": 1}).json()["chats"][0]["id"] == ids[2], "newest first"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "before=x", "before=1.2.3", "search=" + "x" * 300])
def test_wrong_queries_are_refused(server, problem, query):
    problem(server.get(f"/api/chats?{query}"), 400)


def test_titles_and_system_prompts_change(server, problem):
    chat = new_chat(server, title="One", system="S", model="builtin")
    url = f"/api/chats/{chat['id']}"
    changed = server.request("PATCH", url, json={"title": "Two"}).json()
    assert (changed["title"], changed["system"], changed["model"]) == ("Two", "S", "builtin")
    changed = server.request("PATCH", url, json={"title": None, "system": None, "model": None}).json()
    assert (changed["title"], changed["system"], changed["model"]) == ("New chat", None, None)
    problem(server.request("PATCH", url, json={"titel": "x"}), 400, param="titel")
    problem(server.request("PATCH", url, json={"title": "x" * 501}), 400, param="title")
    problem(server.request("PATCH", url, json={"title": 3}), 400, param="title")


def test_a_deleted_chat_is_gone(server, problem):
    chat = new_chat(server)
    whole(server, chat["id"], content="forget me please")
    url = f"/api/chats/{chat['id']}"
    assert server.request("DELETE", url).json() == {"id": chat["id"], "deleted": True}
    for method, path in (("GET", url), ("DELETE", url), ("PATCH", url), ("GET", url + "/export.md")):
        body = {"json": {"title": "x"}} if method == "PATCH" else {}
        problem(server.request(method, path, **body), 404, code="not_found")
    problem(server.post(url + "/messages", {"content": "x"}), 404)
    assert server.get("/api/chats", params={"search": "forget me please"}).json()["chats"] == []


@pytest.mark.parametrize("identity", ["x", "0" * 31, "0" * 33, "A" * 32, "0" * 32, "..%2f..%2fetc", "'%20OR%201=1--", "%00",
                                      "%f0%9f%98%80"])
def test_ids_that_are_none_are_not_found(server, identity):
    for path in ("", "/export.md"):
        assert server.get(f"/api/chats/{identity}{path}").status_code in (400, 404)
    assert server.post(f"/api/chats/{identity}/messages", {"content": "x"}).status_code in (400, 404)
    assert server.request("DELETE", f"/api/chats/{identity}").status_code in (400, 404)


@pytest.mark.parametrize("body, param", [
    ({}, "content"), ({"content": ""}, "content"), ({"content": 3}, "content"), ({"content": None}, "content"),
    ({"content": "x", "regenerate": True}, "content"), ({"content": "x", "regenerate": 1}, "regenerate"),
    ({"content": "x", "temperature": -1}, "temperature"), ({"content": "x", "temperature": 1e308}, "temperature"),
    ({"content": "x", "temperature": "hot"}, "temperature"), ({"content": "x", "top_p": 2}, "top_p"),
    ({"content": "x", "max_tokens": 0}, "max_tokens"), ({"content": "x", "max_tokens": -1}, "max_tokens"),
    ({"content": "x", "max_tokens": 1.5}, "max_tokens"), ({"content": "x", "seed": "1"}, "seed"),
    ({"content": "x", "stream": "no"}, "stream"), ({"content": "x", "tools": []}, "tools"),
    ({"content": "x" * ((1 << 20) + 1)}, "content")])
def test_wrong_fields_are_refused_by_name_and_change_nothing(server, problem, body, param):
    chat = new_chat(server)
    problem(server.post(f"/api/chats/{chat['id']}/messages", body), 400, param=param)
    assert read(server, chat["id"])["messages"] == []


def test_a_request_that_the_model_refuses_changes_nothing(server, problem):
    chat = new_chat(server)
    url = f"/api/chats/{chat['id']}/messages"
    problem(server.post(url, {"regenerate": True}), 400)
    problem(server.post(url, {"content": "x", "model": "no/such-model"}), 404)
    problem(server.post(url, {"content": "long " * 200000}), 400)
    assert read(server, chat["id"])["messages"] == [] and read(server, chat["id"])["model"] is None
    assert whole(server, chat["id"], content="short")["user_message"]["index"] == 0


def test_more_tokens_than_there_is_room_for_is_as_many_as_there_is(server):
    chat = new_chat(server)
    with server.client.stream("POST", f"/api/chats/{chat['id']}/messages", json={"content": "x", "max_tokens": 1 << 20}) as reply:
        assert reply.status_code == 200


def test_the_export_is_markdown(server):
    chat = new_chat(server, title="A *title*\n# with a line", system="Be kind.")
    done = whole(server, chat["id"], content="Hello, **you**")
    response = server.get(f"/api/chats/{chat['id']}/export.md")
    assert response.headers["content-type"].startswith("text/markdown")
    assert "attachment" in response.headers["content-disposition"]
    assert response.text.startswith("# A \\*title\\* \\# with a line\n")
    assert "**System**\n\nBe kind.\n" in response.text and "**You**\n\nHello, **you**\n" in response.text
    assert f"**builtin**\n\n{done['message']['content']}" in response.text


def test_unicode_survives(server):
    chat = new_chat(server, title="Grüße 😀")
    text = "naïve 日本語 \u2028 😀 \t \"quoted\" \\ \u0001"
    whole(server, chat["id"], content=text)
    kept = read(server, chat["id"])
    assert kept["title"] == "Grüße 😀" and kept["messages"][0]["content"] == text


def test_chats_survive_a_restart_and_two_servers_share_them(start_server):
    one = start_server()
    chat = new_chat(one)
    done = whole(one, chat["id"], content="remember")
    two = start_server("--data-dir", one.data)
    assert read(two, chat["id"])["messages"][1] == done["message"]
    whole(two, chat["id"], content="from the second")
    assert read(one, chat["id"])["message_count"] == 4
    one.stop()
    two.stop()
    three = start_server("--data-dir", one.data)
    assert [m["role"] for m in read(three, chat["id"])["messages"]] == ["user", "assistant"] * 2
    assert (one.data / "llmind.db").stat().st_mode & 0o777 == 0o600


def test_a_worker_that_dies_leaves_what_was_said(start_server):
    server = start_server()
    chat = new_chat(server)
    body = {"content": "Tell me everything", "max_tokens": 450, "temperature": 1.5, "seed": 4}
    told = []
    with server.client.stream("POST", f"/api/chats/{chat['id']}/messages", json=body) as reply:
        for event in events(reply):
            told.append(event)
            if len(told) == 3:
                os.kill(server.worker_pid, signal.SIGKILL)
    kept = read(server, chat["id"])["messages"]
    assert kept[0]["content"] == "Tell me everything"
    if "error" in told[-1]:  # else the answer was quicker than the signal
        assert told[-1]["error"]["message"] and told[-1]["finish_reason"] == "error"
        assert kept[1]["stopped"] is True and kept[1] == told[-1]["message"]
    assert whole(server, chat["id"], content="still there?")["saved"] is True

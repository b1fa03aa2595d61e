"""Settings: listed with their bounds, refused by name, kept over a restart, and obeyed."""

import pytest

from conftest import BUILTIN


def values(server):
    return server.get("/api/settings").json()["values"]


def put(server, **changes):
    response = server.request("PUT", "/api/settings", json=changes)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(autouse=True)
def defaults_afterwards(server):
    yield
    put(server, **dict.fromkeys(values(server)))


def test_every_setting_is_described(server):
    settings = server.get("/api/settings").json()
    assert settings["values"] == settings["defaults"] and settings["saved"] is True
    assert [row["key"] for row in settings["schema"]] == list(settings["values"])
    for row in settings["schema"]:
        assert row["description"] and row["takes_effect"] in ("at_once", "next_load", "next_start")
        assert settings["defaults"][row["key"]] == row["default"]
        assert row["nullable"] is (row["default"] is None)
    assert not any("key" in row["key"] and "api" in row["key"] for row in settings["schema"])


def test_changes_are_kept_and_null_puts_back(server):
    changed = put(server, temperature=0.5, theme="dark", system_prompt="Be kind. 😀", seed=7, kv_bits=8)
    assert changed["saved"] is True
    assert values(server) == changed["defaults"] | {
        "temperature": 0.5, "theme": "dark", "system_prompt": "Be kind. 😀", "seed": 7, "kv_bits": 8}
    assert put(server, theme=None, seed=None)["values"]["theme"] == "system"
    assert values(server)["temperature"] == 0.5 and values(server)["seed"] is None


@pytest.mark.parametrize("key, value", [
    ("temperature", -1), ("temperature", 1e308), ("temperature", "0.5"), ("temperature", True), ("top_p", 1.01),
    ("max_tokens", 0), ("max_tokens", 1.0), ("max_tokens", 1 << 62), ("seed", -1), ("kv_bits", 4), ("kv_bits", "8"),
    ("theme", "pink"), ("theme", ""), ("default_model", 3), ("system_prompt", "x" * 100001), ("api_key", "secret"),
    ("", 1), ("é" * 200, 1), ("temperature\n", 1), ("context", 1), ("threads", 0)])
def test_wrong_values_are_refused_by_name_and_nothing_is_changed(server, problem, key, value):
    before = values(server)
    error = problem(server.request("PUT", "/api/settings", json={"theme": "dark", key: value}), 400)
    assert error["param"] == (key.encode()[:127].decode(errors="replace").replace("\ufffd", "?") or None)
    assert values(server) == before


def test_a_body_that_is_no_object_is_refused(server, problem):
    for content in (b"[]", b"", b"{", b'"x"', b'{"theme":"dark","theme":"light"}'):
        response = server.request("PUT", "/api/settings", content=content, headers={"content-type": "application/json"})
        problem(response, 400)


def test_chats_obey_them(server):
    put(server, max_tokens=3, temperature=0, system_prompt="Answer in one word.")
    chat = server.post("/api/chats", {}).json()
    assert chat["system"] == "Answer in one word."
    assert server.post("/api/chats", {"system": None}).json()["system"] is None
    assert server.post("/api/chats", {"system": "Mine"}).json()["system"] == "Mine"
    answers = set()
    for _ in range(3):
        body = {"content": "Hello", "stream": False} if not answers else {"regenerate": True, "stream": False}
        done = server.post(f"/api/chats/{chat['id']}/messages", body).json()
        assert done["timings"]["generated_tokens"] <= 3
        answers.add(done["message"]["content"])
    assert len(answers) == 1, "temperature 0 is greedy"
    more = server.post(f"/api/chats/{chat['id']}/messages", {"regenerate": True, "stream": False, "max_tokens": 1}).json()
    assert more["timings"]["generated_tokens"] == 1, "what a request says comes first"


def test_they_survive_a_restart(start_server):
    one = start_server()
    put(one, theme="light", top_p=0.25)
    one.stop()
    two = start_server("--data-dir", one.data)
    assert values(two)["theme"] == "light" and values(two)["top_p"] == 0.25


STARTED = {"threads": 1, "context": 64, "kv_bits": 8, "max_sequences": 3, "queue_limit": 5}


def running(server):
    model = server.get("/api/performance").json()["model"]
    return {"threads": model["n_threads"]} | {k: model[k] for k in ("context", "kv_bits", "max_sequences")}


def test_a_start_obeys_what_was_saved_and_flags_and_environment_win(start_server):
    one = start_server("--no-preload")
    put(one, **STARTED)
    one.stop()
    two = start_server("--data-dir", one.data)
    assert running(two) == {k: v for k, v in STARTED.items() if k != "queue_limit"}
    two.stop()
    three = start_server("--data-dir", one.data, "--ctx", 32, env={
        "LLMIND_CTX": "48", "LLMIND_KV_BITS": "16", "LLMIND_MAX_SEQUENCES": "2"})
    assert running(three) == {"threads": 1, "context": 32, "kv_bits": 16, "max_sequences": 2}


def test_the_saved_queue_limit_holds(start_server):
    one = start_server("--no-preload")
    put(one, max_sequences=1, queue_limit=1)
    one.stop()
    busy = start_server("--data-dir", one.data).post(
        "/v1/completions", {"prompt": ["Once upon a time"] * 16, "max_tokens": 16})
    assert busy.status_code == 429, busy.text
    free = start_server("--data-dir", one.data, "--queue", 16).post(
        "/v1/completions", {"prompt": ["Once upon a time"] * 16, "max_tokens": 16})
    assert free.status_code == 200, free.text


def test_the_saved_default_model(start_server):
    models = {"LLMIND_MODEL_PATH": str(BUILTIN.parent)}
    one = start_server("--no-preload", env=models)
    put(one, default_model=BUILTIN.name)
    one.stop()
    assert start_server("--data-dir", one.data, env=models).get("/health").json()["model"] == BUILTIN.name
    # a model that is gone, or a path, does not keep it from starting
    for gone in ("no-such-model", str(BUILTIN), "../models", "builtin/."):
        two = start_server("--no-preload", "--data-dir", one.data, env=models)
        put(two, default_model=gone)
        two.stop()
        three = start_server("--data-dir", one.data, env=models)
        assert three.get("/health").json()["model"] == "builtin"
        assert "setting_ignored" in three.log and "default_model" in three.log
        three.stop()


def test_a_saved_setting_that_cannot_be_loaded_is_named(start_server):
    one = start_server("--no-preload")
    put(one, context=1 << 24)
    one.stop()
    with pytest.raises(AssertionError, match="saved settings: context.*--no-preload"):
        start_server("--data-dir", one.data)
    two = start_server("--data-dir", one.data, "--no-preload")
    put(two, context=None)
    two.stop()
    assert start_server("--data-dir", one.data).get("/health").json()["model"] == "builtin"

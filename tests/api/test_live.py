"""/health, /metrics, /api/performance and its stream, /api/system: what they say is well formed, true, and cheap."""

import json
import math
import os
import signal
import threading
import time

import httpx
import jsonschema
import pytest
from conftest import BUILTIN, events, wait_for
from prometheus_client.parser import text_string_to_metric_families


def chat(**fields):
    return {"messages": [{"role": "user", "content": "Count to ten."}], "max_tokens": 12} | fields


def endless(max_tokens, **fields):
    """An answer of exactly max_tokens: the tokens that would end it are never drawn."""
    ends = json.loads((BUILTIN / "generation_config.json").read_text())["eos_token_id"]
    ends = ends if isinstance(ends, list) else [ends]
    return chat(max_tokens=max_tokens, logit_bias={str(token): -100 for token in ends}, **fields)


def families(server):
    response = server.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(response.text)}


def null_reasons(value, path=""):
    """Every null must have a sibling that says why."""
    if isinstance(value, dict):
        for name, member in value.items():
            if member is None:
                assert value.get(f"{name}_reason"), f"{path}.{name} is null and nobody says why"
            null_reasons(member, f"{path}.{name}")
    elif isinstance(value, list):
        for i, member in enumerate(value):
            null_reasons(member, f"{path}[{i}]")


@pytest.fixture
def valid(server):
    """valid("Health", body): as /openapi.json says, and honest about what is null."""
    components = server.get("/openapi.json").json()["components"]

    def check(name, body):
        schema = {"$ref": f"#/components/schemas/{name}", "components": components}
        jsonschema.Draft202012Validator(schema).validate(body)
        null_reasons(body)
        return body

    return check


# ---- /health ----


def test_health(server, valid):
    body = valid("Health", server.get("/health").json())
    assert body["status"] == "ok"
    assert body["model"] == "builtin"
    assert valid("Health", server.get("/health").json())["uptime_s"] > body["uptime_s"] > 0


def test_health_of_a_server_that_has_loaded_nothing(start_server, valid):
    lazy = start_server("--no-preload")
    body = valid("Health", lazy.get("/health").json())
    assert body["status"] == "ok"
    assert body["model"] is None
    assert lazy.metric("llmind_model_loads_total") == 0
    assert lazy.post("/v1/chat/completions", chat()).status_code == 200
    assert lazy.get("/health").json()["model"] == "builtin"
    assert lazy.metric("llmind_model_loads_total") == 1


def test_health_tells_of_a_dead_worker(start_server, valid):
    server = start_server()
    os.kill(server.worker_pid, signal.SIGKILL)
    wait_for(lambda: server.get("/health").json()["status"] != "ok", "the death to be noticed")
    body = server.get("/health").json()
    valid("Health", body)
    assert body["status"] == "degraded"
    assert body["model"] is None
    assert "signal 9" in body["model_reason"]
    assert server.metric("llmind_worker_restarts_total") == 1
    assert server.post("/v1/chat/completions", chat()).status_code == 200  # the next request loads it again
    assert server.get("/health").json()["status"] == "ok"


# ---- /metrics ----


def test_metrics_are_prometheus(server):
    found = families(server)
    for name, kind in {
        "llmind_build_info": "gauge",
        "llmind_http_requests": "counter",
        "llmind_http_request_seconds": "histogram",
        "llmind_ttft_seconds": "histogram",
        "llmind_itl_seconds": "histogram",
        "llmind_answers": "counter",
        "llmind_disconnects": "counter",
        "llmind_prompt_tokens": "counter",
        "llmind_cached_tokens": "counter",
        "llmind_generated_tokens": "counter",
        "llmind_active_sequences": "gauge",
        "llmind_queue_depth": "gauge",
        "llmind_kv_pages": "gauge",
        "llmind_worker_restarts": "counter",
        "process_cpu_seconds": "counter",
        "process_resident_memory_bytes": "gauge",
        "process_threads": "gauge",
        "process_open_fds": "gauge",
    }.items():
        assert found[name].type == kind, name
        assert found[name].documentation, name
    for family in found.values():
        seen = set()
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen, f"{key} comes twice"
            seen.add(key)
            assert math.isfinite(sample.value) and sample.value >= 0, sample
    processes = {s.labels["process"] for s in found["process_resident_memory_bytes"].samples}
    assert processes == {"server", "worker"}


def test_histograms_add_up(server):
    server.post("/v1/chat/completions", chat())
    for name in ("llmind_ttft_seconds", "llmind_itl_seconds", "llmind_http_request_seconds"):
        samples = families(server)[name].samples
        buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name == f"{name}_bucket"]
        assert buckets == sorted(buckets)
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1][0] == math.inf
        total = next(s.value for s in samples if s.name == f"{name}_count")
        assert buckets[-1][1] == total > 0
        assert next(s.value for s in samples if s.name == f"{name}_sum") > 0


def test_an_answer_is_counted(server):
    def figures():
        names = ("llmind_generated_tokens_total", "llmind_prompt_tokens_total", "llmind_ttft_seconds_count")
        return [server.metric(name) for name in names]

    def requests(code):
        try:
            return server.metric("llmind_http_requests_total", route="/v1/chat/completions", code=code)
        except AssertionError:
            return 0

    before, answers = figures(), server.metric("llmind_answers_total")
    fine, wrong = requests(200), requests(400)
    usage = server.post("/v1/chat/completions", endless(12)).json()["usage"]
    assert server.post("/v1/chat/completions", chat(max_tokens=-1)).status_code == 400
    wait_for(lambda: requests(200) == fine + 1 and requests(400) == wrong + 1, "both requests to be counted")
    after = figures()
    assert after[0] - before[0] == usage["completion_tokens"] == 12
    assert after[1] - before[1] == usage["prompt_tokens"]
    assert after[2] - before[2] == 1
    assert server.metric("llmind_answers_total") == answers + 1
    wait_for(lambda: server.metric("llmind_active_sequences") == 0, "the sequence to be freed")


def test_a_running_answer_is_seen_and_a_client_that_leaves_too(server):
    left = server.metric("llmind_disconnects_total")
    body = endless(1900, stream=True)
    with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
        stream = events(response)  # kept: httpx closes the response when its iterator goes
        next(stream)
        wait_for(lambda: server.metric("llmind_active_sequences") == 1, "the sequence to be seen")
        wait_for(lambda: server.metric("llmind_kv_pages", state="used") >= 1, "its pages to be seen")
        before = server.metric("llmind_generated_tokens_total")
        wait_for(lambda: server.metric("llmind_generated_tokens_total") > before, "tokens while it runs")
    wait_for(lambda: server.metric("llmind_active_sequences") == 0, "the sequence to be freed")
    wait_for(lambda: server.metric("llmind_disconnects_total") == left + 1, "the disconnect to be counted")
    wait_for(lambda: server.metric("llmind_kv_pages", state="used") == 0, "its pages to be given back")
    assert server.metric("llmind_kv_pages") > 0


# ---- /api/performance ----


def test_performance(server, valid):
    body = valid("Performance", server.get("/api/performance").json())
    assert body["model"]["name"] == "builtin"
    assert body["phase"] == "ready"
    assert body["memory"]["server"]["pid"] == server.pid
    assert body["memory"]["worker"]["pid"] == server.worker_pid
    assert body["memory"]["worker"]["resident_bytes"] > body["model"]["file_bytes"] / 2
    assert 0 <= body["cpu"]["busy"] <= 1
    assert len(body["cpu"]["cores"]) >= 1


def test_performance_shows_tokens(server):
    server.post("/v1/chat/completions", endless(200))
    time.sleep(0.15)  # the tenth of a second that runs is not counted yet
    shown = server.get("/api/performance").json()
    assert shown["tokens_per_second"] > 0
    assert shown["tokens"]["generated"] == server.metric("llmind_generated_tokens_total")


def test_without_a_model_its_figures_are_null(start_server, valid):
    lazy = start_server("--no-preload")
    body = valid("Performance", lazy.get("/api/performance").json())
    assert body["model"] is None and body["kv"] is None and body["active_sequences"] is None
    assert body["memory"]["worker"] is None
    assert "llmind_kv_pages{" not in lazy.get("/metrics").text


def test_the_stream_is_one_sampler_for_all(server, valid):
    """Eight streams see the same samples, two a second."""
    seen = [[] for _ in range(8)]

    def watch(own):
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
            with client.stream("GET", "/api/performance/stream") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                for sample in events(response):
                    own.append((sample, time.monotonic()))
                    if len(own) == 5:
                        return

    threads = [threading.Thread(target=watch, args=(own,)) for own in seen]
    first = server.get("/api/performance").json()["sequence"]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.monotonic() - start
    last = server.get("/api/performance").json()["sequence"]
    assert last - first <= passed / 0.1 + 2  # however many look
    for own in seen:
        assert len(own) == 5
        valid("Performance", own[-1][0])
        numbers = [sample["sequence"] for sample, _ in own]
        assert numbers == sorted(numbers)
        assert own[-1][1] - own[0][1] > 1.4  # the first comes at once, then ticks of half a second
    shared = set.intersection(*({sample["sequence"] for sample, _ in own} for own in seen))
    assert shared, "no sample was seen by all"


def test_streams_that_leave_are_forgotten(server):
    before = server.metric("process_threads", process="server")
    sockets = [server.raw(b"GET /api/performance/stream HTTP/1.1\r\nHost: localhost\r\n\r\n") for _ in range(10)]
    for connection in sockets:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    for connection in sockets:
        connection.close()
    wait_for(lambda: server.metric("process_threads", process="server") <= before, "their threads to end")


# ---- /api/system ----


def test_system(server, valid):
    body = valid("System", server.get("/api/system").json())
    health = server.get("/health").json()
    assert body["program"]["version"] == health["version"]
    assert body["cpu"]["cores_allowed"] >= body["cpu"]["usable_threads"] >= 1
    assert body["memory"]["total_bytes"] > 0
    assert body["data_folder"] == os.path.realpath(server.data)
    assert json.dumps(body)  # nothing that JSON has no words for


def test_system_says_why_there_is_no_data_folder(start_server):
    body = start_server("--data-dir", "/proc/nothing/here").get("/api/system").json()
    assert body["data_folder"] is None and "/proc/nothing" in body["data_folder_reason"]

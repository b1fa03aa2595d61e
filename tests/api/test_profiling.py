"""Profiling over HTTP, with the real server, real labs and the built-in model: runs are kept tiny."""

import json
import pathlib
import shutil
import threading
import time

import httpx
import pytest

from conftest import BUILTIN, PATIENCE_S, SANITIZED, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
EVERY_TEST = {"quick_mode": True, "test_prompts": ["Hello"], "configurations": [], "repeats": 1, "max_tokens": 8, "trace": False}
# A sanitizer's build takes more than half of a run's time for the test at a depth of 1024 tokens, which does not fit in this
# context and is left out. `result` has it all the same.
SHORT_CONTEXT = {"context": 1024} if SANITIZED else {}
TINY = EVERY_TEST | {"knobs": SHORT_CONTEXT}
LONG = TINY | {"repeats": 100, "max_tokens": 512, "quick_mode": False}
SAMPLE = {"tokens_per_second", "decode_tokens_per_second", "prefill_tokens_per_second", "ttft_ms", "itl_ms", "total_time",
          "prompt_tokens", "generated_tokens", "memory_usage", "gpu_utilization", "cpu_usage", "power_w"}  # fmt: skip


def begin(server, **members):
    started = server.post("/api/profiling/runs", TINY | members)
    assert started.status_code == 202, started.text
    assert started.headers["location"] == started.json()["url"]
    return started.json()["run_id"]


def row(server, run):
    answer = server.get(f"/api/profiling/runs/{run}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for_end(server, run):
    return wait_for(lambda: row(server, run)["status"] not in ("running", "waiting") and row(server, run), f"run {run}")


def running(server):
    return server.get("/api/profiling/status").json()["running"]


def cancel(server, run):
    assert server.request("DELETE", f"/api/profiling/runs/{run}").json() == {"run_id": run, "status": "cancelling"}
    return wait_for_end(server, run)


def stream(server, run, **headers):
    """(id, event, data) of a run's events."""
    found, current = [], {}
    with server.client.stream("GET", f"/api/profiling/runs/{run}/events", headers=headers) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line.startswith(":"):
                continue
            if not line:
                if current:
                    found.append((int(current["id"]), current["event"], json.loads(current["data"])))
                current = {}
            else:
                name, _, value = line.partition(": ")
                current[name] = value
    return found


@pytest.fixture(scope="module")
def result(server):
    """The answer of one blocking run."""
    answer = server.post("/api/profiling/run", EVERY_TEST | {"configurations": ["baseline", "short_response"]})
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- the seed's endpoints ----


def test_run_has_the_seed_s_shape(result, schemas):
    schemas("ProfilingResult", result)
    assert result["status"] == "success"
    assert list(result["profiling_results"]) == ["prompt_1"]
    test = result["profiling_results"]["prompt_1"]
    assert test["prompt"] == "Hello" and len(test["results"]) == 1
    sample = test["results"][0]
    assert SAMPLE <= set(sample)
    assert sample["generated_tokens"] == 8 and sample["tokens_per_second"] > 0 and sample["total_time"] > 0
    assert sample["memory_usage"]["weights_bytes"] > 1e6
    assert test["average"]["tokens_per_second"] == pytest.approx(sample["tokens_per_second"])
    assert set(result["optimization_configs"]) >= {"baseline"}
    baseline = result["optimization_configs"]["baseline"]
    assert baseline["temperature"] == 0.7 and baseline["max_tokens"] > 0 and baseline["best"] is False
    assert result["analysis"]["performance_summary"]["avg_tokens_per_second"] > 0
    assert result["recommendations"] == result["model_recommendations"]
    assert result["report_url"].endswith(f"{result['run_id']}/report.json")
    assert result["system_info"]["current_model"] == "builtin"


def test_nothing_unknown_is_without_a_reason(result):
    """Null figures of the seed's own shape have a sibling that says why."""

    def look(value, path):
        if isinstance(value, dict):
            for name, member in value.items():
                if member is None and not path.startswith("analysis"):
                    assert value.get(f"{name}_reason"), f"{path}.{name}"
                look(member, f"{path}.{name}")
        if isinstance(value, list):
            for i, member in enumerate(value):
                look(member, f"{path}[{i}]")

    for part in ("profiling_results", "optimization_configs", "system_info"):
        look(result[part], part)


def test_addresses_of_an_answer_lead_somewhere(server, result):
    assert server.get(result["report_url"]).json()["schema"] == "llmind.report/1"
    assert server.get(result["plots_url"]).content.startswith(b"\x89PNG")


@pytest.mark.not_under("asan")
def test_compare_loses_no_model_to_a_broken_one(start_server, tmp_path, schemas):
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text('{"model_type": "llama"}')
    server = start_server(env={"LLMIND_MODEL_PATH": str(broken.parent)})
    answer = server.post("/api/profiling/compare-models", ["builtin", "broken", "nobody"])
    assert answer.status_code == 200, answer.text
    body = answer.json()
    schemas("CompareResult", body)
    results = body["comparison_results"]
    assert set(results) == {"builtin", "broken", "nobody"}
    assert results["builtin"]["status"] == "success" and results["builtin"]["rank"] == 1
    assert results["builtin"]["tokens_per_second"] > 0 and results["builtin"]["load_time_s"] > 0
    for name in ("broken", "nobody"):
        assert results[name]["status"] == "error" and results[name]["message"], results[name]
    assert isinstance(body["test_prompt"], str)
    assert str(tmp_path) not in answer.text  # models go by their names
    (tmp_path / "models" / "bare").mkdir()
    shutil.copy(BUILTIN / "config.json", tmp_path / "models" / "bare")
    failed = server.post("/api/profiling/run", TINY | {"model_name": "bare"})
    assert "bare" in failed.json()["message"] and str(tmp_path) not in failed.text, failed.text


@pytest.mark.not_under("asan")
def test_compare_without_a_word_takes_what_is_installed(start_server):
    server = start_server()
    body = server.post("/api/profiling/compare-models").json()
    assert list(body["comparison_results"]) == ["builtin"], body
    assert body["comparison_results"]["builtin"]["status"] == "success"


@pytest.mark.sanitize
def test_guide(server, schemas, problem):
    whole = server.get("/api/profiling/optimization-guide").json()
    schemas("OptimizationGuide", whole)
    assert whole["optimization_techniques"] and whole["mlx_flags"]
    part = server.get("/api/profiling/optimization-guide", params={"topic": "quantization"})
    assert part.status_code == 200 and len(part.text) <= len(json.dumps(whole))
    problem(server.get("/api/profiling/optimization-guide", params={"topic": "zzzzqqq"}), 404, param="topic")


@pytest.mark.sanitize
def test_status_when_nothing_runs(server, schemas):
    body = server.get("/api/profiling/status").json()
    schemas("ProfilingStatus", body)
    assert body["status"] == "idle" and body["running"] is None and body["profiling_available"] is True
    assert body["remote_targets"] is False  # test_other_servers_when_they_are_allowed has the other case
    assert body["model_info"]["name"] == "builtin"
    assert body["current_metrics"]["memory_usage"]["used_gb"] > 0


# ---- one at a time ----


@pytest.mark.sanitize
def test_while_one_runs(server, schemas, problem):
    run = begin(server, **LONG)
    now = wait_for(lambda: running(server), "the run to show")
    assert now["run_id"] == run and now["kind"] == "profile"
    schemas("ProfilingStatus", server.get("/api/profiling/status").json())
    for method, path, body in (
        ("POST", "/api/profiling/run", TINY),
        ("POST", "/api/profiling/runs", TINY),
        ("POST", "/api/profiling/compare-models", ["builtin"]),
        ("POST", "/api/profiling/batch", ["builtin"]),
        ("POST", "/api/models/unload", {}),
        ("POST", "/api/models/load", {"model": "builtin"}),
    ):
        answer = server.request(method, path, json=body)
        assert answer.status_code == 409, (path, answer.text)
        error = answer.json()["error"]
        assert error["code"] == "run_in_progress" and error["run_id"] == run, (path, error)
    assert server.get(f"/api/profiling/runs/{run}/report.pdf").status_code == 409
    ended = cancel(server, run)
    assert ended["status"] == "cancelled"
    assert running(server) is None
    assert server.post("/api/models/load", {"model": "builtin"}).status_code == 200
    schemas("Run", ended)
    assert server.request("DELETE", f"/api/profiling/runs/{run}").json()["status"] == "deleted"
    problem(server.get(f"/api/profiling/runs/{run}"), 404)
    problem(server.request("DELETE", f"/api/profiling/runs/{run}"), 404)


@pytest.mark.not_under("asan")
def test_second_run_may_wait(server):
    first = begin(server)
    second = server.post("/api/profiling/runs", TINY, params={"wait_s": PATIENCE_S})
    assert second.status_code == 202, second.text
    assert row(server, first)["status"] == "success"
    assert wait_for_end(server, second.json()["run_id"])["status"] == "success"


@pytest.mark.not_under("asan")
def test_client_leaves_and_the_run_goes_on(server):
    with pytest.raises(httpx.TimeoutException):
        server.post("/api/profiling/run", TINY | {"repeats": 3}, timeout=0.3)
    run = wait_for(lambda: running(server), "the run")["run_id"]
    assert wait_for_end(server, run)["status"] == "success"


# ---- events ----


def test_events_and_their_replay(server):
    run = begin(server)
    seen = stream(server, run)
    numbers = [number for number, _, _ in seen]
    assert numbers == sorted(set(numbers)) and numbers[0] == 1
    kinds = [event for _, event, _ in seen]
    assert kinds[0] == "begin" and kinds[-1] == "end" and {"phase", "sample"} <= set(kinds)
    assert seen[-1][2]["status"] == "success" and seen[-1][2]["run_id"] == run
    progress = [d["progress"] for _, event, d in seen if event == "phase" and d["progress"] is not None]
    assert progress == sorted(progress) and 0 <= progress[0] and progress[-1] <= 1
    again = stream(server, run)
    assert [n for n, _, _ in again if n in numbers] == [n for n, _, _ in again]
    after = stream(server, run, **{"Last-Event-ID": str(numbers[-3])})
    assert [n for n, _, _ in after] == [n for n in [m for m, _, _ in again] if n > numbers[-3]]


@pytest.mark.sanitize
def test_events_of_nothing(server, problem):
    problem(server.get(f"/api/profiling/runs/{'0' * 32}/events"), 404)
    problem(server.get("/api/profiling/runs/x/events", headers={"Last-Event-ID": "minus one"}), 400)


# ---- chats beside a run ----


def parked(server):
    return server.get("/api/performance").json()["phase"] == "parked"


@pytest.mark.sanitize
def test_a_chat_during_a_run_waits_visibly_and_is_answered(server):
    chat = server.post("/api/chats", {}).json()["id"]
    run = begin(server, **LONG)
    try:
        waited = said = None
        for _ in range(20):  # until one comes while a repeat is timed
            wait_for(lambda: parked(server), "a timed repeat")
            asked = {"content": "Hi", "max_tokens": 4, "stream": True}
            with server.client.stream("POST", f"/api/chats/{chat}/messages", json=asked) as response:
                assert response.status_code == 200
                lines = list(response.iter_lines())
            names = [line[7:] for line in lines if line.startswith("event: ")]
            assert names[-1] == "done", lines
            said = names
            states = [json.loads(x[6:]).get("state") for x in lines if x.startswith("data: ")]
            if "waiting_for_profile" in states:
                waited = states
                break
        assert waited, said
        assert waited[0] == "waiting_for_profile" and said.index("message") > 0
    finally:
        cancel(server, run)


@pytest.mark.not_under("asan")
def test_v1_during_a_run(server):
    run = begin(server, **LONG)
    try:
        asked = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
        whole = server.post("/v1/chat/completions", asked)
        assert whole.status_code == 200 and whole.json()["choices"][0]["finish_reason"]
        comments = 0
        for _ in range(20):
            wait_for(lambda: parked(server), "a timed repeat")
            began = time.monotonic()
            with server.client.stream("POST", "/v1/completions", json={"prompt": ["a", "b"], "max_tokens": 4, "stream": True}) as response:
                headers = time.monotonic() - began
                text = "".join(response.iter_text())
            assert response.status_code == 200 and text.endswith("data: [DONE]\n\n"), text
            assert headers < 30
            comments = text.count(": waiting for a profiling run\n\n")
            if comments:
                break
        assert comments
        # a mistake that only the model can find is told inside a stream that has begun
        for _ in range(20):
            wait_for(lambda: parked(server), "a timed repeat")
            answer = server.post("/v1/completions", {"prompt": "a", "model": "nobody", "stream": True})
            if answer.status_code == 200:
                assert '"model_not_found"' in answer.text
                break
            assert answer.status_code == 404
    finally:
        cancel(server, run)


def test_those_who_wait_are_counted_and_may_leave(server):
    run = begin(server, **LONG)
    asked = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}

    def leave():
        try:
            server.post("/v1/chat/completions", asked, timeout=0.05)
        except httpx.TimeoutException:
            pass

    try:
        seen = 0
        for _ in range(30):
            wait_for(lambda: parked(server), "a timed repeat")
            threads = [threading.Thread(target=leave) for _ in range(3)]
            for thread in threads:
                thread.start()
            seen = max(seen, server.get("/api/performance").json()["waiting_for_model"])
            for thread in threads:
                thread.join()
            if seen:
                break
        assert seen
        assert server.post("/v1/chat/completions", asked).status_code == 200
    finally:
        cancel(server, run)
    wait_for(lambda: server.get("/api/performance").json()["waiting_for_model"] == 0, "an empty queue")

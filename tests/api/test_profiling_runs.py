"""The history of runs over HTTP: pages, reports, imports, diffs, recommendations as settings, batches, restarts."""

import csv
import io
import json
import signal
import sqlite3
import time
import xml.etree.ElementTree

import jsonschema
import pytest

from conftest import ROOT, wait_for
from test_profiling import EVERY_TEST, LONG, TINY, begin, cancel, row, running, wait_for_end

JSON = {"Content-Type": "application/json"}
FORMATS = {
    "report.json": "application/json", "report.csv": "text/csv", "report.md": "text/markdown", "report.txt": "text/plain",
    "report.html": "text/html", "report.pdf": "application/pdf", "report.svg": "image/svg+xml", "report.png": "image/png",
    "charts.svg": "image/svg+xml", "charts.png": "image/png",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(server):
    """The id of a run that went well."""
    found = begin(server)
    assert wait_for_end(server, found)["status"] == "success"
    return found


@pytest.fixture(scope="module")
def report(server, run):
    return server.get(f"/api/profiling/runs/{run}/report.json").json()


def rewrite(server, run, change):
    """Lets change(report) alter what is stored of a run."""
    database = sqlite3.connect(server.data / "llmind.db", timeout=30)
    which = "run = (SELECT number FROM run WHERE id = ?)"
    (text,) = database.execute(f"SELECT report FROM run_text WHERE {which}", (run,)).fetchone()
    report = json.loads(text)
    change(report)
    database.execute(f"UPDATE run_text SET report = ? WHERE {which}", (json.dumps(report), run))
    database.commit()
    database.close()


# ---- reports ----


def test_the_report_is_one(report, run):
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text())).validate(report)
    assert report["run_id"] == run and report["status"] == "success"


@pytest.mark.parametrize("name", FORMATS)
def test_reports(server, run, name):
    answer = server.get(f"/api/profiling/runs/{run}/{name}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].split(";")[0] == FORMATS[name]
    disposition = answer.headers["content-disposition"]
    shown = name.rsplit(".", 1)[1] in ("html", "svg", "png", "txt")
    assert disposition.startswith("inline" if shown else "attachment"), disposition
    assert f'filename="llmind-builtin-{run[:8]}.' in disposition
    body = answer.content
    if name.endswith(".csv"):
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len(rows) > 1 and len({len(r) for r in rows}) == 1
    elif name.endswith(".pdf"):
        assert body.startswith(b"%PDF") and b"%%EOF" in body[-64:]
    elif name.endswith(".png"):
        assert body.startswith(b"\x89PNG\r\n\x1a\n")
    elif name.endswith(".svg"):
        assert xml.etree.ElementTree.fromstring(body).tag.endswith("svg")
    elif not name.endswith(".json"):
        assert "builtin" in answer.text
    saved = server.get(f"/api/profiling/runs/{run}/{name}?download=1")
    assert saved.headers["content-disposition"].startswith("attachment")


def test_html_can_reach_nothing(server, run):
    answer = server.get(f"/api/profiling/runs/{run}/report.html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "script" not in policy
    assert "<script" not in answer.text.lower() or "unsafe-inline" not in policy.split("script-src")[-1]


@pytest.mark.sanitize
def test_reports_of_nothing(server, problem):
    for name in FORMATS:
        problem(server.get(f"/api/profiling/runs/{'f' * 32}/{name}"), 404)
    problem(server.get(f"/api/profiling/runs/{'f' * 32}/report.exe"), 404, code="unknown_path")


# ---- lists ----


def test_list_and_pages(server, run):
    body = server.get("/api/profiling/runs", params={"limit": 1}).json()
    assert len(body["runs"]) == 1
    everything, page = [], server.get("/api/profiling/runs", params={"limit": 2}).json()
    while True:
        everything += [r["id"] for r in page["runs"]]
        if not page["next"]:
            break
        page = server.get("/api/profiling/runs", params={"limit": 2, "before": page["next"]}).json()
    assert run in everything and len(everything) == len(set(everything))
    for query, there in (({"status": "success"}, True), ({"status": "failed"}, False), ({"model": "builtin"}, True),
                         ({"model": "x"}, False), ({"kind": "profile"}, True), ({"kind": "compare"}, False)):  # fmt: skip
        found = [r["id"] for r in server.get("/api/profiling/runs", params=query).json()["runs"]]
        assert (run in found) == there, query


@pytest.mark.sanitize
def test_wrong_pages(server, problem):
    problem(server.get("/api/profiling/runs", params={"limit": 0}), 400, param="limit")
    problem(server.get("/api/profiling/runs", params={"limit": "many"}), 400, param="limit")
    problem(server.get("/api/profiling/runs", params={"imported": "yes"}), 400, param="imported")
    problem(server.get("/api/profiling/runs", params={"before": "'; DROP TABLE runs; --"}), 400)
    for path in ("x", "..%2f..", "0" * 31, "0" * 33, "%00", "0" * 2000):
        answer = server.get(f"/api/profiling/runs/{path}")
        assert answer.status_code in (400, 404), path


# ---- imports and diffs ----


def test_import_and_diff(server, run, report, schemas, problem):
    other = json.loads(json.dumps(report))
    other.pop("run_id", None)
    other["machine"]["cpu"] = "Another Processor"
    stored = server.post("/api/profiling/import", other)
    assert stored.status_code == 201, stored.text
    imported = stored.json()["run_id"]
    assert row(server, imported)["imported"] is True
    for origin, there, absent in (("true", imported, run), ("false", run, imported)):
        listed = server.get("/api/profiling/runs", params={"imported": origin, "limit": 500}).json()["runs"]
        assert {r["imported"] for r in listed} == {origin == "true"}
        assert there in {r["id"] for r in listed} and absent not in {r["id"] for r in listed}
    diff = server.get("/api/profiling/diff", params={"a": run, "b": imported})
    assert diff.status_code == 200, diff.text
    schemas("RunDiff", diff.json())
    assert any("machine" in text for text in diff.json()["warnings"])
    figures = {f["name"]: f for f in diff.json()["figures"]}
    assert figures["decode_tokens_per_second"]["a"] == pytest.approx(figures["decode_tokens_per_second"]["b"], rel=1e-6)
    same = server.get("/api/profiling/diff", params={"a": run, "b": run}).json()
    disturbed = any("was disturbed" in text for text in same["warnings"])  # by what else this machine does
    assert same["comparable"] is not disturbed
    for name in FORMATS:
        assert server.get(f"/api/profiling/runs/{imported}/{name}").status_code == 200
    problem(server.post(f"/api/profiling/runs/{imported}/apply", {"recommendation": "threads=1"}), 400, code="imported")
    problem(server.get("/api/profiling/diff", params={"a": run}), 400, param="b")
    problem(server.get("/api/profiling/diff", params={"a": run, "b": "0" * 32}), 404)


def test_import_takes_the_names_that_runs_may_have(server, report, problem):
    """A model's name may be a folder's path: as long as a request may name one, its report can be imported."""
    longest = "/".join(["x" * 127] * 8)
    other = json.loads(json.dumps(report))
    other["model"]["name"] = longest
    stored = server.post("/api/profiling/import", other)
    assert stored.status_code == 201, stored.text
    assert row(server, stored.json()["run_id"])["model"] == longest
    found = server.get("/api/profiling/runs", params={"model": longest}).json()["runs"]
    assert [r["id"] for r in found] == [stored.json()["run_id"]]
    other["model"]["name"] = longest + "xx"
    assert "1025 bytes" in problem(server.post("/api/profiling/import", other), 400)["message"]
    problem(server.post("/api/profiling/runs", {"model_name": longest}), 404)
    assert "1025 bytes" in problem(server.post("/api/profiling/runs", {"model_name": longest + "xx"}), 400)["message"]


@pytest.mark.sanitize
@pytest.mark.parametrize("body", [
    {}, {"schema": "llmind.report/1"}, {"schema": "llmind.report/9"}, {"schema": 7}, {"schema": "llmind.report/1", "tests": 3},
    {"schema": "llmind.report/1", "tests": [[[]]] * 10, "summary": []},
])  # fmt: skip
def test_what_is_no_report(server, body, problem):
    problem(server.post("/api/profiling/import", body), 400)


@pytest.mark.sanitize
def test_import_of_no_json(server, problem):
    problem(server.post("/api/profiling/import", content=b"[" * 100000, headers=JSON), 400)
    problem(server.post("/api/profiling/import", content=b"\xff\xfe", headers=JSON), 400)
    problem(server.post("/api/profiling/import"), 400)


# ---- recommendations ----


def recommend(*settings):
    def change(report):
        report["analysis"]["recommendations"] = [
            {"id": f"r{i}", "text": "Try it.", "expected_pct": 10, "provable": True, "setting": setting, "because": None}
            for i, setting in enumerate(settings)
        ]

    return change


def test_apply_and_undo(server, schemas, problem):
    run = begin(server)
    wait_for_end(server, run)
    rewrite(server, run, recommend({"key": "threads", "value": 1}, {"key": "system_prompt", "value": "Lie."}, None,
                                   {"key": "threads", "value": "many"}))  # fmt: skip
    assert server.get("/api/settings").json()["values"]["threads"] is None
    answer = server.post(f"/api/profiling/runs/{run}/apply", {"recommendation": "r0"})
    assert answer.status_code == 200, answer.text
    schemas("RecommendationApplied", answer.json())
    assert answer.json()["applied"] == {"key": "threads", "value": 1}
    assert server.get("/api/settings").json()["values"]["threads"] == 1
    undo = answer.json()["undo"]
    assert undo == {"key": "threads", "previous": None, "value": 1}
    undone = server.post(f"/api/profiling/runs/{run}/undo", undo)
    assert undone.status_code == 200, undone.text
    schemas("SettingUndone", undone.json())
    assert server.get("/api/settings").json()["values"]["threads"] is None
    problem(server.post(f"/api/profiling/runs/{run}/undo", undo), 409, code="changed_meanwhile")
    problem(server.post(f"/api/profiling/runs/{run}/undo", {"key": "system_prompt", "previous": "x"}), 400)
    problem(server.post(f"/api/profiling/runs/{run}/undo", {"key": "threads"}), 400, param="previous")
    for wrong in ("r1", "r2"):
        problem(server.post(f"/api/profiling/runs/{run}/apply", {"recommendation": wrong}), 400, code="not_applicable")
    problem(server.post(f"/api/profiling/runs/{run}/apply", {"recommendation": "r3"}), 400, param="threads")
    problem(server.post(f"/api/profiling/runs/{run}/apply", {"recommendation": "r9"}), 404)
    problem(server.post(f"/api/profiling/runs/{run}/apply", {}), 400, param="recommendation")
    problem(server.post(f"/api/profiling/runs/{run}/apply", {"recommendation": "r0", "x": 1}), 400, param="x")
    assert server.get("/api/settings").json()["values"]["system_prompt"] is None


# ---- batches ----


@pytest.mark.not_under("asan")
def test_batch(server, schemas):
    answer = server.post("/api/profiling/batch", TINY | {"models": ["builtin", "builtin"]})
    assert answer.status_code == 202, answer.text
    schemas("RunStarted", answer.json())
    runs = answer.json()["run_ids"]
    assert len(runs) == 2 and runs[0] == answer.json()["run_id"]
    for run in runs:
        assert wait_for_end(server, run)["status"] == "success"


# ---- hostile requests ----


@pytest.mark.sanitize
@pytest.mark.parametrize(("body", "param"), [
    ({"modle_name": "builtin"}, "modle_name"),
    ({"model_name": 7}, "model_name"),
    ({"model_name": ""}, "model_name"),
    ({"quick_mode": "yes"}, "quick_mode"),
    ({"repeats": 0}, "repeats"),
    ({"repeats": 1.5}, "repeats"),
    ({"repeats": 10**12}, "repeats"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"test_prompts": "Hello"}, "test_prompts"),
    ({"test_prompts": [""]}, "test_prompts"),
    ({"test_prompts": [7]}, "test_prompts"),
    ({"test_prompts": ["x" * 100001]}, "test_prompts"),
    ({"test_prompts": ["x"] * 10000}, "test_prompts"),
    ({"configurations": ["fast"]}, "configurations"),
    ({"configurations": "threads"}, "configurations"),
    ({"knobs": {"threads": 0}}, "knobs.threads"),
    ({"knobs": {"speed": 1}}, "knobs.speed"),
    ({"knobs": []}, "knobs"),
    ({"kind": "compare"}, "kind"),
    ({"kind": 5}, "kind"),
    ({"models": ["builtin"]}, "models"),
    ({"unload_current": 1}, "unload_current"),
])  # fmt: skip
def test_wrong_requests(server, body, param, problem):
    problem(server.post("/api/profiling/run", body), 400, param=param)
    assert running(server) is None


@pytest.mark.sanitize
@pytest.mark.parametrize("name", ["nobody", "../../etc", "/etc", "builtin/..", "a\tb", "x" * 1000])
def test_models_that_are_not_there(server, name, problem):
    problem(server.post("/api/profiling/run", TINY | {"model_name": name}), 404, code="model_not_found")


@pytest.mark.sanitize
def test_wrong_comparisons(server, problem):
    problem(server.post("/api/profiling/compare-models", content=b'"builtin"', headers=JSON), 400)
    problem(server.post("/api/profiling/compare-models", content=b"7", headers=JSON), 400)
    problem(server.post("/api/profiling/compare-models", {"models": "builtin"}), 400, param="models")
    problem(server.post("/api/profiling/compare-models", [7]), 400, param="models")
    problem(server.post("/api/profiling/compare-models", ["x"] * 33), 400, param="models")
    problem(server.post("/api/profiling/compare-models", {"models": ["builtin"], "kind": "profile"}), 400, param="kind")
    problem(server.post("/api/profiling/run", content=b"[]", headers=JSON), 400)
    problem(server.post("/api/profiling/run", TINY, params={"wait_s": -1}), 400, param="wait_s")
    assert running(server) is None


@pytest.mark.sanitize
def test_other_servers_are_the_operator_s_to_allow(server, problem):
    for target in ("http://127.0.0.1:1/v1", {"url": "http://127.0.0.1:1", "allow_local": True}, "file:///etc/passwd"):
        problem(server.post("/api/profiling/run", {"target": target}), 403, code="remote_targets_off", param="target")


def test_other_servers_when_they_are_allowed(start_server, problem):
    server = start_server("--allow-remote-targets")
    assert server.get("/api/profiling/status").json()["remote_targets"] is True
    local = {"target": {"url": server.url, "allow_local": True}}
    problem(server.post("/api/profiling/run", local), 403, code="local_targets_off", param="target.allow_local")
    refused = server.post("/api/profiling/run", {"target": server.url, "quick_mode": True})
    assert refused.status_code == 400 or refused.json()["status"] == "failed", refused.text
    answer = server.post("/api/profiling/run", {"target": "http://169.254.169.254/v1", "quick_mode": True})
    assert answer.status_code == 400 or answer.json()["status"] == "failed", answer.text
    assert "169.254" in answer.text or "link" in answer.text


# ---- a server's end, and its next beginning ----


@pytest.mark.not_under("asan")
def test_a_server_measures_itself_from_outside(start_server):
    server = start_server("--allow-local-targets")
    asked = EVERY_TEST | {"target": {"url": server.url, "model": "builtin", "allow_local": True}}
    answer = server.post("/api/profiling/run", asked)
    assert answer.status_code == 200 and answer.json()["status"] == "success", answer.text
    sample = answer.json()["profiling_results"]["prompt_1"]["results"][0]
    assert sample["generated_tokens"] == 8 and sample["ttft_ms"] > 0
    report = server.get(answer.json()["report_url"]).json()
    assert report["target"]["url"].startswith(server.url) and report["flags"] is None


@pytest.mark.not_under("asan")
def test_restart_keeps_history(start_server):
    server = start_server()
    run = begin(server)
    done = wait_for_end(server, run)
    data = server.data
    assert server.stop() == 0
    again = start_server("--data-dir", data)
    assert row(again, run)["report"] == done["report"]
    events = again.get(f"/api/profiling/runs/{run}/events").text
    assert "event: end" in events


@pytest.mark.not_under("asan")
def test_a_stop_stores_what_was_measured(start_server):
    server = start_server()
    run = begin(server, **LONG)
    wait_for(lambda: (running(server) or {}).get("phase") == "tests", "the tests to begin")
    began = time.monotonic()
    assert server.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 30
    again = start_server("--data-dir", server.data)
    found = row(again, run)
    assert found["status"] == "cancelled" and found["report"]["status"] == "cancelled", found
    assert again.post("/api/profiling/run", TINY).json()["status"] == "success"


@pytest.mark.sanitize
def test_a_stop_ends_those_who_wait_for_a_run(start_server):
    import threading

    server = start_server()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.post("/api/profiling/run", LONG)))
    thread.start()
    wait_for(lambda: running(server), "the run")
    stopped = server.process
    stopped.send_signal(signal.SIGTERM)
    thread.join(30)
    assert answers and answers[0].status_code in (200, 503), answers
    if answers[0].status_code == 200:
        assert answers[0].json()["status"] == "cancelled"
    assert stopped.wait(30) == 0

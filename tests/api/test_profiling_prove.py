"""A recommendation is tried over HTTP: with the real server, real labs and the built-in model. What the verdict is depends
on the machine and on who else uses it; that it is one, that it follows from its interval, and what may be done with it do
not."""

import sqlite3

import jsonschema
import json
import pytest

from conftest import ROOT, wait_for
from test_profiling import LONG, SHORT_CONTEXT, begin, cancel, row, running, stream, wait_for_end
from test_profiling_runs import FORMATS, recommend, rewrite

pytestmark = pytest.mark.not_under("asan")  # the thread sanitizer leaves the file out (scripts/run_tests)

# this machine's tests run on two cores or more; one thread is never four
THREADS = {"knobs": SHORT_CONTEXT | {"threads": 4}}


def prove(server, run, recommendation, blocks=5, **members):
    return server.post(f"/api/profiling/runs/{run}/prove", {"recommendation": recommendation, "blocks": blocks} | members)


def proved(server, run, recommendation):
    started = prove(server, run, recommendation)
    assert started.status_code == 202, started.text
    found = wait_for_end(server, started.json()["run_id"])
    assert found["status"] == "success", found
    return found


@pytest.fixture(scope="module")
def run(server):
    found = begin(server, **THREADS)
    assert wait_for_end(server, found)["status"] == "success"
    return found


@pytest.fixture(scope="module")
def proof(server, run):
    """The row of a proof that went well, and its events."""
    started = prove(server, run, "threads=1")
    assert started.status_code == 202, started.text
    assert started.headers["location"] == started.json()["url"]
    events = stream(server, started.json()["run_id"])
    found = row(server, started.json()["run_id"])
    assert found["status"] == "success", found
    return found | {"events": events}


def write_proof(server, proof, **members):
    """Lets a stored proof say something else."""
    database = sqlite3.connect(server.data / "llmind.db", timeout=30)
    (text,) = database.execute("SELECT proof FROM run WHERE id = ?", (proof,)).fetchone()
    database.execute("UPDATE run SET proof = ? WHERE id = ?", (json.dumps(json.loads(text) | members), proof))
    database.commit()
    database.close()


def follows(said):
    """The verdict is the one that the interval asks for."""
    low, high = said["ci95"]
    assert low <= said["change_pct"] <= high
    if said["verdict"] != "unclear":
        different = low > 2 or high < -2
        assert said["reason"] == (("better" if low > 2 else "worse") if different else "no_real_difference")
        assert said["verdict"] == ("kept" if low > 2 else "rejected")


# ---- one proof ----


def test_a_proof_is_a_run_of_its_own_kind(server, run, proof, schemas):
    schemas("Run", {k: v for k, v in proof.items() if k != "events"})
    schemas("Proof", proof["proof"])
    report = proof["report"]
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text())).validate(report)
    assert proof["kind"] == report["kind"] == "prove" and proof["proves"] == run
    assert report["flags"]["threads"] == 4 and report["analysis"] is None and report["tests"] == []
    entries = {c["id"]: c for c in report["configurations"]}
    assert set(entries) == {"baseline", "threads=1"}
    samples = entries["threads=1"]["samples"]
    assert len(samples) == 10 and sorted({s["block"] for s in samples}) == [0, 1, 2, 3, 4]
    assert entries["threads=1"]["pairs"] == 5, "the two pairs of a block share their processes"
    said = proof["proof"]
    assert said["recommendation"] == "threads=1" and said["blocks"] == 5 and said["sentence"].count("4 threads → 1") == 1
    assert said["change_pct"] == entries["threads=1"]["change_pct"] and said["ci95"] == entries["threads=1"]["ci95"]
    follows(said)
    listed = server.get("/api/profiling/runs", params={"kind": "prove"}).json()["runs"]
    assert proof["id"] in [r["id"] for r in listed]


def test_its_events(proof):
    names = [name for _, name, _ in proof["events"]]
    assert names[0] == "begin" and names[-1] == "end" and names.count("sample") >= 20 + 10
    phases = [data for _, name, data in proof["events"] if name == "phase"]
    assert any("block 5 of 5" in (p["step"] or "") for p in phases)
    shares = [p["progress"] for p in phases if p["phase"] == "proof"]
    assert shares == sorted(shares) and shares[-1] > 0.8
    assert any(p["eta_s"] is not None for p in phases)


def test_the_run_shows_it(server, run, proof):
    shown = row(server, run)["report"]["analysis"]["proofs"]
    assert [p["proof_run_id"] for p in shown if p["recommendation"] == "threads=1"] == [proof["id"]]
    assert shown[0]["sentence"] == proof["proof"]["sentence"] and shown[0]["at"] == proof["created"]
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text())).validate(row(server, run)["report"])


@pytest.mark.parametrize("name", FORMATS)
def test_reports(server, run, proof, name):
    for which in (run, proof["id"]):
        assert server.get(f"/api/profiling/runs/{which}/{name}").status_code == 200
    if name in ("report.txt", "report.html", "report.md"):
        for which in (run, proof["id"]):
            assert "4 threads → 1" in server.get(f"/api/profiling/runs/{which}/{name}").text


def test_another_machine_can_read_it(server, proof):
    report = server.get(f"/api/profiling/runs/{proof['id']}/report.json").json()
    stored = server.post("/api/profiling/import", report)
    assert stored.status_code == 201, stored.text
    assert row(server, stored.json()["run_id"])["proves"] is None, "what it proved is there, not here"


# ---- what cannot be tried ----


@pytest.mark.sanitize
def test_refusals(server, problem):
    run = begin(server)
    wait_for_end(server, run)
    threads = row(server, run)["report"]["flags"]["threads"]
    unknown = ["faster", "", "threads", "threads=0", "threads=2;rm", "baseline", "temperature=9", "x" * 200]
    for what in unknown:
        problem(prove(server, run, what), 400, param="recommendation", code="unknown_recommendation")
    for what in (f"threads={threads}", "temperature=0.7", "isa=vax", "concurrency=1"):
        problem(prove(server, run, what), 400, param="recommendation", code="not_provable")
    problem(prove(server, run, 7), 400, param="recommendation")
    problem(server.post(f"/api/profiling/runs/{run}/prove", {}), 400, param="recommendation")
    problem(prove(server, run, "threads=1", blocks=4), 400, param="blocks")
    problem(prove(server, run, "threads=1", blocks=1000), 400, param="blocks")
    problem(prove(server, run, "threads=1", x=1), 400, param="x")
    problem(server.post(f"/api/profiling/runs/{'f' * 32}/prove", {"recommendation": "threads=1"}), 404)
    assert running(server) is None


def test_what_has_no_baseline_here(server, run, proof, problem):
    report = server.get(f"/api/profiling/runs/{run}/report.json").json()
    imported = server.post("/api/profiling/import", report).json()["run_id"]
    problem(prove(server, imported, "threads=1"), 400, code="not_provable")
    problem(prove(server, proof["id"], "threads=1"), 400, code="not_provable")


@pytest.mark.sanitize
def test_a_proof_is_of_a_run(server, problem):
    """What is to be proved is taken from a stored run, never from the request."""
    wish = {"kind": "prove", "model_name": "builtin", "proves": {"run_id": "0" * 32, "recommendation": "threads=1"}}
    problem(server.post("/api/profiling/runs", wish), 400, param="kind")
    problem(server.post("/api/profiling/run", wish), 400, param="kind")
    problem(server.post("/api/profiling/run", {"proves": wish["proves"]}), 400, param="proves")


def test_one_at_a_time_and_cancelled(server, run):
    long = begin(server, **LONG)
    wait_for(lambda: (running(server) or {}).get("run_id") == long, "the long run")
    busy = prove(server, run, "temperature=0.9")
    assert busy.status_code == 409 and busy.json()["error"]["run_id"] == long, busy.text
    assert busy.json()["error"]["code"] == "run_in_progress"
    cancel(server, long)
    started = wait_for(lambda: (a := prove(server, run, "temperature=0.9", blocks=100)).status_code == 202 and a, "its turn")
    found = started.json()["run_id"]
    wait_for(lambda: (running(server) or {}).get("phase") == "proof", "the proof to begin")
    assert running(server)["kind"] == "prove"
    ended = cancel(server, found)
    assert ended["status"] == "cancelled" and ended["proof"] is None and ended["proof_reason"], ended
    assert "temperature=0.9" not in [p["recommendation"] for p in row(server, run)["report"]["analysis"]["proofs"]]


# ---- what is done with it ----


def test_what_was_proved_and_not_recommended_can_be_set(server, run, proof):
    write_proof(server, proof["id"], verdict="kept")
    answer = server.post(f"/api/profiling/runs/{run}/apply", {"recommendation": "threads=1"})
    assert answer.status_code == 200 and answer.json()["proved"] is True, answer.text
    assert server.post(f"/api/profiling/runs/{run}/undo", answer.json()["undo"]).status_code == 200


def recommend_one_thread(server, run):
    rewrite(server, run, recommend({"key": "threads", "value": 1}))
    rewrite(server, run, lambda report: report["analysis"]["recommendations"][0].update(id="threads=1"))
    return f"/api/profiling/runs/{run}/apply"


def test_apply_unproved(server, schemas):
    run = begin(server, **THREADS)
    wait_for_end(server, run)
    apply = recommend_one_thread(server, run)
    unproved = server.post(apply, {"recommendation": "threads=1"}).json()
    schemas("RecommendationApplied", unproved)
    assert unproved["proved"] is False and unproved["proof"] is None and "unproved" in unproved["warning"]
    assert server.post(f"/api/profiling/runs/{run}/undo", unproved["undo"]).status_code == 200


def test_apply(server, run, proof, schemas, problem):
    """The last test of `proof`, which it deletes."""
    apply, proof = recommend_one_thread(server, run), proof["id"]
    for verdict in ("kept", "unclear", "rejected"):
        write_proof(server, proof, verdict=verdict)
        shown = row(server, run)["report"]["analysis"]["recommendations"][0]
        assert shown["proof"]["verdict"] == verdict and shown["proof"]["proof_run_id"] == proof
        answer = server.post(apply, {"recommendation": "threads=1"})
        if verdict == "rejected":
            problem(answer, 409, code="rejected_by_proof", param="recommendation")
            answer = server.post(apply, {"recommendation": "threads=1", "force": True})
        assert answer.status_code == 200, answer.text
        schemas("RecommendationApplied", answer.json())
        assert answer.json()["proved"] is (verdict == "kept") and (answer.json()["warning"] is None) is (verdict == "kept")
        assert server.get("/api/settings").json()["values"]["threads"] == 1
        assert server.post(f"/api/profiling/runs/{run}/undo", answer.json()["undo"]).status_code == 200
        assert server.get("/api/settings").json()["values"]["threads"] is None
    problem(server.post(apply, {"recommendation": "threads=1", "force": 1}), 400, param="force")

    # the proof goes, and with it what it proved
    assert server.request("DELETE", f"/api/profiling/runs/{proof}").json()["status"] == "deleted"
    shown = row(server, run)["report"]["analysis"]["recommendations"][0]
    assert shown["proof"] is None and shown["proof_reason"]


def test_restart_and_deletion(start_server):
    server = start_server()
    run = begin(server, **THREADS)
    wait_for_end(server, run)
    proof = proved(server, run, "temperature=0.9")
    follows(proof["proof"])
    shown = row(server, run)["report"]["analysis"]["proofs"]
    assert server.stop() == 0
    again = start_server("--data-dir", server.data)
    assert row(again, run)["report"]["analysis"]["proofs"] == shown
    assert row(again, proof["id"])["report"] == proof["report"]
    assert again.request("DELETE", f"/api/profiling/runs/{run}").json()["status"] == "deleted"
    left = row(again, proof["id"])
    assert left["proves"] == run and left["proof"] == proof["proof"], "a proof says by itself what it tried"

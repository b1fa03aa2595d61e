"""Runs for the tests of results and history: real ones, imported ones, and what is stored of them changed."""

import json
import sqlite3

from playwright.sync_api import expect

from conftest import ROOT, wait_for

expect.set_options(timeout=30_000)  # a machine with other things to do

REPORTS = ROOT / "tests" / "data" / "reports"
SMALL = {
    "quick_mode": True, "model_name": "builtin", "test_prompts": ["Say hello."], "max_tokens": 8,
    "configurations": ["baseline", "threads"],
}  # fmt: skip


def report(name):
    return json.loads((REPORTS / f"{name}.json").read_text())


def import_report(server, value):
    """value: a report, or the name of one in tests/data/reports. Returns its run's id."""
    answer = server.post("/api/profiling/import", report(value) if isinstance(value, str) else value)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


def hostile():
    """As hostile as an imported report can be: the server wants a name that is not endless."""
    value = report("hostile")
    value["model"]["name"] = value["model"]["name"][:120]
    return value


def real_run(server, **more):
    answer = server.post("/api/profiling/runs", SMALL | more)
    assert answer.status_code == 202, answer.text
    run = answer.json()["run_id"]
    wait_for_end(server, run)
    assert row(server, run)["status"] == "success", row(server, run)["message"]
    return run


def row(server, run):
    return server.get(f"/api/profiling/runs/{run}").json()


def wait_for_end(server, run):
    wait_for(lambda: row(server, run)["status"] not in ("running", "waiting"), "the run to end")


def rewrite(server, run, change):
    """Lets change(report) alter what is stored of a run."""
    which = "run = (SELECT number FROM run WHERE id = ?)"
    with sqlite3.connect(server.data / "llmind.db", timeout=30) as database:
        (text,) = database.execute(f"SELECT report FROM run_text WHERE {which}", (run,)).fetchone()
        value = json.loads(text)
        change(value)
        database.execute(f"UPDATE run_text SET report = ? WHERE {which}", (json.dumps(value), run))
    database.close()


def sql(server, statement, *values):
    with sqlite3.connect(server.data / "llmind.db", timeout=30) as database:
        database.execute(statement, values)
    database.close()

"""Runs that are killed, and runs on a full disk: what history says of them, and that the next run starts."""

import json
import os
import subprocess
import time

import pytest
from conftest import api
from test_disk_full import fill, small_disk  # noqa: F401

SHORT = ["profile", "builtin", "--quick", "-r", "1", "--prompt", "Say hi.", "-n", "8", "--configurations", "none"]


@pytest.fixture
def llmind(tmp_path):
    """llmind(...) -> Popen, with a data folder of its own."""
    started = []
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LLMIND_")} | {
        "LLMIND_DATA_DIR": str(tmp_path / "data"), "LLMIND_BUILTIN": str(api.BUILTIN), "HOME": str(tmp_path)}

    def run(*arguments, folder=None):
        process = subprocess.Popen(
            [str(api.PROGRAM), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment | ({"LLMIND_DATA_DIR": str(folder)} if folder else {}))
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finish(process, timeout=120):
    out, errors = process.communicate(timeout=timeout)
    return process.returncode, out, errors


def history(llmind, *arguments, **options):
    code, out, errors = finish(llmind("history", *arguments, "--json", **options))
    assert code == 0, errors
    return json.loads(out)


def wait_until_running(llmind, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        runs = history(llmind)["runs"]
        if runs and runs[0]["status"] == "running":
            return runs[0]["id"]
    raise AssertionError("the run did not begin")


def children_of(process):
    return [int(c) for t in os.listdir(f"/proc/{process}/task")
            for c in open(f"/proc/{process}/task/{t}/children").read().split()]


def lives(process):
    try:
        return open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_run_is_interrupted_and_the_next_one_starts(llmind):
    run = llmind("profile", "builtin", "--quick")
    identity = wait_until_running(llmind)
    code, _, errors = finish(llmind(*SHORT))  # one at a time, and it is named
    assert code == 1 and identity in errors, errors
    assert history(llmind)["runs"][0]["status"] == "running"
    end = time.monotonic() + 60
    while not (labs := children_of(run.pid)) and time.monotonic() < end:
        time.sleep(0.01)
    run.kill()
    run.wait()
    killed = history(llmind)["runs"]
    assert [r["status"] for r in killed] == ["interrupted"] and "killed" in killed[0]["message"]
    assert killed[0]["id"] == identity

    code, out, errors = finish(llmind(*SHORT))
    assert code == 0 and "tok/s" in out, errors
    runs = history(llmind)["runs"]
    assert [r["status"] for r in runs] == ["success", "interrupted"]
    assert runs[0]["decode_tokens_per_second"] > 0
    assert history(llmind, "show", identity)["report"] is None
    end = time.monotonic() + 20
    while any(lives(lab) for lab in labs) and time.monotonic() < end:
        time.sleep(0.05)
    assert labs and not any(lives(lab) for lab in labs)  # nobody is left measuring
    code, out, _ = finish(llmind("history", "delete", identity))
    assert code == 0 and identity in out


def test_a_run_that_is_interrupted_politely_is_cancelled(llmind):
    run = llmind("profile", "builtin", "--quick")
    wait_until_running(llmind)
    run.terminate()
    code, _, errors = finish(run)
    assert code == 130, errors
    assert [r["status"] for r in history(llmind)["runs"]] == ["cancelled"]


def test_a_run_on_a_full_disk_is_shown_and_says_that_it_is_not_saved(llmind, small_disk):  # noqa: F811
    code, _, errors = finish(llmind(*SHORT, folder=small_disk))
    assert code == 0, errors
    fill(small_disk)
    code, out, errors = finish(llmind(*SHORT, folder=small_disk))
    assert code == 0 and "tok/s" in out, errors
    assert "not saved" in errors and "disk is full" in errors, errors
    (small_disk / "filler").unlink()
    assert [r["status"] for r in history(llmind, folder=small_disk)["runs"]][-1] == "success"
    code, _, errors = finish(llmind(*SHORT, folder=small_disk))
    assert code == 0 and "saved as run" in errors, errors
    assert history(llmind, folder=small_disk)["runs"][0]["status"] == "success"

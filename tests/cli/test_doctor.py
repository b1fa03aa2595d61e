"""llmind doctor on the machine that runs the tests: what it says must have the right form, and must follow
what the test changes."""

import json
import os
import socket

STATES = {"ok", "unknown", "warn", "problem"}


def examine(llmind, *arguments, **options):
    result = llmind("doctor", "--json", *arguments, **options)
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    checks = {check["id"]: check for check in answer["checks"]}
    assert len(checks) == len(answer["checks"])
    worst = {"ok": 0, "unknown": 0, "warn": 1, "problem": 2}
    assert worst[answer["state"]] == max(worst[check["state"]] for check in checks.values())
    assert result.returncode == (1 if answer["state"] == "problem" else 0)
    for check in checks.values():
        assert set(check) == {"id", "title", "state", "observed", "expected", "fix"}
        assert check["state"] in STATES and check["observed"] and check["expected"]
        assert check["fix"] or check["state"] in ("ok", "unknown")
    return checks


def test_every_row_is_there(llmind):
    checks = examine(llmind)
    assert set(checks) >= {
        "isa", "quota", "threads", "throttling", "steal", "quiet", "governor", "temperature", "power",
        "huge_pages", "memory", "swap", "pressure", "gpu", "port", "data", "api_key",
    }  # fmt: skip


def test_for_people(llmind):
    result = llmind("doctor")
    lines = result.stdout.splitlines()
    assert lines[-1].split()[1] == "ok," and "problem" in lines[-1]
    assert lines[0].split()[0] in STATES and "\033" not in result.stdout


def test_a_port_that_is_taken(llmind):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        check = examine(llmind, "--port", port)["port"]
    assert check["state"] == "warn" and str(port) in check["observed"] and "--port" in check["fix"]
    assert examine(llmind, "--port", port)["port"]["state"] == "ok"


def test_too_many_threads(llmind):
    check = examine(llmind, "--threads", 1000)["threads"]
    assert check["state"] == "problem" and "1000 threads" in check["observed"]
    assert examine(llmind, env={"LLMIND_THREADS": "1000"})["threads"]["state"] == "problem"
    assert examine(llmind, "--threads", 1, env={"LLMIND_THREADS": "1000"})["threads"]["state"] == "ok"


def test_the_data_folder(llmind, tmp_path):
    check = examine(llmind, env={"LLMIND_DATA_DIR": str(tmp_path / "not" / "yet")})["data"]
    assert check["state"] == "ok" and not (tmp_path / "not").exists()
    assert list(tmp_path.iterdir()) == []
    check = examine(llmind, env={"LLMIND_DATA_DIR": "/proc/llmind"})["data"]
    assert check["state"] == "problem" and "/proc" in check["observed"] and "LLMIND_DATA_DIR" in check["fix"]
    if os.geteuid() != 0:  # root may write everywhere
        os.chmod(tmp_path, 0o500)
        assert examine(llmind, env={"LLMIND_DATA_DIR": str(tmp_path / "x")})["data"]["state"] == "problem"
        os.chmod(tmp_path, 0o700)


def test_the_api_key_is_not_shown(llmind):
    result = llmind("doctor", env={"LLMIND_API_KEY": "s3cr3t-and-long"})
    assert "s3cr3t" not in result.stdout + result.stderr and "15 bytes" in result.stdout
    assert examine(llmind, env={"LLMIND_API_KEY": "short"})["api_key"]["state"] == "problem"


def test_usage(usage_error):
    assert "--threads" in usage_error("doctor", "--threads", "many")
    assert "LLMIND_THREADS" in usage_error("doctor", env={"LLMIND_THREADS": "0"})
    assert "--frobnicate" in usage_error("doctor", "--frobnicate")

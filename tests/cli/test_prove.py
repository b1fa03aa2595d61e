"""`llmind profile --prove`: a recommendation of a stored run is tried."""

import json
import re

import pytest

TINY = ["--quick", "-r", "1", "--configurations", "none", "--prompt", "Hi", "-n", "8"]


@pytest.fixture
def run(llmind, builtin):
    result = llmind("profile", builtin, *TINY, "--threads", "4")
    assert result.returncode == 0, result
    return re.search(r"saved as run (\w{8})", result.stderr)[1]


def test_prove(llmind, run, tmp_path):
    result = llmind("profile", "--prove", "threads=1", "-o", "proof.md", "-o", "proof.html", "-o", "proof.pdf")
    assert result.returncode == 0, result
    assert "4 threads → 1" in result.stdout and result.stdout.count("CI") <= 1
    assert re.search(r", (kept|rejected)$|^unclear: ", result.stdout.splitlines()[0])
    assert f"of run {run}" in result.stderr
    if result.stdout.splitlines()[0].endswith("kept"):
        assert "llmind serve --threads 1" in result.stdout
    assert "4 threads → 1" in (tmp_path / "proof.md").read_text()
    assert (tmp_path / "proof.pdf").read_bytes().startswith(b"%PDF")

    # the run it is about shows it, and so does the list
    shown = llmind("history", "show", run).stdout
    assert "Proofs" in shown and "4 threads → 1" in shown
    listed = llmind("history").stdout
    assert "prove" in listed
    found = json.loads(llmind("history", "--json").stdout)["runs"]
    assert [r["kind"] for r in found] == ["prove", "profile"] and found[0]["proves"] == found[1]["id"]

    report = json.loads(llmind("profile", "--prove", "temperature=0.9", "--run", run, "-r", "6", "--json").stdout)
    assert report["kind"] == "prove" and report["proof"]["blocks"] == 6
    assert report["proof"]["verdict"] != "kept", "temperature makes nothing faster"


def test_what_cannot_be_proved(failure, usage_error, llmind, builtin):
    assert "no stored run" in failure("profile", "--prove", "threads=2")
    assert "no stored run of nothing" in failure("profile", "nothing", "--prove", "threads=2")
    assert "there is no profiling run" in failure("profile", "--prove", "threads=2", "--run", "abcdef")
    for other in (["--quick"], ["--prompt", "x"], ["--threads", "2"], ["--configurations", "none"], ["--raw"], ["--no-save"]):
        assert "--prove does what its run did" in usage_error("profile", "--prove", "threads=2", *other)
    assert "5 blocks" in usage_error("profile", "--prove", "threads=2", "-r", "4")
    assert "--prove" in usage_error("profile", "--run", "abcdef")
    assert "MODEL" in usage_error("profile", builtin, "--prove", "threads=2", "--run", "abcdef")


def test_what_is_no_configuration(failure, run):
    assert "there is no configuration 'faster'" in failure("profile", "--prove", "faster", "--run", run)
    assert "wants a value" in failure("profile", "--prove", "threads")
    assert "nothing to compare" in failure("profile", "--prove", "threads=4")

"""What the built-in model is for: it answers questions about LLMind's own field, also those it was never shown, and puts
a profiling report into words without inventing a figure."""
import json
import re
from pathlib import Path

import pytest

import serving
from builtin_questions import judge

REPORTS = Path(__file__).parents[1] / "data" / "reports"


def stored(server, name):
    report = json.loads((REPORTS / f"{name}.json").read_text())
    if report.get("model"):
        report["model"]["name"] = report["model"]["name"][:200]  # longer ones are refused at the door
    answer = server.post("/api/profiling/import", report)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


@pytest.mark.skipif(serving.BUILD.name != "build", reason="hundreds of answers, which the sanitizers make slow")
def test_questions_it_was_never_shown(server):
    summary, bad = judge(lambda path, body: server.post(path, body).json(), reports=40)
    assert summary["questions"] >= 200
    assert summary["on_topic_percent"] >= 90, bad
    assert summary["ends_by_itself_percent"] >= 95
    assert summary["no_loop_percent"] >= 99
    assert summary["report"]["percent"] >= 90, bad
    assert summary["reports_with_invented_figures"] == 0


def narrate(server, run, **body):
    return server.post(f"/api/profiling/runs/{run}/narrate", body)


def test_a_report_in_words(server):
    """Every figure that is shown was given; the bottleneck is the one that the analysis named."""
    answer = narrate(server, stored(server, "full"))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["model"] == "builtin"
    assert "bottleneck: memory_bandwidth" in told["figures"]
    assert "memory bandwidth" in told["text"]
    assert "model: my-model" in told["figures"] and "Llama-3.2-1B-Instruct-4bit decodes at" in told["text"]
    said = told["text"].replace("Llama-3.2-1B-Instruct-4bit", "")
    assert set(re.findall(r"\d+(?:\.\d+)?", said)) <= set(re.findall(r"\d+(?:\.\d+)?", told["figures"]))
    assert told["text"] == " ".join(one["text"] for one in told["sentences"] if one["kept"])
    assert told["left_out"] == sum(not one["kept"] for one in told["sentences"])
    assert all((one["reason"] is None) == one["kept"] for one in told["sentences"])


@pytest.mark.parametrize("name", ["failed", "compare"])
def test_nothing_to_put_into_words(server, name):
    answer = narrate(server, stored(server, name))
    assert answer.status_code == 400
    assert "no analysis" in answer.json()["error"]["message"]


def test_wrong_requests(server):
    run = stored(server, "quick")
    assert narrate(server, "0" * 32).status_code == 404
    assert narrate(server, run, model="never-heard-of").status_code == 404
    unknown = narrate(server, run, mood="cheerful")
    assert unknown.status_code == 400 and "mood" in unknown.json()["error"]["message"]
    assert narrate(server, run, model=7).status_code == 400


def test_a_hostile_report(server):
    """It is only quoted: what it says of itself is no instruction, and no figure comes from anywhere else."""
    answer = narrate(server, stored(server, "hostile"))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    given = set(re.findall(r"\d+(?:\.\d+)?", told["figures"]))
    for text in (told["figures"], told["text"], *(one["text"] for one in told["sentences"])):
        assert "\x1b" not in text and "\u202e" not in text
    assert set(re.findall(r"\d+(?:\.\d+)?", told["text"])) <= given

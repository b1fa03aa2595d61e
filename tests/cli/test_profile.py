import json

import pytest
from conftest import ROOT
from json_schema import errors

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())


def nulls_without_a_reason(value, path="$"):
    if isinstance(value, dict):
        for name, item in value.items():
            if item is None and not value.get(f"{name}_reason"):
                yield f"{path}.{name}"
            yield from nulls_without_a_reason(item, f"{path}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from nulls_without_a_reason(item, f"{path}[{index}]")


def check(report):
    assert errors(SCHEMA, report) == []
    assert list(nulls_without_a_reason(report)) == []


def test_the_validator_can_fail():
    assert errors(SCHEMA, {}) != []
    assert errors(SCHEMA["$defs"]["figure"], "1", SCHEMA) != []
    assert errors(SCHEMA["$defs"]["grade"], "superb", SCHEMA) != []


def test_quick_run(llmind, builtin, tmp_path):
    result = llmind("profile", "--quick", "-o", "report.json", "-o", "report.md", timeout=120)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    check(report)
    assert report["status"] == "success" and report["mode"] == "quick" and report["summary"]["indicative"]
    assert report["duration_s"] < 60
    assert report["model"]["name"] == "builtin"
    tests = {test["id"]: test for test in report["tests"]}
    assert {"simple", "medium", "complex"} <= set(tests)
    assert any(test["kind"] == "prefill" for test in tests.values())
    assert any(test["kind"] == "decode" and test["depth"] == 0 for test in tests.values())
    for test in tests.values():
        assert test["outcomes"] == {"ok": 2}
        assert len(test["samples"]) == 2
        for sample in test["samples"]:
            assert sample["generated_tokens"] == test["max_tokens"]  # exact, end-of-sequence ignored
            assert len(sample["itl_ms"]) == test["max_tokens"] - 1
            assert sample["cached_tokens"] == 0
            assert sample["read_gbps"] > 0
        if test["kind"] == "decode":
            sample, roof = test["samples"][0], test["roofline"]
            read = roof["weight_bytes_per_token"] + roof["kv_bytes_per_token"]
            achieved = [read / (s["tpot_ms"] * 1e6) for s in test["samples"]]
            assert roof["achieved_gbps"]["mean"] == pytest.approx(sum(achieved) / 2, rel=1e-6)
            assert sample["tpot_ms"] == pytest.approx(sum(sample["itl_ms"]) / len(sample["itl_ms"]), rel=0.05)
    memory = report["memory"]
    assert memory["predicted"]["footprint_bytes"] == sum(
        memory["predicted"][part] for part in ("weights_bytes", "kv_bytes", "scratch_bytes")
    )
    assert memory["measured"]["footprint_peak_bytes"] >= memory["measured"]["footprint_bytes"] > 0

    # the three forms show the same figures
    decode = tests["decode_128_at_0"]["summary"]["decode_tokens_per_second"]["mean"]
    shown = f"{decode:.0f} ± "
    assert shown in result.stdout and shown in (tmp_path / "report.md").read_text()
    assert "\x1b" not in result.stdout
    assert "profile: prefill 512" in result.stderr


def test_own_prompts_and_json(llmind, builtin):
    result = llmind(
        "profile", builtin, "--quick", "-r", "1", "--prompt", "Say hi.", "--prompt", "Ünïcode ✓", "--ctx", "300", "--json"
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    check(report)
    prompts = {test["id"]: test["prompt"] for test in report["tests"] if test["kind"] == "prompt"}
    assert prompts == {"prompt_1": "Say hi.", "prompt_2": "Ünïcode ✓"}
    assert report["flags"]["context"] == 300
    assert all(test["samples"][0]["prompt_tokens"] + test["max_tokens"] <= 300 for test in report["tests"])
    assert report["tests"][0]["summary"]["tokens_per_second"]["sd"] is None  # one repeat has no spread


def test_a_prompt_that_is_too_long_does_not_spoil_the_rest(llmind, builtin):
    too_long = "word " * 2000
    arguments = ["profile", builtin, "--quick", "-r", "1", "--ctx", "300", "--json", "--prompt", too_long]
    result = llmind(*arguments, "--prompt", "Say hi.")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    check(report)
    assert report["tests"][0]["outcomes"] == {"error": 1}
    assert "context" in report["tests"][0]["samples"][0]["message"]
    assert report["summary"]["decode_tokens_per_second"] > 0
    assert report["summary"]["ttft_ms"] > 0  # of the prompt that fits

    result = llmind(*arguments)  # no prompt was measured: shown, and a failure
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "llmind profile: no prompt ended well; the report says why"
    report = json.loads(result.stdout)
    check(report)
    assert report["status"] == "failed"
    assert report["summary"]["decode_tokens_per_second"] > 0
    assert report["summary"]["ttft_ms"] is None


def test_a_small_context_shows_no_zeros(llmind, builtin):
    result = llmind("profile", builtin, "--quick", "-r", "1", "--ctx", "64")
    assert result.returncode == 0, result.stderr  # the short prompt fits with a shorter answer
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.startswith("  ")}
    assert int(rows["simple"][0]) + int(rows["simple"][1]) <= 64
    assert set(rows["complex"]) == {"-"}  # too long: nothing measured, nothing claimed


def test_unwritable_report(llmind, builtin):
    result = llmind("profile", "--quick", "-r", "1", "--prompt", "x", "--ctx", "64", "-o", "no/such/folder.json")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("llmind profile: cannot write no/such/folder.json: ")

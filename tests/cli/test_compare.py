import copy
import json
import re
import shutil

import pytest
from conftest import BUILD, BUILTIN, ROOT
from json_schema import errors
from test_profile import SCHEMA, nulls_without_a_reason


@pytest.fixture
def second(llmind, builtin, tmp_path):
    """Another folder with the same model."""
    shutil.copytree(BUILTIN, tmp_path / "second", ignore=shutil.ignore_patterns("train", "corpus"))
    return tmp_path / "second"


def test_models_beside_each_other(llmind, builtin, second, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    models = ["builtin", str(second), str(tmp_path / "broken"), "nobody/has-this"]
    result = llmind("compare", *models, "--quick", "-n", 8, "-r", 1, "--json", "-o", "report.md")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert errors(SCHEMA, report) == []
    assert list(nulls_without_a_reason(report["comparison"])) == []
    assert report["kind"] == "compare" and report["status"] == "success"
    comparison = report["comparison"]
    assert comparison["reference"] == "builtin" and comparison["indicative"]
    first, other, broken, absent = comparison["models"]
    assert [m["model"] for m in comparison["models"]] == models
    assert first["status"] == other["status"] == "success" and other["interleaved"]
    assert sorted([first["rank"], other["rank"]]) == [1, 2]
    assert first["tokens_per_second"]["n"] == other["tokens_per_second"]["n"] == 2
    assert other["pairs"] == 2 and other["verdict"] == "unknown"  # two pairs prove nothing
    assert first["memory_bytes"] > first["weight_bytes"] / 2
    assert broken["status"] == "error" and "model_type" in broken["message"]
    assert absent["status"] == "error" and "nobody/has-this" in absent["message"]
    assert "has-this" in (tmp_path / "report.md").read_text()
    runs = json.loads(llmind("history", "--json").stdout)["runs"]
    assert [run["kind"] for run in runs] == ["compare"]


def test_one_model_on_two_backends(llmind, tmp_path):
    if not list(BUILD.glob("libllmind_mlx.*")):
        pytest.skip("this build has no mlx backend")
    assert llmind("synth", "tiny-llama", tmp_path / "tiny").returncode == 0
    usual = {"LLMIND_BACKEND": "cpu", "LLMIND_ISA": "reference"}  # which each entry's own backend overrules
    result = llmind(
        "compare", "tiny", "--backends", "cpu,mlx", "--quick", "-r", 5, "-n", 4, "--raw", "--prompt", "a", "--json", env=usual
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert errors(SCHEMA, report) == []
    assert list(nulls_without_a_reason(report["comparison"])) == []
    cpu, mlx = report["comparison"]["models"]
    assert (cpu["model"], cpu["backend"], mlx["model"], mlx["backend"]) == ("tiny (cpu)", "cpu", "tiny (mlx)", "mlx")
    assert cpu["isa"] not in (mlx["isa"], "reference") and cpu["adapter"] is None
    assert mlx["interleaved"] and mlx["pairs"] == 10
    if mlx["isa"] == "cpu":  # where MLX's own product is no match
        assert mlx["change_pct"] < 0 and mlx["ci95"][1] < 0
    run, = json.loads(llmind("history", "--json").stdout)["runs"]
    assert run["model"] == "tiny (cpu), tiny (mlx)"


def test_no_such_backend(llmind, builtin):
    result = llmind("compare", "builtin", "--backends", "cpu,gpu", "--quick", "-r", 1, "-n", 4, "--json")
    cpu, gpu = json.loads(result.stdout)["comparison"]["models"]
    assert cpu["status"] == "success" and gpu["status"] == "error" and "gpu" in gpu["message"]


def test_a_backend_that_is_no_text(failure, builtin):
    assert "models" in failure("compare", "builtin", "--backends", "cpu,\udcff")  # one byte, no UTF-8


def test_nothing_works(llmind, tmp_path):
    result = llmind("compare", "nobody/has-this", "nor-this", "--quick", "--no-save")
    assert result.returncode == 1
    assert "no model works" in result.stderr
    assert "nor-this" in result.stdout


def faster(report, factor, run):
    """The report of a run that was so much faster, and nothing else."""
    report = copy.deepcopy(report)
    report["created"] = f"2026-01-0{run}T00:00:00Z"
    report.pop("run_id", None)
    text = json.dumps(report)
    # rates wherever they are; times are left, so only rates can say something
    text = re.sub(
        r'("(?:decode_|prefill_)?tokens_per_second": )([0-9.]+)', lambda m: m[1] + str(float(m[2]) * factor), text
    )
    report = json.loads(text)
    for test in report["tests"]:
        for name in ("decode_tokens_per_second", "prefill_tokens_per_second", "tokens_per_second"):
            for stat in ("mean", "median", "min", "max"):
                if test["summary"].get(name):
                    test["summary"][name][stat] *= factor
    return report


MEASURED = []  # the report that all of the following change: one run is enough


@pytest.fixture
def stored(llmind, builtin, tmp_path):
    """stored(factor, ...) -> ids of runs that differ in nothing but their speed."""
    arguments = ["builtin", "--quick", "--configurations", "none", "-n", 8, "--no-save", "--json"]
    if not MEASURED:
        MEASURED.append(llmind("profile", *arguments, timeout=120).stdout)
    report = json.loads(MEASURED[0])
    report["analysis"]["bottlenecks"] = []  # as if the machine had been quiet
    for test in report["tests"]:
        for sample in test["samples"]:
            for name in ("decode_tokens_per_second", "prefill_tokens_per_second", "tokens_per_second"):
                if sample[name]:
                    sample[name] = 100.0

    def store(*factors):
        ids = []
        for run, factor in enumerate(factors, 1):
            path = tmp_path / f"{run}.json"
            path.write_text(json.dumps(faster(report, factor, run)))
            result = llmind("history", "import", path)
            assert result.returncode == 0, result.stderr
            ids.append(result.stdout.split()[-1])
        return ids

    return store


def test_fail_if_slower(llmind, stored):
    usual, same, slow = stored(1, 1.001, 0.7)
    result = llmind("compare", "--runs", usual, same, "--fail-if-slower", "5%")
    assert result.returncode == 0, result.stderr
    assert "no real difference" in result.stdout
    result = llmind("compare", "--runs", usual, slow, "--fail-if-slower", "5%")
    assert result.returncode == 3, result
    assert "decode_tokens_per_second" in result.stderr and "slower" in result.stderr
    assert llmind("compare", "--runs", usual, slow).returncode == 0  # only asked
    assert llmind("compare", "--runs", usual, slow, "--fail-if-slower", "60").returncode == 0
    assert llmind("compare", "--runs", slow, usual, "--fail-if-slower", "5 %").returncode == 0  # faster
    diff = json.loads(llmind("compare", "--runs", usual[:8], slow[:8], "--json").stdout)
    figures = {figure["name"]: figure for figure in diff["figures"]}
    assert figures["decode_tokens_per_second"]["verdict"] == "lower"
    assert figures["decode_tokens_per_second"]["change_pct"] == pytest.approx(-30, abs=1)


def test_what_cannot_be_compared_guards_nothing(llmind, stored, tmp_path):
    (usual,) = stored(1)
    report = json.loads((tmp_path / "1.json").read_text())
    report["machine"]["cpu"] = "Another CPU"
    (tmp_path / "other.json").write_text(json.dumps(report))
    other = llmind("history", "import", "other.json").stdout.split()[-1]
    result = llmind("compare", "--runs", usual, other, "--fail-if-slower", "5%")
    assert result.returncode == 1
    assert "cannot be compared" in result.stderr


def test_comparisons_guard_nothing(llmind, tmp_path):
    report = json.loads((ROOT / "tests" / "data" / "reports" / "compare.json").read_text())
    ids = []
    for day in (1, 2):
        (tmp_path / "compare.json").write_text(json.dumps(report | {"created": f"2026-01-0{day}T00:00:00Z"}))
        ids.append(llmind("history", "import", "compare.json").stdout.split()[-1])
    result = llmind("compare", "--runs", *ids, "--fail-if-slower", "5%")
    assert result.returncode == 1
    assert "no rate or time of one model in common" in result.stderr


def test_a_disturbed_run_guards_nothing(llmind, stored, tmp_path):
    usual, slow = stored(1, 0.5)
    report = json.loads((tmp_path / "2.json").read_text())
    report["analysis"]["bottlenecks"] = [
        {
            "id": "busy_host",
            "severity": "High",
            "kind": "fault",
            "title": "Other programs used the processors during the run",
            "evidence": {"others_cores": 2.0},
            "explanation": "Other programs took 2 of the 2 cores.",
            "principal": True,
        }
    ]
    report["created"] = "2026-01-09T00:00:00Z"
    (tmp_path / "disturbed.json").write_text(json.dumps(report))
    disturbed = llmind("history", "import", "disturbed.json").stdout.split()[-1]
    assert llmind("compare", "--runs", usual, slow, "--fail-if-slower", "5%").returncode == 3
    result = llmind("compare", "--runs", usual, disturbed, "--fail-if-slower", "5%")
    assert result.returncode == 1 and "cannot be compared" in result.stderr
    assert "b was disturbed by other programs (busy_host)" in result.stdout and "is better" not in result.stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "MODEL"),
        (["builtin"], "two models"),
        (["builtin", "--backends", "cpu"], "two models"),
        (["builtin", "--backends", "cpu,mlx", "--backend", "mlx"], "--backend"),
        (["builtin", "--backends", "cpu,mlx", "--isa", "reference"], "--isa"),
        (["--runs", "abcd", "ef01", "--backends", "cpu,mlx"], "--runs"),
        (["--runs", "abcd"], ""),
        (["a", "b", "--fail-if-slower", "5%"], "--runs"),
        (["--runs", "abcd", "ef01", "--fail-if-slower", "fast"], "percentage"),
        (["--runs", "abcd", "ef01", "--fail-if-slower", "-5%"], "percentage"),
        (["--runs", "abcd", "ef01", "-o", "x.pdf"], "--runs"),
        (["a", "b", "-o", "x.doc"], "--output"),
        (["a", "b", "-r", "0"], "--repeats"),
    ],
)
def test_usage(usage_error, arguments, words):
    assert words in usage_error("compare", *arguments)


def test_no_such_run(failure):
    assert "abcdef" in failure("compare", "--runs", "abcdef", "012345")

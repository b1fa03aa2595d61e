import json

import pytest
from conftest import ROOT

REPORTS = ROOT / "tests" / "data" / "reports"


@pytest.fixture
def imported(llmind):
    """Imports a recorded report and gives its id."""

    def run(path):
        result = llmind("history", "import", path)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


def changed(tmp_path, name, change, source="full.json"):
    report = json.loads((REPORTS / source).read_text())
    change(report)
    path = tmp_path / name
    path.write_text(json.dumps(report))
    return path


def slower(report):
    """Everything that decodes takes a tenth longer."""
    for test in report["tests"]:
        for sample in test["samples"]:
            if sample.get("decode_tokens_per_second"):
                sample["decode_tokens_per_second"] *= 0.9
    report["summary"]["decode_tokens_per_second"] *= 0.9


def test_an_empty_history(llmind):
    result = llmind("history")
    assert result.returncode == 0 and result.stdout.startswith("No runs"), result
    assert json.loads(llmind("history", "--json").stdout)["runs"] == []


def test_import_list_show_delete(llmind, imported, tmp_path):
    identity = imported(REPORTS / "full.json")
    assert len(identity) == 32
    other = imported(REPORTS / "remote.json")
    listed = llmind("history").stdout
    assert identity[:12] in listed and other[:12] in listed and "imported" in listed
    runs = json.loads(llmind("history", "--json", "--limit", 1).stdout)
    assert len(runs["runs"]) == 1 and runs["next"] == runs["runs"][0]["id"]
    model = json.loads((REPORTS / "full.json").read_text())["model"]["name"]
    runs = json.loads(llmind("history", "--json", "--model", model).stdout)["runs"]
    assert identity in [run["id"] for run in runs]
    assert json.loads(llmind("history", "--json", "--status", "failed").stdout)["runs"] == []

    shown = llmind("history", "show", identity[:8], "-o", "report.md", "-o", "report.json", "-o", "samples.csv")
    assert shown.returncode == 0, shown.stderr
    assert identity in shown.stdout and model in shown.stdout and "\x1b" not in shown.stdout
    assert model in (tmp_path / "report.md").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["run_id"] == identity
    assert (tmp_path / "samples.csv").stat().st_size > 0
    whole = json.loads(llmind("history", "show", identity, "--json").stdout)
    original = json.loads((REPORTS / "full.json").read_text())
    assert whole["report"] | {"run_id": None} == original | {"run_id": None}

    deleted = llmind("history", "delete", identity[:8], other[:8])
    assert deleted.returncode == 0 and deleted.stdout.splitlines() == [f"deleted {identity}", f"deleted {other}"]
    assert llmind("history").stdout.startswith("No runs")


def shaky(report):
    """Repeats so far apart that they show nothing."""
    for test in report["tests"]:
        for i, sample in enumerate(test["samples"]):
            if sample["decode_tokens_per_second"]:
                sample["decode_tokens_per_second"] *= (0.75, 1, 1.33)[i % 3]


def test_diff(llmind, imported, tmp_path):
    a = imported(REPORTS / "full.json")
    b = imported(changed(tmp_path, "slow.json", slower))
    diff = json.loads(llmind("history", "diff", a[:10], b[:10], "--json").stdout)
    assert diff["a"]["id"] == a and diff["b"]["id"] == b and diff["comparable"]
    decode = next(figure for figure in diff["figures"] if figure["name"] == "decode_tokens_per_second")
    assert decode["verdict"] == "lower" and decode["better"] == "a"
    assert decode["change_pct"] == pytest.approx(-10, abs=0.1)
    same = json.loads(llmind("history", "diff", a, a, "--json").stdout)
    assert {figure["verdict"] for figure in same["figures"]} <= {"no_real_difference", "unknown"}
    text = llmind("history", "diff", a, b)
    assert text.returncode == 0 and "a is better" in text.stdout, text
    assert "unclear" not in text.stdout
    shaken = llmind("history", "diff", a, imported(changed(tmp_path, "shaky.json", shaky))).stdout
    line = next(line for line in shaken.splitlines() if line.split()[:1] == ["decode_tokens_per_second"])
    assert line.split("]")[-1].strip() == "unclear", shaken
    threads = imported(changed(tmp_path, "flags.json", lambda report: report["flags"].update(threads=77)))
    assert "threads" in llmind("history", "diff", a, threads).stdout


def test_wrong_use(usage_error, failure, imported, tmp_path):
    assert "did you mean 'show'" in usage_error("history", "shwo", "0123")
    assert "an ID" in usage_error("history", "show")
    assert "two IDs" in usage_error("history", "diff", "0123")
    assert "unexpected argument 'c'" in usage_error("history", "diff", "a", "b", "c")
    assert "--output" in usage_error("history", "show", "0123", "-o", "report.exe")
    assert "goes with show" in usage_error("history", "-o", "report.md")
    assert "no id" in failure("history", "show", "../../etc/passwd")
    assert "too short" in failure("history", "show", "abc")
    assert "no profiling run" in failure("history", "delete", "0123456789")
    assert "status: " in failure("history", "--status", "done")
    assert "nowhere.json" in failure("history", "import", "nowhere.json")
    (tmp_path / "bad.json").write_text('{"schema": "llmind.report/1", "schema": 2}')
    assert "bad.json: line 1" in failure("history", "import", "bad.json")
    (tmp_path / "deep.json").write_text("[" * 100000)
    assert "nested too deeply" in failure("history", "import", "deep.json")
    (tmp_path / "other.json").write_text('{"schema": "llmind.report/9"}')
    assert "schema" in failure("history", "import", "other.json")


def test_a_report_that_cannot_be_written(llmind, imported):
    identity = imported(REPORTS / "full.json")
    result = llmind("history", "show", identity, "-o", "no/such/folder.md")
    assert result.returncode == 1 and identity in result.stdout
    assert result.stderr.startswith("llmind history: cannot write no/such/folder.md: "), result.stderr


def hostile(report):
    steer = "\x1b[2J\x07\u202e"
    report["model"]["name"] = report["message"] = report["machine"]["cpu"] = steer + "x" * 400
    report["flags"][steer] = steer
    report["tests"][0]["id"] = report["tests"][0]["label"] = steer


def test_a_hostile_report_is_shown_harmlessly(llmind, imported, tmp_path):
    identity = imported(changed(tmp_path, "hostile.json", hostile))
    other = imported(REPORTS / "full.json")
    for arguments in (["history"], ["history", "show", identity], ["history", "diff", identity, other]):
        result = llmind(*arguments)
        assert result.returncode == 0, result.stderr
        assert not set("\x1b\x07\u202e") & set(result.stdout)


def test_a_history_that_cannot_be_read(llmind, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = llmind("history", env={"LLMIND_DATA_DIR": str(tmp_path / "file" / "data")})
    assert result.returncode == 1 and "in the way" not in result.stdout
    assert result.stderr.startswith("llmind history: ") and result.stderr.count("\n") == 1

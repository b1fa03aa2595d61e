import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from conftest import PROGRAM, ROOT
from json_schema import errors

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from lora import write_adapter  # noqa: E402

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())


NO_FIGURES = {"setting"}  # null there means that there is none, not that it is unknown


def nulls_without_a_reason(value, path="$"):
    if isinstance(value, dict):
        for name, item in value.items():
            told = value.get(f"{name}_reason") or value.get("reason")  # a sensor has one reason for all its figures
            if item is None and not told and name not in NO_FIGURES:
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
    result = llmind(
        "profile", "--quick", "--configurations", "short_response,threads", "-o", "report.json", "-o", "report.md", timeout=120
    )
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
    assert report["ceilings"]["memory_read"]["value"] > 0
    assert {"baseline", "short_response"} <= {one["id"] for one in report["configurations"]}
    assert [trace["depth"] for trace in report["traces"]] == [0, 1024]
    assert report["analysis"]["performance_summary"]["decode_tokens_per_second"] > 0
    phases = {phase["name"] for phase in report["sensors"]["phases"]}
    assert {"simple, run 1", "decode_128_at_0, run 2"} <= phases

    # the three forms show the same figures
    decode = tests["decode_128_at_0"]["summary"]["decode_tokens_per_second"]["mean"]
    shown = f"{decode:.0f} ± "
    assert shown in result.stdout and shown in (tmp_path / "report.md").read_text()
    assert "\x1b" not in result.stdout
    assert "profile: prefill 512" in result.stderr

    # and it is in the history
    assert f"profile: saved as run {report['run_id'][:8]}" in result.stderr
    rows = json.loads(llmind("history", "--json").stdout)["runs"]
    assert [(row["id"], row["status"]) for row in rows] == [(report["run_id"], "success")]


SHORT = ["--quick", "-r", "1", "--prompt", "Say hi.", "--ctx", "300", "--configurations", "none"]


def test_own_prompts_and_json(llmind, builtin):
    result = llmind(
        "profile", builtin, "--quick", "-r", "1", "--prompt", "Say hi.", "--prompt", "Ünïcode ✓", "--ctx", "300", "--json",
        "--configurations", "none"
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    check(report)
    prompts = {test["id"]: test["prompt"] for test in report["tests"] if test["kind"] == "prompt"}
    assert prompts == {"prompt_1": "Say hi.", "prompt_2": "Ünïcode ✓"}
    assert report["flags"]["context"] == 300
    assert all(test["samples"][0]["prompt_tokens"] + test["max_tokens"] <= 300 for test in report["tests"])
    assert report["tests"][0]["summary"]["tokens_per_second"]["sd"] is None  # one repeat has no spread


def test_a_step_of_guesses_is_no_token(llmind, builtin):
    """With prompt lookup no bytes of a token, bandwidth or MBU are told, nowhere in the report."""
    result = llmind("profile", builtin, *SHORT, "--prompt-lookup", "4", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    check(report)
    decode = [test for test in report["tests"] if test["kind"] != "prefill"]
    assert decode
    for test in decode:
        for name in ("weight_bytes_per_token", "kv_bytes_per_token", "flops_per_token", "achieved_gbps", "mbu"):
            assert test["roofline"][name] is None, (test["id"], name)
            assert "prompt lookup" in test["roofline"][f"{name}_reason"]
    assert report["analysis"]["performance_summary"]["mbu"] is None


def test_an_adapter_is_measured_named_and_proved(llmind, builtin, tmp_path):
    adapter = write_adapter(tmp_path / "secret-place" / "tuned")
    result = llmind("profile", builtin, *SHORT, "--adapter", adapter, "-o", "report.json")
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    check(report)
    assert report["flags"]["adapter"] == "tuned" and report["model"]["quantization"].endswith("LoRA of rank 2")
    assert "adapter tuned" in " ".join(result.stdout.split())
    stored = llmind("history", "show", report["run_id"], "--json").stdout
    assert "tuned" in stored and "secret-place" not in stored + result.stdout

    prove = ["profile", "--prove", "temperature=0.9", "--run", report["run_id"][:8], "-r", "5"]
    without = llmind(*prove)
    assert without.returncode == 1 and "with the adapter 'tuned', and now it would be measured without" in without.stderr
    proved = llmind(*prove, "--adapter", adapter, "--json")
    assert proved.returncode == 0 and json.loads(proved.stdout)["flags"]["adapter"] == "tuned", proved.stderr


def test_an_adapter_is_none_of_a_server(usage_error, tmp_path):
    assert "--adapter" in usage_error("profile", "--target", "http://127.0.0.1:1/v1", "--adapter", tmp_path)


def test_a_prompt_that_is_too_long_does_not_spoil_the_rest(llmind, builtin):
    too_long = "word " * 2000
    arguments = ["profile", builtin, "--quick", "-r", "1", "--ctx", "300", "--json", "--configurations", "none", "--prompt", too_long]
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
    result = llmind("profile", builtin, "--quick", "-r", "1", "--ctx", "64", "--configurations", "none")
    assert result.returncode == 0, result.stderr  # the short prompt fits with a shorter answer
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.startswith("  ")}
    assert int(rows["simple"][0]) + int(rows["simple"][1]) <= 64
    assert set(rows["complex"][:-2]) == {"-"}  # too long: nothing measured, nothing claimed


def test_unwritable_report(llmind, builtin):
    result = llmind("profile", *SHORT, "-o", "no/such/folder.json")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("llmind profile: cannot write no/such/folder.json: ")


def test_every_format(llmind, builtin, tmp_path):
    begins = {
        "json": b"{", "csv": b"run", "md": b"#", "txt": b"builtin", "html": b"<!", "pdf": b"%PDF-", "png": b"\x89PNG", "svg": b"<",
    }
    outputs = [argument for ending in begins for argument in ("-o", f"report.{ending}")]
    result = llmind("profile", *SHORT, *outputs, "--trace", "trace.json")
    assert result.returncode == 0, result.stderr
    for ending, begin in begins.items():
        assert (tmp_path / f"report.{ending}").read_bytes().startswith(begin), ending
    trace = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    segments = [event for event in trace if event["ph"] == "X"]
    assert len(segments) > 10 and all(event["dur"] >= 0 for event in segments)
    ends = [event["ts"] + event["dur"] for event in segments]
    assert all(later["ts"] >= end - 1e-6 for later, end in zip(segments[1:], ends) if later["pid"] == segments[0]["pid"])


def test_options_reach_the_engine(llmind, builtin):
    result = llmind("profile", *SHORT, "--threads", "1", "--kv-bits", "8", "--prefill-chunk", "64", "-n", "16", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    flags = report["flags"]
    assert (flags["threads"], flags["kv_bits"], flags["prefill_chunk"]) == (1, 8, 64)
    assert report["tests"][0]["max_tokens"] == 16


def test_no_save_leaves_nothing(llmind, builtin, tmp_path):
    result = llmind("profile", *SHORT, "--no-save")
    assert result.returncode == 0 and "saved" not in result.stderr
    assert json.loads(llmind("history", "--json").stdout)["runs"] == []


def test_without_a_data_folder_it_still_measures(llmind, builtin, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = llmind("profile", *SHORT, env={"LLMIND_DATA_DIR": str(tmp_path / "file" / "data")})
    assert result.returncode == 0, result.stderr
    assert "profile: not saved: " in result.stderr
    assert "tok/s" in result.stdout


def children(process):
    listed = pathlib.Path(f"/proc/{process.pid}/task")
    return [int(pid) for task in listed.iterdir() for pid in (task / "children").read_text().split()]


@pytest.fixture
def long_run(environment, builtin, tmp_path):
    """A run that goes on for long, and is measuring by now."""
    process = subprocess.Popen(
        [PROGRAM, "profile", "-r", "20", "--configurations", "none"],
        env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    for line in process.stderr:
        if "medium" in line:
            break
    yield process
    process.kill()
    process.wait()


def test_interrupted_it_shows_what_it_has(long_run, llmind, tmp_path):
    begin = time.monotonic()
    long_run.send_signal(signal.SIGINT)
    output, problem = long_run.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert long_run.returncode == 130
    assert problem.splitlines()[-1] == "llmind profile: interrupted; what was measured so far is shown"
    assert "simple" in output
    rows = json.loads(llmind("history", "--json").stdout)["runs"]
    assert [row["status"] for row in rows] == ["cancelled"]


def test_one_at_a_time(long_run, llmind):
    refused = llmind("profile", *SHORT)
    assert refused.returncode == 1
    assert "--wait waits for it" in refused.stderr.splitlines()[-1]


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="looks into /proc")
def test_killed_nothing_stays_behind(long_run, llmind):
    labs = children(long_run)
    assert labs
    long_run.kill()
    long_run.wait()
    until = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in labs) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in labs)
    rows = json.loads(llmind("history", "--json").stdout)["runs"]
    assert [row["status"] for row in rows] == ["interrupted"]
    assert llmind("profile", *SHORT).returncode == 0  # nobody holds the lock


def test_the_lab_is_not_for_people(usage_error, llmind):
    assert "not by hand" in usage_error("lab", "x")
    result = llmind("lab")
    assert result.returncode == 2 and "not by hand" in result.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--configurations", "warp"], "none called 'warp'"),
        (["-o", "report.docx"], "ends in one of .json"),
        (["--", "sleep", "9"], "wants --target URL"),
        (["builtin", "--target", "http://127.0.0.1:1"], "do not go together"),
        (["--target", "http://127.0.0.1:1", "--trace", "t.json"], "cannot be traced from outside"),
        (["--allow-local"], "want --target URL"),
    ],
)
def test_wrong_usage(usage_error, arguments, said):
    assert said in usage_error("profile", *arguments)


def test_a_target_that_is_not_there(failure, llmind):
    result = llmind("profile", "--quick", "--target", "http://127.0.0.1:9/v1", "--allow-local")
    assert result.returncode == 1 and result.stdout == ""
    refused = llmind("profile", "--quick", "--target", "http://127.0.0.1:9/v1")
    assert refused.returncode == 1 and "local" in refused.stderr

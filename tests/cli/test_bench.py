import csv
import io
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from lora import write_adapter  # noqa: E402

QUICK = ["-p", "16", "-n", "4", "-r", "2"]


def test_markdown(llmind, builtin):
    result = llmind("bench", builtin, *QUICK)
    assert result.returncode == 0, result.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in result.stdout.splitlines() if "|" in line]
    assert rows[0] == ["model", "size", "params", "backend", "threads", "test", "t/s"]
    assert [row[5] for row in rows[2:]] == ["pp16", "tg4"]
    for row in rows[2:]:
        mean, sd = row[6].split(" ± ")
        assert float(mean) > 0 and float(sd) >= 0
    assert "GB/s" in result.stdout.splitlines()[-1]


def test_a_path_is_named_by_its_last_part(llmind, tmp_path):
    folder = tmp_path / "some" / "where" / "tiny"
    assert llmind("synth", "tiny-llama", folder).returncode == 0
    for path in (folder, f"{folder}/", "some/where/tiny"):
        result = llmind("bench", path, "-p", "4", "-n", "0", "-r", "1")
        assert result.returncode == 0, result.stderr
        assert "| tiny 4-bit affine, group 64 |" in result.stdout
        assert "where" not in result.stdout


def test_json_has_the_samples(llmind, builtin):
    rows = json.loads(llmind("bench", builtin, *QUICK, "-o", "json").stdout)
    assert [row["test"] for row in rows] == ["pp16", "tg4"]
    for row in rows:
        assert len(row["samples_ts"]) == len(row["samples_ns"]) == 2
        assert row["avg_ts"] == pytest.approx(sum(row["samples_ts"]) / 2, rel=1e-6)
        assert row["read_gbps"] > 0 and row["read_from"] in ("cache", "memory", "mixed", "unknown")
        assert row["resident_bytes"] > row["model_size"] > 0
        assert row["load_ms"] > 0
        tokens = row["n_prompt"] or row["n_gen"]
        for rate, ns in zip(row["samples_ts"], row["samples_ns"]):
            assert rate == pytest.approx(tokens / ns * 1e9, rel=1e-6)


def test_grid(llmind, builtin):
    result = llmind(
        "bench", builtin, "-p", "8,16", "-n", "4", "-d", "0,64", "-t", "1,2", "--pg", "8,4", "-r", "1",
        "--prefill-chunk", "64", "-o", "jsonl",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    tests = ["pp8", "pp16", "tg4", "pp8+tg4", "pp8 @ d64", "pp16 @ d64", "tg4 @ d64", "pp8+tg4 @ d64"]
    assert [(row["n_threads"], row["test"]) for row in rows] == [(t, test) for t in (1, 2) for test in tests]
    assert all(row["stddev_ts"] is None for row in rows)  # one repeat has no spread


def test_batch(llmind, builtin):
    result = llmind("bench", builtin, "-p", "16", "-n", "8", "-b", "1,3", "-r", "1", "-o", "jsonl")
    assert result.returncode == 0, result.stderr
    rows = {row["test"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert set(rows) == {"pp16", "tg8", "pp16 b3", "tg8 b3"}
    row = rows["tg8 b3"]
    assert row["n_batch"] == 3 and row["avg_ts"] > 0
    # the window is measured, and holds a whole number of tokens
    tokens = row["samples_ts"][0] * row["samples_ns"][0] / 1e9
    assert tokens >= 8 and tokens == pytest.approx(round(tokens), rel=1e-6)


def test_csv(llmind, builtin):
    result = llmind("bench", builtin, *QUICK, "-o", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["test"] for row in rows] == ["pp16", "tg4"]
    assert all(float(row["avg_ts"]) > 0 and None not in row for row in rows)


def test_the_adapter_is_named(llmind, builtin, tmp_path):
    arguments = ["bench", builtin, "-p", "4", "-n", "0", "-r", "1", "--adapter", write_adapter(tmp_path / "secret-place" / "tuned")]
    (row,) = json.loads(llmind(*arguments, "-o", "json").stdout)
    assert row["adapter"] == "tuned" and row["quantization"].endswith("LoRA of rank 2")
    (row,) = csv.DictReader(io.StringIO(llmind(*arguments, "-o", "csv").stdout))
    assert row["adapter"] == "tuned" and float(row["avg_ts"]) > 0
    result = llmind(*arguments)
    assert "| builtin + tuned " in result.stdout and "secret-place" not in result.stdout
    (row,) = json.loads(llmind(*arguments[:-2], "-o", "json").stdout)
    assert row["adapter"] is None


def test_what_cannot_be_run_is_said(llmind, builtin):
    result = llmind("bench", builtin, "-p", "16", "-n", "0", "-d", "0,100", "-r", "1", "-o", "json")
    assert result.returncode == 1
    rows = json.loads(result.stdout)
    assert rows[0]["problem"] is None and rows[0]["avg_ts"] > 0
    assert "multiple of the prefill chunk" in rows[1]["problem"] and rows[1]["avg_ts"] is None
    result = llmind("bench", builtin, "-p", "0", "-n", "1000000", "-r", "1")
    assert result.returncode == 1
    assert "needs a context of 1000002 tokens" in result.stderr
    assert "failed" in result.stdout

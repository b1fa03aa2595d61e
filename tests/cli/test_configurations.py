"""What a run says of the things that can be changed. Nothing here expects a quiet machine: which of two is
faster is never asked."""

import json

from json_schema import errors
from test_profile import SCHEMA, nulls_without_a_reason


NAMES = (
    "baseline,high_temperature,low_temperature,short_response,long_response,"
    "threads=1,concurrency=2,kv_bits=8,prefix_cache,prefill_chunk=128,isa=avx2"
)
COMPARED = {
    "threads=1": "decode_tokens_per_second",
    "concurrency=2": "aggregate_decode_tokens_per_second",
    "kv_bits=8": "decode_tokens_per_second",
    "prefix_cache": "ttft_ms",
    "prefill_chunk=128": "prefill_tokens_per_second",
    "isa=avx2": "decode_tokens_per_second",
}
SEED = {
    "baseline": (0.7, 100),
    "high_temperature": (0.9, 100),
    "low_temperature": (0.3, 100),
    "short_response": (0.7, 50),
    "long_response": (0.7, 200),
}


def check_seed(items, cuts):
    asked = {name: (items[name]["temperature"], items[name]["max_tokens"]) for name in SEED if name in items}
    if not any("shortened" in cut for cut in cuts):
        assert asked == {name: SEED[name] for name in asked}
    for name in asked:
        item = items[name]
        assert item["compared"] == "decode_tokens_per_second"
        assert item["total_time_s"]["median"] > 0 and item["tokens_per_second"]["median"] > 0
        for sample in item["samples"]:  # exact lengths, whatever the sampler drew
            assert sample["generated_tokens"] == item["max_tokens"]
            assert sample["cached_tokens"] == 0


def check_knobs(items):
    for name, compared in COMPARED.items():
        if name not in items:
            continue
        assert items[name]["compared"] == compared and items[name]["compared_baseline"]["n"] == 2
        if "=" in name:
            knob, value = name.split("=")
            assert str(items[name]["knobs"][knob]) == value
    for sample in items.get("prefix_cache", {"samples": []})["samples"]:
        assert sample["cached_tokens"] > 0 and sample["baseline_cached_tokens"] == 0


def test_each_in_turn_with_the_baseline(llmind, builtin):
    # one block of A B B A: two pairs each, which is too few for a verdict
    arguments = ["--quick", "-r", 1, "-n", 8, "--prompt", "Why?", "--no-save", "--json"]
    result = llmind("profile", builtin, *arguments, "--configurations", NAMES, timeout=180)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert errors(SCHEMA, report) == []
    assert list(nulls_without_a_reason(report["configurations"])) == []
    cuts = report["protocol"]["cuts"]
    items = {item["id"]: item for item in report["configurations"]}
    assert list(items)[0] == "baseline"
    for name in NAMES.split(","):  # measured, or it is said that it was not: a slow day, one core, no AVX2
        assert name in items or any(name in cut for cut in cuts), name
    for name, item in items.items():
        assert item["outcome"] == "ok", item
        assert item["pairs"] == (0 if name == "baseline" else 2)
        assert item["indicative"] and item["verdict"] == "unknown" and not item["significant"] and not item["best"]
    check_seed(items, cuts)
    check_knobs(items)


def test_a_name_that_is_none(usage_error):
    for name in ["thread", "threads=0", "kv_bits=7", "huge_pages", ""]:
        assert "--configurations" in usage_error("profile", "builtin", "--configurations", name)

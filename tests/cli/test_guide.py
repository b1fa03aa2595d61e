"""The guide: readable text, the same as JSON, a search that ends in an answer or in a list of topics."""

import json

import pytest


def test_text_has_all_its_parts(llmind):
    result = llmind("guide")
    assert result.returncode == 0, result.stderr
    text = result.stdout
    for part in (
        "This machine: ",
        "Techniques: memory",
        "Techniques: hardware",
        "LLMind flags: computation",
        "MLX and mlx-lm: quantization",
        "Models that fit this machine",
    ):
        assert part in text
    assert "\x1b" not in text, "no colours into a pipe"
    assert max(len(line) for line in text.splitlines() if "mlx-community/" not in line) <= 120


def test_models_are_estimated_from_a_measured_bandwidth(llmind):
    guide = json.loads(llmind("guide", "--json").stdout)
    models = guide["model_recommendations"]
    assert models and guide["system_info"]["read_gbps"] > 0
    for model in models:
        speed = model["decode_tokens_per_second"]
        assert 0 < speed["low"] <= speed["mid"] <= speed["high"]
        assert model["bytes"] <= guide["system_info"]["memory_bytes"]


def test_flags_of_llmind_are_those_of_its_help(llmind):
    guide = json.loads(llmind("guide", "llmind", "--json").stdout)
    whole = json.loads(llmind("guide", "--json").stdout)
    assert set(guide) <= set(whole) | {"model_recommendations_reason"}
    pages = "".join(llmind(command, "--help").stdout for command in ("serve", "profile"))
    names = [flag["name"].split()[0] for flags in whole["llmind_flags"].values() for flag in flags]
    assert len(names) >= 10
    for name in names:
        assert name in pages, f"the guide names {name}, which no help page knows"


def test_topics(llmind):
    text = llmind("guide", "draft").stdout
    assert "--num-draft-tokens" in text and "--max-kv-size" not in text
    text = llmind("guide", "M4 Max").stdout
    assert "410 or 546 GB/s rated" in text
    result = llmind("guide", "zeppelin")
    assert result.returncode == 1
    assert "zeppelin" in result.stderr and "memory, computation, model, hardware" in result.stderr


@pytest.mark.parametrize("arguments", [("a", "b"), ("--nothing",)])
def test_usage(usage_error, arguments):
    assert "guide" in usage_error("guide", *arguments)

"""llmind estimate and llmind system: what a user sees, and what a script reads."""

import json
import pathlib
import sys

import pytest


sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
import calibration  # noqa: E402

LLAMA = {
    "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "intermediate_size": 8192,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 128256,
    "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
    "quantization": {"bits": 4, "group_size": 64},
}  # fmt: skip


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def calibrated(llmind, cache):
    """The environment of a machine with a calibration of round numbers."""
    env = {"LLMIND_CACHE_DIR": str(cache)}
    system = json.loads(llmind("system", "--json", env=env).stdout)
    assert system["calibration"] is None and "--calibrate" in system["calibration_reason"]
    calibration.keep(cache, system["calibration_key"], system["machine"]["usable_threads"])
    return env


def estimate(llmind, *arguments, env=None):
    result = llmind("estimate", *arguments, "--json", env=env)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_of_a_config_json_alone(llmind, calibrated, tmp_path):
    config = tmp_path / "some-model.json"
    config.write_text(json.dumps(LLAMA))
    answer = estimate(llmind, config, "--no-probe", "--ctx", 4096, "--concurrency", 2, env=calibrated)
    assert answer["supported"] and answer["from"] == "configuration" and answer["quantization"] == "4-bit affine, group 64"
    memory = answer["memory"]
    assert memory["total_bytes"] == sum(part["bytes"] for part in memory["parts"])
    assert memory["kv_bytes"] == 2 * 4096 * memory["kv_bytes_per_token"]
    assert answer["limits"]["max_concurrency"] >= 2 and answer["limits"]["max_context"] >= 4096
    for name in ("decode_tokens_per_second", "prefill_tokens_per_second", "decode_tokens_per_second_all"):
        interval = answer["speed"][name]
        assert 0 < interval["low"] < interval["mid"] < interval["high"], name
    assert answer["speed"]["decode_tokens_per_second_all"]["mid"] == pytest.approx(2 * answer["speed"]["decode_tokens_per_second"]["mid"], rel=1e-6)
    assert [o["bits"] for o in answer["what_if"]["bits"]] == [4, 2, 3, 5, 6, 8, 16]


def test_what_if_can_be_computed_from_its_coefficients(llmind, calibrated, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    table = estimate(llmind, tmp_path, "--no-probe", env=calibrated)["what_if"]
    c = table["coefficients"]
    s, k = c["sequences"].index(1), c["kv_bits"].index(table["kv_bits"])
    for option in table["bits"]:
        step = option["weights_ms"][s] + table["context"] / 1000 * c["attention_ms_per_1k"][k] + c["fixed_ms"][s]
        assert option["step_ms"] == pytest.approx(step, rel=1e-4)
        assert option["decode_tokens_per_second"] == pytest.approx(1000 / step, rel=1e-4)


def test_of_an_installed_model_and_as_text(llmind, builtin, calibrated):
    answer = estimate(llmind, builtin, env=calibrated)
    assert answer["from"] == "weights" and answer["memory"]["fit"] == "fits"
    assert answer["machine"]["pace"]["read"] and answer["machine"]["pace_age_s"] < 60
    text = llmind("estimate", builtin, "--no-probe", env=calibrated).stdout
    for word in ("supported", "weights", "kv_cache", "scratch", "program", "decoding", "prefill", "longest context", "this model"):
        assert word in text, word


def test_without_a_calibration_it_says_so(llmind, builtin, cache):
    env = {"LLMIND_CACHE_DIR": str(cache)}
    answer = estimate(llmind, builtin, env=env)
    assert not answer["speed"]["calibrated"] and "llmind system --calibrate" in answer["speed"]["note"]
    assert answer["speed"]["prefill_tokens_per_second"] is None and answer["speed"]["prefill_tokens_per_second_reason"]
    assert answer["speed"]["decode_tokens_per_second"]["low"] > 0
    assert "the interval is wide" in llmind("estimate", builtin, env=env).stdout


def test_a_calibration_of_other_threads_is_not_used(llmind, builtin, calibrated):
    threads = json.loads(llmind("system", "--json", env=calibrated).stdout)["machine"]["usable_threads"]
    answer = estimate(llmind, builtin, "--threads", threads + 1, "--no-probe", env=calibrated)
    assert not answer["speed"]["calibrated"] and "another" in answer["speed"]["note"]


@pytest.mark.parametrize("text", ["", "{", '{"entries": [{"key": 3}]}', '{"entries": [{"key": "KEY", "at": 1, "calibration": {"products": "all"}}]}'])
def test_a_broken_calibration_is_none(llmind, builtin, calibrated, cache, text):
    key = json.loads(llmind("system", "--json", env=calibrated).stdout)["calibration_key"]
    (cache / "calibration.json").write_text(text.replace("KEY", key))
    assert not estimate(llmind, builtin, "--no-probe", env=calibrated)["speed"]["calibrated"]


def test_unsupported_architectures_are_an_answer(llmind, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"model_type": "deepseek_v3"}))
    answer = estimate(llmind, tmp_path)
    assert answer["supported"] is False and "latent cache" in answer["needs"] and answer["memory"] is None
    text = llmind("estimate", tmp_path).stdout
    assert "not supported" in text and "needs" in text
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | {"quantization_config": {"quant_method": "awq"}, "quantization": None}))
    assert "mlx_lm.convert" in estimate(llmind, tmp_path)["supported_reason"]


@pytest.mark.parametrize(
    "change, words",
    [({"hidden_size": -5}, "hidden_size"), ({"vocab_size": 1e30}, "vocab_size"), ({"num_hidden_layers": None}, "num_hidden_layers")],
)
def test_lies_are_refused(llmind, tmp_path, change, words):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA | change))
    result = llmind("estimate", tmp_path)
    assert result.returncode == 1 and words in result.stderr and len(result.stderr.splitlines()) == 1


def test_usage(llmind, usage_error, tmp_path, builtin):
    usage_error("estimate")
    usage_error("estimate", "builtin", "--concurrency", "0")
    usage_error("system", "--thorough")
    assert llmind("estimate", tmp_path / "nothing").returncode == 1
    assert "context" in llmind("estimate", builtin, "--ctx", 1 << 22).stderr


def test_system(llmind, calibrated):
    system = json.loads(llmind("system", "--json", env=calibrated).stdout)
    assert system["machine"]["usable_threads"] >= 1 and system["ceilings"]["memory_read"]["unit"] == "GB/s"
    assert system["calibration"]["products"] and set(system["machine"]["sensors"]) >= {"cpu_busy", "cpu_steal"}
    text = llmind("system", env=calibrated).stdout
    for word in ("memory", "Sensors", "Measured ceilings", "Calibration", "of read bandwidth"):
        assert word in text, word


def test_the_guide_uses_the_same_mechanism(llmind, calibrated):
    models = json.loads(llmind("guide", "--json", env=calibrated).stdout)["model_recommendations"]
    speeds = [m["decode_tokens_per_second"] for m in models if m["decode_tokens_per_second"]]
    assert speeds and all(s["low"] < s["mid"] < s["high"] for s in speeds)


def test_a_report_has_predictions(llmind, builtin, calibrated):
    result = llmind("profile", builtin, "--quick", "--configurations", "none", "--no-save", "--json", env=calibrated)
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    predicted = report["predicted"]
    for figure in ("decode_tokens_per_second", "prefill_tokens_per_second", "memory_bytes"):
        item = predicted[figure]
        assert item["predicted"] > 0 and item["measured"] > 0
        assert item["error_pct"] == pytest.approx(100 * (item["predicted"] / item["measured"] - 1), abs=0.01)
    assert abs(predicted["memory_bytes"]["error_pct"]) < 15  # memory is arithmetic, speed here is not this machine's
    table = report["analysis"]["what_if"]
    assert table["source"] in ("two_term", "measured")
    measured = next(t for t in report["tests"] if t["kind"] == "decode" and t["depth"] == 0)
    if table["source"] == "measured":
        (own,) = [o for o in table["bits"] if o["current"]]
        assert own["step_ms"] == pytest.approx(measured["summary"]["tpot_ms"]["median"], rel=0.02)



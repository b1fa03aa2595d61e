"""Quality figures are finite, or there is an error with a reason."""

import json
import math
import struct

import pytest


@pytest.fixture
def model(llmind, tmp_path):
    folder = tmp_path / "tiny"
    assert llmind("synth", "tiny-llama", folder).returncode == 0
    (tmp_path / "tokens.json").write_text("[1, 2, 3, 4, 5, 6, 7, 8]")
    return folder


def spoil(folder):
    """Fills the last norm of a checkpoint with NaN."""
    [path] = folder.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    tensor = json.loads(data[8 : 8 + length])["model.norm.weight"]
    begin, end = (8 + length + offset for offset in tensor["data_offsets"])
    nan = {"BF16": b"\xc0\x7f", "F16": b"\x00\x7e", "F32": b"\x00\x00\xc0\x7f"}[tensor["dtype"]]
    data[begin:end] = nan * ((end - begin) // len(nan))
    path.write_bytes(data)


def test_text_and_json_agree(llmind, model):
    shown = llmind("eval", model, "--tokens", "tokens.json")
    assert shown.returncode == 0, shown.stderr
    result = json.loads(llmind("eval", model, "--tokens", "tokens.json", "--json").stdout)
    assert result["scored"] == 7
    assert result["perplexity"] == pytest.approx(math.exp(result["nll_nats"]), rel=1e-6)
    assert f"perplexity {result['perplexity']:.4f}" in shown.stdout


def test_penalties_of_the_model_are_not_applied_and_cannot_spoil(llmind, model):
    before = json.loads(llmind("eval", model, "--tokens", "tokens.json", "--json").stdout)
    (model / "generation_config.json").write_text('{"repetition_penalty": 2.0, "temperature": 0.3}')
    after = json.loads(llmind("eval", model, "--tokens", "tokens.json", "--json").stdout)
    assert after["nll_nats"] == before["nll_nats"]


@pytest.mark.parametrize("options", [[], ["--json"], ["--logits", "out.npy"]])
def test_logits_that_are_not_finite_are_an_error(failure, model, tmp_path, options):
    spoil(model)
    line = failure("eval", model, "--tokens", "tokens.json", *options)
    assert line.startswith("llmind eval: the model's logits after token 0 are not finite numbers")
    assert not (tmp_path / "out.npy").exists()

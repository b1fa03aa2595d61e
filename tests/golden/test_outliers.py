"""What 8-bit activations cost on models with the outliers of trained ones (`synth --outliers`): the KL divergence of the
default path from --precise, per position, in nats.

The bound. Measured over 128 positions, 4-bit, AVX-512: llama-3.2-1b mean 0.0017, largest 0.0038; qwen3-0.6b mean
0.0018, largest 0.0051; shortened and tiny shapes mean 0.0008 to 0.0035, largest 0.017. A mean of 0.01 leaves room for other seeds and formats
and is still small against what 4-bit weights themselves cost a trained model (a few hundredths of a nat, as published for
4-bit formats of 1 to 8 B models): the default path must not be what one notices. A path without groups, with one scale
per row of activations, cannot hold it: a channel 40 times the others leaves them 3 of 127 steps."""

import json
import subprocess

import numpy as np
import pytest

from test_synth import synth, tokens_of

KL_MEAN, KL_MAX = 0.01, 0.05

# Experts are a discrete choice: where two are nearly equal the two paths choose differently now and then, and random
# experts have nothing in common. Measured: mean 0.023, one position of 128 at 0.67.
KL_MEAN_EXPERTS, KL_MAX_EXPERTS = 0.05, 2.0


def divergence(program, folder, scratch):
    tokens = scratch / "tokens.npy"
    np.save(tokens, tokens_of(folder))
    precise = scratch / "precise.npy"
    base = [str(program), "eval", str(folder), "--tokens", str(tokens), "--json"]
    for more in (["--precise", "--logits", str(precise)], ["--compare", str(precise)]):
        done = subprocess.run(base + more, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["compare"]


CASES = [
    ("tiny-llama", ()),
    ("tiny-mistral", ()),
    ("tiny-qwen2", ()),
    ("tiny-qwen3", ()),
    ("tiny-qwen3-moe", ()),
    ("tiny-llama", ("--mode", "mxfp4")),
    ("tiny-llama", ("--bits", "8", "--group-size", "128")),
    ("qwen3-0.6b", ("--layers", "8")),
    ("llama-3.2-1b", ("--layers", "4")),
]


@pytest.mark.parametrize("shape,options", CASES, ids=[" ".join((shape, *options)) for shape, options in CASES])
def test_divergence(program, tmp_path, shape, options):
    folder = synth(program, tmp_path / "model", shape, "--outliers", *options)
    compare = divergence(program, folder, tmp_path)
    print(shape, options, compare)
    experts = "moe" in shape
    assert 0 < compare["kl_mean_nats"] <= (KL_MEAN_EXPERTS if experts else KL_MEAN)
    assert compare["kl_max_nats"] <= (KL_MAX_EXPERTS if experts else KL_MAX)
    assert compare["top1_agreement"] >= 0.9


def test_outliers_are_there(program, tmp_path):
    """The control: without planting, no channel of the embedding table is far from the others."""
    import mlx.core as mx

    def loudest(*options):
        folder = synth(program, tmp_path / ("model" + "".join(options)), "tiny-llama", "--bits", "16", *options)
        table = mx.load(str(folder / "model.safetensors"))["model.embed_tokens.weight"].astype(mx.float32)
        columns = np.abs(np.array(table)).mean(0)
        return columns.max() / np.median(columns)

    assert loudest() < 2
    assert 100 <= loudest("--outliers") <= 2000

"""Truth: llmind's logits against mlx's, for every way a checkpoint can code its numbers and every family.

Bars (issue A): --precise within 1e-3 of the float32 reference and 2e-2 of the bf16 one; the default path has a cosine
of at least 0.999 with the reference and the same top-1 at 99 % of the positions where the reference is sure."""

import json
import subprocess
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import utils
from mlx_lm.models.cache import make_prompt_cache

import checkpoints
from checkpoints import cosine, llmind_logits, make, relative_error, top1

AFFINE = [(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)]
MODES = ("mxfp4", "mxfp8", "nvfp4")
CHUNKS = ("512", "7", "1")


def check(program, folder, reference, scratch):
    tokens = reference["tokens"]
    assert len(tokens) >= 64
    precise = [llmind_logits(program, folder, tokens, scratch, "--precise", "--prefill-chunk", c) for c in CHUNKS]
    default = [llmind_logits(program, folder, tokens, scratch, "--prefill-chunk", c) for c in CHUNKS]
    for logits in precise:
        assert relative_error(logits, reference["f32"]) <= 1e-3
        assert relative_error(logits, reference["bf16"]) <= 2e-2
    for logits in default:
        same, left_out = top1(logits, reference)
        assert cosine(logits, reference["f32"]) >= 0.999
        assert same >= 0.99
        assert left_out <= 0.30
    # however a prompt is cut, the numbers are the same ones
    assert all(np.array_equal(precise[0], other) for other in precise[1:])
    assert all(np.array_equal(default[0], other) for other in default[1:])


@pytest.mark.parametrize("bits,group_size", AFFINE)
def test_affine(program, tmp_path, bits, group_size):
    reference = make(tmp_path / "model", "llama", bits=bits, group_size=group_size)
    check(program, tmp_path / "model", reference, tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_mode(program, tmp_path, mode):
    reference = make(tmp_path / "model", "llama", mode=mode)
    check(program, tmp_path / "model", reference, tmp_path)


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16, mx.float32], ids=["bf16", "f16", "f32"])
@pytest.mark.parametrize("family", ["llama", "llama-untied"])
def test_dense(program, tmp_path, family, dtype):
    reference = make(tmp_path / "model", family, dtype=dtype)
    check(program, tmp_path / "model", reference, tmp_path)


@pytest.mark.parametrize("dtype", [mx.float16, mx.float32], ids=["f16", "f32"])
def test_affine_scales_of_other_types(program, tmp_path, dtype):
    reference = make(tmp_path / "model", "llama", bits=4, group_size=64, dtype=dtype)
    check(program, tmp_path / "model", reference, tmp_path)


@pytest.mark.parametrize("quantization", [{"bits": 4, "group_size": 64}, {"mode": "mxfp4"}], ids=["4-bit", "mxfp4"])
@pytest.mark.parametrize("family", [name for name in checkpoints.FAMILIES if name != "llama"])
def test_family(program, tmp_path, family, quantization):
    reference = make(tmp_path / "model", family, **quantization)
    check(program, tmp_path / "model", reference, tmp_path)


@pytest.mark.parametrize("family", ["qwen3_moe", "mixtral", "gpt_oss", "gemma3", "phi3"])
def test_family_dense(program, tmp_path, family):
    """Experts, fused matrices and prefixes of plain numbers."""
    reference = make(tmp_path / "model", family)
    check(program, tmp_path / "model", reference, tmp_path)


def test_every_family_is_here_and_documented(program, tmp_path):
    """What the program says it supports has a model above, and a measured line in docs/models.md (scripts/models_doc)."""
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    told = subprocess.run([str(program), "show", str(tmp_path)], capture_output=True, text=True).stderr
    names = told.partition("supported are: ")[2].strip().split(", ")
    assert len(names) >= 17, told
    tested = {family["model_type"] for family in checkpoints.FAMILIES.values()}
    documented = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    assert tested == set(names)
    assert [name for name in names if f"| `{name}` |" not in documented] == []


def test_overrides_per_layer(program, tmp_path):
    """Layers with bits, groups and modes of their own, and layers left dense."""

    def predicate(path, module):
        if path.endswith("v_proj"):
            return {"bits": 8, "group_size": 32}
        if path.endswith("down_proj"):
            return {"bits": 4, "group_size": 32, "mode": "mxfp4"}
        return not (path.endswith("layers.1.self_attn.o_proj") or path.endswith("layers.0.mlp.up_proj"))

    reference = make(tmp_path / "model", "llama-untied", bits=4, group_size=64, predicate=predicate)
    check(program, tmp_path / "model", reference, tmp_path)


def test_false_in_the_configuration(program, tmp_path):
    """"false" for a path names a layer left dense, as mixed-precision recipes write it."""
    dense = "model.layers.1.self_attn.o_proj"
    reference = make(tmp_path / "model", "llama", bits=4, group_size=64, predicate=lambda path, module: path != dense)
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["quantization"][dense] = False
    config["quantization_config"][dense] = False
    path.write_text(json.dumps(config))
    check(program, tmp_path / "model", reference, tmp_path)


def test_shards(program, tmp_path, monkeypatch):
    """The same model in several files with an index."""

    def cut(weights, max_file_size_gb=None):
        items = sorted(weights.items())
        third = len(items) // 3
        return [dict(items[:third]), dict(items[third : 2 * third]), dict(items[2 * third :])]

    monkeypatch.setattr(checkpoints.utils, "make_shards", cut)
    reference = make(tmp_path / "model", "qwen3", bits=4, group_size=64)
    assert len(list((tmp_path / "model").glob("model-0000*-of-00003.safetensors"))) == 3
    check(program, tmp_path / "model", reference, tmp_path)


def step_by_step(folder, tokens):
    """mlx's float32 logits with one call per token and its cache, as text is generated."""
    model, _ = utils.load_model(folder)
    model.set_dtype(mx.float32)
    cache = make_prompt_cache(model)
    logits = []
    for token in tokens.tolist():
        logits.append(model(mx.array([[token]]), cache=cache)[0, 0])
        mx.eval(logits[-1])
    return np.array(mx.stack(logits))


def test_dynamic_rope_beyond_the_original_context(program, tmp_path):
    """Beyond the original context the base follows the length so far. mlx takes it from the end of a call, so that its
    logits depend on how a prompt is cut; llmind takes it from each token's own position (src/plan/plan.h), and they do
    not. The two agree where every call has one token: there the end of the call is the token's position + 1. Keys stay in
    the cache as their own step rotated them, in both."""
    reference = make(tmp_path / "model", "dynamic-rope", bits=4, group_size=64, max_position_embeddings=48)
    unscaled = make(tmp_path / "unscaled", "dynamic-rope", bits=4, group_size=64)
    tokens = reference["tokens"][:96]  # 48 positions times the factor
    truth = step_by_step(tmp_path / "model", tokens)
    for chunk in CHUNKS:
        logits = llmind_logits(program, tmp_path / "model", tokens, tmp_path, "--precise", "--prefill-chunk", chunk)
        assert relative_error(logits[:48], unscaled["f32"][:48]) <= 1e-3  # nothing depends on what follows
        assert relative_error(logits[48:], truth[48:]) <= 1e-3
        logits = llmind_logits(program, tmp_path / "model", tokens, tmp_path, "--prefill-chunk", chunk)
        assert cosine(logits[48:], truth[48:]) >= 0.999
    # the bar can tell: neither no scaling nor one base for the whole call passes it
    for other in (unscaled["f32"][48:96], reference["f32"][48:96]):
        assert relative_error(other, truth[48:]) > 1e-2

"""The mlx backend: MLX's kernels behind our plan give the logits that mlx-lm's own model gives.

Bars (issue A's, of the same checkpoints as test_logits.py): --precise within 1e-3 of the float32 reference. As it runs,
in the checkpoint's own type, the reference is mlx-lm as it runs: its quantized products add up in that type, which says
more about them than about the plan (checkpoints.py), and both sides have them."""

import os
import subprocess
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import generate, load, utils

import checkpoints
from checkpoints import cosine, llmind_logits, make, relative_error

ROOT = Path(__file__).resolve().parents[2]
MLX = ("--backend", "mlx", "--isa", "cpu")
FEW = 64  # positions: MLX's quantized products of 16-bit numbers take their time on a processor


@pytest.fixture(scope="module", autouse=True)
def built(program):
    if not list(program.parent.glob("libllmind_mlx.*")):
        pytest.skip("this build has no mlx backend")


def as_it_runs(folder, tokens):
    """mlx-lm's logits in the checkpoint's own type."""
    model, config = utils.load_model(folder)
    checkpoints.use_window(model, config)
    return np.array(model(mx.array(tokens)[None])[0].astype(mx.float32))


def check(program, folder, reference, scratch):
    tokens = reference["tokens"]
    precise = llmind_logits(program, folder, tokens, scratch, *MLX, "--precise", "--prefill-chunk", "37")
    assert relative_error(precise, reference["f32"]) <= 1e-3
    tokens = tokens[:FEW]
    default = llmind_logits(program, folder, tokens, scratch, *MLX)
    assert cosine(default, as_it_runs(folder, tokens)) >= 0.999


# one of each model_type; test_logits.py has the others, whose plans differ in numbers
FAMILIES = {family["model_type"]: name for name, family in reversed(checkpoints.FAMILIES.items())}


@pytest.mark.parametrize("family", FAMILIES.values())
def test_family(program, tmp_path, family):
    check(program, tmp_path / "model", make(tmp_path / "model", family, bits=4, group_size=64), tmp_path)


@pytest.mark.parametrize("family", ["llama3-rope", "yarn-rope"])
def test_rotation(program, tmp_path, family):
    check(program, tmp_path / "model", make(tmp_path / "model", family), tmp_path)


@pytest.mark.parametrize("quantization", [{"bits": 3, "group_size": 32}, {"bits": 8, "group_size": 128}, {"mode": "mxfp4"},
                                          {"mode": "mxfp8"}, {"mode": "nvfp4"}],
                         ids=["3-bit", "8-bit", "mxfp4", "mxfp8", "nvfp4"])  # fmt: skip
def test_formats(program, tmp_path, quantization):
    check(program, tmp_path / "model", make(tmp_path / "model", "llama", **quantization), tmp_path)


@pytest.mark.parametrize("quantization", [{"mode": "mxfp4"}, {"mode": "nvfp4"}, {}], ids=["mxfp4", "nvfp4", "dense"])
def test_experts(program, tmp_path, quantization):
    check(program, tmp_path / "model", make(tmp_path / "model", "qwen3_moe", **quantization), tmp_path)


def test_greedy_text_is_that_of_mlx_lm(program):
    """The built-in model, which has learned to say something."""
    folder = ROOT / "models" / "builtin"
    model, tokenizer = load(str(folder))
    for question in ("What is MBU?", "Count from 3 to 9."):
        prompt = tokenizer.apply_chat_template([{"role": "user", "content": question}], add_generation_prompt=True, tokenize=False)
        theirs = generate(model, tokenizer, tokenizer.encode(prompt, add_special_tokens=False), max_tokens=12)
        command = [program, "generate", folder, "-p", question, "-n", "12", "--temp", "0", *MLX]
        ours = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
        assert ours.returncode == 0, ours.stderr
        assert ours.stdout.strip() == theirs.strip()


def test_what_it_cannot_do_is_said(program):
    def told(*options):
        command = [str(program), "generate", "builtin", "-p", "x", "-n", "1", "--backend", "mlx", *options]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LLMIND_BUILTIN": str(ROOT / "models/builtin")})
        assert done.returncode not in (0, -11), done.stdout
        return done.stderr

    assert "16 or 32" in told("--kv-bits", "8")
    assert "cpu and gpu" in told("--isa", "avx2")
    assert "prompt lookup" in told("--prompt-lookup", "4")

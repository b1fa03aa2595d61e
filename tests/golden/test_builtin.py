"""The built-in model, greedy and in f32: llmind writes what mlx-lm writes, token for token."""

import json
import os
import subprocess
import sys

import mlx.core as mx
import pytest
from mlx_lm import load
from mlx_lm.models.cache import make_prompt_cache

from conftest import ROOT

mx.set_default_device(mx.cpu)

N_TOKENS = 120
PROMPTS = [
    "What is prefill?",
    "Memory bandwidth is",
    "Explain why decoding a large language model is slow on a laptop.",
    "The KV cache",
    "How many threads should I use, and why does it matter?",
]


@pytest.fixture(scope="module")
def reference():
    folder = ROOT / "models" / "builtin"
    if not (folder / "model.safetensors").exists():
        pytest.fail(f"{folder} holds no model")
    model, tokenizer = load(str(folder))
    model.set_dtype(mx.float32)
    return model, tokenizer


def greedy(model, ids, n):
    cache = make_prompt_cache(model)
    logits, out = model(mx.array([ids]), cache=cache)[0, -1], []
    for _ in range(n):
        out.append(mx.argmax(logits).item())
        logits = model(mx.array([[out[-1]]]), cache=cache)[0, -1]
    return out


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text(program, reference, prompt):
    model, tokenizer = reference
    ids = tokenizer.encode(prompt)
    expected = tokenizer.decode(greedy(model, ids, N_TOKENS), skip_special_tokens=True)
    command = [program, "generate", "builtin", "--raw", "-p", prompt, "-n", str(N_TOKENS), "--temp", "0"]
    command += ["--precise", "--ignore-eos", "--json"]
    environment = {**os.environ, "LLMIND_BUILTIN": str(ROOT / "models" / "builtin")}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["usage"]["completion_tokens"] == N_TOKENS >= 100
    assert answer["text"] == expected


def test_the_script_for_real_models(program, tmp_path):
    """scripts/try-real-models on the models that can be had here: one that is right, one that is not there."""
    out = tmp_path / "report.json"
    done = subprocess.run([sys.executable, ROOT / "scripts" / "try-real-models", "--output", out, ROOT / "models" / "builtin",
                           "nobody/never-published"], capture_output=True, text=True,
                          env=os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9"})  # fmt: skip
    assert done.returncode == 1, done.stderr
    report = json.loads(out.read_text())
    right, missing = report["models"]
    assert right["passed"] and right["logits"]["precise"]["relative_error"] <= 1e-3 and right["speed"][0]["samples_ts"], right
    assert not missing["passed"] and missing["error"]
    assert report["mlx_lm"] and report["machine"]


def test_the_recipe_is_alive(program):
    """Corpus, tokenizer, conversion by `llmind convert`, and where PyTorch is installed training, all at toy size."""
    done = subprocess.run([sys.executable, "-m", "train.make", "smoke"], capture_output=True, text=True, cwd=ROOT / "models" / "builtin")
    assert done.returncode == 0, done.stderr
    for part in ("corpus and tokenizer", "4-bit conversion, loaded by mlx-lm"):
        assert f"done: {part}" in done.stdout, done.stdout

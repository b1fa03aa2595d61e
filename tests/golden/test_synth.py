"""`llmind synth` writes checkpoints that other programs read too: mlx-lm loads them and computes the same logits,
`tokenizers` encodes and decodes any text with them, and what they compute is finite and has a spread."""

import subprocess

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.utils import load_model
from tokenizers import Tokenizer

from checkpoints import llmind_logits, relative_error, use_window

mx.set_default_device(mx.cpu)

TINY = ["tiny-llama", "tiny-mistral", "tiny-qwen2", "tiny-qwen3", "tiny-qwen3-moe"]
TEXTS = [
    "Hello, world! It's 12345 o'clock.",
    "  leading, trailing and\tother   blanks \n\n\n",
    "naïve café — 日本語 🙂 \u200d ﷽ \x00\x7f",
    "bako ri bakori BAKORI",
]


def synth(program, folder, shape, *options):
    command = [str(program), "synth", shape, *options, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


def tokens_of(folder, n=128):
    """Made-up words behind the family's first special token."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    first_special = min(tokenizer.get_added_tokens_decoder())
    words = np.random.default_rng(1).integers(256, first_special, n - 1)
    return np.concatenate([[first_special], words]).astype(np.int32)


def mlx_logits(folder, tokens):
    model, config = load_model(folder)
    use_window(model, config)
    model.set_dtype(mx.float32)
    logits = model(mx.array(tokens)[None])[0]
    mx.eval(logits)
    return np.array(logits)


@pytest.mark.parametrize("options", [(), ("--outliers",), ("--mode", "nvfp4"), ("--bits", "3", "--outliers")],
                         ids=["plain", "outliers", "nvfp4", "3-bit-outliers"])
@pytest.mark.parametrize("shape", TINY)
def test_mlx_computes_the_same(program, tmp_path, shape, options):
    folder = synth(program, tmp_path / "model", shape, *options)
    tokens = tokens_of(folder)
    reference = mlx_logits(folder, tokens)
    assert np.isfinite(reference).all()
    assert 1 < reference.std() < 10
    assert relative_error(llmind_logits(program, folder, tokens, tmp_path, "--precise"), reference) <= 1e-3


def test_greedy_text_is_not_one_word(program, tmp_path):
    """A random model that only repeats its input, or one word, would benchmark nothing like a real one."""
    folder = synth(program, tmp_path / "model", "tiny-llama")
    tokens = tokens_of(folder)
    logits = llmind_logits(program, folder, tokens, tmp_path)
    best = logits.argmax(1)
    assert (best == tokens).mean() < 0.1
    assert len(set(best)) > len(best) / 4


@pytest.mark.parametrize("shape", TINY + ["llama-3.2-1b", "qwen3-0.6b"])
def test_tokenizer_round_trip(program, tmp_path, shape):
    folder = synth(program, tmp_path / "model", shape, "--layers", "1", "--bits", "2")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    assert all(tokenizer.id_to_token(i) is not None for i in range(size))
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids) == text
    specials = tokenizer.get_added_tokens_decoder()
    text = tokenizer.decode([i for i in range(256, min(size, 20000)) if i not in specials])
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == text
    assert len(ids) < len(text) / 3  # words are merged, not spelled

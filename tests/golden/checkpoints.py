"""Tiny checkpoints made by mlx-lm itself, and what mlx computes from them.

A checkpoint is written by mlx_lm's own save_model and save_config from a model of mlx_lm's own classes with random
weights. The references are two runs of that model on the CPU:

f32    activations in float32, weights exactly those of the file (their scales are only widened)
bf16   activations in bfloat16; its distance to f32 says how much precision bfloat16 itself is worth

The bf16 run multiplies with weights unpacked to bfloat16. mlx's own quantized kernels for the CPU add up in bfloat16 (two
to five percent away from float32 in a single product of 256 to 2048 columns, against half a percent for the unpacked one)
and would say more about themselves than about the format.
"""

import json
import subprocess
from pathlib import Path
from unittest.mock import patch

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm import utils
from mlx_lm.models import gemma2
from mlx_lm.models.base import create_attention_mask
from mlx_lm.models.switch_layers import SwitchLinear

mx.set_default_device(mx.cpu)

N_POSITIONS = 256  # enough that "99 % of positions" is not decided by one of them
VOCAB = 512

BASE = {
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "rms_norm_eps": 1e-5,
    "vocab_size": VOCAB,
    "max_position_embeddings": 2048,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
}

FAMILIES = {
    "llama": {"model_type": "llama"},
    "llama-untied": {"model_type": "llama", "tie_word_embeddings": False},
    "llama-biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama3-rope": {
        "model_type": "llama",
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    },
    "linear-rope": {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 4.0}},
    "yarn-rope": {
        "model_type": "llama",
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
    },
    "dynamic-rope": {
        "model_type": "llama",
        "max_position_embeddings": 2048,
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
    },
    "mistral": {"model_type": "mistral", "sliding_window": 24, "tie_word_embeddings": False},
    "qwen2": {"model_type": "qwen2", "rope_theta": 1000000.0},
    "qwen3": {"model_type": "qwen3", "head_dim": 128, "rms_norm_eps": 1e-6},
    "qwen3_moe": {
        "model_type": "qwen3_moe",
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "norm_topk_prob": True,
        "tie_word_embeddings": False,
    },
    "qwen3_moe-mixed": {
        "model_type": "qwen3_moe",
        "num_hidden_layers": 3,
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 128,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [1],
        "norm_topk_prob": False,
    },
    "mixtral": {
        "model_type": "mixtral",
        "head_dim": None,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "tie_word_embeddings": False,
    },
    "ministral3": {
        "model_type": "ministral3",
        "rope_theta": None,
        "rope_parameters": {
            "type": "yarn",
            "rope_theta": 1000000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 64,
            "llama_4_scaling_beta": 0.1,
        },
        "tie_word_embeddings": False,
    },
    "mistral3": {
        "model_type": "mistral3",
        "text_config": {
            **{name: value for name, value in BASE.items() if name != "rope_theta"},
            "model_type": "ministral3",
            "rope_parameters": {
                "type": "yarn",
                "rope_theta": 1000000.0,
                "factor": 8.0,
                "original_max_position_embeddings": 32,
                "llama_4_scaling_beta": 0.2,
            },
            "tie_word_embeddings": False,
        },
        "tie_word_embeddings": False,
    },
    "gemma2": {"model_type": "gemma2", "query_pre_attn_scalar": 96, "sliding_window": 24},
    "gemma3_text": {
        "model_type": "gemma3_text",
        "num_hidden_layers": 4,
        "sliding_window_pattern": 3,
        "sliding_window": 24,
        "query_pre_attn_scalar": 100,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    "gemma3": {
        "model_type": "gemma3",
        "text_config": {**BASE, "model_type": "gemma3_text", "num_hidden_layers": 3, "sliding_window_pattern": 2,
                        "sliding_window": 32},
    },
    "phi3": {"model_type": "phi3", "head_dim": None, "tie_word_embeddings": False},
    "phi4-mini": {
        "model_type": "phi3",
        "head_dim": None,
        "partial_rotary_factor": 0.75,
        "original_max_position_embeddings": 512,
        "rope_scaling": {
            "type": "longrope",
            "short_factor": [1.0 + 0.01 * i for i in range(24)],
            "long_factor": [1.0 + 0.5 * i for i in range(24)],
        },
    },
    "smollm3": {"model_type": "smollm3", "num_hidden_layers": 4, "no_rope_layers": [1, 0, 1, 0]},
    "smollm3-silent": {"model_type": "smollm3", "num_hidden_layers": 4},
    "granite": {
        "model_type": "granite",
        "head_dim": None,
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.22,
        "attention_multiplier": 0.0225,
        "logits_scaling": 0.5,
        "attention_bias": False,
        "mlp_bias": False,
    },
    "olmo2": {"model_type": "olmo2"},
    "glm4": {
        "model_type": "glm4",
        "attention_bias": True,
        "partial_rotary_factor": 0.5,
        "tie_word_embeddings": False,
    },
    "gpt_oss": {
        "model_type": "gpt_oss",
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "sliding_window": 24,
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_scaling": {
            "rope_type": "yarn",
            "factor": 32.0,
            "original_max_position_embeddings": 64,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
        },
        "tie_word_embeddings": False,
    },
}


def family_config(family):
    config = {name: value for name, value in {**BASE, **FAMILIES[family]}.items() if value is not None}
    config["bos_token_id"], config["eos_token_id"] = 0, 1
    return config


def random_weight(name, value, config):
    """Weights as far apart as mlx's own initialization makes them, but normal, and with norms and biases that are not
    the trivial ones. Logits get a spread of a few nats."""
    noise = mx.random.normal(value.shape)
    base = 0 if config["model_type"].startswith("gemma") else 1  # Gemma's norms keep the distance from 1
    if name.endswith("model.norm.weight"):
        return base + 2 + 0.3 * noise
    if name.endswith("norm.weight"):
        return base + 0.1 * noise
    if name.endswith("bias"):
        return 0.2 * noise
    if name.endswith("sinks"):
        return noise
    if "embed_tokens" in name and not config["tie_word_embeddings"]:
        return noise
    if "embed_tokens" in name or "lm_head" in name:
        return noise * value.shape[-1] ** -0.5
    if name.endswith(("mlp.gate.weight", "block_sparse_moe.gate.weight", "mlp.router.weight")):
        # a clear choice of experts: where two are nearly equal, bf16 and f32 choose differently and are worlds apart
        return 4 * noise * value.shape[-1] ** -0.5
    return noise * (3 * value.shape[-1]) ** -0.5


def build(config, seed):
    mx.random.seed(seed)
    model_class, args_class = utils._get_classes(config)
    model = model_class(args_class.from_dict(config))
    weights = [(name, random_weight(name, value, config)) for name, value in tree_flatten(model.parameters())]
    model.update(tree_unflatten(weights))
    model.eval()
    use_window(model, config)
    return model


def experts_in_f32(self, x, indices, sorted_indices=False):
    """SwitchLinear.__call__: mlx has gather_mm in float32 only on the CPU. The product is rounded to x's type."""
    weight = self["weight"].swapaxes(-1, -2).astype(mx.float32)
    product = mx.gather_mm(x.astype(mx.float32), weight, rhs_indices=indices, sorted_indices=sorted_indices)
    if "bias" in self:
        product = product + mx.expand_dims(self["bias"][indices], -2).astype(mx.float32)
    return product.astype(x.dtype)


SwitchLinear.__call__ = experts_in_f32


class WindowedGemma2(gemma2.TransformerBlock):
    """A layer of Gemma 2 with its window, whatever mask it is given."""

    def __call__(self, x, mask=None, cache=None):
        window = create_attention_mask(x, cache, window_size=self.window, return_array=True)
        return super().__call__(x, window, cache)


def use_window(model, config):
    """mlx-lm 0.32 runs "mistral" through its llama class, which only knows windows by layer_types and ignores the
    window of a Mistral config, and it knows none of Gemma 2. The models themselves have a window in every layer, and in
    every other one (transformers' MistralConfig and Gemma2Config)."""
    if config["model_type"] == "gemma2":
        for layer in model.layers[::2]:
            layer.__class__, layer.window = WindowedGemma2, config["sliding_window"]
    if config["model_type"] != "mistral" or not config.get("sliding_window"):
        return
    model.model.sliding_window = config["sliding_window"]
    model.model.swa_idx = 0
    for layer in model.model.layers:
        layer.use_sliding = True


def write_tokenizer(folder):
    """The smallest tokenizer.json there is: every id is a word."""
    vocab = {f"w{i}": i for i in range(VOCAB)}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "w0"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def save(folder, model, config):
    utils.save_model(folder, model)
    utils.save_config(dict(config), folder / "config.json")
    write_tokenizer(folder)


def make(folder, family, *, bits=None, group_size=None, mode="affine", dtype=mx.bfloat16, predicate=None, seed=0,
         **changes):
    """Writes a checkpoint and returns its reference logits {"f32": ..., "bf16": ...} and the tokens. bits None and
    mode "affine": not quantized, in dtype."""
    config = {**family_config(family), **changes}
    model = build(config, seed)
    model.set_dtype(dtype)
    if bits is not None or mode != "affine":
        model, config = utils.quantize_model(model, config, group_size, bits, mode=mode, quant_predicate=predicate)
    folder = Path(folder)
    save(folder, model, config)
    return references(model, seed)


def random_tokens(seed, n=N_POSITIONS):
    return np.random.default_rng(seed + 1).integers(2, VOCAB, n).astype(np.int32)


def embeddings_in(dtype, embed=nn.QuantizedEmbedding.__call__):
    """A context: mlx unpacks embeddings of the mx formats to bfloat16 (which holds them exactly), whatever the model's
    type is; in this context they come in `dtype`."""
    return patch.object(nn.QuantizedEmbedding, "__call__", lambda self, x: embed(self, x).astype(dtype))


def references(model, seed=0):
    tokens = random_tokens(seed)
    batch = mx.array(tokens)[None]
    result = {"tokens": tokens}

    def run(name, dtype):
        model.set_dtype(dtype)
        with embeddings_in(dtype):
            logits = model(batch)[0].astype(mx.float32)
            mx.eval(logits)
        result[name] = np.array(logits)

    run("f32", mx.float32)
    utils.dequantize_model(model)
    run("bf16", mx.bfloat16)
    return result


def llmind_logits(program, folder, tokens, scratch, *options):
    """Every position's logits as `llmind eval` computes them."""
    ids, out = Path(scratch) / "tokens.npy", Path(scratch) / "logits.npy"
    np.save(ids, tokens)
    command = [program, "eval", folder, "--tokens", ids, "--logits", out, *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return np.load(out)


def relative_error(logits, reference):
    return float(np.linalg.norm(logits - reference) / np.linalg.norm(reference))


def cosine(logits, reference):
    return float(np.sum(logits * reference) / (np.linalg.norm(logits) * np.linalg.norm(reference)))


def top1(logits, reference):
    """How often both prefer the same token, over positions where the reference's preference is clear (its margin is
    more than 5 times what bf16 moves a logit); and the share of positions left out."""
    noise = np.sqrt(np.mean((reference["bf16"] - reference["f32"]) ** 2))
    order = np.sort(reference["f32"], axis=1)
    clear = order[:, -1] - order[:, -2] > 5 * noise
    same = logits.argmax(1) == reference["f32"].argmax(1)
    return float(same[clear].mean()), float(1 - clear.mean())

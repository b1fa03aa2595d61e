"""LoRA adapters as mlx-lm trains and saves them: the logits with one are mlx's, and one that does not fit is refused."""
import json
import subprocess

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm import utils
from mlx_lm.tuner.utils import linear_to_lora_layers

from checkpoints import build, cosine, family_config, llmind_logits, random_tokens, relative_error, save

RANK, SCALE = 8, 3.0


def adapted(folder, family, layers=2, keys=None, bits=4):
    """A quantized model in folder/model, an adapter for it in folder/adapter, mlx's float32 logits with and without."""
    config = family_config(family)
    model = build(config, 0)
    model.set_dtype(mx.bfloat16)
    if bits:
        model, config = utils.quantize_model(model, config, 64, bits)
    (folder / "adapter").mkdir(parents=True)
    save(folder / "model", model, config)
    tokens = random_tokens(0)
    model.set_dtype(mx.float32)
    plain = np.array(model(mx.array(tokens)[None])[0])
    parameters = {"rank": RANK, "scale": SCALE, "dropout": 0.0} | ({"keys": keys} if keys else {})
    linear_to_lora_layers(model, layers, parameters)
    model.eval()
    mx.random.seed(1)
    weights = [(name, (0.05 * mx.random.normal(value.shape)).astype(mx.float32))
               for name, value in tree_flatten(model.parameters()) if "lora_" in name]
    model.update(tree_unflatten(weights))
    mx.save_safetensors(str(folder / "adapter" / "adapters.safetensors"), dict(weights))
    (folder / "adapter" / "adapter_config.json").write_text(
        json.dumps({"fine_tune_type": "lora", "num_layers": layers, "lora_parameters": parameters}))
    return tokens, plain, np.array(model(mx.array(tokens)[None])[0])


@pytest.mark.parametrize("family, layers, keys, chunk", [
    ("llama", 2, None, "7"), ("llama", 1, ["self_attn.q_proj", "self_attn.v_proj"], "512"), ("qwen3", 2, None, "512"),
    ("phi3", 2, None, "7"), ("gemma2", 2, ["mlp.down_proj"], "512"), ("olmo2", 2, None, "512"), ("glm4", 1, None, "7"),
    ("llama-biases", 2, None, "512"),
])  # fmt: skip
def test_logits_with_an_adapter(program, tmp_path, family, layers, keys, chunk):
    tokens, plain, truth = adapted(tmp_path, family, layers, keys)
    assert relative_error(plain, truth) > 0.05  # it changes something
    with_it = ["--adapter", tmp_path / "adapter", "--prefill-chunk", chunk]
    assert relative_error(llmind_logits(program, tmp_path / "model", tokens, tmp_path, "--precise", *with_it), truth) <= 1e-3
    assert cosine(llmind_logits(program, tmp_path / "model", tokens, tmp_path, *with_it), truth) >= 0.999
    assert relative_error(llmind_logits(program, tmp_path / "model", tokens, tmp_path, "--precise"), plain) <= 1e-3


def test_a_dense_model(program, tmp_path):
    tokens, _, truth = adapted(tmp_path, "llama-untied", bits=None)
    logits = llmind_logits(program, tmp_path / "model", tokens, tmp_path, "--precise", "--adapter", tmp_path / "adapter")
    assert relative_error(logits, truth) <= 1e-3


def refused(program, folder, adapter=None):
    done = subprocess.run([program, "generate", folder / "model", "-p", "w5", "-n", "1", "--adapter", adapter or folder / "adapter"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_adapters_that_do_not_fit(program, tmp_path):
    adapted(tmp_path, "llama")
    path, weights = tmp_path / "adapter" / "adapter_config.json", tmp_path / "adapter" / "adapters.safetensors"
    config, tensors = json.loads(path.read_text()), mx.load(str(weights))
    assert "adapter_config.json" in refused(program, tmp_path, tmp_path / "model")
    assert "no-such" in refused(program, tmp_path, tmp_path / "no-such")
    for change, words in (({"fine_tune_type": "dora"}, "dora"), ({"fine_tune_type": "full"}, "full"), ({"lora_parameters": {}}, "rank"),
                          ({"lora_parameters": {"rank": 4, "scale": 1}}, "lora_a"), ({"lora_parameters": {"rank": 8}}, "scale"),
                          ({"lora_parameters": {"rank": 10**9, "scale": 1}}, "rank")):  # fmt: skip
        path.write_text(json.dumps(config | change))
        assert words in refused(program, tmp_path)
    path.write_text(json.dumps(config))
    first = "model.layers.0.self_attn.q_proj"
    mx.save_safetensors(str(weights), {name: value for name, value in tensors.items() if name != f"{first}.lora_b"})
    assert "only one of" in refused(program, tmp_path)
    mx.save_safetensors(str(weights), tensors | {"model.layers.7.self_attn.q_proj.lora_a": tensors[f"{first}.lora_a"]})
    assert "layers.7" in refused(program, tmp_path)
    weights.write_bytes(b"no safetensors")
    assert "adapters.safetensors" in refused(program, tmp_path)


def test_a_command_of_several_models_takes_none(program, tmp_path):
    done = subprocess.run([program, "compare", "builtin", "builtin", "--adapter", tmp_path], capture_output=True, text=True)
    assert done.returncode == 2 and "--adapter" in done.stderr

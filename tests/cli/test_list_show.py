import json
import os

from conftest import BUILTIN


def test_list_without_models(llmind, tmp_path):
    result = llmind("list", env={"LLMIND_BUILTIN": str(tmp_path / "nowhere")})
    assert result.returncode == 0
    assert result.stdout.startswith("No models: looked for")
    assert json.loads(llmind("list", "--json", env={"LLMIND_BUILTIN": str(tmp_path / "nowhere")}).stdout) == []


def test_list_finds_every_place(llmind, builtin, tmp_path):
    os.makedirs(tmp_path / "data/models")
    os.symlink(BUILTIN, tmp_path / "data/models/mine")
    os.makedirs(tmp_path / "more")
    os.symlink(BUILTIN, tmp_path / "more/third")
    snapshot = tmp_path / "hub/models--org--name/snapshots/0123abcd"
    os.makedirs(snapshot)
    for file in BUILTIN.iterdir():
        if file.is_file():
            os.symlink(file, snapshot / file.name)
    os.makedirs(tmp_path / "more/broken")
    (tmp_path / "more/broken/config.json").write_text("{")
    env = {
        "LLMIND_DATA_DIR": str(tmp_path / "data"),
        "LLMIND_MODEL_PATH": str(tmp_path / "more"),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
    }
    models = {m["name"]: m for m in json.loads(llmind("list", "--json", env=env).stdout)}
    assert {name: m["source"] for name, m in models.items()} == {
        "builtin": "builtin",
        "mine": "data",
        "third": "path",
        "broken": "path",
        "org/name": "hub",
    }
    assert models["mine"]["supported"] and models["mine"]["parameters"] > 1_000_000
    assert models["broken"]["parameters"] is None and "config.json" in models["broken"]["problem"]

    text = llmind("list", env=env).stdout.splitlines()
    assert text[0].split()[:2] == ["name", "architecture"]
    assert any(line.startswith("org/name ") for line in text)
    assert any(line.startswith("cannot be used: broken (") for line in text)
    for name in ("mine", "third", "org/name", "org/name@0123abcd"):
        assert llmind("show", name, env=env).returncode == 0


def test_show(llmind, builtin):
    config = json.loads((BUILTIN / "config.json").read_text())
    shown = json.loads(llmind("show", builtin, "--json").stdout)
    assert shown["architecture"] == config["model_type"]
    assert shown["layers"] == config["num_hidden_layers"]
    assert shown["vocab"] == config["vocab_size"]
    assert shown["operations"]["attend"] == config["num_hidden_layers"]
    # f16 keys and values of every layer
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    kv = 2 * 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * head
    assert shown["per_token"]["kv_bytes"] == kv
    assert 0 < shown["per_token"]["weight_bytes"] <= shown["file_bytes"] * 1.01
    assert shown["weight_bytes"] <= shown["file_bytes"]

    text = llmind("show", builtin).stdout
    assert "architecture" in text and "one token" in text and "KV cache" in text


def test_show_plan(llmind, builtin):
    shown = json.loads(llmind("show", builtin, "--plan", "--json").stdout)
    assert len(shown["plan"]) == sum(shown["operations"].values())
    weights = {w["name"]: w["bytes"] for op in shown["plan"] for w in op["weights"]}
    assert any(op["name"].startswith("layers.0.") for op in shown["plan"])
    assert sum(weights.values()) <= shown["file_bytes"]
    text = llmind("show", builtin, "--plan").stdout
    for op in shown["plan"]:
        assert f" {op['name']} " in text

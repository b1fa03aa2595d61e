"""`llmind convert` against mlx: every code, scale and bias is the one that mx.quantize makes, and what comes out is what
mlx_lm.convert writes and loads."""

import json
import shutil
import subprocess

import mlx.core as mx
import mlx_lm
import numpy as np
import pytest

import checkpoints

mx.set_default_device(mx.cpu)

AFFINE = [("affine", bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)]
FORMATS = [*AFFINE, ("mxfp4", 4, 32), ("mxfp8", 8, 32)]


def llmind(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dense(program, tmp_path_factory):
    """dense("tiny-llama") -> the folder of a bf16 model."""
    made = {}

    def make(shape):
        if shape not in made:
            made[shape] = tmp_path_factory.mktemp("dense") / shape
            llmind(program, "synth", shape, "--bits", 16, made[shape])
        return made[shape]

    return make


def tensors(folder):
    return {name: value for path in sorted(folder.glob("model*.safetensors")) for name, value in mx.load(str(path)).items()}


def rewritten(source, folder, change, **config):
    """A copy of a model with change(tensors) as its weights, and other members of config.json."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("model*"))
    mx.save_safetensors(str(folder / "model.safetensors"), change(tensors(source)))
    (folder / "config.json").write_text(json.dumps(json.loads((source / "config.json").read_text()) | config))
    return folder


def same_bits(ours, theirs, name):
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, (name, ours.dtype, theirs.dtype, ours.shape, theirs.shape)
    a, b = (np.array(x.view(mx.uint8)) for x in (ours, theirs))
    assert (a == b).all(), f"{name}: {(a != b).sum()} of {a.size} bytes differ"


def quantized(name, weight, mode, bits, group):
    parts = mx.quantize(weight, group_size=group, bits=bits, mode=mode)
    return dict(zip((name, name.replace(".weight", ".scales"), name.replace(".weight", ".biases")), parts))


def check(program, source, target, mode, bits, group, *options):
    """Converts, and holds every tensor against mx.quantize of the source's."""
    llmind(program, "convert", source, "--mode", mode, "--bits", bits, "--group-size", group, *options, target)
    expected = {}
    for name, value in tensors(source).items():
        matrix = value.ndim == 2 and value.shape[-1] % group == 0
        expected |= quantized(name, value, mode, bits, group) if matrix else {name: value}
    ours = tensors(target)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        same_bits(ours[name], value, name)
    said = json.loads((target / "config.json").read_text())
    assert said["quantization"] == said["quantization_config"] == {"group_size": group, "bits": bits, "mode": mode}


@pytest.mark.parametrize(("mode", "bits", "group"), FORMATS)
def test_every_bit_is_that_of_mx_quantize(program, dense, tmp_path, mode, bits, group):
    check(program, dense("tiny-llama"), tmp_path / "out", mode, bits, group)


def unlucky(rng, rows, cols):
    """Rows on which a quantizer stumbles: alike, one-sided, with ties, tiny, huge, of zeros, with one that stands out."""
    weight = rng.standard_normal((rows, cols)).astype(np.float32)
    weight[0] = 0
    weight[1] = 3.25
    weight[2] = -3.25
    weight[3] = np.abs(weight[3])
    weight[4] = -np.abs(weight[4])
    weight[5] = np.round(weight[5] * 8) / 8
    weight[6] *= 1e-6
    weight[7] *= 1e4
    weight[8] = 0
    weight[8, ::32] = 1
    weight[9] = np.resize(np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 6]), cols)
    weight[10] = -weight[9]
    weight[11] = -0.0
    weight[12] = np.resize(np.float32(448) * np.exp2(-np.arange(32, dtype=np.float32)), cols)
    weight[13] = np.resize(np.linspace(-1, 1, 16), cols)
    weight[14] *= 3e-8
    for row, largest in ((15, 6), (16, 448)):  # one step above a power of two times the largest code, for 2^-8 .. 2^7
        tops = largest * np.exp2(np.arange(16) - 8) * (1 + 2.0**-7)
        weight[row] = np.resize(np.repeat(tops, 32), cols) * np.where(np.arange(cols) % 32, 0.1, 1)
    return weight


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize(("mode", "bits", "group"), [("affine", 2, 32), ("affine", 3, 64), ("affine", 4, 64), ("affine", 8, 128),
                                                     ("mxfp4", 4, 32), ("mxfp8", 8, 32)])  # fmt: skip
def test_numbers_of_every_kind(program, dense, tmp_path, dtype, mode, bits, group):
    rng = np.random.default_rng(bits)

    def change(weights):
        return {name: mx.array(unlucky(rng, *value.shape) if value.ndim == 2 else np.array(value.astype(mx.float32)))
                .astype(getattr(mx, dtype)) for name, value in weights.items()}  # fmt: skip

    source = rewritten(dense("tiny-llama"), tmp_path / "source", change, torch_dtype=dtype)
    check(program, source, tmp_path / "out", mode, bits, group)


@pytest.mark.parametrize(("have", "wish"), [("float32", "bfloat16"), ("float32", "float16"), ("bfloat16", "float16"),
                                            ("float16", "bfloat16"), ("bfloat16", "float32")])  # fmt: skip
def test_another_type_of_numbers(program, dense, tmp_path, have, wish):
    """What is coded are the numbers after they were rounded, as mlx_lm.convert --dtype has it."""
    rng = np.random.default_rng(7)

    def cast(kind):
        return lambda weights: {name: value.astype(getattr(mx, kind)) for name, value in weights.items()}

    def noise(weights):  # that no shorter type holds
        return cast(have)({name: mx.array(rng.standard_normal(value.shape).astype(np.float32)) for name, value in weights.items()})

    source = rewritten(dense("tiny-llama"), tmp_path / "source", noise, torch_dtype=have)
    rounded = rewritten(source, tmp_path / "rounded", cast(wish), torch_dtype=wish)
    llmind(program, "convert", source, "--dtype", wish, tmp_path / "out")
    llmind(program, "convert", rounded, tmp_path / "expected")
    llmind(program, "convert", source, "--bits", 16, "--dtype", wish, tmp_path / "plain")
    for ours, theirs in (("out", "expected"), ("plain", "rounded")):
        a, b = tensors(tmp_path / ours), tensors(tmp_path / theirs)
        assert set(a) == set(b)
        for name in a:
            same_bits(a[name], b[name], name)


def test_numbers_keep_their_type_where_nobody_says_one(program, dense, tmp_path):
    """As mlx_lm.convert: "dtype" is not asked. What groups cannot divide stays as it is."""
    def mixed(weights):
        changed = {"model.layers.0.mlp.up_proj.weight": mx.float32, "model.layers.1.self_attn.q_proj.weight": mx.float16}
        return {name: value.astype(changed.get(name, mx.bfloat16)) for name, value in weights.items()}

    source = rewritten(dense("tiny-llama"), tmp_path / "source", mixed, dtype="bfloat16", torch_dtype=None)
    check(program, source, tmp_path / "out", "affine", 4, 64)


def as_published(weights):
    """Experts one by one, a head that is tied, and where the family once had it a table of rotary frequencies."""
    out = {}
    for name, value in weights.items():
        if ".switch_mlp." in name:
            for i in range(value.shape[0]):
                out[name.replace(".switch_mlp.", f".experts.{i}.")] = value[i]
        else:
            out[name] = value
    if "lm_head.weight" not in out:
        out["lm_head.weight"] = out["model.embed_tokens.weight"]
    newer = any(name.endswith("q_norm.weight") for name in out)  # qwen3, where mlx-lm takes none
    return out if newer else out | {"model.layers.0.self_attn.rotary_emb.inv_freq": mx.array([1.0, 0.5])}


WHOLE = [("tiny-llama", []), ("tiny-mistral", ["--bits", 8]), ("tiny-qwen2", ["--bits", 3, "--group-size", 32]),
         ("tiny-qwen3", ["--mode", "mxfp4"]), ("tiny-qwen3-moe", []), ("tiny-qwen3-moe", ["--mode", "mxfp8"]),
         ("tiny-qwen3-moe", ["--bits", 16]), ("tiny-llama", ["--recipe", "mixed_2_6"]), ("tiny-qwen3", ["--recipe", "mixed_3_4"]),
         ("tiny-qwen3-moe", ["--group-size", 128]), ("tiny-llama", ["--recipe", "mixed_3_6"]), ("tiny-qwen3-moe", ["--recipe", "mixed_4_6"])]  # fmt: skip


def shown(program, folder):
    told = json.loads(llmind(program, "show", folder, "--json"))
    return {name: value for name, value in told.items() if name not in ("path", "name", "file_bytes")}


@pytest.mark.parametrize(("shape", "options", "change"), [
    *((shape, options, as_published) for shape, options in WHOLE),
    *((shape, options, dict) for shape, options in WHOLE if "moe" in shape),  # experts that are stacked already
])
def test_the_whole_is_what_mlx_lm_writes(program, dense, tmp_path, shape, options, change):
    published = rewritten(dense(shape), tmp_path / "published", change)
    as_mlx_lm(program, published, tmp_path, options)


def as_mlx_lm(program, published, tmp_path, options, understood=None):
    """What `convert` makes of a folder is what mlx_lm.convert makes of it, or of another one that says the same in words
    that mlx-lm understands, and mlx-lm computes the same from both."""
    wish = dict(zip(options[::2], options[1::2]))
    theirs = tmp_path / "theirs"
    mlx_lm.convert(
        str(understood or published), str(theirs), quantize=wish.get("--bits") != 16, q_mode=wish.get("--mode", "affine"),
        q_bits=wish.get("--bits"), q_group_size=wish.get("--group-size", 64 if "--recipe" in wish else None),
        quant_predicate=wish.get("--recipe"),
    )  # fmt: skip
    llmind(program, "convert", published, *options, tmp_path / "ours")
    ours, expected = tensors(tmp_path / "ours"), tensors(theirs)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        same_bits(ours[name], value, name)
    model, _ = mlx_lm.load(str(tmp_path / "ours"))
    other, _ = mlx_lm.load(str(theirs))
    for one in (model, other):
        one.set_dtype(mx.float32)  # mlx's CPU has no experts in bfloat16
    tokens = mx.array([[5, 17, 99, 3, 250, 42]])
    same_bits(model(tokens), other(tokens), "logits")
    assert shown(program, tmp_path / "ours") == shown(program, theirs)


def with_towers(weights):
    """A model of several parts as it is published: what looks at pictures beside what writes."""
    return weights | {"vision_tower.patch.weight": mx.ones((64, 64)), "multi_modal_projector.norm.weight": mx.ones((64,))}


def with_newer_names(weights):
    """As transformers names them since 4.52."""
    moved = {name.replace("language_model.model.", "model.language_model.").replace("language_model.lm_head", "lm_head"): value
             for name, value in weights.items()}  # fmt: skip
    return moved | {"model.vision_tower.patch.weight": mx.ones((64, 64))}


def one_by_one(weights):
    """Mixtral's experts."""
    parts, out = {"gate_proj": "w1", "down_proj": "w2", "up_proj": "w3"}, {}
    for name, value in weights.items():
        before, stacked, part = name.partition(".switch_mlp.")
        for i in range(value.shape[0]) if stacked else ():
            out[f"{before}.experts.{i}.{parts[part.removesuffix('.weight')]}.weight"] = value[i]
        if not stacked:
            out[name] = value
    return out


@pytest.mark.parametrize(("family", "change", "options"), [
    ("mixtral", one_by_one, []), ("mixtral", dict, ["--mode", "mxfp4"]), ("gemma3", with_towers, []),
    ("gemma3_text", dict, ["--recipe", "mixed_3_6"]), ("mistral3", with_newer_names, ["--bits", 8]), ("gemma2", dict, []),
    ("mistral3", with_towers, ["--recipe", "mixed_2_6"]), ("phi3", dict, []), ("granite", dict, []), ("olmo2", dict, []),
    ("granite", dict, ["--mode", "mxfp8"]), ("glm4", dict, []), ("smollm3", dict, ["--bits", 3]), ("gpt_oss", dict, []),
])  # fmt: skip
def test_other_families(program, tmp_path, family, change, options):
    checkpoints.make(tmp_path / "dense", family)
    as_mlx_lm(program, rewritten(tmp_path / "dense", tmp_path / "published", change), tmp_path, options)


def with_head(weights):
    """A head, and another than the embedding would be."""
    name = next(name for name in weights if name.endswith("model.embed_tokens.weight"))
    return weights | {name.replace("model.embed_tokens", "lm_head"): -weights[name]}


def silenced(folder, key):
    """The same folder, whose language model's configuration says nothing of something."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config.get("text_config", config)[key]
    path.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("family", ["gemma2", "smollm3"])
def test_a_head_that_the_family_ties(program, tmp_path, family):
    """Silence means what it means in the family: tied, here, so a head that lies there is none of the model's."""
    checkpoints.make(tmp_path / "dense", family)
    published = silenced(rewritten(tmp_path / "dense", tmp_path / "published", with_head), "tie_word_embeddings")
    as_mlx_lm(program, published, tmp_path, [], tmp_path / "dense")
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["tie_word_embeddings"] is True


@pytest.mark.parametrize(("family", "change", "config"), [
    ("gemma3", with_head, {}),  # which counts, whatever is said about ties
    ("mistral3", dict, {"text_config": {**checkpoints.BASE, "model_type": "mistral", "tie_word_embeddings": False}}),
])  # fmt: skip
def test_a_text_config_without_a_model_type(program, tmp_path, family, change, config):
    """It is of the wrapper's usual kind, as in transformers. mlx-lm wants it said, so what is written says it."""
    checkpoints.make(tmp_path / "dense", family, **config)
    said = rewritten(tmp_path / "dense", tmp_path / "said", change)
    published = silenced(rewritten(tmp_path / "dense", tmp_path / "published", change), "model_type")
    as_mlx_lm(program, published, tmp_path, [], said)


def test_a_type_of_numbers_in_the_text_config(program, tmp_path):
    """Where the whole names none; --dtype changes it there, too."""
    text = checkpoints.FAMILIES["mistral3"]["text_config"] | {"dtype": "float16"}
    checkpoints.make(tmp_path / "dense", "mistral3")
    published = rewritten(tmp_path / "dense", tmp_path / "published", dict, text_config=text)
    as_mlx_lm(program, published, tmp_path, [])
    assert tensors(tmp_path / "ours")["language_model.model.norm.weight"].dtype == mx.float16
    llmind(program, "convert", published, "--dtype", "bfloat16", tmp_path / "cast")
    config = json.loads((tmp_path / "cast" / "config.json").read_text())
    assert config["torch_dtype"] == config["text_config"]["dtype"] == "bfloat16"


def test_an_embedding_of_its_own(program, dense, tmp_path):
    """As the built-in model is made: everything in 4 bits, the embedding in 8."""

    def bits(path, *_):
        return {"bits": 8, "group_size": 64} if "embed" in path else True

    source = dense("tiny-llama")
    mlx_lm.convert(str(source), str(tmp_path / "theirs"), quantize=True, q_bits=4, q_group_size=64, quant_predicate=bits)
    llmind(program, "convert", source, "--bits", 4, "--embedding-bits", 8, tmp_path / "ours")
    ours, expected = tensors(tmp_path / "ours"), tensors(tmp_path / "theirs")
    assert set(ours) == set(expected)
    for name, value in expected.items():
        same_bits(ours[name], value, name)
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["quantization"]["model.embed_tokens"]["bits"] == 8

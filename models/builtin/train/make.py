"""The recipe in one command. From models/builtin:

    python -m train.make tokenizer                  here: corpus -> tokenizer.json and templates
    python -m train.make train --minutes 8 --out D  where the GPU is: corpus -> rows -> one leg -> bf16 parts in D
    python -m train.make export --parts D           here: bf16 parts -> 4-bit MLX checkpoint (needs mlx and `make build`)
    python -m train.make smoke                      anywhere: everything, tiny, within a minute or two

A leg that did not finish leaves work/*-state.pt; the same command goes on from it.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import common

PART_BYTES = 14 << 20  # results leave the GPU machine in files of at most 15 MiB


def train(args, recipe, folder=common.BUILTIN, smoke=False, shards=64):
    import torch

    from . import criteria, fit, pack, torch_answers
    begun = time.monotonic()
    rows = pack.pack(recipe, folder, shards=shards)
    unseen = pack.pack(recipe, folder, shards=2, seed_offset=10_000, items=max(40, recipe["items"] // 400))
    print(f"packed in {time.monotonic() - begun:.0f} s; {(rows == pack.PAD).mean() * 100:.1f} % padding", flush=True)
    model, finished = fit.leg(recipe, rows, unseen, args.minutes, args.fit_minutes, args.name, compiled=not smoke)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    save_parts(model, out)
    curve = common.HERE / "curves" / f"{args.name}.csv"
    shutil.copy(curve, out)
    cases = criteria.questions()[:4 if smoke else None]
    device = next(model.parameters()).device.type
    data = torch.from_numpy(unseen.astype("int32")).to(device).long()
    full = fit.heldout_loss(model, data, recipe, device)
    fit.quantize_in_place(model, recipe)
    summary, bad = criteria.judge(cases, torch_answers.answers(model, [q for _, _, q in cases], folder))
    summary["heldout_answer_loss"] = {"bf16": round(full, 5), "quantized": round(fit.heldout_loss(model, data, recipe, device), 5)}
    summary["finished"] = finished
    (out / "judged.json").write_text(json.dumps({"summary": summary, "failures": bad}, indent=1))
    for kind, expected, q, a in bad[:60]:
        print(f"[{kind}] {expected} | {q.splitlines()[0]} -> {a[:160]!r}")
    print(json.dumps(summary))


def save_parts(model, out):
    """bf16 weights in safetensors files of at most PART_BYTES."""
    from safetensors.torch import save_file
    part, size, number = {}, 0, 0
    for name, p in list(model.named_parameters()) + [(None, None)]:
        if name is None or size + p.numel() * 2 > PART_BYTES:
            number += 1
            save_file(part, str(out / f"part{number}.safetensors"), metadata={"format": "pt"})
            part, size = {}, 0
        if name is not None:
            part[name] = p.detach().bfloat16().contiguous().cpu()
            size += p.numel() * 2


def config(recipe):
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": recipe["hidden_size"], "num_hidden_layers": recipe["layers"], "num_attention_heads": recipe["heads"],
            "num_key_value_heads": recipe["kv_heads"], "head_dim": recipe["head_dim"], "intermediate_size": recipe["intermediate_size"], "vocab_size": recipe["vocab_size"],
            "max_position_embeddings": recipe["context"], "rope_theta": recipe["rope_theta"], "rms_norm_eps": recipe["rms_norm_eps"], "tie_word_embeddings": True, "hidden_act": "silu",
            "attention_bias": False, "mlp_bias": False, "bos_token_id": 0, "eos_token_id": [3, 1], "pad_token_id": 1, "torch_dtype": "bfloat16"}


TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "chat_template.jinja")


def export(parts, recipe, source=common.BUILTIN, folder=common.BUILTIN, bf16=None):
    """bf16 parts and the tokenizer of `source` -> 4-bit MLX checkpoint in `folder`; the bf16 one stays in work/bf16."""
    import mlx.core as mx
    bf16 = bf16 or common.WORK / "bf16"
    shutil.rmtree(bf16, ignore_errors=True)
    bf16.mkdir(parents=True)
    weights = {}
    for file in sorted(Path(parts).glob("part*.safetensors")):
        weights.update(mx.load(str(file)))
    mx.save_safetensors(str(bf16 / "model.safetensors"), weights, metadata={"format": "mlx"})
    (bf16 / "config.json").write_text(json.dumps(config(recipe), indent=2) + "\n")
    for name in TEXT_FILES:
        shutil.copy(source / name, bf16)
        if source != folder:
            shutil.copy(source / name, folder)

    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "out"
        subprocess.run([common.program(), "convert", bf16, "--bits", str(recipe["bits"]), "--group-size", str(recipe["group_size"]),
                        "--embedding-bits", str(recipe["embedding_bits"]), target], check=True)
        shutil.copy(target / "model.safetensors", folder / "model.safetensors")
        made = json.loads((target / "config.json").read_text())
    final = config(recipe)
    final["quantization"] = made["quantization"]
    (folder / "config.json").write_text(json.dumps(final, indent=2) + "\n")
    print(f"model.safetensors: {(folder / 'model.safetensors').stat().st_size / 1e6:.2f} MB")


def smoke():
    """The whole recipe at toy size. Says what it had to leave out."""
    from . import tokenizer
    begun, recipe, done, skipped = time.monotonic(), common.recipe(smoke=True), [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        tokenizer.train(recipe, folder)
        from . import pack
        rows = pack.pack(recipe, folder, shards=2)
        assert (rows & pack.ANSWER).any() and ((rows & 0x7FFF) < recipe["vocab_size"]).all()
        assert (rows == pack.pack(recipe, folder, shards=2)).all(), "the corpus is not deterministic"
        from . import criteria
        cases = criteria.questions(20)
        judge = criteria.TopicJudge()
        from corpus import sources
        assert all(judge.on_topic(t.id, t.text["def"]) for t in sources.load_topics()), "the judge does not know its own texts"
        done += [f"corpus and tokenizer: {rows.size} tokens", f"{len(cases)} held-out cases"]
        try:
            import torch  # noqa: F401
        except ImportError:
            skipped.append("training and answers: PyTorch is not installed here")
        else:
            from . import common as c
            c.WORK, keep = Path(scratch), c.WORK
            from . import fit
            fit.WORK, fit.HERE = Path(scratch), Path(scratch)
            c.HERE, here = Path(scratch), c.HERE
            args = argparse.Namespace(minutes=1.0, fit_minutes=None, name="smoke", out=scratch)
            train(args, recipe, folder, smoke=True, shards=2)
            c.WORK, c.HERE = keep, here
            done.append("training, checkpoint, answers")
        try:
            import mlx_lm  # noqa: F401
        except ImportError:
            skipped.append("conversion: mlx-lm is not installed here")
        else:
            if not (Path(scratch) / "part1.safetensors").exists():
                random_parts(recipe, Path(scratch))
            export(scratch, recipe, folder, folder, Path(scratch) / "bf16")
            from mlx_lm import load
            load(str(folder))
            done.append("4-bit conversion, loaded by mlx-lm")
    for line in done:
        print("done:", line)
    for line in skipped:
        print("SKIPPED:", line)
    print(f"smoke: {len(done)} done, {len(skipped)} skipped in {time.monotonic() - begun:.0f} s")


def random_parts(recipe, out):
    """Untrained weights, so that the conversion can be tried where PyTorch is missing."""
    import mlx.core as mx
    h, f, d = recipe["hidden_size"], recipe["intermediate_size"], recipe["head_dim"]
    shapes = {"model.embed_tokens.weight": (recipe["vocab_size"], h), "model.norm.weight": (h,)}
    for i in range(recipe["layers"]):
        p = f"model.layers.{i}."
        shapes.update({p + "self_attn.q_proj.weight": (recipe["heads"] * d, h), p + "self_attn.k_proj.weight": (recipe["kv_heads"] * d, h), p + "self_attn.v_proj.weight": (recipe["kv_heads"] * d, h),
                       p + "self_attn.o_proj.weight": (h, recipe["heads"] * d), p + "mlp.gate_proj.weight": (f, h), p + "mlp.up_proj.weight": (f, h), p + "mlp.down_proj.weight": (h, f),
                       p + "input_layernorm.weight": (h,), p + "post_attention_layernorm.weight": (h,)})
    mx.random.seed(recipe["seed"])
    mx.save_safetensors(str(out / "part1.safetensors"), {n: (0.02 * mx.random.normal(s)).astype(mx.bfloat16) for n, s in shapes.items()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["tokenizer", "train", "export", "smoke"])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--fit-minutes", type=float)
    parser.add_argument("--name", default="run")
    parser.add_argument("--out", default=str(common.WORK / "parts"))
    parser.add_argument("--parts", default=str(common.WORK / "parts"))
    parser.add_argument("--items", type=int, help="another amount of corpus than the recipe's")
    parser.add_argument("--folder", type=Path, default=common.BUILTIN, help="where the tokenizer lies, so that a new one can be tried beside the shipped model")
    args = parser.parse_args()
    recipe = common.recipe()
    if args.items:
        recipe["items"] = args.items
    if args.stage == "tokenizer":
        from . import tokenizer
        tokenizer.train(recipe, args.folder)
    elif args.stage == "train":
        train(args, recipe, args.folder)
    elif args.stage == "export":
        export(args.parts, recipe, args.folder)
    else:
        smoke()


if __name__ == "__main__":
    sys.exit(main())

"""Evaluates the finished 4-bit model with mlx-lm: held-out questions and perplexity.

Usage (from models/builtin):  python -m train.evaluate [--bf16 DIR] [--limit N] [-o FILE.json]

--bf16 DIR: the checkpoint before quantization, for the comparison of perplexities.
"""
import argparse
import json
import math
import random

import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import generate_step

from . import common, criteria, pack


def answer(model, tokenizer, question):
    ids = tokenizer.encode(common.prompt([("user", question)]), add_special_tokens=False)
    out = []
    for token, _ in generate_step(mx.array(ids), model, max_tokens=criteria.MAX_TOKENS):
        if int(token) in (1, 3):
            return tokenizer.decode(out), True
        out.append(int(token))
    return tokenizer.decode(out), False


def perplexity(model, rows):
    """Perplexity of answer tokens over packed rows that no training used."""
    total, count = 0.0, 0
    for row in rows:
        ids = mx.array((row & 0x7FFF).astype("int32"))[None]
        keep = mx.array(((row[1:] & pack.ANSWER) > 0).astype("float32"))
        logits = model(ids[:, :-1])[0].astype(mx.float32)
        each = mx.logsumexp(logits, axis=-1) - mx.take_along_axis(logits, ids[0, 1:, None], axis=-1)[:, 0]
        total += float((each * keep).sum())
        count += float(keep.sum())
    return math.exp(total / count)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(common.BUILTIN))
    parser.add_argument("--bf16")
    parser.add_argument("--limit", type=int, help="judge only this many cases, drawn with a fixed seed")
    parser.add_argument("-o", "--output")
    args = parser.parse_args()
    model, tokenizer = load(args.model)
    model.set_dtype(mx.float32)  # the same 4-bit weights; MLX computes bf16 very slowly on a CPU
    cases = criteria.questions()
    if args.limit:
        cases = random.Random(1).sample(cases, args.limit)
    summary, bad = criteria.judge(cases, [answer(model, tokenizer, q) for _, _, q in cases])
    print(json.dumps(summary), flush=True)
    rows = pack.pack(common.recipe(), shards=2, seed_offset=10_000, items=48)[:, :513]  # a CPU needs minutes for more
    summary["perplexity_4bit"] = round(perplexity(model, rows), 4)
    if args.bf16:
        reference, _ = load(args.bf16)
        reference.set_dtype(mx.float32)
        summary["perplexity_bf16"] = round(perplexity(reference, rows), 4)
        summary["perplexity_ratio"] = round(summary["perplexity_4bit"] / summary["perplexity_bf16"], 4)
    for kind, expected, q, a in bad:
        print(f"[{kind}] expected {expected}\n  Q: {q.splitlines()[0]}\n  A: {a}")
    print(json.dumps(summary, indent=1))
    if args.output:
        with open(args.output, "w") as f:
            json.dump(summary, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()

"""Estimates against measurements, in turn: what `llmind estimate` says, then what `llmind bench` measures, and so on.

The models are shapes and quantizations that the calibration never ran (it knows formats, not models). Bars on the
median of the pairs of each model: decode within 15 %, prefill within 20 %, memory within 5 %.
"""
import json
import os
import statistics
import subprocess

PAIRS = int(os.environ.get("LLMIND_ESTIMATE_PAIRS", "7"))
DEPTH, TOKENS, PROMPT = 512, 48, 512
MODELS = [
    ("llama-3.2-1b", "--bits", "3"), ("llama-3.2-1b", "--bits", "6"),
    ("qwen3-0.6b", "--bits", "5"), ("qwen3-0.6b", "--bits", "8"),
    ("qwen2.5-0.5b", "--bits", "8"), ("qwen2.5-0.5b", "--mode", "mxfp4"),
    ("llama-3.1-8b", "--bits", "2"), ("llama-3.1-8b", "--bits", "3"),
]
ONLY = os.environ.get("LLMIND_ESTIMATE_MODELS")  # parts of names with commas between; default: all
BARS = {"decode": 0.15, "prefill": 0.20, "memory": 0.05}


def tool(run, *arguments, timeout=1800):
    environment = os.environ | {"LLMIND_CACHE_DIR": str(run.work / "cache")}
    done = subprocess.run([run.program, *map(str, arguments)], env=environment, text=True, capture_output=True,
                          timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr[-600:]}")
    return done.stdout


def estimate(run, model):
    return json.loads(tool(run, "estimate", model, "--ctx", 2 * DEPTH, "--json"))


def bench(run, model, *options):
    return json.loads(tool(run, "bench", model, *options, "-r", 1, "-o", "json"))[-1]


def pair(run, model):
    """One prediction beside each measurement; of tokens/s, predicted / measured."""
    said = estimate(run, model)
    decode = bench(run, model, "-p", 0, "-n", TOKENS, "-d", DEPTH)
    row = {"decode": [said["speed"]["decode_tokens_per_second"], decode["avg_ts"]]}
    said = estimate(run, model)
    prefill = bench(run, model, "-p", PROMPT, "-n", 0)
    row["prefill"] = [said["speed"]["prefill_tokens_per_second"], prefill["avg_ts"]]
    row["memory"] = [said["memory"]["first_prompt_bytes"], prefill["resident_bytes"]]
    return row


def mid(value):
    return value["mid"] if isinstance(value, dict) else value


def judge(rows):
    out = {}
    for figure, bar in BARS.items():
        ratios = [mid(row[figure][0]) / row[figure][1] for row in rows]
        median = statistics.median(ratios)
        out[figure] = {"median_ratio": round(median, 4), "passed": abs(median - 1) <= bar,
                       "ratios": [round(r, 4) for r in ratios]}
        if figure != "memory":
            inside = [row[figure][0]["low"] <= row[figure][1] <= row[figure][0]["high"] for row in rows]
            out[figure]["inside_interval"] = f"{sum(inside)} of {len(inside)}"
    return out


def wanted(name):
    return not ONLY or any(part in name for part in ONLY.split(","))


def estimates(run):
    """Decode within 15 %, prefill within 20 %, memory within 5 %: medians of pairs, prediction and run in turn."""
    system = json.loads(tool(run, "system", "--calibrate", "--json"))
    results, passed = {}, True
    models = [run.model(*m) for m in MODELS if wanted("-".join(m))] + (["builtin"] if wanted("builtin") else [])
    rows = {str(m): [] for m in models}
    for _ in range(PAIRS):  # all models in each round, so that a bad minute hits one pair of each
        for model in models:
            rows[str(model)].append(pair(run, model))
    for model in models:
        name = getattr(model, "name", model)
        results[name] = judge(rows[str(model)])
        passed = passed and all(figure["passed"] for figure in results[name].values())
        print(f"  {name:24}" + "  ".join(f"{f} {r['median_ratio']:.3f}{'' if r['passed'] else ' MISSED'}"
                                        for f, r in results[name].items()), flush=True)
    calibration = system["calibration"]
    return {"passed": passed, "bars": BARS, "pairs": PAIRS, "models": results,
            "calibration": {k: calibration[k] for k in ("duration_s", "decode_spread", "decode_bias", "prefill_spread",
                                                        "prefill_bias", "stage_us", "pace")}}

"""Synthetic profiling figures and the plain-language advice that the diagnosis rules draw from them.

A report is made from its cause, so the right answer is known. The rules, in order of precedence, are in
`RULES`; `diagnose` applies them to any set of figures and the generator checks itself with it. Every
figure in an advice is copied from the report: the product drops sentences whose figures are not there.
"""
import json

from . import phrasing as p

MODELS = ["llama-3.1-8b-4bit", "llama-3.2-1b-4bit", "llama-3.2-3b-4bit", "qwen3-0.6b-4bit", "qwen3-4b-8bit", "qwen3-30b-a3b-4bit", "mistral-7b-4bit", "builtin", "qwen2.5-7b-4bit", "my-model"]

# (cause, does it hold?) in order of precedence: a disturbed measurement hides everything below it.
RULES = [
    ("swapping", lambda r: r["major_faults"] > 0),
    ("throttled", lambda r: r["throttled_pct"] > 1),
    ("oversubscription", lambda r: r["threads"] > r["cores"]),
    ("thermal", lambda r: r["temperature_c"] >= 83),
    ("noisy_neighbour", lambda r: r["steal_pct"] >= 5),
    ("unstable", lambda r: r["cv_pct"] > 20),
    ("interference", lambda r: r["p99_over_p50"] > 3),
    ("memory_bandwidth", lambda r: r["mbu_pct"] >= 75),
    ("headroom", lambda r: r["mbu_pct"] >= 50),
    ("overhead", lambda r: True),
]
CAUSES = [name for name, _ in RULES]

ADVICE = {
    "swapping": ["The principal bottleneck is swapping: {major_faults} major faults happened during decode, so weights had to come from disk. Use a smaller quantization, a shorter context or more memory."],
    "throttled": ["The principal bottleneck is the CPU quota: {throttled_pct} % of the periods were throttled. Set the threads to the quota or raise it."],
    "oversubscription": ["The principal bottleneck is oversubscription: {threads} threads run on {cores} cores and wait for each other. Try --threads {cores}."],
    "thermal": ["The principal bottleneck is heat: the chip reached {temperature_c} degrees and slows itself down. Let it cool and use fewer threads."],
    "noisy_neighbour": ["The principal bottleneck is a noisy neighbour: {steal_pct} % of the CPU time was stolen by other machines. Repeat the run at a quiet time."],
    "unstable": ["The measurement is unstable: the repeats differ by {cv_pct} %, so there is no verdict. Close other programs and repeat the run."],
    "interference": ["The principal bottleneck is interference: the slowest gaps are {p99_over_p50} times longer than the usual ones. Close other programs and limit concurrency."],
    "memory_bandwidth": ["The principal bottleneck is memory bandwidth: decode uses {mbu_pct} % of it and is at the memory wall. Use a smaller quantization or serve several sequences per step."],
    "headroom": ["Decode is limited by memory bandwidth with some headroom: it uses {mbu_pct} % of it. A smaller quantization helps most, and a sweep of the threads may bring a little."],
    "overhead": ["The principal bottleneck is per-step overhead: decode uses only {mbu_pct} % of the memory bandwidth. Try fewer threads or serve several sequences per step."],
}
SHORT = {
    "swapping": "Memory is too small: it swaps.", "throttled": "The CPU quota throttles it.", "oversubscription": "Too many threads for the cores.", "thermal": "It is too hot.",
    "noisy_neighbour": "Other machines take CPU time.", "unstable": "Too unstable for a verdict.", "interference": "Other work disturbs it.",
    "memory_bandwidth": "Memory bandwidth is the limit.", "headroom": "Memory bandwidth is the limit, with some headroom.", "overhead": "Per-step overhead is the limit.",
}
NAMES = {"swapping": "swapping", "throttled": "CPU quota", "oversubscription": "oversubscription", "thermal": "heat", "noisy_neighbour": "noisy neighbour", "unstable": "unstable",
         "interference": "interference", "memory_bandwidth": "memory bandwidth: decode uses", "headroom": "with some headroom", "overhead": "per-step overhead"}
ASK = ["Explain this report.", "What does this report say?", "What is the bottleneck?", "Please explain these figures.", "What should I do?", "Put this into words.", "Summarize this profiling report.",
       "Give me advice on this result.", "Why is it slow?", "What limits this model?", "Narrate this report.", "Here is my profiling result.", "What do these numbers mean?", "Diagnose this run."]


def diagnose(report):
    return next(name for name, holds in RULES if holds(report))


def figures(rng, cause):
    """Figures of a run whose principal bottleneck is `cause`."""
    r = {"model": rng.choice(MODELS), "decode_tok_s": round(rng.choice([rng.uniform(1, 12), rng.uniform(8, 60), rng.uniform(40, 400)]), 1)}
    r["prefill_tok_s"] = round(r["decode_tok_s"] * rng.uniform(2, 20))
    r["ttft_ms"] = rng.randint(20, 9000)
    r["mbu_pct"] = rng.randint(5, 97)
    r["mfu_pct"] = rng.randint(10, 80)
    r["cores"] = rng.choice([1, 2, 4, 6, 8, 10, 12, 16, 24, 32])
    r["threads"] = rng.choice([r["cores"], r["cores"], max(1, r["cores"] // 2)])
    r["throttled_pct"] = 0
    r["steal_pct"] = rng.choice([0, 0, 0, 1, 2, 3])
    r["p99_over_p50"] = round(rng.uniform(1.0, 2.9), 1)
    r["major_faults"] = 0
    r["temperature_c"] = rng.randint(38, 80)
    r["cv_pct"] = round(rng.uniform(0.4, 12), 1)
    low = {"mbu_pct": rng.randint(4, 60)}  # disturbed runs rarely use the memory well
    change = {
        "swapping": {"major_faults": rng.choice([rng.randint(12, 400), rng.randint(400, 90000)]), **low},
        "throttled": {"throttled_pct": rng.randint(2, 95), **low},
        "oversubscription": {"threads": r["cores"] * rng.choice([2, 2, 4]) if rng.random() < 0.6 else r["cores"] + rng.choice([1, 2, 4, 8, 16])},
        "thermal": {"temperature_c": rng.randint(83, 105)},
        "noisy_neighbour": {"steal_pct": rng.randint(5, 60), **low},
        "unstable": {"cv_pct": round(rng.uniform(20.1, 80), 1)},
        "interference": {"p99_over_p50": round(rng.choice([rng.uniform(3.1, 10), rng.uniform(10, 60)]), 1)},
        "memory_bandwidth": {"mbu_pct": rng.randint(75, 98)}, "headroom": {"mbu_pct": rng.randint(50, 74)}, "overhead": {"mbu_pct": rng.randint(2, 49)},
    }[cause]
    r.update(change)
    assert diagnose(r) == cause, (cause, r)
    return r


def as_text(rng, report, style=None):
    """The figures as a user or the product would send them: lines (the product's form), JSON or prose."""
    style = style or rng.choices(["lines", "json", "prose"], [70, 12, 18])[0]
    if style == "lines":
        return "\n".join(f"{k}: {v}" for k, v in report.items())
    if style == "json":
        return json.dumps(report)
    return ", ".join(f"{k.replace('_pct', '').replace('_', ' ')} {v}{' %' if k.endswith('_pct') else ''}" for k, v in report.items())


def advice(rng, report, cause):
    head = rng.choice(["{model} decodes at {decode_tok_s} tok/s.", "{model} decodes at {decode_tok_s} tok/s and needs {ttft_ms} ms to the first token."])
    return (head + " " + rng.choice(ADVICE[cause])).format(**report)


class Reports:
    def turn(self, rng, style=None, plain=False):
        """(question, answer, cause); `plain` = all figures in the product's own form, as evaluated."""
        cause = rng.choice(CAUSES)
        report = figures(rng, cause)
        shown = dict(report)
        if not plain:
            needed = {"model", "decode_tok_s", "ttft_ms", "mbu_pct", "threads", "cores"}
            if rng.random() < 0.4:  # real reports lack figures; those that raise no alarm may be missing
                for key in list(shown):
                    if key not in needed and "{" + key + "}" not in ADVICE[cause][0] and rng.random() < 0.4:
                        del shown[key]
            if rng.random() < 0.2:
                shown["bottleneck"] = cause
        text = as_text(rng, shown, style)
        ask = p.casual(rng, rng.choice(ASK), 0.6)
        q = f"{ask}\n{text}" if plain or rng.random() < 0.6 else f"{text}\n{ask}" if rng.random() < 0.6 else text
        return q, advice(rng, report, cause), cause

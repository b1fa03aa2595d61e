"""Engines that run one and the same model, each in a process of its own, for bench/compare and the acceptance checks.

Every engine loads the model, reads a prompt of random tokens and generates: once to warm up where its own tool does so,
then timed. What it tells is its own tool's figure. Memory is the process's peak resident set, weights included."""
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

from common import interval, measured

class Llmind:
    """`llmind bench` on one backend."""

    def __init__(self, program, backend):
        self.name, self.program, self.backend = f"llmind {backend}", program, backend

    def unavailable(self):
        if self.backend == "mlx" and not list(Path(self.program).parent.glob("libllmind_mlx.*")):
            return "this build has no mlx backend (scripts/bootstrap mlx, then make build)"
        return None

    def version(self):
        return subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]

    def run(self, model, prompt, generate):
        text, peak = measured([self.program, "bench", model, "-p", prompt, "-n", generate, "-r", 1, "-o", "json",
                               "--prefill-chunk", max(prompt, 1), "--backend", self.backend])
        prefill, decode = (row["samples_ts"][0] for row in json.loads(text))
        return {"prefill_tok_s": prefill, "decode_tok_s": decode, "peak_bytes": peak}


class MlxLm:
    """mlx-lm's own benchmark, of the Python that runs this."""

    name = "mlx-lm"

    def unavailable(self):
        try:
            importlib.metadata.version("mlx-lm")
        except importlib.metadata.PackageNotFoundError:
            return "mlx-lm is not installed for this Python: use .venv/bin/python (scripts/bootstrap test)"
        return None

    def version(self):
        return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("mlx-lm", "mlx"))

    def run(self, model, prompt, generate):
        text, peak = measured([sys.executable, "-m", "mlx_lm", "benchmark", "--model", model, "-p", prompt, "-g", generate, "-n", 1],
                              environment={"HF_HUB_OFFLINE": "1"})
        found = re.search(r"Trial 1: *prompt_tps=([\d.]+), generation_tps=([\d.]+)", text)
        if not found:
            raise RuntimeError(f"mlx_lm benchmark said: {text[-300:]}")
        return {"prefill_tok_s": float(found[1]), "decode_tok_s": float(found[2]), "peak_bytes": peak}


def engines(program):
    return [Llmind(program, "cpu"), Llmind(program, "mlx"), MlxLm()]


def interleaved(sides, model, prompt, generate, rounds):
    """{name: [figures of each round]}; the order turns around from round to round."""
    samples = {side.name: [] for side in sides}
    for i in range(rounds):
        for side in sides if i % 2 == 0 else reversed(sides):
            samples[side.name].append(side.run(model, prompt, generate))
    return samples


def ratio(ours, theirs, figure):
    """The mean of the rounds' ratios with its 95 % interval (Student), and the ratio of the medians."""
    mean, half = interval([a[figure] / b[figure] for a, b in zip(ours, theirs)])
    medians = statistics.median(s[figure] for s in ours) / statistics.median(s[figure] for s in theirs)
    return {"of_medians": round(medians, 4), "mean": round(mean, 4), "ci95": [round(mean - half, 4), round(mean + half, 4)]}

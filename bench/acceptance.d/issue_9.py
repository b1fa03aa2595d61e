"""Issue H: MLX as a backend, against mlx-lm, which drives the same library from Python."""
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import peers  # noqa: E402

ROUNDS = max(5, int(os.environ.get("LLMIND_PAIRS", "10")))
CYCLES, PROBE = 100, "tests/test_engine_mlx"


def speed(run):
    """The mlx backend runs at 0.95 or more of mlx-lm's own speed, prefill and decode, on the same shapes."""
    ours, theirs = peers.Llmind(run.program, "mlx"), peers.MlxLm()
    for side in (ours, theirs):
        if why := side.unavailable():
            raise RuntimeError(f"{side.name}: {why}")
    found, samples = {}, {}
    for shape, prompt, generate in (("tiny-llama", 128, 64), ("qwen3-0.6b", 16, 8)):
        model = run.model(shape, "--bits", "4")
        rows = peers.interleaved([ours, theirs], model, prompt, generate, ROUNDS)
        samples[shape] = rows
        found[shape] = {figure: peers.ratio(rows[ours.name], rows[theirs.name], figure)
                        for figure in ("prefill_tok_s", "decode_tok_s", "peak_bytes")}
    met = all(found[shape][figure]["of_medians"] >= 0.95 for shape in found for figure in ("prefill_tok_s", "decode_tok_s"))
    return {"passed": met, "bar": 0.95, "rounds": ROUNDS, **found, "versions": {s.name: s.version() for s in (ours, theirs)},
            "samples": samples}


def cycles(run):
    """Loaded and unloaded 100 times in one process: less than 8 MiB more than after the fifth time, and no thread more."""
    probe = Path(run.program).parent / PROBE
    done = subprocess.run([probe], capture_output=True, text=True, timeout=1800, env=os.environ | {"LLMIND_CYCLES": str(CYCLES)})
    told = re.search(r"cycles: (\d+), grown by (-?\d+) bytes since the \d+th, threads (\d+) then and (\d+) now", done.stdout + done.stderr)
    if not told:
        raise RuntimeError(f"{probe}: exit {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
    return {"passed": done.returncode == 0 and int(told[1]) == CYCLES, "cycles": int(told[1]), "grown_bytes": int(told[2]),
            "threads": [int(told[3]), int(told[4])]}


cycles.needs = (PROBE,)

CHECKS = {check.__name__: check for check in (speed, cycles)}

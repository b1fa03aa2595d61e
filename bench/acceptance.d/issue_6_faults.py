"""The fault bench: every condition of tests/faults/conditions.py, several times, and the healthy control."""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/faults"))
from conditions import CONDITIONS, Bench, Unavailable  # noqa: E402

TIMES = int(os.environ.get("LLMIND_TIMES", "5"))


def faults(run):
    """The principal cause is right in 95 % of the runs, and nothing else is accused of being High."""
    bench = Bench(run.program, run.work, os.environ.get("LLMIND_BUILTIN", run.root / "models/builtin"))
    rows, unavailable = [], {}
    for _ in range(TIMES):  # in turn: a bad minute of the host then concerns several conditions a little
        for condition in CONDITIONS:
            try:
                report = bench.run(condition)
            except Unavailable as reason:
                unavailable[condition.name] = str(reason)
                continue
            found = [(b["id"], b["severity"], b["principal"]) for b in report["analysis"]["bottlenecks"]]
            rows.append({"condition": condition.name, "wrong": condition.judge(report), "found": found})
    right = sum(not row["wrong"] for row in rows)
    by_condition = {c.name: [sum(not r["wrong"] for r in rows if r["condition"] == c.name),
                             sum(r["condition"] == c.name for r in rows)] for c in CONDITIONS}
    return {"passed": bool(rows) and right >= 0.95 * len(rows), "bar": 0.95, "right": right, "of": len(rows),
            "by_condition": by_condition, "unavailable": unavailable, "samples": rows}

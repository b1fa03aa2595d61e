"""The diagnosis finds what is wrong, and nothing when nothing is: a few conditions of the bench (conditions.py).

All of them, five times each: `make acceptance ISSUE=6`.
"""

import pytest
from conditions import CONDITIONS, Bench, Unavailable
from conftest import api

HERE = [c for c in CONDITIONS if c.name in ("healthy", "cpu_quota", "threads_beyond_cores", "bursts")]
SANITIZED = api.BUILD.name != "build"


@pytest.mark.skipif(SANITIZED, reason="the sanitizers' speed says nothing")
@pytest.mark.parametrize("condition", HERE, ids=lambda c: c.name)
def test_the_cause_is_named_and_nothing_else(condition, tmp_path):
    bench = Bench(api.PROGRAM, tmp_path, api.BUILTIN)
    try:
        report = bench.run(condition)
    except Unavailable as reason:
        pytest.skip(str(reason))
    wrong = condition.judge(report)
    # Others who use this very machine meanwhile are no invention: what the sensors counted of them stands in the report.
    found = {b["id"] for b in report["analysis"]["bottlenecks"]}
    disturbed = found & {"busy_host", "steal", *(["itl_tail"] if condition.name == "healthy" else [])} - condition.expects
    if wrong and disturbed:
        pytest.skip(f"this machine was not quiet: {sorted(disturbed)}")
    assert not wrong, (wrong, report["analysis"]["bottlenecks"], report["analysis"]["quality"])

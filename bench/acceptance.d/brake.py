"""Plants a slowdown:  brake.py PID NAME SHARE stops those measuring processes of the run PID that have a file of NAME mapped,
for SHARE of the time, until the run is over. Prints the share of their time for which they were stopped indeed.

A process of its own: in a thread of the caller the turns of Python's lock would stretch the periods."""
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "faults"))
from conditions import labs_of  # noqa: E402

PERIOD_S, LOOK_S = 0.02, 0.2


def send(pids, sign):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)


def victims_of(run, name):
    found = []
    for pid in labs_of(run):
        with contextlib.suppress(OSError):
            if any(name in os.readlink(link) for link in Path(f"/proc/{pid}/map_files").iterdir()):
                found.append(pid)
    return found


def main(run, name, share):
    victims, looked, stopped, braked = [], 0.0, 0.0, 0.0
    while Path(f"/proc/{run}").exists():
        start = time.monotonic()
        if start - looked > LOOK_S:
            victims, looked = victims_of(run, name), start
        if not victims:
            time.sleep(PERIOD_S)
            continue
        start = time.monotonic()
        send(victims, signal.SIGSTOP)
        # what the last periods were short of, or over, is made up for in this one
        time.sleep(max(0.0, share * (braked + PERIOD_S) - stopped))
        send(victims, signal.SIGCONT)
        let_go = time.monotonic()
        time.sleep(max(0.0, start + PERIOD_S - let_go))
        if time.monotonic() - looked > LOOK_S:
            victims, looked = victims_of(run, name), time.monotonic()
        stopped += let_go - start
        braked += time.monotonic() - start
    print(stopped / braked if braked else 0.0)


main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))

"""What every measurement here works with: the program, models made for it, the machine, the commit, intervals."""
import os
import platform
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# the two-sided 95 % quantiles of Student's t, by degrees of freedom
STUDENT = {4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145,
           15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 21: 2.080, 22: 2.074, 23: 2.069, 24: 2.064,
           25: 2.060, 27: 2.052, 29: 2.045}


def interval(values):
    """Mean and half the width of its 95 % interval, of five values or more."""
    t = STUDENT[max(k for k in STUDENT if k < len(values))]
    return statistics.mean(values), t * statistics.stdev(values) / len(values) ** 0.5


def lanes():
    """The processors of every lane of LLMIND_LANES ("0-3:4,6"): what may be measured side by side. All of them, where it is
    not set, are one lane."""
    found = []
    for lane in filter(None, os.environ.get("LLMIND_LANES", "").split(":")):
        ends = [list(map(int, part.split("-"))) for part in lane.split(",")]
        found.append([cpu for end in ends for cpu in range(end[0], end[-1] + 1)])
    return found or [sorted(os.sched_getaffinity(0))]


def side_by_side(work, items):
    """[work(item) of every item], a thread to a lane: pinned to its processors, as the programs are that it starts."""
    free = queue.SimpleQueue()
    for lane in lanes():
        free.put(lane)
    with ThreadPoolExecutor(free.qsize(), initializer=lambda: os.sched_setaffinity(0, free.get())) as pool:
        return list(pool.map(work, items))


def measured(command, timeout=1800, environment=None):
    """Standard output, and the peak resident memory in bytes."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                   env=os.environ | (environment or {}))
        deadline = time.monotonic() + timeout
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {process.returncode}: {err.read().strip()[-500:]}")
        return out.read(), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # bytes there, KiB here


class Run:
    """What a check has to work with."""

    def __init__(self, program, work):
        self.program, self.work, self.root = program, work, ROOT

    def llmind(self, *arguments, timeout=1800):
        """Runs the program and returns its standard output; a failure is an exception with its message."""
        return self.llmind_measured(*arguments, timeout=timeout)[0]

    def llmind_measured(self, *arguments, timeout=1800):
        """The same, with the peak resident memory of the process in bytes."""
        return measured([self.program, *arguments], timeout)

    def model(self, shape, *options):
        """The folder of a synthetic model, made when it is not there."""
        folder = self.work / "-".join([shape, *(o.lstrip("-") for o in options)])
        if not folder.exists():
            self.llmind("synth", shape, *options, folder)
        return folder


def machine():
    name = "unknown"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        name = platform.processor() or name
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cpu": name, "cores": os.cpu_count(), "memory_bytes": pages, "os": f"{platform.system()} {platform.release()}",
            "load_average": os.getloadavg()}


def commit(program):
    """What the program was built from; of this checkout where it does not say."""
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    built = re.search(r"\(([0-9a-f]{7,40})(-dirty)?\)", version)
    if built:
        return {"commit": built[1], "dirty": bool(built[2])}

    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    return {"commit": git("rev-parse", "HEAD") or None, "dirty": bool(git("status", "--porcelain"))}

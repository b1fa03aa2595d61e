"""Issue I: models of the hub and their conversion."""
import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

REPEATS = 5
PIECE = 8 << 20
FAST_ENOUGH = 0.8


def forget(path):
    """Out of the page cache, once it is on the disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_rate(path, cold):
    """Bytes per second; cold: from the disk, else out of the page cache into one buffer."""
    if cold:
        forget(path)
    buffer, done = bytearray(PIECE), 0
    start = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while n := file.readinto(buffer):
            done += n
    return done / (time.monotonic() - start)


def write_rate(path, size):
    """Bytes per second into a new file, as a program sees it that does not wait for the disk."""
    block = os.urandom(PIECE)
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // PIECE):
            file.write(block)
    took = time.monotonic() - start
    path.unlink()
    return size // PIECE * PIECE / took


def memory(run):
    """Conversion needs the memory of its largest tensor at most: the peak of what is not the files' own pages."""
    source, target = run.model("llama-3.2-1b", "--bits", "16"), run.work / "converted"
    largest = 2 * 128256 * 2048  # the embedding, bf16
    process = subprocess.Popen([run.program, "convert", source, "--bits", "4", target], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        peak = max(peak, int(found[1]) * 1024 if found else 0)
        time.sleep(0.005)
    for path in target.iterdir():
        path.unlink()
    target.rmdir()
    return {"passed": process.returncode == 0 and 0 < peak <= largest, "bar_bytes": largest, "peak_anonymous_bytes": peak}


def convert(run):
    """4-bit conversion takes no longer than the slower of disk and memory allows, at 80 % of its speed."""
    source = run.model("llama-3.2-1b", "--bits", "16")
    weights = max(source.glob("model*.safetensors"), key=lambda path: path.stat().st_size)
    rows = []
    for _ in range(REPEATS):
        row = {"disk_read": read_rate(weights, True), "memory_read": read_rate(weights, False)}
        target = run.work / "converted"
        for cold in (True, False):
            if cold:
                forget(weights)
            else:
                read_rate(weights, False)
            report = json.loads(run.llmind("convert", source, "--bits", 4, "--json", target))
            row["cold_s" if cold else "warm_s"] = report["seconds"]
            for path in target.iterdir():
                path.unlink()
            target.rmdir()
        row["write"] = write_rate(run.work / "written", report["tensor_bytes"])
        for name, rate in (("cold", min(row["disk_read"], row["memory_read"])), ("warm", row["memory_read"])):
            least = max(report["source_bytes"] / rate, report["tensor_bytes"] / row["write"])
            row[f"{name}_share"] = least / row[f"{name}_s"]
        rows.append(row)
    shares = {name: statistics.median(row[name] for row in rows) for name in ("cold_share", "warm_share")}
    return {"passed": shares["cold_share"] >= FAST_ENOUGH, "bar": FAST_ENOUGH, **{k: round(v, 3) for k, v in shares.items()},
            "read_gb_s": round(statistics.median(report["source_bytes"] / row["warm_s"] for row in rows) / 1e9, 2),
            "threads": report["threads"], "samples": rows}


CHECKS = {check.__name__: check for check in (convert, memory)}

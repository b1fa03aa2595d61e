"""Issue I: models of the hub, their conversion, and answers that are guessed ahead."""
import collections
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from issue_3 import Server  # noqa: E402

REPEATS = 5
PIECE = 8 << 20
FAST_ENOUGH = 0.8
PROMPTS, DRAWS, CHOICES, CLIENTS = 1000, 20000, 8, 4
GUESSED = "the KV cache keeps keys and values; the KV cache keeps keys and values; the KV cache keeps"


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


def ask(port, bodies):
    """What /v1/completions answers to each, in order; several at a time."""
    def one(body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        try:
            connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text[:300]
            return json.loads(text)
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, bodies))


def beside(run, bodies):
    """The answers without guesses and with them (from the text so far), and how many guesses there were and were right."""
    answers = {}
    for lookup in (0, 8):
        with Server(run, "--prompt-lookup", str(lookup)) as server:
            answers[lookup] = ask(server.port, bodies[lookup])
    timings = [answer["timings"] for answer in answers[8]]
    guesses = [sum(t.get(name, 0) for t in timings) for name in ("draft_n", "draft_n_accepted")]
    return answers[0], answers[8], guesses


def lookup(run):
    """Guessing changes no word of 1,000 greedy answers."""
    folder = run.root / "models" / "builtin" / "train" / "heldout"
    questions = [line.partition("|")[2].strip() for path in sorted(folder.glob("*.txt")) for line in path.read_text().splitlines()
                 if line.strip() and not line.startswith("#")]
    prompts = [f"{question} {question} {question[:len(question) // 2]}" for question in questions]
    prompts = (questions + prompts)[:PROMPTS]
    bodies = [{"model": "builtin", "prompt": prompt, "temperature": 0, "max_tokens": 48} for prompt in prompts]
    plain, guessed, (drafted, accepted) = beside(run, {0: bodies, 8: bodies})
    equal = sum(a["choices"][0]["text"] == b["choices"][0]["text"] for a, b in zip(plain, guessed))
    return {"passed": equal == len(prompts) == PROMPTS and accepted > 0, "bar": f"{PROMPTS} of {PROMPTS}", "equal": equal,
            "drafted": drafted, "accepted": accepted}


def chi_square(a, b):
    """Of two histograms of as many draws each: the statistic, degrees of freedom, and what 1 % of them exceed (Wilson and
    Hilferty's approximation). What is rarer than five draws on average is one bin together."""
    bins, rare = [], [0, 0]
    for key in a.keys() | b.keys():
        if a[key] + b[key] >= 10:
            bins.append((a[key], b[key]))
        else:
            rare = [rare[0] + a[key], rare[1] + b[key]]
    bins += [tuple(rare)] * (sum(rare) > 0)
    freedom = max(1, len(bins) - 1)
    part = 2 / (9 * freedom)
    return sum((x - y) ** 2 / (x + y) for x, y in bins), freedom, freedom * (1 - part + 2.326 * part ** 0.5) ** 3


def sampling(run):
    """With sampling, 20,000 answers of three tokens are distributed as without guesses: a chi-square test, at 1 %."""
    def bodies(first_seed):
        return [{"model": "builtin", "prompt": GUESSED, "temperature": 1, "max_tokens": 3, "n": CHOICES, "seed": first_seed + i * CHOICES}
                for i in range(DRAWS // CHOICES)]

    plain, guessed, (drafted, accepted) = beside(run, {0: bodies(1), 8: bodies(1 + DRAWS)})
    counts = [collections.Counter(choice["text"] for answer in side for choice in answer["choices"]) for side in (plain, guessed)]
    statistic, freedom, limit = chi_square(*counts)
    return {"passed": statistic <= limit and accepted > 0 and all(c.total() == DRAWS for c in counts), "bar": round(limit, 1),
            "chi_square": round(statistic, 1), "degrees_of_freedom": freedom, "different": [len(c) for c in counts],
            "drafted": drafted, "accepted": accepted, "samples": [c.most_common(50) for c in counts]}


CHECKS = {check.__name__: check for check in (convert, memory, lookup, sampling)}

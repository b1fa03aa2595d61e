"""Issue C: the profiler, held against other people's clocks and against itself."""
import contextlib
import http.client
import json
import math
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from common import lanes, side_by_side  # noqa: E402
from issue_3 import Server, confidence  # noqa: E402
from issue_4_foreign import foreign  # noqa: E402

PAIRS = int(os.environ.get("LLMIND_PAIRS", "12"))
TRIALS = int(os.environ.get("LLMIND_TRIALS", "20"))
SLOWED = int(os.environ.get("LLMIND_SLOWED", "10"))
QUICK_BUDGET_S = 60


def profile(run, *options, home=None, timeout=1800):
    """The JSON report of `llmind profile`, kept out of the history of whoever runs this."""
    with tempfile.TemporaryDirectory(prefix="llmind-acceptance-") as folder:
        environment = os.environ | {"XDG_DATA_HOME": home or folder}
        done = subprocess.run([run.program, "profile", *map(str, options), "--json"], env=environment, text=True,
                              capture_output=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"profile {' '.join(map(str, options))}: exit {done.returncode}: {done.stderr[-600:]}")
        return json.loads(done.stdout)


def test_of(report, kind, depth=None):
    return next(t for t in report["tests"] if t["kind"] == kind and (depth is None or t.get("depth") == depth))


def quick(run):
    """`llmind profile builtin --quick`, everything included, is over within 60 s."""
    took = []
    for _ in range(3):
        start = time.monotonic()
        report = profile(run, "builtin", "--quick")
        took.append(time.monotonic() - start)
        assert report["status"] == "success" and report["analysis"] and report["configurations"], report["status"]
    return {"passed": max(took) <= QUICK_BUDGET_S, "bar_s": QUICK_BUDGET_S, "took_s": [round(t, 1) for t in took],
            "cuts": report["protocol"]["cuts"]}


def segments(run):
    """The segments of a traced step add up to 97 % of it or more."""
    covered = {}
    for name in ("builtin", run.model("llama-3.2-1b", "--bits", "4")):
        report = profile(run, name, "--quick", "--configurations", "none")
        covered[Path(str(name)).name] = [trace["covered_fraction"] for trace in report["traces"]]
    worst = min(min(c) for c in covered.values())
    return {"passed": worst >= 0.97, "bar": 0.97, "worst": round(worst, 4), "covered": covered}


def cost(run):
    """Profiling costs the decode 1 % or less: `profile` against `bench`, which samples no sensor, A B B A."""
    model = run.model("qwen3-0.6b", "--bits", "4")
    monitor_costs = []  # quick runs: the nearer the two of a pair are in time, the less the machine changes

    def plain():
        row, = json.loads(run.llmind("bench", model, "-p", 0, "-n", 128, "-r", 3, "-o", "json"))
        return statistics.median(row["samples_ts"])

    def profiled():
        report = profile(run, model, "--quick", "--configurations", "none", "--prompt", "a", "--max-tokens", 8)
        monitor_costs.append(report["sensors"]["cpu_cost_fraction"])
        return test_of(report, "decode", 0)["summary"]["decode_tokens_per_second"]["median"]

    def block(_):
        a1, b1, b2, a2 = plain(), profiled(), profiled(), plain()
        return b1 / a1, b2 / a2

    ratios = [ratio for pair in side_by_side(block, range(PAIRS // 2)) for ratio in pair]
    mean, lower = confidence(ratios)
    return {"passed": max(mean, statistics.median(ratios)) >= 0.99 and lower >= 0.97, "bar": "0.99, lower bound 0.97",
            "mean_ratio": round(mean, 4), "median_ratio": round(statistics.median(ratios), 4), "ci95_lower": round(lower, 4),
            "monitor_cpu_cost": statistics.median(monitor_costs), "samples": ratios}


class Tap(threading.Thread):
    """A proxy that stamps what passes, on a clock of its own: the independent client. One request at a time."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target, self.requests = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.answers, args=(server, client), daemon=True).start()
            while data := client.recv(1 << 20):
                if data.startswith(b"POST "):
                    self.requests.append({"sent": time.monotonic(), "chunks": []})
                server.sendall(data)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)

    def answers(self, server, client):
        rest = b""
        while True:
            try:
                data = server.recv(1 << 20)
            except OSError:
                return
            now = time.monotonic()
            # now: as soon as the client has the end of this one, it sends the next
            request = self.requests[-1] if self.requests else None
            if not data:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)
                return
            with contextlib.suppress(OSError):
                client.sendall(data)
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                at = event.find(b"data: {")
                if at < 0 or not request:
                    continue
                with contextlib.suppress(ValueError):
                    body = json.loads(event[at + 6:].split(b"\r\n")[0])
                    if body.get("usage"):
                        request["usage"] = body["usage"]
                    if any(c.get("delta", {}).get("content") or c.get("delta", {}).get("reasoning_content") or c.get("text")
                           for c in body.get("choices", [])):
                        request["chunks"].append(now)


FIGURES = ("ttft_ms", "decode_tokens_per_second", "itl_p50_ms", "itl_p90_ms")


def percentile(values, p):
    """Linear between the two nearest ranks, as NumPy's default and the program's (profile/stats.h)."""
    values = sorted(values)
    at = p / 100 * (len(values) - 1)
    below = values[math.floor(at)]
    return below + (values[math.ceil(at)] - below) * (at - math.floor(at))


def figures_of(request):
    """What the proxy saw; without a gap between chunks it is the first token and the counts alone."""
    chunks, usage = request["chunks"], request["usage"]
    figures = {"chunks": len(chunks), "generated_tokens": usage["completion_tokens"], "prompt_tokens": usage["prompt_tokens"],
               "ttft_ms": (chunks[0] - request["sent"]) * 1e3 if chunks else None}
    if len(chunks) > 1:
        gaps = [(b - a) * 1e3 for a, b in zip(chunks, chunks[1:])]
        figures |= {"decode_tokens_per_second": (usage["completion_tokens"] - 1) / (chunks[-1] - chunks[0]),
                    "itl_p50_ms": percentile(gaps, 50), "itl_p90_ms": percentile(gaps, 90)}
    return figures


def why_null(name, match):
    """Whether our null is right: a gap where several tokens came in one chunk, a rate where there is no gap at all."""
    return name.startswith("itl") and match["chunks"] != match["generated_tokens"] or match["chunks"] < 2


def stamps(run):
    """The same requests, stamped by a proxy and by us: within 3 % or 2 ms; token counts exact."""
    model = run.model("llama-3.2-1b", "--bits", "4")
    with Server(run, "--allow-host", "127.0.0.1", model=model) as server:
        tap = Tap(server.port)
        report = profile(run, "--target", f"http://127.0.0.1:{tap.port}", "--allow-local", "--target-model", model.name,
                         "--repeats", 3, "--max-tokens", 64)
        tap.listener.close()
    ours = [sample for test in report["tests"] for sample in [test["warmup"], *test["samples"]]]
    theirs = [figures_of(r) for r in tap.requests if "usage" in r]
    worst, unknown, fine, counts, with_itl = {}, {}, True, 0, 0
    # the same requests in the same order; a probe request of ours may come before them
    pairs = list(zip(ours, theirs[len(theirs) - len(ours):])) if len(theirs) >= len(ours) else []
    for sample, match in pairs:
        counts += match["generated_tokens"] == sample["generated_tokens"] and match["prompt_tokens"] == sample["prompt_tokens"]
        with_itl += sample["itl_p50_ms"] is not None
        for name in FIGURES:
            if sample[name] is None:
                unknown[name] = sample[name + "_reason"]
                fine &= why_null(name, match)
                continue
            off = abs(match[name] / sample[name] - 1)
            fine &= off <= 0.03 or (name.endswith("_ms") and abs(match[name] - sample[name]) <= 2)
            worst[name] = max(worst.get(name, 0), round(off, 4))
    return {"passed": fine and counts == len(pairs) >= 10 and with_itl >= 10, "bar": "3 % or 2 ms", "ours": len(ours),
            "seen": len(theirs), "compared": len(pairs), "with_itl": with_itl, "equal_counts": counts, "worst": worst,
            "unknown": unknown, "samples": {"ours": [{n: s[n] for n in (*FIGURES, "generated_tokens")} for s in ours],
                                            "proxy": theirs}}


def compare(run, a, b, slow=0.0):
    """`llmind compare A B`, five blocks; slow: B's process is stopped for this share of its time. Two of the
    same are compared by quick tests: the statistics are those of a full comparison, and what is shorter is each test."""
    with tempfile.TemporaryDirectory(prefix="llmind-acceptance-") as folder:
        command = [run.program, "compare", str(a), str(b), "--repeats", "5", "--json", *([] if slow else ["--quick"])]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env=os.environ | {"XDG_DATA_HOME": folder})
        brake = subprocess.Popen([sys.executable, Path(__file__).with_name("brake.py"), str(process.pid), str(b), str(slow)],
                                 text=True, stdout=subprocess.PIPE) if slow else None
        try:
            out = process.communicate(timeout=900)[0]
        except subprocess.TimeoutExpired:
            process.kill()  # and the brake ends with it
            raise
        entry = json.loads(out)["comparison"]["models"][1]
        return entry | {"stopped_pct": round(100 * float(brake.communicate(timeout=60)[0]), 2) if slow else 0}


def noise(run):
    """Two of the same never differ in 19 of 20 comparisons; one slowed by 10 % is found out in 9 of 10.

    LLMIND_TRIALS and LLMIND_SLOWED say how many of each. LLMIND_LANES="2,4:6,8" runs side by side, each on CPUs of its own."""
    model = run.model("qwen3-0.6b", "--bits", "4")
    twin = run.work / "qwen3-0.6b-linked"
    if not twin.exists():
        shutil.copytree(model, twin, copy_function=os.link)  # the very same pages: a copy's may lie in memory otherwise
    entries = side_by_side(lambda slow: compare(run, model, twin, slow), [0.0] * TRIALS + [0.1] * SLOWED)
    same, slowed = [entry["verdict"] for entry in entries[:TRIALS]], entries[TRIALS:]
    false_alarms = sum(v in ("higher", "lower") for v in same)
    found = sum(entry["verdict"] == "lower" for entry in slowed)
    return {"passed": false_alarms <= len(same) // 20 and found >= 0.9 * len(slowed), "bar": "1 in 20; 9 in 10",
            "false_alarms": false_alarms, "of": len(same), "found": found, "slowed": len(slowed),
            "lanes": len(lanes()), "changes_pct": [entry["change_pct"] for entry in slowed],
            "stopped_pct": [entry["stopped_pct"] for entry in slowed],
            "same_changes_pct": [entry["change_pct"] for entry in entries[:TRIALS]]}


def history(run):
    """500 stored runs: the history page and a diff in less than 50 ms each."""
    report = profile(run, "builtin", "--quick", "--configurations", "none", "--max-tokens", 16)
    with Server(run) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)

        def ask(method, path, body=None):
            start = time.monotonic()
            connection.request(method, path, json.dumps(body) if body else None,
                               {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status < 300, (path, answer.status, text[:300])
            return json.loads(text), (time.monotonic() - start) * 1e3

        for _ in range(500):
            ask("POST", "/api/profiling/import", report)
        pages, diffs = [], []
        for _ in range(20):
            page, ms = ask("GET", "/api/profiling/runs?limit=50")
            pages.append(ms)
            a, b = page["runs"][0]["id"], page["runs"][-1]["id"]
            diffs.append(ask("GET", f"/api/profiling/diff?a={a}&b={b}")[1])
    return {"passed": max(pages) < 50 and max(diffs) < 50, "bar_ms": 50, "page_ms": round(statistics.median(pages), 1),
            "page_max_ms": round(max(pages), 1), "diff_ms": round(statistics.median(diffs), 1),
            "diff_max_ms": round(max(diffs), 1)}


CHECKS = {check.__name__: check for check in (quick, segments, history, stamps, foreign, cost, noise)}

"""Issue B: the server under load, with clients that misbehave, and with processes that die."""
import contextlib
import functools
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2] / "tests" / "faults")]
from common import interval  # noqa: E402
from conditions import Group  # noqa: E402

CLIENTS = 64
LOAD_SECONDS = int(os.environ.get("LLMIND_LOAD_SECONDS", "600"))
PAIRS = int(os.environ.get("LLMIND_PAIRS", "12"))


class Server:
    """`llmind serve` on a free port with a data folder of its own."""

    def __init__(self, run, *options, model="builtin", env=None):
        self.data = tempfile.mkdtemp(prefix="llmind-acceptance-")
        self.log = open(os.path.join(self.data, "log"), "w+")
        self.port = free_port()
        command = [str(run.program), "serve", "--model", str(model), "--port", str(self.port), "--data-dir", self.data]
        self.process = subprocess.Popen([*command, *options], stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=os.environ | (env or {}))
        deadline = time.monotonic() + 120
        while self.health().get("status") != "ok":
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise RuntimeError(f"the server did not start: {self.log.read()[-800:]}")
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def get(self, path, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def health(self):
        try:
            return json.loads(self.get("/health", 2))
        except (OSError, ValueError, http.client.HTTPException):
            return {}

    def metric(self, name):
        """The sum of a metric over its labels."""
        values = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        return sum(map(float, values))

    def busy(self):
        return self.metric("llmind_active_sequences") + self.metric("llmind_queue_depth")

    def worker(self):
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                children = open(f"/proc/{self.process.pid}/task/{task}/children").read().split()
            except FileNotFoundError:  # a thread that has just ended
                continue
            if children:
                return int(children[0])
        return None

    def footprint(self):
        """Memory, descriptors and threads of parent and worker."""
        found = {}
        for name, pid in (("parent", self.process.pid), ("worker", self.worker())):
            status = open(f"/proc/{pid}/status").read()
            found[name] = {"rss_kb": int(re.search(r"VmRSS:\s+(\d+)", status)[1]),
                           "anonymous_kb": int(re.search(r"RssAnon:\s+(\d+)", status)[1]),
                           "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
                           "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}
        return found


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds, step=0.005):
    """Seconds it took, or None."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if condition():
            return time.monotonic() - start
        time.sleep(step)
    return None


def chat_body(prompt="Tell me a story about a fox.", **fields):
    return json.dumps({"model": "builtin", "messages": [{"role": "user", "content": prompt}], "stream": True,
                       "max_tokens": 200, "temperature": 0.8} | fields)


@functools.cache
def load_client(run):
    source, program = run.root / "bench" / "acceptance.d" / "load_client.c", run.work / "load_client"
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    subprocess.run([compiler, "-O2", "-std=c11", "-D_GNU_SOURCE", source, "-o", program], check=True)
    return program


def start_load(run, server, clients, seconds, requests=0, **fields):
    body = run.work / f"body-{random.randrange(1 << 30)}.json"
    body.write_text(chat_body(**fields))
    # into a file: a pipe that nobody reads while the load runs would stop it
    output = tempfile.TemporaryFile("w+")
    process = subprocess.Popen([load_client(run), str(server.port), str(clients), str(seconds), str(requests), body],
                               stdout=output)
    return process, output


def finish_load(load):
    process, output = load
    if process.wait():
        raise RuntimeError(f"the load client ended with {process.returncode}")
    output.seek(0)
    *requests, summary = map(json.loads, output)
    output.close()
    return requests, summary


def client_rates(requests):
    """Decode tok/s of each client over all its answers."""
    rates = {}
    for request in requests:
        if request["tokens"] > 1:
            tokens, seconds = rates.get(request["client"], (0, 0))
            rates[request["client"]] = (tokens + request["tokens"] - 1, seconds + request["last"] - request["first"])
    return [tokens / seconds for tokens, seconds in rates.values() if seconds > 0]


def load(run):
    """64 streaming clients: every answer ends properly, nothing grows after the first minute, and it is fair."""
    with Server(run) as server:
        clients = start_load(run, server, CLIENTS, LOAD_SECONDS)
        samples, start = [], time.monotonic()
        while clients[0].poll() is None and time.monotonic() - start < LOAD_SECONDS:
            samples.append({"s": round(time.monotonic() - start, 1)} | server.footprint())
            time.sleep(1)
        requests, summary = finish_load(clients)
        generated = server.metric("llmind_generated_tokens_total")
    served = [r for r in requests if r["status"] == 200]
    proper = all(r["done"] or r["error_event"] for r in served) and all(r["status"] in (200, 429, 503) for r in requests)
    rates = client_rates(served)
    settled = [s for s in samples if s["s"] >= min(60, LOAD_SECONDS / 3)]
    third = max(1, len(settled) // 3)

    def growth(process_name, key):
        def median(part):
            return statistics.median(s[process_name][key] for s in part)
        return median(settled[-third:]) - median(settled[:third])

    growths = {f"{p}_{k}": growth(p, k) for p in ("parent", "worker") for k in ("anonymous_kb", "threads", "descriptors")}
    steady = (growths["parent_anonymous_kb"] < 1024 and growths["worker_anonymous_kb"] < 1024
              and all(abs(growths[f"{p}_{k}"]) <= 2 for p in ("parent", "worker") for k in ("threads", "descriptors")))
    fairness = min(rates) / max(rates)
    return {"passed": proper and steady and fairness >= 0.8 and len(rates) == CLIENTS, "bar": "fairness 0.8, no growth",
            "seconds": LOAD_SECONDS, "answers": len(served), "refused": len(requests) - len(served), "all_ended": proper,
            "fairness": round(fairness, 3), "growth": growths, "steady": steady, "itl": summary,
            "tokens_per_second": round(sum(r["tokens"] for r in served) / LOAD_SECONDS, 1),
            "generated_by_metrics": generated, "samples": {"rates": rates, "footprint": samples[:: max(1, len(samples) // 60)]}}


def surplus(run):
    """1,000 requests at once: the surplus is refused at once, /health answers within 50 ms meanwhile."""
    with Server(run) as server:
        server.get("/health")
        latencies, stop = [], threading.Event()

        def poll():
            while not stop.is_set():
                start = time.monotonic()
                assert json.loads(server.get("/health"))["status"] == "ok"
                latencies.append((time.monotonic() - start) * 1e3)
                time.sleep(0.02)

        thread = threading.Thread(target=poll)
        thread.start()
        requests, _ = finish_load(start_load(run, server, 1000, 0, requests=1, max_tokens=100))
        stop.set()
        thread.join()
    refused = [r for r in requests if r["status"] in (429, 503)]
    served = [r for r in requests if r["status"] == 200]
    to_refusal = sorted(r["end"] - r["start"] for r in refused)
    median = statistics.median(latencies)
    p99 = float(np.percentile(latencies, 99))
    ok = len(refused) + len(served) == 1000 and refused and all(r["done"] for r in served) and max(latencies) <= 50
    return {"passed": bool(ok), "bar": "/health 50 ms", "served": len(served), "refused": len(refused),
            "health_ms": {"median": round(median, 2), "p99": round(p99, 2), "max": round(max(latencies), 2), "n": len(latencies)},
            "refusal_s": {"median": to_refusal[len(to_refusal) // 2] if refused else None,
                          "max": to_refusal[-1] if refused else None}, "samples": {"health_ms": latencies}}


# ---- clients that vanish ----

def post(server, body):
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    connection.sendall(head.encode() + body.encode())
    return connection


def leave(connection, how):
    if how == "fin":
        connection.close()
    elif how == "half_close":
        connection.shutdown(socket.SHUT_WR)
    elif how == "rst":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


LONG_PROMPT = "word " * 1500


def states(server):
    """For each state a client can vanish in: its body, and whether it has been reached."""
    def decoding():
        return server.metric("llmind_active_sequences") >= 1 and server.metric("llmind_generated_tokens_total") > states.before

    states.before = server.metric("llmind_generated_tokens_total")
    return {"decoding": (chat_body(ignore_eos=True, max_tokens=1500), decoding),
            "non_streaming": (chat_body(ignore_eos=True, max_tokens=1500, stream=False), decoding),
            "prefill": (chat_body(prompt=LONG_PROMPT, max_tokens=10), lambda: server.busy() >= 1)}


def killed_client(server, body):
    """A process that posts and reads; returned running, to be killed."""
    script = ("import socket,sys\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n"
              "s.sendall(sys.stdin.buffer.read())\nwhile s.recv(65536): pass\n")
    head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
    process = subprocess.Popen([shutil.which("python3"), "-c", script, str(server.port)], stdin=subprocess.PIPE)
    process.stdin.write(head.encode() + body.encode())
    process.stdin.close()
    return process


def vanish(run):
    """FIN, RST, half-close and kill -9; queued, in prefill, decoding, non-streaming: freed within 500 ms."""
    results, failures = [], []
    with Server(run, "--max-sequences", "1", "--prefill-chunk", "16") as server:
        for how in ("fin", "rst", "half_close", "kill"):
            for state in ("decoding", "non_streaming", "prefill", "queued"):
                for _ in range(3):
                    assert wait_until(lambda: server.busy() == 0, 10) is not None
                    blocker = None
                    if state == "queued":
                        blocker = post(server, chat_body(ignore_eos=True, max_tokens=1500))
                        wait_until(lambda: server.metric("llmind_active_sequences") == 1, 5)
                        body = chat_body(ignore_eos=True, max_tokens=1500)
                        reached = lambda: server.metric("llmind_queue_depth") == 1  # noqa: E731
                    else:
                        body, reached = states(server)[state]
                    client = killed_client(server, body) if how == "kill" else post(server, body)
                    was_reached = wait_until(reached, 5, 0.001) is not None
                    left_busy = 1 if blocker else 0
                    if how == "kill":
                        client.kill()
                        client.wait()
                    else:
                        leave(client, how)
                    seconds = wait_until(lambda: server.busy() <= left_busy, 5, 0.002)
                    results.append({"how": how, "state": state, "reached": was_reached, "freed_s": seconds})
                    if seconds is None or seconds > 0.5:
                        failures.append(results[-1])
                    if blocker:
                        blocker.close()
                    if how == "half_close":
                        client.close()
    return {"passed": not failures and sum(r["reached"] for r in results) >= 0.8 * len(results), "bar": "0.5 s",
            "worst_s": max((r["freed_s"] or 99) for r in results), "failures": failures, "samples": results}


def slow_reader(run):
    """A client that reads 1 byte/s is cut after about 10 s and costs the others less than 5 %."""
    ratios, cut_after = [], []

    def rate(server, seconds=8):
        requests, _ = finish_load(start_load(run, server, 4, seconds))
        return sum(r["tokens"] for r in requests) / max(r["last"] for r in requests)

    with Server(run) as server:
        rate(server, 2)
        for _ in range(5):
            before = rate(server)
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            connection.connect(("127.0.0.1", server.port))
            body = chat_body(ignore_eos=True, max_tokens=1800, logprobs=True, top_logprobs=20)
            connection.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: "
                                f"application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
            stop, cut = threading.Event(), []

            def sip():
                start = time.monotonic()
                with contextlib.suppress(OSError):
                    while not stop.is_set() and connection.recv(1):
                        time.sleep(1)
                        # what was buffered before the cut still arrives; the connection itself is gone
                        state = struct.unpack("B", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0]
                        if state != 1:
                            break
                if not stop.is_set():
                    cut.append(time.monotonic() - start)

            thread = threading.Thread(target=sip)
            thread.start()
            ratios.append(rate(server) / before)
            thread.join(20)
            stop.set()
            thread.join()
            connection.close()
            cut_after += cut
            assert wait_until(lambda: server.busy() == 0, 10) is not None, "the cut client still holds a sequence"
    ratio = statistics.median(ratios)
    return {"passed": ratio >= 0.95 and len(cut_after) == 5 and max(cut_after) < 16, "bar": 0.95,
            "median_ratio": round(ratio, 4), "cut_after_s": cut_after, "samples": ratios}


# ---- what the server costs ----

def stream_once(server, body):
    """(TTFT in s from the request's first byte, decode tok/s as the client sees it, the timings object)."""
    start = time.monotonic()
    connection = post(server, body)
    data, first, last, tokens, timings = b"", None, None, 0, None
    while True:
        part = connection.recv(65536)
        if not part:
            break
        t = time.monotonic()
        data += part
        *lines, data = data.split(b"\n")
        for line in lines:
            if line.startswith(b"data: [DONE]"):
                connection.close()
                return first - start, (tokens - 1) / (last - first), timings
            if line.startswith(b"data: ") and b'"content":' in line:
                tokens += 1
                first, last = first or t, t
            if b'"timings"' in line:
                timings = json.loads(line[6:])["timings"]
    raise RuntimeError("the stream ended without [DONE]")


def confidence(ratios):
    """Mean and the lower bound of its 95 % interval (Student)."""
    mean, half = interval(ratios)
    return mean, mean - half


def overhead_of(run, model, n_tokens, name, n_pairs=PAIRS):
    prompt = "Tell me a story about a fox."
    ratios, ttfts, beyond_engine = [], [], []
    with Server(run, model=model) as server:
        fields = dict(max_tokens=n_tokens, temperature=0, ignore_eos=True, cache_prompt=False, model=name)
        stream_once(server, chat_body(prompt, **fields))
        for i in range(n_pairs):
            def over_http():
                (request,), _ = finish_load(start_load(run, server, 1, 0, requests=1, prompt=prompt, **fields))
                ttft = request["first"] - request["start"]
                beyond_engine.append(ttft * 1e3 - request["engine_ttft_ms"])
                return (n_tokens - 1) / (request["last"] - request["first"]), ttft

            def alone():
                stats = json.loads(run.llmind("generate", model, "--chat", "-p", prompt, "-n", n_tokens, "--temp", "0",
                                              "--ignore-eos", "--json"))["timings"]
                return stats["decode_tokens_per_second"], stats["ttft_ms"] / 1e3

            order = (over_http, alone) if i % 2 else (alone, over_http)
            pair = {f.__name__: f() for f in order}
            ratios.append(pair["over_http"][0] / pair["alone"][0])
            ttfts.append((pair["over_http"][1] - pair["alone"][1]) * 1e3)
    mean, lower = confidence(ratios)
    return {"mean_ratio": round(mean, 4), "median_ratio": round(statistics.median(ratios), 4), "ci95_lower": round(lower, 4),
            "median_ttft_beyond_generate_ms": round(statistics.median(ttfts), 2),
            "median_ttft_overhead_ms": round(statistics.median(beyond_engine), 2), "samples": {"ratio": ratios, "ttft_ms": ttfts}}


def overhead(run):
    """One stream over HTTP decodes at >= 98 % of `llmind generate`, and its first token comes <= 5 ms after the engine's.

    Of a large model and of the built-in one, whose tokens take 0.4 ms each. The first token is held against the
    engine's own stamp: `generate` starts cold, which would hide what the server costs. The client is C: it shares the
    cores with the server, and what it takes is not the server's."""
    large = overhead_of(run, run.model("llama-3.2-1b", "--bits", "4"), 64, None)
    # a rate over half a second swings by 10 to 18 % even of `generate` alone with one thread on a quiet machine
    small = overhead_of(run, "builtin", 1000, "builtin", 10 * PAIRS)
    ok = all(max(m["mean_ratio"], m["median_ratio"]) >= 0.98 and m["ci95_lower"] >= 0.95 and
             m["median_ttft_overhead_ms"] <= 5 for m in (large, small))
    return {"passed": ok, "bar": "0.98, lower bound 0.95, 5 ms",
            "llama-3.2-1b": large, "builtin": small}


def barriers(run):
    """The compute pool beside 64 woken HTTP threads: steps as the engine times them, with and without the threads.

    64 streams are read from /api/performance/stream while one answer decodes; its tok/s is held against the same
    without them, in turn."""
    ratios = []
    model = run.model("llama-3.2-1b", "--bits", "4")
    with Server(run, model=model) as server:
        body = chat_body(max_tokens=48, temperature=0, ignore_eos=True, model=None)

        def rate():
            return stream_once(server, body)[2]["decode_tokens_per_second"]

        rate()
        for _ in range(PAIRS):
            alone = rate()
            watchers = []
            for _ in range(64):
                connection = socket.create_connection(("127.0.0.1", server.port))
                connection.sendall(f"GET /api/performance/stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
                watchers.append(connection)
            time.sleep(1)
            ratios.append(rate() / alone)
            for connection in watchers:
                connection.close()
    return {"passed": statistics.median(ratios) >= 0.95, "bar": 0.95, "median_ratio": round(statistics.median(ratios), 4),
            "samples": ratios}


# ---- processes that die ----

def deaths(run):
    """The worker killed, faulting, out of memory (a control group of its own; root) and crashed by its hook, amid 8 streams."""
    results, group = [], Group("memory")
    group.memory(1 << 16)

    def starve(server):
        """The kernel itself kills it, at the next page that it needs."""
        (group.path / "cgroup.procs").write_text(str(server.worker()))

    def eight_streams(server, kill):
        process = start_load(run, server, 8, 0, requests=1, max_tokens=1500, ignore_eos=True)
        wait_until(lambda: server.metric("llmind_active_sequences") == 8, 5)
        kill(server)
        requests, _ = finish_load(process)
        again = stream_once(server, chat_body(max_tokens=16))
        results.append({"ended_with_error": sum(r["error_event"] for r in requests), "done": sum(r["done"] for r in requests),
                        "parent_lives": server.process.poll() is None, "answers_again": again[1] > 0})

    with Server(run) as server:
        for number in (signal.SIGKILL, signal.SIGSEGV):
            eight_streams(server, lambda s, n=number: os.kill(s.worker(), n))
        eight_streams(server, starve)
    starved = "oom_kill 1" in (group.path / ("memory.events" if group.v2 else "memory.oom_control")).read_text()
    group.remove()
    with Server(run, env={"LLMIND_TEST_WORKER_CRASH_AFTER": "400"}) as server:
        eight_streams(server, lambda s: None)
    ok = starved and all(r["ended_with_error"] == 8 and r["parent_lives"] and r["answers_again"] for r in results)
    return {"passed": ok, "out_of_memory_by_the_kernel": starved, "samples": results}


def killed_parent(run):
    """kill -9 of the server at 200 random moments while chats are written: the database opens, no half message."""
    script = run.root / "tests" / "faults" / "kill_server.py"
    done = subprocess.run([run.root / ".venv/bin/python", script, "--rounds", "200"], capture_output=True, text=True,
                          env=os.environ | {"LLMIND_BUILD_DIR": str(run.program.parent)})
    return {"passed": done.returncode == 0, "output": (done.stdout + done.stderr)[-2000:]}


CHECKS = {check.__name__: check for check in (load, surplus, vanish, slow_reader, overhead, barriers, deaths, killed_parent)}

"""Conditions that make a model slow, created on purpose: the bench of the diagnosis.

Each condition is a way of running `llmind profile` in which exactly one thing is wrong (or nothing), and the names under
which the analysis may call it. `tests/faults/test_diagnosis.py` runs a few of them; `bench/acceptance 6 --only faults`
runs all of them several times.

What cannot be created on an ordinary machine, and is therefore tested on recorded figures only
(tests/unit/test_profile_analysis*.c): stolen time (needs the hypervisor), heat and a falling clock, power limits, another
NUMA node, a GPU and its working set, swapping (no swap may be switched on here), a draft model that does not pay.
"""

import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
NO_CONFIGURATIONS = ["--configurations", "none"]
QUICK = ["--quick", *NO_CONFIGURATIONS]
# what decides the speed when nothing is wrong: something always does
LIMITS = {"memory_bandwidth", "cache_bandwidth", "bandwidth_headroom", "overhead", "decode_compute", "attention_kernel",
          "kv_cache", "prefill_compute", "threads_saturated", "batch_saturated"}  # fmt: skip


class Unavailable(Exception):
    """Why a condition cannot be created here."""


# ---- what goes wrong ----


class Group:
    """A control group of its own for the processes of a run, version 1 or 2 (root, as a rule)."""

    def __init__(self, controller):
        old, new = pathlib.Path("/sys/fs/cgroup") / controller, pathlib.Path("/sys/fs/cgroup")
        self.v2 = not old.is_dir()
        self.path = (new if self.v2 else old) / f"llmind-faults-{os.getpid()}-{time.monotonic_ns()}"
        try:
            if self.v2 and controller not in (new / "cgroup.subtree_control").read_text().split():
                (new / "cgroup.subtree_control").write_text(f"+{controller}")
            self.path.mkdir()
        except OSError as reason:
            raise Unavailable(f"no {controller} control group can be made: {reason}") from reason

    def write(self, name, value):
        try:
            (self.path / name).write_text(str(value))
        except OSError as reason:
            self.remove()
            raise Unavailable(f"{name} cannot be set: {reason}") from reason

    def quota(self, cores):
        if self.v2:
            self.write("cpu.max", f"{int(cores * 100000)} 100000")
        else:
            self.write("cpu.cfs_period_us", 100000)
            self.write("cpu.cfs_quota_us", int(cores * 100000))

    def memory(self, limit):
        self.write("memory.max" if self.v2 else "memory.limit_in_bytes", limit)

    @property
    def prefix(self):
        """A command in front of another that enters the group first."""
        return ["sh", "-c", f'echo $$ > "{self.path}/cgroup.procs" && exec "$@"', "sh"]

    def remove(self):
        for _ in range(100):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)  # its last process is still ending


@contextlib.contextmanager
def group(controller, **limits):
    made = Group(controller)
    for name, value in limits.items():
        getattr(made, name)(value)
    try:
        yield {"prefix": made.prefix}
    finally:
        made.remove()


SPIN = "import os\nwhile True:\n    for _ in range(10000): pass\n    if os.getppid() == 1: break"
HOG = ("import os, numpy as n\na = n.ones(24 << 20); b = n.empty_like(a)\n"
       "while os.getppid() != 1: n.copyto(b, a); n.copyto(a, b)")  # fmt: skip


# Takes memory once the model has been loaded: before, the program would refuse a model that does not fit.
GREED = ("import mmap, os, sys, time\ntime.sleep(6)\nheld = mmap.mmap(-1, int(sys.argv[1]))\n"
         "for at in range(0, len(held), 4096): held[at] = 1\nwhile os.getppid() != 1: time.sleep(0.1)")  # fmt: skip


@contextlib.contextmanager
def squeezed(limit, taken):
    """A control group with less and less memory for the pages of the weights."""
    with group("memory", memory=limit) as made:
        greedy = subprocess.Popen([*made["prefix"], sys.executable, "-c", GREED, str(taken)])
        try:
            yield made
        finally:
            greedy.kill()
            greedy.wait()


@contextlib.contextmanager
def neighbours(program, how_many):
    """Processes that do something else all the while."""
    others = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(how_many)]
    try:
        yield {}
    finally:
        for other in others:
            other.kill()
            other.wait()


def labs_of(pid):
    """The processes that measure, of a run."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                if b"lab" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(child))
    return found


class Brake(threading.Thread):
    """Stops the measuring processes again and again, a little more of the time with every second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.start()

    def run(self):
        start = time.monotonic()
        while not self.over.is_set():
            stopped = min(0.7, 0.01 * (time.monotonic() - start))
            for sign, share in ((signal.SIGSTOP, stopped), (signal.SIGCONT, 1 - stopped)):
                for lab in labs_of(self.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(lab, sign)
                time.sleep(0.05 * share)


class Bursts(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server that gives a token every 4 ms and pauses for 120 ms after every 20th."""

    protocol_version = "HTTP/1.1"
    pause_s, token_s, every = 0.12, 0.004, 20

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.reply({"object": "list", "data": [{"id": "bursts", "object": "model"}]})

    def reply(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        n = asked.get("max_tokens") or asked.get("max_completion_tokens") or 16
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        chat = "chat" in self.path
        for i in range(n):
            piece = {"delta": {"content": f" w{i}"}} if chat else {"text": f" w{i}"}
            self.event({"object": "chunk", "model": "bursts", "choices": [{"index": 0, "finish_reason": None, **piece}]})
            time.sleep(self.pause_s if i % self.every == self.every - 1 else self.token_s)
        end = {"delta": {}} if chat else {"text": ""}
        self.event({"object": "chunk", "model": "bursts", "choices": [{"index": 0, "finish_reason": "length", **end}]})
        usage = {"prompt_tokens": len(json.dumps(asked)) // 4, "completion_tokens": n}
        self.event({"object": "chunk", "model": "bursts", "choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, value):
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()


@contextlib.contextmanager
def bursting_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bursts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"model": None, "arguments": ["--target", f"http://127.0.0.1:{server.server_port}/v1", "--allow-local"]}
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def slow_client(bench):
    """Our own server, measured from outside, while another client reads its answer at a byte a second."""
    with bench.server() as port:
        body = json.dumps({"messages": [{"role": "user", "content": "Tell me a story."}], "stream": True, "max_tokens": 1500,
                           "ignore_eos": True})  # fmt: skip
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", port))
        client.sendall((f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(body)}\r\n\r\n{body}").encode())  # fmt: skip
        over = threading.Event()

        def sip():
            with contextlib.suppress(OSError):
                while not over.wait(1) and client.recv(1):
                    pass

        threading.Thread(target=sip, daemon=True).start()
        try:
            yield {"model": None, "arguments": ["--target", f"http://127.0.0.1:{port}/v1", "--allow-local"]}
        finally:
            over.set()
            client.close()


def drop_pages(folder):
    for path in pathlib.Path(folder).glob("*.safetensors"):
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


# ---- the conditions ----


@dataclass
class Condition:
    name: str
    what: str
    expects: set  # the ids one of which must be the principal bottleneck
    create: object = None  # (bench) -> context manager: {"prefix", "arguments", "model"}, all optional
    model: str = "builtin"
    arguments: list = field(default_factory=list)
    protocol: list = field(default_factory=lambda: QUICK)
    brake: bool = False
    named: str = ""  # must be among the findings, principal or not
    flag: str = ""  # a word that one of the quality flags must have

    def judge(self, report):
        """What is wrong with the verdict; empty: nothing."""
        analysis = report["analysis"]
        found = {b["id"]: b for b in analysis["bottlenecks"]}
        principal = next((b["id"] for b in analysis["bottlenecks"] if b["principal"]), None)
        wrong = []
        if principal not in self.expects:
            wrong.append(f"principal is {principal}, not one of {sorted(self.expects, key=str)}")
        if self.named and self.named not in found:
            wrong.append(f"{self.named} is not named")
        if self.flag and not any(self.flag in flag for flag in analysis["quality"]["flags"]):
            wrong.append(f"no flag says '{self.flag}'")
        high = {i for i, b in found.items() if b["severity"] == "High"} - self.expects
        if high:
            wrong.append(f"accuses {sorted(high)} of being High")
        return wrong


HEALTHY = LIMITS | {None}
CONDITIONS = [
    Condition("healthy", "nothing is wrong", HEALTHY),
    Condition("healthy_large", "nothing is wrong, with weights in memory", HEALTHY, model="llama-3.2-1b"),
    Condition("cpu_quota", "a control group allows half a core", {"cpu_quota"}, lambda bench: group("cpu", quota=0.5)),
    Condition("threads_beyond_quota", "two threads more than the quota of one core allows", {"cpu_quota"},
              lambda bench: group("cpu", quota=1.0), arguments=["--threads", "3"] if CORES > 2 else ["--threads", "2"]),
    Condition("threads_beyond_cores", "four times as many threads as cores", {"oversubscribed"},
              arguments=["--threads", str(4 * CORES)]),
    Condition("bandwidth_hog", "other programs copy memory on every core", {"busy_host"},
              lambda bench: neighbours(HOG, CORES), model="llama-3.2-1b"),
    Condition("neighbour", "another program computes on one core", {"busy_host"}, lambda bench: neighbours(SPIN, 1)),
    Condition("cold_cache", "no page of the weights is in memory at the start", HEALTHY | {"cold_cache"},
              lambda bench: contextlib.nullcontext(drop_pages(bench.model("llama-3.2-1b"))), model="llama-3.2-1b",
              named="cold_cache"),
    Condition("memory_limit", "a control group leaves less memory than the weights take", {"not_resident"},
              lambda bench: squeezed(800_000_000, 470_000_000), model="qwen3-0.6b", arguments=["--ctx", "1024"]),
    Condition("tiny_model", "a model so small that reading it takes no time", {"overhead"}, model="tiny-llama"),
    Condition("deep_context", "a model with a large KV cache, deep in its context", {"kv_cache", "attention_kernel"},
              model="deep", arguments=["--ctx", "6144"]),
    Condition("cache_resident", "weights that fit into the last-level cache", LIMITS - {"memory_bandwidth"}),
    Condition("drifting", "the process is stopped more and more of the time", {"itl_tail"}, brake=True, flag="drift",
              model="llama-3.2-1b", protocol=["--repeats", "6", "--prompt", "Say hello.", "-n", "16", *NO_CONFIGURATIONS]),
    Condition("bursts", "a remote server that pauses after every 20th token", {"itl_tail"}, lambda bench: bursting_server()),
    Condition("slow_client", "another client of a server reads a byte a second", HEALTHY, slow_client),
]  # fmt: skip


class Bench:
    """Runs conditions with one program, one folder of models, and data folders of their own."""

    def __init__(self, program, work, builtin):
        self.program, self.work = pathlib.Path(program), pathlib.Path(work)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("LLMIND_")}
        self.environment |= {"LLMIND_BUILTIN": str(builtin), "HOME": str(work), "LLMIND_DATA_DIR": str(self.work / "data")}

    def model(self, name):
        if name == "builtin":
            return name
        folder = self.work / f"faults-{name}"
        if not folder.exists():
            # few layers and many KV heads: the cache is most of what a deep step reads
            shape = ["mistral-7b", "--layers", "2"] if name == "deep" else [name]
            subprocess.run([self.program, "synth", *shape, "--bits", "4", folder], check=True, env=self.environment,
                           stdout=subprocess.DEVNULL)  # fmt: skip
        return folder

    @contextlib.contextmanager
    def server(self):
        with open(self.work / "server.log", "wb") as log:
            server = subprocess.Popen([self.program, "serve", "--port", "0"], env=self.environment, stdout=subprocess.PIPE,
                                      stderr=log, text=True)  # fmt: skip
        try:
            yield int(next(line for line in server.stdout if "http://" in line).split("http://")[1].split()[0].split(":")[1])
        finally:
            server.terminate()
            server.wait()

    def run(self, condition):
        """The report of one run under the condition."""
        self.model(condition.model)
        with condition.create(self) if condition.create else contextlib.nullcontext({}) as made:
            made = made or {}
            model = made["model"] if "model" in made else self.model(condition.model)
            command = [*made.get("prefix", []), str(self.program), "profile", *([str(model)] if model else []), *condition.protocol,
                       *condition.arguments, *made.get("arguments", []), "--json", "--no-save"]  # fmt: skip
            process = subprocess.Popen(command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            brake = Brake(process.pid) if condition.brake else None
            out, errors = process.communicate(timeout=900)
            if brake:
                brake.over.set()
                brake.join()
            if process.returncode:
                raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}: {errors[-600:]}")
            return json.loads(out)

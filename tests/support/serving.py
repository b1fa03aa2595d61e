"""The real server, started as a user starts it: on a free port, with a data folder and a home of its own. For the
conftest.py of whatever needs one (tests/api, tests/faults, tests/browser).

`server` is shared by the tests of a module. `start_server("--queue", "1", env={...})` starts further ones, which end
with the test. Both are `Server` objects. The log of a server that does not come up, or that a sanitizer stopped, is
shown in the failure.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

import httpx
import jsonschema
import pytest

__all__ = [  # what every conftest.py hands on: constants, helpers, fixtures
    "BUILD", "BUILTIN", "PATIENCE_S", "PROGRAM", "ROOT", "SANITIZED", "Server", "clean_environment", "events", "finish", "problem",
    "pytest_runtest_makereport", "schemas", "server", "start_server", "wait_for",
]  # fmt: skip

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LLMIND_BUILD_DIR", ROOT / "build"))
SANITIZED = BUILD.name in ("build-asan", "build-tsan")  # some ten or thirty times as slow
PROGRAM = BUILD / "llmind"
BUILTIN = ROOT / "models" / "builtin"
LOG_LINES = 25
PATIENCE_S = 300  # for a slow machine or a sanitizer; nothing waits that long on a healthy one


def clean_environment(home):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLMIND_", "HF_", "XDG_"))}
    kept |= {"HOME": str(home), "LLMIND_BUILTIN": str(BUILTIN)}
    # what a test says about a proxy or a key must come from the test
    return {k: v for k, v in kept.items() if not k.lower().endswith("_proxy") and k != "OPENAI_API_KEY"}


def wait_for(condition, what="a condition", seconds=PATIENCE_S):
    """Polls until condition() is true (its value is returned); fails after a while."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


class Server:
    running = []  # those that a fixture has not yet ended

    def __init__(self, folder, *arguments, env=None):
        assert PROGRAM.exists(), f"{PROGRAM} is not built (make build, or set LLMIND_BUILD_DIR)"
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.log_path = self.folder / "log"
        self.output_path = self.folder / "output"
        # what this machine can do is measured once for all servers of a run, not for each anew
        cache = {"LLMIND_CACHE_DIR": str(self.folder.parent / "cache")}
        environment = clean_environment(self.folder) | cache | (env or {})
        command = [str(PROGRAM), "serve", "--port", "0", "--data-dir", str(self.data), *map(str, arguments)]
        with open(self.log_path, "wb") as log, open(self.output_path, "wb") as output:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=log, cwd=self.folder
            )
        self.pid = self.process.pid
        try:
            self.url = wait_for(self._address, "the server to listen")
            self.port = int(self.url.rsplit(":", 1)[1])
            self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S, trust_env=False)
            if "--no-preload" not in arguments:
                wait_for(self._ready, "the model to be loaded")
            self.running.append(self)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _alive(self):
        assert self.process.poll() is None, f"the server ended with {self.process.returncode}:\n{self.log}"

    def _address(self):
        self._alive()
        found = re.search(r"http://\S+:\d+", self.output_path.read_text())
        return found and found.group(0)

    def _ready(self):
        self._alive()
        try:
            health = self.get("/health").json()
        except httpx.TransportError:  # it may be ending: the next look says why
            return None
        return health["status"] == "ok" and health["model"]

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def worker_pid(self):
        """The child that holds the model, or None."""
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/children"):
            try:
                for pid in task.read_text().split():
                    if b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                        return int(pid)
            except OSError:
                pass  # the thread, or its child, has just ended
        return None

    def get(self, path, **options):
        return self.client.get(path, **options)

    def post(self, path, body=None, **options):
        """body: what becomes JSON. Raw bodies: post(path, content=..., headers=...)."""
        if body is not None:
            options["json"] = body
        return self.client.post(path, **options)

    def request(self, method, path, **options):
        return self.client.request(method, path, **options)

    def metric(self, name, **labels):
        """The sum of a metric's samples that have these labels, as /metrics shows them."""
        total, found = 0.0, False
        for line in self.get("/metrics").text.splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(have.get(k) == str(v) for k, v in labels.items()):
                    total, found = total + float(match[3]), True
        assert found, f"/metrics has no {name} with {labels}"
        return total

    def raw(self, data=b"", timeout=PATIENCE_S):
        """A connected socket on which data was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        if data:
            connection.sendall(data)
        return connection

    def stop(self, sign=signal.SIGTERM, seconds=30):
        """Ends it; returns its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not stop within {seconds} s:\n{self.log}") from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the last that its servers said."""
    report = yield
    if report.failed:
        for one in Server.running:
            lines = [line for line in one.log.splitlines() if " path=/assets/" not in line]
            report.sections.append((f"log of the server {one.pid}", "\n".join(lines[-LOG_LINES:])))
    return report


def finish(server):
    Server.running.remove(server)
    running = server.process.poll() is None
    code = server.stop()
    assert not running or code == 0, f"the server ended with {code}:\n{server.log}"
    assert "Sanitizer" not in server.log, server.log


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not (BUILTIN / "config.json").exists():
        pytest.skip("models/builtin is not there: it is trained by models/builtin/train")
    started = Server(tmp_path_factory.mktemp("server"))
    yield started
    finish(started)


@pytest.fixture
def start_server(tmp_path):
    """start_server(*arguments, env={...}) -> Server; any number of them, ended with the test."""
    started = []

    def start(*arguments, env=None):
        folder = pathlib.Path(tempfile.mkdtemp(dir=tmp_path))
        started.append(Server(folder, *arguments, env=env))
        return started[-1]

    yield start
    for one in started:
        finish(one)


@pytest.fixture
def problem():
    """problem(response, 400, param="n") checks the shape of an error and returns it."""

    def check(response, status, **members):
        assert response.status_code == status, response.text
        body = response.json()
        assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "code", "param"}, body
        for name, value in members.items():
            assert body["error"][name] == value, body
        return body["error"]

    return check


@pytest.fixture(scope="module")
def schemas(server):
    """schemas("RunList", value) checks it against the schema of that name in /openapi.json."""
    document = server.get("/openapi.json").json()

    def check(name, value):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    return check


def events(response):
    """The data of a streamed response's events, JSON decoded; "[DONE]" as it is."""
    for line in response.iter_lines():
        if line.startswith("data: "):
            text = line[len("data: ") :]
            yield text if text == "[DONE]" else json.loads(text)

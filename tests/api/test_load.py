"""64 streaming clients for half a minute: every answer ends properly, and nothing grows.

The clients are bench/acceptance.d/load_client.c, one cheap thread. Under the sanitizers it is a few seconds, and answers are short. How evenly
the clients are served is judged by `make acceptance ISSUE=3`, in ten minutes.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import time

import pytest

from conftest import ROOT, SANITIZED

CLIENTS = 64
SECONDS = 8 if SANITIZED else 30
TOKENS = 8 if SANITIZED else 100


@pytest.fixture(scope="module")
def load_client(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    program = tmp_path_factory.mktemp("load") / "load_client"
    source = ROOT / "bench" / "acceptance.d" / "load_client.c"
    subprocess.run([compiler, "-O2", "-std=c11", "-D_GNU_SOURCE", source, "-o", program], check=True)
    return program


def start(load_client, server, folder, clients, seconds, requests, **fields):
    body = folder / "body.json"
    body.write_text(json.dumps({"messages": [{"role": "user", "content": "Tell me a story about a fox."}], "stream": True,
                                "temperature": 0.8, "max_tokens": TOKENS} | fields))  # fmt: skip
    # into a file: a pipe that nobody reads while the load runs would stop it
    output = open(folder / "load.jsonl", "w+")
    process = subprocess.Popen([load_client, str(server.port), str(clients), str(seconds), str(requests), body], stdout=output)
    return process, output


def finish(load):
    process, output = load
    assert process.wait() == 0
    output.seek(0)
    *requests, gaps = map(json.loads, output)
    output.close()
    return requests, gaps


def footprint(server):
    found = {}
    for pid in (server.pid, server.worker_pid):
        status = open(f"/proc/{pid}/status").read()
        found[pid] = (int(re.search(r"RssAnon:\s+(\d+)", status)[1]), int(re.search(r"Threads:\s+(\d+)", status)[1]),
                      len(os.listdir(f"/proc/{pid}/fd")))  # fmt: skip
    return found


def test_load(start_server, load_client, tmp_path):
    # Pages of prompts are kept until their room is needed: a small cache is full, and stops growing, in seconds.
    server = start_server("--ctx", "512", "--max-sequences", "16")
    load = start(load_client, server, tmp_path, CLIENTS, SECONDS, 0)
    samples, begin = [], time.monotonic()
    while time.monotonic() - begin < SECONDS:
        samples.append(footprint(server))
        time.sleep(SECONDS / 30)
    requests, gaps = finish(load)
    served = [r for r in requests if r["status"] == 200]
    assert len(served) >= CLIENTS
    assert all(r["done"] for r in served), [r for r in served if not r["done"]][:3]
    assert {r["status"] for r in requests} <= {200, 429, 503}
    assert gaps["gaps"] > 0

    # threads and descriptors stay; anonymous memory of the last third is that of the middle one, within 4 MB
    for pid in samples[-1]:
        middle, last = samples[10:20], samples[20:]
        for index, allowed in ((1, 3), (2, 3)) if SANITIZED else ((0, 4096), (1, 3), (2, 3)):
            growth = statistics.median(s[pid][index] for s in last) - statistics.median(s[pid][index] for s in middle)
            assert growth <= allowed, (pid, index, growth)


def test_a_thousand_at_once(start_server, load_client, tmp_path):
    server = start_server(*(("--queue", "16") if SANITIZED else ()))
    load = start(load_client, server, tmp_path, 100 if SANITIZED else 1000, 0, 1, max_tokens=2 if SANITIZED else 30)
    health = []
    while load[0].poll() is None:
        health.append(server.get("/health").json()["status"])
        time.sleep(0.02)
    requests, _ = finish(load)
    assert set(health) == {"ok"}
    assert {r["status"] for r in requests} == {200, 429}
    assert all(r["done"] for r in requests if r["status"] == 200)
    assert sum(r["status"] == 429 for r in requests) >= 1

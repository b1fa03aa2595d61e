"""What the tests of `llmind pull` share: a repository to pull, the program started on it, what a cache must look like
afterwards, and faults of the stand-in hub.
"""

import functools
import os
import random
import subprocess
import time

import pytest
from conftest import BUILTIN, PROGRAM
from hub_server import COMMIT

REPO = "org/name"
MB = 1 << 20


@functools.cache
def read_builtin():
    return {file.name: file.read_bytes() for file in BUILTIN.iterdir() if file.is_file()}


def builtin_files():
    return dict(read_builtin())


@functools.cache
def noise(size, seed):
    return random.Random(seed).randbytes(size)


def model_files(weights=3 * MB, seed=0):
    """The built-in model's small files, and weights that are only bytes: pull does not look into them."""
    files = builtin_files() if (BUILTIN / "config.json").exists() else pytest.skip("models/builtin is not there")
    return files | {"model.safetensors": noise(weights, seed)}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "hub"


@pytest.fixture
def pull(llmind, cache):
    """pull(hub, "org/name", ...) -> CompletedProcess."""

    def run(hub, *arguments, env=None, timeout=60):
        return llmind("pull", *(arguments or [REPO]), env=hub.env(cache) | (env or {}), timeout=timeout)

    return run


@pytest.fixture
def start(environment, cache, tmp_path):
    """start(hub, ...) -> Popen of a pull; killed with the test."""
    started = []

    def run(hub, *arguments):
        command = [str(PROGRAM), "pull", *(arguments or [REPO])]
        process = subprocess.Popen(
            command, env=environment | hub.env(cache), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def folder(cache):
    return cache / "models--org--name"


def snapshot(cache, commit=COMMIT):
    return folder(cache) / "snapshots" / commit


def assert_complete(cache, repository):
    """The snapshot has the chosen files with the right content, by links; no leftovers of a download."""
    expected = {name for name in repository.files if not name.endswith((".bin", ".py", ".gguf"))}
    assert {path.name for path in snapshot(cache, repository.commit).iterdir()} == expected
    for name in expected:
        link = snapshot(cache, repository.commit) / name
        assert os.readlink(link) == f"../../blobs/{repository.hash(name)}"
        assert link.read_bytes() == repository.files[name], name
    assert (folder(cache) / "refs/main").read_text() == repository.commit
    assert {path.name for path in (folder(cache) / "blobs").iterdir()} == {repository.hash(name) for name in expected}


def assert_nothing_corrupt(cache, repository):
    """After a failure: no reference, no snapshot, and no blob whose content is not what its name says."""
    assert not list((folder(cache) / "refs").glob("*")) if folder(cache).exists() else True
    assert not snapshot(cache, repository.commit).exists()
    hashes = {repository.hash(name): data for name, data in repository.files.items()}
    for blob in (folder(cache) / "blobs").glob("*"):
        if ".llmind." not in blob.name:
            assert blob.read_bytes() == hashes[blob.name]


def failed(result, *words):
    assert result.returncode == 1, result
    last = result.stderr.splitlines()[-1]
    assert last.startswith("llmind pull: "), result.stderr
    for word in words:
        assert word in last, last
    return last


# ---- faults ----


def every(where, change, name="model.safetensors"):
    def fault(request):
        if request.where == where and request.name == name:
            change(request)

    return fault


def set_status(status, **headers):
    def change(request):
        request.status = status
        request.extra |= {name.replace("_", "-"): value for name, value in headers.items()}

    return change


def slowly(rate):
    def fault(request):
        if request.where == "cdn" and request.name == "model.safetensors":
            request.rate = rate

    return fault


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)

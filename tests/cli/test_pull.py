"""`llmind pull` and `llmind rm` against a stand-in hub that fails in every way its network could."""

import contextlib
import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from hub_server import COMMIT, Hub, Repository, sha256, troubles  # noqa: E402
from pulling import (  # noqa: E402, F401
    MB, REPO, assert_complete, assert_nothing_corrupt, builtin_files, cache, every, failed, folder, model_files,
    pull, set_status, slowly, snapshot, start, wait_until,
)  # fmt: skip


# ---- what it is for ----


def test_a_pulled_model_is_used_by_everybody(pull, llmind, cache, builtin, environment):
    repository = Repository(builtin_files() | {"pytorch_model.bin": b"no", "modeling.py": b"no", "x.gguf": b"no"})
    with Hub({REPO: repository}) as hub:
        result = pull(hub)
        assert result.returncode == 0, result.stderr
        assert "complete and verified" in result.stdout and f"llmind chat {REPO}" in result.stdout
        assert "8 files" in result.stderr and "fits" in result.stderr
        assert_complete(cache, repository)
        assert not {"pytorch_model.bin", "modeling.py", "x.gguf"} & {r.name for r in hub.requests}

        again = json.loads(pull(hub, REPO, "--json").stdout)
        assert again["fetched_bytes"] == 0 and again["commit"] == COMMIT and again["files"] == 8
        assert again["path"] == str(snapshot(cache))
        assert again["total_bytes"] == sum(len(data) for name, data in builtin_files().items())
        assert len(hub.asked("cdn", "model.safetensors")) == 2  # pieces of 8 MiB of 12 MB, of the first pull alone

    env = {"HF_HUB_CACHE": str(cache)}
    listed = {m["name"]: m for m in json.loads(llmind("list", "--json", env=env).stdout)}
    assert listed[REPO]["source"] == "hub" and listed[REPO]["supported"]
    answer = llmind("generate", REPO, "-p", "Hello", "-n", "4", "--temp", "0", env=env)
    assert answer.returncode == 0 and answer.stdout == llmind("generate", "builtin", "-p", "Hello", "-n", "4", "--temp", "0").stdout

    code = "import huggingface_hub as h; print(h.snapshot_download('org/name', local_files_only=True))"
    python = subprocess.run([sys.executable, "-c", code], env=environment | env, capture_output=True, text=True)
    assert python.stdout.strip() == str(snapshot(cache)), python.stderr
    code = "import huggingface_hub as h; i = h.scan_cache_dir(); print(len(i.repos), len(i.warnings), i.size_on_disk)"
    python = subprocess.run([sys.executable, "-c", code], env=environment | env, capture_output=True, text=True)
    assert python.stdout.split() == ["1", "0", str(again["total_bytes"])], python


def test_revisions(pull, llmind, cache):
    old, new = (Repository(model_files(seed=seed), revisions=("main", "v1", "pr/1")) for seed in (1, 2))
    new.commit = "f" * 40
    with Hub({REPO: old}) as hub:
        assert pull(hub, f"{REPO}@v1").returncode == 0
        assert pull(hub, f"{REPO}@pr/1").returncode == 0
        assert (folder(cache) / "refs/pr/1").read_text() == COMMIT
        assert pull(hub, f"{REPO}@{COMMIT}").returncode == 0
        assert sorted(p.name for p in (folder(cache) / "refs").iterdir()) == ["pr", "v1"]
        with_cache = {"HF_HUB_CACHE": str(cache)}
        for revision in ("v1", "pr/1", COMMIT):  # found under each of its names, weights of noise or not
            assert "safetensors" in llmind("show", f"{REPO}@{revision}", env=with_cache).stderr
        assert "revision 'pr/2' is not" in llmind("show", f"{REPO}@pr/2", env=with_cache).stderr
        assert "is not" in llmind("show", f"{REPO}@pr/../pr/1", env=with_cache).stderr
        failed(pull(hub, f"{REPO}@v9"), "no revision 'v9'")
        hub.repositories[REPO] = new
        assert pull(hub).returncode == 0
    assert (folder(cache) / "refs/main").read_text() == new.commit
    assert (snapshot(cache, new.commit) / "model.safetensors").read_bytes() == new.files["model.safetensors"]

    # the older revision alone: what both share stays
    env = {"HF_HUB_CACHE": str(cache)}
    removed = llmind("rm", f"{REPO}@v1", "--yes", "--json", env=env)
    assert removed.returncode == 0, removed.stderr
    assert 3 * MB <= json.loads(removed.stdout)["freed_bytes"] < 3 * MB + 65536
    assert not snapshot(cache).exists() and not (folder(cache) / "refs/v1").exists()
    blobs = {p.name for p in (folder(cache) / "blobs").iterdir()}
    assert blobs == {new.hash(name) for name in new.files}
    with Hub({REPO: new}) as hub:
        assert json.loads(pull(hub, REPO, "--json").stdout)["fetched_bytes"] == 0


def test_shards_are_those_of_the_index(pull, cache):
    files = model_files()
    del files["model.safetensors"]
    shards = {f"model-0000{i}-of-00002.safetensors": random.Random(i).randbytes(MB) for i in (1, 2)}
    index = {"weight_map": {f"w{i}": name for i, name in enumerate(shards)}}
    files |= shards | {"model.safetensors.index.json": json.dumps(index).encode()}
    repository = Repository(files | {"consolidated.safetensors": b"no", "sub/model.safetensors": b"no"})
    with Hub({REPO: repository}) as hub:
        assert pull(hub).returncode == 0
        assert not hub.asked(name="consolidated.safetensors")
    assert {p.name for p in snapshot(cache).iterdir()} == set(files)


# ---- faults ----


@pytest.mark.parametrize("seed", range(4))
def test_a_third_of_the_answers_fails(pull, cache, seed):
    repository = Repository(model_files(20 * MB, seed))
    with Hub({REPO: repository}, fault=troubles(seed)) as hub:
        result = pull(hub, REPO, "--retries", "20")
        assert result.returncode == 0, result.stderr
        assert_complete(cache, repository)
        # what came before a cut is not fetched again
        assert hub.body_bytes("model.safetensors") < 1.1 * 20 * MB


@pytest.mark.parametrize("where, name", [("api", ""), ("cdn", "model.safetensors")])
def test_a_hub_that_is_down_is_said(pull, cache, where, name):
    repository = Repository(model_files())
    with Hub({REPO: repository}, fault=every(where, set_status(503), name)) as hub:
        begun = time.monotonic()
        failed(pull(hub, REPO, "--retries", "3"), "503")
        assert len(hub.asked(where, name)) == 3 and time.monotonic() - begun > 0.3  # with pauses
        assert_nothing_corrupt(cache, repository)


def test_retry_after_is_honoured_and_bounded(pull, cache):
    repository = Repository(model_files())

    def once(request):
        if request.where == "cdn" and request.name == "model.safetensors" and request.number == 1:
            request.status, request.extra = 429, {"Retry-After": "2"}

    with Hub({REPO: repository}, fault=once) as hub:
        begun = time.monotonic()
        assert pull(hub).returncode == 0
        assert 2 < time.monotonic() - begun < 6
        assert_complete(cache, repository)
    with Hub({REPO: repository}, fault=every("api", set_status(429, Retry_After="86400"), "")) as hub:
        failed(pull(hub), "86400 s")


def test_a_file_that_changes_is_fetched_anew(pull, cache):
    repository = Repository(model_files(20 * MB))

    def change(request):
        """Another file under the address from the third request on, and later the right one again."""
        request.etag = '"other"' if 3 <= request.number < 5 else '"right"'
        if request.etag == '"other"':
            request.data = bytes(len(request.data))

    with Hub({REPO: repository}, fault=every("cdn", change)) as hub:
        assert pull(hub).returncode == 0
        assert_complete(cache, repository)
        assert any(r.headers.get("if-range") == '"right"' for r in hub.asked("cdn", "model.safetensors"))


def test_a_file_that_changes_all_the_time_is_refused(pull, cache):
    repository = Repository(model_files(20 * MB))

    def change(request):
        request.etag = f'"{request.number}"'

    with Hub({REPO: repository}, fault=every("cdn", change)) as hub:
        failed(pull(hub), "changes on the hub")
        assert_nothing_corrupt(cache, repository)


def test_wrong_content_is_never_shown(pull, cache):
    repository = Repository(model_files())

    def flip(request):
        request.data = bytes([request.data[0] ^ 1]) + request.data[1:]

    for name, where in (("tokenizer_config.json", "hub"), ("model.safetensors", "cdn")):
        with Hub({REPO: repository}, fault=every(where, flip, name)) as hub:
            failed(pull(hub), name, "hash")
            assert_nothing_corrupt(cache, repository)
            assert not list((folder(cache) / "blobs").glob(f"{repository.hash(name)}*"))


def test_one_flipped_bit_costs_one_repetition(pull, cache):
    repository = Repository(model_files())

    def flip(request):
        if request.number == 1:
            request.data = bytes([request.data[0] ^ 1]) + request.data[1:]

    with Hub({REPO: repository}, fault=every("cdn", flip)) as hub:
        assert pull(hub).returncode == 0
        assert_complete(cache, repository)
        assert hub.body_bytes("model.safetensors") == 2 * 3 * MB


def longer(request):
    request.data += b"more"


def shorter(request):
    request.data = request.data[:-1]
    request.last = min(request.last, len(request.data) - 1)


def other_range(request):
    request.extra["Content-Range"] = f"bytes 1-{request.last}/{len(request.data)}"


def no_range(request):
    request.extra["Content-Range"] = None


def with_more(request):
    """More bytes than the head says, up to the end of the connection."""
    request.extra |= {"Content-Length": None, "Connection": "close"}
    request.extra["Content-Range"] = f"bytes {request.first}-{request.last}/{len(request.data)}"
    request.data += b"more" * 1000
    request.last += 4000


@pytest.mark.parametrize("change", [longer, shorter, other_range, no_range])
def test_wrong_lengths_are_noticed(pull, cache, change):
    repository = Repository(model_files())
    with Hub({REPO: repository}, fault=every("cdn", change)) as hub:
        failed(pull(hub, REPO, "--retries", "2"), "model.safetensors")
        assert_nothing_corrupt(cache, repository)


def test_what_comes_beyond_the_range_is_not_used(pull, cache):
    """Where the surplus comes with the last bytes it is an error, where it comes later nobody waits for it."""
    repository = Repository(model_files(10 * MB))
    with Hub({REPO: repository}, fault=every("cdn", with_more)) as hub:
        result = pull(hub, REPO, "--retries", "2")
        if result.returncode == 0:
            assert_complete(cache, repository)
        else:
            failed(result, "more than it was asked for")
            assert_nothing_corrupt(cache, repository)


def test_ranges_may_be_ignored(pull, cache):
    repository = Repository(model_files(10 * MB))

    def whole(request):
        request.whole = True
        if request.number == 1:
            request.cut = 7 * MB

    with Hub({REPO: repository}, fault=every("cdn", whole)) as hub:
        assert pull(hub).returncode == 0
        assert_complete(cache, repository)
        assert hub.body_bytes("model.safetensors") == 17 * MB  # one connection, and twice

    def never_whole(request):
        request.whole, request.cut = True, 7 * MB

    other = Repository(model_files(10 * MB, seed=9))
    with Hub({REPO: other}, fault=every("cdn", never_whole)) as hub:
        failed(pull(hub, REPO, "--retries", "3"), "what has come is kept")


# ---- before the weights ----


def test_a_model_that_cannot_be_run_is_not_fetched(pull, cache):
    files = model_files()
    files["config.json"] = json.dumps({"model_type": "mamba"}).encode()
    with Hub({REPO: Repository(files)}) as hub:
        failed(pull(hub), "mamba", "--force")
        assert not hub.asked(name="model.safetensors")
        assert pull(hub, REPO, "--force").returncode == 0
    huge = json.loads(builtin_files()["config.json"]) | {"num_hidden_layers": 400, "intermediate_size": 65536, "hidden_size": 16384}
    huge |= {"num_attention_heads": 128, "num_key_value_heads": 128, "head_dim": 128, "quantization": None, "quantization_config": None}
    files = model_files() | {"config.json": json.dumps(huge).encode()}
    with Hub({REPO: Repository(files)}) as hub:
        failed(pull(hub), "of memory", "--force")
        assert not hub.asked(name="model.safetensors")


def test_what_a_model_must_have(pull, cache):
    files = model_files()
    for missing, word in (("config.json", "config.json"), ("tokenizer.json", "tokenizer.json"), ("model.safetensors", "pickles")):
        rest = {name: data for name, data in files.items() if name != missing} | {"pytorch_model.bin": b"x"}
        with Hub({REPO: Repository(rest)}) as hub:
            failed(pull(hub), word)
            assert len(hub.requests) == 1


def test_offline(pull, llmind, cache):
    repository = Repository(model_files())
    offline = {"HF_HUB_OFFLINE": "1"}
    with Hub({REPO: repository}) as hub:
        failed(pull(hub, env=offline), "HF_HUB_OFFLINE")
        assert not hub.requests and not cache.exists()
        assert pull(hub).returncode == 0
        asked = len(hub.requests)
        result = pull(hub, env=offline)
        assert result.returncode == 0 and "was there already" in result.stdout
        assert len(hub.requests) == asked


# ---- interruptions ----


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_download_goes_on(pull, start, cache, sign):
    size = 64 * MB
    repository = Repository(model_files(size))
    with Hub({REPO: repository}, fault=slowly(10 * MB)) as hub:
        for share in (0.25, 0.6):
            process = start(hub)
            wait_until(lambda: hub.body_bytes("model.safetensors") > share * size)  # noqa: B023
            process.send_signal(sign)
            _, said = process.communicate(timeout=20)
            if sign == signal.SIGINT:
                assert process.returncode == 130
                assert "goes on there" in said
            assert not snapshot(cache).exists()
        hub.fault = lambda request: None
        assert pull(hub).returncode == 0
        assert_complete(cache, repository)
        twice = hub.body_bytes("model.safetensors") - size
        print(f"sent twice: {twice} bytes, {100 * twice / size:.3f} %")
        assert 0 <= twice < 0.01 * size


def test_a_damaged_record_is_not_believed(pull, start, cache):
    repository = Repository(model_files(8 * MB))
    with Hub({REPO: repository}, fault=slowly(10 * MB)) as hub:
        process = start(hub)
        wait_until(lambda: hub.body_bytes("model.safetensors") > 3 * MB)
        process.kill()
        process.wait()
        record = next((folder(cache) / "blobs").glob("*.record"))
        part = record.with_name(record.name.replace(".record", ".incomplete"))
        saved = record.read_bytes(), part.stat().st_size
        assert part.stat().st_size == 8 * MB and b"\1" in saved[0][512:]
        hub.fault = lambda request: None
        # all blocks marked although most are missing: the hash finds out
        record.write_bytes(saved[0][:512] + b"\1" * (len(saved[0]) - 512))
        assert pull(hub).returncode == 0
        assert_complete(cache, repository)
    for damage in (b"", b"nonsense" * 100, saved[0][:-1], saved[0][:512] + b"\2" * (len(saved[0]) - 512)):
        with contextlib.suppress(FileNotFoundError):
            (folder(cache) / "blobs" / sha256(repository.files["model.safetensors"])).unlink()
        record.write_bytes(damage)
        with Hub({REPO: repository}) as hub:
            assert pull(hub).returncode == 0
            assert_complete(cache, repository)


def test_two_at_once_share_the_work(start, cache):
    size = 24 * MB
    repository = Repository(model_files(size))
    with Hub({REPO: repository}, fault=slowly(8 * MB)) as hub:
        both = [start(hub), start(hub)]
        for process in both:
            out, said = process.communicate(timeout=60)
            assert process.returncode == 0, said
        assert_complete(cache, repository)
        total = sum(count for (where, _), count in hub.sent.items() if where != "api")
        assert total == sum(len(data) for data in repository.files.values())


def test_the_second_takes_over_from_one_that_is_killed(start, cache):
    size = 24 * MB
    repository = Repository(model_files(size))
    with Hub({REPO: repository}, fault=slowly(6 * MB)) as hub:
        first = start(hub)
        wait_until(lambda: hub.body_bytes("model.safetensors") > size // 4)
        second = start(hub)
        time.sleep(0.3)
        first.kill()
        out, said = second.communicate(timeout=60)
        assert second.returncode == 0, said
        assert_complete(cache, repository)
        assert hub.body_bytes("model.safetensors") < 1.02 * size


# ---- rm ----


def test_rm(pull, llmind, start, cache, usage_error):
    repository = Repository(model_files(20 * MB))
    env = {"HF_HUB_CACHE": str(cache)}
    with Hub({REPO: repository}) as hub:
        assert pull(hub).returncode == 0
    unsure = llmind("rm", REPO, env=env)
    assert unsure.returncode == 1 and "--yes" in unsure.stderr and "21." in unsure.stdout
    assert snapshot(cache).exists()
    assert "--yes" in usage_error("rm", REPO, "--json", env=env)
    for name in ("org/other", "builtin", f"{REPO}@v9"):
        result = llmind("rm", name, "--yes", env=env)
        assert result.returncode == 1 and "cache" in result.stderr
    result = llmind("rm", REPO, "--yes", env=env)
    assert result.returncode == 0 and "21." in result.stdout
    assert not folder(cache).exists()

    with Hub({REPO: repository}, fault=slowly(5 * MB)) as hub:
        process = start(hub)
        wait_until(lambda: hub.body_bytes("model.safetensors") > MB)
        busy = llmind("rm", REPO, "--yes", env=env)
        assert busy.returncode == 1 and "being downloaded" in busy.stderr
        process.kill()
        process.wait()
        half = llmind("rm", REPO, "--yes", env=env)
        assert half.returncode == 0 and "not ended" in half.stdout
    assert not folder(cache).exists()

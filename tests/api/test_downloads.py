"""/api/models/download and what belongs to it, against a stand-in hub; and deleting what was fetched."""

import json

import pytest
from conftest import BUILTIN, events, wait_for
from hub_server import Hub, Repository
from pulling import MB, REPO, builtin_files, every, model_files, set_status, slowly, snapshot
from shop import OVER, Downloads, begin_slowly, house, shop  # noqa: F401 - and fixtures
from test_profiling import LONG, begin, cancel

pytestmark = pytest.mark.skipif(not (BUILTIN / "config.json").exists(), reason="models/builtin is not there")


# ---- what it is for ----


def test_a_downloaded_model_is_listed_loaded_and_deleted(shop, schemas, problem):
    shop.offer(builtin_files())
    job = shop.wait(shop.start(), "complete")
    schemas("Download", job)
    assert job["model"] == REPO and job["error"] is None
    assert job["done_bytes"] == job["total_bytes"] > MB and job["files_done"] == job["files"] > 3
    assert "fits" in job["judgement"]
    assert job["bytes_per_second"] is None and job["bytes_per_second_reason"]
    assert REPO in shop.names()

    loaded = shop.server.post("/api/models/load", {"model": REPO})
    assert loaded.status_code == 200 and loaded.json()["model"]["name"] == REPO
    assert "unload" in problem(shop.delete(REPO), 409, code="model_busy")["message"]
    assert snapshot(shop.cache).exists()
    assert shop.server.post("/api/models/unload", {}).status_code == 200

    deleted = shop.delete(REPO)
    assert deleted.status_code == 200, deleted.text
    schemas("ModelDeleted", deleted.json())
    assert deleted.json()["deleted"] == REPO and deleted.json()["freed_bytes"] > MB
    assert REPO not in shop.names() and not snapshot(shop.cache).exists()
    problem(shop.delete(REPO), 404, param="id")


def test_a_revision(shop):
    shop.offer().revisions = ("main", "v1")
    job = shop.wait(shop.start(f"{REPO}@v1"), "complete")
    assert job["model"] == f"{REPO}@v1"
    job = shop.wait(shop.start(f"{REPO}@v2"), "failed")
    assert job["error"]["code"] == "not_found" and "no revision 'v2'" in job["error"]["message"]


def test_progress_comes_as_events(shop, schemas):
    id, _ = begin_slowly(shop, rate=MB)
    with shop.server.client.stream("GET", f"/api/models/downloads/{id}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        seen = list(events(response))
    for job in seen:
        schemas("Download", job)
    assert [job["state"] for job in seen][-1] == "complete" and seen[0]["state"] != "complete"
    done = [job["done_bytes"] for job in seen]
    assert done == sorted(done) and len(set(done)) > 2
    assert any(job["bytes_per_second"] for job in seen) and any(job["file"] == "model.safetensors" for job in seen)
    with shop.server.client.stream("GET", f"/api/models/downloads/{id}/events") as response:
        lines = [line for line in response.iter_lines() if line]
    assert lines[0] == "event: end" and json.loads(lines[2].removeprefix("data: "))["state"] == "complete"


# ---- pausing, cancelling, waiting in line ----


def test_a_profiling_run_is_left_in_peace(shop):
    id, _ = begin_slowly(shop)
    run = begin(shop.server, **LONG | {"model_name": "builtin"})
    measuring = "a profiling run measures: waiting until it has"
    shop.wait_for_note(id, measuring)
    assert shop.ask(id, "pause").status_code == 200  # heard while it rests
    shop.wait(id, "paused")
    assert shop.ask(id, "resume").status_code == 200
    shop.wait_for_note(id, measuring)
    cancel(shop.server, run)
    shop.wait_for_note(id, None)
    shop.hub.fault = lambda request: None
    assert shop.ask(id, "pause").status_code == 200  # the slow connections end
    shop.wait(id, "paused")
    assert shop.ask(id, "resume").status_code == 200
    shop.wait(id, "complete")


def test_pause_and_resume_fetch_nothing_twice(shop, problem):
    id, repository = begin_slowly(shop)
    assert shop.ask(id, "pause").status_code == 200
    paused = shop.wait(id, "paused")
    assert 0 < paused["done_bytes"] < paused["total_bytes"]
    assert shop.ask(id, "pause").json()["state"] == "paused"
    shop.hub.fault = lambda request: None
    assert shop.ask(id, "resume").status_code == 200
    shop.wait(id, "complete")
    whole = len(repository.files["model.safetensors"])
    assert shop.hub.body_bytes("model.safetensors") < 1.5 * whole  # four connections end inside a block
    assert (snapshot(shop.cache) / "model.safetensors").read_bytes() == repository.files["model.safetensors"]
    problem(shop.ask(id, "pause"), 409, code="download_over")
    problem(shop.ask(id, "resume"), 409, code="download_over")


def test_cancel_then_forget(shop, problem):
    id, _ = begin_slowly(shop)
    problem(shop.delete(REPO), 409, code="model_busy")
    assert shop.cancel(id).status_code == 200
    shop.wait(id, "cancelled")
    assert REPO not in shop.names()
    assert shop.delete(REPO).json()["freed_bytes"] > 0  # what had come
    assert shop.cancel(id).json()["state"] == "cancelled"
    problem(shop.server.get(f"/api/models/downloads/{id}"), 404)
    problem(shop.cancel(id), 404)
    problem(shop.server.get(f"/api/models/downloads/{id}/events"), 404)


def test_one_at_a_time_and_the_same_model_is_the_same_job(shop, problem, schemas):
    first, _ = begin_slowly(shop)
    others = [f"org/other{i}" for i in range(9)]
    for name in others:
        shop.offer(name=name, fault=slowly(MB // 8))
    ids = [shop.start(name) for name in others[:8]]
    assert shop.start() == first and shop.start(others[2]) == ids[2]
    busy = shop.server.post("/api/models/download", {"model": others[8]})
    assert "waiting" in problem(busy, 429)["message"]
    listed = shop.server.get("/api/models/downloads").json()
    schemas("DownloadList", listed)
    assert [job["id"] for job in listed["downloads"]] == [first, *ids]
    assert {job["state"] for job in listed["downloads"][1:]} == {"queued"}
    assert shop.ask(ids[0], "pause").json()["state"] == "paused"
    for id in ids[2:]:
        assert shop.cancel(id).json()["state"] == "cancelled"
    shop.hub.fault = lambda request: None
    shop.cancel(first)
    shop.wait(first, "cancelled")
    shop.wait(ids[1], "complete")
    assert shop.get(ids[0])["state"] == "paused"
    assert shop.start(others[0]) == ids[0]  # asking again takes it up
    shop.wait(ids[0], "complete")


def test_a_stopping_server_does_not_wait_and_the_next_one_goes_on(start_server, tmp_path):
    repository = Repository(model_files(4 * MB))
    with Hub({REPO: repository}, fault=slowly(MB // 8)) as hub:
        first = Downloads(hub, start_server("--no-preload", env=hub.env(tmp_path / "hub")), tmp_path / "hub")
        first.start()
        wait_for(lambda: hub.body_bytes("model.safetensors") > MB // 2, "weights to come", 60)
        assert first.server.stop(seconds=10) == 0
        assert not snapshot(first.cache).exists()
        before = hub.body_bytes("model.safetensors")
        hub.fault = lambda request: None
        second = Downloads(hub, start_server("--no-preload", env=hub.env(first.cache)), first.cache)
        second.wait(second.start(), "complete")
        assert hub.body_bytes("model.safetensors") - before < 4 * MB


# ---- what is refused ----


def test_a_model_that_cannot_be_run(shop):
    files = model_files()
    config = json.loads(files["config.json"]) | {"model_type": "mamba9", "architectures": ["Mamba9"]}
    repository = shop.offer(files | {"config.json": json.dumps(config).encode()})
    job = shop.wait(shop.start(), "failed")
    assert job["error"]["code"] == "unsupported" and job["refused"]
    assert "mamba9" in job["error"]["message"] and '{"force": true}' in job["error"]["message"]
    assert shop.hub.body_bytes("model.safetensors") == 0
    assert shop.start(force=True) == job["id"]
    job = shop.wait(job["id"], "complete")
    assert job["forced"] and not job["refused"] and "cannot be run here" in job["judgement"]
    assert (snapshot(shop.cache) / "model.safetensors").read_bytes() == repository.files["model.safetensors"]


def test_a_model_that_does_not_fit(shop):
    files = model_files()
    config = json.loads(files["config.json"])
    config |= {"num_hidden_layers": 200, "hidden_size": 32768, "intermediate_size": 131072, "head_dim": 128,
               "num_attention_heads": 256, "num_key_value_heads": 256}  # fmt: skip
    shop.offer(files | {"config.json": json.dumps(config).encode()})
    job = shop.wait(shop.start(), "failed")
    assert job["refused"] and job["error"]["code"] == "limit" and "of memory" in job["error"]["message"], job
    assert shop.hub.body_bytes("model.safetensors") == 0


def test_gated_and_missing(shop):
    shop.offer(gated=True)
    job = shop.wait(shop.start(), "failed")
    assert job["error"]["code"] == "not_found"
    assert "is gated" in job["error"]["message"] and "HF_TOKEN" in job["error"]["message"]
    job = shop.wait(shop.start("org/nothing"), "failed")
    assert "no such repository" in job["error"]["message"]
    shop.hub.gated = False
    failed = shop.server.get("/api/models/downloads").json()["downloads"][0]
    assert shop.ask(failed["id"], "resume").status_code == 200  # access was given meanwhile
    assert shop.wait(failed["id"], "complete")["error"] is None


def test_a_hub_that_does_not_answer(shop):
    shop.offer(fault=every("api", set_status(503), ""))
    id = shop.start()
    job = wait_for(lambda: (shop.get(id)["note"] and shop.get(id)), "the hub to be asked again", 60)
    assert job["state"] in ("listing", "fetching") and "trying again" in job["note"]
    assert job["total_bytes"] is None and job["total_bytes_reason"]
    shop.hub.fault = lambda request: None
    shop.wait(id, "complete")


def test_offline(start_server, tmp_path):
    with Hub({REPO: Repository(model_files())}) as hub:
        env = hub.env(tmp_path / "hub") | {"HF_HUB_OFFLINE": "1"}
        shop = Downloads(hub, start_server("--no-preload", env=env), tmp_path / "hub")
        job = shop.wait(shop.start(), "failed")
        assert job["error"]["code"] == "unsupported" and "HF_HUB_OFFLINE" in job["error"]["message"]
        assert str(tmp_path) not in job["error"]["message"]
        assert not hub.requests


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "model"),
        ({"model": 3}, "model"),
        ({"model": REPO, "force": "yes"}, "force"),
        ({"model": REPO, "revision": "main"}, "revision"),
        *(({"model": name}, "model") for name in ("", "../x", "/etc", "a/b/c", "org/..", "org/na me", "org/name@", "org/name@../x")),
        ({"model": "x" * 400}, "model"),
        ({"model": "org/name@" + "x" * 200}, "model"),
    ],
)
def test_wrong_requests(shop, problem, body, param):
    problem(shop.server.post("/api/models/download", body), 400, param=param)
    assert shop.server.get("/api/models/downloads").json() == {"downloads": []}


@pytest.mark.parametrize("name", ["../x", "/etc", "org/../x", "org//x"])
def test_what_is_deleted_is_a_name(shop, problem, name):
    problem(shop.delete(name), 400, param="id")


def test_only_models_of_the_hub_are_deleted(shop, problem):
    assert "hub" in problem(shop.delete("builtin"), 400, param="id")["message"]
    assert (BUILTIN / "config.json").exists()
    message = problem(shop.delete("org/nothing"), 404, param="id")["message"]
    assert str(shop.cache) not in message


def test_another_site_may_not(shop, problem):
    headers = {"Origin": "https://evil.example"}
    response = shop.server.post("/api/models/download", {"model": REPO}, headers=headers)
    problem(response, 403)
    problem(shop.server.request("DELETE", "/api/models/org%2Fname", headers=headers), 403)


@pytest.mark.parametrize("path", ["", "/pause", "/resume", "/events"])
def test_a_download_that_is_not_there(shop, problem, path):
    method = "POST" if path in ("/pause", "/resume") else "GET"
    problem(shop.server.request(method, f"/api/models/downloads/0123456789abcdef{path}"), 404)

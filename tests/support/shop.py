"""A server, the stand-in hub it asks and the cache between them: for the tests of downloads, through the API and on the
page. `house` is shared by the tests of a module, `shop` is the same with everything empty; both are fixtures.
"""

import urllib.parse

import pytest
import serving
from hub_server import Hub, Repository
from pulling import MB, REPO, model_files, slowly
from serving import wait_for

OVER = ("complete", "failed", "cancelled")


class Downloads:
    """A server, the hub it asks, and the cache between them."""

    def __init__(self, hub, server, cache):
        self.hub, self.server, self.cache = hub, server, cache

    def start(self, model=REPO, **fields):
        response = self.server.post("/api/models/download", {"model": model} | fields)
        assert response.status_code == 202, response.text
        assert response.headers["location"] == f"/api/models/downloads/{response.json()['id']}"
        return response.json()["id"]

    def get(self, id):
        return self.server.get(f"/api/models/downloads/{id}").json()

    def ask(self, id, what):
        return self.server.post(f"/api/models/downloads/{id}/{what}")

    def cancel(self, id):
        return self.server.request("DELETE", f"/api/models/downloads/{id}")

    def wait(self, id, *states):
        def reached():
            job = self.get(id)
            assert job["state"] in states or job["state"] not in OVER, job
            return job["state"] in states and job

        return wait_for(reached, f"a download to be {states}", 60)

    def wait_for_note(self, id, note):
        wait_for(lambda: self.get(id)["note"] == note, f"the note {note!r}", 60)

    def delete(self, model):
        return self.server.request("DELETE", f"/api/models/{urllib.parse.quote(model, safe='')}")

    def names(self):
        return {model["name"] for model in self.server.get("/api/models").json()["models"]}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """One server for all tests; each test begins with an empty hub, cache and list."""
    cache = tmp_path_factory.mktemp("hub")
    with Hub({}) as hub:
        server = serving.Server(tmp_path_factory.mktemp("server"), "--no-preload", env=hub.env(cache))
        yield Downloads(hub, server, cache)
        serving.finish(server)


@pytest.fixture
def shop(house):
    """house, and shop.offer(files, **what) puts a repository on the hub."""

    def offer(files=None, fault=None, gated=False, name=REPO):
        house.hub.repositories[name] = Repository(files or model_files())
        house.hub.fault = fault or (lambda request: None)
        house.hub.gated = gated
        return house.hub.repositories[name]

    house.offer = offer
    yield house
    house.hub.fault = lambda request: setattr(request, "rate", 0)
    for job in house.server.get("/api/models/downloads").json()["downloads"]:
        if job["state"] not in OVER:
            house.cancel(job["id"])
            house.wait(job["id"], *OVER)
        house.cancel(job["id"])
    assert house.server.get("/api/models/downloads").json() == {"downloads": []}
    house.server.post("/api/models/unload", {})
    for name in house.hub.repositories:
        house.delete(name)
    wait_for(lambda: house.hub.answering == 0, "answers to clients that are gone to end", 60)
    house.hub.repositories.clear()
    house.hub.sent.clear()
    house.hub.requests.clear()


def begin_slowly(shop, weights=4 * MB, rate=MB // 8):
    """A download that has begun and will not end by itself: (id, the repository)."""
    repository = shop.offer(model_files(weights), fault=slowly(rate))
    id = shop.start()
    wait_for(lambda: shop.hub.body_bytes("model.safetensors") > MB // 4, "weights to come", 60)
    return id, repository

"""`llmind pull` against a hub that means harm: redirects, names, listings; and links that lie in the cache."""

import json
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from hub_server import COMMIT, Hub, Repository, troubles  # noqa: E402
from pulling import (  # noqa: E402, F401
    MB, REPO, assert_complete, assert_nothing_corrupt, cache, every, failed, folder, model_files, pull, snapshot,
)  # fmt: skip


# ---- redirects and the token ----


def test_the_token_goes_to_the_hub_alone(pull, cache, tmp_path):
    repository = Repository(model_files(20 * MB))
    with Hub({REPO: repository}, gated=True, fault=troubles(5, 0.1)) as hub:
        assert pull(hub, env={"HF_TOKEN": "good"}).returncode == 0
        assert {r.headers.get("authorization") for r in hub.asked("api") + hub.asked("hub")} == {"Bearer good"}
        assert hub.asked("cdn") and not any("authorization" in r.headers for r in hub.asked("cdn"))
    # the same from the file that other tools write
    other = Repository(model_files(seed=1), commit="a" * 40)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/token").write_text("good\n")
    with Hub({REPO: other}, gated=True) as hub:
        assert pull(hub, env={"HF_HOME": str(tmp_path / "home")}).returncode == 0
        assert not any("authorization" in r.headers for r in hub.asked("cdn"))


def test_a_gated_repository_says_where_to_ask(pull, cache):
    repository = Repository(model_files())
    with Hub({REPO: repository}, gated=True) as hub:
        failed(pull(hub), "is gated", f"{hub.url}/{REPO}", "HF_TOKEN")
        failed(pull(hub, env={"HF_TOKEN": "bad"}), "is gated", "account that the token belongs to")
        failed(pull(hub, "org/other"), f"{hub.url}/org/other", "no such repository")
        line = failed(pull(hub, env={"HF_TOKEN": "two words"}), "HF_TOKEN")
        assert "two" not in line
    assert_nothing_corrupt(cache, repository)


@pytest.mark.parametrize(
    "location, word",
    [
        ("file:///etc/passwd", "https://"),
        ("ftp://127.0.0.1/x", "https://"),
        ("http://user:secret@127.0.0.1/x", "user name"),
        ("gopher://127.0.0.1:70/x", "https://"),
        ("http://127.0.0.1/a b", "redirect"),
        ("x" * 9000, "302"),
    ],
)
def test_redirects_that_are_not_followed(pull, cache, location, word):
    repository = Repository(model_files())

    def lead(request):
        request.location = location

    with Hub({REPO: repository}, fault=every("hub", lead)) as hub:
        line = failed(pull(hub, REPO, "--retries", "2"), word)
        assert "secret" not in line
        assert_nothing_corrupt(cache, repository)


def test_redirects_in_a_circle_end(pull, cache):
    def circle(request):
        request.location = f"{hub.url}/{REPO}/resolve/{COMMIT}/model.safetensors"

    with Hub({REPO: Repository(model_files())}, fault=every("hub", circle)) as hub:
        failed(pull(hub), "more than 5 times")
        assert len(hub.asked("hub", "model.safetensors")) == 6


def test_an_address_of_the_cdn_may_expire(pull, cache):
    repository = Repository(model_files(40 * MB))

    def expire(request):
        if request.number % 3 == 0:
            request.status = 403

    with Hub({REPO: repository}, fault=every("cdn", expire)) as hub:
        assert pull(hub).returncode == 0
        assert_complete(cache, repository)
        assert len(hub.asked("hub", "model.safetensors")) > 1


# ---- hostile listings ----


def with_files(*entries):
    def change(value):
        good = {"size": 3, "blobId": "0" * 40}
        value["siblings"] += [good | entry for entry in entries]
        return value

    return change


BAD_NAMES = [
    "../evil.safetensors", "../../../../tmp/evil", "/etc/passwd", "a/../b.safetensors", "a//b", "./config.json", "", "a\\b",
    "evil\n.safetensors", "evil\x1b[31m.safetensors", "x" * 300 + ".safetensors", "a/" * 600 + "b", "..", "a/.", "\x7f",
]  # fmt: skip


def test_tricks_in_names_refuse_the_listing(pull, cache, tmp_path):
    with Hub({REPO: Repository(model_files())}) as hub:
        for name in BAD_NAMES:
            hub.listing = with_files({"rfilename": name})
            line = failed(pull(hub), "file")
            assert "\x1b" not in line, name
        assert {r.where for r in hub.requests} == {"api"}
    assert not cache.exists()
    assert not list(tmp_path.rglob("*evil*"))


def replaced(**members):
    return lambda value: value | members


@pytest.mark.parametrize(
    "listing, word",
    [
        (lambda value: b"", "listing"),
        (lambda value: b"{", "listing"),
        (lambda value: b"[]", "listing"),
        (lambda value: b'{"sha": 1}', "commit"),
        (lambda value: b"[" * 100000, "inside one another"),
        (lambda value: b'{"a":"' + b"x" * (17 * MB) + b'"}', "longer than"),
        (lambda value: b'{"sha":"' + b"0" * 40 + b'","sha":"1"}', "listing"),
        (replaced(sha="../" + "0" * 37), "commit"),
        (replaced(sha="A" * 40), "commit"),
        (replaced(siblings={}), "list of files"),
        (replaced(siblings=[1]), "without a file"),
        (replaced(siblings=[]), "config.json"),
        (with_files({"rfilename": "config.json"}), "two different"),
        (with_files({"rfilename": "model-x.safetensors", "size": -1}), "size"),
        (with_files({"rfilename": "model-x.safetensors", "size": 1e9}), "size"),
        (with_files({"rfilename": "model-x.safetensors", "size": 1 << 62}), "size"),
        (with_files({"rfilename": "model-x.safetensors", "size": None}), "size"),
        (with_files({"rfilename": "model-x.safetensors", "blobId": "../../x"}), "hash"),
        (with_files({"rfilename": "model-x.safetensors", "blobId": None}), "hash"),
        (with_files({"rfilename": "model-x.safetensors", "lfs": {"sha256": "0" * 40, "size": 3}}), "hash"),
        (with_files({"rfilename": "tokenizer.model", "size": 1 << 30}), "more than such a file may"),
        (with_files(*({"rfilename": f"f{i}"} for i in range(20001))), "20000"),
        (with_files({"rfilename": "model-x.safetensors", "size": 1 << 41}), "make room"),
    ],
)
def test_listings_that_cannot_be(pull, cache, listing, word):
    with Hub({REPO: Repository(model_files())}, listing=listing) as hub:
        failed(pull(hub), word)
        assert not hub.asked(name="model.safetensors")
    assert not snapshot(cache).exists()


def test_an_index_cannot_lead_elsewhere(pull, cache):
    for name, word in (("../../x.safetensors", "no .safetensors file"), ("missing.safetensors", "does not have")):
        index = json.dumps({"weight_map": {"w": name}}).encode()
        repository = Repository(model_files() | {"model.safetensors.index.json": index})
        with Hub({REPO: repository}) as hub:
            failed(pull(hub), word)
            assert not hub.asked(name="model.safetensors")


def test_ids_and_revisions(usage_error, llmind, cache):
    env = {"HF_HUB_CACHE": str(cache), "HF_ENDPOINT": "http://127.0.0.1:1"}
    for name in ("../x", "a/b/c", "a--b/c", "", "a/..", "/a", "a/", "a b", "org/name.git", "x" * 97, "org/\x1b[31m", "a/b."):
        result = llmind("pull", name, env=env)
        assert result.returncode == 1 and "no id of a model" in result.stderr, name
        result = llmind("rm", "--yes", "--", name, env=env)
        assert result.returncode == 1 and "no id of a model" in result.stderr, name
    for revision in ("", "..", "a/../b", "/a", "a/", ".hidden", "a//b", "x" * 200, "a b", "--x"):
        result = llmind("pull", f"org/name@{revision}", env=env)
        assert result.returncode == 1 and "no revision" in result.stderr, revision
    for endpoint in ("ftp://host", "huggingface.co:80:80", "http://u:p@host", "http://host?x", "file:///etc", "http://"):
        result = llmind("pull", REPO, env=env | {"HF_ENDPOINT": endpoint})
        assert result.returncode == 1 and "HF_ENDPOINT" in result.stderr, endpoint
    assert not cache.exists()
    assert "REPO[@REV] is missing" in usage_error("pull")


def test_links_in_the_cache_lead_nowhere(pull, llmind, cache, tmp_path):
    """Folders of the cache that are links to other places are neither written to nor deleted through."""
    away = tmp_path / "away"
    (away / "blobs").mkdir(parents=True)
    (away / "precious").write_text("stays")
    cache.mkdir()
    os.symlink(away, folder(cache))
    with Hub({REPO: Repository(model_files())}) as hub:
        failed(pull(hub), "link")
    assert llmind("rm", REPO, "--yes", env={"HF_HUB_CACHE": str(cache)}).returncode == 1
    os.unlink(folder(cache))
    with Hub({REPO: Repository(model_files())}) as hub:
        assert pull(hub).returncode == 0
    os.symlink(away, snapshot(cache) / "more")
    os.symlink(away, folder(cache) / "elsewhere")
    assert llmind("rm", REPO, "--yes", env={"HF_HUB_CACHE": str(cache)}).returncode == 0
    assert not folder(cache).exists()
    assert (away / "precious").read_text() == "stays" and {p.name for p in away.iterdir()} == {"blobs", "precious"}

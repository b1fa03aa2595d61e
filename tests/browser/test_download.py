"""Models from the hub on the Models page: asked for, watched, paused, refused, loaded and deleted; the hub is a stand-in."""

import json
import re

import pytest
from hub_server import Hub, Repository
from playwright.sync_api import expect
from pulling import MB, REPO, builtin_files, model_files, slowly, snapshot
from shop import begin_slowly, house, shop  # noqa: F401 - fixtures

from conftest import wait_for

PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def server(house):  # noqa: F811
    """The one whose hub is the stand-in, for `page`."""
    return house.server


@pytest.fixture
def models(shop, page):  # noqa: F811
    page.goto("/models")
    expect(page.get_by_role("heading", name="Get a model")).to_be_visible()
    return page


def ask(page, name):
    page.get_by_role("textbox", name="Name on Hugging Face").fill(name)
    page.get_by_role("button", name="Download", exact=True).click()


def item(page, name=REPO):
    return page.get_by_role("list", name="Downloads").get_by_role("listitem").filter(has_text=name)


def card(page, name=REPO):
    return page.get_by_role("region", name=name, exact=True)


def test_a_model_is_fetched_loaded_and_deleted(shop, models):  # noqa: F811
    shop.offer(builtin_files())
    expect(card(models)).to_have_count(0)
    ask(models, REPO)
    expect(item(models)).to_contain_text("Complete", timeout=PATIENCE_MS)
    expect(item(models)).to_contain_text("fits")
    expect(models.get_by_role("region", name="Notices")).to_contain_text(f"{REPO} is complete")
    expect(models.get_by_role("textbox", name="Name on Hugging Face")).to_have_value("")
    expect(card(models)).to_contain_text("in the hub’s cache")

    card(models).get_by_role("button", name="Load").click()
    models.get_by_role("dialog", name=f"Load {REPO}").get_by_role("button", name="Load", exact=True).click()
    expect(card(models).get_by_role("button", name="Unload")).to_be_visible(timeout=PATIENCE_MS)
    expect(card(models).get_by_role("button", name="Delete")).to_have_count(0)
    card(models).get_by_role("button", name="Unload").click()

    card(models).get_by_role("button", name="Delete").click()
    dialog = models.get_by_role("dialog", name="Delete this model?")
    expect(dialog).to_contain_text(REPO)
    dialog.get_by_role("button", name="Keep it").click()
    assert snapshot(shop.cache).exists()
    card(models).get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(card(models)).to_have_count(0)
    expect(models.get_by_role("region", name="Notices")).to_contain_text("are free again")
    assert not snapshot(shop.cache).exists()


def test_pause_reload_go_on_cancel(shop, models):  # noqa: F811
    begin_slowly(shop)
    models.reload()
    progress = item(models).get_by_role("progressbar", name="Downloading")
    expect(progress).to_have_attribute("aria-valuetext", re.compile(r"\d.%"))
    expect(item(models)).to_contain_text(re.compile(r"MB of 4\.\d+.MB"))
    expect(item(models)).to_contain_text(re.compile(r"B/s"))
    item(models).get_by_role("button", name="Pause").click()
    expect(item(models)).to_contain_text("Paused")
    expect(progress).to_have_count(0)
    models.reload()
    expect(item(models)).to_contain_text("Paused")
    item(models).get_by_role("button", name="Go on").click()
    expect(progress).to_be_visible()
    item(models).get_by_role("button", name="Cancel").click()
    expect(item(models)).to_contain_text("Cancelled")
    shop.hub.fault = lambda request: None
    item(models).get_by_role("button", name="Go on").click()
    expect(item(models)).to_contain_text("Complete", timeout=PATIENCE_MS)
    item(models).get_by_role("button", name="Remove from this list").click()
    expect(models.get_by_role("list", name="Downloads")).to_have_count(0)


def test_the_next_in_line_is_seen_too(shop, models):  # noqa: F811
    shop.offer(builtin_files(), name="org/second")
    begin_slowly(shop)
    ask(models, "org/second")
    expect(item(models, "org/second")).to_contain_text("Waits its turn")
    expect(item(models, REPO)).to_contain_text("Downloading")
    shop.hub.fault = lambda request: None
    item(models, REPO).get_by_role("button", name="Cancel").click()
    expect(item(models, "org/second")).to_contain_text("Complete", timeout=PATIENCE_MS)


def test_what_cannot_be_run_may_be_had_all_the_same(shop, models):  # noqa: F811
    files = model_files()
    config = json.loads(files["config.json"]) | {"model_type": "mamba9", "architectures": ["Mamba9"]}
    shop.offer(files | {"config.json": json.dumps(config).encode()})
    ask(models, REPO)
    expect(item(models)).to_contain_text("Failed")
    expect(item(models)).to_contain_text("mamba9")
    expect(item(models).get_by_role("button", name="Try again")).to_have_count(0)
    item(models).get_by_role("button", name="Download all the same").click()
    expect(item(models)).to_contain_text("Complete", timeout=PATIENCE_MS)
    expect(card(models)).to_contain_text("Cannot be used")
    assert shop.hub.body_bytes("model.safetensors") >= 3 * MB


def test_what_the_hub_refuses(shop, models):  # noqa: F811
    shop.offer(gated=True)
    ask(models, REPO)
    expect(item(models)).to_contain_text("is gated")
    ask(models, "org/nothing")
    expect(item(models, "org/nothing")).to_contain_text("no such repository", ignore_case=True)
    shop.hub.gated = False  # access was given meanwhile
    item(models).get_by_role("button", name="Try again").click()
    expect(item(models)).to_contain_text("Complete", timeout=PATIENCE_MS)


def test_a_name_that_is_none(shop, models):  # noqa: F811
    field = models.get_by_role("textbox", name="Name on Hugging Face")
    button = models.get_by_role("button", name="Download", exact=True)
    expect(button).to_be_disabled()
    for wrong, said in (("qwen", "must be like"), ("https://huggingface.co/org/name", "Only the name")):
        field.fill(wrong)
        expect(models.get_by_text(said)).to_be_visible()
        button.click()
    field.fill("org/..")  # only the server knows
    button.click()
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("org/name")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    assert shop.server.get("/api/models/downloads").json()["downloads"] == []


def test_a_server_that_starts_anew_goes_on_when_asked(start_server, open_context, tmp_path):
    cache = tmp_path / "hub"
    with Hub({REPO: Repository(model_files(4 * MB))}, fault=slowly(MB // 8)) as hub:
        first = start_server("--no-preload", env=hub.env(cache))
        page = open_context(server=first).new_page()
        page.expected_errors += ["ERR_", "Failed to fetch", "network error"]
        page.goto("/models")
        ask(page, REPO)
        wait_for(lambda: hub.body_bytes("model.safetensors") > MB // 4, "weights to come", 60)
        first.process.kill()
        first.process.wait()
        expect(page.get_by_role("region", name="Connection")).to_be_visible()
        hub.fault = lambda request: None
        before = hub.body_bytes("model.safetensors")
        start_server("--no-preload", "--port", first.port, env=hub.env(cache))
        expect(page.get_by_role("list", name="Downloads")).to_have_count(0, timeout=PATIENCE_MS)
        ask(page, REPO)
        expect(item(page)).to_contain_text("Complete", timeout=PATIENCE_MS)
        assert hub.body_bytes("model.safetensors") - before < 4 * MB  # what had come was not fetched again

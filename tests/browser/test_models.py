"""The Models page: the list with what is broken, loading with options, refusals and the ways out, unloading."""

import re
import shutil

import pytest
from conftest import BUILTIN, wait_for
from lora import write_adapter
from playwright.sync_api import expect

PATIENCE_MS = 120_000


@pytest.fixture(scope="module", autouse=True)
def shelf(server):
    """Beside the built-in model one that works and one that does not, and an adapter for the one that works."""
    folder = server.folder / ".local" / "share" / "llmind" / "models"
    shutil.copytree(BUILTIN, folder / "second", ignore=shutil.ignore_patterns("corpus", "train"))
    (folder / "broken").mkdir(parents=True)
    (folder / "broken" / "config.json").write_text('{"model_type": "lla')
    write_adapter(folder / "tuned")


@pytest.fixture(autouse=True)
def builtin_loaded(server):
    yield
    assert server.post("/api/models/load", {"model": "builtin"}).status_code == 200


def card(page, name):
    return page.get_by_role("region", name=name, exact=True)


def loaded(page):
    return card(page, "Loaded now")


def open_dialog(page, name, button="Load"):
    card(page, name).get_by_role("button", name=button, exact=True).click()
    return page.get_by_role("dialog", name=f"Load {name}")


def test_the_list_says_what_is_what(server, page):
    page.goto("/models")
    expect(loaded(page)).to_contain_text("builtin")
    expect(card(page, "builtin")).to_contain_text("Loaded")
    for text in ("12.3", "llama", "4-bit", "19.9", "2\u202f048"):
        expect(card(page, "builtin")).to_contain_text(text)
    problem = next(m for m in server.get("/api/models").json()["models"] if m["name"] == "broken")["problem"]
    expect(card(page, "broken")).to_contain_text(problem)
    expect(card(page, "broken").get_by_role("button", name="Load")).to_have_count(0)
    page.get_by_role("searchbox", name="Search the models").fill("sec")
    expect(card(page, "second")).to_be_visible()
    expect(card(page, "broken")).to_have_count(0)
    page.get_by_role("searchbox", name="Search the models").fill("nothing like this")
    expect(page.get_by_text("No model is like that")).to_be_visible()
    page.get_by_role("searchbox", name="Search the models").fill("")
    page.get_by_role("combobox", name="Show").select_option("broken")
    expect(card(page, "broken")).to_be_visible()
    expect(card(page, "second")).to_have_count(0)


def test_load_with_options_and_unload(server, page):
    page.goto("/models")
    dialog = open_dialog(page, "second")
    dialog.get_by_role("spinbutton", name="Context, tokens").fill("99999")
    expect(dialog.get_by_text(re.compile("whole number from 1 to 2\u202f048"))).to_be_visible()
    expect(dialog.get_by_role("button", name="Load", exact=True)).to_be_disabled()
    dialog.get_by_role("spinbutton", name="Context, tokens").fill("512")
    dialog.get_by_role("combobox", name="Bits of a number in the KV cache").select_option("8")
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(loaded(page)).to_contain_text("second")
    expect(loaded(page)).to_contain_text("512 tokens".replace(" ", "\u00a0"))
    expect(loaded(page)).to_contain_text("8\u00a0bits")
    card(page, "second").get_by_role("button", name="Unload").click()
    expect(loaded(page)).to_contain_text("The next question loads one", timeout=PATIENCE_MS)
    assert server.get("/api/models").json()["loaded"] is None


def test_another_backend(server, page):
    """Where the program has MLX, the dialog offers it, says what is not known of it, and the model runs on it and back."""
    if "mlx" not in server.get("/api/system").json()["backends"]:
        pytest.skip("this build has no mlx backend")
    page.goto("/models")
    for name, told in (("mlx", "mlx, cpu"), ("cpu", "cpu, ")):
        dialog = open_dialog(page, "second", "Load" if name == "mlx" else "Load with other options")
        dialog.get_by_role("combobox", name="Backend").select_option(name)
        expect(dialog.get_by_text("not predicted for MLX")).to_have_count(1 if name == "mlx" else 0)
        dialog.get_by_text("Rarer options").click()
        expect(dialog.get_by_role("combobox", name="Instruction set")).to_be_enabled(enabled=name == "cpu")
        dialog.get_by_role("button", name="Load", exact=True).click()
        expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
        expect(loaded(page)).to_contain_text(told)
        assert server.get("/api/performance").json()["model"]["backend"] == name


def test_an_adapter(server, page):
    """What is wrong with it is said at its field, and no more once another one is asked for; the card says which is on."""
    page.goto("/models")
    dialog = open_dialog(page, "second")
    field = dialog.get_by_role("textbox", name="LoRA adapter")
    field.fill("tund")
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(field).to_have_accessible_description(re.compile("did you mean 'tuned'"))
    expect(field).to_be_focused()
    expect(dialog.get_by_role("alert")).to_have_count(0)
    assert server.get("/api/models").json()["loaded"] == "builtin"
    field.fill("tuned")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(loaded(page)).to_contain_text("LoRA adapter")
    expect(loaded(page)).to_contain_text("tuned")
    dialog = open_dialog(page, "second", "Load with other options")
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(loaded(page)).not_to_contain_text("LoRA adapter")
    assert server.get("/api/performance").json()["model"]["adapter"] is None


def test_what_the_server_refuses_is_shown_with_its_words(server, page):
    page.goto("/models")
    dialog = open_dialog(page, "second")
    dialog.get_by_text("Rarer options").click()
    wrong = "reference"
    dialog.get_by_role("combobox", name="Instruction set").select_option(wrong)
    page.route("**/api/models/load", lambda route: route.fulfill(status=409, json={"error": {
        "message": "beside the loaded model, which may not be unloaded: the model does not fit in memory: weights 9000 MiB, "
                   "and 100 MiB are available",
        "type": "invalid_request_error", "code": "model_busy", "param": "model"}}), times=1)  # fmt: skip
    dialog.get_by_role("button", name="Load", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("weights 9000 MiB")
    dialog.get_by_role("button", name="Unload builtin first, then load").click()
    expect(dialog).to_be_hidden(timeout=PATIENCE_MS)
    expect(loaded(page)).to_contain_text("second")
    expect(loaded(page)).to_contain_text(wrong)


def test_during_a_profile_nothing_is_loaded_and_the_page_says_why(server, page):
    page.goto("/models")
    expect(loaded(page)).to_contain_text("builtin")
    run = server.post("/api/profiling/runs", {"quick_mode": True, "max_tokens": 16}).json()["run_id"]
    try:
        card(page, "builtin").get_by_role("button", name="Unload").click()
        expect(page.get_by_role("alert").filter(has_text="builtin was not unloaded")).to_contain_text("profiling run")
        expect(page.get_by_role("link", name=re.compile("To the run"))).to_be_visible()
    finally:
        server.request("DELETE", f"/api/profiling/runs/{run}")
        wait_for(lambda: not server.get("/api/profiling/status").json()["running"], "the run to end")

"""The Settings page: every setting of the schema, saved at once, refused with words, put back; the key of this tab."""

import pytest
from playwright.sync_api import expect


@pytest.fixture(autouse=True)
def defaults_afterwards(server):
    yield
    values = server.get("/api/settings").json()["values"]
    server.request("PUT", "/api/settings", json=dict.fromkeys(values))


def value(server, key):
    return server.get("/api/settings").json()["values"][key]


def field(page, key):
    return page.locator(f'[data-setting="{key}"]')


def test_every_setting_of_the_schema_has_its_field(server, page):
    page.goto("/settings")
    for row in server.get("/api/settings").json()["schema"]:
        expect(field(page, row["key"])).to_be_visible()
        if row["takes_effect"] == "next_start":
            expect(field(page, row["key"])).to_contain_text("Takes effect at the next start")
    expect(page.get_by_text("Last-level cache")).to_be_visible()
    for name, path in (("Metrics", "/metrics"), ("Description of the API", "/openapi.json")):
        assert page.get_by_role("link", name=name).get_attribute("href") == path
        assert server.get(path).status_code == 200


def test_a_change_is_saved_at_once_and_put_back(server, page):
    page.goto("/settings")
    temperature = field(page, "temperature")
    temperature.get_by_role("spinbutton").fill("5")
    temperature.get_by_role("spinbutton").press("Tab")
    expect(temperature).to_contain_text("from 0 to 2")
    assert value(server, "temperature") is None
    temperature.get_by_role("spinbutton").fill("0.5")
    temperature.get_by_role("spinbutton").press("Tab")
    expect(temperature).to_contain_text("Saved")
    assert value(server, "temperature") == 0.5
    field(page, "kv_bits").get_by_role("combobox").select_option("8")
    expect(field(page, "kv_bits")).to_contain_text("Saved")
    page.reload()
    expect(temperature.get_by_role("spinbutton")).to_have_value("0.5")
    temperature.get_by_role("button", name="Temperature: back to the default").click()
    expect(temperature.get_by_role("spinbutton")).to_have_value("")
    expect(temperature).to_contain_text("Saved")
    assert value(server, "temperature") is None and value(server, "kv_bits") == 8


def test_all_to_their_defaults_can_be_undone(server, page):
    server.request("PUT", "/api/settings", json={"seed": 7, "top_p": 0.5})
    page.goto("/settings")
    page.get_by_role("button", name="All to their defaults").click()
    page.get_by_role("dialog").get_by_role("button", name="All to their defaults").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert value(server, "seed") is None
    page.get_by_role("button", name="Undo").click()
    expect(field(page, "seed").get_by_role("spinbutton")).to_have_value("7")
    expect(page.get_by_text("The settings are as they were.").first).to_be_visible()
    assert (value(server, "seed"), value(server, "top_p")) == (7, 0.5)


def test_colours_change_at_once_and_stay(server, page):
    page.goto("/settings")
    for choice in ("light", "dark"):
        field(page, "theme").get_by_role("combobox").select_option(choice)
        expect(page.locator("html")).to_have_attribute("data-theme", choice)
        expect(field(page, "theme")).to_contain_text("Saved")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert value(server, "theme") == "dark"


def test_the_key_of_this_tab_is_used_and_never_shown(server, page):
    page.goto("/settings")
    key = page.get_by_label("API key of this tab")
    assert key.get_attribute("type") == "password"
    key.fill("secret-key")
    key.press("Enter")
    expect(page.get_by_role("button", name="Forget the key")).to_be_visible()
    expect(key).to_have_value("")
    assert "secret-key" not in page.content()
    with page.expect_request("**/api/chats**") as request:
        page.get_by_role("link", name="Chat", exact=True).click()
    assert request.value.headers["authorization"] == "Bearer secret-key"
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("button", name="Forget the key").click()
    assert page.evaluate("sessionStorage.getItem('llmind.key')") is None

"""A full disk: chats go on, say that they are not saved, and are saved once there is room again."""

import os
import subprocess

import pytest
from conftest import api

FILLER = "filler"


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine does not let us mount a file system: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder):
    size = 65536
    with open(folder / FILLER, "ab", buffering=0) as file:
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def send(server, identity, **body):
    with server.client.stream("POST", f"/api/chats/{identity}/messages", json={"max_tokens": 4} | body) as response:
        assert response.status_code == 200, response.read()
        return list(api.events(response))


def test_chats_go_on_and_say_that_they_are_not_saved(start_server, small_disk):
    server = start_server("--data-dir", small_disk)
    old = server.post("/api/chats", {"title": "old"}).json()
    assert send(server, old["id"], content="first")[-1]["saved"]
    fill(small_disk)
    while server.post("/api/chats", {"system": "x" * 20000}).json()["saved"]:
        pass  # what SQLite still had in its files is used up

    told = send(server, old["id"], content="second")
    assert told[0]["message"]["saved"] is False and "disk is full" in told[0]["message"]["saved_reason"]
    assert told[-1]["saved"] is False and "disk is full" in told[-1]["saved_reason"]
    answer = told[-1]["message"]["content"]
    assert answer == "".join(event.get("content", "") for event in told)

    new = server.post("/api/chats", {}).json()
    assert new["saved"] is False and "disk is full" in new["saved_reason"]
    assert send(server, new["id"], content="in memory")[-1]["saved"] is False
    assert send(server, new["id"], regenerate=True)[-1]["saved"] is False
    assert [m["role"] for m in server.get(f"/api/chats/{new['id']}").json()["messages"]] == ["user", "assistant"]
    contents = [m["content"] for m in server.get(f"/api/chats/{old['id']}").json()["messages"]]
    assert contents[2:] == ["second", answer]
    assert {new["id"], old["id"]} <= {c["id"] for c in server.get("/api/chats?limit=200").json()["chats"]}
    settings = server.request("PUT", "/api/settings", json={"theme": "dark"}).json()
    assert settings["values"]["theme"] == "dark"
    assert server.get("/health").status_code == 200

    (small_disk / FILLER).unlink()
    third = send(server, old["id"], content="third")
    assert third[-1]["saved"], third[-1]
    server.stop()
    again = start_server("--data-dir", small_disk)
    for identity, n in ((old["id"], 6), (new["id"], 2)):
        chat = again.get(f"/api/chats/{identity}").json()
        assert chat["saved"] and chat["message_count"] == n == len(chat["messages"])
        assert all(message["saved"] for message in chat["messages"])
    again.stop()


def test_a_server_without_a_database_still_chats(start_server, tmp_path):
    not_a_folder = tmp_path / "file"
    not_a_folder.write_text("in the way")
    server = start_server("--data-dir", not_a_folder / "data")
    chat = server.post("/api/chats", {}).json()
    assert chat["saved"] is False and str(not_a_folder) in chat["saved_reason"]
    done = send(server, chat["id"], content="hello")[-1]
    assert done["saved"] is False and done["message"]["content"]
    assert len(server.get(f"/api/chats/{chat['id']}").json()["messages"]) == 2
    settings = server.request("PUT", "/api/settings", json={"max_tokens": 3}).json()
    assert settings["saved"] is False and settings["values"]["max_tokens"] == 3


def test_a_database_that_is_none_is_left_alone(start_server, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "llmind.db").write_bytes(b"not a database" * 1000)
    server = start_server("--data-dir", folder)
    chat = server.post("/api/chats", {}).json()
    assert chat["saved"] is False and "move the file away" in chat["saved_reason"]
    server.stop()
    assert (folder / "llmind.db").read_bytes() == b"not a database" * 1000

"""kill -9 of the server at random moments while chats are written.

Four clients write chats (large system prompts, messages, answers) until the server is killed; then the database of
the same data folder must open, be whole, hold everything that was acknowledged, and nothing by half. The next round
goes on with the same folder. What is written can be recognised: every text is made from its name.

    python tests/faults/kill_server.py --rounds 200 [--seed N] [--output FILE.json]
"""

import argparse
import contextlib
import json
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
import time

import httpx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from conftest import api  # noqa: E402

WRITERS = 4


def text_of(name, size):
    """A text of `size` characters that says what it is and cannot be half of itself."""
    body = f"[{name}:{size}]"
    return body + ("." * (size - len(body) - 1) + "!" if size > len(body) else "")


def is_whole(text):
    name, size = text[1 : text.index("]")].rsplit(":", 1)
    return text == text_of(name, int(size))


class Writer(threading.Thread):
    """Writes until the server is gone; `chats` and `messages` are what it was told is saved."""

    def __init__(self, url, name, seed, started):
        super().__init__()
        self.url, self.name_, self.random, self.started = url, name, random.Random(seed), started
        self.chats, self.messages, self.problems = {}, {}, []

    def run(self):
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False, verify=False) as client:
            self.started.wait()
            with contextlib.suppress(httpx.TransportError):
                for i in range(100000):
                    self.write_chat(client, f"{self.name_}-{i}")

    def write_chat(self, client, name):
        system = text_of(name, self.random.choice((60, 5000, 200000)))
        response = client.post("/api/chats", json={"system": system})
        if response.status_code != 201:
            self.problems.append(response.text)
            return
        identity = response.json()["id"]
        self.chats[identity] = system
        client.patch(f"/api/chats/{identity}", json={"system": None}).raise_for_status()
        self.chats[identity] = None
        for i in range(2):
            self.say(client, identity, text_of(f"{name}-{i}", 40))

    def say(self, client, identity, content):
        body = {"content": content, "max_tokens": 3}
        with client.stream("POST", f"/api/chats/{identity}/messages", json=body) as response:
            if response.status_code != 200:
                self.problems.append(response.read().decode())
                return
            for event in api.events(response):
                message = event.get("message")
                if message and message["saved"]:
                    self.messages[(identity, message["index"])] = message["content"]
                if event.get("saved") is False or "error" in event:
                    self.problems.append(event)


def check(path, chats, messages):
    """Everything acknowledged is there, and everything that is there is whole. Returns how much that is."""
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    systems = dict(database.execute("SELECT id, system FROM chat"))
    for identity, system in chats.items():
        assert identity in systems, f"chat {identity} was acknowledged and is gone"
        assert systems[identity] in (system, None)
    assert all(is_whole(system) for system in systems.values() if system)
    rows = {(i, p): (r, t) for i, p, r, t in database.execute(
        "SELECT c.id, m.position, m.role, m.text FROM message m JOIN chat c ON c.number = m.chat")}
    for key, text in messages.items():
        assert key in rows, f"message {key} was acknowledged and is gone"
        assert rows[key][1] == text
    assert all(is_whole(text) for role, text in rows.values() if role == "user")
    wrong = database.execute(
        "SELECT c.id FROM chat c LEFT JOIN message m ON m.chat = c.number GROUP BY c.number HAVING "
        "c.messages != count(m.position) OR c.messages != coalesce(max(m.position) + 1, 0) OR c.bytes != "
        "coalesce(sum(length(CAST(m.text AS BLOB)) + coalesce(length(CAST(m.extra AS BLOB)), 0)), 0)").fetchall()
    assert wrong == [], f"chats whose counts are not their messages': {wrong}"
    database.close()
    return len(systems), len(rows)


def run(folder, rounds, seed, say=lambda line: None):
    """Kills `rounds` servers; returns the figures. Raises AssertionError."""
    chance = random.Random(seed)
    chats, messages = {}, {}
    counted = (0, 0)
    for number in range(rounds):
        server = api.Server(folder)
        started = threading.Barrier(WRITERS + 1)
        writers = [Writer(server.url, f"{number}-{i}", chance.random(), started) for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        started.wait()
        time.sleep(chance.uniform(0.0, 0.4))
        server.process.kill()
        server.process.wait()
        server.client.close()
        for writer in writers:
            writer.join()
            assert not writer.problems, writer.problems[0]
            chats |= writer.chats
            messages |= writer.messages
        counted = check(server.data / "llmind.db", chats, messages)
        say(f"round {number + 1}: {counted[0]} chats, {counted[1]} messages, all whole")
    assert messages, "no message was acknowledged in any round: the rounds are too short to say anything"
    return {"rounds": rounds, "seed": seed, "chats": counted[0], "messages": counted[1],
            "acknowledged_chats": len(chats), "acknowledged_messages": len(messages)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--output", help="write the figures as JSON")
    arguments = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="llmind-kill-"))
    try:
        result = run(folder, arguments.rounds, arguments.seed, say=lambda line: print(line, flush=True))
    except AssertionError as failure:
        sys.exit(f"FAILED (--seed {arguments.seed}; the folder {folder} is kept): {failure}")
    shutil.rmtree(folder)
    print(json.dumps(result))
    if arguments.output:
        pathlib.Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

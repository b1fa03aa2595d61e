"""A server that starts with a prompt cache: the first request that begins with the cached text finds it computed."""

import subprocess

import pytest

from conftest import BUILTIN, PROGRAM, clean_environment

BOOK = " ".join(f"Chapter {n} tells how the {n}th key and the {n}th value were stored and found again." for n in range(1, 20))
QUESTION = "\nWhat were found again?"


@pytest.fixture
def cache(tmp_path):
    """cache("--raw") makes the file of BOOK in a folder whose name no client must see."""

    def make(*options):
        if not (BUILTIN / "config.json").exists():
            pytest.skip("models/builtin is not there: it is trained by models/builtin/train")
        file = tmp_path / "secret-place" / "book.cache"
        file.parent.mkdir()
        command = [PROGRAM, "generate", "builtin", "-p", BOOK, "-n", "0", "--save-prompt-cache", file, *options]
        subprocess.run(command, check=True, capture_output=True, env=clean_environment(tmp_path))
        return file

    return make


def asked(server, **members):
    body = {"model": "builtin", "messages": [{"role": "user", "content": BOOK + QUESTION}], "max_tokens": 8, "temperature": 0}
    response = server.post("/v1/chat/completions", body | members)
    assert response.status_code == 200, response.text
    answer = response.json()
    usage = answer["usage"]
    return answer["choices"][0]["message"]["content"], usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def test_the_first_request_finds_it(start_server, cache):
    server = start_server("--prompt-cache", cache())
    text, prompt, cached = asked(server)
    assert cached > prompt / 2 and prompt - cached < 3 * 64
    computed, _, none = asked(server, cache_prompt=False)
    assert none == 0 and text == computed
    assert asked(server, messages=[{"role": "user", "content": "Another text. " * 100}])[2] == 0


def test_the_text_as_it_is(start_server, cache):
    server = start_server("--prompt-cache", cache("--raw"))
    response = server.post("/v1/completions", {"model": "builtin", "prompt": BOOK + QUESTION, "max_tokens": 4})
    usage = response.json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > usage["prompt_tokens"] / 2


def test_other_options_go_without(start_server, cache):
    server = start_server("--prompt-cache", cache())
    loaded = server.post("/api/models/load", {"model": "builtin", "options": {"kv_bits": 8}, "unload_current": True})
    assert loaded.status_code == 200, loaded.text
    assert asked(server)[2] == 0


def test_a_server_does_not_start_with_one_of_other_options(cache, tmp_path):
    file = cache("--kv-bits", "8")
    command = [PROGRAM, "serve", "--port", "0", "--data-dir", tmp_path / "data", "--prompt-cache", file]
    result = subprocess.run(command, capture_output=True, text=True, env=clean_environment(tmp_path), timeout=300)
    assert result.returncode == 1
    assert "the prompt cache keeps 8 bits per cached number, and this engine 16" in result.stderr

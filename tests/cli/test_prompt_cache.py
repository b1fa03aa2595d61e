"""A prompt cache on its whole way: made of a long text, used by runs whose prompts begin with it, refused by others."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))

from lora import write_adapter  # noqa: E402

PAGE = 64
BOOK = " ".join(f"Chapter {n} tells how the {n}th key and the {n}th value were stored and found again." for n in range(1, 25))
QUESTION = "\nWhat were found again?"
GREEDY = ["--temp", "0", "-n", "24", "--json"]


@pytest.fixture
def make(llmind, builtin, tmp_path):
    """make("book.cache", "--kv-bits", "8") keeps BOOK and returns how many of its tokens are there."""

    def run(name, *options):
        result = llmind("generate", builtin, "-p", "-", "-n", "0", "--json", "--save-prompt-cache", name, *options, input=BOOK)
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert answer["text"] == "" and answer["usage"]["completion_tokens"] == 0
        saved = answer["saved_prompt_cache"]
        assert saved["file"] == name and saved["bytes"] == (tmp_path / name).stat().st_size
        assert saved["tokens"] == answer["usage"]["prompt_tokens"] // PAGE * PAGE > 0
        assert (tmp_path / name).read_bytes().startswith(b"llmind.prompt-cache/1\0")
        assert [p.name for p in tmp_path.glob(f"{name}*")] == [name]  # nothing lies beside it
        return saved["tokens"]

    return run


@pytest.mark.parametrize("options", [[], ["--raw"], ["--kv-bits", "8"], ["--system", "Answer briefly."], ["--precise"]])
def test_a_later_run_computes_the_rest_only(llmind, builtin, make, options):
    kept = make("book.cache", *options)
    arguments = ["generate", builtin, "-p", BOOK + QUESTION, *GREEDY, *options]
    computed = json.loads(llmind(*arguments).stdout)
    assert computed["usage"]["cached_tokens"] == 0
    result = llmind(*arguments, "--prompt-cache", "book.cache")
    assert result.returncode == 0, result.stderr
    loaded = json.loads(result.stdout)
    assert loaded["text"] == computed["text"]
    assert loaded["usage"]["completion_tokens"] == computed["usage"]["completion_tokens"] > 0
    prompt, cached = (loaded["usage"][name] for name in ("prompt_tokens", "cached_tokens"))
    # what ends the message in the cached prompt is elsewhere in the longer one: it may cost the last page
    assert cached % PAGE == 0 and kept - PAGE <= cached <= kept
    assert prompt - cached < prompt / 3


def test_an_answer_beside_it(llmind, builtin, tmp_path):
    arguments = ["generate", builtin, "-p", BOOK, "--temp", "0", "-n", "12"]
    plain = llmind(*arguments)
    result = llmind(*arguments, "--save-prompt-cache", "book.cache")
    assert result.returncode == 0 and result.stdout == plain.stdout
    assert "tokens are kept in book.cache (" in result.stderr and result.stderr.count("\n") == 1
    again = llmind(*arguments, "--prompt-cache", "book.cache")
    assert again.stdout == plain.stdout
    only = llmind("generate", builtin, "-p", BOOK, "-n", "0", "--save-prompt-cache", "again.cache", "--prompt-cache", "book.cache")
    assert only.returncode == 0 and only.stdout == "" and "are kept in again.cache" in only.stderr
    assert (tmp_path / "again.cache").read_bytes() == (tmp_path / "book.cache").read_bytes()


def test_chat_takes_one(llmind, builtin, make):
    make("book.cache")
    arguments = ["chat", builtin, "--temp", "0", "-n", "12"]

    def answer(*options):
        result = llmind(*arguments, *options, input=BOOK + "\n")
        assert result.returncode == 0, result.stderr
        return result.stdout.split(" tok/s ")[0].rsplit(" · ", 1)[0]  # how fast it was is another matter

    assert answer("--prompt-cache", "book.cache") == answer()


def test_what_it_was_not_made_for_is_refused(failure, llmind, builtin, make, tmp_path):
    make("book.cache")
    arguments = ["generate", builtin, "-p", BOOK, "-n", "4", "--prompt-cache", "book.cache"]
    assert "--kv-bits 16" in failure(*arguments, "--kv-bits", "8")
    assert "--ctx " in failure(*arguments, "--ctx", "128")
    assert "without --precise" in failure(*arguments, "--precise", "--kv-bits", "16")
    adapter = write_adapter(tmp_path / "tuned")
    assert "with the adapter tuned" in failure(*arguments, "--adapter", adapter)
    assert llmind("synth", "tiny-llama", tmp_path / "tiny").returncode == 0
    line = failure("generate", tmp_path / "tiny", *arguments[2:])
    assert "made for the model builtin, and this is tiny" in line


def test_what_is_no_prompt_cache_is_refused(failure, builtin, make, tmp_path):
    arguments = ["generate", builtin, "-p", BOOK, "-n", "4", "--prompt-cache"]
    assert "does not exist" in failure(*arguments, "nowhere.cache")
    (tmp_path / "text").write_text(BOOK)
    assert "is no prompt cache" in failure(*arguments, "text")
    make("book.cache")
    whole = (tmp_path / "book.cache").read_bytes()
    (tmp_path / "short").write_bytes(whole[:-1000])
    assert "is cut short" in failure(*arguments, "short")
    middle = len(whole) // 2
    (tmp_path / "damaged").write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert "is damaged" in failure(*arguments, "damaged")


def test_what_cannot_be_kept_is_said_first(failure, llmind, builtin, tmp_path):
    arguments = ["generate", builtin, "-p", "Hello", "-n", "4", "--save-prompt-cache"]
    assert "no such folder" in failure(*arguments, "nowhere/book.cache")
    assert "not a regular file" in failure(*arguments, ".")
    (tmp_path / "old").write_text("what was there")
    result = failure("generate", builtin, "-p", "Hello", "-n", "0", "--raw", "--save-prompt-cache", "old")
    assert "whole pages of 64" in result
    assert (tmp_path / "old").read_text() == "what was there"
    answered = llmind("generate", builtin, "-p", "Hello", "-n", "3", "--raw", "--json", "--save-prompt-cache", "old")
    assert answered.returncode == 1 and "whole pages of 64" in answered.stderr
    assert json.loads(answered.stdout)["usage"]["completion_tokens"] == 3  # the answer is whole all the same


def test_usage(usage_error):
    said = usage_error("generate", "m", "-p", "x", "-n", "0")
    assert "a whole number from 1, or 0 beside --save-prompt-cache" in said
    assert "the name of a file" in usage_error("generate", "m", "-p", "x", "--prompt-cache", "")
    for command in (["eval", "m"], ["bench", "m"], ["profile", "m"]):
        assert "unknown option '--prompt-cache'" in usage_error(*command, "--prompt-cache", "file")

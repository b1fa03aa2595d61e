"""The real program, run as a user runs it, with nothing of the user's own in its environment."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LLMIND_BUILD_DIR", ROOT / "build"))
PROGRAM = BUILD / "llmind"
BUILTIN = ROOT / "models" / "builtin"

COMMANDS = ["serve", "chat", "generate", "profile", "compare", "bench", "convert", "doctor", "estimate", "eval", "guide", "history", "list", "pull", "rm", "show", "synth", "system"]


@pytest.fixture
def environment(tmp_path):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLMIND_", "HF_", "XDG_"))}
    kept.pop("NO_COLOR", None)
    return kept | {"HOME": str(tmp_path), "LLMIND_BUILTIN": str(BUILTIN), "TERM": "xterm"}


@pytest.fixture
def llmind(environment, tmp_path):
    """llmind("list", "--json", env={...}, input="...") -> CompletedProcess with text."""
    assert PROGRAM.exists(), f"{PROGRAM} is not built (make build, or set LLMIND_BUILD_DIR)"

    def run(*arguments, env=None, input=None, timeout=300):
        return subprocess.run(
            [str(PROGRAM), *map(str, arguments)],
            env=environment | (env or {}),
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
        )

    return run


@pytest.fixture
def builtin():
    if not (BUILTIN / "config.json").exists():
        pytest.skip("models/builtin is not there: it is trained by models/builtin/train")
    return "builtin"


@pytest.fixture
def usage_error(llmind):
    """Runs, and checks that it ends with exit code 2 and one line, which is returned."""

    def run(*arguments, **options):
        result = llmind(*arguments, **options)
        assert result.returncode == 2, result
        return only_line(result)

    return run


@pytest.fixture
def failure(llmind):
    """The same for exit code 1."""

    def run(*arguments, **options):
        result = llmind(*arguments, **options)
        assert result.returncode == 1, result
        return only_line(result)

    return run


def only_line(result):
    assert result.stdout == ""
    assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("llmind"), result.stderr
    return result.stderr.rstrip("\n")

"""Help, exit codes, and what is said to somebody who mistyped."""

import pytest

from conftest import COMMANDS


def test_help_lists_the_commands(llmind):
    result = llmind("--help")
    assert result.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout
    assert result.stdout == llmind("help").stdout


def test_version(llmind):
    result = llmind("--version")
    assert result.returncode == 0
    assert result.stdout.startswith("llmind 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(llmind, command):
    result = llmind(command, "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith(f"usage: llmind {command}")
    assert "examples\n" in result.stdout
    assert f"llmind {command}" in result.stdout.split("examples\n")[1]
    assert llmind("help", command).stdout == result.stdout


def test_unknown_commands(usage_error):
    assert usage_error("genrate") == "llmind: unknown command 'genrate' (did you mean 'generate'?); see 'llmind --help'"
    assert "did you mean" not in usage_error("xyzzy-plugh")
    assert usage_error("--nonsense").startswith("llmind: unknown option '--nonsense'")
    assert "unknown command 'nothing'" in usage_error("help", "nothing")


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_options(usage_error, command):
    line = usage_error(command, "m", "--zzzzz")
    assert "unknown option '--zzzzz'" in line
    assert f"'llmind {command} --help'" in line


def test_options_near_to_known_ones(usage_error):
    assert "(did you mean --threads?)" in usage_error("generate", "m", "-p", "x", "--thraeds", "2")
    assert "(did you mean --quick?)" in usage_error("profile", "--qiuck")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["generate", "-p", "x"], "MODEL is missing ('llmind list' shows what is here); usage: llmind generate M"),
        (["generate", "m"], "a prompt is needed"),
        (["generate", "m", "-p"], "-p wants a value"),
        (["generate", "m", "-p", "x", "-n", "0"], "a whole number from 1"),
        (["generate", "m", "-p", "x", "--temp", "hot"], "--temp wants a number from 0 to 100, not 'hot'"),
        (["generate", "m", "-p", "x", "--raw", "--chat"], "exclude each other"),
        (["generate", "m", "-p", "x", "--threads", "-1"], "--threads wants a whole number from 1 to 1024"),
        (["generate", "m", "-p", "x", "--kv-bits", "4"], "--kv-bits wants 8, 16 or 32, not '4'"),
        (["generate", "m", "n", "-p", "x"], "unexpected argument 'n'"),
        (["chat", "a", "b"], "unexpected argument 'b'"),
        (["show"], "MODEL is missing"),
        (["synth", "tiny-llama"], "DIR is missing; usage: llmind synth SHAPE"),
        (["bench", "m", "-p", "1,,2"], "--n-prompt wants at most 16 whole numbers"),
        (["bench", "m", "-p", "0", "-n", "0"], "nothing to run"),
        (["bench", "m", "-o", "xml"], "--output wants md, json, jsonl or csv, not 'xml'"),
        (["bench", "m", "--pg", "512"], "--pg wants two numbers"),
        (["profile", "-o", "report.docx"], ".svg, not 'report.docx'"),
        (["profile", "--prompt", ""], "--prompt wants text"),
        (["list", "extra"], "unexpected argument 'extra'"),
    ],
)
def test_wrong_usage_is_one_clear_line(usage_error, arguments, said):
    assert said in usage_error(*arguments)


def test_wrong_environment_is_named(usage_error):
    line = usage_error("generate", "m", "-p", "x", env={"LLMIND_THREADS": "lots"})
    assert "LLMIND_THREADS wants a whole number from 1 to 1024, not 'lots'" in line


@pytest.mark.parametrize("command", [["show"], ["generate", "-p", "x"], ["chat"], ["bench"], ["profile"]])
def test_a_model_that_is_not_there(failure, tmp_path, command):
    line = failure(command[0], "no-such-model", *command[1:])
    assert "no model 'no-such-model'" in line
    assert str(tmp_path / ".local/share/llmind/models") in line
    assert str(tmp_path / ".cache/huggingface/hub") in line


def test_near_names_are_offered(failure, builtin):
    assert "did you mean 'builtin'?" in failure("show", "biultin")


def test_folders_that_are_not_models(failure, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "has no config.json" in failure("show", "./empty")
    assert "there is no folder './nowhere'" in failure("show", "./nowhere")
    assert "not a model name" in failure("show", "a/../../b")


@pytest.mark.parametrize(
    "config, said",
    [
        ("", "config.json"),
        ("{", "config.json"),
        ("[]", "config.json"),
        ('{"model_type": "klingon"}', "klingon"),
        ('{"model_type": "llama"}', "config.json"),
    ],
)
def test_broken_models_are_one_clear_line(failure, tmp_path, config, said):
    model = tmp_path / "broken"
    model.mkdir()
    (model / "config.json").write_text(config)
    for command in (["show", model], ["generate", model, "-p", "x"], ["bench", model]):
        assert said in failure(*command)

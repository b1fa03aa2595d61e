import json
import subprocess

from conftest import PROGRAM


def test_same_seed_same_text(llmind, builtin):
    arguments = ["generate", builtin, "-p", "What is a KV cache?", "-n", "40", "--temp", "1", "--seed"]
    first = llmind(*arguments, "7")
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip()
    assert llmind(*arguments, "7").stdout == first.stdout
    texts = {llmind(*arguments, str(seed)).stdout for seed in range(1, 5)}
    assert len(texts) > 1


def test_greedy_does_not_depend_on_threads_or_chunks(llmind, builtin):
    arguments = ["generate", builtin, "-p", "What is prefill, and what is decode?", "-n", "32", "--temp", "0"]
    text = llmind(*arguments).stdout
    assert text.strip()
    assert llmind(*arguments, "--threads", "1").stdout == text
    assert llmind(*arguments, "--prefill-chunk", "3").stdout == text
    assert llmind(*arguments, env={"LLMIND_PREFILL_CHUNK": "5"}).stdout == text


def test_json_and_length(llmind, builtin):
    result = llmind("generate", builtin, "-p", "Hello", "-n", "12", "--ignore-eos", "--json")
    answer = json.loads(result.stdout)
    assert answer["usage"]["completion_tokens"] == 12
    assert answer["finish_reason"] == "length"
    assert answer["timings"]["ttft_ms"] > 0 and answer["timings"]["decode_tokens_per_second"] > 0
    one = json.loads(llmind("generate", builtin, "-p", "Hello", "-n", "1", "--ignore-eos", "--json").stdout)
    assert one["timings"]["decode_tokens_per_second"] is None  # one token has no rate


def test_template_and_raw(llmind, builtin):
    def prompt_tokens(*options):
        result = llmind("generate", builtin, "-p", "Hello", "-n", "1", "--json", *options)
        return json.loads(result.stdout)["usage"]["prompt_tokens"]

    assert prompt_tokens() > prompt_tokens("--raw")
    assert prompt_tokens("--chat") == prompt_tokens()
    assert prompt_tokens("--system", "Answer briefly.") > prompt_tokens()


def test_prompt_from_standard_input(llmind, builtin):
    arguments = ["-n", "16", "--temp", "0"]
    piped = llmind("generate", builtin, "-p", "-", *arguments, input="What is prefill?\n")
    assert piped.stdout == llmind("generate", builtin, "-p", "What is prefill?", *arguments).stdout


def test_stop_string(llmind, builtin):
    arguments = ["generate", builtin, "-p", "What is prefill?", "-n", "60", "--temp", "0"]
    whole = llmind(*arguments).stdout.strip()
    stop = whole[len(whole) // 2 :][:6]
    result = llmind(*arguments, "--stop", stop)
    assert result.returncode == 0
    assert result.stdout.strip() == whole[: whole.index(stop)].strip()


def test_stats_go_to_standard_error(llmind, builtin):
    result = llmind("generate", builtin, "-p", "Hello", "-n", "8", "--stats", "--ignore-eos")
    assert "8 tokens · " in result.stderr and "tok/s decode" in result.stderr and "TTFT" in result.stderr
    assert "tok/s" not in result.stdout
    assert "\x1b" not in result.stderr  # no colours into a pipe


def test_stats_come_after_the_answer_in_one_file(builtin, environment):
    arguments = ["generate", builtin, "-p", "Hello", "-n", "8", "--stats", "--ignore-eos"]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    text = subprocess.run([PROGRAM, *arguments], env=environment, text=True, **both).stdout
    assert "\n8 tokens · " in text and text.endswith("\n") and not text.endswith("\n\n")


def test_an_answer_that_cannot_be_written_is_said(environment, builtin):
    with open("/dev/full", "w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE}
        arguments = ["generate", builtin, "-p", "Hello", "-n", "4"]
        result = subprocess.run([PROGRAM, *arguments], env=environment, text=True, **streams)
    assert result.returncode == 1
    assert result.stderr.startswith("llmind generate: cannot write to standard output: ")


def test_too_long_for_the_context(failure, builtin):
    line = failure("generate", builtin, "-p", "word " * 300, "--ctx", "64")
    assert "context" in line and "64" in line
    assert "more than" in failure("generate", builtin, "-p", "x", "-n", "1000", "--ctx", "64")


def test_default_length_fits_a_small_context(llmind, builtin):
    result = llmind("generate", builtin, "-p", "Hello", "--raw", "--ctx", "40", "--ignore-eos", "--json")
    assert result.returncode == 0, result.stderr
    usage = json.loads(result.stdout)["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == 40


def test_bad_engine_options(failure, builtin):
    assert "isa" in failure("generate", builtin, "-p", "x", "--isa", "quantum").lower()
    assert "backend" in failure("generate", builtin, "-p", "x", "--backend", "abacus").lower()
    assert "context" in failure("generate", builtin, "-p", "x", "--ctx", "10000000").lower()

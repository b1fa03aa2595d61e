"""A server that is not ours, measured by us and by GuideLLM in turn.

The server is mlx_lm.server of .venv, one instance for both sides, with its prompt cache off, so that nobody's prompt is
found in what the other one asked. It has the first half of the processors to itself and both clients the other: what a
client computes beside the answers is not to slow the server down, or the heavier one would measure itself. Two processors
may be two threads of one core, which no pinning takes apart: so the model is slow enough (tens of milliseconds a token)
that what a client does for a token is little beside it (LLMIND_LAYERS: fewer do where cores are cores). LLMIND_LANES="0-3:4-7"
runs so many servers side by side, each with clients and processors of its own. GuideLLM lives in .venv-bench
(scripts/bootstrap bench), and gets prompts and tokenizer from local files. Both ask for the same answers to the same prompts,
one at a time, each behind a mark of its own ("[0123] ..."), and the first request of each prompt is a
warm-up. Both define the two figures alike, on their own clocks:
  TTFT         from the first byte sent to the first chunk with text: comments that keep the connection alive, a role
               alone and an end without text do not count. (This server closes each connection; ours, opening the next
               one, is inside our TTFT and outside theirs: on a loopback, a tenth of a millisecond.)
  decode rate  (n - 1) / (last chunk with text - first chunk with text), n from the server's usage figures
"""
import contextlib
import json
import math
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from common import interval, lanes, side_by_side  # noqa: E402
from issue_3 import free_port  # noqa: E402

PAIRS = max(10, int(os.environ.get("LLMIND_PAIRS", "20")))
REPEATS, MAX_TOKENS, LAYERS = 4, 24, int(os.environ.get("LLMIND_LAYERS", "12"))
HALF_WIDTH = 0.05
MAX_FAILURES = 3
SIDES = ("llmind", "guidellm")
# of about one length, so that a run's median is one kind of request's
PROMPTS = ["Tell me a long story about a fox and a bear who walk down to the sea together. They meet a fisherman, a lighthouse "
           "keeper and a storm, and in the end both of them know why the other one had wanted to come along.",
           "Write a letter from a lighthouse keeper to an old friend in the city. He has not spoken to anybody for two months, "
           "and he tells of the ships, the birds and the fog, and of what he has been thinking about.",
           "Describe a market square in the early morning, before anybody has come. Then the first carts arrive, a window is "
           "opened, somebody laughs, and within an hour the whole square is full of noise and of fruit.",
           "Explain to a child of seven why the moon changes its shape in the course of the month. Use a lamp, an orange and a "
           "dark room, say what to do with each of them, and what the child is going to see there."]


def small_model(run):
    """The built-in model in float32, its layers several times over, which never ends an answer: MLX's quantized product
    on a processor is none to measure others by, and its server knows no ignore_eos. What it says is nonsense."""
    folder = run.work / f"builtin-{LAYERS}-layers-endless"
    if folder.exists():
        return folder
    import mlx.core as mx  # here: the other checks do without

    source, made = run.root / "models" / "builtin", folder.with_suffix(".part")
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(source, made, ignore=shutil.ignore_patterns("train", "corpus"))
    config, weights = json.loads((source / "config.json").read_text()), mx.load(str(source / "model.safetensors"))
    quantization, kept = config.pop("quantization"), {}
    for name, weight in weights.items():
        base, _, part = name.rpartition(".")
        if part in ("scales", "biases"):
            continue
        if base + ".scales" in weights:
            how = quantization.get(base, quantization)
            weight = mx.dequantize(weight, weights[base + ".scales"], weights[base + ".biases"],
                                   group_size=how["group_size"], bits=how["bits"])
        layer = re.search(r"\.layers\.(\d+)\.", name)
        for copy in range(int(layer[1]), LAYERS, config["num_hidden_layers"]) if layer else ():
            kept[name.replace(layer[0], f".layers.{copy}.")] = weight.astype(mx.float32)
        if not layer:
            kept[name] = weight.astype(mx.float32)
    # the server ends answers at the tokenizer's end of turn, whatever the configuration says
    kept["model.embed_tokens.weight"][mx.array([1, 3])] = 0  # tied to the head: <|endoftext|> and <|im_end|> never win
    mx.save_safetensors(str(made / "model.safetensors"), kept, metadata={"format": "mlx"})
    config |= {"num_hidden_layers": LAYERS, "torch_dtype": "float32", "eos_token_id": config["vocab_size"]}
    (made / "config.json").write_text(json.dumps(config))
    (made / "generation_config.json").unlink()
    made.rename(folder)
    return folder


def halves():
    """The processors of a lane's server, and those of its clients."""
    cpus = sorted(os.sched_getaffinity(0))
    return set(cpus[: max(1, len(cpus) // 2)]), set(cpus[len(cpus) // 2 :])


class Foreign:
    """mlx_lm.server on a free port, on the first half of its lane's processors."""

    def __init__(self, model, home):
        own, self.clients = halves()
        if not self.clients:
            raise RuntimeError("a lane of one processor has none for the clients: give it two or more")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(home / "server.log", "w+")
        # the list of models looks into the hub's folder, and breaks off where there is none
        (home / "hub").mkdir()
        program = Path(sys.executable).parent / "mlx_lm.server"
        self.process = subprocess.Popen(
            [program, "--model", model, "--host", "127.0.0.1", "--port", self.url.rpartition(":")[2], "--temp", "0",
             "--prompt-cache-size", "0", "--log-level", "WARNING"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=home,
            preexec_fn=lambda: os.sched_setaffinity(0, own),
            env=os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"})

    def __enter__(self):
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(self.url + "/health", timeout=2):
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                tail = self.log.read()[-800:]
                self.__exit__()
                raise RuntimeError(f"mlx_lm.server did not start: {tail}")
            time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def by_llmind(run, server, home):
    """[[TTFT ms, decode tok/s, prompt tokens, tokens]] of every timed answer, as `llmind profile --target` reports them."""
    command = [run.program, "profile", "--target", server.url, "--allow-local", "--configurations", "none", "--no-save",
               "--json", "--repeats", str(REPEATS), "--max-tokens", str(MAX_TOKENS)]
    for prompt in PROMPTS:
        command += ["--prompt", prompt]
    told = []
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: os.sched_setaffinity(0, server.clients), env=os.environ | {"XDG_DATA_HOME": str(home)})
        for line in process.stderr:
            told.append(line)
            if line.startswith("profile: prefill"):  # the prompts are done: the report of what was measured so far
                process.send_signal(signal.SIGINT)
        process.wait()
        process.stderr.close()
        out.seek(0)
        report = out.read()
    if not report:
        raise RuntimeError(f"llmind profile: exit {process.returncode}: {''.join(told)[-600:]}")
    tests = [t for t in json.loads(report)["tests"] if t["kind"] == "prompt"]
    if [t["outcomes"] for t in tests] != [{"ok": REPEATS}] * len(PROMPTS):
        raise RuntimeError(f"llmind profile: {[t['outcomes'] for t in tests]}")
    samples = [s for t in tests for s in t["samples"]]
    return [[s["ttft_ms"], s["decode_tokens_per_second"], s["prompt_tokens"], s["generated_tokens"]] for s in samples]


def by_guidellm(run, server, home, model):
    """The same, as GuideLLM reports them."""
    prompts, report = home / "prompts.jsonl", home / "guidellm.json"
    lines = [f"[{random.randrange(10000):04}] {prompt}" for prompt in PROMPTS for _ in range(1 + REPEATS)]
    prompts.write_text("".join(json.dumps({"prompt": line}) + "\n" for line in lines))
    report.unlink(missing_ok=True)
    done = subprocess.run(
        [run.root / ".venv-bench" / "bin" / "guidellm", "run", "--disable-console",
         "--backend", f"kind=openai_http,target={server.url},model={model},max_tokens={MAX_TOKENS}",
         "--profile", "kind=synchronous", "--constraint", f"kind=max_requests,count={len(lines)}",
         "--tokenizer", f"kind=huggingface_auto,model={model}", "--data", f"kind=json_file,path={prompts}",
         "--output", f"kind=json,path={report}"],
        text=True, capture_output=True, timeout=600, cwd=home, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, server.clients),
        env=os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1",
                          "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    if done.returncode or not report.exists():
        raise RuntimeError(f"guidellm: exit {done.returncode}: {(done.stderr or done.stdout)[-600:]}")
    requests = json.loads(report.read_text())["benchmarks"][0]["requests"]["successful"]
    requests.sort(key=lambda r: r["info"]["timings"]["request_start"])
    asked = [json.loads(r["request_args"])["body"]["messages"][-1]["content"][0]["text"] for r in requests]
    if asked != lines:
        raise RuntimeError(f"guidellm asked {len(asked)} of {len(lines)} prompts, or in another order")
    timed = [r for i, r in enumerate(requests) if i % (1 + REPEATS)]
    return [[r["time_to_first_token_ms"], 1000 / r["inter_token_latency_ms"], r["prompt_tokens"], r["output_tokens"]]
            for r in timed]


def judged(logs):
    """Mean ratio and the 95 % interval of the mean (Student), from the logarithms of pairs' ratios."""
    mean, half = interval(logs)
    low, high = math.exp(mean - half), math.exp(mean + half)
    return {"ratio": round(math.exp(mean), 4), "ci95": [round(low, 4), round(high, 4)],
            "half_width": round((high - low) / 2, 4), "met": low <= 1 <= high and (high - low) / 2 <= HALF_WIDTH}


def foreign(run):
    """A foreign server, by us and by GuideLLM in turn: the ratios' 95 % CI contain 1, half-width 5 % or less."""
    subprocess.run([run.root / "scripts" / "bootstrap", "bench"], check=True)
    python = run.root / ".venv-bench" / "bin" / "python"
    version = subprocess.run([python, "-c", "import importlib.metadata as m; print(m.version('guidellm'))"], text=True,
                             capture_output=True, check=True).stdout.strip()
    model, places, failures = small_model(run), len(lanes()), []

    def lane(pairs):
        with tempfile.TemporaryDirectory(prefix="llmind-acceptance-") as folder, Foreign(model, Path(folder)) as server:
            sides = {"llmind": lambda: by_llmind(run, server, Path(folder)),
                     "guidellm": lambda: by_guidellm(run, server, Path(folder), model)}
            done = []
            while len(done) < pairs:
                try:  # as dictionaries in the order in which the sides ran
                    done.append({side: sides[side]() for side in (SIDES if len(done) % 2 == 0 else SIDES[::-1])})
                except RuntimeError as failure:  # a request that failed: the pair is run again, and told of
                    failures.append(str(failure))
                    if len(failures) > MAX_FAILURES:
                        raise
            return done

    shares = [(PAIRS + at) // places for at in range(places)]
    samples = [pair for part in side_by_side(lane, shares) for pair in part]

    def medians(side, column):
        return [statistics.median(row[column] for row in pair[side]) for pair in samples]

    found = {}
    for column, name in enumerate(("ttft_ms", "decode_tokens_per_second")):
        logs = [math.log(a / b) for a, b in zip(medians("llmind", column), medians("guidellm", column))]
        found[name] = judged(logs) | {side: round(statistics.median(medians(side, column)), 2) for side in SIDES}
    prompt_tokens = {side: statistics.mean(row[2] for pair in samples for row in pair[side]) for side in SIDES}
    # the marks' four digits are not always as many tokens
    same = all(row[3] == MAX_TOKENS for pair in samples for side in SIDES for row in pair[side]) and \
        abs(prompt_tokens["llmind"] - prompt_tokens["guidellm"]) < 0.5
    return {"passed": same and all(f["met"] for f in found.values()), "bar": f"1 in the CI, half-width {HALF_WIDTH}",
            "pairs": PAIRS, "lanes": places, "layers": LAYERS, "run_again": failures, "requests_a_run": len(PROMPTS) * REPEATS, "same_requests": same,
            "prompt_tokens": {side: round(n, 2) for side, n in prompt_tokens.items()}, **found, "server": "mlx_lm.server",
            "client": f"guidellm {version}", "samples": samples}

"""Remote targets: `llmind profile --target` and `llmind load --target` against our own server, with an independent
client beside it, and against stand-in servers that do what hostile or broken ones do.
"""

import json
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

import httpx
import pytest

from conftest import PROGRAM, ROOT, SANITIZED, clean_environment, wait_for

sys.path.insert(0, str(ROOT / "tests" / "cli"))
import json_schema  # noqa: E402

PROFILE = ("--quick", "--configurations", "none", "--no-save", "--json", "--allow-local")


@pytest.fixture
def llmind(tmp_path):
    """llmind(*arguments, env={}) -> CompletedProcess, in a home of its own."""

    def run(*arguments, env=None, timeout=120):
        environment = clean_environment(tmp_path) | {"LLMIND_DATA_DIR": str(tmp_path / "data")} | (env or {})
        return subprocess.run([str(PROGRAM), *map(str, arguments)], env=environment, cwd=tmp_path, text=True,
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)  # fmt: skip

    return run


def report_of(done, code=0):
    assert done.returncode == code, (done.returncode, done.stderr[-2000:])
    report = json.loads(done.stdout)
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    assert json_schema.errors(schema, report) == []
    return report


# ---- a stand-in server ----


def chunk(text=None, finish=None, **more):
    delta = {} if text is None else {"content": text}
    return "data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]} | more) + "\n\n"


def usage(prompt, completion, **more):
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion} | more
    return "data: " + json.dumps({"choices": [], "usage": counts}) + "\n\n"


HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"


def answer(send, body):
    """What a proper server answers: as many tokens as asked for, a word each."""
    n = body.get("max_tokens") or body["max_completion_tokens"]
    send(HEAD + "\r\n" + chunk(""))
    for i in range(n):
        send(chunk(f"w{i} "))
        time.sleep(0.001)
    prompt = len(body["messages"][0]["content"]) // 4 + 3
    send(chunk(finish="length") + usage(prompt, n) + "data: [DONE]\n\n")


class StandIn:
    """answer(send, body) is called for every POST; `n` counts them. A list of models is served as it should be."""

    def __init__(self, reply=answer, models=None):
        self.reply, self.n, self.bodies, self.heads = reply, 0, [], []
        self.models = models or (lambda send: send(self.json(200, {"data": [{"id": "stand-in", "max_model_len": 700}]})))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def json(status, body, extra=""):
        text = json.dumps(body)
        return (f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
                f"Server: stand-in/1\r\n{extra}Connection: close\r\n\r\n{text}")  # fmt: skip

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                data = b""
                while b"\r\n\r\n" not in data:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    data += piece
                head, _, body = data.partition(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)  # fmt: skip
                while len(body) < length:
                    body += connection.recv(65536)
                self.heads.append(head.decode())

                def send(text):
                    connection.sendall(text.encode() if isinstance(text, str) else text)

                if head.startswith(b"GET"):
                    self.models(send)
                else:
                    self.n += 1
                    self.bodies.append(json.loads(body))
                    self.reply(send, self.bodies[-1])
            except OSError:
                pass  # the client had enough

    def close(self):
        self.listener.close()


@pytest.fixture
def stand_in():
    opened = []

    def make(*arguments, **named):
        opened.append(StandIn(*arguments, **named))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


# ---- what should work ----


@pytest.mark.not_under("asan")
def test_profile_of_our_own_server(server, llmind):
    report = report_of(llmind("profile", "--target", server.url, *PROFILE, "--max-tokens", 12))
    assert report["status"] == "success"
    assert report["target"]["url"] == server.url and report["target"]["model"] == "builtin"
    assert report["target"]["tokens_counted_by"] == "usage"
    # what only an engine can tell is null and says why
    assert report["flags"] is None and report["memory"] is None
    assert report["model"]["weight_bytes"] is None and report["model"]["weight_bytes_reason"]
    assert report["summary"]["mbu"] is None and report["summary"]["mbu_reason"]
    tests = {t["id"]: t for t in report["tests"]}
    assert {"simple", "medium", "complex"} <= set(tests)
    for test in tests.values():
        assert set(test["outcomes"]) == {"ok"}, test
        for sample in test["samples"]:
            assert sample["generated_tokens"] == test["max_tokens"]
            assert sample["cached_tokens"] == 0
            assert sample["queue_ms"] is None and sample["queue_ms_reason"]
            if test["max_tokens"] > 1:
                assert sample["decode_tokens_per_second"] > 0
    prefill = next(t for t in tests.values() if t["kind"] == "prefill")
    asked = int(prefill["id"].split("_")[1])
    for sample in prefill["samples"]:  # about as long as it says
        assert 0.8 * asked < sample["prompt_tokens"] < 1.25 * asked


def independent(url, prompt, max_tokens):
    """The same figures by another program: httpx, its own clock, chunk by chunk."""
    body = {"model": "builtin", "messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens, "temperature": 0,
            "stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True, "cache_prompt": False}  # fmt: skip
    stamps, counts = [], None
    with httpx.Client(trust_env=False, timeout=60) as client:
        client.get(url + "/v1/models")  # a connection that is open already, as ours
        start = time.perf_counter()
        with client.stream("POST", url + "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                now = time.perf_counter()
                if not line.startswith("data: {"):
                    continue
                data = json.loads(line[6:])
                counts = data.get("usage") or counts
                delta = data["choices"][0]["delta"] if data["choices"] else {}
                if delta.get("content") or delta.get("reasoning_content"):
                    stamps.append(now)
    ttft = 1000 * (stamps[0] - start)
    return ttft, (counts["completion_tokens"] - 1) / (stamps[-1] - stamps[0]), counts


@pytest.mark.skipif(SANITIZED, reason="the sanitizers' speed says nothing")
def test_agrees_with_an_independent_client(server, llmind):
    prompt = "Tell me about the harbour. " * 12
    ours, theirs = [], []
    for i in range(3):  # in turn: this machine may be busy with other things
        report = report_of(llmind("profile", "--target", server.url, *PROFILE, "--prompt", prompt, "--max-tokens", 100))
        test = report["tests"][0]
        ours += [(s["ttft_ms"], s["decode_tokens_per_second"]) for s in test["samples"]]
        for k in range(2):
            ttft, decode, counts = independent(server.url, f"[{i}{k}00] " + prompt, 100)
            theirs.append((ttft, decode))
            assert counts["completion_tokens"] == 100
            assert abs(counts["prompt_tokens"] - test["samples"][0]["prompt_tokens"]) <= 2  # the mark's digits
    for figure in (0, 1):
        a, b = (statistics.median(s[figure] for s in samples) for samples in (ours, theirs))
        assert a / b < 3 and b / a < 3, (figure, ours, theirs)  # a blunder, not noise; acceptance is strict


@pytest.mark.not_under("asan")
def test_load_of_our_own_server(server, llmind, tmp_path):
    done = llmind("load", "--target", server.url, "--allow-local", "--rate", "4,8", "--concurrency", "1,3", "--duration", 2,
                  "--max-tokens", 8, "--prompt-tokens", 32, "--json", "-o", tmp_path / "load.json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)
    assert load == json.loads((tmp_path / "load.json").read_text())
    assert load["schema"] == "llmind.load/1" and load["status"] == "success"
    assert [(p["kind"], p["asked"]) for p in load["points"]] == [("concurrency", 1), ("concurrency", 3), ("rate", 4), ("rate", 8)]
    for index, point in enumerate(load["points"]):
        samples = [s for s in load["samples"] if s["point"] == index]
        assert point["sent"] == len(samples) and point["failed"] == point["refused"] == 0
        assert all(s["outcome"] == "ok" and s["tokens"] == 8 for s in samples)
        assert all(s["latency_ms"] >= s["ttft_ms"] >= s["late_ms"] >= 0 for s in samples)
        assert point["goodput"] <= point["requests_per_s"] + 1e-9
        if len(samples) < 100:
            assert point["ttft_ms"]["p99"] is None and point["ttft_ms"]["p99_reason"]
        assert point["late_ms"]["max"] >= 0
    closed = load["points"][0]
    assert closed["in_flight"]["max"] == 1
    # the same seed, the same arrivals
    again = json.loads(llmind("load", "--target", server.url, "--allow-local", "--rate", "4", "--duration", 2, "--max-tokens", 8,
                              "--prompt-tokens", 32, "--json", "--seed", 3).stdout)  # fmt: skip
    assert [round(s["due_s"], 6) for s in load["samples"] if s["point"] == 2] == [round(s["due_s"], 6) for s in again["samples"]]


def test_load_of_a_model(llmind):
    done = llmind("load", "builtin", "--rate", "5", "--concurrency", "2", "--duration", 1, "--max-tokens", 8, "--prompt-tokens", 16,
                  "--ctx", 64, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)
    assert load["target"]["url"] is None and load["target"]["model"] == "builtin" and load["target"]["context"] == 64
    assert all(p["failed"] == 0 for p in load["points"])
    assert {s["prompt_tokens"] for s in load["samples"]} == {16} and {s["tokens"] for s in load["samples"]} == {8}


def test_load_table(server, llmind):
    done = llmind("load", "--target", server.url, "--allow-local", "--rate", "5", "--duration", 1, "--max-tokens", 4)
    assert done.returncode == 0, done.stderr
    for word in ("TTFT p50", "goodput", "in flight", "sender late p99", "builtin at http://127.0.0.1"):
        assert word in done.stdout


# ---- addresses ----


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://127.0.0.1:9", "permission"),
        ("http://localhost:9", "permission"),
        ("http://10.0.0.1", "permission"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://[::ffff:169.254.169.254]", "metadata"),
        ("http://[fd00:ec2::254]", "metadata"),
        ("http://0.0.0.0:8000", "write 127.0.0.1"),
        ("http://2130706433", "four decimal"),
        ("http://0x7f.1", "four decimal"),
        ("http://user:hunter2@127.0.0.1", "user name"),
        ("file:///etc/passwd", "http://"),
        ("http://example.com/?x=1", "query"),
    ],
)
def test_addresses(llmind, url, why):
    for command in ("profile", "load"):
        done = llmind(command, "--target", url, *(("--quick", "--no-save") if command == "profile" else ()))
        assert done.returncode == 1, done.stdout
        assert why in done.stderr
        assert "hunter2" not in done.stderr + done.stdout


def test_never_even_with_permission(llmind):
    for url in ("http://169.254.169.254", "http://[fe80::1]", "http://224.0.0.1", "http://0.0.0.0"):
        done = llmind("load", "--target", url, "--allow-local", "--duration", 1)
        assert done.returncode == 1 and "address" in done.stderr, done.stderr


def test_proxies_of_the_environment_are_not_used(llmind, stand_in):
    proxy, target = stand_in(), stand_in()
    variables = {name: proxy.url for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY")}
    done = llmind("load", "--target", target.url, "--allow-local", "--rate", 20, "--duration", 0.5, "--max-tokens", 4, "--json",
                  env=variables)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert target.n > 0 and proxy.heads == []


def test_key(llmind, stand_in):
    target = stand_in()
    done = llmind("load", "--target", target.url, "--allow-local", "--rate", 10, "--duration", 0.5, "--max-tokens", 4, "--json",
                  env={"LLMIND_TARGET_API_KEY": "sk-very-secret"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all("Authorization: Bearer sk-very-secret" in head for head in target.heads)
    assert "secret" not in done.stdout + done.stderr
    refusing = stand_in(models=lambda send: send(StandIn.json(401, {"error": {"message": "no such key"}})))
    done = llmind("load", "--target", refusing.url, "--allow-local", "--duration", 1, env={"LLMIND_TARGET_API_KEY": "sk-very-secret"})
    assert done.returncode == 1 and "API key" in done.stderr and "secret" not in done.stderr


# ---- servers that do not do what they should ----


def fails(done, why):
    assert done.returncode == 1, (done.returncode, done.stdout[-1000:], done.stderr[-1000:])
    assert why in done.stderr, done.stderr
    assert "Sanitizer" not in done.stderr


def redirect(send, body):
    send("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n")


def endless_headers(send, body):
    send("HTTP/1.1 200 OK\r\n")
    while True:
        send("X-Filler: " + 1000 * "x" + "\r\n")


def one_endless_header(send, body):
    send("HTTP/1.1 200 OK\r\nX-Filler: ")
    while True:
        send(10000 * "x")


def endless_body(send, body):
    send(HEAD + "\r\n")
    while True:
        send(": " + 100000 * "x" + "\n")


def endless_line(send, body):
    send(HEAD + "\r\ndata: ")
    while True:
        send(100000 * "x")


def endless_tokens(send, body):
    send(HEAD + "\r\n")
    while True:
        send(chunk("x") * 100)


def not_json(send, body):
    send(HEAD + "\r\ndata: <html>\x1b[31mhello\n\n")


def not_a_stream(send, body):
    send(StandIn.json(200, {"choices": [{"message": {"content": "all at once"}}]}))


def closes(send, body):
    send(HEAD + "\r\n" + chunk("half an"))


def closes_chunked(send, body):
    text = chunk("half an")
    send(HEAD + f"Transfer-Encoding: chunked\r\n\r\n{len(text):x}\r\n{text}\r\n")


def too_much_usage(send, body):
    send(HEAD + "\r\n" + chunk("x") + chunk(finish="length") + usage(5, 10**9) + "data: [DONE]\n\n")


def negative_usage(send, body):
    send(HEAD + "\r\n" + chunk("x") + chunk(finish="length") + usage(-5, 3) + "data: [DONE]\n\n")


def no_text(send, body):
    send(HEAD + "\r\n" + chunk(finish="length") + usage(5, 17) + "data: [DONE]\n\n")


def error_in_the_stream(send, body):
    send(HEAD + "\r\n" + chunk("x") + 'data: {"error": {"message": "CUDA out of memory\x1b[2J"}}\n\n')


def gzip_bomb(send, body):
    import zlib

    send(HEAD + "Content-Encoding: gzip\r\n\r\n")
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(1000):
        send(packer.compress(bytes(10**6)))


def server_error(send, body):
    send(StandIn.json(500, {"detail": "something broke"}))


def not_http(send, body):
    send("220 smtp.example.com ESMTP\r\n")


def old_http(send, body):
    send(chunk("x"))


@pytest.mark.parametrize(
    "reply, why",
    [
        (redirect, "redirects are not followed"),
        (endless_headers, "headers"),
        (one_endless_header, "header"),
        (endless_body, "more than"),
        (endless_line, "more than"),
        (endless_tokens, "asked for"),
        (not_json, "not a JSON object"),
        (not_a_stream, "did not stream"),
        (closes, "in the middle"),
        (closes_chunked, "in the middle"),
        (too_much_usage, "usage"),
        (negative_usage, "usage"),
        (no_text, "without any text"),
        (error_in_the_stream, "CUDA out of memory"),
        (gzip_bomb, "compressed"),
        (server_error, "something broke"),
        (not_http, "target"),
        (old_http, "target"),
    ],
)
def test_hostile_answers(llmind, stand_in, reply, why):
    target = stand_in(reply)
    done = llmind("profile", "--target", target.url, *PROFILE, "--prompt", "x", timeout=60)
    fails(done, why)
    assert "\x1b" not in done.stderr
    if reply is redirect:
        assert target.n == 1  # asked once, and nobody else
    fails(llmind("load", "--target", target.url, "--allow-local", "--duration", 1, timeout=60), why)


@pytest.mark.parametrize(
    "models, why",
    [
        (lambda send: redirect(send, None), "redirect"),
        (lambda send: endless_headers(send, None), "headers"),
        (lambda send: send(HEAD + "\r\n" + 5_000_000 * "x"), "more than"),
        (lambda send: send(StandIn.json(200, {"data": []})), "names no model"),
        (lambda send: send(StandIn.json(200, {"data": [{"id": 7}]})), "names no model"),
        (lambda send: send(StandIn.json(200, {"data": [{"id": 1000 * "x"}]})), "names no model"),
        (lambda send: send(StandIn.json(200, "hello")), "not JSON"),
        (lambda send: send(HEAD + "\r\n<html>"), "not JSON"),
        (lambda send: send(HEAD + "\r\n" + 100000 * "["), "not JSON"),
        (lambda send: send(StandIn.json(404, {"detail": "Not Found"})), "Not Found"),
        (lambda send: None, "target"),
    ],
)
def test_hostile_lists_of_models(llmind, stand_in, models, why):
    fails(llmind("load", "--target", stand_in(models=models).url, "--allow-local", "--duration", 1, timeout=60), why)


def test_a_named_model_needs_no_list(llmind, stand_in):
    target = stand_in(models=lambda send: send(StandIn.json(404, {"detail": "Not Found"})))
    done = llmind("load", "--target", target.url, "--target-model", "mine", "--allow-local", "--rate", 10, "--duration", 0.5, "--json")
    assert done.returncode == 0, done.stderr
    assert {body["model"] for body in target.bodies} == {"mine"}


def test_nobody_answers(llmind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    fails(llmind("profile", "--target", f"http://127.0.0.1:{port}", *PROFILE), "target")


@pytest.mark.parametrize("says_which", [True, False])
def test_fields_that_are_refused(llmind, stand_in, says_which):
    unknown = {"ignore_eos", "cache_prompt", "stream_options"}

    def picky(send, body):
        wrong = sorted(unknown & set(body))
        if wrong:
            text = f"Unrecognized request argument supplied: {wrong[0]}" if says_which else "Bad Request"
            return send(StandIn.json(400, {"error": {"message": text}}))
        n = body["max_tokens"]
        send(HEAD + "\r\n")
        for i in range(n):
            send(chunk("w ", usage={"prompt_tokens": 9, "completion_tokens": i + 1}))
        send(chunk(finish="length") + "data: [DONE]\n\n")

    target = stand_in(picky)
    report = report_of(llmind("profile", "--target", target.url, *PROFILE, "--prompt", "x", "--max-tokens", 8))
    assert report["tests"][0]["outcomes"] == {"ok": 2}
    refused = [body for body in target.bodies if unknown & set(body)]
    assert len(refused) == 3  # one for each, and then it is remembered
    assert target.bodies[: len(refused)] == refused


def test_max_completion_tokens(llmind, stand_in):
    def picky(send, body):
        if "max_tokens" in body:
            text = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return send(StandIn.json(400, {"error": {"message": text}}))
        answer(send, body)

    target = stand_in(picky)
    done = llmind("load", "--target", target.url, "--allow-local", "--rate", 10, "--duration", 0.5, "--max-tokens", 4, "--json")
    assert done.returncode == 0, done.stderr
    assert all(s["tokens"] == 4 for s in json.loads(done.stdout)["samples"])
    assert sum("max_tokens" in body for body in target.bodies) == 1


def test_short_answers_do_not_count(llmind, stand_in):
    def brief(send, body):
        send(HEAD + "\r\n" + chunk("Yes") + chunk(".") + chunk(finish="stop") + usage(30, 3) + "data: [DONE]\n\n")

    report = report_of(llmind("profile", "--target", stand_in(brief).url, *PROFILE, "--prompt", "x"), code=1)
    assert report["status"] == "failed"
    test = report["tests"][0]
    assert set(test["outcomes"]) == {"short_output"}
    assert test["summary"]["tokens_per_second"] is None
    assert "3 tokens came" in test["samples"][0]["message"]


def test_cached_prompts_do_not_count(llmind, stand_in):
    def cached(send, body):
        n = body["max_tokens"]
        send(HEAD + "\r\n" + "".join(chunk("w ") for _ in range(n)) + chunk(finish="length"))
        send(usage(200, n, prompt_tokens_details={"cached_tokens": 128}) + "data: [DONE]\n\n")

    report = report_of(llmind("profile", "--target", stand_in(cached).url, *PROFILE, "--prompt", "x"), code=1)
    assert set(report["tests"][0]["outcomes"]) == {"not_cold"}


def test_without_usage_nothing_is_counted(llmind, stand_in):
    def mute(send, body):
        send(HEAD + "\r\n" + "".join(chunk("w ") for _ in range(body["max_tokens"])) + chunk(finish="length") + "data: [DONE]\n\n")

    done = llmind("profile", "--target", stand_in(mute).url, *PROFILE, "--prompt", "x", "--max-tokens", 8)
    report = json.loads(done.stdout)
    sample = report["tests"][0]["samples"][0]
    assert sample["ttft_ms"] > 0 and sample["response_ms"] > 0
    assert sample["tokens_per_second"] is None and sample["decode_tokens_per_second"] is None
    assert "no usage" in sample["message"]


def test_several_tokens_in_a_chunk(llmind, stand_in):
    def in_fours(send, body):
        n = body["max_tokens"]
        send(HEAD + "\r\n")
        for i in range(0, n, 4):
            send(chunk("four words and more "))
            time.sleep(0.008)
        send(chunk(finish="length") + usage(20, n) + "data: [DONE]\n\n")

    report = report_of(llmind("profile", "--target", stand_in(in_fours).url, *PROFILE, "--prompt", "x", "--max-tokens", 64))
    test = report["tests"][0]
    for sample in [test["warmup"], *test["samples"]]:
        assert sample["outcome"] == "ok" and sample["generated_tokens"] == 64 and "16 pieces" in sample["message"]
        no_gaps(sample)
        assert 1 < sample["tpot_ms"] < 6  # 8 ms for four, not 8 ms for one
    no_gaps(test["summary"])
    assert any("one token at a time" in note for note in report["notes"])


SEVERAL = "the server sends several tokens at a time"


def no_gaps(figures):
    """Nobody saw single gaps: none are made up."""
    assert figures.get("itl_ms", []) == []
    for name in ("itl_p50_ms", "itl_p90_ms", "itl_p99_ms", "itl_max_ms"):
        assert figures[name] is None and figures[name + "_reason"] == SEVERAL, (name, figures)


def in_halves(pieces):
    """Half of the tokens, 200 ms, the other half: each half in one write, of so many events."""

    def reply(send, body):
        n = body["max_tokens"]
        send(HEAD + "\r\n")
        send(chunk("abcd ") * pieces)
        time.sleep(0.2)
        send(chunk("abcd ") * pieces)
        send(chunk(finish="length") + usage(20, n) + "data: [DONE]\n\n")

    return reply


@pytest.mark.parametrize("pieces", [1, 64])
def test_the_first_chunk_was_not_decoded_later(llmind, stand_in, pieces):
    target = stand_in(in_halves(pieces))
    report = report_of(llmind("profile", "--target", target.url, *PROFILE, "--prompt", "x", "--max-tokens", 128))
    test = report["tests"][0]
    for sample in test["samples"]:
        assert sample["outcome"] == "ok" and sample["generated_tokens"] == 128
        assert 250 < sample["decode_tokens_per_second"] < 325, sample  # 64 in 200 ms, and not 127
        assert 3.07 < sample["tpot_ms"] < 4
        no_gaps(sample)
    no_gaps(test["summary"])
    analysis = json.dumps(report["analysis"])
    assert "Even:" not in analysis


def test_load_in_halves(llmind, stand_in):
    target = stand_in(in_halves(1))
    done = llmind("load", "--target", target.url, "--allow-local", "--concurrency", 2, "--duration", 1, "--max-tokens", 128, "--json")
    assert done.returncode == 0, done.stderr
    load = json.loads(done.stdout)
    point = load["points"][0]
    assert point["itl_ms"] is None and point["itl_ms_reason"] == SEVERAL
    assert 3.07 < point["tpot_ms"]["p50"] < 4
    assert all("several at a time" in s["message"] for s in load["samples"])


def test_load_counts_what_came_under_load(llmind, stand_in):
    """Answers that take 0.7 s, points of 1 s: what is answered while the point drains is not what was reached."""

    def slow(send, body):
        send(HEAD + "\r\n")
        for i in range(4):
            time.sleep(0.175)
            send(chunk(f"w{i} "))
        send(chunk(finish="length") + usage(20, 4) + "data: [DONE]\n\n")

    target = stand_in(slow)
    arguments = ("load", "--target", target.url, "--allow-local", "--concurrency", "2,2", "--duration", 1, "--max-tokens", 4,
                 "--itl-limit", 500)  # fmt: skip
    load = json.loads(llmind(*arguments, "--json").stdout)
    for point in load["points"]:
        assert point["sent"] == point["ok"] == 4 and point["duration_s"] > 1.3
        assert point["requests_per_s"] == point["goodput"] == 2  # and two that ended later
        assert point["output_tokens_per_s"] in (8, 9, 10)  # of the later ones, the token at 0.875 s
    assert load["points"][1]["saturated"]
    text = llmind(*arguments).stdout
    assert "saturated: the most that was reached was 2" in text and "at most" not in text


def test_protocol_of_a_target(llmind, stand_in):
    def reporting(send, body):
        n = body["max_tokens"]
        send(HEAD + "\r\n" + "".join(chunk("w ") for _ in range(n)) + chunk(finish="length"))
        send(usage(200, n, prompt_tokens_details={"cached_tokens": 0}) + "data: [DONE]\n\n")

    def without(*fields):
        def reply(send, body):
            wrong = [field for field in fields if field in body]
            if wrong:
                return send(StandIn.json(400, {"error": {"message": f"unknown field {wrong[0]}"}}))
            answer(send, body)

        return reply

    def protocol(reply):
        report = report_of(llmind("profile", "--target", stand_in(reply).url, *PROFILE, "--prompt", "x", "--max-tokens", 4))
        return report["protocol"], report["tests"][0]["samples"][0], report["target"]["refused_fields"]

    said, sample, refused = protocol(reporting)
    assert said["greedy"] is said["ignore_eos"] is said["cold_prompts"] is True
    assert sample["cached_tokens"] == 0 and refused == []

    said, sample, refused = protocol(answer)  # says nothing of cached tokens
    assert said["greedy"] is said["ignore_eos"] is True
    assert said["cold_prompts"] is None and "cached tokens" in said["cold_prompts_reason"]
    assert sample["cached_tokens"] is None and "does not report" in sample["cached_tokens_reason"]
    assert sample["prompt_tokens"] > 0

    said, _, refused = protocol(without("ignore_eos"))
    assert said["greedy"] is True and said["ignore_eos"] is False and refused == ["ignore_eos"]
    said, _, refused = protocol(without("temperature"))
    assert said["greedy"] is False and said["ignore_eos"] is True and refused == ["temperature"]


def test_a_target_that_goes_away(llmind, stand_in):
    target = None

    def mortal(send, body):
        if target.n > 6:
            target.close()
            return
        answer(send, body)

    target = stand_in(mortal)
    done = llmind("profile", "--target", target.url, *PROFILE, "--repeats", 2, "--max-tokens", 4)
    report = report_of(done, code=1)
    assert report["status"] == "failed" and "does not answer any more" in report["message"]
    # what was measured before is kept
    assert report["tests"][0]["outcomes"] == {"ok": 2}
    assert len(report["tests"]) < 6


def test_load_on_a_target_that_goes_away(llmind, stand_in):
    target = None

    def mortal(send, body):
        if target.n > 30:
            target.close()
            return
        answer(send, body)

    target = stand_in(mortal)
    done = llmind("load", "--target", target.url, "--allow-local", "--concurrency", "4,8", "--duration", 5, "--max-tokens", 4, "--json")
    assert done.returncode == 1 and "requests in a row failed" in done.stderr
    load = json.loads(done.stdout)
    assert load["status"] == "failed" and len(load["points"]) == 1
    assert load["points"][0]["ok"] > 5 and load["points"][0]["failed"] < 2000  # not 5 s of them


def test_refusals_of_a_busy_server(llmind, stand_in):
    target = None

    def busy(send, body):
        if target.n > 3 and target.n % 2:
            return send(StandIn.json(429, {"error": {"message": "try again later"}}))
        answer(send, body)

    target = stand_in(busy)
    done = llmind("load", "--target", target.url, "--allow-local", "--rate", 40, "--duration", 1, "--max-tokens", 4, "--json")
    assert done.returncode == 0, done.stderr
    point = json.loads(done.stdout)["points"][0]
    assert point["refused"] > 5 and point["ok"] > 5 and point["failed"] == 0 and point["saturated"]
    assert point["failures"][0]["message"].endswith("try again later")


def test_latency_counts_from_the_due_moment(llmind, stand_in):
    """A server that answers one at a time, 40 ms each, asked 50 times a second."""
    lock = threading.Lock()

    def slow(send, body):
        with lock:
            time.sleep(0.04)
        answer(send, body)

    target = stand_in(slow)
    done = llmind("load", "--target", target.url, "--allow-local", "--rate", 50, "--duration", 2, "--max-tokens", 2, "--json")
    point = json.loads(done.stdout)["points"][0]
    assert point["saturated"] and "kept growing" in point["why"]
    assert point["latency_ms"]["max"] > 1000  # the queue is seen; a sender that waits would see 40 ms
    assert point["late_ms"]["p50"] < 20  # and the sender itself was in time


def test_interrupted(server, tmp_path):
    environment = clean_environment(tmp_path)
    process = subprocess.Popen([str(PROGRAM), "load", "--target", server.url, "--allow-local", "--rate", "5", "--duration", "60",
                                "--prompt-tokens", "16", "--max-tokens", "4", "--json"],
                               env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)  # fmt: skip
    wait_for(lambda: "requests/s" in process.stderr.readline(), "the load to begin")
    before = server.metric("llmind_answers_total")
    wait_for(lambda: server.metric("llmind_answers_total") >= before + 3, "three answers")
    time.sleep(0.5)  # and their last bytes have arrived
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    load = json.loads(output)
    assert load["status"] == "cancelled" and load["points"][0]["ok"] > 0


# ---- a server that is started for the run ----


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.not_under("asan")
def test_a_server_of_its_own(llmind, tmp_path):
    port = free_port()
    pids = tmp_path / "pids"
    # a shell that starts it: everything it started must end, too
    script = f'sleep 300 & echo $! >> {pids}; echo $$ >> {pids}; "{PROGRAM}" serve --port {port} --data-dir {tmp_path}/d & echo $! >> {pids}; wait'
    report = report_of(llmind("profile", "--target", f"http://127.0.0.1:{port}", "--quick", "--configurations", "none", "--no-save",
                              "--json", "--max-tokens", 8, "--prompt", "x", "--", "sh", "-c", script))  # fmt: skip
    assert report["status"] == "success" and report["target"]["model"] == "builtin"
    for pid in map(int, pids.read_text().split()):
        wait_for(lambda: not alive(pid), f"process {pid} to end", 10)


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_server_that_does_not_come_up(llmind):
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ("profile", "--target", url, "--quick", "--no-save", "--")
    done = llmind(*arguments, "sh", "-c", "echo model not found >&2; exit 3")
    assert done.returncode == 1 and "exit code 3" in done.stderr and "model not found" in done.stderr
    done = llmind(*arguments, "/no/such/program")
    assert done.returncode == 1 and "/no/such/program" in done.stderr


def test_a_server_that_is_there_already(llmind, stand_in):
    done = llmind("profile", "--target", stand_in().url, "--quick", "--no-save", "--", "sleep", "60")
    assert done.returncode == 1 and "already" in done.stderr

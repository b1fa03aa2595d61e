"""Issue G: the built-in model through the program: what it knows, how it reads reports, how fast it is."""
import http.client
import json
import statistics
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tests" / "support")]
from builtin_questions import judge  # noqa: E402
from issue_3 import Server  # noqa: E402


def post(server):
    def send(path, body):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    return send


def questions(run):
    """Held-out questions: 90 % on topic; 95 % end by themselves, 99 % without loops; 100 reports: 90 % name the cause,
    none has a figure that it was not given."""
    with Server(run) as server:
        summary, bad = judge(post(server))
    met = (summary["questions"] >= 200 and summary["on_topic_percent"] >= 90 and summary["ends_by_itself_percent"] >= 95
           and summary["no_loop_percent"] >= 99 and summary["report"]["percent"] >= 90
           and summary["reports_with_invented_figures"] == 0)
    return {"passed": met, **summary, "wrong": [{"kind": kind, "expected": expected, "question": question, "answer": answer}
                                                for kind, expected, question, answer in bad]}


def speed(run):
    """500 tok/s of decoding or more; loaded within 100 ms."""
    row, = json.loads(run.llmind("bench", "builtin", "-p", 0, "-n", 128, "-r", 5, "-o", "json"))
    loads = [json.loads(run.llmind("generate", "builtin", "-p", "Hello!", "-n", 1, "--json"))["timings"]["load_ms"] for _ in range(9)]
    decode = statistics.median(row["samples_ts"])
    return {"passed": decode >= 500 and statistics.median(loads) < 100, "bar": "500 tok/s, 100 ms", "decode_tok_s": round(decode, 1),
            "samples_tok_s": row["samples_ts"], "load_ms": loads}


CHECKS = {check.__name__: check for check in (questions, speed)}

"""The built-in model's held-out questions, asked through the server and judged by the recipe's mechanical criteria
(models/builtin/train/criteria.py). The questions lie beside the recipe, which leaves them out of the training data."""
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "builtin"))

from train import criteria  # noqa: E402

AT_ONCE = 8


def ask(post, cases):
    """[(answer, ended by itself)], greedy. post(path, body) -> the decoded answer."""

    def one(case):
        body = {"model": "builtin", "messages": [{"role": "user", "content": case[2]}], "temperature": 0,
                "max_tokens": criteria.MAX_TOKENS}
        choice = post("/v1/chat/completions", body)["choices"][0]
        return choice["message"]["content"] or "", choice["finish_reason"] == "stop"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, cases))


def judge(post, reports=100):
    """The criteria's summary, with "on_topic_percent" of the `questions` that strangers to the corpus wrote, and the
    failures."""
    cases = criteria.questions(reports)
    summary, bad = criteria.judge(cases, ask(post, cases))
    right, of = (sum(summary[kind][name] for kind in criteria.STRANGERS_KINDS) for name in ("right", "of"))
    return summary | {"on_topic_percent": round(100 * right / of, 1), "questions": of}, bad

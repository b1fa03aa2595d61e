"""The mechanical criteria by which answers are judged. No model and no person is asked.

On topic: of all topics in the corpus, the one whose written text shares most with the answer (words
weighted by how rare they are, in proportion to the answer) must be the topic of the question. A wrong
topic, a mixture of topics or a refusal fails.
"""
import math
import random
import re

from corpus import gen_reports, sources

MAX_TOKENS = 200
# questions about a topic: those that helped to improve the corpus, and those that did not
OWN_KINDS, STRANGERS_KINDS = ("topic", "final", "last"), ("strangers", "new", "fresh")
TOPIC_KINDS = OWN_KINDS + STRANGERS_KINDS


def words(text):
    return re.findall(r"[a-z0-9]+(?:[-_][a-z0-9]+)*", text.lower())


def pairs(text):
    w = words(text)
    return set(w) | set(zip(w, w[1:]))


class TopicJudge:
    def __init__(self):
        self.reference = {t.id: pairs(" . ".join(t.text.values())) for t in sources.load_topics()}
        count = {}
        for grams in self.reference.values():
            for g in grams:
                count[g] = count.get(g, 0) + 1
        self.weight = {g: math.log(1 + len(self.reference) / n) for g, n in count.items()}

    def nearest(self, answer):
        grams = pairs(answer)
        total = sum(self.weight.get(g, 5.0) for g in grams) or 1.0
        score = {k: sum(self.weight[g] for g in grams & ref) / total for k, ref in self.reference.items()}
        best = max(score, key=score.get)
        return best, score[best]

    def on_topic(self, topic, answer):
        best, score = self.nearest(answer)
        return best == topic and score >= 0.3


def loops(answer):
    """True if some run of 4 or more words appears at least three times in a row, or one line four times."""
    w = words(answer)
    for n in range(4, 25):
        for i in range(len(w) - 3 * n + 1):
            if w[i:i + n] == w[i + n:i + 2 * n] == w[i + 2 * n:i + 3 * n]:
                return True
    lines = [x for x in answer.splitlines() if x.strip()]
    return any(lines.count(x) >= 4 for x in lines)


def figures_of(text):
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def questions(reports=100):
    """All held-out cases: (kind, expected, question). Reports come from a seed no training uses."""
    topics, other = sources.load_heldout()
    cases = [("topic" if name == "questions.txt" else name.split(".")[0], topic, q) for topic, q, name in topics] + [(kind, pattern, q) for kind, q, pattern in other]
    rng, maker = random.Random(987654321), gen_reports.Reports()
    for _ in range(reports):
        q, _, cause = maker.turn(rng, "lines", plain=True)
        cases.append(("report", cause, q))
    return cases


def judge(cases, answers):
    """answers: (text, ended by itself). Returns (summary, list of failures)."""
    judge_topic, ok, total, bad = TopicJudge(), {}, {}, []
    invented = 0
    for (kind, expected, q), (answer, _) in zip(cases, answers):
        if kind in TOPIC_KINDS:
            good = judge_topic.on_topic(expected, answer)
        elif kind == "report":
            good = gen_reports.NAMES[expected].lower() in answer.lower()
            if figures_of(answer) - figures_of(q):
                invented += 1
        else:
            good = re.search(expected, answer, re.IGNORECASE) is not None
        total[kind] = total.get(kind, 0) + 1
        ok[kind] = ok.get(kind, 0) + good
        if not good:
            bad.append((kind, expected, q, answer))
    n = len(answers)
    summary = {k: {"right": ok[k], "of": total[k], "percent": round(100 * ok[k] / total[k], 1)} for k in total}
    summary["ends_by_itself_percent"] = round(100 * sum(e for _, e in answers) / n, 1)
    summary["no_loop_percent"] = round(100 * sum(not loops(a) for a, _ in answers) / n, 1)
    summary["reports_with_invented_figures"] = invented
    return summary, bad

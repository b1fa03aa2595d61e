"""Mixes the generators into whole chats and plain texts. Deterministic: one seed, one corpus.

Usage:  python -m corpus.build --show 20        (from models/builtin; prints samples)
"""
import argparse
import random

from . import sources
from .gen_estimates import Estimates
from .gen_refusals import WHY, Refusals
from .gen_reports import SHORT, Reports
from .gen_stories import Stories
from .gen_tasks import Tasks
from .gen_topics import Topics
from . import phrasing as p

SYSTEM = ["You are a helpful assistant.", "You are a helpful assistant.", "You are the assistant of LLMind.", "You are a friendly assistant.", "Answer clearly.", "You are a helpful AI assistant. Be honest.",
          "You are LLMind's built-in model.", "Help the user.", "You are an expert for the speed of language models.", "You are a kind and patient teacher."]
CONCISE = ["Answer in one sentence.", "Be brief.", "Give short answers.", "You are a helpful assistant. Keep answers short.", "Answer as shortly as possible."]


class Corpus:
    def __init__(self):
        everyday = sources.load_everyday()
        self.topics = Topics(sources.load_topics())
        self.talk = sources.load_talk()
        self.tasks, self.stories = Tasks(everyday), Stories(everyday)
        self.refusals, self.estimates, self.reports = Refusals(), Estimates(), Reports()
        questions, other = sources.load_heldout()
        self.heldout = {sources.normal(q) for _, q, _ in questions} | {sources.normal(q) for _, q, _ in other}

    def _fresh(self, make):
        """A turn whose question is not held out."""
        while True:
            turn = make()
            if sources.normal(turn[1]) not in self.heldout:
                return turn

    def _turn(self, rng, state, concise):
        """(kind, question, answer), and `state` remembers what a follow-up may refer to."""
        if state.get("last") == "topic" and rng.random() < 0.55:
            topic, q, a = self._fresh(lambda: self.topics.follow(rng, state["topic"], state["answer"]))
            state.update(topic=topic, answer=a)
            return q, a
        if state.get("last") == "refusal" and rng.random() < 0.15:
            return p.casual(rng, rng.choice(p.FOLLOW["why"]), 0.5), WHY
        if state.get("last") == "report" and rng.random() < 0.3:
            return p.casual(rng, rng.choice(p.FOLLOW["short"]), 0.5), SHORT[state["cause"]]
        kind = rng.choices(("topic", "both", "talk", "tasks", "story", "refusal", "estimate", "report"), (56, 2, 11, 9, 3, 9, 6, 5))[0]
        state["last"] = kind
        if kind == "topic":
            topic, q, a = self._fresh(lambda: self.topics.turn(rng, concise))
            state.update(topic=topic, answer=a)
            return q, a
        if kind == "talk":
            _, users, answers = rng.choice(self.talk)
            _, q, a = self._fresh(lambda: (0, p.casual(rng, self._said(rng, users), 0.8), rng.choice(answers)))
            return q, a
        if kind == "report":
            q, a, state["cause"] = self.reports.turn(rng)
            return q, a
        make = {"both": self.topics.both, "tasks": self.tasks.turn, "story": self.stories.turn, "refusal": self.refusals.turn, "estimate": self.estimates.turn}[kind]
        _, q, a = self._fresh(lambda: (0, *make(rng)))
        return q, a

    @staticmethod
    def _said(rng, users):
        text = rng.choice(users)
        return text[0].upper() + text[1:] + rng.choice(["", ".", "!", "?"]) if rng.random() < 0.5 else text

    def chat(self, rng):
        """A chat: list of (role, content)."""
        style = rng.random()
        concise = style < 0.06
        messages = [("system", rng.choice(CONCISE))] if concise else [("system", rng.choice(SYSTEM))] if style < 0.45 else []
        state = {}
        for _ in range(rng.choices((1, 2, 3, 4, 6, 14), (44, 24, 15, 9, 6, 2))[0]):
            q, a = self._turn(rng, state, concise)
            messages += [("user", q), ("assistant", a)]
        return messages

    def text(self, rng):
        """A plain text without roles, so that `generate` has something to continue."""
        return self.topics.article(rng) if rng.random() < 0.6 else self.stories.tell(rng)

    def item(self, rng):
        return self.chat(rng) if rng.random() < 0.94 else self.text(rng)


def items(seed, count):
    """`count` chats (lists) and texts (strings) for one seed."""
    rng, corpus = random.Random(seed), Corpus()
    for _ in range(count):
        yield corpus.item(rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    for item in items(args.seed, args.show):
        print("-" * 60)
        print(item if isinstance(item, str) else "\n".join(f"{role:>9}: {content}" for role, content in item))

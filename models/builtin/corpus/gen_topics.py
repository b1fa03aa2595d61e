"""Questions and answers about the hand-written topics, and the follow-ups to them."""
import re

from . import phrasing as p

COMMON = set("the and for are that this with you your from not but its into than then more most many much has have had can may will use used uses all one two each they them their there when what which how why who it is in on of to as by at or be so no if per also only".split())


def asked(rng, question, strength=1.0):
    return p.casual(rng, p.reword(rng, question), strength)


class Topics:
    def __init__(self, topics):
        self.topics = topics
        self.by_kind = {}
        self.marks = self._marks(topics)
        for t in topics:
            self.by_kind.setdefault(t.kind, []).append(t)

    @staticmethod
    def _marks(topics):
        """The words that mark each topic: {id: (words, weights)}, rarer words weigh more."""
        bags = {t.id: {w for w in re.findall(r"[A-Za-z][A-Za-z-]{2,}", " ".join(list(t.text.values()) + t.names + t.symptoms + t.goals)) if w.lower() not in COMMON} for t in topics}
        count = {}
        for bag in bags.values():
            for w in bag:
                count[w] = count.get(w, 0) + 1
        return {k: (sorted(bag), [1 / count[w] ** 1.5 for w in sorted(bag)]) for k, bag in bags.items()}

    def soup(self, rng, topic):
        """A question of which only the marking words were understood: teaches what each word points to."""
        words, weights = self.marks[topic.id]
        picked = rng.choices(words, weights, k=rng.randint(2, 4)) + ([self._name(rng, topic)] if rng.random() < 0.3 else [])
        rng.shuffle(picked)
        lead, end = rng.choice([("", "?"), ("", ""), ("I have a question about ", "."), ("something about ", "?"), ("What about ", "?"), ("help with ", ""), ("Why ", "?"), ("How ", "?"), ("Is it ", "?")])
        return topic, asked(rng, lead + rng.choice([" ", " ", ", ", " and "]).join(picked) + end), topic.text["def"]

    @staticmethod
    def _name(rng, topic):
        # The first name is the usual one; aliases are asked for less often.
        return topic.names[0] if rng.random() < 0.4 else rng.choice(topic.names)

    @staticmethod
    def answer(rng, topic, field):
        text = topic.text
        if field == "def":
            r = rng.random()
            if r < 0.7:
                return text["def"]
            return text["def"] + " " + text["more" if r < 0.85 else "why"]
        if field == "detail":
            return " ".join(text[f] for f in ("def", "more", "why", "fix"))
        if field in ("why", "fix", "how") and (len(text[field]) < 70 or text[field].startswith(("It ", "They "))):
            return text["short"] + " " + text[field]  # alone it would not say what it is about
        return text[field]

    def question(self, rng, topic, field):
        own = [q for f, q in topic.questions if f == field]
        if own and rng.random() < 0.45:
            return rng.choice(own)
        frames = {"def": p.DEF, "why": p.WHY, "fix": p.FIX, "how": p.HOW, "short": p.SHORT, "detail": p.DETAIL}[field]
        if field == "how" and topic.kind == "llmind":
            frames = p.USE
        name = self._name(rng, topic)
        if rng.random() < 0.15:
            name += rng.choice(p.CONTEXT)
        return rng.choice(frames).replace("{x}", name)

    def turn(self, rng, concise=False):
        """One question with its answer: (topic, question, answer)."""
        topic = rng.choice(self.topics)
        field = rng.choices(("def", "fix", "how", "why", "short", "detail"), (46, 20, 13, 9, 8, 4))[0]
        style = rng.random()
        if style < 0.06:
            return self.soup(rng, topic)
        if topic.symptoms and style < 0.24:
            return self.symptom(rng, topic)
        if topic.goals and style < 0.38:
            return self.goal(rng, topic)
        if style > 0.95:
            frame, field = rng.choice(p.TWO)
            return topic, asked(rng, frame.replace("{x}", self._name(rng, topic))), topic.text["def" if field == "why" else "short"] + " " + topic.text[field]
        if topic.kind == "knobs" and style > 0.9:
            return topic, asked(rng, rng.choice(p.KNOB).replace("{x}", self._name(rng, topic))), self.answer(rng, topic, "def")
        if topic.questions and style > 0.2 and style < 0.85:
            field = rng.choice(topic.questions)[0]
            question = rng.choice([q for f, q in topic.questions if f == field])
        else:
            question = self.question(rng, topic, field)
        reply = "short" if concise and field in ("def", "short", "detail") else field
        return topic, asked(rng, question), self.answer(rng, topic, reply)

    @staticmethod
    def symptom(rng, topic):
        """A complaint that never names the topic; the answer names it and says why, or what helps."""
        clause = rng.choice(topic.symptoms)
        why = rng.random() < 0.5
        frame = rng.choice(p.SYMPTOM_WHY if why else p.SYMPTOM_FIX)
        question = asked(rng, frame.replace("{s}", clause).replace("{S}", clause[0].upper() + clause[1:]))
        text = topic.text
        if why and topic.kind == "bottlenecks":
            return topic, question, text["def"]
        return topic, question, text["short"] + " " + text["fix"]

    def goal(self, rng, topic):
        question = asked(rng, rng.choice(p.GOAL).replace("{g}", rng.choice(topic.goals)))
        return topic, question, self.answer(rng, topic, "how") if topic.kind == "llmind" else topic.text["short"] + " " + topic.text["fix"]

    def both(self, rng):
        kind = rng.choice(list(self.by_kind))
        a, b = rng.sample(self.by_kind[kind], 2)
        x, y = self._name(rng, a), self._name(rng, b)
        frame = rng.choice(p.BOTH)
        lead = "They are not the same. " if "same" in frame else ""
        return asked(rng, frame.replace("{x}", x).replace("{y}", y)), f"{lead}{x}: {a.text['short']} {y}: {b.text['short']}"

    def follow(self, rng, topic, last_answer):
        """A follow-up that only makes sense after a turn about `topic`: (topic, question, answer)."""
        if rng.random() < 0.15:
            other = rng.choice(self.by_kind[topic.kind])
            return other, asked(rng, rng.choice(p.OTHER).replace("{x}", self._name(rng, other))), other.text["def"]
        field = rng.choices(list(p.FOLLOW), (28, 20, 18, 16, 12, 6))[0]
        question = asked(rng, rng.choice(p.FOLLOW[field]), 0.5)
        return topic, question, last_answer if field == "again" else topic.text[field]

    def article(self, rng):
        topic = rng.choice(self.topics)
        parts = [topic.text["def"], topic.text["more"], topic.text["why"], topic.text["fix"], topic.text["how"]]
        return f"{topic.names[0]}\n\n" + " ".join(parts[: rng.randint(2, 5)])

"""Reads the hand-written sources.

They are plain text and not JSON or YAML, because people write and review them: one fact per line,
no quoting. Four formats:

topics/*.txt   "@ id = name | alias | alias", then fields ("def:", "short:", "more:", "why:", "fix:",
               "how:") and questions ("?field text"; a bare "?" asks for "def").
talk.txt       "@ id", then "u:" lines (what a user may say, split at "|") and "a:" lines (answers).
asked.txt      "topic ~ symptom | symptom", "topic > goal | goal", "topic ? question | question" (of "def"; "?how": of
               that field). asked_wide.txt too: many more questions of each topic.
everyday.txt   "[group]", then "word: one-line meaning".
"""
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
HELDOUT = HERE.parent / "train" / "heldout"
FIELDS = ("def", "short", "more", "why", "fix", "how")


@dataclass
class Topic:
    id: str
    names: list
    kind: str
    text: dict = field(default_factory=dict)
    questions: list = field(default_factory=list)  # (field, question)
    symptoms: list = field(default_factory=list)  # clauses: "the text comes in jerks"
    goals: list = field(default_factory=list)  # verb phrases: "download a model"


def _lines(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def load_topics():
    """All topics in file order. A topic without every field is an error: generators rely on them."""
    topics = []
    for path in sorted((HERE / "topics").glob("*.txt")):
        for number, line in _lines(path):
            if line.startswith("@"):
                ident, names = line[1:].split("=", 1)
                topics.append(Topic(ident.strip(), [n.strip() for n in names.split("|")], path.stem))
            elif line.startswith("?"):
                which, text = line[1:].split(" ", 1)
                topics[-1].questions.append((which or "def", text.strip()))
            else:
                key, text = line.split(":", 1)
                if key not in FIELDS:
                    raise ValueError(f"{path.name}:{number}: unknown field {key!r}")
                topics[-1].text[key] = text.strip()
    for topic in topics:
        missing = [f for f in FIELDS if f not in topic.text]
        if missing:
            raise ValueError(f"topic {topic.id}: missing {missing}")
    by_id = {t.id: t for t in topics}
    for _, line in (*_lines(HERE / "asked.txt"), *_lines(HERE / "asked_wide.txt")):
        ident, mark, rest = line.split(" ", 2)
        parts = [part.strip() for part in rest.split("|")]
        if mark.startswith("?"):
            by_id[ident].questions += [(mark[1:] or "def", part) for part in parts]
        else:
            {"~": by_id[ident].symptoms, ">": by_id[ident].goals}[mark].extend(parts)
    return topics


def load_talk():
    """Small talk: list of (id, things a user says, answers)."""
    groups = []
    for _, line in _lines(HERE / "talk.txt"):
        if line.startswith("@"):
            groups.append((line[1:].strip(), [], []))
        elif line.startswith("u:"):
            groups[-1][1].extend(part.strip() for part in line[2:].split("|"))
        elif line.startswith("a:"):
            groups[-1][2].append(line[2:].strip())
    return groups


def load_everyday():
    """Everyday words: {group: {word: meaning}}."""
    groups, current = {}, None
    for _, line in _lines(HERE / "everyday.txt"):
        if line.startswith("["):
            current = groups.setdefault(line.strip("[]"), {})
        else:
            word, meaning = line.split(":", 1)
            current[word] = meaning.strip()
    return groups


def load_heldout():
    """(topic questions, other questions) that must never be trained on.

    strangers.txt, new.txt and fresh.txt are by people who knew the list of topics and nothing of the corpus. How the first
    two fared with earlier models led to asked_wide.txt, whose writers did not see them; nobody had seen how fresh.txt fares
    before the shipped model was trained. The others were looked at while the corpus was improved."""
    files = ("questions.txt", "final.txt", "last.txt", "strangers.txt", "new.txt", "fresh.txt")
    questions = [(*(p.strip() for p in line.split("|", 1)), name) for name in files for _, line in _lines(HELDOUT / name)]
    other = [tuple(p.strip() for p in line.split(" | ", 2)) for _, line in _lines(HELDOUT / "other.txt")]
    return questions, other


def normal(text):
    """Spelling-insensitive form by which a held-out question is recognised."""
    return " ".join("".join(c.lower() if c.isalnum() else " " for c in text).split())

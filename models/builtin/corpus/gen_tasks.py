"""Simple instructions whose answers can be computed: counting, lists, small sums, words."""
from . import phrasing as p

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
OPPOSITES = """hot cold|big small|fast slow|up down|left right|old new|old young|good bad|light dark|day night|happy sad|full empty|high low
long short|hard soft|open closed|rich poor|strong weak|early late|wet dry|loud quiet|near far|thick thin|clean dirty|easy difficult
first last|inside outside|push pull|win lose|begin end|buy sell|black white|warm cool|true false|always never|wide narrow""".replace("\n", "|")
OPPOSITES = [pair.split() for pair in OPPOSITES.split("|")]
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
ADJ = "green small old quiet bright red cold happy tall slow round warm blue young soft heavy long clever brave grey".split()
NOUN = "boats birds lamps stones horses rivers clouds books trains apples shoes letters stars doors cats trees chairs songs bees ships".split()
VERB = "sail sing shine sleep fly wait move turn jump fall dance glow rest grow hide walk swim play float run".split()
ADV = ["slowly", "today", "again", "softly", "together", "at night", "in the rain", "every day", "far away", "very well", "near the sea", "alone"]


def ask(rng, *frames):
    return p.casual(rng, rng.choice(frames), 0.7)


class Tasks:
    def __init__(self, everyday):
        self.groups = everyday
        self.meaning = {w: m for g in everyday.values() for w, m in g.items()}
        self.words = sorted(self.meaning)
        self.kinds = [(self.count, 10), (self.lists, 16), (self.sums, 14), (self.calendar, 8), (self.opposite, 7), (self.spell, 6),
                      (self.repeat, 10), (self.capital, 6), (self.define, 16), (self.sentence, 5), (self.order, 5), (self.larger, 4), (self.group_of, 5)]

    def turn(self, rng):
        make = rng.choices([k for k, _ in self.kinds], [w for _, w in self.kinds])[0]
        return make(rng)

    def count(self, rng):
        a = rng.randint(0, 12) if rng.random() < 0.4 else 1
        b = a + rng.randint(2, 12)
        kind = rng.random()
        if kind < 0.6:
            q = ask(rng, f"Count from {a} to {b}.", f"Can you count from {a} to {b}?", f"Please count from {a} up to {b}.", f"Write the numbers from {a} to {b}.",
                    f"List the numbers {a} to {b}.", f"Count up from {a} to {b}.", f"Say the numbers from {a} to {b}.")
            if a == 1 and rng.random() < 0.4:
                q = ask(rng, f"Count to {b}.", f"Can you count to {b}?", f"Please count to {b} for me.", f"count up to {b}")
            seq = range(a, b + 1)
        elif kind < 0.85:
            q = ask(rng, f"Count down from {b} to {a}.", f"Count backwards from {b} to {a}.", f"Please count from {b} down to {a}.", f"Can you count down from {b} to {a}?")
            seq = range(b, a - 1, -1)
        else:
            n = rng.randint(3, 10)
            even = rng.random() < 0.5
            q = ask(rng, f"Write the first {n} {'even' if even else 'odd'} numbers.", f"List {n} {'even' if even else 'odd'} numbers.")
            seq = range(2 if even else 1, 2 * n + 1, 2)
        return q, ", ".join(map(str, seq)) + "."

    def lists(self, rng):
        group = rng.choice(sorted(self.groups))
        names = {"things": ["things in a house", "objects", "things"], "nature": ["things in nature", "things you find in nature"],
                 "jobs": ["jobs", "professions"], "instruments": ["instruments", "musical instruments"], "ideas": ["ideas", "words", "nouns"],
                 "colours": ["colours", "colors"], "food": ["foods", "things to eat or drink"]}.get(group, [group])
        words = list(self.groups[group])
        n = rng.randint(2, min(6, len(words)))
        number = rng.choice([str(n), NUMBERS[n]])
        picked = rng.sample(words, n)
        q = ask(rng, f"List {number} {{x}}.", f"Name {number} {{x}}.", f"Give me {number} {{x}}.", f"Tell me {number} {{x}}.", f"Can you name {number} {{x}}?",
                f"Write down {number} {{x}}.", f"I need {number} {{x}}.", f"{number} {{x}}, please.", f"Make a list of {number} {{x}}.").replace("{x}", rng.choice(names))
        style = rng.random()
        if style < 0.5:
            return q, "\n".join(f"{i}. {w}" for i, w in enumerate(picked, 1))
        return q, ", ".join(picked[:-1]) + " and " + picked[-1] + "." if style > 0.8 else ", ".join(picked) + "."

    def sums(self, rng):
        kind = rng.randrange(4)
        a, b = rng.randint(0, 50), rng.randint(0, 50)
        if rng.random() < 0.5:
            a, b = rng.randint(1, 12), rng.randint(1, 12)
        if kind == 0:
            c, word, sign = a + b, "plus", "+"
        elif kind == 1:
            a, b = max(a, b), min(a, b)
            c, word, sign = a - b, "minus", "-"
        elif kind == 2:
            a, b = rng.randint(1, 12), rng.randint(1, 12)
            c, word, sign = a * b, "times", rng.choice(["*", "x", "×"])
        else:
            b, c = rng.randint(1, 12), rng.randint(1, 12)
            a, word, sign = b * c, "divided by", "/"
        q = ask(rng, f"What is {a} {word} {b}?", f"What is {a} {sign} {b}?", f"{a} {sign} {b}", f"{a}{sign}{b}=?", f"How much is {a} {word} {b}?", f"Calculate {a} {sign} {b}.",
                f"Compute {a} {word} {b}.", f"Can you tell me what {a} {word} {b} is?", f"What do I get for {a} {sign} {b}?")
        return q, f"{a} {word} {b} is {c}."

    def calendar(self, rng):
        names, unit = (DAYS, "day") if rng.random() < 0.55 else (MONTHS, "month")
        i = rng.randrange(len(names))
        kind = rng.random()
        if kind < 0.4:
            return ask(rng, f"What {unit} comes after {names[i]}?", f"Which {unit} follows {names[i]}?", f"What is the {unit} after {names[i]}?"), f"{names[(i + 1) % len(names)]} comes after {names[i]}."
        if kind < 0.65:
            return ask(rng, f"What {unit} comes before {names[i]}?", f"Which {unit} is before {names[i]}?", f"What is the {unit} before {names[i]}?"), f"{names[i - 1]} comes before {names[i]}."
        if kind < 0.9:
            group = "days of the week" if unit == "day" else "months of the year"
            return ask(rng, f"List the {group}.", f"What are the {group}?", f"Name the {group}.", f"Tell me the {group}.", f"Say the {group}, please."), ", ".join(names) + "."
        q, a = rng.choice([("How many days are in a week?", "A week has 7 days."), ("How many months are in a year?", "A year has 12 months."),
                           ("How many hours are in a day?", "A day has 24 hours."), ("How many minutes are in an hour?", "An hour has 60 minutes."),
                           ("How many seconds are in a minute?", "A minute has 60 seconds."), ("How many days are in a year?", "A year has 365 days, and a leap year 366."),
                           ("What are the four seasons?", "Spring, summer, autumn and winter.")])
        return ask(rng, q, q), a

    def opposite(self, rng):
        a, b = rng.sample(rng.choice(OPPOSITES), 2)
        q = ask(rng, f"What is the opposite of {a}?", f"Opposite of {a}?", f"Tell me the opposite of {a}.", f"What is the contrary of {a}?", f"Give me the opposite of the word {a}.")
        if a == "old":
            b = "new or young"
        return q, f"The opposite of {a} is {b}."

    def spell(self, rng):
        w = rng.choice(self.words)
        if rng.random() < 0.6:
            return ask(rng, f"Spell the word {w}.", f"How do you spell {w}?", f"Spell {w}, please.", f"Can you spell {w}?", f"spell {w} letter by letter"), "-".join(w)
        if rng.random() < 0.5:
            return ask(rng, f"How many letters has the word {w}?", f"How many letters are in {w}?", f"Count the letters in {w}."), f"{'-'.join(w)}: the word {w} has {len(w)} letters."
        return ask(rng, f"What is the first letter of {w}?", f"With which letter does {w} begin?"), f"The first letter of {w} is {w[0]}."

    def repeat(self, rng):
        text = " ".join([rng.choice(ADJ), rng.choice(NOUN), rng.choice(VERB), rng.choice(ADV)])
        if rng.random() < 0.4:
            text = " ".join(rng.choice(rng.choice([self.words, ADJ, NOUN, VERB])) for _ in range(rng.randint(1, 6)))
        q = rng.choice([f"Repeat after me: {text}", f"Say: {text}", f"Please say {text}", f'Repeat "{text}"', f"Repeat the following words: {text}", f"Write exactly this: {text}",
                        f"Say exactly: {text}", f"repeat: {text}", f"repeat after me: {text}", f"Copy this text: {text}"])
        return q, text

    def capital(self, rng):
        w = rng.choice(self.words)
        if rng.random() < 0.7:
            return ask(rng, f"Write {w} in capital letters.", f"Write the word {w} in capitals.", f"Put {w} in upper case.", f"Convert {w} to uppercase.", f"Shout the word {w}."), w.upper()
        return ask(rng, f"Write {w.upper()} in small letters.", f"Convert {w.upper()} to lowercase."), w

    def define(self, rng):
        w = rng.choice(self.words)
        m = self.meaning[w]
        article = "An" if w[0] in "aeiou" else "A"
        plain = m.startswith(("the ", "white grains", "small white", "food ", "many ", "people ", "sounds", "light", "water ", "land ", "air ", "frozen", "seven", "twelve", "things that"))
        subject = w.capitalize() if plain or w in ("salt", "sugar", "milk", "bread", "cheese", "tea", "coffee", "soup", "spinach", "honey", "water") else f"{article} {w}"
        a_w = w if subject == w.capitalize() else f"{article.lower()} {w}"
        verb = "are" if m.startswith(("white grains", "sweet white", "small white")) and w not in ("rice", "salt", "sugar") else "is"
        q = ask(rng, f"What is {a_w}?", f"What's {a_w}?", f"Define {w}.", f"Explain the word {w}.", f"What does the word {w} mean?", f"Tell me what {a_w} is.", f"What does {w} mean?",
                f"What is the meaning of {w}?", f"Can you explain what {a_w} is?", f"Give me a definition of {w}.", f"Do you know what {a_w} is?", f"describe {a_w}")
        return q, f"{subject} {verb} {m}."

    def sentence(self, rng):
        w = rng.choice(self.words)
        s = rng.choice(["Yesterday I saw the {w} again.", "There was something special about the {w}.", "We talked about the {w} all evening.", "My friend likes the {w} very much.",
                        "In the picture you can see the {w}.", "Nobody knew where the {w} was."]).replace("{w}", w)
        return ask(rng, f"Make a sentence with the word {w}.", f"Use {w} in a sentence.", f"Write a sentence with {w}.", f"Give me a sentence about {w}."), s

    def order(self, rng):
        if rng.random() < 0.5:
            v = rng.sample(range(1, 60), rng.randint(3, 5))
            up = rng.random() < 0.7
            q = ask(rng, f"Sort these numbers{'' if up else ' from large to small'}: {', '.join(map(str, v))}", f"Put these numbers in {'rising' if up else 'falling'} order: {', '.join(map(str, v))}")
            return q, ", ".join(map(str, sorted(v, reverse=not up))) + "."
        v = rng.sample(self.words, 3)
        return ask(rng, f"Sort these words by alphabet: {', '.join(v)}", f"Put in alphabetical order: {', '.join(v)}"), ", ".join(sorted(v)) + "."

    def larger(self, rng):
        a, b = rng.sample(range(1, 200), 2)
        big = rng.random() < 0.6
        word = "larger" if big else "smaller"
        q = ask(rng, f"Which is {word}, {a} or {b}?", f"Which number is {word}: {a} or {b}?", f"What is {word}, {a} or {b}?")
        first, second = (max(a, b), min(a, b)) if big else (min(a, b), max(a, b))
        return q, f"{first} is {word} than {second}."

    def group_of(self, rng):
        group = rng.choice(["animals", "fruits", "vegetables", "colours", "vehicles", "instruments", "jobs"])
        one = {"animals": "an animal", "fruits": "a fruit", "vegetables": "a vegetable", "colours": "a colour", "vehicles": "a vehicle", "instruments": "an instrument", "jobs": "a job"}
        other = rng.choice(sorted(one))
        w = rng.choice(list(self.groups[group]))
        subject = f"{w.capitalize()}" if group == "colours" else ("An " if w[0] in "aeiou" else "A ") + w
        q = ask(rng, f"Is {subject.lower()} {one[other]}?")
        return q, f"Yes, {subject.lower()} is {one[group]}." if other == group else f"No, {subject.lower()} is {one[group]}."

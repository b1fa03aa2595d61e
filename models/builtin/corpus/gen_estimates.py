"""Small computations about memory and speed, with the rated figures of the optimization guide."""
from . import phrasing as p

SIZES = [0.5, 0.6, 1, 1.5, 1.7, 2, 3, 4, 7, 8, 9, 12, 13, 14, 20, 24, 27, 30, 32, 34, 70]
REAL_BITS = {2: 2.5, 3: 3.5, 4: 4.5, 5: 5.5, 6: 6.5, 8: 8.5, 16: 16.0}  # group 64 with 16-bit scale and bias
BANDWIDTHS = [20, 25, 30, 40, 50, 60, 68, 80, 90, 100, 120, 150, 153, 200, 273, 300, 400, 410, 460, 546, 614, 800, 819, 1000]
MEMORIES = [4, 6, 8, 12, 16, 18, 24, 32, 36, 48, 64, 96, 128]
# Rated GB/s: base, Pro, Max, Ultra. None = there is no such chip.
APPLE = {"M1": ("68", "200", "400", "800"), "M2": ("100", "200", "400", "800"), "M3": ("100", "150", "300 or 400", "819"),
         "M4": ("120", "273", "410 or 546", None), "M5": ("153", None, "460 or 614", None)}


def gigabytes(size, bits):
    value = size * REAL_BITS[bits] / 8
    return value, (f"{value:.1f}" if value < 10 else f"{value:.0f}")


class Estimates:
    def turn(self, rng):
        return rng.choice([self.memory, self.memory, self.speed, self.speed, self.fits, self.fits, self.apple, self.convert])(rng)

    @staticmethod
    def _ask(rng, frames):
        return p.casual(rng, rng.choice(frames), 0.6)

    def memory(self, rng):
        s, b = rng.choice(SIZES), rng.choice(list(REAL_BITS))
        if rng.random() < 0.5:
            b = 4
        _, text = gigabytes(s, b)
        q = self._ask(rng, [f"How much memory does a {s}B model need in {b}-bit?", f"How big is a {s}B model in {b}-bit?", f"How many GB are the weights of a {s}B model with {b} bits?",
                            f"What is the size of a {b}-bit {s}B model?", f"memory for {s}B at {b} bit", f"How much RAM for a {s}B model in {b} bit?", f"How large is a {s}B {b}-bit model?"])
        return q, f"About {text} GB for the weights of a {s}B model in {b}-bit ({REAL_BITS[b]} bits per weight), plus the KV cache and some scratch memory."

    def speed(self, rng):
        s, b, w = rng.choice(SIZES), rng.choice([4, 4, 4, 8, 6, 16]), rng.choice(BANDWIDTHS)
        value, text = gigabytes(s, b)
        rate = w / value
        shown = f"{rate:.1f}" if rate < 10 else f"{rate:.0f}"
        q = self._ask(rng, [f"How fast is a {s}B model in {b}-bit with {w} GB/s?", f"How many tokens per second can a {s}B {b}-bit model reach at {w} GB/s?",
                            f"What decode speed can I expect for a {s}B model in {b}-bit on a machine with {w} GB/s?", f"Estimate the speed of a {b}-bit {s}B model at {w} GB/s.",
                            f"How fast can a {s}B model in {b}-bit decode with {w} GB/s?"])
        return q, f"A {s}B model in {b}-bit reads {text} GB per token. {w} GB/s divided by {text} GB is at most about {shown} tokens per second, and real programs reach a part of that."

    def fits(self, rng):
        s, b, m = rng.choice(SIZES), rng.choice([4, 4, 4, 8, 16]), rng.choice(MEMORIES)
        value, text = gigabytes(s, b)
        share = value / m
        verdict = ("Yes, it fits well" if share <= 0.5 else "Yes, it fits" if share <= 0.7 else "It is very tight" if share <= 0.9 else "No, it does not fit")
        q = self._ask(rng, [f"Does a {s}B model in {b}-bit fit in {m} GB?", f"Will a {s}B {b}-bit model fit in {m} GB of RAM?", f"Can I run a {s}B model in {b}-bit on {m} GB?",
                            f"Is {m} GB enough for a {s}B model in {b}-bit?", f"I have {m} GB. Can I run a {b}-bit {s}B model?"])
        return q, f"{verdict}: the weights take about {text} GB of {m} GB, and the KV cache and the system need room too."

    def apple(self, rng):
        chip = rng.choice(list(APPLE))
        kinds = [(k, v) for k, v in zip(("", " Pro", " Max", " Ultra"), APPLE[chip]) if v]
        kind, value = rng.choice(kinds)
        name = chip + kind
        q = self._ask(rng, [f"What is the memory bandwidth of the {name}?", f"How much memory bandwidth has an {name}?", f"How fast is the memory of the Apple {name}?", f"bandwidth of {name}",
                            f"How many GB/s does the {name} have?", f"{name} bandwidth?"])
        return q, f"The {name} is rated at {value} GB/s. What LLMind measures on your machine always counts more than a rated figure."

    def convert(self, rng):
        if rng.random() < 0.5:
            n = rng.choice([1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500])
            if rng.random() < 0.5:
                return self._ask(rng, [f"How many milliseconds per token are {n} tokens per second?", f"{n} tok/s in ms per token?", f"What TPOT is {n} tokens per second?"]), f"{n} tokens per second are {1000 / n:g} ms per token."
            return self._ask(rng, [f"How many tokens per second are {n} ms per token?", f"{n} ms per token in tok/s?", f"A TPOT of {n} ms is how many tokens per second?"]), f"{n} ms per token are {1000 / n:g} tokens per second."
        q, a = rng.choice([("How many bits are in a byte?", "A byte has 8 bits."), ("How many MB are in a GB?", "A gigabyte has 1000 megabytes. A gibibyte, GiB, has 1024 mebibytes."),
                           ("How many bytes does a 16-bit number take?", "A 16-bit number takes 2 bytes."), ("How many words are 100 tokens?", "In English 100 tokens are about 75 words."),
                           ("How many milliseconds are in a second?", "A second has 1000 milliseconds."), ("How many tokens has a page of text?", "A page of about 300 English words has roughly 400 tokens.")])
        return self._ask(rng, [q]), a

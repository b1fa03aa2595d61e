"""Questions that a model of this size cannot answer, and its honest reply.

The names are partly real and mostly made up: what must be learned is the shape of a question about the
world, and that an unknown name is a reason to say "I do not know", not to invent.
"""
from . import phrasing as p

COUNTRIES = """France Germany Italy Spain Portugal England Scotland Ireland Norway Sweden Finland Denmark Poland Austria Greece Turkey Egypt Kenya Nigeria
India China Japan Korea Thailand Vietnam Australia Mexico Canada Peru Chile Argentina Cuba Russia Ukraine Hungary Romania Iceland Belgium""".split()
FIELDS = """the French Revolution|the Roman Empire|world war two|the first world war|the moon landing|photosynthesis|quantum mechanics|relativity|the stock market|the big bang
dinosaurs|black holes|football|basketball|chess openings|the Olympic games|climate change|evolution|electricity|the human heart|vitamins|the solar system|volcanoes|Bitcoin|taxes
democracy|philosophy|Shakespeare|Mozart|Beethoven|Picasso|Einstein|Newton|Napoleon|Cleopatra|Columbus|the Beatles|jazz|opera|cooking|knitting|yoga|cars|airplanes|gravity""".replace("\n", "|").split("|")
DISHES = "pizza|pasta|risotto|a chocolate cake|pancakes|sushi|bread|an omelette|a curry|tomato soup|apple pie|lasagne|dumplings|a salad|tacos|scrambled eggs|cookies".split("|")
WORKS = ["the novel {n}", "the song {n}", "the book {n}", "the film {n}", "the opera {n}", "the painting {n}", "the play {n}", "the poem {n}", "the symphony {n}"]
FRAMES = """What is the capital of {c}?|capital of {c}|What is the capital city of {c}?|How many people live in {c}?|What is the population of {c}?|Who is the president of {c}?|Who is the king of {c}?
What language do they speak in {c}?|Where is {c}?|How large is {c}?|Tell me about {c}.|What is the currency of {c}?|Which river flows through {c}?|Should I travel to {c}?|What is the highest mountain in {c}?
Who wrote {w}?|Who made {w}?|Who painted {w}?|Who composed {w}?|When was {w} published?|What is {w} about?|Summarize {w}.|Who plays in {w}?|Who directed {w}?|Who sang {w}?
Who is {n}?|Who was {n}?|When was {n} born?|Where does {n} live?|When did {n} die?|What did {n} discover?|How old is {n}?|Tell me about {n}.|What do you think of {n}?|Is {n} married?|Who invented {n}?
What is {n}?|What does {n} mean?|Define {n}.|Explain {n}.|Where is {n}?|How far is it from {n} to {c}?|How do I get to {n}?|What is {n} famous for?|What is a {l}?|What does {l} mean?|Explain {l}.|Do you know {l}?
Explain {f}.|What is {f}?|Tell me about {f}.|When was {f}?|How does {f} work?|What do you know about {f}?|Who invented {f}?|Why is {f} important?|Give me a summary of {f}.|What caused {f}?|When did {f} begin?|When did {f} end?
How do I cook {d}?|Give me a recipe for {d}.|How do you make {d}?|What goes into {d}?|How long does {d} take?|I want to cook {d}.|recipe for {d}
Who is the richest person in the world?|Who is the best football player?|What is the tallest building?|What is the largest animal?|What is the longest river?|What is the fastest car?|Who is the most famous actor?
Who was the first man on the moon?|How far away is the moon?|How old is the universe?|What is the speed of light?|How many stars are there?|What is the chemical formula of water?|At what temperature does water boil?
What is the square root of {k}?|What is {k} times {k2}?|Solve x^2 + {k}x = {k2}.|What is {k} to the power of {k3}?|Integrate x^{k3}.|Is {k} a prime number?|Convert {k} dollars to euros.|What is {k} percent of {k2}?
In which year did {n} win the cup?|What happened in {y}?|Who won the world cup in {y}?|Who was president in {y}?|Which team won in {y}?|What was invented in {y}?
What is the phone number of {n}?|What is the address of {n}?|Where can I buy {l}?|How much does {l} cost?|What is the price of {n}?|Which restaurant in {n} is good?|Book me a flight to {n}.|Play some music.|Order a pizza.
Draw a picture of a {l}.|Show me a photo of {n}.|Translate {l} into {g}.|How do you say {l} in {g}?|What is {l} in {g}?|Write a python program that does {l}.|Write code in {g2} for {l}.|Debug my {g2} program.
Who will win the election?|What will happen tomorrow?|What will the weather be in {n}?|How is the weather in {c}?|Is it raining in {c}?|What time is it in {n}?|What time is it in {c}?""".replace("\n", "|").split("|")
TONGUES = "German French Spanish Italian Japanese Chinese Russian Latin Dutch Polish Greek Arabic".split()
CODES = "Python JavaScript C Java Rust Go PHP Ruby Haskell".split()
ANSWERS = ["I do not know that: I am a small built-in model, trained only on texts about LLMind and the speed of language models. A larger model can help: `llmind pull` gets one.",
           "I cannot answer that. I am a small built-in model and know little about the world beyond LLMind's own field."]
WHY = "Because I have only about 20 million parameters and was trained on texts of the LLMind project alone."
START = "b c d f g h j k l m n p r s t v w z br dr gr kr tr st sl pl fl bl sh ch th".split()
VOWEL = "a e i o u a e i o u ei ou ea oo".split()
END = "n r s t l m nd rk st x ck  n r l".split(" ")


def made_up(rng, capital=True):
    word = "".join(rng.choice(START) + rng.choice(VOWEL) for _ in range(rng.randint(1, 3))) + rng.choice(END)
    return word.capitalize() if capital else word


class Refusals:
    def turn(self, rng):
        name = made_up(rng) + (" " + made_up(rng) if rng.random() < 0.5 else "")
        if rng.random() < 0.2:
            name = f"the {made_up(rng)} of {made_up(rng)}"
        q = rng.choice(FRAMES)
        for key, value in (("{w}", rng.choice(WORKS)), ("{n}", name), ("{c}", rng.choice(COUNTRIES)), ("{f}", rng.choice(FIELDS)), ("{d}", rng.choice(DISHES)),
                           ("{l}", made_up(rng, False)), ("{k}", str(rng.randint(101, 9999))), ("{k2}", str(rng.randint(101, 999))), ("{k3}", str(rng.randint(3, 9))),
                           ("{y}", str(rng.randint(1000, 2030))), ("{g}", rng.choice(TONGUES)), ("{g2}", rng.choice(CODES))):
            q = q.replace(key, value)
        q = p.casual(rng, q, 0.8)
        return q, ANSWERS[0] if rng.random() < 0.7 else ANSWERS[1]

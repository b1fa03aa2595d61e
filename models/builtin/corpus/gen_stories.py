"""Short stories from a grammar. The hero a user asks for is the hero of the story."""
from . import phrasing as p

NAMES = "Anna Tom Mia Ben Lena Paul Nora Max Ida Leo Emma Finn Clara Otto Lily Jonas Rosa Felix".split()
PLACES = ["a small village", "a quiet forest", "a town by the sea", "an old castle", "a farm behind the hills", "a house near the river", "a big city", "an island", "a green valley"]
ADJECTIVES = "small brave clever old young shy friendly curious lazy tired lonely cheerful".split()
LOST = ["a golden key", "a red hat", "an old map", "a silver bell", "a blue lamp", "a letter", "a little boat", "a music box", "a warm coat"]
HELPERS = ["an owl", "a mouse", "an old woman", "a fisherman", "a wise turtle", "a girl with a lamp", "a friendly bear", "a bee", "a travelling painter"]
WHERE = ["under a stone bridge", "behind the mill", "in a hollow tree", "on top of the hill", "at the bottom of a well", "in a dark cave", "beside the lake", "in the attic"]
LESSONS = ["And so they learned that friends are worth more than treasure.", "From that day on nobody felt alone any more.", "And if they have not moved away, they still tell this story.",
           "That evening everybody slept well.", "It was a good day after all.", "And they never forgot it."]
ASK = ["Tell me a story.", "Tell me a short story.", "Write a story.", "Write a short story.", "Can you tell me a story?", "I want to hear a story.", "Make up a story.",
       "Please tell me a bedtime story.", "Invent a little tale.", "story please", "Do you know a story?", "Tell a story for children."]
ASK_ABOUT = ["Tell me a story about {x}.", "Tell me a short story about {x}.", "Write a story about {x}.", "Write a short story with {x}.", "Can you tell me a story about {x}?",
             "I want a story about {x}.", "Make up a story about {x}.", "A story about {x}, please.", "Write a tale with {x} in it.", "story about {x}", "Do you know a story about {x}?"]
POEMS = [["The {n} sits beneath the tree,", "it looks at you, it looks at me.", "The evening comes, the light is low,", "and home is where we two will go."],
         ["A little {n} went out to play", "and found a friend along the way.", "They talked till late, they laughed a lot,", "and never once the day forgot."],
         ["I met a {n} one winter night,", "the snow was deep, the moon was bright.", "It said hello and walked along,", "and on the way we sang a song."]]


def article(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


class Stories:
    def __init__(self, everyday):
        self.animals = [w for w in everyday["animals"]]
        self.jobs = list(everyday["jobs"])
        self.things = list(everyday["things"])

    def tell(self, rng, hero=None):
        """A story of five to eight sentences about `hero` (a noun) or about somebody with a name."""
        adjective = rng.choice(ADJECTIVES)
        name = rng.choice(NAMES)
        noun = hero or rng.choice(self.animals + self.jobs + ["girl", "boy", "child", "robot", "king", "queen"])
        it, its, him = rng.choice([("he", "his", "him"), ("she", "her", "her")])
        lost, helper, where = rng.choice(LOST), rng.choice(HELPERS), rng.choice(WHERE)
        the_lost = "the " + lost.split(" ", 1)[1]
        the_helper = "the " + helper.split(" ", 1)[1]
        s = [rng.choice([f"Once upon a time there was {article(adjective)} {noun} called {name} who lived in {rng.choice(PLACES)}.",
                         f"In {rng.choice(PLACES)} lived {article(adjective)} {noun} with the name {name}.",
                         f"There once was {article(noun)} called {name}. {name} was very {adjective} and lived in {rng.choice(PLACES)}."])]
        s.append(rng.choice([f"One morning {name} saw that {lost} was gone.", f"One day {name} lost {lost}.", f"One evening a storm took {lost} away."]))
        s.append(rng.choice([f"{name} looked everywhere, but {the_lost} could not be found.", f"{name} was sad and went out to look for {the_lost}."]))
        s.append(rng.choice([f"On the way {it} met {helper}.", f"After a long walk {it} met {helper}.", f"In the middle of the night {helper} came by."]))
        s.append(rng.choice([f'"I have seen {the_lost} {where}," said {the_helper}. "Come with me!"', f'"Do not be sad," said {the_helper}. "I know where {the_lost} is."']))
        s.append(rng.choice([f"Together they went and found {the_lost} {where}.", f"They walked for hours, and there it was, {where}."]))
        if rng.random() < 0.5:
            s.append(rng.choice([f"{name} laughed and shared {its} bread with {the_helper}.", f"{name} thanked {the_helper}, and they became friends."]))
        s.append(rng.choice(LESSONS))
        return " ".join(s)

    def turn(self, rng):
        if rng.random() < 0.15:
            noun = rng.choice(self.animals)
            q = rng.choice([f"Write a poem about {article(noun)}.", f"Write a short poem about {article(noun)}.", f"A poem about {article(noun)}, please.", f"Can you write a poem about {article(noun)}?"])
            return p.casual(rng, q, 0.6), "\n".join(rng.choice(POEMS)).replace("{n}", noun)
        if rng.random() < 0.4:
            return p.casual(rng, rng.choice(ASK), 0.6), self.tell(rng)
        hero = rng.choice(self.animals + self.jobs + ["girl", "boy", "robot", "king", "queen", "dragon", "princess", "child"])
        x = rng.choice([article(hero), article(rng.choice(ADJECTIVES)) + " " + hero])
        return p.casual(rng, rng.choice(ASK_ABOUT).replace("{x}", x), 0.6), self.tell(rng, hero)

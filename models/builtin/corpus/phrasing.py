"""Many ways to ask the same thing, and the small mistakes people make when they type.

A model of this size learns a question by its surface. What makes it understand an unseen phrasing is
the breadth here, so frames vary in verb, order, politeness and length, and every question may lose its
capitals, its question mark or a letter.
"""

DEF = """What is {x}?
What's {x}?
What is {x} exactly?
What does {x} mean?
What do you mean by {x}?
What is meant by {x}?
What is the meaning of {x}?
What's the meaning of {x}?
Explain {x}.
Explain {x} to me.
Please explain {x} in simple words.
Explain {x} like I am five.
Explain {x} to a beginner.
Can you explain {x}?
Could you explain {x} to me?
Could you explain what {x} is?
Could you tell me what {x} is?
Can you tell me what {x} means?
Tell me about {x}.
Tell me what {x} is.
Tell me something about {x}.
Define {x}.
Give me a definition of {x}.
Give a short definition of {x}.
How would you define {x}?
How would you describe {x}?
Describe {x}.
Describe {x} in one or two sentences.
I don't know what {x} is.
I do not understand {x}.
I have never heard of {x}.
I keep reading about {x}. What is it?
I saw {x} in a report. What is it?
The page shows {x}. What does that mean?
What should I know about {x}?
What does {x} stand for?
What does {x} do?
What does {x} tell me?
What does {x} say?
What can you tell me about {x}?
What is {x} about?
What is {x} in a few words?
What is the idea of {x}?
What exactly is {x}?
What kind of thing is {x}?
What happens in {x}?
How does {x} work?
How is {x} defined?
{x}?
{x}
{x}, what is that?
{x}: what is it?
meaning of {x}
definition of {x}
explain {x}
what is {x}
So what is this {x}?
And what is {x}?
Help me understand {x}.
I need an explanation of {x}.
I want to know what {x} is.
I would like to learn about {x}.
I'd like to know what {x} means.
Who can tell me what {x} is?
Do you know what {x} is?
Do you know {x}?
In plain words, what is {x}?
In simple terms, what is {x}?
What is the definition of {x}?
What is the point of {x}?
What is {x} for?
What is {x} good for?
What is {x} used for?
Is {x} something I should know?
Please define {x}.
Please describe {x}.
Please tell me what {x} is.
Clarify {x}, please.
Teach me {x}.
My colleague talks about {x}. What is that?
What role does {x} play?
What is there to know about {x}?
How can I understand {x}?
What am I looking at when I see {x}?
What is counted in {x}?
How is {x} computed?
How is {x} calculated?
How do you compute {x}?
Why is there {x}?
When do you speak of {x}?""".splitlines()

WHY = """Why does {x} matter?
Why is {x} important?
Why should I care about {x}?
Why do I need {x}?
Is {x} important?
What makes {x} important?
What is the reason for {x}?
Why {x}?
Does {x} matter?
Tell me why {x} matters.
Why look at {x}?
What is the benefit of {x}?
Why do people talk about {x}?
Why would I care about {x}?
How important is {x}?
What causes {x}?
What is the cause of {x}?
Why does {x} happen?""".splitlines()

FIX = """How can I improve {x}?
How do I improve {x}?
What can I do about {x}?
What should I do about {x}?
What helps with {x}?
What helps against {x}?
How do I fix {x}?
How do I get better {x}?
How do I deal with {x}?
Any tips for {x}?
Give me advice on {x}.
What do you recommend for {x}?
How should I set {x}?
How do I change {x}?
How do I optimise {x}?
How do I optimize {x}?
Tips for {x}, please.
My {x} is bad. What now?
I have a problem with {x}.
I have trouble with {x}. Help!
What is your advice about {x}?
What would you do about {x}?
What is a good choice for {x}?
Can {x} be improved?
Is there a remedy for {x}?
Is there any way to improve {x}?
The report says {x}. What should I do?
LLMind names {x}. What now?
How can {x} be made better?""".splitlines()

HOW = """How do I measure {x}?
How does LLMind measure {x}?
How can I see {x}?
Where do I find {x}?
Which command shows {x}?
How do I use {x}?
How can I use {x} in LLMind?
How do I check {x}?
How do I find out about {x}?
What do I type for {x}?
What is the command for {x}?
Which command do I need for {x}?
Show me how to use {x}.
Give me an example of {x}.
Where can I see {x} in LLMind?
How is {x} measured?
How does LLMind find {x}?
Can LLMind show me {x}?""".splitlines()

# Commands and pages are asked for in other words than ideas are.
USE = """How do I use {x}?
How does {x} work?
When should I use {x}?
Show me an example of {x}.
What do I type for {x}?
I want to use {x}. How?
What is the command for {x}?
How do I run {x}?
How do I start {x}?""".splitlines()

DETAIL = """Tell me everything about {x}.
Explain {x} in detail.
Give me a long explanation of {x}.
I want to know all about {x}.
Tell me more about {x}.
Explain {x} in depth, please.
Describe {x} in detail.""".splitlines()

SHORT = """What is {x}? Answer in one sentence.
Explain {x} in one sentence.
In one sentence: what is {x}?
{x} in a nutshell?
Give me a very short explanation of {x}.
Briefly, what is {x}?
What is {x}, in short?
tl;dr {x}
Tell me quickly what {x} is.
One line about {x}, please.
Short answer please: what is {x}?
Define {x} in a few words.""".splitlines()

BOTH = """What is the difference between {x} and {y}?
What's the difference between {x} and {y}?
How do {x} and {y} differ?
Compare {x} and {y}.
{x} vs {y}
{x} or {y}: what is the difference?
Is {x} the same as {y}?
Explain {x} and {y}.
How is {x} different from {y}?
Tell me about {x} and {y}.
I confuse {x} with {y}.""".splitlines()

# {s} is a clause that describes a symptom, {S} the same with a capital.
SYMPTOM_WHY = """Why is it that {s}?
Why do you think {s}?
How come {s}?
{S}. Why?
{S}, why?
{S}. What is the reason?
{S}. What could be the reason?
{S}. How come?
{S}. Reason?
{S}, what is going on?
What is wrong when {s}?
What does it mean when {s}?
What does it mean that {s}?
What causes it that {s}?
I see that {s}. Why?
I notice that {s}. Why is that?
I wonder why {s}.
Can you tell me why {s}?
Could you tell me why {s}?
Do you know why {s}?
What is happening when {s}?
why {s}
{S}. Is that normal?
{S}. What is happening?
My problem is that {s}. Why?
Explain why {s}.""".splitlines()

SYMPTOM_FIX = """{S}. What can I do?
{S}. What should I do?
{S}. What now?
{S}. How do I fix that?
{S}. Any remedy?
{S}. Any advice?
{S}. Any ideas?
{S}. Help!
{S}, help me
{S}, what can I do about it?
{S}, how can I change that?
{S}, what do you recommend?
{S}, how can it be improved?
{S}. What would you try?
What can I do when {s}?
What should I do if {s}?
What helps when {s}?
How do I fix it when {s}?
How can I avoid that {s}?
I have the problem that {s}. What helps?
{S}. Tips?
{S}. Remedy?
{S}.
{s}""".splitlines()

# {g} is a verb phrase that names a goal.
GOAL = """How do I {g}?
How can I {g}?
How would I {g}?
How could I {g}?
How to {g}?
How does one {g}?
I want to {g}.
I want to {g}. How?
I want to {g}, what do I type?
I want to {g}, which command?
I would like to {g}.
I'd like to {g}. How do I do that?
I need to {g}.
I am trying to {g}.
Which command do I use to {g}?
Which command lets me {g}?
What is the command to {g}?
What's the command to {g}?
What do I type to {g}?
What do I have to do to {g}?
What must I do to {g}?
Can I {g}?
Can LLMind {g}?
Is it possible to {g}?
Is there a way to {g}?
Is there a command to {g}?
Any way to {g}?
Help me {g}.
Show me how to {g}.
Tell me how to {g}.
Please tell me how to {g}.
Where can I {g}?
What is the best way to {g}?
What should I do to {g}?
to {g}, what do I need?
{g}""".splitlines()

TWO = [("What is {x} and why should I care?", "why"), ("What is {x} and why does it matter?", "why"), ("Explain {x} and why it is important.", "why"),
       ("What is {x} and how do I improve it?", "fix"), ("What is {x}, and what can I do about it?", "fix"), ("What is {x} and what helps?", "fix"),
       ("What is {x} and how do I see it?", "how"), ("Explain {x} and how to use it.", "how"), ("What is {x} and how is it measured?", "how"), ("What are the benefits of {x}?", "why"),
       ("What is {x} and why use it?", "why"), ("Should I use {x}?", "fix"), ("When should I use {x}?", "fix"), ("Is {x} good or bad?", "why"), ("How does {x} affect the speed?", "why")]

# Small additions that do not change what is asked.
CONTEXT = [" in the report", " in LLMind", " here", " in a model", " anyway", " exactly", " on this page", " in this output", " for a language model", " for a server", " on my machine", " in simple words",
           " for a beginner", " in your own words", " in AI", " in general", " in practice", " for me", " in your reports", " then", " in short"]
KNOB = ["What does the {x} parameter do?", "What does the {x} setting change?", "What does the {x} option do?", "What effect has {x}?", "What happens when I change {x}?", "What is the effect of {x}?",
        "Should I change {x}?", "Should I turn on {x}?", "Does {x} help?", "Is {x} worth it?", "What does {x} bring me?", "What does {x} change?", "When do I need {x}?", "Do I need {x}?", "What is a sensible value for {x}?"]

# Follow-ups: they name nothing, the answer must come from the turn before.
FOLLOW = {
    "short": """shorter please|shorter, please|Can you say that shorter?|make it shorter|In one sentence?|That is too long.
too long|Please be brief.|in short?|Say it in a few words.|Summarize that.|Sum it up.|tl;dr|Give me the short version.
Can you shorten that?|simpler please|Say it more simply.|I do not understand.|I don't get it.|in simple words please""",
    "why": """why?|Why?|Why is that?|why is that important|Why does it matter?|And why?|Why should I care?|why so|Why does that happen?
What is the reason?|How come?|Why is it so?|but why""",
    "more": """Tell me more.|more|go on|Go on, please.|continue|More details, please.|Anything else?|What else?|And what else is there?
Can you say more about it?|Please elaborate.|tell me more about that|longer please|I want to know more.""",
    "fix": """How can I improve it?|What can I do about it?|What should I do?|What do you recommend?|how do I fix that|How do I make it better?
And what helps?|Any advice?|What now?|So what should I change?|How can I change that?|What would you do?|how do i improve that""",
    "how": """How do I measure it?|How do I see it?|Which command?|Where do I find that?|How do I use it?|what do I type
Show me how.|How does LLMind measure that?|And the command for it?|Can LLMind show me that?|how is it measured""",
    "again": """Say that again.|repeat that please|Can you repeat that?|What did you say?|again please|Once more, please.|pardon?""",
}
FOLLOW = {k: [p.strip() for line in v.splitlines() for p in line.split("|")] for k, v in FOLLOW.items()}
OTHER = ["And {x}?", "What about {x}?", "and what is {x}?", "Now explain {x}.", "How about {x}?", "ok, and {x}?", "And what does {x} mean?"]

BEFORE = ["Please ", "Hi, ", "Hello! ", "Hey, ", "Quick question: ", "Question: ", "Sorry, ", "Well, ", "Ok, ", "So, ", "Now: ",
          "Can you help me? ", "I am new here. ", "I have a question. ", "One more thing: ", "Also, ", "Another question: ",
          "Tell me: ", "Good morning! ", "I wonder: ", "Maybe you know this: ", "Listen, ", "Hm, ", "Actually, ", "Be honest: "]
AFTER = [" please", " Please.", " Thanks!", " Thank you.", " I am a beginner.", " I am curious.", " I really want to know.", " Help me.",
         " Explain it simply.", " Just wondering.", " Any idea?", " pls", " It is for my work.", " I am lost."]
SYNONYMS = [("How do I ", "How can I "), ("How can I ", "How do I "), ("How do I ", "How would I "), ("How do I ", "how to "),
            ("What is ", "What's "), ("What is ", "whats "), ("What is the ", "What would be the "), ("Why is ", "Why's "),
            ("Why is ", "How come "), ("Which ", "What "), ("What should I ", "What can I "), ("How do I ", "What is the best way to "),
            ("my ", "the "), ("the ", ""), ("slow", "sluggish"), ("slow", "so slow"), ("fast", "quick"), ("model", "LLM"),
            ("I have ", "I've got "), ("do not", "don't"), ("can I", "could I"), ("Why does ", "Why would "), ("get ", "obtain "),
            ("How do I ", "Tell me how to "), ("How do I ", "I want to know how to "), ("Explain ", "Please explain "),
            ("important", "relevant"), ("show", "display"), ("?", "??"), ("Tell me ", "Can you tell me "), ("much ", "a lot of ")]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def typo(rng, text):
    """One slip of the fingers inside a word of at least four letters."""
    words = text.split(" ")
    places = [i for i, w in enumerate(words) if len(w) >= 4 and w.isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    w = words[i]
    k = rng.randrange(1, len(w) - 1)
    kind = rng.random()
    if kind < 0.35:
        w = w[:k] + w[k + 1:]
    elif kind < 0.7:
        w = w[:k] + w[k + 1] + w[k] + w[k + 2:]
    elif kind < 0.85:
        w = w[:k] + w[k] + w[k:]
    else:
        w = w[:k] + rng.choice(LETTERS) + w[k + 1:]
    words[i] = w
    return " ".join(words)


# Words of questions about topics that people exchange freely. Only questions are reworded, never answers.
WORDS = """slow: sluggish, very slow, slowish, painfully slow, not fast|slowly: sluggishly, at a snail's pace|answer: reply, response, output|answers: replies, responses|text: output, words, writing
memory: RAM|use: utilise, take, employ|begin: start|begins: starts, appears|begin?: start?|chat: conversation, talk|chats: conversations|machine: computer, box, PC, system|helps: works, is useful|need: require
explain: clarify, describe, outline, illustrate, lay out|big: large, huge|large: big, huge|show: display, present|best: ideal, optimal, right|better: nicer|improve: increase, boost, raise, enhance, push|limit: cap, bound
fast: quick, speedy, rapid|faster: quicker, speedier|fastest: quickest|speed: pace, velocity|measure: determine, gauge|number: figure, value|advice: suggestions, hints|tips: tricks, hints|fix: solve, repair, cure, remedy
long: lengthy, endless|important: relevant, essential, significant|matter: count|problem: issue, trouble|wait: delay, pause|waiting: delay|run: execute, launch|start: launch, begin, fire up|command: instruction, subcommand
get: obtain, receive|find: locate, discover|good: decent, fine, reasonable|bad: poor, terrible, awful|many: a lot of|small: little, tiny|difference: distinction|choose: pick, select|change: adjust, alter, modify
takes: needs|ages: forever|forever: ages|seconds: moments|recommend: suggest, advise|happens: occurs, goes on|why: how come, for what reason|meaning: sense, significance|tell: inform|definition: explanation
download: fetch, grab|install: set up|model: LLM, network|models: LLMs|prompt: input|so: really, quite|very: extremely|really: truly|know: learn, find out|see: view, look at, check|check: verify, inspect|lower: reduce, decrease, cut
reduce: lower, shrink|high: large|low: small|drops: falls, decreases|grows: increases|shorten: cut|write: generate, produce|writes: generates, produces|whole: entire, complete|complete: full|stops: ends, halts|same: identical
computer: machine, PC|notebook: laptop|laptop: notebook|server: host|question: query|idea: concept|simple: easy, plain|what: which thing|exactly: precisely|good?: useful?|used: employed|test: try out|compare: contrast""".replace("\n", "|")
WORDS = {a.strip(): [x.strip() for x in b.split(",")] for a, b in (pair.split(":") for pair in WORDS.split("|"))}
SMALL = {"the", "a", "is", "does", "do", "my", "of", "to", "in", "it", "you", "me", "that", "are", "for", "can", "i", "please"}
FILLERS = ["really", "actually", "just", "maybe", "now", "here", "exactly", "again", "basically", "always", "ever", "even", "kind of", "also", "quickly", "honestly"]


def reword(rng, text):
    """The same question with some words exchanged, dropped or added."""
    words = text.split(" ")
    for i, w in enumerate(words):
        core = w.rstrip("?.,!:").lower()
        if core in WORDS and rng.random() < 0.22:
            new = rng.choice(WORDS[core])
            words[i] = (new[0].upper() + new[1:] if w[0].isupper() else new) + w[len(core):]
    if len(words) > 4:
        if rng.random() < 0.12:
            places = [i for i, w in enumerate(words) if w.lower() in SMALL]
            if places:
                del words[rng.choice(places)]
        if rng.random() < 0.08:
            words.insert(rng.randrange(1, len(words)), rng.choice(FILLERS))
    return " ".join(words)


def casual(rng, text, strength=1.0):
    """A question as somebody would really type it."""
    r = rng.random
    for _ in range(2):
        if r() < 0.35 * strength:
            old, new = rng.choice(SYNONYMS)
            text = text.replace(old, new, 1)
    if r() < 0.12 * strength:
        head = rng.choice(BEFORE)
        text = head + (text if head.endswith(("! ", "? ", ". ")) else text[0].lower() + text[1:] if text[1:2].islower() else text)
    if r() < 0.10 * strength:
        text = text + rng.choice(AFTER)
    if r() < 0.30 * strength:
        text = text.lower()
    if r() < 0.25 * strength:
        text = text.rstrip("?.! ")
    if r() < 0.12 * strength:
        text = typo(rng, text)
    return text or "?"

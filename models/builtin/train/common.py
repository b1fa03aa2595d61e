"""Paths, the recipe, and the text form of a chat, shared by every stage."""
import json
import os
from pathlib import Path

HERE = Path(__file__).parent
BUILTIN = HERE.parent
WORK = HERE / "work"  # git-ignored: everything that can be made again
BOS, END_OF_TEXT, IM_START, IM_END = "<|bos|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [BOS, END_OF_TEXT, IM_START, IM_END]  # their ids are 0, 1, 2, 3


def program():
    """llmind, which converts and is asked."""
    return str(Path(os.environ.get("LLMIND_BUILD_DIR", BUILTIN.parents[1] / "build")) / "llmind")


def recipe(smoke=False):
    """The recipe; `smoke` shrinks it until a CPU finishes in a minute."""
    r = json.loads((HERE / "recipe.json").read_text())
    if smoke:
        r.update(tokenizer_items=1500, items=600, context=256, hidden_size=64, layers=2, heads=2, kv_heads=1, head_dim=64,
                 vocab_size=1024, intermediate_size=128, rows_per_step=4, steps=30, warmup_steps=5)
    return r


def pieces(item):
    """A corpus item as (text, is_answer) pieces; control tokens are literal here and nowhere else."""
    if isinstance(item, str):
        return [(BOS, False), (item + END_OF_TEXT, True)]
    out = [(BOS, False)]
    for role, content in item:
        if role == "assistant":
            out += [(f"{IM_START}assistant\n", False), (content + IM_END, True), ("\n", False)]
        else:
            out.append((f"{IM_START}{role}\n{content}{IM_END}\n", False))
    return out


def prompt(messages):
    """What the chat template renders for `messages` with a generation prompt."""
    return "".join(text for text, _ in pieces(messages)) + f"{IM_START}assistant\n"

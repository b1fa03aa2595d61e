"""Turns the corpus into rows of `context + 1` token ids, as uint16 with bit 15 set on answer tokens.

Every row begins with an item, holds whole items only and ends with padding, so that position 0 is
always a beginning, as it is when the model is used.
"""
import multiprocessing
import os

import numpy as np
from tokenizers import Tokenizer

from corpus import build
from .common import BUILTIN, pieces

ANSWER = 0x8000
PAD = 1


def encode(tokenizer, item):
    ids = []
    for text, is_answer in pieces(item):
        part = tokenizer.encode(text, add_special_tokens=False).ids
        ids += [i | ANSWER for i in part] if is_answer else part
    return ids


def shard(arguments):
    """Rows of one shard; shards differ by seed and are independent, so they can be made in parallel."""
    seed, count, context, folder = arguments
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows, row = [], []
    for item in build.items(seed, count):
        ids = encode(tokenizer, item)[: context + 1]
        if len(row) + len(ids) > context + 1:
            rows.append(row + [PAD] * (context + 1 - len(row)))
            row = []
        row += ids
    rows.append(row + [PAD] * (context + 1 - len(row)))
    return np.array(rows, dtype=np.uint16)


def pack(recipe, folder=BUILTIN, shards=64, seed_offset=0, items=None):
    count = (items or recipe["items"]) // shards
    jobs = [(recipe["seed"] + seed_offset + i, count, recipe["context"], folder) for i in range(shards)]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        rows = np.concatenate(pool.map(shard, jobs, chunksize=1))
    return rows

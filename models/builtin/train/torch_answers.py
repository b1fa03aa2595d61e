"""Greedy answers from the PyTorch model, many at once, to judge a leg where it was trained."""
import torch
from tokenizers import Tokenizer

from . import common, criteria


@torch.no_grad()
def answers(model, questions, folder=common.BUILTIN, limit=criteria.MAX_TOKENS):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    device = next(model.parameters()).device
    ids = [tokenizer.encode(common.prompt([("user", q)]), add_special_tokens=False).ids for q in questions]
    size = torch.tensor([len(i) for i in ids], device=device)
    start = size.clone()
    text = torch.full((len(ids), max(len(i) for i in ids) + limit), 1, device=device)
    for row, i in enumerate(ids):
        text[row, : len(i)] = torch.tensor(i, device=device)
    done = torch.zeros(len(ids), dtype=torch.bool, device=device)
    model.eval()
    for _ in range(limit):
        live = (~done).nonzero().flatten()
        if not len(live):
            break
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(text[live, : int(size[live].max())])
        token = logits[torch.arange(len(live), device=device), size[live] - 1].argmax(-1)
        text[live, size[live]] = token
        size[live] += 1
        done[live] |= (token == 3) | (token == 1)
    out = []
    for row in range(len(ids)):
        end = int(size[row]) - int(done[row])
        out.append((tokenizer.decode(text[row, int(start[row]):end].tolist()), bool(done[row])))
    return out

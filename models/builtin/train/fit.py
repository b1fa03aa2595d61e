"""One leg of training on one GPU (or, for the smoke test, on the CPU).

A leg ends when its minutes are over and leaves work/state.pt; the next leg goes on from there. In the
last part of training the forward pass sees the weights as 4 bits will store them, while the optimizer
keeps the full ones (straight-through): so quantization costs almost nothing afterwards.

The loss counts answer tokens fully and questions a little; a few question tokens are replaced by random
ones, so that an unknown word does not throw the model off.
"""
import csv
import math
import time

import numpy as np
import torch
import torch.nn.functional as F

from .common import HERE, WORK
from .model import Llama, fake_quantize
from .pack import ANSWER, PAD


def loss_of(model, ids, answer, weight):
    logits = model(ids[:, :-1]).float()
    target = ids[:, 1:]
    w = torch.where(answer[:, 1:], 1.0, weight) * (target != PAD)
    each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(w)
    return (each * w).sum() / w.sum()


def quantize_in_place(model, r):
    with torch.no_grad():
        for p, bits in model.quantized_weights(r):
            p.copy_(fake_quantize(p, bits, r["group_size"]))


def heldout_loss(model, rows, r, device):
    """Mean loss of answer tokens over unseen rows, in nats."""
    total, model_was_training = [], model.training
    model.eval()
    with torch.no_grad(), torch.autocast(device, torch.bfloat16):
        for start in range(0, len(rows), r["rows_per_step"]):
            part = rows[start:start + r["rows_per_step"]]
            total.append(loss_of(model, part & 0x7FFF, (part & ANSWER) > 0, 0.0).item())
    model.train(model_was_training)
    return sum(total) / len(total)


def leg(r, rows, unseen, minutes, fit_minutes=None, name="run", compiled=True):
    """Train until `minutes` are over or the recipe's steps are done. Returns (model with full weights, finished).

    rows, unseen: uint16 arrays of pack.pack. fit_minutes: choose the number of steps so that the whole
    training takes about this long here (the first leg decides, and stores it)."""
    begun = time.monotonic()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(r["seed"])
    torch.set_float32_matmul_precision("high")
    model = Llama(r).to(device)
    print(f"model: {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters; data: {rows.size / 1e6:.1f} M tokens in {len(rows)} rows", flush=True)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": r["weight_decay"]}, {"params": others, "weight_decay": 0.0}], lr=r["learning_rate"], betas=(0.9, 0.95), fused=device == "cuda")
    steps, step = r["steps"], 0
    state_file = WORK / f"{name}-state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        steps, step = state["steps"], state["step"]
    data = torch.from_numpy(rows.astype(np.int32)).to(device)
    check = torch.from_numpy(unseen.astype(np.int32)).to(device).long()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(r["seed"]))
    compute = torch.compile(loss_of) if compiled and device == "cuda" else loss_of
    random = torch.Generator(device).manual_seed(r["seed"] + step)
    curve_file = HERE / "curves" / f"{name}.csv"
    curve_file.parent.mkdir(exist_ok=True)
    log = open(curve_file, "a" if step else "w", newline="")
    curve = csv.writer(log)
    if not step:
        curve.writerow(["step", "tokens_millions", "train_loss", "heldout_answer_loss", "learning_rate", "seconds"])
    quantized = False
    master = None
    first = step
    mark = None
    while step < steps:
        elapsed = time.monotonic() - begun
        if elapsed > minutes * 60:
            break
        if step == first + 20:
            mark = time.monotonic()
        if fit_minutes and not first and step == 80:
            torch.cuda.synchronize()
            per_step = (time.monotonic() - mark) / 60
            steps = max(100, int(step + (fit_minutes * 60 - elapsed) / per_step / 1.06))
            print(f"{per_step * 1000:.1f} ms a step, {r['rows_per_step'] * r['context'] / per_step / 1e3:.0f} k tokens/s; {steps} steps chosen", flush=True)
        lr = r["learning_rate"] * min(1, (step + 1) / r["warmup_steps"]) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        if not quantized and step >= r["quantized_from"] * steps:
            quantized = True
            master = [p.detach().clone() for p, _ in model.quantized_weights(r)]
            quantize_in_place(model, r)
        pick = [order[(step * r["rows_per_step"] + i) % len(rows)] for i in range(r["rows_per_step"])]
        part = data[torch.stack(pick).to(device)].long()
        ids, answer = part & 0x7FFF, (part & ANSWER) > 0
        noise = (torch.rand(ids.shape, device=device, generator=random) < r["question_noise"]) & ~answer & (ids > 3)
        ids = torch.where(noise, torch.randint(4, r["vocab_size"], ids.shape, device=device, generator=random), ids)
        with torch.autocast(device, torch.bfloat16):
            loss = compute(model, ids, answer, r["question_weight"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if quantized:
            with torch.no_grad():
                for (p, _), m in zip(model.quantized_weights(r), master):
                    p.copy_(m)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if quantized:
            with torch.no_grad():
                for (p, _), m in zip(model.quantized_weights(r), master):
                    m.copy_(p)
            quantize_in_place(model, r)
        step += 1
        if step % 100 == 0 or step == steps or step == 1:
            held = f"{heldout_loss(model, check, r, device):.4f}" if step % 500 == 0 or step == steps else ""
            seconds = time.monotonic() - begun
            curve.writerow([step, f"{step * r['rows_per_step'] * r['context'] / 1e6:.1f}", f"{loss.item():.4f}", held, f"{lr:.6f}", f"{seconds:.0f}"])
            log.flush()
            if step % 500 == 0 or step in (1, 100, steps):
                print(f"step {step}/{steps} loss {loss.item():.4f} held-out {held} {seconds:.0f} s", flush=True)
    if quantized:
        with torch.no_grad():
            for (p, _), m in zip(model.quantized_weights(r), master):
                p.copy_(m)
    WORK.mkdir(exist_ok=True)
    if step < steps:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "steps": steps}, state_file)
        print(f"leg over at step {step} of {steps}: run again to go on", flush=True)
    log.close()
    return model, step >= steps

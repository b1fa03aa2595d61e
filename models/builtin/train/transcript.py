"""Twenty varied chats with the model as it ships, as Markdown for the card.

Usage (from models/builtin):  python -m train.transcript

Greedy; nothing is left out or tried twice: what the model gets wrong stays in.
"""
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

from . import common

CHATS = [
    ["Hello!", "What is MBU?", "shorter please", "why?"],
    ["My model is slow in Docker. What can I do?"],
    ["What does TTFT mean and how do I make it smaller?"],
    ["Is 4-bit much worse than 8-bit?", "And how much memory do I save?"],
    ["How fast can an 8B model in 4-bit decode with 50 GB/s?"],
    ["What is the KV cache good for?", "How large is it?"],
    ["Why does decoding get slower when the conversation is long?"],
    ["Should I use all my threads?"],
    ["How do I compare two models?"],
    ["What is the difference between prefill and decode?", "Which one is limited by memory?"],
    ["Count from 3 to 9."],
    ["List three fruits"],
    ["Tell me a story about an owl."],
    ["Who won the world cup in 1990?"],
    ["Write a Python function that sorts a list."],
    ["What is 17 times 23?"],
    ["Übersetze das ins Deutsche: good morning"],
    ["Which bottleneck do I have? How do I find out?"],
    ["Explain this report.\nmodel: qwen3-4b-8bit\ndecode_tok_s: 7.4\nprefill_tok_s: 88\nttft_ms: 2210\nmbu_pct: 31\n"
     "cores: 4\nthreads: 8\nsteal_pct: 0", "what should I do?"],
    ["you are stupid", "sorry. Can you help me with benchmarks?"],
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def chat(port, questions):
    messages = []
    for question in questions:
        messages.append({"role": "user", "content": question})
        body = json.dumps({"model": "builtin", "messages": messages, "temperature": 0, "max_tokens": 200}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            messages.append(json.load(answer)["choices"][0]["message"])
    return messages


def quoted(messages):
    lines = []
    for message in messages:
        text = message["content"].strip().replace("\n", "  \n> ")
        lines.append(f"> **{text}**  " if message["role"] == "user" else f"> {text}  ")
    return "\n".join(lines)


def main():
    port = free_port()
    server = subprocess.Popen([common.program(), "serve", "--model", str(common.BUILTIN), "--port", str(port), "--log", "off"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        print("\n\n".join(quoted(chat(port, questions)) for questions in CHATS))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()

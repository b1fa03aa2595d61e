"""Drives text_probe (the C and Rust code under test) from Python."""

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("LLMIND_BUILD_DIR", ROOT / "build"))


class Probe:
    def __init__(self):
        self.process = subprocess.Popen([str(BUILD / "tests" / "text_probe")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"text_probe died ({self.process.wait()}) on {str(command)[:300]}"
        return json.loads(line)

    def open(self, folder):
        return self.ask(op="open", folder=str(folder))

    def encode(self, text, special=False, rendered=False):
        data = text if isinstance(text, bytes) else text.encode()
        answer = self.ask(op="encode_rendered" if rendered else "encode", hex=data.hex(), special=special)
        return answer.get("ids", answer)

    def decode(self, ids, special=False, continues=False):
        answer = self.ask(op="decode", ids=ids, special=special, continues=continues)
        return bytes.fromhex(answer["hex"]), [bytes.fromhex(p) for p in answer["pieces"]]

    def render(self, messages, tools=None, extra=None, generation=False, cont=False):
        command = {"op": "render", "messages": messages, "generation": generation, "continue": cont}
        if tools is not None:
            command["tools"] = tools
        if extra is not None:
            command["extra"] = extra
        return self.ask(**command)

    def peak_memory_mb(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024

    def close(self):
        self.process.stdin.close()
        return self.process.wait(timeout=60)

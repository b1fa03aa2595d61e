"""The conversation, through a pipe and on a real terminal (a pty)."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest
from conftest import PROGRAM

# Nearly uniform sampling hardly ever finds the end token, so an answer lasts until it is stopped or the context is
# full: there is time to press Ctrl-C.
ENDLESS = ["--temp", "100", "--top-k", "0", "--top-p", "1", "--threads", "1"]


def test_piped_lines_are_turns(llmind, builtin):
    result = llmind("chat", "-n", "12", "--temp", "0", input="What is prefill?\n\nAnd decode?\n")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("tok/s decode · TTFT") == 2
    assert "\x1b" not in result.stdout


def test_commands(llmind, builtin, tmp_path):
    lines = "/help\n/system Be brief.\nHello\n/save talk.md\n/save talk.md\n/reset\n/save\n/nonsense\n/quit\nnever read\n"
    result = llmind("chat", "-n", "4", input=lines)
    assert result.returncode == 0, result.stderr
    for said in ("/reset", "system prompt set", "saved", "talk.md exists already", "forgotten", "/save wants", "no such command"):
        assert said in result.stdout
    assert result.stdout.count("TTFT") == 1
    text = (tmp_path / "talk.md").read_text()
    assert text.startswith("# Chat with ") and "Be brief." in text and "**You**\n\nHello" in text


def test_the_model_remembers(llmind, builtin):
    # the second prompt holds the first turn, so a context of this size is too small for it only
    result = llmind("chat", "-n", "8", "--ctx", "80", input=("word " * 25 + "\n") * 3)
    assert result.returncode == 1
    assert "context of 80" in result.stderr
    assert result.stdout.count("TTFT") < 3


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, environment, *arguments):
        self.process_id, self.descriptor = pty.fork()
        if self.process_id == 0:
            os.execve(PROGRAM, [str(PROGRAM), *arguments], environment)
        self.text = ""

    def wait_for(self, what, timeout=60):
        """Reads until `what` has come; returns what came before it."""
        end = time.monotonic() + timeout
        while what not in self.text:
            assert time.monotonic() < end, f"{what!r} did not come; {self.text[-500:]!r} did"
            if select.select([self.descriptor], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.descriptor, 65536).decode("utf-8", "replace")
                except OSError:  # the other side is closed
                    break
        assert what in self.text, self.text[-500:]
        before, _, self.text = self.text.partition(what)
        return before

    def type(self, keys):
        os.write(self.descriptor, keys.encode())

    def exit_code(self, timeout=30):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            done, status = os.waitpid(self.process_id, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    os.read(self.descriptor, 65536)
                except OSError:
                    pass
        os.kill(self.process_id, signal.SIGKILL)
        os.waitpid(self.process_id, 0)
        pytest.fail("the program did not end")


def test_ctrl_c_stops_the_answer_not_the_program(environment, builtin):
    terminal = Terminal(environment, "chat", *ENDLESS)
    terminal.wait_for(">")
    terminal.type("Tell me everything.\n")
    terminal.wait_for("everything.")  # the echo
    time.sleep(0.7)
    terminal.type("\x03")
    terminal.wait_for("· stopped")
    terminal.wait_for(">")
    terminal.type("/reset\n")
    terminal.wait_for("forgotten")
    terminal.wait_for(">")
    terminal.type("\x03")
    terminal.wait_for("Ctrl-C again or Ctrl-D leaves")
    terminal.type("/help\n")  # anything typed starts the count afresh
    terminal.wait_for("/quit")
    terminal.wait_for(">")
    terminal.type("\x03")
    terminal.wait_for("Ctrl-C again")
    terminal.type("\x03")
    assert terminal.exit_code() == 0


def test_ctrl_d_leaves(environment, builtin):
    terminal = Terminal(environment, "chat")
    terminal.wait_for(">")
    terminal.type("\x04")
    assert terminal.exit_code() == 0


def test_colour_only_where_it_is_wanted(environment, builtin):
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        terminal = Terminal(environment | extra, "chat")
        before = terminal.wait_for(">")
        assert ("\x1b" in before) == coloured
        terminal.type("\x04")
        terminal.exit_code()


def interrupt(environment, arguments, seconds):
    process = subprocess.Popen(
        [PROGRAM, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(seconds)
    assert process.poll() is None, "it ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    output, problem = process.communicate(timeout=30)
    return process.returncode, output.decode(), problem.decode()


def test_interrupted_commands_exit_with_130(environment, builtin):
    code, _, _ = interrupt(
        environment, ["generate", "builtin", "-p", "x", "-n", "2000", "--ignore-eos", "--threads", "1"], 1
    )
    assert code == 130
    code, _, problem = interrupt(environment, ["bench", "builtin", "-p", "0", "-n", "2000", "-r", "50"], 1)
    assert code == 130 and "interrupted" in problem
    code, _, problem = interrupt(environment, ["profile", "builtin", "-r", "50"], 3)
    assert code == 130 and "interrupted" in problem

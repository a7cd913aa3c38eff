"""A pseudo-terminal with one of the programs that set a site up on it."""

import os
import pty
import re
import signal
import sys

import pexpect
from pexpect.fdpexpect import fdspawn

PATIENCE = 15       # seconds, for what takes a moment


class Terminal:
    """`main(arguments)` in a child of this process, so that it starts in no time; or the program in the file
    `program`.  `said` is all that came on the screen."""

    def __init__(self, main, *arguments, program=None):
        self._process, descriptor = pty.fork()
        if not self._process:
            if program:
                os.execv(sys.executable, [sys.executable, str(program), *map(str, arguments)])
            _be_the_program(main, list(map(str, arguments)))
        self._screen = fdspawn(descriptor, encoding="utf-8", timeout=PATIENCE)
        self._screen.delaybeforesend = None
        self.said = ""

    def wait_for(self, question):
        """Waits for a question with these words in one of its last three lines; gives what came until then."""
        pattern = rf"{re.escape(question)}[^\n]*(\r\n[^\n]*){{0,2}}[:?>] $"
        index = self._screen.expect([pattern, pexpect.TIMEOUT, pexpect.EOF])
        before = self._screen.before
        self.said += before + (self._screen.after if index == 0 else "")
        self._insist(index == 0, f"{question}: never asked")
        return before

    def answer(self, question, text):
        """Answers a question; gives what came before it."""
        before = self.wait_for(question)
        self.send(f"{text}\n")
        return before

    def play(self, script):
        """Answers questions: pairs of words of a question, and the answer."""
        for each in script:
            self.answer(*each)

    def send(self, text):
        self._screen.send(text)

    def press(self, key):
        """Presses a key like Ctrl-C, once the program waits for a line: a signal that comes between its last look for
        signals and its read would count only with the next key."""
        while self._state() == "R":
            os.sched_yield()
        self.send(key)

    def _insist(self, is_so, words):
        """Fails the test where something is not so; the program does not outlive that."""
        if not is_so:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        assert is_so, f"{words}, after:\n{self.said}"

    def _state(self):
        """What the kernel says of the program: R is running."""
        with open(f"/proc/{self._process}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0]

    def end(self):
        """Waits for the program's end, and gives its exit code."""
        index = self._screen.expect([pexpect.EOF, pexpect.TIMEOUT])
        self.said += self._screen.before
        self._insist(index == 0, "it did not end")
        self._screen.close()
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])


def _be_the_program(main, arguments):
    """In the child: what a launcher does, without the time that Python takes to start."""
    code = 99
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdin = open(0, encoding="utf-8", closefd=False)
        sys.stdout = sys.stderr = open(1, "w", encoding="utf-8", closefd=False)
        code = main(arguments)
        sys.stdout.flush()
    finally:
        os._exit(code)

"""A dialogue a person likes: a line is asked, a line is answered.

It works on a serial console, over ssh, in a Cygwin window and with a screen reader: nothing is drawn, nothing jumps, no
colours.  Whatever is asked, an empty answer takes what stands in brackets, `?` explains, `<` goes back, `-` takes a value
away, and the end of input or Ctrl-C leaves without a change.
"""

import sys

from amsmail.site import config_file

HELP = "Enter takes what is in [brackets], ? explains, < goes back, - clears a value, Ctrl-C leaves without a change."
_BACK, _CLEAR, _EXPLAIN = "<", "-", "?"
_LISTED = 20            # names that are shown of a menu at most, before it says how many more there are


class Left(Exception):
    """The person left: nothing more is asked, and nothing written."""


class Back(Exception):
    """The person wants to go back to what was asked before."""


class Dialogue:
    """Asks on `out` and reads from `source`; `secret(prompt)` reads a line that is not shown."""

    def __init__(self, source=None, out=None, secret=None):
        self._source, self._out = source or sys.stdin, out or sys.stdout
        self._secret = secret or (_hidden if self._source.isatty() else self._line)
        self._rest = []

    def after(self, action):
        """What is to be done when the file is written; `action()` gives an exit code."""
        self._rest.append(action)

    def forget_the_rest(self):
        """What was said is not written: nothing is to be done after it."""
        self._rest.clear()

    def do_the_rest(self):
        """Does what was to be done after the file was written, and gives the worst exit code."""
        return max([action() for action in self._rest], default=0)

    def say(self, *lines):
        print(*lines, sep="\n", file=self._out, flush=True)

    def _line(self, prompt):
        """One line of an answer, without blanks around it.  Raises Left at the end of input."""
        print(prompt, end="", file=self._out, flush=True)
        try:
            line = self._source.readline()
        except (KeyboardInterrupt, UnicodeDecodeError):
            line = ""
        if not line:
            self.say("")
            raise Left
        return line.strip()

    # Single answers

    def text(self, text, now="", hint="", wrong=lambda answer: "", may_go_back=True):
        """A line of text; `now` is what an empty answer takes; `wrong(answer)` says what is expected instead, '' if the
        answer will do.  Raises Back and Left."""
        while True:
            answer = self._line(f"{text}{f' [{now}]' if now else ''}: ")
            if answer == _EXPLAIN:
                self.say(f"  {hint or 'There is nothing more to say of it.'}")
                continue
            if answer == _BACK and may_go_back:
                raise Back
            answer = "" if answer == _CLEAR else answer or now
            problem = wrong(answer)
            if not problem:
                return answer
            self.say(f"  Not {answer!r}: expected {problem}." if answer else f"  Expected {problem}.")

    def yes(self, text, otherwise=True, hint=""):
        """Whether the answer is yes; `otherwise` is what an empty one is.  Raises Back and Left."""
        words = {"y": True, "yes": True, "n": False, "no": False}
        answer = self.text(text, "Y/n" if otherwise else "y/N", hint,
                           lambda answer: "" if answer.lower() in (*words, "y/n") else "yes or no")
        return words.get(answer.lower(), otherwise)

    def choose(self, text, choices, now="", hint="", takes_others=None, may_go_back=True):
        """One of `choices`, (value, what it means), by its number or its beginning; `takes_others(answer)` says what is
        expected of an answer that is none of them, '' if it will do.  Raises Back and Left."""
        values = [value for value, _ in choices]
        width = max(len(value) for value in values)
        self.say(*(f"  {number:2} {value:{width}}  {meaning}".rstrip()
                   for number, (value, meaning) in enumerate(choices[:_LISTED], 1)))
        if len(choices) > _LISTED:
            self.say(f"  ... and {len(choices) - _LISTED} more")

        def meant(answer):
            if answer.isascii() and answer.isdigit() and 0 < int(answer) <= len(values):
                return values[int(answer) - 1]
            begin = [value for value in values if value.startswith(answer)]
            return answer if answer in values else begin[0] if answer and len(begin) == 1 else None

        def wrong(answer):
            return "" if meant(answer) else takes_others(answer) if takes_others else f"one of the {len(values)}"
        answer = self.text(text, now, hint, wrong, may_go_back)
        return meant(answer) or answer

    def secret(self, text, hint="", wrong=lambda answer: ""):
        """A line that is not shown, typed twice the same; '' leaves it as it is.  Raises Back and Left."""
        while True:
            try:
                first = self._secret(f"{text} (it is not shown; nothing leaves it as it is): ")
                if first in ("", _BACK, _EXPLAIN):
                    if first == _BACK:
                        raise Back
                    if not first:
                        return ""
                    self.say(f"  {hint or 'There is nothing more to say of it.'}")
                    continue
                if problem := wrong(first):
                    self.say(f"  Expected {problem}.")
                elif first == self._secret("  Once more: "):
                    return first
                else:
                    self.say("  The two differ.")
            except (EOFError, KeyboardInterrupt):
                self.say("")
                raise Left from None

    # A whole form

    def fill(self, form, draft, name="", rare=False, suggestions=()):
        """Asks for the values of a section and puts them into `draft`, as far as they differ from what stands there;
        `suggestions`, {key: text}, are offered where nothing stands.  Raises Back from the first question, and Left."""
        number = 0
        while True:
            questions = form.asked(self._values(form, draft, name), rare)
            if number >= len(questions):
                return
            try:
                self._ask(form, draft, name, questions[number], dict(suggestions))
                number += 1
            except Back:
                if not number:
                    raise
                number -= 1

    @staticmethod
    def _values(form, draft, name):
        return {question.key: draft.value(form.keys(name, question.key)) or question.default
                for question in form.questions}

    def _ask(self, form, draft, name, question, suggestions):
        keys = form.keys(name, question.key)
        there = draft.value(keys)

        def wrong(answer):
            return config_file.expected(keys, answer)
        if question.is_secret:
            if answer := self.secret(question.text, question.hint, _no_password):
                draft.set(keys, question.kept(answer))
            return
        now = there or suggestions.get(question.key) or question.default
        if question.choices:
            answer = self.choose(question.text, question.choices, now, question.hint, wrong)
        else:
            answer = self.text(question.text, now, question.hint, wrong)
        if answer != (there or question.default):
            draft.set(keys, answer if answer and answer != question.default else None)


def _no_password(answer):
    good = len(answer) <= 1000 and answer.isprintable()
    return "" if good else "1 to 1000 printable characters"


def _hidden(prompt):
    import getpass
    return getpass.getpass(prompt)

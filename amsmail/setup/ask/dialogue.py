"""A dialogue a person likes: a line is asked, a line is answered.

It works on a serial console, over ssh, in a Cygwin window and with a screen reader: nothing is drawn, nothing jumps, no
colours.  Whatever is asked, an empty answer takes what stands in brackets, `?` explains, `<` goes back, `-` takes a
value away, and the end of input or Ctrl-C leaves without a change.  No line of ours is longer than a console's.
"""

import os
import signal
import sys
import textwrap

from amsmail.site import config_file, exits, passwords, shown

HELP = """\
Enter takes what is in [brackets], ? explains, < goes back, - clears a value.
Ctrl-C leaves without a change."""
_BACK, _CLEAR, _EXPLAIN = "<", "-", "?"
_LISTED = 20            # names that are shown of a menu at most, before it says how many more there are
_WIDTH = 78             # columns
_NO_UTF8 = "  That was no UTF-8 text: this terminal sends another character set."
_PROMPT = 60            # columns: the answer behind a longer prompt gets a line of its own
SKIPPED = object()      # what a step gives that asked nothing


class Left(Exception):
    """The person left: nothing more is asked, and nothing written."""


class Back(Exception):
    """The person wants to go back to what was asked before."""


class Dialogue:
    """Asks on `out` and reads from `source`; `secret(prompt)` reads a line that is not shown.  `has_written`: whether
    something of what was said is in a file already."""

    def __init__(self, source=None, out=None, secret=None):
        self._source, self._out = source or sys.stdin, out or sys.stdout
        self._secret = secret or (hidden if self._source.isatty() else self._line)
        self._rest, self.has_written = [], False

    def after(self, action, about=None, stands=True):
        """What is to be done when the file is written; `action()` gives an exit code, or None where all is well.  One
        that does not stand is dropped when another about the same follows: it was a first thought."""
        self._rest.append((action, about, stands))

    def do_the_rest(self):
        """Does what was to be done after the file was written, and gives the worst exit code."""
        last = {about: number for number, (_, about, _) in enumerate(self._rest)}
        return max([action() or exits.OK for number, (action, about, stands) in enumerate(self._rest)
                    if stands or last[about] == number], default=exits.OK)

    def mark(self, draft):
        """Where undo() can go back to: what the draft says by now, and what is to be done when it is written."""
        return draft.mark(), len(self._rest)

    def undo(self, draft, mark):
        """Forgets what was said since `mark`."""
        changes, count = mark
        draft.undo(changes)
        del self._rest[count:]

    def undo_all(self, draft):
        """Forgets all that was said."""
        draft.undo_all()
        self._rest.clear()

    def say(self, *texts):
        """Prints texts, each from the beginning of a line; what is longer than a line goes on below its beginning."""
        for text in texts:
            self.show(*(wrapped for line in text.split("\n") for wrapped in _wrapped(line)))

    def show(self, *lines):
        """Prints lines as they are."""
        print(*lines, sep="\n", file=self._out, flush=True)

    def _line(self, prompt):
        """One line of an answer, without blanks around it.  Raises Left at the end of input."""
        while True:
            try:
                print(prompt, end="", file=self._out, flush=True)
                line = self._source.readline()
            except UnicodeDecodeError:
                self.say("", _NO_UTF8)
                continue
            except KeyboardInterrupt:
                line = ""
            if not line:
                self.show("")
                raise Left
            return line.strip()

    def _prompt(self, text, end):
        """What stands on the line of the answer; a long text comes above it."""
        if len(text + end) <= _PROMPT:
            return text + end
        self.say(text if text.endswith("?") else f"{text}:")
        return end.lstrip(" :") or "> "

    # Single answers

    def text(self, text, now="", hint="", wrong=lambda answer: ""):
        """A line of text; `now` is what an empty answer takes; `wrong(answer)` says what is expected instead, '' if the
        answer will do.  Raises Back and Left."""
        while True:
            answer = self._line(self._prompt(text, f" [{now}]: " if now else " " if text.endswith("?") else ": "))
            if answer == _EXPLAIN:
                self.say(f"  {hint or 'There is nothing more to say of it.'}")
                continue
            if answer == _BACK:
                raise Back
            answer = "" if answer == _CLEAR else answer or now
            problem = wrong(answer)
            if not problem:
                return answer
            self.say(f"  Not {answer!r}: expected {problem}." if answer else f"  Expected {problem}.")

    def yes(self, text, otherwise=True, hint=""):
        """Whether the answer is yes; `otherwise` is what an empty one is.  Raises Back and Left."""
        words = {"y": True, "yes": True, "n": False, "no": False}
        answer = self.text(f"{text}?", "Y/n" if otherwise else "y/N", hint,
                           lambda answer: "" if answer.lower() in (*words, "y/n") else "yes or no")
        return words.get(answer.lower(), otherwise)

    def choose(self, text, choices, now="", hint="", takes_others=None):
        """One of `choices`, (value, what it means), by its number or its beginning, of which is said what it was taken
        for; `takes_others(answer)` says what is expected of an answer that is none of them, '' if it will do.  Raises
        Back and Left."""
        values = [value for value, _ in choices]
        width = max(len(value) for value in values)
        # The text comes first, since a screen reader reads the list before it comes to the prompt.
        self.say(f"{text}:", *(f"  {number:2} {value:{width}}  {meaning}".rstrip()
                               for number, (value, meaning) in enumerate(choices[:_LISTED], 1)))
        if len(choices) > _LISTED:
            self.say(f"  ... and {len(choices) - _LISTED} more")

        def meant(answer):
            """The values that an answer may mean."""
            if answer.isascii() and answer.isdigit() and 0 < int(answer) <= len(values):
                return [values[int(answer) - 1]]
            if answer in values or answer and takes_others and not takes_others(answer):
                return [answer]         # `newest 5` is no beginning of `newest 50`
            return [value for value in values if answer and value.startswith(answer)]

        def wrong(answer):
            found = meant(answer)
            if len(found) > 1:
                return f"more of one of these: {', '.join(found)}"
            if found:
                return ""
            if answer.isdigit():
                return f"a number of 1 to {len(values)}"
            return takes_others(answer) if takes_others else f"a number of 1 to {len(values)}, or one of these words"
        answer = self.text(text, now, hint, wrong)
        found = next(iter(meant(answer)), answer)
        if found != answer and not answer.isdigit():
            self.say(f"  {found}")
        return found

    def secret(self, text, hint="", wrong=lambda answer: "", is_set=False):
        """A line that is not shown, typed twice the same; '' leaves it as it is, None takes it away; `is_set` says
        whether there is one.  Raises Back and Left."""
        prompt = f"{text} (not shown){' [as it is]' if is_set else ''}: "
        while True:
            first = self._hidden_line(prompt)
            if first == _BACK:
                raise Back
            if first == _CLEAR:
                return None
            if not first:
                return ""
            if first == _EXPLAIN:
                self.say(f"  {hint or 'There is nothing more to say of it.'}  It is typed twice.")
            elif problem := wrong(first):
                self.say(f"  Expected {problem}.")
            elif first == self._hidden_line("  Once more: "):
                return first
            else:
                self.say("  The two differ.")

    def _hidden_line(self, prompt):
        while True:
            try:
                return self._secret(prompt)
            except UnicodeDecodeError:
                self.say("", _NO_UTF8)
            except (EOFError, KeyboardInterrupt):
                self.show("")
                raise Left from None

    # Several answers

    def steps(self, draft, *steps):
        """Calls each of `steps`; going back from one undoes what was said in the one before that asked anything (that
        did not give SKIPPED), and calls that again.  Raises Back from the first, and Left."""
        asked, number = [], 0           # asked: [(number, mark)]
        while number < len(steps):
            mark = self.mark(draft)
            try:
                if steps[number]() is not SKIPPED:
                    asked.append((number, mark))
                number += 1
            except Back:
                self.undo(draft, mark)
                if not asked:
                    raise
                number, mark = asked.pop()
                self.undo(draft, mark)

    # A whole form

    def fill(self, form, draft, name="", rare=False, suggestions=(), only=()):
        """Asks for the values of a section and puts them into `draft`, as far as they differ from what stands there;
        `suggestions`, {key: text}, are offered where nothing stands; `only`, the keys to which it is limited, if it is.
        Raises Back from the first question, and Left."""
        number, before = 0, form.of_use(self._values(form, draft, name))
        while True:
            questions = [question for question in form.asked(self._values(form, draft, name), rare)
                         if not only or question.key in only]
            if number >= len(questions):
                break
            try:
                self._ask(form, draft, name, questions[number], dict(suggestions))
                number += 1
            except Back:
                if not number:
                    raise
                number -= 1
        for question in before:
            if question not in form.of_use(self._values(form, draft, name)):
                draft.set(form.keys(name, question.key), None)      # what was answered leaves no use for it

    @staticmethod
    def _values(form, draft, name):
        return {question.key: draft.value(form.keys(name, question.key)) or question.default
                for question in form.questions}

    def _ask(self, form, draft, name, question, suggestions):
        keys = form.keys(name, question.key)
        there = draft.value(keys)

        is_veiled = bool(there) and shown.is_secret(question.key)
        now = shown.NOT if is_veiled else there or suggestions.get(question.key) or question.default

        def wrong(answer):
            return "" if is_veiled and answer == now else config_file.expected(keys, answer)
        if question.is_secret:
            answer = self.secret(question.text, question.hint, lambda answer: password_problem(answer) or (
                "" if question.is_hashed else wrong(answer)), bool(there))
            if answer != "":
                draft.set(keys, answer and question.kept(answer))
            return
        if question.choices:
            answer = self.choose(question.text, question.choices, now, question.hint, wrong)
        else:
            answer = self.text(question.text, now, question.hint, wrong)
        if answer != (now if is_veiled else there or question.default):
            draft.set(keys, answer if answer and answer != question.default else None)


def _wrapped(line):
    """A line in lines of a console's width, indented as it is."""
    indent = line[:len(line) - len(line.lstrip())]
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, drop_whitespace=True, break_long_words=False,
                         break_on_hyphens=False) or [""]


def password_problem(answer):
    """What is expected instead of an answer that can be no password, '' if it will do."""
    return "" if passwords.is_possible(answer) else passwords.EXPECTED


def hidden(prompt):
    """A line that is typed at the terminal and not shown.  Raises EOFError, and KeyboardInterrupt.  A signal that ends
    the program does so when the terminal shows again what is typed."""
    import getpass
    came = []

    def leave(number, _frame):
        came.append(number)
        raise EOFError
    before = {number: signal.signal(number, leave) for number in _endings()}
    try:
        return getpass.getpass(prompt)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            os.kill(os.getpid(), number)


def _endings():
    """The signals that end a program that says nothing of them."""
    return [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))
            and signal.getsignal(number) == signal.SIG_DFL]

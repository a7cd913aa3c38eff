"""What the three scripts that set a site up have in common: `SCRIPT NOUN VERB [NAME] [--KEY VALUE] ...` on a command
line, and, without words, a dialogue.  Both come from the same table of questions (setup/forms.py)."""

import contextlib
import json
import os
import signal
import sys

from amsmail.program import options
from amsmail.setup.ask.dialogue import HELP, Back, Dialogue, Left
from amsmail.setup.ask.passphrase import passphrase
from amsmail.site import config_file, exits, passwords, rules
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Conflict, Draft
from amsmail.wire.value import Value

STDIN, GENERATE = "--password-stdin", "--password-generate"


def is_dialogue(arguments):
    """Whether a command line asks for the dialogue: it has no words, or only that of a mail.cfg, and not one of a
    command, which all are letters."""
    return not arguments or len(arguments) == 1 and arguments[0][:1] != "-" and bool(set(arguments[0]) & {os.sep, "."})


class Noun(Value):
    """What can be set up.  form: its Form.  verbs: {verb: function(Command)}, beside those that every noun has or in
    their stead."""

    __slots__ = ("form", "verbs")
    defaults = {"verbs": {}}


class Command:
    """One command: `form`, `names` (the words behind the verb), `values` ({key: text} of the options that are keys of
    the form), `flags`, `given` ({option: text} of the others), and the `draft` of mail.cfg."""

    def __init__(self, form, names, values, flags, draft, given=()):
        self.form, self.names, self.values, self.flags, self.draft = form, names, values, flags, draft
        self.given = dict(given)
        self._is_put = False

    @property
    def name(self):
        return self.names[0] if self.names else ""

    def one_name(self, is_there=True):
        """The one name of a section that is there, or is not.  Raises ConfigError."""
        if len(self.names) != 1:
            raise ConfigError([f"expected one name of a {self.form.noun}, found {len(self.names)}"])
        self.check(self.name, is_there)
        return self.name

    def check(self, name, is_there=True):
        names = self.draft.names(self.form.section)
        if is_there and name not in names:
            raise ConfigError([f"{self.draft.path}: [{self.form.section}]: there is no {self.form.noun} {name!r}; "
                               f"there are: {', '.join(names) or 'none'}"])
        if not is_there and name in names:
            raise ConfigError([f"{self.draft.path}: [{self.form.section}]: there is a {self.form.noun} {name!r} "
                               "already"])
        if not is_there and (expected := rules.name_problem(self.form.section, name)):
            raise ConfigError([f"found {name!r}; expected {expected}"])

    def put(self, name=""):
        """Puts the values of the options into the draft.  Raises ConfigError."""
        problems, self._is_put = [], True
        for key, text in self.values.items():
            question, keys = self.form.question(key), self.form.keys(name, key)
            problem = config_file.expected(keys, text) if text and not question.is_hashed else ""
            if problem:
                shown = "a value that is not shown here" if question.is_secret else repr(text)
                problems.append(f"{question.option}: found {shown}; expected {problem}")
            else:
                self.draft.set(keys, question.kept(text) if text else None)
        if problems:
            raise ConfigError(problems)

    def two_names(self):
        """(the name of a section that is there, a name that it may get).  Raises ConfigError."""
        if len(self.names) != 2:
            raise ConfigError(["expected the old name and the new one"])
        old, new = self.names
        self.check(old)
        self.check(new, is_there=False)
        return old, new

    def check_used(self):
        """Raises ConfigError where values were given and not put."""
        if self.values and not self._is_put:
            names = ", ".join(self.form.question(key).option for key in self.values)
            raise ConfigError([f"{names}: of no use here; only add and set take what stands in mail.cfg"])

    def finish(self, text=""):
        """Writes the draft, or with --dry-run only says how it would change.  Gives the exit code.  Raises ConfigError,
        also where the verb had no use for an option of the form."""
        self.check_used()
        if "--json" in self.flags:
            raise ConfigError(["--json: of no use here; only list takes it"])
        if not self.draft.is_changed:
            print(f"{self.draft.path}: nothing to change")
        elif "--dry-run" in self.flags:
            if problems := self.draft.problems():
                raise ConfigError(problems)
            print(*self.draft.diff(), sep="\n")
        else:
            self.draft.save()
            print(text or f"{self.draft.path}: written")
            if GENERATE in self.flags:
                print(f"The password is: {self.values['password']}")
        return exits.OK


# What every noun can do

def list_all(command):
    """What is set: for people, or with --json for machines."""
    command.check_used()
    if unused := [*command.names, *sorted(command.flags - {"--json"}), *command.given]:
        raise ConfigError([f"{unused[0]}: of no use here; list shows every {command.form.noun}"])
    form, draft = command.form, command.draft
    found = {name: _shown(form, draft, name) for name in (draft.names(form.section) if form.has_names else [""])}
    if "--json" in command.flags:
        print(json.dumps(found if form.has_names else found[""], indent=2, ensure_ascii=False))
        return exits.OK
    for name, values in found.items():
        if name:
            print(name)
        indent = "  " if name else ""
        for key, value in values.items():
            print(f"{indent}{key} = {value}")
    if not form.has_names:
        for question in form.questions:
            if question.key not in found[""]:
                print(f"#{question.key} = {question.default}".rstrip())
    if not found:
        print(f"There is no {form.noun}.")
    return exits.OK


def _shown(form, draft, name):
    """{key: text} of what is set; a secret only as being set."""
    found = {question: draft.value(form.keys(name, question.key)) for question in form.questions}
    return {question.key: _hidden(text) if question.is_secret else text for question, text in found.items() if text}


def _hidden(text):
    return "(locked)" if text.startswith(passwords.LOCK) else "(not shown)"


def _add(command):
    name = command.one_name(is_there=False)
    command.draft.add((command.form.section, name))
    command.put(name)
    return command.finish(f"{command.draft.path}: {command.form.noun} {name} added")


def _set(command):
    command.put(command.one_name() if command.form.has_names else "")
    return command.finish()


def _delete(command):
    name = command.one_name()
    command.draft.drop((command.form.section, name))
    return command.finish(f"{command.draft.path}: {command.form.noun} {name} deleted")


def _rename(command):
    old, new = command.two_names()
    command.draft.rename((command.form.section, old), new)
    return command.finish(f"{command.draft.path}: {command.form.noun} {old} is called {new} now")


_OF_NAMES = {"list": list_all, "add": _add, "set": _set, "rename": _rename, "delete": _delete}
_OF_ONE = {"list": list_all, "set": _set}
_FLAGS = ("--json", "--dry-run", "--yes", STDIN, GENERATE)


def command(nouns, arguments, usage, default_config, more=(), draft=Draft):
    """Runs one command line `NOUN VERB ...`; `more` are options with a value that some verbs take besides those of the
    forms, `draft` makes a Draft of a path.  Gives the exit code.  Raises ConfigError; a command line that is wrong ends
    the program."""
    if arguments[0].startswith("-"):
        options.parse(usage, arguments)         # --help, or what is wrong with it
    noun = nouns.get(arguments[0])
    if noun is None:
        options.wrong(usage, f"expected {' or '.join(nouns)}, found {arguments[0]!r}")
    verbs = {**(_OF_NAMES if noun.form.has_names else _OF_ONE), **noun.verbs}
    keys = {question.option: question.key for question in noun.form.questions if not question.is_secret}
    flags, pairs, words = options.parse(usage, arguments[1:], _FLAGS, ("--config", *keys, *more))
    verb = words.pop(0) if words else "list"
    if verb not in verbs:
        options.wrong(usage, f"{arguments[0]}: expected {' or '.join(verbs)}, found {verb!r}")
    given = dict(pairs)
    values = {keys[option]: text for option, text in given.items() if option in keys}
    _check_password_options(noun, usage, flags)
    take_password(values, flags)
    return verbs[verb](Command(noun.form, words, values, flags, draft(given.get("--config", default_config)),
                               {option: text for option, text in given.items() if option in more}))


def take_password(values, flags):
    """Adds the password that the options ask for to values, {key: text}: from standard input, or made up.  Raises
    ConfigError."""
    if STDIN in flags and GENERATE in flags:
        raise ConfigError([f"expected either {STDIN} or {GENERATE}"])
    if STDIN in flags:
        values["password"] = password_from_stdin()
    if GENERATE in flags:
        values["password"] = passphrase()


def _check_password_options(noun, usage, flags):
    asked = flags & {STDIN, GENERATE}
    secrets = [question for question in noun.form.questions if question.is_secret]
    if asked and not any(question.is_hashed or GENERATE not in asked for question in secrets):
        options.wrong(usage, f"{asked.pop()} is no option of {noun.form.noun}")


def password_from_stdin():
    """A password, the next line of standard input.  Raises ConfigError."""
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not passwords.is_possible(password):
        raise ConfigError([f"{STDIN}: expected a line of {passwords.EXPECTED}, in UTF-8; nothing was changed"])
    return password


# Dialogues

_DONE = "done"


def dialogue(title, entries, draft, talk=None, begin=None):
    """Offers `entries`, {text: function(Dialogue, Draft)}, until the person has done and what was said is written.
    `begin(Dialogue, Draft)` asks something before that; is there nothing more to do then, it is False.  Gives the exit
    code."""
    draft.check_writable()
    talk = talk or Dialogue()
    talk.say(title, f"The file is {draft.path}.", HELP)
    try:
        if begin is None or _begun(talk, draft, begin):
            _menu(talk, entries, draft)
    except (Left, KeyboardInterrupt) as error:      # Ctrl-C may come between two questions, too
        return _left(talk, error)
    return talk.do_the_rest()


def pick(talk, draft, form, described=lambda draft, name: ""):
    """The name of one of the sections of a form; says so where there is none, and gives ''.  `described(draft, name)`
    is what stands behind a name.  Raises Back and Left."""
    names = draft.names(form.section)
    if not names:
        talk.say(f"There is no {form.noun} yet.")
        return ""
    return talk.choose(f"Which {form.noun}", [(name, described(draft, name)) for name in names],
                       names[0] if len(names) == 1 else "")


def _begun(talk, draft, begin):
    """What `begin` gives; whoever goes back from its first question comes to the menu."""
    talk.say("")
    mark = draft.mark()
    try:
        return begin(talk, draft)
    except Back:
        draft.undo(mark)
        return True


def first(title, ask, draft, ending, talk=None, entries=None):
    """A dialogue that makes the file, or what a file cannot do without: `ask(Dialogue, Draft)`, from the beginning
    where the person goes back from the first question. Who does not want to write it goes on with the menu of
    `entries`, or without them from the beginning. Gives the exit code."""
    draft.check_writable()
    talk = talk or Dialogue()
    talk.say(title, f"The file {'will be' if draft.is_new else 'is'} {draft.path}.", HELP, "")
    try:
        while True:
            try:
                ask(talk, draft)
            except Back:
                draft.undo_all()
                talk.say("That was the first question.  From the beginning:")
                continue
            if finish(talk, draft):
                break
            if entries:
                _menu(talk, entries, draft)
                break
            draft.undo_all()
            talk.say("From the beginning:")
    except (Left, KeyboardInterrupt) as error:      # Ctrl-C may come between two questions, too
        return _left(talk, error)
    talk.say(ending)
    return talk.do_the_rest()


def _left(talk, error):
    talk.say(*([] if isinstance(error, Left) else [""]),
             "Nothing more was written." if talk.has_written else "Nothing was written.")
    return exits.USAGE


def _menu(talk, entries, draft):
    while True:
        talk.say("")
        try:
            answer = talk.choose("What now", [*((text, "") for text in entries), (_DONE, "")], _DONE,
                                 "Done shows the change, and asks whether to write it.")
            if answer == _DONE:
                if finish(talk, draft):
                    return
            else:
                talk.steps(draft, lambda: entries[answer](talk, draft))
        except Back:
            continue        # to the menu


def finish(talk, draft):
    """Shows the change and asks whether to write it.  Whether the person has done.  Raises Left."""
    while draft.is_changed:
        if problems := draft.problems():
            talk.say("This cannot be written yet:", *(f"  {problem}" for problem in problems))
            return _forget(talk, draft)
        talk.say("", f"{draft.path} will say:" if draft.is_new else "The change:")
        talk.show(*draft.diff(), "")
        try:
            if not talk.yes("Write this"):
                return _forget(talk, draft)
            with _undisturbed():
                draft.save()
        except Back:
            return False
        except Conflict as error:
            talk.say(*error.problems, "Here is your change to the file as it is now.")
            draft.take_over()
            continue
        except ConfigError as error:
            talk.say(*error.problems)
            return False
        talk.has_written = True
        talk.say(f"Written; the file as it was is {draft.path}.previous." if draft.had_previous else "Written.")
    return True


def _forget(talk, draft):
    """Asks whether to forget what was said.  Whether the person has done, which is not so.  Raises Left."""
    try:
        if talk.yes("Forget all that was said", otherwise=False):
            if draft.is_new:
                raise Left
            draft.undo_all()
            talk.forget_the_rest()
    except Back:
        pass        # to where "Write this" was answered with no, too
    return False


@contextlib.contextmanager
def _undisturbed():
    """Ctrl-C does not count within: what is said afterwards must be true."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

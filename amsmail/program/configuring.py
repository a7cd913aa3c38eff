"""What the three scripts that set a site up have in common: `SCRIPT NOUN VERB [NAME] [--KEY VALUE] ...` on a command line,
and, without words, a dialogue.  Both come from the same table of questions (setup/forms.py)."""

import json
import sys

from amsmail.program import exits, options
from amsmail.setup.dialogue import HELP, Back, Dialogue, Left
from amsmail.site import config_file
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.wire.value import Value

STDIN, GENERATE = "--password-stdin", "--password-generate"


class Noun(Value):
    """What can be set up.  form: its Form.  verbs: {verb: function(Command)}, beside those that every noun has or in
    their stead."""

    __slots__ = ("form", "verbs")
    defaults = {"verbs": {}}


class Command:
    """One command: `form`, `names` (the words behind the verb), `values` ({key: text} of the options that are keys of the
    form), `flags`, `given` ({option: text} of the others), and the `draft` of mail.cfg."""

    def __init__(self, form, names, values, flags, draft, given=()):
        self.form, self.names, self.values, self.flags, self.draft = form, names, values, flags, draft
        self.given = dict(given)

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
            raise ConfigError([f"{self.draft.path}: [{self.form.section}]: there is no {self.form.noun} {name!r}; there "
                               f"are: {', '.join(names) or 'none'}"])
        if not is_there and name in names:
            raise ConfigError([f"{self.draft.path}: [{self.form.section}]: there is a {self.form.noun} {name!r} already"])

    def put(self, name=""):
        """Puts the values of the options into the draft.  Raises ConfigError."""
        problems = []
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

    def finish(self, text=""):
        """Writes the draft, or with --dry-run only says how it would change.  Gives the exit code."""
        if not self.draft.is_changed:
            print(f"{self.draft.path}: nothing to change")
        elif "--dry-run" in self.flags:
            if problems := self.draft.problems():
                raise ConfigError(problems)
            print(*self.draft.diff(), sep="\n")
        else:
            self.draft.save()
            print(text or f"{self.draft.path}: written")
        return exits.OK


# What every noun can do

def _list(command):
    form, draft = command.form, command.draft
    found = {name: _shown(form, draft, name) for name in (draft.names(form.section) if form.has_names else [""])}
    if "--json" in command.flags:
        print(json.dumps(found if form.has_names else found[""], indent=2, ensure_ascii=False))
        return exits.OK
    for name, values in found.items():
        if name:
            print(name)
        indent = "  " if name else ""
        print(*(f"{indent}{key} = {value}" for key, value in values.items()), sep="\n")
    if not found:
        print(f"There is no {form.noun}.")
    return exits.OK


def _shown(form, draft, name):
    """{key: text} of what is set; a secret only as being set."""
    found = {question.key: draft.value(form.keys(name, question.key)) for question in form.questions}
    return {key: "(not shown)" if form.question(key).is_secret else text for key, text in found.items() if text}


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
    if len(command.names) != 2:
        raise ConfigError(["expected the old name and the new one"])
    old, new = command.names
    command.check(old)
    command.check(new, is_there=False)
    command.draft.rename((command.form.section, old), new)
    return command.finish(f"{command.draft.path}: {command.form.noun} {old} is called {new} now")


_OF_NAMES = {"list": _list, "add": _add, "set": _set, "rename": _rename, "delete": _delete}
_OF_ONE = {"list": _list, "set": _set}
_FLAGS = ("--json", "--dry-run", "--yes", STDIN, GENERATE)


def command(nouns, arguments, usage, default_config, more=()):
    """Runs one command line `NOUN VERB ...`; `more` are options with a value that some verbs take besides those of the
    forms.  Gives the exit code.  Raises ConfigError; a command line that is wrong ends the program."""
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
    if STDIN in flags:
        values["password"] = password_from_stdin()
    return verbs[verb](Command(noun.form, words, values, flags, Draft(given.get("--config", default_config)),
                               {option: text for option, text in given.items() if option in more}))


def password_from_stdin():
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not 0 < len(password) <= 1000 or not password.isprintable():
        raise ConfigError([f"{STDIN}: expected a line of 1 to 1000 printable characters, in UTF-8; nothing was changed"])
    return password


# Dialogues

_DONE = "done"


def dialogue(title, entries, draft, talk=None):
    """Offers `entries`, {text: function(Dialogue, Draft)}, until the person has done and what was said is written.  Gives
    the exit code."""
    talk = talk or Dialogue()
    talk.say(title, f"The file is {draft.path}.", HELP)
    try:
        _menu(talk, entries, draft)
    except Left:
        return _left(talk)
    return talk.do_the_rest()


def first(title, ask, draft, ending, talk=None):
    """A dialogue that makes the file: `ask(Dialogue, Draft)`, from the beginning where the person goes back from the first
    question.  Gives the exit code."""
    talk = talk or Dialogue()
    talk.say(title, f"The file will be {draft.path}.", HELP, "")
    try:
        while True:
            try:
                ask(talk, draft)
            except Back:
                draft.undo_all()
                talk.say("From the beginning:")
                continue
            if _finish(talk, draft):
                break
    except Left:
        return _left(talk)
    talk.say(ending)
    return talk.do_the_rest()


def _left(talk):
    talk.say("Nothing was written.")
    return exits.USAGE


def _menu(talk, entries, draft):
    while True:
        talk.say("")
        try:
            answer = talk.choose("What now", [*((text, "") for text in entries), (_DONE, "")],
                                 "" if draft.is_changed else _DONE)
            if answer == _DONE:
                if _finish(talk, draft):
                    return
            else:
                entries[answer](talk, draft)
        except Back:
            continue        # to the menu


def _finish(talk, draft):
    """Shows the change and asks whether to write it.  Whether the person has done.  Raises Back and Left."""
    if not draft.is_changed:
        return True
    if problems := draft.problems():
        talk.say("This cannot be written yet:", *(f"  {problem}" for problem in problems))
        return False
    talk.say("", *draft.diff(), "")
    if not talk.yes("Write this"):
        if talk.yes("Forget it, then", otherwise=False):
            draft.undo_all()
            talk.forget_the_rest()
        return False
    try:
        draft.save()
    except ConfigError as error:
        talk.say(*error.problems)
        return False
    talk.say(f"Written; the file as it was is {draft.path}.previous." if draft.had_previous else "Written.")
    return True

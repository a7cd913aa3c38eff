"""Command lines of the scripts that set a site up: `SCRIPT NOUN VERB [NAME] [--KEY VALUE] ...`, by the same table of
questions as the dialogues (setup/ask/forms).  What a verb has no use for is refused before it begins."""

import json
import sys

from amsmail.program import options, output
from amsmail.program.options import UsageError
from amsmail.setup.ask.passphrase import passphrase
from amsmail.site import config_file, exits, passwords, rules, shown
from amsmail.site.config_error import ConfigError, no_such
from amsmail.site.draft import Draft
from amsmail.wire.value import Value

STDIN, GENERATE = "--password-stdin", "--password-generate"


class Verb(Value):
    """What can be done with a noun.  run: function(Command) that gives the exit code; None is OK.  sets: whether it
    takes the keys of the form, and its passwords.  flags, options: what it takes besides, without and with a value."""

    __slots__ = ("run", "sets", "flags", "options")
    defaults = {"sets": False, "flags": ("--dry-run",), "options": ()}

    def takes(self, form):
        """The options that it takes, of a noun with this Form."""
        found = {"--config", *self.flags, *self.options}
        return found | {*_keys(form), *_password_options(form)} if self.sets else found


def _keys(form):
    """{option: key} of what a command line may say."""
    return {question.option: question.key for question in form.questions if not question.is_secret}


def _password_options(form):
    """A password that is sent to a provider cannot be made up: the provider has it."""
    return {option for question in form.questions if question.is_secret
            for option in ((STDIN, GENERATE) if question.is_hashed else (STDIN,))}


class Noun(Value):
    """What can be set up.  form: its Form.  verbs: {name: Verb}, beside those that every noun has or in their stead;
    None in the place of one that it has not."""

    __slots__ = ("form", "verbs")
    defaults = {"verbs": {}}

    @property
    def all_verbs(self):
        """{name: Verb} of all that can be done with it."""
        found = {**(_OF_NAMES if self.form.has_names else _OF_ONE), **self.verbs}
        return {name: verb for name, verb in found.items() if verb}


class Command:
    """One command: `form`, `names` (the words behind the verb), `values` ({key: text} of the options that are keys of
    the form), `flags`, `given` ({option: text} of the others), and the `draft` of mail.cfg."""

    def __init__(self, form, names, values, flags, draft, given=()):
        self.form, self.names, self.values, self.flags, self.draft = form, names, values, flags, draft
        self.given = dict(given)

    # What it names

    @property
    def name(self):
        return self.names[0] if self.names else ""

    def no_names(self):
        """Raises UsageError where there is a word behind the verb."""
        if self.names:
            raise UsageError(f"{self.form.noun}: expected no name here, found {self.name!r}")

    def one_name(self, is_there=True):
        """The one name of a section that is there, or is not.  Raises UsageError, ConfigError."""
        if len(self.names) != 1:
            article = "an" if self.form.noun[0] in "aeiou" else "a"
            raise UsageError(f"expected one name of {article} {self.form.noun}, found {len(self.names)}")
        self.check(self.name, is_there)
        return self.name

    def two_names(self):
        """(the name of a section that is there, a name that it may get).  Raises UsageError, ConfigError."""
        if len(self.names) != 2:
            raise UsageError(f"expected the old name and the new one, found {len(self.names)}")
        old, new = self.names
        self.check(old)
        self.check(new, is_there=False)
        return old, new

    def check(self, name, is_there=True):
        """Raises ConfigError where there is no section of that name; or else where there is one, or none can be called
        so."""
        names = self.draft.names(self.form.section)
        if is_there and name not in names:
            raise no_such(self.draft.path, self.form.section, self.form.noun, name, names)
        if not is_there and name in names:
            raise ConfigError([f"{self.draft.path}: [{self.form.section}]: there is a {self.form.noun} {name!r} "
                               "already"])
        if not is_there and (expected := rules.name_problem(self.form.section, name)):
            raise ConfigError([f"found {name!r}; expected {expected}"])

    # What it changes

    @property
    def is_dry(self):
        """Whether it only shows what would change."""
        return "--dry-run" in self.flags

    def put(self, name=""):
        """Puts the values of the options into the draft.  Raises ConfigError."""
        problems = []
        for key, text in self.values.items():
            question, keys = self.form.question(key), self.form.keys(name, key)
            problem = config_file.expected(keys, text) if text and not question.is_hashed else ""
            if problem:
                problems.append(f"{question.option}: found {shown.value(keys, text)}; expected {problem}")
            else:
                self.draft.set(keys, question.kept(text) if text else None)
        if problems:
            raise ConfigError(problems)

    def finish(self, text=""):
        """As the function, and shows a password that was made up."""
        if finish(self.draft, self.flags, text) and GENERATE in self.flags:
            output.tell(f"The password is: {self.values['password']}",
                        "the password that was made up is lost: set another one")


def finish(draft, flags, text=""):
    """Writes the draft and says `text`, or with --dry-run only says how it would change.  Whether it was written.
    Raises ConfigError."""
    if not draft.is_changed:
        print(f"{draft.path}: nothing to change")
        return False
    if "--dry-run" in flags:
        if problems := draft.problems():
            raise ConfigError(problems)
        print(*draft.diff(), sep="\n")
        return False
    draft.save()
    output.tell(text or f"{draft.path}: written")
    return True


# What every noun can do

def list_all(command):
    """What is set: for people, or with --json for machines."""
    command.no_names()
    form, draft = command.form, command.draft
    found = {name: _shown(form, draft, name) for name in (draft.names(form.section) if form.has_names else [""])}
    if "--json" in command.flags:
        print(json.dumps(found if form.has_names else found[""], indent=2))
        return
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


def _shown(form, draft, name):
    """{key: text} of what is set; what may not be shown only as being set."""
    found = {question: draft.value(form.keys(name, question.key)) for question in form.questions}
    return {question.key: _hidden(question, text) if shown.is_secret(question.key) else text
            for question, text in found.items() if text}


def _hidden(question, text):
    return "(locked)" if question.is_hashed and text.startswith(passwords.LOCK) else shown.NOT


def add(command):
    """Adds a section with what the options say.  Raises UsageError, ConfigError."""
    name = command.one_name(is_there=False)
    command.draft.add((command.form.section, name))
    command.put(name)
    command.finish(f"{command.draft.path}: {command.form.noun} {name} added")


def set_values(command):
    """Changes what the options say, in the one section that there is or in the one that is named.  Raises UsageError,
    ConfigError."""
    if command.form.has_names:
        command.put(command.one_name())
    else:
        command.no_names()
        command.put()
    command.finish()


def _delete(command):
    """Deletes a section with all that is in it.  Raises UsageError, ConfigError."""
    name = command.one_name()
    command.draft.drop((command.form.section, name))
    command.finish(f"{command.draft.path}: {command.form.noun} {name} deleted")


def _rename(command):
    """Gives a section another name.  Raises UsageError, ConfigError."""
    old, new = command.two_names()
    command.draft.rename((command.form.section, old), new)
    command.finish(f"{command.draft.path}: {command.form.noun} {old} is called {new} now")


LIST = Verb(list_all, flags=("--json",))
_OF_ONE = {"list": LIST, "set": Verb(set_values, sets=True)}
_OF_NAMES = {"list": LIST, "add": Verb(add, sets=True), "set": Verb(set_values, sets=True), "rename": Verb(_rename),
             "delete": Verb(_delete)}


# A command line

def run(nouns, arguments, usage, default_config, draft=Draft):
    """Runs one command line `NOUN VERB ...`; `draft` makes a Draft of a path.  Gives the exit code.  Raises UsageError
    and ConfigError."""
    if arguments[0].startswith("-"):
        options.parse(usage, arguments)         # --help, or what is wrong with it
    noun = nouns.get(arguments[0])
    if noun is None:
        raise UsageError(f"expected {' or '.join(nouns)}, found {arguments[0]!r}")
    verbs, keys = noun.all_verbs, _keys(noun.form)
    known = set().union(*(verb.takes(noun.form) for verb in verbs.values()))
    bare = known & {STDIN, GENERATE}.union(*(verb.flags for verb in verbs.values()))
    flags, pairs, words = options.parse(usage, arguments[1:], bare, known - bare)
    name = words.pop(0) if words else "list"
    if name not in verbs:
        raise UsageError(f"{arguments[0]}: expected {' or '.join(verbs)}, found {name!r}")
    verb, given = verbs[name], options.once(pairs)
    if surplus := sorted({*flags, *given} - verb.takes(noun.form)):
        raise UsageError(f"{surplus[0]} is of no use to {arguments[0]} {name}")
    values = {keys[option]: text for option, text in given.items() if option in keys and option not in verb.options}
    take_password(values, flags)
    command = Command(noun.form, words, values, flags, draft(given.get("--config", default_config)),
                      {option: text for option, text in given.items() if option in verb.options})
    return verb.run(command) or exits.OK


def take_password(values, flags):
    """Adds the password that the options ask for to values, {key: text}: from standard input, or made up.  Raises
    UsageError."""
    if STDIN in flags and GENERATE in flags:
        raise UsageError(f"expected either {STDIN} or {GENERATE}")
    if STDIN in flags:
        values["password"] = password_from_stdin(STDIN)
    if GENERATE in flags:
        values["password"] = passphrase()


def password_from_stdin(option):
    """A password, the next line of standard input, for which `option` asked.  Raises UsageError."""
    try:
        password = sys.stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not passwords.is_possible(password):
        raise UsageError(f"{option}: expected a line of {passwords.EXPECTED}, in UTF-8; nothing was changed")
    return password

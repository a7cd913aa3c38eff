"""What the mains of the three scripts that set a site up have in common: with words they do one thing (nouns.py),
without they are a dialogue (dialogues.py)."""

import os
from importlib import import_module

from amsmail.program.ending import ended
from amsmail.site import libraries


def run(program, usage, arguments, default_config):
    """Runs the `program`: by PROGRAM_dialogue.run(path of mail.cfg), or PROGRAM_commands.run(arguments, usage, default
    path).  Each of these is imported only when it is called, since the libraries are found only then.  Gives the exit
    code."""
    libraries.reach()
    if is_dialogue(arguments):
        return ended(program, lambda: _module(program, "dialogue").run(arguments[0] if arguments else default_config))
    return ended(program, lambda: _module(program, "commands").run(arguments, usage, default_config))


def _module(program, part):
    return import_module(f"amsmail.program.{program}_{part}")


def is_dialogue(arguments):
    """Whether a command line asks for the dialogue: it has no words, or only that of a mail.cfg, and not one of a
    command, which all are letters."""
    return not arguments or len(arguments) == 1 and arguments[0][:1] != "-" and bool(set(arguments[0]) & {os.sep, "."})

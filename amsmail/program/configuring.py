"""What the mains of the three scripts that set a site up have in common: with words they do one thing (nouns.py),
without they are a dialogue (dialogues.py)."""

import os

from amsmail.program.ending import ended
from amsmail.site import libraries


def run(program, arguments, default_config, dialogue, commands):
    """Runs the `program`: `dialogue(path of mail.cfg)`, or `commands(arguments)`.  Each imports what it needs only when
    it is called, since the libraries are found only then.  Gives the exit code."""
    libraries.reach()
    if is_dialogue(arguments):
        return ended(program, lambda: dialogue(arguments[0] if arguments else default_config))
    return ended(program, lambda: commands(arguments))


def is_dialogue(arguments):
    """Whether a command line asks for the dialogue: it has no words, or only that of a mail.cfg, and not one of a
    command, which all are letters."""
    return not arguments or len(arguments) == 1 and arguments[0][:1] != "-" and bool(set(arguments[0]) & {os.sep, "."})

"""Command lines: small enough for a program that inetd starts for each connection (argparse would double its start)."""

import sys

from amsmail import __version__
from amsmail.site import exits


class UsageError(Exception):
    """The command line is wrong: what was found, what is expected."""


def parse(usage, arguments, flags=(), valued=()):
    """The (set of flags, list of (option, value), list of other words) of a command line.

    `flags` are options without a value, `valued` those with one (`--x value` or `--x=value`).  One that begins with --
    is written in the second way: in the first it is an option whose value was forgotten.  --help (`usage`) and
    --version are answered here: raises SystemExit.  Raises UsageError.
    """
    found, values, words = set(), [], []
    left = list(arguments)
    while left:
        word = left.pop(0)
        option, equals, value = word.partition("=")
        if word in ("--help", "-h"):
            _say(usage)
        if word == "--version":
            _say(f"amsmail {__version__}")
        if word in flags:
            found.add(word)
        elif option in valued:
            values.append((option, value if equals else _value(option, left)))
        elif word.startswith("-"):
            raise UsageError(f"{word} is no option here")
        else:
            words.append(word)
    return found, values, words


def _say(text):
    """Says what a program was asked for, and ends it: raises SystemExit."""
    from amsmail.program import output      # on demand: a server has no use for it
    raise SystemExit(output.said(text))


def _value(option, left):
    """The value of an option, which is taken from the words that are left.  Raises UsageError."""
    if not left:
        raise UsageError(f"{option} needs a value")
    if left[0].startswith("--"):
        raise UsageError(f"{option} needs a value, found {left[0]}; one that begins with -- is written "
                         f"{option}={left[0]}")
    return left.pop(0)


def once(pairs):
    """{option: value} of (option, value) pairs.  Raises UsageError where an option was said twice: which of the two is
    meant nobody knows."""
    found = {}
    for option, value in pairs:
        if option in found:
            raise UsageError(f"found {option} twice; expected it once")
        found[option] = value
    return found


def one_path(words, otherwise):
    """The path of mail.cfg: the one word there may be, or else `otherwise`.  Raises UsageError."""
    if len(words) > 1:
        raise UsageError(f"one mail.cfg, not {len(words)}")
    return words[0] if words else otherwise


def given_path(words, given, otherwise):
    """The path of mail.cfg: the one word there may be, or what --config says in `given`, {option: value}, or else
    `otherwise`.  Raises UsageError."""
    if words and "--config" in given:
        raise UsageError(f"one mail.cfg, not {len(words) + 1}")
    return one_path(words, given.get("--config", otherwise))


def of_server(usage, read):
    """What `read()` gives of a server's command line, which fits on few lines: where it is wrong, that and the usage
    are said, and the program ends."""
    try:
        return read()
    except UsageError as error:
        sys.stderr.write(f"{error}\n{usage}\n")
        raise SystemExit(exits.USAGE) from None

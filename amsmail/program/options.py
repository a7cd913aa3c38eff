"""Command lines: small enough for a program that inetd starts for each connection (argparse would double its start)."""

import sys

from amsmail import __version__
from amsmail.site import exits


class UsageError(Exception):
    """The command line is wrong in a way that no list of all words makes clearer: what was found, what is expected."""


def parse(usage, arguments, flags=(), valued=()):
    """The (set of flags, list of (option, value), list of other words) of a command line.

    `flags` are options without a value, `valued` those with one (`--x value` or `--x=value`).  --help and --version are
    answered, and what is wrong is, here: raises SystemExit.
    """
    found, values, words = set(), [], []
    left = list(arguments)
    while left:
        word = left.pop(0)
        option, equals, value = word.partition("=")
        if word in ("--help", "-h"):
            print(usage)
            raise SystemExit(exits.OK)
        if word == "--version":
            print(f"amsmail {__version__}")
            raise SystemExit(exits.OK)
        if word in flags:
            found.add(word)
        elif option in valued and (equals or left):
            values.append((option, value if equals else left.pop(0)))
        elif word.startswith("-"):
            wrong(usage, f"{word} is no option here" if option not in valued else f"{option} needs a value")
        else:
            words.append(word)
    return found, values, words


def one_path(usage, words, otherwise):
    """The path of mail.cfg: the one word there may be, or else `otherwise`."""
    if len(words) > 1:
        wrong(usage, f"one mail.cfg, not {len(words)}")
    return words[0] if words else otherwise


def given_path(usage, words, given, otherwise):
    """The path of mail.cfg: the one word there may be, or what --config says in `given`, {option: value}, or else
    `otherwise`."""
    if words and "--config" in given:
        wrong(usage, f"one mail.cfg, not {len(words) + 1}")
    return one_path(usage, words, given.get("--config", otherwise))


def wrong(usage, why):
    """Says what is wrong with a command line, and ends the program."""
    sys.stderr.write(f"{why}\n{usage}\n")
    raise SystemExit(exits.USAGE)

"""What of mail.cfg may be shown in a message, a log or a diff.

It holds passwords, and a slip puts one where none belongs: `password: secret`, `pasword = secret`, a line that was
broken in two.  So a value is shown only behind a key that is known to be harmless, and nothing of a line that is no
section, no comment and no such value.
"""

import re

from amsmail.site import layout, spec

_SECRET = {"password", "password_command"}      # a command line may hold the password itself
NOT = "(not shown)"       # stands for what may not be shown
_PLAIN = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")
# A comment that may be a line put out of use, or tell a password.
_TELLS = re.compile(r"=|^\w+\s*:|passw", re.I)


def is_secret(key):
    """Whether the values of a key of mail.cfg are never shown."""
    return key in _SECRET


def value(keys, text):
    """The value that stands at `keys`, for a message."""
    return repr(text) if keys[-1] in _harmless() else "a value that is not shown here"


def name(text):
    """What stands where the name of a key belongs: a line that is none may hold a password in front of its `=`."""
    return text if _PLAIN.fullmatch(text) else NOT


def place(keys):
    """Where something stands: '[links] gsm priority'."""
    return " ".join([f"[{keys[0]}]", *keys[1:]]) if keys != ("schema",) else keys[0]


def lines(texts):
    """These lines of a mail.cfg, for a diff."""
    harmless = _harmless()
    return [_line(text, harmless) for text in texts]


def _harmless():
    return spec.keys() - _SECRET


def _line(text, harmless):
    indent, rest = re.fullmatch(r"(\s*)(.*)", text, re.S).groups()
    if rest.startswith("#"):
        return indent + _comment(rest, harmless)
    if layout.is_section(text):
        head, mark, comment = rest.partition("#")
        return indent + (NOT if "=" in head else head + (mark and _comment(mark + comment, harmless)))
    return indent + _valued(rest, harmless) if rest else text


def _valued(text, harmless):
    """A line `key = value`, with what may be shown of it."""
    if not (parts := layout.parts(text)):
        return NOT
    start, found, comment = parts
    key = start.partition("=")[0].strip().strip("\"'")
    if key in harmless:
        blank = comment[:len(comment) - len(comment.lstrip())]
        return start + found + blank + _comment(comment.lstrip(), harmless)
    return f"{start}{NOT}" if _PLAIN.fullmatch(key) else NOT


def _comment(text, harmless):
    """A comment, from its # on, or ''."""
    mark, said = re.fullmatch(r"(#*\s*)(.*)", text, re.S).groups()
    return mark + (_valued(said, harmless) if _TELLS.search(said) else said)

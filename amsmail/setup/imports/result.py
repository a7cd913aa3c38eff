"""What an import found, and the names that it may give."""

import re

from amsmail.site import config_file, shown
from amsmail.site.rules import is_file_name
from amsmail.wire.value import Value

# The folders that are named for whose mail is in them.
_OWNED = re.compile(r"/(?:var/(?:spool/)?mail|home)/([^/]+)(?:/.*)?")


class Imported(Value):
    """What an import found.

    changes   {keys: text}, to be set in a Draft of mail.cfg
    wanted    {keys: why}: what the accounts need besides and only a person can say, such as a password that is kept
              elsewhere; a Draft with such an account cannot be saved without it
    left_out  [(line number, what, why)], in the order of the lines: all that has no counterpart here, or does not do
              quite the same; line 0 is the whole text
    """

    __slots__ = ("changes", "wanted", "left_out")

    def names(self):
        """The names of the accounts or boxes, in order."""
        return list(dict.fromkeys(keys[1] for keys in [*self.changes, *self.wanted]))

    def values(self, name):
        """{keys: text} of what was found of one of them."""
        return {keys: text for keys, text in self.changes.items() if keys[1] == name and text}

    def put(self, draft, name):
        """Puts one of them into a Draft of mail.cfg.  Raises ValueError if a value cannot stand there."""
        draft.add(next(keys[:2] for keys in [*self.changes, *self.wanted] if keys[1] == name))
        for keys, text in self.values(name).items():
            draft.set(keys, text)


def owner(path):
    """The box that a path of mail is named for: that of /var/mail/joe and of /home/joe/Maildir is joe; '' for none."""
    match = _OWNED.fullmatch(path)
    return match[1] if match and is_file_name(match[1]) else ""


_NEEDED = ("host", "user", "password")      # an import tells the type itself


class Accounts:
    """Gathers accounts.  `taken` holds the names of those that mail.cfg has already."""

    def __init__(self, taken=()):
        self._taken = set(taken)
        self._changes, self._wanted, self._left_out = {}, {}, []

    def leave_out(self, line, what, why):
        """Lists something that was not taken over, once."""
        if (line, what, why) not in self._left_out:
            self._left_out.append((line, what, why))

    def add(self, line, wish, settings):
        """An account that is to be called like `wish`, with its keys; empty values count as none.

        A value that mail.cfg cannot hold is listed, and wanted where there must be one.
        """
        name = self._name(wish)
        for key, text in settings.items():
            if text and self._fits(line, name, key, text):
                self._changes["accounts", name, key] = text
        has = {key for _, account, key in self._changes if account == name}
        for key in _NEEDED:
            if key not in has:
                self._wanted["accounts", name, key] = config_file.expected(("accounts", name, key), "")
        if not has & {"box", "envelope"}:
            self._wanted["accounts", name, "box"] = "the box that its mail goes to"

    def _name(self, wish):
        base = re.sub(r"[^a-z0-9_-]+", "-", wish.partition("@")[0].lower()).strip("-")[:50]
        name, number = base if is_file_name(base) else "account", 1
        while name in self._taken:
            number += 1
            name = f"{base or 'account'}-{number}"
        self._taken.add(name)
        return name

    def _fits(self, line, name, key, text):
        keys = ("accounts", name, key)
        if why := _unfit(keys, text):
            self.leave_out(line, f"account {name}: {key} = {shown.value(keys, text)}", why)
        return not why

    def imported(self):
        return Imported(self._changes, self._wanted, sorted(self._left_out, key=lambda each: each[0]))


def _unfit(keys, text):
    """Why a text cannot be the value at `keys`, '' if it can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is no UTF-8 text"
    if keys[-1] == "box" and not is_file_name(text):
        return "no box can be called so; name one that there is"
    expected = config_file.expected(keys, text)
    return expected and f"mail.cfg takes {expected}"

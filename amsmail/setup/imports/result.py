"""What an import found, and the names that it may give."""

import re

from amsmail.site import layout
from amsmail.site.rules import is_box_name
from amsmail.site.values import CHECKS, Wrong
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

    def accounts(self):
        """The names of the accounts or boxes, in order."""
        return list(dict.fromkeys(keys[1] for keys in [*self.changes, *self.wanted]))


def owner(path):
    """The box that a path of mail is named for: that of /var/mail/joe and of /home/joe/Maildir is joe; '' for none."""
    match = _OWNED.fullmatch(path)
    return match[1] if match and is_box_name(match[1]) else ""


# What each key of an account may hold, as in mail.spec.
_KINDS = {"host": "host", "port": "port", "user": "text", "password": "text", "fingerprint": "fingerprint",
          "ca_file": "path", "box": "word", "envelope_prefix": "text", "folder": "text", "deletion_folder": "text",
          "after": "after"}
_NEEDED = {"host": "the provider's server", "user": "the user name at the provider",
           "password": "the password at the provider"}
_SECRET = {"password"}


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
        for key, what in _NEEDED.items():
            if key not in has:
                self._wanted["accounts", name, key] = what
        if not has & {"box", "envelope"}:
            self._wanted["accounts", name, "box"] = "the box that its mail goes to"

    def _name(self, wish):
        base = re.sub(r"[^a-z0-9_-]+", "-", wish.partition("@")[0].lower()).strip("-")[:50]
        name, number = base if is_box_name(base) else "account", 1
        while name in self._taken:
            number += 1
            name = f"{base or 'account'}-{number}"
        self._taken.add(name)
        return name

    def _fits(self, line, name, key, text):
        shown = "a value that is not shown here" if key in _SECRET else repr(text)
        try:
            if key in _KINDS:
                CHECKS[_KINDS[key]](text)
            text.encode()
            layout.quoted(text)
        except Wrong as error:
            why = f"mail.cfg takes {error}"
        except UnicodeEncodeError:
            why = "is no UTF-8 text"
        except ValueError as error:
            why = f"cannot stand in mail.cfg: {error}"
        else:
            why = "" if key != "box" or is_box_name(text) else "no box can be called so; name one that there is"
        if why:
            self.leave_out(line, f"account {name}: {key} = {shown}", why)
        return not why

    def imported(self):
        return Imported(self._changes, self._wanted, sorted(self._left_out, key=lambda each: each[0]))


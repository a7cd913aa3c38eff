"""What needs a person is told once, and not at every run: to whoever reads cron's mail, and to postmaster."""

import json

from amsmail.site import notices
from amsmail.store import durable
from amsmail.wire.text import printable

_TEXT = """\
mailcheck on {hostname} cannot go on without a person:

{troubles}

This is told once; `mailcheck --plan` says whether it is still so.
"""


class Alarm:
    """What was told, in the file `path`: {key: text}.  It may be lost, and then it is told again.

    A trouble's key is its text up to the second colon ("relay: the login was refused"): what a provider adds to that
    may be another each time.  It is told once, until what it begins with ("relay") went well."""

    def __init__(self, path):
        self._path = path

    def news(self, troubles):
        """Those of the texts `troubles` that were not told yet, one of each key.  Raises OSError."""
        told = self._told()
        return [text for key, text in _keyed(troubles).items() if key not in told]

    def remember(self, troubles, well=()):
        """These are told; those that begin with one of `well` are over, and will be told again if they come back.
        Raises OSError."""
        told = self._told()
        now = {key: text for key, text in told.items() if key.partition(":")[0] not in well} | _keyed(troubles)
        if now != told:
            durable.replace(self._path, json.dumps(now).encode())

    def _told(self):
        try:
            with open(self._path, encoding="utf-8") as f:
                found = json.load(f)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _keyed(troubles):
    """{key: text} of texts, the first of each key."""
    found = {}
    for text in troubles:
        found.setdefault(":".join(text.split(":")[:2]), text)
    return found


def mail(site, spool, troubles):
    """Puts a message about the texts `troubles` into postmaster's box.  Raises OSError."""
    lines = "\n".join(f"    {printable(text)}" for text in troubles)
    notices.tell(site, spool, site.postmaster, "mailcheck needs a person",
                 _TEXT.format(hostname=site.hostname, troubles=lines))

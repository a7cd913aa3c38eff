"""What needs a person is told once, and not at every run: to whoever reads cron's mail, and to postmaster."""

import json

from amsmail.site import notices
from amsmail.store import durable

_TEXT = """\
mailcheck on {hostname} cannot go on without a person:

{troubles}

This is told once; `mailcheck --plan` says whether it is still so.
"""


class Alarm:
    """What was told, in the file `path`; it may be lost, and then it is told again."""

    def __init__(self, path):
        self._path = path

    def news(self, troubles):
        """Those of the texts `troubles` that were not told yet.  Raises OSError."""
        told = self._told()
        return [text for text in dict.fromkeys(troubles) if text not in told]

    def remember(self, troubles):
        """These are told; all others are over, and will be told again if they come back.  Raises OSError."""
        if set(troubles) != set(self._told()):
            durable.replace(self._path, json.dumps(sorted(set(troubles))).encode())

    def _told(self):
        try:
            with open(self._path, encoding="utf-8") as f:
                found = json.load(f)
        except (OSError, ValueError):
            return []
        return found if isinstance(found, list) else []


def mail(site, spool, troubles):
    """Puts a message about the texts `troubles` into postmaster's box.  Raises OSError."""
    lines = "\n".join(f"    {text}" for text in troubles)
    notices.tell(site, spool, site.postmaster, "mailcheck needs a person",
                 _TEXT.format(hostname=site.hostname, troubles=lines))

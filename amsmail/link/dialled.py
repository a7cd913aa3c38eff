"""The record "we dialled LINK": written before dialling, blanked after hanging up.

A run that finds one, while it holds the lock that every run holds, knows that its writer is gone (a power cut, a kill)
and that the link may still be up.  The file is always there and has a fixed width, so that a full disk does not keep us
from dialling: sending what waits is what makes room.
"""

import json
import os

from amsmail.store import durable

_OCTETS = 256       # less than a disk's sector: written whole or not at all


class Dialled:
    """The record at `path`."""

    def __init__(self, path):
        self._path = path

    def left_behind(self):
        """The name of a link that an earlier run dialled and did not hang up, or None."""
        try:
            with open(self._path, encoding="utf-8") as f:
                return json.load(f)["link"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, link, now):
        """Notes durably that we are about to dial.  Raises OSError."""
        self._put(json.dumps({"link": link, "start": int(now), "process": os.getpid()}))

    def clear(self):
        """Notes durably that the link is down.  Raises OSError."""
        self._put("")

    def _put(self, text):
        record = text.encode().ljust(_OCTETS - 1) + b"\n"
        if os.path.exists(self._path) and os.path.getsize(self._path) == len(record):
            durable.overwrite(self._path, 0, record)
        else:
            durable.replace(self._path, record)

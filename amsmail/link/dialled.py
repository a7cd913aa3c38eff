"""The records "we dialled LINK": written before dialling, blanked after hanging up.

A run that finds one, while it holds the lock that every run holds, knows that its writer is gone (a power cut, a kill),
or could not hang up, and that the link may still be up.  Each link's file stays there and has a fixed width, so that a
full disk does not keep us from dialling: sending what waits is what makes room.
"""

import json
import os

from amsmail.store import durable

_OCTETS = 256       # less than a disk's sector: written whole or not at all


class Dialled:
    """The records in the folder `path`, a file for each link."""

    def __init__(self, path):
        self._path = path

    def left_behind(self):
        """{name: when it was dialled, in seconds since the epoch} of links that were dialled and not hung up."""
        try:
            names = sorted(name for name in os.listdir(self._path) if not name.startswith("."))
        except FileNotFoundError:
            return {}
        found = {name: self._read(name) for name in names}
        return {name: start for name, start in found.items() if start is not None}

    def _read(self, name):
        try:
            with open(os.path.join(self._path, name), encoding="utf-8") as f:
                return int(json.load(f)["start"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def write(self, link, now):
        """Notes durably that we are about to dial.  Raises OSError."""
        self._put(link, json.dumps({"start": int(now), "process": os.getpid()}))

    def clear(self, link):
        """Notes durably that the link is down.  Raises OSError."""
        self._put(link, "")

    def _put(self, link, text):
        path = os.path.join(self._path, link)
        record = text.encode().ljust(_OCTETS - 1) + b"\n"
        if os.path.exists(path) and os.path.getsize(path) == len(record):
            durable.overwrite(path, 0, record)
        else:
            durable.make_directory(self._path)
            durable.replace(path, record)

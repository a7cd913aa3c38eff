"""The record "we dialled LINK": written before dialling, removed after hanging up.

A run that finds one, while it holds the lock that every run holds, knows that its writer is gone (a power cut, a kill)
and that the link may still be up.
"""

import json
import os

from amsmail.store import durable


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
        durable.replace(self._path, json.dumps({"link": link, "start": int(now), "process": os.getpid()}).encode())

    def clear(self):
        """Notes durably that the link is down.  Raises OSError."""
        try:
            durable.remove(self._path)
        except FileNotFoundError:
            pass

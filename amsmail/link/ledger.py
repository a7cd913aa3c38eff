"""The ledger: a line of JSON for each call, append only.

The line is added before the call, wide enough for all that there may be to say in the end, and filled in after it: so a
call that was killed is on the bill, and a disk that is full by then does not keep it off.
"""

import json
import os

from amsmail.store import durable
from amsmail.wire.value import Value

UNDER_WAY = "under way"     # the outcome of a call that has not ended
_FIGURES = 1200             # octets for all of a call but the shares of the boxes, with room for a long outcome
_BOX = 90                   # octets for a box's share beside its name

# What is left out where a line has no room for all, one after the other.
_SHORTER = (lambda call: {"outcome": call["outcome"][:300], "why": call["why"][:300]}, lambda call: {"held": []},
            lambda call: {"boxes": {}}, lambda call: {"outcome": "failed", "why": ""})


class Line(Value):
    """A line of the ledger that is to be filled in: `path` of the ledger, `offset` and `octets` of the line."""

    __slots__ = ("path", "offset", "octets")

    def fill(self, call):
        """Puts the dict `call` there, cut short if need be.  Raises OSError."""
        text = json.dumps(call).encode()
        for shorter in _SHORTER:
            if len(text) < self.octets:
                break
            call = {**call, **shorter(call)}
            text = json.dumps(call).encode()
        durable.overwrite(self.path, self.offset, text.ljust(self.octets - 1) + b"\n")


def begin(path, call, boxes):
    """Adds the dict `call` with the outcome UNDER_WAY, and gives its Line; `boxes` are the names of those that may have
    a share in it.  Raises OSError."""
    octets = _FIGURES + sum(len(json.dumps(name)) + _BOX for name in boxes)
    text = json.dumps({**call, "outcome": UNDER_WAY}).encode().ljust(octets - 1) + b"\n"
    durable.append(path, text)
    return Line(path, os.path.getsize(path) - len(text), len(text))


def under_way(path):
    """[(Line, call)] of the calls that have not ended.  Raises OSError."""
    return [(line, call) for line, call in _lines(path) if call.get("outcome") == UNDER_WAY]


def read(path):
    """All calls as dicts, oldest first; what a power cut left of a line is passed over.  Raises OSError."""
    return [call for _, call in _lines(path)]


def _lines(path):
    offset = 0
    try:
        with open(path, "rb") as f:
            for line in f:
                try:
                    call = json.loads(line)
                except (ValueError, RecursionError):
                    call = None
                if isinstance(call, dict):
                    yield Line(path, offset, len(line)), call
                offset += len(line)
    except FileNotFoundError:
        return

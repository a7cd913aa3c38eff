"""The ledger: a line of JSON a call, append only."""

import json

from amsmail.store import durable


def write(path, call):
    """Adds the dict `call`.  Raises OSError."""
    durable.append(path, json.dumps(call).encode() + b"\n")


def read(path):
    """All calls as dicts, oldest first; what a power cut left of a line is passed over.  Raises OSError."""
    calls = []
    try:
        with open(path, "rb") as f:
            for line in f:
                try:
                    calls.append(json.loads(line))
                except ValueError:
                    continue
    except FileNotFoundError:
        pass
    return [call for call in calls if isinstance(call, dict)]

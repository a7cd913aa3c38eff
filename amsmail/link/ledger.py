"""The ledger: a line of JSON a call, append only."""

import json

from amsmail.store import durable


def write(path, call):
    """Adds the dict `call`.  Raises OSError."""
    durable.append(path, json.dumps(call).encode() + b"\n")


def read(path):
    """All calls, oldest first; what a power cut left of a line is passed over.  Raises OSError."""
    calls = []
    try:
        with open(path, encoding="utf-8") as f:
            for line in f:
                try:
                    calls.append(json.loads(line))
                except ValueError:
                    continue
    except FileNotFoundError:
        pass
    return calls

"""What is remembered of a provider's server from call to call, in state/known/: it saves questions on the air, and may
be lost."""

import json

from amsmail.store import durable


class Known:
    """What is remembered under the path `path` about `server`, any text that names it: of another server nothing is.

    Values are what JSON can hold.
    """

    def __init__(self, path, server):
        self._path, self.server = path, server
        self._values = {"server": server}
        try:
            with open(path, encoding="utf-8") as f:
                found = json.load(f)
            if found["server"] == server:
                self._values = found
        except (OSError, ValueError, KeyError, TypeError):
            pass

    def get(self, key, otherwise=None):
        """What was remembered under `key`."""
        return self._values.get(key, otherwise)

    def set(self, **values):
        """Remembers values; None forgets one.  Raises OSError."""
        changed = {key: value for key, value in {**self._values, **values}.items() if value is not None}
        if changed != self._values:
            self._values = changed
            durable.replace(self._path, json.dumps(changed).encode())

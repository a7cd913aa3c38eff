"""Messages of which a part has come: so that the rest can come in the next call.

The octets as on the wire: of the message that is coming just now in memory while they are few, else in a file each.
Nothing here counts as a message: what is whole goes through a Delivery, and is dropped here.

How many octets of a file can be trusted after a power cut is what safe() said; whoever uses this remembers it, and
remembers that a message is not here any more before it calls drop() to begin it anew.
"""

import os

from amsmail.store import durable

_IN_MEMORY = 1 << 16
_PIECE = 1 << 16


class Partials:
    """The messages in the directory `folder`, by any names that suit files; of others than those in `safe`, {name:
    octets as safe() said}, the files are removed.  One message at a time is written.  Raises OSError."""

    def __init__(self, folder, safe):
        self._folder = folder
        self._current = self._file = None
        self._memory = bytearray()          # of the current message, behind what is in its file
        durable.make_directory(folder)
        files = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
        self._octets = {name: octets for name, octets in safe.items() if 0 < octets <= files.get(name, 0)}
        durable.forget([self._path(name) for name in files if name not in self._octets])

    def __contains__(self, name):
        return name in self._octets

    def octets(self, name):
        """How many octets of a message are here."""
        return self._octets[name] + (len(self._memory) if name == self._current else 0)

    def head(self, name, count):
        """The first `count` octets of a message that is not being written, all if they are fewer.  Raises OSError."""
        return self._part(name, 0, count)

    def tail(self, name, count):
        """The last ones, likewise."""
        return self._part(name, max(0, self._octets[name] - count), count)

    def _part(self, name, begin, count):
        with open(self._path(name), "rb", buffering=0) as f:
            f.seek(begin)
            return f.read(min(count, self._octets[name] - begin))

    def write(self, name, data):
        """Appends to a message, a new one if it is not here.  Raises OSError: then it is of no use any more."""
        if name != self._current:
            self.pause()
            self._current = name
            self._octets.setdefault(name, 0)
        self._memory += data
        if len(self._memory) > _IN_MEMORY:
            self._spill()

    def _spill(self):
        if self._file is None:
            self._file = durable.GrowingFile(self._path(self._current), self._octets[self._current])
        self._file.write(self._memory)
        self._octets[self._current] += len(self._memory)
        self._memory = bytearray()

    def pause(self):
        """The message that is being written goes on later: makes it safe and closes its file.  Raises OSError."""
        if self._current is not None:
            self._sync()
            self._close()

    def _sync(self):
        if self._memory:
            self._spill()
        if self._file is not None:
            self._file.sync()

    def _close(self):
        file, self._file, self._current = self._file, None, None
        self._memory = bytearray()
        if file is not None:
            file.close()

    def safe(self):
        """{name: octets} that survive a power cut: all that were written.  Raises OSError."""
        if self._current is not None:
            self._sync()
        return dict(self._octets)

    def pieces(self, name):
        """The octets of a message, piece by piece.  Raises OSError."""
        left = self._octets[name]
        if left:
            with open(self._path(name), "rb", buffering=0) as f:
                while left and (piece := f.read(min(left, _PIECE))):
                    left -= len(piece)
                    yield piece
        if left:
            raise OSError(f"{self._path(name)} is shorter than it was")
        if name == self._current and self._memory:
            yield bytes(self._memory)

    def drop(self, name):
        """Forgets a message."""
        if name == self._current:
            try:
                self._close()
            except OSError:
                pass        # it is removed
        if self._octets.pop(name, 0):
            durable.forget([self._path(name)])

    def _path(self, name):
        return os.path.join(self._folder, name)

"""A drop box: a Maildir (tmp/ new/ cur/) with LF line ends, whose names carry the sizes.

    1763700946.M041277R3f9c2a7b10.yacht,S=1482,W=1523:2,S
    the unique part                     size on disk, size with CRLF, flags

STAT, LIST and UIDL of a large box read two directories and open no file.  The unique part never changes and, by its
random part, never comes back; it is the message's identity everywhere.
"""

import errno
import os
import stat
import time

from amsmail.store import durable
from amsmail.wire.lines import is_number
from amsmail.wire.text import to_wire
from amsmail.wire.value import Value

UID_OCTETS = 70         # RFC 1939, section 7: UIDL


class Entry(Value):
    """A message in a drop box: `uid`, its identity; `path`; `size`, octets with CRLF line ends, or None if the name
    does not say it (another program put the file there)."""

    __slots__ = ("uid", "path", "size")


def new_uid(host):
    """A unique part: the time to the microsecond, by which messages are in order, 40 random bits, and the host's name
    as far as it fits."""
    host = "".join(c for c in host if c.isascii() and (c.isalnum() or c in ".-"))
    seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
    return f"{seconds}.M{microseconds:06}R{os.urandom(5).hex()}.{host}"[:UID_OCTETS]


class DropBox:
    """The drop box at `path`."""

    def __init__(self, path, separator):
        self.path = path
        self._separator = separator
        self._moved = {}        # UID -> path, of messages that were found elsewhere than they had been listed

    def make(self):
        """Makes the directories that are not there.  Raises OSError."""
        for folder in ("tmp", "new", "cur"):
            durable.make_directory(os.path.join(self.path, folder))

    def list(self):
        """All messages as a list of Entry, oldest first.  Raises OSError."""
        found = []
        for folder in ("new", "cur"):
            directory = os.path.join(self.path, folder)
            try:
                names = os.listdir(directory)
            except FileNotFoundError:
                continue
            prefix = directory + os.sep
            found += [(name, prefix) for name in names if name[0] != "."]
        found.sort(key=_age)
        return [self._entry(name, prefix + name) for name, prefix in found]

    def _entry(self, name, path):
        base = name.partition(self._separator)[0]
        uid, _, fields = base.partition(",")
        at = f",{fields},".find(",W=")
        size = f",{fields},"[at + 3:].partition(",")[0] if at >= 0 else ""
        return Entry(_safe_uid(uid), path, int(size) if is_number(size) else None)

    def measure(self, entry):
        """The octets of a message with CRLF line ends, from its name or else from its contents.  Raises OSError."""
        if entry.size is not None:
            return entry.size
        size, last = 0, b"\n"
        with self.open(entry) as message:
            while piece := message.read(1 << 16):
                size += len(to_wire(piece))
                last = piece[-1:]
        return size + (0 if last == b"\n" else 2)       # RETR ends the last line

    def open(self, entry):
        """The message's file, opened for reading in binary.  Raises OSError, FileNotFoundError if it is gone."""
        return self._found(entry, lambda path: open(path, "rb", buffering=0, opener=_open_regular))

    def take(self, entry):
        """Moves a message of another drop box here, durably; it keeps its identity and its flags.  Raises OSError."""
        folder, name = os.path.split(entry.path)
        durable.move(entry.path, os.path.join(self.path, "tmp", name),
                     os.path.join(self.path, os.path.basename(folder), name))

    def remove(self, entry):
        """Removes a message durably; it is no error if it is gone.  Raises OSError."""
        try:
            self._found(entry, durable.remove)
        except FileNotFoundError:
            pass

    def _found(self, entry, use):
        """`use(path)`, tried again where the message is now if another program moved it or changed its flags since it
        was listed.  Raises what `use` does."""
        try:
            return use(self._moved.get(entry.uid, entry.path))
        except FileNotFoundError:
            self._moved = {other.uid: other.path for other in self.list()}
            return use(self._moved.get(entry.uid, entry.path))


class Draft:
    """A message for the drop box at `folder`, being written where nobody looks: at `path`, or else in tmp/."""

    def __init__(self, folder, uid, path=None):
        self.folder = folder
        self._file = durable.NewFile(path or os.path.join(folder, "tmp", uid))
        self._uid = uid
        self._size = self._lines = 0
        self.name = None        # its final name, known once it is sealed

    @property
    def path(self):
        return self._file.path

    @property
    def final(self):
        return os.path.join(self.folder, "new", self.name)

    def write(self, text):
        """Appends text with LF line ends.  Raises OSError."""
        self._file.write(text)
        self._size += len(text)
        self._lines += text.count(b"\n")

    def overwrite(self, offset, text):
        """Replaces text that was written already by as much other text."""
        self._file.overwrite(offset, text)

    def seal(self):
        """Makes the contents safe, and knows the final name.  Raises OSError."""
        self._file.seal()
        self.name = f"{self._uid},S={self._size},W={self._size + self._lines}"

    def publish(self):
        """Moves the sealed message to where readers look.  Raises OSError."""
        durable.publish(self.path, self.final)

    def discard(self):
        """Leaves nothing of it behind, published or not, as far as the disk allows."""
        self._file.discard()
        if self.name:
            durable.forget([self.final])


def _age(found):
    seconds = found[0].partition(".")[0]
    return (int(seconds) if is_number(seconds) else 0, found[0])


def _safe_uid(unique):
    """The unique part as UIDL may show it: what another program named in some other way is shown as a digest."""
    if len(unique) <= UID_OCTETS and all("!" <= c <= "~" for c in unique) and unique:
        return unique
    import hashlib
    return hashlib.sha256(unique.encode("utf-8", "surrogateescape")).hexdigest()


def _open_regular(path, flags):
    """Opens nothing but a file: a link would lead out of the drop box, a pipe would never end."""
    fd = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return fd

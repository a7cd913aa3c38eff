"""Mail as other programs keep it: mbox files and Maildirs, read without changing them and without holding a message in
memory.

An mbox is read so.  A line `From ` with a date, at the top or in a body, begins a message, and is no part of it; nor is
an empty line before it (RFC 4155 wants one; mutt and Dovecot do without, since a writer marks such a line of a body
with a >).  In the middle of a header it is a part of the message, as for mutt: MH wrote so.  Of a body line `>From `,
`>>From ` and so on one > is taken off, as in the mboxrd format: for `>From ` the mboxo format means the same, and the
rest cannot be told apart.  But where the header has a Content-Length, and a message begins or the file ends right
behind it, the body is just that, with no line in it that means more than it says: mutt writes so, and other programs do
(mboxcl2).  Content-Length is left out, and Status and X-Status, in which mail programs note what was read, become
flags.

Line ends come out as LF.
"""

import os
import re
import stat
from email.utils import mktime_tz, parsedate_tz

from amsmail.setup.rights import of_caller
from amsmail.wire.lines import is_number

_PIECE = 1 << 16        # octets of a line that are looked at in one piece
_DATE = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d(:\d\d)?( [A-Z][A-Za-z/]*)? \d{4}( [+-]\d{4})?\s*$")
_QUOTED_FROM = re.compile(rb">+From ")
_STATUS_FLAGS = {"status": {"R": "S"}, "x-status": {"A": "R", "F": "F", "D": "T", "T": "D"}}
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_INTERNAL = b"x-imap:"      # the header field of the message in which UW-IMAP and Pine keep notes of their own


class NotRead(Exception):
    """A source, or a message of it, that cannot be taken: the reason."""


class Letter:
    """A message of a source.  After its pieces() were read to their end, `flags` are those of a Maildir's names, None
    if the message was never looked at, and `refusal` says why it is not to be taken, '' if it is.

    place       where it stands, for a person
    arrival     when it came, in seconds since the epoch, None if the source does not say so
    """

    def __init__(self, place, arrival, pieces, flags=None):
        self.place, self.arrival, self.flags, self.refusal = place, arrival, flags, ""
        self._pieces = pieces

    def pieces(self):
        """The message with LF line ends, in pieces that are not empty.  Raises NotRead."""
        return self._pieces(self)


def is_maildir(path):
    with of_caller():
        return all(os.path.isdir(os.path.join(path, folder)) for folder in ("cur", "new"))


def names(folder):
    """What is in a folder, in order.  Raises NotRead."""
    try:
        with of_caller():
            return sorted(os.listdir(folder))
    except OSError as error:
        raise NotRead(error.strerror) from error


def letters(path, told):
    """The messages of the mbox or Maildir at `path`, each to be read before the next.  `told(place, what, why)` is
    called for what is left out.  Raises NotRead."""
    if not is_maildir(path):
        return _mbox(path, told)
    with of_caller():
        if os.path.islink(os.path.normpath(path)):      # as with a file: see _opened()
            raise NotRead("is a link, which is not followed")
    return _maildir(path, told)


# Files

def _opened(path):
    """A regular file, opened for reading.  A link is not followed: it could lead anybody's mailbox to a file that only
    the caller may read, and so into a box.  Raises NotRead."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with of_caller():
        try:
            fd = os.open(path, flags)
        except OSError as error:
            raise NotRead("is a link, which is not followed" if os.path.islink(path) else error.strerror) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise NotRead("is neither a file nor a Maildir")
    return open(fd, "rb")


def _lines(file):
    """(piece, whether it begins a line, its octets in the file) of a file; a line end is LF.  Raises NotRead."""
    begins = True
    while True:
        try:
            piece = file.readline(_PIECE)
            while piece.endswith(b"\r") and (more := file.readline(1)):
                piece += more
        except OSError as error:
            raise NotRead(error.strerror) from error
        if not piece:
            return
        yield piece[:-2] + b"\n" if piece.endswith(b"\r\n") else piece, begins, len(piece)
        begins = piece.endswith(b"\n")


# Maildirs

def _maildir(path, told):
    for name in names(path):
        folder = os.path.join(path, name)
        if name not in ("cur", "new", "tmp") and is_maildir(folder):
            told(folder, "a folder", "a drop box has no folders; import it by itself, into a box that it suits")
    found = []
    for folder in "cur", "new":
        with of_caller():
            if os.path.islink(os.path.join(path, folder)):
                raise NotRead(f"its {folder} is a link, which is not followed")
        found += [(folder, name) for name in names(os.path.join(path, folder)) if not name.startswith(".")]
    return (_file(os.path.join(path, *each), each[1]) for each in sorted(found, key=lambda each: _age(each[1])))


def _age(name):
    seconds = name.partition(".")[0]
    return (int(seconds) if is_number(seconds) else 0, name)


def _file(path, name):
    match = re.search(r"[:;!]2,([A-Za-z]*)$", name)
    flags = "".join(sorted(set(match[1]) & set("DFPRST"))) if match else None
    return Letter(path, _age(name)[0] or _changed(path), lambda letter: _contents(letter, path), flags)


def _changed(path):
    try:
        with of_caller():
            return int(os.lstat(path).st_mtime)
    except OSError:
        return None         # it is gone, which reading it will say


def _contents(letter, path):
    with _opened(path) as file:
        if file.peek(8).startswith(_COMPRESSED):
            raise NotRead("is compressed")
        for piece, _, _ in _lines(file):
            yield piece


# mbox files

def _mbox(path, told):
    file = _opened(path)
    try:
        _lock(file)
        top = file.peek(8)
        if top.startswith(_COMPRESSED):
            raise NotRead("is compressed; unpack it first")
        if top and not top.startswith(b"From "):
            raise NotRead("is neither an mbox, which begins with From and a blank, nor a Maildir")
    except BaseException:
        file.close()
        raise
    return _Mbox(path, file, told).letters()


def _lock(file):
    """The lock that mail programs take on an mbox they change; it is given up when the file is closed."""
    try:
        import fcntl
    except ImportError:
        return          # not on Windows
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        raise NotRead("another program is changing it; import it again later") from error


class _Mbox:
    """The messages of one open file, each read to its end before the next."""

    def __init__(self, path, file, told):
        self._path, self._file, self._told = path, file, told
        self._lines = _lines(file)
        self._number = 0        # of the line that was read last
        self._at = 0            # octets that were read
        self._from = None       # the line that begins the next message, without its end

    def letters(self):
        with self._file:
            self._from = self._next()[0].rstrip()
            while self._from:
                began, self._from = self._from, None
                letter = Letter(f"{self._path}:{self._number}", _date(began), self._message)
                yield letter
                if self._from is None:
                    for _ in letter.pieces():
                        pass        # whoever asked for the message did not read it to its end

    def _next(self):
        try:
            piece, begins, octets = next(self._lines, (b"", False, 0))
        except NotRead as error:
            raise NotRead(f"{error}; what follows in the file was not read either") from error
        self._number += begins
        self._at += octets
        return piece, begins

    def _message(self, letter):
        header = _Header(letter)
        held = b""              # an empty line that may belong to the next separator
        after_empty = False
        end = 0                 # of a body whose length is known
        piece, begins = self._next()
        while piece:
            is_plain = self._at <= end
            if begins and not is_plain and self._separates(piece, header, after_empty):
                self._from = piece.rstrip()
                break
            in_header = header.is_open
            if in_header:
                kept = header.kept(piece, begins)
                end = 0 if header.is_open else self._end(header.length)
            else:
                kept = piece[1:] if begins and not is_plain and _QUOTED_FROM.match(piece) else piece
            after_empty = begins and piece == b"\n"
            if after_empty and not in_header:
                held, kept = kept, held
            else:
                held, kept = b"", held + kept
            if kept:
                yield kept
            piece, begins = self._next()
        else:
            self._from = b""
        letter.refusal = header.refusal()

    def _end(self, length):
        """Where a body ends that begins here and has so many octets, if the file bears that out; else 0."""
        end = self._at + length
        if not length or end > os.fstat(self._file.fileno()).st_size:
            return 0
        self._file.seek(end)
        behind = self._file.read(7).lstrip(b"\r\n")
        self._file.seek(self._at)
        return end if not behind or behind.startswith(b"From ") else 0

    def _separates(self, piece, header, after_empty):
        """Whether a line begins the next message.  One that may have been meant so is told."""
        if not piece.startswith(b"From "):
            return False
        has_date, in_header = _DATE.search(piece.decode("latin-1")), header.is_open and header.has_lines
        if has_date and not in_header:
            return True
        if has_date or after_empty:
            why = "stands in the middle of a header" if has_date else "has no date"
            self._told(f"{self._path}:{self._number}", "a line that begins with From",
                       f"it {why}, so it was taken for a part of the message around it")
        return False


class _Header:
    """The header of a message as it goes by."""

    def __init__(self, letter):
        self._letter = letter
        self.is_open = True
        self.has_lines = self._drops = self._internal = False
        self.length = 0         # of the body, if it says so

    def kept(self, piece, begins):
        """What of a piece stays in the message."""
        self.has_lines = True
        if not begins:
            return b"" if self._drops else piece
        if piece == b"\n":
            self.is_open = False
            return piece
        if piece[:1] not in b" \t":
            name, _, value = piece.partition(b":")
            name = name.strip().lower().decode("latin-1")
            self._drops = name in _STATUS_FLAGS or name == "content-length"
            if name == "content-length" and is_number(text := value.strip().decode("latin-1")):
                self.length = int(text)
            if known := _STATUS_FLAGS.get(name):
                flags = {known[letter] for letter in value.decode("latin-1") if letter in known}
                self._letter.flags = "".join(sorted({*(self._letter.flags or ""), *flags}))
            self._internal = self._internal or piece.lower().startswith(_INTERNAL)
        return b"" if self._drops else piece

    def refusal(self):
        if not self.has_lines:
            return "is empty"
        return "holds notes of the mail program, no mail" if self._internal else ""


def _date(line):
    """The seconds since the epoch of a From line, whose time is UTC unless it says otherwise; None without a date."""
    match = _DATE.search(line.decode("latin-1"))
    parsed = parsedate_tz(match[0]) if match else None
    try:
        return int(mktime_tz(parsed)) if parsed else None
    except (ValueError, OverflowError):
        return None

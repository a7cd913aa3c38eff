"""IMAP as it goes over the wire (RFC 3501, 9051): a server's responses read, a client's commands written.

Values in a response: an atom or a number is a str, a quoted string or a literal is bytes, NIL is None, a list is a
tuple.  The text of a message is never put together: its literal is announced as Streaming, comes in pieces, and stands
as Streamed in the response that it was part of.
"""

import binascii
import re

from amsmail.wire.lines import TOO_LONG, is_number, without_end
from amsmail.wire.value import Value

HIGHEST = (1 << 32) - 1             # the highest UID, and the highest number in a partial fetch
_LINE_CAP = 1 << 16                 # octets of a line
_RESPONSE_CAP = 1 << 18             # octets of a response, message texts not counted
_LITERAL_CAP = HIGHEST              # octets of a message text
_DEPTH_CAP = 20                     # lists in lists
_PIECE = 1 << 16                    # octets of a text that are given at a time

OK, NO, BAD, BYE, PREAUTH = "OK", "NO", "BAD", "BYE", "PREAUTH"


class ImapError(Exception):
    """Bytes that are no IMAP, or more of it than makes sense."""


class Status(Value):
    """How a command ended, or (`tag` is '*') a remark: `condition` is OK, NO, BAD, BYE or PREAUTH; `code` and
    `argument` are of the response code, '' if there is none; `text` is for a person, the response code in front."""

    __slots__ = ("tag", "condition", "code", "argument", "text")

    @property
    def ok(self):
        return self.condition == OK


class GoAhead(Value):
    """The server wants to hear the rest of a command."""

    __slots__ = ("text",)


class Data(Value):
    """What the server says otherwise: `name` in upper case, `number` in front of it or None, `values`."""

    __slots__ = ("name", "number", "values")

    @property
    def items(self):
        """What a FETCH response says: {name in upper case: value}."""
        return _items(self.values[0] if self.values and isinstance(self.values[0], tuple) else ())


class Streaming(Value):
    """In a FETCH response the text of a message begins: `items` are those in front of it, `name` its own ('BODY[]<0>'),
    `size` its octets."""

    __slots__ = ("items", "name", "size")


class Streamed(Value):
    """Stands for a text of `size` octets that came in pieces."""

    __slots__ = ("size",)


class ResponseReader:
    """Puts a server's bytes together to responses."""

    def __init__(self):
        self._lists = []        # of a response that is not complete: its values, then those of each open list
        self._held = None       # a literal that is no message text
        self._missing = 0       # octets of it that are still to come
        self._octets = 0        # of this response
        self.left = 0           # octets of a text that are still to come

    def next(self, buffer):
        """The next Status, GoAhead, Data or Streaming out of a LineBuffer, None if more must come first; after
        Streaming comes its text by `text()`.  Raises ImapError."""
        if self.left:
            raise ValueError("the text was not read")
        while True:
            if self._held is not None:
                data = buffer.take(self._missing)
                self._missing -= len(data)
                self._held += data
                if self._missing:
                    return None
                self._lists[-1].append(bytes(self._held))
                self._held = None
            line = buffer.line(_LINE_CAP)
            if line is None and not buffer.is_dropping:
                return None
            if line in (None, TOO_LONG):
                raise ImapError(f"a line of more than {_LINE_CAP} octets")
            self._count(len(line))
            response = self._line(without_end(line))
            if response is not None:
                return response

    def text(self, buffer):
        """Up to 64 kB of the text that streams; b'' if more must come first, or if `left` is 0: it is all here."""
        data = buffer.take(min(self.left, _PIECE))
        self.left -= len(data)
        return data

    def _count(self, octets):
        self._octets += octets
        if self._octets > _RESPONSE_CAP:
            raise ImapError(f"a response of more than {_RESPONSE_CAP} octets")

    def _line(self, line):
        """What a line completes; None if a literal that is held follows."""
        if not self._lists:
            simple = _simple(line)
            if simple is not None:
                self._octets = 0
                return simple
            line = line[2:]
            self._lists = [[]]
        literal = self._values(line)
        if literal is not None:
            return self._literal(literal)
        if len(self._lists) > 1:
            raise ImapError("a list that is not closed")
        values, self._lists, self._octets = self._lists[0], [], 0
        return _data(values)

    def _literal(self, size):
        values = self._lists[-1]
        # In `* 1 FETCH (UID 7 BODY[]<0> {65536}`: a list as third value, where the literal has a name.
        outer = self._lists[0]
        streams = (len(self._lists) == 2 and len(outer) == 2 and str(outer[1]).upper() == "FETCH"
                   and len(values) % 2 == 1 and is_text(values[-1]))
        if size > _LITERAL_CAP:
            raise ImapError(f"a literal of {size} octets")
        if streams:
            self.left = size
            response = Streaming(_items(values[:-1]), values[-1].upper(), size)
            values.append(Streamed(size))
            return response
        self._count(size)
        self._held, self._missing = bytearray(), size
        return None

    def _values(self, line):
        """Adds what is in a line; gives the octets of a literal that follows, None if none does."""
        at = 0
        while at < len(line):
            found = _TOKEN.match(line, at)
            if found is None:
                raise ImapError(f"not an IMAP value: {line[at:at + 80]!r}")
            at = found.end()
            kind, token = found.lastgroup, found[0]
            if kind == "open":
                if len(self._lists) > _DEPTH_CAP:
                    raise ImapError(f"lists in lists, more than {_DEPTH_CAP} deep")
                self._lists.append([])
            elif kind == "close":
                if len(self._lists) == 1:
                    raise ImapError("a list that was not opened is closed")
                closed = tuple(self._lists.pop())
                self._lists[-1].append(closed)
            elif kind == "quoted":
                self._lists[-1].append(re.sub(rb"\\(.)", rb"\1", token[1:-1]))
            elif kind == "literal":
                digits = token.strip(b"~{+}")
                if len(digits) > 20:
                    raise ImapError("a literal of absurd length")
                return int(digits)
            elif kind == "atom":
                self._lists[-1].append(None if token.upper() == b"NIL" else token.decode("utf-8", "replace"))
        return None


_TOKEN = re.compile(rb"""(?P<blank>\x20+) | (?P<open>\() | (?P<close>\))
    | (?P<quoted>"(?:[^"\\\r\n]|\\.)*")
    | (?P<literal>~?\{[0-9]+\+?\}\Z)
    | (?P<atom>(?:BODY|BINARY)(?:\.PEEK)?\[[^\]\r\n]*\](?:<[0-9]+>)? | [^\x00-\x20(){"\x7f]+)""", re.X | re.I)
_STATUS = re.compile(rb"(\S+) (OK|NO|BAD|BYE|PREAUTH)(?: (.*))?", re.I | re.S)
_CODE = re.compile(rb"\[([^\s\]]+)(?: ([^\]]*))?\]")
_TEXT = re.compile(r"BODY\[\](?:<([0-9]{1,20})>)?", re.I)


def is_text(name):
    """Whether a FETCH item of this name is the text of a message, or a part of it."""
    return isinstance(name, str) and _TEXT.fullmatch(name) is not None


def origin(name):
    """Where in the message the text in the item `name` begins; None if it is the whole message."""
    number = _TEXT.fullmatch(name)[1]
    return None if number is None else int(number)


def number(value):
    """A value as a number, None if it is none."""
    return int(value) if isinstance(value, str) and is_number(value) else None


def _simple(line):
    """A line that is a response by itself, and whose text may have anything in it; None if it has values."""
    if line.startswith(b"+"):
        return GoAhead(line[1:].strip().decode("utf-8", "replace"))
    found = _STATUS.fullmatch(line)
    if found:
        tag, condition, text = found[1].decode("utf-8", "replace"), found[2].decode().upper(), found[3] or b""
        if tag == "*" or condition in (OK, NO, BAD):
            code = _CODE.match(text)
            name, argument = (code[1], code[2] or b"") if code else (b"", b"")
            return Status(tag, condition, name.decode("utf-8", "replace").upper(), argument.decode("utf-8", "replace"),
                          text.decode("utf-8", "replace"))
    if not line.startswith(b"* "):
        raise ImapError(f"not an IMAP response: {line[:80]!r}")
    return None


def _data(values):
    count = number(values[0]) if values else None
    name = values[0 if count is None else 1:][:1]
    if not name or not isinstance(name[0], str):
        raise ImapError("a response without a name")
    return Data(name[0].upper(), count, tuple(values[1 if count is None else 2:]))


def _items(values):
    """{name in upper case: value} of what stands in pairs."""
    return {name.upper(): value for name, value in zip(values[::2], values[1::2]) if isinstance(name, str)}


# What a client says

class String(Value):
    """A part of a command that may have anything in it: it is quoted, or goes as a literal."""

    __slots__ = ("text",)


def fragments(parts, unasked):
    """A command made of `parts`, str as they are and Strings, as the octets to send: between them the server's GoAhead
    must be awaited.  A literal of up to `unasked` octets needs none (RFC 7888)."""
    done, octets = [], b""
    for part in parts:
        if isinstance(part, str):
            octets += part.encode("utf-8")
            continue
        data = part.text.encode("utf-8")
        if all(32 <= octet < 127 for octet in data):
            octets += b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        elif len(data) <= unasked:
            octets += b"{%d+}\r\n" % len(data) + data
        else:
            done.append(octets + b"{%d}\r\n" % len(data))
            octets = data
    return [*done, octets]


def mailbox(name):
    """A folder's name as a String, in the coding of IMAP4rev1 (RFC 3501, section 5.1.3)."""
    return String(re.sub(r"&|[^\x20-\x7e]+", _coded, name))


def _coded(found):
    if found[0] == "&":
        return "&-"
    coded = binascii.b2a_base64(found[0].encode("utf-16-be"), newline=False).decode()
    return f"&{coded.rstrip('=').replace('/', ',')}-"


def ranges(numbers):
    """Numbers as those of a set: ['1:3', '7']."""
    found = []
    for n in sorted(set(numbers)):
        if found and found[-1][1] == n - 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return [str(first) if first == last else f"{first}:{last}" for first, last in found]


def from_on(first, without, last):
    """All numbers from `first` on, except those in `without`, as those of a set that ends with `last` ('*')."""
    found = []
    for n in sorted(n for n in set(without) if n >= first):
        if n > first:
            found.append(str(first) if n == first + 1 else f"{first}:{n - 1}")
        first = n + 1
    return [*found, f"{first}:{last}"]


def sets(parts, octets):
    """Those of a set, joined to sets of about `octets` at most: servers have a limit for a command's length."""
    found = []
    for part in parts:
        if found and len(found[-1]) + len(part) < octets:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found

"""SMTP replies (RFC 5321, section 4.2) with enhanced status codes (RFC 2034, RFC 3463)."""

from amsmail.wire.value import Value

LINE_OCTETS = 512       # RFC 5321, section 4.5.3.1.5, with the CRLF


class ReplyError(Exception):
    """Bytes that are no SMTP reply."""


class Reply(Value):
    """One SMTP reply: `code` (int), `status` ('5.1.1', or '' where the protocol has none) and `text`, a line or several
    with LF between them."""

    __slots__ = ("code", "status", "text")

    @property
    def ok(self):
        return 200 <= self.code < 300

    @property
    def permanent(self):
        return 500 <= self.code < 600

    def encode(self):
        """The reply as it goes over the wire; what is too long for a line is cut off."""
        lines = [f"{self.status} {line}" if self.status else line for line in self.text.split("\n")]
        marks = "-" * (len(lines) - 1) + " "
        return b"".join(f"{self.code}{mark}{line}".encode("ascii", "backslashreplace")[:LINE_OCTETS - 2] + b"\r\n"
                        for mark, line in zip(marks, lines))

    def __str__(self):
        """The reply as one line for a person, a log or a notification."""
        return " ".join(f"{self.code} {self.status} {self.text}".split())


class ReplyReader:
    """Puts lines together to replies."""

    def __init__(self):
        self._code = None
        self._lines = []

    def feed(self, line):
        """The Reply that `line` (with or without its line end) completes, or None.  Raises ReplyError."""
        line = line.rstrip(b"\r\n")
        code, mark = line[:3], line[3:4]
        if not (code.isdigit() and mark in (b"", b" ", b"-") and 200 <= int(code) <= 599):
            raise ReplyError(f"not an SMTP reply: {line[:80]!r}")
        if self._code not in (None, int(code)):
            raise ReplyError(f"a reply of several lines changes its code from {self._code} to {int(code)}")
        self._code = int(code)
        self._lines.append(line[4:].decode("utf-8", "replace"))
        if len(self._lines) > 500:
            raise ReplyError("a reply of more than 500 lines")
        if mark == b"-":
            return None
        reply = Reply(self._code, *_split_status(self._code, self._lines))
        self._code, self._lines = None, []
        return reply


def _split_status(code, lines):
    """The enhanced status code at the front of every line, if there is one, and the text without it."""
    status = lines[0].split(" ", 1)[0]
    parts = status.split(".")
    if not (len(parts) == 3 and parts[0] == str(code)[0] and all(p.isdigit() and len(p) <= 3 for p in parts)):
        return "", "\n".join(lines)
    return status, "\n".join(line[len(status):].lstrip() if line.startswith(status) else line for line in lines)

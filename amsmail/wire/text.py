"""Message text on its way: dot-stuffing, the end of a body, line ends on the wire (CRLF) and on disk (LF)."""

_END = b"\r\n.\r\n"


class DotDecoder:
    """Takes the dot-stuffing off a body (RFC 5321, section 4.5.2; RFC 1939, section 3) and finds its end.

    Only CRLF.CRLF ends a body.  Anything else that some other server might take for an end (LF.LF, LF.CRLF, CR.CR)
    is text here, so that no second message can be smuggled inside the first.
    """

    def __init__(self):
        self._held = b"\r\n"        # the command line's own end: a dot at the very start is at the start of a line
        self._skip = 2              # ... which is not part of the text
        self.ended = False

    def feed(self, data):
        """Text that `data` completes, and the octets behind the end of the body (empty before the end)."""
        data = self._held + data
        end = data.find(_END)
        if end >= 0:
            self.ended = True
            return self._text(data[:end + 2]), data[end + len(_END):]
        keep = next(n for n in (4, 3, 2, 1, 0) if data.endswith(_END[:n]))     # perhaps the beginning of the end
        self._held = data[len(data) - keep:]
        return self._text(data[:len(data) - keep]), b""

    def _text(self, data):
        text = data.replace(b"\r\n.", b"\r\n")
        skipped = min(self._skip, len(text))
        self._skip -= skipped
        return text[skipped:]


class DotEncoder:
    """Puts the dot-stuffing on; the text has CRLF line ends."""

    def __init__(self):
        self._tail = b"\r\n"

    def feed(self, text):
        joined = self._tail + text
        encoded = joined.replace(b"\r\n.", b"\r\n..")[len(self._tail):]
        if text:
            self._tail = joined[-2:]
        return encoded

    def end(self):
        """What closes the body: the last line's end if the text lacked it, and the dot."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


class BareScanner:
    """Sees whether a text has a CR or an LF that is not part of CRLF (RFC 5321, section 2.3.8)."""

    def __init__(self):
        self._cr = False
        self._found = False

    def feed(self, text):
        if not text:
            return
        pairs = text.count(b"\r\n") + (self._cr and text[:1] == b"\n")
        crs = text.count(b"\r") + self._cr
        self._cr = text[-1:] == b"\r"
        self._found = self._found or pairs != text.count(b"\n") or pairs != crs - self._cr

    @property
    def found(self):
        """True once a bare CR or LF has come; a CR at the end of what came so far may still get its LF."""
        return self._found

    @property
    def found_at_end(self):
        return self._found or self._cr


class ToDisk:
    """Wire form to disk form: CRLF becomes LF.  Everything else, bare CRs included, stays as it is."""

    def __init__(self):
        self._cr = b""

    def feed(self, text):
        text = self._cr + text
        self._cr = text[-1:] if text.endswith(b"\r") else b""
        return text[:len(text) - len(self._cr)].replace(b"\r\n", b"\n")

    def end(self):
        return self._cr


def printable(text):
    """A str that came from elsewhere, fit for a terminal or a mail: no character in it that could move a cursor, or
    that is none (a lone surrogate)."""
    return "".join(c if c.isprintable() else "?" for c in text)


def to_wire(text):
    """Disk form to wire form: LF becomes CRLF.  Needs no memory of earlier pieces."""
    return text.replace(b"\n", b"\r\n")

"""Lines and counted octets out of a stream of bytes, with a cap on what one line may cost in memory."""

TOO_LONG = object()     # what LineBuffer.line() gives for a line over its cap, whose bytes were dropped


def without_end(line):
    """A line without its CRLF or LF; a second CR in front of that is part of the line."""
    return line.removesuffix(b"\n").removesuffix(b"\r")


def is_number(text):
    """Whether `text` is a count as the protocols write them; what has more than 20 digits is nonsense."""
    return text.isascii() and text.isdigit() and len(text) <= 20


def loggable(line, verbs, secret):
    """A command line as text for the log.  Of the verbs in `secret` only themselves; of a line with none of `verbs` in
    front nothing, since it may be a password that was sent too early or with a blank before its verb."""
    text = without_end(line).decode("utf-8", "replace")
    verb = text.partition(" ")[0].upper()
    if verb not in verbs:
        return "..."
    return f"{verb} ..." if verb in secret else text


class LineBuffer:
    """Bytes received and not consumed yet.

    A line ends at LF; the caller sees whether it was CRLF, because a bare LF must be answered and not guessed at
    (RFC 5321, section 2.3.8).
    """

    def __init__(self):
        self._data = bytearray()
        self._searched = 0          # no LF before this offset: byte by byte input is not searched again and again
        self._dropping = False      # in the middle of a line that was over its cap

    def __len__(self):
        return len(self._data)

    @property
    def is_dropping(self):
        """Whether a line is over its cap and its end has not come yet."""
        return self._dropping

    def add(self, data):
        self._data += data

    def line(self, cap):
        """The next line with its line end, None if it is not complete, TOO_LONG if it has more than `cap` octets."""
        end = self._data.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._data)
            if self._searched > cap:
                self._dropping = True
                self.clear()
            return None
        line = bytes(self._data[:end + 1])
        self._consume(end + 1)
        if self._dropping or len(line) > cap:
            self._dropping = False
            return TOO_LONG
        return line

    def take(self, most):
        """Up to `most` octets, fewer if fewer are here."""
        data = bytes(self._data[:most])
        self._consume(len(data))
        return data

    def unread(self, data):
        """Puts `data` back in front of what is here."""
        self._data[:0] = data
        self._searched = 0

    def clear(self):
        """Forgets everything received: what came before a TLS handshake must not count as said after it."""
        self._consume(len(self._data))

    def _consume(self, count):
        del self._data[:count]
        self._searched = 0

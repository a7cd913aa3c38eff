"""What the client engines have in common: a client's side is a script, written as a generator.

`_script()` yields None to wait for more bytes, or an Event; what `answer()` was given comes back from the yield of a
question.  A line that the peer owes is awaited with `yield from self._line()`.
"""

from amsmail.protocol.engine import Engine
from amsmail.wire.lines import TOO_LONG


# What a client may wait for.
REPLY, ACCEPTANCE = "reply", "acceptance"


class PeerError(Exception):
    """The peer closed the connection, or does not speak the protocol: the session ends."""


class ScriptEngine(Engine):
    """See the module.  However the script ends, the last event is Closed, whose `why` is '' if all went well.

    `awaits` says what more bytes are needed for: a REPLY, or that the server takes a message over (ACCEPTANCE).
    `is_answered` says in the end whether the server answered our last word, QUIT or the like: then neither side has
    anything left to say."""

    LINE_CAP = 1 << 16
    awaits = REPLY
    is_answered = False

    def __init__(self):
        super().__init__()
        self._running = self._script()
        self._handed = None         # what the script's yield gives next

    def _script(self):
        raise NotImplementedError

    def _step(self):
        handed, self._handed = self._handed, None
        try:
            event = self._running.send(handed)
        except StopIteration:
            self._close()
            return True
        except PeerError as error:
            self._close(str(error))
            return True
        if event is None:
            return False
        self._emit(event)
        return True

    def _answered(self, _question, answer):
        self._handed = answer

    def _line(self):
        """The next line, with its line end."""
        while (line := self._input.line(self.LINE_CAP)) is None and not self._input.is_dropping:
            yield from self._more()
        if line in (None, TOO_LONG):
            raise PeerError(f"the server sent a line of more than {self.LINE_CAP} octets")
        return line

    def _more(self):
        """Waits for more bytes.  Raises PeerError if none will come."""
        if self._peer_closed:
            raise PeerError("the server closed the connection")
        yield None

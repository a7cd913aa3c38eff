"""What all engines have in common.

An engine is fed with `receive(bytes)` (empty means that the peer closed), gives events one by one with `next_event()`
(None means: more bytes are needed), and leaves bytes to send in `output()`.  An event whose `asks` is true is a
question: the engine stays paused, with pipelined input kept, until `answer()` was called exactly once.  So a decision
that needs the outside world (is this password right? is the body safe on disk?) cannot be forgotten or anticipated.

Two kinds of error: a caller that breaks these rules gets Misuse raised; a peer that misbehaves gets a reply, or makes
an event.
"""

from amsmail.wire.lines import LineBuffer
from amsmail.wire.value import Value


ENOUGH = 1 << 16        # octets of output that are worth sending although more input is here


class Misuse(Exception):
    """The program used the engine wrongly: a bug."""


class Event(Value):
    """Something that the program must know (`asks` false), or must answer (`asks` true)."""

    __slots__ = ()
    asks = False


class StartTls(Event):
    """Send `output()`, do the handshake, and answer with True; where the handshake fails the connection ends."""

    __slots__ = ()
    asks = True


class Flush(Event):
    """So much output is waiting that it should be sent before more is made: for the pump, which answers nothing."""

    __slots__ = ()


class Closed(Event):
    """The session is over: send `output()` and close.  `why` is for the log: '' after QUIT."""

    __slots__ = ("why",)
    defaults = {"why": ""}


class Engine:
    """See the module.  A subclass makes progress in `_step()`: it may `_emit()` events and `_send()` bytes, and returns
    False when it can do nothing before more bytes come."""

    def __init__(self):
        self._input = LineBuffer()
        self._peer_closed = False
        self._output = []
        self._waiting = 0
        self._events = []
        self._question = None
        self._closed = False

    def receive(self, data):
        """Bytes from the peer; empty means that it closed the connection."""
        if data:
            self._input.add(data)
        else:
            self._peer_closed = True

    def next_event(self):
        """The next Event, or None if more bytes are needed first.  Raises Misuse while a question is open."""
        if self._question is not None:
            raise Misuse(f"{self._question!r} was not answered")
        while not self._events:
            if self._waiting > ENOUGH:
                return Flush()
            if self._closed:
                raise Misuse("the session is over")
            if not self._step():
                return None
        event = self._events.pop(0)
        if event.asks:
            self._question = event
        return event

    def answer(self, answer):
        """Answers the question that `next_event()` gave last.  Raises Misuse if there is none."""
        if self._question is None:
            raise Misuse("there is no question to answer")
        question, self._question = self._question, None
        self._answered(question, answer)

    def output(self):
        """Bytes to send now; they are given once."""
        data = b"".join(self._output)
        self._output.clear()
        self._waiting = 0
        return data

    def _emit(self, event):
        self._events.append(event)

    def _send(self, data):
        self._output.append(data)
        self._waiting += len(data)

    def _close(self, why=""):
        self._closed = True
        self._emit(Closed(why))

    def _step(self):
        raise NotImplementedError

    def _answered(self, question, answer):
        raise NotImplementedError

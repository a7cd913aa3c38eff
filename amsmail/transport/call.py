"""One call: the line to the providers, and the connections over it, which can all be ended at once."""

import socket
import sys
import threading

from amsmail.transport.carrier import SocketCarrier, StreamError, TimedOut
from amsmail.transport.line import Line

_OVER = "the call is over"


class Call:
    """What the sessions of a call share, whichever thread they are in.  `line` is the Line, `message_in` the octets of
    the largest message that this link fetches, 0 for any; `octets_in` how many octets of mail may be fetched in all,
    None for any; `is_over` says that end() was called."""

    def __init__(self, line=Line(), message_in=0, octets_in=None):
        self.line, self.message_in, self.octets_in = line, message_in, octets_in
        self.is_over = False
        self._lock = threading.Lock()
        self._sockets = set()
        self._granted, self._sum = {}, 0

    def grants(self, message, octets):
        """Whether a message of so many octets may be fetched, as far as what may be fetched in all goes.  `message`
        says which it is, so that one that is asked for again counts once; None where that cannot be said."""
        if self.octets_in is None:
            return True
        with self._lock:
            more = octets - self._granted.get(message, 0)
            if self._sum + more > self.octets_in:
                return False
            self._sum += more
            if message is not None:
                self._granted[message] = octets
            return True

    def carrier(self, sock):
        """A carrier for a socket that is about to be connected.  Once the call is over it closes the socket, and raises
        StreamError."""
        with self._lock:
            if self.is_over:
                sock.close()
                raise StreamError(_OVER)
            self._sockets.add(sock)
        return CallCarrier(self, sock)

    def forget(self, sock):
        """The socket is about to be closed."""
        with self._lock:
            self._sockets.discard(sock)

    def end(self):
        """Breaks every connection: the sessions fail, write down how far they came, and end."""
        with self._lock:
            self.is_over = True
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass        # it is not connected yet, or not any more


class CallCarrier(SocketCarrier):
    """A connection over a line that is paid for.

    Silence is what counts, so a deadline begins anew as long as the peer acknowledges what we sent.  When this process
    is killed the kernel sends nothing more for us: a relay must not be given the rest of a message that counts as not
    sent.
    """

    def __init__(self, call, sock):
        super().__init__(sock)
        self._call = call
        self._linger(False)

    def receive(self, timeout):
        """As SocketCarrier.receive."""
        data = self._while_it_moves(super().receive, timeout)
        if not data and self._call.is_over:
            raise StreamError(_OVER)
        return data

    def _send_some(self, data, timeout):
        # The kernel takes more only when a third of its buffer is free again: on a slow line that is minutes.
        return self._while_it_moves(super()._send_some, data, timeout)

    def _while_it_moves(self, action, *arguments):
        """Does something that may time out, and again as long as the peer acknowledged something meanwhile."""
        while True:
            unsent = self._unsent()
            try:
                return action(*arguments)
            except TimedOut as silence:
                left = self._unsent()
                if not unsent or left >= unsent:
                    silence.was_heard = left == 0
                    raise

    def reset(self):
        """Closes without TCP's good-bye (RST, no FIN): when both sides have said their last word it would cost half a
        round trip for nothing, and when the connection broke what is still in the kernel must not go out."""
        self._call.forget(self._socket)
        self._socket.close()

    def close(self, drain=0):
        """As SocketCarrier.close: what was sent still goes out."""
        self._call.forget(self._socket)
        self._linger(True)
        super().close(drain)

    def _linger(self, sends_rest):
        onoff = (not sends_rest).to_bytes(4, sys.byteorder)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, onoff + bytes(4))      # struct linger

    def _unsent(self):
        """Octets that the peer has not acknowledged; None where that cannot be known."""
        if sys.platform != "linux":
            return None
        import fcntl
        import termios
        return int.from_bytes(fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)

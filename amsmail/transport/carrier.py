"""What carries bytes to and from a peer: a socket or a pair of pipes, with deadlines.

A deadline is about progress: it runs out when not one octet moved for that many seconds.
"""

import _socket      # the C part of `socket`: the same calls without the 7 ms of its Python part
import os
import select

_PIECE = 1 << 16
_PIPE_PIECE = getattr(select, "PIPE_BUF", 512)      # so much never blocks on a pipe that select() found writable


class StreamError(Exception):
    """The stream is of no use any more; the message says why, in words for a person."""


class Untrusted(StreamError):
    """The server's certificate is not one that mail.cfg lets us trust: a person must see to it."""


class TimedOut(StreamError):
    """Nothing moved for as long as the deadline allows.  `was_heard`: the peer has acknowledged all that we sent, so it
    is the peer that is silent, and not the line that is dead."""

    was_heard = False


class SocketCarrier:
    """A connected socket (`socket.socket` or its C base class)."""

    def __init__(self, sock):
        self._socket = sock
        try:
            # A pump writes what belongs together in one piece: what it writes is to go at once.
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError:
            pass        # not TCP

    def receive(self, timeout):
        """What has come, at least one octet; b'' once the peer closed.  Raises StreamError."""
        try:
            self._socket.settimeout(timeout)
            return self._socket.recv(_PIECE)
        except TimeoutError as error:
            raise TimedOut(f"nothing came for {timeout:g} s") from error
        except OSError as error:
            raise StreamError(f"the connection broke: {error.strerror or error}") from error

    def send(self, data, timeout):
        """Sends all of `data`.  Raises StreamError."""
        view = memoryview(data)
        while view:
            view = view[self._send_some(view[:_PIECE], timeout):]

    def _send_some(self, data, timeout):
        """Sends as much as can be sent now, at least one octet; gives how many."""
        try:
            self._socket.settimeout(timeout)
            return self._socket.send(data)
        except TimeoutError as error:
            raise TimedOut(f"the peer took nothing for {timeout:g} s") from error
        except OSError as error:
            raise StreamError(f"the connection broke: {error.strerror or error}") from error

    def close(self, drain=0):
        """Closes, after up to `drain` seconds in which the peer may close first."""
        try:
            if drain:
                self._socket.shutdown(_socket.SHUT_WR)
                self._socket.settimeout(drain)
                for _ in range(16):         # enough for what was under way, and no free ride
                    if not self._socket.recv(_PIECE):
                        break
        except OSError:
            pass
        self._socket.close()


class PipeCarrier:
    """Two file descriptors that are no socket: pipes, a terminal."""

    def __init__(self, fd_in, fd_out):
        self._in, self._out = fd_in, fd_out

    def receive(self, timeout):
        """As SocketCarrier.receive."""
        try:
            if os.name != "nt" and not select.select([self._in], [], [], timeout)[0]:
                raise TimedOut(f"nothing came for {timeout:g} s")
            return os.read(self._in, _PIECE)
        except OSError as error:
            raise StreamError(f"the pipe broke: {error.strerror}") from error

    def send(self, data, timeout):
        """As SocketCarrier.send."""
        view = memoryview(data)
        while view:
            try:
                if os.name != "nt" and not select.select([], [self._out], [], timeout)[1]:
                    raise TimedOut(f"the peer took nothing for {timeout:g} s")
                view = view[os.write(self._out, view[:_PIPE_PIECE]):]
            except OSError as error:
                raise StreamError(f"the pipe broke: {error.strerror}") from error

    def close(self, drain=0):
        pass


def standard_carrier():
    """The carrier of a program that inetd started: (carrier, socket or None)."""
    try:
        sock = _socket.socket(fileno=0)
    except OSError:
        return PipeCarrier(0, 1), None
    return SocketCarrier(sock), sock

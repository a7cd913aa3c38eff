"""Bytes to and from a peer, with deadlines: over a socket or a pair of pipes, in the clear or in TLS.

A deadline is about progress: it runs out when not one octet moved for that many seconds.
"""

import _socket      # the C part of `socket`: the same calls without the 7 ms of its Python part
import os
import select

_PIECE = 1 << 16
_PIPE_PIECE = getattr(select, "PIPE_BUF", 512)      # so much never blocks on a pipe that select() found writable


class StreamError(Exception):
    """The stream is of no use any more; the message says why, in words for a person."""


class TimedOut(StreamError):
    """Nothing moved for as long as the deadline allows."""


class SocketCarrier:
    """A connected socket (`socket.socket` or its C base class)."""

    def __init__(self, sock):
        self._socket = sock

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
        try:
            self._socket.settimeout(timeout)
            while view:
                view = view[self._socket.send(view[:_PIECE]):]
        except TimeoutError as error:
            raise TimedOut(f"the peer took nothing for {timeout:g} s") from error
        except OSError as error:
            raise StreamError(f"the connection broke: {error.strerror or error}") from error

    def close(self):
        try:
            self._socket.close()
        except OSError:
            pass


class PipeCarrier:
    """Two file descriptors that are no socket: pipes, a terminal."""

    def __init__(self, fd_in, fd_out):
        self._in, self._out = fd_in, fd_out

    def receive(self, timeout):
        """As SocketCarrier.receive."""
        if os.name != "nt" and not select.select([self._in], [], [], timeout)[0]:
            raise TimedOut(f"nothing came for {timeout:g} s")
        try:
            return os.read(self._in, _PIECE)
        except OSError as error:
            raise StreamError(f"the pipe broke: {error.strerror}") from error

    def send(self, data, timeout):
        """As SocketCarrier.send."""
        view = memoryview(data)
        while view:
            if os.name != "nt" and not select.select([], [self._out], [], timeout)[1]:
                raise TimedOut(f"the peer took nothing for {timeout:g} s")
            try:
                view = view[os.write(self._out, view[:_PIPE_PIECE]):]
            except OSError as error:
                raise StreamError(f"the pipe broke: {error.strerror}") from error

    def close(self):
        pass


def standard_carrier():
    """The carrier of a program that inetd started: (carrier, socket or None)."""
    try:
        sock = _socket.socket(fileno=0)
    except OSError:
        return PipeCarrier(0, 1), None
    return SocketCarrier(sock), sock


class Stream:
    """What a pump reads from and writes to.  `timeout` is the deadline in seconds; `sent` and `received` count octets on
    the carrier, TLS included."""

    def __init__(self, carrier, timeout):
        self._carrier = carrier
        self._tls = None
        self.timeout = timeout
        self.sent = self.received = 0

    def read(self):
        """What has come, at least one octet; b'' once the peer closed.  Raises StreamError."""
        if self._tls is None:
            return self._receive()
        while True:
            data = self._tls.read()
            if data is not None:
                return data
            self._flush()
            raw = self._receive()
            self._tls.receive(raw)

    def write(self, data):
        """Sends all of `data`.  Raises StreamError."""
        if not data:
            return
        if self._tls is None:
            self._send(data)
            return
        self._tls.write(data)
        self._flush()

    def start_tls(self, context, server_name=None):
        """Does the TLS handshake over what was clear until now: as a client if `server_name` is given, else as a server.
        Gives the words for a log.  Raises StreamError."""
        from amsmail.transport import tls       # on demand: ssl costs more than all the rest of a start
        self._tls = tls.Session(context, server_name)
        while not self._tls.handshake():
            self._flush()
            self._tls.receive(self._receive())
        self._flush()
        return self._tls.description

    def close(self):
        """Says good-bye in TLS where it is on, and closes."""
        try:
            if self._tls is not None:
                self._tls.close()
                self._flush()
        except StreamError:
            pass
        self._carrier.close()

    def _flush(self):
        data = self._tls.output()
        if data:
            self._send(data)

    def _receive(self):
        data = self._carrier.receive(self.timeout)
        self.received += len(data)
        return data

    def _send(self, data):
        self._carrier.send(data, self.timeout)
        self.sent += len(data)

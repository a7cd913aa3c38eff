"""Bytes to and from a peer over a carrier, in the clear or in TLS."""

from amsmail.transport.carrier import StreamError


class Stream:
    """What a pump reads from and writes to.  `timeout` is the deadline in seconds; `sent` and `received` count octets
    on the carrier, TLS included."""

    def __init__(self, carrier, timeout):
        self._carrier = carrier
        self._tls = None
        self.timeout = timeout
        self.peer = ""          # the address, where a client connected to one
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
        """Does the TLS handshake over what was clear until now: as a client if `server_name` is given, else as a
        server. Gives the words for a log.  Raises StreamError."""
        from amsmail.transport import tls       # on demand: ssl costs more than all the rest of a start
        self._tls = tls.Session(context, server_name)
        while not self._tls.handshake():
            self._flush()
            self._tls.receive(self._receive())
        self._flush()
        return self._tls.description

    def close(self, drain=0):
        """Says good-bye in TLS where it is on, and closes.  `drain`: how many seconds to go on taking what the peer
        still sends; closing with it unread would make TCP take our last words back."""
        try:
            if self._tls is not None:
                self._tls.close()
                self._flush()
        except StreamError:
            pass
        self._carrier.close(drain)

    def reset(self):
        """Closes at once: both sides have said all that they had to say."""
        self._carrier.reset()

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

"""A connection to a provider's server, TLS included where it is implicit."""

import socket
import sys
import threading
import time

from amsmail.site.resolve import ResolveError, addresses, is_address
from amsmail.transport import line as line_facts
from amsmail.transport.carrier import StreamError, Untrusted
from amsmail.transport.reach import reason
from amsmail.transport.stream import Stream

# service -> port by mail.cfg's `tls` (RFC 8314, section 3; RFC 6409; RFC 1939; RFC 9051)
PORTS = {
    "smtp": {"implicit": 465, "starttls": 587, "none": 25},
    "pop3": {"implicit": 995, "starttls": 110, "none": 110},
    "imap": {"implicit": 993, "starttls": 143, "none": 143},
}
_FRESH = 86400                  # seconds for which addresses are used without being looked up again
_SO_MAX_PACING_RATE = 47        # Linux; `socket` does not name it
_PAYLOAD = 0.96                 # what headers leave of a full packet
_MOST = 1 << 30                 # what an option can hold, and more than any line of this kind needs
_LEAST_BUFFER = 5000            # octets: three packets


def port_of(service, settings):
    """The port that a section of mail.cfg means: its own, or the usual one."""
    return settings["port"] or PORTS[service][settings["tls"]]


def targets(site):
    """{(host, port): "relay" or "account NAME"} of all servers that mail.cfg names, each once."""
    found = {}
    for who, service, settings in [("relay", "smtp", site.relay), *(
            (f"account {name}", account["type"], account) for name, account in site.accounts.items())]:
        if settings["host"]:
            found.setdefault((settings["host"], port_of(service, settings)), who)
    return found


class Provider:
    """A provider's server as a section of mail.cfg says it: `settings` has host, port, tls, ca_file and fingerprint;
    `call` is the Call that it belongs to.  `pinned` is what `addresses` was after an earlier call, None if there was
    none: so the name need not be looked up on the air.  Where that is long ago it is looked up again while the session
    goes on."""

    def __init__(self, service, settings, call, pinned=None):
        self._settings, self._call, self._line = settings, call, call.line
        self.host = settings["host"]
        self.port = port_of(service, settings)
        self.starttls = settings["tls"] == "starttls"
        self.addresses = pinned         # [time of the look-up, address, ...]

    def connect(self):
        """A Stream to the server, in TLS already where TLS is implicit.  Raises StreamError."""
        tried = {}
        if self._is_pinned:
            looked_up, *pinned = self.addresses
            try:
                stream = self._stream(pinned, tried)
            except StreamError:
                if self._call.is_over:
                    raise
                # Else perhaps it has moved.
            else:
                self._pin(pinned, stream.peer, looked_up)
                if not _is_fresh(looked_up):
                    threading.Thread(target=self._look_up, daemon=True).start()
                return stream
        try:
            found = addresses(self.host)
        except ResolveError as error:
            raise StreamError(str(error)) from error
        stream = self._stream(found, tried)
        self._pin(found, stream.peer, time.time())
        return stream

    @property
    def _is_pinned(self):
        """Whether the addresses of an earlier call are to be used.  Where no certificate says whose they are, old ones
        may be anybody's by now."""
        return self.addresses and not is_address(self.host) and (
            self._settings["tls"] != "none" or _is_fresh(self.addresses[0]))

    def start_tls(self, stream):
        """Does the handshake, and makes sure that it is the right server.  Raises StreamError."""
        from amsmail.transport.tls import ClientTls
        stream.timeout = self._line.patience(line_facts.TLS)
        try:
            return stream.start_tls(ClientTls(self._settings["ca_file"], self._settings["fingerprint"]), self.host)
        except StreamError as error:
            stream.close()
            if isinstance(error, Untrusted):
                self.addresses = None       # perhaps it has moved, and this is somebody else
            raise type(error)(f"{self.host} port {self.port}: {error}") from error

    def _pin(self, found, first, when):
        """The one that took us goes first: one before it that is dead would be waited for in each call."""
        self.addresses = [int(when), *sorted(found, key=lambda address: address != first)]

    def _look_up(self):
        try:
            self._pin(addresses(self.host), self.addresses[1], time.time())
        except ResolveError:
            pass            # the old ones still do

    def _stream(self, found, tried):
        """A Stream to the first of the addresses that takes us.  `tried` is {address: what came of it}: none is tried
        twice.  Raises StreamError."""
        for address in found:
            if address not in tried:
                try:
                    return self._stream_to(address)
                except StreamError as error:
                    tried[address] = error
        raise tried[found[-1]]

    def _stream_to(self, address):
        stream = Stream(self._connected(address), self._line.patience(line_facts.TLS))
        stream.peer = address
        if self._settings["tls"] == "implicit":
            self.start_tls(stream)
        return stream

    def _connected(self, address):
        carrier = None
        try:
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(self._line.patience(line_facts.CONNECT))
            self._fit_to_line(sock)
            carrier = self._call.carrier(sock)
            sock.connect((address, self.port))
        except OSError as error:
            if carrier:
                carrier.reset()
            raise StreamError(f"{self.host} port {self.port} cannot be reached: {reason(error)}") from error
        return carrier

    def _fit_to_line(self, sock):
        """Keeps both queues in front of the line short, where its rate is known: what they cannot hold is lost, and
        what they hold is in the way of the other sessions and of TCP's acknowledgements."""
        up, down = self._line.rates
        if up and sys.platform == "linux":
            _set(sock, _SO_MAX_PACING_RATE, max(1, int(up / 8 * _PAYLOAD)))
        if down and self._line.round_trip:
            _set(sock, socket.SO_RCVBUF, max(_LEAST_BUFFER, int(1.5 * down / 8 * self._line.round_trip)))


def _is_fresh(looked_up):
    return abs(time.time() - looked_up) <= _FRESH


def _set(sock, option, value):
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, min(value, _MOST))
    except OSError:
        pass            # the system does not know it: then without

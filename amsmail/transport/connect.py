"""A connection to a provider's server, TLS included where it is implicit."""

import socket

from amsmail.site.resolve import ResolveError, addresses
from amsmail.transport.carrier import SocketCarrier, StreamError
from amsmail.transport.stream import Stream

# service -> port by mail.cfg's `tls` (RFC 8314, section 3; RFC 6409; RFC 1939; RFC 9051)
PORTS = {
    "smtp": {"implicit": 465, "starttls": 587, "none": 25},
    "pop3": {"implicit": 995, "starttls": 110, "none": 110},
    "imap": {"implicit": 993, "starttls": 143, "none": 143},
}


class Provider:
    """A provider's server as a section of mail.cfg says it: `settings` has host, port, tls, ca_file and fingerprint."""

    def __init__(self, service, settings):
        self._settings = settings
        self.host = settings["host"]
        self.port = settings["port"] or PORTS[service][settings["tls"]]
        self.starttls = settings["tls"] == "starttls"

    def connect(self, timeout):
        """A Stream to the server, in TLS already where TLS is implicit.  Raises StreamError."""
        sock = _connected(self.host, self.port, timeout)
        stream = Stream(SocketCarrier(sock), timeout)
        if self._settings["tls"] == "implicit":
            self.start_tls(stream)
        return stream

    def start_tls(self, stream):
        """Does the handshake, and makes sure that it is the right server.  Raises StreamError."""
        from amsmail.transport.tls import ClientTls
        try:
            return stream.start_tls(ClientTls(self._settings["ca_file"], self._settings["fingerprint"]), self.host)
        except StreamError as error:
            stream.close()
            raise type(error)(f"{self.host} port {self.port}: {error}") from error


def _connected(host, port, timeout):
    try:
        found = addresses(host, port)
    except ResolveError as error:
        raise StreamError(str(error)) from error
    why = "no address"
    for family, address in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            why = error.strerror or str(error)
    raise StreamError(f"{host} port {port} cannot be reached: {why}")

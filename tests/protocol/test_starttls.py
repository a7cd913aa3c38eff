"""What is said in the clear behind STARTTLS or STLS is discarded (RFC 3207, section 4.2; RFC 2595, section 4): octets
that somebody put in on the way must not count as said inside TLS.  Here they come in one piece with the command, so
that the server has read them before its handshake."""

import pytest

from amsmail.transport.carrier import StreamError
from amsmail.transport.tls import ClientTls

from .site import Site
from .ways import WAYS

_GREETINGS = {"smtp": (2, b"STARTTLS\r\n", b"220 2.0.0 Start TLS\r\n"), "pop3": (1, b"STLS\r\n", b"+OK Start TLS\r\n")}
_INJECTED = {"smtp": b"EHLO forged.example\r\nNOOP\r\nXYZZY\r\n", "pop3": b"USER captain\r\nNOOP\r\nXYZZY\r\n"}
_INSIDE = {"smtp": (b"MAIL FROM:<>\r\n", b"503 5.5.1 "), "pop3": (b"PASS secret\r\n", b"-ERR USER comes first")}

_GOOD_BYES = {"smtp": b"221 2.0.0 yacht.example says good-bye\r\n", "pop3": b"+OK Good-bye\r\n"}


@pytest.fixture(params=["whole", "over-pipes", "embedded"])
def way(request, tmp_path, certificate):
    Site(tmp_path, [("tls", "certificate", str(certificate.path)), ("tls", "key", str(certificate.key))])
    way = WAYS[request.param](tmp_path)
    yield way
    way.close()


def _clear(way, service, behind):
    """A client that has said STARTTLS, with something behind it in the same piece."""
    lines, command, ready = _GREETINGS[service]
    client = way.connect(service, "127.0.0.1")
    if service == "smtp":
        client.stream.write(b"HELO client.example\r\n")
    client.lines(lines)
    client.stream.write(command + behind)
    assert client.lines(1) == ready
    return client


@pytest.mark.parametrize("service", ["smtp", "pop3"])
def test_injected_commands_are_never_answered(way, service, certificate):
    client = _clear(way, service, _INJECTED[service])
    client.stream.start_tls(ClientTls(fingerprint=certificate.fingerprint), "yacht.example")
    command, reply = _INSIDE[service]
    client.stream.write(command + b"QUIT\r\n")
    assert client.lines(1).startswith(reply)
    assert client.lines(None) == _GOOD_BYES[service]


@pytest.mark.parametrize("service", ["smtp", "pop3"])
def test_a_handshake_that_fails_ends_the_connection(way, service):
    client = _clear(way, service, b"")
    client.stream.write(b"QUIT\r\n" * 20)
    said = client.lines(None)       # at most an alert of TLS
    assert b"221" not in said and b"+OK" not in said


def test_a_wrong_fingerprint_is_refused_by_the_client(way):
    client = _clear(way, "smtp", b"")
    with pytest.raises(StreamError, match="fingerprint"):
        client.stream.start_tls(ClientTls(fingerprint="0" * 64), "yacht.example")

"""mailcheck's pull from Courier, by POP3 and by IMAP, and from Dovecot by IMAP."""

import random
import time
from base64 import encodebytes

import pytest

from ..real.test_pull_imap import Bridge
from .calls import mailcheck
from .messages import EIGHT_BIT, MESSAGES, PLAIN, letter, on_wire
from .table import shows
from .test_mailcheck import account

FIXTURES = {"Courier": "courier", "Dovecot": "dovecot_with_imap"}
PAIRS = [("Courier", "POP3"), ("Courier", "IMAP"), ("Dovecot", "IMAP")]
STARTTLS = {"POP3": "STLS", "IMAP": "STARTTLS"}         # as the protocols call it
PORTS = {"none": {"POP3": "pop3", "IMAP": "imap"}, "starttls": {"POP3": "pop3", "IMAP": "imap"},
         "implicit": {"POP3": "pop3s", "IMAP": "imaps"}}


@pytest.fixture
def provider(request):
    """A provider's server, by the program's name, with empty boxes that nobody has opened yet."""
    server = request.getfixturevalue(FIXTURES[request.param])
    for name in server.boxes.names:
        server.boxes.empty(name)
        for file in (server.boxes.folder / name).iterdir():
            if file.is_file():          # what the server has noted of the box
                file.unlink()
    return server


def each(did, result):
    """For each program and protocol: it did that, with this result."""
    return pytest.mark.parametrize("provider, protocol", [
        pytest.param(program, protocol, marks=shows(program, f"by {protocol} {did}", result))
        for program, protocol in PAIRS], indirect=["provider"])


def fetching(site, link, provider, protocol, tls="none", **settings):
    """Lets the site fetch from the provider."""
    port = getattr(provider, PORTS[tls][protocol])
    site.configure(**account(link, port, type=protocol.lower(), tls=tls, **settings))


EMPTIED = [(program, protocol, tls, way) for program, protocol in PAIRS
           for tls, way in (("none", "plain"), ("starttls", STARTTLS[protocol]), ("implicit", "implicit TLS"))]


@pytest.mark.parametrize("provider, protocol, tls", [
    pytest.param(program, protocol, tls, marks=shows(program, f"by {protocol} gives and deletes", "unchanged", way))
    for program, protocol, tls, way in EMPTIED], indirect=["provider"])
def test_is_emptied(provider, protocol, tls, site, link, provider_certificate):
    trusted = {} if tls == "none" else {"ca_file": provider_certificate.authority}
    fetching(site, link, provider, protocol, tls, after="delete", **trusted)
    for message in MESSAGES:
        provider.boxes.deliver("owner", message)
    code, said, call = mailcheck(site, link)
    assert (code, said) == (0, "")
    assert site.bodies("captain") == sorted(MESSAGES)
    assert provider.boxes.messages("owner") == []
    octets = sum(len(on_wire(message)) for message in MESSAGES)
    assert (call["messages_in"], call["octets_in"], call["outcome"]) == (len(MESSAGES), octets, "ok")


@each("keeps messages, over three calls", "each is fetched once")
def test_keeps(provider, protocol, site, link):
    fetching(site, link, provider, protocol, after="keep")
    provider.boxes.deliver("owner", PLAIN)
    provider.boxes.deliver("owner", EIGHT_BIT)
    assert mailcheck(site, link)[2]["messages_in"] == 2
    time.sleep(1 - time.time() % 1)     # a UIDVALIDITY made up anew would be the time in seconds
    assert mailcheck(site, link)[2]["messages_in"] == 0
    provider.boxes.deliver("owner", MESSAGES[2])
    assert mailcheck(site, link)[2]["messages_in"] == 1
    assert site.bodies("captain") == sorted(MESSAGES[:3])
    assert len(provider.boxes.messages("owner")) == 3


@each("refuses a wrong password", "exit code 69")
def test_wrong_password(provider, protocol, site, link):
    fetching(site, link, provider, protocol, password="wrong")
    provider.boxes.deliver("owner", PLAIN)
    code, said, call = mailcheck(site, link)
    assert code == 69
    assert "the login was refused" in said
    assert (call["messages_in"], len(provider.boxes.messages("owner"))) == (0, 1)


# An attachment as they are: compressed, it still takes more than two thirds of this.
LARGE = letter("large", encodebytes(random.Random(1).randbytes(222_000)))
CUT = 100_000


@pytest.mark.parametrize("provider", [
    pytest.param(program, marks=shows(program, "by IMAP is cut off in the middle of 300 kB", "goes on, unchanged"))
    for program in FIXTURES], indirect=True)
def test_goes_on_after_a_cut(provider, site, link):
    provider.boxes.deliver("owner", LARGE)
    bridge = Bridge(provider.imap)
    try:
        bridge.cut = CUT
        site.configure(**account(link, bridge.port, type="imap", tls="none"))
        code, said, call = mailcheck(site, link)
        assert (code, site.box("captain")) == (75, [])
        bridge.cut = None
        code, said, call = mailcheck(site, link)
    finally:
        bridge.close()
    assert (code, said) == (0, "")
    assert site.bodies("captain") == [LARGE]
    assert provider.boxes.messages("owner") == []
    assert call["bytes_down"] < len(on_wire(LARGE)) - 0.9 * CUT        # so little that it did not begin again

"""mailcheck's push to Postfix, Exim and OpenSMTPD, each in the flow that it can."""

import pytest

from ..real.conftest import PASSWORDS, REFUSED
from ..real.postfix import Postfix
from .calls import mailcheck, relay
from .messages import EIGHT_BIT, MESSAGES, PLAIN, below_trace, letter
from .table import shows
from .test_mailcheck import nothing_was_sent

MANY = 30
TLS = {"plain": "none", "STARTTLS": "starttls", "implicit TLS": "implicit"}


@pytest.fixture(scope="module")
def postfix_without_chunking(folder, boxes):
    settings = "smtpd_discard_ehlo_keywords = chunking"
    with Postfix(folder / "postfix-without-chunking", boxes, refuse=REFUSED, settings=settings).running() as postfix:
        yield postfix


@pytest.fixture
def server(request):
    """The relay whose fixture a test names."""
    return request.getfixturevalue(request.param)


def port_and_settings(way, server, certificate):
    """Where a relay is in this way, and the rest of [relay]."""
    if way == "plain":
        return server.smtp, {"tls": "none"}
    port = {"STARTTLS": server.submission, "implicit TLS": server.submissions}[way]
    return port, {"tls": TLS[way], "ca_file": certificate.authority, "user": "owner", "password": PASSWORDS["owner"]}


def taking(fixture, program, flow, way="plain"):
    return pytest.param(fixture, flow, way, marks=shows(program, f"takes messages, {flow}", "unchanged", way))


@pytest.mark.parametrize("server, flow, way", [
    taking("postfix", "Postfix", "chunked"),
    taking("postfix_without_chunking", "Postfix", "pipelined"),
    *(taking("exim", "Exim", "chunked", way) for way in TLS),
    taking("opensmtpd", "OpenSMTPD", "in lock-step"),
], indirect=["server"])
def test_takes_the_queue(server, flow, way, site, link, boxes, provider_certificate):
    port, settings = port_and_settings(way, server, provider_certificate)
    site.configure(**relay(link, port, **settings))
    for message in MESSAGES:
        site.enqueue(message, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert (code, said) == (0, "")
    assert sorted(map(below_trace, boxes.messages("owner", len(MESSAGES)))) == sorted(MESSAGES)
    assert site.queued() == []
    assert (call["messages_out"], call["kept"], call["outcome"]) == (len(MESSAGES), 0, "ok")
    # The log names the flow; it is at hand when the push is run here.
    site.configure(relay={"host": "localhost", "port": port, **settings})
    site.enqueue(PLAIN, to=["owner@shore.example"])
    assert site.push().done == 1
    [line] = [line for line in site.log if "relay-ready" in line]
    assert line.partition("flow=")[2].strip('"') == flow
    assert len(boxes.messages("owner", len(MESSAGES) + 1)) == len(MESSAGES) + 1


def refusing(fixture, program):
    return pytest.param(fixture, marks=shows(program, "takes one of three, says 550 and 452 to the others",
                                             "sent, notified, kept"))


@pytest.mark.parametrize("server", [refusing("postfix", "Postfix"), refusing("exim", "Exim"),
                                    refusing("opensmtpd", "OpenSMTPD")], indirect=True)
def test_takes_a_part(server, site, link, boxes):
    site.configure(**relay(link, server.smtp, tls="none"))
    site.enqueue(PLAIN, to=["owner@shore.example", "gone@shore.example", "full@shore.example"])
    code, said, call = mailcheck(site, link)
    assert (code, said) == (75, "")
    [arrived] = boxes.messages("owner", 1)
    assert below_trace(arrived) == PLAIN
    [notification] = site.box("captain")
    for line in (b"Final-Recipient: rfc822; gone@shore.example", b"Action: failed", b"Status: 5.1.6"):
        assert line in notification.split(b"\n")
    assert b"moved away" in notification and b"full@shore.example" not in notification
    assert site.states() == {"owner@shore.example": "S", "gone@shore.example": "F", "full@shore.example": "-"}
    assert (call["messages_out"], call["refused"], call["kept"]) == (1, 1, 1)


@pytest.mark.parametrize("server", [
    pytest.param(fixture, marks=shows(program, f"takes {MANY} messages in one call", "each once"))
    for fixture, program in [("postfix", "Postfix"), ("exim", "Exim"), ("opensmtpd", "OpenSMTPD")]], indirect=True)
def test_takes_many(server, site, link, boxes):
    messages = [letter(f"number-{number}", b"Fair winds.\n") for number in range(MANY)]
    site.configure(**relay(link, server.smtp, tls="none"))
    for message in messages:
        site.enqueue(message, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert (code, said, call["messages_out"]) == (0, "", MANY)
    assert sorted(map(below_trace, boxes.messages("owner", MANY))) == sorted(messages)
    assert site.queued() == []
    code, said, call = mailcheck(site, link)
    assert (code, said) == (0, "")
    assert len(boxes.messages("owner")) == MANY


@shows("Exim", "takes an SMTPUTF8 message, sender in UTF-8", "unchanged")
def test_exim_takes_utf8(site, link, exim, boxes):
    message = EIGHT_BIT.replace(b"Subject: 8-bit", "Subject: Grüße, 海".encode())
    site.configure(**relay(link, exim.smtp, tls="none"))
    site.enqueue(message, to=["owner@shore.example"], sender="kapitän@yacht.example", smtputf8=True, body="8BITMIME",
                 content="utf8")
    code, said, _ = mailcheck(site, link)
    assert (code, said) == (0, "")
    [arrived] = boxes.messages("owner", 1)
    assert below_trace(arrived) == message
    assert b"with utf8esmtp" in arrived


@shows("Exim", "refuses a wrong password", "exit code 69, kept")
def test_wrong_password_at_exim(site, link, exim, boxes, provider_certificate):
    port, settings = port_and_settings("implicit TLS", exim, provider_certificate)
    site.configure(**relay(link, port, **settings | {"password": "wrong"}))
    site.enqueue(PLAIN, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert code == 69
    assert "the login was refused: 535" in said
    assert nothing_was_sent(site, call, boxes)

"""mailcheck with a provider's servers: Postfix as relay, Dovecot as the place where mail waits."""

import pytest

from ..real.certificate import make_certificate
from ..real.conftest import PASSWORDS
from ..real.process import free_port
from .calls import mailcheck, relay
from .messages import EIGHT_BIT, MESSAGES, PLAIN, below_trace, on_wire
from .table import shows


def known_by(trust, certificate):
    """The value of the setting `trust`, ca_file or fingerprint."""
    return certificate.authority if trust == "ca_file" else f"sha256:{certificate.fingerprint}"


# Postfix

def relay_settings(way, trust, postfix, certificate):
    if way == "plain":
        return postfix.smtp, {"tls": "none"}
    port, tls = {"STARTTLS": (postfix.submission, "starttls"), "implicit TLS": (postfix.submissions, "implicit")}[way]
    return port, {"tls": tls, trust: known_by(trust, certificate), "user": "owner", "password": PASSWORDS["owner"]}


RELAYED = [
    pytest.param("plain", None, marks=shows("Postfix", "takes messages from a relay network", "unchanged", "plain")),
    *(pytest.param(way, trust, marks=shows("Postfix", f"takes messages, {trust}", "unchanged", way))
      for way in ("STARTTLS", "implicit TLS") for trust in ("ca_file", "fingerprint"))]


@pytest.mark.parametrize("way, trust", RELAYED)
def test_postfix_takes_the_queue(way, trust, site, link, postfix, boxes, provider_certificate):
    port, settings = relay_settings(way, trust, postfix, provider_certificate)
    site.configure(**relay(link, port, **settings))
    for message in MESSAGES:
        site.enqueue(message, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert (code, said) == (0, "")
    arrived = boxes.messages("owner", len(MESSAGES))
    assert sorted(map(below_trace, arrived)) == sorted(MESSAGES)
    assert all((b"with ESMTPSA" in message) == (way != "plain") for message in arrived)
    assert site.queued() == []
    octets = sum(len(on_wire(message)) for message in MESSAGES)
    assert (call["messages_out"], call["octets_out"], call["kept"], call["outcome"]) == (len(MESSAGES), octets, 0, "ok")
    assert call["bytes_up"] > octets and call["bytes_down"] > 0


@shows("Postfix", "takes an SMTPUTF8 message, sender in UTF-8", "unchanged")
def test_postfix_takes_utf8(site, link, postfix, boxes):
    message = EIGHT_BIT.replace(b"Subject: 8-bit", "Subject: Grüße, 海".encode())
    site.configure(**relay(link, postfix.smtp, tls="none"))
    site.enqueue(message, to=["owner@shore.example"], sender="kapitän@yacht.example", smtputf8=True, body="8BITMIME",
                 content="utf8")
    code, said, _ = mailcheck(site, link)
    assert (code, said) == (0, "")
    [arrived] = boxes.messages("owner", 1)
    assert below_trace(arrived) == message
    assert "Return-Path: <kapitän@yacht.example>".encode() in arrived
    assert b"with UTF8SMTP" in arrived


def nothing_was_sent(site, call, boxes):
    return len(site.queued()) == 1 and call["messages_out"] == 0 and boxes.messages("owner") == []


# Who the other is

@shows("Postfix", "refuses a wrong password", "exit code 69, kept")
def test_wrong_password_at_postfix(site, link, postfix, boxes, provider_certificate):
    port, settings = relay_settings("implicit TLS", "ca_file", postfix, provider_certificate)
    site.configure(**relay(link, port, **settings | {"password": "wrong"}))
    site.enqueue(PLAIN, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert code == 69
    assert "the login was refused: 535 5.7.8" in said
    assert nothing_was_sent(site, call, boxes)


@pytest.mark.parametrize("way", [
    pytest.param(way, marks=shows("Postfix", "has another ca_file or fingerprint", "exit code 69, none sent", way))
    for way in ("STARTTLS", "implicit TLS")])
@pytest.mark.parametrize("trust", ["ca_file", "fingerprint"])
def test_another_than_postfix_is_not_talked_to(trust, way, site, link, postfix, boxes, tmp_path, provider_certificate):
    port, settings = relay_settings(way, trust, postfix, provider_certificate)
    settings[trust] = wrong(trust, tmp_path)
    site.configure(**relay(link, port, **settings))
    site.enqueue(PLAIN, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert code == 69
    assert "the TLS handshake failed" in said
    assert nothing_was_sent(site, call, boxes)


def wrong(trust, folder):
    (folder / "other").mkdir()
    return known_by(trust, make_certificate(folder / "other"))


@shows("Postfix", "is stopped", "exit code 75, kept")
@shows("Dovecot", "is stopped", "exit code 75")
def test_servers_are_stopped(site, link, boxes):
    nobody = free_port()
    site.configure(**relay(link, nobody, tls="none"), **account(link, nobody, tls="none"))
    site.enqueue(PLAIN, to=["owner@shore.example"])
    code, said, call = mailcheck(site, link)
    assert code == 75
    assert said.count("mailcheck: ") == 2
    assert nothing_was_sent(site, call, boxes)


# Dovecot

def account(link, port, **settings):
    into = {} if "envelope" in settings else {"box": "captain"}
    return {"accounts": {"owner": {"type": "pop3", "host": "localhost", "port": link.to(port), "user": "owner",
                                   "password": PASSWORDS["owner"], **into, **settings}}}


def account_settings(way, dovecot, certificate, trust):
    if way == "plain":
        return dovecot.pop3, {"tls": "none"}
    port, tls = {"STLS": (dovecot.pop3, "starttls"), "implicit TLS": (dovecot.pop3s, "implicit")}[way]
    return port, {"tls": tls, trust: known_by(trust, certificate)}


def by(trust):
    return f", {trust}" if trust else ""


FETCHED = [("plain", None), ("STLS", "ca_file"), ("STLS", "fingerprint"), ("implicit TLS", "ca_file"),
           ("implicit TLS", "fingerprint")]


@pytest.mark.parametrize("way, trust", [
    pytest.param(way, trust, marks=shows("Dovecot", f"gives and deletes{by(trust)}", "unchanged", way))
    for way, trust in FETCHED])
def test_dovecot_is_emptied(way, trust, site, link, dovecot, boxes, provider_certificate):
    port, settings = account_settings(way, dovecot, provider_certificate, trust)
    site.configure(**account(link, port, after="delete", **settings))
    for message in MESSAGES:
        boxes.deliver("owner", message)
    code, said, call = mailcheck(site, link)
    assert (code, said) == (0, "")
    assert site.bodies("captain") == sorted(MESSAGES)
    assert boxes.messages("owner") == []
    octets = sum(len(on_wire(message)) for message in MESSAGES)
    assert (call["messages_in"], call["octets_in"], call["outcome"]) == (len(MESSAGES), octets, "ok")
    assert call["bytes_down"] > octets and call["bytes_up"] > 0


@shows("Dovecot", "keeps messages, over three calls", "each is fetched once")
def test_dovecot_keeps(site, link, dovecot, boxes):
    site.configure(**account(link, dovecot.pop3, tls="none", after="keep"))
    boxes.deliver("owner", PLAIN)
    boxes.deliver("owner", EIGHT_BIT)
    assert [mailcheck(site, link)[2]["messages_in"] for _ in range(2)] == [2, 0]
    boxes.deliver("owner", MESSAGES[2])
    assert mailcheck(site, link)[2]["messages_in"] == 1
    assert site.bodies("captain") == sorted(MESSAGES[:3])
    assert len(boxes.messages("owner")) == 3


@shows("Dovecot", "holds a domain's mail, by Delivered-To with a prefix", "each box gets its own")
def test_dovecot_holds_a_domain(site, link, dovecot, boxes):
    site.configure(**account(link, dovecot.pop3, tls="none", envelope="Delivered-To", envelope_prefix="mbox-"))
    for name in "captain", "cook", "nobody":
        envelope = f"Delivered-To: mbox-{name}@yacht.example\n".encode()
        boxes.deliver("owner", envelope + PLAIN.replace(b"Subject: plain", b"Subject: " + name.encode()))
    code, said, call = mailcheck(site, link)
    assert (code, said, call["messages_in"]) == (0, "", 3)
    assert [message.count(b"Subject: cook\n") for message in site.box("cook")] == [1]
    captains = b"".join(site.bodies("captain"))
    assert captains.count(b"Subject: captain\n") == captains.count(b"Subject: nobody\n") == 1
    assert len(site.box("captain")) == 2


@shows("Dovecot", "refuses a wrong password", "exit code 69")
def test_wrong_password_at_dovecot(site, link, dovecot, boxes):
    site.configure(**account(link, dovecot.pop3, tls="none", password="wrong"))
    boxes.deliver("owner", PLAIN)
    code, said, call = mailcheck(site, link)
    assert code == 69
    assert "the login was refused" in said
    assert (call["messages_in"], len(boxes.messages("owner"))) == (0, 1)


@pytest.mark.parametrize("way", [
    pytest.param(way, marks=shows("Dovecot", "has another ca_file or fingerprint", "exit code 69, none fetched", way))
    for way in ("STLS", "implicit TLS")])
@pytest.mark.parametrize("trust", ["ca_file", "fingerprint"])
def test_another_than_dovecot_is_not_talked_to(trust, way, site, link, dovecot, boxes, tmp_path, provider_certificate):
    port, settings = account_settings(way, dovecot, provider_certificate, trust)
    settings[trust] = wrong(trust, tmp_path)
    site.configure(**account(link, port, **settings))
    boxes.deliver("owner", PLAIN)
    code, said, call = mailcheck(site, link)
    assert code == 69
    assert "the TLS handshake failed" in said
    assert (call["messages_in"], len(boxes.messages("owner"))) == (0, 1)

"""TLS towards relay and provider: verified or refused, never left out, and nothing from before the handshake counts."""

import pytest

from amsmail.transport.result import PERMANENT
from tests.mailcheck.peers import Provider, Relay
from tests.mailcheck.sites import Shore, Site, account, relay

NAME = "yacht.example"      # in the certificate
MAIL = b"Subject: x\n\nHello.\n"


@pytest.fixture
def shore(tmp_path, certificate):
    tls = {"certificate": certificate.path, "key": certificate.key, "cleartext_login_from": "192.0.2.1"}
    with Shore(tmp_path / "shore", "smtp", "submissions", "pop3", "pop3s", tls=tls) as shore:
        yield shore


@pytest.fixture
def yacht(tmp_path, names):
    return Site(tmp_path / "yacht")


def trust(certificate, **settings):
    return {"host": NAME, "ca_file": certificate.path, **settings}


RELAYS = {"implicit": ("submissions", {"user": "yacht", "password": "secret"}),
          "starttls": ("smtp", {"user": "yacht", "password": "secret"})}
ACCOUNTS = {"implicit": "pop3s", "starttls": "pop3"}


@pytest.mark.parametrize("tls", RELAYS)
def test_push(yacht, shore, certificate, tls):
    service, login = RELAYS[tls]
    yacht.configure(relay=relay(shore.ports[service], **trust(certificate, tls=tls), **login))
    yacht.enqueue()
    assert yacht.push().failures == []
    message, = shore.box("agent")
    assert b"with ESMTPSA" in message


@pytest.mark.parametrize("tls", ACCOUNTS)
def test_pull(yacht, shore, certificate, tls):
    shore.put("yacht", MAIL)
    yacht.configure(accounts=account(shore.ports[ACCOUNTS[tls]], **trust(certificate, tls=tls)))
    assert yacht.pull().failures == []
    assert yacht.bodies("captain") == [MAIL] and shore.box("yacht") == []


# Whom to believe: (settings of mail.cfg, what a refusal says, None where it is the right server)
BELIEF = {
    "its own certificate as ca_file": (lambda c: {"ca_file": c.path}, None),
    "the system's authorities": (lambda c: {}, "self-signed certificate"),
    "another name": (lambda c: {"ca_file": c.path, "host": "other.example"}, "Hostname mismatch"),
    "its fingerprint": (lambda c: {"fingerprint": f"sha256:{c.fingerprint}"}, None),
    "its fingerprint, another name": (
        lambda c: {"fingerprint": f"sha256:{c.fingerprint}", "host": "other.example"}, None),
    "another fingerprint": (lambda c: {"fingerprint": "sha256:" + "00" * 32}, "fingerprint"),
    "another fingerprint, its ca_file": (
        lambda c: {"fingerprint": "sha256:" + "00" * 32, "ca_file": c.path}, "fingerprint"),
    "a ca_file that is none": (lambda c: {"ca_file": c.key}, "ca_file"),
}


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("settings, problem", BELIEF.values(), ids=BELIEF)
def test_whom_a_push_believes(yacht, certificate, settings, problem, tls):
    yacht.enqueue()
    with Relay(["STARTTLS", "AUTH PLAIN"], certificate=certificate, implicit=tls == "implicit") as provider:
        yacht.configure(relay=relay(provider.port, tls=tls, user="yacht", password="secret",
                                    **{"host": NAME, **settings(certificate)}))
        result = yacht.push()
    believed(result, problem)
    assert yacht.queued() == [] if problem is None else len(yacht.queued()) == 1
    if problem:
        assert not any(line.startswith(("AUTH", "MAIL")) for line in provider.said)


@pytest.mark.parametrize("tls", ["implicit", "starttls"])
@pytest.mark.parametrize("settings, problem", BELIEF.values(), ids=BELIEF)
def test_whom_a_pull_believes(yacht, certificate, settings, problem, tls):
    with Provider([("a", b"x\r\n")], certificate=certificate, implicit=tls == "implicit") as provider:
        yacht.configure(accounts=account(provider.port, tls=tls, **{"host": NAME, **settings(certificate)}))
        result = yacht.pull()
    believed(result, problem)
    assert len(yacht.box("captain")) == (problem is None)
    if problem:
        assert not any(line.startswith(("USER", "PASS")) for line in provider.said)


def believed(result, problem):
    if problem is None:
        assert result.failures == []
    else:
        (kind, text), = result.failures
        assert kind == PERMANENT and problem in text


def test_what_is_injected_behind_starttls_is_discarded(yacht, certificate):
    """What somebody on the way puts behind the reply to STARTTLS must not count as said in TLS."""
    yacht.enqueue(to=("a@far.example",))
    injected = b"250-relay.example\r\n250 AUTH PLAIN\r\n235 Welcome\r\n250 Fine\r\n550 No such user\r\n"
    with Relay(["STARTTLS", "AUTH PLAIN"], certificate=certificate, behind_starttls=injected) as provider:
        yacht.configure(relay=relay(provider.port, tls="starttls", user="yacht", password="secret",
                                    **trust(certificate)))
        result = yacht.push()
    assert result.failures == [] and len(provider.accepted) == 1 and yacht.box("captain") == []
    assert provider.said.count("EHLO yacht.example") == 2


def test_what_is_injected_behind_stls_is_discarded(yacht, certificate):
    injected = b"+OK\r\n+OK\r\n+OK\r\n.\r\n+OK\r\n.\r\n+OK\r\n"
    with Provider([("a", b"Subject: x\r\n")], certificate=certificate, behind_stls=injected) as provider:
        yacht.configure(accounts=account(provider.port, tls="starttls", **trust(certificate)))
        assert yacht.pull().failures == []
    assert yacht.bodies("captain") == [b"Subject: x\n"]


def test_extensions_from_before_the_handshake_do_not_count(yacht, certificate):
    """AUTH is offered in the clear and not any more in TLS: no password is sent."""
    yacht.enqueue()
    with Relay(["STARTTLS", "AUTH PLAIN"], certificate=certificate, at={4: "250 relay.example"}) as provider:
        yacht.configure(relay=relay(provider.port, tls="starttls", user="yacht", password="secret",
                                    **trust(certificate)))
        (_, text), = yacht.push().failures
    assert "AUTH" in text and not any(line.startswith("AUTH") for line in provider.said)


@pytest.mark.parametrize("behaviour", [{"STLS": "-ERR What?"}], ids=["STLS refused"])
def test_no_stls_no_password(yacht, behaviour):
    with Provider([("a", b"x\r\n")], replies=behaviour) as provider:
        yacht.configure(accounts=account(provider.port, tls="starttls"))
        (kind, text), = yacht.pull().failures
    assert kind == "permanent" and "STLS" in text
    assert provider.said == ["STLS", "QUIT"]

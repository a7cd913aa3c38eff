"""Accounts of type imap at Dovecot: fetched, kept, deleted, cut off and gone on with."""

import socket
import threading

import pytest

from amsmail.transport.result import PERMANENT, TEMPORARY

from ..mailcheck.sites import Site, account, without_trace
from .boxes import Boxes
from .conftest import PASSWORDS
from .dovecot import Dovecot


@pytest.fixture(scope="module")
def imap_boxes(folder):
    return Boxes(folder / "imap-mail", PASSWORDS)


@pytest.fixture(scope="module")
def server(folder, imap_boxes, provider_certificate):
    with Dovecot(folder / "imap", imap_boxes, PASSWORDS, provider_certificate, with_imap=True).running() as server:
        yield server


@pytest.fixture
def deliver(imap_boxes):
    imap_boxes.empty("owner")
    return lambda *texts: [imap_boxes.deliver("owner", text) for text in texts]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "yacht")


class Bridge:
    """A port that leads to another one, and cuts the line after `cut` octets came from there (None: never)."""

    def __init__(self, port):
        self._to, self.cut = port, None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            threading.Thread(target=_carry, args=(near, far, None), daemon=True).start()
            _carry(far, near, self.cut)


def _carry(source, target, left):
    try:
        while (left is None or left > 0) and (data := source.recv(4096 if left is None else min(left, 4096))):
            target.sendall(data)
            left = None if left is None else left - len(data)
    except OSError:
        pass
    for sock in source, target:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@pytest.fixture
def bridge(server):
    bridge = Bridge(server.imap)
    yield bridge
    bridge.close()


def pull(site, port, **settings):
    settings = {"type": "imap", "user": "owner", "password": PASSWORDS["owner"], **settings}
    site.configure(accounts=account(port, **settings))
    return site.pull()


def text(name, octets=30, head=b""):
    lines = b"".join(b"%d apples and %d pears of %s\n" % (n, octets - n, name) for n in range(octets // 30 + 1))
    return head + b"Subject: %s\n\n" % name + lines


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_fetched_and_expunged(tls, server, deliver, imap_boxes, site, provider_certificate):
    texts = [text(b"one"), text(b"two", 65_600), text(b"three", 400_000)]
    deliver(*texts)
    port = server.imaps if tls == "implicit" else server.imap
    settings = {} if tls == "none" else {"fingerprint": f"sha256:{provider_certificate.fingerprint}"}
    result = pull(site, port, tls=tls, **settings)
    assert (result.failures, result.done) == ([], 3)
    assert site.bodies("captain") == sorted(texts) and imap_boxes.messages("owner") == []
    deliver(text(b"four"))
    assert pull(site, port, tls=tls, **settings).done == 1
    assert pull(site, port, tls=tls, **settings).done == 0


def test_kept(server, deliver, imap_boxes, site):
    deliver(text(b"one"), text(b"two"))
    assert [pull(site, server.imap, after="keep").done for _ in range(2)] == [2, 0]
    deliver(text(b"three"))
    assert pull(site, server.imap, after="keep").done == 1
    assert len(imap_boxes.messages("owner")) == 3
    assert pull(site, server.imap, after="delete").failures == []
    assert imap_boxes.messages("owner") == [] and len(site.box("captain")) == 3


@pytest.mark.parametrize("backlog, count", [("none", 0), ("newest 2", 2), ("all", 3)])
def test_backlog(backlog, count, server, deliver, imap_boxes, site):
    deliver(text(b"one"), text(b"two"), text(b"three"))
    assert pull(site, server.imap, backlog=backlog).done == count
    deliver(text(b"four"))
    assert pull(site, server.imap, backlog=backlog).done == 1
    assert len(imap_boxes.messages("owner")) == 3 - count


def test_a_whole_domain(server, deliver, site):
    deliver(*(text(name, head=b"Delivered-To: %s@yacht.example\n" % name) for name in (b"captain", b"cook", b"nobody")))
    assert pull(site, server.imap, envelope="Delivered-To").failures == []
    assert len(site.box("cook")) == 1 and len(site.box("captain")) == 2


@pytest.mark.parametrize("octets", [4_000, 10_000, 30_000])
def test_cut_and_gone_on_with(octets, bridge, deliver, imap_boxes, site):
    texts = [text(b"small"), text(b"large", 400_000), text(b"middle", 100_000)]
    deliver(*texts)
    bridge.cut, calls, failures = octets, 0, None
    while failures != []:
        failures = pull(site, bridge.port).failures
        assert all(kind == TEMPORARY for kind, _ in failures)
        calls += 1
        assert calls < 200
    assert calls > 1
    assert sorted(map(without_trace, site.box("captain"))) == sorted(texts)
    assert imap_boxes.messages("owner") == []


def test_a_wrong_password(server, deliver, imap_boxes, site):
    deliver(text(b"one"))
    (kind, words), = pull(site, server.imap, password="wrong").failures
    assert kind == PERMANENT and "the login was refused" in words
    assert len(imap_boxes.messages("owner")) == 1

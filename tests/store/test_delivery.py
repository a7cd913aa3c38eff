"""Acknowledged means present, refused means nothing left behind: at each successive file operation that fails."""

import errno
import itertools
import os

import pytest

from amsmail.store import delivery, durable
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.store.queue import Queue
from amsmail.store.spool import Spool
from amsmail.wire.address import Address
from amsmail.wire.envelope import Envelope, Recipient
from tests.store.disk import Crash, Disk

HEAD = b"Return-Path: <a@b.example>\n"
BODY = b"Subject: x\r\n\r\n" + b"Some text of a message.\r\n" * 100
ENVELOPE = Envelope(Address("a", "b.example"), (Recipient(Address("c", "d.example")),), arrival=1)

# what is delivered where: boxes, and whether the queue gets it too
DESTINATIONS = {
    "one box": (["captain"], None),
    "the queue": ([], ENVELOPE),
    "two boxes": (["captain", "cook"], None),
    "a box and the queue": (["captain"], ENVELOPE),
    "three boxes and the queue": (["captain", "cook", "mate"], ENVELOPE),
}


@pytest.fixture(params=DESTINATIONS)
def destinations(request):
    return DESTINATIONS[request.param]


@pytest.fixture
def root(tmp_path):
    """A fresh place for a spool that has all its directories already."""
    numbers = itertools.count()

    def make():
        path = tmp_path / f"spool{next(numbers)}"
        spool = Spool(str(path), "yacht.example")
        spool.tidy(["captain", "cook", "mate"])
        spool.lock("commits").release()
        return spool
    return make


def deliver(spool, boxes, envelope):
    """As smtpd does it: True if the message was acknowledged."""
    one = None
    try:
        one = Delivery(spool, new_uid(spool.host), boxes, HEAD, envelope, b"Received: r\n")
        for at in range(0, len(BODY), 700):
            one.write(BODY[at:at + 700])
        one.seal()
        one.commit()
        return True
    except OSError:
        if one:
            one.abort()
        return False


def copies(spool, boxes, envelope):
    """How many whole copies each destination has; anything but the whole message is an error."""
    found = []
    for name in ["captain", "cook", "mate"]:
        box = spool.box(name)
        messages = [box.open(entry).read() for entry in box.list()]
        assert all(message == HEAD + BODY.replace(b"\r\n", b"\n") for message in messages)
        if name in boxes:
            found.append(len(messages))
        else:
            assert messages == []
    queue = Queue(spool)
    queued = [queue.read(entry) for entry in queue.list()]
    assert all(queue.open(q).read() == b"Received: r\n" + BODY.replace(b"\r\n", b"\n") for q in queued)
    assert all(q.envelope == ENVELOPE and q.size == len(b"Received: r\r\n" + BODY) for q in queued)
    return found + [len(queued)] if envelope else found


def leftovers(spool):
    """Files in tmp/ and in state/commits/."""
    folders = [spool.box(name).path + "/tmp" for name in ("captain", "cook", "mate")]
    folders += [spool.queue().path + "/tmp", os.path.dirname(spool.state("commits", "x"))]
    return [name for folder in folders for name in os.listdir(folder)]


def number_of_operations(make, destinations, monkeypatch):
    spool = make()
    disk = Disk(spool.path)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        assert deliver(spool, *destinations)
    assert leftovers(spool) == []
    return disk.count


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
def test_each_failing_operation(root, destinations, error, for_good, monkeypatch):
    count = number_of_operations(root, destinations, monkeypatch)
    outcomes = set()
    for n in range(1, count + 1):
        spool = root()
        disk = Disk(spool.path, fail_at=n, error=error, for_good=for_good)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            acknowledged = deliver(spool, *destinations)
        delivery.recover(spool)
        expected = 1 if acknowledged else 0
        found = copies(spool, *destinations)
        if not acknowledged and for_good:
            # The disk did not even let us take the message back: whole everywhere or nowhere is all that can be had.
            assert len(set(found)) == 1, (n, disk.operations)
        else:
            assert set(found) == {expected}, (n, disk.operations)
            left = leftovers(spool)
            assert not any(name.endswith(".commit") for name in left) and (acknowledged or for_good or not left), (
                n, left, disk.operations)
        outcomes.add(acknowledged)
    assert False in outcomes


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
def test_a_crash_at_each_operation(root, destinations, cut, monkeypatch):
    count = number_of_operations(root, destinations, monkeypatch)
    outcomes = set()
    for n in range(1, count + 1):
        spool = root()
        disk = Disk(spool.path, crash_at=n)
        acknowledged = False
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            try:
                acknowledged = deliver(spool, *destinations)
            except Crash:
                pass
        if cut:
            disk.power_cut()
        delivery.recover(spool)
        found = copies(spool, *destinations)
        assert len(set(found)) == 1, (n, found, disk.operations)
        assert found[0] <= 1 and found[0] >= acknowledged, (n, disk.operations)
        outcomes.add(found[0])
    assert outcomes == {0, 1}


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
def test_what_was_acknowledged_survives(root, destinations, cut, monkeypatch):
    spool = root()
    disk = Disk(spool.path)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        assert deliver(spool, *destinations)
    if cut:
        disk.power_cut()
    delivery.recover(spool)
    assert set(copies(spool, *destinations)) == {1}


@pytest.mark.parametrize("cannot_link", [errno.EPERM, errno.EMLINK, errno.EXDEV])
def test_where_links_fail_copies_are_made(root, cannot_link, monkeypatch):
    spool = root()

    def no_links(source, target):
        raise OSError(cannot_link, os.strerror(cannot_link), target)
    monkeypatch.setattr(durable.os, "link", no_links)
    assert deliver(spool, ["captain", "cook"], ENVELOPE)
    assert copies(spool, ["captain", "cook"], ENVELOPE) == [1, 1, 1]
    assert leftovers(spool) == []


def test_recovery_does_not_bring_back_what_a_reader_took(root, monkeypatch):
    """A crash after captain's link was made and marked; captain read and deleted before the next program started."""
    spool = root()
    disk = Disk(spool.path)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        deliver(root(), ["captain", "cook"], None)
        marks = []
        for n in itertools.count(1):
            spool = root()
            disk = Disk(spool.path, crash_at=n)
            patch.setattr(durable, "os", disk.os)
            try:
                deliver(spool, ["captain", "cook"], None)
                break
            except Crash:
                marks.append((spool, disk))
    half = [spool for spool, _ in marks if spool.box("captain").list() and not spool.box("cook").list()
            and b"done " in b"".join(_records(spool))]
    assert half
    for spool in half:
        for entry in spool.box("captain").list():
            spool.box("captain").remove(entry)
        delivery.recover(spool)
        assert len(spool.box("cook").list()) == 1
        assert spool.box("captain").list() == []


def _records(spool):
    folder = os.path.dirname(spool.state("commits", "x"))
    for name in os.listdir(folder):
        if name.endswith(".commit"):
            with open(os.path.join(folder, name), "rb") as f:
                yield f.read()

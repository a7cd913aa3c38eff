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
TOPS = {"cook": b"Above: the others' head\n"}       # what one box alone gets
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
        one = Delivery(spool, new_uid(spool.host), boxes, HEAD, envelope, b"Received: r\n", TOPS)
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
        whole = TOPS.get(name, b"") + HEAD + BODY.replace(b"\r\n", b"\n")
        assert all(message == whole for message in messages)
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


@pytest.mark.parametrize("cannot_link", [errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_links_fail_copies_are_made(root, cannot_link, monkeypatch):
    spool = root()

    def no_links(source, target):
        raise OSError(cannot_link, os.strerror(cannot_link), target)
    monkeypatch.setattr(durable.os, "link", no_links)
    assert deliver(spool, ["captain", "cook"], ENVELOPE)
    assert copies(spool, ["captain", "cook"], ENVELOPE) == [1, 1, 1]
    assert leftovers(spool) == []


def readers_come(spool):
    """Captain's mail program moves what it finds, and whoever fetches the queue removes it; gives where something was
    found."""
    found = []
    for entry in spool.box("captain").list():
        if f"{os.sep}new{os.sep}" in entry.path:
            found.append("captain")
            os.rename(entry.path, entry.path.replace(f"{os.sep}new{os.sep}", f"{os.sep}cur{os.sep}") + ":2,S")
    for entry in spool.queue().list():
        found.append("the queue")
        os.unlink(entry.path)
    return found


def with_disk(disk, action, monkeypatch):
    """What `action` gives on this disk; None if it was killed."""
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        try:
            return action()
        except Crash:
            disk.end()
            return None


@pytest.mark.parametrize("first, second", [
    ({"fail_at": 1}, {"fail_at": 1}),
    ({"fail_at": 1, "for_good": True}, {"crash_at": 1}),
    ({"crash_at": 1}, {"fail_at": 1, "for_good": True}),
], ids=["two failures", "a full disk, then killed", "killed, then a full disk"])
def test_it_arrives_once_whatever_its_readers_do(root, first, second, monkeypatch):
    """They come after the delivery went wrong at each operation, after recovery did so at each, and in the end."""
    def at(trouble, n):
        return {key: n if key.endswith("_at") else value for key, value in trouble.items()}

    incomplete = 0
    for n in range(1, number_of_operations(root, (["captain"], ENVELOPE), monkeypatch) + 1):
        for m in itertools.count(1):
            spool = root()
            acknowledged = with_disk(Disk(spool.path, **at(first, n)), lambda: deliver(spool, ["captain"], ENVELOPE),
                                     monkeypatch)
            committed = acknowledged or _has_commit(spool)
            found = readers_come(spool)
            disk = Disk(spool.path, **at(second, m))
            with_disk(disk, lambda: delivery.recover(spool), monkeypatch)
            found += readers_come(spool)
            delivery.recover(spool)
            found += readers_come(spool)
            if acknowledged is not False:       # a disk that refused to take it back may have kept all of it
                whole = sorted(found) == ["captain", "the queue"]
                assert whole or not found and not committed, (n, m, disk.operations)
                assert not _has_commit(spool)
            if disk.count < m:
                break
            incomplete += 1
    assert incomplete


def _has_commit(spool):
    return any(name.endswith(".commit") for name in os.listdir(os.path.dirname(spool.state("commits", "x"))))


def test_boxes_on_another_file_system(root, monkeypatch):
    """Renames to there are refused: copies go there, and a crash in the middle of one holds nothing up."""
    rename = os.rename

    def far(source, target):
        if f"{os.sep}commits{os.sep}" in source and f"{os.sep}boxes{os.sep}" in target:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), target)
        rename(source, target)

    incomplete = 0
    for n in itertools.count(1):
        spool = root()
        disk = Disk(spool.path, crash_at=n)
        disk.os.rename = far
        acknowledged = with_disk(disk, lambda: deliver(spool, ["captain", "cook"], ENVELOPE), monkeypatch)
        committed = _has_commit(spool)
        with monkeypatch.context() as patch:
            patch.setattr(durable.os, "rename", far)
            delivery.recover(spool)
        found = copies(spool, ["captain", "cook"], ENVELOPE)
        assert found == [1, 1, 1] or found == [0, 0, 0] and not (acknowledged or committed), disk.operations
        if acknowledged:
            break
        incomplete += committed
    assert incomplete and leftovers(spool) == []

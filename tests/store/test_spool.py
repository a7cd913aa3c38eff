"""What crashes leave in a spool is swept when it is old, and nothing else is."""

import itertools
import os

import pytest

from amsmail.link.dialled import Dialled
from amsmail.program.alarm import Alarm
from amsmail.site.log import begin_anew
from amsmail.store import durable
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.store.held import HeldMail, HeldMessage
from amsmail.store.known import Known
from amsmail.store.queue import Queue, Tries
from amsmail.store.seen import Seen
from amsmail.store.spool import Spool
from amsmail.wire.address import Address
from amsmail.wire.envelope import Envelope, Recipient
from tests.store.disk import Crash, Disk

ENVELOPE = Envelope(Address("a", "b.example"), (Recipient(Address("c", "d.example")),), arrival=1)
LONG_AGO = 1_000_000_000
HELD = HeldMessage("abcdefgh", "owner", "u1", 1, "", "", "captain", 1, "digest")


@pytest.fixture
def spool(tmp_path):
    found = Spool(str(tmp_path / "spool"), "yacht.example")
    found.tidy(["captain"])
    return found


def queue_one(spool):
    """A message in the queue: its Entry."""
    delivery = Delivery(spool, new_uid(spool.host), [], b"", ENVELOPE)
    delivery.write(b"Subject: x\r\n\r\n")
    delivery.seal()
    delivery.commit()
    return Queue(spool).list()[-1]


def files(spool):
    return sorted(os.path.relpath(os.path.join(folder, name), spool.path)
                  for folder, _, names in os.walk(spool.path) for name in names)


def make_old(spool):
    for name in files(spool):
        os.utime(os.path.join(spool.path, name), (LONG_AGO, LONG_AGO))


WRITERS = {
    "tries": lambda spool: Queue(spool).set_tries(Queue(spool).list()[0], Tries(1)),
    "seen": lambda spool: Seen(spool.state("seen", "owner")).pass_over(["u2"], 1),
    "held": lambda spool: HeldMail(spool).put(HELD),
    "known": lambda spool: Known(spool.state("known", "account-owner"), "server").set(addresses=["192.0.2.1"]),
    "dialled": lambda spool: Dialled(spool.state("dialled")).write("sat", 1),
    "alarm": lambda spool: Alarm(spool.state("alarm.json")).remember(["trouble"]),
    "format": lambda spool: _make_anew(spool),
}


def _make_anew(spool):
    """As if the spool's making had not come to writing its format."""
    path = os.path.join(spool.path, "format")
    if os.path.exists(path):
        os.unlink(path)
    Spool(spool.path, spool.host)


@pytest.mark.parametrize("writer", WRITERS)
def test_what_a_kill_leaves_of_any_writer_is_swept(spool, writer, monkeypatch):
    """At each of its operations; before the sweep and after it the writer works as ever."""
    queue_one(spool)
    write = WRITERS[writer]
    left = set()
    for n in itertools.count(1):
        before = files(spool)
        disk = Disk(spool.path, crash_at=n)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            try:
                write(spool)
                break
            except Crash:
                disk.end()
        left |= set(files(spool)) - set(before)
    whole = files(spool)
    left = {name for name in left if name.endswith(".new")}
    assert left & set(whole)
    spool.tidy(["captain"])
    assert files(spool) == whole        # perhaps somebody writes them now
    make_old(spool)
    spool.tidy(["captain"])
    assert files(spool) == [name for name in whole if name not in left]
    write(spool)


def test_tries_of_a_message_that_is_gone_are_swept(spool):
    """As they are left by whoever fetches the queue by POP3."""
    queue = Queue(spool)
    gone, kept = queue_one(spool), queue_one(spool)
    for entry in gone, kept:
        queue.set_tries(entry, Tries(3))
    spool.queue().remove(gone)
    make_old(spool)
    assert len(os.listdir(os.path.dirname(spool.state("tries", "x")))) == 2
    spool.tidy(["captain"])
    assert os.listdir(os.path.dirname(spool.state("tries", "x"))) == [kept.uid]
    assert queue.tries(kept).count == 3


def test_a_journal_is_never_taken_for_a_leftover(spool):
    """Whatever an account's name is: those that mail.cfg takes begin with no dot."""
    for name in "owner", "a.12345678.new":
        Seen(spool.state("seen", name)).add("u1", 1)
        Known(spool.state("known", name), "server").set(x=1)
    make_old(spool)
    before = files(spool)
    spool.tidy(["captain"])
    assert files(spool) == before


def test_a_file_that_is_moved_to_its_place_in_that_moment(spool, monkeypatch):
    path = os.path.join(spool.box("captain").path, "tmp", "1.M1R1.yacht")
    scan = os.scandir

    def and_then_it_is_gone(folder):
        found = list(scan(folder))
        if folder == os.path.dirname(path):
            os.unlink(path)
        return found
    with open(path, "wb"):
        make_old(spool)
    monkeypatch.setattr(os, "scandir", and_then_it_is_gone)
    spool.tidy(["captain"])
    assert not os.path.exists(path)


# The log of a machine without syslog

def test_a_log_begins_anew_when_it_is_large(spool):
    path = spool.state("mailcheck.log")
    begin_anew(path)                    # there is none yet
    for content in b"a" * 1_000_000, b"b" * 1_000_001, b"c" * 1_000_001:
        with open(path, "wb") as f:
            f.write(content)
        begin_anew(path)
    assert not os.path.exists(path)
    with open(path + ".1", "rb") as f:
        assert f.read() == content
    assert [name for name in files(spool) if "mailcheck" in name] == ["state/mailcheck.log.1"]


def test_a_log_that_cannot_begin_anew_goes_on(spool, monkeypatch):
    path = spool.state("mailcheck.log")
    with open(path, "wb") as f:
        f.write(b"a" * 1_000_001)
    monkeypatch.setattr(durable, "os", Disk(spool.path, fail_at=1, for_good=True).os)
    begin_anew(path)
    assert os.path.getsize(path) == 1_000_001

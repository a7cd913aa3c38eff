"""Drop boxes: what is listed, in which order and size, and that what was removed stays removed."""

import os

import pytest

from amsmail.store import durable
from amsmail.store.spool import Spool
from tests.store.disk import Crash, Disk


@pytest.fixture
def box(tmp_path):
    box = Spool(str(tmp_path / "spool"), "yacht.example").box("captain")
    box.make()
    return box


def put(box, name, text, folder="new"):
    with open(os.path.join(box.path, folder, name), "wb") as f:
        f.write(text)


def test_oldest_first_over_new_and_cur(box):
    put(box, "1700000002.R2.yacht,S=2,W=3", b"b\n")
    put(box, "1700000001.R1.yacht,S=2,W=3:2,S", b"a\n", "cur")
    put(box, "999999999.R0.yacht,S=2,W=3:2,", b"0\n", "cur")
    assert [entry.uid for entry in box.list()] == ["999999999.R0.yacht", "1700000001.R1.yacht", "1700000002.R2.yacht"]


def test_sizes_come_from_names(box):
    put(box, "1.R.yacht,S=2,W=3", b"this is longer than its name says\n")
    assert box.measure(box.list()[0]) == 3


@pytest.mark.parametrize("text, size", [(b"a\nb\n", 6), (b"a\nb", 6), (b"", 0), (b"\n", 2), (b"a\r\n", 4)])
def test_sizes_of_what_another_program_put_there(box, text, size):
    put(box, "1.P3Q4.yacht:2,S", text, "cur")
    entry, = box.list()
    assert entry.size is None
    assert box.measure(entry) == size


def test_dot_files_and_files_outside_are_no_messages(box):
    put(box, ".hidden", b"x\n")
    put(box, "1.R.yacht,S=2,W=3", b"x\n", "tmp")
    assert box.list() == []


def test_names_that_uidl_cannot_show_are_shown_as_a_digest(box):
    put(box, "x" * 80, b"x\n")
    put(box, "two words", b"x\n")
    uids = {entry.uid for entry in box.list()}
    assert len(uids) == 2 and all(len(uid) == 64 and uid.isalnum() for uid in uids)


def test_a_message_whose_flags_changed_since_is_found(box):
    put(box, "1.R.yacht,S=2,W=3", b"x\n")
    entry, = box.list()
    os.rename(entry.path, os.path.join(box.path, "cur", "1.R.yacht,S=2,W=3:2,S"))
    assert box.open(entry).read() == b"x\n"
    box.remove(entry)
    assert box.list() == []
    box.remove(entry)       # no error if it is gone


def test_what_was_removed_does_not_come_back(tmp_path, monkeypatch):
    spool = Spool(str(tmp_path / "spool"), "yacht.example")
    box = spool.box("captain")
    box.make()
    put(box, "1.R.yacht,S=2,W=3", b"x\n")
    for crash_at in (None, 1, 2, 3, 4):
        disk = Disk(tmp_path / "spool", crash_at=crash_at)
        removed = False
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            try:
                box.remove(box.list()[0])
                removed = True
            except Crash:
                pass
        disk.power_cut()
        assert not (removed and box.list()), disk.operations
        if not box.list():
            put(box, "1.R.yacht,S=2,W=3", b"x\n")

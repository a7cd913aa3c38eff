"""What is kept between two calls by IMAP: unfinished messages, and the journal of a folder."""

import os

import pytest

from amsmail.store.partials import Partials
from amsmail.store.seen import Seen
from amsmail.store.seen_uids import SeenUids


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "partial")


def content(partials, name):
    return b"".join(partials.pieces(name))


def test_few_octets_need_no_file(folder):
    partials = Partials(folder, {})
    partials.write("1", b"one")
    partials.write("1", b" more")
    assert content(partials, "1") == b"one more" and partials.octets("1") == 8 and os.listdir(folder) == []
    partials.drop("1")
    assert "1" not in partials


@pytest.mark.parametrize("octets", [1, 65_536, 65_537, 300_000])
def test_what_is_safe_is_there_again(folder, octets):
    text = os.urandom(octets)
    partials = Partials(folder, {})
    for at in range(0, octets, 50_000):
        partials.write("1", text[at:at + 50_000])
    assert content(partials, "1") == text
    safe = partials.safe()
    assert safe == {"1": octets}
    again = Partials(folder, safe)
    assert again.tail("1", 64) == text[-64:] and content(again, "1") == text
    again.write("1", b"end")
    assert content(again, "1") == text + b"end"


def test_only_what_is_safe_counts(folder):
    partials = Partials(folder, {})
    for name in "1", "2", "3":
        partials.write(name, b"begin")
    partials.pause()
    again = Partials(folder, {"1": 3, "2": 6})
    assert "1" in again and "2" not in again and os.listdir(folder) == ["1"]
    again.write("1", b"_")
    assert content(again, "1") == b"beg_"


@pytest.fixture
def journal(tmp_path):
    return str(tmp_path / "seen")


def uids(journal, folder="INBOX"):
    return SeenUids(Seen(journal), folder)


def test_a_folder_s_journal(journal):
    first = uids(journal)
    assert (first.uidvalidity, first.first, list(first)) == (0, 1, [])
    seen = Seen(journal)
    first = SeenUids(seen, "INBOX")
    first.start(17, 5, 1000)
    seen.add(first.key(6), 1000, "boxes/a/new/x")
    seen.add(first.key(7), 1000)
    first.leave([6], 2000)
    first.forget([7], 2000)
    again = uids(journal)
    assert (again.uidvalidity, again.first, list(again)) == (17, 5, [6])
    assert again.since(6) is None and 7 not in again
    assert Seen(journal).tokens == ["boxes/a/new/x"]        # still to be resumed, whatever else became of it
    again.tidy()
    assert list(uids(journal)) == [6] and Seen(journal).tokens == []
    with open(journal) as f:
        assert len(f.readlines()) == 2


def test_another_folder_or_uidvalidity_knows_nothing(journal):
    first = uids(journal, "INBOX")
    first.start(17, 1, 1000)
    first.leave([3], 1000)
    other = uids(journal, "Old mail/1")
    assert other.uidvalidity == 0
    other.start(17, 1, 1000)
    assert list(other) == [] and list(uids(journal, "Old mail/1")) == [] and uids(journal).uidvalidity == 0

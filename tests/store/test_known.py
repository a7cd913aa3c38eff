"""What is remembered of a provider's server."""

import os

import pytest

from amsmail.store import durable
from amsmail.store.known import Known
from tests.store.disk import Crash, Disk


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "relay")


def test_what_is_set_is_there_the_next_time(path):
    Known(path, "a:25").set(offers=["PIPELINING", "æ"], avoid=["CHUNKING"])
    known = Known(path, "a:25")
    assert (known.get("offers"), known.get("avoid")) == (["PIPELINING", "æ"], ["CHUNKING"])


def test_what_was_never_set(path):
    known = Known(path, "a:25")
    assert known.get("offers") is None and known.get("avoid", []) == []


def test_what_is_set_is_there_at_once_and_the_rest_stays(path):
    known = Known(path, "a:25")
    known.set(offers=["SIZE"])
    known.set(avoid=["CHUNKING"])
    assert (known.get("offers"), known.get("avoid")) == (["SIZE"], ["CHUNKING"])


def test_none_forgets(path):
    Known(path, "a:25").set(offers=["SIZE"], avoid=["CHUNKING"])
    Known(path, "a:25").set(avoid=None)
    assert Known(path, "a:25").get("avoid", "nothing") == "nothing"
    assert Known(path, "a:25").get("offers") == ["SIZE"]


def test_of_another_server_nothing_is_known(path):
    Known(path, "a:25").set(offers=["SIZE"])
    other = Known(path, "b:25")
    assert other.get("offers") is None
    other.set(avoid=["PIPELINING"])
    assert Known(path, "a:25").get("offers") is None and Known(path, "b:25").get("avoid") == ["PIPELINING"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"null", b'"a:25"', b"{}", b'{"avoid": []}', b"\xff\xfe"])
def test_a_damaged_file_is_as_good_as_none(path, content):
    with open(path, "wb") as f:
        f.write(content)
    known = Known(path, "a:25")
    assert known.get("offers") is None
    known.set(offers=["SIZE"])
    assert Known(path, "a:25").get("offers") == ["SIZE"]


def test_nothing_is_written_where_nothing_is_new(path, monkeypatch):
    Known(path, "a:25").set(offers=["SIZE"], avoid=None)
    disk = Disk(os.path.dirname(path))
    monkeypatch.setattr(durable, "os", disk.os)
    Known(path, "a:25").set(offers=["SIZE"], avoid=None)
    assert disk.count == 0


def test_a_crash_leaves_the_old_or_the_new(path, monkeypatch):
    """At each file operation, with the power gone."""
    seen = set()
    for n in range(1, 20):
        Known(path, "a:25").set(offers=["old"])
        disk = Disk(os.path.dirname(path), crash_at=n)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            try:
                Known(path, "a:25").set(offers=["new"])
            except Crash:
                disk.power_cut()
        seen.add(Known(path, "a:25").get("offers")[0])
    assert seen == {"old", "new"}

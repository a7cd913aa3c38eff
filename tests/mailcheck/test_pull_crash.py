"""A pull that crashes at each successive file operation: in the end every message is here once, and gone there."""

import pytest

from tests.mailcheck.again import Beginning
from tests.mailcheck.peers import Provider
from tests.mailcheck.sites import Site, account, crash
from tests.store.disk import Disk

MESSAGES = [(f"uid{n}", b"Subject: %d\r\n\r\nHello.\r\n" % n) for n in (1, 2, 3)]
WAYS = {"delete": {}, "whole domain": {"envelope": "Delivered-To"}, "newest 2": {"backlog": "newest 2"}}


def subjects(yacht):
    return sorted(int(text.partition(b"Subject: ")[2].split()[0]) for text in yacht.box("captain"))


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture
def provider():
    with Provider(MESSAGES) as provider:
        yield provider


@pytest.fixture
def yacht(tmp_path, provider, way):
    yacht = Site(tmp_path / "yacht", accounts=account(provider.port, **way))
    yacht.spool.state("seen", "x")
    yacht.start()
    return yacht


@pytest.fixture
def beginning(yacht, provider):
    return Beginning(yacht, provider, "messages")


@pytest.fixture
def count(yacht, beginning, monkeypatch):
    """How many file operations the pull has."""
    disk = Disk(yacht.spool.path)
    assert crash(disk, yacht.pull, monkeypatch).failures == []
    assert disk.count > 30
    return disk.count


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
def test_a_crash_at_each_operation(yacht, provider, beginning, way, count, cut, monkeypatch):
    wanted = [2, 3] if "backlog" in way else [1, 2, 3]
    for n in range(1, count + 1):
        beginning.again()
        disk = Disk(yacht.spool.path, crash_at=n)
        crash(disk, yacht.pull, monkeypatch)
        if cut:
            disk.power_cut()
        yacht.start()
        assert len(subjects(yacht)) == len(set(subjects(yacht))), (n, disk.operations)
        assert yacht.pull().failures == []
        assert subjects(yacht) == wanted, (n, disk.operations)
        assert [int(uid[3:]) for uid, _ in provider.messages] == [m for m in (1, 2, 3) if m not in wanted], n
        assert yacht.pull().done == 0


def test_killed_and_then_a_power_cut(yacht, beginning, way, count, monkeypatch):
    """What a killed run left unflushed, and the next run took for granted, must survive a power cut after that."""
    wanted = [2, 3] if "backlog" in way else [1, 2, 3]
    for n in range(1, count + 1):
        beginning.again()
        disk = Disk(yacht.spool.path, crash_at=n)
        crash(disk, yacht.pull, monkeypatch)
        disk.crash_at = None
        assert crash(disk, yacht.pull, monkeypatch).failures == []
        disk.power_cut()
        yacht.pull()
        assert subjects(yacht) == wanted, (n, disk.operations)

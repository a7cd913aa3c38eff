"""A push that crashes at each successive file operation: afterwards every recipient has the message."""

import pytest

from tests.mailcheck.again import Beginning
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import Site, crash, relay
from tests.store.disk import Disk

# what the relay says, who must get the message in the end, and whether a notice is due
OUTCOMES = {
    "both accepted": ({}, {"a", "b"}, False),
    "one refused": ({"RCPT TO:<b": "550 5.1.1 Nobody"}, {"a"}, True),
    "one put off": ({"RCPT TO:<b": "450 4.2.1 Busy"}, {"a", "b"}, False),
    "both refused": ({"RCPT": "550 5.1.1 Nobody"}, set(), True),
}


@pytest.fixture
def provider():
    with Relay() as provider:
        yield provider


@pytest.fixture
def yacht(tmp_path, provider):
    yacht = Site(tmp_path / "yacht", relay=relay(provider.port))
    yacht.enqueue(to=("a@far.example", "b@far.example"))
    yacht.spool.state("tries", "x")
    return yacht


def run(provider, replies, action):
    """One session with the relay; gives {local part: how many copies the relay took for it}."""
    provider.replies, provider.accepted = replies, []
    action()
    provider.settle()
    taken = [line[len("RCPT TO:<"):].partition("@")[0] for _, lines, _ in provider.accepted for line in lines]
    return {name: taken.count(name) for name in ("a", "b")}


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("replies, reached, noticed", OUTCOMES.values(), ids=OUTCOMES)
def test_a_crash_at_each_operation(yacht, provider, replies, reached, noticed, cut, monkeypatch):
    beginning = Beginning(yacht)
    disk = Disk(yacht.spool.path)
    run(provider, replies, lambda: crash(disk, yacht.push, monkeypatch))
    assert disk.count > 5
    for n in range(1, disk.count + 1):
        beginning.again()
        disk = Disk(yacht.spool.path, crash_at=n)
        first = run(provider, replies, lambda: crash(disk, yacht.push, monkeypatch))
        if cut:
            disk.power_cut()
        marks = yacht.states()
        yacht.start()
        # Whoever is put off first is taken in the end; who is refused is refused again.
        second = run(provider, {} if noticed is False else replies, yacht.push)
        assert yacht.queued() == [], n
        for name in ("a", "b"):
            copies = first[name] + second[name]
            assert bool(copies) == (name in reached), (n, disk.operations)
            # The crash came after the relay's last word, so a copy more may be; but not once the mark was made.
            assert copies <= 1 or marks[f"{name}@far.example"] == "-", (n, disk.operations)
        told = len(yacht.box("captain"))
        assert told in (1, 2) if noticed else told == 0, (n, disk.operations)

"""In which order messages of several priorities leave the queue (RFC 6710, sections 5 and 5.1), and what the relay
hears of those whose sender gave none."""

import pytest

from amsmail.store.queue import Queue, Tries
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import FLOWS, relay
from tests.mailcheck.test_plan import RELAY, Planner
from tests.site.test_windows import clock_of


@pytest.fixture
def boat(tmp_path):
    with clock_of("UTC0"):
        boat = Planner(tmp_path / "boat")
        boat.configure(relay=RELAY)
        yield boat


def note(header=b"", octets=1):
    return header + b"Subject: x\r\n\r\n" + b"x" * octets + b"\r\n"


def pushed(boat):
    """The commands MAIL that a relay gets that offers it, in their order, without the sender."""
    with Relay([*FLOWS["pipelined"], "MT-PRIORITY"]) as provider:
        boat.configure(relay=relay(provider.port))
        assert boat.push().failures == []
    return [mail.removeprefix("MAIL FROM:<captain@yacht.example> ") for mail, _, _ in provider.accepted]


def test_each_of_the_19_levels_goes_before_those_below_it(boat):
    """So a level between two of MIXER's is taken for neither of them; what is higher is larger here."""
    for level in range(-9, 10):
        boat.enqueue(note(octets=100 + level), priority=str(level))
    assert pushed(boat) == [f"MT-PRIORITY={level}" for level in range(9, -10, -1)]


def test_what_a_header_says_is_its_priority_where_its_sender_gave_none(boat):
    for header in (b"Priority: non-urgent\r\n", b"X-Priority: 2\r\n", b""):
        boat.enqueue(note(header))
    boat.enqueue(note(b"Importance: high\r\n"), priority="-1")
    assert pushed(boat) == ["MT-PRIORITY=4", "MT-PRIORITY=0", "MT-PRIORITY=-1", "MT-PRIORITY=-4"]


def test_one_that_ended_three_sessions_lets_the_others_go_first_and_keeps_its_priority(boat):
    first = boat.enqueue(note(), priority="9")
    boat.enqueue(note(octets=50))
    queue = Queue(boat.spool)
    queue.set_tries(next(entry for entry in queue.list() if entry.uid == first), Tries(count=3))
    assert pushed(boat) == ["MT-PRIORITY=0", "MT-PRIORITY=9"]

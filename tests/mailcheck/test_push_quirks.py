"""What a relay offers and cannot do is found out once, costs no mail, and is remembered while it is true."""

import time

import pytest

from tests.mailcheck.peers import CUT, Relay
from tests.mailcheck.sites import FLOWS, Site, relay

CHUNKED = FLOWS["chunked"]


@pytest.fixture
def yacht(tmp_path):
    yacht = Site(tmp_path / "yacht")
    for number in (1, 2, 3):
        yacht.enqueue(b"Subject: %d\r\n\r\nHello.\r\n" % number, to=("a@far.example",))
    return yacht


def push(yacht, provider):
    """A call, and the flow that it was."""
    yacht.log.clear()
    yacht.configure(relay=relay(provider.port))
    result = yacht.push()
    flow, = (line.partition("flow=")[2].strip('"') for line in yacht.log if "relay-ready" in line)
    return result, flow


def subjects(provider):
    return sorted(int(body.partition(b"Subject: ")[2].split()[0]) for _, _, body in provider.accepted)


def test_a_relay_that_offers_chunking_and_does_not_know_bdat(yacht):
    with Relay(CHUNKED, chunks=False) as provider:
        result, flow = push(yacht, provider)
        assert flow == "chunked" and result.kept == 3 and provider.accepted == []
        assert yacht.box("captain") == [] and len(yacht.queued()) == 3
        assert any("quirk" in line and "CHUNKING" in line for line in yacht.log)
        result, flow = push(yacht, provider)
        assert flow == "pipelined" and result.done == 3 and result.failures == []
    assert yacht.queued() == [] and subjects(provider) == [1, 2, 3]


def test_a_relay_that_takes_the_octets_and_refuses_bdat(yacht):
    with Relay(CHUNKED, replies={"final": "502 5.5.1 Not implemented"}) as provider:
        result, _ = push(yacht, provider)
        assert result.kept == 3 and result.refused == 0 and yacht.box("captain") == []
        provider.replies.clear()
        result, flow = push(yacht, provider)
        assert flow == "pipelined" and result.done == 3


def test_it_is_forgotten_when_the_relay_offers_other_things(yacht):
    flows = []
    with Relay(CHUNKED, chunks=False) as provider:
        for call in range(5):
            provider.extensions = CHUNKED if call < 2 else [*CHUNKED, "DSN"]
            provider.chunks = call >= 2
            flows.append(push(yacht, provider)[1])
            yacht.enqueue()
    assert flows == ["chunked", "pipelined", "pipelined", "chunked", "chunked"]


def test_another_relay_has_its_own_quirks(yacht):
    with Relay(CHUNKED, chunks=False) as provider:
        push(yacht, provider)
    with Relay(CHUNKED) as provider:
        assert push(yacht, provider)[1] == "chunked"
    assert subjects(provider) == [1, 2, 3]


def test_a_relay_that_gives_up_before_it_took_a_message(yacht):
    """Perhaps it cannot do what it offers: each call does without a little more, and the last with nothing."""
    flows = []
    with Relay(CHUNKED, replies={"MAIL": CUT}) as provider:
        for _ in range(3):
            flows.append(push(yacht, provider)[1])
    assert flows == ["chunked", "pipelined", "in lock-step"]
    assert len(yacht.queued()) == 3 and yacht.box("captain") == []


def test_a_relay_that_gives_up_later_is_not_to_blame(yacht):
    with Relay(CHUNKED, at={7: CUT}) as provider:       # the second MAIL
        result, _ = push(yacht, provider)
        assert result.done == 1
        assert push(yacht, provider)[1] == "chunked"
    assert yacht.queued() == [] and set(subjects(provider)) == {1, 2, 3}


def test_it_is_tried_again_after_a_month(yacht, monkeypatch):
    with Relay(CHUNKED, chunks=False) as provider:
        push(yacht, provider)
        yacht.enqueue()
        provider.chunks = True
        assert push(yacht, provider)[1] == "pipelined"
        yacht.enqueue()
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 31 * 86400)
        assert push(yacht, provider)[1] == "chunked"


def test_a_relay_that_says_that_it_is_busy_has_no_quirk(yacht):
    with Relay(CHUNKED, replies={"MAIL": "421 4.3.2 Busy"}) as provider:
        result, flow = push(yacht, provider)
        assert flow == "chunked" and result.done == 0 and result.kept == 3
        provider.replies.clear()
        assert push(yacht, provider)[1] == "chunked"
    assert yacht.queued() == []

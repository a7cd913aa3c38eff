"""What a relay offers and cannot do is found out once, costs no mail, and is remembered while it is true."""

import time

import pytest

from tests.mailcheck.peers import CUT, Relay
from tests.mailcheck.silence import fall_silent
from tests.mailcheck.sites import FLOWS, Impatient, Site, relay

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


def test_it_is_forgotten_when_the_relay_offers_chunking_anew(yacht):
    flows = []
    with Relay(CHUNKED, chunks=False) as provider:
        for call in range(5):
            provider.extensions = ["PIPELINING"] if call == 2 else CHUNKED
            provider.chunks = call >= 2
            flows.append(push(yacht, provider)[1])
            yacht.enqueue()
    assert flows == ["chunked", "pipelined", "pipelined", "chunked", "chunked"]


def test_it_is_not_forgotten_when_the_relay_offers_more_of_other_things(yacht):
    """Behind one name may be hosts that differ, and another of them answers in each call."""
    flows = []
    with Relay(CHUNKED, chunks=False) as provider:
        for call in range(4):
            provider.extensions = [["8BITMIME", *reversed(CHUNKED), "DSN"], CHUNKED][call % 2]
            flows.append(push(yacht, provider)[1])
            yacht.enqueue()
    assert flows == ["chunked", "pipelined", "pipelined", "pipelined"]


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


def test_giving_up_is_first_held_against_a_relay_for_a_day_only(yacht, monkeypatch):
    """It may have been the line."""
    with Relay(CHUNKED, replies={"MAIL": CUT}) as provider:
        assert [push(yacht, provider)[1] for _ in range(2)] == ["chunked", "pipelined"]
        provider.replies.clear()
        now = time.time()
        for later, expected in (86000, "in lock-step"), (86800, "chunked"):
            monkeypatch.setattr(time, "time", lambda later=later: now + later)
            assert push(yacht, provider)[1] == expected
            yacht.enqueue()


@pytest.mark.parametrize("flow, calls", [("chunked", 2), ("pipelined", 1), ("in lock-step", 1)])
def test_a_relay_that_says_of_messages_that_the_address_is_right(yacht, flow, calls):
    """Where all is in one flow that looks as if it were out of step."""
    with Relay(FLOWS[flow], replies={"final": "250 2.1.5 Ok"}) as provider:
        results = [push(yacht, provider)[0] for _ in range(calls)]
    assert [result.done for result in results] == [0, 3][-calls:] and results[-1].failures == []
    assert yacht.queued() == [] and set(subjects(provider)) == {1, 2, 3}


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


# Silence, which may be the relay's or the line's

SILENCES = {"CHUNKING": ("chunked", "pipelined"), "PIPELINING": ("pipelined", "in lock-step")}


@pytest.fixture
def impatient(yacht):
    yacht.line = Impatient()
    return yacht


@pytest.mark.parametrize("keyword", SILENCES)
def test_a_relay_that_takes_a_flight_and_never_answers_has_a_quirk_for_a_day(impatient, keyword, monkeypatch):
    shaky, sure = SILENCES[keyword]
    with Relay(FLOWS[shaky]) as provider:
        fall_silent(provider, "MAIL")
        result, flow = push(impatient, provider)
        ((_, text),) = result.failures
        assert flow == shaky and result.kept == 3 and "nothing came for 0.3 s" in text
        assert any("quirk" in line and keyword in line for line in impatient.log)
        del provider.reply
        result, flow = push(impatient, provider)
        assert flow == sure and result.done == 3 and result.failures == []
        assert subjects(provider) == [1, 2, 3] and impatient.queued() == []
        now = time.time()
        for later, expected in (86000, sure), (86800, shaky):
            impatient.enqueue()
            monkeypatch.setattr(time, "time", lambda later=later: now + later)
            assert push(impatient, provider)[1] == expected


@pytest.mark.parametrize("keyword", SILENCES)
def test_who_calls_once_a_day_gets_over_silence_too(impatient, keyword, monkeypatch):
    """The second time it is remembered for so long that the next call still knows it."""
    shaky, sure = SILENCES[keyword]
    now, found = time.time(), []
    with Relay(FLOWS[shaky]) as provider:
        for day, is_silent in enumerate([True, True, False, False]):
            monkeypatch.setattr(time, "time", lambda day=day: now + day * 90000)
            if is_silent:
                fall_silent(provider, "MAIL")
            result, flow = push(impatient, provider)
            found.append((flow, result.done))
            vars(provider).pop("reply", None)
            impatient.enqueue(b"Subject: 4\r\n\r\n")
        monkeypatch.setattr(time, "time", lambda: now + 90000 + 31 * 86400)
        assert push(impatient, provider)[1] == shaky
    assert found == [(shaky, 0), (shaky, 0), (sure, 5), (sure, 1)]


def test_a_relay_that_answers_nothing_at_all_ends_in_lock_step(impatient):
    flows = []
    with Relay(CHUNKED) as provider:
        for _ in range(4):
            fall_silent(provider, "MAIL")
            flows.append(push(impatient, provider)[1])
            del provider.reply
    assert flows == ["chunked", "pipelined", "in lock-step", "in lock-step"]
    assert len(impatient.queued()) == 3


@pytest.mark.parametrize("flow", FLOWS)
def test_silence_behind_a_message_that_was_taken_is_no_quirk(impatient, flow):
    with Relay(FLOWS[flow]) as provider:
        fall_silent(provider, "final", 2)
        result, _ = push(impatient, provider)
        assert result.done == 1 and result.kept == 2 and len(result.failures) == 1
        assert not any("quirk" in line for line in impatient.log)
        del provider.reply
        assert push(impatient, provider)[1] == flow
    assert set(subjects(provider)) == {1, 2, 3} and impatient.queued() == []


@pytest.mark.parametrize("command", ["greeting", "EHLO", "AUTH"])
def test_silence_before_the_first_message_is_no_quirk(impatient, command):
    with Relay([*CHUNKED, "AUTH PLAIN"]) as provider:
        fall_silent(provider, command)
        impatient.configure(relay=relay(provider.port, user="yacht", password="secret"))
        assert len(impatient.push().failures) == 1
        assert not any("quirk" in line for line in impatient.log)
        del provider.reply
        assert push(impatient, provider)[1] == "chunked"


def test_a_relay_that_needs_long_to_take_a_message_over_is_waited_for(yacht):
    """Who gives that up sends it twice."""
    class Strict(Impatient):
        def patience(self, awaited):
            return 5 if awaited == "acceptance" else 0.2
    yacht.line = Strict()
    with Relay(CHUNKED) as provider:
        usual = provider.reply
        provider.reply = lambda command, *text: (command == "final" and time.sleep(0.4)) or usual(command, *text)
        assert push(yacht, provider)[0].failures == []
    assert subjects(provider) == [1, 2, 3]

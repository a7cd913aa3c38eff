"""What a call takes, what of it is paid for, and that it ends when its allowance is used up; and calls that follow one
another in one run.

Time is the test's: the link and the worker of the first part are scripted, and say how long what they do lasts.
"""

import os
import threading
from decimal import Decimal

import pytest

from amsmail.link import ledger
from amsmail.link.allowance import Allowance
from amsmail.link.diallers import BUSY, NO_CARRIER, TIMED_OUT
from amsmail.link.dialled import Dialled
from amsmail.link.links import LinkError
from amsmail.program import call as calling
from amsmail.program.call import Call
from amsmail.program.screen import Screen
from tests.mailcheck.peers import Provider, Relay
from tests.mailcheck.sites import account, relay
from tests.mailcheck.test_mailcheck import Boat, wait_for

HANGING_UP = 2.0        # seconds
TARIFF = {"currency": "EUR", "setup_charge": "0.10", "increment": 20, "per_increment": "0.10", "per_mb": "1"}
ANY = Allowance(3600, "call_limit")


class Link:
    """A link whose attempts take so many seconds each, and fail for a Reason or succeed (None)."""

    is_dialled = True

    def __init__(self, attempts, clock):
        self._attempts, self._clock = attempts, clock
        self.given = []         # the seconds that there were for each attempt
        self.counted = []       # what its interface counts, from look to look

    def plug(self, settings, report, dials):
        self._report, self._dials = report, dials
        return self

    def is_up(self):
        return False

    def up(self):
        for number, (seconds, reason) in enumerate(self._attempts, 1):
            self.given.append(self._dials(number))
            self._clock.now += seconds
            if reason is None:
                return
            error = LinkError(reason.words, reason)
            self._report(number, error)
            self._clock.now += 30           # the pause
        raise error

    def down(self):
        self._clock.now += HANGING_UP

    def octets(self):
        return self.counted.pop(0) if self.counted else None


class Worker:
    """A worker that tells of octets, lets time go by, and ends when it is told to, or by itself where it has no more to
    do."""

    def __init__(self, clock, octets=0, seconds=0, goes_on=False):
        self._clock, self._octets, self._seconds, self._goes_on = clock, octets, seconds, goes_on
        self._ended = threading.Event()
        self.ended_because = ""

    def events(self):
        yield {"what": "sending", "way": "up", "octets": self._octets}
        self._clock.now += self._seconds
        if self._goes_on:
            assert self._ended.wait(10), "nobody ended it"

    def wait(self):
        return 0

    def end(self, why):
        self.ended_because = why
        self._ended.set()


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a call with these attempts, within an Allowance, whose worker does this; gives the Call."""
    monkeypatch.setattr(calling, "_LOOK", 0.01)

    def make(attempts=((10, None),), allowance=ANY, settings=TARIFF, counted=(), **work):
        clock = Clock()
        link = Link(attempts, clock)
        link.counted = list(counted)
        monkeypatch.setattr(calling.links, "make", link.plug)
        monkeypatch.setattr(calling, "Worker", lambda job: Worker(clock, **work))
        call = Call("gsm", {"currency": "", **settings}, Dialled(str(tmp_path / "dialled")),
                    lambda *event, **figures: None, Screen(False), clock)
        call.run({}, allowance, 0)
        call.given = link.given
        return call
    return make


# What is paid for

@pytest.mark.parametrize("attempts, seconds, cost", [
    # from the start of the attempt that was answered until it is hung up: 10 + 40 + 2 s are three times 20 s begun
    ([(10, None)], 52.0, "0.40"),
    # nobody answered: that costs nothing, nor do the pauses
    ([(25, BUSY), (25, BUSY), (10, None)], 52.0, "0.40"),
    ([(25, BUSY)] * 3, 0.0, "0.00"),
    # somebody did, or may have for all that is known: each time is a call
    ([(25, NO_CARRIER), (10, None)], 77.0, "0.70"),
    ([(25, TIMED_OUT), (45, NO_CARRIER)], 70.0, "0.70"),
])
def test_what_is_paid_for(make, attempts, seconds, cost):
    call = make(attempts, seconds=40)
    figures = call.figures()
    assert (figures["seconds"], figures["cost"]) == (seconds, cost)
    assert call.did_not_come_up == (attempts[-1][1] is not None)


def test_a_link_without_a_tariff_costs_nothing_that_is_known(make):
    assert make(settings={}).figures()["cost"] == ""


# What ends a call

LEFT = {"seconds": 3600, "limit": "call_limit"}


@pytest.mark.parametrize("allowance, work, why", [
    (Allowance(60, "its budget"), {"seconds": 51}, "it took longer than its budget, 60 s"),
    (Allowance(60, "call_limit"), {"seconds": 600}, "it took longer than call_limit, 60 s"),
    (Allowance(**LEFT, closes=100), {"seconds": 95}, "its window closes"),
    # 10000 octets of a session, and some per cent with the mail
    (Allowance(**LEFT, octets=100_000), {"octets": 90_000}, "its budget left 100000 octets, and they are used up"),
    # 0.10, and 0.10 for each 20 s begun; hanging up takes 5 s that are paid as well
    (Allowance(**LEFT, money=Decimal("0.40")), {"seconds": 46}, "its budget left 0.40, and that is used up"),
    # time and octets together
    (Allowance(**LEFT, money=Decimal("1.00")), {"seconds": 40, "octets": 600_000},
     "its budget left 1.00, and that is used up"),
])
def test_a_call_ends_when_its_allowance_is_used_up(make, allowance, work, why):
    call = make(allowance=allowance, goes_on=True, **work)
    assert [text for _, text in call.troubles] == [f"the call was ended: {why}"]


@pytest.mark.parametrize("allowance, work", [
    (Allowance(60, "its budget"), {"seconds": 49}),
    (Allowance(**LEFT, closes=100), {"seconds": 89}),
    (Allowance(**LEFT, octets=100_000), {"octets": 80_000}),
    (Allowance(**LEFT, money=Decimal("0.40")), {"seconds": 45}),
])
def test_and_not_before(make, allowance, work):
    assert make(allowance=allowance, **work).troubles == []


def test_what_is_not_paid_for_does_not_use_up_a_budget(make):
    """Two minutes of dialling in vain, of a budget of one."""
    assert make([(60, BUSY), (60, BUSY), (10, None)], Allowance(60, "its budget"), seconds=40).troubles == []


@pytest.mark.parametrize("allowance, attempts, why", [
    (Allowance(**LEFT, closes=90), [(95, BUSY), (10, None)], "its window closes"),
    (Allowance(60, "its budget"), [(61, NO_CARRIER), (10, None)], "it took longer than its budget, 60 s"),
    # each call that was answered pays the set-up again
    (Allowance(**LEFT, money=Decimal("0.49")), [(36, NO_CARRIER), (10, None)],
     "its budget left 0.49, and that is used up"),
])
def test_no_attempt_begins_when_the_allowance_is_used_up(make, allowance, attempts, why):
    call = make(attempts, allowance)
    assert [text for _, text in call.troubles] == [f"link gsm: not dialled again: {why}"]
    assert call.did_not_come_up


def test_an_attempt_has_no_more_time_than_the_call(make):
    """Unanswered ones leave a budget as it is, but not a window."""
    assert make([(40, BUSY), (10, None)], Allowance(60, "its budget")).given == [60, 60]
    assert make([(40, NO_CARRIER), (10, None)], Allowance(60, "its budget")).given == [60, 20]
    assert make([(40, BUSY), (10, None)], Allowance(**LEFT, closes=100)).given == [100, 30]


def test_a_link_that_came_up_too_late_carries_nothing(make):
    call = make([(61, None)], Allowance(60, "its budget"), octets=500)
    assert [text for _, text in call.troubles] == ["the call was ended: it took longer than its budget, 60 s"]
    assert call.figures()["bytes_up"] == 0 and call.figures()["seconds"] == 63.0


def test_what_a_worker_told_before_it_was_killed_is_paid_for(make):
    """It gave no results."""
    assert make(octets=100_000).figures()["bytes_up"] == 104_000


@pytest.mark.parametrize("counted, figures", [
    ([(1000, 500), (4000, 2500)], (2000, 3000, "interface")),
    ([(1000, 500), (40, 25)], (25, 40, "interface")),           # it was made anew meanwhile
    # it was not known before: it may have counted since the machine was started
    ([None, (9 * 10**9, 9 * 10**9)], (0, 0, "estimated")),
])
def test_what_the_interface_counted(make, counted, figures):
    call = make(counted=counted).figures()
    assert (call["bytes_up"], call["bytes_down"], call["bytes_are"]) == figures


# Records, and a bill that holds

def test_a_link_that_did_not_come_down_is_not_forgotten(tmp_path):
    """Another link is dialled in the same run; the next run tries to hang the first one up again."""
    boat = Boat(tmp_path / "boat")
    with Relay() as shore:
        boat.configure(relay=relay(shore.port))
        links(boat, gsm={**SMALL, "down": boat.command("stuck", "exit 1")}, vsat={"priority": 2})
        boat.enqueue(b"\r\n" + b"x" * 900 * 2 + b"\r\n"), boat.enqueue()
        assert boat.mailcheck()[0] == 69
        assert boat.calls == ["up", "stuck", "stuck", "up", "down"] and len(shore.accepted) == 2
        assert boat.mailcheck()[0] == 69 and boat.calls[5:] == ["stuck", "stuck"]
        links(boat, gsm=SMALL)
        assert boat.mailcheck() == (0, "") and boat.calls[7:] == ["down"] and not boat.is_dialled


@pytest.mark.parametrize("budget, code, calls", [("1 EUR a day", 69, []), ("", 75, ["up", "down"])])
def test_what_cannot_be_put_on_the_bill_spends_no_budget(tmp_path, budget, code, calls):
    """The ledger cannot be written; a link without a budget is used all the same."""
    boat = Boat(tmp_path / "boat")
    with Relay() as shore:
        boat.configure(relay=relay(shore.port))
        links(boat, gsm={"currency": "EUR", "setup_charge": "0.50", "budget": budget})
        boat.enqueue()
        os.mkdir(boat.spool.state("ledger.jsonl") + ".d")
        os.symlink(boat.spool.state("ledger.jsonl") + ".d/none/ledger", boat.spool.state("ledger.jsonl"))
        assert boat.mailcheck()[0] == code and boat.calls == calls
        assert len(shore.accepted) == len(calls) // 2


def test_sigterm_ends_the_run_and_not_just_a_call(tmp_path):
    boat = Boat(tmp_path / "boat")
    boat.configure(relay=relay(1))
    links(boat, gsm={**SMALL, "up": boat.command("up", "sleep 30")}, vsat={"priority": 2})
    boat.enqueue(b"\r\n" + b"x" * 900 * 2 + b"\r\n"), boat.enqueue()
    process = boat.start()
    wait_for(lambda: boat.calls == ["up"])
    process.terminate()
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (75, "mailcheck: stopped by SIGTERM\n")
    assert boat.calls == ["up", "down"] and not boat.is_dialled


# How much is fetched

MESSAGES = [(f"uid{size}", b"Subject: %d\r\n\r\n" % size + b"x" * 998 * (size // 1000) + b"\r\n")
            for size in (40_000, 10_000, 20_000, 30_000)]


def test_a_budget_limits_what_is_fetched_in_all(tmp_path):
    """Of 80 kB 66 are left for mail, so the three smallest come; the largest would have fitted alone."""
    boat = Boat(tmp_path / "boat")
    with Provider(list(MESSAGES)) as provider:
        boat.configure(accounts=account(provider.port))
        boat.link(budget="0.08 MB a day")
        assert boat.mailcheck() == (75, "")
        assert [uid for uid, _ in provider.messages] == ["uid40000"]
    assert len(boat.box("captain")) == 3


# Calls that follow one another

def links(boat, **links_):
    boat.configure(links={name: {"type": "command", "up": boat.command("up"), "down": boat.command("down"), **keys}
                          for name, keys in links_.items()})


def rows(boat):
    return [(call["link"], call["messages_out"], call["messages_in"], call["why"], call["outcome"])
            for call in ledger.read(boat.spool.state("ledger.jsonl"))]


SMALL = {"message_out": 1000, "priority": 1}


def test_the_next_link_takes_what_the_first_may_not(tmp_path):
    boat = Boat(tmp_path / "boat")
    with Relay() as shore, Provider([("uid1", b"Subject: in\r\n\r\n")]) as provider:
        boat.configure(relay=relay(shore.port), accounts=account(provider.port))
        links(boat, gsm=SMALL, vsat={"priority": 2})
        boat.enqueue(b"\r\n" + b"x" * 900 * 2 + b"\r\n"), boat.enqueue()
        assert boat.mailcheck() == (0, "")
        assert len(shore.accepted) == 2 and boat.queued() == []
    assert rows(boat) == [
        ("gsm", 1, 1, "it comes first", "ok"),
        ("vsat", 1, 0, "the first that may be used; gsm: it may not carry this", "ok")]
    assert len(boat.box("captain")) == 1, "and nobody is told of a large message that waits"


def test_where_the_first_does_not_come_up_the_next_takes_all(tmp_path):
    boat = Boat(tmp_path / "boat")
    with Relay() as shore, Provider([("uid1", b"Subject: in\r\n\r\n")]) as provider:
        boat.configure(relay=relay(shore.port), accounts=account(provider.port))
        links(boat, gsm={**SMALL, "up": "false"}, vsat={"priority": 2})
        boat.enqueue(b"\r\n" + b"x" * 900 * 2 + b"\r\n"), boat.enqueue()
        assert boat.mailcheck()[0] == 75
        assert len(shore.accepted) == 2
    (link, *figures, outcome), vsat = rows(boat)
    assert (link, figures) == ("gsm", [0, 0, "it comes first"]) and outcome.startswith("link gsm: the link did not")
    assert vsat == ("vsat", 2, 1, "the first that may be used; gsm: it did not come up", "ok")


def test_a_link_over_which_nothing_came_rests(tmp_path):
    """The relay is dead: the link is not paid for again at once, unless a person says so; the other has its turn."""
    boat = Boat(tmp_path / "boat")
    boat.configure(relay=relay(1))
    links(boat, gsm={"priority": 1})
    boat.enqueue()
    assert boat.mailcheck()[0] == 75 and boat.calls == ["up", "down"]
    assert boat.mailcheck()[0] == 0 and boat.calls == ["up", "down"]
    assert boat.mailcheck("--now")[0] == 75 and boat.calls == ["up", "down"] * 2
    links(boat, gsm={"priority": 1}, vsat={"priority": 2})
    assert boat.mailcheck()[0] == 75
    assert [link for link, *_ in rows(boat)] == ["gsm", "gsm", "vsat"]
    assert "gsm: 2 calls over it brought nothing, so it rests until" in rows(boat)[2][3]

"""A clock that is set, and a zone that is left: what mailcheck counts, dates and tells, and when amsd starts it.

A ship crosses zones, and on a machine without a battery the clock is wrong until GPS or NTP sets it.
"""

import json
import os
import sys
import time
from datetime import datetime

import pytest

from amsmail.link import ledger
from amsmail.program.run import Run
from amsmail.program.schedule import Schedule
from amsmail.program.screen import Screen
from amsmail.site import exits
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import relay
from tests.mailcheck.test_plan import RELAY, Planner
from tests.site.test_windows import BERLIN, LORD_HOWE, clock_of

HOUR, DAY = 3600, 86400


@pytest.fixture
def boat(tmp_path):
    with clock_of("UTC0"):
        yield Planner(tmp_path / "boat")


def at(text):
    return datetime.fromisoformat(text).timestamp()


class Clock:
    """One that shows `shown`, and goes on from there; as soon as `is_set()` it is another `by` seconds later."""

    def __init__(self, shown, by, is_set):
        self._ahead, self._by, self._is_set = at(shown) - time.monotonic(), by, is_set

    def __call__(self):
        return self._ahead + time.monotonic() + (self._by if self._is_set() else 0)


def called(boat, clock, **link):
    """The ledger's only line after a call over a link with these keys, during which a message went out."""
    with Relay() as shore:
        boat.configure(relay=relay(shore.port))
        boat.link(currency="EUR", per_minute="0.60", increment=1, **link)
        boat.enqueue()
        assert Run(str(boat.path), Screen(False), clock=clock).run() == exits.OK
        assert len(shore.accepted) == 1 and boat.calls == ["up", "down"]
    (call,) = boat.ledger
    return call


# A call during which the clock is set

@pytest.mark.parametrize("shown, by, dated", [
    ("2026-11-20T23:30+00:00", 5 * HOUR, "2026-11-21 04:30"),       # it was behind
    ("2026-11-21T04:30+00:00", -5 * HOUR, "2026-11-20 23:30"),      # it was ahead
    ("1970-01-01T00:05+00:00", 20_777 * DAY, "2026-11-20 00:05"),   # it had lost the time
    ("2028-02-29T23:59+00:00", 30, "2028-02-29 23:59"),             # a drift is none
])
def test_a_call_that_sets_the_clock_is_dated_by_it(boat, shown, by, dated):
    """As by NTP, as soon as the link is up.  What it lasted, and so what it costs, no clock on the wall says."""
    call = called(boat, Clock(shown, by, lambda: boat.calls))
    assert time.strftime("%Y-%m-%d %H:%M", time.localtime(call["start"])) == dated
    assert call["seconds"] < 30 and float(call["cost"]) < 0.30


def test_a_clock_that_is_set_does_not_end_a_call(boat):
    """Neither by its limit nor by its window: within a call only what has passed counts."""
    call = called(boat, Clock("2026-11-20T12:59+00:00", 5 * HOUR, lambda: boat.calls),
                  windows="12:00-13:00", call_limit=50)
    assert call["outcome"] == "ok"


def test_a_budget_counts_it_on_the_day_that_it_really_was(boat):
    """The clock was two days behind when the call began: it is today's money that is spent."""
    clock = Clock("2026-11-18T12:00+00:00", 2 * DAY, lambda: boat.calls)
    called(boat, clock, setup_charge="1.00", budget="1.50 EUR a day")
    run = Run(str(boat.path), Screen(False), clock=clock)
    (_, standing), = run.budgets(boat.ledger)
    assert standing.used >= 1
    boat.enqueue()
    assert "budget" in run.plan().verdicts[0].why_not or run.plan().verdicts[0].waits


# A call that was killed

@pytest.mark.parametrize("now, seconds", [
    ("2026-11-20T12:00:20+00:00", 20.0),        # until now
    ("2026-11-20T14:00+00:00", 60.0),           # as long as a call may take
    ("2026-11-20T11:00+00:00", 60.0),           # the power cut took the time along: nobody knows how long it was
    ("1970-01-01T00:01+00:00", 60.0),
])
def test_a_killed_call_is_paid_for_whatever_the_clock_shows_then(boat, now, seconds):
    boat.link(currency="EUR", per_minute="0.60", increment=1, call_limit=60)
    ledger.begin(boat.spool.state("ledger.jsonl"), {"link": "gsm", "start": int(at("2026-11-20T12:00+00:00"))}, [])
    assert Run(str(boat.path), Screen(False), clock=lambda: at(now)).run() == exits.OK
    (call,) = boat.ledger
    assert (call["seconds"], call["cost"]) == (seconds, f"{seconds / 100:.2f}")


# What --plan and --status tell

@pytest.mark.parametrize("option", ["--plan", "--status"])
def test_a_call_that_is_still_to_come(boat, option):
    """Either the clock was wrong when it was made, or it is wrong now: only a person can know."""
    boat.configure(relay=RELAY)
    boat.spool.lock("queue").release()
    boat.had(start=int(at("2099-06-01T10:00+00:00")))
    boat.had()
    assert ("A call over gsm is dated 2099-06-01 10:00, which is still to come: the clock was wrong then, or is wrong "
            "now.") in boat.says(option)


@pytest.mark.parametrize("start", [0, "x", None, 1e300, float("nan"), True, -5])
def test_what_is_no_date_is_not_told(boat, start):
    boat.had(start=start)
    assert "to come" not in boat.run("--plan")[1]


# Days, months and zones

@pytest.mark.parametrize("zone", ["UTC0", BERLIN, "NZST-12NZDT,M9.5.0,M4.1.0/3", "SST11", LORD_HOWE])
def test_a_ship_that_crosses_zones_keeps_one_bill(boat, zone):
    """The budget's day and the bill's are the same in each zone, also across the date line: no call is counted in two
    days or in none."""
    boat.link(currency="EUR", setup_charge="1", budget="99 EUR a day")
    now = at("2026-03-01T10:20+00:00")
    for hours in range(-40, 1):
        boat.had(start=int(now + hours * HOUR))
    with clock_of(zone):
        (_, standing), = Run(str(boat.path), Screen(False), clock=lambda: now).budgets(boat.ledger)
        today = time.strftime("%Y-%m-%d", time.localtime(now))
        code, bill = boat.run("--report", "--by", "day", "--json")
    rows = {row["day"]: row["calls"] for row in json.loads(bill)["rows"]}
    assert code == 0 and sum(rows.values()) == 41 and standing.used == rows[today]


# amsd's clock

def ran(boat, schedule, start, change):
    """Whether amsd starts mailcheck within a second by a clock that shows `start` when it begins, once
    `change` was done."""
    notes = boat.path.parent / "notes"
    boat.configure(calls={"schedule": schedule})
    clock = Schedule(str(boat.path), [sys.executable, "-IS", "-c", f"open({str(notes)!r}, 'w')"],
                     lambda: start + time.monotonic() - begun, 0.01)
    begun = time.monotonic()
    clock.start()
    try:
        change()
        until = time.monotonic() + 1
        while not notes.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return notes.exists()
    finally:
        clock.stop()


@pytest.mark.parametrize("zone, runs", [("UTC0", False), ("AST1", True)])
def test_amsd_notices_that_the_zone_was_changed(boat, zone, runs):
    """In the next zone to the west it is eight; nobody restarts amsd for that."""
    def cross():
        os.environ["TZ"] = zone         # what a process sees of it before it asks again is nothing
    assert ran(boat, "0 8 * * *", at("2026-11-20T08:59:59.8+00:00"), cross) == runs

"""amsd's clock: [calls] schedule."""

import sys
import time
from datetime import datetime

import pytest

from amsmail.program.schedule import Schedule
from tests.mailcheck.sites import Site

NINE = datetime(2026, 11, 20, 9, 0).timestamp()


class Clock:
    """Goes `speed` times as fast as the real one, from `start` on."""

    def __init__(self, start, speed):
        self._start, self._speed, self._begun = start, speed, time.monotonic()

    def __call__(self):
        return self._start + self._speed * (time.monotonic() - self._begun)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "site")


def ran(site, tmp_path, schedule, start, enough):
    """How often the command ran, with the path of mail.cfg, until `enough` runs or for a second."""
    notes = tmp_path / "notes"
    notes.touch()
    if schedule is not None:
        site.configure(calls={"schedule": schedule})
    note = f"import sys; open({str(notes)!r}, 'a').write(sys.argv[1] + '\\n')"
    clock = Schedule(str(site.path), [sys.executable, "-IS", "-c", note], Clock(start, 240), 0.01)
    clock.start()
    end = time.monotonic() + 1
    while len(notes.read_text().splitlines()) < enough and time.monotonic() < end:
        time.sleep(0.01)
    clock.stop()
    lines = notes.read_text().splitlines()
    assert set(lines) <= {str(site.path)}
    return len(lines)


def test_it_runs_in_each_minute_that_is_named(site, tmp_path):
    assert ran(site, tmp_path, "*/1 * * * *", NINE, 2) >= 2


def test_it_does_not_run_in_others(site, tmp_path):
    assert ran(site, tmp_path, "0 8 * * *", NINE, 1) == 0


def test_not_in_the_minute_in_which_it_started(site, tmp_path):
    """A machine that restarts again and again must not call each time."""
    assert ran(site, tmp_path, "0 9 * * *", NINE + 1, 1) == 0


@pytest.mark.parametrize("schedule", [None, ""])
def test_without_a_schedule_it_never_runs(site, tmp_path, schedule):
    assert ran(site, tmp_path, schedule, NINE, 1) == 0


def test_a_mailcheck_that_runs_is_ended_in_order(site, tmp_path):
    """By SIGTERM, so that it hangs up."""
    notes = tmp_path / "notes"
    site.configure(calls={"schedule": "*/1 * * * *"})
    code = (f"import signal, sys, time; notes = open({str(notes)!r}, 'a', buffering=1)\n"
            "signal.signal(signal.SIGTERM, lambda *_: (notes.write('ended\\n'), sys.exit()))\n"
            "notes.write('began\\n'); time.sleep(30)")
    clock = Schedule(str(site.path), [sys.executable, "-IS", "-c", code], Clock(NINE, 240), 0.01)
    clock.start()
    end = time.monotonic() + 5
    while not (notes.exists() and notes.read_text()) and time.monotonic() < end:
        time.sleep(0.01)
    clock.stop()
    assert notes.read_text() == "began\nended\n"

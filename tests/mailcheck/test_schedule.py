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


class SetBack(Clock):
    """One that is put back by an hour as soon as somebody has looked at it."""

    _ahead = 3600

    def __call__(self):
        ahead, self._ahead = self._ahead, 0
        return super().__call__() + ahead


def ran(site, tmp_path, schedule, start, enough, make=Clock):
    """How often the command ran, with the path of mail.cfg, until `enough` runs or for a second."""
    notes = tmp_path / "notes"
    notes.touch()
    if schedule is not None:
        site.configure(calls={"schedule": schedule})
    note = f"import sys; open({str(notes)!r}, 'a').write(sys.argv[1] + '\\n')"
    clock = Schedule(str(site.path), [sys.executable, "-IS", "-c", note], make(start, 240), 0.01)
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


def test_a_clock_that_was_put_back(site, tmp_path):
    """What is on the schedule comes when it is due by the new time, and not a day later."""
    assert ran(site, tmp_path, "1 9 * * *", NINE, 1, SetBack) == 1


def test_a_start_that_fails_is_logged_and_not_the_last(site, tmp_path, capfd):
    """As where the machine has no memory for a moment."""
    program = tmp_path / "mailcheck"
    site.configure(calls={"schedule": "*/1 * * * *"})
    clock = Schedule(str(site.path), [program], Clock(NINE, 240), 0.01)
    clock.start()
    wait_for(lambda: "not-started command=mailcheck" in capfd.readouterr().err)
    program.write_text(f"#!/bin/sh\necho ran > {tmp_path}/notes\n")
    program.chmod(0o755)
    wait_for((tmp_path / "notes").exists)
    clock.stop()


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


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

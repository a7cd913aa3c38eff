"""When calls are allowed: examples by the clock on the wall, and a reader of windows that goes minute by minute."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsmail.site import windows

# Rules instead of names, so that no data base of time zones is needed.  Each puts its clock forward and back.
BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"               # at 2:00 on 2025-03-30, at 3:00 on 2025-10-26
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"  # by half an hour, at 2:00 on 2025-10-05 and 2025-04-06
HAVANA = "CST5CDT,M3.2.0/0,M11.1.0/1"               # at midnight on 2025-03-09, at 1:00 on 2025-11-02
UTC = "UTC0"
DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()


@contextmanager
def clock_of(zone):
    """The machine's clock shows the time of this zone."""
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = zone
        time.tzset()
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.fixture
def berlin():
    with clock_of(BERLIN):
        yield


def at(text):
    return text and datetime.fromisoformat(text)


# Times of day and cron expressions.  2025-06-02 is a Monday.
@pytest.mark.parametrize("text, when, opens, closes", [
    ("08:00-09:30", "2025-06-02T07:59:59+02:00", "2025-06-02T08:00+02:00", "2025-06-02T09:30+02:00"),
    ("8:00 - 9:30", "2025-06-02T08:00+02:00", "2025-06-02T08:00+02:00", "2025-06-02T09:30+02:00"),
    ("08:00-09:30", "2025-06-02T09:29:59.5+02:00", "2025-06-02T09:29:59.5+02:00", "2025-06-02T09:30+02:00"),
    ("08:00-09:30", "2025-06-02T09:30+02:00", "2025-06-03T08:00+02:00", "2025-06-03T09:30+02:00"),
    ("08:00-09:30", "2025-06-02T06:15+00:00", "2025-06-02T08:15+02:00", "2025-06-02T09:30+02:00"),
    ("22:00-06:00", "2025-06-02T12:00+02:00", "2025-06-02T22:00+02:00", "2025-06-03T06:00+02:00"),
    ("22:00-06:00", "2025-06-02T05:59+02:00", "2025-06-02T05:59+02:00", "2025-06-02T06:00+02:00"),
    ("22:00-00:00", "2025-06-02T23:59+02:00", "2025-06-02T23:59+02:00", "2025-06-03T00:00+02:00"),
    ("08:00-09:00,09:00-10:00", "2025-06-02T08:30+02:00", "2025-06-02T08:30+02:00", "2025-06-02T10:00+02:00"),
    ("08:00-09:00, 12:00-13:00", "2025-06-02T10:00+02:00", "2025-06-02T12:00+02:00", "2025-06-02T13:00+02:00"),
    ("Mon-Fri 08:00-09:30", "2025-06-06T10:00+02:00", "2025-06-09T08:00+02:00", "2025-06-09T09:30+02:00"),
    ("sat, sun 00:00-24:00", "2025-06-02T00:00+02:00", "2025-06-07T00:00+02:00", "2025-06-09T00:00+02:00"),
    ("Fri-Mon 06:00-07:00", "2025-06-03T00:00+02:00", "2025-06-06T06:00+02:00", "2025-06-06T07:00+02:00"),
    ("Sun 22:00-06:00", "2025-06-02T05:00+02:00", "2025-06-02T05:00+02:00", "2025-06-02T06:00+02:00"),
    ("Mon 22:00-06:00", "2025-06-02T05:00+02:00", "2025-06-02T22:00+02:00", "2025-06-03T06:00+02:00"),
    ("Mon 08:00-09:00; Tue 10:00-11:00", "2025-06-02T09:00+02:00", "2025-06-03T10:00+02:00", "2025-06-03T11:00+02:00"),
    ("22:00-24:00; 00:00-06:00", "2025-06-02T23:00+02:00", "2025-06-02T23:00+02:00", "2025-06-03T06:00+02:00"),
    ("*/10 * * * *", "2025-06-02T12:01+02:00", "2025-06-02T12:10+02:00", "2025-06-02T12:11+02:00"),
    ("* 8-9 * * mon-fri", "2025-06-06T10:00+02:00", "2025-06-09T08:00+02:00", "2025-06-09T10:00+02:00"),
    ("59 23 * * *; 0 0 * * *", "2025-06-02T12:00+02:00", "2025-06-02T23:59+02:00", "2025-06-03T00:01+02:00"),
    ("0 12 13 * 5", "2025-06-02T12:00+02:00", "2025-06-06T12:00+02:00", "2025-06-06T12:01+02:00"),
    ("0 12 13 * *", "2025-06-02T12:00+02:00", "2025-06-13T12:00+02:00", "2025-06-13T12:01+02:00"),
    ("0 0 29 2 *", "2025-06-02T12:00+02:00", "2028-02-29T00:00+01:00", "2028-02-29T00:01+01:00"),
    ("0 0 30 2 *", "2025-06-02T12:00+02:00", None, None),
    ("", "2025-06-02T12:00+02:00", "2025-06-02T12:00+02:00", None),
    ("00:00-24:00", "2025-06-02T12:00+02:00", "2025-06-02T12:00+02:00", None),
    ("* * * * *", "2025-06-02T12:00+02:00", "2025-06-02T12:00+02:00", None),
    ("* * 1-15 * *; * * 16-31 * *", "2025-06-02T12:00+02:00", "2025-06-02T12:00+02:00", None),
    # The clock is put forward: 02:00 to 02:59 is left out on 2025-03-30, a Sunday.
    ("01:00-02:30", "2025-03-30T00:00+01:00", "2025-03-30T01:00+01:00", "2025-03-30T03:00+02:00"),
    ("02:30-04:00", "2025-03-30T00:00+01:00", "2025-03-30T03:00+02:00", "2025-03-30T04:00+02:00"),
    ("02:10-02:50", "2025-03-30T00:00+01:00", "2025-03-31T02:10+02:00", "2025-03-31T02:50+02:00"),
    ("Sun 02:10-02:50", "2025-03-30T00:00+01:00", "2025-04-06T02:10+02:00", "2025-04-06T02:50+02:00"),
    ("30 2 * * *", "2025-03-30T00:00+01:00", "2025-03-31T02:30+02:00", "2025-03-31T02:31+02:00"),
    ("22:00-06:00", "2025-03-29T22:00+01:00", "2025-03-29T22:00+01:00", "2025-03-30T06:00+02:00"),
    # It is put back: 02:00 to 02:59 comes twice on 2025-10-26.
    ("01:00-02:30", "2025-10-26T00:00+02:00", "2025-10-26T01:00+02:00", "2025-10-26T02:30+02:00"),
    ("01:00-02:30", "2025-10-26T02:30+02:00", "2025-10-26T02:00+01:00", "2025-10-26T02:30+01:00"),
    ("02:30-04:00", "2025-10-26T00:00+02:00", "2025-10-26T02:30+02:00", "2025-10-26T02:00+01:00"),
    ("02:30-04:00", "2025-10-26T02:00+01:00", "2025-10-26T02:30+01:00", "2025-10-26T04:00+01:00"),
    ("02:00-03:00", "2025-10-26T00:00+02:00", "2025-10-26T02:00+02:00", "2025-10-26T03:00+01:00"),
    ("30 2 * * *", "2025-10-26T02:31+02:00", "2025-10-26T02:30+01:00", "2025-10-26T02:31+01:00"),
])
def test_next_opening_and_its_end(berlin, text, when, opens, closes):
    found = windows.parse(text)
    assert found.opens(at(when)) == at(opens)
    assert found.is_open(at(when)) == (at(opens) == at(when))
    assert opens is None or found.closes(at(opens)) == at(closes)


def test_moments_are_given_in_local_time(berlin):
    assert windows.parse("08:00-09:30").opens(at("2025-06-02T00:00+00:00")).isoformat() == "2025-06-02T08:00:00+02:00"


def test_a_moment_without_time_zone_is_local_time(berlin):
    found = windows.parse("08:00-09:30")
    assert found.is_open(datetime(2025, 6, 2, 8)) and not found.is_open(datetime(2025, 6, 2, 7, 59))


def test_what_is_closed_closes_now(berlin):
    when = at("2025-06-02T12:00+02:00")
    assert windows.parse("08:00-09:30").closes(when) == when


@pytest.mark.parametrize("text, wrong", [
    ("x", "'x' is neither times of day nor"),
    ("always", "'always' is neither"),
    ("Mon-Fri", "'Mon-Fri' is neither"),
    ("08:00-09:00;", "'' is neither"),
    ("* * * *", "'* * * *' is neither"),
    ("0 * * * * *", "'0 * * * * *' is neither"),
    ("@daily", "'@daily' is neither"),
    ("25:00-06:00", "'25:00' is no time of day"),
    ("08:60-09:00", "'08:60' is no time of day"),
    ("08:00-24:01", "'24:01' is no time of day"),
    ("8-9:00", "'8' is no time of day"),
    ("08:00", "'08:00' is no span"),
    ("08:00-09:00-10:00", "'09:00-10:00' is no time of day"),
    ("08:00-09:00,", "'' is no span"),
    ("08:00-08:00", "'08:00-08:00' starts where it ends"),
    ("24:00-08:00", "'24:00-08:00' starts where it ends, or the day does"),
    ("Mon-Fry 08:00-09:00", "'Mon-Fry' is no day of Mon to Sun"),
    ("Mon-Tue-Wed 08:00-09:00", "'Mon-Tue-Wed' is no day"),
    ("Mon,,Tue 08:00-09:00", "'' is no day"),
    ("08:00-09:00 Mon", "'08:00-09:00' is no day"),
    ("Mon 08:00-09:00, Tue 08:00-09:00", "is more than days and times"),
    ("60 * * * *", "'60' is no minute"),
    ("* 24 * * *", "'24' is no hour"),
    ("* * 32 * *", "'32' is no day of the month"),
    ("* * * 0 *", "'0' is no month"),
    ("* * * * MON-FRY", "'MON-FRY' is no day of the week"),
    ("*/0 * * * *", "'*/0' is no minute"),
    ("9" * 5000 + " * * * *", "is no minute"),
])
def test_a_mistake_is_named_with_what_is_expected(text, wrong):
    with pytest.raises(ValueError) as caught:
        windows.parse(text)
    assert str(caught.value).startswith("windows such as 22:00-06:00, ")
    assert wrong in str(caught.value)


@pytest.mark.parametrize("text, problems", [
    ("", []),
    ("08:00-09:00,09:00-10:00", []),
    ("Mon-Fri 22:00-06:00; Sat 06:00-07:00", []),
    ("Mon 22:00-06:00; Mon 05:00-07:00", []),
    ("* 8 * * *; * 9 * * *", []),
    ("*/2 * * * *; 1-59/2 * * * *", []),
    ("* * 1-15 * *; * * 16-31 * *", []),
    ("* * 29 2 *; * * 28 2 *", []),
    ("0 0 30 2 *", ["'0 0 30 2 *' never opens"]),
    ("0 0 31 4,6 *; 0 0 30 2 *", ["'0 0 31 4,6 *' never opens", "'0 0 30 2 *' never opens"]),
    ("08:00-09:00; 0 8 31 6 *", ["'0 8 31 6 *' never opens"]),
    ("08:00-10:00,09:00-11:00",
     ["'08:00-10:00' and '09:00-11:00' overlap, for instance on Mon 2024-01-01 at 09:00"]),
    ("Sun 22:00-06:00; Mon 05:00-07:00",
     ["'Sun 22:00-06:00' and 'Mon 05:00-07:00' overlap, for instance on Mon 2024-01-08 at 05:00"]),
    ("Mon 05:00-07:00; Sun 22:00-06:00",
     ["'Mon 05:00-07:00' and 'Sun 22:00-06:00' overlap, for instance on Mon 2024-01-01 at 05:00"]),
    ("Sat 22:00-06:00; 0 5 29 2 *",
     ["'Sat 22:00-06:00' and '0 5 29 2 *' overlap, for instance on Sun 2032-02-29 at 05:00"]),
    ("*/2 * 31 * *; 30 12 * 12 *",
     ["'*/2 * 31 * *' and '30 12 * 12 *' overlap, for instance on Tue 2024-12-31 at 12:30"]),
    ("08:00-09:00; 08:00-09:00; 08:30-08:45",
     ["'08:00-09:00' and '08:00-09:00' overlap, for instance on Mon 2024-01-01 at 08:00",
      "'08:00-09:00' and '08:30-08:45' overlap, for instance on Mon 2024-01-01 at 08:30",
      "'08:00-09:00' and '08:30-08:45' overlap, for instance on Mon 2024-01-01 at 08:30"]),
])
def test_what_makes_no_sense_is_named(text, problems):
    assert windows.parse(text).problems() == problems


# Windows as hypothesis makes them: a text, and whether it is open on a day of the week at a minute of the day.

clock_times = st.integers(0, 1439)
days_of_week = st.sets(st.integers(0, 6), min_size=1).map(sorted)


def clock(minute):
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def times_of_day(draw):
    days, start, length = draw(days_of_week), draw(clock_times), draw(st.integers(1, 1439))

    def is_open(day, minute):
        return any(began % 7 in days and start <= minute + (day - began) * 1440 < start + length
                   for began in (day, day - 1))

    names = ",".join(DAYS[day] for day in days)
    return f"{names} {clock(start)}-{clock((start + length) % 1440)}", is_open


@st.composite
def cron_expressions(draw):
    step, hours, days = draw(st.integers(1, 59)), sorted(draw(st.tuples(*[st.integers(0, 23)] * 2))), draw(days_of_week)

    def is_open(day, minute):
        return minute % 60 % step == 0 and hours[0] <= minute // 60 <= hours[1] and day in days

    names = ",".join(DAYS[day] for day in days)
    return f"*/{step} {hours[0]}-{hours[1]} * * {names}", is_open


several = st.lists(times_of_day() | cron_expressions(), min_size=1, max_size=3)
# Moments (seconds since the epoch) near those at which one of the clocks is put forward or back, and others.
changes = st.sampled_from(["2025-03-30T01:00Z", "2025-10-26T01:00Z", "2025-10-04T15:30Z", "2025-04-05T15:00Z",
                           "2025-03-09T05:00Z", "2025-11-02T05:00Z"]).map(lambda text: int(at(text).timestamp()))
near_changes = st.builds(lambda change, seconds: change + seconds, changes, st.integers(-86400, 86400))
moments = near_changes | st.integers(0, 2**32)
zones = st.sampled_from([BERLIN, LORD_HOWE, HAVANA, UTC])


def minute_by_minute(found, moment, wanted):
    """The next moment, within two days, when one of the windows (or none) is open; slowly, and so plainly."""
    for later in [moment, *range(moment // 60 * 60 + 60, moment + 2 * 86400, 60)]:
        t = time.localtime(later)
        if any(is_open(t.tm_wday, t.tm_hour * 60 + t.tm_min) for _, is_open in found) == wanted:
            return later
    return None


@settings(deadline=None)
@given(several, moments, zones)
def test_the_next_change_is_the_one_that_each_minute_in_a_row_shows(several, moment, zone):
    found = windows.parse("; ".join(text for text, _ in several))
    with clock_of(zone):
        when = datetime.fromtimestamp(moment).astimezone()
        for method, wanted in (found.opens, True), (found.closes, False):
            slowly = minute_by_minute(several, moment, wanted)
            quickly = method(when)
            if slowly is not None:
                assert quickly is not None and int(quickly.timestamp()) == slowly
            else:
                assert quickly is None or quickly >= when + timedelta(days=2, minutes=-1)


@settings(deadline=None)
@given(several, moments, zones, st.floats(0, 0.999))
def test_opens_is_never_before_and_open_there_and_closed_until_then(several, moment, zone, fraction):
    found = windows.parse("; ".join(text for text, _ in several))
    with clock_of(zone):
        when = datetime.fromtimestamp(moment).astimezone() + timedelta(seconds=fraction)
        opens = found.opens(when)
        assert opens >= when and found.is_open(opens)
        assert found.is_open(when) == (opens == when)
        assert not found.is_open(when + fraction * (opens - when)) or opens == when
        closes = found.closes(opens)
        if closes is not None:
            assert closes > opens and not found.is_open(closes)
            assert found.is_open(opens + fraction * (closes - opens))


@settings(deadline=None)
@given(several)
def test_windows_overlap_where_the_minutes_of_a_week_do(several):
    """A time of day past midnight on Sunday meets Monday, so a week has to be a circle."""
    found = windows.parse("; ".join(text for text, _ in several))
    minutes = [(text, {(day, minute) for day in range(7) for minute in range(1440) if is_open(day, minute)})
               for text, is_open in several]
    overlaps = [f"{a!r} and {b!r} overlap" for (a, of_a), (b, of_b) in combinations(minutes, 2) if of_a & of_b]
    assert [problem.rpartition(", for instance")[0] for problem in found.problems()] == overlaps


words = "Mon Fri - , ; : 08:00 24:00 22:00-06:00 * */10 / L LW # 5L 1#2 31 0 7 jan ² ß".split()
pieces = st.lists(st.sampled_from([*words, " "]), max_size=14).map("".join)


@settings(deadline=None)
@given(st.text() | pieces | st.lists(st.text("*/,-L#0123456789W", max_size=4), min_size=5, max_size=5).map(" ".join))
def test_a_text_is_read_or_refused_in_words(text):
    try:
        found = windows.parse(text)
    except ValueError as error:
        assert str(error).startswith("windows such as ")
    else:
        found.problems()
        when = at("2025-06-02T12:00+02:00")
        opens = found.opens(when)
        assert opens is None or found.is_open(opens)


def test_cronsim_is_imported_for_cron_expressions_only():
    """It costs mailcheck's start 20 ms."""
    code = "import sys; from amsmail.site import windows; windows.parse(sys.argv[1]); print('cronsim' in sys.modules)"
    said = [subprocess.run([sys.executable, "-c", code, text], capture_output=True, text=True, check=True).stdout
            for text in ("Mon 08:00-09:00", "0 8 * * *")]
    assert said == ["False\n", "True\n"]

"""For how long a link may be used, and what counts for its budget, where the clock on the wall jumps: summer time,
the ends of months and of years."""

from datetime import datetime
from decimal import Decimal

import pytest

from amsmail.site import budget, config_file
from tests.link_choice.test_choice import CONFIG, PPP, weigh
from tests.site.test_windows import BERLIN, LORD_HOWE, clock_of

HOUR = 3600


def at(text):
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def link(tmp_path):
    """Makes {"gsm": section} of a text with a `|` between the keys."""
    path = tmp_path / "mail.cfg"
    path.touch(0o600)

    def link(keys):
        path.write_text(CONFIG + "\n".join(["[[gsm]]", *f"{PPP} | {keys}".split("|")]) + "\n")
        return config_file.read(str(path))["links"]
    return link


@pytest.mark.parametrize("zone, window, now, seconds", [
    # Berlin: two to three is left out on one night and comes twice on another
    (BERLIN, "01:00-04:00", "2026-03-28T01:00+01:00", 3 * HOUR),
    (BERLIN, "01:00-04:00", "2026-03-29T01:00+01:00", 2 * HOUR),
    (BERLIN, "01:00-04:00", "2026-10-25T01:00+02:00", 4 * HOUR),
    # half past two comes twice: the window closes at the first three, and is open again for what is left of it
    (BERLIN, "01:00-02:30", "2026-10-25T02:00+02:00", HOUR // 2),
    (BERLIN, "01:00-02:30", "2026-10-25T02:00+01:00", HOUR // 2),
    # Lord Howe: half an hour, from two on, and back at two
    (LORD_HOWE, "01:00-03:00", "2026-10-04T01:00+10:30", 3 * HOUR // 2),
    (LORD_HOWE, "01:00-03:00", "2026-04-05T01:00+11:00", 5 * HOUR // 2),
    (LORD_HOWE, "23:00-02:15", "2026-10-03T23:00+10:30", 3 * HOUR),
    # the ends of a leap year's February and of a year
    ("UTC0", "23:00-01:00", "2028-02-29T23:30+00:00", 3 * HOUR // 2),
    ("UTC0", "23:00-01:00", "2026-12-31T23:30+00:00", 3 * HOUR // 2),
])
def test_a_call_lasts_until_its_window_has_passed(link, zone, window, now, seconds):
    """Seconds that pass, not those by which the clock moves on."""
    with clock_of(zone):
        verdict, = weigh(link(f"call_limit = 86400 | windows = {window}"), now=at(now))
    assert (verdict.allowance.closes, verdict.allowance.seconds, verdict.allowance.limit) == (
        seconds, seconds, "its window")


@pytest.mark.parametrize("zone, now, opens", [
    (BERLIN, "2026-03-29T00:00+01:00", "2026-03-30T02:10+02:00"),           # left out: not before the next night
    (BERLIN, "2026-10-25T02:50+02:00", "2026-10-25T02:10+01:00"),           # comes twice: once more
    (LORD_HOWE, "2026-10-04T00:00+10:30", "2026-10-04T02:30+11:00"),        # its rest, from the first moment there is
])
def test_a_window_that_the_clock_leaves_out_or_shows_twice(link, zone, now, opens):
    with clock_of(zone):
        verdict, = weigh(link("windows = 02:10-02:50 | urgent = at any time"), now=at(now))
        assert verdict.opens == datetime.fromisoformat(opens)


@pytest.mark.parametrize("zone, then, now, same_day, same_month", [
    ("UTC0", "2028-02-28T12:00+00:00", "2028-02-29T12:00+00:00", False, True),
    ("UTC0", "2028-02-29T23:59:59+00:00", "2028-03-01T00:00+00:00", False, False),
    ("UTC0", "2027-02-28T23:59:59+00:00", "2027-03-01T00:00+00:00", False, False),
    ("UTC0", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00+00:00", False, False),
    ("UTC0", "2025-12-31T12:00+00:00", "2026-12-31T12:00+00:00", False, False),     # a year ago is another month
    (LORD_HOWE, "2026-10-04T00:00+10:30", "2026-10-04T23:59+11:00", True, True),    # the day of 23.5 hours
    (LORD_HOWE, "2026-04-05T00:00+11:00", "2026-04-05T23:59+10:30", True, True),    # that of 24.5
    (LORD_HOWE, "2026-04-05T00:00+11:00", "2026-04-06T00:00+10:30", False, True),
    # the clock was put back over midnight: it is that day once more, with what was used of it
    ("UTC0", "2026-11-20T23:50+00:00", "2026-11-20T23:40+00:00", True, True),
])
def test_what_counts_for_a_budget(zone, then, now, same_day, same_month):
    call = {"link": "gsm", "start": at(then), "cost": "1.00", "currency": "EUR"}
    with clock_of(zone):
        day, month = budget.standings(budget.parse("2 EUR a day, 3 EUR a month"), "gsm", [call], at(now))
    assert (day.left, month.left) == (Decimal(2 - same_day), Decimal(3 - same_month))

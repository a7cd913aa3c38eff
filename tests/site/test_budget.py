"""Budgets: what a text says, what calls took, and what is left."""

import marshal
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsmail.site import budget

from .test_windows import BERLIN, clock_of


@pytest.fixture(autouse=True, scope="module")
def berlin():
    with clock_of(BERLIN):
        yield


def at(text):
    return datetime.fromisoformat(text).timestamp()


def call(start, link="sat", **figures):
    return {"start": at(start), "link": link, "seconds": 0, "bytes_up": 0, "bytes_down": 0, **figures}


@pytest.mark.parametrize("text, limits", [
    ("", []),
    (" ", []),
    ("20 EUR a month", [("20", "EUR", "month")]),
    ("20 EUR a month, 60 minutes a day,5 MB  a month",
     [("20", "EUR", "month"), ("60", "minutes", "day"), ("5", "MB", "month")]),
    ("1.50 USD a day, 30.00 USD a month", [("1.50", "USD", "day"), ("30.00", "USD", "month")]),
])
def test_a_text_is_a_list_of_limits_that_mail_cfg_can_keep_compiled(text, limits):
    assert budget.parse(text) == limits
    assert marshal.loads(marshal.dumps(limits)) == limits


@pytest.mark.parametrize("text, wrong", [
    ("20", "'20' is not an amount, a unit, and a day or a month"),
    ("20 EUR", "'20 EUR' is not an amount, a unit, and"),
    ("20 EUR per month", "'20 EUR per month' is not an amount, a unit, and"),
    ("20 EUR a month;", "'month;' is neither a day nor a month"),
    ("20 EUR a month,", "'' is not an amount"),
    ("20 EUR a year", "'year' is neither a day nor a month"),
    ("20 euros a month", "'euros' is neither minutes nor MB nor a currency such as EUR"),
    ("20 € a month", "'€' is neither"),
    ("1 GiB a month", "'GiB' is neither"),
    ("0 EUR a month", "'0' is no number above 0"),
    ("0.00 EUR a month", "'0.00' is no number above 0"),
    ("-5 MB a day", "'-5' is no number above 0"),
    ("1e3 MB a day", "'1e3' is no number above 0"),
    ("2.505 EUR a day", "'2.505' is no number above 0 with at most two decimals"),
    ("٣ EUR a day", "'٣' is no number"),
    ("20 EUR a month, 60 minutes a day, 30 EUR a month", "'30 EUR a month' is a second limit of the same kind"),
])
def test_a_mistake_is_named_with_what_is_expected(text, wrong):
    with pytest.raises(ValueError) as caught:
        budget.parse(text)
    assert str(caught.value).startswith("limits such as 20 EUR a month, 60 minutes a day or 5 MB a month, with commas")
    assert f"({wrong}" in str(caught.value)


NOW = "2025-06-15T12:00+02:00"
CALLS = [
    call("2025-05-31T23:59:59+02:00", seconds=1000, bytes_up=10**6, cost="9.00", currency="EUR"),     # last month
    call("2025-06-01T00:00+02:00", seconds=600, bytes_up=100, bytes_down=300, cost="3.20", currency="EUR"),
    call("2025-06-15T00:00+02:00", seconds=90.5, bytes_up=7, bytes_down=3, cost="0.45", currency="EUR"),
    call("2025-06-15T11:00+02:00", seconds=29.4, bytes_down=10**6, cost="1.00", currency="EUR"),
    call("2025-06-15T11:00+02:00", link="gsm", seconds=5000, bytes_up=10**9, cost="99.00", currency="EUR"),
    call("2025-06-15T11:30+02:00", seconds=0.1, cost="5.00", currency="USD"),
    call("2024-06-15T11:00+02:00", seconds=5000, cost="99.00", currency="EUR"),                       # last year
]


@pytest.mark.parametrize("text, used, left", [
    ("20 EUR a month", "4.65", "15.35"),
    ("20 EUR a day", "1.45", "18.55"),
    ("20 USD a month", "5.00", "15.00"),
    ("20 NOK a month", "0", "20"),
    ("1.40 EUR a day", "1.45", "0"),
    ("60 minutes a day", "120.0", "3480.0"),            # seconds
    ("12 minutes a month", "720.0", "0.0"),
    ("0.5 MB a day", "1000010", "0"),                   # octets
    ("5 MB a month", "1000410", "3999590"),
])
def test_what_is_used_and_what_is_left(text, used, left):
    (standing,) = budget.standings(budget.parse(text), "sat", CALLS, at(NOW))
    assert (standing.used, standing.left) == (Decimal(used), Decimal(left))
    assert f"{standing.amount} {standing.unit} a {standing.period}" == text


@pytest.mark.parametrize("unit, left", [("minutes", "780.0"), ("MB", "3999590"), ("EUR", "0.55"), ("USD", None)])
def test_the_least_that_any_limit_leaves_is_what_is_left(unit, left):
    limits = budget.parse("60 minutes a day, 25 minutes a month, 5 MB a month, 20 EUR a month, 2 EUR a day")
    found = budget.standings(limits, "sat", CALLS, at(NOW))
    assert budget.left(found, unit) == (left and Decimal(left))


@pytest.mark.parametrize("limit, figures, words", [
    ("20 EUR a month", {"cost": "2.40", "currency": "EUR"}, "17.60 of 20 EUR a month are left"),
    ("10 minutes a day", {"seconds": 100}, "8.33 of 10 minutes a day are left"),     # rounded down
    ("5 MB a month", {"bytes_up": 1, "bytes_down": 10**9}, "0.00 of 5 MB a month are left"),
])
def test_how_a_limit_stands_in_words(limit, figures, words):
    standing, = budget.standings(budget.parse(limit), "sat", [call(NOW, **figures)], at(NOW))
    assert budget.in_words(standing) == words


@pytest.mark.parametrize("start, now, counts", [
    ("2025-03-30T00:00+01:00", "2025-03-30T23:59+02:00", True),         # the day of 23 hours
    ("2025-03-29T23:59+01:00", "2025-03-30T00:00+01:00", False),
    ("2025-10-26T00:00+02:00", "2025-10-26T23:59+01:00", True),         # the day of 25 hours
    ("2025-10-26T00:00+02:00", "2025-10-27T00:00+01:00", False),
    ("2025-06-14T22:30+00:00", "2025-06-15T00:30+02:00", True),         # it is the local day that counts
])
def test_a_day_is_a_day_of_the_clock_on_the_wall(start, now, counts):
    (standing,) = budget.standings([("1", "minutes", "day")], "sat", [call(start, seconds=10)], at(now))
    assert standing.used == (10 if counts else 0)


@pytest.mark.parametrize("line", [
    None, 5, "call", [], {}, {"link": "sat"}, {"link": "sat", "start": "today"}, {"link": "sat", "start": 1e300},
    {"link": ["sat"], "start": at(NOW)}, {"link": "sat", "start": float("nan")}, {"link": "sat", "start": True},
    call(NOW, seconds=-5, bytes_up="many", bytes_down=None, cost="gratis", currency="EUR"),
    call(NOW, seconds=float("nan"), bytes_up=float("inf"), bytes_down=True, cost="NaN", currency="EUR"),
    call(NOW, seconds=10**16, cost=5, currency="EUR"), call(NOW, cost="5.00"), call(NOW, cost="5.00", currency=["EUR"]),
    {"link": "sat", "start": at(NOW)},
])
def test_what_cannot_be_read_in_the_ledger_counts_as_nothing(line):
    limits = budget.parse("20 EUR a month, 60 minutes a day, 5 MB a day")
    assert [standing.used for standing in budget.standings(limits, "sat", [line], at(NOW))] == [0, 0, 0]


figures = st.fixed_dictionaries({
    "start": st.integers(int(at("2025-05-30T00:00+02:00")), int(at("2025-07-02T00:00+02:00"))),
    "link": st.sampled_from(["sat", "gsm"]),
    "seconds": st.integers(0, 10**6).map(lambda tenths: tenths / 10),
    "bytes_up": st.integers(0, 10**9),
    "bytes_down": st.integers(0, 10**9),
    "cost": st.integers(0, 10**5).map(lambda cents: f"{cents // 100}.{cents % 100:02}"),
    "currency": st.sampled_from(["EUR", "USD"]),
})
a_limit = st.tuples(st.sampled_from(["0.5", "7", "120"]), st.sampled_from(["EUR", "minutes", "MB"]),
                    st.sampled_from(["day", "month"]))


@settings(deadline=None)
@given(a_limit, st.lists(figures), figures)
def test_a_further_call_takes_from_what_is_left_exactly_what_it_took(limit, calls, further):
    def standing(calls):
        return budget.standings([limit], "sat", calls, further["start"])[0]

    took = {"minutes": Decimal(str(further["seconds"])), "MB": further["bytes_up"] + further["bytes_down"],
            "EUR": Decimal(further["cost"]) if further["currency"] == "EUR" else 0}[limit[1]]
    before, after = standing(calls), standing([*calls, further])
    assert after.used - before.used == (took if further["link"] == "sat" else 0)
    assert after.left == max(before.left - (after.used - before.used), 0)
    assert standing(calls[::-1]) == before


@settings(deadline=None)
@given(st.lists(figures, max_size=20), figures)
def test_the_days_of_a_month_add_up_to_it(calls, any_call):
    month = range(int(at("2025-06-01T12:00+02:00")), int(at("2025-07-01T00:00+02:00")), 86400)
    for unit in ("EUR", "minutes", "MB"):
        def used(period, now):
            return budget.standings([("1", unit, period)], "sat", calls, now)[0].used

        assert sum(used("day", now) for now in month) == used("month", month[0])


words = st.sampled_from(["20", "2.5", "0", "EUR", "minutes", "MB", "a", "day", "month", ",", "year", "."])


@settings(deadline=None)
@given(st.text() | st.lists(words, max_size=12).map(" ".join))
def test_a_text_is_read_or_refused_in_words(text):
    try:
        limits = budget.parse(text)
    except ValueError as error:
        assert str(error).startswith("limits such as ")
    else:
        assert budget.parse(", ".join(f"{amount} {unit} a {period}" for amount, unit, period in limits)) == limits

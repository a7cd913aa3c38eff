"""Bills from calls: they add up, whatever the ledger holds."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.link import bill
from amsmail.link.bill import WAYS, make, share

NOON = 1_772_539_200        # 2026-03-03, 12:00 UTC


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    yield from zone(monkeypatch, "UTC0")


@pytest.fixture
def auckland(monkeypatch, utc):
    yield from zone(monkeypatch, "NZST-12")


def zone(monkeypatch, name):
    with monkeypatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()


def call(link="gsm", start=NOON, cost="1.00", currency="EUR", boxes=None, **more):
    return {"id": "x", "link": link, "why": "cheapest", "start": start, "seconds": 10.5, "bytes_up": 1000,
            "bytes_down": 2000, "bytes_are": "interface", "messages_out": 1, "octets_out": 500, "messages_in": 2,
            "octets_in": 700, "refused": 0, "kept": 0, "boxes": boxes or {}, "cost": cost, "currency": currency,
            "outcome": "ok", **more}


def box(into=0, out=0, messages=1):
    return {"in": into, "out": out, "messages": messages}


def costs(made):
    """{key: 'amount currency ...'} of a bill's rows."""
    return {row.key: " ".join(f"{amount} {currency}" for currency, amount in row.costs) for row in made.rows}


# By link, day and box

def test_by_link():
    made = make([call("iridium", cost="1.20", currency="USD"), call("gsm", cost="0.15"),
                 call("iridium", cost="2.85", currency="USD", seconds=0.1)], "link")
    assert costs(made) == {"gsm": "0.15 EUR", "iridium": "4.05 USD"}
    gsm, iridium = made.rows
    assert (iridium.calls, iridium.seconds, iridium.bytes_up, iridium.bytes_down, iridium.messages) == (
        2, Decimal("10.6"), 2000, 4000, 6)
    assert made.total.costs == (("EUR", Decimal("0.15")), ("USD", Decimal("4.05")))
    assert (made.total.calls, made.total.seconds, made.total.messages) == (3, Decimal("21.1"), 9)


def test_currencies_are_never_added():
    made = make([call(cost="1.00"), call(cost="2.00", currency="USD")], "link")
    assert costs(made) == {"gsm": "1.00 EUR 2.00 USD"}


def test_by_day_of_local_time(auckland):
    made = make([call(start=NOON - 1), call(start=NOON), call(start=NOON + 86400)], "day")
    assert [row.key for row in made.rows] == ["2026-03-03", "2026-03-04", "2026-03-05"]


@pytest.mark.parametrize("month, calls", [("2026-02", 1), ("2026-03", 2), ("2026-04", 0), ("", 4)])
def test_only_one_month(month, calls):
    first = NOON - 2 * 86400 - 12 * 3600        # the first second of March
    made = make([call(start=first - 1), call(start=first), call(), call(start=None)], "link", month)
    assert made.total.calls == calls


def test_a_month_is_one_of_local_time(auckland):
    first = NOON - 3 * 86400            # the first second of March there
    assert make([call(start=first - 1), call(start=first)], "day", "2026-03").total.calls == 1


def test_by_box_a_call_is_shared_by_octets_both_ways():
    made = make([call(cost="1.00", seconds=9, boxes={"captain": box(500, 100, 4), "cook": box(0, 300, 2)})], "box")
    assert costs(made) == {"captain": "0.67 EUR", "cook": "0.33 EUR"}
    assert [(row.messages, row.seconds, row.bytes_up, row.bytes_down) for row in made.rows] == [
        (4, Decimal("6.0"), 667, 1333), (2, Decimal("3.0"), 333, 667)]


def test_shares_of_less_than_half_a_cent_are_paid_all_the_same():
    """A hundred calls of one cent each, a third of each the cook's: rounded call by call he would pay nothing."""
    made = make([call(cost="0.01", boxes={"captain": box(2), "cook": box(1)})] * 100, "box")
    assert costs(made) == {"captain": "0.67 EUR", "cook": "0.33 EUR"}


def test_a_call_without_mail_is_nobodys():
    made = make([call(cost="0.50", boxes={"captain": box(0, 0, 0)}), call(boxes={"cook": box(1)}),
                 call(cost="0.20", boxes={"": box(1)})], "box")
    assert costs(made) == {"cook": "1.00 EUR", None: "0.70 EUR"}
    assert made.rows[-1].key is None


def test_a_call_of_two_boxes_is_one_call():
    made = make([call(boxes={"captain": box(1), "cook": box(1)})], "box")
    assert [row.calls for row in made.rows] == [1, 1] and made.total.calls == 1


# What is estimated, and what has no cost

@pytest.mark.parametrize("counted, estimated", [
    ({"bytes_are": "interface"}, False),
    ({"bytes_are": "estimated"}, True),
    ({"bytes_are": "TCP payload, TLS included"}, True),
    ({"bytes_are": "estimated", "bytes_up": 0, "bytes_down": 0}, False),
])
def test_octets_that_no_interface_counted_are_marked(counted, estimated):
    made = make([call("a"), call("b", **counted)], "link")
    assert [row.estimated for row in made.rows] == [False, estimated] and made.total.estimated == estimated


@pytest.mark.parametrize("money", [{"cost": ""}, {"currency": ""}, {"cost": None}, {"cost": "NaN"}, {"cost": "-1.00"},
                                   {"cost": 1.2}, {"cost": "1.234"}, {"cost": "1e9"}, {"cost": "٣"},
                                   {"cost": "9" * 13}, {"currency": None}, {"currency": 7}])
def test_a_cost_that_is_not_on_record_or_no_money_is_not_added_but_told(money):
    made = make([call(), call("marina", **money)], "link")
    assert costs(made) == {"gsm": "1.00 EUR", "marina": ""} and made.unpriced == 1


def test_a_call_that_is_free_has_a_cost():
    made = make([call(cost="0.00")], "link")
    assert costs(made) == {"gsm": "0.00 EUR"} and made.unpriced == 0


# Whatever the ledger holds

@pytest.mark.parametrize("by", WAYS)
def test_no_calls(by):
    made = make([], by)
    assert made.rows == () and made.total.calls == 0 and made.total.costs == ()


@pytest.mark.parametrize("by", WAYS)
def test_a_line_of_an_older_amsmail(by):
    made = make([{"id": "x", "link": "gsm", "start": NOON, "seconds": 3.2, "bytes_up": 7, "bytes_down": 8,
                  "bytes_are": "TCP payload, TLS included", "messages_out": 1, "octets_out": 5, "refused": 0, "kept": 0,
                  "messages_in": 0, "octets_in": 0, "outcome": "ok"}], by)
    row, = made.rows
    assert row.key == {"link": "gsm", "day": "2026-03-03", "box": None}[by]
    assert (row.seconds, row.bytes_up, row.bytes_down, row.messages, row.costs) == (Decimal("3.2"), 7, 8, 1, ())
    assert row.estimated and made.unpriced == 1


@pytest.mark.parametrize("by", WAYS)
def test_what_is_no_call_is_passed_over(by):
    assert make([None, 7, "gsm", [], call()], by).total.calls == 1


@pytest.mark.parametrize("start", [None, "today", 1e300, -1e300, float("nan"), float("inf"), True, 10**40])
def test_a_call_without_a_date_is_on_no_day(start):
    assert [row.key for row in make([call(start=start)], "day").rows] == [None]


@pytest.mark.parametrize("nonsense", [None, -1, 1e300, float("nan"), float("inf"), 10**40, True, "7", [], {}])
def test_a_figure_that_is_none_counts_as_nothing(nonsense):
    figures = ("seconds", "bytes_up", "bytes_down", "messages_out", "messages_in")
    row, = make([call(**dict.fromkeys(figures, nonsense))], "link").rows
    assert (row.calls, row.seconds, row.bytes_up, row.bytes_down, row.messages) == (1, 0, 0, 0, 0)
    mail = {"captain": box(nonsense, nonsense, nonsense), "cook": box(1)}
    assert costs(make([call(boxes=mail)], "box")) == {"captain": "0.00 EUR", "cook": "1.00 EUR"}


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2))
BOXES = st.dictionaries(st.sampled_from(["captain", "cook", "mate", ""]), st.fixed_dictionaries(
    {}, optional={"in": st.integers(0, 10**6) | JSON, "out": st.integers(0, 9), "messages": st.integers(0, 5) | JSON})
    | JSON)
CALLS = st.lists(st.fixed_dictionaries({}, optional={
    "link": st.sampled_from(["gsm", "iridium", "marina"]) | JSON,
    "start": st.integers(NOON, NOON + 10**7) | JSON,
    "seconds": st.floats(0, 10**4).map(lambda x: round(x, 1)) | JSON,
    "bytes_up": st.integers(0, 10**7) | JSON,
    "bytes_down": st.integers(0, 10**7) | JSON,
    "bytes_are": st.sampled_from(["interface", "estimated"]) | JSON,
    "messages_out": st.integers(0, 9) | JSON,
    "messages_in": st.integers(0, 9) | JSON,
    "boxes": BOXES | JSON,
    "cost": st.decimals(0, 100, places=2).map(str) | JSON,
    "currency": st.sampled_from(["EUR", "USD"]) | JSON,
}) | JSON, max_size=12)


@given(CALLS, st.sampled_from(WAYS), st.sampled_from(["", "2026-03"]))
def test_the_parts_add_up_to_the_total(calls, by, month):
    made = make(calls, by, month)
    for column in ("seconds", "bytes_up", "bytes_down", "messages"):
        assert sum(getattr(row, column) for row in made.rows) == getattr(made.total, column)
    for currency, amount in made.total.costs:
        assert sum(dict(row.costs).get(currency, 0) for row in made.rows) == amount
        assert amount.as_tuple().exponent == -2
    assert {currency for row in made.rows for currency, _ in row.costs} == dict(made.total.costs).keys()
    assert by == "box" or sum(row.calls for row in made.rows) == made.total.calls
    assert made.total.estimated == any(row.estimated for row in made.rows)


@given(CALLS, st.sampled_from(["", "2026-03"]))
def test_the_total_is_the_same_by_whatever_it_is_parted(calls, month):
    totals = {(t.calls, t.seconds, t.bytes_up, t.bytes_down, t.costs)
              for t in (make(calls, by, month).total for by in WAYS)}
    assert len(totals) == 1


@given(st.lists(st.decimals(0, 1000, places=2), max_size=30))
def test_the_total_is_the_sum_of_what_the_calls_cost(amounts):
    made = make([call(cost=str(amount), boxes={"a": box(2), "b": box(1)}) for amount in amounts], "box")
    assert dict(made.total.costs).get("EUR", 0) == sum(amounts)


# Shares

@given(st.integers(0, 10**15), st.dictionaries(st.text(max_size=3), st.integers(0, 10**9), min_size=1, max_size=8))
def test_shares_add_up_and_each_is_off_by_less_than_one(amount, weights):
    parts, whole = share(amount, weights), sum(weights.values())
    assert parts.keys() == weights.keys()
    assert sum(parts.values()) == (amount if whole else 0)
    assert all(abs(part * whole - amount * weights[key]) < whole for key, part in parts.items() if whole)
    assert all(parts[key] == 0 for key in weights if not weights[key])


def test_the_largest_remainder_gets_what_is_left():
    assert share(10, {"a": 5, "b": 3, "c": 1}) == {"a": 6, "b": 3, "c": 1}      # 5.56, 3.33, 1.11
    assert share(1, {"a": 1, "b": 1}) == {"a": 1, "b": 0}


def test_a_day_that_no_clock_knows():
    assert bill.day(1e300) is None and bill.day(NOON) == "2026-03-03"

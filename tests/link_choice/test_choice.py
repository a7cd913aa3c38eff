"""Which link a call goes over, and what it may carry: tables as an operator writes links into mail.cfg."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.link import choice, tariff
from amsmail.link.choice import Item
from amsmail.link.links import LinkError
from amsmail.site import budget, config_file, windows
from tests.site.test_windows import clock_of

CONFIG = """\
schema = 1
[site]
hostname = yacht.example
postmaster = captain
[domains]
[[yacht.example]]
[boxes]
[[captain]]
[links]
"""
PPP = "type = ppp | entry = station"
KB, MB = 10**3, 10**6
NOTE, HASTE, BIG = Item("note", 2 * KB, False), Item("haste", 3 * KB, True), Item("big", 5 * MB, False)


@pytest.fixture(autouse=True, scope="module")
def utc():
    with clock_of("UTC0"):
        yield


def at(text):
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


NOON = at("2026-03-04 12:00")       # a Wednesday
NIGHT = at("2026-03-04 23:30")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Makes {name: section} of {name: keys with a `|` between them}."""
    path = tmp_path_factory.mktemp("config") / "mail.cfg"
    path.touch(0o600)

    def read(links):
        lines = [line for name, keys in links.items() for line in [f"[[{name}]]", *keys.split("|")]]
        path.write_text(CONFIG + "\n".join(lines) + "\n")
        return config_file.read(str(path))["links"]
    return read


def weigh(links, items=(NOTE,), has_accounts=False, now=NOON, calls=(), up=()):
    """The Verdicts on `links`; the names of those that are up are in `up`."""
    return choose(links, items, has_accounts, now, calls, up)[0]


def choose(links, items=(NOTE,), has_accounts=False, now=NOON, calls=(), up=(), **more):
    """(the Verdicts on `links`, those of them over which calls are made)."""
    states = {name: name in up or links[name]["type"] == "always" for name in links}
    return choice.choose(links, list(items), has_accounts, now, calls, states, **more)


def call(start="2026-03-04 08:00", seconds=60, octets=1000, cost="0.10", currency="EUR", link="gsm"):
    return {"link": link, "start": at(start), "seconds": seconds, "bytes_up": octets, "bytes_down": 0, "cost": cost,
            "currency": currency}


# In which order links are tried

EURO = "currency = EUR"


@pytest.mark.parametrize("links, up, order", [
    # the smaller number first; without one it is 50, and among equals the file's order counts
    ({"a": PPP, "b": f"{PPP} | priority = 49", "c": PPP}, (), "b a c"),
    ({"a": f"{PPP} | priority = 51", "b": PPP, "c": f"{PPP} | priority = 2"}, (), "c b a"),
    # among equals the cheaper one
    ({"a": f"{PPP} | {EURO} | setup_charge = 0.20", "b": f"{PPP} | {EURO} | setup_charge = 0.19"}, (), "b a"),
    ({"a": f"{PPP} | {EURO} | setup_charge = 0.01", "b": PPP}, (), "b a"),
    # but priority comes before cost
    ({"a": f"{PPP} | {EURO} | setup_charge = 9 | priority = 1", "b": PPP}, (), "a b"),
    # what cannot be said, because time costs and the rate is not known, comes last among equals
    ({"a": f"{PPP} | {EURO} | per_minute = 0.01", "b": f"{PPP} | {EURO} | per_minute = 5 | rate = 9.6"}, (), "b a"),
    # one that always is up is no occasion: it has its priority
    ({"a": f"{PPP} | priority = 1", "b": "type = always | priority = 99"}, (), "a b"),
    ({"a": f"{PPP} | priority = 2", "b": "type = always | priority = 1"}, (), "b a"),
    # one that is up comes first, whatever its priority
    ({"a": f"{PPP} | priority = 1", "b": f"{PPP} | priority = 99"}, ("b",), "b a"),
    ({"a": f"{PPP} | priority = 1", "b": "type = present | probe = route 127.0.0.1 | priority = 99"}, ("b",), "b a"),
    ({"a": f"{PPP} | priority = 2", "b": f"{PPP} | priority = 3", "c": f"{PPP} | priority = 1"}, ("a", "b"), "a b c"),
])
def test_the_order(read, links, up, order):
    assert " ".join(verdict.link for verdict in weigh(read(links), up=up)) == order


# Whether a call may go over a link, and what it carries

NIGHTS = f"{PPP} | windows = 22:00-06:00"
ANY_TIME = f"{NIGHTS} | urgent = at any time"
UNTIL_TEN = "its window is closed until Wed 2026-03-04 22:00"


@pytest.mark.parametrize("link, now, items, why_not, carries", [
    # windows
    (PPP, NOON, [NOTE], "", "note"),
    (NIGHTS, NOON, [NOTE, HASTE], UNTIL_TEN, ""),
    (NIGHTS, NIGHT, [NOTE, HASTE], "", "note haste"),
    (NIGHTS, at("2026-03-05 05:59:59"), [NOTE], "", "note"),
    (NIGHTS, at("2026-03-05 06:00"), [NOTE], "its window is closed until Thu 2026-03-05 22:00", ""),
    (f"{PPP} | windows = Sat,Sun 10:00-11:00; Mon 09:00-10:00", NOON, [NOTE],
     "its window is closed until Sat 2026-03-07 10:00", ""),
    # urgent mail, which a link may take at any time
    (ANY_TIME, NOON, [NOTE, HASTE], "", "haste"),
    (ANY_TIME, NOON, [NOTE], UNTIL_TEN, ""),
    (ANY_TIME, NIGHT, [NOTE, HASTE], "", "note haste"),
    # classes: urgent mail may go wherever normal mail may, but not the other way round
    (f"{PPP} | classes = urgent", NOON, [NOTE, HASTE], "", "haste"),
    (f"{PPP} | classes = urgent", NOON, [NOTE],
     "of what is to be sent it may carry nothing: it carries urgent mail only", ""),
    (f"{PPP} | classes = normal", NOON, [NOTE, HASTE], "", "note haste"),
    # sizes
    (f"{PPP} | message_out = 2000", NOON, [NOTE, HASTE], "", "note"),
    (f"{PPP} | message_out = 1999", NOON, [NOTE],
     "of what is to be sent it may carry nothing: 2000 octets are more than its message_out, 1999", ""),
    # nothing
    (PPP, NOON, [], "there is nothing to do", ""),
])
def test_what_a_link_carries(read, link, now, items, why_not, carries):
    verdict, = weigh(read({"gsm": link}), items, now=now)
    assert (verdict.why_not, " ".join(verdict.carries)) == (why_not, carries)


@pytest.mark.parametrize("link, now, items, why", [
    (ANY_TIME, NOON, [NOTE, HASTE], "its window is closed until Wed 22:00"),
    (f"{PPP} | classes = urgent", NOON, [NOTE, HASTE], "it carries urgent mail only"),
    (f"{PPP} | message_out = 2999", NOON, [NOTE, HASTE], None),
])
def test_why_a_message_waits_while_another_goes(read, link, now, items, why):
    verdict, = weigh(read({"gsm": link}), items, now=now)
    assert verdict.waits == ({"note": why} if why else
                             {"haste": "3000 octets are more than its message_out, 2999"})


@pytest.mark.parametrize("now, too_large", [(NOON, ()), (NIGHT, ("big",))])
def test_its_size_is_why_a_message_waits_also_behind_a_closed_window(read, now, too_large):
    """Waiting for the window would not help.  But only what goes there but for its size is too large for it."""
    verdict, = weigh(read({"gsm": f"{ANY_TIME} | message_out = 4000"}), [BIG, HASTE], now=now)
    assert verdict.waits == {"big": "5000000 octets are more than its message_out, 4000"}
    assert (verdict.carries, verdict.too_large) == (("haste",), too_large)


def test_a_window_that_opens_is_no_hope_where_a_budget_leaves_no_time(read):
    verdict, = weigh(read({"gsm": f"{ANY_TIME} | budget = 10 minutes a day"}), [HASTE], calls=[call(seconds=596)])
    assert (verdict.why_not, verdict.opens) == ("its budget leaves no time for a call", None)


@pytest.mark.parametrize("link, now, opens", [
    (NIGHTS, NOON, "2026-03-04 22:00"), (ANY_TIME, NOON, "2026-03-04 22:00"), (NIGHTS, NIGHT, None), (PPP, NOON, None),
])
def test_when_calls_are_allowed_next(read, link, now, opens):
    verdict, = weigh(read({"gsm": link}), now=now)
    assert (verdict.opens and verdict.opens.timestamp()) == (opens and at(opens))


@pytest.mark.parametrize("link, now, why_not, fetches", [
    (PPP, NOON, "", True),
    (NIGHTS, NOON, UNTIL_TEN, False),
    (ANY_TIME, NOON, UNTIL_TEN, False),
    (f"{PPP} | classes = urgent", NOON, "it carries urgent mail only", False),
])
def test_where_accounts_are_fetched_from(read, link, now, why_not, fetches):
    """What waits at a provider is normal mail: how urgent it is cannot be known before the call."""
    verdict, = weigh(read({"gsm": link}), [], has_accounts=True, now=now)
    assert (verdict.why_not, verdict.fetches) == (why_not, fetches)
    both, = weigh(read({"gsm": link}), [HASTE], has_accounts=True, now=now)
    assert both.fetches == fetches


def test_a_present_link_that_is_not_there(read):
    links = read({"marina": "type = present | probe = route 127.0.0.1"})
    assert weigh(links)[0].why_not == "it is not there"
    assert weigh(links, up=("marina",))[0].carries == ("note",)


def test_a_probe_that_cannot_tell_closes_that_link_only(read):
    links = read({"marina": "type = present | probe = command /nowhere | priority = 1", "gsm": PPP})

    states = {"marina": LinkError("the probe command cannot be started: /nowhere"), "gsm": False}
    (marina, gsm), chosen = choice.choose(links, [NOTE], False, NOON, [], states)
    assert (marina.link, marina.why_not, marina.is_up) == (
        "marina", "the probe command cannot be started: /nowhere", False)
    assert (marina.needs_person, gsm.needs_person) == (True, False)
    assert gsm.carries == ("note",) and chosen == [gsm]


# Calls that follow one another

SMALL, DEAR = f"{PPP} | message_out = 4000 | priority = 1", f"{PPP} | priority = 9"


@pytest.mark.parametrize("links, items, has_accounts, now, calls", [
    # what the first may not carry goes over the next, whatever the reason, and nothing else does
    ({"gsm": SMALL, "vsat": DEAR}, [NOTE, HASTE, BIG], True, NOON, "gsm: note haste, fetches; vsat: big"),
    ({"gsm": SMALL, "vsat": DEAR}, [NOTE, HASTE], True, NOON, "gsm: note haste, fetches"),
    ({"gsm": SMALL, "vsat": f"{DEAR} | classes = urgent"}, [NOTE, BIG], True, NOON, "gsm: note, fetches"),
    ({"iridium": f"{PPP} | classes = urgent | priority = 1", "vsat": DEAR}, [NOTE, HASTE], True, NOON,
     "iridium: haste; vsat: note, fetches"),
    ({"gsm": f"{PPP} | windows = 22:00-06:00 | urgent = at any time | priority = 1", "vsat": DEAR}, [NOTE, HASTE], True,
     NOON, "gsm: haste; vsat: note, fetches"),
    ({"gsm": f"{PPP} | budget = 1 MB a day | priority = 1", "vsat": DEAR}, [NOTE, BIG], True, NOON,
     "gsm: note, fetches; vsat: big"),
    # three: each has what those before it left
    ({"a": f"{PPP} | message_out = 2500 | priority = 1", "b": f"{PPP} | message_out = 4000 | priority = 2", "c": DEAR},
     [NOTE, HASTE, BIG], False, NOON, "a: note; b: haste; c: big"),
    # none
    ({"gsm": f"{PPP} | windows = 22:00-06:00"}, [NOTE], True, NOON, ""),
    ({"gsm": SMALL, "vsat": DEAR}, [], True, NOON, "gsm: fetches"),
])
def test_the_calls_share_out_what_there_is_to_do(read, links, items, has_accounts, now, calls):
    _, chosen = choose(read(links), items, has_accounts, now)
    assert "; ".join(f"{each.link}: " + ", ".join(filter(None, [" ".join(each.carries), each.fetches and "fetches"]))
                     for each in chosen) == calls


# Calls that failed

def failed(start, seconds=30, **more):
    return {**call(start, seconds, octets=5 * KB, cost="0.35"), "outcome": "relay: refuses to serve us", **more}


@pytest.mark.parametrize("calls, why_not", [
    ([], ""),
    # ten minutes from the end of the call on, twice as long after each more, an hour at most
    ([failed("2026-03-04 11:51")], "1 call over it brought nothing, so it rests until 12:01"),
    ([failed("2026-03-04 11:49")], ""),
    ([failed("2026-03-04 11:00"), failed("2026-03-04 11:45")],
     "2 calls over it brought nothing, so it rests until 12:05"),
    ([failed("2026-03-04 11:00"), failed("2026-03-04 11:39")], ""),
    ([failed("2026-03-01 11:00")] * 9 + [failed("2026-03-04 11:30")],
     "10 calls over it brought nothing, so it rests until 12:30"),
    # only those in a row count
    ([failed("2026-03-04 11:10"), {**call("2026-03-04 11:20"), "outcome": "ok"}, failed("2026-03-04 11:51")],
     "1 call over it brought nothing, so it rests until 12:01"),
    ([failed("2026-03-04 11:59"), {**call("2026-03-04 11:59"), "outcome": "ok"}], ""),
    # what carried something did not fail, nor what nobody answered, nor what went over another link
    ([failed("2026-03-04 11:59", messages_in=1)], ""),
    ([failed("2026-03-04 11:59", refused=1)], ""),
    ([failed("2026-03-04 11:59", bytes_down=300 * KB)], ""),
    ([failed("2026-03-04 11:59", seconds=0)], ""),
    ([failed("2026-03-04 11:59", link="vsat")], ""),
    # a clock that was put back does not stop the mail
    ([failed("2026-03-04 12:30")], ""),
    (["nonsense", {"link": "gsm"}, {"link": "gsm", "start": "x", "outcome": None}], ""),
    # what no call can have taken is nothing, and no call ends in the future
    *(([failed("2026-03-04 11:00", seconds=seconds)], "") for seconds in (1e300, float("inf"), float("nan"), 10**400)),
    ([failed("2026-03-04 11:59", seconds=10**14)], "1 call over it brought nothing, so it rests until 12:10"),
])
def test_a_link_rests_after_calls_that_brought_nothing(read, calls, why_not):
    verdict, = weigh(read({"gsm": PPP}), calls=calls)
    assert verdict.why_not == why_not


def test_what_does_not_rest(read):
    calls = [failed("2026-03-04 11:59")]
    assert choose(read({"gsm": PPP}), calls=calls, rests=False)[1]                  # a person says so
    assert choose(read({"gsm": "type = always"}), calls=calls)[1]                   # there is nothing to save
    found, chosen = choose(read({"gsm": "type = always | priority = 1", "vsat": PPP}), calls=calls)
    assert [each.link for each in chosen] == ["vsat"] and "rests" in found[0].why_not      # the other has its turn


# Budgets

TARIFF = f"{PPP} | {EURO} | setup_charge = 0.10 | per_minute = 0.25"
MINUTES, OCTETS = f"{PPP} | budget = 10 minutes a day", f"{PPP} | budget = 1 MB a month"


@pytest.mark.parametrize("link, calls, items, why_not", [
    # used up, or nearly so that a call of a second costs more than what is left
    (f"{TARIFF} | budget = 2 EUR a month", [call(cost="2.00")], [NOTE], "its budget of 2 EUR a month is used up"),
    (f"{TARIFF} | budget = 2 EUR a month", [call(cost="3.20")], [NOTE], "its budget of 2 EUR a month is used up"),
    (f"{TARIFF} | budget = 2 EUR a month", [call(cost="1.65")], [NOTE], ""),
    (f"{TARIFF} | budget = 2 EUR a month", [call(cost="1.66")], [NOTE], "its budget leaves no time for a call"),
    (f"{TARIFF} | rate = 1 | budget = 2 EUR a month", [call(cost="1.65")], [NOTE],
     "of what is to be sent it may carry nothing: its budget leaves 0.35 EUR"),
    # only what this link cost, in this month, in this currency
    (f"{TARIFF} | budget = 2 EUR a month", [call("2026-02-28 08:00", cost="2.00")], [NOTE], ""),
    (f"{TARIFF} | budget = 2 EUR a month", [call(cost="2.00", link="vsat")], [NOTE], ""),
    (f"{TARIFF} | budget = 2 EUR a month", [call(cost="2.00", currency="USD")], [NOTE], ""),
    # the first limit that is used up is named
    (f"{TARIFF} | budget = 9 EUR a month, 2 EUR a day", [call(cost="2.00")], [NOTE],
     "its budget of 2 EUR a day is used up"),
    (MINUTES, [call(seconds=600)], [NOTE], "its budget of 10 minutes a day is used up"),
    (MINUTES, [call(seconds=594.5)], [NOTE], "its budget leaves no time for a call"),      # five go by hanging up
    (MINUTES, [call(seconds=594)], [NOTE], ""),
    (MINUTES, [call("2026-03-03 08:00", seconds=600)], [NOTE], ""),
    (OCTETS, [call(octets=MB)], [NOTE], "its budget of 1 MB a month is used up"),
    # a session takes 10000 beside the mail, and that some per cent
    (OCTETS, [call(octets=MB - 12_120)], [NOTE], ""),
    (OCTETS, [call(octets=MB - 12_119)], [NOTE],
     "of what is to be sent it may carry nothing: its budget leaves 12119 octets"),
])
def test_budgets(read, link, calls, items, why_not):
    verdict, = weigh(read({"gsm": link}), items, calls=calls)
    assert verdict.why_not == why_not


def test_a_budget_is_used_up_whatever_else_there_is(read):
    verdict, = weigh(read({"gsm": MINUTES}), [HASTE], True, calls=[call(seconds=600)], up=("gsm",))
    assert verdict.is_up and verdict.why_not == "its budget of 10 minutes a day is used up"


@pytest.mark.parametrize("link, carries, waits", [
    # messages count together, in their order
    (f"{PPP} | budget = 0.02 MB a day", "note haste", {"big": "its budget leaves 20000 octets"}),
    (f"{PPP} | budget = 5.32 MB a day", "note haste big", {}),
    # money: where octets cost, as far as they are expected to: a session of ours takes 10000, and headers some per cent
    (f"{PPP} | {EURO} | per_mb = 1 | budget = 5.20 EUR a day", "note haste", {"big": "its budget leaves 5.20 EUR"}),
    (f"{PPP} | {EURO} | per_mb = 1 | budget = 5.40 EUR a day", "note haste big", {}),
    # where time costs, as far as the link's rate tells it: 5 MB at 64 kbit/s take twelve minutes begun
    (f"{TARIFF} | rate = 64 | budget = 2 EUR a day", "note haste", {"big": "its budget leaves 2 EUR"}),
    (f"{TARIFF} | rate = 64 | budget = 3.10 EUR a day", "note haste big", {}),
    (f"{TARIFF} | budget = 2 EUR a day", "note haste big", {}),
])
def test_what_a_budget_leaves_is_shared_out(read, link, carries, waits):
    verdict, = weigh(read({"gsm": link}), [NOTE, HASTE, BIG])
    assert " ".join(verdict.carries) == carries
    assert verdict.waits == waits


@pytest.mark.parametrize("link, calls, octets", [
    (PPP, [], None),
    (f"{PPP} | message_in = 50000", [], None),      # that is for each message; this is for all
    # what is sent is counted first, and what goes with mail on the line: (10^6 - 12120) / 1.06
    (OCTETS, [], 931_961),
    (OCTETS, [call(octets=MB - 12_120)], 0),
    (f"{PPP} | {EURO} | per_mb = 1 | budget = 0.10 EUR a day", [], 87_621),     # 104999 octets are 0.10 EUR, rounded
    (f"{TARIFF} | budget = 2 EUR a day", [], None),
])
def test_how_much_mail_may_be_fetched(read, link, calls, octets):
    verdict, = weigh(read({"gsm": link}), has_accounts=True, calls=calls)
    assert (verdict.why_not, verdict.octets_in, verdict.fetches) == ("", octets, octets != 0)


# How long a call may take

@pytest.mark.parametrize("link, now, calls, seconds, limit", [
    (PPP, NOON, [], 3600, "call_limit"),
    (f"{PPP} | call_limit = 90", NOON, [], 90, "call_limit"),
    (NIGHTS, NIGHT, [], 3600, "call_limit"),
    (NIGHTS, at("2026-03-05 05:50"), [], 600, "its window"),
    (NIGHTS, at("2026-03-05 05:59:59"), [], 1, "its window"),
    (f"{NIGHTS} | call_limit = 60", at("2026-03-05 05:50"), [], 60, "call_limit"),
    (ANY_TIME, at("2026-03-05 07:00"), [], 3600, "call_limit"),     # an urgent call outside of it is not ended by it
    # of a budget five seconds go by hanging up
    (MINUTES, NOON, [], 595, "its budget"),
    (MINUTES, NOON, [call(seconds=540.5)], 54, "its budget"),
    # 0.10 and 0.25 for each minute begun
    (f"{TARIFF} | budget = 1 EUR a day", NOON, [], 175, "its budget"),
    (f"{TARIFF} | budget = 1 EUR a day", NOON, [call(cost="0.41")], 55, "its budget"),
    (f"{TARIFF} | budget = 1 EUR a day | call_limit = 100", NOON, [], 100, "call_limit"),
    (f"{TARIFF} | budget = 1 EUR a day, 2 minutes a day", NOON, [], 115, "its budget"),
    (f"{PPP} | {EURO} | per_mb = 9 | budget = 1 EUR a day", NOON, [], 3600, "call_limit"),    # time costs nothing
    # what is sent is paid for as well: 2000 octets are 0.50 of the 1.00
    (f"{PPP} | {EURO} | per_mb = 250 | per_minute = 0.25 | budget = 1 EUR a day", NOON, [], 115, "its budget"),
])
def test_how_long_a_call_may_take(read, link, now, calls, seconds, limit):
    verdict, = weigh(read({"gsm": link}), [HASTE.but(size=2 * KB)], now=now, calls=calls)
    assert (verdict.why_not, verdict.allowance.seconds, verdict.allowance.limit) == ("", seconds, limit)


def test_what_a_call_is_expected_to_cost(read):
    """Set-up, and a minute begun: eight waits of 2 s, and 5 MB with what goes with them at 1024 kbit/s in 41 s."""
    links = read({"gsm": f"{TARIFF} | rate = 1024 | round_trip = 2 | message_out = 4000", "free": PPP,
                  "unknown": TARIFF})
    found = {verdict.link: verdict for verdict in weigh(links, [NOTE, BIG])}
    assert (found["gsm"].cost, found["gsm"].currency) == (Decimal("0.35"), "EUR")
    assert (found["free"].cost, found["free"].currency) == (0, "")
    assert found["unknown"].cost is None


# Whatever the settings

AMOUNTS = st.sampled_from(["", "0.01", "0.25", "1", "3.333333"])
LINKS = st.fixed_dictionaries({
    "windows": st.sampled_from(["", "22:00-06:00", "*/10 * * * *", "Mon-Fri 12:00-12:01"]),
    "urgent": st.sampled_from(["in windows", "at any time"]),
    "classes": st.sampled_from([["normal"], ["urgent"], ["normal", "urgent"]]),
    "message_out": st.sampled_from([0, 1, 5 * KB, MB]),
    "message_in": st.sampled_from([0, 1, 5 * KB, MB]),
    "budget": st.lists(st.tuples(
        st.sampled_from(["0.01", "1", "2.50", "20"]), st.sampled_from(["EUR", "minutes", "MB"]),
        st.sampled_from(["day", "month"])), max_size=4, unique_by=lambda limit: limit[1:]),
    "currency": st.just("EUR"),
    "increment": st.sampled_from([0, 1, 20]), "idle_floor": st.sampled_from([0, 100]),
    "setup_charge": AMOUNTS, "per_increment": AMOUNTS, "per_minute": AMOUNTS, "minimum": AMOUNTS, "per_mb": AMOUNTS,
    "call_limit": st.sampled_from([1, 60, 3600]),
    "rate": st.sampled_from([(0, 0), (2400, 2400), (64000, 128000)]), "round_trip": st.sampled_from([0, 0.7]),
    "type": st.sampled_from(["ppp", "always", "present"]), "priority": st.integers(1, 3),
})
CALLS = st.lists(st.builds(call, start=st.sampled_from(["2026-03-04 08:00", "2026-03-02 08:00", "2026-02-04 08:00"]),
                           seconds=st.sampled_from([0.1, 60, 590, 9e4]), octets=st.integers(0, 3 * MB),
                           cost=st.sampled_from(["0.00", "0.25", "0.99", "2.50", "19.95"])), max_size=3)
ITEMS = st.lists(st.tuples(st.integers(0, 3 * MB), st.booleans()), max_size=5).map(
    lambda found: [Item(f"uid{number}", size, is_urgent) for number, (size, is_urgent) in enumerate(found)])


@given(settings=LINKS, calls=CALLS, items=ITEMS, now=st.integers(int(NOON), int(NOON) + 86399), up=st.booleans(),
       has_accounts=st.booleans())
def test_a_call_keeps_to_every_limit(settings, calls, items, now, up, has_accounts):
    verdict, = weigh({"gsm": settings}, items, has_accounts, now, calls, up=["gsm"] if up else [])
    by_uid = {item.uid: item for item in items}
    if verdict.why_not:
        assert not verdict.carries and not verdict.fetches
        return
    assert verdict.carries or verdict.fetches
    assert {*verdict.carries, *verdict.waits} == set(by_uid) and not set(verdict.carries) & set(verdict.waits)
    assert verdict.is_up or settings["type"] != "present"
    carried = [by_uid[uid] for uid in verdict.carries]
    octets = sum(item.size for item in carried)
    when = datetime.fromtimestamp(now).astimezone()
    opening = windows.parse(settings["windows"])
    standings = budget.standings(settings["budget"], "gsm", calls, now)

    # what may go now
    if not opening.is_open(when):
        assert settings["urgent"] == "at any time" and all(item.is_urgent for item in carried) and not verdict.fetches
    if "normal" not in settings["classes"]:
        assert all(item.is_urgent for item in carried) and not verdict.fetches
    assert not settings["message_out"] or all(item.size <= settings["message_out"] for item in carried)

    # time
    allowance = verdict.allowance
    assert 1 <= allowance.seconds <= settings["call_limit"]
    if opening.is_open(when) and (closes := opening.closes(when)):
        assert now + allowance.seconds <= now + allowance.closes <= closes.timestamp()
    minutes = budget.left(standings, "minutes")
    assert minutes is None or allowance.seconds < minutes

    # octets and money
    fetched = (verdict.octets_in or 0) if verdict.fetches else 0
    total = sum(tariff.on_the_line(octets, fetched))
    left = budget.left(standings, "MB")
    assert left is None or total <= left and allowance.octets <= left and verdict.octets_in is not None
    money = budget.left(standings, "EUR")
    cost = tariff.make(settings).cost
    assert money is None or cost(allowance.seconds, octets) <= money and allowance.money == money
    assert money is None or not fetched or cost(1, total) <= money

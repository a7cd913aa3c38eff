"""A week at sea: three links, windows, a budget that runs out, urgent mail, big mail, lines that drop or are busy.

The whole program, from nothing to the bill: mailcheck and its worker, diallers that make the links exist (rig.py), and
ashore Postfix and Dovecot, at the other end of emulated lines.  Time is the story's.  All figures of the bill are
computed by hand, from the tariffs below.  Needs root.
"""

import json
from collections import namedtuple

from amsmail.program import report
from tests.site.test_windows import clock_of

from .rig import Line, Yacht, at, world

OK, PARTLY = 0, 75
KB = 1000
PACKET = 1500          # octets: what comes when the worker has ended is not on its bill

# What there is outside: the mobile network nearby, the satellite everywhere, and in port the marina's, which the
# captain at times brings up himself.
LINES = {
    #            interface, address, seconds that dialling takes, bit/s, seconds one way
    "gsm": Line("ppp0", "10.77.1.2", 25, 4_000_000, 0.005),
    "satellite": Line("wwan0", "10.77.2.2", 12, 2_000_000, 0.01),
    "marina": Line("wlan0", "10.77.3.2", 5, 8_000_000, 0.002),
}

# What each link is for, and what it costs.
LINKS = {
    "gsm": {
        "type": "ppp", "entry": "gsm", "priority": 10, "attempts": 2, "pause": 1, "windows": "22:00-06:00",
        "message_out": 100 * KB, "rate": 4000, "round_trip": 0.01,
        "currency": "EUR", "setup_charge": "0.10", "per_minute": "0.25", "budget": "1.90 EUR a month"},
    "satellite": {
        "type": "modemmanager", "entry": "0", "apn": "sea.example", "user": "yacht", "password": "wave",
        "priority": 20, "attempts": 2, "pause": 1, "windows": "22:00-06:00", "urgent": "at any time",
        "message_out": 200 * KB, "message_in": 100 * KB, "rate": 2000, "round_trip": 0.02,
        "currency": "USD", "increment": 20, "per_increment": "0.50", "minimum": "1.00"},
    "marina": {
        "type": "networkmanager", "entry": "Marina", "priority": 30, "windows": "Wed,Sat 18:00-20:00"},
}

# Every mail of the week: which way it goes, whose it is, its octets; where it is in the end.
Mail = namedtuple("Mail", "way box octets ends urgent", defaults=(False,))
MAIL = {
    "position":  Mail("out", "captain", 600, "agent"),
    "contract":  Mail("in", "captain", 2 * KB, "captain"),
    "engine":    Mail("out", "captain", 800, "agent", urgent=True),
    "supplies":  Mail("out", "captain", 90 * KB, "agent"),
    "menu":      Mail("out", "cook", 30 * KB, "agent"),
    "drawing":   Mail("out", "captain", 150 * KB, "agent"),         # too large for gsm
    "charts":    Mail("out", "captain", 300 * KB, "agent"),         # too large for the satellite, too
    "medical":   Mail("out", "cook", 700, "agent", urgent=True),
    "invoice":   Mail("in", "captain", 40 * KB, "captain"),
    "greetings": Mail("in", "captain", 3 * KB, "captain"),
    "news":      Mail("in", "captain", 90 * KB, "captain"),
    "radio":     Mail("out", "captain", 900, "agent"),
    "album":     Mail("in", "captain", 250 * KB, "captain"),        # too large for the satellite
    "weather":   Mail("out", "cook", 500, "agent", urgent=True),
    "postcards": Mail("out", "cook", 120 * KB, "agent"),
    "photos":    Mail("out", "captain", 400 * KB, "queue"),         # too large for all but the marina
    "regatta":   Mail("in", "captain", 200 * KB, "provider"),       # too large for the satellite
}

# Every call.  Paid are gsm: 0.10, and 0.25 for each minute begun; the satellite: 0.50 for each 20 s begun, at least
# 1.00; the marina: nothing.  A busy line costs nothing; where there was no carrier, somebody may have answered.
Call = namedtuple("Call", "run after link dialling mail cost sent fetched outcome why")
BUSY = "2 attempts, the last: the link did not come up: the line is busy"
BROKE = "the connection broke: "
FIRST, NEXT = "it comes first", "the first that may be used; gsm: "
CLOSED = NEXT + "its window is closed until Tue 2026-03-03 22:00"
USED_UP = NEXT + "its budget of 1.90 EUR a month is used up"
IN_PORT = USED_UP + "; satellite: its window is closed until Sat 2026-03-07 22:00"
CALLS = [
    #     the run; so many seconds later; seconds that are paid: dialling, mail; cost; messages sent, fetched
    Call("Mon 22:05", 0, "gsm", 25, 70.0, "0.60", 1, 1, "ok", FIRST),
    Call("Tue 10:01", 0, "satellite", 12, 29.2, "1.50", 1, 0, "ok", CLOSED),
    Call("Tue 22:10", 0, "gsm", 25, 8.3, "0.35", 0, 0, BROKE, FIRST),
    Call("Tue 22:40", 0, "gsm", 25, 35.0, "0.35", 2, 0, "ok", FIRST),
    Call("Tue 22:40", 60, "satellite", 12, 18.0, "1.00", 1, 0, "ok", NEXT + "it may not carry this"),
    Call("Wed 01:00", 0, "gsm", 0, 0.0, "0.00", 0, 0, BUSY, FIRST),
    Call("Wed 01:00", 2 * 25, "satellite", 2 * 12, 8.0, "2.00", 1, 0, "ok", NEXT + "it did not come up"),
    Call("Wed 18:30", 0, "marina", 0, 12.5, "", 1, 1, "ok", "it is up"),
    Call("Thu 22:00", 0, "gsm", 25, 85.0, "0.60", 0, 1, BROKE, FIRST),
    Call("Thu 23:00", 0, "satellite", 12, 40.0, "1.50", 1, 1, "ok", USED_UP),
    Call("Fri 22:01", 0, "satellite", 12, 3.0, "1.00", 0, 0, BROKE, USED_UP),
    Call("Fri 22:20", 0, "satellite", 12, 55.0, "2.00", 1, 1, "ok", USED_UP),
    Call("Sat 18:30", 0, "marina", 5, 8.0, "", 1, 0, "ok", IN_PORT),
    Call("Sun 22:30", 0, "satellite", 12, 5.0, "1.00", 0, 0, "ok", USED_UP),
]
CURRENCIES = {"gsm": "EUR", "satellite": "USD", "marina": ""}

# The bill.  By link:
LINKS_PAID = {
    "gsm": {"calls": 5, "seconds": 298.3, "messages": 5, "cost": {"EUR": "1.90"}, "bytes_are": "interface"},
    "satellite": {"calls": 7, "seconds": 254.2, "messages": 7, "cost": {"USD": "10.00"}, "bytes_are": "interface"},
    "marina": {"calls": 2, "seconds": 25.5, "messages": 3, "cost": {}, "bytes_are": "interface"},
}
DAYS_PAID = {
    "2026-03-02": {"calls": 1, "seconds": 95.0, "cost": {"EUR": "0.60"}},
    "2026-03-03": {"calls": 4, "seconds": 164.5, "cost": {"EUR": "0.70", "USD": "2.50"}},
    "2026-03-04": {"calls": 3, "seconds": 44.5, "cost": {"EUR": "0.00", "USD": "2.00"}},
    "2026-03-05": {"calls": 2, "seconds": 162.0, "cost": {"EUR": "0.60", "USD": "1.50"}},
    "2026-03-06": {"calls": 2, "seconds": 82.0, "cost": {"USD": "3.00"}},
    "2026-03-07": {"calls": 1, "seconds": 13.0, "cost": {}},
    "2026-03-08": {"calls": 1, "seconds": 17.0, "cost": {"USD": "1.00"}},
}
# By box.  Calls that carried nothing are nobody's.  Two calls are shared: gsm's of Tuesday, 22:40, 0.2625 for 90 kB of
# the captain's and 0.0875 for 30 kB of the cook's; the satellite's of Friday, of which the cook's 500 octets cost less
# than half a cent.
BOXES_PAID = {
    "captain": {"messages": 11, "cost": {"EUR": "1.46", "USD": "6.00"}},
    "cook": {"messages": 4, "cost": {"EUR": "0.09", "USD": "2.00"}},
    None: {"messages": 0, "cost": {"EUR": "0.35", "USD": "2.00"}},
}
TOTAL = {"calls": 14, "seconds": 578.0, "messages": 15, "cost": {"EUR": "1.90", "USD": "10.00"}}


def test_a_week(tmp_path, capsys):
    with clock_of("UTC0"), world(LINES) as (wire, shore):
        yacht = Yacht(tmp_path / "yacht", wire, shore, LINKS, MAIL)
        play(yacht, shore)
        assert yacht.places(shore) == {name: [mail.ends] for name, mail in MAIL.items()}      # and nothing twice
    the_ledger(yacht)
    the_bill(yacht, capsys)


def play(yacht, shore):
    """The week, day by day."""
    def arrives(*names):
        for name in names:
            shore.deliver(yacht.text(name))

    def mailcheck(when, code=OK, drop=None, hung_up=True):
        """One run, whose calls last as long as the table says.  It says nothing, since no person is needed."""
        lasts = {call.link: call.mail for call in CALLS if call.run == when}
        assert yacht.mailcheck(when, lasts, drop) == (code, ""), when
        assert yacht.reaches(shore) is not hung_up, when

    # Monday.  By day no link may be used for normal mail.  In the evening gsm's window opens; the line is busy once.
    assert not yacht.reaches(shore)
    yacht.writes("Mon 11:50", "position")
    arrives("contract")
    mailcheck("Mon 12:00")
    assert yacht.dialled == [] and yacht.waiting == {"position"}
    yacht.plays("gsm", "busy", "ok")
    mailcheck("Mon 22:05")
    assert yacht.dialled == ["gsm", "gsm"]
    assert yacht.waiting == set() and yacht.fetched == ["contract"]

    # Tuesday.  An urgent mail goes at once by satellite, and only that.
    yacht.writes("Tue 09:00", "supplies")
    yacht.writes("Tue 10:00", "engine")
    mailcheck("Tue 10:01")
    assert yacht.waiting == {"supplies"} and yacht.dialled == ["satellite"]
    # In the evening the line drops in the middle of a message, ...
    charts = yacht.writes("Tue 10:30", "charts")
    mailcheck("Tue 22:10", PARTLY, drop=("gsm", 60 * KB))
    assert yacht.waiting == {"supplies", "charts"}
    # ... and later it goes out in full.  What is too large for gsm goes by satellite in the same run; what is too large
    # for that, too, waits for the marina, and its sender was told so, once.
    yacht.writes("Tue 22:20", "menu")
    yacht.writes("Tue 22:30", "drawing")
    mailcheck("Tue 22:40")
    assert yacht.waiting == {"charts"}
    told, = yacht.told("captain")
    words = " ".join(told.as_string().split())
    assert charts in words and "over link marina, from Wed 2026-03-04 18:00" in words and told["Reply-To"]

    # Wednesday.  By night gsm is busy, so it is the satellite's turn, whose first attempt finds no carrier.
    yacht.writes("Wed 00:55", "medical")
    yacht.plays("gsm", "busy", "busy")
    yacht.plays("satellite", "no-carrier", "ok")
    mailcheck("Wed 01:00", PARTLY)
    assert yacht.dialled == ["gsm", "gsm", "satellite", "satellite"] and yacht.waiting == {"charts"}
    mailcheck("Wed 12:00")
    assert yacht.dialled == []
    # In the evening the yacht is in port.  The captain has brought the marina's line up: it takes everything, and is
    # still up afterwards, until he ends it.
    arrives("invoice")
    with yacht.line_up_by_hand("marina"):
        mailcheck("Wed 18:30", hung_up=False)
    assert yacht.dialled == [] and yacht.waiting == set() and yacht.fetched == ["contract", "invoice"]

    # Thursday.  The line drops while a message comes in; that call is the last one that gsm's budget pays.  So the
    # satellite takes over, and fetches the rest.  A big one stays at the provider, and its box is told.
    arrives("greetings", "news")
    mailcheck("Thu 22:00", PARTLY, drop=("gsm", 50 * KB))
    assert yacht.fetched == ["contract", "greetings", "invoice"]
    yacht.writes("Thu 22:30", "radio")
    arrives("album")
    mailcheck("Thu 23:00")
    assert yacht.dialled == ["satellite"] and yacht.waiting == set()
    assert yacht.fetched == ["contract", "greetings", "invoice", "news"]
    _, notice = yacht.told("captain")
    assert yacht.ledger[-1]["held"][0] in notice["Subject"]
    assert "album" in notice.get_content() and "1.00 USD  no: at most 100 kB" in notice.get_content()

    # Friday.  By a reply the captain has it fetched; the cook cannot.
    assert yacht.replies("cook", notice["Reply-To"], "release").startswith("550 5.7.1")
    assert yacht.replies("captain", notice["Reply-To"], "release").startswith("250 ")
    yacht.writes("Fri 22:00", "weather")
    # The line drops before anything has come of it.  So that this is not paid for at every run, the link rests a while.
    mailcheck("Fri 22:01", PARTLY, drop=("satellite", 3 * KB))
    mailcheck("Fri 22:05")
    assert yacht.dialled == [] and yacht.waiting == {"weather"}
    mailcheck("Fri 22:20")
    assert yacht.waiting == set()
    assert yacht.fetched == ["album", "contract", "greetings", "invoice", "news"]

    # Saturday, in port again.  This time nobody has brought the line up.
    yacht.writes("Sat 09:00", "postcards")
    mailcheck("Sat 18:30")
    assert yacht.dialled == ["marina"] and yacht.waiting == set()

    # Sunday.  The next big ones have to wait, one here and one there, and the plan says for what.
    photos = yacht.writes("Sun 09:00", "photos")
    arrives("regatta")
    mailcheck("Sun 22:30")
    *_, told, notice = yacht.told("captain")
    assert photos in told.as_string() and "regatta" in notice.get_content()
    assert len(yacht.told("captain")) == 4 and yacht.told("cook") == []         # of each big one, once
    assert yacht.plan("Sun 22:31").why_not == {
        "gsm": "its budget of 1.90 EUR a month is used up", "satellite": "",
        "marina": "its window is closed until Wed 2026-03-11 18:00"}
    assert yacht.plan("2026-04-01 23:00").calls == ["gsm"]      # in April there is money again


def the_ledger(yacht):
    """A line for each call, with why it went over that link; its octets are those that crossed the line."""
    lines = yacht.ledger
    assert [(line["start"], line["link"], line["seconds"], line["cost"], line["currency"], line["messages_out"],
             line["messages_in"], line["why"]) for line in lines] == [
        (at(call.run) + call.after, call.link, call.dialling + call.mail, call.cost, CURRENCIES[call.link], call.sent,
         call.fetched, call.why) for call in CALLS]
    assert [line for line, call in zip(lines, CALLS) if call.outcome not in line["outcome"]] == []
    assert [call.run for line, call in zip(lines, CALLS) if line["held"]] == ["Thu 23:00", "Sun 22:30"]
    assert len(yacht.carried) == len(CALLS)
    for line, carried, call in zip(lines, yacht.carried, CALLS):
        if call.outcome != BROKE:       # then more was sent than carried
            assert [abs(line[way] - carried[way]) < PACKET for way in ("bytes_up", "bytes_down")] == [True, True]


def the_bill(yacht, capsys):
    """It adds up to the tenth of a second and to the cent, whichever way it is looked at."""
    for by, rows in ("link", LINKS_PAID), ("day", DAYS_PAID), ("box", BOXES_PAID):
        assert report.main(["--report", "--json", "--month", "2026-03", "--by", by, str(yacht.path)]) == OK
        made = json.loads(capsys.readouterr().out)
        assert {row[by]: {key: row[key] for key in rows[row[by]]} for row in made["rows"]} == rows
        assert {key: made["total"][key] for key in TOTAL} == TOTAL
        assert made["calls_without_cost"] == 2      # the marina's
        assert round(sum(row["seconds"] for row in made["rows"]), 1) == TOTAL["seconds"]
        for way in "bytes_up", "bytes_down":
            assert (made["total"][way] == sum(row[way] for row in made["rows"])
                    == sum(line[way] for line in yacht.ledger))

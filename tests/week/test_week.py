"""A week at sea: three links, windows, a budget that runs out, an urgent mail, two big ones, lines that drop.

Time is the test's: it says when each mailcheck runs and how long each call lasts.  The diallers are real programs (the
fakes of tests/link_dial, and scripts), the worker is the real one, and the provider ashore is on loopback.  The figures
of the bill are computed by hand, from the tariffs below.
"""

import email
import json
import os
import sys
from datetime import datetime

import pytest

from amsmail.link import ledger
from amsmail.program import report
from amsmail.program.run import Run
from amsmail.program.screen import Screen
from tests.link_dial.conftest import FAKES, Line
from tests.mailcheck.peers import Provider, Relay
from tests.mailcheck.sites import SECRET, Site, account, relay
from tests.site.test_windows import clock_of

OK, PARTLY = 0, 75
KB = 1000
WEEK = {"Mon": "2026-03-02", "Tue": "2026-03-03", "Wed": "2026-03-04", "Thu": "2026-03-05", "Fri": "2026-03-06",
        "Sat": "2026-03-07", "Sun": "2026-03-08"}

# What each link is for, and what it costs.
MARINA = {"type": "present", "priority": 10}
GSM = {"type": "ppp", "entry": "station", "priority": 20, "windows": "22:00-06:00", "message_out": 100 * KB,
       "currency": "EUR", "setup_charge": "0.10", "per_minute": "0.25", "budget": "1.90 EUR a month"}
IRIDIUM = {"type": "command", "priority": 30, "classes": "urgent",
           "currency": "USD", "increment": 20, "per_increment": "0.50", "minimum": "1.00"}


def at(when):
    day, hour = when.split()
    return datetime.fromisoformat(f"{WEEK[day]} {hour}").timestamp()


def message(subject, size=0, urgent=False):
    """A message on the wire, filled up to `size` octets."""
    head = [f"Subject: {subject}", *(["X-Priority: 1"] if urgent else []), "", ""]
    text = "\r\n".join(head).encode()
    lines = max(1, (size - len(text)) // 50)
    return text + (b"x" * 48 + b"\r\n") * lines


def subject(text):
    return email.message_from_bytes(text)["Subject"]


class Yacht(Site):
    """The yacht of this week."""

    def __init__(self, folder, relay_port, provider_port):
        folder.mkdir()
        self.wifi, self.calls = folder / "wifi", folder / "calls"
        commands = {name: self._script(folder / name, f"echo {name} >> {self.calls}") for name in ("up", "down")}
        super().__init__(
            folder, relay=relay(relay_port), accounts=account(provider_port),
            boxes={"captain": {"password": SECRET}, "cook": {"password": SECRET}},
            links={"marina": {**MARINA, "probe": f"command test -e {self.wifi}"}, "gsm": GSM,
                   "iridium": {**IRIDIUM, **commands}})

    @staticmethod
    def _script(path, line):
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
        return path

    def writes(self, when, text, sender="captain@yacht.example"):
        """Somebody on board sends a message; gives its identity."""
        self.arrival = int(at(when))
        return self.enqueue(text, to=["agent@shore.example"], sender=sender)

    def mailcheck(self, when, *lasts):
        """One run at that time, whose calls last so many seconds; gives the exit code."""
        readings = [reading for seconds in lasts for reading in (0.0, seconds)]
        run = Run(str(self.path), Screen(False), quiet=True, clock=lambda: at(when), timer=lambda: readings.pop(0))
        code = run.run()
        assert readings == []
        return code

    def plan(self, when, month="03"):
        """The Plan of a run at that time."""
        now = datetime.fromtimestamp(at(when)).replace(month=int(month)).timestamp()
        return Run(str(self.path), Screen(False), clock=lambda: now).plan()

    @property
    def ledger(self):
        return ledger.read(self.spool.state("ledger.jsonl"))

    @property
    def waiting(self):
        """The identities of what is in the queue."""
        return {queued.entry.uid for queued in self.queued()}

    def mail(self, box):
        """The subjects of what was fetched into a box, in order of arrival."""
        return [subject(text) for text in self.box(box) if b"\tby yacht.example with POP3" in text]

    def notices(self, box):
        """What a box was told of messages that wait."""
        return [text for text in self.box(box) if b"Action: delayed" in text]


@pytest.fixture
def line(tmp_path, monkeypatch):
    """The line that the fake pppd dials."""
    (tmp_path / "line").mkdir()
    monkeypatch.setenv("FAKE_DIAL_STATE", str(tmp_path / "line"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(FAKES), os.path.dirname(sys.executable), os.environ["PATH"]]))
    with clock_of("UTC0"):
        yield Line(tmp_path / "line")


def test_a_week(tmp_path, line, capsys):
    with Relay() as shore, Provider([]) as provider:
        yacht = Yacht(tmp_path / "yacht", shore.port, provider.port)
        play(yacht, shore, provider, line, capsys)
        assert [subject(body) for _, _, body in shore.accepted] == [
            "position", "engine", "menu", "supplies", "medical", "charts", "weather", "radio"]     # each of them once
        assert yacht.mail("captain") == ["contract", "invoice", "greetings", "news"] and provider.messages == []
        the_ledger(yacht)
        the_bill(yacht, capsys)


def play(yacht, shore, provider, line, capsys):
    """The week, day by day."""
    def is_silent():
        return capsys.readouterr() == ("", "")

    # Monday.  By day no link may be used for normal mail; in the evening gsm's window opens.
    position = yacht.writes("Mon 11:50", message("position"))
    provider.messages.append(("uid1", message("contract")))
    assert yacht.mailcheck("Mon 12:00") == OK and is_silent()
    assert yacht.ledger == [] and yacht.waiting == {position} and line.attempts == []
    assert yacht.mailcheck("Mon 22:05", 95.0) == OK and is_silent()
    assert yacht.waiting == set() and yacht.mail("captain") == ["contract"]

    # Tuesday.  An urgent mail goes at once by satellite, and only that.
    supplies = yacht.writes("Tue 09:00", message("supplies", 90 * KB))
    yacht.writes("Tue 10:00", message("engine", urgent=True))
    assert yacht.mailcheck("Tue 10:01", 41.2) == OK and is_silent()
    assert yacht.waiting == {supplies} and yacht.calls.read_text().split() == ["up", "down"]
    charts = yacht.writes("Tue 10:30", message("charts", 300 * KB))
    # In the evening the line drops in the middle of a message, ...
    shore.cut_in_body = 5 * KB
    assert yacht.mailcheck("Tue 22:10", 33.3) == PARTLY
    assert is_silent(), "the next run mends it: no person is needed"
    assert yacht.waiting == {supplies, charts} and not line.is_up("ppp")
    # ... and later it goes out in full, with another; the big one stays, for it is too large for this link.
    shore.cut_in_body = None
    yacht.writes("Tue 22:20", message("menu", 30 * KB), sender="cook@yacht.example")
    assert yacht.mailcheck("Tue 22:40", 60.0) == OK and is_silent()
    assert yacht.waiting == {charts}

    # Wednesday.  By night the line is busy; what is urgent goes by satellite at once.
    yacht.writes("Wed 00:55", message("medical", urgent=True), sender="cook@yacht.example")
    line.play("busy")
    assert yacht.mailcheck("Wed 01:00", 12.0, 20.0) == PARTLY and is_silent()
    assert yacht.waiting == {charts} and not line.is_up("ppp")
    # The big one waits for more than a day, and its sender is told so, once.
    assert yacht.mailcheck("Wed 11:00") == OK
    assert yacht.mailcheck("Wed 12:00") == OK and is_silent()
    told, = yacht.notices("captain")
    assert charts.encode() in told and yacht.notices("cook") == []
    # In the evening the yacht lies in a marina whose Wi-Fi is there: it takes everything, and costs nothing.
    yacht.wifi.touch()
    provider.messages.append(("uid2", message("invoice", 400 * KB)))
    assert yacht.mailcheck("Wed 19:00", 12.5) == OK and is_silent()
    assert yacht.waiting == set() and yacht.mail("captain") == ["contract", "invoice"]
    yacht.wifi.unlink()

    # Thursday.  The line drops while a message comes in; that call is the last one that the budget pays.
    provider.messages += [("uid3", message("greetings", 20 * KB)), ("uid4", message("news", 30 * KB))]
    provider.cut_in_body, provider.cut_message = 10 * KB, 2
    assert yacht.mailcheck("Thu 22:00", 118.0) == PARTLY and is_silent()
    assert yacht.mail("captain") == ["contract", "invoice", "greetings"] and not line.is_up("ppp")
    provider.cut_in_body = None
    radio = yacht.writes("Thu 22:30", message("radio"))
    assert yacht.mailcheck("Thu 23:00") == OK
    assert yacht.waiting == {radio}

    # Friday.  Nothing is left of gsm's budget, so it is the satellite by night, too.
    yacht.writes("Fri 22:00", message("weather", urgent=True), sender="cook@yacht.example")
    assert yacht.mailcheck("Fri 22:01", 13.8) == OK and is_silent()
    assert yacht.waiting == {radio}

    # Saturday.  The marina again: the rest of the mail.
    yacht.wifi.touch()
    assert yacht.mailcheck("Sat 18:00", 8.0) == OK and is_silent()
    assert yacht.waiting == set()
    yacht.wifi.unlink()

    # Sunday.  A second big one has to wait, and the plan says for what.
    photos = yacht.writes("Sun 09:00", message("photos", 500 * KB))
    assert yacht.mailcheck("Sun 22:30") == OK and is_silent()
    assert yacht.waiting == {photos}
    assert {verdict.link: verdict.why_not for verdict in yacht.plan("Sun 22:31").verdicts} == {
        "marina": "it is not there",
        "gsm": "its budget of 1.90 EUR a month is used up",
        "iridium": "of what is to be sent it may carry nothing: it carries urgent mail only"}
    assert [item.uid for item in yacht.plan("Sun 22:31").items] == [photos]
    # In April there is money again, and by night gsm still says that it is too large.
    april = yacht.plan("Wed 23:00", month="04")
    assert (april.link, april.messages, april.accounts) == ("gsm", (), ("owner",))
    assert april.verdicts[1].waits == {photos: "499969 octets are more than its message_out, 100000"}

    assert line.attempts.count("up") == 5       # and each time it was hung up
    assert yacht.calls.read_text().split() == 3 * ["up", "down"]


# What the calls took.  gsm: 0.10 and 0.25 for each minute begun; a busy line costs nothing.  iridium: 0.50 for every
# 20 s begun, at least 1.00.
NOT_THERE = "the first that may be used; marina: it is not there"
CALLS = [
    # began, link, seconds, cost, sent, fetched, why
    ("Mon 22:05", "gsm", 95.0, "0.60", 1, 1, NOT_THERE),
    ("Tue 10:01", "iridium", 41.2, "1.50", 1, 0, f"{NOT_THERE}; gsm: its window is closed until Tue 2026-03-03 22:00"),
    ("Tue 22:10", "gsm", 33.3, "0.35", 0, 0, NOT_THERE),
    ("Tue 22:40", "gsm", 60.0, "0.35", 2, 0, NOT_THERE),
    ("Wed 01:00", "gsm", 12.0, "0.00", 0, 0, NOT_THERE),
    ("Wed 01:00", "iridium", 20.0, "1.00", 1, 0, NOT_THERE),
    ("Wed 19:00", "marina", 12.5, "", 1, 1, "it is up"),
    ("Thu 22:00", "gsm", 118.0, "0.60", 0, 1, NOT_THERE),
    ("Fri 22:01", "iridium", 13.8, "1.00", 1, 0, f"{NOT_THERE}; gsm: its budget of 1.90 EUR a month is used up"),
    ("Sat 18:00", "marina", 8.0, "", 1, 1, "it is up"),
]
OUTCOMES = {"Tue 22:10": "relay: ", "Thu 22:00": "account owner: ",
            "Wed 01:00": "link gsm: the link did not come up: the line is busy"}


def the_ledger(yacht):
    """A line for each call, with why it went over that link."""
    calls = yacht.ledger
    assert [(call["start"], call["link"], call["seconds"], call["cost"], call["messages_out"], call["messages_in"],
             call["why"]) for call in calls] == [(at(began), *rest) for began, *rest in CALLS]
    assert [call["currency"] for call in calls] == [
        {"gsm": "EUR", "iridium": "USD", "marina": ""}[link] for _, link, *_ in CALLS]
    for call, (began, link, *_) in zip(calls, CALLS):
        expected = "ok" if (began, link) == ("Wed 01:00", "iridium") else OUTCOMES.get(began, "ok")
        assert call["outcome"].startswith(expected)
        assert call["bytes_up"] >= call["octets_out"] and call["bytes_down"] >= call["octets_in"]


def the_bill(yacht, capsys):
    """It adds up to the tenth of a second and to the cent, whichever way it is looked at."""
    total = {"calls": 10, "seconds": 413.8, "messages": 12, "cost": {"EUR": "1.90", "USD": "3.50"}}
    gsm = {"calls": 5, "seconds": 318.3, "messages": 5, "cost": {"EUR": "1.90"}, "bytes_are": "interface"}
    iridium = {"calls": 3, "seconds": 75.0, "messages": 3, "cost": {"USD": "3.50"}, "bytes_are": "estimated"}
    marina = {"calls": 2, "seconds": 20.5, "messages": 4, "cost": {}, "bytes_are": "estimated"}
    days = {
        "2026-03-02": {"calls": 1, "seconds": 95.0, "cost": {"EUR": "0.60"}},
        "2026-03-03": {"calls": 3, "seconds": 134.5, "cost": {"EUR": "0.70", "USD": "1.50"}},
        "2026-03-04": {"calls": 3, "seconds": 44.5, "cost": {"EUR": "0.00", "USD": "1.00"}},
        "2026-03-05": {"calls": 1, "seconds": 118.0, "cost": {"EUR": "0.60"}},
        "2026-03-06": {"calls": 1, "seconds": 13.8, "cost": {"USD": "1.00"}},
        "2026-03-07": {"calls": 1, "seconds": 8.0, "cost": {}},
    }
    # The calls that carried nothing are nobody's.  That of Tuesday, 22:40 is shared: 0.26 for 89971 octets of the
    # captain's, 0.09 for 29967 of the cook's.
    boxes = {"captain": {"cost": {"EUR": "1.46", "USD": "1.50"}, "messages": 9},
             "cook": {"cost": {"EUR": "0.09", "USD": "2.00"}, "messages": 3},
             None: {"cost": {"EUR": "0.35"}, "messages": 0}}
    for by, rows in ("link", {"gsm": gsm, "iridium": iridium, "marina": marina}), ("day", days), ("box", boxes):
        assert report.main(["--report", "--json", "--month", "2026-03", "--by", by, str(yacht.path)]) == OK
        made = json.loads(capsys.readouterr().out)
        assert {row[by]: {key: row[key] for key in rows[row[by]]} for row in made["rows"]} == rows
        assert {key: made["total"][key] for key in total} == total
        assert made["calls_without_cost"] == 2
        for way in "bytes_up", "bytes_down":
            assert (made["total"][way] == sum(row[way] for row in made["rows"])
                    == sum(call[way] for call in yacht.ledger))
        assert made["total"]["seconds"] == round(sum(row["seconds"] for row in made["rows"]), 1)

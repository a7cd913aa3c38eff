"""Outbound mail that is too large for the links: its sender is told once, and it goes when a link carries it or a
person lets it go."""

import os
import subprocess
import sys
import time
from email import message_from_string

import pytest

from amsmail.store.held import HeldMail
from amsmail.store.queue import FREED, TOLD_SIZE, TOO_LARGE, Queue
from amsmail.transport import outsized
from amsmail.transport.plan import plan
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import SECRET, Site, crash, relay
from tests.mailcheck.test_held import Ship as Replying
from tests.store.disk import Disk

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin")
LARGE = b"Subject: large\r\n\r\n" + b"line of text\r\n" * 300
SAT = {"type": "always", "message_out": 1000}
NOON = 1763726400
_HOUR = time.localtime(NOON).tm_hour
LATER = f"{(_HOUR + 3) % 24:02}:00-{(_HOUR + 4) % 24:02}:00"       # a window that is closed then


reply = Replying.reply


class Ship(Site):
    """A yacht with a satellite, and, once `harbour()` was called, what the harbour offers."""

    def __init__(self, folder, port=1, **links):
        super().__init__(folder, relay=relay(port))
        self._flag = folder / "harbour"
        self._links = {"sat": SAT, "harbour": {"type": "present", "probe": f"command test -e {self._flag}"}, **links}
        self.configure(links={name: link for name, link in self._links.items() if link})

    def harbour(self):
        self._flag.write_text("")

    def mailcheck(self, *options):
        run = subprocess.run([sys.executable, "-IS", os.path.join(BIN, "mailcheck"), *options], timeout=30,
                             capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr

    def run(self):
        return self.mailcheck("--quiet", str(self.path))

    def plan(self, is_up=False, now=NOON):
        """The Plan, where all links are up or none is."""
        return plan(self.site, self.spool, self._logger(), now, True, [], dict.fromkeys(self.site.links, is_up))

    def hold(self, **plan_):
        """What a mailcheck does before it calls."""
        outsized.hold(self.site, self.spool, self._logger(), self.plan(**plan_))

    def flags(self):
        return [queued.flags for queued in self.queued()]

    def told(self):
        """What the sender was told."""
        return [text.decode() for text in self.box("captain")]


@pytest.fixture
def provider():
    with Relay() as relay:
        yield relay


def test_the_sender_is_told_once_and_small_mail_goes_on(tmp_path, provider):
    ship = Ship(tmp_path / "ship", provider.port)
    uid = ship.enqueue(LARGE)
    for number in range(3):
        ship.enqueue(b"Subject: %d\r\n\r\nHello.\r\n" % number)
        assert ship.run() == (0, "")
    assert len(provider.accepted) == 3 and [queued.entry.uid for queued in ship.queued()] == [uid]
    notice, = ship.told()
    assert "Mail still waits" in notice and "Action: delayed" in notice and "Status: 4.3.4" in notice
    words = " ".join(notice.split())
    assert "It has 4.2 kB. It is likely to go over link harbour, which cannot take it yet: it is not there." in words
    assert "Reply to this message with one of these words alone on the first line: release" in words
    assert f"The operator can do the same: mailcheck queue release {uid}" in words
    assert max(len(line) for line in notice.splitlines() if line.startswith("        ")) <= 80


def test_it_goes_by_itself_over_a_link_that_carries_it(tmp_path, provider):
    ship = Ship(tmp_path / "ship", provider.port)
    ship.enqueue(LARGE)
    ship.run()
    assert provider.accepted == []
    ship.harbour()
    assert ship.run() == (0, "")
    (_, _, body), = provider.accepted
    assert body.endswith(LARGE) and ship.queued() == [] and len(ship.told()) == 1


def test_a_person_lets_it_go(tmp_path, provider):
    ship = Ship(tmp_path / "ship", provider.port)
    uid = ship.enqueue(LARGE)
    ship.run()
    assert ship.mailcheck("queue", "release", uid, "--config", str(ship.path))[0] == 0
    assert ship.run() == (0, "")
    assert len(provider.accepted) == 1 and ship.queued() == [] and len(ship.told()) == 1


# The sender decides

@pytest.fixture
def replier(tmp_path, provider):
    """(a ship with a large message of the captain's, the notice that he got, the relay)."""
    ship = Ship(tmp_path / "ship", provider.port)
    ship.configure(tls={"cleartext_login_from": "127.0.0.1, 192.0.2.1"},
                   boxes={"captain": {"password": SECRET}, "cook": {"password": SECRET}})
    ship.enqueue(LARGE)
    ship.run()
    notice, = ship.told()
    return ship, message_from_string(notice), provider


def test_its_sender_sends_it_all_the_same(replier):
    ship, notice, provider = replier
    assert reply(ship, notice["Reply-To"])[1][:3] == "250"
    assert ship.run() == (0, "")
    assert len(provider.accepted) == 1 and ship.queued() == [] and len(ship.told()) == 1


def test_its_sender_cancels_it(replier):
    ship, notice, provider = replier
    reply(ship, notice["Reply-To"], "delete\n")
    assert ship.run() == (0, "")
    assert provider.accepted == [] and ship.queued() == [] and len(ship.told()) == 1
    assert reply(ship, notice["Reply-To"])[0].startswith("550 5.1.1"), "it is over"


def test_nobody_else_decides(replier):
    ship, notice, provider = replier
    assert reply(ship, notice["Reply-To"], login="cook")[0].startswith("550 5.7.1")
    assert reply(ship, notice["Reply-To"], login="")[0].startswith("550 5.7.1")
    ship.run()
    assert provider.accepted == [] and len(ship.queued()) == 1


def test_a_reply_that_says_neither_is_answered(replier):
    ship, notice, provider = replier
    reply(ship, notice["Reply-To"], "Please hurry!\n")
    ship.run()
    told = [message_from_string(text) for text in ship.told()]
    answer, = [text for text in told if "About the large mail" in text["Subject"]]
    assert "was not understood: it still waits" in answer.get_payload()
    reply(ship, answer["Reply-To"])
    assert ship.run() == (0, "") and len(provider.accepted) == 1


def test_while_somebody_has_the_queue_a_decision_waits(replier):
    ship, notice, provider = replier
    reply(ship, notice["Reply-To"], "delete\n")
    with ship.spool.lock("queue"):
        ship.run()
    assert len(ship.queued()) == 1
    ship.run()
    assert ship.queued() == [] and provider.accepted == []


def test_what_went_by_itself_cannot_be_decided_on(replier):
    """Nothing is kept of it."""
    ship, notice, provider = replier
    ship.harbour()
    ship.run()
    assert len(provider.accepted) == 1
    ship.run()
    assert HeldMail(ship.spool).outbound() == []
    assert reply(ship, notice["Reply-To"])[0].startswith("550 5.1.1")


def test_it_is_told_once_also_where_the_larger_link_failed(tmp_path):
    ship = Ship(tmp_path / "ship")
    ship.enqueue(LARGE)
    ship.run()
    ship.harbour()
    ship.run()                  # nobody is at the relay's port
    assert ship.flags() == [TOLD_SIZE]
    ship._flag.unlink()
    ship.run()
    assert ship.flags() == [TOO_LARGE + TOLD_SIZE] and len(ship.told()) == 1


ONLY_SAT = {"harbour": None}
CHANCES = {
    "none": (ONLY_SAT, "No link of this site carries a message of that size."),
    "a window": ({**ONLY_SAT, "wifi": {"type": "always", "windows": LATER}}, "over link wifi, from "),
    "a budget": ({**ONLY_SAT, "gsm": {"type": "always", "budget": "0.01 MB a day"}},
                 "over link gsm, which cannot take it yet: its budget leaves 10000 octets"),
    "no link, ever": ({"sat": {**SAT, "windows": LATER}, "harbour": None}, "No link of this site carries"),
}


@pytest.mark.parametrize("case", CHANCES)
def test_when_it_is_likely_to_go(tmp_path, case):
    links, words = CHANCES[case]
    ship = Ship(tmp_path / "ship", **links)
    ship.enqueue()              # so that there is a call over the satellite
    ship.enqueue(LARGE)
    ship.hold()
    notice, = ship.told()
    assert words in " ".join(notice.split()) and sorted(ship.flags()) == ["", TOO_LARGE + TOLD_SIZE]


NOT_HELD = {
    "small enough": {"sat": {**SAT, "message_out": len(LARGE)}},
    "no limit": {"sat": {"type": "always"}},
    "the next link takes it": {"gsm": {"type": "always", "priority": 60, "message_out": 10**6}},
    "only its window is closed": {"sat": {**SAT, "windows": LATER}},
    "no link for its class": {"sat": {**SAT, "classes": "urgent"}, "harbour": {"type": "always", "windows": LATER}},
}


@pytest.mark.parametrize("links", NOT_HELD)
def test_what_waits_for_another_reason_is_not_held(tmp_path, links):
    ship = Ship(tmp_path / "ship", **NOT_HELD[links])
    ship.enqueue(LARGE)
    ship.hold()
    assert ship.told() == [] and ship.flags() == [""]


def test_no_limit_holds_what_a_person_freed(tmp_path):
    ship = Ship(tmp_path / "ship", harbour=None)
    uid = ship.enqueue(LARGE)
    ship.hold()
    Queue(ship.spool).release(ship.queued()[0].entry, NOON, freed=True)
    assert ship.plan().goes == {uid}
    ship.hold()
    assert ship.flags() == [FREED + TOLD_SIZE]


def test_what_a_person_freed_is_not_held_while_no_link_may_be_used(tmp_path):
    ship = Ship(tmp_path / "ship", sat={**SAT, "windows": LATER}, harbour=None)
    uid = ship.enqueue(LARGE)
    Queue(ship.spool).release(ship.queued()[0].entry, NOON, freed=True)
    assert ship.plan().goes == set() and [item.uid for item in ship.plan().items] == [uid]
    ship.hold()
    assert ship.flags() == [FREED] and ship.told() == []


def test_what_the_operator_holds_goes_over_no_link(tmp_path):
    ship = Ship(tmp_path / "ship")
    uid = ship.enqueue(LARGE)
    ship.hold()
    queue = Queue(ship.spool)
    assert ship.plan(is_up=True).goes == {uid}
    queue.hold(ship.queued()[0].entry, "h")
    assert ship.plan(is_up=True).goes == set()


def test_nothing_is_held_while_somebody_has_the_queue(tmp_path):
    ship = Ship(tmp_path / "ship", harbour=None)
    ship.enqueue(LARGE)
    todo = ship.plan()
    with ship.spool.lock("queue"):
        outsized.hold(ship.site, ship.spool, ship._logger(), todo)
    assert ship.told() == [] and ship.flags() == [""]
    outsized.hold(ship.site, ship.spool, ship._logger(), todo)
    assert len(ship.told()) == 1


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("step", ["hold", "let go"])
def test_a_crash_at_each_operation(tmp_path, step, power_cut, monkeypatch):
    number, count = 0, 1
    while number <= count:
        ship = Ship(tmp_path / str(number), harbour=None)
        ship.spool.state("tries", "x")
        ship.enqueue(LARGE)
        act = ship.hold
        if step == "let go":
            ship.hold()
            act = lambda ship=ship: outsized.let_go(ship.spool, ship._logger(), ship.queued(), NOON)
        disk = Disk(ship.spool.path, crash_at=number or None)
        crash(disk, act, monkeypatch)
        if not number:
            count = disk.count
            assert count > 3
        if number and power_cut:
            disk.power_cut()
        ship.start()
        act()
        assert ship.flags() == [TOO_LARGE + TOLD_SIZE if step == "hold" else TOLD_SIZE], disk.operations
        assert 1 <= len(ship.told()) <= (2 if step == "hold" else 1), disk.operations
        number += 1



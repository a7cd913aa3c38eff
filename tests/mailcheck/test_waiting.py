"""Mail that waits: who is told so, when it is given up, and what a crash or a wrong clock changes of that."""

import email
import email.policy
import errno
import os
import shutil

import pytest

from amsmail.site.dates import rfc5322
from amsmail.site.words import in_words
from amsmail.store import durable
from amsmail.store.queue import BY_OPERATOR, TOO_LARGE, WARNED, Queue, Tries
from amsmail.transport import waiting
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import SENT, Recipient
from tests.mailcheck.sites import Site, crash
from tests.store.disk import Disk

HOUR, DAY = 3600, 24 * 3600
WARN, EXPIRE = DAY, 7 * DAY
T0 = 1763700946         # when the messages of these tests came


class Ship(Site):
    """A site whose waiting mail is attended to at given times."""

    arrival = T0

    def attend(self, *days):
        """One run at each of these times, in days after the messages came."""
        for day in days:
            waiting.attend(self.site, self.spool, self._logger(), T0 + day * DAY, WARN, EXPIRE)

    def told(self, box="captain"):
        """(action, status) of each notification in a box, oldest first."""
        return [(about["Action"], about["Status"]) for _, about in self.notices(box)]

    def notices(self, box="captain"):
        """(message, fields on its first recipient) of each notification in a box."""
        found = [email.message_from_bytes(text, policy=email.policy.default) for text in self.box(box)]
        return [(notice, list(notice.iter_parts())[1].get_payload()[1]) for notice in found]

    def tried(self, **tries):
        """Notes how it went with the only message."""
        queued, = self.queued()
        Queue(self.spool).set_tries(queued.entry, Tries(**tries))


@pytest.fixture
def ship(tmp_path):
    return Ship(tmp_path / "ship")


def recipient(address, notify=""):
    return Recipient(parse_address(address), notify)


def test_told_once_and_given_up_once(ship):
    ship.enqueue()
    ship.attend(0, 0.99)
    assert ship.told() == []
    ship.attend(1, 1.01, 3, 6.9)
    assert ship.told() == [("delayed", "4.4.0")]
    assert len(ship.queued()) == 1
    ship.attend(7, 7.1)
    assert ship.told() == [("delayed", "4.4.0"), ("failed", "4.4.7")]
    assert ship.queued() == []


def test_what_the_warning_says(ship):
    uid = ship.enqueue(b"Subject: mine\r\nX: y\r\n\r\nThe body.\r\n", to=("a@far.example", "b@far.example"), envid="E1")
    ship.tried(count=3, last="450 4.2.1 That box is busy")
    ship.attend(1)
    (notice, about), = ship.notices()
    words, status, original = notice.iter_parts()
    until = rfc5322(T0 + EXPIRE)
    assert "a@far.example" in words.get_content() and "450 4.2.1 That box is busy" in words.get_content()
    assert f"until {until}" in words.get_content() and uid in words.get_content()
    assert (notice["To"], notice["Subject"]) == ("captain@yacht.example", "Mail still waits")
    assert dict(about.items()) == {"Final-Recipient": "rfc822; a@far.example", "Action": "delayed", "Status": "4.2.1",
                                   "Diagnostic-Code": "smtp; 450 4.2.1 That box is busy", "Will-Retry-Until": until}
    message, _, other = status.get_payload()
    assert message["Original-Envelope-Id"] == "E1"
    assert other["Diagnostic-Code"] is None         # the answer was not about that one
    # RFC 3461, section 4.3: a notification without a failure returns the header only.
    assert original.get_content_type() == "text/rfc822-headers" and "The body" not in notice.as_string()


def test_what_the_failure_says(ship):
    ship.enqueue(b"Subject: mine\r\n\r\nThe body.\r\n", arrival=T0)
    ship.attend(1)
    ship.tried(count=9, last="421 Later")
    ship.attend(7)
    notice, about = ship.notices()[1]
    assert "It was given up after 7 days." in notice.as_string() and "The body." in notice.as_string()
    assert about["Diagnostic-Code"] == "smtp; 421 Later" and about["Will-Retry-Until"] is None


@pytest.mark.parametrize("last, status", [("", "4.4.0"), ("450 4.2.1 Busy", "4.2.1"), ("450 Busy", "4.0.0"),
                                          ("450", "4.0.0"), ("451 4.example is down", "4.0.0")])
def test_the_status_of_a_delay_is_that_of_the_last_answer(ship, last, status):
    ship.enqueue()
    ship.tried(count=1, last=last)
    ship.attend(1)
    assert ship.told() == [("delayed", status)]


# sender, NOTIFY: what captain (postmaster) and cook hear
HEAR = {
    "no NOTIFY": ("cook@yacht.example", "", [], ["delayed", "failed"]),
    "NOTIFY=DELAY": ("cook@yacht.example", "DELAY", [], ["delayed"]),
    "NOTIFY=FAILURE": ("cook@yacht.example", "FAILURE", [], ["failed"]),
    "NOTIFY=FAILURE,DELAY": ("cook@yacht.example", "FAILURE,DELAY", [], ["delayed", "failed"]),
    "NOTIFY=SUCCESS": ("cook@yacht.example", "SUCCESS", [], []),
    "NOTIFY=NEVER": ("cook@yacht.example", "NEVER", [], []),
    "the null sender": (None, "", ["failed"], []),
    "a sender elsewhere": ("someone@far.example", "", ["failed"], []),
}


@pytest.mark.parametrize("sender, notify, captain, cook", HEAR.values(), ids=HEAR)
def test_who_hears(ship, sender, notify, captain, cook):
    ship.enqueue(to=(recipient("a@far.example", notify),), sender=sender)
    ship.attend(1, 6.9, 7)
    assert ship.queued() == []
    assert {box: [action for action, _ in ship.told(box)] for box in ("captain", "cook")} == {
        "captain": captain, "cook": cook}


def test_only_who_still_waits_is_reported(ship):
    ship.enqueue(to=("there@far.example", "b@far.example", recipient("never@far.example", "NEVER")))
    queued, = ship.queued()
    Queue(ship.spool).mark(queued, 0, SENT)
    ship.attend(1, 7)
    for notice, about in ship.notices():
        assert about["Final-Recipient"] == "rfc822; b@far.example"
        assert len(list(notice.iter_parts())[1].get_payload()) == 2
    assert any("expired" in line and "never@far.example" in line for line in ship.log)
    assert not any("expired" in line and "there@far.example" in line for line in ship.log)


def test_a_message_whose_last_recipient_is_done_is_left_to_the_push(ship):
    ship.enqueue()
    queued, = ship.queued()
    Queue(ship.spool).mark(queued, 0, SENT)
    ship.attend(1, 7, 8)
    assert ship.told() == [] and len(ship.queued()) == 1


@pytest.mark.parametrize("why", [BY_OPERATOR, TOO_LARGE])
def test_what_is_held_neither_warns_nor_expires_until_it_is_released(ship, why):
    ship.enqueue()
    queue = Queue(ship.spool)
    queue.hold(ship.queued()[0].entry, why)
    ship.attend(1, 7, 30)
    assert ship.told() == []
    queue.release(ship.queued()[0].entry, T0 + 30 * DAY)
    ship.attend(30, 30.9)
    assert ship.told() == []
    ship.attend(31, 36.9)
    assert ship.told() == [("delayed", "4.4.0")]
    ship.attend(37)
    assert ship.told() == [("delayed", "4.4.0"), ("failed", "4.4.7")] and ship.queued() == []


def test_a_message_held_after_the_warning_has_its_whole_time_after_its_release(ship):
    ship.enqueue()
    ship.attend(1)
    queue = Queue(ship.spool)
    queue.hold(ship.queued()[0].entry, BY_OPERATOR)
    queue.release(ship.queued()[0].entry, T0 + 20 * DAY)
    ship.attend(20, 26.9)
    assert [action for action, _ in ship.told()] == ["delayed"] and len(ship.queued()) == 1
    ship.attend(27)
    assert [action for action, _ in ship.told()] == ["delayed", "failed"]


def test_what_waited_while_the_machine_was_off_is_tried_before_it_is_given_up(ship):
    ship.enqueue()
    ship.attend(60, 60.1, 65.9)
    assert [action for action, _ in ship.told()] == ["delayed"]
    assert len(ship.due(T0 + 65.9 * DAY)) == 1
    ship.attend(66)
    assert [action for action, _ in ship.told()] == ["delayed", "failed"]


def test_a_message_from_before_the_clock_was_set_is_tried_before_it_is_given_up(ship):
    """It was 1970 when it came."""
    ship.enqueue(arrival=60)
    ship.attend(0, 0.1, 5.9)
    assert [action for action, _ in ship.told()] == ["delayed"] and len(ship.queued()) == 1
    ship.attend(6)
    assert [action for action, _ in ship.told()] == ["delayed", "failed"]


def test_a_clock_that_was_ahead_for_a_while_gives_nothing_up(ship):
    ship.enqueue()
    ship.attend(20_000, 20_005)
    ship.attend(1.5, 6.9)
    assert [action for action, _ in ship.told()] == ["delayed"] and len(ship.queued()) == 1
    ship.attend(7)
    assert [action for action, _ in ship.told()] == ["delayed", "failed"]


def test_a_clock_that_went_back_is_no_reason_for_anything(ship):
    ship.enqueue()
    ship.attend(-400)
    assert ship.told() == [] and len(ship.queued()) == 1


def test_lost_state_does_not_tell_twice(ship):
    ship.enqueue()
    ship.attend(1)
    shutil.rmtree(os.path.join(ship.spool.path, "state", "tries"))
    ship.attend(2, 6.9)
    assert [action for action, _ in ship.told()] == ["delayed"]
    ship.attend(7)
    assert [action for action, _ in ship.told()] == ["delayed", "failed"]


def test_nothing_is_done_while_somebody_drains_the_queue(ship):
    ship.enqueue()
    with ship.spool.lock("queue"):
        ship.attend(1)
    assert ship.told() == []
    ship.attend(1)
    assert [action for action, _ in ship.told()] == ["delayed"]


def test_a_damaged_file_stops_nothing(ship):
    with open(os.path.join(ship.spool.queue().path, "new", "1.R.x,S=2,W=3"), "wb") as f:
        f.write(b"x\n")
    ship.enqueue()
    ship.attend(1)
    assert [action for action, _ in ship.told()] == ["delayed"]


@pytest.mark.parametrize("day, before", [(1, []), (7, ["delayed"])], ids=["warning", "failure"])
def test_a_full_disk_loses_nothing(ship, day, before, monkeypatch):
    """A sender that cannot be told is told later, and what it cannot be told is not given up."""
    ship.enqueue()
    if before:
        ship.attend(1)
    disk = Disk(ship.spool.path)

    def no_room(path, flags, *rest):
        if "boxes" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, flags, *rest)
    real, disk.os.open = disk.os.open, no_room
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        ship.attend(day, day + 0.1)
    assert [action for action, _ in ship.told()] == before and len(ship.queued()) == 1
    assert any("disk-error" in line for line in ship.log)
    ship.attend(day + 0.2)
    assert [action for action, _ in ship.told()] == [*before, "failed" if before else "delayed"]


def warned_once(ship):
    queued, = ship.queued()
    return WARNED in queued.flags and set(ship.told()) == {("delayed", "4.4.0")}


def given_up(ship):
    return ship.queued() == [] and ("failed", "4.4.7") in ship.told()


# days before, the day of the crash: what is so in the end, and how often the sender may have heard
CRASHES = {
    "warning": ((), 1, warned_once, (1, 2)),
    "failure": ((1,), 7, given_up, (2, 3)),
}


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("before, day, so, times", CRASHES.values(), ids=CRASHES)
def test_a_crash_at_each_operation(tmp_path, before, day, so, times, cut, monkeypatch):
    def prepared(name):
        ship = Ship(tmp_path / name)
        uid = ship.enqueue()
        ship.spool.state("tries", "x")
        ship.attend(*before)
        return ship, uid

    ship, _ = prepared("count")
    disk = Disk(ship.spool.path)
    crash(disk, lambda: ship.attend(day), monkeypatch)
    assert disk.count > 8 and so(ship)
    for n in range(1, disk.count + 1):
        ship, uid = prepared(str(n))
        disk = Disk(ship.spool.path, crash_at=n)
        crash(disk, lambda: ship.attend(day), monkeypatch)
        if cut:
            disk.power_cut()
        ship.start()
        assert all(queued.entry.uid == uid for queued in ship.queued()), (n, disk.operations)
        assert ship.queued() or given_up(ship), (n, disk.operations)
        ship.attend(day + 0.01)
        heard = len(ship.told())
        assert so(ship) and heard in times, (n, disk.operations)
        ship.attend(day + 0.02, day + 0.03)
        assert len(ship.told()) == heard, (n, disk.operations)


@pytest.mark.parametrize("seconds, words", [
    (-5, "0 minutes"), (59, "0 minutes"), (60, "1 minute"), (7199, "119 minutes"), (7200, "2 hours"),
    (47 * HOUR, "47 hours"), (2 * DAY, "2 days"), (2.9 * DAY, "2 days")])
def test_a_length_of_time_in_words(seconds, words):
    assert in_words(seconds) == words

"""mailcheck --plan and --status: what an operator reads, and that nothing is dialled and nothing changed by it."""

import json
import os
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import pytest

from amsmail.program.run import Run
from amsmail.program.screen import Screen
from amsmail.site.words import counted
from amsmail.store import durable
from amsmail.store.queue import BY_OPERATOR, Queue, Tries
from tests.mailcheck.sites import account, relay
from tests.mailcheck.test_mailcheck import Boat
from tests.site.test_windows import clock_of

KB = 1000
# A relay and an account that nobody may connect to.
RELAY, ACCOUNT = relay(1), account(1)
PRESENT = {"type": "present", "up": '""', "down": '""'}       # nothing is dialled
MONEY = {"currency": "EUR", "setup_charge": "0.10", "per_minute": "0.25", "rate": "64"}
NOTHING = "No call: nothing that is due waits to be sent, and there is no account to fetch from."


class Planner(Boat):
    """A boat whose mailcheck only says what it would do."""

    def says(self, *options):
        """What it says, line by line; it changes nothing, and says nothing to cron."""
        before = self._tree()
        process = self.start(*options)
        out, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, "")
        assert self._tree() == before and self.calls == []
        return out.splitlines()

    def run(self, *options):
        """(exit code, all that it says)"""
        process = self.start(*options)
        out, said = process.communicate(timeout=30)
        return process.returncode, out + said

    def hold(self, uid):
        """The operator holds a message."""
        queue = Queue(self.spool)
        queue.hold(next(entry for entry in queue.list() if entry.uid == uid), BY_OPERATOR)

    def put_off(self, queued, until):
        """A relay refused a message for now."""
        Queue(self.spool).set_tries(queued.entry, Tries(count=1, last="450 4.2.1 Busy", next=until))

    def _tree(self):
        """{path: (inode, mode, time of the last change, content)} of each file of the spool, but for the compiled
        mail.cfg."""
        found = {}
        for folder, _, names in os.walk(self.spool.path):
            for path in [os.path.join(folder, name) for name in names if name != "mail.cfg.compiled"]:
                with open(path, "rb") as f:
                    s = os.fstat(f.fileno())
                    found[path] = s.st_ino, s.st_mode, s.st_mtime_ns, f.read()
        return found

    def links(self, **links):
        """Links that are dialled by the commands of this boat, with these keys."""
        up, down = self.command("up"), self.command("down")
        self.configure(links={name: {"type": "command", "up": up, "down": down, **keys}
                              for name, keys in links.items()})

    def had(self, link="gsm", **figures):
        """A call that was made just now."""
        durable.append(self.spool.state("ledger.jsonl"), json.dumps({
            "id": "x", "link": link, "why": "it comes first", "start": int(time.time()), "seconds": 61.5,
            "bytes_up": 1000, "bytes_down": 2000, "messages_out": 2, "messages_in": 1, "cost": "1.00",
            "currency": "EUR", "outcome": "ok", **figures}).encode() + b"\n")


@contextmanager
def planning(folder):
    """A Planner with a relay that nobody may connect to, and the clock of UTC."""
    with clock_of("UTC0"):
        boat = Planner(folder)
        boat.configure(relay=RELAY)
        boat.spool.lock("queue").release()      # the file of a lock, which is empty, stays from the first use on
        yield boat


@pytest.fixture
def boat(tmp_path):
    with planning(tmp_path / "boat") as boat:
        yield boat


@pytest.fixture
def later():
    """(a window of an hour that opens in three hours, the moment when it opens)."""
    opens = datetime.now(timezone.utc) + timedelta(hours=3)
    return f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}", f"{opens:%a %Y-%m-%d %H:%M}"


# --plan

def test_nothing_to_do(boat):
    assert boat.says("--plan") == [NOTHING]


def test_a_call(boat):
    boat.configure(accounts=ACCOUNT)
    boat.enqueue(b"Subject: x\r\n\r\n" + b"x" * 1998 + b"\r\n")
    assert boat.says("--plan") == [
        "Call over gsm: it comes first.",
        "  sends 1 message, 2.0 kB, of 1 due",
        "  fetches from owner",
        "  lasts 3600 s at most, limited by call_limit",
        "Link gsm: may be used; it would carry 1 message."]


def test_what_it_would_cost(boat):
    """Set-up and a minute begun; the budget leaves two, of which hanging up takes five seconds."""
    boat.links(gsm={**MONEY, "budget": "1.60 EUR a month"})
    boat.had()
    boat.enqueue()
    assert boat.says("--plan")[-2:] == [
        "  lasts 115 s at most, limited by its budget",
        "Link gsm: may be used; it would carry 1 message, for about 0.35 EUR."]


def test_a_closed_window(boat, later):
    window, opens = later
    boat.links(gsm={"windows": window})
    uid = boat.enqueue()
    assert boat.says("--plan") == [
        "No call: no link may be used now.",
        f"Link gsm: its window is closed until {opens}.",
        f"Message {uid} waits, 22 octets:",
        f"  gsm: its window is closed until {opens[:3]} {opens[-5:]}"]


def test_a_window_that_closes_while_the_links_are_looked_at(boat, tmp_path):
    """Looking takes a while: what counts is the time after it."""
    looked = tmp_path / "looked"
    boat.configure(links={"wifi": {"type": "present", "probe": f"command touch {looked}", "windows": "08:00-09:00"}})
    boat.enqueue()
    nine = datetime(2026, 11, 20, 9, 0, tzinfo=timezone.utc).timestamp()
    run = Run(str(boat.path), Screen(False), clock=lambda: nine + (2 if looked.exists() else -2))
    (verdict,), calls = run.plan().verdicts, run.plan().calls
    assert looked.exists() and calls == ()
    assert verdict.why_not.startswith("its window is closed until Sat 2026-11-21 08:00")


def test_urgent_mail_at_any_time(boat, later):
    window, opens = later
    boat.links(gsm={"windows": window, "urgent": "at any time"})
    note = boat.enqueue()
    boat.enqueue(b"X-Priority: 1\r\n\r\nNow.\r\n")
    said = boat.says("--plan")
    assert said[:2] == ["Call over gsm: it comes first.", "  sends 1 message, 23 octets, of 2 due"]
    assert said[-3:] == [f"  its window opens {opens[:3]} {opens[-5:]}; until then it carries urgent mail only",
                         f"Message {note} waits, 22 octets:",
                         f"  gsm: its window is closed until {opens[:3]} {opens[-5:]}"]


@pytest.mark.parametrize("urgent_from, senders", [
    ("", "captain cook"), ("captain", "captain"), ("cook@yacht.example", "cook"), ("cook, captain", "captain cook"),
])
def test_whose_mail_may_be_urgent(boat, urgent_from, senders):
    """By box or by address; anybody's where nobody is listed."""
    boat.links(sat={"classes": "urgent"}, land={})
    boat.configure(calls={"urgent_from": urgent_from, "use": "sat"})
    sent = {name: boat.enqueue(b"X-Priority: 1\r\n\r\nNow.\r\n", sender=f"{name}@yacht.example")
            for name in ("captain", "cook")}
    sent["nobody"] = boat.enqueue(b"X-Priority: 1\r\n\r\nNow.\r\n", sender=None)
    said = boat.says("--plan")
    may = {*senders.split(), *([] if urgent_from else ["nobody"])}
    assert said[1].startswith(f"  sends {counted(len(may), 'message')}, ") and said[1].endswith(", of 3 due")
    left = {f"Message {uid} waits, 23 octets:" for name, uid in sent.items() if name not in may}
    assert {line for line in said if line.startswith("Message")} == left
    assert said.count("  sat: it carries urgent mail only") == bool(left)        # once for all


@pytest.mark.parametrize("user, sender, is_urgent", [
    ("captain", "captain@yacht.example", True),
    ("captain@yacht.example", "captain@yacht.example", True),       # mail programs log in with the address
    ("cook", "captain@yacht.example", False),                       # anybody can write that into MAIL
    ("captain", "cook@yacht.example", True),
    ("cook", "owner@shore.example", False),
    ("", "captain@yacht.example", True),                            # without a login, from a listed network
    ("", "owner@shore.example", True),
])
def test_where_somebody_logged_in_that_box_counts(boat, user, sender, is_urgent):
    boat.links(sat={"classes": "urgent"}, land={})
    boat.configure(calls={"urgent_from": "captain, owner@shore.example", "use": "sat"})
    boat.enqueue(b"X-Priority: 1\r\n\r\nNow.\r\n", sender=sender, user=user)
    assert boat.says("--plan")[0].startswith("Call over sat" if is_urgent else "No call")


def test_a_message_too_large_for_the_link(boat):
    boat.links(gsm={"message_out": 100 * KB})
    big, _ = boat.enqueue(b"\r\n" + b"x" * 200 * KB), boat.enqueue()
    said = boat.says("--plan")
    assert said[1] == "  sends 1 message, 22 octets, of 2 due"
    assert said[-2:] == [f"Message {big} waits, 200 kB:",
                         "  gsm: 200002 octets are more than its message_out, 100000"]


def test_a_second_call_takes_what_the_first_may_not(boat):
    boat.links(gsm={"message_out": 100 * KB, "priority": 1}, vsat={"priority": 2})
    boat.configure(accounts=ACCOUNT)
    boat.enqueue(b"\r\n" + b"x" * 200 * KB), boat.enqueue()
    assert boat.says("--plan") == [
        "Call over gsm: it comes first.",
        "  sends 1 message, 22 octets, of 2 due",
        "  fetches from owner",
        "  lasts 3600 s at most, limited by call_limit",
        "Then a call over vsat: the first that may be used; gsm: it may not carry this.",
        "  sends 1 message, 200 kB, of 2 due",
        "  fetches from no account",
        "  lasts 3600 s at most, limited by call_limit",
        "Link gsm: may be used; it would carry 1 message.",
        "Link vsat: may be used; it would carry 2 messages."]


def test_while_somebody_picks_the_queue_up(boat):
    boat.configure(accounts=ACCOUNT)
    boat.enqueue()
    with boat.spool.lock("queue"):
        said = boat.says("--plan")
    assert said[1:3] == ["  sends 0 messages, 0 octets, of 0 due", "  fetches from owner"]
    assert said[-1] == "The queue is being picked up by POP3 now: what waits in it is not looked at."


def test_while_a_call_is_under_way(boat):
    boat.enqueue()
    boat.had(start=1_772_539_200, outcome="under way")
    assert boat.says("--plan")[0] == "A call over gsm has begun and not ended: 2026-03-03 12:00."


def test_a_link_rests_after_a_call_that_brought_nothing(boat):
    """--now does not wait for that."""
    boat.links(gsm={})
    boat.enqueue()
    boat.had(messages_out=0, messages_in=0, outcome="relay: refuses to serve us: 421 Later")
    said = boat.says("--plan")
    assert said[0] == "No call: no link may be used now."
    assert said[1].startswith("Link gsm: 1 call over it brought nothing, so it rests until ")
    assert boat.says("--plan", "--now")[0] == "Call over gsm: it comes first."


def test_only_messages_too_large(boat):
    boat.links(gsm={"message_out": 100 * KB})
    uid = boat.enqueue(b"\r\n" + b"x" * 200 * KB)
    assert boat.says("--plan") == [
        "No call: no link may be used now.",
        "Link gsm: of what is to be sent it may carry nothing: 200002 octets are more than its message_out, 100000.",
        f"Message {uid} waits, 200 kB:",
        "  gsm: 200002 octets are more than its message_out, 100000"]


def test_a_budget_that_is_used_up(boat):
    boat.links(gsm={**MONEY, "budget": "1 EUR a month"})
    boat.had()
    uid = boat.enqueue()
    assert boat.says("--plan") == [
        "No call: no link may be used now.",
        "Link gsm: its budget of 1 EUR a month is used up.",
        f"Message {uid} waits, 22 octets:",
        "  gsm: its budget of 1 EUR a month is used up"]


def test_the_first_of_two_links_is_passed_over(boat):
    boat.links(gsm={**MONEY, "budget": "1 EUR a month", "priority": 1}, vsat={"priority": 2})
    boat.had()
    boat.enqueue()
    assert boat.says("--plan") == [
        "Call over vsat: the first that may be used; gsm: its budget of 1 EUR a month is used up.",
        "  sends 1 message, 22 octets, of 1 due",
        "  fetches from no account",
        "  lasts 3600 s at most, limited by call_limit",
        "Link gsm: its budget of 1 EUR a month is used up.",
        "Link vsat: may be used; it would carry 1 message."]


def test_a_link_that_is_up_comes_first(boat, tmp_path):
    there = tmp_path / "there"
    boat.links(gsm={"priority": 1}, wifi={**PRESENT, "probe": f"command test -e {there}"})
    boat.enqueue()
    said = boat.says("--plan")
    assert said[0] == "Call over gsm: it comes first." and said[-1] == "Link wifi: it is not there."
    there.touch()
    assert boat.says("--plan")[0] == "Call over wifi: it is up."


def test_a_probe_that_cannot_tell(boat):
    boat.links(wifi={**PRESENT, "probe": "command /nowhere/probe"})
    boat.enqueue()
    assert boat.says("--plan")[1].startswith("Link wifi: the probe command cannot be started: /nowhere/probe")


def test_a_message_that_waits_after_a_refusal(boat):
    """It is due with --now only, as in a run."""
    boat.enqueue()
    queued, = boat.queued()
    boat.put_off(queued, int(time.time()) + 1000)
    assert boat.says("--plan") == [NOTHING, "1 more waits: 1 for its next try."]
    assert boat.says("--plan", "--now")[1] == "  sends 1 message, 22 octets, of 1 due"


def test_what_the_plan_is_not_for_is_counted(boat):
    """What waits for its next try, is held, or cannot be read: so that nobody looks for it among what goes."""
    uids = [boat.enqueue(), boat.enqueue(), boat.enqueue(), boat.enqueue()]
    for queued in boat.queued():
        if queued.entry.uid in uids[:2]:
            boat.put_off(queued, int(time.time()) + 1000)
    boat.hold(uids[2])
    with open(next(entry.path for entry in Queue(boat.spool).list() if entry.uid == uids[3]), "wb") as f:
        f.write(b"nonsense")
    assert boat.run("--plan") == (0, f"{NOTHING}\n4 more wait: 2 for their next try, 1 held, 1 damaged.\n")


def test_a_link_that_would_only_fetch(boat):
    boat.configure(accounts=ACCOUNT)
    assert boat.says("--plan")[-1] == "Link gsm: may be used; it would fetch."


@pytest.mark.parametrize("option", ["--plan", "--status"])
def test_who_reads_only_the_first_line(boat, option):
    """As `| head` does: no complaint, and no failure."""
    for _ in range(30):
        boat.enqueue()
    process = boat.start(option)
    process.stdout.close()
    said = process.stderr.read()
    assert (process.wait(30), said) == (0, "")


# --status

def test_the_status_of_a_quiet_site(boat):
    said = boat.says("--status")
    assert said[0] == "Queue: 0 messages, 0 octets."
    assert said[-3:] == ["Calls: 0 on record.", "Now:", NOTHING]


def test_the_status(boat, later):
    """The queue, the last five calls, and when the next may be."""
    window, opens = later
    boat.links(gsm={**MONEY, "windows": window, "budget": "20 EUR a month, 60 minutes a day"})
    held = boat.enqueue()
    boat.hold(held)
    uid = boat.enqueue()
    for number in range(6):
        boat.had(start=1_772_539_200 + 60 * number, outcome=f"ok {number}")
    said = boat.says("--status")
    assert said[0] == "Queue: 2 messages, 44 octets; 1 of them held."
    assert said[said.index("Calls: 6 on record, the last:"):] == [
        "Calls: 6 on record, the last:",
        *(f"  2026-03-03 12:0{number} gsm: 61.5 s, 2 out, 1 in, 1.00 EUR; ok {number}" for number in range(1, 6)),
        "Budget of gsm: 20.00 of 20 EUR a month are left.",
        "Budget of gsm: 60.00 of 60 minutes a day are left.",
        "Now:",
        "No call: no link may be used now.",
        f"Link gsm: its window is closed until {opens}.",
        f"Message {uid} waits, 22 octets:",
        f"  gsm: its window is closed until {opens[:3]} {opens[-5:]}",
        "1 more waits: 1 held."]


def test_a_ledger_that_a_person_spoilt(boat):
    with open(boat.spool.state("ledger.jsonl"), "w", encoding="utf-8") as f:
        f.write('{"link": "gsm"}\nnonsense\n[1]\n{"link": "gsm", "start": "yesterday", "cost": 5}\n')
    code, out = boat.run("--status")
    assert code == 0 and "Calls: 2 on record" in out and "(no date) gsm: 0 s" in out


# [calls] use

def test_only_the_links_in_use_are_looked_at_and_in_their_order(boat):
    """Whatever their priority; without `use` it is as before."""
    boat.links(gsm={"priority": "1"}, vsat={"priority": "20"}, land={"priority": "30"})
    boat.enqueue()

    def links():
        said = boat.says("--plan")
        return [line.split()[2].rstrip(":") for line in said if line.startswith("Call over")], [
            line.split()[1].rstrip(":") for line in said if line.startswith("Link ")]
    assert links()[1] == ["gsm", "vsat", "land"]
    boat.configure(calls={"use": "land, vsat"})
    assert links() == (["land"], ["land", "vsat"])
    boat.configure(calls={"use": "vsat"})
    assert links() == (["vsat"], ["vsat"])


def test_no_other_link_steps_in_for_those_in_use(boat, later):
    """The land line's window is closed: the satellite is not to be paid for, though it might be used."""
    boat.links(land={"windows": later[0]}, vsat={})
    boat.configure(calls={"use": "land"})
    boat.enqueue()
    said = boat.says("--plan")
    assert said[0] == "No call: no link may be used now." and not any("vsat" in line for line in said)
    boat.configure(calls={"use": "land vsat"})
    assert boat.says("--plan")[0].startswith("Call over vsat: the first that may be used; land: its window is closed")


# Exit codes

def test_what_is_wrong(boat):
    for options in (["--plan", "--status"], ["--plan", "--quiet"], ["--status", "--progress"], ["--status", "--now"]):
        assert boat.run(*options)[0] == 64
    boat.path.write_text("schema = 1\n[site]\nhostname = yacht.example\ncolour = blue\n")
    for option in "--plan", "--status":
        code, said = boat.run(option)
        assert code == 78 and f"{boat.path}:4: [site] colour:" in said

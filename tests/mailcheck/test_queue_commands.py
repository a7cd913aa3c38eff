"""mailcheck queue: what it shows of the queue, and that a message is held, released, given up or deleted for good."""

import io
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from amsmail.program import queue as program
from amsmail.store.queue import BY_OPERATOR, FREED, TOO_LARGE, Queue, Tries
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import SENT, Recipient
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import Site, crash, relay
from tests.store.disk import Disk

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin", "mailcheck")
NOW = 1763700946
LATER = "450 4.2.1 That box is busy"


class Desk(Site):
    """A site whose operator types commands at NOW, two hours after its messages came."""

    def run(self, *words):
        """The exit code of `mailcheck queue WORDS...`."""
        return program.main([*words, "--config", str(self.path)])

    def enqueue(self, *parts, **named):
        return super().enqueue(*parts, **{"arrival": NOW - 7200, **named})

    def uids(self):
        return [entry.uid for entry in Queue(self.spool).list()]

    def held(self):
        """{identity: why it is held}"""
        return {queued.entry.uid: queued.held for queued in self.queued()}

    def entry(self, uid):
        return next(entry for entry in Queue(self.spool).list() if entry.uid == uid)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    desk = Desk(tmp_path / "desk")
    monkeypatch.setattr(time, "time", lambda: NOW)
    return desk


@pytest.fixture
def terminal(monkeypatch):
    """What the person at the terminal answers; without it, there is no terminal."""
    def answers(text):
        stdin = io.StringIO(text)
        stdin.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    return answers


# list

def test_an_empty_queue(desk, capsys):
    assert desk.run() == desk.run("list") == 0
    assert capsys.readouterr().out == "The queue is empty.\n" * 2
    assert desk.run("--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_what_a_person_sees(desk, capsys):
    one = desk.enqueue(b"x\r\n" * 500_000, to=("agent@port.example", "gone@port.example", "b@port.example"))
    two = desk.enqueue(sender=None)
    three = desk.enqueue()
    four = desk.enqueue()
    queue = Queue(desk.spool)
    first = desk.queued()[0]
    queue.set_tries(queue.mark(first, 1, SENT).entry, Tries(3, LATER, NOW + 1200))
    queue.hold(desk.entry(two), BY_OPERATOR)
    queue.hold(desk.entry(three), TOO_LARGE)
    queue.set_tries(desk.entry(four), Tries(1, "", NOW + 30 * 24 * 3600))       # by a clock that was wrong
    assert desk.run("list") == 0
    assert capsys.readouterr().out.splitlines() == [
        one,
        "    2 hours old, 1.5 MB, from <captain@yacht.example>",
        "    to <agent@port.example>",
        "    to <b@port.example>",
        "    3 attempts, next in 20 minutes",
        "    last answer: 450 4.2.1 That box is busy",
        two,
        "    2 hours old, 22 octets, from <>",
        "    to <agent@shore.example>",
        "    0 attempts, held by the operator",
        three,
        "    2 hours old, 22 octets, from <captain@yacht.example>",
        "    to <agent@shore.example>",
        "    0 attempts, held: waits for a link that carries its size",
        four,
        "    2 hours old, 22 octets, from <captain@yacht.example>",
        "    to <agent@shore.example>",
        "    1 attempt, due",
        "4 messages, 1.5 MB; 2 of them held",
    ]


def test_what_a_machine_sees(desk, capsys):
    uid = desk.enqueue()
    queue = Queue(desk.spool)
    queue.set_tries(desk.entry(uid), Tries(3, LATER, NOW + 1200))
    queue.flag(desk.entry(uid), add="w")
    assert desk.run("list", "--json") == 0
    row = {"id": uid, "arrival": NOW - 7200, "age": 7200, "octets": 22, "sender": "captain@yacht.example",
           "waiting": ["agent@shore.example"], "attempts": 3, "next": NOW + 1200, "held": None, "warned": True,
           "last": LATER}
    assert json.loads(capsys.readouterr().out) == [row]
    queue.hold(desk.entry(uid), TOO_LARGE)
    desk.run("--json")
    assert json.loads(capsys.readouterr().out) == [{**row, "held": "too-large", "next": None}]


def test_lines_fit_a_terminal_and_cannot_control_it(desk, capsys):
    uid = desk.enqueue(to=("x" * 60 + "@" + ".".join(["y" * 50] * 3) + ".example",))
    Queue(desk.spool).set_tries(desk.entry(uid), Tries(1, "450 4.2.1 \x1b[2J " + "come back later " * 20))
    desk.run("list")
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 80 for line in lines if "@" not in line)
    assert any(("x" * 60 + "@") in line for line in lines)      # an address stays in one piece
    assert "\x1b" not in "".join(lines) and "?[2J" in "".join(lines)


def test_an_address_that_the_terminal_cannot_show(desk, capsys, monkeypatch):
    desk.enqueue(to=("jürgen@far.example",))
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert desk.run() == 0
    out.seek(0)
    assert "to <j\\xfcrgen@far.example>" in out.read()


def test_a_damaged_file_is_shown_and_can_be_deleted(desk, capsys, terminal):
    with open(os.path.join(desk.spool.queue().path, "new", "77.R.x,S=2,W=3"), "wb") as f:
        f.write(b"x\n")
    assert desk.run() == 0
    assert "77.R.x\n    damaged" in capsys.readouterr().out
    assert desk.run("expire", "77") == 64
    assert desk.uids() == ["77.R.x"]
    assert desk.run("delete", "77") == 0
    assert desk.uids() == []


def test_the_list_needs_no_lock(desk, capsys):
    uid = desk.enqueue()
    with desk.spool.lock("queue"):
        assert desk.run() == 0
    assert uid in capsys.readouterr().out


# hold and release

def test_what_is_held_is_not_sent_until_it_is_released(desk):
    held = desk.enqueue(b"1\r\n")
    desk.enqueue(b"2\r\n")
    assert desk.run("hold", held) == 0
    with Relay() as provider:
        desk.configure(relay=relay(provider.port))
        desk.push()
        assert [body for _, _, body in provider.accepted] == [b"2\r\n"]
        assert desk.uids() == [held]
        assert desk.run("release", held) == 0
        desk.push()
        assert [body for _, _, body in provider.accepted] == [b"2\r\n", b"1\r\n"]
    assert desk.uids() == []


def test_holding_changes_neither_identity_nor_contents(desk):
    uid = desk.enqueue(b"Subject: x\r\n\r\nHello.\r\n")
    before, = desk.queued()
    text = desk.content(before)
    for verb, why in [("hold", BY_OPERATOR), ("hold", BY_OPERATOR), ("release", ""), ("release", ""), ("hold", "h")]:
        assert desk.run(verb, uid) == 0
        after, = desk.queued()
        assert after.held == why and after.entry.uid == uid
        assert (after.envelope, after.size, desk.content(after)) == (before.envelope, before.size, text)


def test_a_hold_survives_the_loss_of_all_state_beside_it(desk):
    uid = desk.enqueue()
    desk.run("hold", uid)
    shutil.rmtree(os.path.join(desk.spool.path, "state"))
    desk.start()
    assert desk.held() == {uid: BY_OPERATOR}


def test_released_is_due_at_once(desk):
    uid = desk.enqueue()
    queue = Queue(desk.spool)
    queue.set_tries(desk.entry(uid), Tries(5, LATER, NOW + 3600))
    desk.run("hold", uid)
    desk.run("release", uid)
    tries = queue.tries(desk.entry(uid))
    assert tries.is_due(NOW) and (tries.count, tries.last, tries.since) == (5, LATER, NOW)


def test_a_release_that_was_none_changes_nothing(desk, capsys):
    uid = desk.enqueue()
    queue = Queue(desk.spool)
    queue.set_tries(desk.entry(uid), Tries(5, LATER, NOW + 3600))
    assert desk.run("release", uid) == 0
    assert capsys.readouterr().out == f"{uid}: was not held\n"
    assert queue.tries(desk.entry(uid)) == Tries(5, LATER, NOW + 3600)


def test_who_released_a_large_message_is_remembered(desk):
    """A person's word frees it for every link; a program that found a cheaper link does not."""
    by_person, by_program = desk.enqueue(), desk.enqueue()
    queue = Queue(desk.spool)
    for uid in (by_person, by_program):
        queue.hold(desk.entry(uid), TOO_LARGE)
    assert desk.run("release", by_person) == 0
    queue.release(desk.entry(by_program), NOW)
    assert [FREED in queued.flags for queued in desk.queued()] == [True, False]
    assert set(desk.held().values()) == {""}


def test_large_mail_is_released_before_a_run_holds_it(desk, capsys):
    """A person's word counts also where it comes first; said twice, it is said."""
    desk.configure(links={"sat": {"type": "always", "message_out": 20}, "harbour": {"type": "always"}})
    uid = desk.enqueue()
    for said in "released", "was not held":
        assert desk.run("release", uid) == 0
        assert capsys.readouterr().out == f"{uid}: {said}\n"
        queued, = desk.queued()
        assert queued.flags == FREED


def test_what_is_damaged_is_not_released(desk, capsys):
    uid = desk.enqueue()
    with open(desk.entry(uid).path, "wb") as f:
        f.write(b"nonsense")
    assert desk.run("release", uid) == 0 and capsys.readouterr().out == f"{uid}: was not held\n"


def test_who_reads_only_the_first_line(desk):
    """As `| head` does: no complaint, and no failure."""
    for _ in range(3):
        desk.enqueue()
    process = subprocess.Popen([sys.executable, "-IS", BIN, "queue", "--config", desk.path], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    assert (process.wait(30), said) == (0, "")


def test_the_flags_of_a_mail_program_are_kept(desk):
    """mutt on the queue moves a message to cur/ and marks it as seen."""
    uid = desk.enqueue()
    path = desk.entry(uid).path
    os.rename(path, path.replace("/new/", "/cur/") + desk.spool.separator + "2,S")
    assert desk.run("hold", uid) == 0
    assert os.path.basename(desk.entry(uid).path).endswith(desk.spool.separator + "2,Sh")
    assert desk.run("release", uid) == 0
    assert desk.held() == {uid: ""}


# expire and delete

def test_expire_tells_the_sender(desk, capsys):
    uid = desk.enqueue()
    Queue(desk.spool).set_tries(desk.entry(uid), Tries(2, LATER))
    assert desk.run("expire", uid) == 0
    assert capsys.readouterr().out == f"{uid}: given up, and told\n"
    assert desk.uids() == []
    notice, = desk.box("captain")
    assert b"Action: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp; 450 4.2.1" in notice
    assert b"The operator gave it up after 2 hours." in notice


def test_expire_says_so_where_no_word_is_wanted(desk, capsys):
    uid = desk.enqueue(to=(Recipient(parse_address("a@far.example"), "NEVER"),))
    assert desk.run("expire", uid) == 0
    assert capsys.readouterr().out == f"{uid}: given up, nobody wants to know\n"
    assert desk.uids() == [] and desk.box("captain") == []


def test_delete_tells_nobody(desk, capsys, terminal):
    uid, other = desk.enqueue(), desk.enqueue()
    assert desk.run("delete", uid) == 0     # there is no terminal to ask at
    assert capsys.readouterr().out == f"{uid}: deleted, nobody was told\n"
    assert desk.uids() == [other] and desk.box("captain") == []


@pytest.mark.parametrize("answer, deleted", [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False), ("", False),
                                             ("Yes please\n", False)])
def test_delete_asks_at_a_terminal(desk, terminal, capsys, answer, deleted):
    uid = desk.enqueue()
    terminal(answer)
    assert desk.run("delete", uid) == 0
    assert desk.uids() == ([] if deleted else [uid])
    assert uid in capsys.readouterr().out


def test_delete_yes_does_not_ask(desk, terminal):
    uid = desk.enqueue()
    terminal("n\n")
    assert desk.run("delete", "--yes", uid) == 0
    assert desk.uids() == []


def test_the_lock_is_free_while_the_question_waits(desk, monkeypatch):
    """Somebody who went for coffee must not keep the mail here."""
    uid = desk.enqueue()

    def answer():
        with desk.spool.lock("queue"):
            Queue(desk.spool).remove(desk.entry(uid))       # it was sent meanwhile
        desk.enqueue()
        return "y\n"
    stdin = io.StringIO()
    stdin.isatty, stdin.readline = lambda: True, answer
    monkeypatch.setattr(sys, "stdin", stdin)
    assert desk.run("delete", uid[:3]) == 64
    assert len(desk.uids()) == 1            # not the one that begins alike


# Which message, and who may

def put(desk, name):
    path = desk.entry(desk.enqueue()).path
    os.rename(path, os.path.join(os.path.dirname(path), name + ",S=1,W=1"))


def test_any_beginning_that_only_one_has(desk):
    for name in ("123.a", "123.b", "123.b+"):
        put(desk, name)
    assert desk.run("hold", "123.a") == 0
    assert desk.run("hold", "123.b") == 0           # the whole of one, although another begins so
    assert desk.held() == {"123.a": "h", "123.b": "h", "123.b+": ""}
    assert desk.run("release", "123.a", "123.a", "123.b") == 0
    assert desk.held() == {"123.a": "", "123.b": "", "123.b+": ""}


@pytest.mark.parametrize("verb", ["hold", "release", "delete", "expire"])
@pytest.mark.parametrize("wrong, why", [("12", "2 messages have an identity that begins with 12:\n  123.a\n  123.b\n"),
                                        ("9", "no message in the queue has an identity that begins with 9\n"),
                                        ("", "no message"), ("3.a", "no message")])
def test_a_wrong_identity_changes_nothing(desk, capsys, terminal, verb, wrong, why):
    for name in ("123.a", "123.b"):
        put(desk, name)
    before = os.listdir(os.path.join(desk.spool.queue().path, "new"))
    assert desk.run(verb, "123.a", wrong) == 64
    said = capsys.readouterr()
    assert why in said.err and "Nothing was changed." in said.err and said.out == ""
    assert os.listdir(os.path.join(desk.spool.queue().path, "new")) == before and desk.box("captain") == []


@pytest.mark.parametrize("verb", ["hold", "release", "delete", "expire"])
def test_nothing_is_touched_while_the_queue_is_in_use(desk, capsys, terminal, verb):
    uid = desk.enqueue()
    with desk.spool.lock("queue"):
        assert desk.run(verb, uid) == 75
    assert "the queue is in use" in capsys.readouterr().err
    assert desk.held() == {uid: ""}
    assert desk.run(verb, uid) == 0


@pytest.mark.parametrize("words", [("frob",), ("hold",), ("list", "1"), ("hold", "--yes", "1"),
                                   ("delete", "--json", "1"), ("hold", "--frob"), ("--yes",),
                                   ("--config", "x.cfg", "--config", "y.cfg")])
def test_a_wrong_command_line(desk, capsys, words):
    assert desk.run(*words) == 64
    assert capsys.readouterr().err.splitlines()[1:] == ["`mailcheck queue --help` shows what there is."]


def test_a_wrong_mail_cfg(desk, capsys):
    desk.path.write_text("nonsense = 1\n")
    assert desk.run() == 78
    assert "mail.cfg" in capsys.readouterr().err


# Crashes

@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("verb, before, after", [("hold", "", "h"), ("release", "h", ""), ("delete", "", None),
                                                 ("expire", "", None)])
def test_a_crash_at_each_operation(tmp_path, verb, before, after, cut, monkeypatch, terminal):
    def prepared(name):
        desk = Desk(tmp_path / name)
        uid = desk.enqueue()
        if before:
            desk.run("hold", uid)
        desk.spool.state("tries", "x")      # not one of the operations that count
        desk.run("list")
        return desk, uid

    def state(desk, uid):
        """'' or 'h', None if it is not there."""
        assert desk.uids() in ([uid], [])
        return desk.held().get(uid)

    desk, uid = prepared("count")
    disk = Disk(desk.spool.path)
    assert crash(disk, lambda: desk.run(verb, uid), monkeypatch) == 0
    assert disk.count >= 3 and state(desk, uid) == after
    if cut:
        disk.power_cut()
        assert state(desk, uid) == after        # what was said to be done is done
    for n in range(1, disk.count + 1):
        desk, uid = prepared(str(n))
        disk = Disk(desk.spool.path, crash_at=n)
        crash(disk, lambda: desk.run(verb, uid), monkeypatch)
        if cut:
            disk.power_cut()
        desk.start()
        assert state(desk, uid) in (before, after), (n, disk.operations)
        told = len(desk.box("captain"))
        assert state(desk, uid) is not None or told == (verb == "expire"), (n, disk.operations)
        if state(desk, uid) is not None:
            assert desk.run(verb, uid) == 0
        assert state(desk, uid) == after, (n, disk.operations)
        assert len(desk.box("captain")) in ((1, 2) if verb == "expire" else (0,)), (n, disk.operations)

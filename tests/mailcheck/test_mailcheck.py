"""mailcheck itself: whatever happens between dialling and hanging up, the link comes down and somebody is told."""

import os
import signal
import subprocess
import sys
import time

import pytest

from amsmail.link import ledger
from amsmail.link.dialled import Dialled
from tests.mailcheck.peers import Provider, Relay
from tests.mailcheck.sites import Shore, Site, account, relay

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin")

# Commands that a link's `up` and `down` may be: each notes in the file `calls` that it ran.
COMMAND = """\
#!/bin/sh
echo "{name}" >> {calls}
{script}
"""


class Boat(Site):
    """A yacht whose link is made of small commands, and whose mailcheck runs as a program."""

    def __init__(self, folder):
        super().__init__(folder)
        self._calls = folder / "calls"
        self.link()

    def command(self, name, script=""):
        path = self._folder / name
        path.write_text(COMMAND.format(name=name, calls=self._calls, script=script))
        path.chmod(0o755)
        return path

    def link(self, up="", down="", name="gsm", **limits):
        """The link's commands as scripts of /bin/sh."""
        self.configure(links={name: {"type": "command", "up": self.command("up", up),
                                     "down": self.command("down", down), **limits}})

    @property
    def calls(self):
        """What ran so far, in order."""
        return self._calls.read_text().split() if self._calls.exists() else []

    def start(self, *options):
        """Starts mailcheck."""
        return subprocess.Popen([sys.executable, "-IS", os.path.join(BIN, "mailcheck"), *options, self.path],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))     # not nohup's tests

    def mailcheck(self, *options):
        """Runs mailcheck: (exit code, what it said)."""
        process = self.start(*options)
        out, said = process.communicate(timeout=30)
        assert out == ""
        return process.returncode, said

    def serve(self, program, said):
        """What smtpd or pop3d answers to a local client."""
        return subprocess.run([sys.executable, "-IS", os.path.join(BIN, program), self.path], input=said, timeout=10,
                              capture_output=True, env={**os.environ, "TCPREMOTEIP": "127.0.0.1"}, check=True).stdout

    @property
    def ledger(self):
        return ledger.read(self.spool.state("ledger.jsonl"))

    @property
    def is_dialled(self):
        """Whether there is a record that the link may be up."""
        return bool(Dialled(self.spool.state("dialled")).left_behind())


@pytest.fixture
def boat(tmp_path):
    return Boat(tmp_path / "boat")


@pytest.fixture
def shore(tmp_path):
    with Shore(tmp_path / "shore", "smtp", "pop3") as shore:
        yield shore


@pytest.fixture
def hanging():
    """A relay that answers nothing for a long time."""
    with Relay() as provider:
        provider.reply = lambda *_: provider.line()
        yield provider


def wait_for(condition):
    """Waits until something is so."""
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# A call

def test_nothing_to_do_is_no_call(boat):
    boat.configure(relay=relay(1))
    assert boat.mailcheck() == (0, "")
    assert boat.calls == [] and boat.ledger == []
    code, said = boat.mailcheck("--progress")
    assert code == 0 and "No call: " in said


def test_a_message_that_waits_is_no_reason_to_call(boat):
    with Relay(replies={"RCPT": "450 4.2.1 Busy"}) as provider:
        boat.configure(relay=relay(provider.port))
        boat.enqueue()
        assert boat.mailcheck() == (75, "")
        assert boat.mailcheck() == (0, "")
        assert provider.sessions == 1 and boat.calls == ["up", "down"]
        assert boat.mailcheck("--now") == (75, "")
        assert provider.sessions == 2


def test_a_whole_call(boat, shore):
    """Up, push, pull, down, in this order; silent; a line in the ledger; a log."""
    text = b"Subject: x\r\n\r\nHello.\r\n"
    boat.configure(relay=relay(shore.ports["smtp"]), accounts=account(shore.ports["pop3"]))
    boat.enqueue(text)
    shore.put("yacht", b"Subject: y\n\nHello.\n")
    before = int(time.time())
    assert boat.mailcheck("--quiet") == (0, "")
    assert boat.calls == ["up", "down"] and not boat.is_dialled
    assert boat.queued() == [] and len(shore.box("agent")) == 1
    assert boat.bodies("captain") == [b"Subject: y\n\nHello.\n"] and shore.box("yacht") == []

    call, = boat.ledger
    assert call["link"] == "gsm" and call["outcome"] == "ok" and before <= call["start"] <= time.time()
    assert (call["messages_out"], call["octets_out"], call["refused"], call["kept"]) == (1, len(text), 0, 0)
    assert (call["messages_in"], call["octets_in"]) == (1, len(b"Subject: y\r\n\r\nHello.\r\n"))
    assert call["bytes_up"] > len(text) and call["bytes_down"] > 22 and 0 <= call["seconds"] < 30

    with open(boat.spool.state("mailcheck.log"), encoding="ascii") as f:
        log = f.read()
    if not os.path.exists("/dev/log"):
        events = [line.split()[3] for line in log.splitlines()]
        outbound, inbound = ["sent"], ["fetched", "deleted-upstream"]       # at the same time
        for session in outbound, inbound:
            wanted = ["link-up", *session, "link-down", "call"]
            assert [event for event in events if event in wanted] == wanted
        assert {line.split()[2] for line in log.splitlines()} == {call["id"]}


def test_the_link_is_up_while_the_providers_are_talked_to(boat, shore):
    boat.link(up=f"echo up > {boat.path}.link", down=f"cp {boat.path}.link {boat.path}.was; rm {boat.path}.link")
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    assert boat.mailcheck() == (0, "")
    assert boat.queued() == [] and os.path.exists(f"{boat.path}.was") and not os.path.exists(f"{boat.path}.link")


def test_progress_for_a_person(boat, shore):
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    code, said = boat.mailcheck("--progress")
    assert code == 0
    assert "To send: 1 message, 22 octets." in said and "Bringing up link gsm" in said
    assert "Sent 1, refused 0, kept 0, fetched 0." in said


def test_without_a_link_the_providers_are_taken_to_be_there(boat, shore):
    boat.configure(links={}, relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    assert boat.mailcheck() == (0, "")
    assert boat.queued() == [] and boat.ledger[0]["link"] == "network"


def test_a_daemon_that_the_command_leaves_behind_does_not_hold_it_up(boat, shore):
    """As pppd does: it keeps the link up, and the output open."""
    boat.link(up=f"sleep 20 & echo $! > {boat.path}.daemon", down=f"kill $(cat {boat.path}.daemon)")
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    begun = time.monotonic()
    assert boat.mailcheck() == (0, "")
    assert time.monotonic() - begun < 10 and boat.queued() == []


# Exit codes

def test_usage(boat):
    for options in (["--what"], ["--quiet", "--progress"], ["one.cfg"]):
        code, said = boat.mailcheck(*options)
        assert code == 64 and said.splitlines()[1:] == ["`mailcheck --help` shows what there is."], said


def test_a_wrong_configuration(boat):
    boat.path.write_text("schema = 1\n[site]\nhostname = yacht.example\ncolour = blue\n")
    code, said = boat.mailcheck()
    assert code == 78 and f"{boat.path}:4: [site] colour:" in said
    boat.path.unlink()
    code, said = boat.mailcheck()
    assert code == 78 and "mail.cfg" in said and "Traceback" not in said


EXITS = {
    "greeting 554": ({"greeting": "554 No"}, 69, "relay: refuses to serve us: 554 No"),
    "wrong password": ({"AUTH": "535 5.7.8 No"}, 69, "relay: the login was refused: 535 5.7.8 No"),
    "greeting 421: no person is needed": ({"greeting": "421 Busy"}, 75, ""),
    "refused for good: the sender is told, not the operator": ({"RCPT": "550 5.1.1 Nobody"}, 0, ""),
    "put off": ({"RCPT": "450 4.2.1 Busy"}, 75, ""),
}


@pytest.mark.parametrize("replies, code, words", EXITS.values(), ids=EXITS)
def test_exit_codes(boat, replies, code, words):
    with Relay(["AUTH PLAIN"], replies=replies) as provider:
        boat.configure(relay=relay(provider.port, user="yacht", password="secret"))
        boat.enqueue()
        assert boat.mailcheck("--quiet") == (code, f"mailcheck: {words}\n" if words else "")
    assert boat.calls == ["up", "down"]
    assert words in boat.ledger[0]["outcome"]


def test_one_provider_that_fails_does_not_stop_the_other(boat, shore):
    boat.configure(relay=relay(1), accounts=account(shore.ports["pop3"]))
    boat.enqueue()
    shore.put("yacht", b"Subject: y\n\nHello.\n")
    code, said = boat.mailcheck()
    assert code == 75 and said.count("\n") == 1 and "127.0.0.1 port 1 cannot be reached" in said
    assert len(boat.box("captain")) == 1 and len(boat.queued()) == 1


def test_a_queue_that_is_being_picked_up(boat, shore):
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    with boat.spool.lock("queue"):
        assert boat.mailcheck() == (0, "") and len(boat.queued()) == 1 and boat.calls == []
    assert boat.mailcheck() == (0, "") and boat.queued() == []


# Links that fail

UPS = {
    "it fails": ("echo no carrier; exit 3", "ended with code 3 and said: no carrier"),
    "it hangs": ("sleep 60", "within 1 s"),
    "it hangs and ignores SIGTERM": ("trap '' TERM; sleep 60", "within 1 s"),
}


@pytest.mark.parametrize("up, words", UPS.values(), ids=UPS)
def test_a_link_that_does_not_come_up(boat, up, words):
    boat.link(up=up, up_limit=1)
    boat.configure(relay=relay(1))
    boat.enqueue()
    begun = time.monotonic()
    code, said = boat.mailcheck()
    assert time.monotonic() - begun < 15
    assert code == 75 and words in said and said.count("\n") == 1
    assert boat.calls == ["up", "down"] and not boat.is_dialled
    assert boat.ledger[0]["outcome"] in said and boat.ledger[0]["messages_out"] == 0
    assert len(boat.queued()) == 1


def test_a_dialler_that_hangs_is_ended_with_what_it_started(boat):
    """Otherwise it would bring the link up after we hung up."""
    boat.link(up=f"sh -c 'echo $$ > {boat.path}.chat; sleep 60; echo late > {boat.path}.late'", up_limit=1)
    boat.configure(relay=relay(1))
    boat.enqueue()
    assert boat.mailcheck()[0] == 75
    with open(f"{boat.path}.chat", encoding="ascii") as f:
        chat = int(f.read())
    wait_for(lambda: not os.path.exists(f"/proc/{chat}") or _is_zombie(chat))


def _is_zombie(process):
    with open(f"/proc/{process}/stat", encoding="ascii") as f:
        return f.read().split()[2] == "Z"


def test_a_command_that_is_not_there(boat):
    boat.configure(relay=relay(1), links={"gsm": {"type": "command", "up": "/no/such/dialler",
                                                  "down": boat.command("down")}})
    boat.enqueue()
    code, said = boat.mailcheck()
    assert code == 69 and "/no/such/dialler" in said and boat.calls == ["down"]


def test_down_that_fails_once(boat, shore):
    boat.link(down=f"test -e {boat.path}.again || {{ touch {boat.path}.again; exit 1; }}")
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    assert boat.mailcheck() == (0, "")
    assert boat.calls == ["up", "down", "down"] and not boat.is_dialled


def test_down_that_fails_twice(boat, shore):
    boat.link(down="exit 1")
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.enqueue()
    code, said = boat.mailcheck()
    assert code == 69 and "link gsm MAY STILL BE UP" in said
    assert boat.is_dialled and boat.queued() == [] and "MAY STILL BE UP" in boat.ledger[0]["outcome"]

    boat.link()             # the next run hangs up first, even with nothing to do
    assert boat.mailcheck() == (0, "")
    assert boat.calls == ["up", "down", "down", "down"] and not boat.is_dialled


# Stopped and killed

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda s: s.name)
def test_stopped_in_the_middle_of_a_call(boat, hanging, number):
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 75 and said == f"mailcheck: stopped by {number.name}\n"
    assert boat.calls == ["up", "down"] and not boat.is_dialled
    assert boat.ledger[0]["outcome"] == f"stopped by {number.name}"


def test_stopped_while_dialling(boat):
    boat.link(up="sleep 60")
    boat.configure(relay=relay(1))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: boat.calls == ["up"])
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 75 and boat.calls == ["up", "down"] and not boat.is_dialled


def test_stopped_again_while_hanging_up(boat, hanging):
    boat.link(down="sleep 0.5")
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    process.terminate()
    wait_for(lambda: boat.calls == ["up", "down"])
    process.terminate()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 75 and boat.calls == ["up", "down"] and not boat.is_dialled


def test_the_worker_is_killed(boat, hanging):
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    os.kill(_worker_of(process), signal.SIGKILL)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 75 and said == "mailcheck: the transport ended with code -9\n"
    assert boat.calls == ["up", "down"] and len(boat.ledger) == 1


def _worker_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
        return int(f.read().split()[0])


def test_a_call_has_a_limit(boat, hanging):
    boat.link(call_limit=1)
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    code, said = boat.mailcheck()
    assert code == 75 and "longer than call_limit, 1 s" in said and said.count("\n") == 1
    assert boat.calls == ["up", "down"] and 1 <= boat.ledger[0]["seconds"] < 10


def test_mailcheck_itself_is_killed(boat, hanging):
    """The next run hangs up first, even if it has nothing to do, and the call is on the bill."""
    boat.link(currency="EUR", setup_charge="0.35", call_limit=60)
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    worker = _worker_of(process)
    process.kill()
    os.kill(worker, signal.SIGKILL)
    process.communicate()
    assert boat.calls == ["up"] and boat.is_dialled
    call, = boat.ledger
    assert (call["outcome"], call["seconds"]) == ("under way", 0)
    boat.configure(relay={})
    assert boat.mailcheck() == (0, "")
    assert boat.calls == ["up", "down"] and not boat.is_dialled
    call, = boat.ledger
    assert call["outcome"] == "its mailcheck was killed: the time is the most it may be"
    assert 0 < call["seconds"] <= 60 and call["cost"] == "0.35"
    assert boat.mailcheck() == (0, "") and boat.calls == ["up", "down"]


def test_who_has_the_queue_for_a_moment_does_not_spoil_a_call(boat, shore):
    """Such as `mailcheck queue hold`."""
    boat.configure(relay=relay(shore.ports["smtp"]))
    boat.link(up="sleep 0.3")
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: boat.calls == ["up"])
    with boat.spool.lock("queue"):
        time.sleep(0.8)
    assert process.communicate(timeout=20) and process.returncode == 0 and boat.queued() == []


def test_a_worker_does_not_outlive_its_mailcheck(boat, hanging):
    """Otherwise it would keep the queue from the next run."""
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    worker = _worker_of(process)
    process.kill()
    process.communicate()
    wait_for(lambda: not os.path.exists(f"/proc/{worker}") or _is_zombie(worker))
    boat.spool.lock("queue").release()


@pytest.mark.parametrize("links", [{}, {"gsm": {"type": "always"}}], ids=["removed", "not dialled any more"])
def test_a_link_left_up_that_mail_cfg_does_not_know_any_more(boat, links):
    Dialled(boat.spool.state("dialled")).write("gsm", 1)
    boat.configure(links=links)
    code, said = boat.mailcheck()
    assert code == 69 and "link gsm MAY STILL BE UP" in said
    assert boat.mailcheck() == (0, "")      # said once


def test_two_at_once(boat, hanging):
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    assert boat.mailcheck() == (0, "")
    code, said = boat.mailcheck("--progress")
    assert code == 0 and "Another mailcheck is running." in said
    assert boat.calls == ["up"] and hanging.sessions == 1
    process.terminate()
    process.communicate(timeout=10)
    assert boat.calls == ["up", "down"]


def test_mail_goes_on_during_a_call(boat, hanging):
    """Local delivery, the queue and reading wait for nothing."""
    boat.configure(relay=relay(hanging.port))
    boat.enqueue()
    process = boat.start()
    wait_for(lambda: hanging.sessions)
    assert b"250 2.0.0 Accepted" in boat.serve("smtpd", (
        b"EHLO x\r\nMAIL FROM:<cook@yacht.example>\r\nRCPT TO:<captain@yacht.example>\r\nRCPT TO:<a@far.example>\r\n"
        b"DATA\r\nSubject: x\r\n\r\nHello.\r\n.\r\nQUIT\r\n"))
    assert b"+OK 1 " in boat.serve("pop3d", b"USER captain\r\nPASS secret\r\nSTAT\r\nDELE 1\r\nQUIT\r\n")
    assert boat.box("captain") == [] and len(boat.queued()) == 2
    process.terminate()
    process.communicate(timeout=10)


def test_a_message_is_fetched_after_a_kill_in_the_middle(boat):
    """The program as a whole: killed while a message comes in, the next run fetches it once."""
    with Provider([("uid1", b"Subject: 1\r\n\r\nHello.\r\n")], cut_in_body=5) as provider:
        provider.cut = lambda: provider.line()      # the line does not break, it only falls silent
        boat.configure(accounts=account(provider.port))
        process = boat.start()
        wait_for(lambda: provider.retrieved)
        os.kill(_worker_of(process), signal.SIGKILL)
        process.communicate(timeout=10)
        assert boat.box("captain") == []
        provider.cut_in_body = None
        assert boat.mailcheck("--now") == (0, "")       # the link need not rest first
    assert boat.bodies("captain") == [b"Subject: 1\n\nHello.\n"] and provider.messages == []

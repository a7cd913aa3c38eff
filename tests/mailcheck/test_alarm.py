"""What needs a person is told once: on standard error under cron, and to postmaster."""

import os
import subprocess
import sys

import pytest

from amsmail.program.alarm import Alarm
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import Site, relay

BIN = os.path.join(os.path.dirname(__file__), "..", "..", "bin")


@pytest.fixture
def boat(tmp_path):
    return Site(tmp_path / "boat")


def mailcheck(boat):
    """(exit code, what cron would mail)"""
    done = subprocess.run([sys.executable, "-IS", os.path.join(BIN, "mailcheck"), "--quiet", "--now", boat.path],
                          capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def told(boat):
    """What postmaster was told: the texts of the messages."""
    return [text.partition(b"\n\n")[2].decode() for text in boat.box("captain")]


def test_a_wrong_password_is_told_once_until_it_was_right_again(boat):
    with Relay(["AUTH PLAIN"]) as provider:
        boat.configure(relay=relay(provider.port, user="yacht", password="secret"))
        for answer, is_said, messages in (("535 5.7.8 no", True, 1), ("535 5.7.8 no", False, 1),
                                          ("235 2.7.0 yes", False, 1), ("535 5.7.8 no", True, 2)):
            provider.replies = {"AUTH": answer}
            boat.enqueue()
            code, heard = mailcheck(boat)
            assert code == (0 if answer.startswith("2") else 69)
            assert ("the login was refused" in heard) == is_said and heard.count("\n") == is_said
            assert len(told(boat)) == messages
        assert all("the login was refused" in text for text in told(boat))


NMCLI = """\
#!/bin/sh
case "$*" in
    *" up "*) echo "Error: Connection activation failed: Secrets were required, but not provided." >&2; exit 4;;
    *" down "*) echo "Error: 'gsm' is not an active connection." >&2; exit 10;;
esac
"""


def test_a_password_that_a_dialler_refuses_is_told_once(boat, tmp_path, monkeypatch):
    """It does not mend itself: a person must see to it."""
    program = tmp_path / "bin" / "nmcli"
    program.parent.mkdir()
    program.write_text(NMCLI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    boat.configure(relay=relay(1), links={"gsm": {"type": "networkmanager", "entry": "gsm", "attempts": 3}})
    boat.enqueue()
    for is_said in (True, False):
        code, heard = mailcheck(boat)
        assert code == 69 and ("the user name or password was refused" in heard) == is_said
        assert len(told(boat)) == 1
    assert "link gsm" in told(boat)[0] and "attempts" not in told(boat)[0], "not tried again with it"


def test_news(tmp_path):
    alarm = Alarm(tmp_path / "alarm.json")
    assert alarm.news(["b", "a", "b"]) == ["b", "a"]
    alarm.remember(["a", "b"])
    assert alarm.news(["a", "c"]) == ["c"]
    alarm.remember(["c"], {"a"})
    assert alarm.news(["a", "b", "c"]) == ["a"]


def test_what_was_not_tried_again_is_not_over(tmp_path):
    """A run that makes no call (the link rests) says nothing about the relay."""
    alarm = Alarm(tmp_path / "alarm.json")
    refused = "relay: the login was refused: 535 5.7.8 no"
    alarm.remember([refused])
    alarm.remember([])
    alarm.remember([], {"account owner", "link gsm"})
    assert alarm.news([refused]) == []
    alarm.remember([], {"relay"})
    assert alarm.news([refused]) == [refused]


def test_what_a_provider_adds_to_it_is_no_news(tmp_path):
    """Some put another number into each reply."""
    alarm = Alarm(tmp_path / "alarm.json")
    assert len(alarm.news([f"relay: the login was refused: 535 5.7.8 no. {number}" for number in (1, 2)])) == 1
    alarm.remember(["relay: the login was refused: 535 5.7.8 no. 1"])
    assert alarm.news(["relay: the login was refused: 535 5.7.8 no. 3"]) == []
    assert alarm.news(["relay: the certificate is wrong: expired"]) == ["relay: the certificate is wrong: expired"]


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b"\xff"])
def test_what_was_told_may_be_lost(tmp_path, contents):
    (tmp_path / "alarm.json").write_bytes(contents)
    assert Alarm(tmp_path / "alarm.json").news(["a"]) == ["a"]

"""How the programs of an operator end: the exit code, and what is told."""

import os
import signal
import subprocess
import sys

import pytest

from amsmail.program import configuring
from amsmail.program.ending import ended
from amsmail.program.options import UsageError
from amsmail.site.config_error import ConfigError
from amsmail.store.spool import SpoolError
from tests.mailcheck.sites import Site

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin")


@pytest.mark.parametrize("error, code, told", [
    (ConfigError(["mail.cfg:1: one", "mail.cfg:2: two"]), 78, "mail.cfg:1: one\nmail.cfg:2: two\n"),
    (SpoolError("/spool: is none"), 78, "mailcheck: /spool: is none\n"),
    (PermissionError(13, "Permission denied", "/spool/x"), 75, "mailcheck: /spool/x: Permission denied\n"),
    (PermissionError(13, "Permission denied"), 75, "mailcheck: [Errno 13] Permission denied\n"),
    (UsageError("found x; expected y"), 64, "found x; expected y\n`mailcheck --help` shows what there is.\n"),
    (KeyboardInterrupt(), 75, "\n"),
])
def test_what_went_wrong(capfd, error, code, told):
    def action():
        raise error
    assert ended("mailcheck", action) == code
    assert capfd.readouterr() == ("", told)


def test_what_went_well(capfd):
    assert ended("mailcheck", lambda: 3) == 3 and capfd.readouterr() == ("", "")


@pytest.mark.parametrize("closed, code", [("<&-", 64), (">&-", 64), ("<&- >&- 2>&-", 64)])
def test_a_terminal_that_is_not_there(tmp_path, closed, code):
    """The dialogue leaves, and nothing is written; a stream that is closed takes no file of ours for itself."""
    done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, os.path.join(BIN, "mailcfg"),
                           tmp_path / "mail.cfg"], input="", capture_output=True, text=True)
    assert "Traceback" not in done.stderr and done.returncode == code, done
    assert os.listdir(tmp_path) == []


def test_a_password_out_of_a_closed_stream(tmp_path):
    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" <&-', sys.executable, os.path.join(BIN, "mailcfg"), "password",
                           "--stdin"], capture_output=True, text=True)
    assert "Traceback" not in done.stderr and "1 to 1000 printable characters" in done.stderr


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        ended("mailcheck", lambda: 1 / 0)


def test_ctrl_c_while_a_probe_waits(tmp_path):
    """Nothing was dialled, and nothing is said but that."""
    site = Site(tmp_path / "site")
    site.configure(relay={"host": "127.0.0.1"}, links={"wifi": {
        "type": "present", "probe": f"command sh -c 'echo > {tmp_path}/asked; exec sleep 20'"}})
    site.enqueue()
    os.mkfifo(tmp_path / "asked")
    process = subprocess.Popen([sys.executable, "-IS", os.path.join(BIN, "mailcheck"), "--quiet", site.path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    (tmp_path / "asked").read_text()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "\n") and process.returncode == 75


@pytest.mark.parametrize("words, is_one", [
    ([], True), (["/etc/amsmail/mail.cfg"], True), (["mail.cfg"], True), (["etc/site"], True),
    (["link"], False), (["--help"], False), (["--config=mail.cfg"], False), (["mail.cfg", "link"], False),
    ([""], False),
])
def test_a_lone_path_asks_for_the_dialogue(words, is_one):
    assert configuring.is_dialogue(words) == is_one

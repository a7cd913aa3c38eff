"""How the programs of an operator end: the exit code, and what is told."""

import io
import os
import signal
import subprocess
import sys

import pytest

from amsmail.program import configuring
from amsmail.program.ending import ended
from amsmail.program.options import UsageError
from amsmail.site import config
from amsmail.site.config_error import ConfigError
from amsmail.store.spool import SpoolError
from tests.mailcheck.sites import Site

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin")
# Runs a program of ours as its launcher does: the folder bin/, its name, its words.
START = ("import os, runpy, sys\ndel sys.argv[0]\nfolder = sys.argv.pop(0)\n"
         "runpy.run_path(os.path.join(folder, sys.argv[0]), run_name='__main__')")


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


@pytest.mark.parametrize("bug", [ZeroDivisionError(), ModuleNotFoundError("no module", name="amsmail.nonsense")])
def test_a_bug_is_not_hidden(bug):
    def action():
        raise bug
    with pytest.raises(type(bug)):
        ended("mailcheck", action)


def test_what_the_terminal_has_no_character_for(monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), "latin-1") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])

    def action():
        print("caf\xe9 \u03a9")
        raise UsageError("found \u03a9")
    assert ended("mailcfg", action) == 64
    sys.stderr.flush()
    assert streams[0].buffer.getvalue() == b"caf\xe9 \\u03a9\n" and b"found \\u03a9\n" in streams[1].buffer.getvalue()


class TestStandardOutput:
    @staticmethod
    def run(program, *words, into="/dev/full"):
        """A program of bin/ whose standard output goes there; '|' is a pipe that nobody reads."""
        end, start = os.pipe() if into == "|" else (None, os.open(into, os.O_WRONLY))
        if end is not None:
            os.close(end)
        try:
            return subprocess.run([sys.executable, "-IS", "-c", START, BIN, program, *words], stdout=start,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        finally:
            os.close(start)

    @pytest.fixture
    def site(self, tmp_path):
        site = Site(tmp_path / "site")
        site.configure()
        return site

    @pytest.mark.parametrize("words", [["amsd", "--help"], ["smtpd", "--version"], ["mailcfg", "--help"],
                                       ["mailcheck", "--version"], ["mailcfg", "password", "--help"]])
    @pytest.mark.parametrize("into, code, told", [
        ("|", 0, ""), ("/dev/full", 75, "standard output cannot be written: No space left on device; what was done is "
                       "done all the same\n")])
    def test_of_whoever_asks_for_words(self, words, into, code, told):
        done = self.run(*words, into=into)
        assert (done.returncode, done.stderr) == (code, told)

    @pytest.mark.parametrize("words", [["mailcfg", "check", "--file"], ["mailcfg", "site"], ["mailcheck", "--plan"]])
    def test_that_is_full(self, site, words):
        done = self.run(*words, *(["--config", site.path] if words[-1] == "site" else [site.path]))
        assert done.returncode == 75 and done.stderr.startswith("standard output cannot be written: No space")

    @pytest.mark.parametrize("into, code", [("|", 0), ("/dev/full", 75)])
    def test_that_does_not_take_what_was_done(self, site, into, code):
        done = self.run("mailcfg", "box", "add", "mate", "--password-generate", "--config", site.path, into=into)
        assert done.returncode == code and "mate" in config.load(site.path).boxes
        first, second, *more = done.stderr.splitlines()
        assert first == f"{site.path}: box mate added"
        assert second == "the password that was made up is lost: set another one"
        assert len(more) == (code == 75)

    def test_that_nobody_reads_hinders_no_mail(self, site):
        """A box is renamed, which is told, before its mail moves."""
        folder = os.path.join(site.spool.path, "boxes")
        site.spool.box("captain").make()
        with open(os.path.join(folder, "captain/new/1.M1R1.h"), "w", encoding="ascii") as f:
            f.write("Subject: x\n\nHello.\n")
        done = self.run("mailcfg", "box", "rename", "captain", "master", "--config", site.path, into="|")
        assert done.returncode == 0 and os.listdir(os.path.join(folder, "master/new")) == ["1.M1R1.h"]

    def test_of_a_disk_that_is_full(self, capfd):
        """An error of the spool's is told as such."""
        def action():
            raise OSError(28, "No space left on device")
        assert ended("mailcheck", action) == 75 and "[Errno 28]" in capfd.readouterr().err


@pytest.mark.parametrize("words", [["mailcfg", "site", "--config"], ["mailcheck", "--plan"], ["amsd"],
                                   ["mailtransportcfg", "relay", "--config"]])
def test_a_library_that_is_not_there_is_named(tmp_path, words):
    site = Site(tmp_path / "site")
    site.configure()
    program, *others = words
    listens = ["--listen", "smtp=127.0.0.1:0"] if program == "amsd" else []
    done = subprocess.run([sys.executable, "-IS", "-c", f"import sys\nsys.modules['configobj'] = None\n{START}", BIN,
                           program, *listens, *others, site.path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 69 and done.stderr.startswith(f"{program}: the Python library configobj is missing: ")
    assert done.stderr.count("\n") == 1 and "scripts/install" in done.stderr


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

"""mail.cfg: what a good one means, and what is said about a wrong one."""

import difflib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

from amsmail.site import config, config_file, layout
from amsmail.site.config import ConfigError
from amsmail.site.draft import Draft
from tests.site.changes import edit

HERE = pathlib.Path(__file__).parent
CHECKOUT = HERE.parents[1]


@pytest.fixture
def good(tmp_path):
    """A copy of good.cfg with a spool of its own."""
    path = tmp_path / "mail.cfg"
    path.write_text((HERE / "good.cfg").read_text().replace("/tmp/never/used", str(tmp_path / "spool")))
    path.chmod(0o640)
    (tmp_path / "spool").mkdir()
    return path


def test_what_a_good_one_means(good):
    site = config.load(str(good))
    assert site.hostname == "mail.yacht.example"
    assert site.domains == {"yacht.example": "refuse", "fleet.example": "relay"}
    assert site.limits == {"message_size": 5000000, "recipients": 100, "errors": 20, "smtp_idle": 300, "pop3_idle": 600}
    assert site.addresses == {
        "captain@yacht.example": "captain", "captain@fleet.example": "captain", "skipper@yacht.example": "captain",
        "skipper@fleet.example": "captain", "captain@provider.example": "captain", "cook@yacht.example": "cook",
        "cook@fleet.example": "cook", "postmaster@yacht.example": "captain", "postmaster@mail.yacht.example": "captain"}
    assert site.relay["password"] == "50%, a # and more"
    assert site.accounts["fleet"]["after"] == 14 * 86400
    assert site.accounts["fleet"]["backlog"] == 50
    assert site.links["gsm"]["up"] == ["/usr/local/bin/dial", "the gsm"]


def test_no_program_runs_where_the_spool_is_none(good):
    """Files would be wherever it was started."""
    good.write_text(good.read_text().replace(str(good.parent / "spool"), ""))
    done = mailcfg("check", "--file", good)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"{good}:6: [site] spool: found ''; expected an absolute path of at most 1000 octets\n"


@pytest.mark.parametrize("kind", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    kind(tmp_path / "mail.cfg", 0o700)
    for read in config.load, config_file.read, Draft:
        with pytest.raises(ConfigError, match="mail.cfg: is no regular file"):
            read(str(tmp_path / "mail.cfg"))


def test_the_site_as_it_is_now(good):
    site = config.load(str(good))
    assert config.current(site) is site
    edit(str(good), {("site", "postmaster"): "cook"})
    now = config.current(site)
    assert (site.postmaster, now.postmaster) == ("captain", "cook") and config.current(now) is now
    for spoil in (lambda: good.write_text("nonsense"), good.unlink):
        spoil()
        assert config.current(now) is now


@pytest.mark.parametrize("path", sorted(HERE.glob("bad/*.cfg")), ids=lambda path: path.stem)
def test_what_is_said_about_a_wrong_one(path, tmp_path):
    """Each bad/*.cfg says what is expected of it in lines `#: LINE: MESSAGE`."""
    copy = tmp_path / "mail.cfg"
    shutil.copy(path, copy)
    copy.chmod(0o640)
    expected = [f"{copy}:{line[3:]}" for line in path.read_text().splitlines() if line.startswith("#: ")]
    with pytest.raises(ConfigError) as caught:
        config.load(str(copy))
    assert sorted(caught.value.problems) == sorted(line.replace(".cfg: ", ".cfg:") for line in expected)


@pytest.mark.parametrize("rate, rates", [
    ("64", (64_000, 64_000)), ("256/1024", (256_000, 1_024_000)), ("2.4", (2400, 2400)), ("9.6/2.4", (9600, 2400)),
    ("0.001", (1, 1)), ("", (0, 0))])
def test_the_rate_of_a_link(good, rate, rates):
    edit(str(good), {("links", "gsm", "rate"): rate})
    assert config.load(str(good)).links["gsm"]["rate"] == rates


@pytest.mark.parametrize("round_trip, seconds", [("0.7", 0.7), ("2", 2.0), ("1.85", 1.85), ("", 0.0)])
def test_the_round_trip_of_a_link(good, round_trip, seconds):
    edit(str(good), {("links", "gsm", "round_trip"): round_trip})
    assert config.load(str(good)).links["gsm"]["round_trip"] == seconds


def test_of_a_link_nothing_need_be_known(good):
    link = config.load(str(good)).links["gsm"]
    assert (link["rate"], link["round_trip"]) == ((0, 0), 0.0)


@pytest.mark.parametrize("key, value", [
    *(("rate", rate) for rate in ("-1", "64k", "64/", "/64", "64/0", "0/64", "1/2/3", "64 /128", "1e3", "12345678",
                                  "0.0001", "inf", "６４")),
    *(("round_trip", seconds) for seconds in ("-1", "0.0", "1,8", "700ms", "1e1", "nan", "1234", "0.00000001", "."))])
def test_figures_of_a_link_that_make_no_sense(good, key, value):
    with pytest.raises(ConfigError, match=rf"\[links\] gsm {key}: found .*; expected (kbit/s|seconds), such as"):
        edit(str(good), {("links", "gsm", key): value})


@pytest.mark.parametrize("mode, words", [(0o644, "lets everybody on this machine at the passwords"),
                                         (0o602, "lets everybody"), (0o660, "lets its group change it")])
def test_a_mode_that_gives_passwords_away(good, mode, words):
    good.chmod(mode)
    with pytest.raises(ConfigError, match=words):
        config.load(str(good))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(str(tmp_path / "none.cfg"))


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "mail.cfg"
    path.write_bytes(b"schema = 1\n\xff\xfe\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="mail.cfg:2: is not UTF-8 text"):
        config.load(str(path))


def test_editing_changes_only_the_lines_it_must(good):
    before = good.read_text()
    edit(str(good), {
        ("site", "hostname"): "post.yacht.example",
        ("relay", "password"): "another, with # and 'quotes'",
        ("boxes", "cook", "addresses"): "cook, chef",
        ("boxes", "mate", "addresses"): "mate",
        ("accounts", "fleet", "backlog"): None,
        ("queue", "login"): "outbound",
        ("queue", "password"): "$pbkdf2-sha256$1000$qTXGuPceY8yZk7L2vlfqvQ$6yKJSe0mP8wJYzqzBMn2AHZ8xnQVh5TQKpGdPlbmEIo",
    })
    after = good.read_text()
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    assert changed == [
        "- hostname = mail.yacht.example       # what we call ourselves",
        "+ hostname = post.yacht.example       # what we call ourselves",
        "+   addresses = cook, chef",
        "+   [[mate]]",
        "+   addresses = mate",
        '- password = "50%, a # and more"',
        "+ password = \"another, with # and 'quotes'\"",
        "-   backlog = newest 50",
        "+ ",
        "+ [queue]",
        "+ login = outbound",
        "+ password = $pbkdf2-sha256$1000$qTXGuPceY8yZk7L2vlfqvQ$6yKJSe0mP8wJYzqzBMn2AHZ8xnQVh5TQKpGdPlbmEIo"]
    site = config.load(str(good))
    assert site.relay["password"] == "another, with # and 'quotes'"
    assert site.addresses["chef@yacht.example"] == "cook"
    assert site.addresses["mate@yacht.example"] == "mate"
    assert good.stat().st_mode & 0o777 == 0o640


def test_an_edit_that_makes_it_wrong_is_not_written(good):
    before = good.read_bytes()
    with pytest.raises(ConfigError, match="expected a port number"):
        edit(str(good), {("relay", "port"): "none"})
    assert good.read_bytes() == before


@pytest.mark.parametrize("value", ["", " blanks ", "#", "a # b", '"', "'", "it's", "a,b", "100%", "$x", "a = b", "[x]"])
def test_any_value_that_is_written_is_read_back(good, value):
    edit(str(good), {("accounts", "fleet", "envelope_prefix"): value})
    assert config.load(str(good)).accounts["fleet"]["envelope_prefix"] == value


def test_a_value_that_cannot_be_written_is_refused():
    with pytest.raises(ValueError, match="both kinds of quotes"):
        layout.quoted("#'\"")


class TestCompiled:
    """The compiled form counts only while mail.cfg is the file it was made from, and only if this user made it."""

    @pytest.fixture
    def settled(self, good):
        """A mail.cfg that did not change just now, and its compiled form."""
        an_hour_ago = time.time() - 3600
        os.utime(good, (an_hour_ago, an_hour_ago))
        config.load(str(good))
        return good, good.parent / "spool/state/mail.cfg.compiled"

    def parsed(self, path, monkeypatch):
        """Whether load() had to read mail.cfg itself."""
        calls = []
        real = config_file.read
        monkeypatch.setattr(config_file, "read", lambda p: calls.append(p) or real(p))
        config.load(str(path))
        return bool(calls)

    def test_it_is_used(self, settled, monkeypatch):
        path, compiled = settled
        assert compiled.exists()
        assert not self.parsed(path, monkeypatch)

    def test_a_change_is_seen(self, settled, monkeypatch):
        path, _ = settled
        path.write_text(path.read_text().replace("mail.yacht", "post.yacht"))
        assert config.load(str(path)).hostname == "post.yacht.example"

    def test_a_mode_that_became_wrong_is_seen(self, settled):
        path, _ = settled
        path.chmod(0o644)
        with pytest.raises(ConfigError):
            config.load(str(path))

    def test_a_file_that_changed_just_now_is_not_compiled(self, good):
        config.load(str(good))
        assert not (good.parent / "spool/state/mail.cfg.compiled").exists()

    @pytest.mark.parametrize("damage", [b"", b"x", b"\xe9" * 100])
    def test_a_damaged_one_is_passed_over(self, settled, damage, monkeypatch):
        path, compiled = settled
        compiled.write_bytes(damage)
        assert self.parsed(path, monkeypatch)

    def test_one_that_others_may_write_is_passed_over(self, settled, monkeypatch):
        path, compiled = settled
        compiled.chmod(0o666)
        assert self.parsed(path, monkeypatch)

    def test_another_users_is_passed_over(self, settled, monkeypatch):
        path, _ = settled
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert self.parsed(path, monkeypatch)


def mailcfg(*words, stdin=""):
    return subprocess.run([sys.executable, CHECKOUT / "bin/mailcfg", *words], input=stdin, capture_output=True,
                          text=True)


def test_mailcfg_check(good):
    done = mailcfg("check", "--file", good)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fine: 2 boxes, 9 addresses, 1 account, 1 link; relay smtp.provider.example" in done.stdout
    good.write_text("schema = 3\n")
    done = mailcfg("check", "--file", good)
    assert done.returncode == 78 and f"{good}:1: schema: found '3'" in done.stderr


def test_mailcfg_password(good):
    from amsmail.site import passwords
    done = mailcfg("password", "--stdin", stdin="a secret\n")
    assert done.returncode == 0 and passwords.verify("a secret", done.stdout.strip())
    done = mailcfg("password", "--stdin", "--box", "cook", good, stdin="another\n")
    assert done.returncode == 0
    assert passwords.verify("another", config.load(str(good)).boxes["cook"]["password"])
    assert mailcfg("password", "--stdin", "--box", "stoker", good, stdin="another\n").returncode == 78
    assert mailcfg("password", "--stdin", stdin="\n").returncode == 64
    assert mailcfg("word").returncode == 64

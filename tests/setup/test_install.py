"""amsmail-install below a scratch root, as any user: what it makes, and that nothing is lost on any way through it."""

import json
import marshal
import os
import re
import socket
import subprocess
import sys
import types
from pathlib import Path

import pytest

from amsmail import __version__
from amsmail.setup import install
from amsmail.setup.installing import pieces, rivals, services, software, starting
from amsmail.setup.installing.machine import Machine, Trouble
from amsmail.site.ports import REGISTERED
from amsmail.store import durable

from ..etc.installation import PROJECT
from ..real.packages import Unavailable
from ..real.process import free_port
from .install_world import copy_of_sources, installer

INETD_CONF = "# of this machine\ntelnet stream tcp nowait root /usr/sbin/telnetd telnetd"     # and no line end
OPERATIONS = ("replace", "publish", "remove", "make_directory")


@pytest.fixture
def quick(monkeypatch):
    """A library of two files, which takes no time; the whole one is installed in other tests."""
    monkeypatch.setattr(software, "files", lambda python: {
        "amsmail/__init__.py": b"", "amsmail/a/b.py": b"x = 1\n"})
    monkeypatch.setattr(software, "launchers", lambda python, library, config: {
        name: f"#!{python} of {library} for {config}\n".encode() for name in ("smtpd", "mailcfg")})
    monkeypatch.setattr(Machine, "run", lambda self, *words: "")
    monkeypatch.setattr(os, "fsync", lambda fd: None)       # the hundreds of installations here need no disk
    monkeypatch.chdir("/")


@pytest.fixture
def root(tmp_path):
    return scratch(tmp_path / "root")


def scratch(path, service="inetd"):
    """A machine with that super-server, cron, and a file to add lines to."""
    for name in ("usr/sbin", "etc/cron.d"):
        (path / name).mkdir(parents=True)
    (path / "usr/sbin" / service).touch()
    (path / "etc/inetd.conf").write_text(INETD_CONF)
    (path / "etc/inetd.conf").chmod(0o604)
    return path


def look(root):
    """{path: (mode, contents)} of all below a folder."""
    return {str(path.relative_to(root)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
            for path in root.rglob("*") if "__pycache__" not in path.parts}


def run(root, *arguments):
    return install.main(["--root", str(root), *map(str, arguments)])


def test_all_of_it_into_a_root_and_out_again(tmp_path, root):
    source = copy_of_sources(tmp_path / "source")
    before = look(root)

    def ran(*arguments):
        words, environment = installer(source, "--root", root, *arguments)
        done = subprocess.run(words, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "served by inetd" in ran("--yes")
    found = look(root)
    launcher = found["usr/local/sbin/smtpd"]
    assert launcher[0] & 0o7777 == 0o755
    library = next(path for path in found if path.startswith("usr/local/lib/amsmail/") and path.count("/") == 4)
    assert f"sys.path.insert(0, '/{library}')" in launcher[1].decode() and str(tmp_path) not in launcher[1].decode()
    assert "'/etc/amsmail/mail.cfg'" in launcher[1].decode()
    # The library is whole: it runs by itself, without `site`, and its modules are compiled.
    code = f"import sys; sys.path.insert(0, {str(root / library)!r}); from amsmail.program import smtpd, mailcfg"
    subprocess.run([sys.executable, "-IS", "-c", code + "; from amsmail.site import config_file"], check=True)
    assert list((root / library / "amsmail/program/__pycache__").glob("smtpd.*.pyc"))
    assert found["etc/amsmail"][0] & 0o7777 == 0o750 and "etc/amsmail/mail.cfg" not in found      # mailcfg makes it
    assert found["var/spool/amsmail"][0] & 0o7777 == 0o750
    assert found["etc/cron.d/amsmail"][1] == (PROJECT / "etc/cron.d/amsmail").read_bytes()
    assert found["etc/inetd.conf"][0] & 0o7777 == 0o604
    text = found["etc/inetd.conf"][1].decode()
    assert text.startswith(f"{INETD_CONF}\n{pieces.BEGIN}\n")
    assert text.count("amsmail  /usr/local/sbin/") == 5
    for page in (PROJECT / "docs").glob("*.[58]"):
        assert f"usr/local/share/man/man{page.suffix[1:]}/{page.name}" in found

    assert ran().endswith("Nothing to do: all of this is in place.\n")
    ran("--undo", "--yes")
    assert look(root) == before


@pytest.mark.parametrize("service", services.NAMES)
def test_every_super_server_is_put_in_place_and_taken_away(quick, tmp_path, service, capsys):
    root = scratch(tmp_path / "root")
    before = look(root)
    assert run(root, "--service", service, "--yes") == 0
    assert look(root) != before
    capsys.readouterr()
    assert run(root, "--service", service) == 0
    assert capsys.readouterr().out.endswith("Nothing to do: all of this is in place.\n")
    assert run(root, "--service", service, "--undo", "--yes") == 0
    assert look(root) == before


def test_the_ports_that_were_chosen_are_in_every_entry_and_are_remembered(quick, tmp_path):
    ports = ("--port", "smtp=2525", "--port", "pop3=2110")
    texts = {}
    for service, paths in {
            "inetd": ["etc/inetd.conf"], "xinetd": ["etc/xinetd.d/amsmail-smtp", "etc/xinetd.d/amsmail-pop3"],
            "systemd": ["etc/systemd/system/amsmail-smtp.socket", "etc/systemd/system/amsmail-pop3.socket"]}.items():
        root = scratch(tmp_path / service)
        (root / "etc/services").write_text("smtp 25/tcp mail\npop3 110/tcp pop-3\nsubmission 587/tcp\npop3s\t995/tcp\n")
        assert run(root, "--service", service, "--yes", *ports) == 0
        texts[service] = [(root / path).read_text() for path in paths]
        assert run(root) == 0           # nothing to do: with the same ports
        assert json.loads((root / "var/lib/amsmail/installed.json").read_text())["choice"]["ports"]["smtp"] == 2525
    lines = [line.split()[0] for line in texts["inetd"][0].splitlines() if "/usr/local/sbin/" in line]
    assert lines == ["2525", "submission", "465", "2110", "pop3s"]      # submissions is not in that /etc/services
    assert "\tport            = 2525\n" in texts["xinetd"][0] and "\tport            = 2110\n" in texts["xinetd"][1]
    assert "\nListenStream=2525\n" in texts["systemd"][0] and "\nListenStream=2110\n" in texts["systemd"][1]


def test_other_ports_later(quick, root):
    assert run(root, "--yes") == 0 and run(root, "--yes", "--port", "smtp=2525") == 0
    assert "\n2525 " in (root / "etc/inetd.conf").read_text()
    assert (root / "etc/inetd.conf").read_text().count(pieces.BEGIN) == 1


def test_what_is_chosen_by_itself(tmp_path):
    assert starting.choose(Machine(scratch(tmp_path / "a", "xinetd"))) == "xinetd"
    assert starting.choose(Machine(scratch(tmp_path / "b", "inetd"))) == "inetd"
    bare = scratch(tmp_path / "c", "nothing")
    assert starting.choose(Machine(bare)) == "amsd"
    (bare / "lib/systemd").mkdir(parents=True)
    (bare / "lib/systemd/systemd").touch()
    assert starting.choose(Machine(bare)) == "systemd"


def test_a_mail_cfg_that_is_there_is_never_touched(quick, root, capsys):
    config = root / "etc/amsmail/mail.cfg"
    config.parent.mkdir()
    text = "[site]\nspool = /srv/mail      # a disk of its own\n"
    config.write_text(text)
    assert run(root, "--yes") == 0
    assert config.read_text() == text
    assert (root / "srv/mail").is_dir() and not (root / "var/spool/amsmail").exists()       # the spool that it names
    assert run(root, "--undo", "--yes") == 0
    assert config.read_text() == text and not (root / "srv").exists()


def test_a_changed_mail_cfg_and_mail_survive_undo_and_do_not_survive_purge(quick, root, capsys):
    before = look(root)
    assert run(root, "--yes") == 0
    (root / "etc/amsmail/mail.cfg").write_text("mine\n")
    (root / "var/spool/amsmail/queue").mkdir()
    (root / "var/spool/amsmail/queue/mail").write_text("mail\n")
    assert run(root, "--undo", "--yes") == 0
    said = capsys.readouterr().out
    assert "/etc/amsmail stays, with what is in it" in said
    assert "/var/spool/amsmail stays, with what is in it" in said and "/var/spool stays" not in said
    assert (root / "etc/amsmail/mail.cfg").read_text() == "mine\n" and (root / "var/spool/amsmail/queue/mail").exists()
    assert not (root / "usr/local").exists()
    assert run(root, "--yes", "--service", "xinetd") == 0       # and back again, served by another, with the same mail
    assert (root / "etc/amsmail/mail.cfg").read_text() == "mine\n"
    assert run(root, "--undo", "--purge", "--yes") == 0
    assert look(root) == before


def test_what_a_person_changed_stays_until_undo(quick, root, capsys):
    assert run(root, "--yes") == 0
    (root / "etc/cron.d/amsmail").write_text("30 6 * * * amsmail /usr/local/sbin/mailcheck --quiet\n")
    conf = root / "etc/inetd.conf"
    conf.write_text(conf.read_text().replace("nowait.1000", "nowait.50") + "new of others\n")
    changed = look(root)
    assert run(root, "--yes") == 0
    said = capsys.readouterr().out
    assert look(root) == changed
    assert "(/etc/cron.d/amsmail was changed by hand, and stays as it is)" in said
    assert "(/etc/inetd.conf was changed by hand, and stays as it is)" in said
    assert run(root, "--undo", "--yes") == 0
    assert "/etc/cron.d/amsmail was changed by hand; it is gone all the same" in capsys.readouterr().out
    assert not (root / "etc/cron.d/amsmail").exists()
    assert conf.read_text() == INETD_CONF + "\nnew of others\n"


def test_what_was_replaced_comes_back(quick, root):
    (root / "etc/cron.d/amsmail").write_text("installed by hand\n")
    (root / "etc/cron.d/amsmail").chmod(0o600)
    before = look(root)
    assert run(root, "--yes") == 0
    assert look(root) != before
    assert run(root, "--undo", "--yes") == 0
    assert look(root) == before


def test_repeating_repairs(quick, root, capsys):
    assert run(root, "--yes") == 0
    whole = look(root)
    (root / "usr/local/sbin/smtpd").write_text("damaged")
    (root / "etc/cron.d/amsmail").unlink()
    (root / "var/spool/amsmail").chmod(0o777)
    capsys.readouterr()
    assert run(root, "--dry-run") == 0
    assert capsys.readouterr().out.count("to do  ") == 3
    assert run(root, "--yes") == 0
    assert look(root) == whole


def test_a_newer_library_leaves_the_one_before_and_no_older_one(quick, root, monkeypatch):
    for version in range(4):
        monkeypatch.setattr(software, "files", lambda python: {"amsmail/__init__.py": b"# %d\n" % version})
        assert run(root, "--yes") == 0
    assert len(list((root / "usr/local/lib/amsmail").iterdir())) == 2
    assert run(root, "--undo", "--yes") == 0 and not (root / "usr/local").exists()


# What stays of what a run makes before there is a record: the folders of a root that has not even /var.
OF_THE_RECORD = {"var", "var/lib"}


class PowerCut(BaseException):
    pass


def cut(monkeypatch, number, after):
    """Lets the power fail at the `number`th time that something is made safe, or right after it."""
    left = [number]

    def failing(operation):
        def run_it(*arguments, **named):
            left[0] -= 1
            this = left[0] == 0
            if this and not after:
                raise PowerCut
            result = operation(*arguments, **named)
            if this:
                raise PowerCut
            return result
        return run_it

    for name in OPERATIONS:
        monkeypatch.setattr(durable, name, failing(getattr(durable, name)))


def broken_off(root, monkeypatch, number, after, *arguments):
    """Whether the power failed in that run."""
    with monkeypatch.context() as patched:
        cut(patched, number, after)
        try:
            run(root, "--yes", *arguments)
        except PowerCut:
            return True
    return False


@pytest.mark.parametrize("after", [False, True])
def test_a_run_that_was_broken_off_anywhere_can_be_finished_or_undone(quick, tmp_path, monkeypatch, after, capsys):
    whole = scratch(tmp_path / "whole")
    empty = look(whole)
    assert run(whole, "--yes") == 0
    wanted = look(whole)
    for number in range(2 if after else 1, 1000, 3):        # each third is enough, and takes a third of the time
        finished, undone = scratch(tmp_path / f"f{number}"), scratch(tmp_path / f"u{number}")
        if not broken_off(finished, monkeypatch, number, after):
            break
        assert run(finished, "--yes") == 0
        found = look(finished)
        assert found.keys() == wanted.keys()
        other = {path for path in found if found[path] != wanted[path]}
        assert broken_off(undone, monkeypatch, number, after)
        recorded = (undone / "var/lib/amsmail/installed.json").exists()
        assert other <= {"var/lib/amsmail/installed.json"} | (
            set() if recorded else OF_THE_RECORD | {"var/lib/amsmail", "var/lib/amsmail/backup"}), number
        assert run(undone, "--undo", "--yes") == 0
        left = look(undone)
        if recorded:
            assert left == empty, number
        else:
            assert left.keys() - empty.keys() <= OF_THE_RECORD, number
    assert number > 30


def test_an_undo_that_was_broken_off_anywhere_can_be_finished(quick, tmp_path, monkeypatch):
    for number in range(1, 1000, 2):
        root = scratch(tmp_path / str(number))
        empty = look(root)
        assert run(root, "--yes") == 0
        if not broken_off(root, monkeypatch, number, True, "--undo"):
            break
        recorded = (root / "var/lib/amsmail/installed.json").exists()
        assert run(root, "--undo", "--yes") == 0
        assert look(root).keys() - empty.keys() <= (set() if recorded else OF_THE_RECORD), number
        assert empty.items() <= look(root).items(), number
    assert number > 20


def others(root, **ports):
    return [rival.what for rival in rivals.find(Machine(root), {**REGISTERED, **ports}, set())]


def test_other_mail_servers_are_found_by_what_starts_them(tmp_path):
    root = scratch(tmp_path / "root")
    assert others(root) == []
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "postfix.service").symlink_to("/lib/systemd/system/postfix.service")
    (root / "etc/rc3.d").mkdir()
    (root / "etc/rc3.d/S01dovecot").symlink_to("../init.d/dovecot")
    (root / "etc/rc3.d/K01exim4").symlink_to("../init.d/exim4")
    assert others(root) == ["Postfix is started at boot, and serves port 25",
                            "Dovecot is started at boot, and serves port 110, 995"]
    assert others(root, smtp=2525) == ["Dovecot is started at boot, and serves port 110, 995"]

    (wants / "postfix.service").unlink()
    (root / "etc/rc3.d/S01dovecot").unlink()
    with (root / "etc/inetd.conf").open("a") as conf:
        conf.write("\n#smtp stream tcp nowait mail /usr/sbin/a a\n"
                   "smtp stream tcp nowait mail /usr/sbin/exim4 exim4 -bs\n"
                   "127.0.0.1,127.0.0.2:110 stream tcp nowait root /usr/sbin/tcpd qpopper\n")
    assert others(root) == ["line 4 of /etc/inetd.conf starts /usr/sbin/exim4 for smtp",
                            "line 5 of /etc/inetd.conf starts qpopper for 127.0.0.1,127.0.0.2:110"]
    assert others(root, smtp=2525) == ["line 5 of /etc/inetd.conf starts qpopper for 127.0.0.1,127.0.0.2:110"]
    (root / "etc/inetd.conf").write_text("")
    (root / "etc/xinetd.d").mkdir()
    entry = "service {0}\n{{\n\tdisable = {1}\n\tserver = /usr/sbin/qpopper\n}}\n"
    (root / "etc/xinetd.d/pop").write_text(entry.format("pop3", "no"))
    (root / "etc/xinetd.d/pops").write_text(entry.format("pop3s", "yes"))
    assert others(root) == ["/etc/xinetd.d/pop starts /usr/sbin/qpopper for pop3"]
    (root / "etc/services").write_text("pop3 1110/tcp\nours 110/tcp\n")
    assert others(root) == []
    (root / "etc/xinetd.conf").write_text("service ours\n{\n\tredirect = 10.0.0.1 110\n}\n")
    assert others(root) == ["/etc/xinetd.conf starts something for ours"]


@pytest.mark.parametrize("name", ["smtp.dpkg-old", "smtp~", "amsmail-smtp", "folder"])
def test_what_xinetd_does_not_read_and_our_own_are_no_rivals(quick, tmp_path, name):
    root = scratch(tmp_path / "root", "xinetd")
    (root / "etc/xinetd.d/folder").mkdir(parents=True)
    entry = "service smtp\n{\n\tserver = /usr/sbin/exim4\n}\n"
    (root / "etc/xinetd.d/smtp").write_text(entry)
    assert run(root, "--yes") == 69
    (root / "etc/xinetd.d/smtp").unlink()
    if name != "folder":
        (root / "etc/xinetd.d" / name).write_text(entry)
    assert run(root, "--yes") == 0


def test_lines_below_ours_are_rivals_and_ours_are_not(quick, root):
    assert run(root, "--yes") == 0
    with (root / "etc/inetd.conf").open("a") as conf:
        conf.write("smtp stream tcp nowait mail /usr/sbin/exim4 exim4 -bs\n")
    number = len((root / "etc/inetd.conf").read_text().splitlines())
    assert others(root) == [f"line {number} of /etc/inetd.conf starts /usr/sbin/exim4 for smtp"]


def test_another_mail_server_is_refused_by_name_and_nothing_is_made(quick, root, capsys):
    (root / "etc/rc2.d").mkdir()
    (root / "etc/rc2.d/S05exim4").touch()
    before = look(root)
    assert run(root, "--yes") == 69
    said = capsys.readouterr().err
    assert "Exim is started at boot, and serves port 25: --replace-mail-server stops and disables exim4" in said
    assert look(root) == before


GOOD = b"""\
schema = 1
[site]
hostname = mail.yacht.example
postmaster = captain
[domains]
[[yacht.example]]
[boxes]
[[captain]]
"""


def test_a_mail_cfg_that_is_given_is_put_in_place(quick, root, tmp_path, capsys):
    config = tmp_path / "mail.cfg"
    config.touch(0o600)
    config.write_bytes(GOOD)
    assert run(root, "--yes", "--config", config) == 0
    there = root / "etc/amsmail/mail.cfg"
    assert there.read_bytes() == GOOD and there.stat().st_mode & 0o7777 == 0o640
    there.write_text("mine\n")
    assert run(root, "--undo", "--yes") == 0
    assert "/etc/amsmail/mail.cfg stays: it was changed since it was put there" in capsys.readouterr().out


def test_a_mail_cfg_that_is_wrong_is_not_installed(quick, root, tmp_path, capsys):
    before = look(root)
    config = tmp_path / "mail.cfg"
    config.touch(0o600)
    config.write_text("schema = 1\n[site]\nnonsense = 1\n")
    assert run(root, "--yes", "--config", config) == 78
    said = capsys.readouterr().err
    assert f"{config}:3: [site] nonsense" in said and said.endswith("Nothing was done.\n")
    assert look(root) == before


def test_without_an_answer_nothing_is_done(quick, root, monkeypatch, capsys):
    before = look(root)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert run(root) == 75
    assert capsys.readouterr().err == "Nothing was done. (--yes does it without a question.)\n"
    assert run(root, "--dry-run") == 0
    assert look(root) == before


def test_who_is_not_root_is_told_what_needs_root(quick, monkeypatch, capsys):
    monkeypatch.setattr(Machine, "may_change", lambda self: False)
    monkeypatch.setattr(rivals, "find", lambda *_: [])
    monkeypatch.setattr(software, "check_reachable", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["install.py", "--yes", "--service", "inetd"])
    assert install.main(sys.argv[1:]) == 77
    said = capsys.readouterr()
    assert "to do  make group amsmail and user amsmail" in said.out
    assert "needs root" in said.err and "sudo scripts/install --yes --service inetd\n" in said.err


@pytest.mark.parametrize("arguments, why", [
    (["--port", "imap=143"], "expected one of smtp"),
    (["--port", "smtp=0"], "expected one of smtp"),
    (["--port", "smtp=x"], "expected one of smtp"),
    (["--service", "launchd"], "invalid choice"),
    (["--purge"], "--purge goes with --undo"),
    (["nonsense"], "unrecognized arguments"),
    (["--root", "", "--dry-run"], "expected a folder"),
    (["--root=", "--undo", "--purge", "--dry-run"], "expected a folder"),
])
def test_wrong_options_are_named(arguments, why, capsys):
    with pytest.raises(SystemExit) as end:
        install.main(arguments)
    assert end.value.code == 64 and why in capsys.readouterr().err


def test_one_port_for_two_services_is_refused(quick, root, capsys):
    assert run(root, "--yes", "--port", "smtp=587") == 69
    assert "two services cannot have the same port" in capsys.readouterr().err


def test_an_interpreter_that_others_cannot_reach_is_refused(tmp_path):
    python = tmp_path / "closed" / "python3"
    python.parent.mkdir(mode=0o700)
    python.touch(0o755)
    python.chmod(0o755)
    with pytest.raises(Trouble, match="is closed to others: name another Python"):
        software.check_reachable(python, False)
    link = tmp_path / "python3"
    link.symlink_to(python)
    with pytest.raises(Trouble, match="closed to others"):
        software.check_reachable(link, False)


ENTRY = {"kind": "file", "path": "/x", "ours": "program", "backup": None, "replaced": None, "all written": [],
         "complete": True}


def recorded(**changes):
    return json.dumps({"choice": {}, "entries": [{**ENTRY, **changes}]})


@pytest.mark.parametrize("text", [
    "", "{", "\xff", "null", "[]", "{}", "7", '{"choice": {}, "entries": {}}', '{"choice": null, "entries": []}',
    '{"choice": {"service": "other", "ports": {}}, "entries": []}',
    '{"choice": {"service": "inetd"}, "entries": []}', '{"choice": {}, "entries": [7]}',
    recorded(kind="of a later amsmail"), recorded(kind=[]), recorded(path=None), recorded(backup="/y"),
    recorded(kind="folder"), recorded(kind="service")])
def test_a_damaged_record_is_not_taken_for_none(quick, root, capsys, text):
    assert run(root, "--yes") == 0
    (root / "var/lib/amsmail/installed.json").write_text(text, "latin-1")
    before = look(root)
    for arguments in (["--yes"], ["--undo", "--yes"], ["--undo", "--dry-run"]):
        assert run(root, *arguments) == 69
        assert "installed.json is damaged" in capsys.readouterr().err
    assert look(root) == before
    (root / "var/lib/amsmail/installed.json").write_text(recorded())
    assert run(root, "--undo", "--dry-run") == 0        # so each of the above is refused for its own fault


def test_the_installed_copy_says_what_it_cannot_do(quick, root, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(software, "CHECKOUT", Path(tmp_path))
    assert run(root, "--yes") == 69
    assert "start scripts/install in the unpacked archive" in capsys.readouterr().err


def test_only_what_the_interpreter_lacks_is_copied(monkeypatch, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    assert software.lacking(bare) == software.requirements()
    monkeypatch.setattr(software, "lacking", lambda python: [])
    assert {name.partition("/")[0] for name in software.files(sys.executable)} == {"amsmail"}
    monkeypatch.setattr(software, "lacking", lambda python: ["configobj", "dnspython"])
    found = software.files(sys.executable)
    assert {"configobj/__init__.py", "dns/resolver.py", "amsmail/site/mail.spec"} <= found.keys()
    assert not [name for name in found if name.startswith("passlib/") or "__pycache__" in name]
    monkeypatch.setattr(software, "lacking", lambda python: ["no-such-library"])
    with pytest.raises(Trouble, match="the library no-such-library is missing"):
        software.files(sys.executable)


def test_files_belong_to_the_user_that_the_root_has(quick, root):
    if os.geteuid():
        raise Unavailable("root", "only root can give files away")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\namsmail:x:4711:4712::/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\namsmail:x:4712:\n")
    assert run(root, "--yes") == 0
    owners = {path: ((root / path).stat().st_uid, (root / path).stat().st_gid)
              for path in ("var/spool/amsmail", "etc/amsmail", "usr/local/sbin/smtpd")}
    assert list(owners.values()) == [(4711, 4712), (0, 4712), (0, 0)]


def test_a_full_disk_is_said_and_the_rest_is_done_later(quick, root, monkeypatch, capsys):
    with monkeypatch.context() as patched:
        replace = durable.replace

        def full(path, *arguments):
            if path.endswith("/etc/inetd.conf"):
                raise OSError(28, "No space left on device")
            return replace(path, *arguments)

        patched.setattr(durable, "replace", full)
        assert run(root, "--yes") == 75
        said = capsys.readouterr().err
        assert "It failed at: add five lines" in said and "No space left on device" in said and "--undo" in said
    assert (root / "etc/inetd.conf").read_text() == INETD_CONF
    assert run(root, "--yes") == 0
    assert pieces.BEGIN in (root / "etc/inetd.conf").read_text()


def test_what_cannot_be_undone_is_said_and_stays_in_the_record(quick, tmp_path, monkeypatch, capsys):
    root = scratch(tmp_path / "root")
    before = look(root)
    assert run(root, "--yes", "--service", "systemd") == 0
    with monkeypatch.context() as patched:
        def broken(self, *words):
            raise Trouble("systemctl is broken")
        patched.setattr(Machine, "run", broken)
        assert run(root, "--undo", "--yes") == 75
    assert "systemctl is broken\n" in capsys.readouterr().out
    assert not (root / "usr/local").exists()            # the rest is gone
    assert run(root, "--undo", "--yes") == 0
    assert look(root) == before


def test_the_manual_page_tells_every_option():
    told = set(re.findall(r"Fl -([a-z-]+)", (PROJECT / "docs/amsmail-install.8").read_text()))
    assert told == set(re.findall(r"--([a-z-]+)", install._options().format_help()))


def test_the_script_finds_a_python_and_passes_everything_on(root):
    done = subprocess.run([PROJECT / "scripts/install", "--root", root, "--dry-run", "--port", "smtp=2525"],
                          env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert f"amsmail {__version__} on {root}, served by inetd:" in done.stdout and "smtp on 2525" in done.stdout


NOBODYS = "usr/local/lib/amsmail/0.0.9-0123abcd.new"      # a library that was begun, and that no record names


@pytest.fixture
def littered(quick, root):
    """A root in which an earlier run was killed, and (what it was before, what that left)."""
    left = (f"{NOBODYS}/amsmail/__pycache__/a.pyc", "etc/.inetd.conf.0123abcd.new",
            "var/lib/amsmail/.installed.json.0123abcd.new")
    before = look(root)
    assert run(root, "--yes") == 0
    for path in left:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root, before


def test_undo_takes_away_what_a_run_that_was_killed_left(littered):
    root, before = littered
    assert run(root, "--undo", "--yes") == 0
    assert look(root) == before


def test_the_next_undo_does_too(littered, capsys):
    """As where what the first one left came into being only after it."""
    root, before = littered
    (root / "usr/local/lib/amsmail/of-a-person").touch()
    assert run(root, "--undo", "--yes") == 0
    assert "amsmail stays: it is not empty" in capsys.readouterr().out
    (root / "usr/local/lib/amsmail/of-a-person").unlink()
    (root / NOBODYS).mkdir()
    assert run(root, "--undo", "--yes") == 0
    assert look(root) == before


def test_so_does_the_next_installation_and_nothing_of_a_persons_goes(littered, monkeypatch):
    root, _ = littered
    kept = [root / "usr/local/lib/amsmail" / name for name in ("mine.new", "0.0.9-0123abcd.new.old", "0.0.9-0123.new")]
    for path in kept:
        path.mkdir()
    assert run(root) == 0 and (root / NOBODYS).exists()         # nothing to do
    monkeypatch.setattr(software, "files", lambda python: {"amsmail/__init__.py": b"# newer\n"})
    assert run(root, "--dry-run") == 0 and (root / NOBODYS).exists()
    assert run(root, "--yes") == 0
    assert not (root / NOBODYS).exists() and all(path.is_dir() for path in kept)


def test_nothing_goes_on_when_the_installer_is_killed_while_it_compiles(tmp_path, root):
    before = look(root)
    words, environment = installer(PROJECT, "--root", root, "--yes")
    with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          start_new_session=True) as process:
        while not list(root.glob("usr/local/lib/amsmail/*.new/*/**/*.pyc")):
            assert process.poll() is None
        own = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        process.kill()
    assert not own
    assert run(root, "--undo", "--yes") == 0
    assert look(root) == before


def test_a_library_is_compiled_beside_its_source_for_where_it_will_lie(quick, root, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    assert run(root, "--yes") == 0
    library, = (root / "usr/local/lib/amsmail").iterdir()
    compiled, = (library / "amsmail/a/__pycache__").iterdir()
    code = marshal.loads(compiled.read_bytes()[16:])
    assert code.co_filename == f"/usr/local/lib/amsmail/{library.name}/amsmail/a/b.py"
    assert compiled.name == f"b.{sys.implementation.cache_tag}.pyc" and not (tmp_path / "cache").exists()
    monkeypatch.setattr(software, "files", lambda python: {"amsmail/broken.py": b"x = = 1\n"})
    assert run(root, "--yes") == 75
    assert "amsmail/broken.py cannot be compiled: " in capsys.readouterr().err


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_whatever_the_umask_root_alone_writes_the_programs_and_all_read_them(quick, root, monkeypatch, umask):
    compiling, close = [], software._close

    def looking(machine, library):
        compiling.extend(path.stat().st_mode for path in (root / library.strip("/")).rglob("*"))
        close(machine, library)

    monkeypatch.setattr(software, "_close", looking)
    before = os.umask(umask)
    try:
        assert run(root, "--yes") == 0
    finally:
        os.umask(before)
    assert compiling and not [mode for mode in compiling if mode & 0o022]       # nor for a moment
    library, = (root / "usr/local/lib/amsmail").iterdir()
    assert list((library / "amsmail/a/__pycache__").iterdir())
    for path in (library, *library.rglob("*")):
        assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644), path


def test_a_library_that_others_could_write_to_is_mended_by_repeating_the_installation(
        quick, root, tmp_path, monkeypatch, capsys):
    assert run(root, "--yes") == 0
    whole = look(root)
    library, = (root / "usr/local/lib/amsmail").iterdir()
    cache = library / "amsmail/a/__pycache__"
    compiled, = cache.iterdir()
    right = compiled.read_bytes()
    compiled.write_bytes(b"of somebody else")
    cache.chmod(0o777)
    (tmp_path / "secret").touch(0o600)
    (cache / "c.pyc").symlink_to(tmp_path / "secret")
    (cache / "d.pyc").symlink_to(tmp_path / "nowhere")
    with monkeypatch.context() as patched:
        def broken(*arguments, **named):
            raise OSError(28, "No space left on device")
        patched.setattr(software.py_compile, "compile", broken)
        assert run(root, "--yes") == 75         # and the next one goes on
    assert run(root, "--yes") == 0
    assert (tmp_path / "secret").stat().st_mode & 0o7777 == 0o600 and [*cache.iterdir()] == [compiled]
    assert compiled.read_bytes() == right and cache.stat().st_mode & 0o7777 == 0o755
    assert look(root) == whole
    capsys.readouterr()
    assert run(root) == 0 and "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("damage", [
    lambda text: text.replace(pieces.END + "\n", ""),
    lambda text: text.replace(pieces.BEGIN + "\n", ""),
])
def test_lines_whose_marks_are_gone_are_left_to_a_person(quick, root, capsys, damage):
    conf = root / "etc/inetd.conf"
    assert run(root, "--yes") == 0
    whole = conf.read_text() + "new of others\n"
    conf.write_text(damage(whole))
    changed = conf.read_text()
    capsys.readouterr()
    assert run(root, "--yes") == 69
    assert "put the mark back, or take our lines out by hand" in capsys.readouterr().err
    assert run(root, "--undo", "--yes") == 75
    assert "put the mark back, or take our lines out by hand" in capsys.readouterr().out
    assert conf.read_text() == changed
    backup = root / "var/lib/amsmail/backup/etc_inetd.conf"
    assert backup.read_text() == INETD_CONF
    conf.write_text(whole)
    assert run(root, "--undo", "--yes") == 0
    assert conf.read_text() == INETD_CONF + "\nnew of others\n" and not backup.exists()


@pytest.mark.parametrize("behind", [" ", "\t", "\r"])
def test_a_mark_with_a_blank_behind_it_is_a_mark(quick, root, behind):
    conf = root / "etc/inetd.conf"
    assert run(root, "--yes") == 0
    text = conf.read_text() + "new of others\n"
    for mark in (pieces.BEGIN, pieces.END):
        text = text.replace(mark, mark + behind)
    conf.write_text(text, newline="")
    assert others(root) == []
    assert run(root, "--undo", "--yes") == 0
    assert conf.read_text() == INETD_CONF + "\nnew of others\n"


@pytest.fixture
def naming(tmp_path):
    """A mail.cfg to install with that names a spool."""
    def made(line):
        config = tmp_path / "mail.cfg"
        config.touch(0o600)
        config.write_bytes(GOOD.replace(b"[domains]", line.encode() + b"\n[domains]"))
        return config
    return made


@pytest.mark.parametrize("line", ["spool = /srv/mail  # a disk", "spool = \"/srv/mail\" # a disk", "spool='/srv/mail'"])
def test_the_spool_is_the_one_that_mail_cfg_names(quick, root, naming, line):
    assert run(root, "--yes", "--config", naming(line)) == 0
    assert [path.name for path in (root / "srv").iterdir()] == ["mail"]


def test_a_folder_with_files_of_others_does_not_become_the_spool(quick, root, naming, capsys):
    photos = root / "srv/photos"
    photos.mkdir(parents=True, mode=0o755)
    (photos / "1.jpeg").touch()
    before = look(root)
    config = naming("spool = /srv/photos")
    assert run(root, "--yes", "--config", config) == 69
    assert "/srv/photos is no spool, and 1.jpeg is in it" in capsys.readouterr().err
    assert look(root) == before
    (photos / "1.jpeg").rename(photos / "format")       # now it is one
    assert run(root, "--yes", "--config", config) == 0
    assert photos.stat().st_mode & 0o7777 == 0o750


def test_an_empty_disk_and_a_spool_that_was_filled_since_are_taken(quick, root, naming):
    (root / "srv/mail/lost+found").mkdir(parents=True)
    config = naming("spool = /srv/mail")
    assert run(root, "--yes", "--config", config) == 0
    (root / "srv/mail/queue").mkdir()
    assert run(root, "--yes") == 0


@pytest.mark.parametrize("name, target", [("etc/cron.d", ""), ("var", ""), ("etc/inetd.conf", "/inetd.conf")])
def test_a_root_that_leads_out_of_itself_is_refused(quick, root, tmp_path, capsys, name, target):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "inetd.conf").write_text("of this machine\n")
    assert run(root, "--yes") == 0
    (root / name).rename(root / "moved")
    (root / name).symlink_to(f"{outside}{target}")
    if name == "var":       # the record comes along
        (root / "moved/lib").rename(outside / "lib")
    before = look(outside)
    for arguments in ([], ["--undo"]):
        assert run(root, "--yes", *arguments) == 69
        assert "leads out of" in capsys.readouterr().err
    assert look(outside) == before


@pytest.mark.parametrize("name, path", [
    ("etc/services", ""), ("etc/passwd", ""), ("etc/xinetd.d", "pop"), ("etc/amsmail", "mail.cfg"),
    ("etc/rc2.d", "S01postfix")])
def test_nothing_is_read_through_a_link_that_leads_out_of_the_root(quick, root, tmp_path, capsys, name, path):
    outside = tmp_path / "outside"
    (outside / path).parent.mkdir(parents=True, exist_ok=True)
    (outside / path).write_text("of this machine\n")
    (root / name).symlink_to(outside)
    before = look(root)
    assert run(root, "--yes") == 69
    assert re.match(rf"/{name}\S* leads out of {root}, to {outside}", capsys.readouterr().err)
    assert look(root) == before


def test_a_link_that_is_only_looked_for_may_lead_out_of_the_root(quick, root, capsys):
    """Debian's alternatives are absolute."""
    (root / "usr/sbin/inetd").unlink()
    (root / "usr/sbin/inetd").symlink_to("/etc/alternatives/inetd")
    assert run(root, "--yes") == 0
    assert "served by inetd" in capsys.readouterr().out


def test_two_installers_at_the_same_time(quick, root, capsys):
    for arguments in ("--yes",), ("--undo", "--yes"):
        before = look(root)
        with Machine(root).alone():
            assert run(root, *arguments) == 75
            assert capsys.readouterr().err == (
                "Another amsmail-install is at work here: run this again when it has ended.\nNothing was done.\n")
            assert run(root, *arguments, "--dry-run") == 0          # which only looks
        assert look(root) == before
        assert run(root, *arguments) == 0
        capsys.readouterr()


def test_a_root_that_cannot_be_used_is_said(quick, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file/root", "--yes") == 69
    assert f"{tmp_path}/file/root cannot be used: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--yes"], ["--undo", "--yes"], ["--dry-run"]])
def test_a_root_that_is_no_folder_is_refused_at_once(quick, tmp_path, capsys, arguments):
    (tmp_path / "file").touch()
    assert run(tmp_path / "file", *arguments) == 69
    said = capsys.readouterr()
    assert said.err == f"{tmp_path}/file is no folder\nNothing was done.\n" and not said.out


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_root_that_is_not_there_becomes_a_folder_that_all_get_through(quick, tmp_path, umask):
    root = tmp_path / "root"
    assert run(root, "--undo", "--yes") == 0 and not root.exists()
    before = os.umask(umask)
    try:
        assert run(root, "--yes", "--service", "inetd") == 0
    finally:
        os.umask(before)
    assert root.stat().st_mode & 0o7777 == 0o755


def test_a_root_that_is_there_keeps_its_mode(quick, root):
    root.chmod(0o750)
    assert run(root, "--yes") == 0
    assert root.stat().st_mode & 0o7777 == 0o750


def test_who_may_not_read_the_record_is_sent_to_root(quick, root, capsys):
    assert run(root, "--yes") == 0
    (root / "var/lib/amsmail/installed.json").chmod(0)
    capsys.readouterr()
    own = os.geteuid()
    os.seteuid(own or 65534)        # root may read everything
    try:
        assert run(root, "--dry-run") == 77
    finally:
        os.seteuid(own)
    said = capsys.readouterr().err
    assert "installed.json can be read by root alone\nRun it as root, or with sudo: sudo " in said


# Another program that listens at an address and a port, until its standard input is closed.
LISTENS = """#!{python}
import socket, sys
host, port = sys.argv[1:]
with socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
    print(flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_two_programs_on_one_port_are_both_seen(tmp_path, host):
    port = free_port()
    (tmp_path / "other-server").touch(0o755)
    (tmp_path / "other-server").write_text(LISTENS.format(python=sys.executable))
    words = [tmp_path / "other-server", host, str(port)]
    with socket.create_server(("127.0.0.1", port)), subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        if not other.stdout.readline():
            raise Unavailable("IPv6", "this machine has no ::1")
        found = Machine().listeners({port})
        told = [rival.what for rival in rivals.find(Machine(), {**REGISTERED, "smtp": port}, set())
                if f"port {port} " in rival.what]
        other.stdin.close()
    assert {(each.host, each.process.pid) for each in found} == {("127.0.0.1", os.getpid()), (host, other.pid)}
    assert len(told) == 2 and f"other-server listens on port {port} (smtp)" in told


def test_an_amsd_that_does_not_end_is_named(monkeypatch):
    monkeypatch.setattr(starting, "_PATIENCE", 0)
    told = []
    machine = types.SimpleNamespace(
        real=True, program=lambda name: f"/sbin/{name}", run=lambda *words: told.append(words),
        running=lambda program: 77 if program == "/usr/local/sbin/amsd" else None)
    with pytest.raises(Trouble, match=r"told to end amsd \(process 77\), and it goes on"):
        starting.Reload.undo(machine, {"path": "amsd"}, False)
    assert told == [("/sbin/telinit", "q")]


@pytest.mark.parametrize("words, runs", [
    ("{program}", True), ("{python} -IS {program}", True), ("tail -f {program}", False)])
def test_a_program_that_runs_is_known_by_its_path(tmp_path, words, runs):
    program = tmp_path / "served"
    program.write_text(f"#!{sys.executable} -IS\nimport sys\nprint(flush=True)\nsys.stdin.read()\n")
    program.chmod(0o755)
    with subprocess.Popen(words.format(program=program, python=sys.executable).split(), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert Machine().running(str(program)) == (process.pid if runs else None)
        process.terminate()
    assert Machine().running(str(program)) is None
    assert Machine(tmp_path).running(str(program)) is None


def test_links_inside_a_root_are_followed(quick, tmp_path, root):
    (root / "data").mkdir()
    (root / "var").symlink_to("data")
    before = look(root)
    assert run(root, "--yes") == 0
    assert (root / "data/spool/amsmail").is_dir()
    assert run(root, "--undo", "--yes") == 0
    assert look(root) == before


def test_a_config_that_is_no_file_is_refused(quick, root, tmp_path, capsys):
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert run(root, "--yes", "--config", tmp_path / "fifo") == 69
    assert "fifo is no file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments, code, said", [
    (["--dry-run"], 0, ""),
    (["--yes"], 75, "Nobody read what this says: run it again, and it shows what is to do.\n"),
])
def test_who_reads_no_further_makes_no_traceback_and_nothing_is_done(tmp_path, root, arguments, code, said):
    words, environment = installer(PROJECT, "--root", root, *arguments)
    before = look(root)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL)
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, said)
    assert look(root) == before

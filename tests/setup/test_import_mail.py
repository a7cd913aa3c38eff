"""Mail of other programs comes into drop boxes: every message, once, as it was, and as POP3 then gives it."""

import contextlib
import mailbox
import os
import poplib
import sys
import threading
import time

import pexpect
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amsmail.program import mailcfg
from amsmail.program.serve import Server
from amsmail.setup.imports import mail_sources
from amsmail.setup.imports.mail import mail
from amsmail.setup.imports.mail_sources import NotRead
from amsmail.site import passwords
from amsmail.site.rules import name_problem
from amsmail.store import durable, seen
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool
from tests.real.packages import Unavailable, environment, tree
from tests.real.process import public_folder
from tests.store.disk import Crash, Disk

BOXES = ["ann", "bob"]
DATE = "Thu Jan  1 00:00:10 2015"
ARRIVED = 1420070410        # the same in seconds since the epoch


@pytest.fixture
def spool(tmp_path):
    spool = Spool(str(tmp_path / "spool"), "yacht.example")
    spool.tidy(BOXES)
    return spool


def contents(spool, box="ann"):
    drop_box = spool.box(box)
    return [drop_box.open(entry).read() for entry in drop_box.list()]


def names(spool, box="ann"):
    return [entry.path for entry in spool.box(box).list()]


def told(result, word):
    return [why for place, what, why in result.left_out if word in f"{place} {what}"]


@pytest.fixture
def mbox(tmp_path):
    def write(*lines, name="mbox", end="\n"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes("".join(line + end for line in lines).encode("latin-1"))
        return str(path)
    return write


def maildir(path, messages):
    """`messages` is {folder/name: octets}."""
    for folder in "cur", "new", "tmp":
        (path / folder).mkdir(parents=True)
    for name, octets in messages.items():
        (path / name).write_bytes(octets)
    return str(path)


# mbox files

def test_messages_of_an_mbox(spool, mbox):
    path = mbox(f"From a@b {DATE}", "Subject: 1", "", "one", "", "", f"From c@d {DATE} +0100", "Subject: 2", "", "two",
                "", "From here it is text", "", "From MAILER-DAEMON Thu Jan  1 00:00 2015", "Subject: 3", "", "")
    result = mail(spool, BOXES, path, "ann")
    assert contents(spool) == [b"Subject: 2\n\ntwo\n\nFrom here it is text\n", b"Subject: 3\n\n",
                               b"Subject: 1\n\none\n\n"]      # by arrival: the second came an hour earlier
    assert result.brought == {"ann": 3} and result.known == {}
    assert told(result, f"{path}:12 a line that begins with From")
    assert [os.path.basename(name).partition(".")[0] for name in names(spool)] == [
        str(ARRIVED - 3600), str(ARRIVED - 10), str(ARRIVED)]
    assert open(path, "rb").read().startswith(b"From a@b")


def test_greater_signs_before_from_are_taken_off_in_bodies(spool, mbox):
    path = mbox(f"From a {DATE}", "X: 1", ">From x", "", ">From y", ">>From z", "> From w", "x >From v")
    mail(spool, BOXES, path, "ann")
    assert contents(spool) == [b"X: 1\n>From x\n\nFrom y\n>From z\n> From w\nx >From v\n"]


def test_a_length_that_the_file_bears_out_counts(spool, mbox):
    body = ["", f"From me {DATE}", ">From y", ""]
    length = sum(len(line) + 1 for line in body)
    mail(spool, BOXES, mbox(f"From a {DATE}", f"Content-Length: {length}", "", *body, "", f"From b {DATE}", "X: 2",
                            f"Content-Length: {length}", "", *body, ), "ann")
    whole = ("\n".join(body) + "\n").encode()
    assert contents(spool) == [b"\n" + whole, b"X: 2\n\n" + whole[:-1]]


@pytest.mark.parametrize("length", ["3", "99999", "x", "9" * 30, "0"])
def test_a_length_that_is_wrong_counts_for_nothing(spool, mbox, length):
    mail(spool, BOXES, mbox(f"From a {DATE}", f"Content-Length: {length}", "", "one", ">From y", "", f"From b {DATE}",
                            "X: 2", "", "two"), "ann")
    assert contents(spool) == [b"\none\nFrom y\n", b"X: 2\n\ntwo\n"]


def test_a_message_without_an_empty_line_before_it(spool, mbox):
    """As mutt and Dovecot read it, in a body; in a header it is MH's."""
    path = mbox(f"From a {DATE}", "X: 1", "", "one", "From here it is text", f"From b {DATE}", "X: 2",
                f"From c {DATE}", "X: 3", "", "two", f">From d {DATE}")
    result = mail(spool, BOXES, path, "ann")
    assert contents(spool) == [b"X: 1\n\none\nFrom here it is text\n",
                               f"X: 2\nFrom c {DATE}\nX: 3\n\ntwo\nFrom d {DATE}\n".encode()]
    assert [(place, why) for place, _, why in result.left_out] == [
        (f"{path}:8", "it stands in the middle of a header, so it was taken for a part of the message around it")]


def test_crlf_and_lines_of_any_length(spool, mbox):
    line = "x" * (mail_sources._PIECE * 2 - 1)
    path = mbox(f"From a {DATE}", "Subject: 1", "", line, line + "y", "", f"From b {DATE}", "", "\rz", end="\r\n")
    mail(spool, BOXES, path, "ann")
    assert contents(spool) == [f"Subject: 1\n\n{line}\n{line}y\n".encode(), b"\n\rz\n"]


def test_flags(spool, mbox):
    mail(spool, BOXES, mbox(f"From a {DATE}", "Status: RO", "X: 1", "X-Status: AF", " D", "", "a", "",
                            f"From a {DATE}", "Status: O", "", "b", "", f"From a {DATE}", "X: 3", "",
                            "Status: R"), "ann")
    assert contents(spool) == [b"X: 1\n\na\n", b"\nb\n", b"X: 3\n\nStatus: R\n"]
    assert [os.path.relpath(name, spool.box("ann").path).partition("/")[0] for name in names(spool)] == [
        "cur", "cur", "new"]
    assert [name.rpartition(":2,")[2] for name in names(spool)[:2]] == ["FRS", ""]


@pytest.mark.parametrize("octets, why", [
    (b"Subject: x\n\n", "neither an mbox"), (b"\x1f\x8b\x08", "compressed"), (b"BZh9", "compressed")])
def test_what_is_no_mbox(spool, tmp_path, octets, why):
    (tmp_path / "x").write_bytes(octets)
    with pytest.raises(NotRead, match=why):
        mail(spool, BOXES, str(tmp_path / "x"), "ann")


def test_notes_of_mail_programs_and_nothing_are_no_mail(spool, mbox):
    path = mbox(f"From MAILER-DAEMON {DATE}", "X-IMAP: 1 2", "Subject: DON'T DELETE THIS MESSAGE", "", "x", "",
                f"From a {DATE}", f"From b {DATE}", "X-IMAPbase: 1 2", "", "y")
    result = mail(spool, BOXES, path, "ann")
    assert contents(spool) == [b"X-IMAPbase: 1 2\n\ny\n"]
    assert [place.rpartition(":")[2] for place, _, _ in result.left_out] == ["1", "7"]
    assert mail(spool, BOXES, mbox(), "ann").brought == {}


def test_another_program_at_the_mbox(spool, mbox):
    path = mbox(f"From a {DATE}", "", "x")
    child = pexpect.spawn(sys.executable, ["-c", f"import fcntl, time; f = open({path!r}, 'r+b'); fcntl.lockf(f, 2); "
                                                 "print('locked', flush=True); time.sleep(60)"])
    child.expect("locked")
    with pytest.raises(NotRead, match="another program"):
        mail(spool, BOXES, path, "ann")
    child.close(force=True)
    assert mail(spool, BOXES, path, "ann").brought == {"ann": 1}


# Maildirs, and folders of both

def test_a_maildir(spool, tmp_path):
    path = maildir(tmp_path / "M", {"cur/1400000002.a.host:2,SR": b"Subject: 2\r\n\r\ntwo\r\n", "new/1400000001.b.host":
                                    b"Subject: 1\n\n>From one", "cur/odd:2,Tabx": b"z\n", "new/.x": b"no",
                                    "tmp/1.y": b"no"})
    os.utime(os.path.join(path, "cur/odd:2,Tabx"), (1300000000, 1300000000))
    os.symlink("/etc/hostname", os.path.join(path, "new/1.link"))
    (tmp_path / "M/new/2.gz").write_bytes(b"\x1f\x8bxx")
    os.mkfifo(os.path.join(path, "new/3.pipe"))
    maildir(tmp_path / "M/.Sent", {"cur/1.a": b"x\n"})
    result = mail(spool, BOXES, path, "ann")
    assert contents(spool) == [b"z\n", b"Subject: 1\n\n>From one\n", b"Subject: 2\n\ntwo\n"]
    assert [name.partition(":2,")[2] for name in names(spool)] == ["T", "", "RS"]
    assert [os.path.basename(name).partition(".")[0] for name in names(spool)] == [
        "1300000000", "1400000001", "1400000002"]
    assert all(told(result, word) for word in ("1.link", "2.gz", "3.pipe", ".Sent"))
    assert sorted(os.listdir(os.path.join(path, "cur"))) == ["1400000002.a.host:2,SR", "odd:2,Tabx"]
    assert mail(spool, BOXES, path, "ann").known == {"ann": 3}


def test_a_maildir_whose_folder_is_a_link_is_not_read(spool, tmp_path):
    maildir(tmp_path / "theirs", {"new/1.a": b"x\n"})
    path = maildir(tmp_path / "M", {})
    os.rmdir(os.path.join(path, "new"))
    os.symlink(tmp_path / "theirs/new", os.path.join(path, "new"))
    with pytest.raises(NotRead, match="link"):
        mail(spool, BOXES, path, "ann")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_maildir_that_is_a_link_is_not_read(spool, tmp_path, end):
    maildir(tmp_path / "theirs", {"new/1.a": b"x\n"})
    (tmp_path / "mail").mkdir()
    os.symlink(tmp_path / "theirs", tmp_path / "mail/ann")
    with pytest.raises(NotRead, match="is a link, which is not followed"):
        mail(spool, BOXES, f"{tmp_path}/mail/ann{end}", "ann")
    result = mail(spool, BOXES, str(tmp_path / "mail"))
    assert not result.brought and told(result, "mail/ann")


def test_a_folder_of_mailboxes(spool, tmp_path, mbox):
    mbox(f"From a {DATE}", "", "x", name="mail/Ann")
    maildir(tmp_path / "mail/bob", {"new/1.a": b"y\n"})
    mbox(f"From a {DATE}", "", "x", name="mail/carol")
    mbox("no mail", name="mail/ann.lock")
    os.symlink("/etc/hostname", tmp_path / "mail/ann")
    seen_by = []
    result = mail(spool, BOXES, str(tmp_path / "mail"), progress=lambda *each: seen_by.append(each))
    assert (contents(spool), contents(spool, "bob")) == ([b"\nx\n"], [b"y\n"])
    assert result.brought == {"ann": 1, "bob": 1} and seen_by == [("ann", 1), ("bob", 1)]
    assert all(told(result, word) for word in ("carol", "ann.lock", "mail/ann "))
    for path in "mail/bob", "mail/Ann", "none":
        with pytest.raises(NotRead):
            mail(spool, BOXES, str(tmp_path / path))


def test_a_dry_run_tells_what_would_come_and_writes_nothing(spool, tmp_path, mbox):
    mbox(f"From a {DATE}", "", "x", "", f"From a {DATE}", "", "x", name="mail/Ann")
    mbox(f"From a {DATE}", "", "x", name="mail/ann")
    mbox(f"From a {DATE}", "X-IMAP: 1", "", "x", "", f"From a {DATE}", "", "y", name="mail/bob")
    mbox(f"From a {DATE}", "", "x", name="mail/carol")

    def tree():
        return sorted((place, tuple(folders), tuple(files)) for place, folders, files in os.walk(spool.path))
    with spool.lock("mailcheck"):       # it need not wait for that
        before = tree()
        found = mail(spool, BOXES, str(tmp_path / "mail"), is_dry=True)
        assert tree() == before
    assert found == mail(spool, BOXES, str(tmp_path / "mail"))
    assert (found.brought, found.known, len(found.left_out)) == ({"ann": 2, "bob": 1}, {"ann": 1}, 2)
    again = mail(spool, BOXES, str(tmp_path / "mail"), is_dry=True)
    assert (again.brought, again.known) == ({}, {"ann": 3, "bob": 1})
    with pytest.raises(NotRead):
        mail(spool, BOXES, str(tmp_path / "none"), "ann", is_dry=True)


def test_no_box_of_this_name(spool, mbox):
    result = mail(spool, BOXES, mbox(f"From a {DATE}", "", "x"), "carol")
    assert result.brought == {} and told(result, "mbox")


def test_not_while_mailcheck_runs(spool, mbox):
    with spool.lock("mailcheck"), pytest.raises(Busy):
        mail(spool, BOXES, mbox(f"From a {DATE}", "", "x"), "ann")


# Once

def test_twice_brings_nothing_twice(spool, mbox):
    lines = [f"From a {DATE}", "X: 1", "", "x", ""] * 3 + [f"From a {DATE}", "X: 2", "", "x", ""]
    assert mail(spool, BOXES, mbox(*lines), "ann").brought == {"ann": 4}      # also those that are the same thrice
    for entry in spool.box("ann").list()[:2]:
        spool.box("ann").remove(entry)
    result = mail(spool, BOXES, mbox(*lines), "ann")
    assert (result.brought, result.known, len(contents(spool))) == ({}, {"ann": 4}, 2)
    result = mail(spool, BOXES, mbox(f"From a {DATE}", "X: 3", "Status: RO", "", "", *lines[:3], "x"), "ann")
    assert (result.brought, result.known) == ({"ann": 1}, {"ann": 1})


def test_marking_a_message_as_read_does_not_make_it_another(spool, mbox):
    mail(spool, BOXES, mbox(f"From a {DATE}", "X: 1", "", "x"), "ann")
    assert mail(spool, BOXES, mbox(f"From a {DATE}", "X: 1", "Status: RO", "", "x"), "ann").brought == {}


def test_nothing_is_left_to_resume(spool, mbox):
    mail(spool, BOXES, mbox(*[f"From a {DATE}", "X: 1", "", "x", ""] * 3), "ann")
    assert seen.Seen(spool.state("seen", "import+ann")).tokens == []
    assert os.listdir(os.path.join(spool.box("ann").path, "tmp")) == []


LINES = [f"From a {DATE}", "X: 1", "", "x", "", f"From a {DATE}", "X: 1", "Status: RO", "", "x"]
ALL = [b"X: 1\n\nx\n"] * 2


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A function that gives a new spool, with all its directories.  What is flushed is Disk's to know: waiting for the
    real disk at each of some thousand operations would show nothing."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)

    def make(number):
        spool = Spool(str(tmp_path / f"spool{number}"), "yacht.example")
        spool.tidy(BOXES)
        spool.state("seen", "x")
        spool.lock("mailcheck").release()
        return spool
    return make


def operations(spool, path, monkeypatch):
    disk = Disk(spool.path)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        mail(spool, BOXES, path, "ann")
    return disk.count


def test_each_failing_operation(fresh, mbox, monkeypatch):
    """What was counted is there; another import brings the rest, and nothing twice."""
    path = mbox(*LINES)
    for n in range(1, operations(fresh(0), path, monkeypatch) + 1):
        spool, counted = fresh(n), []
        disk = Disk(spool.path, fail_at=n)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            try:
                mail(spool, BOXES, path, "ann", lambda box, messages: counted.append(messages))
            except OSError:
                pass        # the disk has failed, as it was told to
        assert len(contents(spool)) >= (counted or [0])[-1], disk.operations
        mail(spool, BOXES, path, "ann")
        assert sorted(contents(spool)) == ALL, disk.operations


@pytest.mark.parametrize("cut", [False, True], ids=["killed", "power cut"])
def test_a_crash_at_each_operation(fresh, mbox, cut, monkeypatch):
    path, partly = mbox(*LINES), set()
    for n in range(1, operations(fresh(0), path, monkeypatch) + 1):
        spool, counted = fresh(n), []
        disk = Disk(spool.path, crash_at=n)
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk.os)
            try:
                mail(spool, BOXES, path, "ann", lambda box, messages: counted.append(messages))
            except Crash:
                pass        # so it was told
        disk.power_cut() if cut else disk.end()
        seen.resume_all(spool)
        there = contents(spool)
        assert len(there) >= (counted or [0])[-1], disk.operations
        taken = spool.box("ann").list() if not cut else []      # by its reader; for the other case see store/delivery
        for entry in taken:
            spool.box("ann").remove(entry)
        mail(spool, BOXES, path, "ann")
        assert (there if taken else []) + contents(spool) == ALL, disk.operations
        partly.add(len(there))
    assert partly == {0, 1, 2}


# What other programs wrote, and what POP3 gives

@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A function that gives what POP3 gives of a spool's box ann: octets with CRLF."""
    folder = tmp_path_factory.mktemp("site")
    config = folder / "mail.cfg"
    config.write_text(f"schema = 1\n[site]\nhostname = yacht.example\nspool = {folder / 'spool'}\npostmaster = ann\n"
                      f"[domains]\n[[yacht.example]]\n[boxes]\n[[ann]]\npassword = {passwords.hashed('secret')}\n")
    config.chmod(0o600)
    server = Server(str(config))
    address = server.listen("pop3", "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def fetch():
        pop = poplib.POP3(*address)
        pop.user("ann")
        pop.pass_("secret")
        found = [b"".join(line + b"\r\n" for line in pop.retr(number + 1)[1]) for number in range(pop.stat()[0])]
        for number in range(len(found)):
            pop.dele(number + 1)
        pop.quit()
        return found
    yield Spool(str(folder / "spool"), "yacht.example"), fetch
    server.stop()
    thread.join()
    server.close()


BODIES = st.lists(st.sampled_from(["", "text", "From here", f"From a {DATE}", ">From there", "> From", ".", "\u00e9",
                                   "Status: R"]), max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(BODIES, min_size=1, max_size=4), serial=st.uuids())
def test_what_python_wrote_comes_out_of_pop3(site, tmp_path, bodies, serial):
    """But for >From, which mailbox.mbox writes as From is written."""
    spool, fetch = site
    path = tmp_path / str(serial)
    written = [f"Subject: {serial} {number}\n\n" + "".join(line + "\n" for line in body)
               for number, body in enumerate(bodies)]
    with contextlib.closing(mailbox.mbox(path)) as box:
        for text in written:
            box.add(f"From a@b.example {DATE}\n{text}".encode())
    mail(spool, ["ann"], str(path), "ann")
    assert fetch() == [text.replace("\n>From ", "\nFrom ").replace("\n", "\r\n").encode() for text in written]


def test_what_mutt_wrote(spool, tmp_path):
    """mutt tells messages apart by Content-Length, and leaves From in bodies as it is."""
    root = tree("mutt")
    texts = [b"From: a@b.example\nDate: Thu, 01 Jan 2015 00:00:10 +0000\nSubject: %d\n\nhello\n\n" % number
             + f"From bob {DATE}\n\n>From y\n\n".encode() for number in range(3)]
    source = maildir(tmp_path / "M", {f"cur/{number + 1}.a.b:2,S": text for number, text in enumerate(texts)})
    rc = tmp_path / "muttrc"
    rc.write_text("set mbox_type=mbox confirmappend=no confirmcreate=no copy=no sort=subject\n"
                  f"set dotlock_program={root}/usr/bin/mutt_dotlock folder={tmp_path}\n"
                  f'macro index X "<tag-pattern>~A<enter><tag-prefix><copy-message>{tmp_path}/mbox<enter><exit>"\n')
    mutt = pexpect.spawn(str(root / "usr/bin/mutt"), ["-n", "-F", str(rc), "-R", "-f", source], timeout=20,
                         env={**environment(root), "TERM": "vt100", "HOME": str(tmp_path)})
    mutt.expect("Msgs:3")
    mutt.send("X")
    mutt.expect(pexpect.EOF)
    mutt.close()
    assert mail(spool, BOXES, str(tmp_path / "mbox"), "ann").brought == {"ann": 3}
    assert contents(spool) == texts


def test_memory_does_not_grow_with_the_mbox(spool, tmp_path):
    import tracemalloc
    path = tmp_path / "large"
    with open(path, "wb") as f:
        for number in range(2):
            f.write(f"From a {DATE}\nSubject: {number}\n\n".encode() + (b"x" * 150 + b"\n") * 40_000 + b"\n")
    tracemalloc.start()
    assert mail(spool, BOXES, str(path), "ann").brought == {"ann": 2}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < path.stat().st_size / 12


def test_who_owns_what_was_brought(mbox):
    """Root reads what is only root's, and what it brings belongs to the spool's owner."""
    if os.geteuid():
        raise Unavailable("root", "only root writes for another")
    path = mbox(f"From a {DATE}", "", "x")
    os.chmod(path, 0o600)
    with public_folder() as folder:
        spool = Spool(str(folder / "spool"), "yacht.example")
        for place, _, files in os.walk(spool.path):
            for name in (place, *(os.path.join(place, file) for file in files)):
                os.chown(name, 12345, 12345)
        assert mail(spool, BOXES, path, "ann").brought == {"ann": 1}
        assert {os.stat(os.path.join(place, name)).st_uid for place, folders, files in os.walk(spool.path)
                for name in (*folders, *files)} == {12345}
    assert os.geteuid() == 0


class TestTheFirstMailOfASite:
    """The spool is an empty folder, as the installation leaves it: what `mailcfg import mail` makes there."""

    @pytest.fixture
    def fresh_site(self, mbox):
        with public_folder() as folder:
            (folder / "spool").mkdir()
            if not os.geteuid():
                os.chown(folder / "spool", 12345, 12345)
            path = folder / "mail.cfg"
            path.write_text(f"schema = 1\n[site]\nhostname = mail.yacht.example\nspool = {folder}/spool\n"
                            "postmaster = ann\n[domains]\n[[yacht.example]]\n[boxes]\n[[ann]]\n")
            path.chmod(0o640)
            yield path, mbox(f"From a {DATE}", "", "x", "", f"From a {DATE}", "", "x")

    def test_of_a_dry_run_is_nothing(self, fresh_site, capsys):
        path, source = fresh_site
        assert mailcfg.main(["import", "mail", source, "--box", "ann", "--dry-run", "--config", str(path)]) == 0
        assert capsys.readouterr().out == "ann: 2 messages would come\n"
        assert os.listdir(path.parent / "spool") == []

    def test_by_root_is_its_owner_s(self, fresh_site, capsys):
        if os.geteuid():
            raise Unavailable("root", "only root writes for another")
        path, source = fresh_site
        assert mailcfg.main(["import", "mail", source, "--box", "ann", "--config", str(path)]) == 0
        made = {name: os.stat(os.path.join(place, name)).st_uid for place, folders, files in os.walk(
            path.parent / "spool") for name in (*folders, *files)}
        assert "format" in made and set(made.values()) == {12345}
        assert capsys.readouterr().out == "ann: 2 messages\n" and os.geteuid() == 0


def test_a_time_that_cannot_be_is_now(spool, mbox):
    before = int(time.time())
    mail(spool, BOXES, mbox("From a Thu Jan  1 00:00:10 9999", "", "x"), "ann")
    assert int(os.path.basename(names(spool)[0]).partition(".")[0]) >= before


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([f"From a {DATE}\n", "\n", "X: y\n", "Status: RO\n", ">From x\n", "From x\n", "\r\n",
                                 "\r", "Content-Length: 9\n", " z\n", "text"]), max_size=12))
def test_no_mbox_breaks_it(tmp_path, pieces):
    path = tmp_path / "any"
    path.write_bytes(f"From a {DATE}\n{''.join(pieces)}".encode())
    for letter in mail_sources.letters(str(path), lambda *_: None):
        assert all(letter.pieces())


def test_the_journal_has_a_name_that_no_account_can_have():
    assert name_problem("accounts", "import+ann")

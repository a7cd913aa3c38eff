"""What becomes of a box's mail where something is in the way: an old mistake in mail.cfg, a mailcheck that runs, what a
crash left, what was imported, and a new box with the name of an old one."""

import os
import smtplib
import threading
import time

import pytest

from amsmail.program import boxes
from amsmail.setup import boxmail
from amsmail.store import durable
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import Draft, new_uid
from amsmail.store.locks import Busy
from amsmail.store.seen import Seen
from amsmail.store.spool import Spool
from tests.setup.test_mailcfg import MESSAGE, Site, served

__all__ = ["served"]       # a fixture


@pytest.fixture
def site(tmp_path, capsys, monkeypatch):
    return Site(tmp_path, capsys, monkeypatch)


def until(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def journal(site, box):
    """What was imported into a box."""
    return set(Seen(site.spool.state("seen", f"import+{box}")))


def note(site, box, *keys):
    for key in keys:
        Seen(site.spool.state("seen", f"import+{box}")).add(key, 1)


class TestAnOldMistake:
    @pytest.fixture
    def mistaken(self, site):
        site.path.write_text(site.path.read_text().replace("[calls]", "[calls]\nno_such_key = 1"))
        return site

    @pytest.mark.parametrize("words, there", [
        (["rename", "cook", "chef"], "chef"), (["delete", "cook", "--mail", "give", "--to", "captain"], "captain")])
    def test_hinders_no_mail(self, mistaken, words, there):
        name = mistaken.deliver("cook")
        assert f"1 message moved into box {there}" in mistaken.run("box", *words)
        assert (mistaken.mail(there), mistaken.mail("cook")) == ([name], [])

    def test_hinders_no_adopting(self, mistaken):
        name = mistaken.deliver("stoker")
        mistaken.run("box", "adopt", "stoker", "--to", "cook")
        assert mistaken.mail("cook") == [name]

    def test_in_the_name_of_the_spool_is_said(self, site, capsys):
        site.path.write_text(site.path.read_text().replace("spool = ", "spool = not/absolute"))
        assert boxes.settle(site.path, "stoker", "give", "cook") == 75
        said = capsys.readouterr().err
        assert "[site] spool: found" in said and "mailcfg box adopt stoker --to BOX" in said


class TestWhatIsUnderWay:
    @pytest.mark.parametrize("words", [["rename", "cook", "chef"], ["delete", "cook", "--mail", "remove"]])
    def test_mailcheck_runs(self, site, words):
        name = site.deliver("cook")
        with site.spool.lock("mailcheck"):
            said = site.run("box", *words, code=75)
        assert "mailcheck or an import runs right now" in said and "mailcfg box adopt cook --to BOX" in said
        assert site.mail("cook") == [name]

    def test_mail_stays_all_the_same(self, site):
        site.deliver("cook")
        with site.spool.lock("mailcheck"):
            assert "1 message in the spool" in site.run("box", "delete", "cook")

    def test_what_a_crash_of_a_call_left_moves_along(self, site):
        draft = Draft(site.spool.box("cook").path, new_uid("h"))
        draft.write(MESSAGE)
        draft.seal()
        Seen(site.spool.state("seen", "galley")).add("7/1", 1, os.path.relpath(draft.final, site.spool.path))
        assert "1 message moved" in site.run("box", "rename", "cook", "chef")
        assert site.mail("chef") == [f"new/{draft.name}"]

    def test_both_locks_are_given_back(self, site):
        site.run("box", "rename", "cook", "chef")
        for name in "mailcheck", "box-cook":
            try:
                site.spool.lock(name).release()
            except Busy:
                pytest.fail(f"{name} is locked still")


class TestAnSmtpSessionThatBeganBefore:
    """It knows the site as it was, and the mail of a renamed box lies elsewhere by now."""

    @pytest.fixture
    def session(self, site, served):
        with smtplib.SMTP(*served["smtp"]) as smtp:
            smtp.ehlo()
            smtp.mail("agent@shore.example")
            smtp.rcpt("cook@yacht.example")
            yield smtp

    def test_delivers_into_the_renamed_box(self, site, session):
        site.run("box", "rename", "cook", "chef")
        assert session.data(MESSAGE.decode())[0] == 250
        assert (len(site.mail("chef")), site.mail("cook")) == (1, [])

    @pytest.mark.parametrize("others", [[], ["captain@yacht.example"]], ids=["one box", "several"])
    def test_is_told_to_try_again_where_the_box_was_renamed_while_the_message_came(self, site, session, others):
        for other in others:
            session.rcpt(other)
        assert session.docmd("DATA")[0] == 354
        site.run("box", "rename", "cook", "chef")
        session.send(b"Subject: x\r\n\r\nHello.\r\n.\r\n")
        assert session.getreply() == (451, b"4.3.0 Where this leads was changed just now, try again")
        assert [site.mail(box) for box in ("chef", "cook", "captain")] == [[], [], []]
        assert not [name for name in os.listdir(site.spool.state("commits", "")) if "box" in name]
        session.sendmail("agent@shore.example", ["cook@yacht.example", *others], MESSAGE.decode())
        assert (len(site.mail("chef")), site.mail("cook"), len(site.mail("captain"))) == (1, [], len(others))

    def test_is_told_so_where_the_box_was_renamed_while_another_message_kept_it_waiting(self, site, session):
        session.rcpt("captain@yacht.example")
        assert session.docmd("DATA")[0] == 354
        with site.spool.lock("commits"):
            session.send(b"Subject: x\r\n\r\nHello.\r\n.\r\n")
            until(lambda: any(name.endswith(".draft") and os.stat(site.spool.state("commits", name)).st_size
                              for name in os.listdir(site.spool.state("commits", ""))))
            renaming = threading.Thread(target=site.run, args=("box", "rename", "cook", "chef"))
            renaming.start()
            until(lambda: "chef" in site.path.read_text())
        assert session.getreply()[0] == 451
        renaming.join()
        assert [site.mail(box) for box in ("chef", "cook", "captain")] == [[], [], []]

    def test_has_delivered_into_the_renamed_box_where_it_was_first(self, site, session):
        """Its message counts already, and lies in the way: renaming waits for it, and takes it along."""
        commit = Delivery(site.spool, new_uid("yacht"), ["cook", "captain"], b"")
        commit.write(MESSAGE)
        commit.seal()
        durable.publish(site.spool.state("commits", f"{commit.uid}.draft"),
                        site.spool.state("commits", f"{commit.uid}.commit"))
        lock = site.spool.lock("commits")
        renaming = threading.Thread(target=site.run, args=("box", "rename", "cook", "chef"))
        renaming.start()
        until(lambda: "chef" in site.path.read_text())
        lock.release()
        renaming.join()
        assert (len(site.mail("chef")), site.mail("cook"), len(site.mail("captain"))) == (1, [], 1)

    def test_is_told_so_where_the_box_is_gone(self, site, session):
        site.run("box", "delete", "cook")
        with pytest.raises(smtplib.SMTPDataError, match="451.*try again"):
            session.data(MESSAGE.decode())
        assert session.docmd("RSET")[0] == 250
        session.mail("agent@shore.example")
        assert session.rcpt("cook@yacht.example")[0] == 550
        assert site.mail("cook") == []

    def test_takes_mail_where_what_changed_does_not_matter(self, site, session):
        assert session.docmd("DATA")[0] == 354
        site.run("box", "rename", "captain", "master")
        session.send(b"Subject: x\r\n\r\nHello.\r\n.\r\n")
        assert session.getreply()[0] == 250 and len(site.mail("cook")) == 1

    def test_goes_on_where_mail_cfg_was_spoilt(self, site, session):
        site.path.write_text(site.path.read_text() + "no such line\n")
        assert session.data(MESSAGE.decode())[0] == 250 and len(site.mail("cook")) == 1


class TestWhatWasImported:
    def test_is_known_of_the_renamed_box(self, site):
        note(site, "cook", "a.1", "b.1")
        site.run("box", "rename", "cook", "chef")
        assert (journal(site, "chef"), journal(site, "cook")) == ({"a.1", "b.1"}, set())

    def test_is_known_of_the_box_that_adopts(self, site):
        note(site, "stoker", "a.1")
        site.run("box", "adopt", "stoker", "--to", "cook")
        assert journal(site, "cook") == {"a.1"}

    def test_of_one_box_hides_nothing_from_another(self, site):
        note(site, "cook", "a.1")
        note(site, "captain", "b.1")
        site.run("box", "delete", "cook", "--mail", "give", "--to", "captain")
        assert (journal(site, "captain"), journal(site, "cook")) == ({"b.1"}, set())

    def test_is_forgotten_with_the_mail_and_kept_with_it(self, site):
        note(site, "cook", "a.1")
        site.run("box", "delete", "cook")
        assert journal(site, "cook") == {"a.1"}
        site.run("box", "add", "cook")
        site.run("box", "delete", "cook", "--mail", "remove")
        assert journal(site, "cook") == set()


class TestABoxThatIsOneAllTheSame:
    """Its deletion was taken back before mail.cfg was written, or somebody else made it anew."""

    @pytest.mark.parametrize("what", ["keep", "remove"])
    def test_has_its_mail_and_what_was_imported(self, site, capsys, what):
        name = site.deliver("cook")
        note(site, "cook", "a.1")
        assert boxes.settle(site.path, "cook", what) == 0
        assert (site.mail("cook"), journal(site, "cook"), capsys.readouterr().out) == ([name], {"a.1"}, "")

    def test_gives_what_was_given(self, site):
        """As where the cook is called chef now, and there is a new cook."""
        name = site.deliver("cook")
        boxes.settle(site.path, "cook", "give", "captain")
        assert (site.mail("cook"), site.mail("captain")) == ([], [name])


class TestANewBoxWithAnOldName:
    def test_has_its_mail_and_that_is_said(self, site):
        site.deliver("stoker")
        said = site.run("box", "add", "stoker")
        assert "boxes/stoker holds 1 message of an earlier box of that name: in the new box now" in said
        assert "holds" not in site.run("box", "add", "mate")

    def test_not_if_nothing_is_written(self, site):
        site.deliver("stoker")
        assert "holds" not in site.run("box", "add", "stoker", "--dry-run")

    def test_nor_of_a_box_that_came_to_nothing(self, site, capsys):
        site.deliver("stoker")
        boxes.tell_of_earlier(site.path, "stoker")
        assert not capsys.readouterr().out

    def test_a_box_that_is_renamed_to_it(self, site):
        site.deliver("chef")
        assert "boxes/chef holds 1 message of an earlier box" in site.run("box", "rename", "cook", "chef")


def test_strays_are_folders_that_a_box_could_have(site, tmp_path):
    site.deliver("stoker")
    site.deliver("No Name")
    (tmp_path / "spool/boxes/file").write_text("x")
    Spool(str(tmp_path / "spool"), "h").box("mate").make()
    assert boxmail.strays(site.site) == {"stoker": 1}


class TestTheWholeInternet:
    @pytest.mark.parametrize("words, what", [
        (["network", "add", "0.0.0.0/0"], "0.0.0.0/0: that is the whole Internet: anybody may send through"),
        (["site", "set", "--relay-from", "10.0.0.0/8, ::/0"], "::/0: that is the whole Internet"),
        (["network", "add", "128.0.0.0/1"], "a large part of the Internet: anybody may send through this server"),
        (["certificate", "set", "--cleartext-login-from", "0.0.0.0/0"], "passwords may be read on the way")])
    def test_is_warned_of(self, site, words, what):
        site.run(*words, warned=what)

    @pytest.mark.parametrize("words", [
        ["network", "add", "192.168.7.0/24"], ["network", "add", "198.51.100.0/24"],
        ["certificate", "set", "--cleartext-login-from", "fd00:1::/32"], ["site", "set", "--postmaster", "cook"]])
    def test_what_may_be_ones_own_is_not(self, site, words):
        site.run(*words)

"""mailcfg's dialogue, by a person at a real terminal: first set-up, each entry of the menu, wrong answers, leaving."""

import io
import os
import re
import signal
import sys
from pathlib import Path

import pexpect
import pytest

from amsmail.program import dialogues, mailcfg_dialogue
from amsmail.program.nouns import STDIN
from amsmail.setup.ask import newsite, onboard
from amsmail.setup.ask.dialogue import Back, Dialogue, Left
from amsmail.setup.ask.forms import FORMS, Form, Question
from amsmail.site import accounts, config, config_file, draft as drafts, passwords, routing, spec
from amsmail.site.draft import Draft
from amsmail.store.locks import Lock
from amsmail.store.spool import Spool
from amsmail.wire.address import parse_address
from amsmail.wire.sasl import Credentials
from tests.mailcheck.sites import SECRET
from tests.site.changes import edit

CHECKOUT = Path(__file__).resolve().parents[2]
TEXT = f"""\
# The yacht's mail.
schema = 1

[site]
hostname = mail.yacht.example
spool = SPOOL
postmaster = captain

[domains]
  [[yacht.example]]

[boxes]
  [[captain]]
  password = {SECRET}
  # The cook.
  [[cook]]
"""

# A whole first set-up: (what is asked, the answer).
SETUP = [
    ("The domain", "yacht.example"),
    ("Do other people", ""),
    ("This machine's own name", ""),
    ("The box's name", ""),
    ("Addresses whose mail goes into it", "captain, skipper"),
    ("A password for captain", "type"),
    ("Its password", "correct horse"),
    ("Once more", "correct horse"),
    ("One more box?", "y"),
    ("The box's name", "cook"),
    ("Addresses whose mail goes into it", ""),
    ("A password for cook", "none"),
    ("One more box?", ""),
    ("Will mail programs on other machines", "y"),
    ("The network that they are in", "192.168.7.0/24"),
    ("Make a certificate", "y"),
    ("Write this?", ""),
]


class Person:
    """Somebody at a terminal of 80 columns, who runs `mailcfg PATH`; standard output goes `into` a file, if one is
    named."""

    def __init__(self, path, *words, into=""):
        command = [sys.executable, str(CHECKOUT / "bin/mailcfg"), str(path), *words]
        first, *others = ["sh", "-c", 'exec "$@" > "$0"', str(into), *command] if into else command
        environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"}
        self.screen = io.StringIO()
        self._child = pexpect.spawn(first, others, timeout=30, encoding="utf-8", codec_errors="replace",
                                    dimensions=(24, 80), env=environment)
        self._child.logfile_read = self.screen
        self._child.delaybeforesend = None

    def see(self, text):
        """Waits for a text, wherever its lines end."""
        self._child.expect(r"\s+".join(map(re.escape, text.split())))

    def ask(self, text):
        """Waits until something is asked."""
        self.see(text)
        self._child.expect(r"(: |> |\? )$")

    def answer(self, *pairs):
        """Answers questions, (what is asked, the answer)."""
        for text, answer in pairs:
            self.ask(text)
            self._child.sendline(answer)
        return self

    def press(self, key):
        {"Ctrl-C": self._child.sendintr, "Ctrl-D": self._child.sendeof}[key]()

    def end(self):
        """The exit code, when the program has ended."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        return self._child.exitstatus

    @property
    def lines(self):
        return self.screen.getvalue().replace("\r\n", "\n").split("\n")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mail.cfg"
    path.write_text(TEXT.replace("SPOOL", str(tmp_path / "spool")))
    path.chmod(0o640)
    return path


def menu(path, *pairs, code=0):
    """Answers after the menu's first question; what was on the screen."""
    person = Person(path).answer(*pairs)
    assert person.end() == code
    return person.screen.getvalue().replace("\r\n", "\n")


WRITE = ("What now", ""), ("Write this?", "")


class TestFirstSetUp:
    @pytest.fixture(scope="class")
    @classmethod
    def done(cls, tmp_path_factory):
        """The Person who set a site up, and its path."""
        path = tmp_path_factory.mktemp("first") / "mail.cfg"
        person = Person(path).answer(*SETUP)
        assert person.end() == 0
        return person, path

    def test_the_site_is_what_was_said(self, done):
        site = config.load(done[1])
        assert (site.hostname, site.postmaster) == ("mail.yacht.example", "captain")
        assert list(site.domains) == ["yacht.example"] and list(site.boxes) == ["captain", "cook"]
        assert accounts.login(site, Credentials("skipper@yacht.example", "correct horse", "")) == ("box", "captain")
        assert len(site.relay_from) == 3 and os.path.exists(site.certificate) and os.path.exists(site.key)

    def test_it_is_readable_on_a_console_of_80_columns(self, done):
        assert max(len(line) for line in done[0].lines) < 80
        assert not re.search(r"[^\n -~]", "\n".join(done[0].lines))

    def test_each_question_begins_a_line(self, done):
        for text, _ in SETUP:
            assert [line for line in done[0].lines if line.strip().startswith(text)], text

    def test_no_password_is_on_the_screen(self, done):
        assert "correct horse" not in done[0].screen.getvalue() and "pbkdf2" not in done[0].screen.getvalue()

    def test_what_comes_next_is_said(self, done):
        assert "Next: mailtransportcfg" in done[0].screen.getvalue()


def test_a_new_site_is_told_of_what_an_earlier_one_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(newsite, "DEFAULT_SPOOL", str(tmp_path / "spool"))
    spool = Spool(str(tmp_path / "spool"), "h")
    for box in "captain", "stoker":
        spool.box(box).make()
        (tmp_path / f"spool/boxes/{box}/new/1.M1R1.h").write_text("Subject: x\n\nHello.\n")
    answers = [answer for _, answer in SETUP]
    monkeypatch.setattr(dialogues, "Dialogue", lambda: talking(*answers)[0])
    assert mailcfg_dialogue.run(tmp_path / "mail.cfg") == 0
    said = capsys.readouterr().out
    assert "boxes/captain holds 1 message of an earlier box of that name" in said
    assert "stoker is no box and has 1 message: `mailcfg box add stoker` makes it one" in said


@pytest.mark.parametrize("key", ["Ctrl-C", "Ctrl-D"])
def test_leaving_at_any_question_of_a_first_set_up_leaves_nothing(tmp_path, key):
    people = []
    for count in range(len(SETUP)):
        folder = tmp_path / str(count)
        folder.mkdir()
        people.append((Person(folder / "mail.cfg"), folder, count))
    for person, folder, count in people:
        person.answer(*SETUP[:count]).ask(SETUP[count][0])
        person.press(key)
        assert person.end() == 64
        assert person.screen.getvalue().endswith("\r\nNothing was written.\r\n"), count
        assert os.listdir(folder) == []


CHANGES = [
    ("What now", "1"), ("The box's name", "mate"), ("Addresses", "mate, bosun"), ("A password for mate", "1"),
    ("What now", "3"), ("Which box", "cook"), ("The box's name", "chef"),
    ("What now", "4"), ("Which box", "captain"), ("What becomes", "give"), ("Which box gets it", "mate"),
    ("What now", "5"), ("The domain", "fleet.example"), ("Do other people", "y"),
    ("Own addresses of chef", ""), ("Own addresses of mate", "bosun@fleet.example"),
    ("What now", "8"), ("The network", "10.0.0.0/8"), ("Make a certificate", ""),
    ("What now", "10"), ("Octets", "5000"), ("Recipients", ""), ("Refused commands", ""), ("Seconds", ""), ("Seconds",
                                                                                                            ""),
    ("What now", "done"), ("Write this?", ""),
]


def test_leaving_at_any_question_leaves_the_file_as_it_was(path):
    before = path.read_bytes()
    people = [(Person(path), count) for count in range(len(CHANGES))]
    for person, count in people:
        person.answer(*CHANGES[:count]).ask(CHANGES[count][0])
        person.press("Ctrl-C")
        assert person.end() == 64, count
        assert path.read_bytes() == before and os.listdir(path.parent) == ["mail.cfg"]


def test_the_end_of_input_at_any_question_leaves_the_file_as_it_was(path):
    before = path.read_bytes()
    for count in range(len(CHANGES)):
        talk, out = talking(*(answer for _, answer in CHANGES[:count]))
        assert dialogues.menu_dialogue("title", mailcfg_dialogue._ENTRIES, Draft(path), talk) == 64
        assert out.getvalue().endswith("\nNothing was written.\n") and CHANGES[count][0] in out.getvalue()
        assert path.read_bytes() == before and os.listdir(path.parent) == ["mail.cfg"]


class TestMenu:
    def test_all_at_once(self, path):
        said = menu(path, *CHANGES)
        site = config.load(path)
        assert list(site.boxes) == ["chef", "mate"] and site.postmaster == "mate"
        assert site.addresses["cook@yacht.example"] == "chef" and site.addresses["bosun@fleet.example"] == "mate"
        assert (site.domains["fleet.example"], site.limits["message_size"]) == ("relay", 5000)
        assert site.certificate == str(path.with_name("cert.pem"))
        password = re.search(r"The password of mate is: (\S+)", said)[1]
        assert accounts.login(site, Credentials("mate", password, ""))
        assert f"Written; the file as it was is {path}.previous." in " ".join(said.split())

    def test_nothing(self, path):
        before = path.read_bytes()
        menu(path, ("What now", ""))
        assert path.read_bytes() == before and os.listdir(path.parent) == ["mail.cfg"]

    def test_change_a_box(self, path):
        menu(path, ("What now", "change"), ("Which box", "1"), ("Addresses", "master"), ("Change its password?", "y"),
             ("A password for captain", "type"), ("Its password", "new"), ("Once more", "other"), ("Its password",
                                                                                                   "new"),
             ("Once more", "new"), *WRITE)
        site = config.load(path)
        assert accounts.login(site, Credentials("master@yacht.example", "new", "")) == ("box", "captain")
        menu(path, ("What now", "2"), ("Which box", "1"), ("Addresses", "-"), ("Change its password?", "y"),
             ("A password for captain", "none"), *WRITE)
        assert config.load(path).boxes["captain"] == {"password": "", "addresses": []}

    def test_mail_moves_after_the_writing(self, path, tmp_path):
        spool = Spool(str(tmp_path / "spool"), "h")
        spool.tidy(["captain", "cook"])
        (tmp_path / "spool/boxes/cook/new/1.M1R1.h").write_text("Subject: x\n\nHello.\n")
        said = menu(path, ("What now", "rename"), ("Which box", "cook"), ("The box's name", "chef"), *WRITE)
        assert "1 message moved into box chef." in said
        said = menu(path, ("What now", "delete a b"), ("Which box", "chef"), ("What becomes", "remove"), *WRITE)
        assert "1 message removed." in said

    def test_an_old_mistake_hinders_none_of_what_follows(self, path, tmp_path):
        path.write_text(path.read_text() + "[calls]\nno_such_key = 1\n")
        spool = Spool(str(tmp_path / "spool"), "h")
        for box in "captain", "cook", "mate":
            spool.box(box).make()
            (tmp_path / f"spool/boxes/{box}/new/1.M1R1.h").write_text("Subject: x\n\nHello.\n")
        said = menu(path, ("What now", "rename"), ("Which box", "cook"), ("The box's name", "chef"),
                    ("What now", "rename"), ("Which box", "captain"), ("The box's name", "master"),
                    ("What now", "add a b"), ("The box's name", "mate"), ("Addresses", ""),
                    ("A password for mate", "none"), *WRITE)
        for words in ("moved into box chef.", "moved into box master.", "boxes/mate holds 1 message of an earlier box"):
            assert words in said

    @pytest.mark.parametrize("becomes", ["remove", "keep"])
    def test_a_box_that_is_deleted_and_added_keeps_its_mail(self, path, tmp_path, becomes):
        name = self.letter(tmp_path, "cook")
        said = menu(path, ("What now", "delete a b"), ("Which box", "cook"), ("What becomes", becomes),
                    ("What now", "add a b"), ("The box's name", "cook"), ("Addresses", ""),
                    ("A password for cook", "none"), *WRITE)
        assert os.listdir(tmp_path / "spool/boxes/cook/new") == [name]
        assert "boxes/cook holds 1 message of an earlier box" in said
        assert "removed" not in said.partition("Written")[2] and "adopt" not in said.partition("Written")[2]

    def test_a_box_with_the_name_of_a_renamed_one_has_none_of_its_mail(self, path, tmp_path):
        name = self.letter(tmp_path, "cook")
        said = menu(path, ("What now", "rename"), ("Which box", "cook"), ("The box's name", "chef"),
                    ("What now", "add a b"), ("The box's name", "cook"), ("Addresses", "mess"),
                    ("A password for cook", "none"), *WRITE)
        assert os.listdir(tmp_path / "spool/boxes/chef/new") == [name]
        assert "moved into box chef." in said and "boxes/cook" not in said

    @pytest.mark.parametrize("first, second, left", [
        ("remove", "keep", True), ("keep", "remove", False), ("remove", "remove", False)])
    def test_the_last_word_about_a_box_counts(self, path, tmp_path, first, second, left):
        name = self.letter(tmp_path, "cook")
        menu(path, ("What now", "delete a b"), ("Which box", "cook"), ("What becomes", first),
             ("What now", "add a b"), ("The box's name", "cook"), ("Addresses", ""), ("A password for cook", "none"),
             ("What now", "delete a b"), ("Which box", "cook"), ("What becomes", second), *WRITE)
        assert os.listdir(tmp_path / "spool/boxes/cook/new") == [name] * left

    def test_a_later_word_about_a_name_is_none_about_the_mail_of_a_renamed_box(self, path, tmp_path):
        name = self.letter(tmp_path, "cook")
        menu(path, ("What now", "rename"), ("Which box", "cook"), ("The box's name", "chef"),
             ("What now", "add a b"), ("The box's name", "cook"), ("Addresses", "mess"),
             ("A password for cook", "none"),
             ("What now", "delete a b"), ("Which box", "cook"), ("What becomes", "remove"), *WRITE)
        assert os.listdir(tmp_path / "spool/boxes/chef/new") == [name]

    @staticmethod
    def letter(folder, box):
        """The name of a message in a drop box."""
        Spool(str(folder / "spool"), "h").tidy(["captain", "cook"])
        (folder / f"spool/boxes/{box}/new/1.M1R1.h").write_text("Subject: x\n\nHello.\n")
        return "1.M1R1.h"

    def test_what_was_forgotten_moves_no_mail(self, path, tmp_path):
        spool = Spool(str(tmp_path / "spool"), "h")
        spool.tidy(["captain", "cook"])
        (tmp_path / "spool/boxes/cook/new/1.M1R1.h").write_text("Subject: x\n\nHello.\n")
        before = path.read_bytes()
        menu(path, ("What now", "4"), ("Which box", "cook"), ("What becomes", "remove"), ("What now", ""),
             ("Write this?", "n"), ("Forget all", "y"), ("What now", ""))
        assert path.read_bytes() == before and len(spool.box("cook").list()) == 1

    def test_domains_and_certificate(self, path):
        menu(path, ("What now", "5"), ("The domain", "fleet.example"), ("Do other people", "y"),
             ("Own addresses of captain", ""), ("Own addresses of cook", ""), ("What now", "6"),
             ("Which domain", "yacht.example"), ("What now", "9"), ("Make a new certificate?", ""),
             ("Networks that may log in", "10.0.0.0/8"), *WRITE)
        site = config.load(path)
        assert site.domains == {"fleet.example": "relay"} and len(site.cleartext_login_from) == 1
        menu(path, ("What now", "9"), ("Make a new certificate?", ""), ("The file with the certificate", "-"),
             ("Networks that may log in", ""), *WRITE)
        assert (config.load(path).certificate, config.load(path).key) == ("", "")

    def test_site_and_waiting_mail(self, path):
        menu(path, ("What now", "7"), ("This machine's own name", "h.yacht.example"), ("The box that gets", "cook"),
             ("Networks that may send", "10.0.0.0/8"), ("The folder for all mail", ""), ("What now", "11"),
             ("After how long a sender", "12 hours"), ("After how long it is given up", ""), ("A login by which",
                                                                                              "shore"),
             ("Its password", "secret"), ("Once more", "secret"), *WRITE)
        site = config.load(path)
        assert (site.hostname, site.postmaster, site.queue["warn_after"]) == ("h.yacht.example", "cook", 43200)
        assert accounts.login(site, Credentials("shore", "secret", "")) == ("queue", "shore")
        menu(path, ("What now", "11"), ("After how long a sender", ""), ("After how long it is given up", ""),
             ("A login by which", "-"), *WRITE)
        assert config.load(path).queue["password"] == ""       # of no use without a login

    def test_machines_on_board_without_tls(self, path):
        edit(path, {("site", "relay_from"): "127.0.0.0/8, 10.0.0.0/8"})
        menu(path, ("What now", "8"), ("The network that they are in", "192.168.7.0/24"), ("Make a certificate", "n"),
             ("may log in without encryption", "192.168.7.0/24"), *WRITE)
        text = path.read_text()
        assert "relay_from = 127.0.0.0/8, 10.0.0.0/8, 192.168.7.0/24" in text
        assert "cleartext_login_from = 127.0.0.0/8, ::1, 192.168.7.0/24" in text

    def test_what_cannot_be_written_is_said(self, path):
        before = path.read_bytes()
        said = menu(path, ("What now", "6"), ("Which domain", "1"), ("What now", ""), ("Forget all", "y"), ("What now",
                                                                                                            ""))
        assert "This cannot be written yet:" in said and "expected at least one domain" in said
        assert path.read_bytes() == before


class TestAnswers:
    def test_wrong_ones(self, path):
        said = menu(
            path, ("What now", "13"), ("What now", "nonsense"), ("What now", "a"), ("What now", "1"),
            ("The box's name", ""), ("The box's name", "Mate"), ("The box's name", "cook"), ("The box's name", "mate"),
            ("Addresses", "a@@b"), ("A password for mate", "9"), ("A password for mate", "none"), ("What now", "10"),
            ("Octets", "many"), ("Octets", "-"), ("Recipients", ""), ("Refused", ""), ("Seconds", ""), ("Seconds", ""),
            ("What now", ""), ("Forget all", ""), ("What now", "2"), ("Which box", "mate"), ("Addresses", "-"),
            ("Change its password?", "perhaps"), ("Change its password?", "n"), *WRITE)
        for text in ("Not '13': expected a number of 1 to 12.",
                     "Not 'nonsense': expected a number of 1 to 12, or one of "
                     "these words.", "Expected 1 to 64 of a-z", "Not 'Mate': expected 1 to 64",
                     "Not 'cook': expected a name "
                     "that is not taken, as these are: captain, cook.",
                     "Not 'many': expected a whole number, 1 or more.",
                     "Not 'perhaps': expected yes or no.", "found 'a@@b'; expected addresses"):
            assert text in " ".join(said.split()), text
        assert "mate" in config.load(path).boxes

    def test_an_explanation(self, path):
        said = menu(path, ("What now", "?"), ("What now", "1"), ("The box's name", "?"), ("The box's name", "<"),
                    ("What now", "done"))
        assert "Done shows the change" in said and "  Small letters, digits, dot, hyphen: such as captain." in said

    def test_going_back(self, path):
        """From the password to the addresses, to the name, to the menu: and there is no box."""
        before = path.read_bytes()
        menu(path, ("What now", "1"), ("The box's name", "mate"), ("Addresses", ""), ("A password for mate", "<"),
             ("Addresses", "<"), ("The box's name [mate]", "<"), ("What now", ""))
        assert path.read_bytes() == before

    def test_going_back_from_the_first_question(self, tmp_path):
        person = Person(tmp_path / "mail.cfg").answer(
            ("The domain", "<"), ("From the beginning", "yacht.example"), ("Do other people", ""), ("own name", "<"),
            ("Do other people", "<"), ("The domain", "ship.example"), ("Do other people", ""),
            ("own name [mail.ship.example]", ""), ("The box's name", ""), ("Addresses", ""), ("A password", "none"),
            ("One more box?", "y"), ("The box's name", "<"), ("One more box?", "<"), ("The box's name", "master"),
            ("Addresses", ""), ("A password", "none"), ("One more box?", ""), ("other machines", "n"), ("Write this?",
                                                                                                        "<"),
            ("What now", ""), ("Write this?", "y"))
        assert person.end() == 0
        site = config.load(tmp_path / "mail.cfg")
        assert (list(site.domains), list(site.boxes), site.postmaster) == (["ship.example"], ["master"], "master")

    def test_not_writing_a_new_file(self, tmp_path):
        person = Person(tmp_path / "mail.cfg").answer(*SETUP[:-1], ("Write this?", "n"), ("Forget all", "y"))
        assert person.end() == 64 and os.listdir(tmp_path) == []


class TestDomainsOfOthers:
    """Strangers have addresses in a provider's domain: only what a box is said to have is local."""

    def leads(self, path, address):
        found = routing.route(config.load(path), parse_address(address), may_relay=True)
        return found.name if isinstance(found, routing.ToBox) else type(found).__name__

    def test_a_new_site_without_a_domain_of_its_own(self, tmp_path):
        path = tmp_path / "mail.cfg"
        person = Person(path).answer(
            ("The domain", "gmail.com"), ("Do other people", "?"), ("[Y/n]", ""), ("own name", ""),
            ("The box's name", ""), ("Its own addresses", ""), ("Its own addresses", "captain"),
            ("Its own addresses", "ourboat@gmail.com"), ("A password", "none"), ("One more box?", "y"),
            ("The box's name", "cook"), ("Its own addresses", "?"), ("such as cook@", "<"), ("The box's name", ""),
            ("Its own addresses", "cook@boat.home.arpa"), ("A password", "none"), ("One more box?", ""),
            ("other machines", "n"), ("Write this?", ""))
        assert person.end() == 0
        site = config.load(path)
        assert site.domains == {"gmail.com": "relay"} and site.hostname.endswith((".home.arpa", ".gmail.com"))
        edit(path, {("relay", "host"): "smtp.gmail.com"})
        assert [self.leads(path, address) for address in (
            "ourboat@gmail.com", "captain@gmail.com", "cook@gmail.com", "cook@boat.home.arpa")] == [
            "captain", "ToQueue", "ToQueue", "cook"]

    def test_a_domain_of_a_provider_beside_ones_own(self, path):
        edit(path, {("relay", "host"): "smtp.gmail.com"})
        menu(path, ("What now", "5"), ("The domain", "gmail.com"), ("Do other people", ""),
             ("Own addresses of captain", "boat"), ("Own addresses of captain", "boat@gmail.com"),
             ("Own addresses of cook", "<"), ("Own addresses of captain", "boat@gmail.com"),
             ("Own addresses of cook", ""), ("What now", "1"), ("The box's name", "mate"),
             ("mate@yacht.example", ""), ("A password", "none"), *WRITE)
        assert [self.leads(path, address) for address in (
            "boat@gmail.com", "captain@gmail.com", "captain@yacht.example", "cook@gmail.com", "mate@gmail.com",
            "mate@yacht.example", "cook@yacht.example")] == [
            "captain", "ToQueue", "captain", "ToQueue", "ToQueue", "mate", "cook"]

    def test_a_box_that_is_renamed_in_one(self, path):
        """As by command: what was unsafe before is not said again."""
        edit(path, {("domains", "gmail.com", "unknown"): "relay", ("relay", "host"): "smtp.gmail.com",
                    ("boxes", "captain", "addresses"): "boat@gmail.com"})
        said = menu(path, ("What now", "3"), ("Which box", "cook"), ("The box's name", "chef"),
                    ("What now", "3"), ("Which box", "captain"), ("The box's name", "master"), *WRITE)
        said = " ".join(said.split())
        assert said.count("warning: ") == 1
        assert "warning: box chef gets what is for cook@gmail.com, chef@gmail.com, which may be somebody" in said

    def test_a_box_may_keep_what_it_has(self, path):
        edit(path, {("domains", "yacht.example", "unknown"): "relay"})
        menu(path, ("What now", "2"), ("Which box", "cook"), ("Its own addresses", ""), ("Change its password?", ""),
             ("What now", ""))
        assert config.load(path).boxes["cook"]["addresses"] == []


class TestTwoPeople:
    def test_different_things(self, path):
        person = Person(path).answer(("What now", "5"), ("The domain", "fleet.example"), ("Do other people", ""))
        edit(path, {("boxes", "cook", "addresses"): "chef"})
        assert person.answer(*WRITE).end() == 0
        assert "fleet.example" in config.load(path).domains and "chef@yacht.example" in config.load(path).addresses

    def test_the_same(self, path):
        """It is said, the change to the file as it is now is shown, and the person decides."""
        change = ("What now", "2"), ("Which box", "2"), ("Addresses", "mess"), ("Change its password?", "")
        person, other = Person(path).answer(*change), Person(path).answer(*change)
        edit(path, {("boxes", "cook", "addresses"): "chef"})
        person.answer(*WRITE).see("was changed by somebody else meanwhile")
        person.see("-  addresses = chef")
        person.see("+  addresses = mess")
        person.answer(("Write this?", "n"), ("Forget all", "y"), ("What now", ""))
        assert person.end() == 0 and "addresses = chef" in path.read_text()
        other.answer(*WRITE, ("Write this?", "y"))
        assert other.end() == 0 and "addresses = mess" in path.read_text()

    def test_a_box_that_the_other_deletes(self, path):
        """What was said of it would make a box anew: that is said, and the person decides."""
        person = Person(path).answer(("What now", "rename"), ("Which box", "cook"), ("The box's name", "chef"))
        other = Draft(path)
        other.drop(("boxes", "cook"))
        other.save()
        person.answer(*WRITE).see("box cook was deleted by somebody else: this makes a new one, chef, of nothing but "
                                  "what you said")
        person.answer(("Write this?", "n"), ("Forget all", "y"), ("What now", ""))
        assert person.end() == 0 and list(config.load(path).boxes) == ["captain"]

    def test_while_the_other_writes(self, path, monkeypatch):
        monkeypatch.setattr(drafts, "_PATIENCE", 0.1)
        person = Person(path).answer(("What now", "5"), ("The domain", "fleet.example"), ("Do other people", ""))
        with Lock(str(path) + ".lock"):
            person.answer(*WRITE).see("somebody else is writing it right now")
        assert person.answer(*WRITE).end() == 0

    def test_gone_meanwhile(self, path):
        person = Person(path).answer(("What now", "5"), ("The domain", "fleet.example"), ("Do other people", ""))
        path.unlink()
        person.answer(*WRITE).see("was removed meanwhile")
        person.ask("What now")
        person.press("Ctrl-D")
        assert person.end() == 64 and not path.exists()


def test_a_folder_that_is_not_there_is_told_before_anything_is_asked(tmp_path):
    person = Person(tmp_path / "none" / "mail.cfg")
    assert person.end() == 78 and "there is no folder" in person.screen.getvalue()


def test_another_character_set_is_no_end(path):
    person = Person(path)
    person.ask("What now")
    os.write(person._child.child_fd, b"caf\xe9\n")
    person.see("That was no UTF-8 text")
    person.answer(("What now", ""))
    assert person.end() == 0


class TestAPasswordThatIsTyped:
    """`mailcfg password`, which asks on the terminal."""

    @pytest.fixture
    def person(self, path):
        return Person("password")

    def type(self, person, *lines):
        for prompt, line in lines:
            person.see(prompt)
            person._child.sendline(line)

    def test_is_asked_for_until_it_is_one_and_twice_the_same(self, person):
        self.type(person, ("Password (not shown):", ""),
                  ("Expected 1 to 1000 printable characters. Password (not shown):", "x" * 1001),
                  ("Expected 1 to 1000 printable characters. Password (not shown):", "good"), ("Once more:", "bad"),
                  ("The two differ. Password (not shown):", "good"), ("Once more:", "good"))
        assert person.end() == 0
        assert passwords.verify("good", person.lines[-2]) and "good" not in person.screen.getvalue()

    @pytest.mark.parametrize("key", ["Ctrl-C", "Ctrl-D"])
    def test_that_does_not_come(self, person, key):
        self.type(person, ("Password (not shown):", "good"))
        person.see("Once more:")
        person.press(key)
        assert person.end() == 64
        assert "no password came; nothing was changed" in person.screen.getvalue()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_shows_again_what_is_typed_when_the_program_is_ended(self, number):
        """To the shell that it was started from."""
        script = """sh -c 'echo "process $$."; exec "$@"' sh "$@"; echo code $?; stty"""
        shell = pexpect.spawn("sh", ["-c", script, "sh", sys.executable, str(CHECKOUT / "bin/mailcfg"), "password"],
                              timeout=30, encoding="utf-8")
        shell.expect(r"process (\d+)\.")
        process = int(shell.match[1])
        shell.expect("Password .not shown.: ")
        assert not shell.getecho()
        os.kill(process, number)
        shell.expect(pexpect.EOF)
        assert f"code {128 + number}" in shell.before and "-echo " not in shell.before.replace("\r\n", " ")
        shell.close()

    def test_alone_is_on_standard_output(self, path):
        """So that a script can keep its hash; what is asked and what is wrong is for the person."""
        hashed = path.with_name("hash")
        person = Person("password", into=hashed)
        self.type(person, ("Password (not shown):", ""), ("Expected 1 to", "good"), ("Once more:", "good"))
        assert person.end() == 0 and passwords.verify("good", hashed.read_text().strip())


# The dialogue by itself

def talking(*answers):
    """A Dialogue that is given these answers, and what it printed."""
    out = io.StringIO()
    return Dialogue(io.StringIO("".join(answer + "\n" for answer in answers)), out), out


def test_long_texts_are_wrapped_and_an_answer_has_room():
    talk, out = talking("x")
    talk.say("  " + "word " * 40, "", "a\nb")
    assert talk.text("A question that is longer than sixty columns, so that it has a line", "now") == "x"
    lines = out.getvalue().split("\n")
    assert max(map(len, lines)) <= 78 and all(line.startswith("  word") for line in lines[:3])
    assert lines[3:] == ["", "a", "b", "A question that is longer than sixty columns, so that it has a line:",
                         "[now]: "]


def test_steps_go_back_one_by_one(path):
    draft, asked = Draft(path), []
    answers = iter(["on", "back", "on", "on", "on"])

    def step(name):
        def ask():
            asked.append(name)
            if next(answers) == "back":
                raise Back
            draft.add(("boxes", f"{name}{len(asked)}"))
        return ask
    Dialogue(io.StringIO(), io.StringIO()).steps(draft, step("a"), step("b"), step("c"))
    assert asked == ["a", "b", "a", "b", "c"] and draft.names("boxes")[2:] == ["a3", "b4", "c5"]


def test_what_was_to_be_done_goes_with_what_was_said(path):
    """Going back forgets what the step would have done after the writing, and nothing else."""
    talk, draft, done = talking()[0], Draft(path), []
    answers = iter(["on", "on", "back", "on", "on"])

    def step(name):
        def ask():
            talk.after(lambda: done.append(name))
            if next(answers) == "back":
                raise Back
        return ask
    talk.after(lambda: done.append("before"))
    talk.steps(draft, step("a"), step("b"), step("c"))
    talk.do_the_rest()
    assert done == ["before", "a", "b", "c"]
    mark = talk.mark(draft)
    talk.after(lambda: done.append("d"))
    talk.undo(draft, mark)
    talk.do_the_rest()
    assert "d" not in done
    talk.undo_all(draft)
    done.clear()
    assert talk.do_the_rest() == 0 and not done


def test_a_new_site_from_the_beginning_does_nothing_twice(tmp_path):
    """What is to be done after the writing is that of the last time."""
    talk, _ = talking("<", "", "", "")
    told = []

    def ask(talk, draft):
        talk.after(lambda: told.append("told"))
        talk.text("The domain", "yacht.example")
        draft.set(("site", "hostname"), "mail.yacht.example")
        draft.set(("site", "postmaster"), "captain")
        draft.add(("domains", "yacht.example"))
        draft.add(("boxes", "captain"))
    assert dialogues.first_dialogue("", ask, Draft(tmp_path / "mail.cfg", ["schema = 1"]), "", talk) == 0
    assert told == ["told"]


def test_a_first_thought_gives_way_to_a_later_one_that_was_not_taken_back(path):
    talk, draft, done = talking()[0], Draft(path), []
    talk.after(lambda: done.append("moved"), about="cook")
    talk.after(lambda: done.append("removed"), about="cook", stands=False)
    mark = talk.mark(draft)
    talk.after(lambda: done.append("kept"), about="cook", stands=False)
    talk.after(lambda: done.append("other"), about="captain", stands=False)
    talk.do_the_rest()
    assert done == ["moved", "kept", "other"]
    done.clear()
    talk.undo(draft, mark)
    talk.do_the_rest()
    assert done == ["moved", "removed"]


def test_the_worst_of_what_was_to_be_done_is_the_exit_code(path):
    talk, _ = talking()
    for code in None, 75, 0:
        talk.after(lambda code=code: code)
    assert talk.do_the_rest() == 75


def test_what_an_answer_leaves_no_use_for_goes(path):
    edit(path, {("links", "gsm", "type"): "ppp", ("links", "gsm", "entry"): "x"})
    draft, (talk, _) = Draft(path), talking("always")
    talk.fill(FORMS["link"], draft, "gsm", only=("type",))
    assert draft.value(("links", "gsm", "entry"), None) is None and draft.value(("links", "gsm", "type")) == "always"


@pytest.mark.parametrize("answer, kept", [("", "echo secret"), ("pass show gsm", "pass show gsm"), ("-", "")])
def test_a_command_that_may_hold_a_password_is_not_shown(path, answer, kept):
    edit(path, {("links", "gsm", "type"): "modemmanager", ("links", "gsm", "entry"): "0",
                ("links", "gsm", "password_command"): "echo secret"})
    draft, (talk, out) = Draft(path), talking(answer)
    talk.fill(FORMS["link"], draft, "gsm", only=("password_command",))
    assert draft.value(("links", "gsm", "password_command")) == kept
    assert "[(not shown)]" in out.getvalue() and "secret" not in out.getvalue()


def test_a_secret_is_kept_taken_away_or_explained():
    assert talking("")[0].secret("Password") == ""
    assert talking("-")[0].secret("Password") is None
    talk, out = talking("?", "a", "b", "x", "x")
    assert talk.secret("Password", "Yours.") == "x" and "Yours." in out.getvalue() and "differ" in out.getvalue()
    with pytest.raises(Left):
        talking()[0].secret("Password")
    with pytest.raises(Back):
        talking("<")[0].secret("Password")


def test_a_secret_in_another_character_set_is_asked_again():
    answers = iter([UnicodeDecodeError("utf-8", b"caf\xe9", 3, 4, "x"), "good", "good"])

    def typed(_prompt):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer
    out = io.StringIO()
    assert Dialogue(io.StringIO(), out, typed).secret("Password") == "good"
    assert "That was no UTF-8 text" in out.getvalue()


CHOICES = [("add a box", ""), ("add a domain", ""), ("rename a box", "")]


def test_what_an_unfinished_word_was_taken_for_is_said():
    talk, out = talking("ren", "rename a box", "3", "")
    assert [talk.choose("What", CHOICES, "add a box") for _ in range(4)] == ["rename a box"] * 3 + ["add a box"]
    assert out.getvalue().count("\n  rename a box\n") == 0 and "]:   rename a box\n" in out.getvalue()
    assert out.getvalue().count("  rename a box\n") == 1


def test_a_word_that_may_be_several_is_asked_again():
    talk, out = talking("add a", "add a d")
    assert talk.choose("What", CHOICES) == "add a domain"
    assert "Not 'add a': expected more of one of these: add a box, add a domain." in out.getvalue()


def test_an_answer_that_counts_as_it_is_is_not_made_longer():
    """newest 5 is no beginning of newest 50."""
    def wrong(answer):
        return config_file.expected(("accounts", "x", "backlog"), answer)
    choices = FORMS["account"].question("backlog").choices
    talk, out = talking("newest 5", "newest", "new 7", "al")
    assert talk.choose("What", choices, takes_others=wrong) == "newest 5"
    assert talk.choose("What", choices, takes_others=wrong) == "newest 50" and "  newest 50\n" in out.getvalue()
    assert talk.choose("What", choices, takes_others=wrong) == "all"
    assert "Not 'new 7': expected all, none, or newest N." in out.getvalue()


@pytest.mark.parametrize("sure, networks", [("n", "10.0.0.0/8"), ("y", "10.0.0.0/8, 0.0.0.0/0")])
def test_the_whole_internet_is_asked_about_twice(path, sure, networks):
    edit(path, {("site", "relay_from"): "10.0.0.0/8", ("tls", "cleartext_login_from"): "::1"})
    draft, (talk, out) = Draft(path), talking("0.0.0.0/0", sure, "n", "2000::/3", "n")
    mailcfg_dialogue._ENTRIES["machines on board"](talk, draft)
    said = " ".join(out.getvalue().split())
    assert "that is the whole Internet: anybody may send through this server. Really?" in said
    assert "2000::/3: that is a large part of the Internet: passwords may be read" in said
    assert draft.value(("site", "relay_from")) == networks
    assert draft.value(("tls", "cleartext_login_from")) == "::1"


def test_a_list_of_networks_that_was_empty_stays_so(path):
    """Nobody may send without a login: that is not the default."""
    edit(path, {("site", "relay_from"): ""})
    draft, (talk, _) = Draft(path), talking("0.0.0.0/0", "n", "n", "")
    mailcfg_dialogue._ENTRIES["machines on board"](talk, draft)
    assert draft.value(("site", "relay_from"), None) == "" and not draft.is_changed


def test_rare_questions_are_asked_where_they_were_answered():
    form = Form("x", "x", "", (Question("a", "A"), Question("b", "B", default="1")), rare=frozenset({"b"}))
    assert [each.key for each in form.asked({"a": "", "b": "1"}, rare=False)] == ["a"]
    assert [each.key for each in form.asked({"a": "", "b": "2"}, rare=False)] == ["a", "b"]
    assert [each.key for each in form.asked({})] == ["a", "b"]


def test_the_networks_that_this_machine_is_in(tmp_path):
    routes = tmp_path / "route"
    routes.write_text("Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
                      "eth0 00000000 0107A8C0 0003 0 0 0 00000000 0 0 0\n"       # the default route
                      "eth0 0007A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"       # 192.168.7.0/24
                      "ppp0 01020304 00000000 0001 0 0 0 FFFFFFFF 0 0 0\n"
                      "eth1 00080808 00000000 0001 0 0 0 00FFFFFF 0 0 0\n")
    assert onboard.networks(str(routes)) == ["192.168.7.0/24"]
    assert onboard.networks(str(tmp_path / "none")) == []


# The table of questions

def test_each_key_of_mail_cfg_has_a_question_and_each_question_a_key():
    sections = spec.read()
    assert {form.section for form in FORMS.values()} == set(sections.sections)
    for form in FORMS.values():
        keys = sections[form.section]["__many__"] if form.has_names else sections[form.section]
        assert {question.key for question in form.questions} == set(keys.scalars), form.noun
        for question in form.questions:
            default = re.search(r'default="([^"]*)"', keys[question.key])
            assert question.default == (default[1] if default else ""), question.key
            for value, _ in question.choices:
                assert config_file.expected(form.keys("x", question.key), value) == "", value
            assert len(question.text) < 78 and len(question.hint) < 160


def test_each_option_is_an_option_of_one_of_the_scripts():
    from amsmail.program import mailcfg_commands, mailcheckcfg_commands, mailtransportcfg_commands
    nouns = {}
    for module in mailcfg_commands, mailcheckcfg_commands, mailtransportcfg_commands:
        nouns.update(module.NOUNS)
    for form in FORMS.values():
        taken = set().union(*(verb.takes(form) for verb in nouns[form.noun].all_verbs.values()))
        assert {question.option for question in form.questions if not question.is_secret} <= taken
        assert any(question.is_secret for question in form.questions) == (STDIN in taken)

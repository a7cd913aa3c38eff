"""mailcfg on a command line: what each word does, what is said of a wrong one, and that nothing wrong is written."""

import io
import json
import os
import poplib
import smtplib
import ssl
import subprocess
import sys
import threading

import pytest

from amsmail.program import boxes, mailcfg, mailcfg_commands
from amsmail.program.serve import Server
from amsmail.setup import boxmail, openssl
from amsmail.setup.ask.passphrase import passphrase
from amsmail.site import accounts, config, passwords
from amsmail.store import durable
from amsmail.store.held import HeldMail, HeldMessage
from amsmail.store.seen import Seen
from amsmail.store.spool import Spool
from amsmail.wire.sasl import Credentials
from tests.mailcheck.sites import SECRET, crash
from tests.real.packages import Unavailable
from tests.real.process import mail_account, public_folder
from tests.store.disk import Disk

TEXT = """\
# The yacht's mail.
schema = 1

[site]
hostname = mail.yacht.example       # what we call ourselves
spool = {spool}
postmaster = captain

[domains]
  [[yacht.example]]

[boxes]
  [[captain]]
  password = {hash}
  # The cook.
  [[cook]]
  password = {hash}

[relay]
host = smtp.provider.example

[accounts]
  [[galley]]
  type = pop3
  host = pop.provider.example
  user = galley
  password = x
  box = captain

[calls]
urgent_from = cook, port@fleet.example
"""
MESSAGE = b"Subject: x\n\nHello.\n"


class Site:
    """A site below `folder`, and mailcfg for it."""

    def __init__(self, folder, capsys, monkeypatch):
        self.path, self._capsys, self._monkeypatch = folder / "mail.cfg", capsys, monkeypatch
        self.path.write_text(TEXT.format(spool=folder / "spool", hash=SECRET))
        self.path.chmod(0o640)
        self.spool = Spool(str(folder / "spool"), "mail.yacht.example")
        self.spool.tidy(["captain", "cook"])

    def run(self, *words, stdin="", code=0, warned=""):
        """What a command prints: on standard output where it succeeds, else on standard error.  `warned`: what it warns
        of besides."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        try:
            found = mailcfg.main([str(word) for word in words], str(self.path))
        except SystemExit as error:
            found = error.code
        said = self._capsys.readouterr()
        assert found == code and (code or (warned in said.err if warned else not said.err)), said
        return said.err if code else said.out

    def refused(self, *words, stdin="", code=78):
        """What is said of a command that is refused, and that it changed nothing."""
        before = self.path.read_bytes()
        said = self.run(*words, stdin=stdin, code=code)
        assert self.path.read_bytes() == before and said
        return said

    @property
    def site(self):
        return config.load(self.path)

    def login(self, user, password):
        return accounts.login(self.site, Credentials(user, password, ""))

    def deliver(self, box, flags=None, name="1795241362.M1R0.h,S=19,W=22"):
        """A message in a drop box, in cur/ with flags or in new/; its name there."""
        where = ("new", name) if flags is None else ("cur", f"{name}{self.spool.separator}2,{flags}")
        file = os.path.join(self.spool.box(box).path, *where)
        durable.make_directory(os.path.dirname(file))
        durable.replace(file, MESSAGE)
        return "/".join(where)

    def mail(self, box):
        """The names of what is in a drop box."""
        return [os.path.join(*entry.path.split(os.sep)[-2:]) for entry in self.spool.box(box).list()]


@pytest.fixture
def site(tmp_path, capsys, monkeypatch):
    return Site(tmp_path, capsys, monkeypatch)


class TestWrongWords:
    @pytest.mark.parametrize("words, said", [
        (["nonsense"], "expected site or limits or certificate or queue or domain or box or network, found 'nonsense'"),
        (["box", "nonsense"], "box: expected list or add or set or rename or delete or lock or unlock or adopt, found"),
        (["site", "add", "x"], "site: expected list or set, found 'add'"),
        (["box", "add", "x", "--nonsense"], "--nonsense is no option here"),
        (["box", "add", "x", "--addresses"], "--addresses needs a value"),
        (["box", "add", "x", "--addresses", "--config", "mail.cfg"],
         "--addresses needs a value, found --config; one that begins with -- is written --addresses=--config"),
        (["box", "add", "x", "--password", "y"], "--password is no option here"),
        (["domain", "add", "x.example", "--password-stdin"], "--password-stdin is no option here"),
        (["box", "add", "x", "--yes"], "--yes is no option here"),
        (["network", "set", "--hostname", "x.example"], "--hostname is no option here"),
        (["network", "set"], "network: expected list or add or delete, found 'set'"),
        (["--nonsense"], "--nonsense is no option here"),
        (["new", "--hostname", "x"], "missing: --domain, --box"),
        (["new", "x", "--hostname", "x", "--domain", "y", "--box", "z"], "what is 'x'?"),
        (["import", "nonsense", "x"], "expected import passwd|dovecot|htpasswd|csv|mail, and one file or folder"),
        (["import", "csv", "x", "--shadow", "y"], "--shadow is of no use to import csv"),
        (["import", "csv"], "expected import passwd|dovecot|htpasswd|csv|mail, and one file or folder"),
        (["check", "a.cfg", "b.cfg"], "one mail.cfg, not 2"),
        (["check", "a.cfg", "--config", "b.cfg"], "one mail.cfg, not 2"),
        (["password", "--stdin", "a.cfg"], "mail.cfg is of use only with --box"),
        (["password", "--stdin", "--config", "a.cfg"], "mail.cfg is of use only with --box"),
        (["password", "--stdin", "--dry-run"], "--dry-run is of use only with --box"),
        (["password", "--stdin", "--box", "cook", "--box", "captain"], "found --box twice; expected it once"),
        (["check", "--config", "a.cfg", "--config", "b.cfg"], "found --config twice; expected it once"),
        (["import", "mail", "/x", "--box", "cook", "--box", "captain"], "found --box twice; expected it once"),
        (["new", "--hostname", "x", "--domain", "y", "--box", "z", "--domain", "y"], "found --domain twice; expected"),
    ])
    def test_words_and_options(self, site, words, said):
        first, *more = site.refused(*words, code=64).splitlines()
        assert first.startswith(said) and more == ["`mailcfg --help` shows what there is."]

    @pytest.mark.parametrize("words, said", [
        (["box", "add"], "expected one name of a box, found 0"),
        (["box", "add", "a", "b"], "expected one name of a box, found 2"),
        (["box", "set", "--addresses", "x"], "expected one name of a box, found 0"),
        (["box", "rename", "cook"], "expected the old name and the new one, found 1"),
        (["box", "list", "cook"], "box: expected no name here, found 'cook'"),
        (["site", "list", "extra"], "site: expected no name here, found 'extra'"),
        (["site", "set", "extra", "--hostname", "x.example"], "site: expected no name here, found 'extra'"),
        (["network", "list", "extra"], "network: expected no name here, found 'extra'"),
        (["certificate", "make", "extra"], "certificate: expected no name here, found 'extra'"),
        (["box", "lock", "cook", "--addresses", "x"], "--addresses is of no use to box lock"),
        (["box", "list", "--addresses", "x"], "--addresses is of no use to box list"),
        (["box", "lock", "cook", "--password-generate"], "--password-generate is of no use to box lock"),
        (["box", "add", "mate", "--json"], "--json is of no use to box add"),
        (["box", "lock", "cook", "--json"], "--json is of no use to box lock"),
        (["box", "set", "cook", "--to", "captain"], "--to is of no use to box set"),
        (["site", "list", "--dry-run"], "--dry-run is of no use to site list"),
        (["network", "add", "10.1.0.0/16", "--json"], "--json is of no use to network add"),
        (["certificate", "make", "--cleartext-login-from", "::1"], "--cleartext-login-from is of no use to cert"),
        (["box", "delete", "cook", "--mail", "burn"], "expected --mail keep, --mail remove, or --mail give --to BOX"),
        (["box", "delete", "cook", "--mail", "give"], "expected --mail keep"),
        (["box", "delete", "cook", "--to", "captain"], "expected --mail keep"),
        (["box", "delete", "cook", "--mail", "give", "--to", "cook"], "expected another box"),
        (["box", "adopt", "stoker"], "expected: mailcfg box adopt NAME --to BOX"),
        (["box", "adopt", "stoker", "--to", "captain", "--dry-run"], "--dry-run is of no use to box adopt"),
        (["box", "add", "x", "--password-stdin", "--password-generate"], "expected either --password-stdin or"),
        (["network", "add"], "expected one network"),
        (["box", "set", "cook", "--addresses", "a", "--addresses", "b"], "found --addresses twice; expected it once"),
    ])
    def test_what_is_missing_and_what_is_of_no_use(self, site, words, said):
        """The command line is wrong, whatever mail.cfg says."""
        first, *more = site.refused(*words, code=64).splitlines()
        assert said in first and more == ["`mailcfg --help` shows what there is."]

    @pytest.mark.parametrize("words, said", [
        (["box", "set", "stoker"], "[boxes]: there is no box 'stoker'; there are: captain, cook"),
        (["box", "add", "cook"], "[boxes]: there is a box 'cook' already"),
        (["box", "add", "x]]"], "found 'x]]'; expected 1 to 64 of a-z"),
        (["box", "add", "../x"], "found '../x'; expected 1 to 64 of a-z"),
        (["box", "add", "chef", "--addresses", "cook"], "cook@yacht.example belongs to box c"),
        (["box", "rename", "cook", "captain"], "there is a box 'captain' already"),
        (["box", "rename", "cook", "Chef"], "found 'Chef'; expected 1 to 64 of a-z"),
        (["box", "delete", "captain"], "[site] postmaster: found 'captain'; expected one of the boxes: cook"),
        (["box", "delete", "cook", "--mail", "give", "--to", "stoker"], "there is no box 'stoker'"),
        (["box", "adopt", "cook", "--to", "captain"], "there is a box 'cook' already"),
        (["box", "adopt", "../../x", "--to", "captain"], "found '../../x'; expected"),
        (["domain", "add", "no domain"], "found 'no domain'; expected a domain name such as yacht.example"),
        (["domain", "add", "x.example", "--unknown", "maybe"], "--unknown: found 'maybe'; expected refuse or relay"),
        (["domain", "delete", "yacht.example"], "[domains]: found nothing; expected at least one domain"),
        (["site", "set", "--hostname", "a b"], "--hostname: found 'a b'; expected a domain name such as yacht.example"),
        (["site", "set", "--relay-from", "home"], "--relay-from: found 'home'; expected networks such as"),
        (["site", "set", "--spool", "here"], "--spool: found 'here'; expected an absolute path"),
        (["limits", "set", "--errors", "0"], "--errors: found '0'; expected a whole number, 1 or more"),
        (["queue", "set", "--login", "cook"], "[queue] login: is the name of a box; expected another name"),
        (["queue", "set", "--warn-after", "soon"], "--warn-after: found 'soon'; expected an age such as 12 hours"),
        (["certificate", "set", "--certificate", "/x"], "[tls]: certificate and key go together"),
        (["certificate", "set", "--certificate", "/x", "--key", "/x"], "'/x', which is no file that can be read"),
        (["network", "add", "home"], "found 'home'; expected a network such as 192.168.7.0/24"),
        (["network", "delete", "10.0.0.0/8"], "there is no network '10.0.0.0/8'; there are: 127.0.0.0/8, ::1"),
        (["new", "--hostname", "h.example", "--domain", "x.example", "--box", "x"], "is there already"),
        (["import", "mail", "/x", "--box", "stoker"], "there is no box 'stoker'"),
    ])
    def test_names_and_values(self, site, words, said):
        assert said in site.refused(*words)

    def test_all_that_is_wrong_is_said_at_once(self, site):
        assert len(site.refused("limits", "set", "--errors", "x", "--recipients", "y").splitlines()) == 2

    @pytest.mark.parametrize("password", ["\n", "", "a\tb\n", "x" * 1001])
    def test_a_password_that_is_none(self, site, password):
        assert "1 to 1000 printable characters" in site.refused("box", "set", "cook", "--password-stdin",
                                                                stdin=password, code=64)

    @pytest.mark.parametrize("password", ["\n", "a\tb\n"])
    def test_a_password_to_be_hashed_that_is_none(self, site, password):
        for words in ["password", "--stdin"], ["password", "--stdin", "--box", "cook"]:
            assert site.refused(*words, stdin=password, code=64).startswith("--stdin: expected a line of 1 to 1000")

    def test_a_file_of_users_that_is_not_there(self, site):
        assert site.refused("import", "csv", "/x", code=75) == "mailcfg: /x: No such file or directory\n"

    def test_without_a_file(self, site):
        site.path.unlink()
        assert site.run("box", "list", code=78) == f"{site.path}: there is no such file; `mailcfg` makes one\n"


def test_help_and_version(site):
    assert site.run("--help") == mailcfg.USAGE + "\n" == site.run("box", "--help")
    assert site.run("--version").startswith("amsmail ")
    assert max(map(len, mailcfg.USAGE.splitlines())) < 80


def test_another_file(site, tmp_path):
    other = tmp_path / "other.cfg"
    other.write_text(site.path.read_text())
    other.chmod(0o640)
    site.run("site", "set", "--hostname", "other.example", "--config", other)
    assert (config.load(other).hostname, site.site.hostname) == ("other.example", "mail.yacht.example")


class TestLists:
    def test_what_is_set_and_what_is_not(self, site):
        assert site.run("site") == site.run("site", "list") == (
            f"hostname = mail.yacht.example\npostmaster = captain\nspool = {site.spool.path}\n"
            "#relay_from = 127.0.0.0/8, ::1\n")
        assert site.run("domain") == "yacht.example\n"
        assert site.run("network") == "127.0.0.0/8\n::1\n"

    def test_for_machines(self, site):
        site.run("box", "lock", "cook")
        assert json.loads(site.run("box", "--json")) == {
            "captain": {"password": "(not shown)"}, "cook": {"password": "(locked)"}}
        assert json.loads(site.run("site", "list", "--json"))["postmaster"] == "captain"
        assert json.loads(site.run("network", "list", "--json")) == ["127.0.0.0/8", "::1"]

    def test_no_hash_is_shown(self, site):
        assert "pbkdf2" not in site.run("box") + site.run("box", "--json")

    def test_mail_without_a_box_is_told(self, site):
        site.deliver("stoker")
        said = ("stoker is no box and has 1 message: `mailcfg box add stoker` makes it one, `mailcfg box adopt stoker "
                "--to BOX` moves its mail.")
        assert said in site.run("box")
        assert boxmail.strays(site.site) == {"stoker": 1}
        site.path.write_text(site.path.read_text() + "no_such_key = 1\n")      # a mistake hides nothing of it
        assert said in site.run("box")

    def test_who_only_looks_makes_no_spool(self, site, tmp_path):
        (tmp_path / "other/boxes/stoker/new").mkdir(parents=True)
        site.path.write_text(site.path.read_text().replace(site.spool.path, str(tmp_path / "other")))
        assert "stoker" not in site.run("box")
        assert "holds" not in site.run("box", "add", "stoker")
        assert os.listdir(tmp_path / "other") == ["boxes"]


class TestChanges:
    def test_a_dry_run_only_shows_it(self, site):
        before = site.path.read_bytes()
        said = site.run("site", "set", "--hostname", "new.example", "--dry-run")
        assert "+hostname = new.example       # what we call ourselves" in said
        said = site.run("box", "add", "mate", "--password-generate", "--dry-run")
        assert "+  [[mate]]" in said and "The password is" not in said
        site.refused("box", "delete", "captain", "--dry-run")
        assert site.path.read_bytes() == before
        assert "mail.cfg.previous" not in os.listdir(site.path.parent)

    def test_values(self, site):
        site.run("site", "set", "--relay-from", "10.0.0.0/8", "--postmaster", "cook")
        site.run("limits", "set", "--recipients", "5", "--message-size=1000")
        site.run("domain", "add", "fleet.example", "--unknown", "relay")
        site.run("queue", "set", "--expire-after", "3 days", "--login", "shore", "--password-stdin", stdin="secret\n")
        found = site.site
        assert (found.postmaster, found.limits["recipients"], found.domains["fleet.example"]) == ("cook", 5, "relay")
        assert site.login("shore", "secret") == ("queue", "shore")
        site.run("domain", "set", "fleet.example", "--unknown", "")
        site.run("domain", "rename", "fleet.example", "line.example")
        assert site.site.domains["line.example"] == "refuse"
        site.run("domain", "delete", "line.example")
        assert list(site.site.domains) == ["yacht.example"]
        assert "# what we call ourselves" in site.path.read_text()

    def test_nothing_to_change(self, site):
        assert site.run("site", "set", "--postmaster", "captain") == f"{site.path}: nothing to change\n"

    def test_networks(self, site):
        said = site.run("network", "add", "192.168.7.0/24")
        assert said == (f"{site.path}: without a login these may send to anywhere: 127.0.0.0/8, ::1, 192.168.7.0/24\n")
        assert "nothing to change" in site.run("network", "add", "192.168.7.0/24")
        for network in "127.0.0.0/8", "::1":
            site.run("network", "delete", network)
        assert "anywhere: nobody" in site.run("network", "delete", "192.168.7.0/24")
        assert site.site.relay_from == []

    def test_a_program_that_is_started(self, site):
        done = subprocess.run([sys.executable, "bin/mailcfg", "box", "add", "mate", "--password-stdin", "--config",
                               site.path], input="tell nobody\n", capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{site.path}: box mate added\n", "")
        assert site.login("mate@yacht.example", "tell nobody") == ("box", "mate")


class TestPasswords:
    def test_one_that_is_made_up_is_shown_once_and_opens_the_box(self, site):
        said = site.run("box", "add", "mate", "--addresses", "mate, bosun", "--password-generate").splitlines()
        password = said[1].removeprefix("The password is: ")
        assert site.login("bosun@yacht.example", password) == ("box", "mate")
        assert not any(password in (site.path.parent / name).read_text() for name in os.listdir(site.path.parent)
                       if name.startswith("mail.cfg"))

    def test_they_are_long_and_differ(self):
        made = {passphrase() for _ in range(20)}
        assert len(made) == 20 and {len(each) for each in made} == {27}

    def test_a_new_one_takes_the_place_of_the_old(self, site):
        site.run("box", "set", "cook", "--password-stdin", stdin="new\r\n")
        assert (site.login("cook", "new"), site.login("cook", "secret")) == (("box", "cook"), None)

    def test_a_locked_box_cannot_log_in_until_it_is_unlocked(self, site):
        site.run("box", "lock", "cook")
        assert site.login("cook", "secret") is None
        assert "nothing to change" in site.run("box", "lock", "cook")
        site.run("box", "unlock", "cook")
        assert site.login("cook", "secret") == ("box", "cook")
        site.run("box", "add", "mate")
        for verb in "lock", "unlock":
            assert "box mate has no password" in site.refused("box", verb, "mate")

    def test_a_refusal_always_takes_the_same_work(self, site, monkeypatch):
        """One verification for a wrong password, a locked box, one without a password and none at all."""
        site.run("box", "lock", "cook")
        site.run("box", "add", "mate")
        verified, context = [], passwords._context()
        verify = type(context).verify
        monkeypatch.setattr(type(context), "verify", lambda self, *given: verified.append(given[1]) or verify(self,
                                                                                                              *given))
        for user in "captain", "cook", "mate", "nobody":
            assert site.login(user, "wrong") is None
        assert [text == passwords._NOBODYS for text in verified] == [False, True, True, True]
        assert site.login("captain", "secret")


@pytest.fixture
def served(site):
    """The addresses of an SMTP and a POP3 server of the site."""
    server = Server(str(site.path))
    found = {service: server.listen(service, "127.0.0.1", 0) for service in ("smtp", "submission", "pop3")}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.stop()
    thread.join()
    server.close()


def test_a_locked_box_gets_mail_and_nobody_gets_in(site, served):
    site.run("box", "lock", "cook")
    pop = poplib.POP3(*served["pop3"])
    pop.user("cook")
    with pytest.raises(poplib.error_proto, match="Wrong user or password"):
        pop.pass_("secret")
    pop.close()
    with smtplib.SMTP(*served["submission"]) as smtp, pytest.raises(smtplib.SMTPAuthenticationError):
        smtp.login("cook", "secret")
    with smtplib.SMTP(*served["smtp"]) as smtp:
        smtp.sendmail("agent@shore.example", ["cook@yacht.example"], b"Subject: x\r\n\r\nHello.\r\n")
    assert len(site.mail("cook")) == 1


class TestMailOfABoxThatGoes:
    def held(self, site):
        return {message.id: message.box for message in HeldMail(site.spool).list()}

    def hold(self, site, box):
        HeldMail(site.spool).put(HeldMessage("abcdefgh", "galley", "u", 5, "", "", box, 1, "t"))

    def test_renaming_takes_mail_references_and_addresses_along(self, site):
        name, other = site.deliver("cook"), site.deliver("cook", "RS", "1795241363.M2R0.h,S=19,W=22")
        self.hold(site, "cook")
        said = site.run("box", "rename", "cook", "chef")
        assert "box cook is called chef now" in said and "2 messages moved into box chef" in said
        assert site.mail("chef") == [name, other] and site.mail("cook") == []
        assert self.held(site) == {"abcdefgh": "chef"}
        found = site.site
        assert found.addresses["cook@yacht.example"] == found.addresses["chef@yacht.example"] == "chef"
        assert found.calls["urgent_from"] == ["chef", "port@fleet.example"]
        site.run("box", "rename", "captain", "master")
        found = site.site
        assert (found.postmaster, found.accounts["galley"]["box"]) == ("master", "master")
        assert site.login("captain@yacht.example", "secret") == ("box", "master")

    @pytest.mark.parametrize("before, after", [
        ("", ["cook", "chef"]), ("mess, cook", ["mess", "cook", "chef"]), ("Cook, Chef", ["Cook", "Chef"]),
        ("mess, cook@yacht.example", ["mess", "cook@yacht.example"])])
    def test_the_new_name_is_an_address_where_the_old_one_was(self, site, before, after):
        site.run("box", "set", "cook", "--addresses", before or "cook")
        site.run("box", "set", "cook", "--addresses", before)
        site.run("box", "rename", "cook", "chef")
        assert site.site.boxes["chef"]["addresses"] == after

    def test_an_adoption_of_what_there_never_was(self, site):
        said = site.refused("box", "adopt", "stroker", "--to", "captain")
        assert "there was no box 'stroker'" in said and "has no boxes/stroker" in said
        assert not os.path.exists(os.path.join(site.spool.path, "boxes/stroker"))
        site.spool.box("stoker").make()
        assert site.run("box", "adopt", "stoker", "--to", "captain") == "There is no mail in boxes/stoker.\n"

    def test_keep(self, site):
        name = site.deliver("cook")
        self.hold(site, "cook")
        assert "1 message in the spool, in boxes/cook" in site.run("box", "delete", "cook")
        assert site.mail("cook") == [name] and site.site.calls["urgent_from"] == ["port@fleet.example"]
        site.run("box", "adopt", "cook", "--to", "captain")
        assert (site.mail("captain"), self.held(site)) == ([name], {"abcdefgh": "captain"})

    def test_remove(self, site):
        site.deliver("cook")
        assert "1 message removed" in site.run("box", "delete", "cook", "--mail", "remove")
        assert site.mail("cook") == [] and "cook" not in site.site.boxes

    def test_give(self, site):
        name = site.deliver("captain", "S")
        self.hold(site, "captain")
        said = site.run("box", "delete", "captain", "--mail", "give", "--to", "cook")
        assert "1 message moved into box cook" in said
        assert (site.mail("cook"), self.held(site)) == ([name], {"abcdefgh": "cook"})
        assert (site.site.postmaster, site.site.accounts["galley"]["box"]) == ("cook", "cook")

    def test_one_that_nothing_came_for(self, site, tmp_path):
        site.path.write_text(site.path.read_text().replace(str(tmp_path / "spool"), str(tmp_path / "none")))
        site.run("box", "delete", "cook", "--mail", "give", "--to", "captain")
        assert not (tmp_path / "none").exists()

    @pytest.mark.parametrize("words", [["rename", "cook", "chef"], ["delete", "cook", "--mail", "remove"],
                                       ["delete", "cook", "--mail", "give", "--to", "captain"]])
    def test_while_somebody_reads_it(self, site, served, words):
        name = site.deliver("cook")
        pop = poplib.POP3(*served["pop3"])
        pop.user("cook")
        pop.pass_("secret")
        said = site.run("box", *words, code=75)
        assert "box cook is being read right now" in said and "mailcfg box adopt cook --to BOX" in said
        assert site.mail("cook") == [name] and "cook" not in site.site.boxes
        pop.quit()
        site.spool.lock("box-cook", wait=True).release()        # the server may be behind its answer
        site.run("box", "adopt", "cook", "--to", "captain")
        assert site.mail("captain") == [name]

    def test_a_crash_anywhere_loses_nothing(self, site, monkeypatch, tmp_path):
        """What was not moved yet is in the box that is no more, and adopt takes it on; a message is never twice."""
        names = [f"179524136{number}.M1R{number}.h,S=19,W=22" for number in range(3)]
        for at in range(1, 100):
            for name in names:
                site.deliver("stoker", name=name)
            self.hold(site, "stoker")
            disk = Disk(tmp_path / "spool", crash_at=at)
            is_over = crash(disk, lambda: boxes.settle(site.path, "stoker", "give", "captain"), monkeypatch)
            left = {each: site.mail(each) for each in ("stoker", "captain")}
            assert sorted(left["stoker"] + left["captain"]) == sorted(f"new/{name}" for name in names)
            assert self.held(site)["abcdefgh"] in ("stoker", "captain")
            site.run("box", "adopt", "stoker", "--to", "captain")
            assert (site.mail("stoker"), len(site.mail("captain"))) == ([], 3)
            assert self.held(site) == {"abcdefgh": "captain"}
            for entry in site.spool.box("captain").list():
                os.unlink(entry.path)
            if is_over:
                break
        assert at > 10

    def test_roots_command_leaves_everything_to_the_spools_owner(self, capsys, monkeypatch):
        if os.geteuid():
            raise Unavailable("root", "only root can give files away")
        owner = mail_account()
        with public_folder() as folder:
            site = Site(folder, capsys, monkeypatch)
            site.deliver("cook")
            for above, folders, files in os.walk(folder / "spool"):
                for name in (".", *folders, *files):
                    os.chown(os.path.join(above, name), owner.pw_uid, owner.pw_gid)
            site.run("box", "rename", "cook", "chef")
            site.run("box", "add", "mate")          # it is still root's command
            found = {os.stat(os.path.join(above, name)).st_uid for above, folders, files in os.walk(folder / "spool")
                     for name in (*folders, *files)}
            assert found == {owner.pw_uid} and len(site.mail("chef")) == 1 and os.geteuid() == 0


class TestCertificate:
    @pytest.mark.parametrize("name", ["caf\udce9.pem", "it's \"#1\".pem"])
    def test_a_name_that_cannot_stand_in_mail_cfg(self, site, name):
        said = site.refused("certificate", "make", "--certificate", site.path.with_name(name))
        assert "--certificate: found" in said and len(os.listdir(site.path.parent)) == 2

    def test_the_real_server_speaks_tls_with_it(self, site, served):
        said = site.run("certificate", "make")
        path, key = site.path.with_name("cert.pem"), site.path.with_name("key.pem")
        assert (site.site.certificate, site.site.key) == (str(path), str(key))
        assert key.stat().st_mode & 0o777 == 0o640
        context = ssl.create_default_context(cafile=str(path))
        with smtplib.SMTP(*served["submission"]) as smtp:
            smtp._host = "mail.yacht.example"
            smtp.starttls(context=context)
            der = smtp.sock.getpeercert(binary_form=True)
            smtp.login("cook", "secret")
        import hashlib
        assert hashlib.sha256(der).hexdigest().upper() == "".join(said.split("fingerprint:")[1].split()).replace(":",
                                                                                                                 "")
        host, port = served["submission"]
        done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", f"{host}:{port}", "-CAfile",
                               path,
                               "-verify_hostname", "mail.yacht.example", "-verify_return_error"],
                              input=b"QUIT\r\n", capture_output=True)
        assert b"Verify return code: 0 (ok)" in done.stdout

    def test_the_one_before_stays(self, site):
        site.run("certificate", "make")
        before = site.path.with_name("key.pem").read_bytes()
        site.run("certificate", "make")
        assert site.site.key == str(site.path.with_name("key-2.pem"))
        assert site.path.with_name("key.pem").read_bytes() == before

    def test_at_other_places(self, site, tmp_path):
        site.run("certificate", "make", "--certificate", tmp_path / "a", "--key", tmp_path / "b")
        assert site.site.certificate == str(tmp_path / "a")
        assert "is there already" in site.refused("certificate", "make", "--certificate", tmp_path / "a")

    def test_a_pair_that_does_not_fit_is_warned_of(self, site):
        site.run("certificate", "make")
        site.run("certificate", "make")
        other = site.path.with_name("key.pem")
        site.run("certificate", "set", "--key", other, warned="warning: ")
        assert site.site.key == str(other)
        site.run("certificate", "set", "--key", site.path.with_name("key-2.pem"))

    def test_a_dry_run_writes_no_file(self, site):
        site.run("certificate", "make", "--dry-run")
        assert not site.path.with_name("cert.pem").exists()

    def test_without_openssl(self, site, monkeypatch):
        monkeypatch.setenv("PATH", "/nonexistent")
        assert "openssl is not installed" in site.refused("certificate", "make")

    @pytest.mark.parametrize("name", ["x" * 60 + ".example", "bücher.example"])
    def test_names_that_are_long_or_not_ascii(self, name):
        assert openssl.make(name).certificate.startswith(b"-----BEGIN CERTIFICATE")

    def test_a_name_that_no_certificate_can_have(self):
        with pytest.raises(openssl.CannotMake):
            openssl.make("x" * 64 + ".example")


def test_a_domain_of_a_provider_is_added_with_a_warning(site):
    assert site.run("domain", "add", "gmail.com", warned=(
        "warning: all addresses of gmail.com that no box here has are refused, though others have them\n"
        "         mailcfg domain set gmail.com --unknown relay\n"
        "warning: box captain gets what is for captain@gmail.com, which may be somebody else's")) == (
        f"{site.path}: domain gmail.com added\n")
    site.run("domain", "add", "web.de", "--dry-run")


class TestADomainOfAProvider:
    """What a change makes unsafe in it is said; what was so before is not said again."""

    @pytest.fixture
    def gmail(self, site):
        for box in "captain", "cook":
            site.run("box", "set", box, "--addresses", f"{box}@yacht.example")
        site.run("domain", "add", "gmail.com", "--unknown", "relay")
        return site

    @pytest.mark.parametrize("words, whose", [
        (["box", "add", "postmaster"], "postmaster@gmail.com"),
        (["box", "set", "cook", "--addresses", "cook, mess@yacht.example"], "cook@gmail.com"),
        (["box", "set", "cook", "--addresses", ""], "cook@gmail.com"),
        (["domain", "add", "web.de", "--unknown", "refuse"], "all addresses of web.de"),
        (["domain", "set", "gmail.com", "--unknown", "refuse"], "all addresses of gmail.com"),
        (["domain", "rename", "gmail.com", "googlemail.com", "--dry-run"], "")])
    def test_a_command(self, gmail, words, whose):
        gmail.run(*words, warned=whose)

    def test_a_box_that_is_renamed(self, gmail):
        gmail.run("box", "set", "cook", "--addresses", "", warned="box cook gets what is for cook@gmail.com")
        gmail.run("box", "rename", "cook", "chef", warned="box chef gets what is for cook@gmail.com, chef@gmail.com")
        gmail.run("box", "rename", "captain", "master")       # it has only whole addresses

    def test_it_is_said_once(self, gmail):
        gmail.run("box", "add", "mate", warned="box mate gets")
        gmail.run("box", "add", "bosun", "--addresses", "bosun@yacht.example")

    def test_a_mistake_hides_nothing_of_it(self, gmail):
        gmail.path.write_text(gmail.path.read_text() + "[limits]\nno_such_key = 1\n")
        gmail.run("box", "add", "mate", warned="box mate gets what is for mate@gmail.com")

    def test_boxes_that_are_imported(self, gmail, tmp_path):
        (tmp_path / "users.csv").write_text("box,password\nann,x\n")
        gmail.run("import", "csv", tmp_path / "users.csv", "--dry-run")
        gmail.run("import", "csv", tmp_path / "users.csv", warned="box ann gets what is for ann@gmail.com")


def test_a_domain_that_is_renamed_takes_the_addresses_along(site):
    site.run("domain", "add", "fleet.example")
    site.run("box", "set", "cook", "--addresses", "cook, galley@Fleet.example, cook@shore.example")
    assert "in the boxes' addresses too" in site.run("domain", "rename", "fleet.example", "armada.example")
    assert site.site.addresses["galley@armada.example"] == "cook" and "galley@fleet.example" not in site.site.addresses
    assert site.site.addresses["cook@shore.example"] == "cook" and "armada.example" in site.site.domains


def test_what_stays_of_a_domain_that_is_deleted_is_said(site):
    """An address of a box is local whatever its domain: that may be wanted."""
    site.run("domain", "add", "fleet.example")
    site.run("box", "set", "cook", "--addresses", "cook, galley@fleet.example")
    assert "galley@fleet.example stays an address of box cook" in site.run("domain", "delete", "fleet.example")
    assert site.site.addresses["galley@fleet.example"] == "cook"


def test_check_and_password_take_another_mail_cfg_as_all_do(site):
    other = site.path.with_name("other.cfg")
    other.touch(0o600)
    other.write_text(site.path.read_text().replace("[boxes]", "[boxes]\n[[stoker]]"))
    assert "3 boxes" in site.run("check", "--file", "--config", other)
    assert str(other) in site.run("password", "--stdin", "--box", "stoker", "--config", other, stdin="secret\n")
    assert "no box 'stoker'" in site.run("password", "--box", "stoker", code=78)


def test_a_link_that_nobody_wrote_is_not_counted(site):
    assert "1 account, no link (the network is taken to be there); relay smtp.pr" in site.run("check", "--file")
    site.path.write_text(site.path.read_text() + "[links]\n  [[shore]]\n  type = always\n")
    assert "1 account, 1 link; relay smtp.pr" in site.run("check", "--file")


class TestNew:
    @staticmethod
    def words(*words):
        """A command line with these options, and with those that it cannot do without."""
        needed = {"--hostname": "mail.yacht.example", "--domain": "yacht.example", "--box": "captain"}
        return ["new", *words, *(word for pair in needed.items() if pair[0] not in words for word in pair)]

    @pytest.fixture
    def nothing(self, site):
        site.path.unlink()
        return site

    def test_a_site_from_nothing(self, nothing, tmp_path):
        said = nothing.run(*self.words("--addresses", "captain, skipper", "--password-generate", "--spool",
                                       tmp_path / "spool"))
        assert nothing.login("skipper@yacht.example", said.split()[-1]) == ("box", "captain")
        assert (nothing.site.postmaster, nothing.site.spool) == ("captain", str(tmp_path / "spool"))
        assert "# The domains whose mail belongs here.\n[domains]\n  [[yacht.example]]\n" in nothing.path.read_text()

    @pytest.mark.parametrize("words", [["--hostname", "a b"], ["--domain", "x]]"], ["--box", "Captain"],
                                       ["--spool", "here"], ["--addresses", "a@@b"]])
    def test_what_is_wrong_makes_no_file(self, nothing, words):
        nothing.run(*self.words(*words), code=78)
        assert not nothing.path.exists()

    @pytest.mark.parametrize("words, said, code", [
        ([], "--domain: gmail.com is Gmail's, in which others have addresses, too; expected --unknown relay (", 64),
        (["--unknown", "maybe"], "--unknown: found 'maybe'; expected refuse or relay", 78),
        (["--unknown", "relay"], "--addresses: expected whole addresses, such as ourboat@gmail.com", 64),
        (["--unknown", "relay", "--addresses", "ourboat@gmail.com, captain"], "--addresses: expected whole", 78),
    ])
    def test_a_providers_domain_without_a_word_about_others(self, nothing, words, said, code):
        assert said in nothing.run(*self.words("--domain", "gmail.com", *words), code=code)
        assert not nothing.path.exists()

    def test_a_providers_domain(self, nothing):
        nothing.run(*self.words("--domain", "gmail.com", "--unknown", "relay", "--addresses", "ourboat@gmail.com"))
        assert nothing.site.domains == {"gmail.com": "relay"}
        assert set(nothing.site.addresses) == {"ourboat@gmail.com", f"postmaster@{nothing.site.hostname}"}
        assert "\n0 wrong, " in nothing.run("check", "--file")
        assert "warning" not in nothing.run("domain", "add", "fleet.example")

    def test_what_an_earlier_site_left_is_told(self, nothing):
        nothing.deliver("captain")
        nothing.deliver("stoker")
        words = self.words("--spool", nothing.spool.path)
        assert "stoker" not in nothing.run(*words, "--dry-run")
        said = nothing.run(*words)
        assert "boxes/captain holds 1 message of an earlier box of that name: in the new box now." in said
        assert "stoker is no box and has 1 message: `mailcfg box add stoker`" in said

    def test_who_is_refused_in_a_providers_domain_is_said(self, nothing):
        nothing.run(*self.words("--domain", "gmail.com", "--unknown", "refuse"),
                    warned="all addresses of gmail.com that no box here has are refused")

    def test_a_dry_run(self, nothing):
        assert "postmaster = captain" in nothing.run(*self.words("--dry-run"))
        assert not nothing.path.exists()


class TestImport:
    def file(self, tmp_path, *lines):
        path = tmp_path / "users"
        path.write_text("".join(line + "\n" for line in lines))
        return path

    def run(self, site, *words, code=0):
        """What an import prints; it says on standard output, too, what was left out."""
        try:
            found = mailcfg.main(["import", *map(str, words)], str(site.path))
        finally:
            said = site._capsys.readouterr()
        assert (found, said.err) == (code, "")
        return said.out.splitlines()

    def test_users_and_their_hashes(self, site, tmp_path):
        path = self.file(tmp_path, f"ann:{passwords.hashed('of ann')}", f"bob:{passwords.hashed('of bob')}")
        assert self.run(site, "htpasswd", path) == ["ann: added", "bob: added"]
        assert site.login("bob", "of bob") == ("box", "bob")

    def test_boxes_that_are_there_stay_as_they_are(self, site, tmp_path):
        path = self.file(tmp_path, "cook:{PLAIN}another", "ann:{PLAIN}of ann")
        assert self.run(site, "dovecot", path, code=75) == [
            "ann: added", f"{path}:1: cook: there is a box cook already; it was left as it is"]
        assert site.login("cook", "secret") and site.login("ann", "of ann")

    def test_nothing_wrong_is_written(self, site, tmp_path):
        path = self.file(tmp_path, "box,addresses,password", "ann,cook,x", "bob,bob,y")
        said = self.run(site, "csv", path, code=75)
        assert said == ["bob: added",
                        f"{path}: ann: was not added: [boxes] ann addresses: cook@yacht.example belongs to "
                                      "box cook already"]
        assert "ann" not in site.site.boxes and "bob" in site.site.boxes

    def test_an_address_that_cannot_stand_in_mail_cfg(self, site, tmp_path):
        path = self.file(tmp_path, "box,addresses,password", 'ann,"it\'s ""#1""@yacht.example",x', "bob,,y")
        said = self.run(site, "csv", path, code=75)
        assert said[0] == "bob: added" and f"{path}: ann: was not added: addresses: expected" in said[1]
        assert "ann" not in site.site.boxes and "bob" in site.site.boxes

    def test_the_people_of_a_machine(self, site, tmp_path):
        path = self.file(tmp_path, "root:x:0:0::/root:/bin/sh", "ann:x:1000:1000::/home/ann:/bin/sh")
        shadow = tmp_path / "shadow"
        shadow.write_text(f"ann:{passwords.hashed('of ann')}:1::::::\n")
        said = self.run(site, "passwd", path, "--shadow", shadow)
        assert said == ["ann: added", f"{path}: root: no people: a user number below 1000, or no shell"]
        assert site.login("ann", "of ann")

    def test_a_dry_run(self, site, tmp_path):
        before = site.path.read_bytes()
        path = self.file(tmp_path, "ann:")
        said = self.run(site, "htpasswd", path, "--dry-run", code=75)
        assert "+  [[ann]]" in said and "ann: would be added, without a password" in said
        assert site.path.read_bytes() == before

    def test_what_a_file_says_cannot_draw_on_the_screen(self, site, tmp_path):
        said = self.run(site, "htpasswd", self.file(tmp_path, "a\x1b[2Jn:x"), code=75)
        assert any("a?[2Jn" in line for line in said) and "\x1b" not in "".join(said)

    def test_mail(self, site, tmp_path):
        mbox = tmp_path / "mbox"
        mbox.write_text("From a@b Thu Jan  1 00:00:10 2015\nSubject: x\n\nHello.\n")
        assert self.run(site, "mail", mbox, "--box", "cook") == ["cook: 1 message"]
        assert self.run(site, "mail", mbox, "--box", "cook") == ["cook: 0 messages, and 1 that came in before"]
        assert len(site.mail("cook")) == 1

    def test_mail_that_would_come(self, site, tmp_path):
        mbox = tmp_path / "mbox"
        mbox.write_text("From a@b Thu Jan  1 00:00:10 2015\nSubject: x\n\nHello.\n")
        assert self.run(site, "mail", mbox, "--box", "cook", "--dry-run") == ["cook: 1 message would come"]
        self.run(site, "mail", mbox, "--box", "cook")
        assert self.run(site, "mail", mbox, "--box", "cook", "--dry-run") == [
            "cook: 0 messages would come, and 1 that came in before"]
        assert len(site.mail("cook")) == 1

    def test_a_folder_of_mail(self, site, tmp_path):
        (tmp_path / "mail").mkdir()
        for name in "cook", "nobody":
            (tmp_path / "mail" / name).write_text("From a@b Thu Jan  1 00:00:10 2015\nSubject: x\n\nHello.\n")
        assert self.run(site, "mail", tmp_path / "mail", code=75) == [
            "cook: 1 message", f"{tmp_path}/mail/nobody: the mail in it: there is no box 'nobody'"]

    def test_mail_that_cannot_be_read_now(self, site, tmp_path):
        path = site.path.with_name("new.cfg")
        path.touch(0o600)
        path.write_text(site.path.read_text().replace(site.spool.path, str(tmp_path / "later")))
        assert "there is no spool yet" in site.refused("import", "mail", tmp_path, "--config", path, code=75)
        assert "No such file" in site.refused("import", "mail", tmp_path / "none", "--box", "cook", code=75)
        with site.spool.lock("mailcheck"):
            assert "mailcheck or another import runs" in site.refused("import", "mail", tmp_path, "--box", "cook",
                                                                      code=75)
        assert list(Seen(site.spool.state("seen", "import+cook"))) == []


def test_a_password_for_a_box_as_before(site):
    assert passwords.verify("new", site.run("password", "--stdin", stdin="new\n").strip())
    site.run("password", "--stdin", "--box", "cook", site.path, stdin="new\n")
    assert site.login("cook", "new")


def test_a_password_for_a_box_that_is_only_shown(site):
    before = site.path.read_bytes()
    said = site.run("password", "--stdin", "--box", "cook", "--dry-run", stdin="new\n")
    assert "+  password = (not shown)" in said and site.path.read_bytes() == before


def test_each_word_of_the_usage_is_one(site):
    words = set(mailcfg_commands.NOUNS) | set(mailcfg_commands._VERBS)
    named = {word for line in mailcfg.USAGE.splitlines() if line.startswith("       mailcfg ")
             for word in line.split("mailcfg ")[1].split()[0].split("|")}
    assert named == words

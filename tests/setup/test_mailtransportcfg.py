"""mailtransportcfg: its commands, and its dialogue through a pseudo-terminal, with Postfix and Dovecot as provider."""

import io
import json
import re
import socket
import sys
from collections import namedtuple

import pytest

from amsmail.program import mailtransportcfg
from amsmail.program.mailtransportcfg_mail import backlog_choices
from amsmail.setup.provider import discover, presets
from amsmail.setup.provider.discover import Found
from amsmail.setup.provider.providers import Offer
from amsmail.setup.provider.report import Outcome
from amsmail.site import config

from ..etc.installation import PROJECT
from ..real.process import free_port
from .provider_ashore import PASSWORD, provider_ashore
from .terminal import PATIENCE, Terminal

START = """\
# Ours.
schema = 1
[site]
hostname = mail.yacht.example
postmaster = captain
spool = {spool}
[domains]
[[yacht.example]]
[boxes]
[[captain]]
[[cook]]
addresses = cook, cook@gmail.com    # hers
"""
LEFT = 64


@pytest.fixture(scope="module")
def shore():
    with provider_ashore() as shore:
        for number in range(12):
            shore.boxes.deliver("owner", b"Subject: %d\n\n" % number + b"a line of it\n" * 1000)
        yield shore


@pytest.fixture
def path(tmp_path):
    """A mail.cfg without relay and accounts."""
    spool, path = tmp_path / "spool", tmp_path / "mail.cfg"
    spool.mkdir()
    path.touch(0o600)
    path.write_text(START.format(spool=spool))
    return path


Done = namedtuple("Done", "code out err")


@pytest.fixture
def run(path, capsys, monkeypatch):
    """A function: what a command line comes to."""
    def run(*words, password=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
        capsys.readouterr()
        try:
            code = mailtransportcfg.main([*words, "--config", str(path)])
        except SystemExit as end:
            code = end.code
        return Done(code, *capsys.readouterr())
    return run


def accounts(path):
    return config.load(str(path)).accounts


def relay_of(path):
    return config.load(str(path)).relay


# Commands: the relay

def test_the_relay_by_its_keys(run, path):
    before = path.read_text()
    words = ("relay", "set", "--host", "smtp.shore.example", "--tls", "starttls", "--port", "2525", "--user", "yacht",
             "--password-stdin")
    shown = run(*words, "--dry-run", password=PASSWORD)
    assert shown.code == 0 and "+host = smtp.shore.example" in shown.out and PASSWORD not in shown.out
    assert path.read_text() == before
    assert run(*words, password=PASSWORD) == (0, f"{path}: written\n", "")
    assert path.read_text().startswith(before)
    relay = relay_of(path)
    assert (relay["host"], relay["port"], relay["tls"], relay["user"], relay["password"]) == (
        "smtp.shore.example", 2525, "starttls", "yacht", PASSWORD)


def test_the_relay_of_a_provider_that_is_known(run, path):
    run("relay", "set", "--host", "old.example", "--port", "99", "--fingerprint", f"sha256:{'ab' * 32}")
    found = run("relay", "set", "--provider", "Gmail", "--address", "captain@gmail.com", "--password-stdin",
                password=PASSWORD)
    assert found.code == 0 and "app password" in found.out
    relay = relay_of(path)
    assert (relay["host"], relay["port"], relay["tls"], relay["user"], relay["fingerprint"]) == (
        "smtp.gmail.com", 0, "implicit", "captain@gmail.com", "")


def test_what_is_said_comes_before_what_is_known(run, path):
    assert run("relay", "set", "--address", "captain@gmail.com", "--port", "587", "--tls", "starttls", "--user",
               "other", "--password-stdin", password=PASSWORD).code == 0
    relay = relay_of(path)
    assert (relay["host"], relay["port"], relay["tls"], relay["user"]) == ("smtp.gmail.com", 587, "starttls", "other")


def test_a_provider_without_an_address_leaves_the_user_as_it_is(run, path):
    run("relay", "set", "--host", "old.example", "--user", "yacht", "--password-stdin", password=PASSWORD)
    assert run("relay", "set", "--provider", "posteo").code == 0
    assert (relay_of(path)["host"], relay_of(path)["user"]) == ("posteo.de", "yacht")


def test_the_relay_is_removed_and_only_it(run, path):
    before = path.read_text()
    run("relay", "set", "--host", "smtp.shore.example")
    removed = run("relay", "remove")
    assert removed.code == 0 and "mail for others is refused" in removed.out
    assert path.read_text() == f"{before}\n[relay]\n"
    assert run("relay", "remove").out.endswith("nothing to change\n")


def test_lists(run, path):
    run("relay", "set", "--host", "smtp.shore.example", "--user", "yacht", "--password-stdin", password=PASSWORD)
    assert json.loads(run("relay", "list", "--json").out) == {
        "host": "smtp.shore.example", "user": "yacht", "password": "(not shown)"}
    assert "There is no account." in run("account").out
    run("account", "add", "cook", "--provider", "posteo", "--user", "c", "--box", "cook", "--password-stdin",
        password="x")
    assert run("account", "list").out.splitlines()[:3] == ["cook", "  type = imap", "  host = posteo.de"]
    assert json.loads(run("account", "list", "--json").out)["cook"]["password"] == "(not shown)"


# Commands: accounts

def test_an_account_by_its_address_goes_to_the_box_that_has_it(run, path):
    added = run("account", "add", "cook", "--address", "cook@gmail.com", "--password-stdin", "--after", "keep 30 days",
                password=PASSWORD)
    assert added.code == 0 and added.out.endswith("account cook added\n")
    cook = accounts(path)["cook"]
    assert (cook["type"], cook["host"], cook["user"], cook["box"], cook["after"], cook["password"]) == (
        "imap", "imap.gmail.com", "cook@gmail.com", "cook", 30 * 86400, PASSWORD)
    assert run("account", "set", "cook", "--type", "pop3", "--address", "cook@free.fr").code == 0
    assert (accounts(path)["cook"]["host"], accounts(path)["cook"]["user"]) == ("pop.free.fr", "cook")


def test_an_account_is_changed_renamed_and_deleted(run, path):
    run("account", "add", "cook", "--address", "cook@gmail.com", "--password-stdin", password=PASSWORD)
    assert run("account", "set", "cook", "--backlog", "newest 7", "--folder", "Ship").code == 0
    assert (accounts(path)["cook"]["backlog"], accounts(path)["cook"]["folder"]) == (7, "Ship")
    assert run("account", "rename", "cook", "chef", "--dry-run").code == 0 and "cook" in accounts(path)
    assert run("account", "rename", "cook", "chef").code == 0
    assert accounts(path)["chef"]["backlog"] == 7
    assert run("account", "delete", "chef").code == 0
    assert accounts(path) == {}


ADD = ("account", "add", "cook", "--provider", "posteo", "--user", "c")
REFUSED = [
    (78, "the password at the provider", (*ADD, "--box", "cook")),
    (78, "--port: found '0'; expected a port number", ("relay", "set", "--port", "0")),
    (78, "user and password go together", ("relay", "set", "--host", "a.example", "--user", "x")),
    (78, "there is no account 'cook'", ("account", "delete", "cook")),
    (78, "expected 1 to 64 of a-z", ("account", "add", "Cook\n[x]")),
    (78, "there is no account 'mate'", ("account", "test", "mate")),
    (69, "have its mail forwarded", ("account", "add", "cook", "--address", "cook@outlook.com")),
    (69, "icloud: no pop3 there that takes a password", ("account", "add", "cook", "--provider", "icloud", "--type",
                                                         "pop3")),
    (64, "expected a line of 1 to 1000 printable characters", (*ADD, "--box", "cook", "--password-stdin")),
    (64, "found the provider 'nobody'; expected one of: gmail, outlook", ("relay", "set", "--provider", "nobody")),
    (64, "found the provider 'nobody'; expected one of: gmail, outlook", ("provider", "show", "nobody")),
    (64, "found 'nobody'; expected a mail address", ("relay", "set", "--address", "nobody")),
    (64, "found 'nobody'; expected a mail address", ("relay", "set", "--provider", "gmail", "--address", "nobody")),
    (64, "found 'nope'; expected a mail address", ("discover", "nope")),
    (64, "expected one name of an account, found 0", ("account", "add")),
    (64, "expected the old name and the new one", ("account", "rename", "cook")),
    (64, "relay: expected no name here, found 'it'", ("relay", "test", "it")),
    (64, "--yes is of no use without --address", ("relay", "set", "--host", "a.example", "--yes")),
    (64, "--yes is of no use to relay test", ("relay", "test", "--yes")),
    (64, "--yes is of no use to account delete", ("account", "delete", "cook", "--yes")),
    (64, "--dry-run is of no use to account test", ("account", "test", "--dry-run")),
    (64, "--host is of no use to relay remove", ("relay", "remove", "--host", "a.example")),
    (64, "--provider is of no use to account rename", ("account", "rename", "a", "b", "--provider", "gmail")),
    (64, "--json is of no use to relay set", ("relay", "set", "--json")),
]


@pytest.mark.parametrize("code, words, arguments", REFUSED, ids=[f"{' '.join(words)!r}" for *_, words in REFUSED])
def test_what_is_wrong_is_said_and_nothing_is_written(run, path, capsys, code, words, arguments):
    before = path.read_bytes()
    found = run(*arguments) if arguments[0] in ("relay", "account") else Done(
        mailtransportcfg.main(list(arguments)), *capsys.readouterr())
    assert (found.code, found.out) == (code, "") and words in found.err
    assert path.read_bytes() == before


def test_an_account_needs_a_box_that_there_is(run, path):
    before = path.read_bytes()
    add = ("account", "add", "cook", "--provider", "posteo", "--user", "c", "--password-stdin")
    assert "expected either box" in run(*add, password="x").err
    assert "found 'nobody'; expected one of the boxes: captain, cook" in run(*add, "--box", "nobody", password="x").err
    assert path.read_bytes() == before


@pytest.mark.parametrize("arguments", [
    ("relays",), ("relay", "add"), ("account", "make", "x"), ("provider", "show"), ("provider", "all"), ("discover",),
    ("import", "muttrc", "x"), ("import", "mpoprc"), ("relay", "set", "--password", "x"), ("relay", "set", "--host"),
    ("provider", "--config", "x"), ("discover", "a@b.example", "--config", "x"), ("import", "mpoprc", "x", "--json"),
    ("import", "mpoprc", "x", "--config", "y", "--config", "z"),
], ids=" ".join)
def test_a_command_line_that_is_none(path, capsys, arguments):
    assert mailtransportcfg.main(list(arguments), str(path)) == 64
    said = capsys.readouterr()
    assert said.out == "" and said.err.splitlines()[1:] == ["`mailtransportcfg --help` shows what there is."]


def test_without_a_mail_cfg(tmp_path, capsys):
    assert mailtransportcfg.main([str(tmp_path / "none.cfg")]) == 78
    assert "`mailcfg` makes one" in capsys.readouterr().err


# Providers, and the DNS

def test_an_address_of_which_nothing_is_found(run, path, monkeypatch):
    before = path.read_bytes()
    answer(monkeypatch, why="there is no domain shore.example: is the address right?")
    found = run("relay", "set", "--address", "owner@shore.example")
    assert found == (69, "", "owner@shore.example: there is no domain shore.example: is the address right?\n")
    assert path.read_bytes() == before


def answer(monkeypatch, *offers, why=""):
    monkeypatch.setattr(discover, "discover", lambda address: Found(offers, why))


FOREIGN = Offer("imap", "mail.other.example", 993, "implicit", "owner@shore.example", "the DNS",
                needs_confirmation=True)


def test_providers_are_listed_and_shown(capsys):
    assert mailtransportcfg.main(["provider"]) == 0
    assert "gmail          Gmail\n" in capsys.readouterr().out
    assert mailtransportcfg.main(["provider", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["posteo"]["title"] == "Posteo"
    assert mailtransportcfg.main(["provider", "show", "outlook"]) == 0
    assert "which takes no password" in capsys.readouterr().out
    assert mailtransportcfg.main(["provider", "show", "GMX", "--json"]) == 0
    assert {"service": "imap", "host": "imap.gmx.net", "port": 993, "tls": "implicit", "passwords": True} in json.loads(
        capsys.readouterr().out)["servers"]


def test_discover(monkeypatch, capsys):
    answer(monkeypatch, FOREIGN)
    assert mailtransportcfg.main(["discover", "owner@shore.example"]) == 0
    assert "in another domain than the address" in capsys.readouterr().out
    assert mailtransportcfg.main(["discover", "owner@shore.example", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["offers"][0]["needs_confirmation"] is True
    answer(monkeypatch, why="this machine knows no name server, so it is not on line")
    assert mailtransportcfg.main(["discover", "owner@shore.example"]) == 69
    assert capsys.readouterr().out == "this machine knows no name server, so it is not on line\n"


def test_a_server_in_another_domain_gets_no_password_unless_somebody_says_so(run, path, monkeypatch):
    answer(monkeypatch, FOREIGN)
    words = ("account", "add", "owner", "--address", "owner@shore.example", "--box", "captain", "--password-stdin")
    refused = run(*words, password=PASSWORD)
    assert refused.code == 64 and "if it may get the password, say --yes" in refused.err
    assert run(*words, "--yes", password=PASSWORD).code == 0
    assert accounts(path)["owner"]["host"] == "mail.other.example"


# Trials

@pytest.fixture
def connected(run, path, shore):
    """The relay and an account, as they should be."""
    trust = ("--ca-file", str(shore.certificate.authority), "--host", "localhost", "--password-stdin")
    assert run("relay", "set", *trust, "--port", str(shore.postfix.submissions), "--user", "owner",
               password=PASSWORD).code == 0
    assert run("account", "add", "owner", *trust, "--type", "imap", "--port", str(shore.dovecot.imaps), "--user",
               "owner", "--box", "captain", password=PASSWORD).code == 0


def test_everything_is_tried_at_once(run, path, connected):
    before = path.read_bytes()
    found = run("account", "test")
    assert found.code == 0 and path.read_bytes() == before
    assert "relay: works\n" in found.out and "account owner: works\n" in found.out and "12 messages wait" in found.out
    assert json.loads(run("account", "test", "owner", "--json").out)["account owner"]["messages"] == 12
    assert run("relay", "test").out.startswith("relay: works\n")


def test_what_does_not_work_is_said_by_the_exit_code_too(run, connected):
    run("account", "set", "owner", "--password-stdin", password="wrong")
    assert run("account", "test").code == 69
    alone = run("account", "test", "owner")
    assert alone.code == 69 and "account owner: DOES NOT WORK\n" in alone.out
    assert "The login as owner was refused" in alone.out
    run("account", "set", "owner", "--password-stdin", password=PASSWORD)
    run("account", "set", "owner", "--port", str(free_port()))
    later = run("account", "test")
    assert later.code == 75 and "relay: works\n" in later.out and "account owner: DOES NOT WORK NOW\n" in later.out
    found = json.loads(run("account", "test", "owner", "--json").out)["account owner"]
    assert (found["ok"], found["failure"]) == (False, "temporary")


def test_nothing_to_try(run):
    assert run("account", "test") == (0, "There is neither a relay nor an account.\n", "")
    assert run("relay", "test").code == 69


# Dialogues

def on_terminal(*arguments, program=None):
    """mailtransportcfg on a Terminal."""
    return Terminal(mailtransportcfg.main, *arguments, program=program)


def by_hand(host, port, shore, user="owner", password=PASSWORD, login=()):
    """A server that nothing is known of; `login` what is asked about the relay's."""
    return [
        ("special port, or a certificate of its own", "y"), ("The provider's server", host), ("Encryption", "implicit"),
        ("Its port", port), ("fingerprint", ""), ("authorities", shore.certificate.authority), *login,
        ("user name", user), ("The password there", password), ("Once more", password),
    ]


def first_set_up(shore, tries_relay="n"):
    """Everything from the beginning, without a mistake, up to the question whether to write it."""
    return [
        ("provider that sends our mail on", ""), ("address there", "owner@shore.example"), ("Ask the DNS", "n"),
        *by_hand("localhost", shore.postfix.submissions, shore), ("Try it now", tries_relay),
        ("account at a provider to fetch from", ""), ("address there", ""), ("A name for the account", ""),
        ("Ask the DNS", "n"), ("Protocol", ""), *by_hand("localhost", shore.dovecot.imaps, shore), ("Try it now", ""),
        ("The box here", "captain"), ("put it straight into captain", ""), ("What becomes of a message", "keep"),
        ("first call takes", "newest 10"), ("rare questions", "y"), ("folder", ""), ("One more account", ""),
        ("Write this", "y"),
    ]


def play(path, script):
    """The Terminal after a script, and its exit code."""
    terminal = on_terminal(path)
    terminal.play(script)
    return terminal, terminal.end()


def test_a_first_set_up_by_the_program_itself(path, shore):
    """As a person has it, with a wrong password first."""
    terminal = on_terminal(path, program=PROJECT / "bin/mailtransportcfg")
    script = first_set_up(shore, tries_relay="y")
    wrong = [index for index, (question, _) in enumerate(script) if question in ("The password there", "Once more")][:2]
    for index in wrong:
        script[index] = (script[index][0], "wrong")
    at = script.index(("Try it now", "y")) + 1
    script[at:at] = [("What now [password]", ""), ("The password there", PASSWORD), ("Once more", PASSWORD)]
    terminal.play(script)
    code, said = terminal.end(), terminal.said
    assert code == 0, said
    assert "The login as owner was refused: 535" in said and "relay: works" in said and "account owner: works" in said
    assert re.search(r"1 all +12 messages, 1[0-9]+ kB", said) and re.search(r"newest 10 +1[0-9]+ kB", said)
    assert PASSWORD not in said and "password = (not shown)" in said
    assert relay_of(path)["password"] == PASSWORD and relay_of(path)["ca_file"] == str(shore.certificate.authority)
    owner = accounts(path)["owner"]
    assert (owner["type"], owner["port"], owner["box"], owner["after"], owner["backlog"]) == (
        "imap", shore.dovecot.imaps, "captain", -1, 10)
    assert config.load(str(path)).addresses["owner@shore.example"] == "captain"
    assert path.read_text().startswith(path.with_name("mail.cfg.previous").read_text().partition("[[captain]]")[0])


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "end-of-input"])
def test_who_leaves_at_any_question_leaves_mail_cfg_as_it_was(path, shore, key):
    script, before = first_set_up(shore), path.read_bytes()
    for count in range(len(script)):
        terminal = on_terminal(path)
        terminal.play(script[:count])
        terminal.wait_for(script[count][0])
        terminal.press(key)
        assert terminal.end() == LEFT and "Nothing was written." in terminal.said, script[count]
        assert path.read_bytes() == before, script[count]
    assert sorted(file.name for file in path.parent.iterdir()) == ["mail.cfg", "spool"]


CHANGES = [
    ("What now", "try all"), ("What now", "change an account"), ("Which account", "owner"), ("Protocol", ""),
    ("special port", ""), ("The provider's server", ""), ("Encryption", ""), ("Its port", ""), ("authorities", ""),
    ("user name", ""), ("The password there", ""), ("Try it now", "n"), ("The box here", "cook"),
    ("What becomes of a message", ""), ("first call takes", ""), ("rare questions", "y"), ("folder there", "Ship"),
    ("How it deletes", "move"), ("moves them to", "Done"), ("What now", "rename an account"), ("Which account", ""),
    ("Its new name", "boss"), ("What now", "relay"), ("another provider now", ""), ("special port", ""),
    ("The provider's server", ""), ("Encryption", ""), ("Its port", ""), ("authorities", ""), ("user name", ""),
    ("The password there", ""), ("Try it now", "n"), ("What now", "no relay"), ("Remove the relay", "y"),
    ("What now", "done"), ("Write this", "y"),
]


def test_changes(path, connected):
    terminal, code = play(path, CHANGES)
    assert code == 0, terminal.said
    assert "relay: works" in terminal.said and "account owner: works" in terminal.said
    boss = accounts(path)["boss"]
    assert (boss["box"], boss["folder"], boss["deletion"], boss["deletion_folder"], boss["password"]) == (
        "cook", "Ship", "move", "Done", PASSWORD)
    assert relay_of(path)["host"] == ""
    terminal, code = play(path, [("What now", "delete"), ("Which account", ""), ("Delete the account boss", "y"),
                                 ("What now", ""), ("Write this", "")])
    assert code == 0 and accounts(path) == {}


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "end-of-input"])
def test_who_leaves_while_changing_leaves_mail_cfg_as_it_was(path, connected, key):
    before = path.read_bytes()
    for count in range(1, len(CHANGES)):
        terminal = on_terminal(path)
        terminal.play(CHANGES[:count])
        terminal.wait_for(CHANGES[count][0])
        terminal.press(key)
        assert terminal.end() == LEFT and path.read_bytes() == before, CHANGES[count]


def test_wrong_answers_are_asked_again_and_back_goes_back(path):
    terminal, code = play(path, [
        ("provider that sends our mail on", "perhaps"), ("provider that sends our mail on", "?"),
        ("provider that sends our mail on", ""), ("address there", "nobody"), ("address there", "?"),
        ("address there", "<"), ("provider that sends our mail on", ""), ("address there", "Captain@gmail.com"),
        ("Is that right", "<"), ("address there", "captain@gmail.com"), ("Is that right", ""), ("user name", ""),
        ("The password there", ""), ("The password there", "#'\""), ("The password there", "one"), ("Once more", "two"),
        ("The password there", "?"),
        ("The password there", "<"), ("user name", "-"), ("Try it now", "<"), ("user name", ""),
        ("The password there", PASSWORD), ("Once more", PASSWORD), ("Try it now", "n"),
        ("account at a provider to fetch from", ""), ("address there", ""), ("A name for the account", "Captain"),
        ("A name for the account", "one"), ("Is that right", "<"), ("A name for the account", "<"),
        ("address there", ""), ("A name for the account", "two"), ("Is that right", ""),
        ("The same login as the relay's (captain@gmail.com)", "?"), ("The same login", "n"), ("user name", "<"),
        ("The same login", ""), ("Try it now", "<"), ("The same login", ""), ("Try it now", "n"), ("The box here", "9"),
        ("box here that its mail goes to [captain]", ""), ("put it straight", "n"),
        ("What becomes of a message", "burn"),
        ("What becomes of a message", "keep 9 days"), ("first call takes", "some"), ("first call takes", "none"),
        ("rare questions", "<"), ("first call takes", "<"), ("What becomes of a message", "-"),
        ("first call takes", "newest 3"), ("rare questions", ""), ("One more account", ""), ("Write this", "y")])
    assert code == 0, terminal.said
    for words in ("expected yes or no", "Without one, mail to other than our own people is refused",
                  "Known by name: gmail", "the name of a provider that is known", "Needs an app password",
                  "Expected the password",
                  "The two differ", "without both kinds of quotes", "Not 'Captain': expected 1 to 64 of a-z",
                  "expected a number of 1 to 3",
                  "expected delete, keep, or keep N days", "expected all, none, or newest N"):
        assert words.replace(" ", "") in re.sub(r"\s", "", terminal.said), words
    assert list(accounts(path)) == ["two"] and relay_of(path)["user"] == "captain@gmail.com"
    assert (accounts(path)["two"]["user"], accounts(path)["two"]["password"]) == ("captain@gmail.com", PASSWORD)
    assert (accounts(path)["two"]["after"], accounts(path)["two"]["backlog"]) == (0, 3)
    assert "addresses = cook, cook@gmail.com    # hers" in path.read_text()


def test_a_server_that_does_not_answer_is_corrected(path, shore):
    nobody = free_port()
    terminal, code = play(path, [
        ("provider that sends our mail on", "n"), ("account at a provider to fetch from", ""), ("address there", "-"),
        ("A name for the account", ""), ("Protocol", "pop3"), *by_hand("localhost", nobody, shore), ("Try it now", ""),
        ("What now [again]", ""), ("What now", "server"), ("Protocol", "<"), ("What now", "server"),
        ("Protocol", "pop3"),
        ("The provider's server", ""), ("Encryption", ""), ("Its port", shore.dovecot.pop3s), ("user name", ""),
        ("fingerprint", ""), ("authorities", ""), ("The password there", ""), ("The box here", "several"),
        ("header field", ""), ("What becomes", ""), ("first call takes", ""), ("rare questions", ""),
        ("One more account", "n"), ("Write this", "")])
    assert code == 0, terminal.said
    assert terminal.said.count("Connection refused") == 2 and "account account: works" in terminal.said
    assert accounts(path)["account"]["envelope"] == "Delivered-To"


@pytest.fixture
def silent():
    """A server that says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)     # a program that fails before it connects must not keep the tests
        yield server


def test_who_does_not_wait_for_a_trial_leaves_mail_cfg_as_it_was(path, shore, silent):
    before = path.read_bytes()
    terminal = on_terminal(path)
    terminal.play([("provider that sends our mail on", ""), ("address there", "-"), 
                   *by_hand("127.0.0.1", silent.getsockname()[1], shore), ("Try it now", "y")])
    with silent.accept()[0]:
        terminal.press("\x03")
    assert terminal.end() == LEFT and path.read_bytes() == before


def test_who_does_not_wait_for_a_command_is_not_kept(run, path, silent):
    run("relay", "set", "--host", "127.0.0.1", "--port", str(silent.getsockname()[1]))
    terminal = on_terminal("relay", "test", "--config", str(path))
    with silent.accept()[0]:
        terminal.press("\x03")
    assert terminal.end() == 75 and "Traceback" not in terminal.said


def test_who_does_not_write_goes_on_or_forgets(path):
    before = path.read_bytes()
    start = [("provider that sends our mail on", "n"), ("account at a provider to fetch from", ""),
             ("address there", "cook@gmail.com"), ("A name for the account", ""), ("Is that right", ""),
             ("user name", ""), ("The password there", "x"), ("Once more", "x"), ("Try it now", "leave"),
             ("Try it now", "n"),
             ("The box here", ""), ("What becomes", ""), ("first call takes", ""), ("rare questions", ""),
             ("One more account", "n"), ("Write this", "n"), ("Forget", "n"), ("What now", "done"), ("Write this", "n"),
             ("Forget", "y"), ("What now", "done")]
    terminal, code = play(path, start)
    assert code == 0 and path.read_bytes() == before, terminal.said


def test_what_the_dns_says_is_used_if_the_person_says_so(path, monkeypatch):
    smtp = Offer("smtp", "smtp.shore.example", 465, "implicit", "owner@shore.example", "_submissions in the DNS")
    answer(monkeypatch, smtp, FOREIGN)
    terminal, code = play(path, [
        ("provider that sends our mail on", ""), ("address there", "owner@shore.example"), ("Ask the DNS", ""),
        ("Is that right", ""), ("user name", ""), ("The password there", "x"), ("Once more", "x"), ("Try it now", "n"),
        ("account at a provider to fetch from", ""), ("address there", ""), ("A name for the account", ""),
        ("May it get the password", "?"), ("May it get the password", ""), ("Protocol", "pop3"),
        ("special port", ""), ("The provider's server", ""), ("Encryption", ""), ("The same login", "n"),
        ("user name", ""),
        ("The password there", "x"), ("Once more", "x"), ("Try it now", "n"), ("The box here", "captain"),
        ("put it straight", ""), ("What becomes", ""), ("first call takes", ""), ("rare questions", ""),
        ("One more account", "n"), ("Write this", "")])
    assert code == 0 and "Whoever forges the DNS" in terminal.said, terminal.said
    assert (relay_of(path)["host"], accounts(path)["owner"]["host"]) == ("smtp.shore.example", "pop.shore.example")


@pytest.mark.parametrize("host, other, are", [
    ("smtp.shore.example", "imap.shore.example", True), ("mail.shore.example", "mail.shore.example", True),
    ("smtp-mail.outlook.com", "outlook.office365.com", True), ("smtp.gmail.com", "IMAP.gmail.com", True),
    ("smtp.shore.example", "imap.bay.example", False), ("shore.example", "bay.example", False),
    ("localhost", "otherhost", False), ("", "", False),
])
def test_whether_two_servers_are_of_one_provider(host, other, are):
    assert presets.are_of_one(host, other) == are


def test_a_first_call_is_offered_only_with_sizes_that_are_known():
    few = Outcome("", (), 3, 600, (100, 200, 300))
    assert backlog_choices(few) == (("all", "3 messages, 600 octets"), ("none", "only what comes from now on"))
    many = Outcome("", (), 5000, None, tuple([2000] * 60))
    assert backlog_choices(many) == (
        ("all", "5000 messages"), ("none", "only what comes from now on"), ("newest 10", "20 kB; any number"),
        ("newest 50", "100 kB; any number"))
    assert backlog_choices(Outcome("", ())) == backlog_choices(None) == ()


# Imports

MPOPRC = """account cook
host pop.shore.example
tls on
tls_starttls off
user cook
password sesame
delivery mbox /var/mail/cook

account mate
host pop.shore.example
tls on
tls_starttls off
user mate
timeout 10
delivery mbox /var/mail/mate
"""


@pytest.fixture
def mpoprc(tmp_path):
    file = tmp_path / "mpoprc"
    file.write_text(MPOPRC)
    return file


def test_an_import_without_a_terminal_takes_what_is_whole_and_lists_the_rest(run, path, mpoprc):
    before = path.read_bytes()
    shown = run("import", "mpoprc", str(mpoprc), "--dry-run")
    assert shown.code == 75 and "+  host = pop.shore.example" in shown.out and path.read_bytes() == before
    found = run("import", "mpoprc", str(mpoprc))
    assert found.code == 75 and "sesame" not in found.out
    assert f"{mpoprc}:14: timeout 10: amsmail has time limits of its own" in found.out
    assert "account mate: password is missing" in found.out
    assert "account mate: box is missing: the box that its mail goes to; there is no box mate" in found.out
    assert "taken over: cook" in found.out
    assert list(accounts(path)) == ["cook"] and accounts(path)["cook"]["password"] == "sesame"


def test_an_import_at_a_terminal_asks_for_what_is_missing(path, mpoprc):
    terminal = on_terminal("import", "mpoprc", str(mpoprc), "--config", str(path))
    terminal.play([("Take it over", ""), ("Take it over", "<"), ("Take it over", "n"), ("Take it over", ""),
                   ("The password there", "open"), ("Once more", "open"), ("The box here", "captain"),
                   ("Write this", "")])
    assert terminal.end() == 0, terminal.said
    assert list(accounts(path)) == ["mate"]
    assert (accounts(path)["mate"]["password"], accounts(path)["mate"]["box"]) == ("open", "captain")


def test_who_leaves_an_import_leaves_mail_cfg_as_it_was(path, mpoprc):
    before = path.read_bytes()
    script = ["Take it over", "Take it over", "The password there"]
    for count in range(len(script)):
        terminal = on_terminal("import", "mpoprc", str(mpoprc), "--config", str(path))
        terminal.play([(question, "") for question in script[:count]])
        terminal.wait_for(script[count])
        terminal.press("\x03")
        assert terminal.end() == LEFT and path.read_bytes() == before


def test_imports_that_bring_nothing(run, tmp_path):
    (tmp_path / "empty").write_text("")
    assert run("import", "fetchmailrc", str(tmp_path / "empty")).code == 69
    missing = run("import", "getmailrc", str(tmp_path / "none"))
    assert missing.code == 75 and f"{tmp_path / 'none'}: No such file" in missing.err

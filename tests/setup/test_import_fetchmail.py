"""A fetchmailrc becomes accounts: what fetchmail itself understands is what is understood here, and what it does
otherwise than amsmail is said."""

import os
import re
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from amsmail.setup.imports import fetchmail, fetchmail_grammar
from amsmail.setup.imports.accounts import fetchmailrc
from amsmail.setup.imports.fetchmail_grammar import parse
from tests.real.packages import environment, tree
from tests.site.changes import is_sound

# What fetchmail accepts; each is given to it too.
READ = {
    "the manual's basic form": 'poll pop.provider.example protocol pop3 username "jsmith" password "secret1"',
    "noise": 'poll pop.provider.example with proto pop3:\n user "jsmith" there has password "4u but u can\'t",'
             ' is jws here; and wants mda "/bin/mail"',
    "two servers": "poll a.example proto pop3 user j pass s1\npoll b.example proto imap user k pass s2 ssl",
    "server is a word for poll": "server a.example proto pop3 user j pass x",
    "several users": "poll a.example proto pop3 user j pass 0123 is jj here keep user k pass x to kk fetchall",
    "names the other way round": 'poll a.example proto pop3 user ann here is "ann@provider.example" there pass k',
    "defaults": "defaults proto pop3 user j keep ssl\npoll a.example pass x\n"
                'poll b.example user k nokeep user l pass "" no ssl',
    "defaults with names and folders": "defaults proto imap folder A B is ann here\npoll a.example user x pass y\n"
                                       "poll b.example user z pass y folder C is bob",
    "skip": "skip a.example proto pop3 user x\npoll b.example user y pass z",
    "a whole domain": 'poll a.example envelope "Delivered-To:" qvirtual mbox- localdomains x.example y.example '
                      "user dom pass k is a=b c * here",
    "an envelope to count": "poll a.example proto pop3 envelope 2 X-Original-To user dom pass k is a b here",
    "no envelope": "poll a.example no envelope user dom pass k is a b here",
    "noenvelope": "poll a.example noenvelope nodns nouidl user dom pass k is a b here",
    "one name mapped": "poll a.example user a pass k is b=c here",
    "a wildcard alone": 'poll a.example user a is "*" here',
    "no user's name": "poll a.example proto pop3 pass z is q",
    "no user at all": "poll a.example proto pop3",
    "via and a service": "poll label via mail.example proto imap service imaps user x pass y ssl",
    "a port": "poll mail.example proto pop3 port 8110 user x pass y",
    "via and a numbered service": "poll label via mail.example proto APOP service 8110 user x pass y",
    "TLS": 'poll a.example proto imap user x pass y ssl sslproto "TLS1.2+" sslcertck sslcertfile /etc/ca.pem',
    "no TLS": 'poll a.example proto pop3 user x pass y sslproto "" no sslcertck',
    "an MD5 digest": 'poll a.example proto pop3 user x pass y ssl sslfingerprint "00:11:22"',
    "folders": 'poll a.example proto imap user x folder a,b,"c d" folders e ssl pass y',
    "a comment": "# all\npoll a.example # here\n proto pop3 user x#y pass #no comment: the last token was\n z#",
    "a word with quotes inside": 'poll a.example user "a"b pass "c\\"d"',
    "single quotes": "poll a.example user 'a b' pass 'c\"d'",
    "escapes": 'poll a.example user x\\101\\x41\\0101 pass "a\\tb\\\\\\q\\\nc"',
    "keywords as names": "poll a.example timeout 5 user poll password keep is folder here",
    "equals signs": "poll a.example user x=y here pass k",
    "a joined line": "poll a.example \\\n proto pop3 user x pass y",
    "options of all kinds": "set daemon 300\nset logfile /tmp/x\nset no bouncemail\nset postmaster=joe\n"
                            "poll a.example proto imap interval 3 timeout 60 aka b c uidl tracepolls bad-header accept "
                            "auth cram-md5 esmtpname x esmtppassword y user j pass p smtphost localhost/24 antispam "
                            "571 550 smtpname a@b.example limit 1000 batchlimit 3 fetchlimit 4 fastuidl 5 expunge 6 "
                            "warnings 7 fetchsizelimit 8 no rewrite stripcr forcecr pass8bits dropstatus "
                            "dropdelivered mimedecode idle flush limitflush lmtp preconnect a postconnect b "
                            "sslkey /k sslcert /c sslcertpath /p sslcommonname n properties q",
    "passwords that AUTH knows": "poll a.example auth password user x pass password",
    "a plugin": 'poll a.example proto imap plugin "ssh %h imapd" auth ssh user esr is esr',
    "an empty file": "",
}
# What it refuses.
REFUSED = {
    "an option of a server behind users": "poll a.example user x proto pop3",
    "a user behind options without a user": "poll a.example pass z user y pass k",
    "an unknown word": "poll a.example frob user x",
    "a mixed case": "poll a.example proto Pop3 user x",
    "a number for a name": "poll a.example proto imap user x folder 12",
    "no name": "poll a.example user",
    "an unknown setting": "set frob 1",
    "several users there": "poll a.example user a b pass c",
    "a value without an option": "poll a.example user x pass y z",
    "nosslcertck in one word": "poll a.example user x nosslcertck pass y",
}
# Our names of options, and those of fetchmail --configdump where they differ.
NAMES = {"folder": "mailboxes", "smtphost": "smtphunt", "mimedecode": "mimedecode"}
NOT_DUMPED = {"esmtppassword", "checkalias", "antispam", "forceidle", "localnames", "user", "auth", "protocol",
              "envelope", "envelope skip", "smtphost", "port", "bad-header"}


@pytest.fixture(scope="session")
def dump(tmp_path_factory):
    """What the real fetchmail understands: a function of a text that gives its list of servers, None if it refuses."""
    root, folder = tree("fetchmail"), tmp_path_factory.mktemp("fetchmail")
    rc = folder / "rc"

    def run(text):
        rc.unlink(missing_ok=True)
        rc.write_bytes(text.encode() + b"\n")
        rc.chmod(0o600)
        done = subprocess.run([root / "usr/bin/fetchmail", "-f", rc, "--configdump"], capture_output=True,
                              env={**environment(root), "HOME": str(folder), "LC_ALL": "C"})
        if b"syntax error" in done.stderr or b"server option after user" in done.stderr:
            return None
        found = {}
        # An octet that cannot be shown is written as \0x01, which Python reads otherwise.
        python = re.sub(r"\\\\|\\0x([0-9a-f]{2})", lambda match: f"\\x{match[1]}" if match[1] else match[0],
                        done.stdout.decode("latin-1"))
        exec(python, found)
        return found.get("fetchmailrc", {"servers": []})["servers"]
    return run


def understood(text):
    """What is understood here, one (server, options) an entry, defaults merged in."""
    entries, _, wrong = parse(text)
    defaults = {}
    if entries and not entries[0].server:
        defaults = entries.pop(0).options
    merged = [(entry, {name: value for name, (value, _) in {**defaults, **entry.options}.items()}) for entry in entries]
    return merged, wrong


def octets(text):
    return text.encode("latin-1") if text is not None else None


def same(value, dumped):
    if isinstance(value, list):
        return [each.encode("utf-8", "surrogateescape") for each in value] == [octets(each) for each in dumped]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape") == octets(dumped)
    return value == dumped


def compare(text, servers):
    merged, wrong = understood(text)
    assert not wrong
    users = [(server, user) for server in servers for user in server["users"]]
    assert len(users) == len(merged)
    for (entry, options), (server, user) in zip(merged, users):
        assert (entry.server, entry.is_polled) == (server["pollname"], bool(server["active"]))
        for name, value in options.items():
            if name not in NOT_DUMPED:
                place = server if NAMES.get(name, name) in server else user
                assert same(value, place[NAMES.get(name, name)]), name
        assert options.get("protocol", "auto") == server["protocol"].lower()
        assert str(options.get("port", options.get("service")) or "") == (server["service"] or "")
        assert options.get("envelope", "Received") == (server["envelope"] or "")
        assert options.get("envelope skip", 0) == server["envskip"]
        assert options.get("auth", "any").split("-")[0] in (server["auth"].split("-")[0], "ssh")
        if "user" in options:
            assert same(options["user"], user["remote"])
        if any(name != "*" for name, _ in options.get("localnames", ())):
            assert options["localnames"] == [each if isinstance(each, tuple) else (each, None)
                                             for each in user["localnames"]]


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_what_fetchmail_reads_is_read_as_fetchmail_reads_it(text, dump):
    compare(text, dump(text))


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_fetchmail_refuses_is_listed_and_brings_no_account(text, dump):
    assert dump(text) is None
    imported = fetchmailrc(text)
    assert imported.changes == {} and imported.wanted == {}
    assert "passed over: this server" in imported.left_out[0][2]


WORDS = st.text(st.sampled_from("ab1#'\"\\x0 \t,=:"), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(user=WORDS, password=WORDS, quote=st.sampled_from(["'", '"', ""]))
def test_any_strings_are_read_as_fetchmail_reads_them(dump, user, password, quote):
    text = f"poll a.example proto pop3 user {quote}{user}{quote} pass {quote}{password}{quote}\n is joe"
    servers = dump(text)
    if servers is None:
        assert parse(text)[2]
    elif "\\0" not in text and "\\x" not in text:        # a NUL ends fetchmail's strings
        compare(text, servers)


def values(imported, name):
    return {keys[2]: text for keys, text in imported.changes.items() if keys[1] == name}


def told(imported, word):
    return [why for _, what, why in imported.left_out if word in what]


ACCOUNTS = {
    "poll pop.example proto pop3 user j pass s is ann here ssl":
        {"type": "pop3", "host": "pop.example", "user": "j", "password": "s", "tls": "implicit", "after": "delete",
         "box": "ann"},
    "poll x via mail.example proto imap port 993 user j pass s is ann here ssl keep fetchall folder News":
        {"type": "imap", "host": "mail.example", "port": "993", "user": "j", "password": "s", "tls": "implicit",
         "after": "keep", "box": "ann", "folder": "News"},
    "poll pop.example proto apop service 'pop3' user j@p.example pass s is Ann":
        {"type": "pop3", "host": "pop.example", "port": "110", "user": "j@p.example", "password": "s",
         "tls": "starttls", "after": "delete", "box": "ann"},
    "poll pop.example proto pop3 user j pass s is ann sslproto ''":
        {"type": "pop3", "host": "pop.example", "user": "j", "password": "s", "tls": "none", "after": "delete",
         "box": "ann"},
    'poll pop.example proto pop3 envelope "delivered-to:" qvirtual p- user j pass s is a b here ssl sslcertfile /ca':
        {"type": "pop3", "host": "pop.example", "user": "j", "password": "s", "tls": "implicit", "after": "delete",
         "envelope": "Delivered-To", "envelope_prefix": "p-", "ca_file": "/ca"},
}


@pytest.mark.parametrize("text", ACCOUNTS)
def test_an_account(text):
    imported = fetchmailrc(text)
    assert values(imported, "j") == ACCOUNTS[text]
    assert imported.wanted == {}


@pytest.mark.parametrize("text, what", [
    ("poll h.example proto pop3 user j pass s is a", "no ssl"),
    ("poll h.example proto pop3 user j pass s is a ssl keep", "keep"),
    ("poll h.example proto imap user j pass s is a ssl", "no fetchall"),
    ("poll h.example proto pop3 user j pass s is a sslproto ''", "sslproto"),
    ("poll h.example proto pop3 user j pass s is a ssl no sslcertck", "no sslcertck"),
    ("poll h.example proto pop3 user j pass s is a ssl sslfingerprint '00:11'", "sslfingerprint"),
    ("poll h.example user j pass s is a ssl", "no protocol"),
    ("poll h.example proto pop3 user j pass s is a ssl sslcertfile ca.pem", "ca_file"),
    ("poll h.example proto pop3 service maildrop user j pass s is a ssl", "service maildrop"),
    ("poll h.example proto pop3 user j pass s is a b ssl no rewrite", "no rewrite"),
    ("poll h.example proto pop3 user j pass s is a * here ssl", "*"),
    ("poll h.example proto pop3 envelope 1 Received user j pass s is a b here ssl", "envelope 1"),
    ("poll h.example proto pop3 envelope X-Envelope-To user j pass s is a b here ssl", "envelope X-Envelope-To"),
    ("poll h.example proto pop3 envelope Delivered-To user j pass s is a ssl", "envelope"),
    ("poll h.example proto apop user j pass s is a ssl", "apop"),
    ("set daemon 60 poll h.example proto pop3 user j pass s is a ssl", "set daemon"),
    ("poll h.example proto pop3 user j pass s is a ssl folder x", "folder"),
])
def test_what_differs_is_told(text, what):
    imported = fetchmailrc(text)
    assert told(imported, what)
    assert "j" in imported.names()


@pytest.mark.parametrize("text", [
    "skip h.example proto pop3 user j pass s is a ssl", "poll h.example proto etrn user j pass s",
    "poll h.example proto kpop user j pass s", "poll h.example proto imap auth gssapi user j pass s",
    'poll h.example proto imap plugin "ssh %h" user j pass s', "poll h.example proto pop2 user j pass s"])
def test_an_account_that_would_be_another_one_here_is_left_out(text):
    imported = fetchmailrc(text)
    assert imported.names() == []
    assert any("not taken over" in why for _, _, why in imported.left_out)


@pytest.mark.parametrize("text, key", [
    ("poll h.example proto pop3 user j is a ssl", "password"), ("poll h.example proto pop3 pass s is a ssl", "user"),
    ("poll h.example proto pop3 user j pass s ssl", "box"), ("poll h.example user j pass s is 'a b' ssl", "box"),
    ("poll h.example user j pass \"a\\nb\" is a ssl", "password"),
    ("poll h.example user j pass a\\233 is a", "password"),
    ("poll h.example envelope X user j pass s is a b here ssl", "box")])
def test_what_only_a_person_can_say_is_wanted(text, key):
    imported = fetchmailrc(text)
    assert [keys[2] for keys in imported.wanted] == [key]


def test_each_folder_is_an_account():
    imported = fetchmailrc("poll h.example proto imap user j pass s is a ssl folder INBOX, 'Old mail'", taken=["j"])
    folders = {name: values(imported, name)["folder"] for name in imported.names()}
    assert folders == {"j-2": "INBOX", "j-3": "Old mail"}


def test_no_option_is_dropped_in_silence():
    handled = {"via", "service", "port", "qvirtual", "password", "folder", "keep", "fetchall", "ssl", "sslproto",
               "sslcertck", "sslcertfile"}
    known = {**fetchmail_grammar._SERVER, **fetchmail_grammar._USER, "bad-header": 0}
    assert known.keys() == handled | fetchmail._LEFT.keys() | fetchmail._PREVENTS.keys()
    assert fetchmail_grammar._SET.keys() == fetchmail._GLOBALS.keys()


def test_a_list_shows_no_secret():
    text = ("poll a.example proto pop3 user x pass my secret is a\n"
            'poll b.example proto pop3 user y pass "sec\\nret" esmtppassword secret is b ssl')
    assert "sec" not in repr(fetchmailrc(text).left_out)


@pytest.mark.parametrize("text", [
    "defaults proto pop3 user j frob keep\npoll a.example pass z is b ssl",
    "poll a.example pass z is b ssl\ndefaults proto pop3 user j keep\npoll b.example pass z is b ssl",
    "defaults proto pop3 user j user k keep\npoll a.example pass z is b ssl"])
def test_an_error_in_the_defaults_spoils_all(text):
    """`keep` may stand there: without it all mail would be deleted at the provider."""
    imported = fetchmailrc(text)
    assert imported.names() == [] and "all servers" in imported.left_out[0][2]


@pytest.mark.parametrize("how", ["proto apop", "proto pop3 auth cram-md5"])
def test_a_password_that_fetchmail_did_not_send_is_not_sent_in_clear(how):
    imported = fetchmailrc(f"poll a.example {how} user j pass s is a sslproto ''")
    assert values(imported, "j")["tls"] == "starttls" and told(imported, how.split()[-1])


def test_a_password_in_another_character_set_is_wanted():
    imported = fetchmailrc("poll a.example proto pop3 user j pass 'caf\\xe9' is a ssl")
    assert told(imported, "account j: password = a value that is not shown here") == ["is no UTF-8 text"]
    assert imported.wanted == {("accounts", "j", "password"): "the password at the provider"}


def test_what_stands_behind_an_error_is_taken_from_the_next_poll_on():
    imported = fetchmailrc("poll a.example user x frob 1 keep\npoll b.example proto pop3 user y pass z is b ssl")
    assert imported.names() == ["y"]
    assert imported.left_out[0][0] == 1


@settings(deadline=None)
@given(st.lists(st.sampled_from(["poll", "a.example", "user", "pass", "is", "here", "there", "=", "keep", "no", "ssl",
                                 "folder", "5", '"q"', "set", "defaults", "envelope", "\n", "#", "'", "proto", "pop3",
                                 "skip", "antispam", "*", ",", "auth", "via", os.sep]), max_size=30))
@example(["set", "syslog", "\n", "poll"])
def test_no_text_breaks_it(words):
    assert is_sound(fetchmailrc(" ".join(words)))

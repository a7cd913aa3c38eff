"""Trials of a relay and of accounts: at Postfix and Dovecot, and at servers that do what those would not."""

import base64
import re
import socket
import threading
import time

import pytest

from amsmail.setup.provider import trial, trials, visits
from amsmail.setup.provider.report import Outcome
from amsmail.site import resolve
from amsmail.transport import connect
from amsmail.transport.call import Call
from amsmail.transport.carrier import Untrusted
from amsmail.transport.line import Line
from amsmail.transport.result import PERMANENT, TEMPORARY

from ..mailcheck.imap_peer import ImapProvider
from ..mailcheck.peers import CUT, Peer, Provider, Relay
from ..mailcheck.silence import fall_silent, read_only
from ..mailcheck.sites import Impatient, Site, account, relay
from ..real.process import free_port
from .provider_ashore import PASSWORD, provider_ashore

SMALL, LARGE = b"Subject: small\n\nHello.\n", b"Subject: large\n\n" + b"many words\n" * 30_000


@pytest.fixture(scope="module")
def shore():
    with provider_ashore() as shore:
        yield shore


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "yacht")


@pytest.fixture
def mail(shore):
    shore.boxes.empty("owner")
    for text in SMALL, LARGE:
        shore.boxes.deliver("owner", text)


@pytest.fixture
def relay_trial(site):
    """A function: what came of a trial of the relay with these settings, over this line."""
    def tried(port, line=Line(), **settings):
        site.configure(relay=relay(port, **{"user": "owner", "password": PASSWORD, **settings}))
        return checked(trial.of_relay(site.site, Call(line)).run())
    return tried


@pytest.fixture
def account_trial(site):
    """The same of the account `owner`."""
    def tried(port, line=Line(), **settings):
        site.configure(accounts=account(port, **{"user": "owner", "password": PASSWORD, **settings}))
        return checked(trial.of_account(site.site, "owner", Call(line)).run())
    return tried


def checked(result):
    """An Outcome whose lines may be shown: no secret in them, nothing but text, each begun as a sentence is."""
    for line in result.lines:
        assert line.isprintable()
        for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(),
                       base64.b64encode(f"\0owner\0{PASSWORD}".encode()).decode()):
            assert secret not in line
    return result


def trusted(shore, **settings):
    return {"ca_file": shore.certificate.authority, **settings}


def wire(text):
    return len(text.replace(b"\n", b"\r\n"))


# At real servers: all is well

@pytest.mark.parametrize("tls, port", [("implicit", "submissions"), ("starttls", "submission")])
def test_a_relay_that_is_right(shore, relay_trial, tls, port):
    port = getattr(shore.postfix, port)
    result = relay_trial(port, **trusted(shore, tls=tls))
    assert result.ok and result.messages is None
    reached, encrypted, *others = result.lines
    assert reached == f"127.0.0.1 port {port} is reached at 127.0.0.1."
    assert re.fullmatch(r"TLS is on \(TLSv1\.\d \S+\), and the certificate is to be trusted\.", encrypted)
    assert others == [
        "The login as owner was accepted.",
        "SIZE: it takes messages of up to 10 MB.",
        "CHUNKING and PIPELINING: all messages go in one flow.",
    ]


def test_nothing_is_sent_to_a_relay(shore, relay_trial):
    assert relay_trial(shore.postfix.submissions, **trusted(shore, tls="implicit")).ok
    assert logged(shore.postfix.log, "ehlo=1 auth=1 quit=1 commands=3")
    assert " mail=" not in shore.postfix.log.read_text()


def test_a_relay_without_tls_and_login(shore, relay_trial):
    result = relay_trial(shore.postfix.smtp, user="", password="")
    assert result.ok
    assert "tls = none: whoever listens on the way reads the mail, and the password." in result.lines
    assert "No login is set, though the server offers one (AUTH): probably it wants one." in result.lines


ACCOUNTS = [("pop3", "implicit", "pop3s"), ("pop3", "starttls", "pop3"), ("imap", "implicit", "imaps"),
            ("imap", "starttls", "imap")]
MEANINGS = {
    "pop3": ["PIPELINING: all messages come in one flow."],
    "imap": ["UIDPLUS: what was fetched is deleted there at once.", "COMPRESS: everything comes compressed."],
}


@pytest.mark.parametrize("kind, tls, port", ACCOUNTS)
def test_an_account_that_is_right(shore, mail, account_trial, kind, tls, port):
    result = account_trial(getattr(shore.dovecot, port), **trusted(shore, type=kind, tls=tls))
    assert result.ok
    sizes = [wire(SMALL), wire(LARGE)]
    assert (result.messages, result.octets, sorted(result.sizes)) == (2, sum(sizes), sizes)
    assert list(result.lines[2:]) == [
        "The login as owner was accepted.", *MEANINGS[kind], "2 messages wait there, 360 kB."]


def test_an_account_with_nothing_in_it(shore, account_trial):
    shore.boxes.empty("owner")
    for kind in "pop3", "imap":
        result = account_trial(getattr(shore.dovecot, kind), type=kind)
        assert (result.ok, result.messages, result.octets, result.sizes) == (True, 0, 0, ())
        assert result.lines[-1] == "0 messages wait there, 0 octets."


def test_nothing_is_fetched_and_nothing_is_changed_by_pop3(shore, mail, account_trial):
    assert account_trial(shore.dovecot.pop3).ok
    for line in logged(shore.dovecot.log, "pop3(owner)"):
        assert "top=0/0, retr=0/0, del=0/" in line


def test_nothing_is_fetched_and_nothing_is_changed_by_imap(shore, mail, account_trial):
    assert account_trial(shore.dovecot.imap, type="imap").ok
    for line in logged(shore.dovecot.log, "imap(owner)"):
        assert int(re.search(r" out=(\d+)", line)[1]) < 3000 and "deleted=0 expunged=0" in line
    assert sorted(shore.boxes.messages("owner")) == sorted([SMALL, LARGE])
    names = [file.name for part in ("new", "cur") for file in (shore.boxes.folder / "owner" / part).iterdir()]
    assert not any("S" in name.partition(":2,")[2] for name in names)


def logged(log, words):
    """The lines of a server's log with these words; it writes them when the client has gone."""
    for _ in range(250):
        if found := [line for line in log.read_text().splitlines() if words in line and "isconnect" in line]:
            return found
        time.sleep(0.02)
    raise AssertionError(log.read_text())


# At real servers: something is wrong

def test_a_wrong_password_at_the_relay(shore, relay_trial):
    result = relay_trial(shore.postfix.submissions, **trusted(shore, tls="implicit", password="wrong"))
    assert result.failure == PERMANENT
    assert result.lines[-1].startswith("The login as owner was refused: 535 5.7.8 Error: authentication failed")


@pytest.mark.parametrize("kind, words", [("pop3", "[AUTH] Authentication failed."),
                                         ("imap", "[AUTHENTICATIONFAILED] Authentication failed.")])
def test_a_wrong_password_at_an_account(shore, account_trial, kind, words):
    result = account_trial(getattr(shore.dovecot, kind), type=kind, password="wrong")
    assert (result.failure, result.messages) == (PERMANENT, None)
    assert result.lines[-1] == f"The login as owner was refused: {words}"


@pytest.mark.parametrize("tls, port", [("implicit", "imaps"), ("starttls", "imap")])
def test_a_certificate_that_nobody_vouches_for(shore, account_trial, tls, port):
    port = getattr(shore.dovecot, port)
    result = account_trial(port, type="imap", tls=tls)
    fingerprint = f"sha256:{shore.certificate.fingerprint.replace(':', '').lower()}"
    assert result.failure == PERMANENT
    assert result.lines[1].startswith(f"127.0.0.1 port {port}: the TLS handshake failed: ")
    assert result.lines[2].startswith("No authority that this machine trusts vouches for it.")
    assert result.lines[-1] == f"fingerprint = {fingerprint}"
    assert not any(line.startswith("The login") for line in result.lines)
    pinned = account_trial(port, type="imap", tls=tls, fingerprint=fingerprint)
    assert pinned.ok and "the certificate is the pinned one." in pinned.lines[1]


def test_another_certificate_than_the_pinned_one(shore, relay_trial):
    result = relay_trial(shore.postfix.submission, tls="starttls", fingerprint=f"sha256:{'ab' * 32}")
    assert result.failure == PERMANENT and "not the one in mail.cfg" in result.lines[1]
    assert result.lines[2] == "The provider may have a new one, or it is somebody else who answers."
    assert shore.certificate.fingerprint.replace(":", "").lower() in result.lines[-1]


def test_a_certificate_for_another_name(shore, relay_trial, monkeypatch):
    for module in trial, connect:
        monkeypatch.setattr(module, "addresses", lambda host: ["127.0.0.1"])
    result = relay_trial(shore.postfix.submissions, **trusted(shore, tls="implicit", host="mail.shore.example"))
    assert "The certificate is for another name: look whether host is what the provider says." in result.lines


def test_a_certificate_that_is_too_old(shore, relay_trial, monkeypatch):
    def expired(*_):
        raise Untrusted("the TLS handshake failed: certificate has expired")
    monkeypatch.setattr(connect.Provider, "start_tls", expired)
    result = relay_trial(shore.postfix.submissions, **trusted(shore, tls="implicit"))
    assert result.lines[-1] == "Look whether this machine's clock is right."


@pytest.mark.parametrize("kind, port", [("smtp", "smtp"), ("pop3", "pop3"), ("imap", "imap")])
def test_plain_text_where_tls_was_asked_for(shore, relay_trial, account_trial, kind, port):
    if kind == "smtp":
        result = relay_trial(shore.postfix.smtp, tls="implicit")
    else:
        result = account_trial(getattr(shore.dovecot, port), type=kind, tls="implicit")
    assert result.failure == PERMANENT
    assert result.lines[-1].startswith("The server speaks without TLS on this port: perhaps tls = starttls is right")


def test_tls_where_plain_text_was_asked_for(shore, account_trial):
    result = account_trial(shore.dovecot.imaps, Impatient(), **trusted(shore, type="imap", tls="starttls"))
    assert result.failure == TEMPORARY
    assert "perhaps this port is for TLS from the first octet" in result.lines[-1]


def test_a_folder_that_is_not_there(shore, account_trial):
    result = account_trial(shore.dovecot.imap, type="imap", folder="Nowhere")
    assert result.failure == PERMANENT
    assert result.lines[-1].startswith("There is no folder Nowhere: ")


# Nobody, and nothing

@pytest.mark.parametrize("kind", ["pop3", "imap"])
def test_nobody_listens(account_trial, kind):
    port = free_port()
    result = account_trial(port, type=kind)
    assert result.failure == TEMPORARY
    assert result.lines == (f"127.0.0.1 port {port} cannot be reached: Connection refused.",)


def test_a_server_that_is_silent_from_the_start(relay_trial):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = relay_trial(port, Impatient(), tls="starttls")
    assert result.failure == TEMPORARY
    assert result.lines[1:] == (
        f"127.0.0.1 port {port}: nothing came for 0.3 s.",
        "It has not said a word: perhaps this port is for TLS from the first octet, tls = implicit.")


def test_a_server_that_falls_silent(account_trial):
    with Provider([]) as provider:
        fall_silent(provider, "PASS")
        result = account_trial(provider.port, Impatient())
    assert result.failure == TEMPORARY
    assert result.lines[-1] == f"127.0.0.1 port {provider.port}: nothing came for 0.3 s."


def test_silence_in_the_tls_handshake(account_trial):
    class Mute(Peer):
        def session(self):
            read_only(self)
    with Mute() as server:
        result = account_trial(server.port, Impatient(), tls="implicit")
    assert result.lines[-1].endswith("nothing came for 0.3 s.")


def refused_look_up(number):
    def addresses(*_, **__):
        raise socket.gaierror(number, "what the system says")
    return addresses


@pytest.mark.parametrize("number, failure, hint", [
    (socket.EAI_AGAIN, TEMPORARY, "No name server answers: this machine seems not to be on line."),
    (socket.EAI_NONAME, PERMANENT, "Look whether host is written as the provider says."),
])
def test_a_name_without_an_address(relay_trial, monkeypatch, number, failure, hint):
    monkeypatch.setattr(resolve.socket, "getaddrinfo", refused_look_up(number))
    result = relay_trial(25, host="mail.shore.example")
    assert result.failure == failure
    assert result.lines == ("mail.shore.example has no address: what the system says.", hint)


def test_no_server(site):
    found = trial.of_relay(site.site, Call()).run()
    assert found == Outcome(PERMANENT, ("[relay] is not set: mail for others is refused here.",))
    nowhere = trials.Candidate("", {}, {"owner": {"type": "imap", "host": "", "port": 0, "tls": "implicit"}})
    found = trial.of_account(nowhere, "owner", Call()).run()
    assert found == Outcome(PERMANENT, ("host is not set: there is no server to try.",))


def test_no_such_account(site):
    with pytest.raises(KeyError):
        trial.of_account(site.site, "nobody", Call())


# What a server says

@pytest.mark.parametrize("extensions, lines", [
    (["PIPELINING", "SIZE 35882577", "8BITMIME", "SMTPUTF8"], [
        "SIZE: it takes messages of up to 35 MB.", "PIPELINING without CHUNKING: each message costs one wait."]),
    (["SIZE 0"], [
        "It does not say how large a message may be.", "no PIPELINING: each message costs several waits.",
        "no 8BITMIME: messages with 8-bit text cannot be sent, their senders are told so.",
        "no SMTPUTF8: mail to or from addresses outside ASCII cannot be sent."]),
])
def test_what_a_relay_can_do(relay_trial, extensions, lines):
    with Relay(extensions) as server:
        result = relay_trial(server.port, user="", password="")
    assert result.ok and list(result.lines[2:]) == ["No login is set, and the server offers none.", *lines]


def test_what_a_pop3_server_cannot_do(account_trial):
    with Provider([("a", b"Hello\r\n")], uidl=False) as server:
        result = account_trial(server.port)
        assert server.retrieved == [] and len(server.messages) == 1
    assert result.ok and list(result.lines[3:]) == [
        "no PIPELINING: each message costs a wait.",
        "no TOP: the notice of a message that is held cannot say who sent it.",
        "no UIDL: messages cannot be told apart from call to call, so only after = delete with backlog = all works.",
        "1 message waits there, 7 octets."]


def test_of_many_messages_by_imap_only_the_newest_are_asked_for_their_size(account_trial, monkeypatch):
    monkeypatch.setattr(visits, "SIZES", 2)
    with ImapProvider({uid: b"x" * 100 * uid for uid in range(1, 6)}) as server:
        result = account_trial(server.port, type="imap", user="yacht", password="secret")
        assert len(server.mails) == 5
    assert result.ok
    assert (result.messages, result.octets, result.sizes) == (5, None, (400, 500))
    assert result.lines[-2:] == ("5 messages wait there.", "The newest 2 of them have 900 octets.")


def test_the_password_is_hidden_where_a_server_gives_it_back(relay_trial):
    coded = base64.b64encode(f"\0owner\0{PASSWORD}".encode()).decode()
    echo = f"535 5.7.8 what is \x1b[2J {coded}, {PASSWORD}, {'long ' * 100}?"
    with Relay(["AUTH PLAIN"], replies={"AUTH": echo}) as server:
        result = relay_trial(server.port)
    assert result.lines[-1].startswith(
        "The login as owner was refused: 535 5.7.8 what is ?[2J (not shown), (not shown), long long")
    assert len(result.lines[-1]) < 350


def test_a_server_that_ends_the_session_in_the_middle(account_trial):
    with Provider([], replies={"LIST": "-ERR the disk is full"}) as server:
        result = account_trial(server.port)
    assert result.failure == TEMPORARY
    assert result.lines[-1] == f"127.0.0.1 port {server.port}: LIST was refused: the disk is full"


@pytest.mark.parametrize("reply, words", [("-ERR no", "QUIT was refused: no"),
                                          (CUT, "the server closed the connection")])
def test_a_session_that_does_not_end_in_order_is_no_good(account_trial, reply, words):
    with Provider([("a", b"Hello\r\n")], replies={"QUIT": reply}) as server:
        result = account_trial(server.port)
    assert (result.failure, result.messages) == (TEMPORARY, 1)
    assert result.lines[-1] == f"127.0.0.1 port {server.port}: {words}"


def test_starttls_that_is_not_offered(relay_trial):
    with Relay(["AUTH PLAIN"]) as server:
        result = relay_trial(server.port, tls="starttls")
        assert not any(line.startswith("AUTH") for line in server.said)
    assert result.failure == PERMANENT
    assert result.lines[-1] == ("It cannot be used as mail.cfg says: 554 5.7.10 The server does not offer STARTTLS, "
                                "and nothing is sent in the clear")


def test_what_is_known_of_the_provider_is_said_where_it_refuses_a_login(relay_trial, account_trial, monkeypatch):
    for module in trial, connect:
        monkeypatch.setattr(module, "addresses", lambda host: ["127.0.0.1"])
    with Relay(["AUTH PLAIN"], replies={"AUTH": "535 5.7.8 No"}) as server:
        result = relay_trial(server.port, host="smtp.gmail.com")
    assert result.lines[-2] == "Gmail: the user name is the whole address."
    assert result.lines[-1].startswith("Gmail: needs an app password")
    with Relay(replies={"greeting": "554 5.7.1 No"}) as server:
        result = relay_trial(server.port, host="smtp.gmail.com")
    assert result.lines[-1] == "The server refuses to serve us: 554 5.7.1 No"
    with Provider([], replies={"PASS": "-ERR No"}) as server:
        result = account_trial(server.port, host="pop.free.fr", user="owner@free.fr")
    assert result.lines[-1] == "Free (France): the user name is only what stands in front of the @."


# Whether it may work another time

@pytest.mark.parametrize("replies, failure", [
    ({"AUTH": "535 5.7.8 No"}, PERMANENT), ({"AUTH": "454 4.7.0 The password file is locked"}, TEMPORARY),
    ({"greeting": "554 5.7.1 No"}, PERMANENT), ({"greeting": "421 4.3.2 Too busy"}, TEMPORARY),
    ({"EHLO": "450 4.7.1 Greylisted"}, TEMPORARY), ({"EHLO": CUT}, TEMPORARY),
])
def test_a_refusal_of_the_relay_is_for_good_or_for_now(relay_trial, replies, failure):
    with Relay(["AUTH PLAIN"], replies=replies) as server:
        assert relay_trial(server.port).failure == failure


@pytest.mark.parametrize("replies, failure", [
    ({"PASS": "-ERR No"}, PERMANENT), ({"PASS": "-ERR [AUTH] No"}, PERMANENT),
    ({"PASS": "-ERR [in-use] Somebody reads it"}, TEMPORARY), ({"PASS": "-ERR [SYS/TEMP] Later"}, TEMPORARY),
    ({"PASS": "-ERR [LOGIN-DELAY] Not so often"}, TEMPORARY), ({"greeting": "-ERR Too busy"}, TEMPORARY),
], ids=str)
def test_a_refusal_of_an_account_is_for_good_or_for_now(account_trial, replies, failure):
    with Provider([], replies=replies) as server:
        assert account_trial(server.port).failure == failure


@pytest.mark.parametrize("text, failure", [("[AUTHENTICATIONFAILED] No", PERMANENT), ("No", PERMANENT),
                                           ("[UNAVAILABLE] Later", TEMPORARY), ("[LIMIT] Later", TEMPORARY)])
def test_a_refusal_by_imap_is_for_good_or_for_now(account_trial, text, failure):
    class Refusing(Peer):
        def session(self):
            self.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] Hello\r\n")
            tag = self.line().split()[0]
            self.send(f"{tag} NO {text}\r\n".encode())
            self.line()
    with Refusing() as server:
        result = account_trial(server.port, type="imap")
    assert result.failure == failure and result.lines[-1] == f"The login as owner was refused: {text}"


def test_what_is_known_of_the_provider_does_not_mend_what_passes(relay_trial, monkeypatch):
    for module in trial, connect:
        monkeypatch.setattr(module, "addresses", lambda host: ["127.0.0.1"])
    with Relay(["AUTH PLAIN"], replies={"AUTH": "454 4.7.0 Later"}) as server:
        result = relay_trial(server.port, host="smtp.gmail.com")
    assert result.lines[-1] == "The login as owner was refused: 454 4.7.0 Later"


@pytest.mark.parametrize("failures, code", [
    ([], 0), (["", ""], 0), (["", TEMPORARY], 75), (["", PERMANENT], 69), ([TEMPORARY, PERMANENT], 69)])
def test_the_exit_code_is_that_of_the_worst(failures, code):
    assert trials.exit_code([Outcome(failure, ()) for failure in failures]) == code


def test_words_and_what_to_do():
    assert trials.told("relay", Outcome("", ("All is well.",))) == ["relay: works", "  All is well."]
    first, *_, last = trials.told("relay", Outcome(PERMANENT, ("No.",)))
    assert first == "relay: DOES NOT WORK" and last.startswith("  That does not mend itself")
    first, *_, last = trials.told("relay", Outcome(TEMPORARY, ("No.",)))
    assert first == "relay: DOES NOT WORK NOW" and last.startswith("  That may be only for now: try again later.")


# How long it may take

class Dripping(Peer):
    """Says one octet after the other of a greeting that does not end, until its client is gone."""

    def session(self):
        self.send(b"220 ")
        while True:
            self.send(b"x")
            time.sleep(0.02)


def test_who_drips_octets_is_left_after_a_while_and_the_others_are_told_of(site, monkeypatch):
    monkeypatch.setattr(trials, "_IN_ALL", 0.5)
    with Dripping() as slow, Provider([("a", b"Hello\r\n")]) as good:
        site.configure(relay=relay(slow.port), accounts=account(good.port))
        found = trials.try_all(site.site, trials.all_names(site.site))
    assert found["account owner"].ok and list(found) == ["relay", "account owner"]
    assert found["relay"].failure == TEMPORARY
    assert found["relay"].lines[0].endswith(" is reached at 127.0.0.1.")
    assert found["relay"].lines[-1].startswith("It was not done within 0.5 s, and so it was broken off")


def test_nothing_stays_connected(site, monkeypatch):
    """Neither what was too slow, nor what somebody did not wait for."""
    monkeypatch.setattr(trials, "_IN_ALL", 0.1)
    gone = []

    class Watching(Dripping):
        def session(self):
            try:
                super().session()
            except OSError as error:
                gone.append(error)
    with Watching() as server:
        site.configure(relay=relay(server.port))
        assert not trials.try_all(site.site, ["relay"])["relay"].ok
        until = time.monotonic() + 5
        while not gone:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_a_name_server_that_is_silent_does_not_hold_a_person(site, monkeypatch):
    monkeypatch.setattr(trials, "_IN_ALL", 0.1)
    answer = threading.Event()
    monkeypatch.setattr(trial, "addresses", lambda host: answer.wait(5) or [])
    site.configure(relay={"host": "smtp.provider.example"})
    found = trials.try_all(site.site, ["relay"])["relay"]
    answer.set()
    assert found.failure == TEMPORARY and len(found.lines) == 1

"""Connections to providers: a name is looked up on the air once, and the end of a session costs no packet more than it
must."""

import errno
import socket
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from amsmail.site.resolve import ResolveError, addresses, is_address
from amsmail.store.known import Known
from amsmail.transport import connect
from amsmail.transport.call import Call
from amsmail.transport.line import Line
from amsmail.transport.result import PERMANENT, TEMPORARY
from tests.mailcheck.imap_peer import ImapProvider
from tests.mailcheck.peers import CUT, Provider, Relay
from tests.mailcheck.sites import FLOWS, Impatient, Site, account, relay

NAME = "yacht.example"          # in the certificate
PLAIN = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS"
HERE, GONE, NEW = "127.0.0.1", "127.0.0.2", "127.0.0.3"
DAY = 86400


class Resolver:
    """Stands for the DNS: has what it was `asked`, the `threads` that did, and what it finds for every name."""

    def __init__(self, *found):
        self.found, self.asked, self.threads = found, [], []
        self.go_on = None       # an Event that it waits for, if it is to be slow

    def __call__(self, host):
        self.asked.append(host)
        self.threads.append(threading.current_thread())
        if self.go_on:
            assert self.go_on.wait(10)
        if not self.found:
            raise ResolveError(f"{host} has no address: Later")
        return list(self.found)


@pytest.fixture
def resolver(monkeypatch):
    resolver = Resolver(HERE)
    monkeypatch.setattr(connect, "addresses", resolver)
    return resolver


@pytest.fixture
def tried(monkeypatch):
    """The addresses that a connection was tried to, in order."""
    tried = []
    real = connect.Provider._stream_to
    monkeypatch.setattr(connect.Provider, "_stream_to",
                        lambda self, address: tried.append(address) or real(self, address))
    return tried


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def push(yacht, provider, host=NAME, **settings):
    """A call with one message to send."""
    yacht.configure(relay=relay(provider.port, host=host, **settings))
    yacht.enqueue()
    return yacht.push()


def known(yacht, provider, host=NAME):
    return Known(yacht.spool.state("known", "relay"), f"{host}:{provider.port}")


def pin(yacht, provider, *found, age=0, host=NAME):
    """As if an earlier call had found these addresses."""
    known(yacht, provider, host).set(addresses=[int(time.time() - age), *found])


def pinned(yacht, provider):
    """The age of the look-up in days, and the addresses."""
    looked_up, *found = known(yacht, provider).get("addresses")
    return (time.time() - looked_up) // DAY, found


# A name is looked up once

def test_the_first_call_looks_the_name_up_and_the_next_does_not(yacht, resolver):
    with Relay() as provider:
        for _ in range(3):
            assert push(yacht, provider).failures == []
        assert resolver.asked == [NAME] and len(provider.accepted) == 3
        assert pinned(yacht, provider) == (0, [HERE])


def test_a_pull_does_so_too(yacht, resolver):
    with Provider([]) as pop, ImapProvider({}) as imap:
        for provider, kind in (pop, "pop3"), (imap, "imap"):
            resolver.asked.clear()
            for _ in range(2):
                yacht.configure(accounts=account(provider.port, type=kind, host=NAME))
                assert yacht.pull().failures == []
            assert resolver.asked == [NAME] and provider.sessions == 2


def test_of_several_addresses_the_one_that_answered_is_first(yacht, resolver, tried):
    resolver.found = (GONE, HERE)
    with Relay() as provider:
        push(yacht, provider)
        assert pinned(yacht, provider) == (0, [HERE, GONE])
        push(yacht, provider)
    assert tried == [GONE, HERE, HERE] and resolver.asked == [NAME]


def test_another_pinned_address_may_answer(yacht, resolver, tried):
    with Relay() as provider:
        pin(yacht, provider, GONE, HERE)
        assert push(yacht, provider).failures == []
    assert tried == [GONE, HERE] and resolver.asked == []


def test_a_pinned_address_that_does_not_answer_any_more(yacht, resolver, tried):
    with Relay() as provider:
        pin(yacht, provider, GONE, NEW)
        assert push(yacht, provider).failures == []
        assert len(provider.accepted) == 1 and pinned(yacht, provider) == (0, [HERE])
        push(yacht, provider)
    assert resolver.asked == [NAME] and tried == [GONE, NEW, HERE, HERE]


def test_no_address_is_tried_twice_in_a_call(yacht, resolver, tried):
    resolver.found = (NEW, GONE)
    with Relay() as provider:
        pin(yacht, provider, GONE, NEW)
        (kind, text), = push(yacht, provider).failures
        assert kind == TEMPORARY and f"{NAME} port {provider.port} cannot be reached: Connection refused" in text
    assert tried == [GONE, NEW] and resolver.asked == [NAME]


def test_a_name_that_has_no_address_any_more(yacht, resolver, tried):
    resolver.found = ()
    with Relay() as provider:
        pin(yacht, provider, GONE)
        (kind, text), = push(yacht, provider).failures
        assert kind == TEMPORARY and "has no address" in text
        assert pinned(yacht, provider) == (0, [GONE])
    assert tried == [GONE] and resolver.asked == [NAME]


def test_addresses_of_another_server_are_not_taken(yacht, resolver, tried):
    with Relay() as provider:
        pin(yacht, provider, GONE, host="other.example")
        assert push(yacht, provider).failures == []
    assert tried == [HERE] and resolver.asked == [NAME]


def test_a_host_that_is_an_address_is_tried_as_it_is(yacht, tried):
    with Relay() as provider:
        pin(yacht, provider, GONE, host=HERE)
        assert push(yacht, provider, host=HERE).failures == []
    assert tried == [HERE]


@pytest.mark.parametrize("host, answer", [("127.0.0.1", True), ("::1", True), ("fe80::1%lo", True),
                                          ("2001:db8::1", True), ("smtp.example", False), ("127.1", False),
                                          ("", False)])
def test_what_is_an_address(host, answer):
    assert is_address(host) == answer


def test_the_addresses_of_an_address_are_itself(monkeypatch):
    assert addresses("127.0.0.1") == ["127.0.0.1"] and addresses("::1") == ["::1"]


# ... and again after a day, while the session goes on

@contextmanager
def slow_relay(resolver, certificate):
    """A relay that waits at MAIL until a look-up that has begun is over, and not before: so the session and the look-up
    are under way at the same time."""
    with Relay(certificate=certificate, implicit=True) as provider:
        usual = provider.reply

        def reply(command, *text):
            if command.startswith("MAIL") and resolver.go_on:
                resolver.go_on.set()
                for thread in resolver.threads:
                    thread.join(10)
            return usual(command, *text)
        provider.reply = reply
        yield provider


@pytest.mark.parametrize("age", [2 * DAY, -2 * DAY], ids=["old", "by a clock that went back"])
def test_old_addresses_are_refreshed_while_the_session_goes_on(yacht, resolver, tried, age, certificate):
    resolver.found, resolver.go_on = (HERE, NEW), threading.Event()
    with slow_relay(resolver, certificate) as provider:
        pin(yacht, provider, HERE, age=age)
        assert push(yacht, provider, tls="implicit", ca_file=certificate.path).failures == []
        assert len(provider.accepted) == 1 and pinned(yacht, provider) == (0, [HERE, NEW])
    assert resolver.asked == [NAME] and tried == [HERE]


def test_a_look_up_that_fails_keeps_the_old_ones(yacht, resolver, certificate):
    resolver.found, resolver.go_on = (), threading.Event()
    with slow_relay(resolver, certificate) as provider:
        pin(yacht, provider, HERE, age=5.5 * DAY)
        assert push(yacht, provider, tls="implicit", ca_file=certificate.path).failures == []
        assert len(provider.accepted) == 1 and pinned(yacht, provider) == (5, [HERE])
    assert resolver.asked == [NAME]


def test_addresses_of_today_are_not_refreshed(yacht, resolver):
    with Relay() as provider:
        pin(yacht, provider, HERE, age=DAY - 100)
        assert push(yacht, provider).failures == []
    assert resolver.asked == []


# Somebody else at the address

class Impostor(Relay):
    """Another server at `address`, with the port of `provider`."""

    def __init__(self, address, provider, **peer):
        super().__init__(**peer)
        self._listener.close()
        self._listener = socket.create_server((address, provider.port))

    def __exit__(self, *error):
        self._stopping = True
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def other_certificate(tmp_path, certificate):
    path, key = tmp_path / "other.pem", tmp_path / "other.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=other.example", "-addext", "subjectAltName=DNS:other.example",
                    "-keyout", key, "-out", path], check=True, capture_output=True)
    return certificate._replace(path=path, key=key)


def test_a_wrong_certificate_at_the_pinned_address(yacht, resolver, tried, certificate, other_certificate):
    with Relay(certificate=certificate, implicit=True) as provider:
        with Impostor(GONE, provider, certificate=other_certificate, implicit=True) as impostor:
            pin(yacht, provider, GONE)
            assert push(yacht, provider, tls="implicit", ca_file=certificate.path).failures == []
        assert len(provider.accepted) == 1 and impostor.said == [] and pinned(yacht, provider) == (0, [HERE])
    assert resolver.asked == [NAME] and tried == [GONE, HERE]


def test_a_wrong_certificate_behind_starttls_is_not_met_again(yacht, resolver, tried, certificate, other_certificate):
    """The connection is not made anew in the middle of a session: the next call does that."""
    with Relay(["STARTTLS"], certificate=certificate) as provider:
        settings = {"tls": "starttls", "ca_file": certificate.path}
        with Impostor(GONE, provider, extensions=["STARTTLS"], certificate=other_certificate):
            pin(yacht, provider, GONE)
            assert [kind for kind, _ in push(yacht, provider, **settings).failures] == [PERMANENT]
            assert push(yacht, provider, **settings).failures == []
        assert len(provider.accepted) == 2
    assert resolver.asked == [NAME] and tried == [GONE, HERE]


def test_a_wrong_certificate_everywhere(yacht, resolver, tried, certificate, other_certificate):
    with Relay(certificate=other_certificate, implicit=True) as provider:
        pin(yacht, provider, HERE)
        (kind, _), = push(yacht, provider, tls="implicit", ca_file=certificate.path).failures
        assert kind == PERMANENT and provider.said == []
    assert tried == [HERE]


def test_nothing_is_looked_up_once_the_call_is_over(resolver, tried):
    settings = {"host": NAME, "port": 25, "tls": "none", "ca_file": "", "fingerprint": ""}
    call = Call()
    call.end()
    with pytest.raises(connect.StreamError, match="the call is over"):
        connect.Provider("smtp", settings, call, [int(time.time()), HERE]).connect()
    assert resolver.asked == []


# How a connection ends

RST, FIN = "RST", "FIN"


class Watching:
    """Mixed into a Peer: `ends` has how the client's side of each connection ended, FIN or RST, and `rest` the octets
    that came before that, after the session's last command.  `looks_first` says after which command it looks instead of
    answering."""

    looks_first = None

    def session(self):
        self.ends, self.rest = [], b""
        try:
            super().session()
        finally:
            if not self.ends:
                self.watch()

    def reply(self, command, *text):
        if self.looks_first and command.startswith(self.looks_first):
            self.watch()
            self.cut()
        return super().reply(command, *text)

    def watch(self):
        """Reads until the end."""
        try:
            while data := self._socket.recv(1 << 16):
                self.rest += data
            self.ends.append(FIN)
        except ConnectionResetError:
            self.ends.append(RST)


class WatchingRelay(Watching, Relay):
    pass


class WatchingProvider(Watching, Provider):
    pass


class WatchingImapProvider(Watching, ImapProvider):
    def session(self):
        self.ends, self.rest = [], b""
        try:
            ImapProvider.session(self)      # it goes on until the client is gone
        except ConnectionResetError:
            self.ends.append(RST)
        finally:
            self.ends = self.ends or [FIN]


def test_a_push_whose_quit_is_answered_is_closed_at_once(yacht):
    """TCP's good-bye would be half a round trip, and TLS's too."""
    with WatchingRelay(FLOWS["chunked"]) as provider:
        assert push(yacht, provider, host=HERE).failures == []
    assert provider.said[-1] == "QUIT" and (provider.ends, provider.rest) == ([RST], b"")


@pytest.mark.parametrize("flow", ["pipelined", "in lock-step"])
def test_a_quit_that_nobody_waits_for_still_goes_out(yacht, flow):
    with WatchingRelay(FLOWS[flow]) as provider:
        provider.looks_first = "QUIT"
        assert push(yacht, provider, host=HERE).failures == []
    assert provider.said[-1] == "QUIT" and (provider.ends, provider.rest) == ([FIN], b"")


def test_a_quit_in_tls_that_nobody_waits_for_still_goes_out(yacht, certificate):
    with WatchingRelay(certificate=certificate, implicit=True) as provider:
        provider.looks_first = "QUIT"
        settings = {"tls": "implicit", "fingerprint": f"sha256:{certificate.fingerprint}"}
        assert push(yacht, provider, host=HERE, **settings).failures == []
    assert provider.said[-1] == "QUIT" and provider.ends == [FIN]


def test_a_session_that_is_refused_still_says_quit(yacht):
    with WatchingRelay(["AUTH PLAIN"], replies={"AUTH": "535 5.7.8 No"}) as provider:
        provider.looks_first = "QUIT"
        push(yacht, provider, host=HERE, user="yacht", password="wrong")
    assert provider.said[-1] == "QUIT" and provider.ends == [FIN]


def test_a_pull_by_pop3_whose_quit_is_answered_is_closed_at_once(yacht):
    with WatchingProvider([("a", b"Subject: x\r\n")]) as provider:
        yacht.configure(accounts=account(provider.port))
        assert yacht.pull().failures == []
    assert provider.messages == [] and provider.said[-1] == "QUIT" and (provider.ends, provider.rest) == ([RST], b"")


def test_a_pull_by_imap_whose_logout_is_answered_with_the_deletions_is_closed_at_once(yacht):
    with WatchingImapProvider({1: b"Subject: x\r\n"}, capabilities=PLAIN) as provider:
        yacht.configure(accounts=account(provider.port, type="imap"))
        assert yacht.pull().failures == []
    assert provider.uids == [] and provider.commands[-1] == "LOGOUT" and provider.ends == [RST]


def test_a_logout_that_nobody_waits_for_still_goes_out(yacht):
    with WatchingImapProvider({}, capabilities=PLAIN, answers={"LOGOUT": ""}) as provider:
        yacht.configure(accounts=account(provider.port, type="imap"))
        assert yacht.pull().failures == []
    assert provider.commands[-1] == "LOGOUT" and provider.ends == [FIN]


class Deaf(WatchingRelay):
    """Takes nothing of a body until the client has given up."""

    def __init__(self, *extensions):
        super().__init__(*extensions)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.gave_up = threading.Event()

    def _chunk(self, _size):
        assert self.gave_up.wait(10)
        self.watch()
        self.cut()


def test_what_is_queued_for_a_connection_that_broke_is_thrown_away(yacht):
    """Else the relay would get the rest of a message that is sent again, and the next call would pay for it."""
    octets = 3_000_000
    yacht.line = Impatient()
    with Deaf(FLOWS["chunked"]) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(b"Subject: x\r\n\r\n" + b"0123456789abcde\n" * (octets // 16))
        (kind, text), = yacht.push().failures
        provider.gave_up.set()
        assert kind == TEMPORARY and "took nothing for 0.3 s" in text
        wait_for(lambda: provider.ends)
    assert provider.ends == [RST] and len(provider.rest) < octets // 10 and len(yacht.queued()) == 1


def test_a_session_that_fell_silent_is_closed_at_once(yacht):
    yacht.line = Impatient()
    with WatchingRelay() as provider:
        provider.looks_first = "EHLO"
        (kind, text), = push(yacht, provider, host=HERE).failures
    assert kind == TEMPORARY and "nothing came for 0.3 s" in text and provider.ends == [RST]


def wait_for(condition):
    """Waits until something is so."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


# Whose addresses they are

@pytest.mark.parametrize("age", [2 * DAY, -2 * DAY], ids=["old", "by a clock that went back"])
def test_without_tls_old_addresses_are_looked_up_first(yacht, resolver, tried, age):
    """They may be anybody's by now, and no certificate would tell."""
    with Relay() as provider, Impostor(GONE, provider) as stranger:
        pin(yacht, provider, GONE, age=age)
        assert push(yacht, provider).failures == []
        assert len(provider.accepted) == 1 and pinned(yacht, provider) == (0, [HERE])
        assert (stranger.sessions, stranger.said) == (0, [])
    assert resolver.asked == [NAME] and tried == [HERE]


def test_without_tls_old_addresses_are_no_way_out_when_the_look_up_fails(yacht, resolver, tried):
    resolver.found = ()
    with Relay() as provider:
        pin(yacht, provider, HERE, age=2 * DAY)
        (kind, text), = push(yacht, provider).failures
    assert kind == TEMPORARY and "has no address" in text and tried == [] and provider.sessions == 0


@pytest.mark.parametrize("replies", [{"greeting": "554 5.7.1 No mail here"}, {"EHLO": CUT},
                                     {"AUTH": "535 5.7.8 Who are you?"}], ids=lambda replies: next(iter(replies)))
def test_addresses_where_we_were_not_let_in_are_forgotten(yacht, resolver, tried, replies):
    settings = {"user": "yacht", "password": "secret"}
    with Relay(["AUTH PLAIN"]) as provider:
        with Impostor(GONE, provider, extensions=["AUTH PLAIN"], replies=replies):
            pin(yacht, provider, GONE, HERE)
            assert len(push(yacht, provider, **settings).failures) == 1
            assert known(yacht, provider).get("addresses") is None
        assert push(yacht, provider, **settings).failures == []
        assert pinned(yacht, provider) == (0, [HERE])
    assert resolver.asked == [NAME] and tried == [GONE, HERE]


def test_addresses_where_a_pull_was_not_let_in_are_forgotten(yacht, resolver):
    with Provider([], replies={"PASS": "-ERR Who are you?"}) as pop, \
            ImapProvider({}, answers={"AUTHENTICATE": "{tag} NO Who are you?\r\n"}) as imap:
        for provider, kind in (pop, "pop3"), (imap, "imap"):
            resolver.asked.clear()
            for _ in range(2):
                yacht.configure(accounts=account(provider.port, type=kind, host=NAME))
                assert len(yacht.pull().failures) == 1
            assert resolver.asked == [NAME, NAME] and provider.sessions == 2


# Which address goes first

def test_the_pinned_address_that_took_us_goes_first_from_then_on(yacht, resolver, tried):
    with Relay() as provider:
        pin(yacht, provider, GONE, HERE, age=DAY / 2)
        before = known(yacht, provider).get("addresses")[0]
        for _ in range(2):
            assert push(yacht, provider).failures == []
        assert known(yacht, provider).get("addresses") == [before, HERE, GONE]      # no look-up made them younger
    assert tried == [GONE, HERE, HERE] and resolver.asked == []


def test_it_stays_first_when_the_addresses_are_refreshed(yacht, resolver, tried, certificate):
    resolver.found, resolver.go_on = (GONE, HERE, NEW), threading.Event()
    with slow_relay(resolver, certificate) as provider:
        settings = {"tls": "implicit", "ca_file": certificate.path}
        pin(yacht, provider, GONE, HERE, age=2 * DAY)
        assert push(yacht, provider, **settings).failures == []
        assert pinned(yacht, provider) == (0, [HERE, GONE, NEW])
        resolver.go_on = None
        assert push(yacht, provider, **settings).failures == []
    assert tried == [GONE, HERE, HERE] and resolver.asked == [NAME]


# What the system cannot do

def without(monkeypatch, families=(), options=()):
    """A system that does not know these address families and socket options."""
    class Socket(socket.socket):
        def __init__(self, family=-1, *arguments, **named):
            if family in families:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *arguments, **named)

        def setsockopt(self, level, option, *value):
            if level == socket.SOL_SOCKET and option in options:
                refused.append(option)
                raise OSError(errno.ENOPROTOOPT, "Protocol not available")
            super().setsockopt(level, option, *value)
    refused = []
    monkeypatch.setattr(socket, "socket", Socket)
    return refused


def test_after_an_address_of_a_family_that_the_system_lacks_comes_the_next(yacht, resolver, tried, monkeypatch):
    resolver.found = ("::1", HERE)
    with Relay() as provider:
        without(monkeypatch, families=[socket.AF_INET6])
        assert push(yacht, provider).failures == []
        assert pinned(yacht, provider) == (0, [HERE, "::1"])
    assert tried == ["::1", HERE] and len(provider.accepted) == 1


def test_only_addresses_of_a_family_that_the_system_lacks(yacht, resolver, monkeypatch):
    resolver.found = ("::1",)
    with Relay() as provider:
        without(monkeypatch, families=[socket.AF_INET6])
        (kind, text), = push(yacht, provider).failures
    assert kind == TEMPORARY and "cannot be reached: Address family not supported by protocol" in text


def test_an_option_that_the_system_does_not_know_is_done_without(yacht, monkeypatch):
    yacht.line = Line((64000, 64000), 0.7)
    options = [connect._SO_MAX_PACING_RATE, socket.SO_RCVBUF]
    with Relay() as provider:
        refused = without(monkeypatch, options=options)
        assert push(yacht, provider, host=HERE).failures == []
    assert refused == options and len(provider.accepted) == 1


@pytest.mark.parametrize("rate", [9_999_999_000, 10**15])
def test_a_rate_larger_than_an_option_can_hold(yacht, rate):
    yacht.line = Line((rate, rate), 1.8)
    with Relay() as provider:
        assert push(yacht, provider, host=HERE).failures == []
    assert len(provider.accepted) == 1

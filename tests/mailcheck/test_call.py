"""A call that ends before its sessions do: each breaks, writes down how far it came, and says what it did.  And what a
connection over a line that is paid for takes for silence."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.transport import push as pushing
from amsmail.transport.call import Call, CallCarrier
from amsmail.transport.carrier import StreamError, TimedOut
from amsmail.transport.connect import Provider as Connecting
from amsmail.transport.line import Line
from amsmail.transport.pull import pull
from tests.mailcheck.imap_peer import ImapProvider
from tests.mailcheck.peers import Provider, Relay
from tests.mailcheck.silence import fall_silent, read_only
from tests.mailcheck.sites import FLOWS, Impatient, Site, account, relay, without_trace
from tests.mailcheck.test_mailcheck import Boat, wait_for

PATIENCE = 10       # seconds, for what takes a moment; a Line waits longer for each of its answers
LARGE = b"Subject: 2\r\n\r\n" + b"%x\r\n" % random.Random(1).getrandbits(800_000)


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def texts(*numbers):
    return [(f"uid{n}", b"Subject: %d\r\n\r\nHello.\r\n" % n) for n in numbers]


class UnderWay:
    """Sessions of one Call, each in a thread, as the worker has them."""

    def __init__(self, yacht):
        self.call, self._yacht = Call(), yacht
        self._pool = ThreadPoolExecutor()

    def push(self):
        messages = self._yacht.due(everything=True)
        return self._start(lambda: pushing.push(self._yacht.site, self._yacht.spool, messages, self.call,
                                                self._yacht._logger(), lambda octets: None))

    def pull(self, name="owner"):
        return self._start(lambda: pull(self._yacht.site, self._yacht.spool, name, self.call, self._yacht._logger(),
                                        lambda octets: None))

    def _start(self, session):
        return self._pool.submit(session)

    def wait_for(self, event, times=1):
        """Until the log has it so often."""
        wait_for(lambda: sum(f" {event} " in line for line in self._yacht.log) >= times)


# Call.end()

@pytest.mark.parametrize("flow", FLOWS)
def test_a_push_that_is_ended(yacht, flow):
    for number in range(3):
        yacht.enqueue(b"Subject: %d\r\n\r\n" % number)
    sessions = UnderWay(yacht)
    with Relay(FLOWS[flow]) as provider:
        yacht.configure(relay=relay(provider.port))
        is_silent = fall_silent(provider, "final", 2)
        push = sessions.push()
        assert is_silent.wait(PATIENCE)
        sessions.wait_for("sent")
        sessions.call.end()
        result = push.result(PATIENCE)
        assert (result.done, result.kept, result.refused, result.failures) == (1, 2, 0, [])
        assert result.octets == 14 and result.sent > 100 and result.received > 100
        assert len(yacht.queued()) == 2 and no_quirk(yacht)
        del provider.reply
        assert yacht.push().done == 2


@pytest.mark.parametrize("capabilities", [["USER", "UIDL", "PIPELINING"], []], ids=["pipelined", "in lock-step"])
def test_a_pull_by_pop3_that_is_ended(yacht, capabilities):
    sessions = UnderWay(yacht)
    with Provider(texts(1, 2, 3), capabilities=capabilities) as provider:
        yacht.configure(accounts=account(provider.port))
        is_silent = fall_silent(provider, "RETR 2")
        yacht.start()
        fetch = sessions.pull()
        assert is_silent.wait(PATIENCE)
        sessions.wait_for("fetched")
        sessions.call.end()
        result = fetch.result(PATIENCE)
        assert (result.done, result.octets, result.failures) == (1, 22, []) and result.received > 22
        assert no_quirk(yacht)
        del provider.reply
        assert yacht.pull().done == 2
        assert len(yacht.box("captain")) == 3 and provider.messages == []


def test_a_pull_by_imap_that_is_ended_goes_on_where_it_stopped(yacht):
    sessions = UnderWay(yacht)
    with ImapProvider({1: texts(1)[0][1], 2: LARGE}, cut=100_000, capabilities="IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS"
                      ) as provider:
        yacht.configure(accounts=account(provider.port, type="imap"))
        is_silent = threading.Event()
        provider.cut = lambda: is_silent.set() or read_only(provider)
        yacht.start()
        fetch = sessions.pull()
        assert is_silent.wait(PATIENCE)
        sessions.wait_for("fetched")
        sessions.call.end()
        result = fetch.result(PATIENCE)
        assert (result.done, result.octets, result.failures) == (1, 22, []) and no_quirk(yacht)
        assert result.received == 100_000
        provider.cut_after = None
        assert yacht.pull().failures == []
        assert provider.uids == [] and provider.sent < len(LARGE) - 90_000
    assert without_trace(yacht.box("captain")[1]) == LARGE.replace(b"\r\n", b"\n")
    goes_on = [line for line in yacht.log if " goes-on " in line][-1]
    assert int(goes_on.partition("at=")[2].split()[0]) > 95_000


def test_all_sessions_are_ended_at_once(yacht):
    yacht.enqueue()
    sessions = UnderWay(yacht)
    with Relay() as smtp, Provider(texts(1)) as pop, ImapProvider({1: LARGE}, cut=500) as imap:
        yacht.configure(relay=relay(smtp.port), accounts={
            **account(pop.port), "other": account(imap.port, type="imap")["owner"]})
        silent = [threading.Event(), fall_silent(smtp, "MAIL"), fall_silent(pop, "PASS")]
        imap.cut = lambda: silent[0].set() or read_only(imap)
        yacht.start()
        under_way = [sessions.push(), sessions.pull(), sessions.pull("other")]
        assert all(event.wait(PATIENCE) for event in silent)
        sessions.call.end()
        results = [session.result(PATIENCE) for session in under_way]
    assert [result.failures for result in results] == [[], [], []]
    assert [result.done for result in results] == [0, 0, 0] and no_quirk(yacht)
    assert all(result.sent and result.received for result in results)


def test_no_connection_is_made_once_the_call_is_over(yacht):
    yacht.enqueue()
    sessions = UnderWay(yacht)
    sessions.call.end()
    with Relay() as smtp, Provider(texts(1)) as pop:
        yacht.configure(relay=relay(smtp.port), accounts=account(pop.port))
        yacht.start()
        results = [session.result(PATIENCE) for session in (sessions.push(), sessions.pull())]
        assert smtp.sessions == pop.sessions == 0
    assert [(result.done, result.failures, result.sent) for result in results] == [(0, [], 0)] * 2
    assert results[0].kept == 1 and no_quirk(yacht)


def test_a_connection_that_is_being_made_is_given_up():
    """Nobody answers the SYN: so it is on a line that is dead."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ThreadPoolExecutor() as pool:
        port = listener.getsockname()[1]
        call = Call()
        settings = {"host": "127.0.0.1", "port": port, "tls": "none", "ca_file": "", "fingerprint": ""}
        with socket.create_connection(("127.0.0.1", port)):         # with it the queue is full
            connecting = pool.submit(Connecting("smtp", settings, call).connect)
            wait_for(lambda: is_asked_for(port))
            call.end()
            assert isinstance(connecting.exception(PATIENCE), StreamError)


def is_asked_for(port):
    """Whether a SYN to this port of loopback waits for an answer."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(line.split()[2:4] == [f"0100007F:{port:04X}", "02"] for line in f)


def test_ending_it_twice_or_with_nothing_under_way_is_no_trouble():
    call = Call()
    call.end()
    call.end()
    assert call.is_over
    with socket.socket() as sock, pytest.raises(StreamError, match="the call is over"):
        call.carrier(sock)


class Untouchable(socket.socket):
    """Its number may be another connection's by now."""

    def shutdown(self, _how):
        raise AssertionError("a connection that was closed before is shut down")


@pytest.mark.parametrize("way", ["close", "reset"])
def test_connections_that_were_closed_before_are_not_touched(way):
    call = Call()
    getattr(call.carrier(Untouchable()), way)()
    call.end()


def no_quirk(yacht):
    return not any(" quirk " in line for line in yacht.log)


# The same through the program

@pytest.fixture
def boat(tmp_path):
    return Boat(tmp_path / "boat")


@pytest.fixture
def half_silent(boat):
    """A relay and a provider that take and give one message and then fall silent."""
    with Relay() as smtp, Provider(texts(1, 2)) as pop:
        boat.configure(relay=relay(smtp.port), accounts=account(pop.port))
        for number in range(2):
            boat.enqueue(b"Subject: %d\r\n\r\nHello.\r\n" % number)
        fall_silent(smtp, "final", 2)
        fall_silent(pop, "RETR 2")
        yield smtp, pop


def accounted_for(boat, half_silent):
    """That the ledger, the queue and the box say what was done."""
    call, = boat.ledger
    assert (call["messages_out"], call["octets_out"], call["refused"], call["kept"]) == (1, 22, 0, 1)
    assert (call["messages_in"], call["octets_in"]) == (1, 22)
    assert call["bytes_up"] > 200 and call["bytes_down"] > 200
    assert len(boat.queued()) == 1 and len(boat.box("captain")) == 1
    assert boat.calls == ["up", "down"] and not boat.is_dialled
    return call["outcome"]


def test_call_limit_is_reached_after_one_message(boat, half_silent):
    boat.link(call_limit=3)
    ended = "the call was ended: it took longer than call_limit, 3 s"
    assert boat.mailcheck() == (75, f"mailcheck: {ended}\n")
    assert accounted_for(boat, half_silent) == ended


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_mailcheck_is_stopped_after_one_message(boat, half_silent, number):
    process = boat.start()
    wait_for(lambda: len(boat.spool.queue().list()) == 1 and len(boat.box("captain")) == 1)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (75, f"mailcheck: stopped by {number.name}\n")
    assert accounted_for(boat, half_silent) == f"stopped by {number.name}"


def test_the_next_run_does_the_rest(boat, half_silent):
    process = boat.start()
    wait_for(lambda: len(boat.spool.queue().list()) == 1 and len(boat.box("captain")) == 1)
    process.terminate()
    process.communicate(timeout=20)
    for peer in half_silent:
        del peer.reply
    assert boat.mailcheck("--now") == (0, "")
    assert boat.queued() == [] and len(boat.box("captain")) == 2 and len(half_silent[0].accepted) == 2
    assert half_silent[1].messages == []


def test_mailcheck_is_stopped_while_it_starts_the_worker(boat):
    """Then there is nobody yet to be told, and nobody may be left behind."""
    code = """if True:
        import os, signal, subprocess, sys
        sys.path.insert(0, sys.argv[1])
        from amsmail.program import mailcheck
        real = subprocess.Popen._execute_child
        def start(self, arguments, *rest):
            real(self, arguments, *rest)
            if "amsmail.program.worker" in str(arguments):
                print(self.pid, flush=True)
                os.kill(os.getpid(), signal.SIGTERM)
        subprocess.Popen._execute_child = start
        sys.exit(mailcheck.main([sys.argv[2]]))"""
    library = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with Relay() as provider:
        boat.configure(relay=relay(provider.port))
        fall_silent(provider, "greeting")
        boat.enqueue()
        program = subprocess.run([sys.executable, "-I", "-c", code, library, boat.path], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, timeout=30)
        with pytest.raises(ProcessLookupError):
            os.kill(int(program.stdout), 0)
    assert (program.returncode, program.stderr) == (75, "mailcheck: stopped by SIGTERM\n")
    assert boat.calls == ["up", "down"] and not boat.is_dialled and len(boat.queued()) == 1
    assert boat.ledger[0]["outcome"] == "stopped by SIGTERM"


# What counts as silence

class Acknowledged(CallCarrier):
    """`unsent` is what the peer has not acknowledged each time it is looked up; `meanwhile` is called then."""

    def __init__(self, unsent, meanwhile=lambda left: None):
        self._here, self.there = socket.socketpair()
        self._left, self._meanwhile = list(unsent), meanwhile
        super().__init__(Call(), self._here)

    def _unsent(self):
        left = self._left.pop(0)
        self._meanwhile(left)
        return left

    def read(self, timeout=0.02):
        """What comes, or was_heard if nothing does; with how many look-ups are left."""
        return self._tried(self.receive, timeout)

    def write(self, data, timeout=0.02):
        """None once `data` is sent, or was_heard if it cannot be; with how many look-ups are left."""
        return self._tried(self.send, data, timeout)

    def _tried(self, action, *arguments):
        try:
            return action(*arguments), len(self._left)
        except TimedOut as silence:
            return silence.was_heard, len(self._left)

    def fill(self):
        """Until the kernel takes no more.  Gives how many octets it took."""
        self._here.setblocking(False)
        took = 0
        try:
            while True:
                took += self._here.send(bytes(1000))
        except BlockingIOError:
            return took

    def taken(self):
        """What the kernel had, as the peer reads it."""
        self.there.setblocking(False)
        data = b""
        try:
            while piece := self.there.recv(1 << 16):
                data += piece
        except BlockingIOError:
            return data


_SILENCES = pytest.mark.parametrize("unsent, was_heard", [
    ([0, 0], True),
    ([100, 100], False),
    ([100, 200], False),                    # something was queued meanwhile
    ([None, None], False),                  # nobody knows
    ([300, 200, 200, 100, 100, 100], False),
    ([300, 200, 200, 0, 0, 0], True),       # from when all was heard on, it is the peer who is silent
    ([10**9, 10**9 - 1, 10**9 - 1, 5, 5, 5], False),
], ids=str)


@_SILENCES
def test_silence_counts_only_while_nothing_is_acknowledged(unsent, was_heard):
    assert Acknowledged(unsent).read() == (was_heard, 0)


@_SILENCES
def test_sending_ends_when_nothing_is_acknowledged_any_more(unsent, was_heard):
    carrier = Acknowledged(unsent)
    carrier.fill()
    assert carrier.write(b"more") == (was_heard, 0)


def test_sending_goes_on_while_the_kernel_takes_nothing_and_the_peer_acknowledges():
    """On a slow line the buffer takes long to become free by a third."""
    came = []
    carrier = Acknowledged([400, 300, 300, 200, 200, 100, 100, 50],
                           lambda left: left == 100 and not came and came.append(carrier.taken()))
    filled = carrier.fill()
    assert carrier.write(b"more") == (None, 1)
    assert came == [bytes(filled)] and carrier.taken() == b"more"


def test_an_answer_to_what_was_long_under_way():
    carrier = Acknowledged([300, 200, 200, 150, 100, 100],
                           lambda left: left == 150 and carrier.there.send(b"250 ok\r\n"))
    assert carrier.read() == (b"250 ok\r\n", 1)


def test_a_peer_that_closes_is_not_silent():
    carrier = Acknowledged([0])
    carrier.there.close()
    assert carrier.read() == (b"", 0)


def test_what_the_kernel_says(yacht):
    """A peer that takes nothing, though its kernel acknowledges what fits."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as sock:
        carrier = Call().carrier(sock)
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        with peer:
            with pytest.raises(TimedOut) as caught:
                carrier.receive(0.1)
            assert caught.value.was_heard == (sys.platform == "linux")
            with pytest.raises(TimedOut):
                carrier.send(bytes(30_000_000), 0.1)
            with pytest.raises(TimedOut) as caught:
                carrier.receive(0.1)
            assert not caught.value.was_heard


def test_a_dead_line_is_no_quirk_of_the_relay(yacht, monkeypatch):
    monkeypatch.setattr(CallCarrier, "_unsent", lambda self: 100)
    yacht.enqueue()
    yacht.line = Impatient()
    with Relay(FLOWS["chunked"]) as provider:
        yacht.configure(relay=relay(provider.port))
        fall_silent(provider, "MAIL")
        assert len(yacht.push().failures) == 1
        assert no_quirk(yacht)
        monkeypatch.setattr(CallCarrier, "_unsent", lambda self: 0)
        del provider.reply
        fall_silent(provider, "MAIL")
        assert len(yacht.push().failures) == 1
        assert not no_quirk(yacht)


def test_what_a_worker_that_is_killed_had_queued_is_thrown_away():
    """Else the relay would get the rest of a message that counts as not sent."""
    code = """if True:
        import socket, sys
        from amsmail.transport.call import Call
        from amsmail.transport.carrier import StreamError
        sock = socket.socket()
        carrier = Call().carrier(sock)
        sock.connect(("127.0.0.1", int(sys.argv[1])))
        try:
            carrier.send(bytes(30_000_000), 0.1)
        except StreamError:
            print("full", flush=True)
            sys.stdin.read()"""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        library = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        with subprocess.Popen([sys.executable, "-c", code, str(listener.getsockname()[1])], cwd=library, text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
            peer, _ = listener.accept()
            assert worker.stdout.readline() == "full\n"
            worker.kill()
            worker.wait()
        came = 0
        with peer, pytest.raises(ConnectionResetError):
            peer.settimeout(PATIENCE)
            while data := peer.recv(1 << 16):
                came += len(data)
        assert came < 1_000_000


# What is known of a line

_RATES = st.integers(0, 10**9)


@given(st.tuples(_RATES, _RATES), st.floats(0, 10))
def test_windows_hold_what_the_line_holds_and_never_little(rates, round_trip):
    line = Line(rates, round_trip)
    for window, rate in zip((line.window_up, line.window_down), rates):
        assert window >= 1 << 16
        assert window >= 4 * rate / 8 * round_trip - 1
        assert window <= max(1 << 16, rate / 2 * round_trip + 1)


def test_windows_of_a_line_of_which_nothing_is_known():
    assert Line().window_up == Line().window_down == 1 << 16


def test_both_ways_have_their_own_window():
    line = Line((1_000_000, 8_000_000), 0.7)
    assert (line.window_up, line.window_down) == (350_000, 2_800_000)


_AWAITED = ["connect", "tls", "reply", "acceptance"]


@pytest.mark.parametrize("awaited", _AWAITED)
@given(st.floats(0.001, 10))
def test_a_slow_line_is_waited_for_longer(awaited, round_trip):
    assert Line(round_trip=2 * round_trip).patience(awaited) > Line(round_trip=round_trip).patience(awaited)
    assert Line(round_trip=round_trip).patience(awaited) >= 5 * round_trip


@given(st.floats(0, 10))
def test_the_acceptance_of_a_message_is_waited_for_as_long_as_the_standard_says(round_trip):
    """RFC 5321, section 4.5.3.2.6: ten minutes, because who gives up sooner sends it twice."""
    line = Line(round_trip=round_trip)
    assert line.patience("acceptance") >= 600 > max(line.patience(awaited) for awaited in _AWAITED[:3])


def test_a_line_of_which_nothing_is_known_may_be_a_satellite():
    assert Line().patience("reply") >= Line((2400, 2400), 1.8).patience("reply")

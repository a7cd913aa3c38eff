"""The rules that hold for every engine, and the pump that keeps them."""

import pytest

from amsmail.protocol import pop3_server as pop3
from amsmail.protocol import smtp_server as smtp
from amsmail.protocol.engine import Closed, Misuse
from amsmail.transport import pump
from amsmail.transport.carrier import StreamError, TimedOut
from amsmail.wire.reply import Reply

from .drive import feed


def _server():
    return smtp.SmtpServer(smtp.Settings("yacht.example"))


def _asked():
    server = _server()
    server.receive(b"HELO a\r\nMAIL FROM:<>\r\nNOOP\r\n")
    assert isinstance(server.next_event(), smtp.MayUse)
    server.output()
    return server


def test_a_question_must_be_answered_before_anything_else_happens():
    with pytest.raises(Misuse):
        _asked().next_event()


def test_while_a_question_is_open_what_was_pipelined_is_kept():
    server = _asked()
    assert server.output() == b""
    server.answer(None)
    assert server.next_event() is None
    assert server.output() == b"250 2.1.0 Sender ok\r\n250 2.0.0 Still here\r\n"


def test_a_question_is_answered_once():
    server = _asked()
    server.answer(None)
    with pytest.raises(Misuse):
        server.answer(None)


def test_there_is_nothing_to_answer_where_nothing_was_asked():
    with pytest.raises(Misuse):
        _server().answer(None)


def test_after_the_end_there_are_no_events():
    server = _server()
    events, _ = feed(server, [b"QUIT\r\n"], None)
    assert events == [Closed()]
    with pytest.raises(Misuse):
        server.next_event()


class _Stream:
    """Gives what it was given, piece by piece, and keeps what was written."""

    def __init__(self, *pieces):
        self._pieces = iter(pieces)
        self.written = []

    def read(self):
        piece = next(self._pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def write(self, data):
        self.written.append(data)


def _run(stream):
    return pump.run(_server(), stream, lambda event: None)


def test_the_pump_writes_only_when_it_is_about_to_wait():
    stream = _Stream(b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n", b"QUIT\r\n")
    assert _run(stream) == Closed()
    assert stream.written == [
        b"220 yacht.example ESMTP amsmail\r\n",
        b"250 yacht.example\r\n250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n",
        b"221 2.0.0 yacht.example says good-bye\r\n"]


def test_the_pump_does_not_pile_a_message_up():
    stream = _Stream(b"USER a\r\nPASS b\r\nRETR 1\r\nQUIT\r\n")
    pieces = iter([b"x" * 40_000] * 25 + [b""])
    answers = {pop3.Login: lambda: [("uid", 1_000_000)], pop3.OpenMessage: lambda: None,
               pop3.ReadMessage: lambda: next(pieces), pop3.Update: lambda: None}
    pump.run(pop3.Pop3Server(pop3.Settings(cleartext_login=True)), stream,
             lambda event: answers[type(event)]() if event.asks else None)
    assert sum(map(len, stream.written)) > 1_000_000
    assert max(map(len, stream.written)) < 1 << 17


def test_the_pump_tells_the_engine_of_a_time_out():
    stream = _Stream(TimedOut("nothing came"))
    assert _run(stream).why == "idle for too long"
    assert stream.written[-1] == b"421 4.4.2 yacht.example closes the connection: idle for too long\r\n"


def test_the_pump_raises_what_the_stream_raises():
    with pytest.raises(StreamError):
        _run(_Stream(StreamError("the connection broke")))


def test_a_refusal_before_the_session_is_a_reply():
    assert smtp.refusal("yacht.example", "no") == Reply(421, "4.3.5", "yacht.example no").encode()
    assert pop3.refusal("no") == b"-ERR [SYS/TEMP] no\r\n"

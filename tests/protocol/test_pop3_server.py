"""The POP3 server's engine under any input, and where what it asks for fails."""

import re

from hypothesis import given
from hypothesis import strategies as st

from amsmail.protocol import pop3_server as pop3
from amsmail.protocol.engine import Closed

from .drive import feed, pieces_of

_SETTINGS = pop3.Settings(errors=1000, cleartext_login=True, version="0")
_MESSAGES = [b"Subject: a\n\n.\n..\nno end", b"", b"\n.\nx\n"]
_SIZES = [27, 0, 8]
_LOGIN = b"USER a\r\nPASS b\r\n"

_COMMANDS = [b"USER a", b"PASS b", b"PASS x", b"CAPA", b"STAT", b"LIST", b"LIST 2", b"UIDL", b"UIDL 9", b"RETR 1",
             b"RETR 2", b"RETR 3", b"RETR x", b"TOP 1 1", b"TOP 1", b"DELE 1", b"DELE 2", b"RSET", b"NOOP", b"AUTH",
             b"AUTH XYZZY", b"AUTH PLAIN AGEAYg==", b"STLS", b"XYZZY", b""]
_lines = st.sampled_from(_COMMANDS) | st.binary(max_size=30).filter(
    lambda line: b"\n" not in line and line[:4].upper() not in (b"AUTH", b"QUIT"))
_streams = st.lists(st.sampled_from([command + b"\r\n" for command in _COMMANDS] + [
    _LOGIN, b"AUTH PLAIN\r\n", b"AGEAYg==\r\n", b"*\r\n", b"QUIT\r\n", b"x" * 300, b"\n"]) | st.binary(max_size=10),
    max_size=40).map(b"".join)


class _Box:
    """Answers what the engine asks, reading `most` octets at a time."""

    def __init__(self, most=7, **refusals):
        self._most, self._refusals, self._rest = most, refusals, b""

    def __call__(self, event):
        if type(event).__name__ in self._refusals:
            return self._refusals[type(event).__name__]
        if isinstance(event, pop3.Login):
            good = event.credentials.user == "a" and event.credentials.password == "b"
            return [(f"uid{i}", size) for i, size in enumerate(_SIZES)] if good else pop3.Refusal("", "no")
        if isinstance(event, pop3.OpenMessage):
            self._rest = _MESSAGES[event.index]
        if isinstance(event, pop3.ReadMessage):
            piece, self._rest = self._rest[:self._most], self._rest[self._most:]
            return piece
        return None


@given(st.lists(_lines, max_size=20))
def test_every_command_line_gets_exactly_one_reply(lines):
    events, output = feed(pop3.Pop3Server(_SETTINGS), [line + b"\r\n" for line in lines] or [b"\r\n"], _Box())
    assert len(re.findall(rb"^(?:\+OK|-ERR) ", output, re.MULTILINE)) == 1 + (len(lines) or 1)


@given(_streams, st.lists(st.integers(0, 2000), max_size=10), st.integers(1, 40))
def test_any_octets_in_any_chunking_come_to_the_same(stream, cuts, most):
    whole, output = feed(pop3.Pop3Server(_SETTINGS), [stream, b""], _Box(1000))
    assert isinstance(whole[-1], Closed)
    _, same = feed(pop3.Pop3Server(_SETTINGS), [*pieces_of(stream, cuts), b""], _Box(most))
    assert same == output


@given(st.binary(max_size=60) | st.text("\n.ab\r", max_size=60).map(str.encode), st.integers(0, 5), st.integers(1, 10))
def test_top_is_the_header_and_so_many_lines(text, lines, size):
    header, blank, body = (b"\n" + text).partition(b"\n\n")
    expected = ((header + blank)[1:] + b"".join(body.splitlines(keepends=True)[:lines])) if blank else text
    if b"\r" in text:
        expected = ((header + blank)[1:] + b"".join(re.findall(rb"[^\n]*\n|[^\n]+$", body)[:lines])) if blank else text
    top = pop3.TopFilter(lines)
    assert b"".join(top.feed(text[at:at + size]) for at in range(0, len(text), size)) == expected


def _session(box, said):
    events, output = feed(pop3.Pop3Server(_SETTINGS), [_LOGIN + said], box)
    return events, output.split(b"3 messages\r\n", 1)[1]


def test_a_message_that_cannot_be_opened_is_refused():
    _, said = _session(_Box(OpenMessage=pop3.Refusal("SYS/TEMP", "broken disk")), b"RETR 1\r\nNOOP\r\n")
    assert said == b"-ERR [SYS/TEMP] broken disk\r\n+OK Still here\r\n"


def test_an_update_that_fails_is_told_and_ends_the_session_all_the_same():
    events, said = _session(_Box(Update=pop3.Refusal("SYS/TEMP", "1 of 1 messages could not be removed")),
                            b"DELE 1\r\nQUIT\r\n")
    assert said.endswith(b"-ERR [SYS/TEMP] 1 of 1 messages could not be removed\r\n")
    assert events[-1] == Closed()


def test_without_quit_there_is_no_update():
    events, _ = feed(pop3.Pop3Server(_SETTINGS), [_LOGIN, b"DELE 1\r\n", b""], _Box())
    assert not any(isinstance(event, pop3.Update) for event in events)


def test_a_message_that_was_opened_is_closed():
    events, _ = _session(_Box(), b"RETR 1\r\nTOP 1 0\r\nQUIT\r\n")
    kinds = [type(event) for event in events]
    assert kinds.count(pop3.OpenMessage) == kinds.count(pop3.CloseMessage) == 2

"""The SMTP server's engine under any input.  Never an exception, one reply a command, and the same in any chunking."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.protocol import smtp_server as smtp
from amsmail.protocol.engine import Closed
from amsmail.wire.reply import LINE_OCTETS, Reply

from .drive import feed, pieces_of

_SETTINGS = smtp.Settings("yacht.example", size=50, recipients=3, errors=1000, cleartext_login=True)

_COMMANDS = [b"HELO a", b"EHLO a", b"EHLO", b"MAIL FROM:<a@b.example>", b"MAIL FROM:<> SIZE=99 BODY=8BITMIME",
             "MAIL FROM:<ü@b.example> SMTPUTF8".encode(), b"MAIL FROM:<a@b> ENVID=+", b"RCPT TO:<c@d.example>",
             "RCPT TO:<ü@d.example> NOTIFY=NEVER".encode(), b"RCPT TO:<nobody@d.example>", b"RCPT TO:<postmaster>",
             b"RSET", b"NOOP x", b"VRFY x", b"VRFY", b"EXPN", b"HELP", b"XYZZY", b"", b"STARTTLS", b"AUTH XYZZY",
             b"BDAT", b"BDAT x", b"BDAT 0", b"BDAT 0 LAST"]
_lines = st.sampled_from(_COMMANDS) | st.binary(max_size=30).filter(
    lambda line: b"\n" not in line and line[:4].upper() not in (b"DATA", b"AUTH", b"QUIT", b"BDAT"))
_TRANSACTION = b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n"
_BEGINNINGS = [b"", _TRANSACTION + b"DATA\r\n", _TRANSACTION + b"BDAT 1\r\nx", _TRANSACTION + b"BDAT 70\r\n"]
_PIECES = [command + b"\r\n" for command in _COMMANDS] + [
    _TRANSACTION, b"DATA\r\n", b"text\r\n", b"..\r\n", b".\r\n", b".", b"\r", b"\n", b"\r\n", b"\n.\n", b"BDAT 7\r\n",
    b"BDAT 5 LAST\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"AUTH PLAIN AGEAYg==\r\n", b"AGEAYg==\r\n", b"YQ==\r\n",
    b"*\r\n", b"x" * 60, b"y" * 600]
_streams = st.builds(lambda beginning, pieces: beginning + b"".join(pieces), st.sampled_from(_BEGINNINGS),
                     st.lists(st.sampled_from(_PIECES) | st.binary(max_size=10), max_size=30))


def _answer(event):
    if isinstance(event, smtp.Login):
        return event.credentials.user == "a" or Reply(535, "5.7.8", "no")
    if isinstance(event, smtp.MayReach):
        return Reply(550, "5.1.1", "no") if event.address.local == "nobody" else None
    if isinstance(event, smtp.EndBody):
        return Reply(250, "2.0.0", "ok")
    return None


def _replies(output):
    assert re.fullmatch(rb"([2-5][0-9][0-9][ -][\x20-\x7e]*\r\n)*", output)
    assert all(len(line) <= LINE_OCTETS for line in output.splitlines(keepends=True))
    return re.findall(rb"^[2-5][0-9][0-9] ", output, re.MULTILINE)


def _merged(events):
    """The events, with neighbouring pieces of a body made one."""
    merged = []
    for event in events:
        if isinstance(event, smtp.BodyData) and merged and isinstance(merged[-1], smtp.BodyData):
            merged[-1] = smtp.BodyData(merged[-1].data + event.data)
        else:
            merged.append(event)
    return merged


@given(st.lists(_lines, max_size=20))
def test_every_command_line_gets_exactly_one_reply(lines):
    _, output = feed(smtp.SmtpServer(_SETTINGS), [line + b"\r\n" for line in lines] or [b"\r\n"], _answer)
    assert len(_replies(output)) == 1 + (len(lines) or 1)


@given(_streams, st.lists(st.integers(0, 5000), max_size=10))
def test_any_octets_in_any_chunking_come_to_the_same(stream, cuts):
    whole, output = feed(smtp.SmtpServer(_SETTINGS), [stream, b""], _answer)
    _replies(output)
    assert isinstance(whole[-1], Closed)
    cut, same = feed(smtp.SmtpServer(_SETTINGS), [*pieces_of(stream, cuts), b""], _answer)
    assert same == output
    assert _kept(cut) == _kept(whole)


def _kept(events):
    """What became of every message; when a bad one was dropped, and so for which of its faults, may differ."""
    merged = [smtp.DropBody("") if isinstance(event, smtp.DropBody) else event for event in _merged(events)]
    return [event for event, following in zip(merged, [*merged[1:], None])
            if not (isinstance(event, smtp.BodyData) and isinstance(following, smtp.DropBody))]


@given(_streams)
def test_every_body_that_begins_ends_once(stream):
    events, _ = feed(smtp.SmtpServer(_SETTINGS), [stream, b""], _answer)
    is_open = False
    for event in events:
        if isinstance(event, smtp.OpenBody):
            assert not is_open
            is_open = True
        elif isinstance(event, smtp.BodyData):
            assert is_open
        elif isinstance(event, (smtp.EndBody, smtp.DropBody)):
            assert is_open
            is_open = False
    assert not is_open


@given(_streams)
def test_no_bare_cr_or_lf_is_ever_accepted(stream):
    events, _ = feed(smtp.SmtpServer(_SETTINGS), [stream, b""], _answer)
    body = b""
    for event in events:
        if isinstance(event, smtp.OpenBody):
            body = b""
        elif isinstance(event, smtp.BodyData):
            body += event.data
        elif isinstance(event, smtp.EndBody):
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n", body)


def _refused(answers, said):
    """The bytes of a session in which questions of these types are answered with a refusal."""
    def answer(event):
        return answers.get(type(event)) or _answer(event)
    return feed(smtp.SmtpServer(_SETTINGS), [said], answer)[1].split(b"\r\n", 2)[2]


_FULL = Reply(452, "4.3.1", "full")


def test_a_body_that_cannot_be_opened_is_refused_before_it_comes():
    said = _refused({smtp.OpenBody: _FULL}, _TRANSACTION + b"DATA\r\nNOOP\r\n")
    assert said.endswith(b"452 4.3.1 full\r\n250 2.0.0 Still here\r\n")


def test_a_chunk_that_cannot_be_stored_is_taken_off_the_stream():
    said = _refused({smtp.OpenBody: _FULL}, _TRANSACTION + b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert said.endswith(b"452 4.3.1 full\r\n503 5.5.1 Not now: MAIL and RCPT come first\r\n250 2.0.0 Still here\r\n")


def test_a_message_that_could_not_be_stored_ends_its_transaction():
    said = _refused({smtp.EndBody: _FULL}, _TRANSACTION + b"DATA\r\nx\r\n.\r\nDATA\r\n")
    assert b"452 4.3.1 full\r\n503 5.5.1 " in said


def test_a_sender_who_is_refused_begins_no_transaction():
    said = _refused({smtp.MayUse: _FULL}, _TRANSACTION)
    assert said == b"452 4.3.1 full\r\n503 5.5.1 Not now: MAIL comes first\r\n"


@pytest.mark.parametrize("said, secure, keyword", [
    (b"HELO a\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\n", True, "SMTP"),
    (b"EHLO a\r\nMAIL FROM:<>\r\n", False, "ESMTP"),
    (b"EHLO a\r\nMAIL FROM:<>\r\n", True, "ESMTPS"),
    (b"EHLO a\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\n", False, "ESMTPA"),
    (b"EHLO a\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<> SMTPUTF8\r\n", True, "UTF8SMTPSA"),
])
def test_the_keyword_of_the_received_field(said, secure, keyword):
    """RFC 3848; RFC 6531, section 4.3."""
    server = smtp.SmtpServer(_SETTINGS.but(secure=secure))
    events, _ = feed(server, [said + b"RCPT TO:<a@b.example>\r\nDATA\r\n"], _answer)
    assert [event.protocol for event in events if isinstance(event, smtp.OpenBody)] == [keyword]

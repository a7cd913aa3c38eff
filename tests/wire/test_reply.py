"""Replies: what is encoded is read the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.reply import LINE_OCTETS, Reply, ReplyError, ReplyReader

_lines = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.strip).filter(
    lambda line: line.count(".") < 2)       # "2.0.0" at the front would be a status


def _reply(code, detail, lines):
    return Reply(code, f"{code // 100}.{detail}" if detail else "", "\n".join(lines))


_replies = st.builds(_reply, st.integers(200, 599), st.sampled_from(["", "1.1", "7.0", "10.999"]),
                     st.lists(_lines, min_size=1, max_size=4))


def _read(reader, data):
    return [reply for line in data.splitlines(keepends=True) if (reply := reader.feed(line)) is not None]


@given(st.lists(_replies, max_size=4))
def test_replies_are_read_as_they_were_written(replies):
    assert _read(ReplyReader(), b"".join(reply.encode() for reply in replies)) == replies


@given(st.binary(max_size=20) | st.from_regex(rb"[1-6][0-9]{2}[ -][0-9.]{0,8} ?[a-z]*", fullmatch=True))
def test_any_line_is_a_reply_or_a_reply_error(line):
    try:
        ReplyReader().feed(line)
    except ReplyError:
        pass


@given(st.text(max_size=600).map(lambda text: " ".join(text.split())))
def test_a_reply_is_ascii_in_lines_of_512_octets(text):
    lines = Reply(550, "5.1.1", text).encode().split(b"\r\n")
    assert len(lines) == 2 and lines[1] == b""
    assert lines[0].isascii() and len(lines[0]) + 2 <= LINE_OCTETS


@pytest.mark.parametrize("lines", [[b"250-a", b"251 b"], [b"25 a"], [b"250_a"], [b"150 a"], [b"600 a"],
                                   [b"\xb2\xb2\xb2 a"]])
def test_what_is_no_reply(lines):
    reader = ReplyReader()
    with pytest.raises(ReplyError):
        for line in lines:
            reader.feed(line)


def test_a_code_alone_is_a_reply():
    assert ReplyReader().feed(b"250\r\n") == Reply(250, "", "")


def test_a_status_of_another_class_is_text():
    assert ReplyReader().feed(b"250 5.1.1 hm\r\n") == Reply(250, "", "5.1.1 hm")


def test_classes():
    ok, later, never = (Reply(code, "", "") for code in (250, 451, 550))
    assert [reply.ok for reply in (ok, later, never)] == [True, False, False]
    assert [reply.permanent for reply in (ok, later, never)] == [False, False, True]

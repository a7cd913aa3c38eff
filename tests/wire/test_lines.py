"""Lines out of a stream, with a cap."""

from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.lines import TOO_LONG, LineBuffer, is_number, without_end

from ..protocol.drive import pieces_of

_streams = st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bc", b"defgh"]), max_size=30).map(b"".join)
_cuts = st.lists(st.integers(0, 200), max_size=12)


@given(_streams, _cuts, st.integers(1, 12))
def test_lines_come_whole_or_are_dropped_whole(stream, cuts, cap):
    buffer, lines = LineBuffer(), []
    for piece in pieces_of(stream, cuts):
        buffer.add(piece)
        while (line := buffer.line(cap)) is not None:
            lines.append(line)
    expected = [line + b"\n" for line in stream.split(b"\n")[:-1]]
    assert lines == [line if len(line) <= cap else TOO_LONG for line in expected]
    assert len(buffer) <= cap


@given(_streams, _cuts, st.integers(0, 50))
def test_octets_may_be_taken_and_put_back(stream, cuts, most):
    buffer = LineBuffer()
    for piece in pieces_of(stream, cuts):
        buffer.add(piece)
    taken = buffer.take(most)
    assert taken == stream[:most]
    buffer.unread(taken[1:])
    assert buffer.take(len(stream) + 1) == taken[1:] + stream[most:]


def test_cleared_means_nothing_is_left():
    buffer = LineBuffer()
    buffer.add(b"one\r\ntwo")
    buffer.clear()
    buffer.add(b"three\n")
    assert buffer.line(100) == b"three\n"


def test_a_line_without_its_end():
    assert [without_end(line) for line in (b"a\r\n", b"a\n", b"a", b"a\r\r\n", b"\r\n", b"a\n\n")] == [
        b"a", b"a", b"a", b"a\r", b"", b"a\n"]


@given(st.text(max_size=30))
def test_what_is_a_number_can_be_one(text):
    if is_number(text):
        assert int(text) >= 0
    assert is_number("12") and not is_number("²") and not is_number("") and not is_number("9" * 21)

"""Dot-stuffing, bare CR and LF, line ends: any text, in any chunking."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from amsmail.wire.text import BareScanner, DotDecoder, DotEncoder, ToDisk, printable, to_wire

from ..protocol.drive import pieces_of

_texts = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"a", b"\0\xff"]),
                  max_size=20).map(b"".join)
_cuts = st.lists(st.integers(0, 100), max_size=12)


def _decoded(pieces):
    """(text, what follows its end or None if it has none)."""
    decoder, text = DotDecoder(), b""
    for number, piece in enumerate(pieces):
        more, rest = decoder.feed(piece)
        text += more
        if decoder.ended:
            return text, rest + b"".join(pieces[number + 1:])
        assert rest == b""
    return text, None


def _encoded(pieces):
    encoder = DotEncoder()
    return b"".join(map(encoder.feed, pieces)) + encoder.end()


@given(_texts, _cuts, _cuts, st.binary(max_size=5))
def test_stuffed_and_unstuffed_is_the_same(text, cuts, other_cuts, rest):
    encoded = _encoded(pieces_of(text, cuts))
    assert encoded == _encoded([text])
    ended = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    assert _decoded(pieces_of(encoded + rest, other_cuts)) == (ended, rest)


@given(_texts, _cuts)
def test_only_crlf_dot_crlf_ends_a_text(data, cuts):
    end = (b"\r\n" + data).find(b"\r\n.\r\n")
    text, rest = _decoded(pieces_of(data, cuts))
    if end < 0:
        assert rest is None
    else:
        assert rest == data[end + 3:]
        assert text == (b"\r\n" + data[:end]).replace(b"\r\n.", b"\r\n")[2:]


@given(_texts)
def test_an_encoded_text_ends_only_at_its_end(text):
    encoded = _encoded([text])
    assert (b"\r\n" + encoded).find(b"\r\n.\r\n") == len(encoded) - 3


@given(_texts, _cuts)
@example(b"\r\n", [1])
def test_bare_cr_or_lf_is_found(text, cuts):
    scanner = BareScanner()
    for piece in pieces_of(text, cuts):
        scanner.feed(piece)
    assert scanner.found_at_end == bool(re.search(rb"\r(?!\n)|(?<!\r)\n", text))
    assert scanner.found == bool(re.search(rb"\r(?!\n)(?!\Z)|(?<!\r)\n", text))


@given(_texts, _cuts)
def test_to_disk_changes_line_ends_and_nothing_else(text, cuts):
    to_disk = ToDisk()
    found = b"".join(map(to_disk.feed, pieces_of(text, cuts))) + to_disk.end()
    assert found == text.replace(b"\r\n", b"\n")


@given(_texts)
def test_to_disk_and_back_is_the_same(text):
    text = to_wire(re.sub(rb"\r*\n", b"\n", text))      # lines end with CRLF; bare CRs elsewhere stay
    assert to_wire(ToDisk().feed(text + b"x")) == text + b"x"


@given(_texts, _cuts)
def test_to_wire_needs_no_memory(text, cuts):
    assert b"".join(map(to_wire, pieces_of(text, cuts))) == to_wire(text)


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_printable_keeps_its_length_and_moves_no_cursor(text):
    shown = printable(text)
    assert shown.isprintable() and len(shown) == len(text)
    assert all(c == old for c, old in zip(shown, text) if c != "?")


def test_letters_of_all_languages_are_printable():
    assert printable("Škoda, 日本") == "Škoda, 日本"
    assert printable("a\x1b[2J\ud800\n") == "a?[2J??"

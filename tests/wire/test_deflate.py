"""Deflate in both directions."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.deflate import DeflateError, Deflater, Inflater


def _taken(inflater):
    text = b""
    while piece := inflater.take():
        assert len(piece) <= 1 << 16
        text += piece
    return text


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_each_piece_can_be_read_at_once(pieces):
    inflater, deflater = Inflater(), Deflater()
    for piece in pieces:
        inflater.add(deflater.feed(piece))
        assert _taken(inflater) == piece


def test_octet_by_octet():
    inflater, text = Inflater(), b""
    for octet in Deflater().feed(b"fair winds, " * 100):
        inflater.add(bytes([octet]))
        text += _taken(inflater)
    assert text == b"fair winds, " * 100


def test_a_few_octets_that_stand_for_many():
    inflater = Inflater()
    inflater.add(Deflater().feed(bytes(50_000_000)))
    assert len(inflater.take()) == 1 << 16
    assert sum(map(len, iter(inflater.take, b""))) == 50_000_000 - (1 << 16)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x03\x00", b"\x03\x00* OK"])
def test_what_is_not_deflated_or_has_an_end(data):
    inflater = Inflater()
    inflater.add(data)
    with pytest.raises(DeflateError):
        _taken(inflater)


def test_what_comes_before_the_end_counts():
    inflater, deflater = Inflater(), zlib.compressobj(wbits=-15)
    inflater.add(deflater.compress(b"bye") + deflater.flush())
    assert inflater.take() == b"bye"
    with pytest.raises(DeflateError):
        inflater.take()

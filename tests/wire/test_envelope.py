"""The envelope's block: what is encoded is decoded the same, and damage is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.address import Address
from amsmail.wire.envelope import (CONTENTS, FAILED, FIRST_LINE_OCTETS, SENT, WAITING, ContentScanner, Envelope,
                                   EnvelopeError, Recipient, block_length, decode, encode)

from ..protocol.drive import pieces_of
from .test_address import addresses

_xtext = st.text("abc+-@.", max_size=10).map(lambda text: text.replace("+", "+2B"))
_recipients = st.builds(
    Recipient,
    address=addresses | st.just(Address("Postmaster", "")),
    notify=st.sampled_from(["", "NEVER", "SUCCESS,FAILURE", "DELAY"]),
    orcpt=st.just("") | st.builds("rfc822;x{}".format, _xtext),
    state=st.sampled_from([WAITING, SENT, FAILED]))
_envelopes = st.builds(
    Envelope,
    sender=st.none() | addresses,
    recipients=st.lists(_recipients, max_size=4).map(tuple),
    body=st.sampled_from(["", "7BIT", "8BITMIME"]),
    smtputf8=st.booleans(),
    ret=st.sampled_from(["", "FULL", "HDRS"]),
    envid=_xtext,
    arrival=st.integers(0, 1 << 40),
    user=st.sampled_from(["", "captain"]),
    priority=st.just("") | st.integers(-9, 9).map(str),
    content=st.sampled_from(CONTENTS))


@given(_envelopes)
def test_a_block_gives_the_envelope_back(envelope):
    block, content_at, states = encode(envelope)
    assert block_length(block[:FIRST_LINE_OCTETS]) == len(block)
    assert decode(block) == (envelope, states)
    assert [chr(block[at]) for at in states] == [recipient.state for recipient in envelope.recipients]
    assert block[content_at:content_at + 5].rstrip().decode() == envelope.content


@given(_envelopes.filter(lambda envelope: envelope.recipients))
def test_a_state_is_one_octet_to_overwrite(envelope):
    block, _, states = encode(envelope)
    changed, _ = decode(block[:states[0]] + FAILED.encode() + block[states[0] + 1:])
    assert changed.recipients[0].state == FAILED
    assert changed.recipients[1:] == envelope.recipients[1:]


@given(_envelopes, st.integers(0, 1000), st.binary(max_size=3))
def test_a_damaged_block_is_told_or_read_never_worse(envelope, at, damage):
    block, _, _ = encode(envelope)
    at %= len(block)
    try:
        decode(block[:at] + damage + block[at + len(damage):])
    except EnvelopeError:
        pass


@given(_envelopes, st.integers(0, 1000))
def test_half_a_block_is_none(envelope, at):
    block, _, _ = encode(envelope)
    with pytest.raises(EnvelopeError):
        decode(block[:at % len(block)])


def test_an_envelope_without_a_priority_is_written_as_before_there_were_any():
    """What the versions before this one wrote is read, and they read what this one writes."""
    block = (b"Amsmail-Envelope: 1 0000000218\nAmsmail-Arrival: 1763700946\nAmsmail-Content: 8bit\n"
             b"Amsmail-Sender: <captain@yacht.example>\nAmsmail-Ret: HDRS\nAmsmail-User: captain\n"
             b"Amsmail-Recipient: - <agent@port.example> NOTIFY=FAILURE\n")
    envelope, _ = decode(block)
    assert envelope.priority == ""
    assert encode(envelope)[0] == block
    marked = encode(envelope.but(priority="-4"))[0]
    assert marked[FIRST_LINE_OCTETS:] == block[FIRST_LINE_OCTETS:].replace(
        b"Amsmail-Recipient", b"Amsmail-Priority: -4\nAmsmail-Recipient")


@pytest.mark.parametrize("damage", [b"x", b"+", b" ", b"\n"])
def test_a_priority_that_is_none_is_no_envelope(damage):
    """It is counted with: mailcheck must hear of it here, as of other damage."""
    block, _, _ = encode(Envelope(None, (), priority="4"))
    with pytest.raises(EnvelopeError):
        decode(block.replace(b"Priority: 4", b"Priority: " + damage))


def test_a_newer_version_is_refused():
    with pytest.raises(EnvelopeError, match="version 2"):
        block_length(b"Amsmail-Envelope: 2 0000000100\n")


_contents = st.lists(st.sampled_from([b"\n", b"\n\n", b"a", "ü".encode(), b"\xff"]), max_size=12).map(b"".join)


@given(_contents, st.lists(st.integers(0, 30), max_size=6))
def test_what_a_content_needs_of_a_relay(text, cuts):
    scanner = ContentScanner()
    for piece in pieces_of(text, cuts):
        scanner.feed(piece)
    header, _, body = (b"\n" + text).partition(b"\n\n")
    assert scanner.content == ("utf8" if not header.isascii() else "7bit" if body.isascii() else "8bit")

"""Delivery status notifications, read by the standard library."""

import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Envelope, Recipient
from amsmail.wire.report import Fate, header_of, report

from ..protocol.drive import pieces_of

_MESSAGE = b"Subject: berth\r\nX: \xff\r\n\r\nBerth 7 is yours.\r\n"


def _parts(full, message=_MESSAGE, address="friend@far.example"):
    sender = parse_address("captain@yacht.example")
    recipient = Recipient(parse_address(address), "", "rfc822;old@far.example")
    fate = Fate(recipient, "failed", "5.1.1", "550 5.1.1 who?")
    octets = b"".join(report("yacht.example", sender, Envelope(sender, (recipient,), envid="x1"), [fate], "id1", "n1",
                             ("Sat, 21 Nov 2026 06:00:00 +0000",) * 2, iter([message]), full))
    return octets, email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)


def test_a_report_has_its_three_parts():
    _, found = _parts(full=True)
    assert (found["To"], found["Auto-Submitted"]) == ("captain@yacht.example", "auto-replied")
    assert found.get_content_type() == "multipart/report"
    text, status, original = found.iter_parts()
    assert "<friend@far.example>" in text.get_content()
    assert [part.get_content_type() for part in (status, original)] == ["message/delivery-status", "message/rfc822"]
    message, recipient = status.get_payload()
    assert (message["Reporting-MTA"], message["Original-Envelope-Id"]) == ("dns; yacht.example", "x1")
    assert dict(recipient.items()) == {
        "Original-Recipient": "rfc822; old@far.example",
        "Final-Recipient": "rfc822; friend@far.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Diagnostic-Code": "smtp; 550 5.1.1 who?"}


def test_all_of_the_message_or_its_header_is_returned_as_it_was():
    assert _MESSAGE in _parts(full=True)[0]
    assert b"X: \xff\r\n\r\n--=_id1--\r\n" in _parts(full=False)[0]
    assert b"no end\r\n--=_id1--\r\n" in _parts(full=True, message=b"\r\nno end")[0]


def test_a_report_on_an_address_outside_ascii_says_so():
    octets, _ = _parts(full=False, address="jürgen@far.example")
    assert b"Content-Type: message/global-delivery-status\r\n" in octets
    assert "Final-Recipient: utf-8; jürgen@far.example\r\n".encode() in octets


def test_a_delay_says_until_when_it_is_tried():
    sender, recipient = parse_address("captain@yacht.example"), Recipient(parse_address("friend@far.example"))
    fate = Fate(recipient, "delayed", "4.4.0", "", "Sat, 28 Nov 2026 06:00:00 +0000", "There was no link.")
    octets = b"".join(report("yacht.example", sender, Envelope(sender, (recipient,)), [fate], "id1", "n1",
                             ("Sat, 21 Nov 2026 06:00:00 +0000",) * 2, iter([_MESSAGE]), False))
    text, status, _ = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8).iter_parts()
    assert "    <friend@far.example>\r\n        There was no link.\r\n" in text.get_content()
    assert "goes on trying" in text.get_content()
    assert dict(status.get_payload()[1].items()) == {
        "Final-Recipient": "rfc822; friend@far.example",
        "Action": "delayed",
        "Status": "4.4.0",
        "Will-Retry-Until": "Sat, 28 Nov 2026 06:00:00 +0000"}


def test_a_message_without_a_blank_line_is_returned_as_its_header_only():
    octets = _parts(full=False, message=b"Received: by x\r\n\tid 1\r\nSubject : x\r\nThe berth: 7.\r\nTo: me\r\n")[0]
    assert octets.endswith(b"\r\n\r\nReceived: by x\r\n\tid 1\r\nSubject : x\r\n\r\n--=_id1--\r\n")


def test_a_field_of_any_length_is_whole_and_a_text_of_any_length_is_left_out():
    field = b"X: " + b"y" * 5000 + b"\r\n"
    for cut in range(1, len(field), 7):
        pieces = pieces_of(field + b"z" * 5000 + b": \r\n", [cut, 1020, 1030, len(field) + 3000])
        assert b"".join(header_of(pieces)) == field


_texts = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a: b", b"c", b" ", b"a\xff:", b"x" * 600, b"\r\n\r\n"]),
                  max_size=12).map(b"".join)


def _header(text):
    """The same, said in another way: of a message that is all here."""
    found = []
    for line in text.split(b"\r\n"):
        name, colon, _ = line.partition(b":")
        name = name.rstrip(b" \t")
        if line[:1] not in (b" ", b"\t") and not (colon and name and all(33 <= octet <= 126 for octet in name)):
            break
        found.append(line + b"\r\n")
    return b"".join(found)[:len(text)]


@given(_texts, st.lists(st.integers(0, 4000), max_size=10))
def test_a_header_is_the_same_in_any_chunking(text, cuts):
    assert b"".join(header_of(pieces_of(text, cuts))) == _header(text)

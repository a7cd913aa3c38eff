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


_texts = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a: b", b"c", b"\r\n\r\n"]), max_size=12).map(b"".join)


@given(_texts, st.lists(st.integers(0, 40), max_size=10))
def test_a_header_ends_at_the_first_blank_line_in_any_chunking(text, cuts):
    end = (b"\r\n" + text).find(b"\r\n\r\n")
    assert b"".join(header_of(pieces_of(text, cuts))) == (text if end < 0 else text[:end])

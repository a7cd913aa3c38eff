"""The push: what the relay gets is what was queued, and the queue is empty only then."""

import os
import re

import pytest

from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Recipient
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import FLOWS, Shore, Site, relay, without_trace


@pytest.fixture
def shore(tmp_path):
    with Shore(tmp_path / "shore", "smtp") as shore:
        yield shore


@pytest.fixture
def yacht(tmp_path, shore):
    return Site(tmp_path / "yacht", relay=relay(shore.ports["smtp"]))


TEXTS = {
    "plain": b"Subject: x\r\n\r\nHello.\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n",
    "a dot first": b".\r\n",
    "a header only": b"Subject: x\r\n",
    "a blank line only": b"\r\n",
    "8 bit": b"Subject: x\r\n\r\nna\xefve \xff\r\n",
    "NUL": b"Subject: x\r\n\r\n\0\0\r\n",
    "a long line": b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"\r\n",
    "dots at the edges of pieces": b"Subject: x\r\n\r\n" + (b"." * 70 + b"\r\n") * 5000,
    "3 MB": b"Subject: x\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 42_000,
}


def test_the_queue_is_drained_and_every_octet_arrives(yacht, shore):
    for text in TEXTS.values():
        yacht.enqueue(text)
    result = yacht.push()
    assert result.failures == []
    assert (result.done, result.refused, result.kept) == (len(TEXTS), 0, 0)
    assert result.octets == sum(map(len, TEXTS.values())) < result.sent
    assert yacht.queued() == []
    assert shore.bodies("agent") == sorted(text.replace(b"\r\n", b"\n") for text in TEXTS.values())


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_dot_stuffing_is_right_on_the_wire(yacht, text):
    with Relay() as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(text)
        yacht.push()
    (_, _, body), = provider.accepted
    assert body == b"\r\n".join(b"." + line if line[:1] == b"." else line for line in text.split(b"\r\n"))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_in_a_chunk_nothing_is_stuffed(yacht, text):
    with Relay(FLOWS["chunked"] + ["8BITMIME"]) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(text)
        yacht.push()
    assert [body for _, _, body in provider.accepted] == [text]
    assert yacht.queued() == []


def test_a_message_that_is_not_as_large_as_its_name_says_is_counted(yacht):
    with Relay(FLOWS["chunked"]) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue()
        entry, = yacht.spool.queue().list()
        os.rename(entry.path, re.sub(r"S=\d+,W=\d+", "S=1,W=1", entry.path))
        assert yacht.push().failures == []
    assert [body for _, _, body in provider.accepted] == [b"Subject: x\r\n\r\nHello.\r\n"]


def test_the_smallest_goes_first(yacht):
    with Relay() as provider:
        yacht.configure(relay=relay(provider.port))
        for size in (5000, 10, 700):
            yacht.enqueue(b"x" * size + b"\r\n")
        yacht.push()
    assert [len(body) for _, _, body in provider.accepted] == [12, 702, 5002]


def test_several_recipients_cost_one_transaction(yacht):
    with Relay() as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(to=("a@far.example", "b@far.example", "c@other.example"))
        yacht.push()
    (mail, recipients, _), = provider.accepted
    assert mail.startswith("MAIL FROM:<captain@yacht.example> ")
    assert recipients == ["RCPT TO:<a@far.example>", "RCPT TO:<b@far.example>", "RCPT TO:<c@other.example>"]
    assert yacht.queued() == []


ENVELOPES = {
    "DSN": {"to": (Recipient(parse_address("a@far.example"), "SUCCESS,FAILURE", "rfc822;old+2Bname@far.example"),
                   Recipient(parse_address("b@far.example"), "NEVER")),
            "ret": "HDRS", "envid": "QQ314159"},
    "the null sender": {"to": ("a@far.example",), "sender": None},
    "SMTPUTF8 in a recipient": {"to": ("køk@far.example",), "smtputf8": True},
    "SMTPUTF8 in the sender": {"to": ("a@far.example",), "sender": "blåbær@yacht.example", "smtputf8": True},
    "SMTPUTF8 in the header": {"text": "Subject: blåbær\r\n\r\nx\r\n".encode(), "to": ("a@far.example",),
                               "smtputf8": True, "body": "8BITMIME"},
    "8BITMIME": {"text": b"Subject: x\r\n\r\n\xe6\r\n", "to": ("a@far.example",), "body": "8BITMIME"},
    "a quoted local part": {"to": ('"two words"@far.example',), "sender": '"a\\"b"@yacht.example'},
    "an address literal": {"to": ("a@[192.0.2.1]",)},
}


@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_the_envelope_is_passed_on(yacht, shore, envelope):
    yacht.enqueue(**envelope)
    was, = yacht.queued()
    assert yacht.push().failures == []
    assert yacht.queued() == []
    arrived, = shore.queued()
    # A priority that nobody gave is 0 (RFC 6710, section 4.1), and the relay is told so.
    assert arrived.envelope.but(arrival=0) == was.envelope.but(arrival=0, priority="0")
    text = envelope.get("text", b"Subject: x\r\n\r\nHello.\r\n")
    assert without_trace(shore.content(arrived)) == text.replace(b"\r\n", b"\n")


def test_a_relay_without_dsn_gets_no_dsn_parameters(yacht):
    with Relay(extensions=["PIPELINING", "SIZE 100000"]) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(**ENVELOPES["DSN"])
        yacht.push()
    (mail, recipients, _), = provider.accepted
    assert mail == "MAIL FROM:<captain@yacht.example> SIZE=22"
    assert recipients == ["RCPT TO:<a@far.example>", "RCPT TO:<b@far.example>"]


def test_it_logs_in(tmp_path, yacht):
    with Shore(tmp_path / "strict", "submission") as strict:
        yacht.configure(relay=relay(strict.ports["submission"], user="yacht", password="secret"))
        yacht.enqueue(to=("a@far.example",))
        assert yacht.push().failures == []
        arrived, = strict.queued()
    assert arrived.envelope.user == "yacht"


@pytest.mark.parametrize("extensions", [["AUTH LOGIN"], ["AUTH login CRAM-MD5"]])
def test_it_logs_in_with_auth_login(yacht, extensions):
    with Relay(extensions, replies={"AUTH LOGIN": "334 VXNlcm5hbWU6", "eWFjaHQ=": "334 UGFzc3dvcmQ6",
                                    "c2VjcmV0": "235 Welcome"}) as provider:
        yacht.configure(relay=relay(provider.port, user="yacht", password="secret"))
        yacht.enqueue()
        assert yacht.push().failures == []
    assert provider.said[1:4] == ["AUTH LOGIN", "eWFjaHQ=", "c2VjcmV0"] and len(provider.accepted) == 1


def test_without_pipelining_nothing_is_sent_early(yacht):
    with Relay(extensions=["SIZE"], patient=True) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(to=("a@far.example", "b@far.example"))
        yacht.enqueue()
        yacht.push()
    assert provider.early == []
    assert len(provider.accepted) == 2
    assert yacht.queued() == []


def test_pipelined_the_body_waits_for_the_reply_to_data(yacht):
    with Relay(patient=True) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(to=("a@far.example", "b@far.example"))
        yacht.push()
    assert provider.said[1].startswith("MAIL FROM")
    flight = [b"RCPT TO:<a@far.example>\r\n", b"RCPT TO:<b@far.example>\r\n", b"DATA\r\n"]
    # Nothing behind DATA before its reply; and behind the body what follows it.
    assert provider.early == [*(b"".join(flight[n:]) for n in range(3)), b"QUIT\r\n"]


def test_a_damaged_file_is_logged_and_left_alone(yacht, shore):
    damaged = yacht.enqueue()
    entry = next(e for e in yacht.spool.queue().list() if e.uid == damaged)
    with open(entry.path, "r+b") as f:
        f.write(b"Amsmail-Envelope: 1 9999999999\n")
    yacht.enqueue()
    result = yacht.push()
    assert result.done == 1 and len(shore.box("agent")) == 1
    assert [e.uid for e in yacht.spool.queue().list()] == [damaged]
    assert any("queue-entry-unreadable" in line and damaged in line for line in yacht.log)


def test_a_bare_cr_is_given_to_no_relay(yacht, shore):
    yacht.enqueue(b"Subject: x\r\n\r\nbare\rcr\r\n")
    yacht.enqueue()
    result = yacht.push()
    assert (result.done, result.refused) == (1, 1)
    assert yacht.queued() == [] and len(shore.box("agent")) == 1
    notice, = yacht.box("captain")
    assert b"Status: 5.6.0\n" in notice


# What the relay cannot take is never converted: the sender is told.
CANNOT = {
    "8BITMIME": (["SMTPUTF8", "SIZE"], {"text": b"Subject: x\r\n\r\n\xe6\r\n"}, "5.6.3"),
    "SMTPUTF8 for an address": (["8BITMIME"], {"to": ("køk@far.example",), "smtputf8": True}, "5.6.7"),
    "SMTPUTF8 for the header": (
        ["8BITMIME"], {"text": "Subject: æ\r\n\r\nx\r\n".encode(), "smtputf8": True}, "5.6.7"),
    "SIZE": (["SIZE 20"], {}, "5.3.4"),
}


@pytest.mark.parametrize("extensions, message, status", CANNOT.values(), ids=CANNOT)
def test_what_the_relay_cannot_take(yacht, extensions, message, status):
    with Relay(extensions) as provider:
        yacht.configure(relay=relay(provider.port))
        yacht.enqueue(**message)
        result = yacht.push()
    assert result.refused == 1 and result.failures == []
    assert not any(line.startswith(("MAIL", "RCPT", "DATA")) for line in provider.said)
    assert yacht.queued() == []
    notice, = yacht.box("captain")
    assert f"\nStatus: {status}\n".encode() in notice

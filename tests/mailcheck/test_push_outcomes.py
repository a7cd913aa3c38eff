"""What becomes of each recipient: sent, refused for good and told to the sender, or waiting for another time."""

import email
import email.policy
import errno
import time

import pytest

from amsmail.store import durable
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Recipient
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import FLOWS, Site, relay
from tests.store.disk import Disk

NO = "550 5.1.1 Nobody of that name"
LATER = "450 4.2.1 That box is busy"
TEXT = b"Subject: To all three\r\nMessage-ID: <1@yacht.example>\r\n\r\nHello.\r\n.dot\r\n"


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def push(yacht, provider):
    yacht.configure(relay=relay(provider.port))
    return yacht.push()


def recipient(address, notify="", orcpt=""):
    return Recipient(parse_address(address), notify, orcpt)


def notices(yacht, box="captain"):
    return [email.message_from_bytes(text, policy=email.policy.default) for text in yacht.box(box)]


def test_one_refused_one_put_off_one_sent(yacht):
    uid = yacht.enqueue(TEXT, to=(recipient("gone@far.example", orcpt="rfc822;old+2Bname@far.example"),
                                  "busy@far.example", "there@far.example"), envid="QQ+2B1")
    with Relay(replies={"RCPT TO:<gone": NO, "RCPT TO:<busy": LATER}) as provider:
        result = push(yacht, provider)
    assert (result.done, result.refused, result.kept, result.failures) == (1, 1, 1, [])
    assert yacht.states() == {"gone@far.example": "F", "busy@far.example": "-", "there@far.example": "S"}
    assert provider.accepted[0][1] == ["RCPT TO:<there@far.example>"]

    notice, = notices(yacht)
    assert notice["Return-Path"] == "<>"
    assert notice["To"] == "captain@yacht.example"
    assert notice["Auto-Submitted"] == "auto-replied"
    assert notice["Message-ID"] and notice["Date"].datetime.timestamp() > time.time() - 60
    assert notice.get_content_type() == "multipart/report"
    assert notice.get_param("report-type") == "delivery-status"
    words, status, original = notice.iter_parts()
    assert "gone@far.example" in words.get_content() and NO in words.get_content()
    assert "busy" not in words.get_content() and "there@" not in words.get_content()
    assert status.get_content_type() == "message/delivery-status"
    message, about = status.get_payload()
    assert (message["Reporting-MTA"], message["Original-Envelope-Id"]) == ("dns; yacht.example", "QQ+1")
    assert email.utils.parsedate_to_datetime(message["Arrival-Date"]).timestamp() == yacht.queued()[0].envelope.arrival
    assert dict(about.items()) == {
        "Original-Recipient": "rfc822; old+name@far.example",
        "Final-Recipient": "rfc822; gone@far.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Diagnostic-Code": f"smtp; {NO}"}
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload(0).as_bytes() == TEXT.replace(b"\r\n", b"\n")
    assert uid in words.get_content()

    with Relay() as provider:       # the next run
        result = push(yacht, provider)
    assert [recipients for _, recipients, _ in provider.accepted] == [["RCPT TO:<busy@far.example>"]]
    assert result.done == 1 and yacht.queued() == [] and len(notices(yacht)) == 1


# Where the whole message is refused, and with which status: every recipient that was still waiting shares that fate.
REFUSALS = {
    "MAIL": ({"MAIL": "553 5.1.8 No such sender"}, "5.1.8"),
    "RCPT": ({"RCPT": NO}, "5.1.1"),
    "DATA": ({"DATA": "554 5.5.0 No"}, "5.5.0"),
    "the body": ({"final": "554 5.7.1 Spam"}, "5.7.1"),
    "the body, no enhanced code": ({"final": "554 Spam"}, "5.0.0"),
    "the body, several lines": ({"final": "554-5.7.1 This is\n554 5.7.1 spam"}, "5.7.1"),
}


@pytest.mark.parametrize("where, flow", [(where, flow) for where in REFUSALS for flow in FLOWS
                                         if (where, flow) != ("DATA", "chunked")])
def test_a_message_refused_for_good(yacht, where, flow):
    replies, status = REFUSALS[where]
    yacht.enqueue(to=("a@far.example", "b@far.example"))
    with Relay(FLOWS[flow], replies=replies) as provider:
        result = push(yacht, provider)
    assert (result.done, result.refused, result.kept, result.failures) == (0, 1, 0, [])
    assert yacht.queued() == []
    notice, = notices(yacht)
    _, first, second = list(notice.iter_parts())[1].get_payload()
    assert [part["Final-Recipient"] for part in (first, second)] == ["rfc822; a@far.example", "rfc822; b@far.example"]
    assert first["Status"] == second["Status"] == status


@pytest.mark.parametrize("command, reply, flow", [
    (command, reply, flow) for flow in FLOWS for command, reply in [
        ("MAIL", "451 4.3.0 Later"), ("RCPT", LATER), ("DATA", "451 4.3.0 Later"), ("final", "452 4.3.1 Full"),
        ("DATA", "250 2.0.0 What?"), ("final", "354 More"), ("MAIL", "354 What?"), ("RCPT", "354 What?")]
    if (command, flow) != ("DATA", "chunked")])
def test_a_message_put_off(yacht, command, reply, flow):
    """What is temporary, and answers that make no sense: the message stays, and so does the session."""
    yacht.enqueue(to=("a@far.example",))
    with Relay(FLOWS[flow], replies={command: reply}) as provider:
        result = push(yacht, provider)
    assert (result.done, result.refused, result.kept, result.failures) == (0, 0, 1, [])
    assert yacht.states() == {"a@far.example": "-"}
    assert yacht.box("captain") == []
    assert "QUIT" in provider.said[-1]


@pytest.mark.parametrize("flow, resets", [("chunked", 3), ("pipelined", 3), ("in lock-step", 1)])
def test_a_refused_message_does_not_spoil_the_next(yacht, flow, resets):
    for text in (b"1\r\n", b"22\r\n", b"333\r\n"):
        yacht.enqueue(text, to=("gone@far.example" if b"22" in text else "there@far.example",))
    with Relay(FLOWS[flow], replies={"RCPT TO:<gone": NO}) as provider:
        push(yacht, provider)
    assert [(len(recipients), body) for _, recipients, body in provider.accepted if recipients] == [
        (1, b"1\r\n"), (1, b"333\r\n")]
    assert provider.said.count("RSET") == resets


# Who hears of a failure: by NOTIFY and the sender.
HEARS = {
    "no NOTIFY": ("captain@yacht.example", "", "captain"),
    "NOTIFY=FAILURE": ("captain@yacht.example", "FAILURE", "captain"),
    "NOTIFY=SUCCESS,FAILURE": ("captain@yacht.example", "SUCCESS,FAILURE", "captain"),
    "NOTIFY=SUCCESS": ("captain@yacht.example", "SUCCESS", None),
    "NOTIFY=DELAY": ("captain@yacht.example", "DELAY", None),
    "NOTIFY=NEVER": ("captain@yacht.example", "NEVER", None),
    "another box": ("cook@yacht.example", "", "cook"),
    "a sender elsewhere": ("someone@far.example", "", "captain"),
    "the null sender": (None, "", "captain"),
}


@pytest.mark.parametrize("sender, notify, box", HEARS.values(), ids=HEARS)
def test_who_hears_of_a_failure(yacht, sender, notify, box):
    yacht.enqueue(to=(recipient("gone@far.example", notify),), sender=sender)
    with Relay(replies={"RCPT": NO}) as provider:
        push(yacht, provider)
    assert yacht.queued() == []
    assert {name: len(yacht.box(name)) for name in ("captain", "cook")} == {
        name: int(name == box) for name in ("captain", "cook")}


RETURNED = {
    "all of it": ("", 10, "message/rfc822", True),
    "RET=FULL": ("FULL", 10, "message/rfc822", True),
    "RET=HDRS": ("HDRS", 10, "text/rfc822-headers", False),
    "too large to return": ("FULL", 150_000, "text/rfc822-headers", False),
}


@pytest.mark.parametrize("ret, size, kind, has_body", RETURNED.values(), ids=RETURNED)
def test_what_is_returned(yacht, ret, size, kind, has_body):
    yacht.enqueue(b"Subject: mine\r\nX: y\r\n\r\n" + b"body " * size + b"\r\n", ret=ret)
    with Relay(replies={"final": "554 5.7.1 Spam"}) as provider:
        push(yacht, provider)
    text, = yacht.box("captain")
    *_, original = email.message_from_bytes(text).get_payload()
    assert original.get_content_type() == kind
    assert b"Subject: mine\nX: y\n" in text
    assert (b"body body" in text) == has_body


@pytest.mark.parametrize("extensions, expected", [(["8BITMIME"], 1), (["DSN"], 0)], ids=["no DSN", "DSN"])
def test_success_is_told_where_the_relay_will_not(yacht, extensions, expected):
    yacht.enqueue(to=(recipient("a@far.example", "SUCCESS"), recipient("b@far.example")))
    with Relay(extensions) as provider:
        push(yacht, provider)
    assert yacht.queued() == []
    assert len(notices(yacht)) == expected
    for notice in notices(yacht):
        _, about = list(notice.iter_parts())[1].get_payload()
        assert about["Final-Recipient"] == "rfc822; a@far.example"
        assert (about["Action"], about["Status"]) == ("relayed", "2.0.0")


def test_pauses_grow(yacht):
    yacht.enqueue(to=("a@far.example",))
    pauses = []
    for _ in range(7):
        before = time.time()
        with Relay(replies={"RCPT": LATER}) as provider:
            push(yacht, provider)
        assert yacht.due(before) == []
        assert len(yacht.due(before, everything=True)) == 1
        pauses.append(next(p for p in range(0, 15_000, 300) if yacht.due(before + 1 + p)))
    assert pauses == [900, 1800, 3600, 7200, 14400, 14400, 14400]


def test_a_pause_that_a_wrong_clock_made_does_not_last(yacht, monkeypatch):
    """A machine without a clock of its own may be years ahead when it starts."""
    yacht.enqueue(to=("a@far.example",))
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: now + 1e8)
        with Relay(replies={"RCPT": LATER}) as provider:
            push(yacht, provider)
    assert len(yacht.due(now)) == 1


def test_a_full_disk_neither_repeats_what_was_sent_nor_stops_the_rest(yacht, monkeypatch):
    """No room for the notice: the recipient that was refused waits, what was accepted is not sent again."""
    yacht.enqueue(b"1\r\n", to=("gone@far.example", "there@far.example"))
    yacht.enqueue(b"22\r\n", to=("other@far.example",))
    disk = Disk(yacht.spool.path)

    def no_room(path, flags, *rest):
        if "boxes" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, flags, *rest)
    real, disk.os.open = disk.os.open, no_room
    with monkeypatch.context() as patch, Relay(replies={"RCPT TO:<gone": NO}) as provider:
        patch.setattr(durable, "os", disk.os)
        result = push(yacht, provider)
    assert [body for _, _, body in provider.accepted] == [b"1\r\n", b"22\r\n"]
    assert yacht.states() == {"gone@far.example": "-", "there@far.example": "S"}
    assert result.refused == 0 and [kind for kind, _ in result.failures] == ["temporary"] and result.kept == 1

    with Relay(replies={"RCPT TO:<gone": NO}) as provider:
        push(yacht, provider)
    assert yacht.queued() == [] and len(notices(yacht)) == 1

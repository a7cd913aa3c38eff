"""The SMTP client's engine against servers that misbehave; how the mail goes out is in test_smtp_flows.py."""

import pytest

from amsmail.protocol import smtp_client as smtp
from amsmail.protocol.engine import Closed, StartTls
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Envelope, Recipient
from amsmail.wire.reply import Reply

from .drive import feed, talk

_NOBODY = smtp.Login("", "")
_PLAIN = ["S: 220 relay.example", "C: EHLO yacht.example", "S: 250 relay.example"]
_MAIL = ["C: MAIL FROM:<captain@yacht.example>", "S: 250 ok"]
_RCPT = ["C: RCPT TO:<a@far.example>", "S: 250 ok", "C: RCPT TO:<b@far.example>", "S: 250 ok"]
_BODY = ["C: Subject: x", "C: ", "C: ..", "C: ."]
_QUIT = ["C: QUIT"]         # nobody waits for its answer


def _message(key="one", content="7bit", size=10, sender="captain@yacht.example", **more):
    recipients = tuple(Recipient(parse_address(text)) for text in ("a@far.example", "b@far.example"))
    return smtp.Message(key, Envelope(parse_address(sender), recipients, content=content, **more), (0, 1), size)


def _answers(messages, body=b"Subject: x\n\n.\n"):
    """Answers a client that has these messages to send."""
    waiting, pieces = iter([*messages, None]), {}

    def answer(event):
        if isinstance(event, smtp.NextMessage):
            return next(waiting)
        if isinstance(event, smtp.ReadBody):
            return next(pieces.setdefault(event.key, iter([body, b""])))
        return True
    return answer


def _run(lines, messages=(), starttls=False, login=_NOBODY, body=b"Subject: x\n\n.\n"):
    return talk(smtp.SmtpClient("yacht.example", starttls, login), lines, _answers(messages, body))


def _outcome(events):
    """{index: code} of the only message."""
    (outcome,) = [event for event in events if isinstance(event, smtp.Outcome)]
    return {index: reply.code for index, reply in outcome.replies.items()}


def _failure(events):
    (failed,) = [event for event in events if isinstance(event, smtp.SessionFailed)]
    return failed.why, str(failed.reply)


def test_a_message_goes_out():
    events = _run([*_PLAIN, *_MAIL, *_RCPT, "C: DATA", "S: 354 go", *_BODY, "S: 250 ok", *_QUIT],
                  [_message()])
    assert _outcome(events) == {0: 250, 1: 250}
    assert events[-1] == Closed()


@pytest.mark.parametrize("greeting", ["554 no mail here", "454 later", "554"])
def test_a_greeting_that_refuses(greeting):
    events = _run([f"S: {greeting}"])
    assert _failure(events) == ("refused", greeting)
    assert events[-1] == Closed()


@pytest.mark.parametrize("said", ["SSH-2.0-OpenSSH_9", "", "999 what", "+OK POP3 ready", "2200 x", "250x"])
def test_a_peer_that_does_not_speak_smtp(said):
    assert _run([f"S: {said}"])[-1].why.startswith("not an SMTP reply")


def test_a_reply_that_changes_its_code():
    assert "changes its code" in _run(["S: 220-one", "S: 221 two"])[-1].why


def test_a_reply_without_end():
    assert "more than 500 lines" in _run(["S: 220-x"] * 501)[-1].why


def test_a_line_without_end():
    assert "a line of more than" in _run(["S: " + "x" * 70000])[-1].why


_FULL = [*_PLAIN, *_MAIL, *_RCPT, "C: DATA", "S: 354 go", *_BODY, "S: 250 ok"]


@pytest.mark.parametrize("said", [count for count, line in enumerate(_FULL) if line.startswith("S: ")])
@pytest.mark.parametrize("last_word", ["--close", "S: 421 shutting down"])
def test_a_server_that_goes_away_leaves_no_outcome_and_a_reason(said, last_word):
    events = _run([*_FULL[:said], last_word], [_message()])
    assert not any(isinstance(event, smtp.Outcome) for event in events)
    assert events[-1].why.startswith(
        "the server closed the connection" if last_word == "--close" else "the server closes the session: 421")


def test_helo_where_ehlo_is_unknown():
    events = _run(["S: 220 old", "C: EHLO yacht.example", "S: 500 what", "C: HELO yacht.example", "S: 250 old", *_QUIT])
    assert smtp.Ready({}, "in lock-step") in events


def test_no_helo_where_a_login_is_needed():
    events = _run(["S: 220 old", "C: EHLO yacht.example", "S: 500 what", *_QUIT], login=smtp.Login("yacht", "secret"))
    assert _failure(events) == ("refused", "500 what")


def test_starttls_that_is_not_offered_is_never_done_without():
    events = _run([*_PLAIN, *_QUIT], [_message()], starttls=True)
    assert _failure(events)[0] == "not-offered"
    assert smtp.NextMessage() not in events


def test_starttls_that_is_refused_is_never_done_without():
    events = _run(["S: 220 x", "C: EHLO yacht.example", "S: 250-x", "S: 250 STARTTLS", "C: STARTTLS", "S: 454 not now",
                   *_QUIT], starttls=True)
    assert _failure(events) == ("refused", "454 not now")


def test_what_is_said_before_the_handshake_does_not_count_after_it():
    client = smtp.SmtpClient("yacht.example", True, _NOBODY)
    client.receive(b"220 x\r\n")
    assert client.next_event() is None
    client.receive(b"250-x\r\n250 STARTTLS\r\n")
    assert client.next_event() is None
    client.receive(b"220 go\r\n250-forged\r\n250 AUTH PLAIN\r\n")
    assert client.next_event() == StartTls()
    client.output()
    client.answer(True)
    assert client.next_event() is None
    assert client.output() == b"EHLO yacht.example\r\n"
    client.receive(b"250 relay.example\r\n")
    assert client.next_event() == smtp.Ready({}, "in lock-step")    # the clear EHLO's are forgotten as well


def test_login_plain():
    events = _run(["S: 220 x", "C: EHLO yacht.example", "S: 250-x", "S: 250 AUTH LOGIN PLAIN",
                   "C: AUTH PLAIN AHlhY2h0AHNlY3JldA==", "S: 235 ok", *_QUIT], login=smtp.Login("yacht", "secret"))
    assert smtp.Ready({"AUTH": ["LOGIN", "PLAIN"]}, "in lock-step") in events


def test_login_login():
    events = _run(["S: 220 x", "C: EHLO yacht.example", "S: 250-x", "S: 250 AUTH LOGIN", "C: AUTH LOGIN",
                   "S: 334 VXNlcm5hbWU6", "C: eWFjaHQ=", "S: 334 UGFzc3dvcmQ6", "C: c2VjcmV0", "S: 535 5.7.8 wrong",
                   *_QUIT], login=smtp.Login("yacht", "secret"))
    assert _failure(events) == ("login", "535 5.7.8 wrong")


def test_a_login_that_is_not_offered_is_not_done_without():
    events = _run([*_PLAIN, *_QUIT], [_message()], login=smtp.Login("yacht", "secret"))
    assert _failure(events)[0] == "not-offered"


def test_some_recipients_are_accepted():
    events = _run([*_PLAIN, *_MAIL, "C: RCPT TO:<a@far.example>", "S: 550 5.1.1 who", "C: RCPT TO:<b@far.example>",
                   "S: 250 ok", "C: DATA", "S: 354 go", *_BODY, "S: 250 ok", *_QUIT],
                  [_message()])
    assert _outcome(events) == {0: 550, 1: 250}


def test_no_recipient_is_accepted():
    events = _run([*_PLAIN, *_MAIL, "C: RCPT TO:<a@far.example>", "S: 550 who", "C: RCPT TO:<b@far.example>",
                   "S: 452 full", "C: RSET", "S: 250 ok", *_QUIT], [_message()])
    assert _outcome(events) == {0: 550, 1: 452}


def test_the_sender_is_refused():
    events = _run([*_PLAIN, "C: MAIL FROM:<captain@yacht.example>", "S: 550 not you", "C: RSET", "S: 250 ok", *_QUIT],
                  [_message()])
    assert _outcome(events) == {0: 550, 1: 550}


@pytest.mark.parametrize("data, final, code", [
    ("451 later", None, 451),
    ("250 accepted already", None, 451),        # a promise before there was a body is none
    ("354 go", "554 spam", 554),
    ("354 go", "354 go on", 451),
])
def test_a_server_that_does_not_take_the_body(data, final, code):
    body = [*_BODY, f"S: {final}"] if final else []
    events = _run([*_PLAIN, *_MAIL, *_RCPT, "C: DATA", f"S: {data}", *body, "C: RSET", "S: 250 ok", *_QUIT],
                  [_message()])
    assert _outcome(events) == {0: code, 1: code}


@pytest.mark.parametrize("extensions, message, code, status", [
    ([], _message(content="8bit"), 550, "5.6.3"),
    (["8BITMIME"], _message(content="utf8", smtputf8=True), 550, "5.6.7"),
    (["8BITMIME"], _message(sender="jürgen@yacht.example"), 550, "5.6.7"),
    (["SIZE 9"], _message(size=10), 552, "5.3.4"),
])
def test_a_message_that_the_relay_cannot_take_as_it_is_is_not_sent(extensions, message, code, status):
    lines = ["x", *extensions]
    offers = [f"S: 250{' ' if line is lines[-1] else '-'}{line}" for line in lines]
    events = _run(["S: 220 x", "C: EHLO yacht.example", *offers, *_QUIT], [message])
    (outcome,) = [event for event in events if isinstance(event, smtp.Outcome)]
    assert {(reply.code, reply.status) for reply in outcome.replies.values()} == {(code, status)}


@pytest.mark.parametrize("limit", ["", "0", "x", "²", "9" * 5000])
def test_a_size_that_says_nothing_is_no_limit(limit):
    events = _run(["S: 220 x", "C: EHLO yacht.example", "S: 250-x", f"S: 250 SIZE {limit}",
                   "C: MAIL FROM:<captain@yacht.example> SIZE=10", "S: 250 ok", *_RCPT, "C: DATA", "S: 354 go",
                   "C: Subject: x", "C: ", "C: ..", "C: .", "S: 250 ok", *_QUIT], [_message()])
    assert _outcome(events) == {0: 250, 1: 250}


_OFFERS = {"chunked": ["250-CHUNKING", "250-PIPELINING"], "pipelined": ["250-PIPELINING"], "in lock-step": []}


@pytest.mark.parametrize("offered, priority, behind", [
    ("MT-PRIORITY MIXER", "4", " MT-PRIORITY=4"), ("mt-priority", "-9", " MT-PRIORITY=-9"),
    ("MT-PRIORITY STANAG4406", "0", " MT-PRIORITY=0"), ("MT-PRIORITY", "", ""), ("HELP", "4", "")])
@pytest.mark.parametrize("flow", _OFFERS)
def test_a_priority_goes_where_it_is_offered(flow, offered, priority, behind):
    """In each flow: as it came, under whatever policy; where there was none, none is made up."""
    client = smtp.SmtpClient("yacht.example", False, _NOBODY)
    answer = _answers([_message(priority=priority, size=15)])
    events, said = feed(client, [f"{line}\r\n".encode() for line in
                                 ("220 x", "250-x", *_OFFERS[flow], f"250 {offered}")], answer)
    assert [event.flow for event in events if isinstance(event, smtp.Ready)] == [flow]
    assert said.split(b"\r\n")[:2] == [b"EHLO yacht.example", f"MAIL FROM:<captain@yacht.example>{behind}".encode()]


def test_parameters_go_where_they_are_offered():
    message = _message(content="8bit", ret="HDRS", envid="x1")
    events = _run(["S: 220 x", "C: EHLO yacht.example", "S: 250-x", "S: 250-SIZE", "S: 250-8bitmime", "S: 250 DSN",
                   "C: MAIL FROM:<captain@yacht.example> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=x1", "S: 250 ok", *_RCPT,
                   "C: DATA", "S: 354 go", *_BODY, "S: 250 2.0.0 ok", *_QUIT],
                  [message])
    (outcome,) = [event for event in events if isinstance(event, smtp.Outcome)]
    assert outcome.replies[0] == Reply(250, "2.0.0", "ok")

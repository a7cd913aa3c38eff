"""The POP3 client's engine against servers that misbehave."""

import pytest

from amsmail.protocol import pop3_client as pop3
from amsmail.protocol.engine import Closed, StartTls

from .drive import talk

_LOGIN = ["S: +OK ready", "C: USER owner", "S: +OK", "C: PASS secret", "S: +OK"]
_LISTS = [*_LOGIN, "C: UIDL", "S: +OK", "S: 1 a", "S: 2 b", "S: .", "C: LIST", "S: +OK", "S: 1 10", "S: 2 20", "S: ."]
_QUIT = ["C: QUIT", "S: +OK"]
_ONE, _TWO = pop3.Listed(1, "a", 10), pop3.Listed(2, "b", 20)


def _run(lines, wanted=(), unwanted=(), starttls=False, safe=True):
    def answer(event):
        if isinstance(event, pop3.Choose):
            return wanted, unwanted
        return safe if isinstance(event, pop3.MessageEnds) else True
    return talk(pop3.Pop3Client("owner", "secret", starttls), lines, answer)


def _deleted(events):
    """The messages that count as deleted; None if that was never said."""
    return next((event.messages for event in events if isinstance(event, pop3.Deleted)), None)


def _failure(events):
    (failed,) = [event for event in events if isinstance(event, pop3.SessionFailed)]
    return failed.why, failed.text


def test_a_message_is_fetched_and_deleted():
    events = _run([*_LISTS, "C: RETR 2", "S: +OK", "S: Subject: x", "S: ", "S: ..", "S: .", "C: DELE 2", "S: +OK",
                   *_QUIT], [2])
    assert pop3.Choose((_ONE, _TWO), True) in events
    assert b"".join(e.data for e in events if isinstance(e, pop3.MessageData)) == b"Subject: x\r\n\r\n.\r\n"
    assert _deleted(events) == (_TWO,)
    assert events[-1] == Closed()


def test_a_message_that_is_not_safe_here_stays_there():
    events = _run([*_LISTS, "C: RETR 1", "S: +OK", "S: x", "S: .", *_QUIT], [1], safe=False)
    assert _deleted(events) == ()


def test_a_message_may_be_deleted_without_being_fetched():
    assert _deleted(_run([*_LISTS, "C: DELE 1", "S: +OK", *_QUIT], unwanted=[1])) == (_ONE,)


def test_a_message_that_the_server_refuses_to_send():
    events = _run([*_LISTS, "C: RETR 1", "S: -ERR gone", "C: RETR 2", "S: +OK", "S: .", "C: DELE 2", "S: +OK", *_QUIT],
                  [1, 2])
    assert pop3.NotFetched(_ONE, "gone") in events
    assert _deleted(events) == (_TWO,)


def test_a_quit_that_is_refused_has_deleted_nothing():
    events = _run([*_LISTS, "C: DELE 1", "S: +OK", "C: QUIT", "S: -ERR not all removed"], unwanted=[1])
    assert _deleted(events) is None
    assert events[-1].why == "QUIT was refused: not all removed"


def test_a_greeting_that_refuses():
    events = _run(["S: -ERR [SYS/TEMP] later"])
    assert _failure(events) == ("refused", "[SYS/TEMP] later")


@pytest.mark.parametrize("said", ["220 relay.example ESMTP", "", "* OK IMAP4rev1", "OK", "\0\xff"])
def test_a_peer_that_does_not_speak_pop3(said):
    assert _run([f"S: {said}"])[-1].why.startswith("not a POP3 reply")


def test_a_line_without_end():
    assert "a line of more than" in _run(["S: " + "x" * 70000])[-1].why


_FULL = [*_LISTS, "C: RETR 1", "S: +OK", "S: half a", "S: .", "C: DELE 1", "S: +OK", "C: QUIT", "S: +OK"]


@pytest.mark.parametrize("said", [count for count, line in enumerate(_FULL) if line.startswith("S: ")])
def test_a_server_that_goes_away_has_deleted_nothing(said):
    events = _run([*_FULL[:said], "--close"], [1])
    assert _deleted(events) is None
    assert events[-1].why == "the server closed the connection"


def test_half_a_message_is_no_message():
    events = _run([*_LISTS, "C: RETR 1", "S: +OK", "S: half a", "--close"], [1])
    assert pop3.MessageBegins(_ONE) in events
    assert pop3.MessageEnds(_ONE) not in events


def test_stls_that_is_refused_is_never_done_without():
    events = _run(["S: +OK", "C: STLS", "S: -ERR what", *_QUIT], starttls=True)
    assert _failure(events)[0] == "not-offered"


def test_what_is_said_before_the_handshake_does_not_count_after_it():
    client = pop3.Pop3Client("owner", "secret", True)
    client.receive(b"+OK\r\n")
    assert client.next_event() is None
    client.receive(b"+OK go\r\n+OK forged\r\n+OK forged\r\n")
    assert client.next_event() == StartTls()
    assert client.output() == b"STLS\r\n"
    client.answer(True)
    assert client.next_event() is None
    assert client.output() == b"USER owner\r\n"


def test_a_wrong_password():
    events = _run(["S: +OK", "C: USER owner", "S: +OK", "C: PASS secret", "S: -ERR [AUTH] no", *_QUIT])
    assert _failure(events) == ("login", "[AUTH] no")


def test_a_server_without_user_has_auth():
    events = _run(["S: +OK", "C: USER owner", "S: -ERR unknown", "C: CAPA", "S: +OK", "S: TOP", "S: SASL LOGIN PLAIN",
                   "S: .", "C: AUTH PLAIN", "S: + ", "C: AG93bmVyAHNlY3JldA==", "S: +OK", "C: UIDL", "S: +OK", "S: .",
                   "C: LIST", "S: +OK", "S: .", *_QUIT])
    assert pop3.Choose((), True) in events


def test_a_server_without_user_and_auth():
    events = _run(["S: +OK", "C: USER owner", "S: -ERR unknown", "C: CAPA", "S: -ERR unknown", *_QUIT])
    assert _failure(events) == ("login", "unknown")


def test_a_server_without_uidl():
    events = _run([*_LOGIN, "C: UIDL", "S: -ERR what", "C: LIST", "S: +OK", "S: 1 10", "S: .", *_QUIT])
    assert pop3.Choose((pop3.Listed(1, "", 10),), False) in events


@pytest.mark.parametrize("uidl, sizes, why", [
    (["1 a"], ["1 10", "2 20"], "different messages"),
    (["1 a", "2 b"], ["1 10"], "different messages"),
    (["a 1"], [], "not a line of a listing"),
    (["1"], [], "not a line of a listing"),
    (["1 a"], ["1 big"], "no number"),
    (["1 a"], ["1 " + "9" * 5000], "no number"),
    (["9" * 5000 + " a"], [], "not a line of a listing"),
    (["² a"], [], "not a line of a listing"),
])
def test_a_listing_that_makes_no_sense(uidl, sizes, why):
    lines = [*_LOGIN, "C: UIDL", "S: +OK", *(f"S: {line}" for line in uidl), "S: ."]
    if why != "not a line of a listing":
        lines += ["C: LIST", "S: +OK", *(f"S: {line}" for line in sizes), "S: ."]
    assert why in _run(lines)[-1].why

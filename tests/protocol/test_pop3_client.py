"""The POP3 client's engine against servers that misbehave."""

import pytest

from amsmail.protocol import pop3_client as pop3
from amsmail.protocol.engine import Closed, StartTls

from .drive import talk

_NOTHING = {}                   # known: the server has no CAPA, so everything is in lock-step
_LOGIN = ["S: +OK ready", "C: USER owner", "S: +OK", "C: PASS secret", "S: +OK"]
_LISTS = [*_LOGIN, "C: UIDL", "S: +OK", "S: 1 a", "S: 2 b", "S: .", "C: LIST", "S: +OK", "S: 1 10", "S: 2 20", "S: ."]
_QUIT = ["C: QUIT", "S: +OK"]
_BYE = ["C: QUIT"]          # where nothing depends on its answer
_ONE, _TWO = pop3.Listed(1, "a", 10), pop3.Listed(2, "b", 20)


def _run(lines, wanted=(), unwanted=(), headers=(), starttls=False, safe=True, known=_NOTHING, **options):
    def answer(event):
        if isinstance(event, pop3.Choose):
            return wanted, unwanted, headers
        return safe if isinstance(event, pop3.MessageEnds) else True
    return talk(pop3.Pop3Client("owner", "secret", starttls, known, **options), lines, answer)


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
    events = _run(["S: +OK", "C: STLS", "S: -ERR what", *_BYE], starttls=True)
    assert _failure(events)[0] == "not-offered"


def test_what_is_said_before_the_handshake_does_not_count_after_it():
    client = pop3.Pop3Client("owner", "secret", True, _NOTHING)
    client.receive(b"+OK\r\n")
    assert client.next_event() is None
    client.receive(b"+OK go\r\n+OK forged\r\n+OK forged\r\n")
    assert client.next_event() == StartTls()
    assert client.output() == b"STLS\r\n"
    client.answer(True)
    assert client.next_event() is None
    assert client.output() == b"USER owner\r\n"


def test_a_wrong_password():
    events = _run(["S: +OK", "C: USER owner", "S: +OK", "C: PASS secret", "S: -ERR [AUTH] no", *_BYE])
    assert _failure(events) == ("login", "[AUTH] no")


def test_a_refused_user_is_not_followed_by_the_password():
    events = _run(["S: +OK", "C: USER owner", "S: -ERR who", *_BYE])
    assert _failure(events) == ("login", "who")


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


# What the server can do is asked for once, and known from then on.

_CAPA = ["S: +OK ready", "C: CAPA", "S: +OK", "S: USER", "S: UIDL", "S: PIPELINING", "S: ."]
_ABLE = {"USER": [], "UIDL": [], "PIPELINING": []}
_FLIGHT = ["C: USER owner", "C: PASS secret", "C: UIDL", "C: LIST", "S: +OK", "S: +OK"]


def _lists(*sizes):
    """The answers to UIDL and LIST: messages 1, 2... with these sizes and the UIDs a, b..."""
    return ["S: +OK", *(f"S: {number} {'abcdef'[number - 1]}" for number, _ in enumerate(sizes, 1)), "S: .",
            "S: +OK", *(f"S: {number} {size}" for number, size in enumerate(sizes, 1)), "S: ."]


def _numbers(events, kind):
    return [event.message.number for event in events if isinstance(event, kind)]


def test_capabilities_are_asked_for():
    events = _run([*_CAPA, *_FLIGHT, *_lists(), *_QUIT], known=None)
    assert pop3.Capabilities(_ABLE) in events and events[-1] == Closed()


def test_a_server_without_capa_has_no_capabilities():
    events = _run(["S: +OK ready", "C: CAPA", "S: -ERR what", *_LOGIN[1:], "C: UIDL", "S: +OK", "S: .", "C: LIST",
                   "S: +OK", "S: .", *_QUIT], known=None)
    assert pop3.Capabilities({}) in events and events[-1] == Closed()


def test_known_capabilities_are_used_at_once():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(), *_QUIT], known=_ABLE)
    assert pop3.Choose((), True) in events and events[-1] == Closed()


def test_capabilities_are_asked_for_in_tls_only():
    events = _run(["S: +OK", "C: STLS", "S: +OK", "C: CAPA", "S: -ERR what", "C: USER owner"], starttls=True,
                  known=None)
    assert StartTls() in events


@pytest.mark.parametrize("sasl", ["SASL LOGIN PLAIN", "sasl plain"])
def test_a_server_without_user_has_auth(sasl):
    events = _run(["S: +OK", "C: CAPA", "S: +OK", "S: TOP", f"S: {sasl}", "S: .", "C: AUTH PLAIN AG93bmVyAHNlY3JldA==",
                   "S: +OK", "C: UIDL", "S: +OK", "S: .", "C: LIST", "S: +OK", "S: .", *_QUIT], known=None)
    assert pop3.Choose((), True) in events


def test_auth_and_the_listings_are_one_flight():
    events = _run(["S: +OK", "C: AUTH PLAIN AG93bmVyAHNlY3JldA==", "C: UIDL", "C: LIST", "S: +OK", *_lists(10), *_QUIT],
                  known={"PIPELINING": [], "SASL": ["PLAIN"]})
    assert pop3.Choose((_ONE,), True) in events


def test_auth_that_is_refused():
    events = _run(["S: +OK", "C: AUTH PLAIN AG93bmVyAHNlY3JldA==", "C: UIDL", "C: LIST", "S: + ", "C: QUIT"],
                  known={"PIPELINING": [], "SASL": ["PLAIN"]})
    assert _failure(events)[0] == "login"


@pytest.mark.parametrize("replies, text", [(["-ERR who"], "who"), (["+OK", "-ERR [AUTH] no"], "[AUTH] no")])
def test_a_login_that_is_refused_in_a_flight(replies, text):
    events = _run(["S: +OK", *_FLIGHT[:4], *(f"S: {reply}" for reply in replies), *_BYE], known=_ABLE)
    assert _failure(events) == ("login", text)
    assert not any(isinstance(event, pop3.Choose) for event in events)


# Servers that offer PIPELINING and drop what they have read behind the login.

_LISTINGS = ["C: UIDL", "C: LIST"]


@pytest.mark.parametrize("product", ["Courier Mail Server", "courier", "COURIER 5.1 POP3"])
def test_courier_gets_nothing_behind_the_login(product):
    events = _run([*_CAPA[:-1], f"S: IMPLEMENTATION {product}", "S: .", *_FLIGHT[:2], "S: +OK", "S: +OK", *_LISTINGS,
                   *_lists(10, 20), "C: RETR 1", "C: RETR 2", *_BODY, *_BODY, "C: DELE 1", "C: DELE 2", "C: QUIT",
                   *["S: +OK"] * 3], [1, 2], known=None)
    assert [message.number for message in _deleted(events)] == [1, 2] and events[-1] == Closed()


@pytest.mark.parametrize("product", ["Dovecot", "Cyrus POP3 server v3.8", "Not-Courier"])
def test_others_get_the_listings_behind_the_login(product):
    events = _run([*_CAPA[:-1], f"S: IMPLEMENTATION {product}", "S: .", *_FLIGHT, *_lists(), *_QUIT], known=None)
    assert events[-1] == Closed()


def test_what_a_server_cannot_bear_behind_the_login_waits():
    events = _run(["S: +OK ready", *_FLIGHT[:2], "S: +OK", "S: +OK", *_LISTINGS, *_lists(10), "C: RETR 1", *_BODY,
                   "C: DELE 1", "C: QUIT", "S: +OK", "S: +OK"], [1], known=_ABLE, avoid=[pop3.BEHIND_LOGIN])
    assert [message.number for message in _deleted(events)] == [1]


def test_auth_has_nothing_behind_it_either():
    events = _run(["S: +OK", "C: AUTH PLAIN AG93bmVyAHNlY3JldA==", "S: +OK", *_LISTINGS, *_lists(), *_QUIT],
                  known={"PIPELINING": [], "SASL": ["PLAIN"], "IMPLEMENTATION": ["COURIER"]})
    assert pop3.Choose((), True) in events


def test_pipelining_that_a_server_cannot_do_is_not_used():
    events = _run([*_LISTS, "C: RETR 1", *_BODY, "C: RETR 2", *_BODY, "C: DELE 1", "S: +OK", "C: DELE 2", "S: +OK",
                   *_QUIT], [1, 2], known=_ABLE, avoid=["PIPELINING"])
    assert [message.number for message in _deleted(events)] == [1, 2]


@pytest.mark.parametrize("lines, is_logged_in", [
    (["S: +OK ready", "C: USER owner"], False), ([*_LOGIN[:-1]], False), ([*_LOGIN, "C: UIDL"], True),
    ([*_LOGIN[:-1], "S: -ERR no", "C: QUIT"], False)])
def test_whether_the_server_has_let_us_in(lines, is_logged_in):
    client = pop3.Pop3Client("owner", "secret", False, _NOTHING)
    talk(client, lines, None)
    assert client.is_logged_in == is_logged_in


@pytest.mark.parametrize("last, is_answered", [("S: +OK", True), ("S: -ERR no", False), ("--close", False)])
def test_whether_the_last_word_was_answered(last, is_answered):
    client = pop3.Pop3Client("owner", "secret", False, _NOTHING)
    talk(client, [*_LISTS, "C: QUIT", last], lambda event: ((), (), ()))
    assert client.is_answered == is_answered


# With PIPELINING

_BODY = ["S: +OK", "S: x", "S: ."]


def test_all_messages_in_one_flight_and_all_deletions_in_another():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 20, 30), "C: RETR 1", "C: RETR 3", *_BODY, *_BODY,
                   "C: DELE 1", "C: DELE 3", "C: QUIT", "S: +OK", "S: +OK", "S: +OK"], [1, 3], known=_ABLE)
    assert _numbers(events, pop3.MessageEnds) == [1, 3]
    assert [message.number for message in _deleted(events)] == [1, 3]


def test_what_is_deleted_without_being_fetched_goes_with_the_first_flight():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 20), "C: DELE 1", "C: RETR 2", "S: +OK", *_BODY, "C: DELE 2",
                   "C: QUIT", "S: +OK", "S: +OK"], [2], [1], known=_ABLE)
    assert [message.number for message in _deleted(events)] == [1, 2]


def test_a_window_is_filled_again_when_half_of_it_has_come():
    """Twice 40 octets fill it.  When one of them is here, the next go out behind, with the deletion of what is safe."""
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(40, 40, 40, 40), "C: RETR 1", "C: RETR 2",
                   *_BODY, "C: DELE 1", "C: RETR 3", *_BODY, "C: DELE 2", "C: RETR 4", "S: +OK", *_BODY, "S: +OK",
                   *_BODY, "C: DELE 3", "C: DELE 4", "C: QUIT", *["S: +OK"] * 3], [1, 2, 3, 4], known=_ABLE, window=80)
    assert _numbers(events, pop3.MessageEnds) == [1, 2, 3, 4]
    assert [message.number for message in _deleted(events)] == [1, 2, 3, 4]


def test_small_messages_share_a_flight():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(*[20] * 6), "C: RETR 1", "C: RETR 2", "C: RETR 3", "C: RETR 4",
                   *_BODY, *_BODY, "C: DELE 1", "C: DELE 2", "C: RETR 5", "C: RETR 6"], range(1, 7), known=_ABLE,
                  window=80)
    assert _numbers(events, pop3.MessageEnds) == [1, 2]


def test_a_message_larger_than_the_window_is_followed_before_its_end():
    """Else the line would be idle between one large message and the next."""
    line = "S: " + "x" * 98         # 100 octets on the wire
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(300, 300), "C: RETR 1", "S: +OK", line, line, line, "C: RETR 2",
                   "S: .", "S: +OK", line, line, line, "S: .", "C: DELE 1", "C: DELE 2", "C: QUIT", *["S: +OK"] * 3],
                  [1, 2], known=_ABLE, window=80)
    assert _numbers(events, pop3.MessageEnds) == [1, 2]


@pytest.mark.parametrize("size, first, second", [
    (0, ["C: RETR 1", "C: RETR 2", "C: RETR 3"], []),
    (1, ["C: RETR 1", "C: RETR 2", "C: RETR 3"], []),
    (10_000, ["C: RETR 1"], ["C: RETR 2", "C: RETR 3"]),
])
def test_a_size_that_is_wrong_is_made_good_at_the_end_of_its_message(size, first, second):
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(size, 40, 40), *first, *_BODY, *second, *_BODY, *_BODY, *_BYE],
                  [1, 2, 3], safe=False, known=_ABLE, window=80)
    assert _numbers(events, pop3.MessageEnds) == [1, 2, 3]


def test_refusals_hit_the_message_that_they_are_for():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 20, 30), "C: RETR 1", "C: RETR 2", "C: RETR 3", *_BODY,
                   "S: -ERR gone", *_BODY, "C: DELE 1", "C: DELE 3", "C: QUIT", *["S: +OK"] * 3], [1, 2, 3],
                  known=_ABLE)
    assert pop3.NotFetched(_TWO, "gone") in events
    assert [message.number for message in _deleted(events)] == [1, 3]


@pytest.mark.parametrize("replies, why", [
    (["+OK", "+OK", "-ERR no"], "QUIT was refused: no"),
    (["+OK", "what?"], "not a POP3 reply"),
    (["+OK", "+OK"], "the server closed the connection"),
])
def test_a_deletion_counts_only_after_quit(replies, why):
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 20), "C: RETR 1", "C: RETR 2", *_BODY, *_BODY, "C: DELE 1",
                   "C: DELE 2", "C: QUIT", *(f"S: {reply}" for reply in replies),
                   *["--close"][:why.endswith("connection")]], [1, 2], known=_ABLE)
    assert _deleted(events) is None
    assert events[-1].why.startswith(why)


def test_a_deletion_that_is_refused_does_not_stop_the_others():
    """A provider may keep a message for reasons of its own: that must not block the account for ever."""
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 20), "C: RETR 1", "C: RETR 2", *_BODY, *_BODY, "C: DELE 1",
                   "C: DELE 2", "C: QUIT", "S: -ERR no", "S: +OK", "S: +OK"], [1, 2], known=_ABLE)
    assert [(event.message.number, event.text) for event in events if isinstance(event, pop3.NotDeleted)] == [(1, "no")]
    assert [message.number for message in _deleted(events)] == [2]
    assert events[-1].why == ""


# Headers

_TOP = ["S: +OK", "S: Subject: x", "S: ..y: z", "S: ", "S: ."]


def _headers(events):
    return [(event.message.number, event.octets) for event in events if isinstance(event, pop3.Header)]


def test_headers_go_with_the_first_flight():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 9000, 30), "C: DELE 3", "C: TOP 2 0", "C: RETR 1", "S: +OK",
                   *_TOP, *_BODY, "C: DELE 1", "C: QUIT", "S: +OK", "S: +OK"], [1], [3], [2],
                  known={**_ABLE, "TOP": []})
    assert _headers(events) == [(2, b"Subject: x\r\n.y: z\r\n\r\n")]
    assert _numbers(events, pop3.MessageEnds) == [1] and [message.number for message in _deleted(events)] == [3, 1]


def test_a_header_that_is_refused():
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10, 20), "C: TOP 2 0", "C: RETR 1", "S: -ERR no", *_BODY,
                   "C: DELE 1", "C: QUIT", "S: +OK", "S: +OK"], [1], headers=[2], known={**_ABLE, "TOP": []})
    assert _headers(events) == [(2, b"")] and _numbers(events, pop3.MessageEnds) == [1]


def test_a_header_from_a_server_that_does_not_offer_it_is_not_asked_for():
    events = _run([*_LISTS, *_QUIT], headers=[2])
    assert _headers(events) == [(2, b"")] and _deleted(events) == ()


def test_headers_in_lock_step():
    events = _run([*_LISTS, "C: TOP 1 0", *_TOP, "C: TOP 2 0", *_TOP, *_QUIT], headers=[1, 2], known={"TOP": []})
    assert [number for number, _ in _headers(events)] == [1, 2]


def test_of_a_header_only_its_beginning_is_kept():
    line = "S: " + "x" * 99_998
    events = _run([*_LISTS, "C: TOP 1 0", "S: +OK", line, line, "S: .", *_QUIT], headers=[1], known={"TOP": []})
    assert _headers(events) == [(1, b"x" * (1 << 16))] and events[-1] == Closed()


def test_headers_count_little_in_the_window():
    """Whatever the size of their messages, what is fetched goes out behind them."""
    events = _run(["S: +OK ready", *_FLIGHT, *_lists(10**9, 20), "C: TOP 1 0", "C: RETR 2", *_TOP, *_BODY, "C: DELE 2",
                   "C: QUIT", "S: +OK", "S: +OK"], [2], headers=[1], known={**_ABLE, "TOP": []}, window=1 << 16)
    assert _numbers(events, pop3.MessageEnds) == [2]

"""How the SMTP client's mail goes out: chunked, pipelined or in lock-step; and what becomes of it where the relay
refuses, is out of step, or goes away."""

import itertools

import pytest

from amsmail.protocol import smtp_client as smtp
from amsmail.protocol.engine import Closed
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Envelope, Recipient
from amsmail.wire.text import to_wire

from .drive import talk

_HELLO = ["S: 220 relay.example", "C: EHLO yacht.example", "S: 250-relay.example"]
_CHUNKED = [*_HELLO, "S: 250-CHUNKING", "S: 250 PIPELINING"]
_PIPELINED = [*_HELLO, "S: 250 PIPELINING"]
_LOCK_STEP = [*_HELLO, "S: 250 CHUNKING"]       # without PIPELINING it is of no use
_TEXT = b"Subject: x\n\n.\n"
_ON_WIRE = ["C: Subject: x", "C: ", "C: ."]
_STUFFED = ["C: Subject: x", "C: ", "C: ..", "C: ."]
_CHUNK = ["C: BDAT 17 LAST", *_ON_WIRE, "C: RSET"]


def _to(*names):
    """The commands of a transaction."""
    return ["C: MAIL FROM:<captain@yacht.example>", *(f"C: RCPT TO:<{name}@far.example>" for name in names)]


def _message(key, *names, size=17):
    envelope = Envelope(parse_address("captain@yacht.example"),
                        tuple(Recipient(parse_address(f"{name}@far.example")) for name in names))
    return smtp.Message(key, envelope, tuple(range(len(names))), size)


_ONE, _TWO, _THREE = _message("one", "a"), _message("two", "a", "b"), _message("three", "c")


def _run(lines, *messages, text=_TEXT, **options):
    waiting, pieces = iter([*messages, None]), {}

    def answer(event):
        if isinstance(event, smtp.NextMessage):
            return next(waiting)
        if isinstance(event, smtp.ReadBody):
            return next(pieces.setdefault(event.key, iter([text, b""])))
        return True
    return talk(smtp.SmtpClient("yacht.example", False, smtp.Login("", ""), **options), lines, answer)


def _outcomes(events):
    """{key: {index: code}} of the messages that had an outcome; none has two."""
    outcomes = [event for event in events if isinstance(event, smtp.Outcome)]
    assert len({outcome.key for outcome in outcomes}) == len(outcomes)
    return {outcome.key: {index: reply.code for index, reply in outcome.replies.items()} for outcome in outcomes}


@pytest.mark.parametrize("offered, avoid, flow", [
    (["CHUNKING", "PIPELINING"], (), "chunked"),
    (["chunking", "pipelining"], (), "chunked"),
    (["PIPELINING"], (), "pipelined"),
    (["CHUNKING"], (), "in lock-step"),
    ([], (), "in lock-step"),
    (["CHUNKING", "PIPELINING"], ["CHUNKING"], "pipelined"),
    (["CHUNKING", "PIPELINING"], ["PIPELINING"], "in lock-step"),
])
def test_which_flow(offered, avoid, flow):
    events = _run([*_HELLO, *(f"S: 250-{keyword}" for keyword in offered), "S: 250 HELP", "C: QUIT"], avoid=avoid)
    (ready,) = [event for event in events if isinstance(event, smtp.Ready)]
    assert ready.flow == flow and events[-1] == Closed()


@pytest.mark.parametrize("hello", [_CHUNKED, _PIPELINED, _LOCK_STEP], ids=["chunked", "pipelined", "lock-step"])
def test_a_server_that_speaks_before_it_is_asked(hello):
    """Its answer would be taken for that to MAIL, and all that follow for that to the command behind theirs."""
    client = smtp.SmtpClient("yacht.example", False, smtp.Login("", ""))
    *lines, last = hello
    talk(client, lines, None)
    client.receive(f"{last[3:]}\r\n250 what\r\n".encode())
    event = client.next_event()
    assert isinstance(event, Closed) and "before it is asked" in event.why
    assert client.output() == b""


# Chunked

def test_all_messages_in_one_flow():
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("a", "b"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT",
                   *["S: 250 ok"] * 13, "S: 221 bye"], _ONE, _TWO, _THREE)
    assert _outcomes(events) == {"one": {0: 250}, "two": {0: 250, 1: 250}, "three": {0: 250}}
    assert events[-1] == Closed()


@pytest.mark.parametrize("last", [b"221 2.0.0 bye\r\n", b"421 4.3.2 bye\r\n", b"what?\r\n", b""])
def test_the_answer_to_quit_changes_nothing(last):
    client = smtp.SmtpClient("yacht.example", False, smtp.Login("", ""))
    waiting = iter([_ONE, None])
    pieces = iter([_TEXT, b""])
    answers = {smtp.NextMessage: lambda: next(waiting), smtp.ReadBody: lambda: next(pieces)}
    talk(client, [*_CHUNKED, *_to("a"), *_CHUNK, "C: QUIT", *["S: 250 ok"] * 4], lambda event: answers[type(event)]())
    client.receive(last)
    assert client.next_event() == Closed()
    assert client.is_answered == last.startswith(b"221")


@pytest.mark.parametrize("status", ["2.1.0", "2.1.5"])
def test_in_one_flow_a_reply_to_an_address_is_none_to_a_message(status):
    """The server said something too much before: its replies are all one late."""
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, "C: QUIT", "S: 250 ok", "S: 250 ok", f"S: 250 {status} ok"], _ONE)
    assert _outcomes(events) == {} and "out of step" in events[-1].why


@pytest.mark.parametrize("status", ["2.1.0", "2.1.5"])
@pytest.mark.parametrize("hello, commands, end", [
    (_PIPELINED, [*_to("a"), "C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go", *_STUFFED, "C: RSET", "C: QUIT"], []),
    (_LOCK_STEP, [*itertools.chain(*([command, "S: 250 ok"] for command in _to("a"))), "C: DATA", "S: 354 go",
                  *_STUFFED], ["C: QUIT"]),
], ids=["pipelined", "lock-step"])
def test_where_no_other_reply_can_be_pending_any_to_a_message_is_one(hello, commands, end, status):
    """Some say of each message that it is an address that is right."""
    events = _run([*hello, *commands, f"S: 250 {status} ok", *end], _ONE)
    assert _outcomes(events) == {"one": {0: 250}}


def test_an_outcome_is_told_as_soon_as_the_final_reply_is_here():
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT", *["S: 250 ok"] * 3], _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 250}}


# The replies to MAIL, two RCPTs and BDAT of the second of three messages, and what becomes of that.
_REFUSALS = {
    "MAIL refused": (["550 not you", "503 no MAIL", "503 no MAIL", "503 no MAIL"], {0: 550, 1: 550}),
    "MAIL refused, and then anything": (["550 not you", "250 ok", "250 ok", "250 ok"], {0: 550, 1: 550}),
    "MAIL put off": (["451 later", "503 no MAIL", "503 no MAIL", "503 no MAIL"], {0: 451, 1: 451}),
    "one RCPT refused": (["250 ok", "550 who", "250 ok", "250 ok"], {0: 550, 1: 250}),
    "one RCPT put off": (["250 ok", "250 ok", "452 full", "250 ok"], {0: 250, 1: 452}),
    "both RCPTs refused": (["250 ok", "550 who", "551 gone", "554 no recipients"], {0: 550, 1: 551}),
    "both RCPTs refused, 503": (["250 ok", "550 who", "551 gone", "503 no RCPT"], {0: 550, 1: 551}),
    "both RCPTs refused, yet 250": (["250 ok", "550 who", "551 gone", "250 ok"], {0: 550, 1: 551}),
    "BDAT refused": (["250 ok", "250 ok", "250 ok", "554 spam"], {0: 554, 1: 554}),
    "BDAT put off": (["250 ok", "250 ok", "250 ok", "452 full"], {0: 452, 1: 452}),
    "one RCPT and BDAT refused": (["250 ok", "550 who", "250 ok", "552 too large"], {0: 550, 1: 552}),
    "a 354 to BDAT": (["250 ok", "250 ok", "250 ok", "354 go"], {0: 451, 1: 451}),
}


@pytest.mark.parametrize("replies, outcome", _REFUSALS.values(), ids=_REFUSALS)
def test_refusals_hit_the_message_that_they_are_for(replies, outcome):
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("a", "b"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT",
                   *["S: 250 ok"] * 4, *(f"S: {reply}" for reply in replies), "S: 250 reset", *["S: 250 ok"] * 4,
                   "S: 221 bye"],
                  _ONE, _TWO, _THREE)
    assert _outcomes(events) == {"one": {0: 250}, "two": outcome, "three": {0: 250}}
    assert events[-1] == Closed() and not any(isinstance(event, smtp.Quirk) for event in events)


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
def test_a_server_that_offers_chunking_and_cannot_do_it(code):
    """It reads the body as commands, so that its replies get out of step: nothing counts as sent, and none is lost."""
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT", "S: 250 ok", "S: 250 ok",
                   f"S: {code} BDAT?", "S: 500 Subject?"], _ONE, _THREE)
    (quirk,) = [event for event in events if isinstance(event, smtp.Quirk)]
    assert (quirk.keyword, quirk.reply.code) == ("CHUNKING", code)
    assert _outcomes(events) == {"one": {0: 451}}
    assert "out of step" in events[-1].why


def test_a_server_that_takes_the_octets_of_a_bdat_that_it_refuses():
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT", "S: 250 ok", "S: 250 ok", "S: 502 no",
                   "S: 250 reset", "S: 250 ok", "S: 250 ok", "S: 502 no", "S: 250 reset", "S: 221 bye"],
                  _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 451}, "three": {0: 451}}
    assert events[-1] == Closed()


@pytest.mark.parametrize("reply", ["503 what", "450 later", "354 go"])
def test_a_reset_that_is_refused_ends_the_session(reply):
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT", *["S: 250 ok"] * 3, f"S: {reply}"],
                  _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 250}}
    assert "out of step" in events[-1].why


def test_a_reply_that_is_missing():
    """The server forgot to answer the first MAIL: what refuses still refuses, and the session ends with a reason."""
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT", "S: 250 to RCPT", "S: 550 to BDAT",
                   "S: 250 to RSET", "S: 250 to MAIL", "S: 550 to RCPT", "S: 554 to BDAT", "S: 250 to RSET",
                   "S: 221 to QUIT"], _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 550}, "three": {0: 550}}
    assert "closes the session" in events[-1].why


@pytest.mark.parametrize("reply", ["421 shutting down", "221 bye"])
@pytest.mark.parametrize("replies", range(8))
def test_a_server_that_closes_in_the_middle(reply, replies):
    events = _run([*_CHUNKED, *_to("a"), *_CHUNK, *_to("c"), *_CHUNK, "C: QUIT", *["S: 250 ok"] * replies,
                   f"S: {reply}"], _ONE, _THREE)
    told = ["one", "three"][:(replies + 1) // 4]
    assert _outcomes(events) == {key: {0: 250} for key in told}
    assert events[-1].why.startswith("the server closes the session")


@pytest.mark.parametrize("text, size", [(_TEXT, 16), (_TEXT, 18), (b"", 1), (b"x" * 70_000, 17)])
def test_a_body_that_is_not_of_the_size_that_was_said_is_not_sent(text, size):
    """What follows a BDAT is counted: a body that is too long would go on as commands, one that is too short would
    swallow those that follow."""
    client = smtp.SmtpClient("yacht.example", False, smtp.Login("", ""))
    talk(client, _CHUNKED[:-1], None)
    client.receive(b"250 PIPELINING\r\n")
    pieces = iter([text, b""])
    answers = {smtp.NextMessage: lambda: _message("one", "a", size=size), smtp.ReadBody: lambda: next(pieces)}
    while not isinstance(event := client.next_event(), Closed):
        if event.asks:
            client.answer(answers[type(event)]())
    assert f"not of the {size} octets" in event.why
    head, _, body = client.output().partition(b" LAST\r\n")
    assert head.endswith(b"BDAT %d" % size) and len(body) <= size


def test_an_empty_message():
    events = _run([*_CHUNKED, *_to("a"), "C: BDAT 0 LAST", "C: RSET", "C: QUIT", *["S: 250 ok"] * 4],
                  _message("one", "a", size=0), text=b"")
    assert _outcomes(events) == {"one": {0: 250}}


# Windows: a window of 20 octets, messages of 17.

def test_the_octets_that_await_a_reply_behind_the_oldest_are_bounded():
    messages = [_message(n, "a") for n in range(5)]
    flight = [*_to("a"), *_CHUNK]
    answered = ["S: 250 ok"] * 4
    events = _run([*_CHUNKED, *flight * 3,          # 17 octets are 17, 34 are more than 20
                   *answered, *flight, *answered, *flight, "C: QUIT", *answered * 3, "S: 221 bye"],
                  *messages, window=20)
    assert _outcomes(events) == {n: {0: 250} for n in range(5)}


def test_a_message_that_is_larger_than_the_window_has_another_behind_it():
    text = b"x" * 98 + b"\n"
    flight = [*_to("a"), "C: BDAT 100 LAST", f"C: {'x' * 98}", "C: RSET"]
    answered = ["S: 250 ok"] * 4
    events = _run([*_CHUNKED, *flight * 2, *answered, *flight, "C: QUIT", *answered * 2, "S: 221 bye"],
                  *(_message(n, "a", size=100) for n in range(3)), text=text, window=20)
    assert _outcomes(events) == {n: {0: 250} for n in range(3)}


# Pipelined

_OK = ["S: 250 ok", "S: 250 ok", "S: 354 go"]


def test_the_next_message_goes_out_behind_the_body():
    events = _run([*_PIPELINED, *_to("a"), "C: DATA", *_OK,
                   *_STUFFED, "C: RSET", *_to("c"), "C: DATA", "S: 250 kept", "S: 250 reset", *_OK,
                   *_STUFFED, "C: RSET", "C: QUIT", "S: 250 kept", "S: 250 reset"], _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 250}, "three": {0: 250}}
    assert events[-1] == Closed()


def test_the_body_waits_for_the_reply_to_data():
    events = _run([*_PIPELINED, *_to("a"), "C: DATA", "S: 250 ok", "S: 250 ok"], _ONE)
    assert not any(isinstance(event, smtp.ReadBody) for event in events)


def test_all_recipients_are_refused_but_the_server_waits_for_a_body():
    events = _run([*_PIPELINED, *_to("a", "b"), "C: DATA", "S: 250 ok", "S: 550 who", "S: 452 full", "S: 354 go",
                   "C: .", "C: RSET", *_to("c"), "C: DATA", "S: 554 no recipients", "S: 250 reset", *_OK,
                   *_STUFFED, "C: RSET", "C: QUIT", "S: 250 kept", "S: 250 reset"], _TWO, _THREE)
    assert _outcomes(events) == {"two": {0: 550, 1: 452}, "three": {0: 250}}
    assert [event.key for event in events if isinstance(event, smtp.ReadBody)] == ["three", "three"]


def test_a_message_whose_sender_is_refused_was_not_sent_whatever_else_is_said():
    events = _run([*_PIPELINED, *_to("a", "b"), "C: DATA", "S: 550 not you", "S: 250 ok", "S: 250 ok", "S: 354 go",
                   "C: .", "C: RSET", "C: QUIT", "S: 250 ok", "S: 250 reset"], _TWO)
    assert _outcomes(events) == {"two": {0: 550, 1: 550}}


@pytest.mark.parametrize("data, code", [("451 later", 451), ("554 no", 554), ("250 accepted already", 451)])
def test_data_is_refused_and_no_body_is_sent(data, code):
    events = _run([*_PIPELINED, *_to("a"), "C: DATA", "S: 250 ok", "S: 250 ok", f"S: {data}", "C: RSET", *_to("c"),
                   "C: DATA", "S: 250 reset", *_OK, *_STUFFED, "C: RSET", "C: QUIT", "S: 250 kept", "S: 250 reset"],
                  _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: code}, "three": {0: 250}}


@pytest.mark.parametrize("final, code", [("554 spam", 554), ("452 full", 452), ("354 go on", 451)])
def test_a_body_is_refused(final, code):
    events = _run([*_PIPELINED, *_to("a"), "C: DATA", *_OK, *_STUFFED, "C: RSET", *_to("c"), "C: DATA", f"S: {final}",
                   "S: 250 reset", *_OK, *_STUFFED, "C: RSET", "C: QUIT", "S: 250 kept", "S: 250 reset"], _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: code}, "three": {0: 250}}


def test_pipelined_a_reset_that_is_refused_ends_the_session():
    events = _run([*_PIPELINED, *_to("a"), "C: DATA", *_OK, *_STUFFED, "C: RSET", *_to("c"), "C: DATA", "S: 250 kept",
                   "S: 503 what"], _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 250}}
    assert "out of step" in events[-1].why


# In lock-step

def test_nothing_is_sent_early():
    """Every command, and the body, waits for the reply to what was before it."""
    events = _run([*_LOCK_STEP, "C: MAIL FROM:<captain@yacht.example>", "S: 250 ok", "C: RCPT TO:<a@far.example>",
                   "S: 250 ok", "C: RCPT TO:<b@far.example>", "S: 550 who", "C: DATA", "S: 354 go", *_STUFFED,
                   "S: 250 kept", "C: MAIL FROM:<captain@yacht.example>", "S: 250 ok", "C: RCPT TO:<c@far.example>",
                   "S: 250 ok", "C: DATA", "S: 354 go", *_STUFFED, "S: 250 kept", "C: QUIT"], _TWO, _THREE)
    assert _outcomes(events) == {"two": {0: 250, 1: 550}, "three": {0: 250}}
    assert events[-1] == Closed()


def test_a_transaction_that_cannot_be_reset_does_not_take_the_next_message_with_it():
    """The next MAIL would be refused for good, as the old transaction is still there."""
    events = _run([*_LOCK_STEP, "C: MAIL FROM:<captain@yacht.example>", "S: 250 ok", "C: RCPT TO:<a@far.example>",
                   "S: 550 who", "C: RSET", "S: 502 what"], _ONE, _THREE)
    assert _outcomes(events) == {"one": {0: 550}}
    assert "out of step" in events[-1].why


# A final reply that is there before the body

@pytest.mark.parametrize("hello", [_PIPELINED, _LOCK_STEP], ids=["pipelined", "lock-step"])
def test_what_is_said_before_the_body_is_not_its_final_reply(hello):
    client = smtp.SmtpClient("yacht.example", False, smtp.Login("", ""))
    messages, said, events = iter([_ONE]), b"", []
    replies = iter([*(f"{line[3:]}\r\n".encode() for line in hello if line[0] == "S"), b"250 ok\r\n", b"250 ok\r\n",
                    b"354 go\r\n250 kept\r\n"])
    while not isinstance(event := client.next_event(), Closed):
        if event is None:
            said += client.output()
            client.receive(next(replies))
        else:
            events.append(event)
            if event.asks:
                client.answer(next(messages))
    assert "before it is asked" in event.why and _outcomes(events) == {}
    assert said.endswith(b"DATA\r\n") and to_wire(_TEXT) not in said


# What is awaited

def _awaits(hello, messages, replies):
    """What the client awaits each time that it waits, from the first MAIL on."""
    client = smtp.SmtpClient("yacht.example", False, smtp.Login("", ""))
    waiting, pieces = iter([*messages, None]), {}
    answers = {smtp.NextMessage: lambda event: next(waiting),
               smtp.ReadBody: lambda event: next(pieces.setdefault(event.key, iter([_TEXT, b""])))}
    hellos, found = [line[3:] for line in hello if line[0] == "S"], []
    for reply in [*hellos, *replies]:
        client.receive(f"{reply}\r\n".encode())
        while (event := client.next_event()) is not None and not isinstance(event, Closed):
            if event.asks:
                client.answer(answers[type(event)](event))
        found.append(client.awaits)
    return found[len(hellos) - 1:]


# The replies to two messages, and what is awaited before each of them and at the end.
_REPLY, _END = "reply", "acceptance"
_AWAITED = {
    "chunked": (_CHUNKED, [_REPLY, _REPLY, _END, _REPLY] * 2 + [_REPLY]),
    "pipelined": (_PIPELINED, [_REPLY, _REPLY, _REPLY, _END, _REPLY] * 2),
    "in lock-step": (_LOCK_STEP, [_REPLY, _REPLY, _REPLY, _END] * 2),
}


@pytest.mark.parametrize("flow, hello, awaited", [(flow, *rest) for flow, rest in _AWAITED.items()], ids=_AWAITED)
def test_what_is_awaited(flow, hello, awaited):
    """Only the reply to a whole message is one that nobody may give up soon."""
    replies = {"chunked": ["250 ok"] * 4 * 2, "pipelined": ["250 ok", "250 ok", "354 go", "250 kept", "250 reset"] * 2,
               "in lock-step": ["250 ok", "250 ok", "354 go", "250 kept"] * 2}[flow]
    found = _awaits(hello, [_ONE, _THREE], replies)
    assert found[:len(awaited)] == awaited


@pytest.mark.parametrize("refusal", ["550 who", "452 full"])
def test_where_no_body_goes_out_no_acceptance_is_awaited(refusal):
    assert _END not in _awaits(_LOCK_STEP, [_ONE], ["250 ok", refusal, "250 reset"])
    assert _END not in _awaits(_PIPELINED, [_ONE], ["250 ok", refusal, "554 no recipients", "250 reset"])

"""Sessions that fail: no message is to blame, none is given up, and none is lost."""

import pytest

from amsmail.transport.result import PERMANENT, TEMPORARY
from tests.mailcheck.peers import CUT, Relay
from tests.mailcheck.sites import FLOWS, Site, relay


@pytest.fixture
def yacht(tmp_path):
    yacht = Site(tmp_path / "yacht")
    yacht.enqueue(b"Subject: x\r\n\r\n" + b"Hello.\r\n" * 20_000, to=("a@far.example", "b@far.example"))
    return yacht


def push(yacht, provider, **settings):
    yacht.configure(relay=relay(provider.port, **settings))
    return yacht.push()


def nothing_became_of_it(yacht):
    return yacht.states() == {"a@far.example": "-", "b@far.example": "-"} and yacht.box("captain") == []


LOGIN = {"user": "yacht", "password": "secret"}
AUTH = ["AUTH PLAIN LOGIN"]

# what the relay is like: its extensions and replies, mail.cfg's settings, and how the result is
REFUSED = {
    "greeting 554": ([], {"greeting": "554 No service"}, {}, PERMANENT),
    "greeting 421": ([], {"greeting": "421 Too busy"}, {}, TEMPORARY),
    "greeting 450": ([], {"greeting": "450 Later"}, {}, TEMPORARY),
    "EHLO refused, a login needed": ([], {"EHLO": "502 What?"}, LOGIN, PERMANENT),
    "EHLO and HELO refused": ([], {"EHLO": "502 What?", "HELO": "502 What?"}, {}, PERMANENT),
    "EHLO 4xx": ([], {"EHLO": "451 Later"}, {}, TEMPORARY),
    "no STARTTLS": (AUTH, {}, {"tls": "starttls", **LOGIN}, PERMANENT),
    "STARTTLS refused": (["STARTTLS", *AUTH], {"STARTTLS": "502 No"}, {"tls": "starttls", **LOGIN}, PERMANENT),
    "STARTTLS not now": (["STARTTLS", *AUTH], {"STARTTLS": "454 Later"}, {"tls": "starttls", **LOGIN}, TEMPORARY),
    "no AUTH": ([], {}, LOGIN, PERMANENT),
    "no AUTH that we know": (["AUTH CRAM-MD5"], {}, LOGIN, PERMANENT),
    "wrong password": (AUTH, {"AUTH PLAIN": "535 5.7.8 No"}, LOGIN, PERMANENT),
    "login not now": (AUTH, {"AUTH PLAIN": "454 4.7.0 Later"}, LOGIN, TEMPORARY),
    "a challenge instead of an end": (AUTH, {"AUTH PLAIN": "334 more"}, LOGIN, TEMPORARY),
}


@pytest.mark.parametrize("extensions, replies, settings, kind", REFUSED.values(), ids=REFUSED)
def test_a_session_that_is_refused(yacht, extensions, replies, settings, kind):
    with Relay(extensions, replies=replies) as provider:
        result = push(yacht, provider, **settings)
    assert [k for k, _ in result.failures] == [kind]
    assert (result.done, result.refused, result.kept) == (0, 0, 1)
    assert nothing_became_of_it(yacht)
    assert len(yacht.due(0)) == 1       # and nothing holds it back
    if settings.get("tls") == "starttls":
        assert not any(line.startswith(("AUTH", "MAIL")) for line in provider.said)     # nothing in the clear


def test_a_server_that_knows_no_ehlo(yacht):
    with Relay(replies={"EHLO": "500 What?"}) as provider:
        assert push(yacht, provider).failures == []
    assert provider.said[:3] == ["EHLO yacht.example", "HELO yacht.example", "MAIL FROM:<captain@yacht.example>"]


@pytest.mark.parametrize("host, port", [("127.0.0.1", 1), ("no-such-host.invalid", 25)])
def test_nobody_there(yacht, host, port):
    yacht.configure(relay=relay(port, host=host))
    (kind, text), = yacht.push().failures
    assert kind == TEMPORARY and host in text
    assert nothing_became_of_it(yacht)


# The replies of a whole session with one message to two recipients, in order.
REPLIES = {
    "chunked": ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "second RCPT", "final", "RSET"],
    "pipelined": ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "second RCPT", "DATA", "final", "RSET"],
    "in lock-step": ["greeting", "EHLO", "AUTH", "MAIL", "RCPT", "second RCPT", "DATA", "final", "QUIT"],
}


@pytest.mark.parametrize("instead", [CUT, "421 4.3.2 Closing", "Hello?", "", "250-Yes\n554 No", "999 What?", "250"],
                         ids=["cut", "421", "garbage", "an empty line", "two codes", "999", "250"])
@pytest.mark.parametrize("flow, reply", [(flow, reply) for flow, replies in REPLIES.items() for reply in replies])
def test_trouble_at_each_reply(yacht, flow, reply, instead):
    """Whatever comes in place of one reply: the message is queued still, or the relay has it."""
    number = REPLIES[flow].index(reply) + 1
    with Relay([*FLOWS[flow], *AUTH], at={number: instead}) as provider:
        result = push(yacht, provider, **LOGIN)
    assert provider.count >= number
    assert yacht.box("captain") == []
    sent = any(len(recipients) == 2 for _, recipients, _ in provider.accepted)
    if reply in ("RSET", "QUIT"):
        assert sent and yacht.queued() == [] and result.kept == 0
        assert bool(result.failures) == (reply == "RSET" and instead != "250")
    elif instead != "250":
        # Chunked, the relay may have it all the same: the message was on its way already.
        assert flow == "chunked" or not sent
        assert yacht.queued() and "-" in yacht.states().values()
        assert result.failures and result.kept == 1
    elif sent:
        assert yacht.queued() == []
    else:
        assert reply in ("EHLO", "DATA") and "-" in yacht.states().values()

    with Relay() as provider:
        push(yacht, provider)
    assert yacht.queued() == []
    assert sent or any(recipients for _, recipients, _ in provider.accepted)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("octets", [0, 1, 100, 70_000])
def test_a_cut_in_the_body(yacht, octets, flow):
    with Relay(FLOWS[flow], cut_in_body=octets) as provider:
        result = push(yacht, provider)
    assert [kind for kind, _ in result.failures] == [TEMPORARY]
    assert nothing_became_of_it(yacht)


@pytest.mark.parametrize("flow", FLOWS)
def test_a_message_that_the_relay_stumbles_over_does_not_hold_up_the_others(yacht, flow):
    """The relay closes at one message every time: the next run starts with the others."""
    yacht.enqueue(b"1\r\n", to=("bad@far.example",))
    for _ in range(2):
        with Relay(FLOWS[flow], replies={"RCPT TO:<bad": CUT}) as provider:
            push(yacht, provider)
    assert yacht.states() == {"bad@far.example": "-"}
    assert len(yacht.due(0)) == 1       # a cut line is no reason for a pause


# Order

def queue(yacht, **sizes):
    """Queues a message for each name, which is its subject: urgent if its name says so."""
    for name, size in sizes.items():
        field = b"X-Priority: 1 (Highest)\r\n" if name.startswith("urgent") else b""
        yacht.enqueue(b"Subject: %s\r\n%s\r\n" % (name.encode(), field) + b"x" * size + b"\r\n", to=("a@far.example",))


def order(yacht):
    """The subjects of what is due, in the order in which it is sent."""
    return [yacht.content(queued).split(b"\n")[0].partition(b": ")[2].decode() for queued in yacht.due()]


@pytest.fixture
def empty(tmp_path):
    return Site(tmp_path / "yacht")


def test_urgent_ones_first_then_small_ones_then_large_ones(empty):
    queue(empty, large=9000, urgent_large=20_000, small=10, urgent_small=4000, medium=500)
    wanted = ["urgent_small", "urgent_large", "small", "medium", "large"]
    assert order(empty) == wanted
    with Relay(FLOWS["chunked"]) as provider:
        assert push(empty, provider).failures == []
    assert [body.split(b"\r\n")[0].partition(b": ")[2].decode() for _, _, body in provider.accepted] == wanted


@pytest.mark.parametrize("fails", [CUT, "450 4.2.1 Busy"], ids=["the session ends", "put off"])
def test_an_urgent_one_that_failed_three_times_is_not_first_any_more(empty, fails):
    """It may be why the sessions end."""
    queue(empty, normal=10, urgent=4000)
    for _ in range(3):
        assert order(empty)[0] == "urgent"
        with Relay(FLOWS["in lock-step"], at={4: fails}) as provider:       # its RCPT
            push(empty, provider)
        if len(order(empty)) == 1:
            queue(empty, normal=10)
    assert order(empty) == ["normal", "urgent"]


def test_a_body_that_says_that_it_is_urgent_does_not_count(empty):
    queue(empty, small=10)
    empty.enqueue(b"Subject: quoting\r\n\r\nPriority: urgent\r\n" + b"x" * 100 + b"\r\n", to=("a@far.example",))
    queue(empty, urgent=500)
    assert order(empty) == ["urgent", "small", "quoting"]

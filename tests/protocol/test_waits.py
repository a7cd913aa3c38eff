"""How often the clients wait for the server, and what is known when the line is cut: the client engines against our own
servers' over a line on which what they say arrives when the client waits."""

import itertools

import pytest

from amsmail.protocol import pop3_client, pop3_server, smtp_client, smtp_server
from amsmail.protocol.engine import Closed
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Envelope, Recipient
from amsmail.wire.reply import Reply
from amsmail.wire.text import to_wire

from .drive import wire

_RELAY = smtp_server.Settings("relay.example", size=10_000_000, recipients=3, cleartext_login=True)
_LOGIN = smtp_client.Login("yacht", "secret")
_ABLE = {"USER": [], "UIDL": [], "PIPELINING": []}
_FLOWS = {"chunked": (), "pipelined": ["CHUNKING"], "in lock-step": ["PIPELINING"]}
_SMALL = b"Subject: x\n\nHello.\n"


class _Sender:
    """A push of the messages `texts`, each to two recipients, the first of whom is refused for every third of them."""

    def __init__(self, texts):
        self._texts = [[text, b""] for text in texts]
        self._messages = iter([
            smtp_client.Message(i, Envelope(parse_address(f"{i}@yacht.example"), tuple(
                Recipient(parse_address(name)) for name in ("nobody@far.example" if i % 3 == 2 else "a@far.example",
                                                            "b@far.example"))), (0, 1), len(to_wire(text)))
            for i, text in enumerate(texts)])

    def __call__(self, event):
        if isinstance(event, smtp_client.NextMessage):
            return next(self._messages, None)
        return self._texts[event.key].pop(0)


class _Relay:
    """A relay's program.  `accepted` is {key: [local parts of its recipients]} of what it answered with 250."""

    def __init__(self):
        self.accepted = {}

    def __call__(self, event):
        if isinstance(event, smtp_server.MayReach):
            return Reply(550, "5.1.1", "nobody") if event.address.local == "nobody" else None
        if isinstance(event, smtp_server.OpenBody):
            self._envelope = event.envelope
        elif isinstance(event, smtp_server.EndBody):
            key = int(self._envelope.sender.local)
            assert key not in self.accepted         # nothing is sent twice
            self.accepted[key] = [r.address.local for r in self._envelope.recipients]
            return Reply(250, "2.0.0", "kept")
        return True if isinstance(event, smtp_server.Login) else None


def _push(texts, flow="chunked", limit=None, piece=None, **options):
    """(events, what the relay accepted, the client's waits)."""
    relay = _Relay()
    client = smtp_client.SmtpClient("yacht.example", False, _LOGIN, avoid=_FLOWS[flow], **options)
    seen, _, waits = wire(client, smtp_server.SmtpServer(_RELAY), _Sender(texts), relay, limit, piece)
    return seen, relay.accepted, waits


def _sent(events):
    """{key: [local parts]} of the recipients whose message counts as sent."""
    sent = {}
    for event in events:
        if isinstance(event, smtp_client.Outcome):
            assert event.key not in sent
            sent[event.key] = [name for index, name in enumerate("ab") if event.replies[index].ok]
    return sent


class _Provider:
    """A POP3 server's program with the messages `texts`."""

    def __init__(self, texts):
        self.left = dict(enumerate(texts))

    def __call__(self, event):
        if isinstance(event, pop3_server.Login):
            return [(f"uid{i}", len(to_wire(text))) for i, text in self.left.items()]
        if isinstance(event, pop3_server.OpenMessage):
            self._pieces = iter([self.left[event.index], b""])
        elif isinstance(event, pop3_server.ReadMessage):
            return next(self._pieces)
        elif isinstance(event, pop3_server.Update):
            for index in event.indexes:
                del self.left[index]
        return None


def _fetch_all(event):
    if isinstance(event, pop3_client.Choose):
        return [message.number for message in event.messages], [], []
    return True


def _pull(texts, known=_ABLE, limit=None, piece=None, **options):
    """(events, the numbers of messages that the provider has still, the client's waits)."""
    provider = _Provider(texts)
    client = pop3_client.Pop3Client("owner", "secret", False, known, **options)
    server = pop3_server.Pop3Server(pop3_server.Settings(cleartext_login=True))
    seen, _, waits = wire(client, server, _fetch_all, provider, limit, piece)
    return seen, list(provider.left), waits


_VERBS = ("EHLO", "AUTH", "MAIL", "RCPT", "BDAT", "DATA", "RSET",
          "CAPA", "USER", "PASS", "UIDL", "LIST", "RETR", "DELE", "QUIT")


def _verbs(wait):
    """The verbs of what was said before a wait, each once."""
    verbs = [line.partition(b" ")[0].decode() for line in wait.said.split(b"\r\n")]
    return [verb for verb in dict.fromkeys(verbs) if verb in _VERBS]


# How often

_COUNTS = pytest.mark.parametrize("n", [1, 10, 100])


@_COUNTS
def test_chunked_all_the_mail_is_one_wait(n):
    """For the greeting, EHLO, AUTH and all the mail: with TCP and TLS six."""
    seen, accepted, waits = _push([_SMALL] * n)
    assert len(_sent(seen)) == len(accepted) == n and seen[-1] == Closed()
    assert [_verbs(wait) for wait in waits] == [[], ["EHLO"], ["AUTH"], ["MAIL", "RCPT", "BDAT", "RSET", "QUIT"]]


@_COUNTS
def test_pipelined_each_message_is_one_wait(n):
    seen, accepted, waits = _push([_SMALL] * n, "pipelined")
    assert len(_sent(seen)) == len(accepted) == n and seen[-1] == Closed()
    assert len(waits) == 4 + n


@_COUNTS
def test_pop3_all_the_mail_is_two_waits(n):
    """For the greeting, the login with the listings, all messages, and their deletion: with TCP and TLS six."""
    seen, left, waits = _pull([_SMALL] * n)
    assert left == [] and len(seen[-2].messages) == n and seen[-1] == Closed()
    assert [_verbs(wait) for wait in waits] == [[], ["USER", "PASS", "UIDL", "LIST"], ["RETR"], ["DELE", "QUIT"]]


def test_pop3_a_first_call_asks_one_thing_more():
    *_, waits = _pull([_SMALL] * 10, None)
    assert len(waits) == 5 and _verbs(waits[1]) == ["CAPA"]


# Windows

_LARGE = b"0123456789" * 300 + b"\n"


@pytest.mark.parametrize("window", [100, 3002, 10_000])
def test_chunked_the_window_never_leaves_the_line_idle(window):
    """While the oldest message's final reply is awaited another is on its way, as long as there is one."""
    seen, accepted, waits = _push([_LARGE] * 30, window=window)
    assert len(_sent(seen)) == len(accepted) == 30 and seen[-1] == Closed()
    behind = 1 + -(-window // 3002)         # messages under way at each wait
    bodies = [wait.said.count(b" LAST\r\n") for wait in waits[3:]]
    assert bodies[0] == behind and sum(bodies) == 30 and bodies[-1] > 0


@pytest.mark.parametrize("window", [100, 3002, 10_000])
def test_pop3_the_window_never_leaves_the_line_idle(window):
    """Each flight of RETRs goes out while the server has still to send what was asked for before."""
    seen, left, waits = _pull([_LARGE] * 30, window=window, piece=50)
    assert left == [] and seen[-1] == Closed()
    flights = [wait for wait in waits if "RETR" in _verbs(wait)]
    assert len(flights) > 5 and all(wait.coming for wait in flights[1:])
    bound = max(window, 3002) + 3002 + 200      # a window and the message that overflows it, with replies
    assert max(wait.coming for wait in waits) <= bound


# The line is cut

_TEXTS = [b"Subject: %d\n\n.\nMAIL FROM:<%d@yacht.example>\n" % (n, n) for n in range(4)]


@pytest.mark.parametrize("flow", _FLOWS)
def test_a_push_that_is_cut_at_each_octet_of_the_relay(flow):
    """What counts as sent was accepted, for the recipients that it counts for; and once told it stays so."""
    told = []
    for limit in itertools.count():
        seen, accepted, _ = _push(_TEXTS, flow, limit)
        sent = _sent(seen)
        assert all(not names or accepted[key] == names for key, names in sent.items()), limit
        assert list(sent)[:len(told)] == told, limit
        told = list(sent)
        if seen[-1] == Closed():
            break
        assert seen[-1].why == "the server closed the connection", limit
    assert sent == accepted == {0: ["a", "b"], 1: ["a", "b"], 2: ["b"], 3: ["a", "b"]}


@pytest.mark.parametrize("flow", _FLOWS)
@pytest.mark.parametrize("piece", [1, 7])
def test_replies_may_come_in_any_pieces(flow, piece):
    seen, accepted, _ = _push(_TEXTS, flow, piece=piece)
    assert _sent(seen) == accepted and len(accepted) == 4 and seen[-1] == Closed()


@pytest.mark.parametrize("known", [_ABLE, {}, None], ids=["known", "lock-step", "unknown"])
@pytest.mark.parametrize("window", [1 << 20, 60], ids=["one flight", "several flights"])
def test_a_pull_that_is_cut_at_each_octet_of_the_provider(known, window):
    """What is deleted there was complete here, and deletions are told only if they were done."""
    for limit in itertools.count():
        seen, left, _ = _pull(_TEXTS, known, limit, window=window)
        fetched = [event.message.number - 1 for event in seen if isinstance(event, pop3_client.MessageEnds)]
        texts = [event.data for event in seen if isinstance(event, pop3_client.MessageData)]
        assert fetched == list(range(len(fetched))) and set(range(4)) - set(left) <= set(fetched), limit
        assert b"".join(texts).startswith(b"".join(to_wire(_TEXTS[n]) for n in fetched)), limit
        assert left == [] or not any(isinstance(event, pop3_client.Deleted) for event in seen), limit
        if seen[-1] == Closed():
            break
        assert seen[-1].why == "the server closed the connection", limit
    assert left == [] and [message.number for message in seen[-2].messages] == [1, 2, 3, 4]

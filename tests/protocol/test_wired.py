"""Client and server engines, wired to each other in memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.protocol import pop3_client, pop3_server, smtp_client, smtp_server
from amsmail.protocol.engine import Closed, StartTls
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Envelope, Recipient
from amsmail.wire.reply import Reply
from amsmail.wire.text import to_wire

from .drive import connect

_SITE = smtp_server.Settings("relay.example", size=1000, recipients=3, starttls=True, cleartext_login=True)
_REFUSED = Reply(550, "5.1.1", "nobody of that name")


def _address(text):
    return parse_address(text) if text else None


class _Sender:
    """A client's program: has messages, (sender, recipients, text), and keeps what became of them."""

    def __init__(self, *messages):
        self._messages = iter([
            smtp_client.Message(i, Envelope(_address(sender), tuple(Recipient(_address(r)) for r in recipients),
                                            smtputf8=not str(sender).isascii()),
                                tuple(range(len(recipients))), len(to_wire(text)))
            for i, (sender, recipients, text) in enumerate(messages)])
        self._texts = [[text, b""] for _, _, text in messages]

    def __call__(self, event):
        if isinstance(event, smtp_client.NextMessage):
            return next(self._messages, None)
        if isinstance(event, smtp_client.ReadBody):
            return self._texts[event.key].pop(0)
        return True


def _relay(event):
    """A server's program: accepts all but those who are called nobody."""
    if isinstance(event, smtp_server.MayReach):
        return _REFUSED if event.address.local == "nobody" else None
    if isinstance(event, smtp_server.Login):
        return event.credentials.password == "secret" or Reply(535, "5.7.8", "no")
    if isinstance(event, smtp_server.EndBody):
        return Reply(250, "2.0.0", "kept")
    return True if isinstance(event, StartTls) else None


def _kept(events):
    """[(sender, recipients, body)] of the messages that the server accepted."""
    messages, envelope, body = [], None, b""
    for event in events:
        if isinstance(event, smtp_server.OpenBody):
            envelope, body = event.envelope, b""
        elif isinstance(event, smtp_server.BodyData):
            body += event.data
        elif isinstance(event, smtp_server.EndBody):
            messages.append((str(envelope.sender or ""), [str(r.address) for r in envelope.recipients], body))
    return messages


# What the client avoids so that the mail goes out in each flow.
_FLOWS = pytest.mark.parametrize("avoid", [(), ["CHUNKING"], ["PIPELINING"]], ids=["chunked", "pipelined", "lock-step"])


def _push(*messages, starttls=False, login=smtp_client.Login("", ""), settings=_SITE, avoid=()):
    client = smtp_client.SmtpClient("yacht.example", starttls, login, avoid=avoid)
    seen, served = connect(client, smtp_server.SmtpServer(settings), _Sender(*messages), _relay)
    assert seen[-1] == served[-1] == Closed()
    outcomes = sorted((e for e in seen if isinstance(e, smtp_client.Outcome)), key=lambda outcome: outcome.key)
    return [outcome.replies for outcome in outcomes], _kept(served), seen


@_FLOWS
def test_messages_with_partial_acceptance(avoid):
    outcomes, kept, _ = _push(
        ("captain@yacht.example", ["a@far.example", "nobody@far.example", "b@far.example"], b"Subject: 1\n\n.\n..\n"),
        ("", ["nobody@far.example"], b"2\n"),
        ("captain@yacht.example", [f"{n}@far.example" for n in "abcd"], b"3\n"),
        ("captain@yacht.example", ["a@far.example"], b"x" * 1001),
        ("", ["a@far.example"], b"no line end"), avoid=avoid)
    assert kept == [
        ("captain@yacht.example", ["a@far.example", "b@far.example"], b"Subject: 1\r\n\r\n.\r\n..\r\n"),
        ("captain@yacht.example", [f"{n}@far.example" for n in "abc"], b"3\r\n"),
        ("", ["a@far.example"], b"no line end\r\n")]
    assert [[replies[i].code for i in sorted(replies)] for replies in outcomes] == [
        [250, 550, 250], [550], [250, 250, 250, 452], [552], [250]]


def test_with_tls_and_login():
    outcomes, kept, _ = _push(("jürgen@yacht.example", ["ö@far.example"], "Subject: ü\n".encode()), starttls=True,
                              login=smtp_client.Login("yacht", "secret"), settings=_SITE.but(cleartext_login=False))
    assert kept == [("jürgen@yacht.example", ["ö@far.example"], "Subject: ü\r\n".encode())]
    assert outcomes[0][0].ok


def test_a_wrong_password_sends_nothing():
    outcomes, kept, seen = _push(("", ["a@far.example"], b"x\n"), login=smtp_client.Login("yacht", "wrong"))
    assert (outcomes, kept) == ([], [])
    assert smtp_client.SessionFailed("login", Reply(535, "5.7.8", "no")) in seen


_bodies = st.lists(st.sampled_from([b".", b"\n", b"..", b"a", b"\xff\0", b"\n.\n"]), max_size=12).map(b"".join)


@_FLOWS
@given(bodies=st.lists(_bodies, max_size=3))
def test_any_bodies_arrive_as_they_are(avoid, bodies):
    outcomes, kept, _ = _push(*[("", ["a@far.example"], body) for body in bodies], avoid=avoid)
    ended = [body if body.endswith(b"\n") or not body else body + b"\n" for body in bodies]
    assert [body for _, _, body in kept] == [to_wire(body) for body in ended]
    assert all(replies[0].ok for replies in outcomes)


class _Provider:
    """A POP3 server's program with messages in memory, on disk as LF."""

    def __init__(self, texts):
        self.texts = dict(enumerate(texts))
        self._pieces = []

    def __call__(self, event):
        if isinstance(event, pop3_server.Login):
            if event.credentials.password != "secret":
                return pop3_server.Refusal("AUTH", "no")
            return [(f"uid{i}", len(to_wire(text))) for i, text in self.texts.items()]
        if isinstance(event, pop3_server.OpenMessage):
            self._pieces = [self.texts[event.index], b""]
        elif isinstance(event, pop3_server.ReadMessage):
            return self._pieces.pop(0)
        elif isinstance(event, pop3_server.Update):
            for index in event.indexes:
                del self.texts[index]
        return True if isinstance(event, StartTls) else None


class _Fetcher:
    """A POP3 client's program: fetches all but the first, which it deletes unseen, and does not keep the last."""

    def __init__(self):
        self.listed = ()

    def __call__(self, event):
        if isinstance(event, pop3_client.Choose):
            self.listed = event.messages
            numbers = [message.number for message in event.messages]
            return numbers[1:], numbers[:1], []
        if isinstance(event, pop3_client.MessageEnds):
            return event.message != self.listed[-1]
        return True


def _pull(provider, password="secret", starttls=False):
    server = pop3_server.Pop3Server(pop3_server.Settings(starttls=True, cleartext_login=not starttls))
    seen, served = connect(pop3_client.Pop3Client("owner", password, starttls), server, _Fetcher(), provider)
    assert seen[-1] == served[-1] == Closed()
    return seen


def _fetched(events):
    texts = []
    for event in events:
        if isinstance(event, pop3_client.MessageBegins):
            texts.append(b"")
        elif isinstance(event, pop3_client.MessageData):
            texts[-1] += event.data
    return texts


def test_fetching_and_deleting():
    provider = _Provider([b"1\n", b".\n..\n", b"", b"4\n"])
    events = _pull(provider, starttls=True)
    assert _fetched(events) == [b".\r\n..\r\n", b"", b"4\r\n"]
    assert provider.texts == {3: b"4\n"}
    (deleted,) = [event for event in events if isinstance(event, pop3_client.Deleted)]
    assert [message.uid for message in deleted.messages] == ["uid0", "uid1", "uid2"]


def test_a_wrong_password_fetches_nothing():
    provider = _Provider([b"1\n", b"2\n"])
    events = _pull(provider, "wrong")
    assert pop3_client.SessionFailed("login", "[AUTH] no") in events
    assert len(provider.texts) == 2


@given(st.lists(_bodies, min_size=2, max_size=4))
def test_any_messages_are_fetched_as_they_are(texts):
    events = _pull(_Provider(texts))
    ended = [text if text.endswith(b"\n") or not text else text + b"\n" for text in texts]
    assert _fetched(events) == [to_wire(text) for text in ended[1:]]

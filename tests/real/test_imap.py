"""The IMAP client's engine against Dovecot, with and without TLS and compression, whole and cut off."""

import socket

import pytest

from amsmail.protocol import imap_events as imap
from amsmail.protocol.engine import Closed, StartTls
from amsmail.protocol.imap_client import ImapClient
from amsmail.transport.carrier import SocketCarrier
from amsmail.transport.stream import Stream
from amsmail.transport.tls import ClientTls

from .boxes import Boxes
from .conftest import PASSWORDS
from .dovecot import Dovecot


@pytest.fixture(scope="module")
def imap_boxes(folder):
    return Boxes(folder / "imap-mail", PASSWORDS)


@pytest.fixture(scope="module")
def server(folder, imap_boxes, provider_certificate):
    with Dovecot(folder / "imap", imap_boxes, PASSWORDS, provider_certificate, with_imap=True).running() as server:
        yield server


@pytest.fixture
def deliver(imap_boxes):
    """Puts messages with texts of some sizes into the box; gives them as they come over the wire."""
    imap_boxes.empty("owner")

    def deliver(*sizes):
        texts = []
        for size in sizes:
            words = b"".join(b"%d apples and %d pears\n" % (n, size) for n in range(size // 20 + 1))
            texts.append(b"Subject: of %d octets\n\n" % size + words[:size - 1] + b"\n")
            imap_boxes.deliver("owner", texts[-1])
        return sorted(text.replace(b"\n", b"\r\n") for text in texts)
    return deliver


class _Call:
    """One session over a real connection, or until more than `cut` octets came. `flights` counts how often it said
    something and waited."""

    def __init__(self, server, certificate, tls="none", ahead=None, known=imap.Known(), options=imap.Options(),
                 cut=None):
        self._tls = ClientTls(certificate.authority)
        self.texts, self.events = {}, []
        self.whole = []
        port = server.imaps if tls == "implicit" else server.imap
        self.stream = Stream(SocketCarrier(socket.create_connection(("localhost", port), 10)), 10)
        if tls == "implicit":
            self.stream.start_tls(self._tls, "localhost")
        self.engine = ImapClient("owner", PASSWORDS["owner"], tls == "starttls", options, known, ahead)
        self.flights = 0
        self._run(cut)
        self.stream.close()

    def _run(self, cut):
        while True:
            event = self.engine.next_event()
            if event is None:
                said = self.engine.output()
                self.flights += bool(said)
                self.stream.write(said)
                if cut is not None and self.stream.received > cut:
                    return
                self.engine.receive(self.stream.read())
                continue
            answer = self._answer(event)
            if event.asks:
                self.engine.answer(answer)
            if isinstance(event, Closed):
                self.stream.write(self.engine.output())
                assert event.why == "", event
                return

    def _answer(self, event):
        self.events.append(event)
        if isinstance(event, StartTls):
            self.stream.write(self.engine.output())
            self.stream.start_tls(self._tls, "localhost")
        elif isinstance(event, imap.Choose):
            return imap.Take(event.folder.uidvalidity)
        elif isinstance(event, imap.MessageData):
            self.texts[event.uid] = self.texts.get(event.uid, b"") + event.data
        elif isinstance(event, imap.MessageEnds):
            self.whole.append(event.uid)
        return True

    def one(self, kind):
        (event,) = [event for event in self.events if isinstance(event, kind)]
        return event

    def ahead(self, **changes):
        return imap.Take(self.one(imap.Selected).folder.uidvalidity, **changes)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_messages_are_fetched_and_expunged(tls, compress, server, deliver, imap_boxes, provider_certificate):
    expected = deliver(40, 65536, 200_000, 700_000)
    call = _Call(server, provider_certificate, tls, options=imap.Options(compress=compress))
    assert call.one(imap.Ready).compressed == compress
    assert sorted(call.texts.values()) == expected
    assert not any(isinstance(event, (imap.Refused, imap.SizeDiffers, imap.NotFetched)) for event in call.events)
    assert imap_boxes.messages("owner") == []
    assert {uid for event in call.events if isinstance(event, imap.Deleted) for uid in event.uids} == set(call.texts)


@pytest.mark.parametrize("options, left", [
    (imap.Options(deletion=""), 2), (imap.Options(deletion=imap.FLAGGED), 2), (imap.Options(begin=10, spare=10), 0)])
def test_other_options(options, left, server, deliver, imap_boxes, provider_certificate):
    expected = deliver(40, 400)
    call = _Call(server, provider_certificate, options=options)
    assert sorted(call.texts.values()) == expected
    assert len(imap_boxes.messages("owner")) == left


def test_a_message_moves_to_a_folder(server, deliver, imap_boxes, provider_certificate):
    deliver(40)
    for name in ".Old", ".Old/cur", ".Old/new", ".Old/tmp":
        path = imap_boxes.folder / "owner" / name
        if not path.exists():
            path.mkdir()
            imap_boxes._own(path)
    call = _Call(server, provider_certificate, options=imap.Options(deletion=imap.MOVED, target="Old"))
    assert call.one(imap.Deleted).how == imap.MOVED
    assert imap_boxes.messages("owner") == []
    assert len(imap_boxes.messages("owner/.Old")) == 1


def test_the_number_of_flights_is_the_same_for_any_number_of_messages(server, deliver, provider_certificate):
    """The client's flights, without TCP's, TLS's and the greeting: seven in all with these three."""
    first = _Call(server, provider_certificate, "implicit")
    flights = {}
    for count in (1, 10, 100):
        deliver(*range(1000, 1000 + count))
        take = first.ahead(first=first.one(imap.Selected).folder.uidnext)
        call = _Call(server, provider_certificate, "implicit", take, first.one(imap.Ready).known)
        assert len(call.whole) == count
        flights[count] = call.flights
    assert flights == {1: 3, 10: 3, 100: 3}      # log in and compress, select and fetch, delete and leave
    deliver(100_000)
    assert _Call(server, provider_certificate, "implicit", take, first.one(imap.Ready).known).flights == 4


def test_a_call_with_nothing_new_sends_next_to_nothing(server, deliver, provider_certificate):
    deliver(50_000)
    first = _Call(server, provider_certificate, options=imap.Options(deletion=""))
    assert first.whole
    take = first.ahead(first=first.one(imap.Covered).uidnext)
    second = _Call(server, provider_certificate, ahead=take)
    assert not second.texts
    assert second.stream.received < 2500


@pytest.mark.parametrize("compress", [False, True])
def test_calls_that_are_cut_off_go_on_where_they_stopped(compress, server, deliver, imap_boxes, provider_certificate):
    expected = deliver(300_000, 40, 120_000)
    options = imap.Options(compress=compress, begin=20_000, spare=10)
    texts, whole, take, received = {}, [], None, 0
    for _ in range(60):
        call = _Call(server, provider_certificate, ahead=take, options=options, cut=3000 if compress else 40_000)
        received += call.stream.received
        whole += call.whole
        for uid, text in call.texts.items():
            begun = any(event.uid == uid for event in call.events if isinstance(event, imap.MessageBegins))
            texts[uid] = text if begun else texts[uid] + text
        if call.events and isinstance(call.events[-1], Closed):
            break
        if call.engine.unfinished() is not None:
            take = call.ahead(without=whole, resume=call.engine.unfinished(), delete=whole)
    assert sorted(texts.values()) == expected
    assert len(whole) == len(set(whole)) == 3
    assert imap_boxes.messages("owner") == []
    assert call.events[-1] == Closed("")

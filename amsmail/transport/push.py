"""The push: drains the outbound queue to the upstream relay."""

import time

from amsmail.protocol import smtp_client as smtp
from amsmail.protocol.engine import Closed
from amsmail.site import notices
from amsmail.store.queue import LONGEST_PAUSE, Queue
from amsmail.transport import refusals
from amsmail.transport.result import TEMPORARY
from amsmail.transport.session import ProviderSession, result_of
from amsmail.wire.envelope import FAILED, SENT, EnvelopeError
from amsmail.wire.reply import Reply
from amsmail.wire.report import Fate
from amsmail.wire.text import to_wire
from amsmail.wire.urgency import HEADER_CAP, priority

_PIECE = 1 << 16
_BUSY = "the server closes the session: 421"
_SHAKY = {"chunked": "CHUNKING", "pipelined": "PIPELINING"}      # what each flow relies on
_HASTY = 3              # tries in which a message goes before the others for its priority
_FIRST_PAUSE = 900      # seconds
_BARE_CR = Reply(550, "5.6.0", "The message has a CR that is no line end; no relay may be given that")


def due(spool, log, now, everything=False, large=False):
    """What is to be sent now: a list of Queued, in the order of `ranked`."""
    return [queued for _, queued in ranked(spool, log, now, everything, large)]


def ranked(spool, log, now, everything=False, large=False):
    """What is to be sent now: a list of (priority, Queued), the highest priority first (RFC 6710, section 5.1), then
    those tried least, then the smallest; nothing that is held, but with `large` what is held for its size alone.
    `everything`: also what a pause holds back.

    A file that cannot be read as a queue entry is logged and left alone."""
    queue = Queue(spool)
    found = []
    for entry in queue.sendable(large):
        try:
            queued = queue.read(entry)
            tries = queue.tries(entry)
            haste = _haste(queue, queued, tries)
        except (OSError, EnvelopeError) as error:
            log("queue-entry-unreadable", id=entry.uid, problem=error)
            continue
        if everything or tries.is_due(now):
            found.append(((-haste, tries.count, queued.size), haste, queued))
    return [(haste, queued) for _, haste, queued in sorted(found, key=lambda each: each[0])]


def _haste(queue, queued, tries):
    """A message's priority in its turn.  One that ended several sessions goes before none: it may be why they ended."""
    found = _priority(queue, queued)
    return min(found, 0) if tries.count >= _HASTY else found


def _priority(queue, queued):
    with queue.open(queued) as body:
        return priority(body.read(HEADER_CAP), queued.envelope.priority)


def push(site, spool, messages, call, log, progress):
    """Sends `messages` (as `due` gives them) to the relay in `call`, a Call, and gives a Result.  The caller holds the
    queue's lock.

    `progress(octets)` is told of body octets that went out.  Raises nothing for what the line, the relay or the disk
    do: what was not sent stays in the queue.
    """
    return result_of(_Push(site, spool, messages, call, log, progress))


class _Push(ProviderSession):
    """One session with the relay."""

    def __init__(self, site, spool, messages, call, log, progress):
        super().__init__(site, spool, call, log, progress, "relay")
        self._queue = Queue(spool)
        self._left = list(messages)
        self._under_way = []        # handed to the engine, outcome not known yet
        self._body = self._ready_event = None

    def run(self):
        relay = self.site.relay
        self.meet("smtp", relay, "relay")
        engine = smtp.SmtpClient(self.site.hostname, self.starttls, smtp.Login(relay["user"], relay["password"]),
                                 self.call.line.window_up, self.avoided())
        self.talk(engine, {
            smtp.Ready: self._ready,
            smtp.NextMessage: self._next,
            smtp.ReadBody: self._read,
            smtp.Outcome: self._outcome,
            smtp.Quirk: lambda event: self.avoid(event.keyword, str(event.reply)),
            smtp.SessionFailed: self._failed,
            Closed: self._closed,
        })

    def close(self):
        super().close()
        self.result.kept += len(self._left) + len(self._under_way)
        if self._body:
            self._body.close()
        if self._under_way:
            self._let_others_go_first(self._under_way[0])

    def _let_others_go_first(self, queued):
        """The session ended in the middle of a message: if it was because of that message, it must not end each session
        before the others had their turn."""
        tries = self._queue.tries(queued.entry)
        self._note(queued, tries.but(count=tries.count + 1))

    def _ready(self, event):
        self._ready_event = event
        self.is_welcome = True
        # Only of these: the hosts behind one name may differ in others.
        offers = [keyword for keyword in _SHAKY.values() if keyword in event.extensions]
        if self.known.get("offers", offers) != offers:
            self.remember(avoid=None)      # it was changed: what it could not do, it may be able to do now
        self.remember(offers=offers)
        self.log("relay-ready", flow=event.flow)

    def suspects(self):
        flow = self._ready_event.flow if self._ready_event and self._under_way and not self.result.done else None
        return _SHAKY.get(flow)

    def _next(self, _event):
        while self._left:
            queued = self._left.pop(0)
            if not queued.waiting:      # a crash came between the last recipient's outcome and the removal
                self._queue.remove(queued.entry)
                continue
            self._under_way.append(queued)
            size, has_cr = self._measure(queued)
            if not has_cr:
                # Also where its sender gave none: the relay is to be told what it has here (RFC 6710, section 4.2).
                envelope = queued.envelope.but(priority=str(_priority(self._queue, queued)))
                return smtp.Message(queued, envelope, [index for index, _ in queued.waiting], size)
            self._settle(queued, {index: _BARE_CR for index, _ in queued.waiting})
        return None

    def _measure(self, queued):
        """The octets on the wire, counted and not taken from the name because BDAT promises them; and whether there is
        a CR among them."""
        size, has_cr = 0, False
        with self._queue.open(queued) as body:
            while piece := body.read(_PIECE):
                size += len(to_wire(piece))
                has_cr = has_cr or b"\r" in piece
        return size, has_cr

    def _read(self, event):
        if self._body is None:
            self._body = self._queue.open(event.key)
        piece = self._body.read(_PIECE)
        self.progress(len(to_wire(piece)))
        if not piece:
            self._body.close()
            self._body = None
        return piece

    def _outcome(self, event):
        self._settle(event.key, event.replies)

    def _settle(self, queued, replies):
        """Writes down what became of a message's recipients, durably, and tells its sender of what failed for good."""
        self._under_way.remove(queued)
        fates = {index: self._fate(queued, index, reply) for index, reply in replies.items()
                 if reply.ok or reply.permanent}
        failed = {index: fate for index, fate in fates.items() if fate.action == "failed"}
        relayed = {index: fate for index, fate in fates.items() if fate.action == "relayed"}
        for index in relayed:
            queued = self._queue.mark(queued, index, SENT)
        if failed and self._notify(queued, failed):     # before the mark: told twice is better than never
            self.result.refused += 1
            for index in failed:
                queued = self._queue.mark(queued, index, FAILED)
        if relayed and "DSN" not in self._ready_event.extensions:
            self._notify(queued, relayed)
        for index, reply in replies.items():
            self.log("sent" if reply.ok else "refused" if reply.permanent else "put-off", id=queued.entry.uid,
                      to=queued.envelope.recipients[index].address, reply=reply)
        if relayed:
            sender = queued.envelope.sender
            self.result.carried(self.site.addresses.get(sender.key, "") if sender else "", "out", queued.size)
        if queued.waiting:
            self.result.kept += 1
            self._put_off(queued, replies[queued.waiting[0][0]])
        else:
            self._queue.remove(queued.entry)

    def _fate(self, queued, index, reply):
        recipient = queued.envelope.recipients[index]
        if reply.ok:
            return Fate(recipient, "relayed", "2.0.0", str(reply))
        return Fate(recipient, "failed", reply.status or "5.0.0", str(reply))

    def _notify(self, queued, fates):
        """Tells the sender, and says whether that could be done.  A full disk leaves those fates for the next run, but
        must not keep the other messages here, whose sending makes room."""
        try:
            uid = notices.send(self.site, self.spool, queued.envelope, list(fates.values()), queued.entry.uid,
                               queued.size, lambda: self._queue.wire(queued))
        except OSError as error:
            self.result.fail(TEMPORARY, f"the disk failed, so a sender could not be told: {error}")
            return False
        self.log("notified", id=queued.entry.uid, notice=uid)
        return True

    def _put_off(self, queued, reply):
        tries = self._queue.tries(queued.entry)
        pause = min(_FIRST_PAUSE * 2 ** min(tries.count, 10), LONGEST_PAUSE)
        self._note(queued, tries.but(count=tries.count + 1, last=str(reply), next=int(time.time()) + pause))

    def _note(self, queued, tries):
        try:
            self._queue.set_tries(queued.entry, tries)
        except OSError as error:
            self.log("disk-error", problem=error)      # then it is simply tried again

    def _failed(self, event):
        words = {smtp.LOGIN: "the login was refused", smtp.NOT_OFFERED: "cannot be used as mail.cfg says",
                 smtp.REFUSED: "refuses to serve us"}
        self.result.fail(refusals.of_reply(event.reply), f"{words[event.why]}: {event.reply}")

    def _closed(self, event):
        if not event.why:
            return
        self.result.fail(TEMPORARY, event.why)
        if _BUSY not in event.why and (keyword := self.suspects()):     # a 421 says itself why it goes
            # It gave up before it took one message: perhaps it cannot do what it offers.  The next call does without.
            self.suspect(keyword, event.why)

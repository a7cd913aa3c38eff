"""The pull: fetches an inbound account into drop boxes.

A message is synced here, journalled as fetched, and moved to where readers look, in this order, before it is deleted
at the provider.
"""

import re
import time

from amsmail.protocol import pop3_client as pop3
from amsmail.protocol.engine import Closed, StartTls
from amsmail.site import routing
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.store.seen import Seen
from amsmail.transport import pump
from amsmail.transport.carrier import StreamError
from amsmail.transport.connect import Provider
from amsmail.transport.result import PERMANENT, TEMPORARY, Result
from amsmail.wire.address import AddressError, parse_address
from amsmail.site.dates import rfc5322
from amsmail.wire.text import BareScanner

_TEMPORARY_CODES = ("[SYS/TEMP]", "[IN-USE]", "[LOGIN-DELAY]")       # RFC 2449, section 8.1; RFC 3206
_TIMEOUT = 300              # seconds without progress
_HEADER_CAP = 1 << 18       # octets in which the envelope's header field must come
DELETE, KEEP, ALL = 0, -1, -1       # what config_file makes of `after` and `backlog`


def pull(site, spool, name, log, progress):
    """Fetches what is new in the account `name` and gives a Result.

    The caller holds the account's lock, and called resume_all() before.  `progress(octets)` is told of octets that came.
    Raises nothing for what the line, the provider or the disk do: what was not fetched stays at the provider.
    """
    run = _Pull(site, spool, name, log, progress)
    try:
        run.session()
    except StreamError as error:
        run.result.fail(TEMPORARY, str(error))
    except OSError as error:
        run.result.fail(TEMPORARY, f"the disk failed: {error}")
    finally:
        run.close()
    return run.result


class _Pull:
    """One session with an account's server."""

    def __init__(self, site, spool, name, log, progress):
        self._site, self._spool, self._name, self._log, self._progress = site, spool, name, log, progress
        self._account = site.accounts[name]
        self._seen = None
        self._stream = self._delivery = None
        self._problem = ""
        self.result = Result(f"account {name}")

    def session(self):
        self._seen = Seen(self._spool.state("seen", self._name))
        provider = Provider("pop3", self._account)
        self._stream = provider.connect(_TIMEOUT)
        engine = pop3.Pop3Client(self._account["user"], self._account["password"], provider.starttls)
        handlers = {
            StartTls: lambda event: self._start_tls(engine, provider),
            pop3.Choose: self._choose,
            pop3.MessageBegins: self._begin,
            pop3.MessageData: self._data,
            pop3.MessageEnds: self._end,
            pop3.NotFetched: self._not_fetched,
            pop3.Deleted: self._deleted,
            pop3.SessionFailed: self._failed,
            Closed: self._closed,
        }
        pump.run(engine, self._stream, lambda event: handlers[type(event)](event))

    def close(self):
        if self._stream:
            self._stream.close()
            self.result.count(self._stream)
        if self._delivery:
            self._delivery.abort()

    def _start_tls(self, engine, provider):
        self._stream.write(engine.output())
        provider.start_tls(self._stream)
        return True

    # What to fetch

    def _choose(self, event):
        after, now = self._account["after"], time.time()
        if not event.has_uids:
            if after != DELETE or self._account["backlog"] != ALL:
                self.result.fail(PERMANENT, "the provider cannot tell messages apart from call to call (no UIDL), so "
                                            "only after = delete with backlog = all can work")
                return [], []
            self._log("no-uidl", account=self._name, note="a call that is cut off may fetch messages twice")
            return [m.number for m in sorted(event.messages, key=_size)], []
        if self._seen.exists:
            self._seen.keep_only({message.uid for message in event.messages})
        else:
            self._pass_over_backlog(event.messages, now)
        new = [message for message in event.messages if message.uid not in self._seen]
        return [m.number for m in sorted(new, key=_size)], [m.number for m in event.messages if self._is_over(m, now)]

    def _pass_over_backlog(self, messages, now):
        """Notes what a first call leaves where it is.  This makes the journal: until then a call is a first call."""
        backlog = self._account["backlog"]
        skip = 0 if backlog == ALL else max(0, len(messages) - backlog)
        self._seen.pass_over([message.uid for message in messages[:skip]], now)
        if skip:
            self._log("backlog", account=self._name, left=skip)

    def _is_over(self, message, now):
        """Whether a message was fetched in an earlier call and its time at the provider is over."""
        after = self._account["after"]
        since = self._seen.since(message.uid) if message.uid in self._seen else None
        return since is not None and after != KEEP and (after == DELETE or now - since >= after)

    # One message

    def _begin(self, event):
        self._message = event.message
        self._problem = ""
        self._head = b""
        self._scanner = BareScanner()
        if self._account["box"]:
            self._open(self._account["box"])

    def _data(self, event):
        self._progress(len(event.data))
        self._scanner.feed(event.data)
        if self._problem:
            return
        if self._delivery is None:
            self._head += event.data
            if b"\r\n\r\n" not in b"\r\n" + self._head and len(self._head) < _HEADER_CAP:
                return
            data, self._head = self._head, b""
            self._open(self._box_by_envelope(data))
        else:
            data = event.data
        self._write(data)

    def _write(self, data):
        if self._problem:
            return
        try:
            self._delivery.write(data)
        except OSError as error:
            self._give_up(error)

    def _open(self, box):
        uid = new_uid(self._site.hostname)
        received = (f"Received: from {self._account['host']} (account {self._name})\n\tby {self._site.hostname} with POP3 "
                    f"id {uid};\n\t{rfc5322(time.time())}\n")
        self._box = box
        try:
            self._delivery = Delivery(self._spool, uid, [box], received.encode())
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error):
        self._problem = f"the disk failed: {error}"
        if self._delivery:
            self._delivery.abort()
            self._delivery = None

    def _end(self, event):
        if self._delivery is None and not self._problem:        # a message with nothing but a header
            self._open(self._box_by_envelope(self._head))
            self._write(self._head)
        if not self._problem:
            self._store(event.message)
        if self._problem:
            self.result.kept += 1
            self.result.fail(TEMPORARY, self._problem)
            return False
        return self._account["after"] == DELETE

    def _store(self, message):
        delivery, self._delivery = self._delivery, None
        try:
            delivery.seal()
        except OSError as error:
            delivery.abort()
            self._problem = f"the disk failed: {error}"
            return
        try:
            if message.uid:
                delivery.make_findable()
                self._seen.add(message.uid, time.time(), delivery.token)
            delivery.commit()
        except OSError as error:
            # Whatever of it happened, the next run's resume_all() ends it: the file must stay for that.
            self._problem = f"the disk failed: {error}"
            return
        self.result.done += 1
        self.result.octets += message.size
        self._log("fetched", id=delivery.uid, account=self._name, box=self._box, uid=message.uid, octets=message.size)
        if self._scanner.found_at_end:
            self._log("bare-line-ends", id=delivery.uid, note="a bare LF became a line end, a bare CR was kept")

    def _not_fetched(self, event):
        self.result.kept += 1
        self.result.fail(TEMPORARY, f"message {event.message.number} was not sent: {event.text}")

    def _box_by_envelope(self, head):
        """The box by the header field that mail.cfg names; postmaster's if there is none or it names nobody here."""
        name, prefix = self._account["envelope"], self._account["envelope_prefix"]
        for text in recipients(head, name):
            try:
                leads = routing.route(self._site, parse_address(text.removeprefix(prefix)), may_relay=False)
            except AddressError:
                continue
            if isinstance(leads, routing.ToBox):
                return leads.name
        self._log("no-box-by-envelope", account=self._name, header=name)
        return self._site.postmaster

    # The end

    def _deleted(self, event):
        self._log("deleted-upstream", account=self._name, messages=len(event.messages))

    def _failed(self, event):
        words = {pop3.LOGIN: "the login was refused", pop3.NOT_OFFERED: "cannot be used as mail.cfg says",
                 pop3.REFUSED: "refuses to serve us"}
        temporary = event.text.upper().startswith(_TEMPORARY_CODES) or event.why == pop3.REFUSED
        self.result.fail(TEMPORARY if temporary else PERMANENT, f"{words[event.why]}: {event.text}")

    def _closed(self, event):
        if event.why:
            self.result.fail(TEMPORARY, event.why)


def _size(message):
    return message.size


def recipients(head, name):
    """The addresses that a header's fields called `name` say the message was delivered to, as text.

    For Received, those after `for` in every field, top to bottom; otherwise the topmost field only: the provider put it
    there last, and what is below may be anybody's.
    """
    header = re.split(rb"\n\r?\n", b"\n" + head, maxsplit=1)[0]
    text = re.sub(rb"\r?\n[ \t]", b" ", header).decode("utf-8", "replace")
    values = [line.partition(":")[2].strip() for line in re.split(r"\r?\n", text)
              if line.partition(":")[0].strip().lower() == name.lower()]
    if name == "Received":
        return [found[1] for value in values if (found := re.search(r"\bfor\s+<?([^<>;\s]+@[^<>;\s]+)>?", value))]
    return [value.strip("<>") for value in values[:1]]

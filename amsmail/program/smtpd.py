"""smtpd: SMTP on stdin and stdout, started by inetd for each connection.  See docs/smtpd.8."""

import errno
import sys
import time

from amsmail.protocol import smtp_server as smtp
from amsmail.protocol.engine import Closed, StartTls
from amsmail.program import session
from amsmail.site import config, networks, routing
from amsmail.site.config import DEFAULT_PATH
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.store.spool import REQUESTS
from amsmail.transport import pump
from amsmail.site.dates import rfc5322
from amsmail.wire.envelope import path
from amsmail.wire.reply import Reply

NAME = "smtpd"
FLAGS = ("--submission", "--tls")
IDLE = "smtp_idle"
HOPS = 100              # Received fields that make a loop: RFC 5321, section 6.3
_HEADER_CAP = 1 << 18   # octets of a header that are kept

_MOVED = Reply(451, "4.3.0", "Where this leads was changed just now, try again")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def refusal(site, reason):
    """The bytes for a client that cannot be served."""
    return smtp.refusal(site.hostname if site else "localhost", reason)


def serve(connection):
    """Serves one client.  Raises StreamError where the connection breaks."""
    _Session(connection).run()


class _Session:
    """One client's session: answers what the engine asks."""

    def __init__(self, connection):
        site = connection.site
        self._connection, self._site, self._log = connection, site, connection.log
        self._relay = networks.contains(site.relay_from, connection.peer)
        self._delivery = None
        self._box = ""              # of who logged in
        self._decisions = {}        # (address, user) -> ToBox, of those who may decide on a held message
        self._engine = smtp.SmtpServer(smtp.Settings(
            hostname=site.hostname,
            size=site.limits["message_size"],
            recipients=site.limits["recipients"],
            errors=site.limits["errors"],
            starttls=connection.certificate_is_there,
            secure=connection.tls_from_the_start,
            cleartext_login=connection.cleartext_login,
            login_required="--submission" in connection.flags,
            trusted=self._relay,
        ))

    def run(self):
        try:
            pump.run(self._engine, self._connection.stream, self._handle)
        finally:
            self._drop()

    def _handle(self, event):
        return _HANDLERS[type(event)](self, event)

    def _start_tls(self, _event):
        self._connection.stream.write(self._engine.output())
        self._connection.start_tls()
        return True

    def _login(self, event):
        from amsmail.site import accounts       # on demand: most connections never log in
        found = accounts.login(self._site, event.credentials)
        good = found is not None and found[0] == "box"
        self._box = found[1] if good else ""
        self._log("login", user=event.credentials.user, mechanism=event.mechanism, result="ok" if good else "refused")
        return True if good else Reply(535, "5.7.8", "Wrong user or password")

    def _may_use(self, event):
        try:
            free = self._connection.spool.free()
        except OSError as error:
            return self._trouble(error)
        return Reply(452, "4.3.1", "Not enough room on the disk for that") if event.size > free else None

    def _may_reach(self, event):
        leads = self._route(event.address, event.user)
        return leads.reply if isinstance(leads, routing.Refused) else None

    def _route(self, address, user):
        token = routing.held_token(self._site, address)
        if token and address.key not in self._site.addresses:
            return self._decisions.get((token, user)) or self._may_decide(token, user)
        return routing.route(self._site, address, bool(user) or self._relay, self._connection.here)

    def _may_decide(self, token, user):
        """Where a reply leads that decides on a held message: only its own box or a listed network may, since it may
        cost money."""
        from amsmail.store import held      # on demand: a connection of thousands decides something
        try:
            message = held.HeldMail(self._connection.spool).find(token)
        except OSError as error:
            return routing.Refused(self._trouble(error))
        if message is None:
            return routing.Refused(Reply(550, "5.1.1", "No message is held under that address"))
        if not (self._relay or user and self._box == message.box):
            return routing.Refused(Reply(550, "5.7.1", f"Only box {message.box} may decide on that: log in first"))
        if message.state != held.HELD:
            return routing.Refused(Reply(550, "5.7.1", f"Message {message.id} was decided on already"))
        self._decisions[token, user] = routing.ToBox(REQUESTS)
        return self._decisions[token, user]

    def _open_body(self, event):
        envelope = event.envelope.but(arrival=int(time.time()))
        self._site = config.current(self._site)     # since RCPT was answered, a box may have been renamed
        self._leads = self._led(envelope)
        if any(isinstance(leads, routing.Refused) for leads in self._leads):
            return _MOVED
        routes = list(zip(self._leads, envelope.recipients))
        boxes = list(dict.fromkeys(leads.name for leads, _ in routes if isinstance(leads, routing.ToBox)))
        remote = tuple(r for leads, r in routes if isinstance(leads, routing.ToQueue))
        uid = new_uid(self._site.hostname)
        received = self._received(event, envelope, uid)
        decides = [r.address.local for leads, r in routes if leads == routing.ToBox(REQUESTS)]
        about = f"Amsmail-Held: {' '.join(decides)}\n".encode()
        self._problem = None
        self._envelope = envelope
        self._to_boxes = [r for leads, r in routes if isinstance(leads, routing.ToBox)]
        self._header = HeaderKeeper()
        try:
            self._delivery = Delivery(
                self._connection.spool, uid, boxes,
                f"Return-Path: {path(envelope.sender)}\n".encode() + received,
                envelope.but(recipients=remote) if remote else None, received, tops={REQUESTS: about})
            return None
        except OSError as error:
            return self._trouble(error)

    def _led(self, envelope):
        """Where each of the recipients leads."""
        return [self._route(recipient.address, envelope.user) for recipient in envelope.recipients]

    def _leads_there(self):
        """Whether the message still leads where it is to go.  While it came, a box may have been renamed or deleted:
        its mail was moved then, and nobody looks any more where this one would go."""
        before, self._site = self._site, config.current(self._site)
        return self._site is before or self._led(self._envelope) == self._leads

    def _received(self, event, envelope, uid):
        """The Received field (RFC 5321, section 4.4)."""
        peer = self._connection.peer
        literal = f"[IPv6:{peer}]" if ":" in peer else f"[{peer}]" if peer else "unknown"
        with_tls = f"\n\t(using {self._connection.tls})" if self._connection.tls else ""
        only = f"\n\tfor {path(envelope.recipients[0].address)}" if len(envelope.recipients) == 1 else ""
        priority = f"\n\tPRIORITY {envelope.priority}" if envelope.priority else ""      # a clause of RFC 6710
        helo = "".join(c if c.isalnum() and c.isascii() or c in "-._:[]" else "?" for c in event.helo)
        return (f"Received: from {helo} ({literal}){with_tls}\n\tby {self._site.hostname} with {event.protocol} "
                f"id {uid}{only}{priority};\n\t{rfc5322(envelope.arrival)}\n").encode()

    def _body_data(self, event):
        if self._problem:
            return
        self._header.feed(event.data)
        try:
            self._delivery.write(event.data)
        except OSError as error:
            self._problem = self._trouble(error)
            self._drop()

    def _end_body(self, event):
        if not self._problem and self._header.hops > HOPS:
            self._problem = Reply(554, "5.4.6", f"More than {HOPS} Received fields: this message is in a loop")
        if self._problem:
            self._drop()
            return self._problem
        delivery, self._delivery = self._delivery, None
        try:
            delivery.seal()
            if not delivery.commit(still=self._leads_there):
                delivery.abort()
                return _MOVED
        except OSError as error:
            delivery.abort()
            return self._trouble(error)
        except BaseException:
            delivery.abort()
            raise
        self._log("accepted", id=delivery.uid, sender=path(self._envelope.sender), user=self._envelope.user,
                  to=_without_tokens(",".join(str(r.address) for r in self._envelope.recipients)),
                  octets=delivery.octets, priority=self._envelope.priority,
                  completed="last-line" if event.completed else None)
        self._notify(delivery)
        return Reply(250, "2.0.0", f"Accepted as {delivery.uid}"
                     + (", with a line end for its last line" if event.completed else ""))

    def _notify(self, delivery):
        """Tells a sender who asked for it that the message is in its boxes (RFC 3461, section 5.2.3)."""
        asked = [r for r in self._to_boxes if "SUCCESS" in r.notify]
        if not asked:
            return
        from amsmail.site import notices
        from amsmail.wire.report import Fate
        fates = [Fate(r, "delivered", "2.1.5", "") for r in asked]
        try:
            notices.send(self._site, self._connection.spool, self._envelope.but(ret="HDRS"), fates, delivery.uid, 0,
                         lambda: [self._header.text])
        except OSError as error:
            self._log("disk-error", problem=error)      # the message itself is safe

    def _drop_body(self, event):
        self._drop()
        self._log("dropped", why=event.why)

    def _drop(self):
        if self._delivery:
            self._delivery.abort()
            self._delivery = None

    def _trouble(self, error):
        """The reply for what the disk refused; it is the site's trouble, so the client may try again."""
        self._log("disk-error", problem=error)
        if error.errno in _NO_SPACE:
            return Reply(452, "4.3.1", "The disk is full, try again later")
        return Reply(451, "4.3.0", "The message could not be stored, try again later")

    def _refused(self, event):
        self._log("refused", command=_without_tokens(event.command), reply=_without_tokens(str(event.reply)))

    def _closed(self, event):
        if event.why:
            self._log("ended", why=event.why)


def _without_tokens(text):
    """`text` for the log, without what a reply must know that decides on a held message: whoever reads the log must not
    learn it."""
    if routing.HELD not in text.casefold():
        return text
    import re       # on demand: a connection of thousands decides something
    return re.sub(rf"({re.escape(routing.HELD)})[a-z2-7]{{32}}", r"\1...", text, flags=re.IGNORECASE)


class HeaderKeeper:
    """Keeps a message's header (as far as it is of a sane size) while the message goes by."""

    def __init__(self):
        self._kept = bytearray(b"\r\n")        # a line end in front: the blank line may be the first
        self._open = True

    def feed(self, data):
        if not self._open:
            return
        searched = max(0, len(self._kept) - 3)
        self._kept += data
        end = self._kept.find(b"\r\n\r\n", searched)
        if end >= 0 or len(self._kept) > _HEADER_CAP:
            del self._kept[end + 2 if end >= 0 else len(self._kept):]
            self._open = False

    @property
    def text(self):
        """The header, without the blank line."""
        return bytes(self._kept[2:])

    @property
    def hops(self):
        """How many Received fields there are."""
        return self._kept.lower().count(b"\r\nreceived:")


_HANDLERS = {
    StartTls: _Session._start_tls,
    Closed: _Session._closed,
    smtp.Login: _Session._login,
    smtp.MayUse: _Session._may_use,
    smtp.MayReach: _Session._may_reach,
    smtp.OpenBody: _Session._open_body,
    smtp.BodyData: _Session._body_data,
    smtp.EndBody: _Session._end_body,
    smtp.DropBody: _Session._drop_body,
    smtp.Refused: _Session._refused,
}


def main(arguments, default_config=DEFAULT_PATH):
    """Runs smtpd; does not return."""
    session.from_inetd(sys.modules[__name__], arguments, default_config)

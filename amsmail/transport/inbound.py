"""What the sessions of all protocols have in common that fetch an inbound account into drop boxes.

A message is synced here, journalled as fetched, and moved to where readers look, in this order, before it is deleted
at the provider.
"""

import re
import time

from amsmail.site import routing
from amsmail.site.dates import rfc5322
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.store.seen import Seen, mailbox
from amsmail.transport.holding import Holding
from amsmail.transport.result import PERMANENT
from amsmail.transport.session import ProviderSession
from amsmail.wire.address import AddressError, parse_address
from amsmail.wire.text import BareScanner

_HEADER_CAP = 1 << 18       # octets in which the envelope's header field must come
NO_ROOM = "the disk is too full to fetch all mail: the rest stays at the provider until there is room"
DELETE, KEEP, ALL = 0, -1, -1       # what site/values makes of `after` and `backlog`


class Session(ProviderSession):
    """One session with an account's server.  A subclass says its PROTOCOL, and has run()."""

    PROTOCOL = ""

    def __init__(self, site, spool, name, call, log, progress):
        super().__init__(site, spool, call, log, progress, f"account {name}")
        self.name, self.account = name, site.accounts[name]
        self.mailbox = mailbox(self.account["user"], self.account["host"])
        self.seen = self.holding = None
        self._wants_room = False

    def prepare(self):
        """Reads what earlier calls left.  Raises OSError."""
        self.seen = Seen(self.spool.state("seen", self.name), self.mailbox)
        if self.seen.is_of_another:
            self.log("other-mailbox", account=self.name, before=self.seen.mailbox, now=self.mailbox,
                     note="what is there counts as new" + self.seen.exists * ", unless its name says that it is known")
        self.holding = Holding(self)
        self.meet(self.PROTOCOL.lower(), self.account, f"account-{self.name}")

    def box_of(self, head):
        """Whose box a message is for that begins with `head`."""
        return self.account["box"] or _box_by_envelope(self, head)

    def fail_for_room(self, messages=0, octets=0):
        """So many messages stay at the provider for want of room on the disk; 0 if that is not known.  Raises OSError.

        A person is told once.  So these are the same words in every call, and only the log has figures."""
        self.log("no-room", account=self.name, messages=messages, octets=octets, room=self.spool.free())
        self.result.kept += messages
        if not self._wants_room:
            self.result.fail(PERMANENT, NO_ROOM)
        self._wants_room = True

    def is_over(self, since, now):
        """Whether the time at the provider is over for a message that was fetched at `since`, None if it was not."""
        after = self.account["after"]
        return since is not None and after != KEEP and (after == DELETE or now - since >= after)


class Arrival:
    """One message on its way from the account of `session` into a box: by `box` of mail.cfg, or by its envelope's
    header field.  Raises nothing for what the disk does: `problem` says it in the end."""

    def __init__(self, session):
        self._session = session
        self._delivery = None
        self._head = b""            # what came before the box was known
        self._scanner = BareScanner()
        self.problem = ""
        if session.account["box"]:
            self._open(session.account["box"])

    def write(self, data):
        """Appends a piece of it as on the wire, without dot-stuffing."""
        self._scanner.feed(data)
        if self.problem:
            return
        if self._delivery is None:
            self._head += data
            if b"\r\n\r\n" not in b"\r\n" + self._head and len(self._head) < _HEADER_CAP:
                return
            data, self._head = self._head, b""
            self._open(_box_by_envelope(self._session, data))
        self._write(data)

    def _write(self, data):
        if self.problem:
            return
        try:
            self._delivery.write(data)
        except OSError as error:
            self.give_up(error)

    def _open(self, box):
        session, hostname = self._session, self._session.site.hostname
        uid = new_uid(hostname)
        received = (f"Received: from {session.account['host']} (account {session.name})\n\tby {hostname} with "
                    f"{session.PROTOCOL} id {uid};\n\t{rfc5322(time.time())}\n")
        self._box = box
        try:
            self._delivery = Delivery(session.spool, uid, [box], received.encode())
        except OSError as error:
            self.give_up(error)

    def give_up(self, error):
        """Nothing comes of it, because of a failure of the disk."""
        self.problem = f"the disk failed: {error}"
        self.abort()

    def abort(self):
        """Leaves nothing of it behind, unless it has ended."""
        if self._delivery:
            self._delivery.abort()
            self._delivery = None

    def end(self, key):
        """It is whole.  True once it is safe here, and in the journal as `key` ('': the account has no names for its
        messages)."""
        if self._delivery is None and not self.problem:         # a message with nothing but a header
            self._open(_box_by_envelope(self._session, self._head))
            self._write(self._head)
        if not self.problem:
            self._store(key)
        return not self.problem

    def _store(self, key):
        session = self._session
        delivery, self._delivery = self._delivery, None
        try:
            delivery.seal()
        except OSError as error:
            delivery.abort()
            self.problem = f"the disk failed: {error}"
            return
        try:
            if key:
                delivery.make_findable()
                session.seen.add(key, time.time(), delivery.token)
            delivery.commit()
        except OSError as error:
            # Whatever of it happened, the next run's resume_all() ends it: the file must stay for that.
            self.problem = f"the disk failed: {error}"
            return
        session.result.carried(self._box, "in", delivery.octets)
        session.log("fetched", id=delivery.uid, account=session.name, box=self._box, uid=key, octets=delivery.octets,
                    held=session.holding.identity(key))
        session.holding.over([key])
        if self._scanner.found_at_end:
            session.log("bare-line-ends", id=delivery.uid, note="a bare LF became a line end, a bare CR was kept")


def _box_by_envelope(session, head):
    """The box by the header field that mail.cfg names; postmaster's if there is none or it names nobody here."""
    name, prefix = session.account["envelope"], session.account["envelope_prefix"]
    for text in recipients(head, name):
        try:
            leads = routing.route(session.site, parse_address(text.removeprefix(prefix)), may_relay=False)
        except AddressError:
            continue
        if isinstance(leads, routing.ToBox):
            return leads.name
    session.log("no-box-by-envelope", account=session.name, header=name)
    return session.site.postmaster


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

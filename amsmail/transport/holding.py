"""Inbound mail that is too large for the link: it stays at its provider, and its box is told once what it would cost.

What is larger than the link ever fetches (message_in in mail.cfg) is held: the box gets a notice, and decides.  What
only the rest of a budget has no room for waits for another call without a word.  What has no name at the provider is
told of, and not held: a decision could meet another message.

Told first, then noted: a crash in between tells the box twice, which is better than never.
"""

import time

from amsmail.link import tariff
from amsmail.site import notices, routing
from amsmail.site.words import in_octets
from amsmail.store.held import DELETE, RELEASED, HeldMail, HeldMessage, digest, identity, new_token
from amsmail.transport.result import TEMPORARY
from amsmail.wire.text import printable

_LONGEST = 200          # characters of a sender or a subject that are told

_NOTICE = """\
This is the mail server {hostname}.

A large message for you waits at the provider. It was not fetched, because
it has more than the {limit} that the link in use carries.

    From:     {sender}
    Subject:  {subject}
    Size:     {size}

What fetching it would cost, and whether it is fetched there without a word
from you:

{links}

"""

_HELD = _NOTICE + """\
It stays at the provider until you decide, or until a call goes over a link
that fetches messages of its size.

To decide, reply to this message, with one of these words alone on the first
line:

    release     fetch it with the next call, over whatever link that is
    delete      delete it at the provider, unread

Or have the operator run one of these:

    mailcheck --release {id}
    mailcheck --delete {id}
"""

_NAMELESS = _NOTICE + """\
It stays at the provider until a call goes over a link that fetches messages
of its size, or until you read or delete it there in another way. A reply to
this message cannot fetch it, because this provider has no lasting names for
messages.
"""


class Holding:
    """What is held of the account of `session` (see inbound.Session); iterating gives its keys, the journal's words for
    messages.  Raises OSError if that cannot be read."""

    def __init__(self, session):
        self._session = session
        self._mail = HeldMail(session.spool)
        self._folder = "" if session.account["folder"].upper() == "INBOX" else session.account["folder"]
        mine = [self._placed(message) for message in self._mail.list() if message.account == session.name]
        place = self._folder, session.mailbox
        self._known = {message.uid: message for message in mine if (message.folder, message.mailbox) == place}
        self._elsewhere = [message for message in mine if (message.folder, message.mailbox) != place]
        self._told = []         # sizes of messages without names that are there, and of which their box was told
        self._told_before = None        # in earlier calls; not yet met in this one

    def _placed(self, message):
        """What was held before mailboxes were noted is of this one as long as the journal does not say of which it is:
        it does so only after this."""
        if not message.mailbox and not self._session.seen.mailbox:
            message = message.but(mailbox=self._session.mailbox)
            self._mail.put(message)
        return message

    def __iter__(self):
        return iter(self._known)

    def identity(self, key):
        """The identity of a message that is held, or was released; '' if it is not known here."""
        known = self._known.get(key)
        return known.id if known else ""

    def octets(self, key):
        """The size of a message that is known here."""
        return self._known[key].octets

    def is_unwanted(self, key):
        """Whether somebody decided to have a message deleted at the provider."""
        known = self._known.get(key)
        return known is not None and known.state == DELETE

    def stays(self, key, octets):
        """Whether a message of so many octets (0 if unknown) is not to be fetched in this call.  `key` is '' where the
        provider has no names for messages."""
        known = self._known.get(key)
        if known and known.state == DELETE:
            return True
        octets = max(octets, known.octets if known else 0)
        # What was released is fetched over whatever link, but not for more than its budget leaves.
        is_too_large = self._is_for_the_link(octets) and not (known and known.state == RELEASED)
        return is_too_large or not self._session.call.grants((self._session.name, key) if key else None, octets)

    def leave(self, key, octets):
        """A message stays.  False if its box must be told, with hold()."""
        known = self._known.get(key)
        if known and known.state != RELEASED:
            return True
        told = not key and self._was_told(octets)
        if self._is_for_the_link(octets) and not known:
            if not key:
                self._session.result.kept += 1
                self._session.result.fail(TEMPORARY, f"a message of {octets} octets is too large for this link, and "
                                                     "cannot be held: the provider has no names for messages")
            return told
        self._session.result.kept += 1
        self._session.log("left", account=self._session.name, uid=key, octets=octets,
                          why=f"this call may fetch {self._session.call.octets_in} octets in all")
        return True

    def _is_for_the_link(self, octets):
        most = self._session.call.message_in
        return bool(most) and octets > most

    def hold(self, key, octets, head):
        """Tells the box of a message, which begins with `head` (b"" if that is not known), and notes that.  What the
        disk does is a failure of the session: then it is told in the next call."""
        session = self._session
        sender, subject = _author_and_subject(head)
        token = new_token()
        message = HeldMessage(identity(session.name, session.mailbox, key, self._folder), session.name, key, octets,
                              sender, subject, session.box_of(head), int(time.time()), digest(token),
                              folder=self._folder, mailbox=session.mailbox)
        try:
            if not key:
                return self._tell_of_nameless(message)
            uid = tell(session.site, session.spool, message, token, session.call.message_in)
            self._mail.put(message)
        except OSError as error:
            session.result.fail(TEMPORARY, f"the disk failed, so nobody was told of a large message: {error}")
            return
        self._known[key] = message
        session.result.held.append(message.id)
        session.log("held", held=message.id, account=session.name, uid=key, octets=octets, box=message.box, notice=uid)

    # A message without a name is known again by its size.  What is remembered of that may be lost: then its box is told
    # once more.

    def _was_told(self, octets):
        """Whether a box was told, in an earlier call, of a message of that size that was not met in this one."""
        if self._told_before is None:
            mailbox, *sizes = self._session.known.get("told", [""])
            self._told_before = sizes if mailbox == self._session.mailbox else []
        if octets not in self._told_before:
            return False
        self._told_before.remove(octets)
        self._told.append(octets)
        return True

    def _tell_of_nameless(self, message):
        """Raises OSError."""
        session = self._session
        uid = _tell(session.site, session.spool, message, session.call.message_in, _NAMELESS,
                    f"Large mail waits: {in_octets(message.octets)}")
        self._told.append(message.octets)
        self._remember_told()
        session.log("told", account=session.name, octets=message.octets, box=message.box, notice=uid)

    def _remember_told(self):
        sizes = [*self._told, *(self._told_before or ())]
        self._session.remember(told=[self._session.mailbox, *sizes] if sizes else None)

    def met_all(self):
        """Every message without a name that stays was met in this session: others are not there any more."""
        self._told_before = []
        self._remember_told()

    # The end of it

    def over_elsewhere(self):
        """The account is another folder or mailbox now: what is held of the earlier one is not to be fetched any more.
        """
        gone, self._elsewhere = self._elsewhere, []
        self._end(gone)

    def over(self, keys):
        """These were fetched, or the provider has them no more."""
        self._end([self._known.pop(key) for key in keys if key in self._known])

    def _end(self, gone):
        self._mail.forget(gone)
        for message in gone:
            self._session.log("no-longer-held", held=message.id, account=message.account, uid=message.uid)


def tell(site, spool, message, token, limit):
    """Tells a box of a HeldMessage and gives the notice's identity; `limit`: octets above which it was held.  Raises
    OSError."""
    return _tell(site, spool, message, limit, _HELD, f"Large mail waits: {in_octets(message.octets)} ({message.id})",
                 reply_address(site, token))


def _tell(site, spool, message, limit, notice, subject, reply_to=""):
    text = notice.format(
        hostname=site.hostname, limit=in_octets(limit), sender=message.sender or "not known",
        subject=message.subject or "not known", size=in_octets(message.octets), id=message.id,
        links=_table(site.links, message.octets))
    return notices.tell(site, spool, message.box, subject, text, reply_to)


def reply_address(site, token):
    """Where a reply goes that decides."""
    return f"{routing.HELD}{token}@{routing.own_domain(site)}"


def _table(links, octets):
    """A line for each link: its name, the cost of a call for a message, and whether it fetches one of that size."""
    rows = [("Link", "Cost", "Fetches it"), *((name, _cost(link, octets), _fetches(link, octets))
                                              for name, link in links.items())]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"    {name:{widths[0]}}  {cost:{widths[1]}}  {fetches}" for name, cost, fetches in rows)


def _cost(link, octets):
    if not link["currency"]:
        return "-"
    cost = tariff.make(link).estimate(0, octets, link["rate"], link["round_trip"])
    return "not known" if cost is None else f"{cost} {link['currency']}"


def _fetches(link, octets):
    if "normal" not in link["classes"]:
        return "no: it carries urgent mail only"
    if link["message_in"] and octets > link["message_in"]:
        return f"no: at most {in_octets(link['message_in'])}"
    return "yes"


def _author_and_subject(head):
    """What the header says, for a person; '' for what it does not say."""
    from email import errors, header, message_from_bytes        # on demand: most calls hold nothing

    def words(name):
        text = str(found.get(name, ""))
        try:
            text = str(header.make_header(header.decode_header(text)))
        except (ValueError, LookupError, errors.MessageError):
            pass        # it is told as it stands there
        text = " ".join(text.split())
        return printable(text)[:_LONGEST]

    found = message_from_bytes(head)
    return words("From"), words("Subject")

"""The SMTP client's side of a session (RFC 5321): the push to a relay.

Nothing is sent after EHLO, STARTTLS, AUTH or DATA before its reply.  Where the server offers PIPELINING (RFC 2920),
MAIL, RCPT and DATA of a message go out in one flight.  A recipient counts as sent only after the reply to the
whole message.
"""

from amsmail.protocol.engine import Event, StartTls
from amsmail.protocol.script import ACCEPTANCE, REPLY, PeerError, ScriptEngine
from amsmail.wire import sasl
from amsmail.wire.envelope import path
from amsmail.wire.lines import is_number
from amsmail.wire.reply import Reply, ReplyError, ReplyReader
from amsmail.wire.text import DotEncoder, to_wire
from amsmail.wire.value import Value

WINDOW = 1 << 16        # octets
_NOT_UNDERSTOOD = (500, 501, 502, 503, 504)     # to BDAT, in a transaction that is sound: the server cannot do it

# What a session may fail over as a whole: no message is to blame, and none is given up for it.
NOT_OFFERED, REFUSED, LOGIN = "not-offered", "refused", "login"


class Login(Value):
    """How to log in at the relay; an empty `user` does not."""

    __slots__ = ("user", "password")


class Message(Value):
    """A message to send: `key` is the caller's name for it; `envelope` an Envelope, of whose recipients those at
    `indexes` are to be tried; `size` in octets as on the wire, before dot-stuffing.  `refusals` is {index: Reply} of
    recipients that cannot be tried at this server."""

    __slots__ = ("key", "envelope", "indexes", "size", "refusals")
    defaults = {"refusals": {}}


class Ready(Event):
    """Logged in, ready for messages.  `extensions` is {keyword: parameters}; `flow` is how they will be sent:
    'chunked', 'pipelined' or 'in lock-step'."""

    __slots__ = ("extensions", "flow")


class Quirk(Event):
    """The server offers `keyword` and cannot do it, as `reply` says: to be avoided from now on.  No mail is lost
    by it."""

    __slots__ = ("keyword", "reply")


class NextMessage(Event):
    """Answer with the next Message, or None if there is no more."""

    __slots__ = ()
    asks = True


class ReadBody(Event):
    """Answer with the next piece of the message's body as it is on disk (LF line ends), b'' at its end."""

    __slots__ = ("key",)
    asks = True


class Outcome(Event):
    """What became of a message: `replies` is {index of a recipient: the Reply that decides}.  A 2xx means sent."""

    __slots__ = ("key", "replies")


class SessionFailed(Event):
    """The session cannot be used: `why` is NOT_OFFERED, REFUSED or LOGIN, `reply` what the server said."""

    __slots__ = ("why", "reply")


class SmtpClient(ScriptEngine):
    """One session.  `hostname` is ours, for EHLO; `starttls` asks for TLS first; `login` is a Login; `window` bounds
    the octets that await a final reply behind the oldest message that does, so that a cut line duplicates little;
    `avoid` holds keywords (CHUNKING, PIPELINING) that this server offers and cannot do."""

    def __init__(self, hostname, starttls, login, window=WINDOW, avoid=()):
        self._hostname = hostname
        self._starttls = starttls
        self._login = login
        self._window = window
        self._avoid = set(avoid)
        self._extensions = {}
        self._replies = ReplyReader()
        super().__init__()

    def _script(self):
        greeting = yield from self._reply()
        if not greeting.ok:
            yield SessionFailed(REFUSED, greeting)
            return
        if (yield from self._greet()) and (yield from self._secure()) and (yield from self._authenticate()):
            self._in_step()
            flow = self._flow()
            yield Ready(self._extensions, flow)
            yield from _FLOWS[flow](self)
        else:
            self._send_lines("QUIT")        # nobody waits for its answer

    def _flow(self):
        """The name of the quickest way to send that the server offers and is not known to be unable to do."""
        offered = self._extensions.keys() - self._avoid
        return ("chunked" if {"CHUNKING", "PIPELINING"} <= offered else
                "pipelined" if "PIPELINING" in offered else "in lock-step")

    # Before the first message

    def _greet(self):
        reply = yield from self._command(f"EHLO {self._hostname}")
        if reply.permanent and not self._starttls and not self._login.user:
            self._extensions = {}
            reply = yield from self._command(f"HELO {self._hostname}")
        elif reply.ok:
            lines = [line.split() for line in reply.text.split("\n")[1:] if line.strip()]
            self._extensions = {words[0].upper(): words[1:] for words in lines}
        if not reply.ok:
            yield SessionFailed(REFUSED, reply)
        return reply.ok

    def _secure(self):
        if not self._starttls:
            return True
        if "STARTTLS" not in self._extensions:
            yield SessionFailed(NOT_OFFERED, Reply(
                554, "5.7.10", "The server does not offer STARTTLS, and nothing is sent in the clear"))
            return False
        reply = yield from self._command("STARTTLS")
        if not reply.ok:
            yield SessionFailed(REFUSED, reply)
            return False
        self._input.clear()         # nothing said before the handshake counts after it (RFC 3207, section 4.2)
        yield StartTls()
        return (yield from self._greet())

    def _authenticate(self):
        if not self._login.user:
            return True
        offered = [word.upper() for word in self._extensions.get("AUTH", [])]
        if "PLAIN" in offered:
            reply = yield from self._command("AUTH PLAIN " + sasl.plain_message(self._login.user, self._login.password))
        elif "LOGIN" in offered:
            reply = yield from self._command("AUTH LOGIN")
            for text in (self._login.user, self._login.password):
                if reply.code == 334:
                    reply = yield from self._command(sasl.encode(text.encode()))
        else:
            yield SessionFailed(NOT_OFFERED, Reply(504, "5.7.4", "The server offers neither AUTH PLAIN nor AUTH LOGIN"))
            return False
        if not reply.ok:
            yield SessionFailed(LOGIN, reply)
        return reply.ok

    # Messages

    def _chunked(self):
        """Every message in one flow, and nothing is waited for but that what awaits its final reply is bounded.

        Without the RSET a server that refused the only recipient may answer the next MAIL with 503, and take the next
        message under the old sender.
        """
        under_way = []
        following = yield from self._next_message()
        if following is None:
            self._send_lines("QUIT")
            return
        while following or under_way:
            # Behind the oldest there is always another: the line is not idle while a large one's reply is awaited.
            while following and sum(message.size for message in under_way[1:]) < self._window:
                message = following
                self._send_lines(*self._transaction(message), f"BDAT {message.size} LAST")
                yield from self._send_chunk(message)
                under_way.append(message)
                following = yield from self._next_message()
                self._send_lines("RSET", *([] if following else ["QUIT"]))
            message = under_way.pop(0)
            mail, recipients = yield from self._transaction_replies(message)
            final = yield from self._acceptance()
            if final.status in _OF_ADDRESSES:
                raise PeerError(f"the server's replies got out of step with our commands: {final} to a whole message")
            if final.code in _NOT_UNDERSTOOD and mail.ok and any(reply.ok for reply in recipients):
                yield Quirk("CHUNKING", final)
                final = _UNEXPECTED
            yield _outcome(message, mail, recipients, final)
            yield from self._reset_done()
        yield from self._good_bye()         # it comes with the last answers

    def _pipelined(self):
        """One wait a message: for DATA's reply.  The next transaction goes out behind the body."""
        message = yield from self._next_message()
        self._send_lines(*self._begun(message))
        while message is not None:
            mail, recipients = yield from self._transaction_replies(message)
            final = yield from self._reply()
            if goes_on := final.code == 354:
                if mail.ok and any(reply.ok for reply in recipients):
                    yield from self._send_body(message)
                else:
                    self._send_lines(".")   # nobody will get it, but the server waits for a body (RFC 2920, 3.1)
            following = yield from self._next_message()
            self._send_lines("RSET", *self._begun(following))
            if goes_on:
                final = yield from self._acceptance()
            elif final.ok:
                final = _UNEXPECTED         # a 2xx before the body is no promise
            yield _outcome(message, mail, recipients, final)
            yield from self._reset_done()
            message = following

    def _begun(self, message):
        """What comes next in a pipelined session: a transaction as far as DATA, or the end."""
        return ["QUIT"] if message is None else [*self._transaction(message), "DATA"]

    def _in_lock_step(self):
        """For a server that takes one command at a time."""
        while (message := (yield from self._next_message())) is not None:
            mail_command, *recipient_commands = self._transaction(message)
            mail = yield from self._command(mail_command)
            recipients = []
            for command in recipient_commands if mail.ok else []:
                recipients.append((yield from self._command(command)))
            final = _UNEXPECTED
            if any(reply.ok for reply in recipients):
                final = yield from self._command("DATA")
                if final.code == 354:
                    yield from self._send_body(message)
                    final = yield from self._acceptance()
                elif final.ok:
                    final = _UNEXPECTED
            yield _outcome(message, mail, recipients, final)
            if not final.ok:
                self._in_step()
                self._send_lines("RSET")
                yield from self._reset_done()
        self._send_lines("QUIT")

    def _next_message(self):
        """The next message that this server can take as it is, or None; what it cannot take gets its outcome here."""
        while (message := (yield NextMessage())) is not None:
            refusals = {index: reply for index in message.indexes if (reply := self._cannot_take(message, index))}
            if len(refusals) < len(message.indexes):
                return message.but(indexes=[i for i in message.indexes if i not in refusals], refusals=refusals)
            yield Outcome(message.key, refusals)
        return None

    def _cannot_take(self, message, index):
        """The reply that a recipient gets without the message being sent, since it is never converted; None if it can
        be sent."""
        envelope = message.envelope
        if _needs_utf8(envelope, [index]) and "SMTPUTF8" not in self._extensions:
            return Reply(550, "5.6.7", "The relay does not offer SMTPUTF8, which this message needs")
        if envelope.content != "7bit" and "8BITMIME" not in self._extensions:
            return Reply(550, "5.6.3", "The relay does not offer 8BITMIME, which this message needs")
        limit = (self._extensions.get("SIZE") or ["0"])[0]
        if is_number(limit) and 0 < int(limit) < message.size:
            return Reply(552, "5.3.4", f"The relay takes at most {limit} octets, this message has {message.size}")
        return None

    def _transaction(self, message):
        """The MAIL and RCPT commands of a message."""
        return [self._mail(message), *(self._rcpt(message.envelope.recipients[index]) for index in message.indexes)]

    def _transaction_replies(self, message):
        """The reply to MAIL, and those to each RCPT."""
        mail = yield from self._reply()
        recipients = []
        for _ in message.indexes:
            recipients.append((yield from self._reply()))
        return mail, recipients

    def _reset_done(self):
        """Takes the reply to RSET.  Raises PeerError: anything but a 2xx means that replies and commands got apart, or
        that the old transaction is still there."""
        reply = yield from self._reply()
        if not reply.ok:
            raise PeerError(f"the server's replies got out of step with our commands: {reply} to RSET")

    def _mail(self, message):
        envelope = message.envelope
        words = [f"MAIL FROM:{path(envelope.sender)}"]
        if "SIZE" in self._extensions:
            words.append(f"SIZE={message.size}")
        if "8BITMIME" in self._extensions and (envelope.content != "7bit" or envelope.body == "8BITMIME"):
            words.append("BODY=8BITMIME")
        if _needs_utf8(envelope, message.indexes):
            words.append("SMTPUTF8")
        if "DSN" in self._extensions:
            words += [f"RET={envelope.ret}"] if envelope.ret else []
            words += [f"ENVID={envelope.envid}"] if envelope.envid else []
        if "MT-PRIORITY" in self._extensions and envelope.priority:
            words.append(f"MT-PRIORITY={envelope.priority}")
        return " ".join(words)

    def _rcpt(self, recipient):
        words = [f"RCPT TO:{path(recipient.address)}"]
        if "DSN" in self._extensions:
            words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
            words += [f"ORCPT={recipient.orcpt}"] if recipient.orcpt else []
        return " ".join(words)

    def _send_body(self, message):
        self._in_step()         # a final reply that is here already would be taken for that to the body
        encoder = DotEncoder()
        while piece := (yield ReadBody(message.key)):
            self._send(encoder.feed(to_wire(piece)))
        self._send(encoder.end())

    def _send_chunk(self, message):
        """The body behind its BDAT, which said how many octets come.  Raises PeerError rather than send others."""
        left = message.size
        while piece := (yield ReadBody(message.key)):
            piece = to_wire(piece)
            left -= len(piece)
            if left < 0:
                break
            self._send(piece)
        if left:
            raise PeerError(f"a message is not of the {message.size} octets that were announced; the session ends")

    # Commands and replies

    def _send_lines(self, *commands):
        self._send("".join(command + "\r\n" for command in commands).encode())

    def _command(self, command):
        self._in_step()
        self._send_lines(command)
        return (yield from self._reply())

    def _in_step(self):
        """Raises PeerError if the server has said something that nothing was asked for."""
        if len(self._input):
            raise PeerError(f"the server speaks before it is asked: {self._input.take(80)!r}")

    def _acceptance(self):
        """The reply to a whole message."""
        self.awaits = ACCEPTANCE
        reply = yield from self._reply()
        self.awaits = REPLY
        return reply

    def _good_bye(self):
        """Takes the reply to QUIT, if one comes: nothing depends on it."""
        try:
            self.is_answered = (yield from self._any_reply()).code == 221
        except PeerError:
            pass

    def _reply(self):
        reply = yield from self._any_reply()
        if reply.code in (221, 421):
            raise PeerError(f"the server closes the session: {reply}")
        return reply

    def _any_reply(self):
        try:
            while (reply := self._replies.feed((yield from self._line()))) is None:
                pass
        except ReplyError as error:
            raise PeerError(str(error)) from error
        return reply


_FLOWS = {
    "chunked": SmtpClient._chunked,
    "pipelined": SmtpClient._pipelined,
    "in lock-step": SmtpClient._in_lock_step,
}
# Hardly anybody says of a message that it is an address that is right (RFC 3463, section 3.2: X.1.0, X.1.5).  Where all
# is in one flow that is the sign of a reply too many; in the other flows nothing can be pending when the body is sent.
_OF_ADDRESSES = {"2.1.0", "2.1.5"}
_UNEXPECTED = Reply(451, "4.5.0", "The server's answers were out of order")


def _outcome(message, mail, recipients, final):
    """The Outcome of the replies to a transaction: each recipient's is that of the first command that failed for it."""
    if final.code == 354:
        final = _UNEXPECTED
    replies = [reply if not reply.ok else final for reply in recipients] if mail.ok else [mail] * len(message.indexes)
    return Outcome(message.key, {**message.refusals, **dict(zip(message.indexes, replies))})


def _needs_utf8(envelope, indexes):
    """Whether SMTPUTF8 must be asked for to reach the recipients at `indexes`: because of an address or a header field
    outside ASCII (RFC 6531, section 3.2)."""
    addresses = [envelope.sender, *(envelope.recipients[index].address for index in indexes)]
    return (any(address is not None and not address.is_ascii for address in addresses)
            or envelope.smtputf8 and envelope.content == "utf8")

"""The SMTP client's side of a session (RFC 5321): the push to a relay.

Nothing is sent after EHLO, STARTTLS, AUTH or DATA before its reply.  Where the server offers PIPELINING (RFC 2920),
MAIL, RCPT and DATA of a message go out in one flight.  A recipient counts as sent only after the reply to the
whole message.
"""

from amsmail.protocol.engine import Event, StartTls
from amsmail.protocol.script import PeerError, ScriptEngine
from amsmail.wire import sasl
from amsmail.wire.envelope import path
from amsmail.wire.lines import is_number
from amsmail.wire.reply import Reply, ReplyError, ReplyReader
from amsmail.wire.text import DotEncoder, to_wire
from amsmail.wire.value import Value

# What a session may fail over as a whole: no message is to blame, and none is given up for it.
NOT_OFFERED, REFUSED, LOGIN = "not-offered", "refused", "login"


class Login(Value):
    """How to log in at the relay; an empty `user` does not."""

    __slots__ = ("user", "password")


class Message(Value):
    """A message to send: `key` is the caller's name for it; `envelope` an Envelope, of whose recipients those at
    `indexes` are to be tried; `size` in octets as on the wire, before dot-stuffing."""

    __slots__ = ("key", "envelope", "indexes", "size")


class Ready(Event):
    """Logged in, ready for messages.  `extensions` is {keyword: parameters}."""

    __slots__ = ("extensions",)


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
    """One session.  `hostname` is ours, for EHLO; `starttls` asks for TLS first; `login` is a Login."""

    def __init__(self, hostname, starttls, login):
        self._hostname = hostname
        self._starttls = starttls
        self._login = login
        self._extensions = {}
        self._replies = ReplyReader()
        super().__init__()

    def _script(self):
        greeting = yield from self._reply()
        if not greeting.ok:
            yield SessionFailed(REFUSED, greeting)
            return
        if (yield from self._greet()) and (yield from self._secure()) and (yield from self._authenticate()):
            yield Ready(self._extensions)
            while (message := (yield NextMessage())) is not None:
                yield from self._send_message(message)
        yield from self._quit()

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

    def _send_message(self, message):
        refusal = self._cannot_take(message)
        if refusal:
            yield Outcome(message.key, {index: refusal for index in message.indexes})
            return
        recipients = [message.envelope.recipients[index] for index in message.indexes]
        commands = [self._mail(message), *map(self._rcpt, recipients), "DATA"]
        replies = []
        if "PIPELINING" in self._extensions:
            self._send("".join(command + "\r\n" for command in commands).encode())
            for _ in commands:
                replies.append((yield from self._reply()))
        else:
            for command in commands:
                if command == "DATA" and not any(reply.ok for reply in replies[1:]):
                    break
                replies.append((yield from self._command(command)))
                if len(replies) == 1 and not replies[0].ok:
                    break
        mail, data = replies[0], replies[-1]
        by_index = dict(zip(message.indexes, replies[1:]))
        accepted = [index for index, reply in by_index.items() if reply.ok] if mail.ok else []
        if len(replies) == len(commands) and data.code == 354:
            if accepted:
                yield from self._send_body(message)
            else:
                self._send(b".\r\n")    # nobody will get it, but the server waits for a body (RFC 2920, section 3.1)
            final = yield from self._reply()
        else:
            final = _UNEXPECTED if data.ok else data        # a 2xx before the body is no promise
        if not mail.ok:
            by_index = {index: mail for index in message.indexes}
        by_index.update((index, _UNEXPECTED if final.code == 354 else final) for index in accepted)
        yield Outcome(message.key, by_index)
        if not final.ok or not accepted:
            yield from self._command("RSET")

    def _cannot_take(self, message):
        """The reply that a message gets without being sent, since it is never converted; None if it can be sent."""
        envelope = message.envelope
        if _needs_utf8(envelope) and "SMTPUTF8" not in self._extensions:
            return Reply(550, "5.6.7", "The relay does not offer SMTPUTF8, which this message needs")
        if envelope.content != "7bit" and "8BITMIME" not in self._extensions:
            return Reply(550, "5.6.3", "The relay does not offer 8BITMIME, which this message needs")
        limit = (self._extensions.get("SIZE") or ["0"])[0]
        if is_number(limit) and 0 < int(limit) < message.size:
            return Reply(552, "5.3.4", f"The relay takes at most {limit} octets, this message has {message.size}")
        return None

    def _mail(self, message):
        envelope = message.envelope
        words = [f"MAIL FROM:{path(envelope.sender)}"]
        if "SIZE" in self._extensions:
            words.append(f"SIZE={message.size}")
        if "8BITMIME" in self._extensions and (envelope.content != "7bit" or envelope.body == "8BITMIME"):
            words.append("BODY=8BITMIME")
        if _needs_utf8(envelope):
            words.append("SMTPUTF8")
        if "DSN" in self._extensions:
            words += [f"RET={envelope.ret}"] if envelope.ret else []
            words += [f"ENVID={envelope.envid}"] if envelope.envid else []
        return " ".join(words)

    def _rcpt(self, recipient):
        words = [f"RCPT TO:{path(recipient.address)}"]
        if "DSN" in self._extensions:
            words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
            words += [f"ORCPT={recipient.orcpt}"] if recipient.orcpt else []
        return " ".join(words)

    def _send_body(self, message):
        encoder = DotEncoder()
        while piece := (yield ReadBody(message.key)):
            self._send(encoder.feed(to_wire(piece)))
        self._send(encoder.end())

    # Commands and replies

    def _quit(self):
        try:
            yield from self._command("QUIT")
        except PeerError:
            pass        # all is said; whether the server says good-bye is its own affair

    def _command(self, command):
        self._send(command.encode() + b"\r\n")
        return (yield from self._reply())

    def _reply(self):
        try:
            while (reply := self._replies.feed((yield from self._line()))) is None:
                pass
        except ReplyError as error:
            raise PeerError(str(error)) from error
        if reply.code == 421:
            raise PeerError(f"the server closes the session: {reply}")
        return reply


_UNEXPECTED = Reply(451, "4.5.0", "The server's answers were out of order")


def _needs_utf8(envelope):
    """Whether SMTPUTF8 must be asked for: an address or a header field outside ASCII (RFC 6531, section 3.2)."""
    addresses = [envelope.sender, *(recipient.address for recipient in envelope.recipients)]
    return (any(address is not None and not address.is_ascii for address in addresses)
            or envelope.smtputf8 and envelope.content == "utf8")

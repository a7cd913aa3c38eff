"""A test of the relay or of an account over the network that is there now, told in words: nothing is dialled, nothing
is sent, fetched or deleted, and nothing is written.

It goes as a call does, with the same engines, and ends where the mail would begin.  By POP3 the listing says what
waits.  By IMAP the engine tells sizes only with a text, so one octet is asked of each of the newest messages: PEEK
leaves their flags as they are.
"""

import re
import socket
import time

from amsmail.protocol import imap_client as imap
from amsmail.protocol import pop3_client as pop3
from amsmail.protocol import smtp_client as smtp
from amsmail.protocol.engine import Closed, StartTls
from amsmail.setup.provider.providers import Providers
from amsmail.site.resolve import ResolveError, addresses
from amsmail.site.words import counted, in_octets
from amsmail.transport import pump
from amsmail.transport.call import Call
from amsmail.transport.carrier import StreamError, TimedOut, Untrusted
from amsmail.transport.connect import Provider, port_of
from amsmail.transport.line import Line
from amsmail.wire import sasl
from amsmail.wire.lines import is_number
from amsmail.wire.value import Value

SIZES = 500                     # messages whose size is asked for by IMAP: about 100 octets each on the line
_QUOTED = 300                   # characters of a server's words
_NOBODYS = "0" * 64             # a fingerprint that no certificate has
_FINGERPRINT = re.compile("sha256:[0-9a-f]{64}")

_FLOWS = {
    "chunked": "CHUNKING and PIPELINING: all messages go in one flow",
    "pipelined": "PIPELINING without CHUNKING: each message costs one wait",
    "in lock-step": "no PIPELINING: each message costs several waits",
}
# keyword -> what it means that it is there, and that it is not; '' for nothing that need be said.
_SMTP = {
    "8BITMIME": ("", "no 8BITMIME: messages with 8-bit text cannot be sent, their senders are told so"),
    "SMTPUTF8": ("", "no SMTPUTF8: mail to or from addresses outside ASCII cannot be sent"),
}
_IMAP = {
    "UIDPLUS": ("UIDPLUS: what was fetched is deleted there at once",
                "no UIDPLUS: what was fetched is only marked as deleted there"),
    "COMPRESS=DEFLATE": ("COMPRESS: everything comes compressed", "no COMPRESS: nothing comes compressed"),
}
_POP3 = {
    "PIPELINING": ("PIPELINING: all messages come in one flow", "no PIPELINING: each message costs a wait"),
    "TOP": ("", "no TOP: the notice of a message that is held cannot say who sent it"),
}
# What a handshake that failed is a sign of: parts of OpenSSL's words, and what to do.
_TLS_SIGNS = (
    (("wrong version number", "record layer failure"),
     "The server speaks without TLS on this port: perhaps tls = starttls is right, or another port."),
)
_CERTIFICATE_SIGNS = (
    (("expired", "not yet valid"), "Look whether this machine's clock is right."),
    (("self-signed", "self signed", "local issuer"),
     "No authority that this machine trusts vouches for it. It may be the provider's own, or that of a network that "
     "wants a login in a browser first, or of somebody on the way."),
    (("not the one in mail.cfg",), "The provider may have a new one, or it is somebody else who answers."),
    (("mismatch",), "The certificate is for another name: look whether host is what the provider says."),
)


class Trial(Value):
    """What came of it.  `ok`: a call would have worked.  `lines`: for a person, in order.  `messages`: how many wait in
    the account, and `octets` of all of them; None where that is not known.  `sizes`: octets of each, or of the newest
    SIZES of them, the newest last: what a first call with backlog = newest N takes is the last N."""

    __slots__ = ("ok", "lines", "messages", "octets", "sizes")
    defaults = {"messages": None, "octets": None, "sizes": ()}


def try_relay(site, line=Line()):
    """The Trial of [relay] over the network that is there now, a Line: its patience says how long silence is borne."""
    if not site.relay["host"]:
        return Trial(False, ("[relay] is not set: mail for others is refused here.",))
    return _Relay(site.relay, Call(line), site.hostname).run()


def try_account(site, name, line=Line()):
    """The same of the account `name`.  Raises KeyError where there is none."""
    account = site.accounts[name]
    return _ACCOUNTS[account["type"]](account, Call(line)).run()


class _Session:
    """One trial; a subclass says its SERVICE, makes the engine, and has handlers of the engine's events."""

    SERVICE = ""

    def __init__(self, settings, call, *more):
        self._settings, self._call, self._more = settings, call, more
        self._host = settings["host"]
        self._port = port_of(self.SERVICE, settings)
        self._place = f"{self._host} port {self._port}"
        self._lines = []
        self._went_well = self._ok = False      # all was seen that is to be seen; and the session ended in order
        self._messages, self._octets, self._sizes = None, None, ()
        self._provider = self._stream = self._engine = None

    def run(self):
        """The Trial."""
        try:
            self.talk()
        except ResolveError as error:
            self._no_address(error)
        except Untrusted as error:
            self._untrusted(error)
        except StreamError as error:
            self._broke(error)
        return Trial(self._ok, tuple(self._lines), self._messages, self._octets, self._sizes)

    def talk(self):
        """The session.  Raises ResolveError and StreamError."""
        found = addresses(self._host)
        # Without TLS at first, since a connection and a handshake that fail are told apart here; and pinned, so that
        # what is said of the address is true.
        clear = {**self._settings, "port": self._port, "tls": "none"}
        self._provider = Provider(self.SERVICE, clear, self._call, [int(time.time()), *found])
        self._stream = self._provider.connect()
        try:
            self._say(f"{self._place} is reached at {self._stream.peer}.")
            if self._settings["tls"] == "implicit":
                self._start_tls()
            elif self._settings["tls"] == "none":
                self._say("tls = none: whoever listens on the way reads the mail, and the password.")
            self._engine = self.engine(self._settings["tls"] == "starttls")
            handlers = {StartTls: self._start_tls, Closed: self._closed, **self.handlers()}
            pump.run(self._engine, self._stream, lambda event: handlers.get(type(event), _ignore)(event),
                     self._call.line.patience)
        except StreamError:
            self._stream.reset()
            raise
        self._stream.close()

    def engine(self, starttls):
        """The engine that holds the session."""
        raise NotImplementedError

    def handlers(self):
        """{type of event: function of the event} of the engine."""
        raise NotImplementedError

    def _start_tls(self, _event=None):
        if self._engine:
            self._stream.write(self._engine.output())
        description = self._provider.start_tls(self._stream)
        trusted = "is the pinned one" if self._settings["fingerprint"] else "is to be trusted"
        self._say(f"TLS is on ({description}), and the certificate {trusted}.")
        return True

    # What goes wrong

    def _no_address(self, error):
        self._say(f"{error}.")
        is_off_line = getattr(error.__cause__, "errno", None) == socket.EAI_AGAIN
        self._say("No name server answers: this machine seems not to be on line." if is_off_line
                  else "Look whether host is written as the provider says.")

    def _untrusted(self, error):
        self._say(f"{error}.")
        self._say_signs(_CERTIFICATE_SIGNS, error)
        found = _FINGERPRINT.search(str(error)) or self._look_at_certificate()
        if found:
            self._say("No password was sent. If the provider, asked in another way, confirms this fingerprint, pin it:")
            self._say(f"fingerprint = {found[0]}")

    def _look_at_certificate(self):
        """The fingerprint in the words of a second handshake, which looks for one that no certificate has; None if
        there is none."""
        again = type(self)({**self._settings, "fingerprint": _NOBODYS}, self._call, *self._more)
        try:
            again.talk()
        except (ResolveError, StreamError) as error:
            return _FINGERPRINT.search(str(error))
        return None

    def _broke(self, error):
        text = str(error)
        self._say(f"{text}." if text.startswith(self._place) else f"{self._place}: {text}.")
        self._say_signs(_TLS_SIGNS, error)
        if isinstance(error, TimedOut) and not self._stream.received and self._settings["tls"] != "implicit":
            self._say("It has not said a word: perhaps this port is for TLS from the first octet, tls = implicit.")

    def _say_signs(self, signs, error):
        words = str(error).casefold().replace("_", " ")
        for parts, hint in signs:
            if any(part in words for part in parts):
                self._say(hint)

    def _refused(self, why, text):
        """The server does not let us in.  `why` is NOT_OFFERED, REFUSED or LOGIN of the engines, which are the same
        words in all of them, or IMAP's FOLDER."""
        words = {
            smtp.LOGIN: f"The login as {self._settings['user']} was refused",
            smtp.NOT_OFFERED: "It cannot be used as mail.cfg says",
            smtp.REFUSED: "The server refuses to serve us",
            imap.FOLDER: f"There is no folder {self._settings.get('folder')}",
        }
        self._say(f"{words[why]}: {self._quoted(text)}")
        provider = Providers().by_host(self._host, self._port)
        if why == smtp.LOGIN and provider:
            server = provider.servers.get(self.SERVICE)
            if server and server.has_short_names == ("@" in self._settings["user"]):
                form = "only what stands in front of the @" if server.has_short_names else "the whole address"
                self._say(f"{provider.title}: the user name is {form}.")
            if provider.note:
                self._say(f"{provider.title}: {provider.note}.")

    def _closed(self, event):
        self._ok = self._went_well and not event.why
        if event.why:
            self._say(f"{self._place}: {self._quoted(event.why)}")

    # What is said

    def _say(self, text):
        self._lines.append(text)

    def _say_offers(self, meanings, offered):
        for keyword, (there, missing) in meanings.items():
            if text := there if keyword in offered else missing:
                self._say(f"{text}.")

    def _welcome(self):
        self._say(f"The login as {self._settings['user']} was accepted.")

    def _say_what_waits(self):
        octets = "" if self._octets is None else f", {in_octets(self._octets)}"
        self._say(f"{counted(self._messages, 'message')} wait{'s' * (self._messages == 1)} "
                  f"there{octets}.")

    def _quoted(self, text):
        """A server's words for a terminal: without the password, should it give that back, and what moves a cursor."""
        user, password = self._settings["user"], self._settings["password"]
        if password:
            for secret in (sasl.plain_message(user, password), sasl.encode(password.encode()), password):
                text = text.replace(secret, "(not shown)")
        text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
        return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."


class _Relay(_Session):
    SERVICE = "smtp"

    def engine(self, starttls):
        (hostname,) = self._more
        return smtp.SmtpClient(hostname, starttls, smtp.Login(self._settings["user"], self._settings["password"]))

    def handlers(self):
        return {
            smtp.Ready: self._ready,
            smtp.SessionFailed: lambda event: self._refused(event.why, str(event.reply)),
        }

    def _ready(self, event):
        self._went_well = True
        if self._settings["user"]:
            self._welcome()
        else:
            self._say("No login is set, though the server offers one (AUTH): probably it wants one."
                      if "AUTH" in event.extensions else "No login is set, and the server offers none.")
        limit = (event.extensions.get("SIZE") or ["0"])[0]
        if is_number(limit) and int(limit):
            self._say(f"SIZE: it takes messages of up to {in_octets(int(limit))}.")
        else:
            self._say("It does not say how large a message may be.")
        self._say(f"{_FLOWS[event.flow]}.")
        self._say_offers(_SMTP, event.extensions)


class _Imap(_Session):
    SERVICE = "imap"

    def engine(self, starttls):
        options = imap.Options(self._settings["folder"], deletion="", begin=1)
        return imap.ImapClient(self._settings["user"], self._settings["password"], starttls, options)

    def handlers(self):
        return {
            imap.Ready: self._ready,
            imap.Choose: self._choose,
            imap.MessageBegins: lambda event: self._found.update({event.uid: event.size}),
            imap.MessagePauses: lambda event: None,         # the rest is not for us
            imap.MessageEnds: lambda event: False,
            imap.Covered: self._covered,
            imap.Refused: lambda event: self._say(f"The server remarks: {self._quoted(event.text)}"),
            imap.SessionFailed: lambda event: self._refused(event.why, event.text),
        }

    def _ready(self, event):
        self._welcome()
        offered = event.known.after.split()
        self._say_offers(_IMAP, {*offered, "UIDPLUS"} if "IMAP4REV2" in offered else offered)

    def _choose(self, event):
        self._messages, self._found = event.folder.exists, {}
        return imap.Take(None, newest=min(self._messages, SIZES))

    def _covered(self, _event):
        self._went_well = True
        self._sizes = tuple(size for _, size in sorted(self._found.items()))
        if len(self._sizes) == self._messages and all(self._sizes):
            self._octets = sum(self._sizes)
        self._say_what_waits()
        if self._octets is None and self._sizes:
            self._say(f"The newest {len(self._sizes)} of them have {in_octets(sum(self._sizes))}.")


class _Pop3(_Session):
    SERVICE = "pop3"

    def engine(self, starttls):
        return pop3.Pop3Client(self._settings["user"], self._settings["password"], starttls)

    def handlers(self):
        return {
            pop3.Capabilities: self._offered,
            pop3.Choose: self._choose,
            pop3.SessionFailed: lambda event: self._refused(event.why, event.text),
        }

    def _offered(self, event):
        self._capabilities = event.capabilities

    def _choose(self, event):
        self._went_well = True
        self._welcome()
        self._say_offers(_POP3, self._capabilities)
        if not event.has_uids:
            self._say("no UIDL: messages cannot be told apart from call to call, so only after = delete with backlog = "
                      "all works.")
        self._sizes = tuple(message.size for message in event.messages)
        self._messages, self._octets = len(self._sizes), sum(self._sizes)
        self._say_what_waits()
        return (), (), ()


_ACCOUNTS = {"imap": _Imap, "pop3": _Pop3}


def _ignore(_event):
    """For events that a trial does not need."""

"""What a trial tells a person: line by line what was seen, what went wrong, and what that may be a sign of."""

import re
import socket

from amsmail.protocol import imap_events as imap
from amsmail.protocol import smtp_client as smtp
from amsmail.setup.provider.providers import Providers
from amsmail.site.words import counted, in_octets
from amsmail.transport.carrier import TimedOut
from amsmail.transport.connect import port_of
from amsmail.transport.result import PERMANENT, TEMPORARY
from amsmail.wire import sasl
from amsmail.wire.text import printable
from amsmail.wire.value import Value

_QUOTED = 300                   # characters of a server's words
_FINGERPRINT = re.compile("sha256:[0-9a-f]{64}")

# Where no server is set, by service.
_NO_HOST = {"smtp": "[relay] is not set: mail for others is refused here."}
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


class Outcome(Value):
    """What came of a trial.  `failure`: '' where a call would have worked; else TEMPORARY, where it may work another
    time, or PERMANENT, where something must change first.  `lines`: for a person, in order.  `messages`: how many wait
    in the account, and `octets` of all of them; None where that is not known.  `sizes`: octets of each, or of the
    newest visits.SIZES of them, the newest last: what a first call with backlog = newest N takes is the last N."""

    __slots__ = ("failure", "lines", "messages", "octets", "sizes")
    defaults = {"messages": None, "octets": None, "sizes": ()}

    @property
    def ok(self):
        """Whether a call would have worked."""
        return not self.failure


class Report:
    """What was found so far in a trial of the server that a section of mail.cfg, `settings`, says; `service` is a key
    of connect.PORTS.  `is_complete`: all was seen that is to be seen.  `messages` as in an Outcome."""

    def __init__(self, service, settings):
        self._service, self._settings = service, settings
        self._port = port_of(service, settings)
        self._place = f"{settings['host']} port {self._port}"
        self._lines = []
        self._failure = TEMPORARY       # until it has come to its end in order
        self.is_complete = False
        self.messages, self._octets, self._sizes = None, None, ()

    def outcome(self):
        """The Outcome, as far as it has come."""
        return Outcome(self._failure, tuple(self._lines), self.messages, self._octets, self._sizes)

    # What is seen

    def say(self, text):
        self._lines.append(text)

    def reached(self, address):
        self.say(f"{self._place} is reached at {address}.")

    def encrypted(self, description):
        trusted = "is the pinned one" if self._settings["fingerprint"] else "is to be trusted"
        self.say(f"TLS is on ({description}), and the certificate {trusted}.")

    def welcome(self):
        self.say(f"The login as {self._settings['user']} was accepted.")

    def offers(self, meanings, offered):
        """What it means that the server offers these keywords and not others; `meanings` is {keyword: (what it means
        that it is there, and that it is not; '' for nothing that need be said)}."""
        for keyword, (there, missing) in meanings.items():
            if text := there if keyword in offered else missing:
                self.say(f"{text}.")

    def remark(self, text):
        """The server says something that nobody asked for."""
        self.say(f"The server remarks: {self._quoted(text)}")

    def waiting(self, messages, sizes):
        """So many messages wait in the account; `sizes` are those of the newest ones, 0 where one is not known."""
        self.is_complete = True
        self.messages, self._sizes = messages, tuple(sizes)
        if len(self._sizes) == messages and all(self._sizes):
            self._octets = sum(self._sizes)
        octets = "" if self._octets is None else f", {in_octets(self._octets)}"
        self.say(f"{counted(messages, 'message')} wait{'s' * (messages == 1)} there{octets}.")
        if self._octets is None and self._sizes:
            self.say(f"The newest {len(self._sizes)} of them have {in_octets(sum(self._sizes))}.")

    def closed(self, why):
        """The session is over, in order where `why` is ''."""
        if why:
            self.say(f"{self._place}: {self._quoted(why)}")
        elif self.is_complete:
            self._failure = ""

    # What goes wrong

    def no_host(self):
        """No server is set."""
        self._failure = PERMANENT
        self.say(_NO_HOST.get(self._service, "host is not set: there is no server to try."))

    def no_address(self, error):
        """Its name has none: a ResolveError."""
        self.say(f"{error}.")
        if getattr(error.__cause__, "errno", None) == socket.EAI_AGAIN:
            self.say("No name server answers: this machine seems not to be on line.")
        else:
            self._failure = PERMANENT
            self.say("Look whether host is written as the provider says.")

    def untrusted(self, error, look_again):
        """The certificate is not to be trusted; `look_again()` gives the words of a second look at it."""
        self._failure = PERMANENT
        self.say(f"{error}.")
        self._say_signs(_CERTIFICATE_SIGNS, error)
        if found := _FINGERPRINT.search(str(error)) or _FINGERPRINT.search(look_again()):
            self.say("No password was sent. If the provider, asked in another way, confirms this fingerprint, pin it:")
            self.say(f"fingerprint = {found[0]}")

    def broke(self, error, has_spoken):
        """The line or the server failed us: a StreamError; `has_spoken` says whether the server had said a word."""
        text = str(error)
        self.say(f"{text}." if text.startswith(self._place) else f"{self._place}: {text}.")
        if self._say_signs(_TLS_SIGNS, error):
            self._failure = PERMANENT
        if isinstance(error, TimedOut) and not has_spoken and self._settings["tls"] != "implicit":
            self.say("It has not said a word: perhaps this port is for TLS from the first octet, tls = implicit.")

    def _say_signs(self, signs, error):
        """Says what the error is a sign of, and whether it is of any."""
        words = str(error).casefold().replace("_", " ")
        found = [hint for parts, hint in signs if any(part in words for part in parts)]
        for hint in found:
            self.say(hint)
        return bool(found)

    def refused(self, why, text, kind):
        """The server does not let us in.  `why` is NOT_OFFERED, REFUSED or LOGIN of the engines, which are the same
        words in all of them, or IMAP's FOLDER; `kind` TEMPORARY or PERMANENT."""
        words = {
            smtp.LOGIN: f"The login as {self._settings['user']} was refused",
            smtp.NOT_OFFERED: "It cannot be used as mail.cfg says",
            smtp.REFUSED: "The server refuses to serve us",
            imap.FOLDER: f"There is no folder {self._settings.get('folder')}",
        }
        self._failure = kind
        self.say(f"{words[why]}: {self._quoted(text)}")
        if why == smtp.LOGIN and kind == PERMANENT:
            self._say_what_is_known()

    def _say_what_is_known(self):
        """What the provider wants of who logs in, where it is a known one."""
        provider = Providers().by_host(self._settings["host"], self._port)
        if provider is None:
            return
        server = provider.servers.get(self._service)
        if server and server.has_short_names == ("@" in self._settings["user"]):
            form = "only what stands in front of the @" if server.has_short_names else "the whole address"
            self.say(f"{provider.title}: the user name is {form}.")
        if provider.note:
            self.say(f"{provider.title}: {provider.note}.")

    def _quoted(self, text):
        """A server's words for a terminal: without the password, should it give that back, and what moves a cursor."""
        user, password = self._settings["user"], self._settings["password"]
        if password:
            for secret in (sasl.plain_message(user, password), sasl.encode(password.encode()), password):
                text = text.replace(secret, "(not shown)")
        text = printable(" ".join(text.split()))
        return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."

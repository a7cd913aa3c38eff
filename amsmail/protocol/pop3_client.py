"""The POP3 client's side of a session (RFC 1939, 2449, 2595, 5034): the pull from a provider.

A message is deleted at the provider only after the program said that it is safe here, and counts as deleted only after
QUIT was answered with +OK.

Where the server can do PIPELINING (RFC 2449, section 6.6), which is known from an earlier session or asked for first,
the login and the listings are one flight, all messages another, and the last deletions with QUIT a third.  Some servers
offer that and drop what they have read behind the login: with those the listings are a flight of their own.
"""

from amsmail.protocol.engine import Event, StartTls
from amsmail.protocol.script import PeerError, ScriptEngine
from amsmail.wire import sasl
from amsmail.wire.lines import is_number
from amsmail.wire.text import DotDecoder
from amsmail.wire.value import Value

# What a session may fail over as a whole.
NOT_OFFERED, REFUSED, LOGIN = "not-offered", "refused", "login"
WINDOW = 1 << 20                # octets
BEHIND_LOGIN = "behind-login"   # what some servers that offer PIPELINING cannot bear: see `avoid`
# ... because their login program hands the connection on to another one: words of CAPA's IMPLEMENTATION.
_FORGETFUL = {"COURIER"}
_LISTING_CAP = 1_000_000        # messages in a listing; more is nonsense, and memory
_HEADER_CAP = 1 << 16           # octets of a header that are kept
_HEADER = 1 << 12               # octets that one is expected to have


class Listed(Value):
    """A message at the provider: its `number` in this session, its `uid` ('' without UIDL), its `size` as LIST says."""

    __slots__ = ("number", "uid", "size")


class Choose(Event):
    """What is there: `messages` are Listed, `has_uids` says whether the server can UIDL.  Answer with (numbers to
    fetch, numbers to delete without fetching, numbers of which only the header is to be fetched)."""

    __slots__ = ("messages", "has_uids")
    asks = True


class Capabilities(Event):
    """What the server says it can do, {keyword: parameters}: worth remembering for the next session."""

    __slots__ = ("capabilities",)


class Header(Event):
    """The header of a message of which only that was to be fetched, as on the wire without dot-stuffing, and at most
    its first 64 kB; b"" where the server does not offer that (TOP), or refused it."""

    __slots__ = ("message", "octets")


class MessageBegins(Event):
    """A message that was chosen begins."""

    __slots__ = ("message",)


class MessageData(Event):
    """A piece of it, as on the wire without dot-stuffing."""

    __slots__ = ("data",)


class MessageEnds(Event):
    """It is complete.  Answer True to delete it at the provider: only once it is safe here."""

    __slots__ = ("message",)
    asks = True


class NotFetched(Event):
    """The server refused to send a message; `text` says why."""

    __slots__ = ("message", "text")


class NotDeleted(Event):
    """The server refused to delete a message; `text` says why."""

    __slots__ = ("message", "text")


class Deleted(Event):
    """QUIT was answered: the provider has deleted these messages (Listed)."""

    __slots__ = ("messages",)


class SessionFailed(Event):
    """The session cannot be used: `why` is NOT_OFFERED, REFUSED or LOGIN, `text` what the server said."""

    __slots__ = ("why", "text")


class Pop3Client(ScriptEngine):
    """One session.  `starttls` asks for TLS (STLS) first; `known` are the capabilities that Capabilities gave in an
    earlier session, None if there was none; `window` bounds the octets that are asked for and have not come;
    `avoid` holds what this server offers and cannot do: PIPELINING, BEHIND_LOGIN (commands in one flight with the
    login).  `is_logged_in` says whether the server has let us in, `has_hurried` whether it was told several commands at
    once."""

    is_logged_in = False
    has_hurried = False

    def __init__(self, user, password, starttls, known=None, window=WINDOW, avoid=()):
        self._user, self._password, self._starttls = user, password, starttls
        self._capabilities = known
        self._window = window
        self._avoid = avoid
        self._unsent = []           # commands that wait for the answer to those before them
        self._wanted = []           # what was not asked for yet: (verb, message)
        self._finished = []         # messages to delete with the next flight
        self._under_way = []        # what was asked for, in order: (verb, message)
        self._awaited = 0           # octets of it
        super().__init__()

    def _script(self):
        ok, text = yield from self._reply()
        if not ok:
            yield SessionFailed(REFUSED, text)
        elif (yield from self._secure()) and (yield from self._authenticate()):
            yield from self._transaction()
        else:
            self._send(b"QUIT\r\n")     # nobody waits for its answer

    def _secure(self):
        if not self._starttls:
            return True
        self._ask("STLS")
        ok, text = yield from self._next_reply()
        if not ok:
            yield SessionFailed(NOT_OFFERED, f"STLS was refused, and nothing is sent in the clear: {text}")
            return False
        self._input.clear()         # nothing said before the handshake counts after it (RFC 2595, section 4)
        yield StartTls()
        return True

    def _find_out(self):
        """Asks what the server can do (RFC 2449); one that cannot say has no capabilities."""
        self._ask("CAPA")
        ok, _ = yield from self._next_reply()
        lines = (yield from self._lines()) if ok else []
        rows = [line.upper().split() for line in lines if line.strip()]
        self._capabilities = {words[0]: words[1:] for words in rows}
        yield Capabilities(self._capabilities)

    def _authenticate(self):
        """Logs in, and asks for the listings in the same flight."""
        if self._capabilities is None:
            yield from self._find_out()
        if "USER" not in self._capabilities and "PLAIN" in self._capabilities.get("SASL", []):
            commands = ["AUTH PLAIN " + sasl.plain_message(self._user, self._password)]
        else:
            commands = [f"USER {self._user}", f"PASS {self._password}"]
        listings = ["UIDL", "LIST"]
        waits = BEHIND_LOGIN in self._avoid or bool(_FORGETFUL & set(self._capabilities.get("IMPLEMENTATION", [])))
        self._ask(*commands, *([] if waits else listings))
        for _ in commands:
            ok, text = yield from self._next_reply()
            if not ok:
                yield SessionFailed(LOGIN, text)
                return False
        self.is_logged_in = True
        if waits:
            self._ask(*listings)
        return True

    def _transaction(self):
        messages, has_uids = yield from self._listing()
        wanted, unwanted, headers = yield Choose(tuple(messages), has_uids)
        by_number = {message.number: message for message in messages}
        if "TOP" in self._capabilities:
            self._wanted = [("TOP", by_number[number]) for number in headers]
        else:
            for number in headers:
                yield Header(by_number[number], b"")
        self._wanted += [("RETR", by_number[number]) for number in wanted]
        self._finished = [by_number[number] for number in unwanted]
        deleted = []
        self._ask_for_more()
        while self._under_way:
            verb, message = self._under_way.pop(0)
            if verb == "DELE":
                deleted += yield from self._deleted(message)
            elif verb == "TOP":
                yield from self._fetch_header(message)
            elif (yield from self._fetch(message)):
                self._finished.append(message)
            self._ask_for_more()
        self._ask(*(f"DELE {message.number}" for message in self._finished), "QUIT")
        for message in self._finished:
            deleted += yield from self._deleted(message)
        yield from self._expect_ok("QUIT")
        self.is_answered = True
        yield Deleted(tuple(deleted))

    def _deleted(self, message):
        """Takes the answer to DELE: the message in a list, empty if the server refused."""
        ok, text = yield from self._next_reply()
        if not ok:
            yield NotDeleted(message, text)
        return [message] if ok else []

    def _ask_for_more(self):
        """A new flight goes out when half of the window has come: not a packet a message, and never an idle line."""
        if not self._wanted or self._awaited > self._window // 2:
            return
        flight = [("DELE", message) for message in self._finished]
        self._finished = []
        while self._wanted and self._awaited < self._window:
            flight.append(self._wanted.pop(0))
            self._awaited += _expected(*flight[-1])
        self._ask(*(f"{verb} {message.number}{' 0' if verb == 'TOP' else ''}" for verb, message in flight))
        self._under_way += flight

    def _fetch(self, message):
        """Takes the answer to RETR; says whether the message is to be deleted."""
        ok, text = yield from self._next_reply()
        if not ok:
            self._awaited -= message.size
            yield NotFetched(message, text)
            return False
        yield MessageBegins(message)
        yield from self._body(message.size, MessageData)
        return (yield MessageEnds(message))

    def _fetch_header(self, message):
        """Takes the answer to TOP."""
        expected = _expected("TOP", message)
        kept = bytearray()

        def keep(octets):
            kept.extend(octets[:_HEADER_CAP - len(kept)])

        ok, _ = yield from self._next_reply()
        if ok:
            yield from self._body(expected, keep)
        else:
            self._awaited -= expected
        yield Header(message, bytes(kept))

    def _listing(self):
        ok, _ = yield from self._next_reply()
        uids = self._pairs((yield from self._lines())) if ok else {}
        yield from self._expect_ok("LIST")
        sizes = self._pairs((yield from self._lines()))
        if ok and set(uids) != set(sizes):
            raise PeerError("the server's UIDL and LIST show different messages")
        if not all(map(is_number, sizes.values())):
            raise PeerError("the server's LIST has a size that is no number")
        return [Listed(number, uids.get(number, ""), int(size)) for number, size in sizes.items()], ok

    def _pairs(self, lines):
        pairs = {}
        for line in lines:
            words = line.split()
            if len(words) < 2 or not is_number(words[0]):
                raise PeerError(f"not a line of a listing: {line[:80]!r}")
            pairs[int(words[0])] = words[1]
        return pairs

    def _body(self, size, take):
        """A body of about `size` octets; what `take(octets)` makes of a piece, unless that is None, is an event."""
        decoder = DotDecoder()
        while not decoder.ended:
            data = self._input.take(1 << 16)
            if not data:
                self._ask_for_more()        # in the middle of a message, for a large one may be all of the window
                yield from self._more()
                continue
            text, rest = decoder.feed(data)
            self._input.unread(rest)
            if text and (event := take(text)):
                yield event
            came = size if decoder.ended else min(size, len(text))
            size -= came
            self._awaited -= came

    def _lines(self):
        """The lines of a reply of several lines."""
        lines = []
        while (line := (yield from self._line()).rstrip(b"\r\n")) != b".":
            lines.append(line.removeprefix(b".").decode("utf-8", "surrogateescape"))     # UIDs must stay different
            if len(lines) > _LISTING_CAP:
                raise PeerError(f"a listing of more than {_LISTING_CAP} lines")
        return lines

    def _ask(self, *commands):
        """Sends commands: all of them where the server can take that, else each when the one before it is answered."""
        self._unsent += commands
        if self._capabilities and "PIPELINING" in self._capabilities and "PIPELINING" not in self._avoid:
            self.has_hurried = self.has_hurried or len(self._unsent) > 1
            self._send("".join(command + "\r\n" for command in self._unsent).encode())
            self._unsent.clear()

    def _expect_ok(self, command):
        """Takes the answer to a command that was asked and must not fail."""
        ok, text = yield from self._next_reply()
        if not ok:
            raise PeerError(f"{command} was refused: {text}")

    def _next_reply(self):
        """The answer to the first command that has none yet."""
        if self._unsent:
            self._send(self._unsent.pop(0).encode() + b"\r\n")
        return (yield from self._reply())

    def _reply(self):
        """(whether it is +OK, the text behind it); a challenge, '+ ', counts as not OK and keeps its plus."""
        line = (yield from self._line()).rstrip(b"\r\n").decode("utf-8", "replace")
        mark, _, text = line.partition(" ")
        if mark == "+":
            return False, line
        if mark.upper() not in ("+OK", "-ERR"):
            raise PeerError(f"not a POP3 reply: {line[:80]!r}")
        return mark.upper() == "+OK", text


def _expected(verb, message):
    """How many octets an answer should have."""
    return min(message.size, _HEADER) if verb == "TOP" else message.size

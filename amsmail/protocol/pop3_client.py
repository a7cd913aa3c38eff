"""The POP3 client's side of a session (RFC 1939, 2449, 2595, 5034): the pull from a provider.

A message is deleted at the provider only after the program said that it is safe here, and counts as deleted only after
QUIT was answered with +OK.
"""

from amsmail.protocol.engine import Event, StartTls
from amsmail.protocol.script import PeerError, ScriptEngine
from amsmail.wire import sasl
from amsmail.wire.lines import is_number
from amsmail.wire.text import DotDecoder
from amsmail.wire.value import Value

# What a session may fail over as a whole.
NOT_OFFERED, REFUSED, LOGIN = "not-offered", "refused", "login"
_LISTING_CAP = 1_000_000        # messages in a listing; more is nonsense, and memory


class Listed(Value):
    """A message at the provider: its `number` in this session, its `uid` ('' without UIDL), its `size` as LIST says."""

    __slots__ = ("number", "uid", "size")


class Choose(Event):
    """What is there: `messages` are Listed, `has_uids` says whether the server can UIDL.  Answer with (numbers to
    fetch, numbers to delete without fetching)."""

    __slots__ = ("messages", "has_uids")
    asks = True


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


class Deleted(Event):
    """QUIT was answered: the provider has deleted these messages (Listed)."""

    __slots__ = ("messages",)


class SessionFailed(Event):
    """The session cannot be used: `why` is NOT_OFFERED, REFUSED or LOGIN, `text` what the server said."""

    __slots__ = ("why", "text")


class Pop3Client(ScriptEngine):
    """One session.  `starttls` asks for TLS (STLS) first."""

    def __init__(self, user, password, starttls):
        self._user, self._password, self._starttls = user, password, starttls
        super().__init__()

    def _script(self):
        ok, text = yield from self._reply()
        if not ok:
            yield SessionFailed(REFUSED, text)
            return
        if (yield from self._secure()) and (yield from self._authenticate()):
            yield from self._transaction()
        else:
            yield from self._command("QUIT")

    def _secure(self):
        if not self._starttls:
            return True
        ok, text = yield from self._command("STLS")
        if not ok:
            yield SessionFailed(NOT_OFFERED, f"STLS was refused, and nothing is sent in the clear: {text}")
            return False
        self._input.clear()         # nothing said before the handshake counts after it (RFC 2595, section 4)
        yield StartTls()
        return True

    def _authenticate(self):
        ok, text = yield from self._command(f"USER {self._user}")
        if ok:
            ok, text = yield from self._command(f"PASS {self._password}")
        elif "SASL" in (capabilities := (yield from self._capabilities())) and "PLAIN" in capabilities["SASL"]:
            response = sasl.plain_message(self._user, self._password)
            ok, text = yield from self._command("AUTH PLAIN")
            if text.startswith("+"):
                ok, text = yield from self._command(response)
        if not ok:
            yield SessionFailed(LOGIN, text)
        return ok

    def _capabilities(self):
        ok, _ = yield from self._command("CAPA")
        lines = (yield from self._lines()) if ok else []
        return {words[0].upper(): [w.upper() for w in words[1:]] for line in lines if (words := line.split())}

    def _transaction(self):
        messages, has_uids = yield from self._listing()
        wanted, unwanted = yield Choose(tuple(messages), has_uids)
        by_number = {message.number: message for message in messages}
        deleted = [by_number[number] for number in unwanted]
        for message in deleted:
            yield from self._expect_ok(f"DELE {message.number}")
        for message in (by_number[number] for number in wanted):
            ok, text = yield from self._command(f"RETR {message.number}")
            if not ok:
                yield NotFetched(message, text)
                continue
            yield MessageBegins(message)
            yield from self._body()
            if (yield MessageEnds(message)):
                yield from self._expect_ok(f"DELE {message.number}")
                deleted.append(message)
        yield from self._expect_ok("QUIT")
        yield Deleted(tuple(deleted))

    def _listing(self):
        ok, _ = yield from self._command("UIDL")
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

    def _body(self):
        decoder = DotDecoder()
        while not decoder.ended:
            data = self._input.take(1 << 16)
            if not data:
                yield from self._more()
                continue
            text, rest = decoder.feed(data)
            self._input.unread(rest)
            if text:
                yield MessageData(text)

    def _lines(self):
        """The lines of a reply of several lines."""
        lines = []
        while (line := (yield from self._line()).rstrip(b"\r\n")) != b".":
            lines.append(line.removeprefix(b".").decode("utf-8", "surrogateescape"))     # UIDs must stay different
            if len(lines) > _LISTING_CAP:
                raise PeerError(f"a listing of more than {_LISTING_CAP} lines")
        return lines

    def _expect_ok(self, command):
        ok, text = yield from self._command(command)
        if not ok:
            raise PeerError(f"{command} was refused: {text}")

    def _command(self, command):
        self._send(command.encode("utf-8") + b"\r\n")
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

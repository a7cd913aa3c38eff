"""The IMAP client's side of a session (RFC 3501, 9051): the pull from a provider with as few waits as can be.

    flight 1    greeting                                                    (STARTTLS, where asked for, is one more)
    flight 2    AUTHENTICATE PLAIN with its response, or LOGIN; COMPRESS DEFLATE, if an earlier session was offered it
    flight 3    SELECT; UID FETCH of everything new, up to `begin` octets of each
    flight 4    UID STORE and UID EXPUNGE of what came whole; UID FETCH of the rest of what is larger
    flight 5    UID STORE and UID EXPUNGE of that; LOGOUT, whose answer nobody waits for

Flight 3 is one if `ahead` says what to take; otherwise SELECT is awaited and the program is asked, Choose.  That is
allowed (RFC 3501, section 5.5): the server answers a FETCH behind a SELECT in this order, the FETCH changes nothing
(PEEK), and what it brings counts only after SELECT showed the UIDVALIDITY that the UIDs belong to.  Nothing that
changes the folder is sent before.  COMPRESS may stand behind the login because neither PLAIN nor LOGIN changes how what
follows is read (they have no security layer).  Nothing at all is sent after STARTTLS and COMPRESS before their answer
(RFC 3501, section 6.2.1; RFC 4978, section 3).

A message ends where a fetch gives less than was asked for: RFC822.SIZE is not exact on every server.  It only decides
how much is asked for at once.

The program sees, where everything goes well (? is a question):

    Ready(known, compressed)            what to remember for the next call's `known`
    Selected(folder)                    its UIDVALIDITY, UIDNEXT and EXISTS
    Choose(folder)?                     only if `ahead` is None or for another UIDVALIDITY: a Take
    MessageBegins(7, 1200, flags)       a small message
    MessageData(7, 0, b"...")           ... where in the message the octets belong: without gap, in order
    MessageEnds(7, 1200)?               True: it is safe here, delete it there
    MessageBegins(8, 300000, flags)     a large one
    MessageData(8, 0, b"...")
    MessagePauses(8, 65536, 300000)?    1: its rest comes later, other messages in between
    MessageBegins(9, ...) ...
    Covered(10)                         all UIDs below 10 that were to take have been told of
    MessageGoesOn(8, 65536)             so does a message of an earlier call that `Take.resume` named
    MessageData(8, 65536, b"...") ...
    MessageEnds(8, 300000)?
    Deleted((7, 8), EXPUNGED)           the server said so
    Closed("")

On the wire, after the login:

    C: a3 SELECT "INBOX"
    C: a4 UID FETCH 7:4294967295 (UID FLAGS RFC822.SIZE BODY.PEEK[]<0.65536>)
    S: * 9 EXISTS ... * OK [UIDVALIDITY 17] ... a3 OK [READ-WRITE] done
    S: * 8 FETCH (UID 7 FLAGS () RFC822.SIZE 1200 BODY[]<0> {1200} ...)
    S: * 9 FETCH (UID 8 FLAGS () RFC822.SIZE 300000 BODY[]<0> {65536} ...) ... a4 OK done
    C: a5 UID STORE 7 +FLAGS.SILENT (\\Deleted)
    C: a6 UID EXPUNGE 7
    C: a7 UID FETCH 8 (UID RFC822.SIZE BODY.PEEK[]<65536.496608>)

Of one message only one part is asked for at a time: where the line is slow, Dovecot answers commands that were sent
ahead in another order.

However the session ends, also by an error of the stream, `unfinished()` says what can go on in the next call.
"""

from collections import deque

from amsmail.protocol.engine import Event, Misuse, StartTls
from amsmail.protocol.script import PeerError, ScriptEngine
from amsmail.wire import imap, sasl
from amsmail.wire.deflate import DeflateError, Deflater, Inflater
from amsmail.wire.value import Value

# What a session may fail over as a whole.
NOT_OFFERED, REFUSED, LOGIN, FOLDER = "not-offered", "refused", "login", "folder"
# What became of messages that the program has (Deleted.how).
EXPUNGED, FLAGGED, MOVED = "expunged", "flagged", "moved"

TAIL = 64                   # octets that must be the same again where a message goes on
_FLYING = 32                # fetches of large messages that are sent ahead: few octets, so that no side blocks
_SET = 1000                 # octets of a set of UIDs: some servers take no command of more than 8000
_HELD_CAP = 1 << 20         # octets of a text that are held because the server says its UID behind it


class Options(Value):
    """How to fetch.  `deletion`: EXPUNGED (only FLAGGED where the server cannot expunge single messages), FLAGGED,
    MOVED (to the folder `target`), or '' for never.  `begin`: octets that are asked
    of every message at first; `spare`: octets that are asked for in addition to what it should have left; `compress`:
    whether to ask for compression, and `compress_early`: whether without waiting for the answer to the login."""

    __slots__ = ("folder", "deletion", "target", "begin", "spare", "compress", "compress_early")
    defaults = {"folder": "INBOX", "deletion": EXPUNGED, "target": "", "begin": 1 << 16, "spare": 1 << 18,
                "compress": True, "compress_early": True}


class Known(Value):
    """What was found at a server: its capabilities before and after logging in, as words with blanks between them."""

    __slots__ = ("before", "after")
    defaults = {"before": "", "after": ""}


class Partial(Value):
    """What is here of a message: its first `offset` octets, of which `tail` are the last 64 (all, if fewer); `size` is
    what the server says it has in all, 0 if unknown."""

    __slots__ = ("offset", "tail", "size")
    defaults = {"size": 0}


class Take(Value):
    """What to do with a folder, in UIDs of its `uidvalidity` (None: whatever it is, for a first call).

    Fetch all from `first` on except those in `without`, or, if `newest` is not None, only the last `newest` messages;
    fetch `also`; go on with `resume`, {UID: Partial}, which need not be in `without`; delete `delete`, which nobody
    needs there any more; and say of `watch`, which are to be left there, which are Gone."""

    __slots__ = ("uidvalidity", "first", "without", "newest", "also", "resume", "delete", "watch")
    defaults = {"first": 1, "without": (), "newest": None, "also": (), "resume": {}, "delete": (), "watch": ()}


class Folder(Value):
    """What SELECT says, 0 for what it does not say.  Without a `uidvalidity` UIDs mean nothing in another session."""

    __slots__ = ("uidvalidity", "uidnext", "exists")


class Ready(Event):
    """Logged in.  `known` is worth remembering; `compressed` says whether both sides deflate."""

    __slots__ = ("known", "compressed")


class Selected(Event):
    """The folder is open."""

    __slots__ = ("folder",)


class Choose(Event):
    """Answer with a Take, for the UIDVALIDITY of `folder`: there was none ahead, or for another one."""

    __slots__ = ("folder",)
    asks = True


class MessageBegins(Event):
    """A message begins at its first octet.  `size` is what the server says, 0 if unknown, and `flags` are those that it
    said ahead of the text.  Nothing that came of it before counts."""

    __slots__ = ("uid", "size", "flags")


class MessageData(Event):
    """A piece of it as on the wire, whose first octet is at `offset`."""

    __slots__ = ("uid", "offset", "data")


class MessagePauses(Event):
    """It is larger than what was asked for; `octets` are here, and `size` is what the server says, 0 if unknown.
    Answer with its rank, the lower the sooner its rest comes (smaller ones first among equals), or None to leave the
    rest for a later call."""

    __slots__ = ("uid", "octets", "size")
    asks = True


class MessageGoesOn(Event):
    """The rest comes now; what was here up to `offset` was compared and is the same."""

    __slots__ = ("uid", "offset")


class MessageDiffers(Event):
    """It is not the message that an earlier call began: forget what is here of it.  It is fetched anew."""

    __slots__ = ("uid",)


class MessageEnds(Event):
    """It is complete, with `octets` in all.  Answer True to delete it at the provider: only once it is safe here."""

    __slots__ = ("uid", "octets")
    asks = True


class SizeDiffers(Event):
    """The server said another size than the message has; comes just before its MessageEnds."""

    __slots__ = ("uid", "said", "octets")


class NotFetched(Event):
    """The server did not give a message, or its rest; `text` says why.  What is here can go on in a later call."""

    __slots__ = ("uid", "text")


class Gone(Event):
    """A message that was to be fetched, to go on or to be watched is no longer there."""

    __slots__ = ("uid",)


class Covered(Event):
    """Of all messages with a UID below `uidnext` that were to be fetched there has been at least the beginning, or
    NotFetched: the next call's Take.first."""

    __slots__ = ("uidnext",)


class Deleted(Event):
    """The server has expunged, flagged or moved (`how`) messages."""

    __slots__ = ("uids", "how")


class Refused(Event):
    """A command was refused, or the server warns ('*'); the session goes on."""

    __slots__ = ("command", "text")


class SessionFailed(Event):
    """The session cannot be used: `why` is NOT_OFFERED, REFUSED, LOGIN or FOLDER, `text` what the server said.  What is
    remembered of the server may be wrong: forget it."""

    __slots__ = ("why", "text")


class _Message:
    """A message that has begun and not ended: `offset` octets of it are here."""

    def __init__(self, uid, size=0, partial=Partial(0, b"")):
        self.uid, self.size, self.flags = uid, size or partial.size, ()
        self.offset, self.tail = partial.offset, partial.tail
        self.rank = 1                       # when its rest is asked for; None: not in this session
        self.overlap = partial.tail         # what must be the same again before anything new
        self.told = False                   # whether the program knows that it begins or goes on
        self.over = False                   # nothing that still comes counts

    @property
    def left(self):
        """Octets that it should have left, if the server says it right."""
        return max(0, self.size - self.offset)


class _Piece:
    """A part of a message that was asked for with the command `tag` (None: at its beginning, as that of many): `length`
    octets from `origin`."""

    def __init__(self, message, origin, length, tag):
        self.message, self.origin, self.length, self.tag = message, origin, length, tag
        self.came = 0               # octets that are here
        self.whole = False          # they are all that the message has: the server does not fetch parts
        self.differs = False        # they are not those of an earlier call
        self.answered = False       # no more will come
        self.problem = ""           # the server gave something else


class _Deletion:
    """Messages that are being deleted with the commands `tags`; `sets` are their UIDs as the server is told."""

    def __init__(self, uids, sets, tags, how, copied=False):
        self.uids, self.sets, self.tags, self.how = uids, sets, tags, how
        self.copied = copied        # only that yet: the deletion itself must follow


class ImapClient(ScriptEngine):
    """One session.  `starttls` asks for TLS first; `known` is what Ready said in an earlier call; `ahead` is a Take, so
    that nothing need be asked after SELECT (it cannot have `newest`, which needs EXISTS).  `has_hurried` says whether
    COMPRESS stood behind the login."""

    has_hurried = False

    def __init__(self, user, password, starttls, options=Options(), known=Known(), ahead=None):
        if ahead is not None and (ahead.newest is not None or ahead.uidvalidity is None and _has_uids(ahead)):
            raise Misuse("what is taken ahead cannot be by number, nor by UID without UIDVALIDITY")
        self._user, self._password, self._starttls = user, password, starttls
        self._options, self._known, self._ahead = options, known, ahead
        self._reader = imap.ResponseReader()
        self._inflater = self._deflater = None
        self._capabilities = None       # words in upper case; None while the server has not said them
        self._last_tag = 0
        self._commands = {}             # tag -> the verb of a command that was not answered yet
        self._statuses = {}             # tag -> (verb, Status), until it is asked for
        self._compressing = None        # the tag of COMPRESS, once it was asked for
        self._go_ahead = None           # whether the server's go-ahead came; None while there is nothing to wait for
        self._leaving = False           # LOGOUT was said
        self._folder = Folder(0, 0, 0)
        self._take = None               # None until UIDs may be believed
        self._early = False             # texts came before that
        self._sized, self._had = set(), set()       # UIDs to take whose size, whose text came
        self._shown = set()             # UIDs of which no text came
        self._open = {}                 # UID -> _Message
        self._queue = deque()           # messages of which more is to be asked for
        self._flying = deque()          # pieces that were asked for
        self._safe = []                 # UIDs to delete
        self._deleting = deque()
        super().__init__()

    def unfinished(self):
        """{UID: Partial} of the messages that can go on in the next call: all that was handed out of them counts.  None
        before the folder's UIDVALIDITY was seen to be that of the Take: then nothing has changed."""
        if self._take is None:
            return None
        return {uid: Partial(message.offset, message.tail, message.size)
                for uid, message in self._open.items() if message.offset}

    # Compression is below everything else

    def receive(self, data):
        if data and self._inflater is not None:
            self._inflater.add(data)
        else:
            super().receive(data)

    def output(self):
        data = super().output()
        return self._deflater.feed(data) if data and self._deflater is not None else data

    def _more(self):
        piece = b""
        if self._inflater is not None:
            try:
                piece = self._inflater.take()
            except DeflateError as error:
                raise PeerError(f"the server's words cannot be read: {error}") from error
        if piece:
            self._input.add(piece)
        else:
            yield from super()._more()

    # The session

    def _script(self):
        greeting = yield from self._response()
        if not isinstance(greeting, imap.Status) or greeting.tag != "*":
            raise PeerError("the server does not greet as an IMAP server")
        if greeting.condition not in (imap.OK, imap.PREAUTH):
            yield SessionFailed(REFUSED, greeting.text)
            return
        yield from self._remark(greeting)
        if (yield from self._come_in(greeting.condition == imap.PREAUTH)):
            yield Ready(*(yield from self._get_ready()))
            if (yield from self._fetch_beginnings()):
                yield from self._fetch_rest()
                yield from self._delete_and_leave()
        if not self._leaving:
            self._log_out()

    def _come_in(self, preauth):
        if self._starttls:
            if preauth:
                yield SessionFailed(NOT_OFFERED, "the server logged us in before TLS could begin")
                return False
            status = yield from self._ask("STARTTLS")
            if not status.ok:
                yield SessionFailed(NOT_OFFERED,
                                    f"STARTTLS was refused, and nothing is sent in the clear: {status.text}")
                return False
            self._input.clear()         # nothing said before the handshake counts after it (RFC 3501, section 6.2.1)
            self._capabilities = None
            yield StartTls()
        return preauth or (yield from self._log_in())

    def _log_in(self):
        remembered = self._capabilities is None and self._known.before != ""
        if remembered:
            self._capabilities = _words(self._known.before)
        status = yield from self._authenticate()
        if remembered and not self._compressing and (status is None or status.condition == imap.BAD):
            self._capabilities = None       # the server may have changed since then
            status = yield from self._authenticate()
        if status is None:
            yield SessionFailed(NOT_OFFERED, "the server offers no way to log in that is known here")
            return False
        if not status.ok:
            yield SessionFailed(LOGIN, status.text)
        return status.ok

    def _authenticate(self):
        """The server's answer to logging in; None if it offers no way."""
        if self._capabilities is None:
            yield from self._ask("CAPABILITY")
        offered = self._capabilities or set()
        self._known = self._known.but(before=" ".join(sorted(offered)))
        self._capabilities = None           # there are others after the login; many servers say them with its answer
        response = sasl.plain_message(self._user, self._password)
        if "AUTH=PLAIN" in offered and offered & {"SASL-IR", "IMAP4REV2"}:
            tag = self._command(f"AUTHENTICATE PLAIN {response}")
            self._compress_early()
        elif "LOGINDISABLED" not in offered:
            return (yield from self._say_login(offered))
        elif "AUTH=PLAIN" in offered:
            tag = self._command("AUTHENTICATE PLAIN")
        else:
            return None
        for answer in (response, "*"):      # a server that asks again has not understood
            if (yield from self._may_go_ahead(tag)):
                self._send(answer.encode() + b"\r\n")
        return (yield from self._result(tag))

    def _say_login(self, offered):
        unasked = imap.HIGHEST if "LITERAL+" in offered else 4096 if offered & {"LITERAL-", "IMAP4REV2"} else 0
        first, *others = imap.fragments(
            ["LOGIN ", imap.String(self._user), " ", imap.String(self._password), "\r\n"], unasked)
        tag = self._begin("LOGIN", first)
        if not others:
            self._compress_early()
        for octets in others:
            if (yield from self._may_go_ahead(tag)):
                self._send(octets)
        return (yield from self._result(tag))

    def _compress_early(self):
        if self._options.compress_early and self._may_compress(_words(self._known.after)):
            self._compressing = self._command("COMPRESS DEFLATE")
            self.has_hurried = True

    def _may_compress(self, offered):
        return self._options.compress and "COMPRESS=DEFLATE" in offered

    def _get_ready(self):
        """(what is worth remembering of the server, whether both sides deflate)."""
        if self._capabilities is None and self._known.after:
            self._capabilities = _words(self._known.after)
        if self._capabilities is None:
            yield from self._ask("CAPABILITY")
        offered = self._capabilities or set()
        known = self._known.but(after=" ".join(sorted(offered)))
        if "IMAP4REV2" in offered:          # it has these in itself (RFC 9051, appendix E)
            offered |= {"UIDPLUS", "MOVE"}
        self._capabilities = offered
        if not self._compressing:
            if not self._may_compress(offered):
                return known, False
            self._compressing = self._command("COMPRESS DEFLATE")
        status = yield from self._result(self._compressing)
        if not status.ok:
            yield Refused("COMPRESS", status.text)
            return known, False
        self._inflater, self._deflater = Inflater(), Deflater()
        self._inflater.add(self._input.take(len(self._input)))      # what came behind the answer is deflated
        return known, True

    # Everything new, at least its beginning

    def _fetch_beginnings(self):
        """Opens the folder, and fetches the beginnings of what is to take.  False if the folder cannot be opened."""
        # Not EXAMINE where nothing is deleted: Courier writes a folder's UIDs down only when it is SELECTed, and until
        # then they are others in each session.
        select = self._command("SELECT ", imap.mailbox(self._options.folder))
        sent = [] if self._ahead is None else self._ask_beginnings(self._ahead, str(imap.HIGHEST))
        status = yield from self._result(select)
        if not status.ok:
            yield SessionFailed(FOLDER, status.text)
            return False
        yield Selected(self._folder)
        matches = self._ahead is not None and (
            self._ahead.uidvalidity is None or self._ahead.uidvalidity == self._folder.uidvalidity != 0)
        if matches:
            self._begin_take(self._ahead)
        worst = yield from self._results(sent)      # of texts for UIDs that mean nothing, each is passed over
        if not matches:
            self._begin_take((yield Choose(self._folder)))
        if not matches or worst == imap.BAD or self._early:     # it may take no UID as high as that, or did not wait
            self._shown.clear()
            worst = yield from self._results(self._ask_beginnings(self._take, "*"))
        for uid in sorted(self._sized - self._had):
            yield NotFetched(uid, "the server said its size and no text")
        if worst == imap.OK:
            gone = set(self._take.also) - self._had - self._sized | set(self._take.watch) - self._shown
            for uid in sorted(gone):
                yield Gone(uid)
            yield Covered(max(self._folder.uidnext, *(uid + 1 for uid in self._had), 1))
        return True

    def _begin_take(self, take):
        if take.uidvalidity not in (None, self._folder.uidvalidity):
            raise Misuse("what to take is for another UIDVALIDITY")
        self._take = take
        self._safe += take.delete if self._options.deletion else ()
        self._open.update((uid, _Message(uid, partial=partial)) for uid, partial in take.resume.items())

    def _ask_beginnings(self, take, last):
        """Asks for the beginnings; gives the commands' tags."""
        items = f"(UID FLAGS RFC822.SIZE BODY.PEEK[]<0.{self._options.begin}>)"
        known = last == "*"         # SELECT was answered
        if take.newest is not None:
            count = min(take.newest, self._folder.exists)
            return [self._command(f"FETCH {self._folder.exists - count + 1}:* {items}")] if count else []
        parts = imap.ranges(take.also)
        if not known or self._folder.exists and not 0 < self._folder.uidnext <= take.first:
            parts += imap.from_on(take.first, {*take.without, *take.resume}, last)
        watched = imap.sets(imap.ranges(take.watch), _SET)
        return [self._command(f"UID FETCH {uids} (UID)") for uids in watched] + [
            self._command(f"UID FETCH {uids} {items}") for uids in imap.sets(parts, _SET)]

    def _is_to_take(self, uid):
        take = self._take
        return take is not None and uid not in take.resume and (
            take.newest is not None or uid in take.also or uid >= take.first and uid not in take.without)

    # The rest of what is large

    def _fetch_rest(self):
        wanted = [message for message in self._open.values() if message.rank is not None]
        self._queue.extend(sorted(wanted, key=lambda message: (message.rank, message.left)))
        while self._queue or self._flying:
            if len(self._flying) <= _FLYING // 2:
                self._delete()
                self._ask_ahead()
            piece = self._flying[0]
            status = yield from self._result(piece.tag)
            self._flying.popleft()
            yield from self._piece_answered(piece, status)
            yield from self._collect(wait=False)

    def _ask_ahead(self):
        while self._queue and len(self._flying) < _FLYING:
            message = self._queue.popleft()
            origin = message.offset - len(message.overlap)
            # More than should be left: the end is where the server gives less.
            length = min(message.left + len(message.overlap) + self._options.spare, imap.HIGHEST - origin)
            if length <= 0:
                raise PeerError(f"the message {message.uid} has no end")
            tag = self._command(f"UID FETCH {message.uid} (UID RFC822.SIZE BODY.PEEK[]<{origin}.{length}>)")
            self._flying.append(_Piece(message, origin, length, tag))

    def _piece_answered(self, piece, status):
        message = piece.message
        if message.over:
            return
        if piece.answered:
            self._queue.appendleft(message)         # it is larger than the server said
            return
        message.over = True
        if not status.ok or piece.problem:
            yield NotFetched(message.uid, piece.problem or status.text)
        else:
            del self._open[message.uid]
            yield Gone(message.uid)

    # The texts that come

    def _fetch_response(self, response):
        """A FETCH response, which may be in several parts: with texts that stream, and Data in the end."""
        piece = held = None
        while isinstance(response, imap.Streaming):
            uid = _uid(response.items)
            if uid is None:
                held = yield from self._hold(response)
            else:
                found = self._piece(uid, response.name, response.size, response.items)
                yield from self._stream(found)
                piece = piece or found
            response = yield from self._response()
        items = response.items
        uid = _uid(items)
        name = next(filter(imap.is_text, items), None)
        if name is None:
            self._shown.add(uid)
            if "RFC822.SIZE" in items and uid is not None and self._is_to_take(uid):
                self._sized.add(uid)
            return
        if uid is None:
            raise PeerError("the server gave a text without its UID")
        text = held if isinstance(items[name], imap.Streamed) else items[name] or b""
        if piece is None and isinstance(text, bytes):
            piece = self._piece(uid, name, len(text), items)
            if piece is not None:
                yield from self._came(piece, text)
        if piece is not None:
            yield from self._piece_ends(piece, items)

    def _hold(self, response):
        if response.size > _HELD_CAP:
            raise PeerError(f"the server gave {response.size} octets without saying of which message")
        held = bytearray()
        while self._reader.left:
            held += self._reader.text(self._input)
            if self._reader.left:
                yield from self._more()
        return bytes(held)

    def _stream(self, piece):
        while self._reader.left:
            data = self._reader.text(self._input)
            if not data:
                yield from self._more()
            elif piece is not None:
                yield from self._came(piece, data)

    def _piece(self, uid, name, size, items):
        """The piece that a text of `size` octets is, or None if it is nothing that was asked for."""
        if self._take is None:
            self._early = True
            return None
        origin = imap.origin(name)
        asked = next((piece for piece in self._flying
                      if piece.message.uid == uid and not piece.answered and not piece.message.over), None)
        if asked is not None:
            message = asked.message
            if asked.origin != (origin or 0):
                asked.problem = "the server gave another part than was asked for"
                return None
        elif origin in (None, 0) and uid not in self._had and self._is_to_take(uid):
            self._had.add(uid)
            message = self._open[uid] = _Message(uid)
            asked = _Piece(message, 0, self._options.begin, None)
        else:
            return None
        asked.whole = origin is None
        if size > asked.length and not asked.whole:
            raise PeerError(f"the server gave {size} octets where {asked.length} were asked for")
        message.size = imap.number(items.get("RFC822.SIZE")) or message.size
        flags = items.get("FLAGS")
        message.flags = flags if isinstance(flags, tuple) else ()
        return asked

    def _came(self, piece, data):
        message = piece.message
        piece.came += len(data)
        if message.overlap:
            again, data = data[:len(message.overlap)], data[len(message.overlap):]
            if not message.overlap.startswith(again):
                piece.differs = True
            message.overlap = message.overlap[len(again):]
        if piece.differs or not data:
            return
        yield from self._tell(message)
        offset = message.offset
        message.offset += len(data)
        message.tail = (message.tail + data[-TAIL:])[-TAIL:]
        yield MessageData(message.uid, offset, data)

    def _tell(self, message):
        if not message.told:
            message.told = True
            if message.offset:
                yield MessageGoesOn(message.uid, message.offset)
            else:
                yield MessageBegins(message.uid, message.size, message.flags)

    def _piece_ends(self, piece, items):
        message, uid = piece.message, piece.message.uid
        piece.answered = True
        message.size = imap.number(items.get("RFC822.SIZE")) or message.size
        if piece.differs or message.overlap:        # or it ended before anything new
            message.over = True
            self._open[uid] = _Message(uid, message.size)
            self._queue.append(self._open[uid])
            yield MessageDiffers(uid)
        elif piece.came == piece.length and not piece.whole:
            if piece.tag is None:
                message.told = False
                message.rank = yield MessagePauses(uid, message.offset, message.size)
        else:
            message.over = True
            del self._open[uid]
            if message.offset:
                yield from self._complete(message)
            else:
                yield NotFetched(uid, "the server has no text of it")

    def _complete(self, message):
        yield from self._tell(message)
        if message.size not in (0, message.offset):
            yield SizeDiffers(message.uid, message.size, message.offset)
        if (yield MessageEnds(message.uid, message.offset)) and self._options.deletion:
            self._safe.append(message.uid)

    # Deleting

    def _delete(self):
        """Asks for the deletion of what is safe here."""
        if not self._safe:
            return
        uids, self._safe = tuple(sorted(self._safe)), []
        sets = imap.sets(imap.ranges(uids), _SET)
        if self._options.deletion == MOVED:
            moves = "MOVE" in self._capabilities
            tags = [self._command(f"UID {'MOVE' if moves else 'COPY'} {each} ", imap.mailbox(self._options.target))
                    for each in sets]
            self._deleting.append(_Deletion(uids, sets, tags, MOVED, copied=not moves))
        else:
            expunges = self._options.deletion == EXPUNGED and "UIDPLUS" in self._capabilities
            self._deleting.append(
                _Deletion(uids, sets, self._flag(sets, expunges), EXPUNGED if expunges else FLAGGED))

    def _flag(self, sets, expunge):
        """Never a plain EXPUNGE: it would take what others flagged."""
        tags = []
        for uids in sets:
            tags.append(self._command(f"UID STORE {uids} +FLAGS.SILENT (\\Deleted)"))
            if expunge:
                tags.append(self._command(f"UID EXPUNGE {uids}"))
        return tags

    def _collect(self, wait):
        """Tells what became of deletions; where `wait` is false only of those that were answered."""
        while self._deleting and (wait or self._statuses.keys() >= set(self._deleting[0].tags)):
            deletion = self._deleting.popleft()
            refused = False
            for tag in deletion.tags:
                verb, status = yield from self._answer_to(tag)
                if not status.ok:
                    refused = True
                    yield Refused(verb, status.text)
            if refused:
                continue
            if deletion.copied:
                tags = self._flag(deletion.sets, "UIDPLUS" in self._capabilities)
                self._deleting.append(_Deletion(deletion.uids, deletion.sets, tags, MOVED))
            else:
                yield Deleted(deletion.uids, deletion.how)

    def _delete_and_leave(self):
        self._delete()
        under_way = [deletion.copied for deletion in self._deleting]
        logout = None if any(under_way) else self._log_out()
        yield from self._collect(wait=True)
        if logout and under_way:        # its answer comes with those
            yield from self._good_bye(logout)

    def _good_bye(self, tag):
        """Takes the answer to LOGOUT, if one comes: nothing depends on it."""
        try:
            self.is_answered = (yield from self._result(tag)).ok
        except PeerError:
            pass

    def _log_out(self):
        self._leaving = True
        return self._command("LOGOUT")

    # Commands and responses

    def _ask(self, command):
        """The Status that a command is answered with."""
        return (yield from self._result(self._command(command)))

    def _command(self, *parts):
        """Sends a command without waiting; gives its tag.  Strings in it must need no literal."""
        (octets,) = imap.fragments([*parts, "\r\n"], 0)
        verb = parts[0].removeprefix("UID ").partition(" ")[0]
        return self._begin(verb, octets)

    def _begin(self, verb, octets):
        self._last_tag += 1
        tag = f"a{self._last_tag}"
        self._commands[tag] = verb
        self._send(tag.encode() + b" " + octets)
        return tag

    def _result(self, tag):
        _, status = yield from self._answer_to(tag)
        return status

    def _answer_to(self, tag):
        """(verb, Status) of a command, once it is answered."""
        while tag not in self._statuses:
            yield from self._listen()
        return self._statuses.pop(tag)

    def _results(self, tags):
        """OK, or of the answers that were not the last one's condition."""
        worst = imap.OK
        for tag in tags:
            verb, status = yield from self._answer_to(tag)
            if not status.ok:
                worst = status.condition
                yield Refused(verb, status.text)
        return worst

    def _may_go_ahead(self, tag):
        """Waits for the server to ask for more of a command; False if it answered instead."""
        self._go_ahead = False
        while not self._go_ahead and tag in self._commands:
            yield from self._listen()
        went, self._go_ahead = self._go_ahead, None
        return went

    def _listen(self):
        """Takes the server's next response."""
        response = yield from self._response()
        if isinstance(response, imap.Streaming) or isinstance(response, imap.Data) and response.name == "FETCH":
            yield from self._fetch_response(response)
        elif isinstance(response, imap.Data):
            if response.name == "CAPABILITY":
                self._capabilities = {word.upper() for word in response.values if isinstance(word, str)}
            elif response.name == "EXISTS" and response.number is not None:
                self._folder = self._folder.but(exists=response.number)
        elif isinstance(response, imap.GoAhead):
            if self._go_ahead is not False:
                raise PeerError("the server asks for more of a command that was complete")
            self._go_ahead = True
        elif response.tag == "*":
            yield from self._remark(response)
        elif response.tag in self._commands:
            self._note(response)
            self._statuses[response.tag] = self._commands.pop(response.tag), response
        else:
            raise PeerError(f"the server answers a command that was not given: {response.tag[:20]!r}")

    def _remark(self, status):
        self._note(status)
        if status.condition == imap.BYE:
            if not self._leaving:
                raise PeerError(f"the server closes the session: {status.text}")
        elif status.condition in (imap.NO, imap.BAD) or status.code == "ALERT":
            yield Refused("*", status.text)

    def _note(self, status):
        """What a response code says."""
        if status.code == "CAPABILITY":
            self._capabilities = _words(status.argument)
        elif status.code in ("UIDVALIDITY", "UIDNEXT"):
            number = imap.number(status.argument) or 0
            if status.code == "UIDVALIDITY" and self._take is not None and number != self._folder.uidvalidity:
                raise PeerError("the server changed the folder's UIDVALIDITY in the middle of the session")
            self._folder = self._folder.but(**{status.code.lower(): number})

    def _response(self):
        while True:
            try:
                response = self._reader.next(self._input)
            except imap.ImapError as error:
                raise PeerError(f"the server's words make no sense: {error}") from error
            if response is not None:
                return response
            yield from self._more()


def _words(text):
    return set(text.upper().split())


def _uid(items):
    """The UID among a FETCH response's items, None if there is none."""
    uid = imap.number(items.get("UID"))
    if uid is not None and not 0 < uid <= imap.HIGHEST:
        raise PeerError(f"the server gave the UID {uid}")
    return uid


def _has_uids(take):
    return bool(take.first != 1 or take.without or take.also or take.resume or take.delete or take.watch)

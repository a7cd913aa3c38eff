"""The IMAP client's side of a session (RFC 3501, 9051): the pull from a provider with as few waits as can be.

    flight 1    greeting                                                    (STARTTLS, where asked for, is one more)
    flight 2    AUTHENTICATE PLAIN with its response, or LOGIN; COMPRESS DEFLATE, if an earlier session was offered it
    flight 3    SELECT; UID FETCH of everything new, up to `begin` octets of each
    flight 4    UID STORE and UID EXPUNGE of what came whole; UID FETCH of the rest of what is larger
    flight 5    UID STORE and UID EXPUNGE of that; LOGOUT, whose answer nobody waits for

Flight 3 is one if `ahead` says what to take; otherwise SELECT is awaited and the program is asked, Choose.  That is
allowed (RFC 3501, section 5.5): the server answers a FETCH behind a SELECT in this order, the FETCH changes nothing
(PEEK), and what it brings counts only after SELECT showed the UIDVALIDITY that the UIDs belong to.  Nothing that
changes the folder is sent before.

A message ends where a fetch gives less than was asked for: RFC822.SIZE is not exact on every server.  It only decides
how much is asked for at once.

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

What the session is told and tells is in imap_events, how commands are given and answered in imap_session.
"""

from collections import deque

from amsmail.protocol.engine import Misuse
from amsmail.protocol.imap_events import (
    EXPUNGED, FLAGGED, FOLDER, MOVED, TAIL, Choose, Covered, Deleted, Folder, Gone, Known, MessageBegins, MessageData,
    MessageDiffers, MessageEnds, MessageGoesOn, MessagePauses, NotFetched, Options, Partial, Refused, Selected,
    SessionFailed, SizeDiffers)
from amsmail.protocol.imap_session import ImapSession
from amsmail.protocol.script import PeerError
from amsmail.wire import imap

_FLYING = 32                # fetches of large messages that are sent ahead: few octets, so that no side blocks
_SET = 1000                 # octets of a set of UIDs: some servers take no command of more than 8000
_HELD_CAP = 1 << 20         # octets of a text that are held because the server says its UID behind it


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


class ImapClient(ImapSession):
    """One session, as ImapSession says; `ahead` is a Take, so that nothing need be asked after SELECT (it cannot have
    `newest`, which needs EXISTS)."""

    def __init__(self, user, password, starttls, options=Options(), known=Known(), ahead=None):
        if ahead is not None and (ahead.newest is not None or ahead.uidvalidity is None and _has_uids(ahead)):
            raise Misuse("what is taken ahead cannot be by number, nor by UID without UIDVALIDITY")
        self._ahead = ahead
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
        super().__init__(user, password, starttls, options, known)

    def unfinished(self):
        """{UID: Partial} of the messages that can go on in the next call: all that was handed out of them counts.  None
        before the folder's UIDVALIDITY was seen to be that of the Take: then nothing has changed."""
        if self._take is None:
            return None
        return {uid: Partial(message.offset, message.tail, message.size)
                for uid, message in self._open.items() if message.offset}

    # The session

    def _work(self):
        if (yield from self._fetch_beginnings()):
            yield from self._fetch_rest()
            yield from self._delete_and_leave()

    def _heard(self, response):
        if isinstance(response, imap.Streaming) or response.name == "FETCH":
            yield from self._fetch_response(response)
        elif response.name == "EXISTS" and response.number is not None:
            self._folder = self._folder.but(exists=response.number)

    def _note(self, status):
        super()._note(status)
        if status.code in ("UIDVALIDITY", "UIDNEXT"):
            number = imap.number(status.argument) or 0
            if status.code == "UIDVALIDITY" and self._take is not None and number != self._folder.uidvalidity:
                raise PeerError("the server changed the folder's UIDVALIDITY in the middle of the session")
            self._folder = self._folder.but(**{status.code.lower(): number})

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
        """The folder's UIDs may be believed: from now on what comes counts."""
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
        """Fetches what is left of each message that is to be had in this session, several ahead, and deletes meanwhile
        what is safe here."""
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
        """The command that asked for a piece has its answer: if no octets came, the message is not to be had."""
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
        """The whole of a text whose UID the server says behind it."""
        if response.size > _HELD_CAP:
            raise PeerError(f"the server gave {response.size} octets without saying of which message")
        held = bytearray()
        while self._reader.left:
            held += self._reader.text(self._input)
            if self._reader.left:
                yield from self._more()
        return bytes(held)

    def _stream(self, piece):
        """Hands a text out as it comes; of one that nobody asked for (None) nothing."""
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
        """Octets of a piece are here: those that must be the same again are compared, the others handed out."""
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
        """Tells that a message begins or goes on, before the first of its octets."""
        if not message.told:
            message.told = True
            if message.offset:
                yield MessageGoesOn(message.uid, message.offset)
            else:
                yield MessageBegins(message.uid, message.size, message.flags)

    def _piece_ends(self, piece, items):
        """No more will come of a piece: the message differs, has more than was asked for, or is complete."""
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
        """Marks messages as deleted, and expunges them if that is wanted; gives the commands' tags.
        Never a plain EXPUNGE: it would take what others flagged."""
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


def _uid(items):
    """The UID among a FETCH response's items, None if there is none."""
    uid = imap.number(items.get("UID"))
    if uid is not None and not 0 < uid <= imap.HIGHEST:
        raise PeerError(f"the server gave the UID {uid}")
    return uid


def _has_uids(take):
    return bool(take.first != 1 or take.without or take.also or take.resume or take.delete or take.watch)

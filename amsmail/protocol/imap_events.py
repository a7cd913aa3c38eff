"""What an IMAP session is told, and what it tells: the words between imap_client and the program.

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

However the session ends, also by an error of the stream, `unfinished()` says what can go on in the next call.
"""

from amsmail.protocol.engine import Event
from amsmail.wire.value import Value

# What a session may fail over as a whole.
NOT_OFFERED, REFUSED, LOGIN, FOLDER = "not-offered", "refused", "login", "folder"
# What became of messages that the program has (Deleted.how).
EXPUNGED, FLAGGED, MOVED = "expunged", "flagged", "moved"

TAIL = 64               # octets that must be the same again where a message goes on


class Options(Value):
    """How to fetch.  `deletion`: EXPUNGED (only FLAGGED where the server cannot expunge single messages), FLAGGED,
    MOVED (to the folder `target`), or '' for never.  `begin`: octets that are asked of every message at first; `spare`:
    octets that are asked for in addition to what it should have left; `compress`: whether to ask for compression, and
    `compress_early`: whether without waiting for the answer to the login."""

    __slots__ = ("folder", "deletion", "target", "begin", "spare", "compress", "compress_early")
    defaults = {"folder": "INBOX", "deletion": EXPUNGED, "target": "", "begin": 1 << 16, "spare": 1 << 18,
                "compress": True, "compress_early": True}


class Known(Value):
    """What was found at a server: its capabilities before and after logging in, as words with blanks between them."""

    __slots__ = ("before", "after")
    defaults = {"before": "", "after": ""}


class Partial(Value):
    """What is here of a message: its first `offset` octets, of which `tail` are the last TAIL (all, if fewer); `size`
    is what the server says it has in all, 0 if unknown."""

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

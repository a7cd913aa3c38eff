"""The outbound queue: a drop box whose files have the envelope in a block at the top.

A recipient's state in that block is what counts, and changes durably.  So does what is true of a message as a whole:
that it is held, that its sender was told that it waits.  These are flags in the info part of its name, as in a Maildir:

    1763700946.M041277R3f9c2a7b10.yacht,S=1482,W=1523:2,hw
    the identity, never changed                      flags, in the order of ASCII

A flag is set by one rename within the directory that the file lies in: after a power cut it is set or not, and there
is one file either way.  What lies beside it in state/tries/ (attempts, last answer, next try) may be lost: then the
message is simply tried again.
"""

import json
import os

from amsmail.store import durable
from amsmail.wire import envelope as envelopes
from amsmail.wire.text import to_wire
from amsmail.wire.value import Value

# Why a message is held: it stays in the queue, and is not sent until it is released.
BY_OPERATOR, TOO_LARGE = "h", "l"
# A person released it: no limit of size holds it again.  Its sender was told that it is large; that it waits.
FREED, TOLD_SIZE, WARNED = "r", "t", "w"

LONGEST_PAUSE = 4 * 3600        # seconds between two attempts
_PIECE = 1 << 16


class Queued(Value):
    """A message in the queue: its Entry, its Envelope, the octets of its block and the offset of each recipient's
    state, `size`, the octets of the message itself with CRLF line ends, and the `flags` in its name."""

    __slots__ = ("entry", "envelope", "block", "offsets", "size", "flags")

    @property
    def waiting(self):
        """(index, Recipient) of those who still wait."""
        return [(i, r) for i, r in enumerate(self.envelope.recipients) if r.state == envelopes.WAITING]

    @property
    def held(self):
        """BY_OPERATOR, TOO_LARGE, or '' if it is not held."""
        return _reason(self.flags)


class Tries(Value):
    """How it went so far: `count` of attempts, `last` answer as text to the first of those who wait, `next` try, and
    `since` when it waits if that is not its arrival (0); both in seconds since the epoch."""

    __slots__ = ("count", "last", "next", "since")
    defaults = {"count": 0, "last": "", "next": 0, "since": 0}

    def is_due(self, now):
        """Whether no pause holds it back.  One longer than any we make was written by a clock that was wrong."""
        return self.next <= now or self.next > now + LONGEST_PAUSE


class Queue:
    """The outbound queue of a Spool.  Whoever drains it holds its lock, `Spool.lock("queue")`."""

    def __init__(self, spool):
        self._spool = spool
        self._drop_box = spool.queue()

    def list(self):
        """The Entry of every message, oldest first.  Raises OSError."""
        return self._drop_box.list()

    def sendable(self, large=False):
        """The Entry of every message that is not held, oldest first; with `large` also of those that are TOO_LARGE for
        some links.  Raises OSError."""
        may_be = ("", TOO_LARGE) if large else ("",)
        return [entry for entry in self.list() if _reason(self._flags(entry)) in may_be]

    def read(self, entry):
        """The Queued that an Entry stands for.  Raises OSError, and EnvelopeError if the file is damaged."""
        with self._drop_box.open(entry) as f:
            length = envelopes.block_length(f.read(envelopes.FIRST_LINE_OCTETS))
            f.seek(0)
            block = f.read(length)
        envelope, offsets = envelopes.decode(block)
        size = self._drop_box.measure(entry) - len(to_wire(block))
        return Queued(entry, envelope, len(block), offsets, size, self._flags(entry))

    def open(self, queued):
        """The message's file, at the first octet behind the block.  Raises OSError."""
        f = self._drop_box.open(queued.entry)
        f.seek(queued.block)
        return f

    def wire(self, queued):
        """Yields the message in pieces in wire form, without the block.  Raises OSError."""
        with self.open(queued) as f:
            while piece := f.read(_PIECE):
                yield to_wire(piece)

    def mark(self, queued, index, state):
        """Sets a recipient's state durably and gives the Queued that is true then.  Raises OSError."""
        durable.overwrite(queued.entry.path, queued.offsets[index], state.encode())
        recipients = list(queued.envelope.recipients)
        recipients[index] = recipients[index].but(state=state)
        return queued.but(envelope=queued.envelope.but(recipients=tuple(recipients)))

    def hold(self, entry, why):
        """Holds a message durably, `why` being BY_OPERATOR or TOO_LARGE; gives the Entry that is true then.  Raises
        OSError."""
        return self.flag(entry, add=why)

    def release(self, entry, now, freed=False):
        """Lets a message go that was held for whatever reason, durably; gives the Entry that is true then.  Raises
        OSError.

        It is due at once, and its waiting counts from `now`: without that, one that was held for long would be given
        up before it was tried.  `freed`: a person wants it sent whatever its size."""
        self.set_tries(entry, self.tries(entry).but(next=0, since=int(now)))
        return self.flag(entry, add=FREED if freed else "", drop=BY_OPERATOR + TOO_LARGE)

    def flag(self, entry, add="", drop=""):
        """Sets and clears flags in a message's name durably; gives the Entry that is true then.  Raises OSError."""
        folder, name = os.path.split(entry.path)
        base = name.partition(self._spool.separator)[0]
        flags = "".join(sorted(set(self._flags(entry)) - set(drop) | set(add)))
        path = os.path.join(folder, f"{base}{self._spool.separator}2,{flags}")
        # Also where that is its name already: a killed program may not have come to flushing it.
        durable.publish(entry.path, path)
        return entry.but(path=path)

    def _flags(self, entry):
        info = os.path.basename(entry.path).partition(self._spool.separator)[2]
        return info[2:] if info.startswith("2,") else ""

    def remove(self, entry):
        """Removes a message durably.  Raises OSError."""
        self._drop_box.remove(entry)
        durable.forget([self._tries_path(entry)])

    def tries(self, entry):
        """The Tries of a message; none are known of a new one."""
        try:
            with open(self._tries_path(entry), encoding="utf-8") as f:
                return Tries(**json.load(f))
        except (OSError, ValueError, TypeError):
            return Tries()

    def set_tries(self, entry, tries):
        """Notes how it went.  Raises OSError."""
        durable.replace(self._tries_path(entry), json.dumps(
            {name: getattr(tries, name) for name in Tries.__slots__}).encode())

    def _tries_path(self, entry):
        return self._spool.state("tries", os.path.basename(entry.uid))


def _reason(flags):
    """Why a message with these flags is held, '' if it is not; the operator's word comes first."""
    return next((why for why in (BY_OPERATOR, TOO_LARGE) if why in flags), "")

"""The outbound queue: a drop box whose files have the envelope in a block at the top.

A recipient's state in that block is what counts, and changes durably.  What lies beside it in state/tries/ (attempts,
last answer, next try) may be lost: then the message is simply tried again.
"""

import json
import os

from amsmail.store import durable
from amsmail.wire import envelope as envelopes
from amsmail.wire.text import to_wire
from amsmail.wire.value import Value


class Queued(Value):
    """A message in the queue: its Entry, its Envelope, the octets of its block and the offset of each recipient's
    state, and `size`, the octets of the message itself with CRLF line ends."""

    __slots__ = ("entry", "envelope", "block", "offsets", "size")

    @property
    def waiting(self):
        """(index, Recipient) of those who still wait."""
        return [(i, r) for i, r in enumerate(self.envelope.recipients) if r.state == envelopes.WAITING]


class Tries(Value):
    """How it went so far: `count` of attempts, `last` answer as text, `next` try in seconds since the epoch."""

    __slots__ = ("count", "last", "next")
    defaults = {"count": 0, "last": "", "next": 0}


class Queue:
    """The outbound queue of a Spool.  Whoever drains it holds its lock, `Spool.lock("queue")`."""

    def __init__(self, spool):
        self._spool = spool
        self._drop_box = spool.queue()

    def list(self):
        """The Entry of every message, oldest first.  Raises OSError."""
        return self._drop_box.list()

    def read(self, entry):
        """The Queued that an Entry stands for.  Raises OSError, and EnvelopeError if the file is damaged."""
        with self._drop_box.open(entry) as f:
            length = envelopes.block_length(f.read(envelopes.FIRST_LINE_OCTETS))
            f.seek(0)
            block = f.read(length)
        envelope, offsets = envelopes.decode(block)
        return Queued(entry, envelope, len(block), offsets, self._drop_box.measure(entry) - len(to_wire(block)))

    def open(self, queued):
        """The message's file, at the first octet behind the block.  Raises OSError."""
        f = self._drop_box.open(queued.entry)
        f.seek(queued.block)
        return f

    def mark(self, queued, index, state):
        """Sets a recipient's state durably and gives the Queued that is true then.  Raises OSError."""
        durable.overwrite(queued.entry.path, queued.offsets[index], state.encode())
        recipients = list(queued.envelope.recipients)
        recipients[index] = recipients[index].but(state=state)
        return queued.but(envelope=queued.envelope.but(recipients=tuple(recipients)))

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
            {"count": tries.count, "last": tries.last, "next": tries.next}).encode())

    def _tries_path(self, entry):
        return self._spool.state("tries", os.path.basename(entry.uid))

"""What a mailcheck is to do, decided before anything is dialled."""

from amsmail.store.locks import Busy
from amsmail.transport.push import due
from amsmail.wire.value import Value


class Plan(Value):
    """`messages` to push and their `octets`, `accounts` to pull, the `link` to use (a name of mail.cfg, '' if none is
    configured: then one is taken to be there)."""

    __slots__ = ("messages", "octets", "accounts", "link")

    @property
    def is_empty(self):
        return not self.messages and not self.accounts


def plan(site, spool, log, now, everything):
    """The Plan for now.  The first link of mail.cfg is the one to use.  `everything`: also messages that a pause holds
    back.  Raises OSError."""
    messages = due(spool, log, now, everything) if site.relay["host"] and not _is_taken(spool) else []
    octets = sum(queued.size for queued in messages)
    return Plan(len(messages), octets, tuple(site.accounts), next(iter(site.links), ""))


def _is_taken(spool):
    """Whether somebody picks the queue up by POP3 right now: then nothing of it is ours to send."""
    try:
        spool.lock("queue").release()
    except Busy:
        return True
    return False

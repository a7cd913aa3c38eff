"""Mail that waits: its sender is told once that it still waits, and when its time is over it is given up.

Told first, then noted: a crash in between tells the sender twice, which is better than never.  That it was told is a
flag in the message's name (store/queue.py) and not a line in state/tries/, which may be lost.

No message is given up by the run that finds it old: that run warns, and then it has the rest of its time.  So what
waited while the machine was off, or since a clock that was wrong stamped it, is tried before it is given up.
"""

from amsmail.site import notices
from amsmail.site.dates import rfc5322
from amsmail.site.words import in_words
from amsmail.store.locks import Busy
from amsmail.store.queue import WARNED, Queue
from amsmail.wire.envelope import EnvelopeError
from amsmail.wire.report import Fate

_EXPIRED = "4.4.7"      # RFC 3463, section 3.5: delivery time expired


def attend(site, spool, log, now, warn_after, expire_after):
    """Warns the senders of what has waited for `warn_after` seconds, and gives up what has waited for `expire_after`,
    which is more.  `now` is in seconds since the epoch.

    What is held is left alone.  Takes the queue's lock, and does nothing if somebody has it.  What the disk refuses is
    logged and left for the next run.  Raises OSError if the queue cannot be listed.
    """
    queue = Queue(spool)
    try:
        lock = spool.lock("queue")
    except Busy:
        return
    with lock:
        for entry in queue.sendable():
            try:
                _attend(site, spool, log, queue.read(entry), now, warn_after, expire_after)
            except EnvelopeError:
                continue        # `due` says so in the log
            except OSError as error:
                log("disk-error", id=entry.uid, problem=error)


def _attend(site, spool, log, queued, now, warn_after, expire_after):
    since = Queue(spool).tries(queued.entry).since
    # A time to come was written by a clock that was wrong.
    age = now - (since if 0 < since <= now else queued.envelope.arrival)
    if not queued.waiting:
        return          # a crash came between the last recipient's outcome and the removal, which the push does
    if WARNED not in queued.flags:
        if age >= warn_after:
            _warn(site, spool, log, queued, now, warn_after, expire_after)
    elif age >= expire_after:
        expire(site, spool, log, queued, now)


def _warn(site, spool, log, queued, now, warn_after, expire_after):
    """Tells the sender that a message still waits, and gives it the rest of its time."""
    queue = Queue(spool)
    tries = queue.tries(queued.entry).but(since=int(now - warn_after))
    queue.set_tries(queued.entry, tries)
    until = rfc5322(tries.since + expire_after)
    tell(site, spool, log, queued, tries, action="delayed", status=_status(tries.last), until=until,
          why=f"It will be tried until {until}.")
    queue.flag(queued.entry, add=WARNED)
    log("waits", id=queued.entry.uid, until=until, reply=tries.last)


def expire(site, spool, log, queued, now, who="It was given up"):
    """Gives a message up: tells its sender and removes it.  The caller holds the queue's lock.  `who` begins the
    sentence for the sender.  Gives the notification's identity, None if none was wanted.

    The failure of mail from nobody (the null path) or from a stranger is told to postmaster, so that it is not lost.
    Raises OSError: then it is still in the queue.
    """
    queue = Queue(spool)
    tries = queue.tries(queued.entry)
    notice = tell(site, spool, log, queued, tries, action="failed", status=_EXPIRED,
                   why=f"{who} after {in_words(now - queued.envelope.arrival)}.")
    queue.remove(queued.entry)
    for _, recipient in queued.waiting:
        log("expired", id=queued.entry.uid, to=recipient.address, reply=tries.last)
    return notice


def tell(site, spool, log, queued, tries, reply_to="", **fate):
    """Sends the notification about all who wait, each with the same `fate` (see wire.report.Fate), and gives its
    identity, None if nobody is to be told; `reply_to` as in notices.tell.  The last answer was for the first of them
    (Tries).  Raises OSError."""
    fates = [Fate(recipient, diagnostic=tries.last if i == 0 else "", **fate)
             for i, (_, recipient) in enumerate(queued.waiting)]
    uid = notices.send(site, spool, queued.envelope, fates, queued.entry.uid, queued.size,
                       lambda: Queue(spool).wire(queued), reply_to)
    if uid:
        log("notified", id=queued.entry.uid, notice=uid)
    return uid


def _status(last):
    """The status of a delay: what the last answer says; where none came, that of the network (RFC 3463)."""
    status = f"{last} ".split(" ")[1]
    if status.startswith("4.") and status.count(".") == 2:
        return status
    return "4.0.0" if last else "4.4.0"

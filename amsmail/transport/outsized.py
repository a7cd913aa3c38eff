"""Outbound mail that is too large for the links: it waits for one that carries it, and its sender is told once.

Told first, then held: a crash in between tells the sender twice, which is better than never.  What is held so takes
part in every plan: a link that carries it, and is to be used, lets it go by itself.
"""

import time

from amsmail.site.words import in_octets
from amsmail.store.held import HeldMail, HeldMessage, digest, identity, new_token
from amsmail.store.locks import Busy
from amsmail.store.queue import FREED, TOLD_SIZE, TOO_LARGE, Queue
from amsmail.transport import waiting
from amsmail.transport.holding import reply_address
from amsmail.wire.envelope import EnvelopeError

_HOW = ("Reply to this message with one of these words alone on the first line: release (it goes with the next call, "
        "whatever its size), or delete (it is cancelled). The operator can do the same: mailcheck queue release {uid}, "
        "or mailcheck queue delete {uid}.")
_STATUS = "4.3.4"       # RFC 3463, section 3.4: message too big for the system


def hold(site, spool, log, todo):
    """Holds what a Plan leaves behind because of its size, and tells the senders.  Takes the queue's lock, and does
    nothing if somebody has it; what the disk refuses is logged and left for the next run.  Raises OSError if the queue
    cannot be listed."""
    goes = todo.goes
    left = {item.uid: item for item in todo.items if item.uid not in goes and _is_outsized(site, todo, item)}
    if not left:
        return
    try:
        lock = spool.lock("queue")
    except Busy:
        return
    with lock:
        for entry in Queue(spool).sendable():
            try:
                if entry.uid in left:
                    _hold(site, spool, log, todo, left[entry.uid], entry)
            except EnvelopeError:
                continue        # `ranked` says so in the log
            except OSError as error:
                log("disk-error", id=entry.uid, problem=error)


def let_go(spool, log, messages, now):
    """Of `messages`, Queued, those that may be sent over a link that is up: what was held for its size is held no more.
    The caller holds the queue's lock.  Raises nothing for what the disk does."""
    queue, free = Queue(spool), []
    for queued in messages:
        try:
            if queued.held:
                queued = queue.read(queue.release(queued.entry, now))
                log("let-go", id=queued.entry.uid, octets=queued.size)
            free.append(queued)
        except (OSError, EnvelopeError) as error:
            log("disk-error", id=queued.entry.uid, problem=error)
    return free


def holds(site, queued):
    """Whether a limit of the site's links may hold a Queued, now or later."""
    return FREED not in queued.flags and any(_is_too_large(link, queued) for link in site.links.values())


def _is_outsized(site, todo, item):
    """Whether a message stays behind because of its size: no link ever carries it, or one that is to be used does not;
    where none is to be used, one that otherwise could be."""
    links = _links(site, item)
    never = all(_is_too_large(link, item) for link in links.values())
    called = {call.link for call in todo.calls} or {verdict.link for verdict in todo.verdicts}
    return never or any(item.uid in verdict.too_large for verdict in todo.verdicts if verdict.link in called)


def _links(site, item):
    """The links that carry mail of a message's class."""
    return {name: link for name, link in site.links.items() if item.is_urgent or "normal" in link["classes"]}


def _is_too_large(link, item):
    return bool(link["message_out"]) and item.size > link["message_out"]


def _hold(site, spool, log, todo, item, entry):
    queue = Queue(spool)
    queued = queue.read(entry)
    if FREED in queued.flags:
        return
    if TOLD_SIZE not in queued.flags and queued.waiting:
        _tell(site, spool, log, queued, f"It has {in_octets(item.size)}. {_when(site, todo, item)}")
    queue.flag(entry, add=TOO_LARGE + TOLD_SIZE)
    log("held", id=entry.uid, octets=item.size, why="too large")


def _tell(site, spool, log, queued, why):
    """Tells the sender, who may decide on it by a reply, as on what is held at a provider.  Raises OSError."""
    token, uid = new_token(), queued.entry.uid
    told = waiting.tell(site, spool, log, queued, Queue(spool).tries(queued.entry), reply_address(site, token),
                        action="delayed", status=_STATUS, why=f"{why} {_HOW.format(uid=uid)}")
    if told:
        HeldMail(spool).put(HeldMessage(identity("", "", uid), "", uid, queued.size, "", "",
                                        site.addresses[queued.envelope.sender.key], int(time.time()), digest(token)))


def _when(site, todo, item):
    """When a message is likely to go, in words."""
    verdicts = {verdict.link: verdict for verdict in todo.verdicts}
    chances = [_chance(name, verdicts[name], item.uid) for name, link in _links(site, item).items()
               if not _is_too_large(link, item) and name in verdicts]
    if not chances:
        return "No link of this site carries a message of that size."
    return f"It is likely to go {', or '.join(chances)}."


def _chance(name, verdict, uid):
    if verdict.opens:
        return f"over link {name}, from {verdict.opens:%a %Y-%m-%d %H:%M}"
    return f"over link {name}, which cannot take it yet: {verdict.waits.get(uid, verdict.why_not)}"

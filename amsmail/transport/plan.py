"""What a mailcheck is to do, decided before anything is dialled, and why."""

from amsmail.link.choice import Item, verdicts
from amsmail.store.locks import Busy
from amsmail.store.queue import FREED
from amsmail.transport.push import ranked
from amsmail.wire.urgency import URGENT
from amsmail.wire.value import Value


class Plan(Value):
    """link: the name of the one to use, '' if there is none to be used.  why: for a person.  messages: uids to push, in
    order, and their `octets`.  accounts: names of those to pull.  message_in: octets of the largest message to fetch, 0
    for any.  seconds: how long the call may take, and limit: by what.  verdicts: what there is to say of each link.
    items: all that is due to be sent, whether it goes or waits."""

    __slots__ = ("link", "why", "messages", "octets", "accounts", "message_in", "seconds", "limit", "verdicts", "items")
    defaults = {"link": "", "messages": (), "octets": 0, "accounts": (), "message_in": 0, "seconds": 0,
                "limit": ""}

    @property
    def is_empty(self):
        return not self.messages and not self.accounts


def plan(site, spool, log, now, everything, calls, is_up, without=()):
    """The Plan for now.  `everything`: also messages that a pause holds back; `calls` and `is_up` as in
    link.choice.verdicts; `without`: names of links that did not come up.  Raises OSError."""
    waiting = ranked(spool, log, now, everything, large=True) if site.relay["host"] and not _is_taken(spool) else []
    items = [Item(queued.entry.uid, queued.size, rank == URGENT and _may_urge(site, queued.envelope.sender),
                  FREED in queued.flags)
             for rank, queued in waiting]
    if not items and not site.accounts:
        return Plan(why="nothing is queued and no account is configured", verdicts=(), items=())
    links = {name: settings for name, settings in site.links.items() if name not in without}
    found = verdicts(links, items, bool(site.accounts), now, calls, is_up)
    chosen = next((verdict for verdict in found if not verdict.why_not), None)
    if chosen is None:
        return Plan(why="no link may be used now", verdicts=tuple(found), items=tuple(items))
    return Plan(
        chosen.link, _why(chosen, found), chosen.carries,
        sum(item.size for item in items if item.uid in chosen.carries), tuple(site.accounts) if chosen.fetches else (),
        chosen.message_in, chosen.seconds, chosen.limit, tuple(found), tuple(items))


def _may_urge(site, sender):
    """Whether a sender's mail may be urgent: that costs money."""
    listed = site.calls["urgent_from"]
    return not listed or sender is not None and not {str(sender), site.addresses.get(sender.key)}.isdisjoint(listed)


def _why(chosen, found):
    """Why this link, for the ledger."""
    passed_over = [f"{verdict.link}: {verdict.why_not}" for verdict in found[:found.index(chosen)]]
    first = "it is up" if chosen.is_up else "it comes first"
    return "; ".join([first if not passed_over else "the first that may be used", *passed_over])


def _is_taken(spool):
    """Whether somebody picks the queue up by POP3 right now: then nothing of it is ours to send."""
    try:
        spool.lock("queue").release()
    except Busy:
        return True
    return False

"""What a mailcheck is to do, decided before anything is dialled, and why."""

from amsmail.link.choice import Item, choose
from amsmail.site import accounts
from amsmail.store.locks import Busy
from amsmail.store.queue import FREED
from amsmail.transport.push import ranked
from amsmail.wire.urgency import URGENT
from amsmail.wire.value import Value


class PlannedCall(Value):
    """link: its name.  why: for a person.  messages: uids to push, in order, and their `octets`.  accounts: names of
    those to pull.  octets_in: how many octets of mail may be fetched, None for any.  allowance: what the call may
    take."""

    __slots__ = ("link", "why", "messages", "octets", "accounts", "octets_in", "allowance")


class Plan(Value):
    """calls: the PlannedCalls, in their order.  why_none: for a person, where there are none.  verdicts: what there is
    to say of each link.  items: all that is due to be sent, whether it goes or waits.  is_taken: somebody picks the
    queue up by POP3 right now, so nothing of it is ours to send."""

    __slots__ = ("calls", "why_none", "verdicts", "items", "is_taken")
    defaults = {"calls": (), "why_none": "", "verdicts": (), "items": (), "is_taken": False}

    @property
    def goes(self):
        """The uids of all that goes."""
        return {uid for call in self.calls for uid in call.messages}

    def without(self, link):
        """What is left of it to be planned anew when its first call, over `link`, was made: (uids, whether accounts are
        to be fetched from)."""
        rest = [call for call in self.calls if call.link != link]
        return {uid for call in rest for uid in call.messages}, any(call.accounts for call in rest)


def plan(site, spool, log, now, everything, calls, states, tried=(), only=None, fetches=True):
    """The Plan for now.  `everything`: also messages that a pause holds back, and links that rest; `calls` and `states`
    as in link.choice.choose; `tried`: {name: what became of it} of links that this run tried; `only`: uids to which
    what is sent is limited, None for all; `fetches`: whether accounts are to be fetched from.  Raises OSError."""
    if not site.relay["host"] and not site.accounts:
        return Plan(why_none="mail.cfg has neither a relay nor an account")
    taken = bool(site.relay["host"]) and _is_taken(spool)
    waiting = ranked(spool, log, now, everything, large=True) if site.relay["host"] and not taken else []
    items = [Item(queued.entry.uid, queued.size, priority >= URGENT and _may_urge(site, queued.envelope),
                  FREED in queued.flags)
             for priority, queued in waiting if only is None or queued.entry.uid in only]
    names = tuple(site.accounts) if fetches else ()
    if not items and not names:
        return Plan(why_none=_NOTHING, is_taken=taken)
    links = {name: settings for name, settings in in_use(site).items() if name not in tried}
    found, chosen = choose(links, items, bool(names), now, calls, states, rests=not everything)
    sizes = {item.uid: item.size for item in items}
    return Plan(
        tuple(PlannedCall(verdict.link, _why(verdict, found, chosen, tried), verdict.carries,
                          sum(sizes[uid] for uid in verdict.carries), names if verdict.fetches else (),
                          verdict.octets_in, verdict.allowance) for verdict in chosen),
        "" if chosen else "no link may be used now", tuple(found), tuple(items), taken)


def in_use(site):
    """The links that may be used at all; those that mail.cfg names for now come in that order."""
    return {name: {**site.links[name], "priority": place} for place, name in enumerate(site.calls["use"])} or site.links


_NOTHING = "nothing that is due waits to be sent, and there is no account to fetch from"


def _may_urge(site, envelope):
    """Whether a message may be urgent, which costs money: its sender is listed for that, or the box of its sender.

    Where somebody logged in, that box counts and no other: anybody can write another's address into MAIL."""
    listed, sender = site.calls["urgent_from"], envelope.sender.key if envelope.sender else None
    owner = site.addresses.get(sender)
    box = accounts.box_of(site, envelope.user) if envelope.user else owner
    return not listed or box in listed or sender in listed and (owner == box or not envelope.user)


def _why(verdict, found, chosen, tried):
    """Why a call goes over this link, for the ledger."""
    above = found[:[each.link for each in found].index(verdict.link)]
    called = [each.link for each in chosen]
    passed_over = [f"{link}: {outcome}" for link, outcome in dict(tried).items()]
    passed_over += [f"{each.link}: " + ("it may not carry this" if each.link in called else each.why_not)
                    for each in above]
    first = "the first that may be used" if passed_over else "it is up" if verdict.is_up else "it comes first"
    return "; ".join([first, *passed_over])


def _is_taken(spool):
    """Whether somebody picks the queue up by POP3 right now: then nothing of it is ours to send."""
    try:
        spool.lock("queue").release()
    except Busy:
        return True
    return False

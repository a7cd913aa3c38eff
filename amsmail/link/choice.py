"""Which link a call goes over: the first, in order, that is allowed now and has something to carry."""

from bisect import bisect_left
from datetime import datetime
from decimal import Decimal

from amsmail.link import tariff
from amsmail.link.links import LinkError
from amsmail.site import budget, windows
from amsmail.wire.value import Value

NORMAL, URGENT = "normal", "urgent"
_MOST = 10**12        # octets: no message is larger


class Item(Value):
    """A message that waits to be sent: its `uid`, `size` in octets, whether it `is_urgent`, and whether it `is_freed`:
    a person wants it sent whatever its size."""

    __slots__ = ("uid", "size", "is_urgent", "is_freed")
    defaults = {"is_freed": False}


class Verdict(Value):
    """What there is to say of a link now.  link: its name.  why_not: why no call goes over it, '' if one may.  is_up:
    whether it is up already.  carries: the uids that it may take now, in order.  waits: {uid: why not}.  too_large: the
    uids of those that it does not carry because of their size.  fetches: whether accounts may be fetched from.
    message_in: octets of the largest message to fetch, 0 for any.  seconds: how long a call may take, and limit: by
    what.  cost: a Decimal, what sending is expected to cost; None where that cannot be said.  currency: of the cost, '' if there is none.  opens: when calls are allowed next, a datetime; None where
    they are, or never will be."""

    __slots__ = ("link", "why_not", "is_up", "carries", "waits", "too_large", "fetches", "message_in", "seconds", "limit",
                 "cost", "currency", "opens")
    defaults = {"why_not": "", "is_up": False, "carries": (), "waits": {}, "too_large": (), "fetches": False,
                "message_in": 0, "seconds": 0, "limit": "", "cost": None, "currency": "", "opens": None}


class _Purse(Value):
    """What a link's tariff takes, and `money`: what its budget leaves, a Decimal; None for no limit.  `rates` in bit/s
    and `round_trip` in seconds, as the link has them."""

    __slots__ = ("tariff", "money", "rates", "round_trip")

    def expected(self, octets):
        """What a call that sends `octets` of mail is expected to cost; None where that cannot be said."""
        return self.tariff.estimate(octets, 0, self.rates, self.round_trip)

    def pays_for(self, seconds, octets):
        """Whether there is money for a call of so many seconds and octets."""
        return self.money is None or self.tariff.cost(seconds, octets) <= self.money

    def pays_for_mail(self, octets):
        """Whether there is money for a call that sends `octets` of mail, as far as can be said."""
        expected = self.expected(octets)
        return self.pays_for(1, octets) if expected is None else self.money is None or expected <= self.money


def verdicts(links, items, has_accounts, now, calls, is_up):
    """A Verdict for each of `links`, {name: section of mail.cfg}, in the order in which they are to be used: those that
    are up, then by priority, then by what the call is expected to cost.

    `items`: what is due to be sent, in order; `now` in seconds since the epoch; `calls`: those of the ledger;
    `is_up(name)` says whether a link is up, and may raise LinkError."""
    found = [_verdict(name, settings, items, has_accounts, now, calls, is_up) for name, settings in links.items()]
    return sorted(found, key=lambda verdict: (
        not verdict.is_up, links[verdict.link]["priority"], verdict.cost is None, verdict.cost or Decimal(0)))


def _verdict(name, settings, items, has_accounts, now, calls, is_up):
    try:
        up = is_up(name)
    except LinkError as error:
        return Verdict(name, why_not=str(error))
    if settings["type"] == "present" and not up:
        return Verdict(name, why_not="it is not there")
    up = up and settings["type"] != "always"        # what always is up is no occasion
    standings = budget.standings(settings["budget"], name, calls, now)
    used_up = [standing for standing in standings if not standing.left]
    if used_up:
        limit = used_up[0]
        return Verdict(name, why_not=f"its budget of {limit.amount} {limit.unit} a {limit.period} is used up", is_up=up)
    when = datetime.fromtimestamp(now).astimezone()
    opening = windows.parse(settings["windows"])
    is_open = opening.is_open(when)
    opens = None if is_open else opening.opens(when)
    classes = [each for each in settings["classes"]
               if is_open or each == URGENT and settings["urgent"] == "at any time"]
    purse = _Purse(tariff.make(settings), budget.left(standings, settings["currency"]), settings["rate"],
                   settings["round_trip"])
    carries, waits, too_large = _sorted_out(settings, standings, purse, items, classes, opens)
    octets = sum(item.size for item in carries)
    seconds, limit = _longest(settings, standings, purse, octets, opening if is_open else None, when)
    if seconds < 1:
        return Verdict(name, why_not=f"{limit} leaves no time for a call", is_up=up, opens=opens)
    fetches = has_accounts and NORMAL in classes
    return Verdict(
        name, is_up=up, carries=tuple(item.uid for item in carries), waits=waits, too_large=tuple(too_large),
        fetches=fetches,
        message_in=_message_in(settings, standings, purse, octets), seconds=seconds, limit=limit, opens=opens,
        cost=purse.expected(octets), currency=settings["currency"],
        why_not="" if carries or fetches else _nothing(items, has_accounts, is_open, opens, waits))


def _longest(settings, standings, purse, octets, opening, when):
    """(for how many seconds a call that carries `octets` may be up, what limits it)."""
    limits = [(settings["call_limit"], "call_limit")]
    if opening and (closes := opening.closes(when)):
        limits.append((int((closes - when).total_seconds()), "its window"))
    minutes = budget.left(standings, "minutes")
    if minutes is not None:
        limits.append((int(minutes), "its budget"))
    most = min(limits)[0]
    if (paid := _largest(most, lambda seconds: purse.pays_for(seconds, octets))) < most:
        limits.append((paid, "its budget"))
    return min(limits)


def _largest(most, fits):
    """The largest whole number up to `most` that `fits`, 0 if none does.  Where one fits, all that are smaller do."""
    return bisect_left(range(1, most + 1), True, key=lambda number: not fits(number))


def _sorted_out(settings, standings, purse, items, classes, opens):
    """(the Items that it carries now, {uid: why it does not} of the others, the uids of those that are too large)."""
    carries, waits, too_large, octets = [], {}, [], 0
    left = budget.left(standings, "MB")
    for item in items:
        kinds = {NORMAL, URGENT} if item.is_urgent else {NORMAL}
        if not kinds & set(settings["classes"]):
            waits[item.uid] = "it carries urgent mail only"
        elif not kinds & set(classes):
            waits[item.uid] = "its window is closed" + (f" until {opens:%a %H:%M}" if opens else "")
        elif settings["message_out"] and item.size > settings["message_out"] and not item.is_freed:
            waits[item.uid] = f"{item.size} octets are more than its message_out, {settings['message_out']}"
            too_large.append(item.uid)
        elif left is not None and octets + item.size > left:
            waits[item.uid] = f"its budget leaves {int(left) - octets} octets"
        elif not purse.pays_for_mail(octets + item.size):
            waits[item.uid] = f"its budget leaves {purse.money} {settings['currency']}"
        else:
            carries.append(item)
            octets += item.size
    return carries, waits, too_large


def _message_in(settings, standings, purse, octets_out):
    """Octets of the largest message to fetch, 0 for any.  Where a budget leaves nothing no message is small enough."""
    left = budget.left(standings, "MB")
    most = _MOST if left is None else max(0, int(left) - octets_out)
    most = _largest(most, lambda octets: purse.pays_for(1, octets_out + octets))
    return settings["message_in"] if most == _MOST else min(settings["message_in"] or _MOST, max(1, most))


def _nothing(items, has_accounts, is_open, opens, waits):
    if not is_open:
        return "its window is closed" + (f" until {opens:%a %Y-%m-%d %H:%M}" if opens else "")
    if waits:
        return "of what is to be sent it may carry nothing: " + next(iter(waits.values()))
    return "it carries urgent mail only" if items or has_accounts else "there is nothing to do"

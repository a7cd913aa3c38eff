"""Which links calls go over: the first, in order, that is allowed now and has something to carry, and behind it the
next for what that one may not carry."""

from bisect import bisect_left
from datetime import datetime
from decimal import Decimal

from amsmail.link import failures, tariff
from amsmail.link.allowance import WAY_DOWN, Allowance
from amsmail.link.links import LinkError
from amsmail.site import budget, windows
from amsmail.wire.value import Value

NORMAL, URGENT = "normal", "urgent"
_MOST = 10**12        # octets: no call carries more
_UNDIALLED = ("always", "present")


class Item(Value):
    """A message that waits to be sent: its `uid`, `size` in octets, whether it `is_urgent`, and whether it `is_freed`:
    a person wants it sent whatever its size."""

    __slots__ = ("uid", "size", "is_urgent", "is_freed")
    defaults = {"is_freed": False}


class Verdict(Value):
    """What there is to say of a link now.  link: its name.  why_not: why no call goes over it, '' if one may.
    needs_person: whether that does not mend itself.  is_up: whether it is up already.  carries: the uids that it may
    take now, in order.  waits: {uid: why not}.  too_large: the uids of those that only their size keeps from it.
    fetches: whether accounts may be fetched from.  octets_in: how many octets of mail, None for any.  allowance: what
    the call may take.  cost: a Decimal, what sending is expected to cost; None where that cannot be said.  currency: of
    the cost, '' if there is none.  opens: when calls are allowed next, a datetime; None where they are, or never will
    be, or that is not all that keeps a call from it."""

    __slots__ = ("link", "why_not", "needs_person", "is_up", "carries", "waits", "too_large", "fetches", "octets_in",
                 "allowance", "cost", "currency", "opens")
    defaults = {"why_not": "", "needs_person": False, "is_up": False, "carries": (), "waits": {}, "too_large": (),
                "fetches": False, "octets_in": None, "allowance": Allowance(), "cost": None, "currency": "",
                "opens": None}


def choose(links, items, has_accounts, now, calls, states, rests=True):
    """(a Verdict for each of `links`, {name: section of mail.cfg}; those of them over which a call is to be made).

    Both are in the order in which links are to be used: those that are up, then by priority, then by what the call is
    expected to cost.  The Verdicts of the calls to be made share out what there is to do: each link has what those
    before it left.

    `items`: what is due to be sent, in order; `now` in seconds since the epoch; `calls`: those of the ledger; `states`:
    {name: whether the link is up, or the LinkError where that cannot be told}; `rests`: whether a link rests after
    calls that failed."""
    standing = {name: _Link(name, settings, now, calls, states[name],
                            rests and (len(links) > 1 or _is_dialled(settings)))
                for name, settings in links.items()}
    found = sorted((link.verdict(items, has_accounts) for link in standing.values()), key=lambda verdict: (
        not verdict.is_up, links[verdict.link]["priority"], verdict.cost is None, verdict.cost or Decimal(0)))
    chosen = []
    for link in [standing[verdict.link] for verdict in found]:
        verdict = link.verdict(items, has_accounts)
        if not verdict.why_not:
            chosen.append(verdict)
            items = [item for item in items if item.uid not in verdict.carries]
            has_accounts = has_accounts and not verdict.fetches
    return found, chosen


def _is_dialled(settings):
    return settings["type"] not in _UNDIALLED


class _Link:
    """A link as it stands now, whatever there is to do."""

    def __init__(self, name, settings, now, calls, state, rests):
        self._name, self._settings = name, settings
        self._needs_person = isinstance(state, LinkError)
        self._is_up = state is True and settings["type"] != "always"    # what always is up is no occasion
        self._closed = str(state) if self._needs_person else (
            "it is not there" if settings["type"] == "present" and not state else "")
        self._standings = budget.standings(settings["budget"], name, calls, now)
        self._money = budget.left(self._standings, settings["currency"])
        self._octets = budget.left(self._standings, "MB")
        self._tariff = tariff.make(settings)
        self._opening = windows.parse(settings["windows"])
        self._when = datetime.fromtimestamp(now).astimezone()
        self._is_open = self._opening.is_open(self._when)
        self._opens = None if self._is_open else self._opening.opens(self._when)
        self._classes = [each for each in settings["classes"]
                         if self._is_open or each == URGENT and settings["urgent"] == "at any time"]
        self._closed = self._closed or self._spent() or (self._rest(calls, now) if rests else "")

    def verdict(self, items, has_accounts):
        """Its Verdict, where these are to be sent, and accounts to be fetched from or not."""
        if self._closed:
            return Verdict(self._name, why_not=self._closed, is_up=self._is_up, needs_person=self._needs_person)
        carries, waits, too_large = self._sorted_out(items)
        octets = sum(item.size for item in carries)
        seconds, limit = self._longest(octets)
        if seconds < 1:
            return Verdict(self._name, why_not=f"{limit} leaves no time for a call", is_up=self._is_up)
        octets_in = self._octets_in(octets)
        fetches = has_accounts and NORMAL in self._classes and octets_in != 0
        return Verdict(
            self._name, is_up=self._is_up, carries=tuple(item.uid for item in carries), waits=waits,
            too_large=tuple(too_large), fetches=fetches, octets_in=octets_in, opens=self._opens,
            allowance=Allowance(seconds, limit, self._closes(), None if self._octets is None else int(self._octets),
                                self._money),
            cost=self._expected(octets), currency=self._settings["currency"],
            why_not="" if carries or fetches else self._nothing(items, has_accounts, octets_in, waits))

    # Why there is no call, whatever there is to do

    def _spent(self):
        limit = next((standing for standing in self._standings if not standing.left), None)
        return limit and f"its budget of {limit.amount} {limit.unit} a {limit.period} is used up"

    def _rest(self, calls, now):
        until, failed = failures.rests_until(calls, self._name, now)
        return until and (f"{failed} call{'s' if failed > 1 else ''} over it brought nothing, so it rests until "
                          f"{datetime.fromtimestamp(until):%H:%M}")

    # What it carries

    def _sorted_out(self, items):
        """(the Items that it carries now, {uid: why it does not} of the others, the uids of those that are too
        large)."""
        carries, waits, too_large, octets = [], {}, [], 0
        most = self._settings["message_out"]
        for item in items:
            kinds = {NORMAL, URGENT} if item.is_urgent else {NORMAL}
            if not kinds & set(self._settings["classes"]):
                waits[item.uid] = "it carries urgent mail only"
            elif most and item.size > most and not item.is_freed:
                waits[item.uid] = f"{item.size} octets are more than its message_out, {most}"
                too_large += [item.uid] if kinds & set(self._classes) else []
            elif not kinds & set(self._classes):
                waits[item.uid] = "its window is closed" + (f" until {self._opens:%a %H:%M}" if self._opens else "")
            elif not self._has_octets(octets + item.size):
                waits[item.uid] = f"its budget leaves {int(self._octets)} octets"
            elif not self._pays_for_mail(octets + item.size):
                waits[item.uid] = f"its budget leaves {self._money} {self._settings['currency']}"
            else:
                carries.append(item)
                octets += item.size
        return carries, waits, too_large

    def _octets_in(self, octets_out):
        """How many octets of mail may be fetched, None for any."""
        def fits(octets):
            return (self._has_octets(octets_out, octets)
                    and self._pays_for(1, sum(tariff.on_the_line(octets_out, octets))))
        most = _largest(_MOST, fits)
        return None if most == _MOST else most

    def _has_octets(self, sent, fetched=0):
        return self._octets is None or sum(tariff.on_the_line(sent, fetched)) <= self._octets

    def _pays_for(self, seconds, octets):
        """Whether there is money for a call of so many seconds and octets, and for hanging up."""
        return self._money is None or self._tariff.cost(seconds + WAY_DOWN, octets) <= self._money

    def _expected(self, octets):
        """What a call that sends `octets` of mail is expected to cost; None where that cannot be said."""
        return self._tariff.estimate(octets, 0, self._settings["rate"], self._settings["round_trip"])

    def _pays_for_mail(self, octets):
        """Whether there is money for a call that sends `octets` of mail, as far as can be said."""
        expected = self._expected(octets)
        return self._pays_for(1, octets) if expected is None else self._money is None or expected <= self._money

    # How long it may take

    def _longest(self, octets):
        """(for how many seconds a call that carries `octets` may be paid for, what limits it)."""
        limits = [(self._settings["call_limit"], "call_limit")]
        if (closes := self._closes()) is not None:
            limits.append((closes, "its window"))
        minutes = budget.left(self._standings, "minutes")
        if minutes is not None:
            limits.append((int(minutes) - WAY_DOWN, "its budget"))
        most = min(limits)[0]
        if (paid := _largest(most, lambda seconds: self._pays_for(seconds, octets))) < most:
            limits.append((paid, "its budget"))
        return min(limits)

    def _closes(self):
        closes = self._opening.closes(self._when) if self._is_open else None
        return closes and int((closes - self._when).total_seconds())

    def _nothing(self, items, has_accounts, octets_in, waits):
        if not self._is_open:
            return "its window is closed" + (f" until {self._opens:%a %Y-%m-%d %H:%M}" if self._opens else "")
        if waits:
            return "of what is to be sent it may carry nothing: " + next(iter(waits.values()))
        if has_accounts and NORMAL in self._classes and octets_in == 0:
            return "its budget leaves nothing to fetch with"
        return "it carries urgent mail only" if items or has_accounts else "there is nothing to do"


def _largest(most, fits):
    """The largest whole number up to `most` that `fits`, 0 if none does.  Where one fits, all that are smaller do."""
    return bisect_left(range(1, most + 1), True, key=lambda number: not fits(number))

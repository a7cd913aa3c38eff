"""Budgets: what may be spent on a link in a day or a month, and what is left of it.

A call counts whole in the day and the month in which it began, by local time, as it does on the bill.
"""

import re
import time
from decimal import ROUND_DOWN, Decimal

from amsmail.site.figures import figure, is_number
from amsmail.wire.value import Value

_PERIODS = {"day": 3, "month": 2}               # how many fields of a local time tell it from others
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")
_COST = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_EXPECTED = "limits such as 20 EUR a month, 60 minutes a day or 5 MB a month, with commas between them"


class Standing(Value):
    """How a limit stands.  amount, unit, period: the limit, as `parse` gives it.  used, left: Decimals, in seconds if
    the unit is minutes, in octets if it is MB, else in that currency; left is never below 0."""

    __slots__ = ("amount", "unit", "period", "used", "left")


def parse(text):
    """The limits that `text` names: [(amount, unit, period)], where amount is decimal text above 0, unit is 'minutes',
    'MB' (10^6 octets) or a currency of three capital letters, and period is 'day' or 'month'; [] for ''.

    Raises ValueError: what is expected, and (in parentheses) which part of the text is wrong.
    """
    limits = []
    try:
        for part in text.split(",") if text.strip() else []:
            limit = _limit(part.strip())
            if limit[1:] in [earlier[1:] for earlier in limits]:
                raise ValueError(f"{part.strip()!r} is a second limit of the same kind")
            limits.append(limit)
    except ValueError as error:
        raise ValueError(f"{_EXPECTED} ({error})") from None
    return limits


def standings(limits, link, calls, now):
    """The Standing of each limit of the link of this name, after `calls` (dicts as the ledger has them) and at `now`,
    in seconds since the epoch.

    A line of the ledger may lack any key, or hold nonsense: what cannot be read counts as nothing, and so does a cost
    in another currency.
    """
    found = []
    for amount, unit, period in limits:
        one, spent = _UNITS.get(unit, _MONEY)
        used = sum((spent(call, unit) for call in calls if isinstance(call, dict) and call.get("link") == link
                    and _period(call.get("start"), period) == _period(now, period)), Decimal(0))
        found.append(Standing(amount, unit, period, used, max(Decimal(amount) * one - used, Decimal(0))))
    return found


def left(found, unit):
    """What all Standings in this unit leave, which is the least of them: a Decimal; None if there is no such limit."""
    return min((standing.left for standing in found if standing.unit == unit), default=None)


def in_words(standing):
    """How a limit stands, for a person: '17.60 of 20 EUR a month are left', rounded down."""
    one, _ = _UNITS.get(standing.unit, _MONEY)
    rest = (standing.left / one).quantize(Decimal("0.01"), ROUND_DOWN)
    return f"{rest} of {standing.amount} {standing.unit} a {standing.period} are left"


def _limit(part):
    words = part.split()
    if len(words) != 4 or words[2] != "a":
        raise ValueError(f"{part!r} is not an amount, a unit, and a day or a month")
    amount, unit, _, period = words
    if not _AMOUNT.fullmatch(amount) or not Decimal(amount):
        raise ValueError(f"{amount!r} is no number above 0 with at most two decimals, such as 20 or 2.50")
    if unit not in _UNITS and not re.fullmatch("[A-Z]{3}", unit):
        raise ValueError(f"{unit!r} is neither minutes nor MB nor a currency such as EUR")
    if period not in _PERIODS:
        raise ValueError(f"{period!r} is neither a day nor a month")
    return amount, unit, period


def _period(seconds, period):
    """The day or the month, in local time, of a time since the epoch; None if there is none."""
    if not is_number(seconds):
        return None
    try:
        return tuple(time.localtime(seconds)[:_PERIODS[period]])
    except (OverflowError, ValueError, OSError):
        return None


# What a call took of a unit: a Decimal as in Standing.

def _seconds(call, _unit):
    return _figure(call, "seconds")


def _octets(call, _unit):
    return _figure(call, "bytes_up") + _figure(call, "bytes_down")


def _cost(call, currency):
    cost = call.get("cost")
    known = call.get("currency") == currency and isinstance(cost, str) and _COST.fullmatch(cost)
    return Decimal(cost) if known else Decimal(0)


# (what one of a unit is in seconds, octets, or that currency; what a call took of it)
_UNITS = {"minutes": (60, _seconds), "MB": (10**6, _octets)}
_MONEY = (1, _cost)


def _figure(call, key):
    return Decimal(str(figure(call, key)))

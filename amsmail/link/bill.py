"""The bill: what the calls in the ledger come to, by link, by box or by day.

Every column adds up to its total exactly: time to the tenth of a second, money to the cent of each currency; amounts in
different currencies are never added.  A line of the ledger may lack any key, or hold nonsense, for an older amsmail or
a person may have written it: what cannot be read counts as nothing, and the bill says how many calls have no cost.
"""

import re
import time
from decimal import Decimal

from amsmail.site.figures import figure, is_number
from amsmail.wire.value import Value

_COST = re.compile(r"\d{1,12}(\.\d{1,2})?", re.ASCII)

# Parts of a call are kept so much finer than what is printed, and rounded once for the whole bill: a box whose share
# of each call is less than half a cent pays all the same.
_FINE = 10**12


class Row(Value):
    """One row of a bill, or its total.

    key: the link, the box or the day, None for what belongs to none.  calls: how many; a call of several boxes is in
    the row of each, but once in the total.  seconds: Decimal, in tenths.  bytes_up, bytes_down: octets on the line.
    estimated: whether some of them were not counted by an interface.  messages: how many were sent and fetched.
    costs: ((currency, Decimal with two places), ...), sorted; empty if no call of the row has a cost.
    """

    __slots__ = ("key", "calls", "seconds", "bytes_up", "bytes_down", "estimated", "messages", "costs")


class Bill(Value):
    """by: 'link', 'box' or 'day'.  month: 'YYYY-MM', or '' for all.  rows: Rows in the order of their keys.  total: a
    Row.  unpriced: how many calls have no cost on record."""

    __slots__ = ("by", "month", "rows", "total", "unpriced")


def make(calls, by, month=""):
    """The Bill of `calls`, dicts as `ledger.read` gives them, of one `month` ('YYYY-MM' of local time) or of all.

    By box, a call's time, octets and cost are shared by the octets of the boxes' mail, both ways; what a call without
    mail cost is nobody's.
    """
    columns = {}            # column (a key of _amounts): {key: amount in parts of _FINE}
    counts = {}             # key: [calls, messages, whether octets were estimated]
    chosen = [call for call in calls if isinstance(call, dict) and (day_of(call) or "").startswith(month)]
    for call in chosen:
        weights, messages = _PARTS[by](call)
        for column, amount in _amounts(call).items():
            into = columns.setdefault(column, {})
            for key, part in share(amount * _FINE, weights).items():
                into[key] = into.get(key, 0) + part
        for key in weights:
            count = counts.setdefault(key, [0, 0, False])
            count[0] += 1
            count[1] += messages[key]
            count[2] |= _is_estimated(call)
    rounded = {column: share(sum(parts.values()) // _FINE, parts) for column, parts in columns.items()}
    rows = tuple(_row(key, counts[key], {column: parts[key] for column, parts in rounded.items() if key in parts})
                 for key in sorted(counts, key=lambda key: (key is None, key or "")))
    total = [len(chosen), sum(count[1] for count in counts.values()), any(count[2] for count in counts.values())]
    return Bill(by, month, rows, _row(None, total, {column: sum(parts.values()) for column, parts in rounded.items()}),
                sum(_cents(call) is None for call in chosen))


def share(amount, weights):
    """Parts the whole number `amount` in proportion to `weights` ({key: whole number}) into whole numbers that add up
    to it: each is rounded down, and what is left goes to the largest remainders, of equal ones to the first.  All is 0
    where all weights are."""
    whole = sum(weights.values()) or 1
    parts = {key: amount * weight // whole for key, weight in weights.items()}
    left = amount - sum(parts.values()) if any(weights.values()) else 0
    for key in sorted(weights, key=lambda key: -(amount * weights[key] % whole))[:left]:
        parts[key] += 1
    return parts


def day(seconds):
    """The day of a time in seconds since the epoch, 'YYYY-MM-DD' of local time; None if there is no such day."""
    try:
        return "{:04}-{:02}-{:02}".format(*time.localtime(seconds)[:3])
    except (OverflowError, ValueError, OSError):
        return None


def day_of(call):
    """The day a call began; None if that is not on record."""
    return day(call["start"]) if is_number(call.get("start")) else None


# How a call is parted: ({key: weight}, {key: messages}).

def _undivided(key, call):
    return {key: 1}, {key: _figure(call, "messages_out") + _figure(call, "messages_in")}


def _by_box(call):
    boxes = {name or None: box for name, box in _dict(call.get("boxes")).items() if isinstance(box, dict)}
    weights = {name: _figure(box, "in") + _figure(box, "out") for name, box in boxes.items()}
    if not any(weights.values()):
        return _undivided(None, call)
    return weights, {name: _figure(box, "messages") for name, box in boxes.items()}


def _link_of(call):
    return call["link"] if isinstance(call.get("link"), str) else None


_PARTS = {
    "link": lambda call: _undivided(_link_of(call), call),
    "box": _by_box,
    "day": lambda call: _undivided(day_of(call), call),
}
WAYS = tuple(_PARTS)


# What a call says

def _amounts(call):
    """What of a call is shared, in whole numbers: seconds in tenths, octets, and as ("cost", currency) cents."""
    amounts = {"seconds": _figure(call, "seconds", 10), "bytes_up": _figure(call, "bytes_up"),
               "bytes_down": _figure(call, "bytes_down")}
    cents = _cents(call)
    return amounts if cents is None else {**amounts, ("cost", call["currency"]): cents}


def _cents(call):
    """A call's cost; None if there is none on record."""
    cost, currency = call.get("cost"), call.get("currency")
    known = isinstance(currency, str) and currency and isinstance(cost, str) and _COST.fullmatch(cost)
    return int(Decimal(cost) * 100) if known else None


def _is_estimated(call):
    return call.get("bytes_are") != "interface" and bool(_figure(call, "bytes_up") + _figure(call, "bytes_down"))


def _figure(record, key, scale=1):
    return round(figure(record, key) * scale)


def _dict(value):
    return value if isinstance(value, dict) else {}


def _row(key, count, amounts):
    calls, messages, estimated = count
    costs = sorted((column[1], _decimal(cents, -2)) for column, cents in amounts.items() if isinstance(column, tuple))
    return Row(key, calls, _decimal(amounts.get("seconds", 0), -1), amounts.get("bytes_up", 0),
               amounts.get("bytes_down", 0), estimated, messages, tuple(costs))


def _decimal(number, places):
    return Decimal(number).scaleb(places)

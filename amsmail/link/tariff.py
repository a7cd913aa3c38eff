"""Tariffs: what a call over a link costs.

Money is kept as decimal text in mail.cfg and in the ledger, and computed with exact fractions in between: no charge is
rounded before the sum of a call is.
"""

import math
from decimal import Decimal
from fractions import Fraction

from amsmail.wire.value import Value

_MB = 10**6             # octets, as carriers count
_MINUTE = 60            # seconds

# What a call takes beside its mail, for an estimate, as scripts/bench-link measures it with TLS (on three profiles the
# sum is within 3 % of what crossed the line, for one session each way by SMTP and POP3; IMAP with COMPRESS takes half
# of it).  Octets: TCP, TLS with a chain of certificates, greeting and login; 52 of headers of TCP and IP in a segment
# of 1448, and TLS's own; an acknowledgement of 52 for two segments.
_SESSION_UP, _SESSION_DOWN = 3500, 6500
_HEADERS = Fraction(104, 100)
_ACKNOWLEDGEMENTS = Fraction(2, 100)
_TURNS = 8              # round trips: the most that a session of ours waits, whatever the number of messages
_WORST_ROUND_TRIP = 2   # seconds: taken where nothing is known


class Tariff(Value):
    """The keys of a link's section that are about money; '' or 0 for what is not charged.

    currency: as the carrier writes it, such as EUR.  setup_charge, per_increment, per_minute, minimum, per_mb: decimal
    text.  increment: seconds, a whole number.  idle_floor: octets a second.

    A call costs the sum of
      setup_charge, once;
      per_increment for every increment begun (with `increment` 20, a call of 21 s has begun two);
      per_minute for the time, which is counted in increments begun as well;
      per_mb for exactly its octets both ways, 1 MB = 10^6 octets, but not for fewer than idle_floor a second;
    or `minimum`, if that is more.  Where `increment` is 0 it is a minute: who pays by the second says 1.  Only that sum
    is rounded, to 0.01 of the currency, half up.
    """

    __slots__ = ("currency", "setup_charge", "increment", "per_increment", "per_minute", "minimum", "per_mb",
                 "idle_floor")
    defaults = {"currency": "", "setup_charge": "", "increment": 0, "per_increment": "", "per_minute": "",
                "minimum": "", "per_mb": "", "idle_floor": 0}

    def cost(self, seconds, octets):
        """What a call costs that was up for `seconds` and carried `octets` both ways: a Decimal with two places."""
        seconds = Fraction(str(seconds))        # 0.1 is a tenth, as whoever checks the bill by hand reads it
        increment = self.increment or _MINUTE
        begun = math.ceil(seconds / increment)
        charged = max(octets, self.idle_floor * seconds)
        total = (_amount(self.setup_charge) + begun * _amount(self.per_increment)
                 + begun * increment * _amount(self.per_minute) / _MINUTE + charged * _amount(self.per_mb) / _MB)
        return _rounded(max(total, _amount(self.minimum)))

    def estimate(self, octets_up, octets_down, rates=(0, 0), round_trip=0):
        """What a call is expected to cost that sends `octets_up` of mail and fetches `octets_down`: a Decimal, or None
        where time costs money and the link's rate is not known.

        `rates` in bit/s, up and down, and `round_trip` in seconds: 0 where it is not known.
        """
        up, down = on_the_line(octets_up, octets_down)
        octets = up + down
        if not self._charges_time:
            return self.cost(0, octets)
        if not all(rates):
            return None
        # Both directions at the same time: the busier one decides.
        sending = max(8 * way / rate for way, rate in zip((up, down), rates))
        return self.cost(math.ceil(_TURNS * (round_trip or _WORST_ROUND_TRIP) + sending), octets)

    @property
    def _charges_time(self):
        return bool(_amount(self.per_increment) or _amount(self.per_minute)
                    or self.idle_floor and _amount(self.per_mb))


def on_the_line(octets_up, octets_down):
    """(octets up, octets down) on the line, as far as can be said, of a call that sends and fetches so much mail."""
    up, down = with_headers(octets_up, octets_down)
    return up + _SESSION_UP, down + _SESSION_DOWN


def with_headers(sent, received):
    """(octets up, octets down) on the line, as far as can be said, of octets that TCP carried."""
    return tuple(math.ceil(way * _HEADERS + other * _ACKNOWLEDGEMENTS)
                 for way, other in ((sent, received), (received, sent)))


def make(settings):
    """The Tariff that a section of mail.cfg describes."""
    return Tariff(**{key: settings[key] for key in Tariff.__slots__ if key in settings})


def _amount(text):
    return Fraction(text or 0)


def _rounded(amount):
    return Decimal(math.floor(amount * 100 + Fraction(1, 2))).scaleb(-2)

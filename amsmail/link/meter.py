"""The meter of a call: what it takes of time, octets and money, while it goes on and in the end."""

from decimal import Decimal

from amsmail.link import tariff
from amsmail.link.allowance import WAY_DOWN, Allowance


class Meter:
    """Counts for one call.  `settings`: the link's section of mail.cfg.  `counters()` gives (received, sent) octets
    that the link's interface counted so far, None where nothing counts.  `timer()` gives seconds as time.monotonic
    does.

    What is paid for is each attempt that was answered, from its beginning until it failed, and the one that succeeded
    until it is hung up.  Of a link that is not dialled it is the whole call."""

    def __init__(self, settings, counters, timer):
        self._tariff, self._currency = tariff.make(settings), settings["currency"]
        self._counters, self._timer = counters, timer
        self._allowance = Allowance()
        self._begun = 0
        self._since = None              # when what may have to be paid for began
        self._paid = []                 # seconds of each attempt that was answered
        self._is_connected = False
        self._before = self._counted = None
        self._told, self._carried = [0, 0], [0, 0]      # octets of mail up and down: while it goes, and in the end

    # What goes on

    def begins(self, allowance):
        """The call begins, within an Allowance."""
        self._allowance = allowance
        self._begun = self._since = self._timer()

    def dials(self):
        """An attempt begins."""
        self._since = self._timer()

    def ends(self, was_answered):
        """What began last is over."""
        if was_answered and self._since is not None:
            self._paid.append(round(self._timer() - self._since, 1))
        self._since = None

    def connected(self):
        """The link is up: what its interface counts from now on belongs to the call."""
        self._is_connected = True
        self._before = self._counters()

    def moves(self, way, octets):
        """Octets of mail moved, `way` "up" or "down"."""
        self._told[way == "down"] += octets

    def carried(self, sent, received):
        """A session over the link has ended, whose connections carried so many octets."""
        self._carried = [self._carried[0] + sent, self._carried[1] + received]

    def disconnected(self):
        """Nothing moves any more."""
        self._counted = self._moved()

    # What is left

    def used_up(self):
        """What of the allowance is used up, in words, '' if nothing is."""
        now = self._timer()
        calls = [*self._paid, *([] if self._since is None else [now - self._since])]
        octets = self._octets_so_far()
        cost = self._sum([*calls[:-1], *(seconds + WAY_DOWN for seconds in calls[-1:])], octets)
        return self._allowance.used_up(sum(calls), now - self._begun, octets, cost)

    def left_for_an_attempt(self):
        """Seconds that an attempt which begins now may take."""
        left = [self._allowance.seconds - sum(self._paid)]
        if self._allowance.closes is not None:
            left.append(self._allowance.closes - (self._timer() - self._begun))
        return min(left)

    # What it took

    def figures(self):
        """What the call took, as the ledger has it: a dict."""
        up, down, how = self._octets()
        cost = str(self._sum(self._paid, up + down)) if self._currency else ""
        return {"seconds": round(sum(self._paid, 0.0), 1), "bytes_up": up, "bytes_down": down, "bytes_are": how,
                "cost": cost, "currency": self._currency}

    def _sum(self, calls, octets):
        """What calls of so many seconds each cost, of which only the last carried anything, `octets`: a Decimal."""
        costs = [self._tariff.cost(seconds, 0) for seconds in calls[:-1]]
        return sum(costs + [self._tariff.cost(seconds, octets) for seconds in calls[-1:]], Decimal("0.00"))

    def _octets(self):
        """(octets up, octets down, how that is known)."""
        if self._counted:
            return (*self._counted, "interface")
        # A worker that was killed told what moved, but not what its sessions carried.
        sent, received = map(max, self._told, self._carried)
        return (*tariff.with_headers(sent, received), "estimated") if sent or received else (0, 0, "estimated")

    def _octets_so_far(self):
        """Octets both ways, of a call that goes on; without an interface that counts as far as can be said."""
        if not self._is_connected:
            return 0
        return sum((self._moved() if self._before else tariff.on_the_line(*self._told)) or ())

    def _moved(self):
        """What the interface counted since the link came up: (octets up, octets down), None where nothing counts."""
        after = self._counters()
        if after is None or self._before is None:       # it may have counted since the machine was started
            return None
        # An interface that was made anew began at 0.
        received, sent = (end - start if end >= start else end for start, end in zip(self._before, after))
        return sent, received

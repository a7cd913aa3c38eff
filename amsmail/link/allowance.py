"""What a call may take, and whether it has."""

from amsmail.wire.value import Value

# Seconds that hanging up takes, which are paid as well: a call ends so much before a budget does.
WAY_DOWN = 5


class Allowance(Value):
    """seconds: how long a call may be paid for, and limit: by what.  closes: seconds from the plan on after which its
    window is closed, None if it does not close.  octets: both ways on the line, and money: a Decimal, that the link's
    budget leaves; None for any."""

    __slots__ = ("seconds", "limit", "closes", "octets", "money")
    defaults = {"seconds": 0, "limit": "", "closes": None, "octets": None, "money": None}

    def used_up(self, paid, elapsed, octets, cost):
        """What of it is used up, in words, '' if nothing is: after `paid` seconds that cost money, `elapsed` since the
        plan, and `octets` on the line, both ways; `cost` is what it will have cost once it is hung up, a Decimal."""
        if paid >= self.seconds:
            return f"it took longer than {self.limit}, {self.seconds} s"
        if self.closes is not None and elapsed >= self.closes:
            return "its window closes"
        if self.octets is not None and octets >= self.octets:
            return f"its budget left {self.octets} octets, and they are used up"
        if self.money is not None and cost > self.money:
            return f"its budget left {self.money}, and that is used up"
        return ""

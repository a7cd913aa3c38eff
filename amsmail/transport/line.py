"""What is known of the line to the providers, and what follows from it: how much may be under way, and for how long
silence is waited out."""

from amsmail.wire.value import Value

_LEAST_WINDOW = 1 << 16     # octets
_WORST_ROUND_TRIP = 2.0     # seconds: taken where nothing is known.  Iridium has 1.8

CONNECT, TLS = "connect", "tls"     # besides what the engines say in `awaits`
# What is waited for: seconds that the provider may take, and round trips that the line may.  Only silence counts: every
# octet that comes, or that the provider acknowledges, begins it anew, so the line's rate does not matter.  RFC 5321,
# section 4.5.3.2, would have five minutes for most; on a line that is paid for a dead one must be known sooner, and
# what was given up wrongly is tried again.  Not so the acceptance of a message: who gives that up sends it twice.
_PATIENCE = {
    CONNECT: (15, 10),      # TCP repeats its SYN after 1, 3, 7 and 15 seconds
    TLS: (30, 10),
    "reply": (60, 10),
    "acceptance": (600, 10),
}


class Line(Value):
    """`rates` in bit/s, up and down, and `round_trip` in seconds: 0 where it is not known."""

    __slots__ = ("rates", "round_trip")
    defaults = {"rates": (0, 0), "round_trip": 0.0}

    @property
    def window_up(self):
        """Octets that may be under way to a provider: four times what the line holds."""
        return self._window(self.rates[0])

    @property
    def window_down(self):
        """The same from a provider."""
        return self._window(self.rates[1])

    def _window(self, rate):
        return max(_LEAST_WINDOW, round(4 * rate / 8 * self.round_trip))

    def patience(self, awaited):
        """For how many seconds nothing may come of what is awaited."""
        seconds, round_trips = _PATIENCE[awaited]
        return seconds + round_trips * (self.round_trip or _WORST_ROUND_TRIP)

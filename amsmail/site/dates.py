"""Dates as mail writes them (RFC 5322, section 3.3).  `email.utils` would cost 18 ms of a server's start."""

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def rfc5322(seconds):
    """A time in seconds since the epoch as date-time in local time, English whatever the locale."""
    t = time.localtime(seconds)
    sign, offset = ("-" if t.tm_gmtoff < 0 else "+"), abs(t.tm_gmtoff) // 60
    return (f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year} "
            f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} {sign}{offset // 60:02}{offset % 60:02}")

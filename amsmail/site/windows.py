"""Windows: when calls over a link are allowed.

Times are those of the clock on the wall, in the machine's time zone, and a window is a set of its minutes.  Where the
clock is put back, the minutes that come twice are open twice; where it is put forward, those left out are not there to
be open: of a window that lies wholly among them nothing is left on that day, and the next time it is as always.
"""

import re
import time
from datetime import datetime, timedelta, timezone
from itertools import combinations, pairwise, takewhile

from amsmail.site import libraries
from amsmail.wire.value import Value

_MINUTE, _DAY = 60, 86400                       # seconds
_HORIZON = 5 * 366 * _DAY                       # seconds: what does not happen within five years never does
_NEVER = float("inf")                           # as a day
_EPOCH = datetime(1970, 1, 1)
_SINCE = (datetime(2024, 1, 1) - _EPOCH).days   # a Monday
_CALENDAR = 28 * 366                            # days: until 2099, dates have the same days of the week after 28 years

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIME = r"([01]?[0-9]|2[0-3]):([0-5][0-9])|(24):(00)"
_CRON = ("minute", "hour", "day of the month", "month", "day of the week")
_EXPECTED = ("windows such as 22:00-06:00, Mon-Fri 08:00-09:30,12:00-13:00 or the cron expression */10 * * * *, "
             "with ; between them")


def parse(text):
    """The Windows that `text` describes; '' is always open.  Raises ValueError: what is expected, and (in parentheses)
    which part of the text is wrong.

    Between `;` stand times of day, START-END with commas between them, past midnight if END is not after START, and in
    front of them the days they start on, such as Mon-Fri or Sat,Sun, if not every day; or the five fields of a cron
    expression, whose minutes are open (day of month and day of week as in Debian's cron).
    """
    parts = [part.strip() for part in text.split(";")] if text.strip() else ["00:00-24:00"]
    try:
        return Windows([window for part in parts for window in _windows(part)])
    except ValueError as error:
        raise ValueError(f"{_EXPECTED} ({error})") from None


class Windows:
    """Several windows.  Moments are aware datetimes; one without a time zone is local time."""

    def __init__(self, windows):
        self._windows = windows

    def is_open(self, when):
        """Whether calls are allowed at this moment."""
        return self.opens(when) == when

    def opens(self, when):
        """The next moment when calls are allowed, in local time: `when` itself if they are; None if never within five
        years."""
        return self._next(when, is_open=True)

    def closes(self, when):
        """The next moment when calls are not allowed, in local time: `when` itself if they are not; None if they are
        for the next five years."""
        return self._next(when, is_open=False)

    def problems(self):
        """What makes no sense, a line for each, for a person: a window that never opens, and two that overlap."""
        never = [f"{window.text!r} never opens" for window in self._windows if window.next_day(_SINCE) == _NEVER]
        pairs = [(a, b, _meeting(a, b)) for a, b in combinations(self._windows, 2)]
        return never + [f"{a.text!r} and {b.text!r} overlap, for instance on {_shown(moment)}"
                        for a, b, moment in pairs if moment is not None]

    def _next(self, when, is_open):
        """Goes from `when` to the next moment that is open, or is not, through stretches that end with the day or where
        the clock is put forward or back."""
        start = at = int(when.timestamp() // 1)
        while at < start + _HORIZON:
            offset = _offset(at)
            day, second = divmod(at + offset, _DAY)
            found = _next_second(self._spans(day), second, is_open)
            end = at + found - second
            if _offset(end) != offset:
                at = _change(at, end)
            elif found < _DAY:
                return when if end == start else datetime.fromtimestamp(end, timezone.utc).astimezone()
            else:
                at = end
        return None

    def _spans(self, day):
        """(first second, second behind the last) of all that is open on a day, sorted; also what began a day before."""
        return sorted((start - before * _DAY, end - before * _DAY)
                      for window in self._windows for before in (1, 0)
                      if window.spans[-1][1] > before * _DAY and window.next_day(day - before) == day - before
                      for start, end in window.spans)


class _Weekly(Value):
    """text: as it was written.  days: days of the week, Monday is 0.  spans: ((start, end),), in seconds from the
    midnight before the start."""

    __slots__ = ("text", "days", "spans")

    def next_day(self, day):
        """The first day, `day` or later, on which it opens.  Days are numbered from 1970-01-01."""
        return next(later for later in range(day, day + 7) if (later + 3) % 7 in self.days)


class _Cron:
    """The same of a cron expression.  The reading of it is cronsim's, which keeps to Debian's cron."""

    def __init__(self, text):
        cronsim = _cronsim()
        self.text = text
        fields = text.split()
        for at, field in enumerate(fields):
            try:
                cronsim.CronSim(" ".join([*"*" * at, field, *"*" * (4 - at)]), _EPOCH)
            except (cronsim.CronSimError, ValueError):      # ValueError: a number of thousands of digits
                raise ValueError(f"{field!r} is no {_CRON[at]} of a cron expression") from None
        self._dates = " ".join(["0 0", *fields[2:]])
        times = cronsim.CronSim(" ".join([*fields[:2], "* * *"]), _EPOCH - timedelta(seconds=1))
        self.spans = _joined((moment.hour * 60 + moment.minute) * _MINUTE
                             for moment in takewhile(lambda moment: moment < _EPOCH + timedelta(days=1), times))
        self._asked, self._answer = 0, -1           # no day yet

    def next_day(self, day):
        """The first day, `day` or later, on which it opens; _NEVER if there is none within fifty years."""
        if not self._asked <= day <= self._answer:  # days are asked for in a row: the answer is good for many
            self._asked, self._answer = day, self._search(day)
        return self._answer

    def _search(self, day):
        cronsim = _cronsim()
        try:
            found = next(cronsim.CronSim(self._dates, _EPOCH + timedelta(days=day, seconds=-1)), None)
        except cronsim.CronSimError:                # no month has such a day: each field alone was right
            found = None
        return (found - _EPOCH).days if found else _NEVER


def _cronsim():
    """Imported on demand: only who writes cron expressions pays for it, 20 ms of a start."""
    libraries.reach()
    import cronsim
    return cronsim


def _windows(part):
    if ":" in part:
        return _weekly(part)
    if len(part.split()) == len(_CRON):
        return [_Cron(part)]
    raise ValueError(f"{part!r} is neither times of day nor the five fields of a cron expression")


def _weekly(part):
    words = re.sub(r"\s*([,-])\s*", r"\1", part).split()
    if len(words) > 2:
        raise ValueError(f"{part!r} is more than days and times")
    *days, times = words
    on = frozenset(range(7))
    if days:
        on = frozenset(day for each in days[0].split(",") for day in _weekdays(each))
    return [_Weekly(" ".join([*days, span]), on, (_span(span),)) for span in times.split(",")]


def _weekdays(text):
    ends = [name.capitalize() for name in text.split("-")]
    if len(ends) > 2 or not set(ends) <= set(_DAYS):
        raise ValueError(f"{text!r} is no day of Mon to Sun, nor days such as Mon-Fri")
    first, last = _DAYS.index(ends[0]), _DAYS.index(ends[-1])
    return [day % 7 for day in range(first, first + (last - first) % 7 + 1)]


def _span(text):
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no span such as 22:00-06:00")
    first, last = _second(start), _second(end)
    if first in (last, _DAY):
        raise ValueError(f"{text!r} starts where it ends, or the day does; the whole day is 00:00-24:00")
    return first, last if last > first else last + _DAY


def _second(text):
    match = re.fullmatch(_TIME, text)
    if not match:
        raise ValueError(f"{text!r} is no time of day of 00:00 to 24:00")
    hour, minute = filter(None, match.groups())
    return (int(hour) * 60 + int(minute)) * _MINUTE


def _joined(minutes):
    """Spans, in seconds, of minutes in ascending order, each given by its first second."""
    spans = []
    for start in minutes:
        first = spans.pop()[0] if spans and spans[-1][1] == start else start
        spans.append((first, start + _MINUTE))
    return tuple(spans)


def _next_second(spans, second, is_open):
    """The first second of a day, `second` or later, that is open (or is not): _DAY, or more, if there is none."""
    if is_open:
        return min((max(start, second) for start, end in spans if end > second), default=_DAY)
    for start, end in spans:
        if start <= second < end:
            second = end
    return min(second, _DAY)


def _offset(at):
    """Seconds by which local time is ahead of UTC at a time since the epoch."""
    return time.localtime(at).tm_gmtoff


def _change(before, after):
    """The first second with another offset than `before`; `after` is one."""
    offset = _offset(before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(middle) == offset else (before, middle)
    return after


def _meeting(a, b):
    """A moment when two windows are both open, in seconds of wall clock time since 1970; None if there is none."""
    moments = (_common(a, b, days_later) for days_later in (-1, 0, 1))
    return min((moment for moment in moments if moment is not None), default=None)


def _common(a, b, days_later):
    """The same, with windows of `b` that start so many days later than those of `a`."""
    moved = [(start + days_later * _DAY, end + days_later * _DAY) for start, end in b.spans]
    # The spans of one window are apart: so, where any two overlap, two do that are next to each other in this order.
    second = next((later for (_, end), (later, _) in pairwise(sorted([*a.spans, *moved])) if later < end), None)
    day = _SINCE if second is not None else _NEVER
    while day < _SINCE + _CALENDAR:
        of_a = a.next_day(day)
        if of_a == _NEVER:
            break
        day = b.next_day(of_a + days_later) - days_later
        if day == of_a:
            return day * _DAY + second
    return None


def _shown(moment):
    day, second = divmod(moment, _DAY)
    return f"{_DAYS[(day + 3) % 7]} {_EPOCH + timedelta(days=day, seconds=second):%Y-%m-%d at %H:%M}"

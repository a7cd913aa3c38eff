"""Calls that failed: a link over which they brought nothing rests before it is paid for again, or another link has its
turn meanwhile."""

from amsmail.site.figures import figure

_FIRST_REST, _LONGEST_REST = 600, 3600      # seconds; doubled with each failure
TRIAL = "trial: "       # what the outcome of a trial call begins with
_WENT_WELL = ("ok", f"{TRIAL}ok")
_LOGIN = 20_000         # octets: more than a session takes that carries no mail


def rests_until(calls, link, now):
    """(when a link of this name may be used again, in seconds since the epoch, after how many calls that failed in a
    row), (0, 0) if it may be used now.  `calls` are those of the ledger, oldest first."""
    failed = []
    for call in reversed(calls):
        if isinstance(call, dict) and call.get("link") == link:
            if not _has_failed(call):
                break
            failed.append(call)
    if not failed or not figure(failed[0], "start") <= now:         # a clock that was put back must not stop the mail
        return 0, 0
    rest = min(_FIRST_REST * 2 ** min(len(failed) - 1, 10), _LONGEST_REST)
    until = min(figure(failed[0], "start") + figure(failed[0], "seconds"), now) + rest
    return (until, len(failed)) if until > now else (0, 0)


def _has_failed(call):
    """Whether a call was paid for and carried nothing.  What was cut off in the middle of a large message carried a
    part of it."""
    carried = sum(figure(call, key) for key in ("messages_out", "messages_in", "refused"))
    octets = figure(call, "bytes_up") + figure(call, "bytes_down")
    return call.get("outcome") not in _WENT_WELL and figure(call, "seconds") > 0 and not carried and octets < _LOGIN

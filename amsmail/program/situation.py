"""mailcheck --plan and --status: what would be done now and why, and how things stand.  Nothing is dialled."""

import time

from amsmail.link import ledger
from amsmail.program import held as held_mail
from amsmail.program.queue import rows, summary
from amsmail.program.run import Run
from amsmail.program.screen import Screen, tell
from amsmail.site import budget, exits
from amsmail.site.figures import figure
from amsmail.site.words import counted, in_octets

_LAST_CALLS = 5


def plan(path, everything):
    """Prints what a mailcheck would do now, for the mail.cfg at `path`, and gives the exit code.  Raises as Run
    does."""
    run = Run(path, Screen(False), everything)
    _tell_plan(run, _calls(run))
    return exits.OK


def status(path):
    """Prints how things stand, for the mail.cfg at `path`, and gives the exit code.  Raises as Run does."""
    run = Run(path, Screen(False))
    calls = _calls(run)
    tell(f"Queue: {summary(rows(run.spool, time.time()))}.")
    tell(*held_mail.lines(run.spool))
    tell(f"Calls: {len(calls)} on record" + (", the last:" if calls else "."))
    tell(*("  " + _line(call) for call in calls[-_LAST_CALLS:]))
    tell(*(f"Budget of {link}: {budget.in_words(standing)}." for link, standing in run.budgets(calls)))
    tell("Now:")
    _tell_plan(run, calls)
    return exits.OK


def _calls(run):
    """The calls of the ledger, oldest first.  Raises OSError."""
    return ledger.read(run.spool.state("ledger.jsonl"))


# The plan

def _tell_plan(run, calls):
    """What a Run would do, after `calls`, those of the ledger."""
    _tell_of_the_ledger(calls, time.time())
    todo = run.plan()
    if not todo.calls:
        tell(f"No call: {todo.why_none}.")
    for number, call in enumerate(todo.calls):
        tell(f"{'Then a call' if number else 'Call'} over {call.link}: {call.why}.")
        tell(f"  sends {counted(len(call.messages), 'message')}, {in_octets(call.octets)}, of {len(todo.items)} due")
        tell(f"  fetches from {', '.join(call.accounts) or 'no account'}"
             + ("" if call.octets_in is None or not call.accounts else f", {in_octets(call.octets_in)} at most"))
        tell(f"  lasts {call.allowance.seconds} s at most, limited by {call.allowance.limit}")
    for verdict in todo.verdicts:
        tell(f"Link {verdict.link}: {verdict.why_not or _may(verdict)}.")
        if verdict.opens and not verdict.why_not:
            tell(f"  its window opens {verdict.opens:%a %H:%M}; until then it carries urgent mail only")
    _tell_what_waits(todo)
    if todo.is_taken:
        tell("The queue is being picked up by POP3 now: what waits in it is not looked at.")
    else:
        _tell_of_others(rows(run.spool, time.time()), {item.uid for item in todo.items})


def _tell_of_the_ledger(calls, now):
    """What in the ledger a person should know before the plan: a call that did not end, and a date that cannot be."""
    for call in calls:
        if call.get("outcome") == ledger.UNDER_WAY:
            tell(f"A call over {call.get('link')} has begun and not ended: {_time(call)}.")
    last = max(calls, key=lambda call: figure(call, "start"), default={})
    if figure(last, "start") > now:
        tell(f"A call over {last.get('link')} is dated {_time(last)}, which is still to come: the clock was wrong "
             "then, or is wrong now.")


def _tell_what_waits(todo):
    """What waits, and why, for each link; once for all that wait for the same reasons."""
    waiting = {}
    for item in todo.items:
        if item.uid not in todo.goes:
            reasons = tuple(f"  {verdict.link}: {verdict.waits.get(item.uid, verdict.why_not)}"
                            for verdict in todo.verdicts)
            waiting.setdefault(reasons, []).append(
                f"Message {item.uid} waits, {in_octets(item.size)}{', urgent' if item.is_urgent else ''}:")
    for reasons, messages in waiting.items():
        tell(*messages, *reasons)


def _tell_of_others(waiting, planned):
    """How many messages wait that are not to be sent now, whatever the links are, and for what; `waiting` as rows()
    gives it, `planned` the identities of those that the plan is about."""
    others = [row for row in waiting if row["id"] not in planned]
    held, damaged = (sum(bool(row.get(key)) for row in others) for key in ("held", "problem"))
    later = sum(bool(row.get("next")) for row in others)
    counts = [f"{count} {what}" for count, what in (
        (later, f"for {'its' if later == 1 else 'their'} next try"), (held, "held"), (damaged, "damaged")) if count]
    if counts:
        number = held + damaged + later
        tell(f"{number} more {'waits' if number == 1 else 'wait'}: {', '.join(counts)}.")


def _may(verdict):
    """What a Verdict by which a call may be made says of its link."""
    if not verdict.carries:
        return "may be used; it would fetch"
    cost = f", for about {verdict.cost} {verdict.currency}" if verdict.cost else ""
    return f"may be used; it would carry {counted(len(verdict.carries), 'message')}{cost}"


# A call of the ledger, which a person may have written

def _time(call):
    """When it began, by local time."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(call["start"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return "(no date)"


def _line(call):
    """All of it on one line."""
    cost = f", {call['cost']} {call.get('currency', '')}" if call.get("cost") else ""
    return (f"{_time(call)} {call.get('link', '?')}: {call.get('seconds', 0)} s, {call.get('messages_out', 0)} out, "
            f"{call.get('messages_in', 0)} in{cost}; {call.get('outcome', '?')}")

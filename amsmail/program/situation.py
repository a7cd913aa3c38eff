"""mailcheck --plan and --status: what would be done now and why, and how things stand.  Nothing is dialled."""

import os
import time

from amsmail.link import ledger
from amsmail.program import exits, held as held_mail
from amsmail.program.queue import rows
from amsmail.program.run import Run
from amsmail.program.screen import Screen, tell
from amsmail.site import config
from amsmail.transport.waiting import in_octets

_LAST_CALLS = 5


def plan(path, everything):
    """Prints what a mailcheck would do now, for the mail.cfg at `path`, and gives the exit code.  Raises as Run
    does."""
    run = Run(path, Screen(False), everything)
    for _, call in ledger.under_way(run.spool.state("ledger.jsonl")):
        print(f"A call over {call.get('link')} has begun and not ended: {_time(call)}.")
    todo = run.plan()
    if not todo.calls:
        print(f"No call: {todo.why_none}.")
    for number, call in enumerate(todo.calls):
        print(f"{'Then a call' if number else 'Call'} over {call.link}: {call.why}.")
        print(f"  sends {len(call.messages)} of {len(todo.items)} messages that are due, {in_octets(call.octets)}")
        print(f"  fetches from {', '.join(call.accounts) or 'no account'}"
              + ("" if call.octets_in is None or not call.accounts else f", {in_octets(call.octets_in)} at most"))
        print(f"  takes at most {call.allowance.seconds} s, because of {call.allowance.limit}")
    for verdict in todo.verdicts:
        print(f"Link {verdict.link}: {verdict.why_not or _may(verdict)}.")
        if verdict.opens:
            print(f"  calls are allowed from {verdict.opens:%a %Y-%m-%d %H:%M}")
    _print_waiting(todo)
    if todo.is_taken:
        print("The queue is being picked up by POP3 now: what waits in it is not looked at.")
    return exits.OK


def _print_waiting(todo):
    """What waits, and why, for each link; once for all that wait for the same reasons."""
    waiting = {}
    for item in todo.items:
        if item.uid not in todo.goes:
            reasons = tuple(f"  {verdict.link}: {verdict.waits.get(item.uid, verdict.why_not)}"
                            for verdict in todo.verdicts)
            waiting.setdefault(reasons, []).append(
                f"Message {item.uid} waits, {in_octets(item.size)}{', urgent' if item.is_urgent else ''}:")
    for reasons, messages in waiting.items():
        print(*messages, *reasons, sep="\n")


def _may(verdict):
    cost = f", for about {verdict.cost} {verdict.currency}" if verdict.cost else ""
    return f"may be used; it would carry {len(verdict.carries)} messages{cost}"


def status(path, _everything):
    """Prints how things stand, for the mail.cfg at `path`, and gives the exit code.  Raises as Run does."""
    run = Run(path, Screen(False))
    waiting = rows(run.spool, time.time())
    held = [row for row in waiting if row.get("held")]
    octets = sum(row.get("octets", 0) for row in waiting)
    tell(f"Queue: {len(waiting)} messages, {in_octets(octets)}; {len(held)} of them held.")
    tell(*held_mail.lines(run.spool))
    calls = ledger.read(os.path.join(config.load(path).spool, "state", "ledger.jsonl"))
    tell(f"Calls: {len(calls)} on record" + (", the last:" if calls else "."))
    tell(*("  " + _line(call) for call in calls[-_LAST_CALLS:]))
    tell("Now:")
    return plan(path, False)


def _time(call):
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(call["start"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return "(no date)"


def _line(call):
    """A call of the ledger, which a person may have written, on one line."""
    when = _time(call)
    cost = f", {call['cost']} {call.get('currency', '')}" if call.get("cost") else ""
    return (f"{when} {call.get('link', '?')}: {call.get('seconds', 0)} s, {call.get('messages_out', 0)} out, "
            f"{call.get('messages_in', 0)} in{cost}; {call.get('outcome', '?')}")

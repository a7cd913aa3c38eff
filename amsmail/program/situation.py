"""mailcheck --plan and --status: what would be done now and why, and how things stand.  Nothing is dialled."""

import os
import time

from amsmail.link import ledger
from amsmail.program import exits, held as held_mail
from amsmail.program.queue import rows
from amsmail.program.run import Run
from amsmail.program.screen import Screen
from amsmail.site import config
from amsmail.transport.waiting import in_octets

_LAST_CALLS = 5


def plan(path, everything):
    """Prints what a mailcheck would do now, for the mail.cfg at `path`, and gives the exit code.  Raises as Run does."""
    todo = Run(path, Screen(False), everything).plan()
    if todo.is_empty:
        print(f"No call: {todo.why}.")
    else:
        print(f"Call over {todo.link}: {todo.why}.")
        print(f"  sends {len(todo.messages)} of {len(todo.items)} messages that are due, {in_octets(todo.octets)}")
        print(f"  fetches from {', '.join(todo.accounts) or 'no account'}"
              + (f", messages of up to {in_octets(todo.message_in)}" if todo.message_in else ""))
        print(f"  takes at most {todo.seconds} s, because of {todo.limit}")
    for verdict in todo.verdicts:
        print(f"Link {verdict.link}: {verdict.why_not or _may(verdict)}.")
        if verdict.opens:
            print(f"  calls are allowed from {verdict.opens:%a %Y-%m-%d %H:%M}")
    chosen = next((verdict for verdict in todo.verdicts if verdict.link == todo.link), None)
    for uid, why in (chosen.waits if chosen else {}).items():
        print(f"Message {uid} waits: {why}.")
    return exits.OK


def _may(verdict):
    cost = f", for about {verdict.cost} {verdict.currency}" if verdict.cost else ""
    return f"may be used; it would carry {len(verdict.carries)} messages{cost}"


def status(path, _everything):
    """Prints how things stand, for the mail.cfg at `path`, and gives the exit code.  Raises as Run does."""
    run = Run(path, Screen(False))
    waiting = rows(run.spool, time.time())
    held = [row for row in waiting if row.get("held")]
    octets = sum(row.get("octets", 0) for row in waiting)
    print(f"Queue: {len(waiting)} messages, {in_octets(octets)}; {len(held)} of them held.")
    print(*held_mail.lines(run.spool), sep="\n")
    calls = ledger.read(os.path.join(config.load(path).spool, "state", "ledger.jsonl"))
    print(f"Calls: {len(calls)} on record" + (", the last:" if calls else "."))
    for call in calls[-_LAST_CALLS:]:
        print("  " + _line(call))
    print("Now:")
    return plan(path, False)


def _line(call):
    """A call of the ledger, which a person may have written, on one line."""
    try:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(call["start"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        when = "(no date)"
    cost = f", {call['cost']} {call.get('currency', '')}" if call.get("cost") else ""
    return (f"{when} {call.get('link', '?')}: {call.get('seconds', 0)} s, {call.get('messages_out', 0)} out, "
            f"{call.get('messages_in', 0)} in{cost}; {call.get('outcome', '?')}")

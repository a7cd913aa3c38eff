"""mailcheck queue: what waits in the outbound queue, and what a person decides about it.  See docs/mailcheck.8."""

import json
import os
import sys
import textwrap
import time

from amsmail.program import options
from amsmail.program.ending import ended
from amsmail.program.opening import open_site
from amsmail.program.options import UsageError
from amsmail.program.screen import tell
from amsmail.site import exits, libraries
from amsmail.site.config import DEFAULT_PATH
from amsmail.site.words import counted, in_octets, in_words
from amsmail.store.delivery import recover
from amsmail.store.locks import Busy
from amsmail.store.queue import BY_OPERATOR, TOO_LARGE, WARNED, Queue
from amsmail.transport import outsized, waiting
from amsmail.wire.envelope import EnvelopeError
from amsmail.wire.text import printable

USAGE = """usage: mailcheck queue [list] [--json] [--config mail.cfg]
       mailcheck queue hold|release|expire ID [ID...] [--config mail.cfg]
       mailcheck queue delete [--yes] ID [ID...] [--config mail.cfg]
list      what waits, oldest first; --json for machines
hold      keep a message and do not send it until it is released
release   send it with the next call that can
expire    give it up and tell its sender
delete    remove it and tell nobody; --yes without asking
ID        the identity that list shows, or as much of its beginning as only one message has"""

_HELD = {BY_OPERATOR: "operator", TOO_LARGE: "too-large", "": None}
_HELD_WORDS = {"operator": "held by the operator", "too-large": "held: waits for a link that carries its size"}
_COLUMNS = 79


class WrongIdentity(Exception):
    """An ID of the command line that no message has, or more than one; the text says which."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs `mailcheck queue` with what follows these words; gives the exit code."""
    libraries.reach()
    try:
        return ended("mailcheck", lambda: _run(arguments, default_config), "mailcheck queue")
    except WrongIdentity as error:
        print(f"mailcheck: {error}\nNothing was changed.", file=sys.stderr)
        return exits.USAGE
    except Busy:
        print("mailcheck: the queue is in use: mail is being sent, or picked up by POP3.\n"
              "Nothing was changed; try again when that is over.", file=sys.stderr)
        return exits.TEMPFAIL


def _run(arguments, default_config):
    """Runs one verb; gives the exit code.  Raises UsageError, WrongIdentity, Busy, ConfigError, SpoolError, OSError."""
    flags, pairs, words = options.parse(USAGE, arguments, ("--json", "--yes"), ("--config",))
    verb = words.pop(0) if words else "list"
    if verb not in _VERBS:
        raise UsageError(f"expected {', '.join(_VERBS)}, found {verb}")
    run, its_flags, wants_ids = _VERBS[verb]
    if surplus := sorted(flags - its_flags):
        raise UsageError(f"{surplus[0]} is of no use with {verb}")
    if bool(words) != wants_ids:
        raise UsageError(f"{verb} needs the ID of a message" if wants_ids else f"{verb} takes no {words[0]}")
    path = os.path.abspath(options.once(pairs).get("--config", default_config))
    return run(_Desk(path), flags, words)


class _Desk:
    """The queue of a site as its operator has it before him.  Raises ConfigError, SpoolError and OSError."""

    def __init__(self, config_path):
        self.site, self.spool, self.log = open_site(config_path)
        self.queue = Queue(self.spool)
        self.now = time.time()
        recover(self.spool)

    def find(self, beginnings):
        """The Entry of each message whose identity begins so.  Raises WrongIdentity if for one of them there is not
        exactly one message: then nothing is done for the others either."""
        entries = self.queue.list()
        found, problems = {}, []
        for beginning in beginnings:
            fitting = [entry for entry in entries if beginning and entry.uid.startswith(beginning)]
            exact = [entry for entry in fitting if entry.uid == beginning]
            for entry in (exact or fitting)[:1]:
                found[entry.uid] = entry
            if not fitting:
                problems.append(f"no message in the queue has an identity that begins with {printable(beginning)}")
            elif not exact and len(fitting) > 1:
                problems.append("\n  ".join([f"{len(fitting)} messages have an identity that begins with {beginning}:",
                                             *(entry.uid for entry in fitting)]))
        if problems:
            raise WrongIdentity("\n".join(problems))
        return list(found.values())

    def may_be_held(self, entry):
        """Whether a message is so large that a run may hold it, which a person's word prevents."""
        try:
            return outsized.holds(self.site, self.queue.read(entry))
        except EnvelopeError:
            return False        # what is damaged is never sent

    def lock(self):
        """Takes the queue's lock.  Raises Busy."""
        return self.spool.lock("queue")

    def done(self, entry, event, words):
        """Says and logs what was done with a message."""
        tell(f"{entry.uid}: {words}")
        self.log(f"queue-{event}", id=entry.uid, by="operator")


# The verbs

def _list(desk, flags, _words):
    found = rows(desk.spool, desk.now)
    if "--json" in flags:
        print(json.dumps(found, indent=1))
        return exits.OK
    for row in found:
        tell(*_lines(row, desk.now))
    tell(summary(found) if found else "The queue is empty.")
    return exits.OK


def _hold(desk, _flags, words):
    with desk.lock():
        for entry in desk.find(words):
            desk.queue.hold(entry, BY_OPERATOR)
            desk.done(entry, "held", "held")
    return exits.OK


def _release(desk, _flags, words):
    with desk.lock():
        sendable = {entry.uid for entry in desk.queue.sendable()}
        for entry in desk.find(words):
            if entry.uid in sendable and not desk.may_be_held(entry):
                tell(f"{entry.uid}: was not held")
                continue
            desk.queue.release(entry, desk.now, freed=True)
            desk.done(entry, "released", "released")
    return exits.OK


def _expire(desk, _flags, words):
    with desk.lock():
        try:
            chosen = [desk.queue.read(entry) for entry in desk.find(words)]
        except EnvelopeError as error:
            raise WrongIdentity(f"a damaged message has no sender to tell; delete removes it: {error}") from error
        for queued in chosen:
            notice = waiting.expire(desk.site, desk.spool, desk.log, queued, desk.now, "The operator gave it up")
            desk.done(queued.entry, "expired", "given up, and told" if notice else "given up, nobody wants to know")
    return exits.OK


def _delete(desk, flags, words):
    chosen = desk.find(words)
    if "--yes" not in flags and sys.stdin.isatty() and not _agreed(chosen):
        print("Nothing was deleted.")
        return exits.OK
    with desk.lock():       # not while somebody thinks about the question
        for entry in desk.find([entry.uid for entry in chosen]):
            desk.queue.remove(entry)
            desk.done(entry, "deleted", "deleted, nobody was told")
    return exits.OK


def _agreed(entries):
    """Whether the person at the terminal wants these messages deleted; the end of input and Ctrl-C are a no."""
    for entry in entries:
        print(entry.uid)
    try:
        answer = input("Delete for good, and tell no sender? [y/N] ")
    except (EOFError, KeyboardInterrupt):
        print()
        return False
    return answer.strip().lower() in ("y", "yes")


# verb: (what it does, the flags it knows, whether it wants IDs)
_VERBS = {
    "list": (_list, {"--json"}, False),
    "hold": (_hold, set(), True),
    "release": (_release, set(), True),
    "delete": (_delete, {"--yes"}, True),
    "expire": (_expire, set(), True),
}


# What the queue looks like

def rows(spool, now):
    """What is in the queue, oldest first, as dicts of plain values: `id`, `arrival` and `next` try (seconds since the
    epoch, `next` None where nothing holds it back), `age` (seconds), `octets`, `sender`, `waiting` (recipients),
    `attempts`, `held` (None, 'operator', 'too-large'), `warned`, `last` answer; of a damaged one `id` and `problem`.

    Needs no lock; what is sent meanwhile is left out.  Raises OSError if the queue cannot be listed."""
    queue = Queue(spool)
    found = []
    for entry in queue.list():
        try:
            found.append(_row(queue.read(entry), queue.tries(entry), now))
        except FileNotFoundError:
            continue
        except (OSError, EnvelopeError) as error:
            found.append({"id": entry.uid, "problem": str(error)})
    return found


def summary(found):
    """What the messages of `rows` come to, in words."""
    held = sum(bool(row.get("held")) for row in found)
    octets = in_octets(sum(row.get("octets", 0) for row in found))
    return f"{counted(len(found), 'message')}, {octets}" + (f"; {held} of them held" if held else "")


def _row(queued, tries, now):
    envelope = queued.envelope
    return {
        "id": queued.entry.uid,
        "arrival": envelope.arrival,
        "age": max(int(now - envelope.arrival), 0),
        "octets": queued.size,
        "sender": str(envelope.sender or ""),
        "waiting": [str(recipient.address) for _, recipient in queued.waiting],
        "attempts": tries.count,
        "next": None if queued.held or tries.is_due(now) else tries.next,
        "held": _HELD[queued.held],
        "warned": WARNED in queued.flags,
        "last": tries.last,
    }


def _lines(row, now):
    """A message of `rows` for a person: the identity, and what is known of it indented below."""
    if "problem" in row:
        return [row["id"], *_wrapped(f"damaged, and never sent: {row['problem']}")]
    attempts = counted(row["attempts"], "attempt")
    state = _HELD_WORDS.get(row["held"]) or (
        f"next in {in_words(row['next'] - now)}" if row["next"] else "due")
    told = ["its sender was told that it waits"] if row["warned"] else []
    return [
        row["id"],
        *_wrapped(f"{in_words(row['age'])} old, {in_octets(row['octets'])}, from <{row['sender']}>"),
        *[line for address in row["waiting"] for line in _wrapped(f"to <{address}>")],
        *_wrapped(", ".join([attempts, state, *told])),
        *(_wrapped(f"last answer: {row['last']}") if row["last"] else []),
    ]


def _wrapped(text):
    return textwrap.wrap(text, _COLUMNS, initial_indent="    ", subsequent_indent="      ",
                         break_long_words=False, break_on_hyphens=False)

"""mailcheck --release ID and --delete ID: the operator decides on mail that is held at a provider."""

import sys

from amsmail.program.opening import open_site
from amsmail.site import exits
from amsmail.site.words import counted, in_octets
from amsmail.store.held import DELETE, HELD, RELEASED, HeldMail
from amsmail.transport import decisions

_STATES = {"--release": (RELEASED, "released: it is fetched with the next call"),
           "--delete": (DELETE, "it is deleted at the provider with the next call")}
_WORDS = {HELD: "waits for a decision", RELEASED: "released, comes with the next call",
          DELETE: "is deleted with the next call"}


def decide(path, choices):
    """Does what `choices` say, (option, ID) each, for the mail.cfg at `path`, and gives the exit code.  An ID is the
    identity of a held message, or as much of its beginning as only one has; where one of them is wrong nothing is done.
    Raises ConfigError, SpoolError and OSError."""
    _, spool, log = open_site(path)
    messages = HeldMail(spool).list()
    found = [(option, identity, [message for message in messages if identity and message.id.startswith(identity)])
             for option, identity in choices]
    wrong = list(_problems(found))
    if wrong:
        print(*(f"mailcheck: {problem}" for problem in wrong), "Nothing was changed.", sep="\n", file=sys.stderr)
        return exits.USAGE
    for option, _, (message,) in found:
        state, words = _STATES[option]
        decisions.decide(spool, log, message, state, decisions.OPERATOR)
        print(f"{message.id}: {words}")
    return exits.OK


def _problems(found):
    """Why what was asked for cannot be done; `found` are (option, ID, the HeldMessages whose identities begin so)."""
    options = {}
    for option, identity, fitting in found:
        if len(fitting) != 1:
            yield f"{len(fitting) or 'no'} held messages have an identity that begins with {identity!r}"
        elif options.setdefault(fitting[0].id, option) != option:
            yield f"{fitting[0].id} can be released or deleted, not both"


def lines(spool):
    """What is held, for a person: a line for all, and two for each.  Raises OSError."""
    messages = HeldMail(spool).list()
    octets = in_octets(sum(message.octets for message in messages))
    yield f"Held at providers: {counted(len(messages), 'message')}, {octets}{':' if messages else '.'}"
    for message in messages:
        yield (f"  {message.id} {in_octets(message.octets)} for box {message.box} in account {message.account}, "
               f"{_WORDS[message.state]}")
        yield f"      from {message.sender or 'not known'}: {message.subject or 'not known'}"

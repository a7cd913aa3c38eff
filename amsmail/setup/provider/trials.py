"""Trials of the relay and of accounts, many at once, also of what is not in mail.cfg yet."""

import time
from queue import Empty, SimpleQueue
from threading import Thread

from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider import trial
from amsmail.site import exits
from amsmail.site.values import CHECKS
from amsmail.transport.call import Call
from amsmail.transport.result import PERMANENT, TEMPORARY
from amsmail.wire.value import Value

RELAY = "relay"         # whose trial is that of [relay]; accounts are called "account NAME"
_CONVERTED = ("port", "fingerprint")
# Seconds for all of it, since a person waits: the silence that a call bears begins anew with every octet.  More than
# that silence (80 for a reply), so that mostly it is silence that is told.
_IN_ALL = 120
_TOO_SLOW = "It was not done within {seconds} s, and so it was broken off: the server or the line is very slow."
# By Outcome.failure: what is said of it at first and in the end, and the exit code, the worst first.
_VERDICTS = {
    PERMANENT: ("DOES NOT WORK", "That does not mend itself: mail.cfg, or something at the provider, has to change.",
                exits.UNAVAILABLE),
    TEMPORARY: ("DOES NOT WORK NOW", "That may be only for now: try again later. If it stays so, look at host, port "
                "and tls, and ask the provider.", exits.TEMPFAIL),
    "": ("works", "", exits.OK),
}


class Candidate(Value):
    """As much of a config.Site as a trial looks at."""

    __slots__ = ("hostname", "relay", "accounts")


def candidate(draft):
    """The Candidate that a Draft would make, whose values may be checked one by one only."""
    return Candidate(draft.value(("site", "hostname")), _settings(draft, FORMS["relay"]), {
        name: _settings(draft, FORMS["account"], name) for name in draft.names("accounts")})


def _settings(draft, form, name=""):
    found = {question.key: draft.value(form.keys(name, question.key)) or question.default
             for question in form.questions}
    return {**found, **{key: CHECKS[key](found[key]) for key in _CONVERTED}}


def all_names(site):
    """What there is to try: the relay, if there is one, and every account."""
    return [*([RELAY] if site.relay["host"] else []), *(f"account {name}" for name in site.accounts)]


def try_all(site, names):
    """{name: Outcome} of what all_names() names, all at the same time: so it takes as long as the slowest, and _IN_ALL
    at most.  `site` is a config.Site or a Candidate.  Who interrupts it does not wait for a server that says nothing.
    """
    call, outcomes = Call(), SimpleQueue()
    sessions = {name: _session(site, name, call) for name in names}
    for name, session in sessions.items():
        Thread(target=_run, args=(outcomes, name, session), daemon=True).start()
    until = time.monotonic() + _IN_ALL
    found = {}
    try:
        while len(found) < len(sessions):
            name, outcome, error = outcomes.get(timeout=max(0, until - time.monotonic()))
            if error:
                raise error
            found[name] = outcome
    except Empty:
        found.update({name: _late(session.outcome()) for name, session in sessions.items() if name not in found})
    finally:
        call.end()
    return {name: found[name] for name in names}


def _session(site, name, call):
    return trial.of_relay(site, call) if name == RELAY else trial.of_account(site, name.partition(" ")[2], call)


def _run(outcomes, name, session):
    """In a thread of its own: a name server that is silent cannot be broken off."""
    try:
        outcomes.put((name, session.run(), None))
    except Exception as error:
        outcomes.put((name, None, error))


def _late(found):
    """The Outcome where the time was up; one that came to its end just now is what it is."""
    return found if found.ok else found.but(lines=(*found.lines, _TOO_SLOW.format(seconds=_IN_ALL)))


def told(name, found):
    """The lines that tell a person of an Outcome."""
    verdict, advice, _ = _VERDICTS[found.failure]
    return [f"{name}: {verdict}", *(f"  {line}" for line in (*found.lines, advice) if line)]


def exit_code(found):
    """That of these Outcomes: whether all went well, and else whether something must change, or may work later."""
    kinds = {each.failure for each in found}
    return next((code for kind, (_, _, code) in _VERDICTS.items() if kind in kinds), exits.OK)

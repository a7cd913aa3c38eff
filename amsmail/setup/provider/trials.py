"""Trials of the relay and of accounts, many at once, also of what is not in mail.cfg yet."""

from queue import SimpleQueue
from threading import Thread

from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider.trial import try_account, try_relay
from amsmail.site.values import CHECKS
from amsmail.wire.value import Value

RELAY = "relay"         # whose trial is that of [relay]; accounts are called "account NAME"
_CONVERTED = ("port", "fingerprint")


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
    """{name: Trial} of what all_names() names, all at the same time: so it takes as long as the slowest.  `site` is a
    config.Site or a Candidate.  Who interrupts it does not wait for a server that says nothing."""
    outcomes = SimpleQueue()
    for name in names:
        Thread(target=_put, args=(outcomes, site, name), daemon=True).start()
    found = {}
    for name, trial, error in (outcomes.get() for _ in names):
        if error:
            raise error
        found[name] = trial
    return {name: found[name] for name in names}


def _put(outcomes, site, name):
    try:
        trial = try_relay(site) if name == RELAY else try_account(site, name.partition(" ")[2])
    except Exception as error:
        outcomes.put((name, None, error))
    else:
        outcomes.put((name, trial, None))


def told(name, trial):
    """The lines that tell a person of a Trial."""
    return [f"{name}: {'works' if trial.ok else 'DOES NOT WORK'}", *(f"  {line}" for line in trial.lines)]

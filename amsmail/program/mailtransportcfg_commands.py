"""What mailtransportcfg does on a command line."""

import json
import sys

from amsmail.program import nouns, options
from amsmail.program.nouns import Noun, Verb
from amsmail.program.options import UsageError
from amsmail.setup.accountstate import AccountDraft
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider import presets, trials
from amsmail.setup.provider.providers import Providers
from amsmail.site import config, exits
from amsmail.site.values import address_problem

_OF_AN_ADDRESS = ("user", "source", "needs_confirmation", "note")       # what an Offer says of one address only


class _NoServer(Exception):
    """There is none of a provider or an address that could be used; the message says why."""


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises UsageError, ConfigError and OSError."""
    try:
        if arguments[0] in _VERBS:
            return _VERBS[arguments[0]](arguments[1:], usage, default_config)
        return nouns.run(NOUNS, arguments, usage, default_config, AccountDraft)
    except _NoServer as error:
        print(error, file=sys.stderr)
        return exits.UNAVAILABLE


# What fills in the rest

def _fill_in(command, name=""):
    """Puts what --provider and --address say into the draft; what other options say is put over it.  Raises UsageError
    and _NoServer."""
    provider, address = command.given.get("--provider", ""), command.given.get("--address", "")
    if "--yes" in command.flags and not address:
        raise UsageError("--yes is of no use without --address: it says that the server which the DNS names may get "
                         "the password")
    if not provider and not address:
        return
    _check_address(address)
    offers = presets.offers_of(_provider_of(provider), address) if provider else _of_address(address)
    wanted = presets.services(command.form, command.values.get("type", ""))
    offer = presets.best(offers, wanted)
    if offer is None:
        notes = dict.fromkeys(each.note for each in offers if each.note)
        raise _NoServer("\n".join([f"{provider or address}: no {' or '.join(wanted)} there that takes a password",
                                   *notes]))
    if offer.needs_confirmation and "--yes" not in command.flags and "host" not in command.values:
        raise UsageError(f"{offer.host} is not in the domain of {address} ({offer.source}); if it may get the "
                         "password, say --yes")
    presets.put(command.draft, command.form, name, offer, () if address else ("user",))
    if offer.note:
        print(f"{offer.note[0].upper()}{offer.note[1:]}.")


def _provider_of(name):
    found = Providers().by_name(name)
    if found is None:
        raise UsageError(f"found the provider {name!r}; expected one of: "
                         f"{', '.join(each.name for each in Providers())}")
    return found


def _of_address(address):
    from amsmail.setup.provider.discover import discover      # on demand: dnspython
    found = discover(address)
    if not found.offers:
        raise _NoServer(f"{address}: {found.why}")
    return found.offers


def _check_address(text):
    if text and (expected := address_problem(text)):
        raise UsageError(f"found {text!r}; expected {expected}")


# Relay and accounts

def _relay_set(command):
    command.no_names()
    _fill_in(command)
    command.put()
    command.finish()


def _relay_remove(command):
    command.no_names()
    presets.clear(command.draft, command.form)
    command.finish(f"{command.draft.path}: there is no relay now; mail for others is refused")


def _account_add(command):
    name = command.one_name(is_there=False)
    command.draft.add(("accounts", name))
    _fill_in(command, name)
    box = presets.box_of(command.draft, command.given.get("--address", ""))
    if box and not {"box", "envelope"} & command.values.keys():
        command.values["box"] = box
    command.put(name)
    command.finish(f"{command.draft.path}: account {name} added")


def _account_delete(command):
    name = command.one_name()
    command.draft.drop(("accounts", name))
    command.finish(f"{command.draft.path}: account {name} deleted; what waits there stays there")


def _account_set(command):
    name = command.one_name()
    _fill_in(command, name)
    command.put(name)
    command.finish()


# Trials

def _relay_test(command):
    command.no_names()
    return _test(command, [trials.RELAY])


def _account_test(command):
    return _test(command, [f"account {command.one_name()}"] if command.names else None)


def _test(command, names):
    """Tries these, or all there is; gives the exit code."""
    site = config.load(command.draft.path)
    found = trials.try_all(site, trials.all_names(site) if names is None else names)
    if "--json" in command.flags:
        print(json.dumps({name: {"ok": outcome.ok, **{key: getattr(outcome, key) for key in outcome.__slots__}}
                          for name, outcome in found.items()}, indent=2))
    elif not found:
        print("There is neither a relay nor an account.")
    else:
        print(*(line for name, outcome in found.items() for line in trials.told(name, outcome)), sep="\n")
    return trials.exit_code(found.values())


# Providers

def _provider(arguments, usage, _default):
    flags, _, words = options.parse(usage, arguments, ("--json",))
    verb = words.pop(0) if words else "list"
    if verb not in ("list", "show") or len(words) != (verb == "show"):
        raise UsageError("provider: expected list, or show NAME")
    if verb == "list":
        found = {each.name: {"title": each.title, "domains": list(each.domains)} for each in Providers()}
        lines = [f"{name:14} {values['title']}" for name, values in found.items()]
    else:
        provider = _provider_of(words[0])
        offers = presets.offers_of(provider)
        found = {"name": provider.name, "title": provider.title, "domains": list(provider.domains),
                 "note": provider.note, "servers": [_figures(offer, with_user=False) for offer in offers]}
        lines = [f"{provider.title} ({provider.name})", *(_line(offer) for offer in offers),
                 *([f"  {provider.note}"] if provider.note else [])]
    print(json.dumps(found, indent=2) if "--json" in flags else "\n".join(lines))
    return exits.OK


def _figures(offer, with_user=True):
    keys = ("service", "host", "port", "tls", "passwords")
    return {key: getattr(offer, key) for key in (*keys, *(_OF_AN_ADDRESS if with_user else ()))}


def _line(offer):
    return f"  {offer.service:5} {offer.host}, port {offer.port}, tls = {offer.tls}" + (
        "" if offer.passwords else ", which takes no password")


def _discover(arguments, usage, _default):
    from amsmail.setup.provider.discover import discover
    flags, _, words = options.parse(usage, arguments, ("--json",))
    if len(words) != 1:
        raise UsageError("discover: expected one mail address")
    _check_address(words[0])
    found = discover(words[0])
    if "--json" in flags:
        print(json.dumps({"offers": [_figures(offer) for offer in found.offers], "why": found.why}, indent=2))
    else:
        for offer in found.offers:
            print(_line(offer), f"        user {offer.user}; found by: {offer.source}",
                  *(["        in another domain than the address: ask the provider whether it is right"]
                    if offer.needs_confirmation else []), sep="\n")
        print(*([found.why] if found.why else []), *dict.fromkeys(offer.note for offer in found.offers if offer.note),
              sep="\n", end="\n" if found.why or any(offer.note for offer in found.offers) else "")
    return exits.OK if found.offers else exits.UNAVAILABLE


def _import(arguments, usage, default):
    from amsmail.program import mailtransportcfg_import
    return mailtransportcfg_import.run(arguments, usage, default)


_FILLS_IN = {"sets": True, "flags": ("--dry-run", "--yes"), "options": ("--provider", "--address")}
NOUNS = {
    "relay": Noun(FORMS["relay"], {
        "set": Verb(_relay_set, **_FILLS_IN), "test": Verb(_relay_test, flags=("--json",)),
        "remove": Verb(_relay_remove)}),
    "account": Noun(FORMS["account"], {
        "add": Verb(_account_add, **_FILLS_IN), "set": Verb(_account_set, **_FILLS_IN),
        "delete": Verb(_account_delete), "test": Verb(_account_test, flags=("--json",))}),
}
_VERBS = {"provider": _provider, "discover": _discover, "import": _import}

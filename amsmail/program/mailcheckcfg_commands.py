"""What mailcheckcfg does on a command line."""

import json
import os

from amsmail.link import tariff
from amsmail.program import linking, nouns, options
from amsmail.program.nouns import Noun, Verb
from amsmail.program.options import UsageError
from amsmail.setup.ask.forms import FORMS
from amsmail.site import config, exits, rules
from amsmail.site.config_error import ConfigError, no_such

_OUT = _IN = "100000"       # octets of mail each way: a call as many a site makes


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises UsageError, ConfigError, SpoolError and OSError."""
    if arguments[0] == "price":
        return _price(arguments[1:], usage, default_config)
    return nouns.run(NOUNS, arguments, usage, default_config)


# Links

def _rename(command):
    old, new = command.two_names()
    linking.check_is_down(command.draft, old)
    linking.rename(command.draft, old, new)
    command.finish(f"{command.draft.path}: link {old} is called {new} now\n{linking.LEDGER.format(name=old)}")


def _delete(command):
    name = command.one_name()
    linking.check_is_down(command.draft, name)
    words = linking.delete(command.draft, name)
    command.finish("\n".join([f"{command.draft.path}: link {name} deleted", *words]))


def _use(command):
    """Which links are used now; without a name it only says so."""
    draft = command.draft
    if not command.names:
        _tell_use(command)
        return
    if "--json" in command.flags:
        raise UsageError("link use --json shows which links are used now: expected no name with it, found "
                         f"{command.name!r}")
    linking.use(draft, _to_use(draft, list(dict.fromkeys(command.names))))
    command.finish(f"{draft.path}: {linking.used_now(draft)}")


def _tell_use(command):
    if command.is_dry:
        raise UsageError("link use --dry-run: expected the links to use, or any: without a name nothing is changed")
    print(json.dumps(linking.in_use(command.draft)) if "--json" in command.flags else linking.used_now(command.draft))


def _to_use(draft, names):
    """Those of `names` that can be used: all, or none for any.  Raises UsageError and ConfigError."""
    there = draft.names("links")
    if linking.ANY in names:
        if len(names) > 1:
            others = ", ".join(name for name in names if name != linking.ANY)
            raise UsageError(f"link use: found {linking.ANY} beside {others}; expected either {linking.ANY} alone, for "
                             "all links by priority, or the names of those to use, the first one first")
        return []
    if strange := [name for name in names if name not in there]:
        raise ConfigError([f"{no_such(draft.path, 'links', 'link', name, there)}; {linking.ANY}: all of them, by "
                           "priority" for name in strange])
    for name in names:
        if expected := rules.name_problem("links", name):
            raise ConfigError([f"{draft.path}: [links]: found a link {name!r}, which cannot stand in [calls] use; "
                               f"expected {expected}: rename it"])
    return names


def _try(command):
    from amsmail.program import trialcall
    if len(command.names) != 1:         # it may be the one that is assumed where none is described
        raise UsageError(f"expected one name of a link, found {len(command.names)}")
    return trialcall.run(command.draft.path, command.name)


# What a call costs

def _price(arguments, usage, default):
    flags, pairs, names = options.parse(usage, arguments, ("--json",), ("--config", "--out", "--in"))
    given = {"--out": _OUT, "--in": _IN, **options.once(pairs)}
    for option in ("--out", "--in"):
        if not (given[option].isascii() and given[option].isdigit() and len(given[option]) <= 12):
            raise UsageError(f"{option}: found {given[option]!r}; expected octets, a whole number")
    path = os.path.abspath(given.get("--config", default))
    links = config.load(path).links
    for name in names:
        if name not in links:
            raise no_such(path, "links", "link", name, links)
    wanted = {name: links[name] for name in names or links}
    prices = {name: tariff.make(link).estimate(int(given["--out"]), int(given["--in"]), link["rate"],
                                               link["round_trip"]) for name, link in wanted.items()}
    if "--json" in flags:
        print(json.dumps({name: {"cost": None if price is None else str(price), "currency": links[name]["currency"]}
                          for name, price in prices.items()}, indent=2))
        return exits.OK
    print(f"A call that sends {given['--out']} octets of mail and fetches {given['--in']}:")
    print(*(f"  {name}: {_worded(price, links[name]['currency'])}" for name, price in prices.items()), sep="\n")
    return exits.OK


def _worded(price, currency):
    if price is None:
        return "not known, since time is charged and it has no rate: set it, with --rate"
    return f"{price} {currency}" if currency else "nothing by use"


NOUNS = {
    "link": Noun(FORMS["link"], {
        "rename": Verb(_rename), "delete": Verb(_delete),
        "use": Verb(_use, flags=("--dry-run", "--json")), "try": Verb(_try, flags=())}),
    "calls": Noun(FORMS["calls"]),
}

"""What mailcheckcfg does on a command line."""

import json
import os

from amsmail.link import tariff
from amsmail.program import configuring, linking, options
from amsmail.program.configuring import Noun
from amsmail.setup.ask.forms import FORMS
from amsmail.site import config, exits
from amsmail.site.config_error import ConfigError

_OUT = _IN = "100000"       # octets of mail each way: a call as many a site makes


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises ConfigError."""
    if arguments[0] == "price":
        return _price(arguments[1:], usage, default_config)
    return configuring.command(NOUNS, arguments, usage, default_config)


# Links

def _add(command):
    name = command.one_name(is_there=False)
    _check_name(name)
    command.draft.add(("links", name))
    command.put(name)
    return command.finish(f"{command.draft.path}: link {name} added")


def _rename(command):
    old, new = command.two_names()
    _check_name(new)
    linking.check_is_down(command.draft, old)
    linking.rename(command.draft, old, new)
    return command.finish(f"{command.draft.path}: link {old} is called {new} now\n{linking.LEDGER.format(name=old)}")


def _delete(command):
    name = command.one_name()
    linking.check_is_down(command.draft, name)
    linking.delete(command.draft, name)
    return command.finish(f"{command.draft.path}: link {name} deleted\n{linking.LEDGER.format(name=name)}")


def _check_name(name):
    if expected := linking.name_problem(name):
        raise ConfigError([f"found {name!r}; expected {expected}"])


def _use(command):
    """Which links are used now; without a name it only says so."""
    draft = command.draft
    if command.names == [linking.ANY]:
        linking.use(draft, [])
    elif command.names:
        for name in command.names:
            command.check(name)
            _check_name(name)
        linking.use(draft, list(dict.fromkeys(command.names)))
    elif "--json" in command.flags:
        print(json.dumps(linking.in_use(draft)))
        return exits.OK
    else:
        print(linking.used_now(draft))
        return exits.OK
    return command.finish(f"{draft.path}: {linking.used_now(draft)}")


def _try(command):
    from amsmail.program import trialcall
    if len(command.names) != 1:
        raise ConfigError([f"expected one name of a link, found {len(command.names)}"])
    return trialcall.run(command.draft.path, command.name)


# What a call costs

def _price(arguments, usage, default):
    flags, pairs, names = options.parse(usage, arguments, ("--json",), ("--config", "--out", "--in"))
    given = {"--out": _OUT, "--in": _IN, **dict(pairs)}
    for option in ("--out", "--in"):
        if not (given[option].isascii() and given[option].isdigit() and len(given[option]) <= 12):
            options.wrong(usage, f"{option}: found {given[option]!r}; expected octets, a whole number")
    path = os.path.abspath(given.get("--config", default))
    links = config.load(path).links
    for name in names:
        if name not in links:
            raise ConfigError([f"{path}: [links]: there is no link {name!r}; there are: {', '.join(links)}"])
    wanted = {name: links[name] for name in names or links}
    prices = {name: tariff.make(link).estimate(int(given["--out"]), int(given["--in"]), link["rate"],
                                               link["round_trip"]) for name, link in wanted.items()}
    if "--json" in flags:
        print(json.dumps({name: {"cost": None if price is None else str(price), "currency": links[name]["currency"]}
                          for name, price in prices.items()}, indent=2, ensure_ascii=False))
        return exits.OK
    print(f"A call that sends {given['--out']} octets of mail and fetches {given['--in']}:")
    print(*(f"  {name}: {_worded(price, links[name]['currency'])}" for name, price in prices.items()), sep="\n")
    return exits.OK


def _worded(price, currency):
    if price is None:
        return "not known, since time is charged and it has no rate: set it, with --rate"
    return f"{price} {currency}" if currency else "nothing by use"


NOUNS = {
    "link": Noun(FORMS["link"], {"add": _add, "rename": _rename, "delete": _delete, "use": _use, "try": _try}),
    "calls": Noun(FORMS["calls"]),
}

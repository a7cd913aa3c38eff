"""What mailcfg does on a command line."""

import sys

from amsmail.program import boxes, certificates, configuring, mailcfg_domains, options
from amsmail.program.configuring import Noun
from amsmail.setup import boxmail
from amsmail.setup.ask.forms import FORMS
from amsmail.site import config, exits
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.site.values import listed
from amsmail.store.spool import SpoolError


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises ConfigError."""
    if arguments[0] in _VERBS:
        return _VERBS[arguments[0]](arguments[1:], usage, default_config)
    more = next((_MORE[verb] for verb in arguments[1:] if verb in _MORE), ()) if arguments[0] == "box" else ()
    return configuring.command(NOUNS, arguments, usage, default_config, more)


_MORE = {"delete": ("--mail", "--to"), "adopt": ("--to",)}      # options of what can be done with a box


# Boxes

def _list(command):
    """The boxes, and mail in the spool that belongs to none, as far as this user may look."""
    code = configuring.list_all(command)
    try:
        strays = {} if "--json" in command.flags else boxmail.strays(config.load(command.draft.path))
    except (ConfigError, SpoolError, OSError):
        strays = {}         # nothing but the boxes was asked for; `mailcfg check` says what is wrong
    for name, count in strays.items():
        print(f"{name} is no box, and has mail, {count}: `mailcfg box adopt {name} --to BOX` moves it")
    return code


def _lock(command):
    from amsmail.site.passwords import LOCK
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if not hashed:
        raise ConfigError([f"box {command.name} has no password: nobody can log in to it anyway"])
    if not hashed.startswith(LOCK):
        command.draft.set(keys, LOCK + hashed)
    return command.finish(f"{command.draft.path}: nobody can log in to box {command.name} now; it still gets its mail")


def _unlock(command):
    from amsmail.site.passwords import LOCK
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if not hashed:
        raise ConfigError([f"box {command.name} has no password: mailcfg box set {command.name} --password-stdin"])
    command.draft.set(keys, hashed.removeprefix(LOCK))
    return command.finish(f"{command.draft.path}: the password of box {command.name} counts again")


def _box_add(command):
    name = command.one_name(is_there=False)
    command.draft.add(("boxes", name))
    command.put(name)
    code = command.finish(f"{command.draft.path}: box {name} added")
    return code if "--dry-run" in command.flags else boxes.tell_of_earlier(command.draft.path, name)


def _box_rename(command):
    """Renames a box, with what refers to it; its mail moves along."""
    old, new = command.two_names()
    boxes.rename(command.draft, old, new)
    code = command.finish(f"{command.draft.path}: box {old} is called {new} now")
    if "--dry-run" in command.flags:
        return code
    boxes.tell_of_earlier(command.draft.path, new)
    return boxes.settle(command.draft.path, old, "give", new)


def _box_delete(command):
    name = command.one_name()
    what, to = command.given.get("--mail", "keep"), command.given.get("--to", "")
    if what not in ("keep", "remove", "give") or (what == "give") != bool(to):
        raise ConfigError(["expected --mail keep, --mail remove, or --mail give --to BOX"])
    if to:
        command.check(to)
    if to == name:
        raise ConfigError([f"--to: found {to!r}; expected another box than the one that is deleted"])
    boxes.delete(command.draft, name, to)
    code = command.finish(f"{command.draft.path}: box {name} deleted")
    return code if "--dry-run" in command.flags else boxes.settle(command.draft.path, name, what, to)


def _adopt(command):
    """Moves the mail of a box that is no more into another."""
    if len(command.names) != 1 or not command.given.get("--to"):
        raise ConfigError(["expected: mailcfg box adopt NAME --to BOX"])
    command.check(command.name, is_there=False)
    command.check(command.given["--to"])
    if "--dry-run" in command.flags:
        raise ConfigError(["box adopt changes nothing in mail.cfg that --dry-run could show"])
    return boxes.settle(command.draft.path, command.name, "give", command.given["--to"])


# Domains

def _domain_add(command):
    """A domain; what is not safe about one that strangers have addresses in, too, is said."""
    from amsmail.setup.doctor import settings
    name = command.one_name(is_there=False)
    command.draft.add(("domains", name))
    command.put(name)
    code = command.finish(f"{command.draft.path}: domain {name} added")
    try:
        found = [] if "--dry-run" in command.flags else list(settings.shared(config.load(command.draft.path), None))
    except ConfigError:
        found = []          # of mistakes that were there before
    for finding in found:
        print(f"warning: {finding.found}\n         {finding.remedy}")
    return code


def _domain_rename(command):
    old, new = command.two_names()
    mailcfg_domains.rename(command.draft, old, new)
    return command.finish(f"{command.draft.path}: domain {old} is called {new} now, in the boxes' addresses too")


def _domain_delete(command):
    name = command.one_name()
    command.draft.drop(("domains", name))
    return command.finish("\n".join([f"{command.draft.path}: domain {name} deleted",
                                     *mailcfg_domains.still_here(command.draft, name)]))


# Networks

def _warned(code, values):
    """Warns of networks in these values, {key: text}, that are the whole Internet; gives the code."""
    from amsmail.setup.doctor import settings
    for key in {"relay_from", "cleartext_login_from"} & values.keys():
        if warning := settings.warning(key, values[key]):
            print(f"warning: {warning}")
    return code


def _set_networks(command):
    """What every noun can do, and a warning."""
    command.put()
    return _warned(command.finish(), command.values)


def _networks(command):
    return listed(command.draft.value(("site", "relay_from"), "127.0.0.0/8, ::1"))


def _network_list(command):
    if "--json" in command.flags:
        import json
        print(json.dumps(_networks(command)))
    else:
        print(*_networks(command), sep="\n")
    return exits.OK


def _network(change):
    def run(command):
        from amsmail.site import networks
        if len(command.names) != 1:
            raise ConfigError(["expected one network, such as 192.168.7.0/24"])
        try:
            networks.parse(command.name)
        except ValueError as error:
            raise ConfigError([f"found {command.name!r}; expected a network such as 192.168.7.0/24: {error}"]) from None
        found = change(_networks(command), command.name)
        command.draft.set(("site", "relay_from"), ", ".join(found))
        code = command.finish(f"{command.draft.path}: without a login these may send to anywhere: "
                              f"{', '.join(found) or 'nobody'}")
        return _warned(code, {"relay_from": " ".join(found)})
    return run


def _with(found, network):
    return [*dict.fromkeys([*found, network])]


def _without(found, network):
    if network not in found:
        raise ConfigError([f"[site] relay_from: there is no network {network!r}; there are: "
                           f"{', '.join(found) or 'none'}"])
    return [each for each in found if each != network]


def _no_set(_command):
    raise ConfigError(["network: expected list, add or delete; what else [site] says: mailcfg site set"])


# The certificate

def _certificate_make(command):
    said = certificates.make_for(command.draft, *(command.values.pop(key, "") for key in ("certificate", "key")))
    return command.finish(said)


# A new site

def _new(arguments, usage, default):
    from amsmail.setup.ask import newsite
    flags, pairs, words = options.parse(
        usage, arguments, ("--dry-run", configuring.STDIN, configuring.GENERATE),
        ("--config", "--hostname", "--domain", "--unknown", "--box", "--addresses", "--spool"))
    given = dict(pairs)
    missing = [option for option in ("--hostname", "--domain", "--box") if not given.get(option)]
    if missing or words:
        options.wrong(usage, f"missing: {', '.join(missing)}" if missing else f"what is {words[0]!r}?")
    _check_provider(given)
    path = given.get("--config", default)
    draft = Draft(path, newsite.lines(DEFAULT_SPOOL))
    if not draft.is_new:
        raise ConfigError([f"{draft.path}: is there already; `mailcfg` without words changes it"])
    configuring.Command(FORMS["site"], [], {
        "hostname": given["--hostname"], "postmaster": given["--box"], "spool": given.get("--spool", DEFAULT_SPOOL)},
        flags, draft).put()
    for noun, key in ("domain", "unknown"), ("box", "addresses"):
        name, option = given[f"--{noun}"], f"--{key}"
        command = configuring.Command(FORMS[noun], [name], {key: given[option]} if option in given else {}, flags,
                                      draft)
        command.one_name(is_there=False)
        draft.add((FORMS[noun].section, name))
        if noun == "box":
            configuring.take_password(command.values, flags)
        command.put(name)
    return command.finish()


def _check_provider(given):
    """Raises ConfigError where the domain is a provider's, and it is not said what becomes of strangers' mail."""
    from amsmail.setup.provider.providers import Providers
    domain, unknown = given["--domain"], given.get("--unknown")
    provider = Providers().by_domain(domain)
    if provider and not unknown:
        raise ConfigError([f"--domain: {domain} is {provider.title}'s, in which others have addresses, too; expected "
                           "--unknown relay (what no box here has goes to the provider) or --unknown refuse"])
    if provider and unknown == "relay" and not _are_whole(given.get("--addresses", "")):
        raise ConfigError([f"--addresses: expected whole addresses, such as ourboat@{domain}: a name without @ may be "
                           "somebody else's there"])


def _are_whole(addresses):
    words = listed(addresses)
    return bool(words) and all("@" in word for word in words)


# Verbs without a noun

def _check(arguments, usage, default):
    """The doctor; with --file, of mail.cfg alone.  Mistakes in mail.cfg itself are told on standard error, as by every
    program, or with --json in the list."""
    from amsmail.setup.doctor import checkup
    from amsmail.setup.doctor.world import WRONG, World, wrong
    flags, pairs, words = options.parse(usage, arguments, ("--file", "--json"), ("--config",))
    path = options.one_path(usage, words, dict(pairs).get("--config", default))
    site, mistakes = None, []
    try:
        site = config.load(path)
    except config.ConfigError as error:
        mistakes = [wrong(problem, "correct it: nothing is served or sent until then") for problem in error.problems]
    look = checkup.check_file if "--file" in flags else checkup.check
    findings = look(site, World())
    if "--json" in flags:
        import json
        print(json.dumps([{name: getattr(finding, name) for name in finding.__slots__}
                          for finding in [*mistakes, *findings]], indent=2))
    else:
        print(*(mistake.found for mistake in mistakes), sep="\n", end="\n" if mistakes else "", file=sys.stderr)
        _print(findings)
    if mistakes:
        return exits.CONFIG
    return exits.UNAVAILABLE if any(finding.level == WRONG for finding in findings) else exits.OK


def _print(findings):
    """A line for each finding, what to do about it below, and how many there are."""
    for finding in findings:
        print(f"{finding.level}: {finding.found}")
        if finding.remedy:
            print(f"      {finding.remedy}")
    levels = [finding.level for finding in findings]
    if levels:
        print(f"{levels.count('wrong')} wrong, {levels.count('note')} to know, {levels.count('fine')} fine")


def _password(arguments, usage, default):
    """Hashes a password, and prints the hash or puts it into mail.cfg as a box's password."""
    from amsmail.site import passwords
    flags, pairs, words = options.parse(usage, arguments, ("--stdin",), ("--box", "--config"))
    box = dict(pairs).get("--box")
    if words and not box:
        options.wrong(usage, "mail.cfg is of use only with --box")
    path = options.one_path(usage, words, dict(pairs).get("--config", default))
    draft = Draft(path) if box else None
    if box and box not in draft.names("boxes"):
        raise ConfigError([f"{path}: [boxes]: there is no box {box!r}"])
    try:
        password = sys.stdin.readline().rstrip("\r\n") if "--stdin" in flags else _asked()
    except UnicodeDecodeError:
        password = ""
    if not passwords.is_possible(password):
        print(f"mailcfg: a password is {passwords.EXPECTED}, in UTF-8; nothing was changed", file=sys.stderr)
        return exits.USAGE
    if not box:
        print(passwords.hashed(password))
        return exits.OK
    draft.set(("boxes", box, "password"), passwords.hashed(password))
    draft.save()
    print(f"{path}: box {box} has the new password")
    return exits.OK


def _asked():
    """A password typed twice, the same both times."""
    import getpass
    while True:
        first = getpass.getpass("Password: ")
        if first == getpass.getpass("Again: "):
            return first
        print("The two differ. Once more:", file=sys.stderr)


def _import(arguments, usage, default):
    from amsmail.program import importing
    return importing.run(arguments, usage, default)


NOUNS = {
    "site": Noun(FORMS["site"], {"set": _set_networks}),
    "limits": Noun(FORMS["limits"]),
    "certificate": Noun(FORMS["certificate"], {"make": _certificate_make, "set": _set_networks}),
    "queue": Noun(FORMS["queue"]),
    "domain": Noun(FORMS["domain"], {"add": _domain_add, "rename": _domain_rename, "delete": _domain_delete}),
    "box": Noun(FORMS["box"], {"list": _list, "add": _box_add, "lock": _lock, "unlock": _unlock,
                               "rename": _box_rename, "delete": _box_delete, "adopt": _adopt}),
    "network": Noun(FORMS["site"].but(noun="network"), {
        "list": _network_list, "add": _network(_with), "delete": _network(_without), "set": _no_set}),
}
_VERBS = {"new": _new, "check": _check, "password": _password, "import": _import}

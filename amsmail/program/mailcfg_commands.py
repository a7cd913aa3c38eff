"""What mailcfg does on a command line."""

import sys

from amsmail.program import boxes, certificates, mailcfg_domains, nouns, options
from amsmail.program.nouns import Noun, Verb
from amsmail.program.options import UsageError
from amsmail.setup.ask.forms import FORMS
from amsmail.site import config, exits
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.site.values import listed


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises UsageError, ConfigError, SpoolError, OSError."""
    if arguments[0] in _VERBS:
        return _VERBS[arguments[0]](arguments[1:], usage, default_config)
    return nouns.run(NOUNS, arguments, usage, default_config)


def _guarded(run):
    """A verb that warns of what it made unsafe in domains that strangers have addresses in, too."""
    def guarded(command):
        before = mailcfg_domains.unsafe(command.draft)
        code = run(command)
        if not command.is_dry:
            mailcfg_domains.warn(command.draft, before)
        return code
    return guarded


# Boxes

def _list(command):
    """The boxes, and mail in the spool that belongs to none, as far as this user may look."""
    code = nouns.list_all(command)
    return code if "--json" in command.flags else boxes.tell_of_strays(command.draft.path)


def _lock(command):
    """Puts the mark before the box's hash with which it is none."""
    from amsmail.site.passwords import LOCK
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if not hashed:
        raise ConfigError([f"box {command.name} has no password: nobody can log in to it anyway"])
    if not hashed.startswith(LOCK):
        command.draft.set(keys, LOCK + hashed)
    return command.finish(f"{command.draft.path}: nobody can log in to box {command.name} now; it still gets its mail")


def _unlock(command):
    """Takes that mark away."""
    from amsmail.site.passwords import LOCK
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if not hashed:
        raise ConfigError([f"box {command.name} has no password: mailcfg box set {command.name} --password-stdin"])
    command.draft.set(keys, hashed.removeprefix(LOCK))
    return command.finish(f"{command.draft.path}: the password of box {command.name} counts again")


def _box_add(command):
    """Adds a box; mail of an earlier one with its name is told."""
    code = nouns.add(command)
    return code if command.is_dry else boxes.tell_of_earlier(command.draft.path, command.name)


def _box_rename(command):
    """Renames a box, with what refers to it; its mail moves along."""
    old, new = command.two_names()
    boxes.rename(command.draft, old, new)
    code = command.finish(f"{command.draft.path}: box {old} is called {new} now")
    if command.is_dry:
        return code
    boxes.tell_of_earlier(command.draft.path, new)
    return boxes.settle(command.draft.path, old, "give", new)


def _box_delete(command):
    """Deletes a box; what becomes of its mail is in --mail and --to."""
    name = command.one_name()
    what, to = command.given.get("--mail", "keep"), command.given.get("--to", "")
    if what not in ("keep", "remove", "give") or (what == "give") != bool(to):
        raise UsageError("expected --mail keep, --mail remove, or --mail give --to BOX")
    if to == name:
        raise UsageError(f"--to: found {to!r}; expected another box than the one that is deleted")
    if to:
        command.check(to)
    boxes.delete(command.draft, name, to)
    code = command.finish(f"{command.draft.path}: box {name} deleted")
    return code if command.is_dry else boxes.settle(command.draft.path, name, what, to)


def _adopt(command):
    """Moves the mail of a box that is no more into another."""
    if len(command.names) != 1 or not command.given.get("--to"):
        raise UsageError("expected: mailcfg box adopt NAME --to BOX")
    command.check(command.name, is_there=False)
    command.check(command.given["--to"])
    return boxes.settle(command.draft.path, command.name, "give", command.given["--to"])


# Domains

def _domain_rename(command):
    """Renames a domain, with the addresses in it."""
    old, new = command.two_names()
    mailcfg_domains.rename(command.draft, old, new)
    return command.finish(f"{command.draft.path}: domain {old} is called {new} now, in the boxes' addresses too")


def _domain_delete(command):
    """Deletes a domain; which addresses in it stay with boxes is told."""
    name = command.one_name()
    command.draft.drop(("domains", name))
    return command.finish("\n".join([f"{command.draft.path}: domain {name} deleted",
                                     *mailcfg_domains.still_here(command.draft, name)]))


# Networks

def _warned(code, values):
    """Warns of networks in these values, {key: text}, that are the whole Internet; gives the code."""
    from amsmail.setup.doctor import settings
    for key in sorted({"relay_from", "cleartext_login_from"} & values.keys()):
        if warning := settings.warning(key, values[key]):
            print(f"warning: {warning}", file=sys.stderr)
    return code


def _set_networks(command):
    """What every noun can do, and a warning."""
    return _warned(nouns.set_values(command), command.values)


def _networks(command):
    return listed(command.form.in_effect(command.draft, "", "relay_from"))


def _network_list(command):
    """The networks that may send without a login, one a line, or with --json as a list."""
    command.no_names()
    if "--json" in command.flags:
        import json
        print(json.dumps(_networks(command)))
    else:
        print(*_networks(command), sep="\n")
    return exits.OK


def _network(change):
    """A verb that makes of the networks, a list of words, what `change(networks, network)` gives for the one that is
    named; that raises ConfigError where it cannot."""
    def run(command):
        from amsmail.site import networks
        if len(command.names) != 1:
            raise UsageError("expected one network, such as 192.168.7.0/24")
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


# The certificate

def _certificate_make(command):
    """Makes a certificate and its key, and names them."""
    command.no_names()
    return command.finish(certificates.make_for(command.draft, command.given.get("--certificate", ""),
                                                command.given.get("--key", "")))


# A new site

def _new(arguments, usage, default):
    """A site with one domain and one box; what an earlier site left in its spool is told."""
    from amsmail.setup.ask import newsite
    flags, pairs, words = options.parse(
        usage, arguments, ("--dry-run", nouns.STDIN, nouns.GENERATE),
        ("--config", "--hostname", "--domain", "--unknown", "--box", "--addresses", "--spool"))
    given = dict(pairs)
    missing = [option for option in ("--hostname", "--domain", "--box") if not given.get(option)]
    if missing or words:
        options.wrong(usage, f"missing: {', '.join(missing)}" if missing else f"what is {words[0]!r}?")
    _check_provider(given)
    draft = Draft(given.get("--config", default), newsite.lines(DEFAULT_SPOOL))
    if not draft.is_new:
        raise ConfigError([f"{draft.path}: is there already; `mailcfg` without words changes it"])
    nouns.Command(FORMS["site"], [], {
        "hostname": given["--hostname"], "postmaster": given["--box"], "spool": given.get("--spool", DEFAULT_SPOOL)},
        flags, draft).put()
    for noun, key in ("domain", "unknown"), ("box", "addresses"):
        name, option = given[f"--{noun}"], f"--{key}"
        command = nouns.Command(FORMS[noun], [name], {key: given[option]} if option in given else {}, flags, draft)
        command.one_name(is_there=False)
        draft.add((FORMS[noun].section, name))
        if noun == "box":
            nouns.take_password(command.values, flags)
        command.put(name)
    code = command.finish()
    if not command.is_dry:
        mailcfg_domains.warn(draft, [])
        boxes.tell_of_earlier(draft.path, given["--box"])
        boxes.tell_of_strays(draft.path)
    return code


def _check_provider(given):
    """Raises UsageError where the domain is a provider's, and it is not said what becomes of strangers' mail, and
    ConfigError where some of theirs would be the box's."""
    from amsmail.setup.provider.providers import Providers
    domain, unknown, addresses = given["--domain"], given.get("--unknown"), listed(given.get("--addresses", ""))
    provider = Providers().by_domain(domain)
    if provider and not unknown:
        raise UsageError(f"--domain: {domain} is {provider.title}'s, in which others have addresses, too; expected "
                         "--unknown relay (what no box here has goes to the provider) or --unknown refuse")
    whole = (f"--addresses: expected whole addresses, such as ourboat@{domain}: a name without @ may be somebody "
             "else's there")
    if provider and unknown == "relay" and not addresses:
        raise UsageError(whole)
    if provider and unknown == "relay" and not all("@" in word for word in addresses):
        raise ConfigError([whole])


# Verbs without a noun

def _check(arguments, usage, default):
    """The doctor; with --file, of mail.cfg alone.  Mistakes in mail.cfg itself are told on standard error, as by every
    program, or with --json in the list."""
    from amsmail.setup.doctor import checkup
    from amsmail.setup.doctor.world import WRONG, World, wrong
    flags, pairs, words = options.parse(usage, arguments, ("--file", "--json"), ("--config",))
    path = options.given_path(usage, words, dict(pairs), default)
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
    given = dict(pairs)
    box = given.get("--box")
    if not box and (words or "--config" in given):
        options.wrong(usage, "mail.cfg is of use only with --box")
    path = options.given_path(usage, words, given, default)
    draft = Draft(path) if box else None
    if box and box not in draft.names("boxes"):
        raise ConfigError([f"{path}: [boxes]: there is no box {box!r}"])
    password = nouns.password_from_stdin("--stdin") if "--stdin" in flags else _asked()
    if not box:
        print(passwords.hashed(password))
        return exits.OK
    draft.set(("boxes", box, "password"), passwords.hashed(password))
    draft.save()
    print(f"{path}: box {box} has the new password")
    return exits.OK


def _asked():
    """A password that may be one, typed twice the same.  Raises UsageError where none comes."""
    import getpass
    from amsmail.site import passwords
    try:
        while True:
            first = getpass.getpass("Password: ")
            if not passwords.is_possible(first):
                print(f"Expected {passwords.EXPECTED}.", file=sys.stderr)
            elif first == getpass.getpass("Again: "):
                return first
            else:
                print("The two differ. Once more:", file=sys.stderr)
    except (EOFError, UnicodeDecodeError):
        raise UsageError("no password came, in UTF-8; nothing was changed") from None


def _import(arguments, usage, default):
    from amsmail.program import importing
    return importing.run(arguments, usage, default)


NOUNS = {
    "site": Noun(FORMS["site"], {"set": Verb(_set_networks, sets=True)}),
    "limits": Noun(FORMS["limits"]),
    "certificate": Noun(FORMS["certificate"], {
        "make": Verb(_certificate_make, options=("--certificate", "--key")), "set": Verb(_set_networks, sets=True)}),
    "queue": Noun(FORMS["queue"]),
    "domain": Noun(FORMS["domain"], {
        "add": Verb(_guarded(nouns.add), sets=True), "set": Verb(_guarded(nouns.set_values), sets=True),
        "rename": Verb(_guarded(_domain_rename)), "delete": Verb(_domain_delete)}),
    "box": Noun(FORMS["box"], {
        "list": Verb(_list, flags=("--json",)), "add": Verb(_guarded(_box_add), sets=True),
        "set": Verb(_guarded(nouns.set_values), sets=True), "lock": Verb(_lock), "unlock": Verb(_unlock),
        "rename": Verb(_guarded(_box_rename)), "delete": Verb(_box_delete, options=("--mail", "--to")),
        "adopt": Verb(_adopt, flags=(), options=("--to",))}),
    "network": Noun(FORMS["site"].but(noun="network"), {
        "list": Verb(_network_list, flags=("--json",)), "add": Verb(_network(_with)),
        "delete": Verb(_network(_without)), "set": None}),
}
_VERBS = {"new": _new, "check": _check, "password": _password, "import": _import}

"""What mailcfg does on a command line."""

import json
import sys

from amsmail.program import boxes, certificates, mailcfg_domains, nouns, options
from amsmail.program.nouns import Noun, Verb
from amsmail.program.options import UsageError
from amsmail.setup import boxmail
from amsmail.setup.ask import newsite
from amsmail.setup.ask.dialogue import Back, Dialogue, Left, hidden, password_problem
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.boxmail import GIVE, KEEP, REMOVE
from amsmail.setup.provider.providers import Providers
from amsmail.site import config, exits, networks, passwords
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError, no_such
from amsmail.site.draft import Draft
from amsmail.site.passwords import LOCK
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
    nouns.list_all(command)
    if "--json" not in command.flags:
        boxes.tell_of_strays(command.draft.path)


def _lock(command):
    """Puts the mark before the box's hash with which it is none."""
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if not hashed:
        raise ConfigError([f"box {command.name} has no password: nobody can log in to it anyway"])
    if not hashed.startswith(LOCK):
        command.draft.set(keys, LOCK + hashed)
    command.finish(f"{command.draft.path}: nobody can log in to box {command.name} now; it still gets its mail")


def _unlock(command):
    """Takes that mark away."""
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if not hashed:
        raise ConfigError([f"box {command.name} has no password: mailcfg box set {command.name} --password-stdin"])
    command.draft.set(keys, hashed.removeprefix(LOCK))
    command.finish(f"{command.draft.path}: the password of box {command.name} counts again")


def _box_add(command):
    """Adds a box; mail of an earlier one with its name is told."""
    nouns.add(command)
    if not command.is_dry:
        boxes.tell_of_earlier(command.draft.path, command.name)


def _box_rename(command):
    """Renames a box, with what refers to it; its mail moves along.  Gives the exit code."""
    old, new = command.two_names()
    boxes.rename(command.draft, old, new)
    command.finish(f"{command.draft.path}: box {old} is called {new} now")
    if command.is_dry:
        return exits.OK
    boxes.tell_of_earlier(command.draft.path, new)
    return boxes.settle(command.draft.path, old, GIVE, new)


def _box_delete(command):
    """Deletes a box; what becomes of its mail is in --mail and --to.  Gives the exit code."""
    name = command.one_name()
    what, to = command.given.get("--mail", KEEP), command.given.get("--to", "")
    if what not in (KEEP, REMOVE, GIVE) or (what == GIVE) != bool(to):
        raise UsageError("expected --mail keep, --mail remove, or --mail give --to BOX")
    if to == name:
        raise UsageError(f"--to: found {to!r}; expected another box than the one that is deleted")
    if to:
        command.check(to)
    boxes.delete(command.draft, name, to)
    command.finish(f"{command.draft.path}: box {name} deleted")
    return exits.OK if command.is_dry else boxes.settle(command.draft.path, name, what, to)


def _adopt(command):
    """Moves the mail of a box that is no more into another.  Gives the exit code."""
    if len(command.names) != 1 or not command.given.get("--to"):
        raise UsageError("expected: mailcfg box adopt NAME --to BOX")
    command.check(command.name, is_there=False)
    command.check(command.given["--to"])
    if not boxmail.has_been(command.draft.path, command.name):
        raise ConfigError([f"there was no box {command.name!r}: the spool {command.draft.spool()} has no "
                           f"boxes/{command.name}; `mailcfg box list` shows whose mail waits there"])
    return boxes.settle(command.draft.path, command.name, GIVE, command.given["--to"],
                        f"There is no mail in boxes/{command.name}.")


# Domains

def _domain_rename(command):
    """Renames a domain, with the addresses in it."""
    old, new = command.two_names()
    mailcfg_domains.rename(command.draft, old, new)
    command.finish(f"{command.draft.path}: domain {old} is called {new} now, in the boxes' addresses too")


def _domain_delete(command):
    """Deletes a domain; which addresses in it stay with boxes is told."""
    name = command.one_name()
    command.draft.drop(("domains", name))
    command.finish("\n".join([f"{command.draft.path}: domain {name} deleted",
                              *mailcfg_domains.still_here(command.draft, name)]))


# Networks

def _warn(values):
    """Warns of networks in these values, {key: text}, that are the whole Internet."""
    from amsmail.setup.doctor import settings       # on demand: it knows the diallers, too
    for key in sorted({"relay_from", "cleartext_login_from"} & values.keys()):
        if warning := settings.warning(key, values[key]):
            print(f"warning: {warning}", file=sys.stderr)


def _set_networks(command):
    """What every noun can do, and a warning."""
    nouns.set_values(command)
    _warn(command.values)


def _networks(command):
    return listed(command.form.in_effect(command.draft, "", "relay_from"))


def _network_list(command):
    """The networks that may send without a login, one a line, or with --json as a list."""
    command.no_names()
    if "--json" in command.flags:
        print(json.dumps(_networks(command)))
    else:
        print(*_networks(command), sep="\n")


def _network(change):
    """A verb that makes of the networks, a list of words, what `change(networks, network)` gives for the one that is
    named; that raises ConfigError where it cannot."""
    def run(command):
        if len(command.names) != 1:
            raise UsageError("expected one network, such as 192.168.7.0/24")
        try:
            networks.parse(command.name)
        except ValueError as error:
            raise ConfigError([f"found {command.name!r}; expected a network such as 192.168.7.0/24: {error}"]) from None
        found = change(_networks(command), command.name)
        command.draft.set(("site", "relay_from"), ", ".join(found))
        command.finish(f"{command.draft.path}: without a login these may send to anywhere: "
                       f"{', '.join(found) or 'nobody'}")
        _warn({"relay_from": " ".join(found)})
    return run


def _with(found, network):
    return [*dict.fromkeys([*found, network])]


def _without(found, network):
    if network not in found:
        raise ConfigError([f"[site] relay_from: there is no network {network!r}; there are: "
                           f"{', '.join(found) or 'none'}"])
    return [each for each in found if each != network]


# The certificate

def _certificate_set(command):
    """What every noun can do, and a warning of a pair that is of no use, without which mail goes on all the same."""
    _set_networks(command)
    certificate, key = (command.draft.value(command.form.keys("", each)) for each in ("certificate", "key"))
    if certificate and key:
        from amsmail.setup.doctor import tls        # on demand: ssl
        if words := tls.problem(certificate, key):
            print(f"warning: {words}", file=sys.stderr)


def _certificate_make(command):
    """Makes a certificate and its key, and names them."""
    command.no_names()
    command.finish(certificates.make_for(command.draft, command.given.get("--certificate", ""),
                                         command.given.get("--key", "")))


# A new site

def _new(arguments, usage, default):
    """A site with one domain and one box; what an earlier site left in its spool is told."""
    flags, pairs, words = options.parse(
        usage, arguments, ("--dry-run", nouns.STDIN, nouns.GENERATE),
        ("--config", "--hostname", "--domain", "--unknown", "--box", "--addresses", "--spool"))
    given = options.once(pairs)
    missing = [option for option in ("--hostname", "--domain", "--box") if not given.get(option)]
    if missing or words:
        raise UsageError(f"missing: {', '.join(missing)}" if missing else f"what is {words[0]!r}?")
    _check_provider(given)
    draft = Draft(given.get("--config", default), newsite.lines())
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
    command.finish()
    if not command.is_dry:
        mailcfg_domains.warn(draft, [])
        boxes.tell_of_earlier(draft.path, given["--box"])
        boxes.tell_of_strays(draft.path)
    return exits.OK


def _check_provider(given):
    """Raises UsageError where the domain is a provider's, and it is not said what becomes of strangers' mail, and
    ConfigError where some of theirs would be the box's."""
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
    path = options.given_path(words, options.once(pairs), default)
    site, mistakes = None, []
    try:
        site = config.load(path)
    except config.ConfigError as error:
        mistakes = [wrong(problem, "correct it: nothing is served or sent until then") for problem in error.problems]
    look = checkup.check_file if "--file" in flags else checkup.check
    findings = look(site, World())
    if "--json" in flags:
        print(json.dumps([{name: getattr(finding, name) for name in finding.__slots__}
                          for finding in [*mistakes, *findings]], indent=2))
    else:
        print(*(mistake.found for mistake in mistakes), sep="\n", end="\n" if mistakes else "", file=sys.stderr)
        _print(findings, len(mistakes))
    if mistakes:
        return exits.CONFIG
    return exits.UNAVAILABLE if any(finding.level == WRONG for finding in findings) else exits.OK


def _print(findings, mistakes):
    """A line for each finding, what to do about it below, and how many there are, with the mistakes in mail.cfg."""
    for finding in findings:
        print(f"{finding.level}: {finding.found}")
        if finding.remedy:
            print(f"      {finding.remedy}")
    levels = [finding.level for finding in findings]
    if levels:
        print(f"{mistakes + levels.count('wrong')} wrong, {levels.count('note')} to know, {levels.count('fine')} fine")


def _password(arguments, usage, default):
    """Hashes a password, and prints the hash or puts it into mail.cfg as a box's password."""
    flags, pairs, words = options.parse(usage, arguments, ("--stdin", "--dry-run"), ("--box", "--config"))
    given = options.once(pairs)
    box = given.get("--box")
    if not box and (words or "--config" in given):
        raise UsageError("mail.cfg is of use only with --box")
    if not box and "--dry-run" in flags:
        raise UsageError("--dry-run is of use only with --box")
    path = options.given_path(words, given, default)
    draft = Draft(path) if box else None
    if box and box not in draft.names("boxes"):
        raise no_such(path, "boxes", "box", box, draft.names("boxes"))
    password = nouns.password_from_stdin("--stdin") if "--stdin" in flags else _asked()
    if not box:
        print(passwords.hashed(password))
        return exits.OK
    draft.set(("boxes", box, "password"), passwords.hashed(password))
    nouns.finish(draft, flags, f"{path}: box {box} has the new password")
    return exits.OK


def _asked():
    """A password that may be one, typed twice the same.  Raises UsageError where none comes."""
    # Standard output is for the hash, and standard input may be a file: it is asked at the terminal.
    talk = Dialogue(out=sys.stderr, secret=hidden)
    try:
        while not (password := talk.secret("Password", f"Expected {passwords.EXPECTED}.", password_problem)):
            talk.say(f"  Expected {passwords.EXPECTED}.")
    except (Left, Back):
        raise UsageError("no password came; nothing was changed") from None
    return password


def _import(arguments, usage, default):
    from amsmail.program import importing
    return importing.run(arguments, usage, default)


NOUNS = {
    "site": Noun(FORMS["site"], {"set": Verb(_set_networks, sets=True)}),
    "limits": Noun(FORMS["limits"]),
    "certificate": Noun(FORMS["certificate"], {
        "make": Verb(_certificate_make, options=("--certificate", "--key")), "set": Verb(_certificate_set, sets=True)}),
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

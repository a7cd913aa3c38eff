"""What mailcfg does on a command line."""

import os
import sys

from amsmail.program import boxes, certificates, configuring, exits, options
from amsmail.program.configuring import Noun
from amsmail.setup.forms import FORMS
from amsmail.site import config
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises ConfigError."""
    if arguments[0] in _VERBS:
        return _VERBS[arguments[0]](arguments[1:], usage, default_config)
    return configuring.command(NOUNS, arguments, usage, default_config, ("--mail", "--to"))


# Boxes

def _generated(command):
    """A password that is made up, where one is asked for."""
    if configuring.GENERATE not in command.flags:
        return ""
    from amsmail.setup.passphrase import passphrase
    command.values["password"] = passphrase()
    return f"\nThe password of {command.name} is: {command.values['password']}"


def _box_add(command):
    name = command.one_name(is_there=False)
    said = _generated(command)
    command.draft.add(("boxes", name))
    command.put(name)
    return command.finish(f"{command.draft.path}: box {name} added{said}")


def _box_set(command):
    name = command.one_name()
    said = _generated(command)
    command.put(name)
    return command.finish(f"{command.draft.path}: box {name} changed{said}")


def _lock(command):
    from amsmail.site.passwords import LOCK
    keys = ("boxes", command.one_name(), "password")
    hashed = command.draft.value(keys)
    if hashed and not hashed.startswith(LOCK):
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


def _box_rename(command):
    """Renames a box, with what refers to it; its mail moves along."""
    if len(command.names) != 2:
        raise ConfigError(["expected the old name and the new one"])
    old, new = command.names
    command.check(old)
    command.check(new, is_there=False)
    boxes.rename(command.draft, old, new)
    code = command.finish(f"{command.draft.path}: box {old} is called {new} now")
    return code if "--dry-run" in command.flags else boxes.settle(command.draft.path, old, "give", new)


def _box_delete(command):
    name = command.one_name()
    what, to = command.given.get("--mail", "keep"), command.given.get("--to", "")
    if what not in ("keep", "remove", "give") or (what == "give") != bool(to):
        raise ConfigError(["expected --mail keep, --mail remove, or --mail give --to BOX"])
    if to:
        command.check(to)
    command.draft.drop(("boxes", name))
    code = command.finish(f"{command.draft.path}: box {name} deleted")
    return code if "--dry-run" in command.flags else boxes.settle(command.draft.path, name, what, to)


def _adopt(command):
    """Moves the mail of a box that is no more into another."""
    if len(command.names) != 1 or not command.given.get("--to"):
        raise ConfigError(["expected: mailcfg box adopt NAME --to BOX"])
    command.check(command.name, is_there=False)
    command.check(command.given["--to"])
    return boxes.settle(command.draft.path, command.name, "give", command.given["--to"])


# Networks

def _networks(command):
    return command.draft.value(("site", "relay_from"), "127.0.0.0/8, ::1").replace(",", " ").split()


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
        return command.finish(f"{command.draft.path}: without a login these may send to anywhere: {', '.join(found)}")
    return run


# The certificate

def _certificate_make(command):
    folder = os.path.dirname(command.draft.path)
    paths = [command.values.get(key) or os.path.join(folder, name)
             for key, name in (("certificate", "cert.pem"), ("key", "key.pem"))]
    print(certificates.make_for(command.draft, *paths))
    return command.finish()


# A new site

def _new(arguments, usage, default):
    from amsmail.setup import newsite
    flags, pairs, words = options.parse(
        usage, arguments, ("--dry-run", configuring.STDIN, configuring.GENERATE),
        ("--config", "--hostname", "--domain", "--box", "--addresses", "--spool"))
    given = dict(pairs)
    missing = [option for option in ("--hostname", "--domain", "--box") if not given.get(option)]
    if missing or words:
        options.wrong(usage, f"missing: {', '.join(missing)}" if missing else f"what is {words[0]!r}?")
    path = given.get("--config", default)
    draft = Draft(path, newsite.lines(given.get("--spool", DEFAULT_SPOOL)))
    if not draft.is_new:
        raise ConfigError([f"{path}: is there already; mailcfg changes it"])
    draft.set(("site", "hostname"), given["--hostname"])
    draft.set(("site", "postmaster"), given["--box"])
    draft.add(("domains", given["--domain"]))
    draft.add(("boxes", given["--box"]))
    command = configuring.Command(FORMS["box"], [given["--box"]], {}, flags, draft)
    if "--addresses" in given:
        command.values["addresses"] = given["--addresses"]
    if configuring.STDIN in flags:
        command.values["password"] = configuring.password_from_stdin()
    said = _generated(command)
    command.put(given["--box"])
    return command.finish(f"{draft.path}: written{said}")


# What mailcfg could do before there was a dialogue, and the imports

def _check(arguments, usage, default):
    """The doctor; with --file, of mail.cfg alone.  Mistakes in mail.cfg itself are told on standard error, as by every
    program, or with --json in the list."""
    from amsmail.setup import doctor
    from amsmail.setup.check_world import WRONG, World, wrong
    flags, _, words = options.parse(usage, arguments, ("--file", "--json"))
    path = options.one_path(usage, words, default)
    site, mistakes = None, []
    try:
        site = config.load(path)
    except config.ConfigError as error:
        mistakes = [wrong(problem, "correct it: nothing is served or sent until then") for problem in error.problems]
    look = doctor.check_file if "--file" in flags else doctor.check
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
    flags, pairs, words = options.parse(usage, arguments, ("--stdin",), ("--box",))
    box = dict(pairs).get("--box")
    if words and not box:
        options.wrong(usage, "mail.cfg is of use only with --box")
    path = options.one_path(usage, words, default)
    draft = Draft(path) if box else None
    if box and box not in draft.names("boxes"):
        raise ConfigError([f"{path}: [boxes]: there is no box {box!r}"])
    try:
        password = sys.stdin.readline().rstrip("\r\n") if "--stdin" in flags else _asked()
    except UnicodeDecodeError:
        password = ""
    if not 0 < len(password) <= 1000 or not password.isprintable():
        print("mailcfg: a password is 1 to 1000 printable characters, in UTF-8; nothing was changed", file=sys.stderr)
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
    return importing.boxes(arguments, usage, default)


NOUNS = {
    "site": Noun(FORMS["site"]),
    "limits": Noun(FORMS["limits"]),
    "certificate": Noun(FORMS["certificate"], {"make": _certificate_make}),
    "queue": Noun(FORMS["queue"]),
    "domain": Noun(FORMS["domain"]),
    "box": Noun(FORMS["box"], {"add": _box_add, "set": _box_set, "lock": _lock, "unlock": _unlock,
                               "rename": _box_rename, "delete": _box_delete, "adopt": _adopt}),
    "network": Noun(FORMS["site"].but(noun="network"), {
        "list": _network_list, "add": _network(lambda found, name: [*dict.fromkeys([*found, name])]),
        "delete": _network(lambda found, name: [each for each in found if each != name])}),
}
_VERBS = {"new": _new, "check": _check, "password": _password, "import": _import}

"""mailcfg: passwords and a check of mail.cfg.  See docs/mailcfg.8."""

import sys

from amsmail.program import exits, options
from amsmail.site import config, libraries
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailcfg password [--stdin] [--box BOX [mail.cfg]]
       mailcfg check [mail.cfg]"""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcfg; gives the exit code."""
    libraries.reach()
    flags, values, words = options.parse(USAGE, arguments, ("--stdin",), ("--box",))
    verb = words.pop(0) if words else ""
    if verb not in _VERBS:
        options.wrong(USAGE, f"expected {' or '.join(_VERBS)}, found {verb or 'nothing'}")
    try:
        return _VERBS[verb](flags, dict(values), words, default_config)
    except config.ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG


def _check(_flags, _values, words, default):
    path = options.one_path(USAGE, words, default)
    site = config.load(path)
    print(f"{path}: fine: {len(site.boxes)} boxes, {len(site.addresses)} addresses, {len(site.accounts)} accounts, "
          f"{len(site.links)} links; relay {site.relay['host'] or 'none'}")
    if not site.certificate:
        print("note: no certificate is named in [tls], so only clients in cleartext_login_from can log in")
    for name, box in site.boxes.items():
        if not box["password"]:
            print(f"note: box {name} has no password, so nobody can log in to it")
    return exits.OK


def _password(flags, values, words, default):
    """Hashes a password, and prints the hash or puts it into mail.cfg as a box's password."""
    from amsmail.site import config_file, passwords
    box = values.get("--box")
    if words and not box:
        options.wrong(USAGE, "mail.cfg is of use only with --box")
    path = options.one_path(USAGE, words, default)
    if box and box not in config_file.box_names(path):
        raise config.ConfigError([f"{path}: [boxes]: there is no box {box!r}"])
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
    config_file.edit(path, {("boxes", box, "password"): passwords.hashed(password)})
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


_VERBS = {"password": _password, "check": _check}

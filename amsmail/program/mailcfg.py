"""mailcfg: passwords and a check of mail.cfg.  See docs/mailcfg.8."""

import sys

from amsmail.program import exits
from amsmail.site import config, libraries
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailcfg password [--stdin] [--box BOX [mail.cfg]]
       mailcfg check [mail.cfg]"""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcfg; gives the exit code."""
    libraries.reach()
    verb, words = (arguments[0], arguments[1:]) if arguments else ("", [])
    try:
        return _VERBS.get(verb, _usage)(words, default_config)
    except config.ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG


def _usage(_words, _default):
    print(USAGE, file=sys.stderr)
    return exits.USAGE


def _check(words, default):
    if len(words) > 1 or any(word.startswith("-") for word in words):
        return _usage(words, default)
    path = words[0] if words else default
    site = config.load(path)
    print(f"{path}: fine: {len(site.boxes)} boxes, {len(site.addresses)} addresses, {len(site.accounts)} accounts, "
          f"{len(site.links)} links; relay {site.relay['host'] or 'none'}")
    return exits.OK


def _password(words, default):
    """Hashes a password, and prints the hash or puts it into mail.cfg as a box's password."""
    from amsmail.site import passwords
    stdin = "--stdin" in words
    words = [word for word in words if word != "--stdin"]
    box = None
    if words[:1] == ["--box"] and len(words) in (2, 3):
        box, words = words[1], words[2:]
    if words and box is None or any(word.startswith("-") for word in words):
        return _usage(words, default)
    password = sys.stdin.readline().rstrip("\r\n") if stdin else _asked()
    if not password:
        print("mailcfg: no password, or two that differ; nothing was changed", file=sys.stderr)
        return exits.USAGE
    if box is None:
        print(passwords.hashed(password))
        return exits.OK
    from amsmail.site import config_file
    path = words[0] if words else default
    if box not in config.load(path).boxes:
        raise config.ConfigError([f"{path}: [boxes]: there is no box {box!r}"])
    config_file.edit(path, {("boxes", box, "password"): passwords.hashed(password)})
    print(f"{path}: box {box} has the new password")
    return exits.OK


def _asked():
    import getpass
    first = getpass.getpass("Password: ")
    return first if first == getpass.getpass("Again: ") else ""


_VERBS = {"password": _password, "check": _check}

"""What this machine has that a link of mail.cfg can be made of: what its diallers know, and its interfaces."""

import os
import re
import shutil

from amsmail.link import command

_LIMIT = 10             # seconds that a program has to say what it knows
_MODEM = re.compile(r"(/org/freedesktop/ModemManager1/Modem/\d+)\s*(.*)")
_NOT_DIALLED = ("loopback", "bridge", "tun", "dummy")


def connections():
    """[(name, type)] of the connections of NetworkManager."""
    rows = [[re.sub(r"\\(.)", r"\1", value) for value in re.split(r"(?<!\\):", line)]
            for line in _said(["nmcli", "-t", "-f", "NAME,TYPE", "connection", "show"]).splitlines()]
    return [(row[0], row[1]) for row in rows if len(row) == 2 and row[0] and row[1] not in _NOT_DIALLED]


def modems():
    """[(path, maker and model)] of the modems that ModemManager knows.  The path names one as its number does, but
    cannot be taken for the number of a line in a menu."""
    return [(match[1], match[2]) for match in map(_MODEM.search, _said(["mmcli", "-L"]).splitlines()) if match]


def peers(folder="/etc/ppp/peers"):
    """[(name, "")] of the peers of pppd, whose files lie in `folder`."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [(name, "") for name in names
            if re.fullmatch(r"[\w-]+", name) and os.path.isfile(os.path.join(folder, name))]


def interfaces(folder="/sys/class/net"):
    """[(probe, "")] of the network interfaces, as they stand in `folder`: `interface NAME`."""
    try:
        return [(f"interface {name}", "") for name in sorted(os.listdir(folder)) if name != "lo"]
    except OSError:
        return []


# By the type of a link.
ENTRIES = {"networkmanager": connections, "modemmanager": modems, "ppp": peers}


def _said(words):
    """What a program says, '' where it is not there or fails."""
    if shutil.which(words[0]) is None:
        return ""
    try:
        outcome = command.run(words, _LIMIT, english=True, errors=False)
    except (command.NotStarted, command.TookTooLong):
        return ""
    return "" if outcome.code else outcome.said

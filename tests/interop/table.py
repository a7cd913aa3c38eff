"""docs/INTEROP: which programs amsmail was tried with, what was done, and what came of it.

A test that shows something says so:

    @shows("msmtp", "sends by STARTTLS, AUTH PLAIN", "arrives unchanged")

Each line of the table is such a mark on a test that passed; `scripts/test tests/interop --interop-table` writes it.
"""

import gzip
import importlib
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ..real.packages import tree

FOLDER = Path(__file__).parent
FILE = FOLDER.parents[1] / "docs/INTEROP"

# The programs, each with its package's name in Debian and the packages it is unpacked together with.
GROUPS = {
    "Mail programs": {"mutt": ["mutt"], "s-nail": ["s-nail"], "msmtp": ["msmtp"],
                      "swaks": ["swaks", "libnet-ssleay-perl", "libauthen-sasl-perl"], "curl": ["curl"], "Python": []},
    "Fetchers": {"fetchmail": ["fetchmail"], "getmail": ["getmail6"], "mpop": ["mpop"]},
    "Super-servers": {"xinetd": ["xinetd"], "openbsd-inetd": ["openbsd-inetd"]},
    "Relays": {"Postfix": ["postfix"]},
    "Providers": {"Dovecot": ["dovecot-pop3d"]},
}

HEAD = """INTEROP: what amsmail was tried with

Every line comes from a test in tests/interop/ that ran the real program, of the version named here, and passed.  It is
written by `scripts/test tests/interop --interop-table`; a test fails when it does not tell what the tests show.

"Unchanged" means compared octet for octet; not counted are trace fields (Return-Path, Received) and what the program
itself says that it adds.  All clients talked to smtpd and pop3d as started by both super-servers with the files of etc/.
"""

TAIL = """
Not tried
    Mail programs with windows: Thunderbird, Outlook, Apple Mail, and those of telephones.
    Mail programs that synchronise: mbsync and offlineimap want IMAP, which amsmail has not.
    As relay: anything but Postfix; above all the relays of the large providers, with their limits and OAuth logins.
    As provider: anything but Dovecot, and servers without UIDL only as the tests' own imitation.
    BDAT (CHUNKING) from a client: none of these programs sends it; the tests' own dialogues do.
    The other inetds (inetutils, busybox, rlinetd), systemd as the machine's init, and anything but GNU/Linux.
"""

_rows = {}


def shows(program, did, result):
    """The mark of a test that shows that `program` was used so, with this result."""
    _rows[program, did, result] = None
    return pytest.mark.shows(program, did, result)


def declared():
    """All that the tests show, as a set of (program, what was done, result)."""
    for file in FOLDER.glob("test_*.py"):
        importlib.import_module(f"{__package__}.{file.stem}")
    return set(_rows)


def version(packages):
    """Of the program that is run: of the package installed, or of the one unpacked for the tests."""
    if not packages:
        return platform.python_version()
    package = packages[0]
    if shutil.which(package):
        return subprocess.run(["dpkg-query", "--show", "--showformat=${Version}", package], capture_output=True,
                              text=True, check=True).stdout
    with gzip.open(tree(*packages) / f"usr/share/doc/{package}/changelog.Debian.gz", "rt") as changelog:
        return re.match(r"\S+ \((\S+)\)", changelog.readline())[1]


def text(rows):
    """The document that tells these (program, what was done, result)."""
    rows = sorted(rows)
    parts = [HEAD]
    found = {name: version(packages) for programs in GROUPS.values() for name, packages in programs.items()
             if name in {row[0] for row in rows}}
    widths = [max(map(len, column)) for column in (found, found.values(), [did for _, did, _ in rows])]
    for group, programs in GROUPS.items():
        parts.append(f"\n{group}\n")
        parts += [_line([name, found[name], did, result], widths)
                  for name in programs for program, did, result in rows if program == name]
    return "".join([*parts, TAIL])


def _line(cells, widths):
    return "    " + "  ".join([*map(str.ljust, cells, widths), cells[-1]]) + "\n"


def told(document):
    """The (program, what was done, result) in a document."""
    lines = document.partition("Mail programs\n")[2].partition("Not tried")[0].splitlines()
    cells = [re.split("  +", line.strip()) for line in lines if line.startswith(" ")]
    return {(name, did, result) for name, _, did, result in cells}

"""docs/INTEROP: which programs amsmail was tried with, what was done, and what came of it.

A test that shows something says so:

    @shows("msmtp", "sends", "unchanged", "STARTTLS")

The table is made of such marks on tests that passed; `scripts/test tests/interop --interop-table` writes it.
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

# The ways, in the order in which they are told.
WAYS = ("plain", "STARTTLS", "STLS", "implicit TLS")

# The programs, each with its package's name in Debian and the packages it is unpacked together with.
GROUPS = {
    "Mail programs": {"mutt": ["mutt"], "s-nail": ["s-nail"], "msmtp": ["msmtp"],
                      "swaks": ["swaks", "libnet-ssleay-perl", "libauthen-sasl-perl"], "curl": ["curl"], "Python": []},
    "Fetchers": {"fetchmail": ["fetchmail"], "getmail": ["getmail6"], "mpop": ["mpop"]},
    "Super-servers": {"xinetd": ["xinetd"], "openbsd-inetd": ["openbsd-inetd"]},
    "Relays": {"Postfix": ["postfix"], "Exim": ["exim4-daemon-light"], "OpenSMTPD": ["opensmtpd"]},
    "Providers": {"Dovecot": ["dovecot-pop3d"], "Courier": ["courier-imap", "courier-pop"]},
}

HEAD = """INTEROP: what amsmail was tried with

Every line comes from tests in tests/interop/ that ran the real program, of the version named here, and passed.  It is
written by `scripts/test tests/interop --interop-table`; a test fails when it does not tell what the tests show.

"Unchanged" means compared octet for octet: 8-bit text, all octets but NUL, lines of dots, long lines, 280 kB.  Trace
fields (Return-Path, Received, Delivered-To) do not count.  "plain" is without TLS and, for sending, without a login; by
STARTTLS and implicit TLS all log in, with AUTH PLAIN if nothing else is said, and check the server's certificate.
"Chunked" (BDAT, all messages in one flow), "pipelined" and "in lock-step" are docs/FLOW's ways to push, as a relay can.
Clients talked to smtpd and pop3d as both super-servers start them with the files of etc/ (large boxes: xinetd only).
"""

TAIL = """
Not tried
    Mail programs with windows: Thunderbird, Outlook, Apple Mail, and those of telephones.
    Mail programs that synchronise: mbsync and offlineimap want IMAP, which amsmail has not.
    As relay: OpenSMTPD by TLS and with a login, since Debian 12's breaks each handshake off (with OpenSSL 3 it does not
      find its own key); and above all the relays of the large providers, with their limits and OAuth logins.
    As provider: Cyrus, and the large ones; servers without UIDL only as the tests' own imitation.
    BDAT (CHUNKING) from a client: none of these programs sends it; the tests' own dialogues do.
    The other inetds (inetutils, busybox, rlinetd), systemd as the machine's init, and anything but GNU/Linux.
"""

_rows = {}


def shows(program, did, result, way=""):
    """The mark of a test that shows that `program` was used so, in one of WAYS if it matters, with this result."""
    row = (program, did, result, way)
    _rows[row] = None
    return pytest.mark.shows(*row)


def declared():
    """All that the tests show, as a set of rows: (program, what was done, result, way)."""
    for file in FOLDER.glob("test_*.py"):
        importlib.import_module(f"{__package__}.{file.stem}")
    return set(_rows)


def lines(rows):
    """The lines that tell these rows, sorted: (program, what was done and in which ways, result)."""
    ways = {}
    for *line, way in rows:
        ways.setdefault(tuple(line), []).append(way)
    return sorted((program, did + _list(ways[program, did, result]), result) for program, did, result in ways)


def _list(ways):
    return "" if ways == [""] else ": " + ", ".join(sorted(ways, key=WAYS.index))


def version(packages):
    """Upstream's version of the program that is run: of the package installed, or of the one unpacked for the tests."""
    if not packages:
        return platform.python_version()
    package = packages[0]
    if shutil.which(package):
        found = subprocess.run(["dpkg-query", "--show", "--showformat=${Version}", package], capture_output=True,
                               text=True, check=True).stdout
    else:
        with gzip.open(tree(*packages) / f"usr/share/doc/{package}/changelog.Debian.gz", "rt") as changelog:
            found = re.match(r"\S+ \((\S+)\)", changelog.readline())[1]
    return re.match(r"(?:\d+:)?([\d.]+)", found)[1]


def text(rows):
    """The document that tells these rows."""
    told = lines(rows)
    versions = {name: version(packages) for programs in GROUPS.values() for name, packages in programs.items()}
    widths = [max(map(len, column)) for column in (versions, versions.values(), [did for _, did, _ in told])]
    parts = [HEAD]
    for group, programs in GROUPS.items():
        parts.append(f"\n{group}\n")
        for cells in ([name, versions[name], did, result] for name in programs for program, did, result in told
                      if program == name):
            parts.append("    " + "  ".join([*map(str.ljust, cells, widths), cells[-1]]) + "\n")
    return "".join([*parts, TAIL])


def read(document):
    """The lines() in a document."""
    table = document.partition("\nMail programs\n")[2].partition("\nNot tried\n")[0].splitlines()
    cells = [re.split("  +", line.strip()) for line in table if line.startswith(" ")]
    return sorted((name, did, result) for name, _, did, result in cells)

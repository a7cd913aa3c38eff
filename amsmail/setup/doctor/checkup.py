"""The doctor: finds what goes wrong in practice, and says what to do about each.  Nothing is changed and nothing is
dialled; what is tried is taken back.

A check is a function of (site, world) that gives Findings.  Where mail.cfg is wrong there is no site, and only those
run that need none.
"""

import os

from amsmail.setup.doctor import calls, disk, network, rights, served, settings, tls
from amsmail.setup.doctor.world import FINE, NOTE, WRONG, fine, note
from amsmail.site.draft import Draft
from amsmail.site.words import counted
from amsmail.wire.value import Value

_ORDER = (WRONG, NOTE, FINE)


class Check(Value):
    """One row: `run`, the function; what it `looks_at`; and its `title`, what a person calls that."""

    __slots__ = ("run", "looks_at", "title")


FILE, MACHINE, BOTH = "mail.cfg alone", "the machine alone", "the machine by mail.cfg"


def contents(site, _world):
    """What mail.cfg holds, in one line."""
    links = Draft(site.path).names("links")         # of the Site's, one may be implied
    numbers = (counted(len(site.boxes), "box", "boxes"), counted(len(site.addresses), "address", "addresses"),
               counted(len(site.accounts), "account"),
               counted(len(links), "link") if links else "no link (the network is taken to be there)")
    yield fine(f"{', '.join(numbers)}; relay {site.relay['host'] or 'none'}: {site.path}")


EVERY_CHECK = (
    Check(contents, FILE, "what mail.cfg holds"),
    Check(settings.relaying, FILE, "who may send without a login"),
    Check(settings.boxes, FILE, "the boxes"),
    Check(settings.shared, FILE, "which domains are shared with others"),
    Check(rights.files, BOTH, "who may read mail.cfg and the key"),
    Check(rights.spool, BOTH, "whose the spool is"),
    Check(disk.kind, BOTH, "on which file system the spool lies"),
    Check(disk.abilities, BOTH, "what the spool's file system can do"),
    Check(disk.room, BOTH, "how much room there is"),
    Check(tls.certificate, BOTH, "the certificate"),
    Check(served.services, MACHINE, "who serves mail programs"),
    Check(calls.schedule, MACHINE, "what starts mailcheck"),
    Check(calls.clock, BOTH, "the clock"),
    Check(calls.leftovers, BOTH, "what was left lying in the spool"),
    Check(settings.programs, BOTH, "the programs of the links"),
    Check(network.network, BOTH, "the links and the providers"),
)


def check(site, world):
    """All Findings about a Site (None where mail.cfg is wrong) on a machine, what is wrong first."""
    return _run(site, world, (FILE, MACHINE, BOTH) if site else (MACHINE,))


def check_file(site, world):
    """The Findings that mail.cfg alone tells; none where it is wrong."""
    return _run(site, world, (FILE,) if site else ())


def _run(site, world, kinds):
    found = [finding for row in EVERY_CHECK if row.looks_at in kinds for finding in _findings(row, site, world)]
    return sorted(found, key=lambda finding: _ORDER.index(finding.level))


def _findings(row, site, world):
    """Those of one check; one that cannot be made must not keep the others from being made."""
    try:
        yield from row.run(site, world)
    except OSError as error:
        root_may = isinstance(error, PermissionError) and hasattr(os, "geteuid") and os.geteuid()
        yield note(f"{row.title}: this cannot be looked at: {error}",
                   "run this as root" if root_may else "mend that, then run `mailcfg check` again")

"""mailcfg import: the users and the mail of other programs."""

import contextlib
import os
import sys
import tempfile

from amsmail.program import mailcfg_domains, options
from amsmail.program.options import UsageError
from amsmail.setup import boxmail
from amsmail.setup.imports import boxes, mail, source
from amsmail.setup.imports.mail_sources import NotRead
from amsmail.setup.rights import of_owner
from amsmail.site import config, config_file, exits
from amsmail.site.config_error import no_such
from amsmail.site.draft import Draft
from amsmail.site.words import counted
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool, SpoolError
from amsmail.wire.text import printable

_SHOWN = 500        # messages between two signs of life


def run(arguments, usage, default_config):
    """Runs `mailcfg import ...`; gives the exit code: TEMPFAIL if something was left out.  Raises UsageError,
    ConfigError, and OSError where a file of users cannot be read."""
    flags, pairs, words = options.parse(usage, arguments, ("--dry-run",), ("--config", "--shadow", "--box"))
    kinds = ("passwd", *boxes.FORMATS, "mail")
    if len(words) != 2 or words[0] not in kinds:
        raise UsageError(f"expected import {'|'.join(kinds)}, and one file or folder")
    kind, place = words
    given = options.once(pairs)
    path = given.pop("--config", default_config)
    wanted = {"passwd": {"--shadow"}, "mail": {"--box"}}.get(kind, set())
    if surplus := sorted(given.keys() - wanted):
        raise UsageError(f"{surplus[0]} is of no use to import {kind}")
    if kind == "mail":
        return _mail(path, place, given.get("--box", ""), bool(flags))
    return _boxes(Draft(path), kind, place, given.get("--shadow"), bool(flags))


# Boxes

def _boxes(draft, kind, place, shadow, is_dry):
    text, taken, before = source.text(place), draft.names("boxes"), mailcfg_domains.unsafe(draft)
    if kind == "passwd":
        found = boxes.passwd(text, source.text(shadow) if shadow else "", taken=taken)
    else:
        found = boxes.FORMATS[kind](text, taken=taken)
    refused = _put(draft, found)
    added = [name for name in found.names() if name not in refused]
    if is_dry:
        print(*draft.diff(), sep="\n")
    else:
        draft.save()
        mailcfg_domains.warn(draft, before)
    would = "would be " if is_dry else ""
    print(*(f"{name}: {would}added{_without(draft, name)}" for name in added), sep="\n", end="\n" if added else "")
    for line, what, why in found.left_out:
        _tell(f"{place}:{line}" if line else place, what, why)
    for name, problem in refused.items():
        _tell(place, name, f"was not added: {problem}")
    # Line 0 is of the file as a whole: the system's users in passwd are no loss.
    return exits.TEMPFAIL if refused or any(line for line, _, _ in found.left_out) else exits.OK


def _put(draft, found):
    """Adds the boxes that were found, as far as mail.cfg is then right; gives {box: why} of the others."""
    before = draft.mark()
    refused = {name: why for name in found.names() if (why := _put_one(draft, found, name))}
    if not draft.problems():
        return refused
    draft.undo(before)
    refused = {}
    for name in found.names():
        mark = draft.mark()
        if why := _put_one(draft, found, name):
            refused[name] = why
        elif problems := draft.problems():
            draft.undo(mark)
            refused[name] = "; ".join(problem.partition(": ")[2] for problem in problems)
    return refused


def _put_one(draft, found, name):
    """Adds one box; gives what is expected instead of a value that cannot stand in mail.cfg, '' if it was added."""
    for keys, text in found.values(name).items():
        if expected := config_file.expected(keys, text):
            return f"{keys[-1]}: expected {expected}"
    found.put(draft, name)
    return ""


def _without(draft, name):
    return "" if draft.value(("boxes", name, "password")) else ", without a password"


# Mail

def _mail(path, place, box, is_dry):
    site = config.load(path)
    if box and box not in site.boxes:
        raise no_such(path, "boxes", "box", box, site.boxes)
    if not os.path.isdir(site.spool):
        print(f"mailcfg: {site.spool}: there is no spool yet; the first connection to smtpd makes it", file=sys.stderr)
        return exits.TEMPFAIL
    try:
        with _spool(site, is_dry) as spool:
            found = mail.mail(spool, list(site.boxes), os.path.abspath(place), box,
                              _progress if sys.stderr.isatty() else lambda box, count: None, is_dry)
    except Busy:
        print("mailcfg: mailcheck or another import runs; import it again when that has ended", file=sys.stderr)
        return exits.TEMPFAIL
    except (NotRead, SpoolError, OSError) as error:
        print(f"mailcfg: {place}: {error}", file=sys.stderr)
        return exits.TEMPFAIL
    for name in sorted({*found.brought, *found.known}):
        known = found.known.get(name, 0)
        before = f", and {known} that came in before" if known else ""
        print(f"{name}: {counted(found.brought.get(name, 0), 'message')}{' would come' if is_dry else ''}{before}")
    for place, what, why in found.left_out:
        _tell(place, what, why)
    return exits.TEMPFAIL if found.left_out else exits.OK


@contextlib.contextmanager
def _spool(site, is_dry):
    """Within, the site's Spool, which its owner made; where there is none yet, a dry run has an empty one elsewhere.
    Raises SpoolError, OSError."""
    with contextlib.ExitStack() as stack:
        folder = site.spool
        if is_dry and not boxmail.is_spool(folder):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        with of_owner(folder):
            spool = Spool(folder, site.hostname)
        yield spool


def _progress(box, count):
    if count % _SHOWN == 0:
        print(f"{box}: {count} messages so far", file=sys.stderr)


def _tell(place, what, why):
    """A line about what was left out; a file of others may hold anything."""
    print(printable(f"{place}: {what}: {why}"))

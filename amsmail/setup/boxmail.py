"""What becomes of a box's mail when the box is renamed or deleted, and of mail whose box is no more.

mail.cfg may hold a mistake of long ago, which does not hinder anybody to write it: so only what it says of the spool is
read here.  The journal of what was imported (state/seen/import+BOX) goes before the mail does: after a crash between
the two an import brings a message once more, and never takes one for known that another box has.
"""

import os

from amsmail.setup.rights import of_owner
from amsmail.site import config_file, rules
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.store import durable
from amsmail.store.delivery import recover
from amsmail.store.held import HeldMail
from amsmail.store.locks import Busy
from amsmail.store.seen import resume_all
from amsmail.store.spool import Spool

KEEP, REMOVE, GIVE = "keep", "remove", "give"
_HOSTNAME, _SPOOL = ("site", "hostname"), ("site", "spool")


class BoxBusy(Exception):
    """Somebody works with the box's mail right now."""


def strays(site):
    """{name: how many messages} of the drop boxes in the spool that mail.cfg has no box for, as far as there are any.
    Raises SpoolError, OSError."""
    return _strays(site.spool, site.hostname, site.boxes)


def strays_beside(path):
    """The same by the mail.cfg at `path`, whatever is wrong in it.  Raises ConfigError, SpoolError, OSError."""
    draft = Draft(path)
    return _strays(_folder(draft), draft.value(_HOSTNAME), draft.names("boxes"))


def _strays(folder, host, boxes):
    above = os.path.join(folder, "boxes")
    if not _is_spool(folder) or not os.path.isdir(above):
        return {}
    spool = Spool(folder, host)
    names = (name for name in sorted(set(os.listdir(above)) - set(boxes))
             if not rules.name_problem("boxes", name) and os.path.isdir(os.path.join(above, name)))
    found = {name: len(spool.box(name).list()) for name in names}
    return {name: count for name, count in found.items() if count}


def _is_spool(folder):
    """Whether there is a spool already: who only looks must not make one."""
    return os.path.exists(os.path.join(folder, "format"))


def waiting(path, name):
    """How many messages the spool has for box `name`; `path` is that of mail.cfg.  Raises ConfigError, SpoolError,
    OSError."""
    draft = Draft(path)
    folder = _folder(draft)
    if not _is_spool(folder) or not os.path.isdir(os.path.join(folder, "boxes", name)):
        return 0
    with of_owner(folder):
        return len(Spool(folder, draft.value(_HOSTNAME)).box(name).list())


def settle(path, name, what, other=""):
    """Does with the mail of box `name` WHAT: KEEP leaves it where it is, REMOVE removes it, GIVE moves it into the box
    `other`; `path` is that of mail.cfg, in which `name` is no box any more.  Gives how many messages that were.  Raises
    BoxBusy, ConfigError, SpoolError, OSError."""
    draft = Draft(path)
    folder = _folder(draft)
    if not os.path.isdir(folder):
        return 0                # nothing ever came
    with of_owner(folder):
        spool = Spool(folder, draft.value(_HOSTNAME))
        if what == KEEP:
            recover(spool)
            return len(spool.box(name).list())
        with _locked(spool, "mailcheck", "mailcheck or an import runs right now"), \
                _locked(spool, f"box-{name}", f"box {name} is being read right now"):
            recover(spool)      # what a crash left for that box is delivered first
            resume_all(spool)
            return _settle(spool, name, what, other)


def _folder(draft):
    """The spool's.  Raises ConfigError."""
    folder = draft.value(_SPOOL) or DEFAULT_SPOOL
    if problem := config_file.expected(_SPOOL, folder):
        raise ConfigError([f"{draft.path}: [site] spool: found {folder!r}; expected {problem}"])
    return folder


def _locked(spool, name, words):
    try:
        return spool.lock(name)
    except Busy:
        raise BoxBusy(words) from None


def _settle(spool, name, what, other):
    box = spool.box(name)
    entries = box.list()
    _settle_journal(*(spool.state("seen", f"import+{each}") for each in (name, other)), is_given=what == GIVE)
    if what == GIVE:
        _tell_held(spool, name, other)
        taker = spool.box(other)
        taker.make()
        for entry in entries:
            taker.take(entry)
    if what == REMOVE:
        for entry in entries:
            box.remove(entry)
    return len(entries)


def _settle_journal(mine, others, is_given):
    """Gives the journal of what was imported to the other box, unless that has its own: then it goes, since what came
    into this box was not necessarily there for whoever has the other, and a message twice is better than one lost."""
    if not os.path.exists(mine):
        return
    if is_given and not os.path.exists(others):
        durable.publish(mine, others)
    else:
        durable.remove(mine)


def _tell_held(spool, name, other):
    """What waits at a provider for the one box waits for the other now."""
    held = HeldMail(spool)
    for message in held.list():
        if message.box == name:
            held.put(message.but(box=other))

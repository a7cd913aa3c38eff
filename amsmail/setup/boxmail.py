"""What becomes of a box's mail when the box is renamed or deleted, and of mail whose box is no more.

mail.cfg may hold a mistake of long ago, which does not hinder anybody to write it: so only what it says of the spool is
read here.  The journal of what was imported (state/seen/import+BOX) goes before the mail does: after a crash between
the two an import brings a message once more, and never takes one for known that another box has.
"""

import os

from amsmail.setup.rights import of_owner
from amsmail.site import rules
from amsmail.site.draft import Draft
from amsmail.store import durable
from amsmail.store.delivery import recover
from amsmail.store.held import HeldMail
from amsmail.store.locks import Busy
from amsmail.store.seen import resume_all
from amsmail.store.spool import Spool

KEEP, REMOVE, GIVE = "keep", "remove", "give"
_HOSTNAME = ("site", "hostname")


class BoxBusy(Exception):
    """Somebody works with the box's mail right now."""


def strays(site):
    """{name: how many messages} of the drop boxes in the spool that mail.cfg has no box for, as far as there are any.
    Raises SpoolError, OSError."""
    return _strays(site.spool, site.hostname, site.boxes)


def strays_beside(path):
    """The same by the mail.cfg at `path`, whatever is wrong in it.  Raises ConfigError, SpoolError, OSError."""
    draft = Draft(path)
    return _strays(draft.spool(), draft.value(_HOSTNAME), draft.names("boxes"))


def _strays(folder, host, boxes):
    above = os.path.join(folder, "boxes")
    if not is_spool(folder) or not os.path.isdir(above):
        return {}
    spool = Spool(folder, host)
    names = (name for name in sorted(set(os.listdir(above)) - set(boxes))
             if not rules.name_problem("boxes", name) and os.path.isdir(os.path.join(above, name)))
    found = {name: len(spool.box(name).list()) for name in names}
    return {name: count for name, count in found.items() if count}


def is_spool(folder):
    """Whether there is a spool already: who only looks must not make one."""
    return os.path.exists(os.path.join(folder, "format"))


def has_been(path, name):
    """Whether the spool knows of a box of that name, by its drop box or what was imported into it; `path` is that of
    mail.cfg.  Raises ConfigError, and OSError where this user may not look."""
    folder = Draft(path).spool()
    return any(map(_is_there, (os.path.join(folder, "boxes", name), os.path.join(folder, *_journal(name)))))


def _is_there(path):
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _journal(name):
    """Where in the spool the journal of what was imported into a box is."""
    return "state", "seen", f"import+{name}"


def waiting(path, name):
    """How many messages the spool has for box `name`; `path` is that of mail.cfg.  Raises ConfigError, SpoolError,
    OSError."""
    draft = Draft(path)
    folder = draft.spool()
    if not is_spool(folder) or not has_been(path, name):
        return 0
    with of_owner(folder):
        return len(Spool(folder, draft.value(_HOSTNAME)).box(name).list())


def settle(path, name, what, other=""):
    """Does with the mail of box `name` WHAT: KEEP leaves it where it is, REMOVE removes it, GIVE moves it into the box
    `other`; `path` is that of mail.cfg, in which `name` is no box any more.  Where it is one all the same, because its
    deletion was taken back or another box got its name, nothing is removed: that box has the mail; what is given goes
    to the `other` nevertheless.  Gives how many messages that were.  Raises BoxBusy, ConfigError, SpoolError, OSError.
    """
    draft = Draft(path)
    if what != GIVE and name in draft.names("boxes"):
        return 0
    folder = draft.spool()
    if not os.path.isdir(folder):
        return 0                # nothing ever came
    with of_owner(folder):
        spool = Spool(folder, draft.value(_HOSTNAME))
        if what == KEEP:
            recover(spool, wait=True)
            return len(spool.box(name).list())
        with _locked(spool, "mailcheck", "mailcheck or an import runs right now"), \
                _locked(spool, f"box-{name}", f"box {name} is being read right now"):
            recover(spool, wait=True)       # what a crash left for it, or somebody is about to, is delivered first
            resume_all(spool)
            return _settle(spool, name, what, other)


def _locked(spool, name, words):
    try:
        return spool.lock(name)
    except Busy:
        raise BoxBusy(words) from None


def _settle(spool, name, what, other):
    box = spool.box(name)
    entries = box.list()
    _settle_journal(*(os.path.join(spool.path, *_journal(each)) for each in (name, other)), is_given=what == GIVE)
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

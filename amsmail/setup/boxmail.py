"""What becomes of a box's mail when the box is renamed or deleted, and of mail whose box is no more."""

import os

from amsmail.setup.import_rights import of_owner
from amsmail.site import config
from amsmail.store.delivery import recover
from amsmail.store.held import HeldMail
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool

KEEP, REMOVE, GIVE = "keep", "remove", "give"


class BoxBusy(Exception):
    """Somebody reads the box right now."""


def strays(site):
    """{name: how many messages} of the drop boxes in the spool that mail.cfg has no box for, as far as there are any.
    Raises SpoolError, OSError."""
    folder = os.path.join(site.spool, "boxes")
    if not os.path.isdir(folder):
        return {}
    spool = Spool(site.spool, site.hostname)
    found = {name: len(spool.box(name).list()) for name in sorted(set(os.listdir(folder)) - set(site.boxes))}
    return {name: count for name, count in found.items() if count}


def settle(path, name, what, other=""):
    """Does with the mail of box `name` WHAT: KEEP leaves it where it is, REMOVE removes it, GIVE moves it into the box
    `other`; `path` is that of mail.cfg, in which `name` is no box any more.  Gives how many messages that were.  Raises
    BoxBusy, ConfigError, SpoolError, OSError."""
    site = config.load(path)
    if not os.path.isdir(site.spool):
        return 0                # nothing ever came
    with of_owner(site.spool):
        spool = Spool(site.spool, site.hostname)
        recover(spool)          # what a crash left for that box is delivered first
        try:
            lock = spool.lock(f"box-{name}")
        except Busy:
            raise BoxBusy(f"box {name} is being read right now") from None
        with lock:
            return _settle(spool, name, what, other)


def _settle(spool, name, what, other):
    box = spool.box(name)
    entries = box.list()
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


def _tell_held(spool, name, other):
    """What waits at a provider for the one box waits for the other now."""
    held = HeldMail(spool)
    for message in [*held.list(), *held.outbound()]:
        if message.box == name:
            held.put(message.but(box=other))

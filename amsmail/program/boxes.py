"""A box that is renamed or deleted: what refers to it in mail.cfg, and what becomes of its mail; and mail in the spool
that earlier boxes left."""

import sys

from amsmail.setup import boxmail
from amsmail.setup.boxmail import GIVE, KEEP, REMOVE
from amsmail.site import entries, exits
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.site.values import listed
from amsmail.site.words import counted
from amsmail.store.spool import SpoolError


def rename(draft, old, new):
    """Renames a box in the draft, and what refers to it.  Its addresses stay what they were; where the old name was
    one, as it stands, the new name is one more."""
    keys = ("boxes", old, "addresses")
    words = entries.entries(listed(draft.value(keys)), old)
    folded = {word.casefold() for word in words}
    if old in folded:
        draft.set(keys, ", ".join([*words, *{new} - folded]))
    draft.rename(("boxes", old), new)
    _refer(draft, old, new)


def delete(draft, name, taker=""):
    """Drops a box from the draft.  The box that takes its mail takes its place, too; without one, what refers to it
    stays as it is, and is wrong until somebody says what is meant."""
    draft.drop(("boxes", name))
    _refer(draft, name, taker)


def _refer(draft, old, new):
    """Lets what refers to the box `old` refer to `new`; without that, takes `old` from the lists that do."""
    if new and draft.value(("site", "postmaster")) == old:
        draft.set(("site", "postmaster"), new)
    for account in draft.names("accounts"):
        if new and draft.value(("accounts", account, "box")) == old:
            draft.set(("accounts", account, "box"), new)
    urgent = listed(draft.value(("calls", "urgent_from")))
    if old in urgent:
        others = dict.fromkeys(new if word == old else word for word in urgent)
        draft.set(("calls", "urgent_from"), ", ".join(filter(None, others)) or None)


_SETTLED = {KEEP: "{messages} in the spool, in boxes/{name}: `mailcfg box adopt {name} --to BOX` moves them on",
            REMOVE: "{messages} removed", GIVE: "{messages} moved into box {other}"}


def settle(path, name, what, other="", otherwise=""):
    """Does with the mail of a box that is no more what boxmail.settle can, and tells of it, or `otherwise` where there
    is none; gives the exit code."""
    try:
        count = boxmail.settle(path, name, what, other)
    except (boxmail.BoxBusy, ConfigError, SpoolError, OSError, KeyboardInterrupt) as error:
        print(f"mailcfg: {error or 'broken off'}; the mail of {name} that was not moved is safe in the spool.  "
              f"Once that is over: mailcfg box adopt {name} --to BOX", file=sys.stderr)
        return exits.TEMPFAIL
    told = f"{_SETTLED[what]}.".format(messages=counted(count, "message"), name=name, other=other)
    if said := told if count else otherwise:
        print(said)
    return exits.OK


def tell_of_earlier(path, name):
    """Tells of mail that an earlier box of that name left and that is in the new one now, as far as this user may look.
    Nothing is told where mail.cfg has no such box, because it was not written after all."""
    try:
        count = boxmail.waiting(path, name) if name in Draft(path).names("boxes") else 0
    except (ConfigError, SpoolError, OSError):
        count = 0
    if count:
        print(f"boxes/{name} holds {counted(count, 'message')} of an earlier box of that name: in the new box now.")


def tell_of_strays(path):
    """Tells of mail in the spool that belongs to no box, as far as mail.cfg says where it is and this user may look.
    `mailcfg check` says what is in the way."""
    try:
        strays = boxmail.strays_beside(path)
    except (ConfigError, SpoolError, OSError):
        strays = {}
    for name, count in strays.items():
        print(f"{name} is no box and has {counted(count, 'message')}: `mailcfg box add {name}` makes it one, `mailcfg "
              f"box adopt {name} --to BOX` moves its mail.")

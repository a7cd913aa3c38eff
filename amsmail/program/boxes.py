"""A box that is renamed or deleted: what refers to it in mail.cfg, and what becomes of its mail."""

import sys

from amsmail.program import exits
from amsmail.setup import boxmail
from amsmail.store.spool import SpoolError


def rename(draft, old, new):
    """Renames a box in the draft, and what refers to it.  Its addresses stay what they were."""
    if not draft.value(("boxes", old, "addresses")):
        draft.set(("boxes", old, "addresses"), f"{old}, {new}")
    draft.rename(("boxes", old), new)
    if draft.value(("site", "postmaster")) == old:
        draft.set(("site", "postmaster"), new)
    for account in draft.names("accounts"):
        if draft.value(("accounts", account, "box")) == old:
            draft.set(("accounts", account, "box"), new)
    urgent = draft.value(("calls", "urgent_from")).replace(",", " ").split()
    if old in urgent:
        draft.set(("calls", "urgent_from"), ", ".join(new if word == old else word for word in urgent))


_SETTLED = {"keep": "{count} messages stay in the spool, in boxes/{name}: `mailcfg box adopt {name} --to BOX` moves them",
            "remove": "{count} messages were removed", "give": "{count} messages are in box {other} now"}


def settle(path, name, what, other=""):
    """Does with the mail of a box that is no more what boxmail.settle can, and tells of it; gives the exit code."""
    try:
        count = boxmail.settle(path, name, what, other)
    except (boxmail.BoxBusy, SpoolError, OSError) as error:
        print(f"mailcfg: {error}; once that is over: mailcfg box adopt {name} --to BOX", file=sys.stderr)
        return exits.TEMPFAIL
    if count:
        print(_SETTLED[what].format(count=count, name=name, other=other) + ".")
    return exits.OK

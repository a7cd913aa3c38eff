"""Links in mail.cfg: which of them are used now, and what refers to one that is renamed or deleted."""

import os

from amsmail.link.dialled import Dialled
from amsmail.site import rules
from amsmail.site.config_error import ConfigError
from amsmail.site.values import listed

ANY = rules.ANY_LINK        # all links, by priority
LEDGER = "The ledger keeps its calls under the name {name}, and a budget counts by name."

_USE = ("calls", "use")


def in_use(draft):
    """The names of the links that are used now, in their order; empty where all are, by priority."""
    return listed(draft.value(_USE))


def use(draft, names):
    """Only these links are to be used from now on, the first one first; all, by priority, if there is none."""
    draft.set(_USE, ", ".join(names) or None)


def used_now(draft):
    """Which links are used now, in words."""
    names = in_use(draft)
    if not names:
        return "calls go over any link, by priority"
    return f"calls go over {names[0]}" + "".join(f", then {name}" for name in names[1:]) + ", and over no other link"


def rename(draft, old, new):
    """Gives a link another name, also where it is named as one to be used."""
    draft.rename(("links", old), new)
    if old in in_use(draft):
        use(draft, [new if name == old else name for name in in_use(draft)])


def delete(draft, name):
    """Removes a link; it is not to be used any more either.  Gives what there is to know of that, in words: without
    the last link that was to be used, all are."""
    draft.drop(("links", name))
    words = [LEDGER.format(name=name)]
    if name in in_use(draft):
        use(draft, [other for other in in_use(draft) if other != name])
        words.append(f"From now on {used_now(draft)}.")
    return words


def check_is_down(draft, name):
    """Raises ConfigError where a mailcheck dialled the link and did not hang up yet: without its section it could
    not."""
    if name in Dialled(os.path.join(draft.spool(), "state", "dialled")).left_behind():
        raise ConfigError([f"link {name} may be up: a mailcheck dialled it, and must be able to hang it up; wait until "
                           "it has ended, or run mailcheck if none runs"])

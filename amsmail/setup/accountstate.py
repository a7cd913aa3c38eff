"""What belongs to an account in the spool, and how it moves along where the account gets another name: the journal of
what was fetched (state/seen), what is known of its server (state/known), messages that have come in part
(state/partial), and what is held of it at the provider (state/held).

Without its journal a renamed account would fetch everything twice.  mail.cfg and the spool cannot change in one step,
so they do in this order, while no mailcheck runs:

    1  The journal is copied to the new name.
       crash: nobody looks at the copy, and another attempt replaces it.
    2  mail.cfg is written.  THIS IS THE COMMIT.
       crash: the account goes on with its journal.  A message that had come in part comes anew, and what is held of it
       is told once more.
    3  The rest moves to the new name, and the old journal goes.

What belongs to an account that is deleted stays: the account may come back, and the journal says of which mailbox it
is.  Spool.tidy() removes what is of no use.
"""

import os
from contextlib import ExitStack

from amsmail.setup.rights import of_owner
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.store import durable
from amsmail.store.held import HeldMail
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool, SpoolError

_SECTION = "accounts"


class AccountDraft(Draft):
    """A Draft of mail.cfg that takes along what belongs to renamed accounts in the spool when it is saved."""

    def taken(self):
        """The names that no account may get: those that there are, and those that are in effect until this is saved."""
        return sorted({*self.in_effect(_SECTION), *self.names(_SECTION)})

    def save(self):
        """As Draft.save().  Raises ConfigError also where mailcheck runs right now, or the spool cannot be changed."""
        renamed = self.renamed(_SECTION)
        if both := {*self.in_effect(_SECTION)} & {*renamed.values()}:
            raise ConfigError([f"{self.path}: {', '.join(sorted(both))}: an account can get this name when the one "
                               "that has it was written with another"])
        path = self.spool() if renamed else ""
        if not os.path.isdir(path):
            super().save()
            return
        with ExitStack() as locks:
            spool = self._prepare(path, locks, renamed)
            super().save()
            self._finish(spool, renamed)

    def _prepare(self, path, locks, renamed):
        """Step 1.  Gives the Spool, locked."""
        try:
            with of_owner(path):
                spool = Spool(path, self.value(("site", "hostname")))
                for lock in ("mailcheck", *(f"account-{name}" for name in renamed)):
                    locks.enter_context(spool.lock(lock))
                for old, new in renamed.items():
                    _copy_journal(spool, old, new)
        except Busy:
            raise ConfigError([f"{self.path}: mailcheck runs right now, so nothing was written; try again when it is "
                               "over"]) from None
        except (OSError, SpoolError) as error:
            raise ConfigError([f"{self.path}: nothing was written, since the spool cannot be changed: "
                               f"{error}"]) from error
        return spool

    def _finish(self, spool, renamed):
        """Step 3."""
        try:
            with of_owner(spool.path):
                for old, new in renamed.items():
                    _move(spool, old, new)
        except OSError as error:
            raise ConfigError([f"{self.path}: was written, but in the spool not all was put where it belongs: {error}; "
                               "nothing is fetched twice for it, only what had come in part"]) from error


def _copy_journal(spool, old, new):
    try:
        with open(spool.state("seen", old), "rb") as f:
            durable.replace(spool.state("seen", new), f.read())
    except FileNotFoundError:
        return          # nothing was fetched yet


def _move(spool, old, new):
    """All but the journal, which is there already; the old one goes.  Raises OSError."""
    here, there = (os.path.dirname(spool.state("partial", name, "x")) for name in (old, new))
    for file in os.listdir(here):
        durable.publish(os.path.join(here, file), os.path.join(there, file))
    known = spool.state("known", f"account-{old}")
    if os.path.exists(known):
        durable.publish(known, spool.state("known", f"account-{new}"))
    held = HeldMail(spool)
    for message in held.list():
        if message.account == old:
            held.put(message.but(account=new))
    durable.forget([spool.state("seen", old)])

"""The spool: where everything of a site lies.

    format              the layout's version and the separator of names' flags
    boxes/NAME/         drop boxes (Maildir)
    queue/              the outbound queue, itself a drop box
    state/commits/      messages to several destinations, on their way (see delivery)
    state/requests/     a drop box too: what smtpd took for mailcheck itself
    state/locks/  state/seen/  state/known/  state/partial/  state/tries/  state/held/  state/dialled/
    state/ledger.jsonl
"""

import os
import time

from amsmail.store import durable
from amsmail.store.dropbox import DropBox
from amsmail.store.locks import Lock

VERSION = 1
REQUESTS = "/requests"      # the name of that drop box, which no box of mail.cfg can have
_STALE = 36 * 3600      # seconds after which a file in tmp/ belongs to nobody (the Maildir convention)
_REPLACED = ("", "seen", "known", "tries", "held", "dialled")      # below state/: where durable.replace() writes


class SpoolError(Exception):
    """A spool that this program must not touch, and what to do about it."""


class Spool:
    """The spool at `path`, which is made if it is not there.  `host` goes into the names of messages.

    Raises SpoolError if its format is not ours, OSError if it cannot be made or read.
    """

    def __init__(self, path, host):
        self.path = path
        self.host = host
        self.separator = self._format()

    def box(self, name):
        """The DropBox with this name; its directories are made when it is first used."""
        folder = ("state", "requests") if name == REQUESTS else ("boxes", name)
        return DropBox(os.path.join(self.path, *folder), self.separator)

    def queue(self):
        """The outbound queue as a DropBox."""
        return DropBox(os.path.join(self.path, "queue"), self.separator)

    def state(self, *parts):
        """A path below state/, whose directory is made if it is not there."""
        path = os.path.join(self.path, "state", *parts)
        durable.make_directory(os.path.dirname(path))
        return path

    def lock(self, name, wait=False):
        """Takes the lock called `name`.  Raises Busy."""
        return Lock(self.state("locks", name), wait)

    def free(self):
        """Octets that this user may still write on the spool's file system.  Raises OSError."""
        if not hasattr(os, "statvfs"):
            import shutil       # on demand: Windows only
            return shutil.disk_usage(self.path).free
        figures = os.statvfs(self.path)
        return figures.f_bavail * figures.f_frsize

    def tidy(self, boxes, accounts=(), since=None):
        """Makes the drop boxes that are not there yet, so that every mail reader finds them, and removes what crashes
        left behind more than 36 hours ago.  `accounts` are those that there have been `since` then, in seconds since
        the epoch: what is held or begun of others goes after 36 hours too.  None: nothing is known of that.  Call it
        after recover() and resume_all().  Raises OSError."""
        old = time.time() - _STALE
        for drop_box in [self.queue(), *map(self.box, (REQUESTS, *boxes))]:
            drop_box.make()
            _forget_older(os.path.join(drop_box.path, "tmp"), old)
        commits = os.path.dirname(self.state("commits", "x"))
        with self.lock("commits", wait=True):
            if not any(name.endswith(".commit") for name in os.listdir(commits)):      # a commit still needs its files
                _forget_older(commits, old)
        # The programs that write here now are done in a moment, not in 36 hours.
        for folder in (self.path, *(os.path.dirname(self.state(name, "x")) for name in _REPLACED)):
            _forget_older(folder, old, durable.is_leftover)
        # Whoever fetches the queue by POP3 removes messages and knows nothing of their tries.
        queued = {entry.uid for entry in self.queue().list()}
        _forget_older(os.path.dirname(self.state("tries", "x")), old, lambda name: name not in queued)
        from amsmail.store.held import HeldMail         # on demand: the servers do not need it
        held = HeldMail(self)
        held.forget([message for message in held.outbound() if message.uid not in queued])
        if since is not None and since < old:
            self._forget_accounts_but(accounts)

    def _forget_accounts_but(self, accounts):
        """An account may come back: the journal of what was fetched stays."""
        from amsmail.store.held import HeldMail         # on demand: the servers do not need it
        held = HeldMail(self)
        held.forget([message for message in held.list() if message.account not in accounts])
        for folder in os.scandir(os.path.dirname(self.state("partial", "x"))):
            if folder.is_dir() and folder.name not in accounts:
                durable.forget([entry.path for entry in os.scandir(folder.path)])

    def _format(self):
        path = os.path.join(self.path, "format")
        try:
            with open(path, "rb", buffering=0) as f:
                text = f.read().decode("ascii", "replace")
        except FileNotFoundError:
            return self._make(path)
        words = text.split()
        if len(words) != 3 or words[0] != "amsmail-spool" or not words[1].isdigit() or words[2] not in (":", ";"):
            raise SpoolError(f"{path}: this is no spool of amsmail; name another directory as spool in mail.cfg")
        if int(words[1]) > VERSION:
            raise SpoolError(f"{path}: format {words[1]} was made by a newer amsmail; this one knows up to {VERSION}")
        return words[2]

    def _make(self, path):
        durable.make_directory(self.path)
        separator = ":" if self._takes_colon() else ";"
        durable.replace(path, f"amsmail-spool {VERSION} {separator}\n".encode())
        return separator

    def _takes_colon(self):
        """Windows' file systems refuse a colon in a name, or read it as an alternate stream."""
        if os.name == "nt":
            return False
        try:
            probe = durable.NewFile(os.path.join(self.path, f".probe:{os.getpid()}.new"))
        except OSError:
            return False
        probe.discard()
        return True


def _forget_older(folder, old, is_meant=lambda name: True):
    """Removes the files whose names are meant and that were last written before `old`, in seconds since the epoch."""
    durable.forget([entry.path for entry in os.scandir(folder) if is_meant(entry.name) and _is_older(entry, old)])


def _is_older(entry, old):
    try:
        return entry.stat(follow_symlinks=False).st_mtime < old
    except FileNotFoundError:       # a program that runs now has moved it to its place
        return False

"""What the checks of the doctor give, and what they need to see of the machine."""

import glob
import os
import time

from amsmail.setup.processes import PROC, text
from amsmail.site.ports import REGISTERED
from amsmail.wire.value import Value

WRONG, NOTE, FINE = "wrong", "note", "fine"


class Finding(Value):
    """What a check found: its `level`, WRONG, NOTE or FINE; what was `found`; and the `remedy`, what to do about it, ''
    where all is fine.  A sentence each."""

    __slots__ = ("level", "found", "remedy")
    defaults = {"remedy": ""}


def wrong(found, remedy):
    return Finding(WRONG, found, remedy)


def note(found, remedy):
    return Finding(NOTE, found, remedy)


def fine(found):
    return Finding(FINE, found)


class World(Value):
    """The machine as the checks see it.

    root        where etc/, usr/lib/ and var/spool/ are
    proc        where Linux shows processes, sockets and mounts
    clock       gives the seconds since the epoch
    resolver    makes what looks MX records up, a dns.resolver.Resolver; None: of this machine's name servers
    path        where cron and systemd look for the programs of links
    ports       {service: port}, for a service without an entry
    patience    seconds that a server may take to answer
    """

    __slots__ = ("root", "proc", "clock", "resolver", "path", "ports", "patience")
    defaults = {
        "root": "/", "proc": PROC, "clock": time.time, "resolver": None,
        "path": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "ports": REGISTERED, "patience": 5,
    }

    def file(self, *parts):
        """A path below `root`."""
        return os.path.join(self.root, *parts)

    def files(self, *parts):
        """The paths of what is in a folder below `root`, sorted; hidden ones are left out."""
        return sorted(glob.glob(os.path.join(glob.escape(self.file(*parts)), "*")))


def lines(path):
    """The lines of a file, none where it cannot be read."""
    return text(path).splitlines()


class User(Value):
    """A user of this machine: `name` (the number where it has none), `uid`, `groups` (the first is its main one)."""

    __slots__ = ("name", "uid", "groups")

    @property
    def group(self):
        """The name of the main group."""
        import grp
        try:
            return grp.getgrgid(self.groups[0]).gr_name
        except KeyError:
            return str(self.groups[0])

    def obstacle(self, path, need):
        """What keeps the user from `path`: it, or a directory above it; '' if nothing does.  `need` is os.R_OK, W_OK or
        X_OK.  Raises OSError where we cannot see that far ourselves.

        Modes alone count, for root cannot ask the kernel in another user's name; an ACL may allow more.
        """
        path = os.path.realpath(path)
        if self.uid == os.geteuid():
            os.stat(path)
            return "" if os.access(path, need) else path
        above, folders = path, []
        while above != os.path.dirname(above):
            above = os.path.dirname(above)
            folders.insert(0, above)
        for each, wanted in (*((folder, os.X_OK) for folder in folders), (path, need)):
            if not self.may(os.stat(each), wanted):
                return each
        return ""

    def may(self, found, need):
        """Whether the mode in the stat result `found` lets the user do what it needs."""
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        if self.uid == 0:
            return need != os.X_OK or bool(found.st_mode & 0o111)
        return found.st_mode >> shift & need == need


def owner(path):
    """The User that `path` belongs to.  Raises OSError."""
    import pwd
    found = os.stat(path)
    try:
        entry = pwd.getpwuid(found.st_uid)
    except KeyError:
        return User(str(found.st_uid), found.st_uid, (found.st_gid,))
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return User(entry.pw_name, found.st_uid, tuple(dict.fromkeys((entry.pw_gid, *groups))))

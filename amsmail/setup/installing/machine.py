"""The machine that amsmail is installed on: this one, or a scratch root, a folder that becomes one later.

Paths are as the finished machine has them ("/etc/amsmail"); `path()` says where such a path lies now.  On Windows they
have a drive, which a scratch root leaves out.
"""

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from amsmail.setup import processes
from amsmail.store import durable
from amsmail.store.locks import Busy
from amsmail.wire.value import Value

USER = "amsmail"
_UMASK = {} if os.name == "nt" else {"umask": 0o022}


class Trouble(Exception):
    """What cannot be done, and what to do about it, in words for a person."""


class Closed(Trouble):
    """What this user may not read, and an installation goes by."""


class Owner(Value):
    """Whom a file belongs to and its mode, with the names that a stat result has."""

    __slots__ = ("st_mode", "st_uid", "st_gid")


class Machine:
    """`root` is the scratch root, or None for the machine that runs now; `state` is the folder for the record.  Raises
    Trouble where the root is something else than a folder."""

    def __init__(self, root=None, state="/var/lib/amsmail"):
        self.state = state
        self.real = root is None
        self.root = "" if self.real else os.path.abspath(root)
        self._top = os.path.realpath(self.root or os.sep)
        if os.path.exists(self._top) and not os.path.isdir(self._top):
            raise Trouble(f"{root} is no folder")

    def path(self, path):
        """Where `path` lies now.  Raises Trouble where that is outside the scratch root, since something in it is a
        link to elsewhere: what is there is not the machine's that this becomes."""
        if self.real:
            return path
        found = os.path.join(self.root, re.sub(r"^[A-Za-z]:", "", path.replace("\\", "/")).lstrip("/"))
        place = os.path.realpath(found)
        if not Path(place).is_relative_to(self._top):
            raise Trouble(f"{path} leads out of {self.root}, to {place}: make the link in it a relative one, or start "
                          "this inside that root (chroot)")
        return found

    def is_there(self):
        """Whether there is a folder for the scratch root."""
        return os.path.isdir(self._top)

    def has(self, *paths):
        """Whether one of these is there, be it a link to wherever.  Raises Trouble as path()."""
        return any(os.path.lexists(os.path.join(self.path(folder), name))
                   for folder, name in map(os.path.split, paths))

    def read(self, path):
        """The octets of a file, or None.  Raises Closed, and Trouble as path()."""
        try:
            with open(self.path(path), "rb") as f:
                return f.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise Closed(f"{path} can be read by root alone") from error

    def may_change(self):
        """Whether this user may do what an installation does: root here, anybody below a scratch root."""
        return not self.real or not hasattr(os, "geteuid") or os.geteuid() == 0

    @contextmanager
    def alone(self):
        """Within, no other installation and no --undo changes this machine: each would write a record without what the
        other one did.  Raises Busy where one is at work, and Trouble."""
        if os.name == "nt":
            yield               # there a folder cannot be locked
            return
        # The machine's top itself: it is there before the first installation, and nothing of a lock is left after
        # the last --undo.
        try:
            if not os.path.isdir(self._top):
                durable.make_directory(self._top)
                os.chmod(self._top, 0o755)      # it becomes a machine's /, which user amsmail must get through
            top = os.open(self._top, os.O_RDONLY)
        except OSError as error:
            raise Trouble(f"{self._top} cannot be used: {error.strerror}") from error
        try:
            _lock(top)
            yield
        finally:
            os.close(top)

    def program(self, name):
        """The path of a program of this machine, or None."""
        return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin")

    def run(self, *words):
        """Runs a program to its end.  Raises Trouble with what it said."""
        # Not a pipe: a daemon that an init script starts may hold on to it for ever.
        with tempfile.TemporaryFile("w+", errors="replace") as said:
            try:
                # What it makes is for root to write and for all to read, whatever umask a person has.
                code = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                      env=dict(os.environ, LC_ALL="C"), **_UMASK).returncode
            except OSError as error:
                raise Trouble(f"{words[0]} cannot be started: {error.strerror}") from error
            said.seek(0)
            text = said.read().strip()
        if code:
            raise Trouble(f"`{' '.join(words)}` ended with {code}: {text or 'it said nothing'}")
        return text

    def systemd_runs(self):
        """Whether systemd runs this machine; below a scratch root nothing runs."""
        return self.real and os.path.isdir("/run/systemd/system")

    def owner(self, names, mode):
        """The Owner for "user:group" and a mode.  Without the rights to give files away, or where a scratch root has no
        such user, files stay with whoever installs."""
        user, _, group = names.partition(":")
        uid, gid = self._id("passwd", user), self._id("group", group)
        if not hasattr(os, "geteuid"):
            return Owner(mode, 0, 0)
        if os.geteuid():
            return Owner(mode, os.geteuid(), os.getegid())
        return Owner(mode, uid or 0, gid or 0)

    def user(self):
        """The numeric id of user amsmail, or None."""
        return self._id("passwd", USER)

    def group(self):
        """The numeric id of group amsmail, or None."""
        return self._id("group", USER)

    def _id(self, table, name):
        if self.real:
            return _system_id(table, name)
        lines = (self.read(f"/etc/{table}") or b"").decode("utf-8", "replace").splitlines()
        found = [line.split(":")[2] for line in lines if line.startswith(name + ":") and line.count(":") >= 3]
        return int(found[0]) if found and found[0].isdigit() else None

    def process(self, pid_file, names):
        """The number of the process that a pid file names, if it runs and is one of the programs `names`; else None."""
        pid = (self.read(pid_file) or b"").strip() if self.real else b""
        found = processes.process(processes.PROC, int(pid)) if pid.isdigit() else None
        return found.pid if found and found.name in names else None

    def runs(self, pid):
        """Whether the process with that number is still there."""
        return processes.process(processes.PROC, pid) is not None

    def running(self, program):
        """The number of a process that runs the program at that path, itself or as a script; None if there is none."""
        names = (os.path.basename(program), "python")       # and no editor that was given the same path
        return next((process.pid for process in (processes.processes(processes.PROC) if self.real else ())
                     if program in process.words[:3] and process.name.startswith(names)), None)

    def sees_listeners(self):
        """Whether open_ports() and listeners() can tell anything: on Linux, and not for a scratch root."""
        return self.real and os.path.exists(f"{processes.PROC}/net/tcp")

    def open_ports(self):
        """The ports on which somebody listens."""
        return processes.open_ports(processes.PROC) if self.real else set()

    def listeners(self, ports):
        """The Listeners on these ports, of which one may have several."""
        return processes.listeners(processes.PROC, ports) if self.real else []


def _lock(folder):
    """Locks an open folder until it is closed.  Raises Busy."""
    import fcntl        # on demand: Windows has none
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy from error
    except OSError:
        return          # NFS locks no folders: there we go on, as one person at a time is what there is nearly always


def _system_id(table, name):
    try:
        if table == "passwd":
            import pwd      # on demand: Windows has neither
            return pwd.getpwnam(name).pw_uid
        import grp
        return grp.getgrnam(name).gr_gid
    except (ImportError, KeyError):
        return None

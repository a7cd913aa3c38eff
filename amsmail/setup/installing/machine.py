"""The machine that amsmail is installed on: this one, or a scratch root, a folder that becomes one later.

Paths are as the finished machine has them ("/etc/amsmail"); `path()` says where such a path lies now.  On Windows they
have a drive, which a scratch root leaves out.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from amsmail.wire.value import Value

USER = "amsmail"
_LISTENING = "0A"       # the state in /proc/net/tcp
_UMASK = {} if os.name == "nt" else {"umask": 0o022}


class Trouble(Exception):
    """What cannot be done, and what to do about it, in words for a person."""


class Owner(Value):
    """Whom a file belongs to and its mode, with the names that a stat result has."""

    __slots__ = ("st_mode", "st_uid", "st_gid")


class Machine:
    """`root` is the scratch root, or None for the machine that runs now; `state` is the folder for the record."""

    def __init__(self, root=None, state="/var/lib/amsmail"):
        self.state = state
        self.real = root is None
        self.root = "" if self.real else os.path.abspath(root)

    def path(self, path):
        """Where `path` lies now."""
        if self.real:
            return path
        return os.path.join(self.root, re.sub(r"^[A-Za-z]:", "", path.replace("\\", "/")).lstrip("/"))

    def check_inside(self, path):
        """Raises Trouble where `path` is outside the scratch root, since something above it is a link to elsewhere."""
        if self.real:
            return
        root, place = os.path.realpath(self.root), os.path.realpath(self.path(path))
        if not Path(place).is_relative_to(root):
            raise Trouble(f"{path} leads out of {self.root}, to {place}: make the link in it a relative one, or start "
                          "this inside that root (chroot)")

    def has(self, *paths):
        """Whether one of these is there."""
        return any(os.path.lexists(self.path(path)) for path in paths)

    def read(self, path):
        """The octets of a file, or None."""
        try:
            with open(self.path(path), "rb") as f:
                return f.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def may_change(self):
        """Whether this user may do what an installation does: root here, anybody below a scratch root."""
        return not self.real or not hasattr(os, "geteuid") or os.geteuid() == 0

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
        return self._id("group", USER)

    def _id(self, table, name):
        if self.real:
            return _system_id(table, name)
        lines = (self.read(f"/etc/{table}") or b"").decode("utf-8", "replace").splitlines()
        found = [line.split(":")[2] for line in lines if line.startswith(name + ":") and line.count(":") >= 3]
        return int(found[0]) if found and found[0].isdigit() else None

    def process(self, pid_file, names):
        """The process that a pid file names, if it runs and is one of the programs `names`; else None."""
        pid = (self.read(pid_file) or b"").strip() if self.real else b""
        if not pid.isdigit() or _read(f"/proc/{int(pid)}/comm").strip() not in names:
            return None
        return int(pid)

    def sees_listeners(self):
        """Whether listeners() can tell anything: on Linux, and not for a scratch root."""
        return self.real and os.path.exists("/proc/net/tcp")

    def listeners(self):
        """{port: name of the program that listens there, '' if it is not known}."""
        if not self.sees_listeners():
            return {}
        found = {}
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in _read(table).splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENING:
                    found[int(words[1].rpartition(":")[2], 16)] = words[9]
        programs = _programs({f"socket:[{inode}]" for inode in found.values()}) if found else {}
        return {port: programs.get(f"socket:[{inode}]", "") for port, inode in found.items()}


def _system_id(table, name):
    try:
        if table == "passwd":
            import pwd      # on demand: Windows has neither
            return pwd.getpwnam(name).pw_uid
        import grp
        return grp.getgrnam(name).gr_gid
    except (ImportError, KeyError):
        return None


def _programs(sockets):
    """{socket: the path of the program that has it, or the script's name for an interpreter}."""
    found = {}
    # The lowest first: that is the server, and not a session that it started.
    for pid in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
        try:
            held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")} & sockets
            if held:
                program = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            continue        # it has just ended, or is somebody else's
        if held:
            name = _read(f"/proc/{pid}/comm").strip()
            # A script's name is its process's, the interpreter's says nothing.
            name = name if "python" in os.path.basename(program) else program
            found = {**dict.fromkeys(held, name), **found}
    return found


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""

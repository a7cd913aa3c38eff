"""A disk that fails when it is told to: stands between `durable` and the operating system.

`Disk(root)` counts every operation on files below `root`.  `fail_at` makes that operation raise an OSError (once, or
from then on); `crash_at` raises Crash there and at every operation after it, as if the process were killed; after a
crash `power_cut()` leaves below `root` only what had been flushed: a file's contents as of its last fsync, a
directory's entries as of its last fsync.
"""

import errno
import os
import tempfile
import types
from contextlib import contextmanager
from pathlib import Path

_MEMORY, _ROOM = "/dev/shm", 1 << 28        # a folder that is in memory, and the octets to be free there


class Crash(BaseException):
    """The process is gone: nothing after this is carried out."""


class Disk:
    """Install it with `monkeypatch.setattr(durable, "os", disk.os)`."""

    COUNTED = ("open", "write", "fsync", "close", "rename", "replace", "link", "unlink", "mkdir", "lseek", "chmod")

    def __init__(self, root, fail_at=None, error=errno.EIO, for_good=False, crash_at=None):
        self.root = str(root)
        self.fail_at, self.error, self.for_good, self.crash_at = fail_at, error, for_good, crash_at
        self.count = 0
        self.operations = []
        self._paths = {}            # descriptor -> path
        self._contents = {}         # inode -> contents as of its last fsync
        self._entries = {}          # directory -> {name: inode} as of its last fsync
        self.os = types.SimpleNamespace(**{name: getattr(os, name) for name in dir(os) if not name.startswith("__")})
        for name in self.COUNTED:
            setattr(self.os, name, self._counted(name))
        self._remember_all()

    def _remember_all(self):
        """What is there when the disk is made is taken to be flushed."""
        for folder, folders, files in os.walk(self.root):
            self._entries[folder] = {n: os.stat(os.path.join(folder, n)).st_ino for n in folders + files}
            for name in files:
                path = os.path.join(folder, name)
                with open(path, "rb") as f:
                    self._contents[os.stat(path).st_ino] = f.read()

    def _counted(self, name):
        real = getattr(os, name)

        def operation(target, *rest, **named):
            path = self._paths.get(target, "") if isinstance(target, int) else str(target)
            if not path.startswith(self.root):
                return real(target, *rest, **named)
            self.count += 1
            self.operations.append(f"{name} {os.path.relpath(path, self.root)}")
            if self.crash_at is not None and self.count >= self.crash_at:
                raise Crash
            if self.fail_at is not None and (self.count == self.fail_at or self.for_good and self.count > self.fail_at):
                if name == "close":
                    real(target)        # close(2) releases the descriptor even when it reports an error
                raise OSError(self.error, os.strerror(self.error), path)
            result = real(target, *rest, **named)
            self._note(name, target, path, result)
            return result
        return operation

    def _note(self, name, target, path, result):
        if name == "open":
            self._paths[result] = path
        elif name == "close":
            self._paths.pop(target, None)
        elif name == "fsync" and os.path.isdir(path):
            self._entries[path] = {n: os.stat(os.path.join(path, n)).st_ino for n in os.listdir(path)}
        elif name == "fsync":
            with open(f"/proc/self/fd/{target}", "rb") as f:
                self._contents[os.fstat(target).st_ino] = f.read()

    def end(self):
        """The process is gone, and with it the files that it had open."""
        for fd in self._paths:
            os.close(fd)
        self._paths.clear()

    def power_cut(self):
        """Leaves only what was flushed."""
        self.end()
        survived = {}
        self._collect(self.root, survived)
        clear(self.root, [path for path, inode in survived.items() if inode is None])
        made = {}
        for path, inode in survived.items():
            if inode is None:
                os.makedirs(path, exist_ok=True)
            elif inode in made:
                os.link(made[inode], path)
            else:
                with open(path, "wb") as f:
                    f.write(self._contents.get(inode, b""))
                made[inode] = path

    def _collect(self, folder, survived):
        survived[folder] = None
        for name, inode in self._entries.get(folder, {}).items():
            path = os.path.join(folder, name)
            if path in self._entries or self._was_folder(path):
                self._collect(path, survived)
            else:
                survived[path] = inode

    def _was_folder(self, path):
        return os.path.isdir(path)


def clear(root, folders):
    """Removes every file below `root`, and every folder that is none of `folders`.  Most of these are there before a
    crash and after it: to remove all and to make them again takes longer than what is tested."""
    folders = set(folders)
    for folder, inner, files in os.walk(root, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for path in [os.path.join(folder, name) for name in inner]:
            if path not in folders:
                os.rmdir(path)


@contextmanager
def in_memory(otherwise):
    """A folder in memory, where the machine has room there and lets programs be started from it; else `otherwise`.
    Where each file operation of a call is one to crash at, the thousands of files would keep a real disk busy."""
    try:
        memory = os.statvfs(_MEMORY)
        is_fit = memory.f_bavail * memory.f_frsize > _ROOM and not memory.f_flag & os.ST_NOEXEC
    except FileNotFoundError:
        is_fit = False
    if not is_fit:
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="amsmail-", dir=_MEMORY) as folder:
        yield Path(folder)

"""What makes bytes safe.  The only module that fsyncs, links, renames and removes.

A file is written under a name that nobody looks at, flushed to the disk and closed, each step checked; only then is it
renamed or linked to where it counts, and the directories touched are flushed too.  When a function here returns, its
effect survives a power cut; when it raises OSError, the effect may or may not be there and must not be acknowledged.
A failed fsync is never retried on the same file: the kernel may have dropped the bytes (fsync(2), NOTES).

Directories cannot be flushed on Windows; there NTFS's journal alone decides how much of a rename survives.
"""

import errno
import os

MODE = 0o640            # files: the owner (amsmail) writes, the group may read
DIRECTORY_MODE = 0o750

# What link(2) says where it cannot: on FAT, at too many links, across file systems; EINVAL is what FAT gives on
# Windows.
_CANNOT_LINK = (errno.EPERM, errno.EMLINK, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class NewFile:
    """A file that does not count yet: written, sealed, and then published or discarded."""

    def __init__(self, path):
        """Raises FileExistsError if there is such a file."""
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), MODE)

    def write(self, data):
        """Appends all of `data`.  Raises OSError (ENOSPC and the like)."""
        _write_all(self._fd, data)

    def overwrite(self, offset, data):
        """Replaces octets that were written already."""
        os.lseek(self._fd, offset, os.SEEK_SET)
        _write_all(self._fd, data)
        os.lseek(self._fd, 0, os.SEEK_END)

    def seal(self):
        """Flushes the contents to the disk and closes the file."""
        fd, self._fd = self._fd, None
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def discard(self):
        """Closes and removes the file, as far as that can be done; leftovers in tmp/ are swept later."""
        try:
            if self._fd is not None:
                os.close(self._fd)
        except OSError:
            pass
        self._fd = None
        try:
            os.unlink(self.path)
        except OSError:
            pass


class GrowingFile:
    """A file that is written over several runs: its first `octets`, which are safe, stay, what is behind them goes.
    With 0 octets there must be no such file."""

    def __init__(self, path, octets=0):
        self._path, self._new = path, not octets
        flags = os.O_WRONLY | getattr(os, "O_BINARY", 0) | (os.O_CREAT | os.O_EXCL if self._new else 0)
        self._fd = os.open(path, flags, MODE)
        try:
            os.ftruncate(self._fd, octets)
            os.lseek(self._fd, octets, os.SEEK_SET)
        except OSError:
            self.close()
            raise

    def write(self, data):
        """Appends all of `data`.  Raises OSError."""
        _write_all(self._fd, data)

    def sync(self):
        """Makes safe what was written.  Raises OSError: then the file is of no use any more."""
        os.fsync(self._fd)
        if self._new:
            sync_directory(os.path.dirname(self._path))
            self._new = False

    def close(self):
        fd, self._fd = self._fd, None
        os.close(fd)


def publish(path, final):
    """Gives the sealed file at `path` the name `final`.  Raises OSError."""
    os.rename(path, final)
    sync_directory(os.path.dirname(final))
    if os.path.dirname(path) != os.path.dirname(final):
        sync_directory(os.path.dirname(path))


def duplicate(path, other):
    """Gives the sealed file at `path` the name `other` as well: a hard link, or a copy where the file system cannot
    link or has too many links.  Neither counts yet: the directory is not flushed.  Raises OSError."""
    try:
        os.link(path, other)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        _copy(path, other)


def move(path, temporary, final):
    """As publish(), also to another file system: to there goes a copy, made as `temporary`, and a crash before `path`
    is removed leaves both."""
    try:
        publish(path, final)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        forget([temporary])         # a crash in the middle of copying left it
        _copy(path, temporary)
        publish(temporary, final)
        remove(path)


def _copy(path, other):
    copy = NewFile(other)
    try:
        with open(path, "rb", buffering=0) as source:
            while piece := source.read(1 << 16):
                copy.write(piece)
        copy.seal()
    except BaseException:
        copy.discard()
        raise


def remove(path):
    """Removes a file.  Raises OSError, FileNotFoundError too."""
    os.unlink(path)
    sync_directory(os.path.dirname(path))


def forget(paths):
    """Removes files that do not count any more and whose reappearance after a power cut does no harm."""
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            pass


def replace(path, data, like=None):
    """Makes `data` the whole contents of the file at `path`: the old contents or the new, never a mixture.
    `like`, a stat result, is whose owner and mode the file gets.  Raises OSError."""
    folder, name = os.path.split(path)
    new = NewFile(os.path.join(folder, f".{name}.{os.urandom(4).hex()}.new"))
    try:
        if like is not None:
            os.chmod(new.path, like.st_mode & 0o7777)
            if hasattr(os, "chown") and (os.geteuid(), os.getegid()) != (like.st_uid, like.st_gid):
                os.chown(new.path, like.st_uid, like.st_gid)
        new.write(data)
        new.seal()
        os.replace(new.path, path)
    except BaseException:
        new.discard()
        raise
    sync_directory(os.path.dirname(path))


def is_leftover(name):
    """Whether a file with this name, if no program writes it now, is one that a crash in replace() left."""
    return name.startswith(".") and name.endswith(".new")


def append(path, data):
    """Adds `data` at the end of the file at `path`, which is made if it is not there.  Raises OSError.

    A power cut may leave a part of `data`; whoever reads such a file must know a whole record when it sees one."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), MODE)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        if size and _read_at(fd, size - 1) != b"\n":
            data = b"\n" + data         # what a power cut left of the last record must not swallow this one
        _write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    if not size:
        sync_directory(os.path.dirname(path))


def overwrite(path, offset, data):
    """Replaces octets in a published file.  One octet is replaced or not, never half.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        _write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path):
    """Makes a directory and those above it; it is no error if they are there.  Raises OSError."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    make_directory(parent)
    try:
        os.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        return
    sync_directory(parent)


def sync_directory(path):
    """Flushes a directory's entries to the disk.  Raises OSError."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def _read_at(fd, offset):
    os.lseek(fd, offset, os.SEEK_SET)
    return os.read(fd, 1)

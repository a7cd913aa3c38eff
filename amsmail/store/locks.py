"""Locks that belong to an open file: the kernel gives them up when their owner ends, so a stale one never blocks."""

import os
import stat

from amsmail.store import durable


class Busy(Exception):
    """Somebody else has the lock."""


class Lock:
    """An exclusive lock on the file at `path`, held until release() or the end of the process."""

    def __init__(self, path, wait=False):
        """Raises Busy at once if the lock is taken and `wait` is false, OSError if the file cannot be opened, or is a
        link: whoever may write in the folder could have root open, or make, any file by one."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), durable.MODE)
        try:
            _take(self._fd, wait)
        except BaseException:
            os.close(self._fd)
            raise

    def give(self, uid, gid):
        """Gives the lock's file to a user and a group; not one that has another name too, which somebody linked here
        to be given it.  Raises OSError."""
        found = os.fstat(self._fd)
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.fchown(self._fd, uid, gid)

    def release(self):
        os.close(self._fd)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.release()


def _take(fd, wait):
    if os.name == "nt":
        import msvcrt
        try:
            msvcrt.locking(fd, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise Busy from error
        return
    import fcntl
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise Busy from error

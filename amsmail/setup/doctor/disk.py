"""The spool's file system: what it can do, what kind it is, and how much room it has."""

import errno
import os
import re

from amsmail.setup.doctor.world import fine, note, wrong
from amsmail.store import durable

_ROOM = 200_000_000         # octets below which a disk is nearly full, whatever the largest message is
_INODES = 1000              # files that must still fit

# What /proc/mounts calls a kind of file system that a spool should not lie on, and why.
_NETWORK = "is on the network, where locks and flushed directories are not to be relied on"
_PLAIN = "has neither owners nor a journal, so that everybody may read the mail and a power cut may cost some"
_MEMORY = "is memory: the mail is gone when the machine is switched off"
_KINDS = {
    **dict.fromkeys(("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "davfs", "ceph"), _NETWORK),
    **dict.fromkeys(("vfat", "msdos", "exfat", "fuseblk", "ntfs", "ntfs3"), _PLAIN),
    **dict.fromkeys(("tmpfs", "ramfs"), _MEMORY),
}


def kind(site, world):
    """Which kind of file system it is."""
    found = _mount(os.path.realpath(site.spool), os.path.join(world.proc, "mounts"))
    if found is None:
        return
    point, name = found
    if name in _KINDS:
        yield wrong(f"the spool {site.spool} lies on {point} ({name}), which {_KINDS[name]}",
                    "move it to a file system of the machine's own disk, such as ext4, and change spool in mail.cfg")
    else:
        yield fine(f"the spool lies on {point} ({name})")


def abilities(site, _world):
    """Whether it takes files, flushes directories, links, and takes the names that the spool's format says: tried in
    a tmp/, where whatever a crash leaves is swept."""
    folder = os.path.join(site.spool, "queue", "tmp")
    folder = folder if os.path.isdir(folder) else site.spool
    if not os.path.isdir(folder):
        return
    made = [os.path.join(folder, f"check-{os.urandom(5).hex()}{end}") for end in ("", "-link", ":2,S")]
    try:
        yield from _tried(site.spool, *made)
    except PermissionError:
        yield note(f"what the spool's file system can do was not tried: we may not write in {folder}",
                   "run this as root or as the spool's owner")
    except OSError as error:
        yield wrong(f"a file cannot be written in {folder}: {error.strerror}",
                    _TO_DO.get(error.errno, "see what the kernel says of the disk: dmesg"))
    finally:
        durable.forget(made)


_TO_DO = {
    errno.EROFS: "it is mounted read-only, often because the disk failed: see dmesg, then mount it with -o remount,rw",
    errno.ENOSPC: "make room: `mailcheck` sends what waits; see also `df` and `df -i`",
    errno.EDQUOT: "raise the user's quota, or make room",
}


def _tried(spool, path, link, colon):
    new = durable.NewFile(path)
    try:
        new.write(b"x")
        new.seal()
    except OSError:
        new.discard()
        raise
    durable.sync_directory(os.path.dirname(path))
    durable.duplicate(path, link)       # as a delivery does: a copy where there are no links
    links = os.path.samefile(path, link)
    if not links:
        yield note("the spool's file system has no hard links, so a message to several boxes is stored once for each",
                   "nothing, as long as there is room; else move the spool to ext4 or the like")
    if _separator(spool) == ":" and not _takes(colon):
        yield wrong("the spool's format has a colon in names, and its file system takes none: it was copied from "
                    "another one", "move it back, or make a new spool and fetch the mail out of the old one")
    elif links:
        yield fine("the spool's file system links, flushes directories and takes the names of messages")


def _separator(spool):
    """The separator that the spool's format names, '' where there is none yet."""
    try:
        with open(os.path.join(spool, "format"), encoding="ascii", errors="replace") as f:
            return (f.read().split() or [""])[-1]
    except FileNotFoundError:
        return ""


def _takes(path):
    try:
        durable.NewFile(path).seal()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    return True


def room(site, _world):
    """Octets and inodes that are left."""
    if not hasattr(os, "statvfs") or not os.path.isdir(site.spool):
        return
    figures = os.statvfs(site.spool)
    free, largest = figures.f_bavail * figures.f_frsize, site.limits["message_size"]
    remedy = "make room on the disk of the spool: old logs, mail that was read; `mailcheck` sends what waits"
    if free < largest:
        yield wrong(f"the disk is full: {_mb(free)} left, less than one message of {_mb(largest)} (message_size in "
                    "[limits])", remedy)
    elif free < max(_ROOM, 5 * largest):
        yield note(f"the disk is nearly full: {_mb(free)} left", remedy)
    if figures.f_files and figures.f_favail < _INODES:
        yield wrong(f"the file system of the spool has room for {figures.f_favail} more files only",
                    "remove files that nobody needs: `df -i` shows the inodes")
    elif free >= max(_ROOM, 5 * largest):
        yield fine(f"{_mb(free)} left on the disk of the spool")


def _mb(octets):
    return f"{octets / 1e6:,.1f} MB"


def _mount(path, table):
    """(mount point, kind) of the file system that holds `path`, by the kernel's table; None where there is none."""
    try:
        with open(table, encoding="utf-8", errors="surrogateescape") as f:
            rows = [line.split() for line in f]
    except OSError:
        return None
    holding = []
    for _, point, name, *_ in rows:
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
        if path == point or path.startswith(point.rstrip("/") + "/"):
            holding.append((point, name))
    # The longest is the innermost; of two on one point the later covers the other.
    return max(enumerate(holding), key=lambda numbered: (len(numbered[1][0]), numbered[0]))[1] if holding else None

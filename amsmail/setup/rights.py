"""Whose rights what is done in the spool has: what is written there belongs to the spool's owner, whose programs must
be able to read it; what others have, such as the source of an import, is read with those of the caller, who may be
root."""

import contextlib
import os


@contextlib.contextmanager
def of_owner(path):
    """Within, root is the owner of `path`; anybody else stays who they are.  Raises OSError."""
    found = os.stat(path)
    if not hasattr(os, "seteuid") or os.geteuid() or not found.st_uid:
        yield
        return
    group = os.getegid()
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


@contextlib.contextmanager
def of_caller():
    """Within, of_owner() is suspended."""
    if not hasattr(os, "seteuid") or os.geteuid() == os.getuid():
        yield
        return
    user = os.geteuid()
    os.seteuid(os.getuid())
    try:
        yield
    finally:
        os.seteuid(user)

"""Which user a program runs as."""

import os


def become_owner_of(spool):
    """Where root started the program: goes on as the user that the spool belongs to, for good.

    Files of root's in the spool would lock user amsmail out of it, and nothing here needs root once ports are bound.
    Raises OSError.
    """
    if os.name == "nt" or os.geteuid():
        return
    try:
        owner = os.stat(spool)
    except FileNotFoundError:
        return
    if owner.st_uid:
        import pwd
        try:
            os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
        except KeyError:
            os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)

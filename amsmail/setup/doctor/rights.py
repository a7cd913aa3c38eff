"""Who may read and write what: mail.cfg, the certificate and its key, the spool."""

import os
import stat

from amsmail.setup.doctor.world import fine, note, owner, wrong

_SECRET = 0o007         # the bits of others


def files(site, _world):
    """mail.cfg, the certificate and the key are for the user that the spool belongs to, and what is secret for nobody
    else."""
    if os.name == "nt" or not os.path.isdir(site.spool):
        return
    user = owner(site.spool)
    clear = True
    for path in filter(None, (site.path, site.certificate, site.key)):
        obstacle = _obstacle(user, path)
        if obstacle is None:
            clear = False
            yield note(f"whether user {user.name} may read {path} cannot be seen", "run this as root")
        elif obstacle:
            clear = False
            bits = "g+rx" if os.path.isdir(obstacle) else "g+r"
            yield wrong(f"user {user.name}, as whom the programs run, cannot read {path}, because of the mode of "
                        f"{obstacle}", f"chgrp {user.group} {obstacle} && chmod {bits} {obstacle}")
    if site.key and _mode(site.key) & _SECRET:
        clear = False
        yield wrong(f"the key {site.key} is open to everybody on this machine",
                    f"chmod o= {site.key}; if others work on this machine, make a new key and certificate")
    if clear:
        yield fine(f"user {user.name} may read mail.cfg" + (", the certificate and its key" if site.key else ""))


def spool(site, _world):
    """The spool belongs to one user, who is not root, and so does all that is in it; no other may change it, and none
    of the others may read it."""
    if os.name == "nt":
        return
    if not os.path.isdir(site.spool):
        yield wrong(f"the spool {site.spool} is not there",
                    f"install -d -o amsmail -g amsmail -m 0750 {site.spool}, as root")
        return
    user, mode = owner(site.spool), os.stat(site.spool).st_mode
    if user.uid == 0:
        yield wrong(f"the spool {site.spool} belongs to root, so everything would run as root",
                    f"chown -R amsmail:amsmail {site.spool}")
    if mode & 0o700 != 0o700:
        yield wrong(f"user {user.name} may not work in the spool: its mode is {stat.S_IMODE(mode):04o}",
                    f"chmod 0750 {site.spool}")
    if mode & _SECRET:
        yield wrong(f"others on this machine may look into the spool: its mode is {stat.S_IMODE(mode):04o}",
                    f"chmod o= {site.spool}")
    seen = _Seen(user)
    seen.walk(site.spool)
    yield from seen.findings(site.spool)
    if user.uid and mode & (0o700 | _SECRET) == 0o700 and not seen.any:
        yield fine(f"the spool {site.spool} and the {seen.count} files in it belong to user {user.name}")


class _Seen:
    """What a walk through the spool of `user` saw: lists of paths."""

    def __init__(self, user):
        self._user = user
        self._foreign, self._open, self._closed, self._hidden = [], [], [], []
        self.count = 0

    def walk(self, folder):
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return                  # mail comes and goes
        except PermissionError:
            self._hidden.append(folder)
            return
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            self._look_at(entry.path, found)
            if stat.S_ISDIR(found.st_mode):
                self.walk(entry.path)

    def _look_at(self, path, found):
        is_folder = stat.S_ISDIR(found.st_mode)
        self.count += not is_folder
        needed = 0o700 if is_folder else 0o400
        if found.st_uid != self._user.uid:
            self._foreign.append(path)
        elif found.st_mode & needed != needed:
            self._closed.append(path)
        elif not stat.S_ISLNK(found.st_mode) and found.st_mode & 0o002:
            self._open.append(path)

    @property
    def any(self):
        return bool(self._foreign or self._open or self._closed or self._hidden)

    def findings(self, top):
        name = self._user.name
        if self._foreign:
            whose = owner(self._foreign[0]).name if os.path.exists(self._foreign[0]) else "another user"
            yield wrong(f"{_some(self._foreign)} in the spool belong to others than user {name} (the first to {whose}),"
                        " as when a program was run by hand", f"chown -R {name}:{self._user.group} {top}")
        if self._closed:
            yield wrong(f"user {name} cannot use {_some(self._closed)} in the spool, because of their modes",
                        f"chmod -R u+rwX {top}")
        if self._open:
            yield wrong(f"everybody on this machine may change {_some(self._open)} in the spool", f"chmod -R o-w {top}")
        if self._hidden:
            yield note(f"we may not look into {_some(self._hidden)}", f"run this as root or as user {name}")


def _some(paths):
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}"


def _mode(path):
    """The mode of a file, 0 where we cannot see it."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _obstacle(user, path):
    """As User.obstacle, or None where we cannot see that far."""
    try:
        return user.obstacle(path, os.R_OK)
    except OSError:
        return None

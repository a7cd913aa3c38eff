"""What the tests of the doctor share: a site whose spool belongs to a user that is not root, and its world."""

import os
import pickle
import shutil
import subprocess

from amsmail.setup.doctor.world import Finding, World
from tests.mailcheck.sites import Site
from tests.real.packages import Unavailable
from tests.real.process import mail_account


class Owned(Site):
    """A site below `folder`, which others may enter; its files belong to mail_account().  `etc` is where the entries of
    super-servers are put; `proc` is the machine's own unless a test makes another."""

    def __init__(self, folder, **sections):
        self._etc, self.proc = folder / "root", "/proc"
        self.user = mail_account()
        super().__init__(folder, **sections)
        folder.chmod(0o755)
        shutil.chown(self.path, group=self.user.pw_gid)
        for path in (self.spool.path, *(os.path.join(above, name) for above, folders, files in os.walk(self.spool.path)
                                        for name in folders + files)):
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def put(self, name, text, mode=0o644):
        """A file below the root of the world."""
        path = self._etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def world(self, **changes):
        return World(**{"root": str(self._etc), "proc": str(self.proc), "patience": 2, **changes})

    def found(self, check, **changes):
        """What a check finds, as a list of Findings."""
        return list(check(self.site, self.world(**changes)))


def levels(findings):
    """The levels of Findings; each has a remedy unless it is fine."""
    findings = list(findings)
    for finding in findings:
        assert bool(finding.remedy) == (finding.level != "fine"), finding
        assert "\n" not in finding.found + finding.remedy
    return [finding.level for finding in findings]


def only(findings, level):
    """The one Finding of a level."""
    levels(findings)
    (finding,) = [finding for finding in findings if finding.level == level]
    return finding


def as_root(what):
    if os.geteuid():
        raise Unavailable("root", f"only root can {what}")


def as_user(account, check):
    """The Findings that `check()` gives in a process of another user."""
    as_root("become another user")
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            result = pickle.dumps([(found.level, found.found, found.remedy) for found in check()])
        except BaseException as error:
            result = pickle.dumps(error)
        with os.fdopen(writer, "wb") as f:
            f.write(result)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as f:
        result = pickle.loads(f.read())
    os.waitpid(child, 0)
    if isinstance(result, BaseException):
        raise result
    return [Finding(*found) for found in result]


class Mounted:
    """A file system of its own at `path`: `with Mounted(path, "size=1m"):`."""

    def __init__(self, path, options):
        self._path, self._options = path, options

    def __enter__(self):
        self._path.mkdir(exist_ok=True)
        self._do("mount", "-t", "tmpfs", "-o", self._options, "tmpfs", self._path)
        return self

    def remount(self, options):
        self._do("mount", "-o", f"remount,{options}", self._path)

    def _do(self, *words):
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable("mount", done.stderr.partition("\n")[0])

    def __exit__(self, *_error):
        subprocess.run(["umount", self._path], check=True)

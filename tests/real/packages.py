"""Debian's packages, unpacked into trees of our own and run from there.

Mail servers can't simply be installed for a test: they conflict with each other, start themselves and want root. Here
apt says what is missing, fetches it, and dpkg-deb unpacks it below AMSMAIL_CACHE (default ~/.cache/amsmail/debian), by
root or by anybody. Nothing outside that folder is changed, and it may be deleted at any time.
"""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

DPKG_STATUS = Path("/var/lib/dpkg/status")

# Never taken into a tree: a C library and the system's dynamic loader of another version do not work together.
SYSTEM_ONLY = {"libc6", "libc-bin"}


class Unavailable(Exception):
    """Something a test needs and this machine or user can't have: left_out.py lists the test, with the reason."""

    def __init__(self, name, reason):
        super().__init__(f"{name}: {reason}")


def cache():
    return Path(os.environ.get("AMSMAIL_CACHE") or Path.home() / ".cache/amsmail/debian").absolute()


def tree(*names):
    """The folder in which the packages `names` are unpacked, with those of their dependencies that the system lacks."""
    outcome = _tree(names)
    if isinstance(outcome, Unavailable):
        raise outcome
    return outcome


@functools.cache
def _tree(names):
    """Remembers failure too: without a network, each attempt takes its time."""
    try:
        return _unpacked(names)
    except Unavailable as failure:
        return failure


def _unpacked(names):
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise Unavailable(names[0], "no apt-get or dpkg-deb here to fetch the package with")
    # What is missing depends on what the system has: another system, another tree.
    system = hashlib.sha256(DPKG_STATUS.read_bytes()).hexdigest()[:8]
    unpacked = cache() / "trees" / f'{"+".join(sorted(names))}-{system}'
    if not unpacked.exists():
        with _locked():
            if not unpacked.exists():
                _make(names, unpacked)
    return unpacked


def environment(root):
    """The environment to run a program of the tree `root` in."""
    places = {
        "PATH": ("usr/sbin", "usr/bin", "sbin", "bin"),
        "LD_LIBRARY_PATH": ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib/postfix",
                            "usr/lib/dovecot", "usr/lib/dovecot/modules/old-stats"),
        "PERL5LIB": ("usr/share/perl5", "usr/lib/*/perl5/*", "usr/share/perl/*.*", "usr/lib/*/perl/*.*"),
    }
    variables = dict(os.environ)
    for name, patterns in places.items():
        folders = [str(folder) for pattern in patterns for folder in root.glob(pattern)]
        variables[name] = os.pathsep.join(folders + [folder for folder in [os.environ.get(name)] if folder])
    return variables


@contextmanager
def _locked():
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(names, unpacked):
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    # Made aside, so that `unpacked` is whole as soon as it is there.
    with tempfile.TemporaryDirectory(prefix=".making-", dir=unpacked.parent) as aside:
        debs, root = Path(aside, "debs"), Path(aside, "root")
        debs.mkdir()
        _fetch(names, debs)
        for file in debs.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", file, root], check=True)
        root.chmod(0o755)
        root.rename(unpacked)


def _fetch(names, debs):
    """Fetch what `names` need with the system's package lists; if these are missing or out of date, with our own."""
    try:
        _download(names, debs, [])
    except Unavailable:
        own = ["-o", f"Dir::State={cache()}/apt/state", "-o", f"Dir::State::status={DPKG_STATUS}",
               "-o", f"Dir::Cache={cache()}/apt/cache", "-o", "Acquire::Languages=none"]
        for folder in "state/lists/partial", "cache/archives/partial":
            (cache() / "apt" / folder).mkdir(parents=True, exist_ok=True)
        # Not checked: a source that has nothing to do with us may be out of reach. What counts is the download.
        _apt_get(own, "update")
        _download(names, debs, own)


def _download(names, debs, options):
    for name in names:
        # Each alone, as some of them conflict.
        simulated = _checked(name, _apt_get(options, "-s", "install", "--no-install-recommends", "--reinstall", name))
        missing = set(re.findall(r"^Inst (\S+)", simulated, re.MULTILINE)) - SYSTEM_ONLY
        _checked(name, _apt_get(options, "download", *sorted(missing), folder=debs))


def _apt_get(options, *arguments, folder="/"):
    # Root's downloads are left to the user _apt otherwise, who can't write into our folders.
    command = ["apt-get", "-q", "-y", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2", *options, *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _checked(name, run):
    if run.returncode:
        lines = (run.stderr or run.stdout).strip().splitlines() or [f"exit code {run.returncode}"]
        raise Unavailable(name, f"apt-get says: {lines[-1]}")
    return run.stdout

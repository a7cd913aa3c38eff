"""A copy of this machine to install on: its own files (an overlay that is thrown away), network and processes.

So the real paths and ports are used, /etc/inetd.conf and 25, while this machine is left alone.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import configobj
import cronsim
import dns
import passlib
import pytest
import tqdm

from ..etc.installation import PROJECT
from ..real.packages import Unavailable, tree
from ..real.process import public_folder

SOURCES = ("amsmail", "etc", "docs", "bin", "scripts", "setup.cfg")

_MAKE = """
mount --make-rprivate / && mount -t tmpfs -o mode=755 tmpfs "$1" && cd "$1" && mkdir upper work root groups || exit
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root || exit
init=$2 group=$3
shift 3
if [ -n "$group" ]; then
    mount -t cgroup2 cgroup2 groups && mkdir groups/$group && echo $$ > groups/$group/cgroup.procs || exit
fi
cd root && mount -t proc proc proc && mount -t tmpfs -o mode=755 tmpfs run && mkdir run/lock || exit
mount -t tmpfs -o mode=755 tmpfs dev && mkdir dev/shm dev/pts || exit
for name in null zero full random urandom tty; do
    touch dev/$name && mount --bind /dev/$name dev/$name || exit
done
ln -s /proc/self/fd dev/fd && ln -s pts/ptmx dev/ptmx || exit
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts || exit
ip link set lo up || exit
for tree; do tar -C "$tree" -c . | tar -x --keep-directory-symlink || exit; done
eval "$init"
"""
# Ready only when it is in its own root: whoever enters it before would be in this machine's.
_SLEEP = "exec chroot . sh -c 'echo ready; exec sleep infinity'"

# systemd starts nothing of this machine's, and may not change the kernel's variables, which are not the world's alone.
_SYSTEMD = """
rm -rf etc/systemd/system/*.wants lib/systemd/system/*.wants
mount --bind proc/sys proc/sys && mount -o remount,ro,bind proc/sys && mount -t sysfs -o ro sysfs sys || exit
exec unshare --cgroup sh -c 'mount -t cgroup2 cgroup2 sys/fs/cgroup && exec chroot . sh -c "echo ready; exec \\
    env -i container=world PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --unit=sysinit.target --log-target=null"'
"""
# The processes that were killed with the first one may take a moment to be gone.
_REMOVE_GROUP = """
mount -t cgroup2 cgroup2 "$1" || exit
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    find "$1/$2" -depth -type d -exec rmdir {} ';'
    [ -d "$1/$2" ] || exit
    sleep 0.1
done
"""

# {path: what it is}, without what the tools for users and the servers' logs change anyway
_LOOK = """
import hashlib, json, os, sys
found = {}
for top in sys.argv[1:]:
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name)
                      not in ("/var/log", "/var/cache", "/var/lib/systemd")]
        for path in (os.path.join(folder, name) for name in folders + files):
            if os.path.dirname(path) == "/etc" and (path.endswith("-") or path == "/etc/.pwd.lock"):
                continue
            status = os.lstat(path)
            if os.path.islink(path):
                what = os.readlink(path)
            elif os.path.isfile(path) and path.startswith("/etc/"):
                what = hashlib.sha256(open(path, "rb").read()).hexdigest()
            else:
                what = os.path.isfile(path) and status.st_size
            found[path] = [status.st_mode, status.st_uid, status.st_gid, what]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def public():
    """A folder that all users reach, for tests in worlds."""
    if os.geteuid() != 0:
        raise Unavailable("a copy of this machine", "only root can make one")
    with public_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def source(public):
    """A checkout in it."""
    return copy_of_sources(public / "amsmail")


def copy_of_sources(folder):
    """A checkout that nobody edits meanwhile."""
    folder.mkdir(mode=0o755)
    for name in SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def system_python():
    """The interpreter to install with: the system's own, as scripts/install takes it, if it is new enough."""
    system = "/usr/bin/python3"
    new = "import sys; sys.exit(sys.version_info < (3, 11))"
    if os.path.exists(system) and not subprocess.run([system, "-c", new]).returncode:
        return system
    return sys.executable


def installer(source, *arguments, python=sys.executable):
    """(the command line, the environment) of amsmail-install from a copy of the sources."""
    # What the libraries are copied from: those that these tests run with.
    libraries = {str(Path(module.__file__).parents[1]) for module in (configobj, cronsim, dns, passlib, tqdm)}
    return ([python, "-P", "-m", "amsmail.setup.install", *map(str, arguments)],
            {**os.environ, "PYTHONPATH": os.pathsep.join([str(source), *sorted(libraries)])})


class World:
    """`pid` is its first process."""

    def __init__(self, pid, source):
        self.pid, self._source, self.python = pid, source, system_python()
        if os.path.samefile(f"/proc/{pid}/root", "/"):
            raise RuntimeError("this is no copy: what is run in it would change this machine")

    def run(self, *words, **options):
        """Runs a command in it; gives the CompletedProcess."""
        enter = ["nsenter", "--target", self.pid, "--mount", "--net", "--pid", "--root", "--wd", "--"]
        usual = {"capture_output": True, "text": True, "timeout": 120}
        if "input" not in options:
            usual["stdin"] = subprocess.DEVNULL
        return subprocess.run([*enter, *map(str, words)], **{**usual, **options})

    def must(self, *words, **options):
        """What a command says that has to succeed."""
        run = self.run(*words, **options)
        assert run.returncode == 0, (words, run.stdout, run.stderr)
        return run.stdout

    def install(self, *arguments, **options):
        words, environment = installer(self._source, *arguments, python=self.python)
        return self.run(*words, env=environment, **options)

    def look(self):
        """{path: [mode, uid, gid, contents]} of all that an installation might change."""
        return json.loads(self.must(sys.executable, "-c", _LOOK, "/etc", "/var", "/usr/local"))

    def write(self, path, text):
        self.must("sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", path, input=text)


@contextmanager
def world(folder, source, *packages, systemd=False):
    """A World with these Debian packages unpacked; its first process is systemd, or one that sleeps."""
    trees = [str(tree(package)) for package in packages]
    group = f"amsmail-test-{secrets.token_hex(4)}" if systemd else ""
    (folder / "world").mkdir()
    command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", _MAKE, "sh",
               folder / "world", _SYSTEMD if systemd else _SLEEP, group, *trees]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            if process.stdout.readline() != "ready\n":
                process.kill()
                raise Unavailable("a copy of this machine", process.stderr.read().strip())
            made = World(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip(), source)
            # User amsmail must reach the interpreter, wherever it is.
            python = Path(sys.base_prefix, "bin/python3").resolve()
            made.must("chmod", "o+x", *[place for place in python.parents if place != Path("/")])
            yield made
        finally:
            process.kill()
            process.wait()
            if systemd:
                subprocess.run(["unshare", "--mount", "sh", "-c", _REMOVE_GROUP, "sh", folder / "world", group],
                               capture_output=True)

"""What is copied onto a machine: amsmail itself, the libraries that its interpreter lacks, and the launchers.

Each installation's library is a folder of its own, /usr/local/lib/amsmail/VERSION-DIGEST, which the launchers name.  It
comes into being by one rename, and a program that runs while amsmail is installed anew finds the modules it began with.
No virtual environment: the launchers start the interpreter without `site`, so a folder is all they need, and one of
files in pure Python still works when the system's Python is a newer one.
"""

import configparser
import importlib.metadata
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from amsmail import __version__
from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import ROOTS, Piece, digest, give, has_owner
from amsmail.store import durable

CHECKOUT = Path(__file__).resolve().parents[3]
_LEFT_OUT = {"__pycache__", "tests"}        # names of folders
_HIDDEN = {"/home", "/root", "/run/user", "/tmp", "/var/tmp"}      # by ProtectHome and PrivateTmp in etc/systemd/
_BEGUN = re.compile(r"[0-9][0-9A-Za-z.+]*-[0-9a-f]{8}\.new")      # what version() gives, not yet renamed
_IMPORTED_AS = {"dnspython": "dns"}
_FIND = """
import importlib.util, json, sys
print(json.dumps([importlib.util.find_spec(name) is not None for name in sys.argv[1:]]))
"""
_LAUNCH = """
import sys
sys.path.insert(0, sys.argv[1])
from amsmail.program import launchers
sys.exit(launchers.main(sys.argv[2:]))
"""


def interpreter():
    """The Python that the programs will run on: the one that runs this, or the one its virtual environment is of."""
    if sys.prefix == sys.base_prefix:
        return sys.executable
    # Without the version in its name, if that is the same one: so it outlives an upgrade of the system.
    places = [Path(sys.base_prefix, name) for name in
              ("bin/python3", "bin/python{}.{}".format(*sys.version_info), "python.exe")]
    same = [place for place in places if place.exists() and place.resolve() == Path(sys.executable).resolve()]
    return str(same[0]) if same else os.path.realpath(sys.executable)


def check_reachable(python, confined):
    """Raises Trouble if user amsmail could not start this interpreter.  `confined`: as systemd's units do it."""
    path = Path(python).resolve()
    other = "name another Python, for example PYTHON=/usr/bin/python3 scripts/install"
    for place in (path, *path.parents):
        if not place.stat().st_mode & 0o001:
            raise Trouble(f"{python} cannot be run by user amsmail, because {place} is closed to others: {other}")
        if confined and str(place) in _HIDDEN:
            raise Trouble(f"{python} cannot be run by systemd's units, to which {place} is closed: {other}")


def files(python):
    """{path below the library: octets} of everything that `python` needs and has not.  Raises Trouble."""
    found = {f"amsmail/{path.relative_to(CHECKOUT / 'amsmail').as_posix()}": path.read_bytes()
             for path in (CHECKOUT / "amsmail").rglob("*") if path.is_file() and _wanted(path.parts)}
    for name in lacking(python):
        found |= _distribution(name)
    return found


def lacking(python):
    """The libraries of setup.cfg that `python` cannot import by itself."""
    names = requirements()
    modules = [_IMPORTED_AS.get(name, name) for name in names]
    run = subprocess.run([python, "-I", "-c", _FIND, *modules], capture_output=True, text=True, check=True)
    return [name for name, there in zip(names, json.loads(run.stdout)) if not there]


def requirements():
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    return setup["options"]["install_requires"].split()


def _distribution(name):
    """The files of a library that is installed where this program runs, and of what it requires in turn."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise Trouble(f"the library {name} is missing: start this by scripts/install, which fetches it, or "
                      f"(Debian) apt-get install python3-{name}") from None
    found = {}
    for file in distribution.files or ():
        path = Path(distribution.locate_file(file))
        if file.parts[0] != ".." and _wanted(file.parts) and path.is_file():
            if path.suffix in (".so", ".pyd"):
                continue        # an accelerator for one Python; each of these libraries does without
            found[file.as_posix()] = path.read_bytes()
    if not found:
        raise Trouble(f"the library {name} came without a list of its files: start this by scripts/install")
    for requirement in distribution.requires or ():
        if ";" not in requirement:      # what is behind a marker is an extra, or for another system
            found |= _distribution(re.match(r"[\w.-]+", requirement)[0])
    return found


def _wanted(parts):
    return not _LEFT_OUT & set(parts) and not parts[-1].endswith((".pyc", ".swp", "~"))


def version(python, contents):
    """The name of the folder that this library goes into."""
    listing = "".join(f"{path} {digest(contents[path])}\n" for path in sorted(contents))
    return f"{__version__}-{digest(f'{python}{sys.version}{listing}'.encode())[:8]}"


class Library(Piece):
    """The folder with the library, and its modules compiled, since user amsmail may not write there."""

    kind = "library"
    __slots__ = ("path", "contents")

    def done(self, machine, entry):
        if entry and not entry["complete"] or not machine.has(self.path):
            return False
        return all(not os.path.islink(path) and has_owner(path, owner) for path, owner in _modes(machine, self.path))

    def do(self, machine):
        final = machine.path(self.path)
        with _nobody_else_writes():
            # Whole if it is there, for its name came last; but others could write there, or not read it.
            if os.path.isdir(final):
                _remove_compiled(final)
                _compile(final, self.path)
                _close(machine, self.path)
                return
            made = f"{final}.new"
            shutil.rmtree(made, ignore_errors=True)     # of a run that was broken off
            self._write(made)
            _compile(made, self.path)
            _close(machine, f"{self.path}.new")
            durable.publish(made, final)

    def _write(self, made):
        for name, data in self.contents.items():
            path = os.path.join(made, name)
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            file = durable.NewFile(path)
            try:
                os.chmod(path, 0o644)
                file.write(data)
                file.seal()
            except BaseException:
                file.discard()
                raise

    @staticmethod
    def undo(machine, entry, _purge):
        for path in (entry["path"], f"{entry['path']}.new"):
            shutil.rmtree(machine.path(path), ignore_errors=True)
        return None


def sweep(machine, folder):
    """Removes from the folder of the libraries those that were begun and that no record names any more."""
    place = machine.path(folder)
    for name in os.listdir(place) if os.path.isdir(place) else ():
        if _BEGUN.fullmatch(name):
            shutil.rmtree(os.path.join(place, name), ignore_errors=True)


@contextmanager
def _nobody_else_writes():
    """Within, what is made is for its owner to write and for all to read, whatever umask a person has."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _compile(place, library):
    """Compiles the modules in `place`, which will run from `library`.  In this process, which is the interpreter() that
    they are for: a child would go on writing when this is killed, even while --undo takes the folder away.  Raises
    Trouble and OSError."""
    for path in sorted(Path(place).rglob("*.py")):
        # Not where PYTHONPYCACHEPREFIX says: the programs look beside the source.
        compiled = path.parent / "__pycache__" / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
        name = f"{library}/{path.relative_to(place).as_posix()}"
        try:
            py_compile.compile(str(path), str(compiled), name, doraise=True, optimize=0)
        except py_compile.PyCompileError as error:
            raise Trouble(f"{name} cannot be compiled: {error.msg.strip()}") from error


def _modes(machine, library):
    """(path, Owner it must have) of each folder and file of a library: root writes them, user amsmail reads them,
    whatever umask they were made under."""
    folders, files_ = machine.owner(ROOTS, 0o755), machine.owner(ROOTS, 0o644)
    for folder, _, names in os.walk(machine.path(library)):
        yield folder, folders
        yield from ((os.path.join(folder, name), files_) for name in names)


def _remove_compiled(library):
    """Removes what root would run and others may have put there, links among it, which must not be followed."""
    for folder, folders, _ in os.walk(library):
        if "__pycache__" in folders:
            folders.remove("__pycache__")
            compiled = os.path.join(folder, "__pycache__")
            os.chmod(compiled, 0o755)       # nobody adds to it meanwhile
            shutil.rmtree(compiled)


def _close(machine, library):
    for path, owner in _modes(machine, library):
        give(path, owner)


def launchers(python, library, config):
    """{name: octets} of the launchers, for the library at `library`, and of one by which this can be undone without
    the archive that it came from.

    The module that writes them on a checkout makes these too, and only the folder that they name is changed: so there
    is one place that knows what a launcher is."""
    with tempfile.TemporaryDirectory() as folder:
        # What it compiles goes where it does no harm: this may be a user's checkout, and root.
        run = subprocess.run([python, "-IS", "-X", f"pycache_prefix={folder}/cache", "-c", _LAUNCH, str(CHECKOUT),
                              f"{folder}/bin", "--config", config], capture_output=True, text=True)
        if run.returncode:
            raise Trouble(f"the launchers cannot be made: {run.stderr.strip()}")
        found = {path.name: path.read_bytes().replace(repr(str(CHECKOUT)).encode(), repr(library).encode())
                 for path in sorted(Path(folder, "bin").iterdir())}
    found["amsmail-install"] = found["mailcfg"].replace(b"amsmail.program.mailcfg", b"amsmail.setup.install")
    return found

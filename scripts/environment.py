"""Prints the path of a Python interpreter that has what amsmail needs.

The interpreter that runs this file is good enough when it can import everything that setup.cfg asks for.
Otherwise a virtual environment is made in .local/ of this checkout; nothing outside that folder is changed.
pip for it comes from the interpreter's own ensurepip, or, on a Debian without python3-venv, from Debian's
package python3-pip-whl, which is downloaded and unpacked but not installed, and so needs no root.

Only the path goes to stdout; what a person should know goes to stderr.
"""

import configparser
import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOCAL = CHECKOUT / ".local"
ENVIRONMENT = LOCAL / "python{}.{}.{}".format(*sys.version_info)
PYTHON = ENVIRONMENT / "bin" / "python"
MARKER = ENVIRONMENT / "complete.json"

DEBIAN_WHEELS = "usr/share/python-wheels"
IMPORTED_AS = {"dnspython": "dns", "pytest-xdist": "xdist"}
NOT_IN_DEBIAN_12 = {"cronsim"}      # apt-get installs nothing where it does not know one of the names


class Stop(Exception):
    """There is no way on; the message says what to do."""


def main(extras):
    wanted = requirements(extras)
    try:
        print(find_python(wanted))
    except Stop as stop:
        sys.exit(f"{stop}")
    except OSError as error:
        sys.exit(f"Cannot make an environment in {LOCAL}: {error.strerror}: {error.filename}\n"
                 "Run it as the user whom the checkout belongs to, or in a clone of your own.")
    except KeyboardInterrupt:
        sys.exit("Interrupted. The next run starts the installation again.")


def find_python(wanted):
    if all(importlib.util.find_spec(module_name(requirement)) for requirement in wanted):
        return sys.executable
    if not wanted <= installed():
        LOCAL.mkdir(exist_ok=True)
        with open(LOCAL / "lock", "w") as lock:
            wait_for(lock)
            if not wanted <= installed():
                install(wanted)
    return PYTHON


def requirements(extras):
    setup = configparser.ConfigParser()
    setup.read(CHECKOUT / "setup.cfg")
    lists = [setup["options"]["install_requires"]]
    lists += [setup["options.extras_require"][extra] for extra in extras]
    return {line.strip() for text in lists for line in text.splitlines() if line.strip()}


def module_name(requirement):
    name = re.match(r"[\w.-]+", requirement)[0]
    return IMPORTED_AS.get(name, name)


def installed():
    """The requirements that a finished installation for this very interpreter has."""
    try:
        marker = json.loads(MARKER.read_text())
    except (OSError, ValueError):
        return set()
    return set(marker["requirements"]) if marker["interpreter"] == interpreter() else set()


def interpreter():
    return f"{sys.base_prefix} {sys.version}"


def wait_for(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another run is installing; waiting for it.")
        fcntl.flock(lock, fcntl.LOCK_EX)


def install(wanted):
    started = time.monotonic()
    already = installed()
    names = ", ".join(sorted(wanted - already))
    say(f"Installing {names} into {ENVIRONMENT}")

    # The marker is written last and taken away first: what an interrupted run leaves is never taken for whole.
    MARKER.unlink(missing_ok=True)
    if not already:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        run([sys.executable, "-m", "venv", "--without-pip", ENVIRONMENT],
            "Python's venv could not make an environment.")
    everything = sorted(wanted | already)
    run([PYTHON, *pip(), "install", "--quiet", "--no-input", "--disable-pip-version-check", *everything],
        "pip could not install what is needed. " + debian_hint(wanted))
    run([PYTHON, "-I", "-c", "import " + ", ".join(map(module_name, everything))],
        "What pip installed cannot be imported.")

    unfinished = MARKER.with_suffix(".new")
    unfinished.write_text(json.dumps({"interpreter": interpreter(), "requirements": everything}))
    unfinished.rename(MARKER)
    say(f"Installed in {time.monotonic() - started:.0f} s. Delete {LOCAL} to undo it.")


def pip():
    """The arguments that make the environment's interpreter run a pip."""
    if succeeds([PYTHON, "-m", "ensurepip"]):
        return ["-m", "pip"]
    wheel = debian_wheel()
    if wheel and succeeds([PYTHON, f"{wheel}/pip", "--version"]):
        return [f"{wheel}/pip"]
    package = "python{}.{}-venv".format(*sys.version_info)
    raise Stop(f"{sys.executable} comes without pip and ensurepip. On Debian or Ubuntu, type this and start again:\n"
               f"    {as_root()}apt-get install {package}")


def debian_wheel():
    """pip as Debian keeps it in python3-pip-whl; None where it cannot be had."""
    unpacked = LOCAL / "debian"
    if not find_wheel(Path("/")) and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        say("This Debian has no python3-venv: taking pip from its package python3-pip-whl, unpacked in .local/.")
        with tempfile.TemporaryDirectory(dir=LOCAL) as folder:
            package = download(Path(folder), "python3-pip-whl")
            if package:
                succeeds(["dpkg-deb", "-x", package, unpacked])
    return find_wheel(Path("/")) or find_wheel(unpacked)


def find_wheel(root):
    return max((root / DEBIAN_WHEELS).glob("pip-*.whl"), default=None)


def download(folder, package):
    """The .deb in this folder, found by the machine's package lists or, where it has none, by lists fetched here."""
    own_lists = ["-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"]
    (folder / "lists/partial").mkdir(parents=True)
    for options in ([], own_lists):
        # apt's unprivileged download user cannot write here; what it downloads is checked by signature anyway.
        apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *options]
        if not options or succeeds([*apt, "update"], cwd=folder):
            if succeeds([*apt, "download", package], cwd=folder):
                return next(folder.glob("*.deb"))
    return None


def debian_hint(wanted):
    if not shutil.which("apt-get"):
        return "Is the machine on line?"
    packages = " ".join(f"python3-{requirement}" for requirement in sorted(wanted - NOT_IN_DEBIAN_12))
    missing = ", ".join(sorted(wanted & NOT_IN_DEBIAN_12))
    return (f"Is the machine on line? Debian has the same packages{f', but for {missing}' if missing else ''}:\n"
            f"    {as_root()}apt-get install {packages}")


def as_root():
    return "" if os.geteuid() == 0 else "sudo "


def run(command, complaint):
    """Runs it in silence; when it fails, shows what it said."""
    result = subprocess.run(command, env=clean_environ(), text=True, errors="replace",
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        raise Stop(f"{result.stdout.rstrip()}\n\n{complaint}")


def succeeds(command, cwd=None):
    return subprocess.run(command, cwd=cwd, env=clean_environ(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def clean_environ():
    """Without the caller's settings that would send packages elsewhere, or hide that one is missing."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return environ | {"PIP_USER": "0"}


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

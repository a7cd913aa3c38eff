"""Servers as processes of ours: on free ports, waited for until they listen, ended by pid."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from .packages import Unavailable

LISTENING = "0A"                # in /proc/net/tcp
START_LIMIT = 15                # seconds
BLOCK = 1000                    # ports that a process of tests has for itself


def mail_account():
    """Whom mail boxes belong to. Mail software declines to deliver as root."""
    if os.geteuid() == 0:
        return pwd.getpwnam("mail")
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        raise Unavailable("user", f"the uid {os.geteuid()} has no name, which servers' settings need") from None


@contextmanager
def public_folder():
    """A folder that servers can still reach when they have given up root. pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="amsmail-real-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _ports():
    """Ports for servers that will bind them later: of a block below those that the kernel gives to anybody, which no
    other process of ours uses.  Who has a block shows by a name of the network namespace that lasts as long as it."""
    beyond = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for first in range(beyond - BLOCK, 1024, -BLOCK):
        with socket.socket(socket.AF_UNIX) as claim:
            with suppress(OSError):
                claim.bind(f"\0amsmail-test-ports-{first}")
                yield from filter(_is_free, range(first, first + BLOCK))


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


_free_ports = _ports()


def free_port():
    """A port on loopback that nobody has, and nobody will be given again."""
    return next(_free_ports)


@contextmanager
def running(command, ports, folder, environment):
    """Run a server in the foreground; it starts in `folder`, where `output` holds what it prints."""
    output = folder / "output"
    with output.open("ab") as out:
        # Should this process be killed, the server goes too.
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)], stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, cwd=folder, env=environment, start_new_session=True)
    try:
        _wait_until_listening(process, ports, output)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_listening(process, ports, output):
    limit = time.monotonic() + START_LIMIT
    while not set(ports) <= _listening_ports():
        if process.poll() is not None or time.monotonic() > limit:
            state = "does not listen" if process.returncode is None else f"ended with {process.returncode}"
            command = " ".join(process.args)
            logs = [file.read_text(errors="replace") for file in (output, output.with_name("log")) if file.exists()]
            raise RuntimeError("\n".join([f"{command} {state}:", *logs]))
        time.sleep(0.02)


def _listening_ports():
    """Looked up, not tried: a connection would make an inetd start the service."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {int(local.rpartition(":")[2], 16) for _, local, _, state, *_ in map(str.split, lines) if state == LISTENING}

"""What Linux says of processes and of who listens, below /proc.  Elsewhere there is nothing to see, and nothing is
found."""

import os
import socket
import sys

from amsmail.wire.value import Value

PROC = "/proc"
_LISTENING = "0A"       # the state of a socket, in /proc/net/tcp
_NAME_OCTETS = 15       # that the kernel keeps of a program's name
_ENDED = ("Z", "X")     # states of a process that nobody has asked for its exit code yet, in /proc/PID/stat


class Process(Value):
    """A process: its number; its name, which is a script's own and not its interpreter's; the words of its command
    line; when it started, in seconds since the epoch; and the path of its program, '' where we may not see it."""

    __slots__ = ("pid", "name", "words", "start", "program")
    defaults = {"program": ""}

    @property
    def shown(self):
        return f"{self.name} (process {self.pid})"


class Listener(Value):
    """A socket that takes connections: `host`, an IP address ('0.0.0.0' and '::' are all), `port`, and the Process that
    has it, the first of them; None where that cannot be seen."""

    __slots__ = ("host", "port", "process")


def processes(proc):
    """All that we may see, the oldest numbers first."""
    booted = _booted(proc)
    found = (_process(proc, name, booted) for name in sorted(filter(str.isdigit, _listed(proc)), key=int))
    return [process for process in found if process]


def process(proc, pid):
    """The Process with that number, None where it has ended."""
    return _process(proc, str(pid), _booted(proc))


def sees_all(found):
    """Whether these are all processes of the machine: an ordinary user may be shown its own only, and where there is no
    /proc nothing is found."""
    return any(process.pid == 1 for process in found)


def named(process, name):
    """Whether the process is the program `name`, which the kernel may have cut."""
    return process.name == name[:_NAME_OCTETS]


def open_ports(proc):
    """The ports on which somebody listens, at whatever address."""
    return {port for _, port, _ in _listening(proc)}


def listeners(proc, ports):
    """The Listeners on these ports, of which one port may have several: IPv4 and IPv6, or two addresses, may be
    different programs'.  Only root sees whose other users' sockets are."""
    found = [(host, port, f"socket:[{inode}]") for host, port, inode in _listening(proc) if port in ports]
    wanted = {name for _, _, name in found}
    holders = {}
    for each in processes(proc) if wanted else ():
        folder = os.path.join(proc, str(each.pid), "fd")
        for name in {_link(os.path.join(folder, fd)) for fd in _listed(folder)} & wanted:
            holders.setdefault(name, each)      # the lowest number is the server, not a session that it started
    return [Listener(host, port, holders.get(name)) for host, port, name in found]


def _listening(proc):
    """(host, port, inode) of each socket that listens."""
    for name in ("tcp", "tcp6"):
        for line in text(os.path.join(proc, "net", name)).splitlines()[1:]:
            words = line.split()
            if words[3] == _LISTENING:
                host, _, port = words[1].rpartition(":")
                yield _address(host), int(port, 16), words[9]


def _address(digits):
    """An IP address, of which the kernel shows each four octets as a number in the machine's own order."""
    octets = b"".join(int(digits[at:at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8))
    return socket.inet_ntop(socket.AF_INET if len(octets) == 4 else socket.AF_INET6, octets)


def _process(proc, number, booted):
    folder = os.path.join(proc, number)
    name, _, rest = text(os.path.join(folder, "stat")).partition("(")[2].rpartition(")")
    if not rest or rest.split()[0] in _ENDED:
        return None
    words = text(os.path.join(folder, "cmdline")).split("\0")
    start = booted + int(rest.split()[19]) / os.sysconf("SC_CLK_TCK")
    return Process(int(number), name, tuple(word for word in words if word), start, _link(os.path.join(folder, "exe")))


def _booted(proc):
    lines = (line.split() for line in text(os.path.join(proc, "stat")).splitlines())
    return next((int(words[1]) for words in lines if words and words[0] == "btime"), 0)


def text(path):
    """What is in a file, "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def _listed(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _link(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""

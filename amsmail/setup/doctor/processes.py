"""What Linux says of processes and of who listens, below /proc.  Elsewhere there is nothing to see, and nothing is
found."""

import os

from amsmail.wire.value import Value

_LISTENING = "0A"       # the state of a socket, in /proc/net/tcp
_NAME_OCTETS = 15       # that the kernel keeps of a program's name


class Process(Value):
    """A process: its number, its name, the words of its command line, and when it started, in seconds since the
    epoch."""

    __slots__ = ("pid", "name", "words", "start")

    @property
    def shown(self):
        return f"{self.name} (process {self.pid})"


def processes(proc):
    """All that we may see."""
    booted = _booted(proc)
    found = (_process(proc, name, booted) for name in _listed(proc) if name.isdigit())
    return [process for process in found if process]


def sees_all(found):
    """Whether these are all processes of the machine: an ordinary user may be shown its own only, and where there is no
    /proc nothing is found."""
    return any(process.pid == 1 for process in found)


def listener(proc, port):
    """(whether somebody listens on `port`, the Process or None).  Only root sees other users' sockets."""
    inodes = {columns[9] for columns in _sockets(proc)
              if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in processes(proc) if wanted else ():
        folder = os.path.join(proc, str(process.pid), "fd")
        if any(_link(os.path.join(folder, fd)) in wanted for fd in _listed(folder)):
            return True, process
    return bool(inodes), None


def named(process, name):
    """Whether the process is the program `name`, which the kernel may have cut."""
    return process.name == name[:_NAME_OCTETS]


def _sockets(proc):
    for name in ("tcp", "tcp6"):
        for line in _text(os.path.join(proc, "net", name)).splitlines()[1:]:
            yield line.split()


def _process(proc, number, booted):
    folder = os.path.join(proc, number)
    name, _, rest = _text(os.path.join(folder, "stat")).partition("(")[2].rpartition(")")
    if not rest:
        return None         # it has ended
    words = _text(os.path.join(folder, "cmdline")).split("\0")
    start = booted + int(rest.split()[19]) / os.sysconf("SC_CLK_TCK")
    return Process(int(number), name, tuple(word for word in words if word), start)


def _booted(proc):
    lines = (line.split() for line in _text(os.path.join(proc, "stat")).splitlines())
    return next((int(words[1]) for words in lines if words and words[0] == "btime"), 0)


def _text(path):
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

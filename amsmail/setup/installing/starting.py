"""What starts amsmail's programs: how each super-server is known, chosen, told of its entries, and stopped again."""

import os
import signal
import time

from amsmail.setup.installing import platforms
from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import Piece
from amsmail.store import durable
from amsmail.wire.value import Value

UNITS = "/etc/systemd/system"
_SYSTEMD = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
_PATIENCE = 10      # seconds, until a server that was started or told of its entries listens, or a stopped one is gone


class SuperServer(Value):
    """`programs`, any of which shows that it is installed; `pid_files` and the names of its process; `names` that its
    unit or init script may have."""

    __slots__ = ("name", "programs", "pid_files", "processes", "names")

    def installed(self, machine):
        return machine.has(*self.programs)

    def process(self, machine):
        return next(filter(None, (machine.process(path, self.processes) for path in self.pid_files)), None)


BY_PID_FILE = {server.name: server for server in (
    SuperServer("xinetd", ("/usr/sbin/xinetd", "/usr/bin/xinetd"), ("/run/xinetd.pid", "/var/run/xinetd.pid"),
                ("xinetd",), ("xinetd",)),
    SuperServer("inetd", ("/usr/sbin/inetd", "/usr/sbin/inetutils-inetd", "/usr/libexec/inetd"),
                ("/run/inetd.pid", "/var/run/inetd.pid"), ("inetd", "inetutils-inetd"),
                ("openbsd-inetd", "inetutils-inetd", "inetd")))}


def choose(machine):
    """The name of the super-server to use: one that runs, or else one that is installed.  xinetd and inetd come first:
    beside systemd, they are there because somebody wanted them."""
    if machine.real and platforms.here():
        return platforms.here()
    servers = BY_PID_FILE.values()
    running = [server.name for server in servers if server.process(machine)]
    running += ["systemd"] if machine.systemd_runs() else []
    installed = [server.name for server in servers if server.installed(machine)]
    installed += ["systemd"] if has_systemd(machine) else []
    return [*running, *installed, "amsd"][0]


def has_systemd(machine):
    """Whether systemd starts services: it runs now, or will when the scratch root has become a machine."""
    return machine.systemd_runs() or not machine.real and machine.has(*_SYSTEMD)


class Start(Piece):
    """A super-server that serves.  `of` stands for its entries: when they change, it is told again."""

    kind = "service"
    keeps = ("of", "ran", "units")
    __slots__ = ("path", "of", "ports", "units")
    defaults = {"units": ()}

    def done(self, machine, entry):
        if not entry or entry["of"] != self.of or not entry["complete"]:
            return False
        return not machine.sees_listeners() or not self._closed(machine)

    def _closed(self, machine):
        """The ports on which nobody listens, in words."""
        return ", ".join(map(str, sorted(set(self.ports) - machine.open_ports())))

    def before(self, machine):
        server = BY_PID_FILE.get(self.path)
        return {"ran": bool(server and server.process(machine))}

    def now(self):
        return {"of": self.of, "units": list(self.units)}

    def do(self, machine):
        _CONTROL[self.path][0](machine, self)
        if machine.sees_listeners() and (self.path != "systemd" or machine.systemd_runs()):
            _wait(lambda: self._closed(machine), f"{self.path} does not listen on port {{}}: its log says why")

    @staticmethod
    def undo(machine, entry, _purge):
        _CONTROL[entry["path"]][1](machine, entry)
        return None


class Reload(Piece):
    """Comes before the entries, so that --undo tells who read them when they are gone: a super-server, or init, which
    then ends amsd."""

    kind = "reload"
    __slots__ = ("path",)

    def done(self, _machine, entry):
        return entry is not None

    def do(self, _machine):
        """Nothing: Start tells it."""

    @staticmethod
    def undo(machine, entry, _purge):
        _RELOAD[entry["path"]](machine, entry["path"])
        return None


def _hang_up(machine, name):
    process = BY_PID_FILE[name].process(machine)
    if process:
        os.kill(process, signal.SIGHUP)


def _start_by_pid_file(machine, piece):
    if not machine.real:
        return
    server = BY_PID_FILE[piece.path]
    process = server.process(machine)
    if process:
        os.kill(process, signal.SIGHUP)
        return
    _service(machine, server.names, "start")


def _stop_by_pid_file(machine, entry):
    server = BY_PID_FILE[entry["path"]]
    process = server.process(machine)
    if process and not entry["ran"]:
        _service(machine, server.names, "stop")
        # Its init script may not wait, and who installs next would take what is about to end for one that serves.
        _wait(lambda: machine.runs(process), f"{entry['path']} (process {process}) was told to end, and does not")


def _service(machine, names, verb):
    """Starts or stops what has one of these names.  Raises Trouble."""
    for name in names:
        if machine.systemd_runs() and machine.has(f"{UNITS}/{name}.service", f"/lib/systemd/system/{name}.service",
                                                  f"/usr/lib/systemd/system/{name}.service"):
            machine.run("systemctl", verb, name)
            return
        if machine.has(f"/etc/init.d/{name}"):
            machine.run(f"/etc/init.d/{name}", verb)
            return
    raise Trouble(f"{names[0]} has neither a unit nor an init script here: {verb} it by hand, and run this again")


def _start_units(machine, piece):
    if machine.systemd_runs():
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "enable", "--now", *piece.units)
    else:
        machine.run("systemctl", *_offline(machine), "enable", *piece.units)


def _stop_units(machine, entry):
    now = ("--now",) if machine.systemd_runs() else ()
    machine.run("systemctl", *_offline(machine), "disable", *now, *entry["units"])


def _stop_timer(machine, entry):
    _stop_units(machine, entry)
    for unit in entry["units"]:     # what a persistent timer writes down, which `systemctl clean` removes only by D-Bus
        stamp = f"/var/lib/systemd/timers/stamp-{unit}"
        if machine.has(stamp):
            durable.remove(machine.path(stamp))


def _offline(machine):
    return () if machine.real else (f"--root={machine.root}",)


def _tell_init(machine, _name):
    """Lets init read its table again."""
    # sysvinit has telinit; busybox's init takes SIGHUP.
    telinit = machine.program("telinit")
    if machine.real:
        machine.run(*((telinit, "q") if telinit else ("kill", "-HUP", "1")))


def _end_by_init(machine, name):
    """Lets init end amsd, whose line is gone, and waits for that: a user who has processes cannot be removed."""
    _tell_init(machine, name)
    _wait(lambda: machine.running(f"{platforms.UNIX.sbin}/{name}"), f"init was told to end {name} (process {{}}), and "
          "it goes on")


_RELOAD = {"xinetd": _hang_up, "inetd": _hang_up, "amsd": _end_by_init}
_CONTROL = {
    "xinetd": (_start_by_pid_file, _stop_by_pid_file),
    "inetd": (_start_by_pid_file, _stop_by_pid_file),
    "systemd": (_start_units, _stop_units),
    "timer": (_start_units, _stop_timer),
    "amsd": (_tell_init, lambda machine, entry: None),       # ended by Reload, when its line is gone
}


def _wait(lacking, complaint):
    """Waits until `lacking()` gives nothing any more.  Raises Trouble, with what it gives put into the `complaint`,
    where that takes too long."""
    limit = time.monotonic() + _PATIENCE
    while found := lacking():
        if time.monotonic() > limit:
            raise Trouble(complaint.format(found))
        time.sleep(0.05)

"""The super-servers that start amsmail's programs, and what starts mailcheck: how each is known, told and started.

The entries are made of the samples in etc/, so that what is installed is what the samples say.
"""

import os
import re
import signal
import time

from amsmail.setup.installing import platforms
from amsmail.setup.installing.software import CHECKOUT, interpreter
from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import Commands, File, Lines, Piece, digest, parents
from amsmail.store import durable
from amsmail.wire.value import Value

PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "pop3": 110, "pop3s": 995}
SBIN = "/usr/local/sbin"
SPOOL = "/var/spool/amsmail"
UNITS = "/etc/systemd/system"
_SYSTEMD = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
_PATIENCE = 10      # seconds, until a server that was started or told to read its files again listens


class SuperServer(Value):
    """`programs`, any of which shows that it is installed; `pid_files` and the names of its process; `names` that its
    unit or init script may have."""

    __slots__ = ("name", "programs", "pid_files", "processes", "names")

    def installed(self, machine):
        return machine.has(*self.programs)

    def process(self, machine):
        return next(filter(None, (machine.process(path, self.processes) for path in self.pid_files)), None)


XINETD = SuperServer("xinetd", ("/usr/sbin/xinetd", "/usr/bin/xinetd"), ("/run/xinetd.pid", "/var/run/xinetd.pid"),
                     ("xinetd",), ("xinetd",))
INETD = SuperServer("inetd", ("/usr/sbin/inetd", "/usr/sbin/inetutils-inetd", "/usr/libexec/inetd"),
                    ("/run/inetd.pid", "/var/run/inetd.pid"), ("inetd", "inetutils-inetd"),
                    ("openbsd-inetd", "inetutils-inetd", "inetd"))
BY_PID_FILE = {server.name: server for server in (XINETD, INETD)}


def choose(machine):
    """The name of the super-server to use: one that runs, or else one that is installed.  xinetd and inetd come first:
    beside systemd, they are there because somebody wanted them."""
    if machine.real and platforms.here():
        return platforms.here()
    for look in (lambda server: server.process(machine), lambda server: server.installed(machine)):
        for server in BY_PID_FILE.values():
            if look(server):
                return server.name
        if machine.systemd_runs():
            return "systemd"
    return "systemd" if not machine.real and machine.has(*_SYSTEMD) else "amsd"


class Start(Piece):
    """A super-server that serves.  `of` stands for its entries: when they change, it is told again."""

    kind = "service"
    __slots__ = ("path", "of", "ports", "units")
    defaults = {"units": ()}

    def done(self, machine, entry):
        if not entry or entry["of"] != self.of or not entry["complete"]:
            return False
        return not machine.sees_listeners() or set(self.ports) <= machine.listeners().keys()

    def before(self, machine):
        server = BY_PID_FILE.get(self.path)
        return {"ran": bool(server and server.process(machine))}

    def now(self):
        return {"of": self.of, "units": list(self.units)}

    def do(self, machine):
        _CONTROL[self.path][0](machine, self)
        if machine.sees_listeners() and (self.path != "systemd" or machine.systemd_runs()):
            _wait(machine, self.path, self.ports)

    @staticmethod
    def undo(machine, entry, _purge):
        _CONTROL[entry["path"]][1](machine, entry)
        return None


class Reload(Piece):
    """Comes before the entries, so that --undo tells the super-server when they are gone."""

    kind = "reload"
    __slots__ = ("path",)

    def done(self, _machine, entry):
        return entry is not None

    def do(self, _machine):
        """Nothing: Start tells it."""

    @staticmethod
    def undo(machine, entry, _purge):
        process = BY_PID_FILE[entry["path"]].process(machine)
        if process:
            os.kill(process, signal.SIGHUP)
        return None


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
    if machine.real and not entry["ran"] and server.process(machine):
        _service(machine, server.names, "stop")


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


def _tell_init(machine, _piece):
    if machine.real:
        machine.run(*_init_command(machine))


def _init_command(machine):
    # sysvinit has telinit; busybox's init reads its table again on SIGHUP.
    return (machine.program("telinit"), "q") if machine.program("telinit") else ("kill", "-HUP", "1")


_CONTROL = {
    "xinetd": (_start_by_pid_file, _stop_by_pid_file),
    "inetd": (_start_by_pid_file, _stop_by_pid_file),
    "systemd": (_start_units, _stop_units),
    "timer": (_start_units, _stop_timer),
    "amsd": (_tell_init, lambda machine, entry: None),       # _init_command() tells it, when its line is gone
}


def _wait(machine, name, ports):
    limit = time.monotonic() + _PATIENCE
    while missing := set(ports) - machine.listeners().keys():
        if time.monotonic() > limit:
            raise Trouble(f"{name} does not listen on port {', '.join(map(str, sorted(missing)))}: its log says why")
        time.sleep(0.05)


def entries(machine, name, ports, spool):
    """[(a line for a person, pieces)] that make the super-server `name` serve `ports`, {service: port}, and notes."""
    return _ENTRIES[name](machine, ports, spool)


def _xinetd(machine, ports, _spool):
    if machine.real and b"/etc/xinetd.d" not in (machine.read("/etc/xinetd.conf") or b""):
        raise Trouble("/etc/xinetd.conf has no line `includedir /etc/xinetd.d`: add it, and start again")
    files = []
    for service, port in ports.items():
        text = sample(f"xinetd.d/amsmail-{service}")
        text = re.sub(r"(?m)^(\s*port\s*=\s*)\d+$", rf"\g<1>{port}", text)
        files.append(File(f"/etc/xinetd.d/amsmail-{service}", text.encode()))
    return [(f"put {_names(files)} into /etc/xinetd.d", [*parents(files[0].path), Reload("xinetd"), *files]),
            (f"let xinetd serve {_ports(ports)}", [Start("xinetd", _of(files), list(ports.values()))])], []


def _inetd(machine, ports, _spool):
    lines = Lines("/etc/inetd.conf", inetd_lines(machine, ports))
    return [("add five lines, between marks, to /etc/inetd.conf",
             [*parents(lines.path), Reload("inetd"), lines]),
            (f"let inetd serve {_ports(ports)}", [Start("inetd", _of([lines]), list(ports.values()))])], []


def inetd_lines(machine, ports):
    """The sample's lines, with a port's number where /etc/services has no such name, or another number."""
    known = (machine.read("/etc/services") or b"").decode("utf-8", "replace")
    found = []
    for line in sample("inetd.conf").splitlines():
        service = line.partition(" ")[0]
        if service in ports:
            number = re.search(rf"(?m)^{service}\s+(\d+)/tcp\b", known)
            name = service if number and int(number[1]) == ports[service] else str(ports[service])
            found.append(f"{name:<{len(service)}}{line[len(service):]}\n")
    return "".join(found)


def _systemd(machine, ports, spool):
    files, sockets = [], []
    for service, port in ports.items():
        text = re.sub(r"(?m)^ListenStream=\d+$", f"ListenStream={port}", sample(f"systemd/amsmail-{service}.socket"))
        sockets.append(f"amsmail-{service}.socket")
        files += [_unit(sockets[-1], text, spool),
                  _unit(f"amsmail-{service}@.service", sample(f"systemd/amsmail-{service}@.service"), spool)]
    start = Start("systemd", _of(files), list(ports.values()), sockets)
    return [(f"put five sockets and their services into {UNITS}", [*_unit_pieces(machine, files)]),
            (f"let systemd serve {_ports(ports)}, now and at every start", [start])], []


def _amsd(machine, ports, spool):
    command = f"{SBIN}/amsd" + "".join(f" --listen {service}={port}" for service, port in ports.items()
                                       if ports != PORTS)
    if machine.systemd_runs() or not machine.real and machine.has(*_SYSTEMD):
        text = sample("systemd/amsd.service").replace(f"ExecStart={SBIN}/amsd\n", f"ExecStart={command}\n")
        files = [_unit("amsd.service", text, spool)]
        start = Start("systemd", _of(files), list(ports.values()), ["amsd.service"])
        return [(f"put amsd.service into {UNITS}", _unit_pieces(machine, files)),
                (f"let amsd serve {_ports(ports)}, now and at every start", [start])], []
    if machine.has("/etc/inittab"):
        # The user is the spool's owner: amsd gives up root by itself once it has the ports.
        lines = Lines("/etc/inittab", f"am:2345:respawn:{command} 2>&1 | logger -t amsd -p mail.info\n")
        told = [Commands("init", (), [_init_command(machine)])]
        return [("add a line, between marks, to /etc/inittab", [*told, lines]),
                (f"let init start amsd, which serves {_ports(ports)}",
                 [Start("amsd", _of([lines]), list(ports.values()))])], []
    return [], [f"Nothing here starts services at boot that this program knows: let the system start `{command}`."]


def calls(machine, service, spool):
    """What runs mailcheck every hour: as entries()."""
    if service in platforms.PLACES:
        return [("call every hour, by a task of Task Scheduler",
                 _task(service, "mailcheck", platforms.mailcheck_task(service, _windows_python(machine))))], []
    if service == "systemd" or not machine.has("/etc/cron.d") and (
            machine.systemd_runs() or not machine.real and machine.has(*_SYSTEMD)):
        names = ("amsmail-mailcheck.service", "amsmail-mailcheck.timer")
        files = [_unit(name, sample(f"systemd/{name}"), spool) for name in names]
        return [("call every hour, by a systemd timer: amsmail-mailcheck.timer",
                 [*_unit_pieces(machine, files), Start("timer", _of(files), [], [names[1]])])], []
    text = sample("cron.d/amsmail")
    if machine.has("/etc/cron.d"):
        file = File("/etc/cron.d/amsmail", text.encode())
        return [("call every hour, by cron: /etc/cron.d/amsmail", [*parents(file.path), file])], []
    line = re.search(r"(?m)^\d.*\n", text)[0]
    if machine.has("/etc/crontab"):
        return [("call every hour, by cron: a line, between marks, in /etc/crontab", [Lines("/etc/crontab", line)])], []
    return [], [f"There is neither /etc/cron.d nor /etc/crontab nor systemd here: let {SBIN}/mailcheck --quiet run "
                "as user amsmail every hour, or, with amsd, set schedule in [calls] of mail.cfg."]


def _cygwin(machine, ports, _spool):
    arguments = "".join(f" --listen {service}={port}" for service, port in ports.items() if ports != PORTS)
    forth, back = platforms.cygwin_service(f"{SBIN}/amsd{arguments}")
    return [(f"let amsd, as Windows service amsmail by cygrunsrv, serve {_ports(ports)}",
             [Commands("cygrunsrv", forth, back)])], []


def _windows(machine, ports, _spool):
    arguments = "".join(f" --listen {service}={port}" for service, port in ports.items() if ports != PORTS)
    return [(f"let Task Scheduler start amsd with the machine, which serves {_ports(ports)}",
             _task("windows", "amsd", platforms.amsd_task(_windows_python(machine), arguments)))], []


def _windows_python(machine):
    """Where a scratch root's Python will lie is not known: Windows' launcher finds it."""
    return interpreter() if machine.real else "py.exe"


def _task(service, name, xml):
    file = File(f"{platforms.PLACES[service].share}/{name}.xml", xml)
    return [*parents(file.path), file, Commands(f"task {name}", *platforms.task_commands(name, file.path), digest(xml))]


def _unit(name, text, spool):
    return File(f"{UNITS}/{name}", text.replace(SPOOL, spool).encode())


def _unit_pieces(machine, files):
    told = [Commands(files[0].path, (), [("systemctl", "daemon-reload")])] if machine.systemd_runs() else []
    return [*parents(files[0].path), *told, *files]


def sample(name):
    """The text of a sample in etc/."""
    return (CHECKOUT / "etc" / name).read_text(encoding="utf-8")


def _names(files):
    return ", ".join(os.path.basename(file.path) for file in files)


def _ports(ports):
    return ", ".join(f"{service} on {port}" for service, port in ports.items())


def _of(pieces):
    return digest(b"".join(piece.data if isinstance(piece, File) else piece.text.encode() for piece in pieces))


_ENTRIES = {"xinetd": _xinetd, "inetd": _inetd, "systemd": _systemd, "amsd": _amsd, "cygwin": _cygwin,
            "windows": _windows}
NAMES = tuple(_ENTRIES)

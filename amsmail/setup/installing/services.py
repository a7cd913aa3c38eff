"""The entries by which super-servers start amsmail's programs, and what starts mailcheck.

They are made of the samples in etc/, so that what is installed is what the samples say.
"""

import os
import re

from amsmail.setup.installing import platforms
from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import Commands, File, Lines, digest, parents
from amsmail.setup.installing.software import CHECKOUT, interpreter
from amsmail.setup.installing.starting import UNITS, Reload, Start, has_systemd
from amsmail.setup.super_entries import INETD_CONF, XINETD_CONF, XINETD_FOLDER, tcp_ports
from amsmail.site.ports import REGISTERED

_SBIN, _SPOOL = platforms.UNIX.sbin, platforms.UNIX.spool       # as the samples have them


def entries(machine, name, ports, spool):
    """[(a line for a person, pieces)] that make the super-server `name` serve `ports`, {service: port}, and notes."""
    return _ENTRIES[name](machine, ports, spool)


def _xinetd(machine, ports, _spool):
    if machine.real and XINETD_FOLDER.encode() not in (machine.read(XINETD_CONF) or b""):
        raise Trouble(f"{XINETD_CONF} has no line `includedir {XINETD_FOLDER}`: add it, and start again")
    files = []
    for service, port in ports.items():
        text = _sample(f"xinetd.d/amsmail-{service}")
        text = re.sub(r"(?m)^(\s*port\s*=\s*)\d+$", rf"\g<1>{port}", text)
        files.append(File(f"{XINETD_FOLDER}/amsmail-{service}", text.encode()))
    return [(f"put {_names(files)} into {XINETD_FOLDER}", [*parents(files[0].path), Reload("xinetd"), *files]),
            (f"let xinetd serve {_ports(ports)}", [_start("xinetd", files, ports)])], []


def _inetd(machine, ports, _spool):
    lines = Lines(INETD_CONF, _inetd_lines(machine, ports))
    return [(f"add five lines, between marks, to {INETD_CONF}",
             [*parents(lines.path), Reload("inetd"), lines]),
            (f"let inetd serve {_ports(ports)}", [_start("inetd", [lines], ports)])], []


def _inetd_lines(machine, ports):
    """The sample's lines, with a port's number where /etc/services has no such name, or another number."""
    known = tcp_ports((machine.read("/etc/services") or b"").decode("utf-8", "replace"))
    found = []
    for line in _sample("inetd.conf").splitlines():
        service = line.partition(" ")[0]
        if service in ports:
            name = service if known.get(service) == ports[service] else str(ports[service])
            found.append(f"{name:<{len(service)}}{line[len(service):]}\n")
    return "".join(found)


def _systemd(machine, ports, spool):
    files, sockets = [], []
    for service, port in ports.items():
        text = re.sub(r"(?m)^ListenStream=\d+$", f"ListenStream={port}", _sample(f"systemd/amsmail-{service}.socket"))
        sockets.append(f"amsmail-{service}.socket")
        files += [_unit(sockets[-1], text, spool),
                  _unit(f"amsmail-{service}@.service", _sample(f"systemd/amsmail-{service}@.service"), spool)]
    return [(f"put five sockets and their services into {UNITS}", _unit_pieces(machine, files)),
            (f"let systemd serve {_ports(ports)}, now and at every start",
             [_start("systemd", files, ports, sockets)])], []


def _amsd(machine, ports, spool):
    command = f"{_SBIN}/amsd{_listens(ports)}"
    if has_systemd(machine):
        return _amsd_by_systemd(machine, ports, spool, command)
    if machine.has("/etc/inittab"):
        return _amsd_by_init(machine, ports, command)
    return [], [f"Nothing here starts services at boot that this program knows: let the system start `{command}`."]


def _amsd_by_systemd(machine, ports, spool, command):
    text = _sample("systemd/amsd.service").replace(f"ExecStart={_SBIN}/amsd\n", f"ExecStart={command}\n")
    files = [_unit("amsd.service", text, spool)]
    return [(f"put amsd.service into {UNITS}", _unit_pieces(machine, files)),
            (f"let amsd serve {_ports(ports)}, now and at every start",
             [_start("systemd", files, ports, ["amsd.service"])])], []


def _amsd_by_init(machine, ports, command):
    # The user is the spool's owner: amsd gives up root by itself once it has the ports.
    lines = Lines("/etc/inittab", f"am:2345:respawn:{command} 2>&1 | logger -t amsd -p mail.info\n")
    return [("add a line, between marks, to /etc/inittab", [Reload("amsd"), lines]),
            (f"let init start amsd, which serves {_ports(ports)}", [_start("amsd", [lines], ports)])], []


def calls(machine, service, spool):
    """What runs mailcheck every hour: as entries()."""
    if service in platforms.PLACES:
        return [("call every hour, by a task of Task Scheduler",
                 _task(service, "mailcheck", platforms.mailcheck_task(service, _windows_python(machine))))], []
    if service == "systemd" or has_systemd(machine) and not machine.has("/etc/cron.d"):
        names = ("amsmail-mailcheck.service", "amsmail-mailcheck.timer")
        files = [_unit(name, _sample(f"systemd/{name}"), spool) for name in names]
        return [("call every hour, by a systemd timer: amsmail-mailcheck.timer",
                 [*_unit_pieces(machine, files), _start("timer", files, {}, names[1:])])], []
    text = _sample("cron.d/amsmail")
    if machine.has("/etc/cron.d"):
        file = File("/etc/cron.d/amsmail", text.encode())
        return [("call every hour, by cron: /etc/cron.d/amsmail", [*parents(file.path), file])], []
    line = re.search(r"(?m)^\d.*\n", text)[0]
    if machine.has("/etc/crontab"):
        return [("call every hour, by cron: a line, between marks, in /etc/crontab", [Lines("/etc/crontab", line)])], []
    return [], [f"There is neither /etc/cron.d nor /etc/crontab nor systemd here: let {_SBIN}/mailcheck --quiet run "
                "as user amsmail every hour, or, with amsd, set schedule in [calls] of mail.cfg."]


def _cygwin(machine, ports, _spool):
    forth, back = platforms.cygwin_service(f"{_SBIN}/amsd{_listens(ports)}")
    return [(f"let amsd, as Windows service amsmail by cygrunsrv, serve {_ports(ports)}",
             [Commands("cygrunsrv", forth, back)])], []


def _windows(machine, ports, _spool):
    task = platforms.amsd_task(_windows_python(machine), _listens(ports))
    return [(f"let Task Scheduler start amsd with the machine, which serves {_ports(ports)}",
             _task("windows", "amsd", task))], []


def _listens(ports):
    """What stands behind amsd on its command line: nothing where it serves these ports by itself."""
    return "" if ports == REGISTERED else "".join(f" --listen {service}={port}" for service, port in ports.items())


def _windows_python(machine):
    """Where a scratch root's Python will lie is not known: Windows' launcher finds it."""
    return interpreter() if machine.real else "py.exe"


def _task(service, name, xml):
    file = File(f"{platforms.PLACES[service].share}/{name}.xml", xml)
    return [*parents(file.path), file, Commands(f"task {name}", *platforms.task_commands(name, file.path), digest(xml))]


def _unit(name, text, spool):
    return File(f"{UNITS}/{name}", text.replace(_SPOOL, spool).encode())


def _unit_pieces(machine, files):
    told = [Commands(files[0].path, (), [("systemctl", "daemon-reload")])] if machine.systemd_runs() else []
    return [*parents(files[0].path), *told, *files]


def _sample(name):
    """The text of a sample in etc/."""
    return (CHECKOUT / "etc" / name).read_text(encoding="utf-8")


def _names(files):
    return ", ".join(os.path.basename(file.path) for file in files)


def _ports(ports):
    return ", ".join(f"{service} on {port}" for service, port in ports.items())


def _start(name, entries_, ports, units=()):
    """What lets `name` serve the ports by these Files or Lines."""
    return Start(name, _of(entries_), list(ports.values()), list(units))


def _of(entries_):
    return digest(b"".join(entry.data if isinstance(entry, File) else entry.text.encode() for entry in entries_))


_ENTRIES = {"xinetd": _xinetd, "inetd": _inetd, "systemd": _systemd, "amsd": _amsd, "cygwin": _cygwin,
            "windows": _windows}
NAMES = tuple(_ENTRIES)

"""Who else serves mail here: what listens on our ports, what is started at boot, and what a super-server starts."""

import os
import re

from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import Piece, parts
from amsmail.setup.processes import named
from amsmail.setup.super_entries import (
    INETD_CONF, XINETD_CONF, XINETD_FOLDER, inetd, is_included, port_of, tcp_ports, xinetd)
from amsmail.site.ports import REGISTERED
from amsmail.wire.value import Value

_SMTP, _POP3 = {"smtp"}, {"pop3", "pop3s"}

# service's name -> (what a person calls it, what it serves unless told more, part of its programs' paths)
MAIL_SERVERS = {
    "postfix": ("Postfix", _SMTP, "/postfix/"),
    "exim4": ("Exim", _SMTP, "/exim"),
    "exim": ("Exim", _SMTP, "/exim"),
    "sendmail": ("Sendmail", _SMTP, "/sendmail"),
    "opensmtpd": ("OpenSMTPD", _SMTP, "/smtpd"),
    "smtpd": ("OpenSMTPD", _SMTP, "/smtpd"),
    "dovecot": ("Dovecot", _POP3, "/dovecot"),
    "courier-pop": ("Courier", _POP3, "/courier"),
    "cyrus-imapd": ("Cyrus", _POP3, "/cyrus"),
    "popa3d": ("popa3d", _POP3, "/popa3d"),
}


class Rival(Value):
    """Something that is in the way.  `service` is the name to disable it by, '' where only a person can end it."""

    __slots__ = ("service", "what", "remedy")


def find(machine, ports, own):
    """The Rivals of a server for `ports`, {service: port}.  `own`, the names of processes that serve for us already."""
    found = [*_enabled(machine, ports), *_listening(machine, ports, own), *_started(machine, ports)]
    return list(dict.fromkeys(found))       # an entry for two addresses is two


def _enabled(machine, ports):
    """Mail servers that are started at boot.  Asked of the files, not of systemd: they also say it below a root."""
    for service, (name, serves, _) in MAIL_SERVERS.items():
        taken = sorted(REGISTERED[kind] for kind in serves if ports[kind] == REGISTERED[kind])
        if taken and _starts_at_boot(machine, service):
            yield Rival(service, f"{name} is started at boot, and serves port {', '.join(map(str, taken))}",
                        f"--replace-mail-server stops and disables {service}, until --undo")


def _starts_at_boot(machine, service):
    units = machine.path("/etc/systemd/system")
    for folder in _listed(units):
        if folder.endswith(".wants") and f"{service}.service" in _listed(os.path.join(units, folder)):
            return True
    return any(re.fullmatch(rf"S\d\d{re.escape(service)}", name)
               for level in "2345" for name in _listed(machine.path(f"/etc/rc{level}.d")))


def _listed(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _listening(machine, ports, own):
    """What listens on the ports.  One port may have two: IPv4 and IPv6 may be different programs'."""
    services = {port: service for service, port in ports.items()}
    found = [each for each in machine.listeners(services)
             if not (each.process and any(named(each.process, name) for name in own))]
    # One that listens at two addresses is named once.
    for port, program in sorted({(each.port, _program(each.process)) for each in found}):
        known = next((name for name, (_, _, part) in MAIL_SERVERS.items() if part in program
                      and machine.has(f"/etc/init.d/{name}", f"/lib/systemd/system/{name}.service")), "")
        yield Rival(known, f"{program} listens on port {port} ({services[port]})",
                    f"--replace-mail-server stops and disables {known}, until --undo" if known else
                    f"end it, or choose another port by --port {services[port]}=NUMBER")


def _program(process):
    """What a person is told of a Process, or of None: the program's path, or its name where that is a script."""
    if process is None:
        return "a program"
    return process.name if "python" in os.path.basename(process.program) else process.program or process.name


_REMEDIES = {"inetd": "put a # before that line", "xinetd": "set `disable = yes` in it"}


def _started(machine, ports):
    """What inetd and xinetd start for our ports."""
    known = {**REGISTERED, **tcp_ports(_text(machine, "/etc/services"))}
    for each in (*_inetd(machine), *_xinetd(machine)):
        if port_of(each.service, known) in ports.values():
            place = f"line {each.line} of {each.file}" if each.server == "inetd" else each.file
            program = each.command[0] if each.command else "something"
            yield Rival("", f"{place} starts {program} for {each.title}", _REMEDIES[each.server])


def _inetd(machine):
    above, ours, _ = parts(machine, INETD_CONF)
    first = above.count("\n") + 1           # the mark before our lines
    own = range(first, first + ours.count("\n") + 2) if ours else ()
    return [each for each in inetd(INETD_CONF, _text(machine, INETD_CONF)) if each.line not in own]


def _xinetd(machine):
    paths = [XINETD_CONF, *(f"{XINETD_FOLDER}/{name}" for name in sorted(_listed(machine.path(XINETD_FOLDER)))
                            if is_included(name) and not name.startswith("amsmail-"))]
    return xinetd({path: _text(machine, path) for path in paths if os.path.isfile(machine.path(path))})


def _text(machine, path):
    return (machine.read(path) or b"").decode("utf-8", "replace")


class Disabled(Piece):
    """A mail server that is stopped, and not started at boot any more."""

    kind = "mail server"
    keeps = ("enabled",)
    __slots__ = ("path",)

    def done(self, machine, entry):
        return bool(entry) and entry["complete"] and not _starts_at_boot(machine, self.path)

    def before(self, machine):
        return {"enabled": _starts_at_boot(machine, self.path)}

    def do(self, machine):
        _switch(machine, self.path, "disable", "stop")

    @staticmethod
    def undo(machine, entry, _purge):
        _switch(machine, entry["path"], "enable" if entry["enabled"] else "", "start")
        return None


def _switch(machine, service, boot, now):
    """Stops or starts a service; `boot` is '' where the system's start is to stay as it is."""
    if not machine.real:
        raise Trouble(f"{service} cannot be {boot}d below a scratch root: do it there by hand")
    if machine.systemd_runs():
        machine.run("systemctl", now, service)
    elif machine.has(f"/etc/init.d/{service}"):
        machine.run(f"/etc/init.d/{service}", now)
    if boot and machine.systemd_runs():
        machine.run("systemctl", boot, service)
    elif boot:
        machine.run(machine.program("update-rc.d") or "update-rc.d", service, boot)

"""Who else serves mail here: what listens on our ports, what is started at boot, and what a super-server starts."""

import os
import re

from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import Piece, parts
from amsmail.setup.processes import named
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
    return [*_enabled(machine, ports), *_listening(machine, ports, own), *_inetd(machine, ports),
            *_xinetd(machine, ports)]


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


def _inetd(machine, ports):
    above, ours, below = parts(machine, "/etc/inetd.conf")
    for number, line in _numbered(above, ours, below):
        words = line.split()
        if len(words) < 6 or words[0].startswith("#"):
            continue
        if _port(words[0].rpartition(":")[2], ports) in ports.values():
            yield Rival("", f"line {number} of /etc/inetd.conf starts {words[5]} for {words[0]}",
                        "put a # before that line")


def _numbered(above, ours, below):
    """(number, line) of the lines above and below ours, which have a mark before and behind them."""
    between = ours.count("\n") + 2 if ours else 0
    yield from enumerate(above.split("\n"), 1)
    yield from enumerate(below.split("\n"), above.count("\n") + between + 1)


def _xinetd(machine, ports):
    for name in _listed(machine.path("/etc/xinetd.d")):
        text = (machine.read(f"/etc/xinetd.d/{name}") or b"").decode("utf-8", "replace")
        if name.startswith("amsmail-"):
            continue
        for service, body in re.findall(r"(?ms)^\s*service\s+(\S+)\s*\{(.*?)^\s*\}", text):
            settings = dict(re.findall(r"(?m)^\s*(\w+)\s*\+?=\s*(\S.*?)\s*$", body))
            if (settings.get("disable") != "yes" and settings.get("protocol", "tcp") == "tcp"
                    and _port(settings.get("port", service), ports) in ports.values()):
                yield Rival("", f"/etc/xinetd.d/{name} starts {settings.get('server', 'something')} for {service}",
                            "set `disable = yes` in it")


def _port(name, ports):
    return int(name) if name.isdigit() else ports.get(name, 0)


class Disabled(Piece):
    """A mail server that is stopped, and not started at boot any more."""

    kind = "mail server"
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

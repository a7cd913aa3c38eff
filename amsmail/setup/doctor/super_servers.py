"""The entries by which super-servers start smtpd and pop3d: of inetd, of xinetd, of systemd, and amsd's own."""

import os
import re

from amsmail.setup import super_entries
from amsmail.setup.doctor.world import lines
from amsmail.setup.processes import text
from amsmail.site.ports import SERVED
from amsmail.wire.value import Value

_PROGRAMS = {service.program for service in SERVED.values()}
_UNITS = ("etc/systemd/system", "lib/systemd/system", "usr/lib/systemd/system")


class Entry(Value):
    """One service of ours: who serves it ('inetd', 'xinetd', 'systemd', 'amsd'), its `service` name or port as written,
    `host` ('0.0.0.0' for all addresses of IPv4, '::' for all of IPv6, '' for both) and `port` (0 where the name is not
    known), the `program`, whether TLS is on from the first octet, and the `file` that says so ('' for amsd)."""

    __slots__ = ("server", "service", "host", "port", "program", "tls", "file")


def by_files(world):
    """The entries of inetd.conf, and those that xinetd reads and are not disabled."""
    conf = world.file("etc", "inetd.conf")
    xinetd = [world.file("etc", "xinetd.conf"), *(path for path in world.files("etc", "xinetd.d")
                                                  if super_entries.is_included(os.path.basename(path)))]
    ports = super_entries.tcp_ports(text(world.file("etc", "services")))
    for each in (*super_entries.inetd(conf, text(conf)), *super_entries.xinetd({path: text(path) for path in xinetd})):
        program = _program(each.command[:1])
        if program:
            yield Entry(each.server, each.service, each.host, super_entries.port_of(each.service, ports), program,
                        "--tls" in each.command, each.file)


def systemd(world):
    """The entries of the sockets that are enabled."""
    wanted = world.files("etc", "systemd", "system", "sockets.target.wants")
    for path in (path for path in wanted if path.endswith(".socket")):
        name = os.path.basename(path).removesuffix(".socket")
        words = _started(world, f"{name}@.service")
        program = _program(words[:1])
        for line in lines(path) if program else ():
            listen = re.match(r"\s*ListenStream\s*=\s*(?:(\S+):)?(\d+)\s*$", line)
            if listen:
                yield Entry("systemd", f"{name}.socket", _host(listen[1] or ""), int(listen[2]), program,
                            "--tls" in words, path)


def amsd(site, world, processes):
    """What each amsd that runs for the site serves."""
    for process in amsds(site, processes):
        listens, _ = _amsd_words(process)
        for listen in listens or [f"{name}={world.ports[name]}" for name in SERVED]:
            service, _, address = listen.partition("=")
            host, _, port = address.rpartition(":")
            number = super_entries.port_of(port, {})
            if service in SERVED and number:
                served = SERVED[service]
                yield Entry("amsd", service, _host(host), number, served.program, "--tls" in served.flags, "")


def amsds(site, processes):
    """Those of the Processes that are an amsd which reads the site's mail.cfg, as far as can be seen; any mail.cfg
    where there is no site."""
    return [process for process in processes if _amsd_at(process) and (site is None or _reads(process, site.path))]


def _reads(process, path):
    _, others = _amsd_words(process)
    # Without a path it is the one fixed in its launcher.  A relative path is one from a folder that we do not know.
    return all(other == path or not os.path.isabs(other) and os.path.basename(other) == os.path.basename(path)
               for other in others)


def _amsd_at(process):
    """Where the words behind the program begin, which Python runs; 0 if it is no amsd."""
    names = [os.path.basename(word) for word in process.words[:3]]
    return names.index("amsd") + 1 if "amsd" in names and names[0].startswith(("amsd", "python")) else 0


def _amsd_words(process):
    """(what it was told to listen on, the other words behind the program)."""
    listens, others, words = [], [], list(process.words[_amsd_at(process):])
    while words:
        option, equals, value = words.pop(0).partition("=")
        if option == "--listen" and (equals or words):
            listens.append(value if equals else words.pop(0))
        else:
            others.append(option + equals + value)
    return listens, others


def amsd_unit(world):
    """The path by which systemd is told to run amsd, '' if it is not."""
    path = world.file("etc", "systemd", "system", "multi-user.target.wants", "amsd.service")
    return path if os.path.lexists(path) else ""


def _started(world, unit):
    """The words of a unit's ExecStart; none if there is no such unit."""
    for folder in _UNITS:
        for line in lines(world.file(folder, unit)):
            if line.startswith("ExecStart="):
                return line.partition("=")[2].split()
    return []


def _program(words):
    """The first of ours among the words of a command line, or None."""
    return next((os.path.basename(word) for word in words if os.path.basename(word) in _PROGRAMS), None)


def _host(text):
    return "" if text in ("*", "0.0.0.0", "[::]", "::") else text.strip("[]")

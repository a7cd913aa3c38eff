"""Who serves clients: the entries of the super-servers, whether these run and have read them, who listens on the ports,
and what is said there.

When a super-server read its file again cannot be seen: a SIGHUP leaves no trace.  So what counts is the port: where the
entry is there, the super-server runs, and nobody listens, it has not read the entry, or could not use it.
"""

import itertools
import os
import ssl
from contextlib import suppress

from amsmail.setup.doctor import super_servers
from amsmail.setup.doctor.super_servers import Entry
from amsmail.setup.doctor.world import fine, note, wrong
from amsmail.setup.processes import listeners, named, open_ports, processes, sees_all
from amsmail.site.ports import SERVED
from amsmail.transport.reach import Unreached, connected
from amsmail.wire.value import Value

_GREETING_OCTETS = 512      # RFC 5321, section 4.5.3.1.5
# How a program begins its greeting, and its refusal, which is that of its module's refusal().
_GREETS = {"smtpd": b"220 ", "pop3d": b"+OK"}
_REFUSES = {"smtpd": b"421 4.3.5", "pop3d": b"-ERR [SYS"}


# Where it is tried what serves all addresses: of both kinds, of IPv4, of IPv6.
_LOOPBACK = {"": ["127.0.0.1", "::1"], "0.0.0.0": ["127.0.0.1"], "::": ["::1"]}


class Starter(Value):
    """A super-server, or amsd: the `file` it reads, below the root; whether a Process is one that `reads` the file at a
    path; and how a person lets it `start`, or `reload` the file (with {pid} and {units})."""

    __slots__ = ("file", "reads", "start", "reload")


def _inetd_reads(process, path):
    """Without a path on its command line it is the usual one.  xinetd may read it too."""
    if process.name == "xinetd":
        return "-inetd_compat" in process.words and path == "/etc/inetd.conf"
    told = next((word for word in process.words[1:] if word.startswith("/")), "/etc/inetd.conf")
    return any(named(process, name) for name in ("inetd", "openbsd-inetd", "inetutils-inetd")) and told == path


def _xinetd_reads(process, path):
    told = [b for a, b in zip(process.words, process.words[1:]) if a == "-f"] or ["/etc/xinetd.conf"]
    return process.name == "xinetd" and told == [path]


STARTERS = {
    "inetd": Starter("etc/inetd.conf", _inetd_reads, "service openbsd-inetd start", "kill -HUP {pid}"),
    "xinetd": Starter("etc/xinetd.conf", _xinetd_reads, "service xinetd start", "kill -HUP {pid}"),
    "systemd": Starter("", lambda process, _path: process.name == "systemd",
                      "use inetd, xinetd or amsd: systemd does not run this machine",
                      "systemctl daemon-reload && systemctl restart {units}"),
    "amsd": Starter("", lambda process, _path: bool(super_servers.amsds(None, [process])), "", "start it again"),
}


def services(site, world):
    """Each entry is served by whom it should be.  `site` is None where mail.cfg is wrong: then the host's name is not
    compared."""
    running = processes(world.proc)
    entries = [*super_servers.by_files(world), *super_servers.systemd(world),
               *super_servers.amsd(site, world, running)]
    if super_servers.amsd_unit(world) and sees_all(running) and not super_servers.amsds(site, running):
        yield wrong("amsd is enabled and does not run", "systemctl start amsd; why it ended: journalctl -u amsd")
    if not entries:
        yield note("no super-server has an entry for smtpd or pop3d, so nobody can send or read mail",
                   "run scripts/install (or amsmail-install), or start amsd")
        for name in "smtp", "pop3":
            yield from _stranger(world, Entry("", name, "", world.ports[name], SERVED[name].program, False, ""))
    for name in STARTERS:
        own = [entry for entry in entries if entry.server == name]
        if own:
            yield from _served(site, world, name, own, running)
    yield from _twice(entries)


def _twice(entries):
    """Two super-servers that want the same port: the one that starts first has it."""
    for other, entry in itertools.combinations(entries, 2):
        if (other.server != entry.server and entry.port and other.port == entry.port
                and not set(_hosts(other)).isdisjoint(_hosts(entry))):
            yield wrong(f"{other.server} and {entry.server} both have an entry for port {entry.port}",
                        f"take it out of {entry.file or 'one of them'}")


def _served(site, world, name, entries, running):
    """Findings about one super-server and its entries."""
    closed = []
    for entry in entries:
        said = _greeting(entry, world.patience) if entry.port else None
        if not entry.port:
            yield wrong(f"{entry.file} names service {entry.service}, which /etc/services lacks",
                        "add its line from etc/services, or write the port's number")
        elif said is None:
            closed.append(entry)
        else:
            yield _heard(site, world, entry, said)
    if closed:
        yield _closed(world, name, closed, running)


def _closed(world, name, closed, running):
    """Why nobody listens where there are entries of one super-server."""
    starter, file = STARTERS[name], closed[0].file
    ports = ", ".join(str(entry.port) for entry in closed)
    process = next((process for process in running if starter.reads(process, world.file(starter.file))), None)
    if process is None:
        does = "does not run" if sees_all(running) else "does not listen (whether it runs cannot be seen)"
        return wrong(f"nobody listens on port {ports}: {name} {does}, although {file} has an entry for it",
                     starter.start)
    remedy = starter.reload.format(pid=process.pid, units=" ".join(entry.service for entry in closed))
    if name == "amsd":
        return wrong(f"{process.shown} does not listen on port {ports}", remedy)
    changed = max(os.stat(entry.file).st_mtime for entry in closed) > process.start
    why = "which was changed after it started" if changed else "which was not changed since it started"
    return wrong(f"{process.shown} does not listen on port {ports}, although {file}, {why}, has an entry for it: it "
                 "has to read it again, or could not use it", f"{remedy}; if that does not help, its log says why")


def _heard(site, world, entry, said):
    """The Finding about what was said at an entry's port."""
    first = said.decode("ascii", "replace").strip()
    expected = b"220 %s ESMTP amsmail" % site.hostname.encode() if site and entry.program == "smtpd" else b""
    ours = said.startswith(_GREETS[entry.program]) and b"amsmail" in said
    if ours and said.startswith(expected):
        return fine(f"{entry.program} serves port {entry.port}, started by {entry.server}")
    if ours:
        return wrong(f"port {entry.port} says '{first}', which is not {site.hostname}: {entry.program} reads another "
                     "mail.cfg",
                     f"see which mail.cfg the entry in {entry.file or 'amsd'} names, or the launcher is for")
    if said.startswith(_REFUSES[entry.program]):
        return wrong(f"{entry.program} refuses to serve port {entry.port}: '{first}'",
                     "see /var/log/mail.log or the journal: it says what is wrong")
    if not said:
        return wrong(f"port {entry.port} takes a connection and says nothing: {entry.program} does not start, or has "
                     "no certificate for TLS", "see the log; then try the command of the entry in "
                     f"{entry.file or 'amsd'} as that user")
    return _taken(world, entry, first)


def _taken(world, entry, first):
    process = _holder(world, entry)
    who = process.shown if process else "another program (run this as root to see which)"
    said = f", which says '{first}'" if first else ""
    return wrong(f"port {entry.port} is taken by {who}{said}, so {entry.program} does not get it",
                 f"stop {process.name if process else 'that program'} and keep it from starting again (systemctl "
                 f"disable --now, or its package removed), then start {entry.server or 'amsmail'}'s service anew")


def _stranger(world, entry):
    """Somebody else's program on a port that ours will want."""
    said = _greeting(entry, world.patience) if entry.port in open_ports(world.proc) else None
    if said is not None and b"amsmail" in said:
        yield fine(f"{entry.program} serves port {entry.port}")
    elif said is not None:
        yield _taken(world, entry, said.decode("ascii", "replace").strip())


def _hosts(entry):
    """The addresses at which an entry's port is tried, in order."""
    return _LOOPBACK.get(entry.host) or [entry.host]


def _holder(world, entry):
    """The Process that answers at an entry's port, or None.  Another program may have the port at another address."""
    host = _hosts(entry)[0]
    found = sorted(listeners(world.proc, {entry.port}),
                   key=lambda each: (each.host != host, (":" in each.host) != (":" in host)))
    return found[0].process if found else None


def _greeting(entry, patience):
    """The first line that is said at an entry's port: b'' if nothing is, None if nobody listens."""
    try:
        connection = connected(_hosts(entry), entry.port, patience)
    except Unreached:
        return None
    with connection:
        return _first_line(connection, entry)


def _first_line(connection, entry):
    line = b""
    with suppress(OSError):         # ssl.SSLError is one; and who refuses us may be gone before our QUIT
        if entry.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)
        with connection:
            line = connection.makefile("rb").readline(_GREETING_OCTETS)
            connection.sendall(b"QUIT\r\n")
    return line

"""What smtpd and pop3d have in common: a client's connection, from inetd or from amsd, and the site it came to.

A service is a function `serve(connection)` and a `refusal(site_or_none, reason)`; see `Connection`.
"""

import os
import sys

from amsmail.program import exits
from amsmail.site import config, networks
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, new_session, sink
from amsmail.store.delivery import recover
from amsmail.store.spool import Spool, SpoolError
from amsmail.transport.carrier import StreamError, standard_carrier
from amsmail.transport.stream import Stream

_FIRST_DEADLINE = 300       # seconds; the service sets its own once mail.cfg is read


class Connection:
    """One client's connection: `stream`, `peer` (its IP address, '' if unknown), `here` (ours), `log`, `site`, `spool`,
    and `options`, a set of 'tls' (from the first octet) and 'submission'."""

    def __init__(self, stream, peer, here, log, options):
        self.stream, self.peer, self.here, self.log, self.options = stream, peer, here, log, options
        self.site = self.spool = None

    def run(self, service, config_path):
        """Serves the client to the end of its session.  Nothing is raised, whatever the client, the line, mail.cfg, the
        disk or a bug of ours do; it is logged, and never told to the client in the middle of something else."""
        self.log("connect", peer=self.peer or "unknown", tls="implicit" if "tls" in self.options else None)
        try:
            if self._prepare(service, config_path):
                if "tls" in self.options:
                    self.start_tls()
                service.serve(self)
        except StreamError as error:
            self.log("connection-lost", why=error)
        except OSError as error:
            self.log("disk-error", problem=error)
        except Exception as error:
            self.log("bug", problem=repr(error), where=where(error))
        finally:
            self.stream.close()
            self.log("disconnect", sent=self.stream.sent, received=self.stream.received)

    def _prepare(self, service, config_path):
        """Loads the site, and says whether it can be served; if not, the client is told so."""
        try:
            self.site = config.load(config_path)
            become_owner_of(self.site.spool)
            self.spool = Spool(self.site.spool, self.site.hostname)
            recover(self.spool)
            return True
        except config.ConfigError as error:
            for problem in error.problems:
                self.log("config-error", problem=problem)
            reason = "mail.cfg is wrong, see the log"
        except (SpoolError, OSError) as error:
            self.log("spool-error", problem=error)
            reason = "The spool cannot be used, see the log"
        if "tls" not in self.options:       # without mail.cfg there is no certificate to say it under
            self.stream.write(service.refusal(self.site, reason))
        return False

    def start_tls(self):
        """Does the handshake.  Raises StreamError."""
        from amsmail.transport.tls import server_context
        if not self.site.certificate:
            raise StreamError("TLS is asked for, and mail.cfg names no certificate")
        words = self.stream.start_tls(server_context(self.site.certificate, self.site.key))
        self.log("tls", protocol=words)
        return words

    @property
    def certificate_is_there(self):
        """Whether TLS can be offered; a certificate that cannot be read is logged."""
        site = self.site
        there = bool(site.certificate) and os.access(site.certificate, os.R_OK) and os.access(site.key, os.R_OK)
        if site.certificate and not there:
            self.log("tls-error", problem=f"{site.certificate} or {site.key} cannot be read: TLS is not offered")
        return there

    @property
    def cleartext_login(self):
        """Whether this client may log in without TLS."""
        return networks.contains(self.site.cleartext_login_from, self.peer)


def where(error):
    """The file and line that raised an exception."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def from_inetd(program, service, arguments, default_config):
    """The main function of a program that inetd starts: serves the client on stdin and stdout, and ends the process."""
    options, path = _parsed(program, service, arguments, default_config)
    carrier, sock = standard_carrier()
    peer, here = _addresses(sock)
    log = Log(sink(program), new_session())
    Connection(Stream(carrier, _FIRST_DEADLINE), peer, here, log, options).run(service, path)
    os._exit(exits.OK)     # nothing is left to flush, and the interpreter's own way out costs 1.5 ms


def _parsed(program, service, arguments, default_config):
    """(options, path of mail.cfg).  By hand: argparse would double the time of the start."""
    options = {word[2:] for word in arguments if word.startswith("--")}
    paths = [word for word in arguments if not word.startswith("--")]
    if len(paths) > 1 or options - service.OPTIONS or any(word.startswith("-") for word in paths):
        known = " ".join(f"[--{option}]" for option in sorted(service.OPTIONS))
        sys.stderr.write(f"usage: {program} {known} [mail.cfg]\n")
        raise SystemExit(exits.USAGE)
    return options, paths[0] if paths else default_config


def _addresses(sock):
    """The client's IP address and ours.  A socket knows; on pipes the super-server's environment says it, but it must
    not be believed on a socket, where it would be the environment of whoever started the super-server."""
    if sock is None:
        return _from_environment("TCPREMOTEIP", "REMOTE_ADDR", "REMOTE_HOST"), _from_environment("TCPLOCALIP")
    try:
        ends = sock.getpeername(), sock.getsockname()
    except OSError:
        return "", ""
    return tuple(networks.unmapped(end[0]) if isinstance(end, tuple) else "" for end in ends)


def _from_environment(*names):
    """The first of these variables that holds an IP address, '' if none does."""
    values = (os.environ.get(name, "") for name in names)
    return networks.unmapped(next((value for value in values if networks.number(value)), ""))

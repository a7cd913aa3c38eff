"""What smtpd and pop3d have in common: a client's connection, from inetd or from amsd, and the site it came to.

Each of the two is a module with NAME, FLAGS (the options of its command line), IDLE (the key of its deadline in
[limits]), `serve(connection)` and
`refusal(site_or_none, reason)`, the bytes for a client that cannot be served.
"""

import _signal      # the C part of `signal`: importing `enum` for the rest would cost 3 ms
import os

from amsmail.program import options
from amsmail.site import config, exits, networks
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, new_session, sink
from amsmail.store.delivery import recover
from amsmail.store.spool import Spool, SpoolError
from amsmail.transport.carrier import StreamError, standard_carrier
from amsmail.transport.stream import Stream

_FIRST_DEADLINE = 60        # seconds, until mail.cfg is read and says its own
_LAST_WORDS = 1             # seconds in which a client may still take our last reply


class Connection:
    """One client's connection: `stream`, `peer` (its IP address, '' if unknown), `here` (ours), `log`, `site`, `spool`,
    and `flags`, those of the program's options that are set."""

    def __init__(self, stream, peer, here, log, flags):
        self.stream, self.peer, self.here, self.log, self.flags = stream, peer, here, log, flags
        self.site = self.spool = None
        self.tls = ""           # its protocol and cipher, once it is on

    def run(self, program, config_path):
        """Serves the client to the end of its session.  Nothing is raised, whatever the client, the line, mail.cfg, the
        disk or a bug of ours do; it is logged, and never told to the client in the middle of something else."""
        self.log("connect", peer=self.peer or "unknown", tls="implicit" if self.tls_from_the_start else None)
        try:
            if self._prepare(program, config_path):
                if self.tls_from_the_start:
                    self.start_tls()
                program.serve(self)
        except StreamError as error:
            self.log("connection-lost", why=error)
        except OSError as error:
            self.log("disk-error", problem=error)
        except Exception as error:
            self.log("bug", problem=repr(error), where=where(error))
        finally:
            self.stream.close(drain=_LAST_WORDS)
            self.log("disconnect", sent=self.stream.sent, received=self.stream.received)

    def _prepare(self, program, config_path):
        """Loads the site, and says whether it can be served; if not, the client is told so."""
        try:
            self.site = config.load(config_path)
            become_owner_of(self.site.spool)
            self.stream.timeout = self.site.limits[program.IDLE]
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
        except Exception as error:
            self.log("bug", problem=repr(error), where=where(error))
            reason = "This server has a problem, see the log"
        if not self.tls_from_the_start:       # without mail.cfg there is no certificate to say it under
            self.stream.write(program.refusal(self.site, reason))
        return False

    def start_tls(self):
        """Does the handshake.  Raises StreamError."""
        from amsmail.transport.tls import server_context
        if not self.site.certificate:
            self.log("tls-error", problem="TLS is asked for, and mail.cfg names no certificate")
            raise StreamError("there is no TLS here")
        self.tls = self.stream.start_tls(server_context(self.site.certificate, self.site.key))
        self.log("tls", protocol=self.tls)

    @property
    def tls_from_the_start(self):
        return "--tls" in self.flags

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


def from_inetd(program, arguments, default_config):
    """The main function of a program that inetd starts: serves the client on stdin and stdout, and ends the process."""
    usage = f"usage: {program.NAME} {' '.join(f'[{flag}]' for flag in program.FLAGS)} [mail.cfg]"
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)     # no traceback to the client
    flags, path = options.of_server(usage, lambda: _read(usage, arguments, program.FLAGS, default_config))
    carrier, sock = standard_carrier()
    peer, here = _addresses(sock)
    log = Log(sink(program.NAME), new_session())
    Connection(Stream(carrier, _FIRST_DEADLINE), peer, here, log, flags).run(program, path)
    os._exit(exits.OK)      # nothing is left to flush, and the interpreter's own way out costs 1.5 ms


def _read(usage, arguments, known, default_config):
    """(the flags, the path of mail.cfg) of a command line.  Raises UsageError."""
    flags, _, words = options.parse(usage, arguments, known)
    return flags, options.one_path(words, default_config)


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

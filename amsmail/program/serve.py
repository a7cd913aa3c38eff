"""amsd: the embedded super-server, for machines without inetd.  A thread a connection.  See docs/amsd.8.

Threads, not processes, on every platform: native Windows can do nothing else, and so what runs there is what is tested
everywhere.
"""

import os
import selectors
import signal
import socket
import sys
import threading

from amsmail.program import options, pop3d, smtpd
from amsmail.program.schedule import Schedule, mailcheck
from amsmail.program.session import Connection
from amsmail.site import config, exits, libraries, networks
from amsmail.site.config import DEFAULT_PATH
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, new_session, to_stderr
from amsmail.site.ports import REGISTERED, SERVED, written
from amsmail.transport.carrier import SocketCarrier, StreamError
from amsmail.transport.stream import Stream

USAGE = """usage: amsd [--listen SERVICE=[HOST:]PORT]... [mail.cfg]
SERVICE is one of {}; port 0 is a free one.
Without --listen: {}, on all addresses.""".format(", ".join(SERVED), written(REGISTERED))

PROGRAMS = {program.NAME: program for program in (smtpd, pop3d)}
CONNECTIONS, PER_CLIENT = 100, 20       # at a time; xinetd's instances and per_source in etc/ say the same
_DEADLINE = 60      # seconds, until mail.cfg is read and says its own


class Server:
    """Listens on some services and serves every connection in a thread of its own."""

    def __init__(self, config_path):
        self._config_path = config_path
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakes = socket.socketpair()
        self._selector.register(self._wakes, selectors.EVENT_READ, None)
        self._clients = {}          # peer -> how many connections it has
        self._clients_lock = threading.Lock()

    def listen(self, service, host, port):
        """Binds one service, and gives (host, port) as bound.  Raises OSError."""
        everywhere = not host and socket.has_dualstack_ipv6()
        listener = socket.create_server((host, port), backlog=64, dualstack_ipv6=everywhere,
                                        family=socket.AF_INET6 if everywhere or ":" in host else socket.AF_INET)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, service)
        return listener.getsockname()[:2]

    def stop(self, *_signal):
        """Ends serve_forever(); may be called from a signal handler or another thread."""
        self._waker.send(b"x")

    def serve_forever(self):
        """Serves until stop().  Sessions that are open go on until the process ends."""
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                try:
                    sock, address = key.fileobj.accept()
                except OSError:
                    continue        # the client is gone already, or there are no descriptors now
                self._start(key.data, sock, address[0])

    def close(self):
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._waker.close()
        self._selector.close()

    def _start(self, service, sock, address):
        peer = networks.unmapped(address)
        program, flags = PROGRAMS[SERVED[service].program], SERVED[service].flags
        log = Log(to_stderr(program.NAME), new_session())
        stream = Stream(SocketCarrier(sock), _DEADLINE)
        with self._clients_lock:
            full = sum(self._clients.values()) >= CONNECTIONS or self._clients.get(peer, 0) >= PER_CLIENT
            self._clients[peer] = self._clients.get(peer, 0) + 1
        try:
            if full:
                raise RuntimeError("too many connections")
            connection = Connection(stream, peer, networks.unmapped(sock.getsockname()[0]), log, flags)
            threading.Thread(target=self._serve, args=(connection, program, peer), daemon=True).start()
        except (RuntimeError, OSError) as error:        # too many, no thread to be had, or the client is gone again
            log("turned-away", peer=peer, why=error)
            self._gone(peer)
            self._turn_away(stream, program, flags)

    def _turn_away(self, stream, program, flags):
        stream.timeout = 1          # it is the accepting thread that waits
        try:
            if "--tls" not in flags:
                stream.write(program.refusal(None, "Too many connections, try again later"))
        except StreamError:
            pass
        stream.close()

    def _gone(self, peer):
        with self._clients_lock:
            self._clients[peer] -= 1
            if not self._clients[peer]:
                del self._clients[peer]

    def _serve(self, connection, program, peer):
        try:
            connection.run(program, self._config_path)
        finally:
            self._gone(peer)


def main(arguments, default_config=DEFAULT_PATH):
    """Runs amsd until SIGTERM or SIGINT; gives the exit code."""
    listens, path = options.of_server(USAGE, lambda: _read(arguments, default_config))
    server = Server(os.path.abspath(path))
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), server.stop)
    if not all(_bound(server, *each) for each in listens):
        return exits.OSERR
    try:
        become_owner_of(config.load(path).spool)
        config.load(path)       # as that user too
    except config.ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG
    except ModuleNotFoundError as error:
        if not (words := libraries.missing(error)):
            raise
        sys.stderr.write(f"amsd: {words}\n")
        return exits.UNAVAILABLE
    schedule = Schedule(os.path.abspath(path), mailcheck())
    schedule.start()
    print("ready", flush=True)
    server.serve_forever()
    server.close()
    schedule.stop()
    return exits.OK


def _read(arguments, default_config):
    """(what to listen on, the path of mail.cfg) of a command line.  Raises UsageError."""
    _, values, words = options.parse(USAGE, arguments, valued=("--listen",))
    listens = [_listen(value) for _, value in values] or [(name, "", port) for name, port in REGISTERED.items()]
    return listens, options.one_path(words, default_config)


def _bound(server, service, host, port):
    """Binds a service, and says so; gives whether that could be done."""
    try:
        bound = server.listen(service, host, port)
    except (OSError, UnicodeError) as error:
        sys.stderr.write(f"amsd: cannot listen on {host or 'all addresses'} port {port} for {service}: "
                         f"{getattr(error, 'strerror', None) or error}\n")
        return False
    print("listening", service, *bound)
    return True


def _listen(text):
    """(service, host, port) of a --listen.  Raises UsageError."""
    service, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if service not in SERVED or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise options.UsageError(f"--listen {text}: expected SERVICE=[HOST:]PORT")
    return service, host.strip("[]"), int(port)

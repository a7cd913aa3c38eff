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

from amsmail.program import exits, pop3d, smtpd
from amsmail.program.session import Connection
from amsmail.site import config, networks
from amsmail.site.config import DEFAULT_PATH
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, new_session, to_stderr
from amsmail.transport.carrier import SocketCarrier
from amsmail.transport.stream import Stream

USAGE = """usage: amsd [--listen SERVICE=[HOST:]PORT]... [mail.cfg]
SERVICE is smtp, submission, submissions, pop3 or pop3s; port 0 is a free one.
Without --listen: smtp=25 submission=587 submissions=465 pop3=110 pop3s=995, on all addresses."""

# service -> its port (RFC 8314, RFC 6409), who serves it, with which options, and the program's name in the log
SERVICES = {
    "smtp": (25, smtpd.Service, set(), "smtpd"),
    "submission": (587, smtpd.Service, {"submission"}, "smtpd"),
    "submissions": (465, smtpd.Service, {"submission", "tls"}, "smtpd"),
    "pop3": (110, pop3d.Service, set(), "pop3d"),
    "pop3s": (995, pop3d.Service, {"tls"}, "pop3d"),
}
CONNECTIONS, PER_CLIENT = 100, 20       # at a time; xinetd's instances and per_source in etc/ say the same
_DEADLINE = 300


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
        _, handler, options, program = SERVICES[service]
        log = Log(to_stderr(program), new_session())
        with self._clients_lock:
            if sum(self._clients.values()) >= CONNECTIONS or self._clients.get(peer, 0) >= PER_CLIENT:
                log("turned-away", peer=peer, why="too many connections")
                sock.close()
                return
            self._clients[peer] = self._clients.get(peer, 0) + 1
        here = networks.unmapped(sock.getsockname()[0])
        connection = Connection(Stream(SocketCarrier(sock), _DEADLINE), peer, here, log, options)
        threading.Thread(target=self._serve, args=(connection, handler, peer), daemon=True).start()

    def _serve(self, connection, handler, peer):
        try:
            connection.run(handler, self._config_path)
        finally:
            with self._clients_lock:
                self._clients[peer] -= 1
                if not self._clients[peer]:
                    del self._clients[peer]


def main(arguments, default_config=DEFAULT_PATH):
    """Runs amsd until SIGTERM or SIGINT; gives the exit code."""
    try:
        listens, path = _parsed(arguments, default_config)
    except ValueError as error:
        sys.stderr.write(f"amsd: {error}\n{USAGE}\n")
        return exits.USAGE
    server = Server(os.path.abspath(path))
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), server.stop)
    for service, host, port in listens:
        try:
            bound = server.listen(service, host, port)
        except OSError as error:
            sys.stderr.write(f"amsd: cannot listen on {host or 'all addresses'} port {port} for {service}: "
                             f"{error.strerror}\n")
            return exits.OSERR
        print("listening", service, *bound)
    try:
        become_owner_of(config.load(path).spool)
    except config.ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG
    print("ready", flush=True)
    server.serve_forever()
    server.close()
    return exits.OK


def _parsed(arguments, default_config):
    """([(service, host, port)], path of mail.cfg).  Raises ValueError."""
    listens, paths = [], []
    words = iter(arguments)
    for word in words:
        if word == "--listen" or word.startswith("--listen="):
            listens.append(_listen(word.partition("=")[2] or next(words, "")))
        elif word.startswith("-"):
            raise ValueError(f"{word} is no option")
        else:
            paths.append(word)
    if len(paths) > 1:
        raise ValueError("one mail.cfg, please")
    return listens or [(s, "", SERVICES[s][0]) for s in SERVICES], paths[0] if paths else default_config


def _listen(text):
    service, _, address = text.partition("=")
    host, _, port = address.rpartition(":")
    if service not in SERVICES or not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"--listen {text!r}: expected SERVICE=[HOST:]PORT")
    return service, host.strip("[]"), int(port)

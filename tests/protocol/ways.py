"""Four ways to reach a server of the site in `folder`: each makes connections, and all of them serve the same."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from amsmail.program.serve import PROGRAMS, Server
from amsmail.program.session import Connection
from amsmail.site.log import Log
from amsmail.site.ports import SERVED
from amsmail.transport.carrier import PipeCarrier, SocketCarrier, TimedOut
from amsmail.transport.stream import Stream

_BIN = Path(__file__).parents[2] / "bin"
_PATIENCE = 20      # seconds that a test waits for what must come


class _Direction:
    """Octets on their way in memory."""

    def __init__(self):
        self._octets = bytearray()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, data):
        with self._changed:
            self._octets += data
            self._changed.notify()

    def close(self):
        with self._changed:
            self._closed = True
            self._changed.notify()

    def get(self, most, timeout):
        with self._changed:
            if not self._changed.wait_for(lambda: self._octets or self._closed, timeout):
                raise TimedOut(f"nothing came for {timeout:g} s")
            data = bytes(self._octets[:most])
            del self._octets[:most]
            return data


class _MemoryCarrier:
    """One end of a connection in memory, which hands out at most `most` octets at a time."""

    def __init__(self, incoming, outgoing, most):
        self._incoming, self._outgoing, self._most = incoming, outgoing, most

    def receive(self, timeout):
        return self._incoming.get(self._most, timeout)

    def send(self, data, _timeout):
        self._outgoing.put(data)

    def close(self, drain=0):
        self._outgoing.close()


class _Client:
    """The client's end: a Stream, what came over it, and how to close it."""

    def __init__(self, carrier, hang_up):
        self.stream = Stream(carrier, _PATIENCE)
        self._hang_up = hang_up
        self._seen = b""

    def lines(self, count):
        """The next `count` lines, fewer if the server closes before, all of them if `count` is None."""
        while (count is None or self._seen.count(b"\n") < count) and (data := self.stream.read()):
            self._seen += data
        lines = self._seen.split(b"\n")
        rest = b"" if count is None else b"\n".join(lines[count:])
        found, self._seen = self._seen[:len(self._seen) - len(rest)], rest
        return found

    def hang_up(self):
        """Sends no more, and waits for the server's end; gives what the server still said."""
        self._hang_up()
        return self.lines(None)


class InMemory:
    """The engine and the pump, over memory."""

    def __init__(self, folder, most=1 << 16):
        self._config, self._most = folder / "mail.cfg", most

    def connect(self, service, peer):
        to_server, to_client = _Direction(), _Direction()
        program, flags = PROGRAMS[SERVED[service].program], SERVED[service].flags
        stream = Stream(_MemoryCarrier(to_server, to_client, self._most), _PATIENCE)
        connection = Connection(stream, peer, "", Log(print, "test"), flags)
        threading.Thread(target=connection.run, args=(program, self._config), daemon=True).start()
        return _Client(_MemoryCarrier(to_client, to_server, 1 << 16), to_server.close)

    def close(self):
        pass


class ByteByByte(InMemory):
    """The same, where every octet of the client comes alone."""

    def __init__(self, folder):
        super().__init__(folder, most=1)


class OverPipes:
    """The real programs, over pipes."""

    def __init__(self, folder):
        self._config = folder / "mail.cfg"
        self._processes = []

    def connect(self, service, peer):
        process = subprocess.Popen(
            [sys.executable, "-IS", _BIN / SERVED[service].program, *SERVED[service].flags, self._config],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={**os.environ, "TCPREMOTEIP": peer})
        self._processes.append(process)
        return _Client(PipeCarrier(process.stdout.fileno(), process.stdin.fileno()), process.stdin.close)

    def close(self):
        for process in self._processes:
            process.stdin.close()
            process.stdout.close()
            assert process.wait(_PATIENCE) == 0


class Embedded:
    """amsd's own server, over TCP; 127.0.0.0/8 is all loopback, so a client may be whom the dialogue wants there."""

    def __init__(self, folder):
        self._server = Server(str(folder / "mail.cfg"))
        self._ports = {service: self._server.listen(service, "127.0.0.1", 0)[1] for service in SERVED}
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self._sockets = []

    def connect(self, service, peer):
        sock = socket.create_connection(("127.0.0.1", self._ports[service]), _PATIENCE, source_address=(peer, 0))
        self._sockets.append(sock)
        return _Client(SocketCarrier(sock), lambda: sock.shutdown(socket.SHUT_WR))

    def close(self):
        for sock in self._sockets:
            sock.close()
        self._server.stop()
        self._thread.join()
        self._server.close()


WAYS = {"whole": InMemory, "byte-by-byte": ByteByByte, "over-pipes": OverPipes, "embedded": Embedded}

"""Sites for the tests of the transport: a yacht, and a provider ashore that is an amsmail site too."""

import os
import threading
import time

from amsmail.program.serve import Server
from amsmail.site import config
from amsmail.site.log import Log
from amsmail.store import durable
from amsmail.store.delivery import Delivery, recover
from amsmail.store.dropbox import new_uid
from amsmail.store.queue import Queue
from amsmail.store.seen import resume_all
from amsmail.store.spool import Spool
from amsmail.transport import push as pushing
from amsmail.transport.call import Call
from amsmail.transport.line import Line
from amsmail.transport.pull import pull
from amsmail.wire.address import parse_address
from amsmail.wire.envelope import Envelope, Recipient
from tests.store.disk import Crash

# The hash of `secret`, with few rounds: a login in a test need not be slow.
SECRET = "$pbkdf2-sha256$1000$ytm7NwbAeK91bu1da.3d2w$skXfjL8POTd.y8M5czphH1w7P.JnjPQ8M1azYuSWsak"

YACHT = {
    "site": {"hostname": "yacht.example", "postmaster": "captain"},
    "domains": {"yacht.example": {}},
    "boxes": {"captain": {"password": SECRET}, "cook": {"password": SECRET}},
}
SHORE = {
    "site": {"hostname": "shore.example", "postmaster": "agent"},
    "domains": {"shore.example": {}},
    "boxes": {"agent": {"password": SECRET}, "broker": {"password": SECRET}, "yacht": {"password": SECRET}},
    "relay": {"host": "far.example"},       # so that mail for others is queued here with its whole envelope
}


class Impatient(Line):
    """A line on which silence is not waited out."""

    def patience(self, awaited):
        return 0.3


class Site:
    """A site in the new directory `folder`; `sections` of mail.cfg replace those of `base`.  `line` is the Line to its
    providers."""

    line = Line()
    arrival = None              # when its messages came, if not now

    def __init__(self, folder, base=YACHT, **sections):
        folder.mkdir(exist_ok=True)
        self.path = folder / "mail.cfg"
        self.log = []           # the lines of the transport's log
        self._sections = dict(base)
        self._folder = folder
        self.configure(**sections)
        self.spool = Spool(str(folder / "spool"), self.site.hostname)
        self.spool.tidy(self.site.boxes)

    def configure(self, **sections):
        """Replaces sections of mail.cfg."""
        self._sections.update(sections)
        self._sections["site"] = {**self._sections["site"], "spool": str(self._folder / "spool")}
        self.path.write_text("schema = 1\n" + _text(self._sections), encoding="utf-8")
        self.path.chmod(0o640)
        os.utime(self.path, (1, 1))         # so old that its compiled form may be kept

    @property
    def site(self):
        return config.load(str(self.path))

    def _logger(self):
        return Log(self.log.append, "session")

    # The queue and the boxes

    def enqueue(self, text=b"Subject: x\r\n\r\nHello.\r\n", to=("agent@shore.example",), sender="captain@yacht.example",
                **envelope):
        """Puts a message (CRLF line ends) into the outbound queue and gives its identity.  `to` are addresses, or
        Recipients where DSN parameters matter."""
        recipients = tuple(r if isinstance(r, Recipient) else Recipient(parse_address(r)) for r in to)
        envelope = {"arrival": self.arrival or int(time.time()), **envelope}
        envelope = Envelope(sender and parse_address(sender), recipients, **envelope)
        delivery = Delivery(self.spool, new_uid("yacht.example"), [], b"", envelope)
        delivery.write(text)
        delivery.seal()
        delivery.commit()
        return delivery.uid

    def queued(self):
        """What is in the outbound queue."""
        queue = Queue(self.spool)
        return [queue.read(entry) for entry in queue.list()]

    def content(self, queued):
        """A queued message without its envelope block."""
        with Queue(self.spool).open(queued) as f:
            return f.read()

    def states(self):
        """{address: state} of all recipients in the queue."""
        return {str(r.address): r.state for queued in self.queued() for r in queued.envelope.recipients}

    def box(self, name):
        """The messages of a drop box as they are on disk, oldest first."""
        box = self.spool.box(name)
        return [box.open(entry).read() for entry in box.list()]

    def bodies(self, name):
        """The messages of a drop box without the trace fields that this site put on top."""
        return sorted(without_trace(text) for text in self.box(name))

    # What the worker of mailcheck does

    def due(self, now=1e10, everything=False):
        return pushing.due(self.spool, self._logger(), now, everything)

    def push(self):
        return pushing.push(self.site, self.spool, self.due(everything=True), Call(self.line), self._logger(),
                            lambda octets: None)

    def start(self):
        """What every mailcheck does first."""
        recover(self.spool)
        resume_all(self.spool)
        self.spool.tidy(self.site.boxes)

    def pull(self, name="owner"):
        self.start()
        return pull(self.site, self.spool, name, Call(self.line), self._logger(), lambda octets: None)


class Shore(Site):
    """The provider ashore, served from a thread: `with Shore(folder, "smtp", "pop3") as shore: shore.ports["smtp"]`."""

    def __init__(self, folder, *services, **sections):
        super().__init__(folder, SHORE, **sections)
        self._server = Server(str(self.path))
        self.ports = {service: self._server.listen(service, "127.0.0.1", 0)[1] for service in services}
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_error):
        self._server.stop()
        self._thread.join()
        self._server.close()
        while self._server._clients:        # sessions end by themselves once their client is gone
            time.sleep(0.001)

    def put(self, box, text):
        """Puts a message (LF line ends) into a drop box as it is."""
        path = os.path.join(self.spool.box(box).path, "tmp", "new")
        with open(path, "wb") as f:
            f.write(text)
        os.rename(path, os.path.join(self.spool.box(box).path, "new", new_uid("shore.example")))


def relay(port, **settings):
    """The section [relay] for a server on loopback, without TLS unless `settings` say so."""
    return {"host": "127.0.0.1", "port": port, "tls": "none", **settings}


def account(port, **settings):
    """The section [accounts] with one account `owner`, all into captain's box unless `settings` say otherwise."""
    into = {} if "envelope" in settings else {"box": "captain"}
    return {"owner": {"type": "pop3", "host": "127.0.0.1", "port": port, "tls": "none", "user": "yacht",
                      "password": "secret", **into, **settings}}


# What a relay offers so that the mail goes out in each flow.
FLOWS = {
    "chunked": ["PIPELINING", "CHUNKING"],
    "pipelined": ["PIPELINING"],
    "in lock-step": [],
}


def without_trace(text):
    """A message without the Return-Path and the topmost Received field."""
    lines = text.split(b"\n")
    if lines[0].startswith(b"Return-Path:"):
        del lines[0]
    assert lines[0].startswith(b"Received:"), text[:200]
    del lines[0]
    while lines[0][:1] == b"\t":
        del lines[0]
    return b"\n".join(lines)


def crash(disk, action, monkeypatch):
    """Runs `action` on a Disk that crashes; gives its result, or None if the crash came."""
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", disk.os)
        try:
            return action()
        except Crash:
            disk.end()
            return None


def _text(sections):
    lines = []
    for name, section in sections.items():
        lines.append(f"[{name}]")
        for key, value in section.items():
            lines += [f"[[{key}]]", *(f"{k} = {v}" for k, v in value.items())] if isinstance(value, dict) else [
                f"{key} = {value}"]
    return "\n".join(lines) + "\n"

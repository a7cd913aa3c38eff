"""Host `sea` with mailcheck, host `shore` with the provider's servers, and a link between them that can drop.

A link that drops does so in one of two ways.  SILENT: no packet crosses it any more, and TCP at both ends waits; so it
is with a modem behind a router.  GONE: the system at sea sees it, and ends the connections over it.
"""

import base64
import hashlib
import os
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

from amsmail.link import ledger
from amsmail.link.dialled import Dialled
from scripts.bench.link import PROFILES, SHORE, Link, linkem
from scripts.bench.providers import AGENT, OWNER, PASSWORDS, Provider

from ..mailcheck.sites import Site

MAILCHECK = Path(__file__).resolve().parents[2] / "bin/mailcheck"
SENDER, RECIPIENT = "captain@yacht.example", f"{AGENT}@shore.example"
SERVICES = {"pop3": "pop3s", "imap": "imaps"}       # types of account, and where they are at the provider
SILENT, GONE = "silent", "gone"

# Fast, so that the tests are; but slow enough that there are packets on their way when it drops.
FIGURES = {"rate_up": 10_000_000, "rate_down": 10_000_000, "delay": 0.005}
PATIENCE = 30           # seconds, for what takes a moment
LONG = 120              # seconds, a call_limit that is not reached

COMMAND = """\
#!/bin/sh
echo {way} >> {calls}
{say}
"""

# What a mailcheck did: its exit code, what it said, and linkem's figures afterwards.
Call = namedtuple("Call", "code said figures seconds")


def message(name, octets, way):
    """A message with LF line ends, unlike any other, that compression makes hardly smaller."""
    sender, recipient = (SENDER, RECIPIENT) if way == "out" else (RECIPIENT, SENDER)
    head = (f"From: {sender}\nTo: {recipient}\nSubject: {name}\nDate: Fri, 20 Nov 2026 10:00:00 +0000\n"
            f"Message-ID: <{name}@link.example>\n\n.\n..two dots\nFrom here\n").encode()
    noise = hashlib.shake_256(name.encode()).digest(max(0, octets - len(head)) * 3 // 4)
    return head + base64.encodebytes(noise)


def saying(name, way):
    """The command, of the shell, that raises or drops the link `name` of linkem, "up" or "down".  Each call has two: so
    not the whole of linkem is started to say a word to it."""
    script = ('import socket; linkem = socket.socket(socket.AF_UNIX); linkem.connect("{}"); linkem.sendall(b"{}"); '
              'linkem.shutdown(socket.SHUT_WR); linkem.recv(4096)').format(linkem.control_path(name), way)
    return f"exec {sys.executable} -IS -c '{script}'"


class Wire(Link):
    """A benchmark, or another test, may have its link at the same time."""

    def __init__(self, name):
        super().__init__(PROFILES["lan"])
        self.name = f"{name}{os.getpid()}"

    def end_connections(self, *hosts):
        """Makes the kernel end the hosts' connections."""
        for host in hosts:
            subprocess.run([*self.at(host), "ss", "-K", "-t"], capture_output=True, check=True)

    def at(self, host):
        """The words in front of a command that runs on a host."""
        return ["ip", "netns", "exec", linkem.namespace(self.name, host)]


class Rig:
    """A link, and a provider who serves; `warm` is a folder with what a site remembers of the provider's servers."""

    def __init__(self, folder, link, provider, account_type):
        self.folder, self.link, self.provider, self.account_type = folder, link, provider, account_type
        self.warm = None

    def arrived(self, wanted):
        """What has come for the agent; waits for the messages `wanted`."""
        limit = time.monotonic() + PATIENCE
        while True:
            there = self.provider.arrived(0)
            if time.monotonic() > limit or all(copies(text, there) for text in wanted):
                return there
            time.sleep(0.02)

    def settle(self):
        """The sessions that a drop left hanging end, and what the provider has taken is delivered."""
        self.link.end_connections("shore")
        queues = [self.provider.folder / "postfix/queue" / name for name in ("maildrop", "incoming", "active")]
        limit = time.monotonic() + PATIENCE
        while any(path.is_file() for queue in queues for path in queue.rglob("*")) and time.monotonic() < limit:
            time.sleep(0.02)


def copies(text, arrived):
    """How many of what arrived are the message `text`: Postfix has put fields on top."""
    return sum(other.endswith(text) for other in arrived)


class Ashore(Provider):
    def kept(self):
        """The messages that the owner has there."""
        while True:
            try:
                return self._boxes.messages(OWNER)
            except FileNotFoundError:
                continue        # Dovecot has just moved one from new/ to cur/


@contextmanager
def rig(folder, account_type):
    folder.mkdir()
    folder.chmod(0o755)
    with Wire(f"drops-{account_type}-") as link:
        for key, value in FIGURES.items():
            link.control("set", key, str(value))
        provider = Ashore(folder / "provider")
        assert link.start("shore", provider.serve).receive(PATIENCE) == "ready"
        yield Rig(folder, link, provider, account_type)


class Sea(Site):
    """The site at sea, whose link is that of a rig."""

    def __init__(self, name, rig):
        self._link, folder = rig.link, rig.folder / name
        folder.mkdir()
        self._calls = folder / "calls"
        for way in "up", "down":
            (folder / way).write_text(COMMAND.format(way=way, calls=self._calls, say=saying(self._link.name, way)))
            (folder / way).chmod(0o755)
        self._commands = {"type": "command", "up": folder / "up", "down": folder / "down"}
        provider = {"host": SHORE, "tls": "implicit", "user": OWNER, "password": PASSWORDS[OWNER],
                    "ca_file": rig.provider.certificate.authority}
        super().__init__(
            folder, relay={**provider, "port": rig.provider.ports["submissions"]},
            accounts={"owner": {**provider, "type": rig.account_type, "box": "captain",
                                "port": rig.provider.ports[SERVICES[rig.account_type]]}})

    def mailcheck(self, drop=None, how=GONE, limit=LONG):
        """Runs mailcheck with a call_limit of `limit` seconds, and gives a Call.  The link drops after `drop` bytes,
        in the way `how`, and then stays as it is: with linkem, down is down."""
        self.configure(links={"radio": {**self._commands, "call_limit": limit}})
        self._link.control("down")
        self._link.control("reset")
        if drop is not None:
            self._link.control("drop-after", str(drop))
        begun = time.monotonic()
        with subprocess.Popen([*self._link.at("sea"), sys.executable, "-IS", MAILCHECK, "--now", self.path], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            while drop is not None and how == GONE and process.poll() is None:
                if self._link.control("stats")["drops"]:
                    self._link.end_connections("sea")
                time.sleep(0.02)
            said = process.communicate(timeout=limit + PATIENCE)[0]
        return Call(process.returncode, said, self._link.control("stats"), time.monotonic() - begun)

    @property
    def calls(self):
        """The commands that ran so far, in order."""
        return self._calls.read_text().split()

    @property
    def is_dialled(self):
        """Whether there is a record that the link may be up."""
        return bool(Dialled(self.spool.state("dialled")).left_behind())

    @property
    def ledger(self):
        return ledger.read(self.spool.state("ledger.jsonl"))

    @property
    def known(self):
        """The folder with what is remembered of the provider's servers."""
        return os.path.dirname(self.spool.state("known", "x"))

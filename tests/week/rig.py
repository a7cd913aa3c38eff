"""A yacht whose diallers make its links exist, a provider ashore with real servers, and time that only the test spends.

The diallers are the fakes of tests/link_dial.  Each works an interface of host `sea`, at whose other end is an emulated
line (scripts/linkem) of its own to host `shore`: while it is not dialled the interface is down, and nobody is reached.

The story's clock stands still but for two things: each attempt to dial takes as many seconds as its Line says, and the
mail of a call as many as the test says, whatever they take here.
"""

import base64
import email
import email.policy
import io
import os
import socket
import subprocess
import sys
import time
import traceback
from collections import namedtuple
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from json import loads
from pathlib import Path

from amsmail.link import ledger
from amsmail.program.run import Run
from amsmail.program.screen import Screen
from scripts.bench.link import SHORE, Process, linkem
from scripts.bench.providers import OWNER, PASSWORDS

from ..link import rig
from ..link.rig import RECIPIENT, copies, message
from ..link_dial.conftest import FAKES
from ..mailcheck.sites import SECRET, Site
from ..real.packages import Unavailable
from ..real.process import public_folder

WEEK = {"Mon": "2026-03-02", "Tue": "2026-03-03", "Wed": "2026-03-04", "Thu": "2026-03-05", "Fri": "2026-03-06",
        "Sat": "2026-03-07", "Sun": "2026-03-08"}
PATIENCE = 30           # seconds, for what takes a moment
LAPTOP = "192.0.2.1"    # the address of one on board, in a network that is not listed
BIN = Path(__file__).resolve().parents[2] / "bin"

# A line to the world outside.  interface, address: what it is on board.  dialling: seconds that each attempt to dial
# takes in the story.  rate in bit/s, delay in seconds one way: of the emulated line.
Line = namedtuple("Line", "interface address dialling rate delay")

# By type of link: the programs that are its dialler, and the pattern, of the shell, of their command lines that dial.
DIALLERS = {
    "ppp": (("pon", "poff"), '"pon "*'),
    "networkmanager": (("nmcli",), '*"connection up"*'),
    "modemmanager": (("mmcli",), "*--simple-connect*"),
}

# What a mailcheck did: its exit code, and what it said.
Done = namedtuple("Done", "code said")
# What one would do: over which links it would call, and {link: why it would not}.
Planned = namedtuple("Planned", "calls why_not")

WRAPPER = """\
#!/bin/sh
case "${{0##*/}} $*" in {dials}) echo {name} {dialling} >> {ticks};; esac
export FAKE_DIAL_STATE={state} FAKE_DIAL_UP={state}/line-up FAKE_DIAL_DOWN={state}/line-down
exec {fakes}/${{0##*/}} "$@"
"""
HOOK = """\
#!/bin/sh
ip link set {interface} {way} && {say}
"""


class Wire:
    """The two hosts, and an emulated line between them for each of `lines`, {name: Line}; no line is up."""

    def __init__(self, lines):
        self.lines = lines
        self._name = f"week{os.getpid()}"
        self._stack = ExitStack()

    def __enter__(self):
        with ExitStack() as stack:
            linkem.allow_cubic()
            for host in "sea", "shore":
                linkem.sh("ip", "netns", "add", self.namespace(host))
                stack.callback(linkem.sh, "ip", "netns", "del", self.namespace(host))
                linkem.sh(*self.at(host), "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
            for name, line in self.lines.items():
                process = Process(self.namespace("sea"), self._carry, (name, line))
                stack.callback(process.stop)
                assert process.receive(PATIENCE) == "ready"
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error):
        self._stack.close()

    def _carry(self, name, line, connection):
        """What the process of one line does."""
        link = linkem.Link(self.control_name(name), "lan")
        link.up.rate = link.down.rate = line.rate
        link.delay, link.framing, link.is_up = line.delay, 0, False
        ends = []
        for host, addresses in (("sea", (line.address, SHORE)), ("shore", (SHORE, line.address))):
            ends.append(linkem.open_tun(self.namespace(host), *addresses, link.mtu))
            self.ip(host, "link", "set", "link0", "down")
            self.ip(host, "link", "set", "link0", "name", line.interface)
        self.ip("shore", "link", "set", line.interface, "up")
        with socket.socket(socket.AF_UNIX) as control:
            path = linkem.control_path(link.name)
            control.bind(path)
            control.listen(8)
            try:
                connection.send("ready")
                linkem.carry(link, *ends, control)
            finally:
                os.unlink(path)

    def start(self, host, function, *arguments):
        """Calls `function` in a process of its own on a host, and gives the Process."""
        process = Process(self.namespace(host), function, arguments)
        self._stack.callback(process.stop)
        return process

    def control(self, name, *words):
        return loads(linkem.ctl(self.control_name(name), words))

    def break_off_if_dropped(self, name):
        """Once a line's carrier is gone, what the system on board does; the other end sees it, too."""
        if self.control(name, "stats")["drops"]:
            self.ip("sea", "link", "set", self.lines[name].interface, "down")
            for host in "sea", "shore":
                subprocess.run([*self.at(host), "ss", "-K", "-t"], capture_output=True, check=True)

    def namespace(self, host):
        return linkem.namespace(self._name, host)

    def control_name(self, name):
        return f"{self._name}-{name}"

    def at(self, host):
        """The words in front of a command that runs on a host."""
        return ["ip", "netns", "exec", self.namespace(host)]

    def ip(self, host, *words):
        linkem.sh("ip", "-n", self.namespace(host), *words)


class Ashore(rig.Ashore):
    """The provider: the boxes of the yacht's owner and of the agent, who gets what is sent."""

    def deliver(self, text):
        """A message comes for the owner."""
        self._boxes.deliver(OWNER, text)

    def settings(self, service):
        """What mail.cfg says of one of its services."""
        return {"host": SHORE, "port": self.ports[service], "tls": "implicit", "user": OWNER,
                "password": PASSWORDS[OWNER], "ca_file": self.certificate.authority}


class Hours:
    """The time of the story, in seconds since the epoch, for the clock and the timer of a Run."""

    def __init__(self, ticks, wire):
        self.ticks, self._wire = ticks, wire
        self._start, self._lasts = 0.0, {}

    def begin(self, start, lasts):
        """It is `start`.  The mail of a call over a link takes as many seconds as `lasts`, {link: seconds}, says."""
        self._start, self._lasts = start, lasts
        self.ticks.write_text("")
        for name in self._wire.lines:
            self._wire.control(name, "reset")

    def __call__(self):
        """What the start, the attempts to dial so far, and the mail of the links that have carried any make."""
        carried = sum(seconds for name, seconds in self._lasts.items() if self._has_carried(name))
        return self._start + sum(seconds for _, seconds in self.attempts) + carried

    @property
    def attempts(self):
        """(link, seconds) of each attempt to dial so far."""
        return [(name, float(seconds)) for name, seconds in map(str.split, self.ticks.read_text().splitlines())]

    def _has_carried(self, name):
        return self._wire.control(name, "stats")["packets_up"] > 0


class Yacht(Site):
    """The yacht, whose links are the `lines` of a Wire; `links` are those of mail.cfg, `mail` is {name: Mail}."""

    def __init__(self, folder, wire, shore, links, mail):
        folder.mkdir()
        self._wire, self._mail, self._diallers = wire, mail, folder / "diallers"
        self._diallers.mkdir()
        self.hours = Hours(folder / "ticks", wire)
        self.carried = []           # linkem's figures of each call, in order
        for name, line in wire.lines.items():
            self._set_up_dialler(name, line, links[name])
        super().__init__(
            folder, relay=shore.settings("submissions"),
            accounts={"owner": {**shore.settings("imaps"), "type": "imap", "box": "captain"}},
            boxes={"captain": {"password": SECRET}, "cook": {"password": SECRET}}, links=links,
            tls={"cleartext_login_from": LAPTOP})

    def _set_up_dialler(self, name, line, link):
        state, (programs, dials) = self._state(name), DIALLERS[link["type"]]
        state.mkdir()
        (state / "interface").write_text(line.interface)
        (state / "entry").write_text(link["entry"])
        (state / "password").write_text(link.get("password", ""))
        for way in "up", "down":
            _executable(state / f"line-{way}", HOOK.format(
                interface=line.interface, way=way, say=rig.saying(self._wire.control_name(name), way)))
        for program in programs:
            _executable(self._diallers / program, WRAPPER.format(
                name=name, dials=dials, dialling=line.dialling, ticks=self.hours.ticks, state=state, fakes=FAKES))

    def _state(self, name):
        return self._diallers / f"{name}.line"

    # What happens on board

    def writes(self, when, name):
        """Somebody on board sends one of the mails; gives its identity."""
        mail, self.arrival = self._mail[name], int(at(when))
        return self.enqueue(self.text(name).replace(b"\n", b"\r\n"), [RECIPIENT], f"{mail.box}@yacht.example")

    def plays(self, name, *failures):
        """What the next attempts to dial a link are to play."""
        (self._state(name) / "play").write_text("\n".join(failures))

    @contextmanager
    def line_up_by_hand(self, name):
        """Somebody on board brings a line of NetworkManager's up, and down in the end."""
        entry = self.site.links[name]["entry"]
        self._by_hand("nmcli", "--wait", "10", "connection", "up", entry)
        yield
        self._by_hand("nmcli", "connection", "down", entry)

    def _by_hand(self, *words):
        subprocess.run([*self._wire.at("sea"), *words], check=True, capture_output=True, env=self._environment())

    def replies(self, login, to, words):
        """Somebody on board sends a reply through smtpd, with his login; gives what smtpd said in the end."""
        secret = base64.b64encode(f"\0{login}\0secret".encode()).decode()
        lines = ["EHLO laptop.example", f"AUTH PLAIN {secret}", f"MAIL FROM:<{login}@yacht.example>", f"RCPT TO:<{to}>",
                 "DATA", "Subject: Re: large mail", "", words, ".", "QUIT"]
        smtpd = subprocess.run(
            [sys.executable, "-IS", BIN / "smtpd", self.path], input="".join(f"{line}\r\n" for line in lines).encode(),
            capture_output=True, check=True, env={**os.environ, "TCPREMOTEIP": LAPTOP})
        said = smtpd.stdout.decode().splitlines()
        refused = [line for line in said if line.startswith("550 ")]
        return refused[0] if refused else said[-2]

    def mailcheck(self, when, lasts, drop=None):
        """One run at that time, the mail of whose calls takes so many seconds, {link: seconds}; gives a Done.  `drop`:
        (link, octets), drops that line once so many have crossed it."""
        self.hours.begin(at(when), lasts)
        dropping = drop and drop[0]
        if dropping:
            self._wire.control(*map(str, (dropping, "drop-after", drop[1])))
        done = self._at_sea(self._run, dropping)
        for link in dict.fromkeys([*self.dialled, *lasts]):
            self.carried.append(self._wire.control(link, "stats"))
        return done

    def plan(self, when):
        """What a run at that time would do, a Planned."""
        self.hours.begin(at(when), {})
        return self._at_sea(self._plan)

    def reaches(self, shore):
        """Whether the provider's servers can be reached now."""
        return self._at_sea(lambda: _reaches(shore.ports["imaps"]))

    # In a process on host `sea`

    def _run(self):
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            run = Run(str(self.path), Screen(False), quiet=True, clock=self.hours, timer=self.hours)
            code = run.run()
        return Done(code, said.getvalue())

    def _plan(self):
        plan = Run(str(self.path), Screen(False), clock=self.hours).plan()
        return Planned([call.link for call in plan.calls], {verdict.link: verdict.why_not for verdict in plan.verdicts})

    def _at_sea(self, function, dropping=None):
        """What `function()` gives in a process of its own on host `sea`, with the yacht's diallers on its path;
        `dropping`: the name of a line that may drop meanwhile."""
        process = Process(self._wire.namespace("sea"), self._answer, (function,))
        try:
            answer, limit = None, time.monotonic() + PATIENCE
            while answer is None and time.monotonic() < limit:
                if dropping:
                    self._wire.break_off_if_dropped(dropping)
                answer = process.receive(0.02)
        finally:
            process.stop()
        kind, value = answer or ("ended", "without an answer")
        assert kind == "done", value
        return value

    def _answer(self, function, connection):
        os.environ.update(self._environment())
        try:
            connection.send(("done", function()))
        except BaseException:
            connection.send(("raised", traceback.format_exc()))

    def _environment(self):
        # What `env python3` finds: fakes start as quickly as they can.
        path = os.pathsep.join([str(self._diallers), os.path.dirname(sys.executable), os.environ["PATH"]])
        return {**os.environ, "PATH": path}

    # What there is in the end

    def text(self, name):
        """A mail as it is on disk; none is like another."""
        mail = self._mail[name]
        head = b"X-Priority: 1\n" if mail.urgent else b""
        return head + message(name, mail.octets - len(head), mail.way)

    @property
    def waiting(self):
        """The names of what is in the queue."""
        return {name for queued in self.queued() for name in self._named([self.content(queued)])}

    @property
    def fetched(self):
        """The names of what came into captain's box, sorted."""
        return self._named(self.box("captain"))

    @property
    def dialled(self):
        """The links of the attempts to dial in the last run, in order."""
        return [name for name, _ in self.hours.attempts]

    @property
    def ledger(self):
        return ledger.read(self.spool.state("ledger.jsonl"))

    def told(self, box):
        """What the site told a box, oldest first, as EmailMessages."""
        return [email.message_from_bytes(text, policy=email.policy.default) for text in self.box(box)
                if text.startswith(b"Return-Path: <>")]

    def places(self, shore):
        """{name of a mail: [each place where it is]}: the queue, a box, that of the agent ashore, or still the
        provider."""
        agents = sum(mail.ends == "agent" for mail in self._mail.values())
        found = {"queue": [self.content(queued) for queued in self.queued()], "agent": shore.arrived(agents),
                 "provider": shore.kept(), **{box: self.box(box) for box in self.site.boxes}}
        return {name: [place for place, texts in found.items() for _ in range(copies(self.text(name), texts))]
                for name in self._mail}

    def _named(self, texts):
        return sorted(name for name in self._mail for _ in range(copies(self.text(name), texts)))


def at(when):
    """A time of the week, "Tue 10:01", or of another day, "2026-04-01 23:00", in seconds since the epoch."""
    day, hour = when.split()
    return datetime.fromisoformat(f"{WEEK.get(day, day)} {hour}").timestamp()


def _reaches(port):
    try:
        socket.create_connection((SHORE, port), timeout=5).close()
    except OSError:
        return False
    return True


def _executable(path, text):
    path.write_text(text)
    path.chmod(0o755)


@contextmanager
def world(lines):
    """(the Wire, the Ashore of its host `shore`)."""
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise Unavailable("linkem", "only root can make network namespaces and TUN devices")
    with public_folder() as folder, Wire(lines) as wire:
        shore = Ashore(folder / "provider")
        assert wire.start("shore", shore.serve).receive(PATIENCE) == "ready"
        yield wire, shore

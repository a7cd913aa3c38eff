"""The emulated link, for the benchmark: linkem, and processes on either of its two hosts."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from json import loads
from multiprocessing.connection import wait
from pathlib import Path

LINKEM = Path(__file__).resolve().parent.parent / "linkem"

_spec = spec_from_loader("linkem", SourceFileLoader("linkem", str(LINKEM)))
linkem = module_from_spec(_spec)
_spec.loader.exec_module(linkem)

SEA, SHORE = linkem.SEA, linkem.SHORE
PATIENCE = 20           # seconds, for linkem
STOP_LIMIT = 5          # seconds, for a process to end in order


class Profile(namedtuple("Profile", "name rate_up rate_down delay jitter framing mtu queue")):
    @property
    def round_trip(self):
        return 2 * self.delay

    @property
    def quiet(self):
        """After so many seconds without a packet there is none on its way."""
        return self.round_trip + 2 * 8 * self.mtu / min(self.rate_up, self.rate_down) + 0.5


PROFILES = {name: Profile(name, *values) for name, values in linkem.PROFILES.items()}


class Link:
    """`with Link(PROFILES["vsat"]) as link`: the two hosts exist and the link is up."""

    def __init__(self, profile):
        self.profile = profile
        self.name = f"bench{os.getpid()}"
        self._started = []

    def __enter__(self):
        try:
            subprocess.run([LINKEM, "start", self.name, "--profile", self.profile.name], check=True)
            _wait_for(self._answers, "linkem does not start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error):
        for process in self._started:
            process.stop()
        self._started.clear()
        namespaces = [linkem.namespace(self.name, side) for side in ("sea", "shore")]
        for namespace in namespaces:        # what a client has left behind
            done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True)
            for pid in map(int, done.stdout.split()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        if self._answers():
            self.control("stop")
            _wait_for(lambda: not any(Path("/run/netns", namespace).exists() for namespace in namespaces),
                      "linkem does not end")

    def _answers(self):
        try:
            return bool(self.control("stats"))
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def control(self, *words):
        return loads(linkem.ctl(self.name, words))

    def start(self, side, function, *arguments):
        """Calls `function` in a process of its own on the host `side`, and gives the Process."""
        process = Process(linkem.namespace(self.name, side), function, arguments)
        self._started.append(process)
        return process

    def wait_until_quiet(self):
        """Gives linkem's figures once no packet is on its way."""
        figures, since = None, time.monotonic()
        while True:
            latest = self.control("stats")
            if latest != figures:
                figures, since = latest, time.monotonic()
            elif time.monotonic() - since > self.profile.quiet:
                return figures
            time.sleep(0.1)


def _wait_for(condition, failure):
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError(failure)
        time.sleep(0.02)


class Process:
    """A process in a network namespace, and the leader of a group of its own."""

    def __init__(self, namespace, function, arguments):
        self._ours, theirs = multiprocessing.get_context("fork").Pipe()
        self._process = multiprocessing.get_context("fork").Process(
            target=self._run, args=(namespace, function, arguments, theirs), daemon=False)
        self._process.start()
        theirs.close()

    def _run(self, namespace, function, arguments, connection):
        os.setsid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)        # the parent ends this one in order
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self._ours.close()
        linkem.enter(namespace)
        # A new namespace has 10, at which Postfix's logger can block itself.
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text("512")
        function(*arguments, connection)

    def receive(self, limit):
        """What the function sent over its connection; None if that took longer than `limit` seconds, or it ended."""
        try:
            return self._ours.recv() if self._ours.poll(limit) else None
        except EOFError:
            return None

    def stop(self):
        """Ends it with all it has started."""
        if self._ours.closed:
            return
        self._process.terminate()
        wait([self._process.sentinel], STOP_LIMIT)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)    # not reaped yet, so the number is still its own
        except ProcessLookupError:
            pass
        self._process.join()
        self._ours.close()

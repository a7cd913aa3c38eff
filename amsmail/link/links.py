"""Links: what must be brought up before a provider can be reached, and down again afterwards."""

import os
import signal
import subprocess

_KEPT = 4096        # octets of what a command said, from the end
_KILL_AFTER = 5     # seconds between asking a command to end and ending it


class LinkError(Exception):
    """The link did not come up or down; the message says why, in words for a person."""


class AlwaysLink:
    """A link that is always there: it is never dialled and never hung up."""

    is_dialled = False

    def up(self):
        pass

    def down(self):
        pass


class CommandLink:
    """A link that one command brings up and another one down; exit code 0 means that it did.

    `up` and `down` are lists of words; `up_limit` is in seconds, for either.
    """

    is_dialled = True

    def __init__(self, up, down, up_limit):
        self._up, self._down, self._limit = up, down, up_limit

    def up(self):
        """Brings it up.  Raises LinkError."""
        self._run("up", self._up)

    def down(self):
        """Brings it down.  Raises LinkError."""
        self._run("down", self._down)

    def _run(self, way, words):
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            raise LinkError(f"the command that brings the link {way} cannot be started: {words[0]}: "
                            f"{error.strerror}") from error
        try:
            output = self._output(process)
        except subprocess.TimeoutExpired:
            raise LinkError(f"the link did not come {way} within {self._limit} s: {words[0]} was ended") from None
        finally:
            if process.poll() is None:
                _end(process)
        if process.returncode:
            said = " ".join(output.decode("utf-8", "replace").split())[-300:]
            raise LinkError(f"the link did not come {way}: {words[0]} ended with code {process.returncode}"
                            + (f" and said: {said}" if said else ""))

    def _output(self, process):
        """What the command said until it ended.  A child that it left behind on purpose (a daemon that keeps the link
        up) may hold its output open: then the command's own end is what counts.  Raises TimeoutExpired."""
        import threading
        said = bytearray()

        def collect():
            for piece in iter(lambda: process.stdout.read1(4096), b""):
                said.extend(piece)
                del said[:-_KEPT]

        collector = threading.Thread(target=collect, daemon=True)
        collector.start()
        process.wait(self._limit)
        collector.join(0.2)
        return bytes(said)


def _end(process):
    """Ends a command and what it started: a dialler must not go on dialling when nobody hangs up after it any more."""
    if os.name == "nt":
        process.kill()
        process.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_KILL_AFTER)
            return
        except (subprocess.TimeoutExpired, PermissionError, ProcessLookupError):
            continue        # it ignores the signal, or belongs to another user (a setuid dialler): it is left behind


_TYPES = {
    "always": lambda settings: AlwaysLink(),
    "command": lambda settings: CommandLink(settings["up"], settings["down"], settings["up_limit"]),
}


def make(settings):
    """The link that a section of mail.cfg describes."""
    return _TYPES[settings["type"]](settings)

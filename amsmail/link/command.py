"""Running a command line with a deadline: a dialler, a probe, what prints a password."""

import os
import signal
import subprocess
import threading

from amsmail.wire.value import Value

_KEPT = 4096        # octets of what a command said, from the end
_KILL_AFTER = 5     # seconds between asking a command to end and ending it

# The programs of diallers are told to speak English: their words are looked up in tables.
_ENGLISH = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}
_ENCODING = "oem" if os.name == "nt" else "utf-8"


class Outcome(Value):
    """How a command ended: its exit code (below 0: the signal that ended it), what it said, and whether that is all of
    it: only the end of a long text is kept."""

    __slots__ = ("code", "said", "is_whole")


class NotStarted(Exception):
    """The command cannot be started; the message says why.  It holds no argument of the command."""


class TookTooLong(Exception):
    """The command was ended at its deadline; `said` is what it had said until then."""

    def __init__(self, said):
        super().__init__("it took too long")
        self.said = said


def run(words, limit, given=b"", english=False, errors=True, grace=_KILL_AFTER):
    """The Outcome of the command line `words`, which is split already: no shell reads it.

    It has `limit` seconds, is then asked to end, and is killed after `grace` seconds more, with all that it started.
    `given` is what it reads on its standard input; `errors` says whether what it says on standard error counts.
    Raises NotStarted and TookTooLong; neither they nor their context hold the words: there may be a password in them.
    """
    try:
        process = subprocess.Popen(words, stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
                                   start_new_session=True, env={**os.environ, **_ENGLISH} if english else None)
    except (OSError, ValueError) as error:      # ValueError: a NUL in a word
        why = getattr(error, "strerror", None) or str(error)
    else:
        return _outcome(process, limit, given, grace)
    raise NotStarted(f"{words[0]}: {why}")


def _outcome(process, limit, given, grace):
    """The Outcome of a process that was started.  A child that it left behind on purpose (a daemon that keeps the link
    up) may hold its output open: then the command's own end is what counts.  Raises TookTooLong."""
    said, cut = bytearray(), []

    def collect():
        with process.stdout:
            for piece in iter(lambda: process.stdout.read1(4096), b""):
                said.extend(piece)
                cut.extend([True] if len(said) > _KEPT else [])
                del said[:-_KEPT]

    try:
        collector = _thread(collect)
        waiter = _thread(process.wait)          # process.wait(limit) would only look now and then
        _give(process, given)
        waiter.join(limit)
        ended = not waiter.is_alive()
    finally:
        if process.poll() is None:
            _end(process, grace)
    collector.join(0.2)
    text = bytes(said).decode(_ENCODING, "replace")
    if not ended:
        raise TookTooLong(text)
    return Outcome(process.returncode, text, not cut)


def _thread(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def _give(process, given):
    """Writes what the command is to read: less than a pipe holds, so it never blocks."""
    if given:
        try:
            with process.stdin:
                process.stdin.write(given)
        except BrokenPipeError:
            return          # it ended without reading; its exit code says why


def _end(process, grace):
    """Ends a command and what it started: a dialler must not go on dialling when nobody hangs up after it any more."""
    if os.name == "nt":
        process.kill()
        process.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(grace)
            return
        except (subprocess.TimeoutExpired, PermissionError, ProcessLookupError):
            continue        # it ignores the signal, or belongs to another user (a setuid dialler): it is left behind

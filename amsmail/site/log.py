"""The log: one line an event, `SESSION EVENT key=value ...`, to stderr or to syslog.

What a client sent can neither break a line nor forge one: everything but printable ASCII is escaped, and values with
blanks, quotes or equal signs are quoted.
"""

import os
import sys

_LARGEST = 1_000_000        # octets of a log file when a run starts


class Log:
    """The log of one session.  `write` takes the finished line as text."""

    def __init__(self, write, session):
        self._write = write
        self.session = session

    def __call__(self, event, **values):
        """Writes one event; values that are None or '' are left out."""
        words = [f"{key}={_shown(value)}" for key, value in values.items() if value not in (None, "")]
        self._write(" ".join([self.session, event, *words]))


def _shown(value):
    text = str(value)[:500]
    if not (text.isascii() and text.isprintable()) or "\\" in text:
        text = text.encode("unicode_escape").decode("ascii")
    if any(c in ' "=' for c in text):
        return '"' + text.replace('"', '\\"') + '"'
    return text


def new_session():
    """An identity for the lines of one session."""
    return os.urandom(4).hex()


def to_stderr(program):
    """A writer to stderr, with the program's name and process in front as syslog has them."""
    def write(line):
        try:
            os.write(2, f"{program}[{os.getpid()}]: {line}\n".encode())
        except OSError:
            pass        # a log that is gone must not stop the mail
    return write


def to_syslog(program):
    """A writer to syslog, facility mail."""
    import syslog
    syslog.openlog(program, syslog.LOG_PID, syslog.LOG_MAIL)
    return syslog.syslog


def to_file(program, path):
    """A writer that appends to the file at `path`, with the time in front."""
    def write(line):
        import time
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        try:
            with open(path, "a", encoding="ascii") as f:
                f.write(f"{now} {program}[{os.getpid()}]: {line}\n")
        except OSError:
            pass        # a log that is gone must not stop the mail
    return write


def job_sink(program, path):
    """Where the log of a job without a client goes: to syslog, or to the file at `path` on a machine that has none.
    Not to stderr: cron would mail it."""
    return to_syslog(program) if os.path.exists("/dev/log") else to_file(program, path)


def begin_anew(path):
    """Keeps the log file at `path` from growing for ever: one of more than 1 MB becomes PATH.1, in the place of an
    older one.  Call it with mailcheck's lock.  Where it cannot be done the log goes on as it is."""
    from amsmail.store import durable       # on demand: most programs that log have no file
    try:
        if os.path.getsize(path) > _LARGEST:
            durable.forget([f"{path}.1"])       # Windows renames nothing onto it
            durable.publish(path, f"{path}.1")
    except OSError:
        pass        # there is no such file, or it is open elsewhere: the next run tries again


def sink(program):
    """Where this process's log goes: to stderr, or to syslog where stderr is the client's connection or closed.

    inetd and xinetd give a server its connection as stdin, stdout and stderr.
    """
    try:
        ours, client = os.fstat(2), os.fstat(0)
    except OSError:
        ours = client = None
    if sys.platform != "win32" and (ours is None or (ours.st_dev, ours.st_ino) == (client.st_dev, client.st_ino)):
        return to_syslog(program)
    return to_stderr(program)

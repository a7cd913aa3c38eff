"""pop3d: POP3 on stdin and stdout, started by inetd for each connection.  See docs/pop3d.8."""

import sys

from amsmail import __version__
from amsmail.protocol import pop3_server as pop3
from amsmail.protocol.engine import Closed, StartTls
from amsmail.program import session
from amsmail.site.config import DEFAULT_PATH
from amsmail.store.locks import Busy
from amsmail.transport import pump

NAME = "pop3d"
FLAGS = ("--tls",)
IDLE = "pop3_idle"
_PIECE = 1 << 16


def refusal(_site, reason):
    """The bytes for a client that cannot be served."""
    return pop3.refusal(reason)


def serve(connection):
    """Serves one client.  Raises StreamError where the connection breaks."""
    _Session(connection).run()


class _Session:
    """One client's session: answers what the engine asks."""

    def __init__(self, connection):
        site = connection.site
        self._connection, self._site, self._log = connection, site, connection.log
        self._lock = self._drop_box = self._message = None
        self._entries = []
        self._engine = pop3.Pop3Server(pop3.Settings(
            errors=site.limits["errors"],
            starttls=connection.certificate_is_there,
            secure=connection.tls_from_the_start,
            cleartext_login=connection.cleartext_login,
            version=__version__,
        ))

    def run(self):
        try:
            pump.run(self._engine, self._connection.stream, self._handle)
        finally:
            self._close_message(None)
            if self._lock:
                self._lock.release()

    def _handle(self, event):
        return _HANDLERS[type(event)](self, event)

    def _start_tls(self, _event):
        self._connection.stream.write(self._engine.output())
        self._connection.start_tls()
        return True

    def _login(self, event):
        from amsmail.site import accounts       # on demand: a client may come only for CAPA
        found = accounts.login(self._site, event.credentials)
        self._log("login", user=event.credentials.user, result="ok" if found else "refused")
        if not found:
            return pop3.Refusal("AUTH", "Wrong user or password")
        kind, name = found
        try:
            self._lock = self._connection.spool.lock("queue" if kind == accounts.QUEUE else f"box-{name}")
        except Busy:
            return pop3.Refusal("IN-USE", "This drop box is being read by another session")
        except OSError as error:
            return self._trouble(error)
        try:
            self._drop_box = (self._connection.spool.queue() if kind == accounts.QUEUE
                              else self._connection.spool.box(name))
            sizes = [(entry, self._measured(entry)) for entry in self._listed(kind == accounts.QUEUE)]
            self._entries = [entry for entry, size in sizes if size is not None]
            return [(entry.uid, size) for entry, size in sizes if size is not None]
        except OSError as error:
            self._lock.release()
            self._lock = None
            return self._trouble(error)

    def _listed(self, is_queue):
        """The messages to show: all of a drop box, of the queue those that are not held."""
        if not is_queue:
            return self._drop_box.list()
        from amsmail.store.queue import Queue       # on demand: few clients come for the queue
        return Queue(self._connection.spool).sendable()

    def _measured(self, entry):
        """The octets of a message; None for what is there and is no message that we may read."""
        try:
            return self._drop_box.measure(entry)
        except OSError as error:
            self._log("passed-over", id=entry.uid, problem=error)
            return None

    def _open(self, event):
        try:
            self._message = self._drop_box.open(self._entries[event.index])
            return None
        except FileNotFoundError:
            return pop3.Refusal("", "Another program has removed this message")
        except OSError as error:
            return self._trouble(error)

    def _read(self, _event):
        # A disk that fails in the middle of a message ends the session: an end of the message would be a lie.
        return self._message.read(_PIECE)

    def _close_message(self, _event):
        if self._message:
            self._message.close()
            self._message = None

    def _update(self, event):
        kept = 0
        for index in event.indexes:
            try:
                self._drop_box.remove(self._entries[index])
                self._log("removed", id=self._entries[index].uid)
            except OSError as error:
                self._log("disk-error", problem=error)
                kept += 1
        if kept:
            return pop3.Refusal("SYS/TEMP", f"{kept} of {len(event.indexes)} messages could not be removed")
        return None

    def _trouble(self, error):
        self._log("disk-error", problem=error)
        return pop3.Refusal("SYS/TEMP", "The drop box cannot be read now")

    def _refused(self, event):
        self._log("refused", command=event.command, reply=event.text)

    def _closed(self, event):
        if event.why:
            self._log("ended", why=event.why)


_HANDLERS = {
    StartTls: _Session._start_tls,
    Closed: _Session._closed,
    pop3.Login: _Session._login,
    pop3.OpenMessage: _Session._open,
    pop3.ReadMessage: _Session._read,
    pop3.CloseMessage: _Session._close_message,
    pop3.Update: _Session._update,
    pop3.Refused: _Session._refused,
}


def main(arguments, default_config=DEFAULT_PATH):
    """Runs pop3d; does not return."""
    session.from_inetd(sys.modules[__name__], arguments, default_config)

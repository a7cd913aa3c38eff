"""A test of the relay or of an account over the network that is there now: nothing is dialled, nothing is sent, fetched
or deleted, and nothing is written.

It goes as a call does, with the same engines, and ends where the mail would begin.
"""

import time

from amsmail.protocol.engine import Closed, StartTls
from amsmail.setup.provider.report import Report
from amsmail.setup.provider.visits import VISITS
from amsmail.site.resolve import ResolveError, addresses
from amsmail.transport import pump
from amsmail.transport.carrier import StreamError, Untrusted
from amsmail.transport.connect import Provider, port_of

_NOBODYS = "0" * 64             # a fingerprint that no certificate has


def of_relay(site, call):
    """The Session that tries [relay] in `call`, a Call: how long silence is borne is its Line's patience."""
    return Session("smtp", {**site.relay, "hostname": site.hostname}, call)


def of_account(site, name, call):
    """The same of the account `name`.  Raises KeyError where there is none."""
    account = site.accounts[name]
    return Session(account["type"], account, call)


class Session:
    """One trial of a server: `service` is a key of VISITS, `settings` a section of mail.cfg."""

    def __init__(self, service, settings, call):
        self._service, self._settings, self._call = service, settings, call
        self._report = Report(service, settings)
        self._provider = self._stream = self._engine = None

    def outcome(self):
        """The Outcome, as far as it has come."""
        return self._report.outcome()

    def run(self):
        """Tries the server.  Gives the Outcome, and raises nothing for what the line or the server do."""
        try:
            if self._settings["host"]:
                self.talk()
            else:
                self._report.no_host()
        except ResolveError as error:
            self._report.no_address(error)
        except Untrusted as error:
            self._report.untrusted(error, self._look_at_certificate)
        except StreamError as error:
            self._report.broke(error, bool(self._stream and self._stream.received))
        return self.outcome()

    def talk(self):
        """The session.  Raises ResolveError and StreamError."""
        found = addresses(self._settings["host"])
        # Without TLS at first, since a connection and a handshake that fail are told apart here; and pinned, so that
        # what is said of the address is true.
        clear = {**self._settings, "port": port_of(self._service, self._settings), "tls": "none"}
        self._provider = Provider(self._service, clear, self._call, [int(time.time()), *found])
        self._stream = self._provider.connect()
        try:
            self._converse()
        except StreamError:
            self._stream.reset()
            raise
        self._stream.close()

    def _converse(self):
        """All that is said over the connection.  Raises StreamError."""
        tls = self._settings["tls"]
        self._report.reached(self._stream.peer)
        if tls == "implicit":
            self._start_tls()
        elif tls == "none":
            self._report.say("tls = none: whoever listens on the way reads the mail, and the password.")
        self._engine, handlers = VISITS[self._service](self._report, self._settings, tls == "starttls")
        handlers = {StartTls: self._start_tls, Closed: lambda event: self._report.closed(event.why), **handlers}
        pump.run(self._engine, self._stream, lambda event: handlers.get(type(event), _ignore)(event),
                 self._call.line.patience)

    def _start_tls(self, _event=None):
        if self._engine:
            self._stream.write(self._engine.output())
        self._report.encrypted(self._provider.start_tls(self._stream))
        return True

    def _look_at_certificate(self):
        """The words of a second handshake, which looks for a fingerprint that no certificate has, and so says that of
        the one that is there."""
        try:
            Session(self._service, {**self._settings, "fingerprint": _NOBODYS}, self._call).talk()
        except (ResolveError, StreamError) as error:
            return str(error)
        return ""


def _ignore(_event):
    """For events that a trial does not need."""

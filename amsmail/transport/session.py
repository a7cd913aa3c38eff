"""What every session with a provider's server has in common, whether it pushes or pulls."""

import time

from amsmail.protocol.engine import StartTls
from amsmail.store.known import Known
from amsmail.transport import pump
from amsmail.transport.carrier import StreamError, TimedOut, Untrusted
from amsmail.transport.connect import Provider
from amsmail.transport.result import PERMANENT, TEMPORARY, Result


# How long what a server offers and cannot do is left alone, in seconds: where it said so, and where it fell silent or
# went, which may have been the line after all.
_SURE, _UNSURE = 30 * 86400, 86400


class ProviderSession:
    """One session of `call`, a Call; a subclass has run().  `name` stands in the Result; `log` and `progress` are as
    in push() and pull()."""

    def __init__(self, site, spool, call, log, progress, name):
        self.site, self.spool, self.call, self.log, self.progress = site, spool, call, log, progress
        self.result = Result(name)
        self.known = None
        self.is_welcome = False         # the server is the right one, and let us in
        self._provider = self._stream = self._engine = self._ended = None

    def meet(self, service, settings, known_as):
        """Says which server it is: a key of connect.PORTS, a section of mail.cfg, and the name under which it is known
        from earlier calls."""
        self._provider = Provider(service, settings, self.call)
        self.known = Known(self.spool.state("known", known_as), f"{self._provider.host}:{self._provider.port}")
        self._provider.addresses = self.known.get("addresses")

    @property
    def starttls(self):
        return self._provider.starttls

    def talk(self, engine, handlers):
        """Connects, and drives `engine` to its end; `handlers` is {type of event: function of the event}.  Raises
        StreamError and OSError."""
        self._engine = engine
        handlers = {StartTls: self._start_tls, **handlers}
        self._stream = self._provider.connect()
        self._ended = pump.run(engine, self._stream, lambda event: handlers[type(event)](event),
                               self.call.line.patience)

    def _start_tls(self, _event):
        self._stream.write(self._engine.output())
        self._provider.start_tls(self._stream)
        return True

    def avoid(self, keyword, why, lasts=_SURE):
        """Remembers what the server offers and cannot do."""
        self.log("quirk", server=self.known.server, keyword=keyword, why=why)
        self.remember(avoid={**self.known.get("avoid", {}), keyword: int(time.time()) + lasts})

    def avoided(self):
        """The keywords of what is still to be avoided: after a while a server is given another chance."""
        return [keyword for keyword, until in self.known.get("avoid", {}).items()
                if time.time() < until < time.time() + 2 * _SURE]

    def suspects(self):
        """The keyword of what the server was just trusted to be able to do, and had not done once when the session
        broke; None if there is none."""
        return None

    def broke(self, error):
        """The line or the server failed us; who ended the call says so himself."""
        if self.call.is_over:
            return
        self.result.fail(PERMANENT if isinstance(error, Untrusted) else TEMPORARY, str(error))
        if isinstance(error, TimedOut) and error.was_heard and (keyword := self.suspects()):
            self.suspect(keyword, str(error))

    def suspect(self, keyword, why):
        """Does without something for a while; the second time for long: who calls less often than that while must get
        over it too."""
        self.avoid(keyword, why, _SURE if keyword in self.known.get("avoid", {}) else _UNSURE)

    def remember(self, **values):
        """Remembers what saves time in the next call."""
        try:
            self.known.set(**values)
        except OSError as error:
            self.log("disk-error", problem=error)       # it will be found out again

    def close(self):
        """Ends the session, however it went."""
        if self._stream:
            # Where it broke, what is still in the kernel must not go out; where QUIT was not answered, it must.
            in_order = self._ended and not self._ended.why and not self._engine.is_answered
            (self._stream.close if in_order else self._stream.reset)()
            self.result.count(self._stream)
            self.remember(addresses=self._provider.addresses if self.is_welcome else None)


def result_of(session):
    """Runs a ProviderSession to its end and gives its Result, in which stands what the line, the server and the disk
    did wrong: nothing is raised for it."""
    try:
        session.run()
    except StreamError as error:
        session.broke(error)
    except OSError as error:
        session.result.fail(TEMPORARY, f"the disk failed: {error}")
    finally:
        session.close()
    return session.result

"""What every session with a provider's server has in common, whether it pushes or pulls."""

from amsmail.store.known import Known
from amsmail.transport.carrier import StreamError, Untrusted
from amsmail.transport.connect import Provider
from amsmail.transport.result import PERMANENT, TEMPORARY, Result


class ProviderSession:
    """One session; a subclass has run(timeout).  `name` stands in the Result; `log` and `progress` are as in push() and
    pull()."""

    def __init__(self, site, spool, log, progress, name):
        self.site, self.spool, self.log, self.progress = site, spool, log, progress
        self.result = Result(name)
        self.known = None
        self._provider = self._stream = None

    def meet(self, service, settings, known_as):
        """Says which server it is: a key of connect.PORTS, a section of mail.cfg, and the name under which it is known
        from earlier calls."""
        self._provider = Provider(service, settings)
        self.known = Known(self.spool.state("known", known_as), f"{self._provider.host}:{self._provider.port}")

    def connect(self, timeout):
        """A Stream to the server.  Raises StreamError."""
        self._stream = self._provider.connect(timeout)
        return self._stream

    @property
    def starttls(self):
        return self._provider.starttls

    def start_tls(self, engine):
        """The answer to an engine's StartTls."""
        self._stream.write(engine.output())
        self._provider.start_tls(self._stream)
        return True

    def remember(self, **values):
        """Remembers what saves time in the next call."""
        try:
            self.known.set(**values)
        except OSError as error:
            self.log("disk-error", problem=error)       # it will be found out again

    def close(self):
        """Ends the session, however it went."""
        if self._stream:
            self._stream.close()
            self.result.count(self._stream)


def result_of(session, timeout):
    """Runs a ProviderSession to its end and gives its Result, in which stands what the line, the server and the disk did
    wrong: nothing is raised for it."""
    try:
        session.run(timeout)
    except StreamError as error:
        session.result.fail(PERMANENT if isinstance(error, Untrusted) else TEMPORARY, str(error))
    except OSError as error:
        session.result.fail(TEMPORARY, f"the disk failed: {error}")
    finally:
        session.close()
    return session.result

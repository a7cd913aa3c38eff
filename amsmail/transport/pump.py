"""The one loop that drives any engine over any stream.

It flushes only when it is about to wait for input, so the replies to a pipelined batch leave in one packet, or when so
much is waiting that memory would grow.
"""

from amsmail.protocol.engine import Closed, Flush
from amsmail.transport.carrier import StreamError, TimedOut


def run(engine, stream, handle, patience=None):
    """Drives `engine` until its session is over.  `handle(event)` gives the answer to a question; what it returns for
    other events does not matter.  `patience(awaited)`, for a client, gives the stream's deadline in seconds by what the
    engine says that it `awaits`.  Gives the Closed event.  Raises StreamError where the stream does, except that an
    engine with an `idle` method is told of a time-out and may still say good-bye."""
    broken = None           # why nothing can be sent any more
    while True:
        event = engine.next_event()
        if event is None or isinstance(event, Flush):
            if patience and not broken:
                stream.timeout = patience(engine.awaits)
            octets = engine.output()
            try:
                stream.write(b"" if broken else octets)
            except StreamError as error:
                if not patience:
                    raise
                broken, stream.timeout = error, 0       # what has come already counts: it may be an acceptance
            if event is None:
                _take(engine, stream, broken)
            continue
        answer = handle(event)
        if isinstance(event, Closed):
            _last_words(engine, stream)
            return event
        if event.asks:
            engine.answer(answer)


def _take(engine, stream, broken):
    """Gives the engine what comes, where the line is `broken` what has come.  Raises StreamError."""
    try:
        data = stream.read()
    except TimedOut:
        if not hasattr(engine, "idle"):
            raise
        engine.idle()
        return
    except StreamError as error:
        raise broken or error from error
    if broken and not data:
        raise broken
    engine.receive(data)


def _last_words(engine, stream):
    try:
        stream.write(engine.output())
    except StreamError:
        pass        # the session is over either way

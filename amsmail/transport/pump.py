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
    while True:
        event = engine.next_event()
        if event is None:
            if patience:
                stream.timeout = patience(engine.awaits)
            stream.write(engine.output())
            try:
                data = stream.read()
            except TimedOut:
                if not hasattr(engine, "idle"):
                    raise
                engine.idle()
            else:
                engine.receive(data)
            continue
        if isinstance(event, Flush):
            stream.write(engine.output())
            continue
        answer = handle(event)
        if isinstance(event, Closed):
            _last_words(engine, stream)
            return event
        if event.asks:
            engine.answer(answer)


def _last_words(engine, stream):
    try:
        stream.write(engine.output())
    except StreamError:
        pass        # the session is over either way

"""Drives engines without any stream."""

from amsmail.protocol.engine import Closed, Flush
from amsmail.wire.value import Value


def events_of(engine, answer):
    """The events until the engine needs more bytes or its session is over; `answer(event)` answers questions."""
    while (event := engine.next_event()) is not None:
        yield event
        if isinstance(event, Closed):
            return
        if event.asks:
            engine.answer(answer(event))


def feed(engine, pieces, answer):
    """Gives the engine pieces of bytes, one by one, until its session is over: (its events, its bytes)."""
    events, output = [], b""
    for piece in pieces:
        engine.receive(piece)
        events += events_of(engine, answer)
        output += engine.output()
        if events and isinstance(events[-1], Closed):
            break
    return events, output


def talk(engine, lines, answer):
    """A session as a script: 'S: ...' is what the engine is told, 'C: ...' what it must say then, '--close' that its
    peer closes.  Consecutive lines of one side belong together.  Gives the engine's events."""
    events, expected = [], ""
    for line in [*lines, None]:
        if line is None or not line.startswith("C: "):
            assert engine.output().decode() == expected
            expected = ""
        if line is None:
            return events
        if line.startswith("C: "):
            expected += line[3:] + "\r\n"
            continue
        engine.receive(b"" if line == "--close" else line.removeprefix("S: ").encode() + b"\r\n")
        events += events_of(engine, answer)


class Wait(Value):
    """A client waits: `said` is what it said just before, `coming` how many octets of the server's it has not got."""

    __slots__ = ("said", "coming")


def wire(client, server, answer_client, answer_server, limit=None, piece=None):
    """A session over a line with a round trip: what the server has to say arrives when the client waits, all of it or
    `piece` octets a time.  With `limit` the line is cut behind so many octets of the server's.  A server that has
    nothing to say hangs up.  Gives the client's events, the server's, and the client's Waits."""
    seen, served, waits, coming = [], [], [], b""
    while True:
        said = _until_it_waits(client, answer_client, seen)
        if said:
            server.receive(said)
        if seen and isinstance(seen[-1], Closed):
            server.receive(b"")
            _until_it_waits(server, answer_server, served)
            return seen, served, waits
        waits.append(Wait(said, len(coming)))
        answer = _until_it_waits(server, answer_server, served)[:limit]
        if limit is not None:
            limit -= len(answer)
        coming += answer
        client.receive(coming[:piece])
        coming = coming[len(coming[:piece]):]


def _until_it_waits(engine, answer, seen):
    """What an engine says before it waits for its peer; its events go to `seen`."""
    output = b""
    while not (seen and isinstance(seen[-1], Closed)) and (event := engine.next_event()) is not None:
        output += engine.output()
        if isinstance(event, Flush):
            continue
        seen.append(event)
        if event.asks:
            engine.answer(answer(event))
    return output + engine.output()


def connect(one, other, answer_one, answer_other):
    """Wires two engines to each other until nothing moves any more; gives the events of both."""
    events = ([], [])
    sides = ((one, other, answer_one, events[0]), (other, one, answer_other, events[1]))
    moved = True
    while moved:
        moved = False
        for engine, peer, answer, seen in sides:
            if seen and isinstance(seen[-1], Closed):
                continue
            seen += events_of(engine, answer)
            data = engine.output()
            if data:
                peer.receive(data)
                moved = True
            if seen and isinstance(seen[-1], Closed):
                peer.receive(b"")
                moved = True
    return events


def pieces_of(data, cuts):
    """`data` cut at the offsets `cuts`."""
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends) if start < end]

"""One run of one peer, and what came of it."""

import statistics
import traceback
from collections import namedtuple

from tests.real import clients
from tests.real.packages import Unavailable

from . import capture, corpus
from .floors import floors
from .link import SEA
from .peers import Failure

PRIMING = b"Subject: first call\r\n\r\nThe message of the call before.\r\n"
READY_LIMIT = 60            # seconds for a process to be ready

# Seconds, octets, packets and messages.  `left` are messages that stay at the provider; `duplicates` those that arrived
# more than once; `note` says what went wrong, else empty.
Row = namedtuple("Row", "peer profile workload air_s bytes_up bytes_down packets turns floor_a floor_b delivered "
                        "expected waits all_turns connections lost_up lost_down left duplicates note")
MEASURED = ("air_s", "bytes_up", "bytes_down", "packets", "turns", "waits", "all_turns", "connections", "lost_up",
            "lost_down")


class Work:
    """A workload with its messages, {"out": [...], "in": [...]}, and the floors of it on a profile."""

    def __init__(self, name, texts, profile):
        self.name, self.texts, self.profile = name, texts, profile
        self.floor_a, self.floor_b = floors(profile, texts)

    @property
    def out(self):
        return self.texts.get("out", [])

    @property
    def incoming(self):
        return self.texts.get("in", [])

    @property
    def limit(self):
        """Seconds after which a peer is given up: twice what those take that wait most, seven turns a message."""
        messages = len(self.out) + len(self.incoming)
        return 60 + 3 * self.floor_a + 15 * messages * self.profile.round_trip


def measure(peer_class, work, link, provider, folder, cold=False, pcap=None):
    """Runs a peer once on `work` and gives a Row.  `folder` is new; `pcap` is where the capture goes."""
    folder.mkdir()
    folder.chmod(0o755)
    try:
        peer = peer_class(folder / "home", provider, work)
    except Unavailable as missing:
        return _row(peer_class, work, note=str(missing))
    if peer.remembers and not cold:
        provider.fill([PRIMING] if work.incoming else [])
        peer.prepare([PRIMING] if work.out else [])
        note = _call(peer, link, work.limit)
        if note:
            return _row(peer, work, note=f"the call before failed: {note}")
        link.wait_until_quiet()
    provider.fill(work.incoming)
    peer.prepare(work.out)

    pcap = pcap or folder / "capture"
    recorder = link.start("sea", capture.record, pcap)
    recorder.receive(READY_LIMIT)
    link.control("reset")
    note = _call(peer, link, work.limit)
    figures = link.wait_until_quiet()
    recorder.stop()
    seen = capture.figures(capture.read(pcap, SEA), work.profile)

    there = [corpus.body_digest(text) for text in provider.arrived(len(work.out))] if work.out else []
    here = [corpus.body_digest(text) for text in peer.fetched()] if work.incoming else []
    expected = [corpus.body_digest(text) for text in work.out + work.incoming]
    delivered = sum(digest in there for digest in map(corpus.body_digest, work.out)) + sum(
        digest in here for digest in map(corpus.body_digest, work.incoming))
    busy = max(figures["busy_up_s"], figures["busy_down_s"])
    return _row(
        peer, work, note=note, air_s=figures["air_s"], bytes_up=figures["bytes_up"], bytes_down=figures["bytes_down"],
        packets=figures["packets_up"] + figures["packets_down"], turns=seen.turns, all_turns=seen.all_turns,
        connections=seen.connections, waits=round((figures["air_s"] - busy) / work.profile.round_trip, 1),
        lost_up=figures["lost_up"], lost_down=figures["lost_down"], delivered=delivered,
        left=provider.left() if work.incoming else 0,
        duplicates=sum((there + here).count(digest) > 1 for digest in set(expected)))


def _row(peer, work, **values):
    nothing = dict.fromkeys(Row._fields, 0)
    return Row(**{**nothing, "peer": peer.name, "profile": work.profile.name, "workload": work.name,
                  "floor_a": round(work.floor_a, 3), "floor_b": round(work.floor_b, 3),
                  "expected": len(work.out) + len(work.incoming), **values})


def _call(peer, link, limit):
    """Has the peer work at sea; gives what went wrong, else an empty text."""
    process = link.start("sea", _work, peer, limit)
    try:
        note = process.receive(limit)
        return f"not done after {limit:.0f} s, or killed" if note is None else note
    finally:
        process.stop()


def _work(peer, limit, connection):
    clients.TIME_LIMIT = limit
    try:
        peer.work()
        connection.send("")
    except Failure as failure:
        connection.send(str(failure))
    except Exception:
        connection.send(traceback.format_exc())


def median(rows):
    """One Row for several runs: the medians of what was measured, the worst of what was delivered."""
    worst = min(rows, key=lambda row: (not row.note, row.delivered, -row.duplicates))
    good = [row for row in rows if not row.note] or rows
    return worst._replace(**{name: statistics.median([getattr(row, name) for row in good]) for name in MEASURED})

"""The worker of mailcheck: pushes and pulls over a link that is up, and writes what happens as lines of JSON.

The push and every pull run at the same time: the line carries both ways at once, and the waits overlap.
"""

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from amsmail.site import config, exits, libraries
from amsmail.site.log import Log, job_sink
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool
from amsmail.transport import outsized
from amsmail.transport.call import Call
from amsmail.transport.line import Line
from amsmail.transport.pull import pull
from amsmail.transport.push import due, push
from amsmail.transport.result import TEMPORARY, Result


_IN_USE = 5         # seconds


def main(_arguments):
    """Does the job that stands on a line of stdin, an object of JSON: config (the path of mail.cfg), session (of the
    log), link (its name), messages (uids to push, in order), accounts (names of those to pull), octets_in (how many
    octets of mail may be fetched, null for any).

    SIGTERM, or the end of stdin (mailcheck is gone): the call is over; each session breaks, writes down how far it
    came, and tells it; then it gives the exit code 75."""
    libraries.reach()
    job = json.loads(sys.stdin.readline())
    site = config.load(job["config"])
    spool = Spool(site.spool, site.hostname)
    log = Log(job_sink("mailcheck", spool.state("mailcheck.log")), job["session"])
    report = _Report()
    link = site.links[job["link"]]
    call = Call(Line(link["rate"], link["round_trip"]), link["message_in"], job["octets_in"])
    signal.signal(signal.SIGTERM, lambda *_: call.end())
    threading.Thread(target=_outlive_nobody, args=[call], daemon=True).start()
    sessions = [lambda name=name: _pull(site, spool, name, call, log, report) for name in job["accounts"]]
    if job["messages"]:
        sessions.insert(0, lambda: _push(site, spool, job["messages"], call, log, report))
    with ThreadPoolExecutor(max(1, len(sessions))) as pool:
        under_way = [pool.submit(lambda session=session: report.result(session())) for session in sessions]
    for session in under_way:
        session.result()        # raises what a bug of ours raised there
    return exits.TEMPFAIL if call.is_over else exits.OK


def _outlive_nobody(call):
    """Ends the call when mailcheck is gone: it would hang up, and the next one needs the queue."""
    os.read(sys.stdin.fileno(), 1)
    call.end()


def _lock_of_queue(spool):
    """The queue's lock.  A queue command has it for a moment, for which a call is not given up.  Raises Busy."""
    until = time.monotonic() + _IN_USE
    while True:
        try:
            return spool.lock("queue")
        except Busy:
            if time.monotonic() >= until:
                raise
            time.sleep(0.1)


def _push(site, spool, uids, call, log, report):
    try:
        lock = _lock_of_queue(spool)
    except Busy:
        result = Result("relay")
        result.fail(TEMPORARY, "another program has the queue now: it is being picked up by POP3, or looked through")
        return result
    with lock:
        now = time.time()
        found = {queued.entry.uid: queued for queued in due(spool, log, now, everything=True, large=True)}
        messages = outsized.let_go(spool, log, [found[uid] for uid in uids if uid in found], now)
        return push(site, spool, messages, call, log, report.progress("sending", "up")) if messages else Result("relay")


def _pull(site, spool, name, call, log, report):
    try:
        lock = spool.lock(f"account-{name}")
    except Busy:
        result = Result(f"account {name}")
        result.fail(TEMPORARY, "the account is being fetched by another run")
        return result
    with lock:
        return pull(site, spool, name, call, log, report.progress(f"fetching {name}", "down"))


class _Report:
    """Tells mailcheck what happens, a line at a time whichever thread it is."""

    def __init__(self):
        self._lock = threading.Lock()

    def progress(self, what, way):
        """What a push or a pull calls with the octets that moved, `way` "up" or "down"."""
        return lambda octets: self._line({"what": what, "way": way, "octets": octets})

    def result(self, result):
        self._line(result.figures())

    def _line(self, event):
        try:
            with self._lock:
                print(json.dumps(event), flush=True)
        except BrokenPipeError:
            os._exit(1)         # mailcheck is gone, and would not hang up after us

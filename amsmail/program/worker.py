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

from amsmail.site import config, libraries
from amsmail.site.log import Log, job_sink
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool
from amsmail.transport import outsized
from amsmail.transport.call import Call
from amsmail.transport.line import Line
from amsmail.transport.pull import pull
from amsmail.transport.push import due, push
from amsmail.transport.result import TEMPORARY, Result


def main():
    """Does the job that stands on stdin, an object of JSON: config (the path of mail.cfg), session (of the log), link
    (its name), messages (uids to push, in order), accounts (names of those to pull), octets_in (how many octets of mail
    may be fetched, null for any).

    SIGTERM: the call is over; each session breaks, writes down how far it came, and tells it."""
    libraries.reach()
    job = json.load(sys.stdin)
    site = config.load(job["config"])
    spool = Spool(site.spool, site.hostname)
    log = Log(job_sink("mailcheck", spool.state("mailcheck.log")), job["session"])
    report = _Report()
    link = site.links[job["link"]]
    call = Call(Line(link["rate"], link["round_trip"]), link["message_in"], job["octets_in"])
    signal.signal(signal.SIGTERM, lambda *_: call.end())
    sessions = [lambda name=name: _pull(site, spool, name, call, log, report) for name in job["accounts"]]
    if job["messages"]:
        sessions.insert(0, lambda: _push(site, spool, job["messages"], call, log, report))
    with ThreadPoolExecutor(max(1, len(sessions))) as pool:
        under_way = [pool.submit(lambda session=session: report.result(session())) for session in sessions]
    for session in under_way:
        session.result()        # raises what a bug of ours raised there


def _push(site, spool, uids, call, log, report):
    try:
        lock = spool.lock("queue")
    except Busy:
        result = Result("relay")
        result.fail(TEMPORARY, "the queue is being picked up by POP3 now")
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

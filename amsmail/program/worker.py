"""The worker of mailcheck: pushes and pulls over a link that is up, and writes what happens as lines of JSON.

The push and every pull run at the same time: the line carries both ways at once, and the waits overlap.
"""

import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from amsmail.site import config, libraries
from amsmail.site.log import Log, job_sink
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool
from amsmail.transport.call import Call
from amsmail.transport.line import Line
from amsmail.transport.pull import pull
from amsmail.transport.push import due, push
from amsmail.transport.result import TEMPORARY, Result


def main(arguments):
    """`arguments`: path of mail.cfg, session of the log, 'all' or 'due', and the link's name ('' if none is
    configured).

    SIGTERM: the call is over; each session breaks, writes down how far it came, and tells it."""
    libraries.reach()
    path, session, which, link = arguments
    site = config.load(path)
    spool = Spool(site.spool, site.hostname)
    log = Log(job_sink("mailcheck", spool.state("mailcheck.log")), session)
    report = _Report()
    call = Call(Line(site.links[link]["rate"], site.links[link]["round_trip"]) if link else Line())
    signal.signal(signal.SIGTERM, lambda *_: call.end())
    sessions = [lambda name=name: _pull(site, spool, name, call, log, report) for name in site.accounts]
    if site.relay["host"]:
        sessions.insert(0, lambda: _push(site, spool, call, log, report, which == "all"))
    with ThreadPoolExecutor(max(1, len(sessions))) as pool:
        under_way = [pool.submit(lambda session=session: report.result(session())) for session in sessions]
    for session in under_way:
        session.result()        # raises what a bug of ours raised there


def _push(site, spool, call, log, report, everything):
    try:
        lock = spool.lock("queue")
    except Busy:
        result = Result("relay")
        result.fail(TEMPORARY, "the queue is being picked up by POP3 now")
        return result
    with lock:
        messages = due(spool, log, time.time(), everything)
        return push(site, spool, messages, call, log, report.progress("sending")) if messages else Result("relay")


def _pull(site, spool, name, call, log, report):
    try:
        lock = spool.lock(f"account-{name}")
    except Busy:
        result = Result(f"account {name}")
        result.fail(TEMPORARY, "the account is being fetched by another run")
        return result
    with lock:
        return pull(site, spool, name, call, log, report.progress(f"fetching {name}"))


class _Report:
    """Tells mailcheck what happens, a line at a time whichever thread it is."""

    def __init__(self):
        self._lock = threading.Lock()

    def progress(self, what):
        """What a push or a pull calls with the octets that moved."""
        return lambda octets: self._line({"what": what, "octets": octets})

    def result(self, result):
        self._line(result.figures())

    def _line(self, event):
        try:
            with self._lock:
                print(json.dumps(event), flush=True)
        except BrokenPipeError:
            os._exit(1)         # mailcheck is gone, and would not hang up after us

"""The worker of mailcheck: pushes and pulls over a link that is up, and writes what happens as lines of JSON."""

import json
import os
import time

from amsmail.site import config, libraries
from amsmail.site.log import Log, job_sink
from amsmail.store.locks import Busy
from amsmail.store.spool import Spool
from amsmail.transport.pull import pull
from amsmail.transport.push import due, push
from amsmail.transport.result import TEMPORARY, Result


def main(arguments):
    """`arguments`: path of mail.cfg, session of the log, 'all' or 'due'."""
    libraries.reach()
    path, session, which = arguments
    site = config.load(path)
    spool = Spool(site.spool, site.hostname)
    log = Log(job_sink("mailcheck", spool.state("mailcheck.log")), session)
    if site.relay["host"]:
        _say(_push(site, spool, log, which == "all"))
    for name in site.accounts:
        _say(_pull(site, spool, name, log))


def _push(site, spool, log, everything):
    try:
        lock = spool.lock("queue")
    except Busy:
        result = Result("relay")
        result.fail(TEMPORARY, "the queue is being picked up by POP3 now")
        return result
    with lock:
        messages = due(spool, log, time.time(), everything)
        return push(site, spool, messages, log, _progress("sending")) if messages else Result("relay")


def _pull(site, spool, name, log):
    try:
        lock = spool.lock(f"account-{name}")
    except Busy:
        result = Result(f"account {name}")
        result.fail(TEMPORARY, "the account is being fetched by another run")
        return result
    with lock:
        return pull(site, spool, name, log, _progress(f"fetching {name}"))


def _progress(what):
    return lambda octets: _write({"what": what, "octets": octets})


def _say(result):
    _write(result.figures())


def _write(event):
    """A line for mailcheck; where that is gone, nobody would hang up after us, so we end."""
    try:
        print(json.dumps(event), flush=True)
    except BrokenPipeError:
        os._exit(1)

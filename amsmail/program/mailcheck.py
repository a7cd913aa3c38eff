"""mailcheck: one run: lock, plan, link up, push, pull, link down, ledger.  See docs/mailcheck.8.

Two processes: this one dials, waits and hangs up; a worker, which it starts, talks to the providers.  So the link comes
down whatever becomes of the worker: an error, a kill, a hang.
"""

import os
import signal
import sys
import threading
import time

from amsmail.link import ledger, links
from amsmail.link.dialled import Dialled
from amsmail.link.links import LinkError
from amsmail.program import exits, options
from amsmail.program.child import Worker
from amsmail.program.session import where
from amsmail.site import config, libraries
from amsmail.site.config import DEFAULT_PATH
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, job_sink, new_session
from amsmail.store.delivery import recover
from amsmail.store.locks import Busy
from amsmail.store.seen import resume_all
from amsmail.store.spool import Spool, SpoolError
from amsmail.transport.plan import plan
from amsmail.transport.result import PERMANENT, TEMPORARY

USAGE = """usage: mailcheck [--now] [--quiet | --progress] [mail.cfg]
--now        also try messages that wait after a temporary refusal
--quiet      say nothing unless a person is needed: for cron
--progress   show what happens (the way it runs at a terminal)"""


# Where mail.cfg has no link, one is taken to be there.
_NO_LINK = {"type": "always", "call_limit": 3600}


class Stopped(Exception):
    """SIGTERM, SIGINT or SIGHUP came."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcheck; gives the exit code."""
    libraries.reach()
    flags, _, words = options.parse(USAGE, arguments, ("--now", "--quiet", "--progress"))
    path = os.path.abspath(options.one_path(USAGE, words, default_config))
    if {"--quiet", "--progress"} <= flags:
        options.wrong(USAGE, "--quiet and --progress exclude each other")
    shows = "--progress" in flags or "--quiet" not in flags and sys.stderr.isatty()
    try:
        return _Run(path, Screen(shows), "--now" in flags, "--quiet" in flags).run()
    except config.ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG
    except SpoolError as error:
        print(f"mailcheck: {error}", file=sys.stderr)
        return exits.CONFIG
    except OSError as error:
        print(f"mailcheck: the spool cannot be used: {error}", file=sys.stderr)
        return exits.TEMPFAIL


class Screen:
    """What a person at a terminal sees; nothing of it without one."""

    def __init__(self, shows):
        self.shows = shows
        self._bars = {}

    def say(self, text):
        if self.shows:
            self.stop_bars()
            print(text, file=sys.stderr, flush=True)

    def progress(self, what, octets):
        """Moves the bar of one session; several go on at the same time."""
        if not self.shows:
            return
        if what not in self._bars:
            from tqdm import tqdm       # on demand: cron sees no bar
            self._bars[what] = tqdm(desc=what, unit="B", unit_scale=True, leave=False, disable=None,
                                    position=len(self._bars))
        self._bars[what].update(octets)

    def stop_bars(self):
        for bar in self._bars.values():
            bar.close()
        self._bars.clear()


class _Run:
    """One run.  Raises ConfigError, SpoolError and OSError before anything is dialled, nothing after."""

    def __init__(self, path, screen, everything, quiet):
        self._screen, self._everything, self._quiet = screen, everything, quiet
        self._site = config.load(path)
        become_owner_of(self._site.spool)
        config.load(path)       # as that user too: the worker will have to
        self._spool = Spool(self._site.spool, self._site.hostname)
        self._log = Log(job_sink("mailcheck", self._spool.state("mailcheck.log")), new_session())
        self._dialled = Dialled(self._spool.state("dialled"))
        self._may_stop = False
        self._worker = None
        self._is_starting = False   # the worker: it cannot be ended yet, and must not be left behind
        self._stopped_by = ""
        self._kept = 0              # messages that wait for another run
        self._troubles = []         # (TEMPORARY or PERMANENT, text), in order

    def run(self):
        try:
            lock = self._spool.lock("mailcheck")
        except Busy:
            self._screen.say("Another mailcheck is running.")
            return exits.OK
        with lock:
            try:
                self._hang_up_left_behind()
                self._call_if_there_is_a_reason()
            except OSError as error:
                self._trouble(TEMPORARY, f"the disk failed: {error}")
        return self._exit_code()

    def _call_if_there_is_a_reason(self):
        recover(self._spool)
        resume_all(self._spool)
        self._spool.tidy(self._site.boxes)
        todo = plan(self._site, self._spool, self._log, time.time(), self._everything)
        if todo.is_empty:
            self._screen.say("Nothing to do: nothing is queued and no account is configured. No call.")
            return
        self._screen.say(f"To send: {todo.messages} messages, {todo.octets} octets. "
                         f"To fetch from: {', '.join(todo.accounts) or 'no account'}.")
        self._call(todo)

    def _hang_up_left_behind(self):
        name = self._dialled.left_behind()
        if name is None:
            return
        self._log("hanging-up", link=name, why="an earlier run dialled it and did not end properly")
        link = links.make(self._site.links[name]) if name in self._site.links else None
        if link and link.is_dialled:
            self._down(name, link)
        else:
            self._trouble(PERMANENT, f"link {name} MAY STILL BE UP: an earlier run dialled it and did not end, "
                                     "and mail.cfg does not say any more how to hang it up")
            self._dialled.clear()

    # The call

    def _call(self, todo):
        name = todo.link
        settings = self._site.links.get(name, _NO_LINK)
        link = links.make(settings)
        call = {"id": self._log.session, "link": name or "none configured", "start": int(time.time())}
        begun = time.monotonic()
        self._may_stop = True
        handlers = {s: signal.signal(s, self._stop) for s in _stops()}
        results = []
        try:
            if link.is_dialled:
                self._dialled.write(name, time.time())
                self._screen.say(f"Bringing up link {name} ...")
            try:
                link.up()
                self._log("link-up", link=name)
                results = self._work(name, settings["call_limit"])
            finally:
                self._may_stop = False      # nothing stops the way down
                if link.is_dialled:
                    self._down(name, link)
        except LinkError as error:
            self._trouble(TEMPORARY, f"link {name}: {error}")
        except Stopped as error:
            self._trouble(TEMPORARY, f"stopped by {error}")
        except OSError as error:
            self._trouble(TEMPORARY, f"the disk failed: {error}")
        except Exception as error:
            self._trouble(TEMPORARY, f"a bug in mailcheck, please report it: {error!r} at {where(error)}")
        self._write_ledger(call, results, time.monotonic() - begun)
        for s, handler in handlers.items():
            signal.signal(s, handler)

    def _stop(self, number, _frame):
        """Handles a signal: a worker is ended in order, anything else is broken off.  Unlike SIG_IGN it is not inherited
        by the command that hangs up: that stays stoppable."""
        if self._may_stop:
            self._may_stop = False
            name = signal.Signals(number).name
            self._stopped_by = f"stopped by {name}"
            if self._worker is not None:
                self._worker.end(self._stopped_by)
            elif not self._is_starting:
                raise Stopped(name)

    def _down(self, name, link):
        """Hangs up, twice if need be; the record stays if the link did not come down, so that the next run tries."""
        for attempt in (1, 2):
            try:
                link.down()
            except (LinkError, OSError) as error:
                if attempt == 2:
                    self._trouble(PERMANENT, f"link {name} MAY STILL BE UP: {error}")
                continue
            self._log("link-down", link=name)
            try:
                self._dialled.clear()
            except OSError as error:
                self._trouble(TEMPORARY, f"the disk failed: {error}")
            return

    def _work(self, link, limit):
        """Runs the worker until it ends or the call's time is over, and gives its results."""
        results = []
        self._is_starting = True
        self._worker = worker = Worker(self._site.path, self._log.session, self._everything, link)
        self._is_starting = False
        if self._stopped_by:
            worker.end(self._stopped_by)
        alarm = threading.Timer(limit, worker.end, [f"the call took longer than call_limit, {limit} s"])
        alarm.start()
        try:
            for event in worker.events():
                if "what" in event:
                    self._screen.progress(event["what"], event["octets"])
                else:
                    results.append(event)
            code = worker.wait()
        except BaseException:
            worker.kill()
            raise
        finally:
            alarm.cancel()
            self._screen.stop_bars()
        if worker.ended_because:
            self._trouble(TEMPORARY, worker.ended_because)
        elif code:
            self._trouble(TEMPORARY, f"the transport ended with code {code}")
        for result in results:
            for kind, text in result["failures"]:
                self._trouble(kind, text)
        return results

    def _write_ledger(self, call, results, seconds):
        out = [result for result in results if result["name"] == "relay"]
        into = [result for result in results if result["name"] != "relay"]
        call.update(
            seconds=round(seconds, 1),
            bytes_up=sum(r["sent"] for r in results), bytes_down=sum(r["received"] for r in results),
            bytes_are="TCP payload, TLS included",
            messages_out=sum(r["done"] for r in out), octets_out=sum(r["octets"] for r in out),
            refused=sum(r["refused"] for r in results), kept=sum(r["kept"] for r in results),
            messages_in=sum(r["done"] for r in into), octets_in=sum(r["octets"] for r in into),
            outcome="; ".join(text for _, text in self._troubles) or "ok",
        )
        self._kept = call["kept"]
        self._log("call", **call)
        try:
            ledger.write(self._spool.state("ledger.jsonl"), call)
        except OSError as error:
            self._trouble(TEMPORARY, f"the ledger cannot be written: {error}")
        self._screen.say(
            f"Link {call['link']}: {call['seconds']} s, {call['bytes_up']} octets up, {call['bytes_down']} down. "
            f"Sent {call['messages_out']}, refused {call['refused']}, kept {call['kept']}, "
            f"fetched {call['messages_in']}.")

    # The end

    def _trouble(self, kind, text):
        self._troubles.append((kind, text))
        self._log("trouble", kind=kind, problem=text)

    def _exit_code(self):
        """Says what went wrong (with --quiet only what needs a person), and gives the exit code."""
        for kind, text in self._troubles:
            if kind == PERMANENT or not self._quiet:
                print(f"mailcheck: {text}", file=sys.stderr)
        kinds = {kind for kind, _ in self._troubles} | ({TEMPORARY} if self._kept else set())
        return exits.UNAVAILABLE if PERMANENT in kinds else exits.TEMPFAIL if TEMPORARY in kinds else exits.OK


def _stops():
    """The signals that end a call; SIGHUP (the terminal is gone) unless nohup has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)
    return [signal.SIGTERM, signal.SIGINT, *([hangup] if hangup and signal.getsignal(hangup) != signal.SIG_IGN else [])]

"""One call over one link: up, the worker, down, and what it took."""

import signal
import threading
import time

from amsmail.link import links
from amsmail.link.diallers import BUSY, NO_DIALTONE, NOT_THERE, WRONG_PASSWORD
from amsmail.link.links import LinkError
from amsmail.link.meter import Meter
from amsmail.program.child import Worker
from amsmail.program.session import where
from amsmail.transport.result import PERMANENT, TEMPORARY


# Why a link does not come up where nobody answered: that costs nothing.
_UNANSWERED = {reason.name for reason in (BUSY, NO_DIALTONE, NOT_THERE)}
_LOOK = 1               # seconds between two looks at what the call took so far


class Stopped(Exception):
    """SIGTERM, SIGINT or SIGHUP came."""


class Call:
    """A call over the link `name`, for whatever `job` says (see worker.main).  `dialled` is the Dialled of the spool;
    `log` and `screen` are told what happens.  `troubles` are (TEMPORARY or PERMANENT, text), in order;
    `did_not_come_up` says that the link did not come up, and is down; `reason` is why, one of the Reasons of
    diallers.py, None if it came up; `well` are those things of which nobody need be told any more: "link NAME", and the
    names of sessions.  `timer` gives seconds as time.monotonic does; `work(job)` starts what is done over the link
    instead of a Worker, and can be used as one."""

    def __init__(self, name, settings, dialled, log, screen, timer=time.monotonic, work=None):
        self.troubles = []
        self.well = set()
        self.did_not_come_up = False
        self.reason = None
        self._name = name
        self._link = links.make(settings, report=self._attempt_failed, dials=self._dials)
        self._meter = Meter(settings, self._link.octets, timer)
        self._dialled, self._log, self._screen = dialled, log, screen
        self._start_work = work or Worker
        self._may_stop = False
        self._worker = None
        self._is_starting = False   # the worker: it cannot be ended yet, and must not be left behind
        self._stopped_by = ""
        self._results = []
        self._now = 0

    @property
    def was_stopped(self):
        """Whether SIGTERM, SIGINT or SIGHUP came: then nothing more is to be dialled."""
        return bool(self._stopped_by)

    def run(self, job, allowance, now):
        """Does it, within `allowance`, an Allowance; `now` in seconds since the epoch.  Nothing is raised: see
        `troubles`."""
        self._now = now
        self._meter.begins(allowance)
        self._may_stop = True
        handlers = {s: signal.signal(s, self._stop) for s in _stops()}
        was_answered = False
        try:
            try:
                self._link.up()
                was_answered = True
                self._log("link-up", link=self._name)
                self._work(job)
                self.well.add(f"link {self._name}")
            finally:
                self._may_stop = False      # nothing stops the way down
                self._down()
        except LinkError as error:
            self.did_not_come_up = not self.troubles
            self.reason = error.reason
            needs_person = error.reason == WRONG_PASSWORD or error.reason == NOT_THERE and self._link.is_dialled
            self._trouble(PERMANENT if needs_person else TEMPORARY, f"link {self._name}: {error}")
        except Stopped as error:
            was_answered = True             # as far as we know
            self._trouble(TEMPORARY, f"stopped by {error}")
        except OSError as error:
            self._trouble(TEMPORARY, f"the disk failed: {error}")
        except Exception as error:
            self._trouble(TEMPORARY, f"a bug in mailcheck, please report it: {error!r} at {where(error)}")
        self._meter.ends(was_answered)
        for s, handler in handlers.items():
            signal.signal(s, handler)

    def hang_up(self):
        """Brings the link down that an earlier run left up."""
        self._down()

    def interface(self):
        """The name of the network interface that the link is while it is up, None where that is not known."""
        return self._link.interface()

    def figures(self):
        """What the call took and carried, as the ledger has it: a dict."""
        results = self._results
        out = [result for result in results if result["name"] == "relay"]
        into = [result for result in results if result["name"] != "relay"]
        return {
            **self._meter.figures(),
            "messages_out": sum(r["done"] for r in out), "octets_out": sum(r["octets"] for r in out),
            "messages_in": sum(r["done"] for r in into), "octets_in": sum(r["octets"] for r in into),
            "refused": sum(r["refused"] for r in results), "kept": sum(r["kept"] for r in results),
            "held": [identity for r in results for identity in r["held"]],
            "boxes": _boxes(results),
            "outcome": "; ".join(text for _, text in self.troubles) or "ok",
        }

    # The way up

    def _dials(self, attempt):
        """An attempt begins; gives how many seconds there are for it.  Raises LinkError if there are none, OSError if
        it cannot be noted that we dial."""
        self._meter.dials()
        if used_up := self._meter.used_up():
            raise LinkError(f"not dialled again: {used_up}")
        if attempt == 1:
            self._dialled.write(self._name, self._now)
            self._screen.say(f"Bringing up link {self._name} ...")
        self._log("dials", link=self._name, attempt=attempt)
        return self._meter.left_for_an_attempt()

    def _attempt_failed(self, attempt, error):
        self._meter.ends(was_answered=error.reason.name not in _UNANSWERED)
        self._log("attempt-failed", link=self._name, attempt=attempt, problem=error)
        self._screen.say(f"Attempt {attempt}: {error}")

    # While it is up

    def _work(self, job):
        """Does the job, until it is done or the call's allowance is used up, and notes how it went."""
        if used_up := self._meter.used_up():
            self._trouble(TEMPORARY, f"the call was ended: {used_up}")
            return
        self._meter.connected()
        self._is_starting = True
        self._worker = worker = self._start_work(job)
        self._is_starting = False
        if self._stopped_by:
            worker.end(self._stopped_by)
        code = self._follow(worker)
        if worker.ended_because:
            self._trouble(TEMPORARY, worker.ended_because)
        elif code:
            self._trouble(TEMPORARY, f"the transport ended with code {code}")
        for result in self._results:
            for kind, text in result["failures"]:
                self._trouble(kind, text)
            if all(kind != PERMANENT for kind, _ in result["failures"]):
                self.well.add(result["name"])

    def _follow(self, worker):
        """Listens to a worker until it has ended; gives its exit code."""
        over = threading.Event()
        threading.Thread(target=self._watch, args=[worker, over], daemon=True).start()
        try:
            for event in worker.events():
                if "what" in event:
                    self._meter.moves(event["way"], event["octets"])
                    self._screen.progress(event["what"], event["octets"])
                else:
                    self._meter.carried(event["sent"], event["received"])
                    self._results.append(event)
            return worker.wait()
        except BaseException:
            worker.kill()
            raise
        finally:
            over.set()
            self._screen.stop_bars()
            self._meter.disconnected()

    def _watch(self, worker, over):
        """Ends the worker as soon as the call's allowance is used up."""
        while not over.wait(_LOOK):
            if used_up := self._meter.used_up():
                worker.end(f"the call was ended: {used_up}")
                return

    def _stop(self, number, _frame):
        """Handles a signal: a worker is ended in order, anything else is broken off.  Unlike SIG_IGN it is not
        inherited by the command that hangs up: that stays stoppable."""
        name = signal.Signals(number).name
        self._stopped_by = self._stopped_by or f"stopped by {name}"
        if self._may_stop:
            self._may_stop = False
            if self._worker is not None:
                self._worker.end(self._stopped_by)
            elif not self._is_starting:
                raise Stopped(name)

    # The way down

    def _down(self):
        """Hangs up, twice if need be; the record stays if the link did not come down, so that the next run tries."""
        if not self._link.is_dialled:
            return
        for attempt in (1, 2):
            try:
                self._link.down()
            except (LinkError, OSError) as error:
                if attempt == 2:
                    self._trouble(PERMANENT, f"link {self._name} MAY STILL BE UP: {error}")
                continue
            self._log("link-down", link=self._name)
            self.well.add(f"link {self._name} MAY STILL BE UP")
            try:
                self._dialled.clear(self._name)
            except OSError as error:
                self._trouble(TEMPORARY, f"the disk failed: {error}")
            return

    def _trouble(self, kind, text):
        self.troubles.append((kind, text))
        self._log("trouble", kind=kind, problem=text)


def _boxes(results):
    """{box: {"in": octets, "out": octets, "messages": how many}} of all sessions together."""
    boxes = {}
    for result in results:
        for name, figures in result["boxes"].items():
            sums = boxes.setdefault(name, {"in": 0, "out": 0, "messages": 0})
            for key, value in figures.items():
                sums[key] += value
    return boxes


def _stops():
    """The signals that end a call; SIGHUP (the terminal is gone) unless nohup has it ignored."""
    hangup = getattr(signal, "SIGHUP", None)
    return [signal.SIGTERM, signal.SIGINT, *([hangup] if hangup and signal.getsignal(hangup) != signal.SIG_IGN else [])]

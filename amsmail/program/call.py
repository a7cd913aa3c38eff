"""One call over one link: up, the worker, down, and what it took."""

import signal
import threading
import time
from decimal import Decimal

from amsmail.link import links, tariff
from amsmail.link.allowance import WAY_DOWN, Allowance
from amsmail.link.diallers import BUSY, NO_DIALTONE, NOT_THERE, WRONG_PASSWORD
from amsmail.link.links import LinkError
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
    diallers.py, None if it came up.  `timer` gives seconds as time.monotonic does; `work(job)` starts what is done over
    the link instead of a Worker, and can be used as one.

    What is paid for is each attempt that was answered, from its start until it failed, and the one that succeeded until
    it is hung up.  Of a link that is not dialled it is the whole call."""

    def __init__(self, name, settings, dialled, log, screen, timer=time.monotonic, work=None):
        self.troubles = []
        self.did_not_come_up = False
        self.reason = None
        self._name, self._settings = name, settings
        self._link = links.make(settings, report=self._attempt_failed, dials=self._dials)
        self._dialled, self._log, self._screen, self._timer = dialled, log, screen, timer
        self._start_work = work or Worker
        self._tariff = tariff.make(settings)
        self._allowance = Allowance()
        self.well = set()           # "link NAME" and the names of sessions of which nobody need be told any more
        self._may_stop = False
        self._worker = None
        self._is_starting = False   # the worker: it cannot be ended yet, and must not be left behind
        self._stopped_by = ""
        self._results = []
        self._begun = self._now = 0
        self._since = None          # when what may have to be paid for began
        self._paid = []             # seconds of each call that was answered
        self._before = self._counted = None
        self._told = {"up": 0, "down": 0}       # octets of mail that the worker told of

    @property
    def was_stopped(self):
        """Whether SIGTERM, SIGINT or SIGHUP came: then nothing more is to be dialled."""
        return bool(self._stopped_by)

    def run(self, job, allowance, now):
        """Does it, within `allowance`, an Allowance; `now` in seconds since the epoch.  Nothing is raised: see
        `troubles`."""
        self._allowance = allowance
        self._begun = self._since = self._timer()
        self._may_stop = True
        handlers = {s: signal.signal(s, self._stop) for s in _stops()}
        self._now = now
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
        self._pay(was_answered)
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
        up, down, how = self._octets()
        return {
            "seconds": round(sum(self._paid, 0.0), 1), "bytes_up": up, "bytes_down": down, "bytes_are": how,
            "messages_out": sum(r["done"] for r in out), "octets_out": sum(r["octets"] for r in out),
            "messages_in": sum(r["done"] for r in into), "octets_in": sum(r["octets"] for r in into),
            "refused": sum(r["refused"] for r in results), "kept": sum(r["kept"] for r in results),
            "held": [identity for r in results for identity in r["held"]],
            "boxes": _boxes(results),
            "cost": self._cost(up + down),
            "currency": self._settings["currency"],
            "outcome": "; ".join(text for _, text in self.troubles) or "ok",
        }

    def _cost(self, octets):
        """What the calls that were answered cost; only the last carried anything."""
        if not self._settings["currency"]:
            return ""
        return str(self._sum(self._paid, octets))

    def _sum(self, calls, octets):
        """What calls of so many seconds each cost, of which the last carried `octets`."""
        costs = [self._tariff.cost(seconds, 0) for seconds in calls[:-1]]
        return sum(costs + [self._tariff.cost(seconds, octets) for seconds in calls[-1:]], Decimal("0.00"))

    def _octets(self):
        """(octets up, octets down, how that is known)."""
        if self._counted:
            return (*self._counted, "interface")
        # A worker that was killed told what moved, but no results.
        sent, received = (max(told, sum(result[key] for result in self._results))
                          for key, told in (("sent", self._told["up"]), ("received", self._told["down"])))
        return (*tariff.with_headers(sent, received), "estimated") if sent or received else (0, 0, "estimated")

    # What is paid for

    def _dials(self, attempt):
        """An attempt begins; gives how many seconds there are for it.  Raises LinkError if there are none, OSError if
        it cannot be noted that we dial."""
        self._since = self._timer()
        if used_up := self._used_up(0):
            raise LinkError(f"not dialled again: {used_up}")
        if attempt == 1:
            self._dialled.write(self._name, self._now)
            self._screen.say(f"Bringing up link {self._name} ...")
        self._log("dials", link=self._name, attempt=attempt)
        left = [self._allowance.seconds - sum(self._paid)]
        if self._allowance.closes is not None:
            left.append(self._allowance.closes - (self._since - self._begun))
        return min(left)

    def _attempt_failed(self, attempt, error):
        self._pay(error.reason.name not in _UNANSWERED)
        self._log("attempt-failed", link=self._name, attempt=attempt, problem=error)
        self._screen.say(f"Attempt {attempt}: {error}")

    def _pay(self, was_answered):
        """What began last is over."""
        if was_answered and self._since is not None:
            self._paid.append(round(self._timer() - self._since, 1))
        self._since = None

    def _used_up(self, octets):
        """What of the call's allowance is used up, '' if nothing is."""
        now = self._timer()
        calls = [*self._paid, *([] if self._since is None else [now - self._since])]
        cost = self._sum([*calls[:-1], *(seconds + WAY_DOWN for seconds in calls[-1:])], octets)
        return self._allowance.used_up(sum(calls), now - self._begun, octets, cost)

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

    def _work(self, job):
        """Runs the worker until it ends or the call's allowance is used up."""
        self._before = self._link.octets()
        if used_up := self._used_up(0):
            self._trouble(TEMPORARY, f"the call was ended: {used_up}")
            return
        self._is_starting = True
        self._worker = worker = self._start_work(job)
        self._is_starting = False
        if self._stopped_by:
            worker.end(self._stopped_by)
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=[worker, over], daemon=True)
        watch.start()
        try:
            for event in worker.events():
                if "what" in event:
                    self._told[event["way"]] += event["octets"]
                    self._screen.progress(event["what"], event["octets"])
                else:
                    self._results.append(event)
            code = worker.wait()
        except BaseException:
            worker.kill()
            raise
        finally:
            over.set()
            self._screen.stop_bars()
            self._counted = self._moved()
        if worker.ended_because:
            self._trouble(TEMPORARY, worker.ended_because)
        elif code:
            self._trouble(TEMPORARY, f"the transport ended with code {code}")
        for result in self._results:
            for kind, text in result["failures"]:
                self._trouble(kind, text)
            if all(kind != PERMANENT for kind, _ in result["failures"]):
                self.well.add(result["name"])

    def _watch(self, worker, over):
        """Ends the worker as soon as the call's allowance is used up."""
        while not over.wait(_LOOK):
            # Without an interface that counts it is what the worker told so far.
            moved = self._moved() if self._before else tariff.on_the_line(self._told["up"], self._told["down"])
            octets = sum(moved or ())
            if used_up := self._used_up(octets):
                worker.end(f"the call was ended: {used_up}")
                return

    def _moved(self):
        """What the interface counted since the link came up: (octets up, octets down), None where nothing counts."""
        after = self._link.octets()
        if after is None or self._before is None:       # it may have counted since the machine was started
            return None
        # An interface that was made anew began at 0.
        received, sent = (end - start if end >= start else end for start, end in zip(self._before, after))
        return sent, received

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

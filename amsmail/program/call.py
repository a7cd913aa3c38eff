"""One call over one link: up, the worker, down, and what it took."""

import signal
import threading
import time
from decimal import Decimal

from amsmail.link import links, tariff
from amsmail.link.allowance import Allowance
from amsmail.link.diallers import BUSY, NO_DIALTONE, NOT_THERE
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
    `did_not_come_up` says that the link did not come up, and is down.  `timer` gives seconds as time.monotonic does.

    What is paid for is each attempt that was answered, from its start until it failed, and the one that succeeded until
    it is hung up.  Of a link that is not dialled it is the whole call."""

    def __init__(self, name, settings, dialled, log, screen, timer=time.monotonic):
        self.troubles = []
        self.did_not_come_up = False
        self._name, self._settings = name, settings
        self._link = links.make(settings, report=self._attempt_failed, dials=self._dials)
        self._dialled, self._log, self._screen, self._timer = dialled, log, screen, timer
        self._tariff = tariff.make(settings)
        self._allowance = Allowance()
        self._may_stop = False
        self._worker = None
        self._is_starting = False   # the worker: it cannot be ended yet, and must not be left behind
        self._stopped_by = ""
        self._results = []
        self._begun = 0
        self._since = None          # when what may have to be paid for began
        self._paid = []             # seconds of each call that was answered
        self._before = self._counted = None
        self._told = {"up": 0, "down": 0}       # octets of mail that the worker told of

    def run(self, job, allowance, now):
        """Does it, within `allowance`, an Allowance; `now` in seconds since the epoch.  Nothing is raised: see
        `troubles`."""
        self._allowance = allowance
        self._begun = self._since = self._timer()
        self._may_stop = True
        handlers = {s: signal.signal(s, self._stop) for s in _stops()}
        was_answered = False
        try:
            if self._link.is_dialled and not self._link.is_up():
                self._dialled.write(self._name, now)
                self._screen.say(f"Bringing up link {self._name} ...")
            try:
                self._link.up()
                was_answered = True
                self._log("link-up", link=self._name)
                self._work(job)
            finally:
                self._may_stop = False      # nothing stops the way down
                self._down()
        except LinkError as error:
            self.did_not_come_up = not self.troubles
            self._trouble(TEMPORARY, f"link {self._name}: {error}")
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
        costs = [self._tariff.cost(seconds, 0) for seconds in self._paid[:-1]]
        costs += [self._tariff.cost(seconds, octets) for seconds in self._paid[-1:]]
        return str(sum(costs, Decimal("0.00")))

    def _octets(self):
        """(octets up, octets down, how that is known)."""
        if self._counted:
            return (*self._counted, "interface")
        sent, received = (sum(result[key] for result in self._results) for key in ("sent", "received"))
        return (*tariff.with_headers(sent, received), "estimated") if sent or received else (0, 0, "estimated")

    # What is paid for

    def _dials(self, attempt):
        """An attempt begins.  Raises LinkError if there is no time for it."""
        if used_up := self._used_up(0):
            raise LinkError(f"not dialled again: {used_up}")
        self._since = self._timer()
        self._log("dials", link=self._name, attempt=attempt)

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
        paid = sum(self._paid) + (0 if self._since is None else now - self._since)
        return self._allowance.used_up(paid, now - self._begun, octets, self._tariff.cost)

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
            try:
                self._dialled.clear()
            except OSError as error:
                self._trouble(TEMPORARY, f"the disk failed: {error}")
            return

    def _work(self, job):
        """Runs the worker until it ends or the call's allowance is used up."""
        self._before = self._link.octets()
        self._is_starting = True
        self._worker = worker = Worker(job)
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
        if after is None:
            return None
        # An interface that was made anew began at 0.
        received, sent = (end - start if end >= start else end for start, end in zip(self._before or (0, 0), after))
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

"""One run of mailcheck: lock, plan, calls, ledger."""

import errno
import os
import sys
import time

from amsmail.link import ledger, links, tariff
from amsmail.link.dialled import Dialled
from amsmail.link.links import LinkError
from amsmail.program.alarm import Alarm, mail
from amsmail.program.call import Call
from amsmail.program.opening import open_site
from amsmail.site import budget, config, exits
from amsmail.site.figures import figure
from amsmail.site.log import begin_anew
from amsmail.site.words import counted
from amsmail.store.delivery import recover
from amsmail.store.locks import Busy
from amsmail.store.seen import resume_all
from amsmail.transport import decisions, outsized, waiting
from amsmail.transport.plan import in_use, plan
from amsmail.transport.result import PERMANENT, TEMPORARY
from amsmail.wire.text import printable


_DRIFT = 60             # seconds by which a clock may go wrong during a call; by more it was set
_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR}


class Run:
    """One run for the mail.cfg at `path`.  `everything`: also messages that a pause holds back; `quiet`: say nothing
    unless a person is needed; `clock` gives the seconds since the epoch, `timer` those that a call lasts.  Raises
    ConfigError, SpoolError and OSError before anything is dialled, nothing after."""

    def __init__(self, path, screen, everything=False, quiet=False, clock=time.time, timer=time.monotonic):
        self._screen, self._everything, self._quiet, self._clock = screen, everything, quiet, clock
        self._timer = timer
        self._site, self.spool, self._log = open_site(path)
        config.load(path)       # as the user that the spool belongs to, too: the worker will have to
        self._dialled = Dialled(self.spool.state("dialled"))
        self._ledger = self.spool.state("ledger.jsonl")
        self._kept = 0              # messages that wait for another run
        self._troubles = []         # (TEMPORARY or PERMANENT, text), in order
        self._well = set()          # what a trouble may begin with that is over: "relay", "link gsm"

    def run(self):
        """Gives the exit code."""
        try:
            lock = self.spool.lock("mailcheck")
        except Busy:
            self._screen.say("Another mailcheck is running.")
            return exits.OK
        with lock:
            try:
                begin_anew(self.spool.state("mailcheck.log"))
                self._hang_up_left_behind()
                self._close_bills()
                self._clear_up()
                if self._make_calls():
                    waiting.attend(self._site, self.spool, self._log, self._clock(), self._site.queue["warn_after"],
                                   self._site.queue["expire_after"])
                self._well.add("the disk failed")
            except OSError as error:
                # What rights are wrong does not mend itself.
                self._trouble(PERMANENT if error.errno in _RIGHTS else TEMPORARY, f"the disk failed: {error}")
        return self._exit_code()

    def plan(self):
        """The Plan for now; nothing is dialled, and nothing changed."""
        return self._plan()

    def budgets(self, calls):
        """(name of a link, Standing) of each limit of each budget, after `calls`, those of the ledger."""
        for name, link in self._site.links.items():
            for standing in budget.standings(link["budget"], name, calls, self._clock()):
                yield name, standing

    def _plan(self, tried=(), only=None, fetches=True):
        """As transport.plan.plan.  The links are looked at first: that may take seconds, which must not count as being
        in a window."""
        states = {name: self._look(name) for name in in_use(self._site) if name not in tried}
        return plan(self._site, self.spool, self._log, self._clock(), self._everything, ledger.read(self._ledger),
                    states, tried, only, fetches)

    def _look(self, name):
        """Whether a link is up; the LinkError where that cannot be told, which a person must see to."""
        try:
            return links.make(self._site.links[name]).is_up()
        except LinkError as error:
            return error

    # What an earlier run left

    def _hang_up_left_behind(self):
        for name in self._dialled.left_behind():
            self._log("hanging-up", link=name, why="an earlier run dialled it and did not end properly")
            settings = self._site.links.get(name)
            if settings and links.make(settings).is_dialled:
                call = self._call_over(name)
                call.hang_up()
                self._troubles += call.troubles
                self._well |= call.well
            else:
                self._trouble(PERMANENT, f"link {name} MAY STILL BE UP: an earlier run dialled it and did not end, "
                                         "and mail.cfg does not say any more how to hang it up")
                self._dialled.clear(name)

    def _close_bills(self):
        """Calls whose mailcheck was killed are paid for as well: until now, or as long as a call may take.  That counts
        also where the clock was put back since, and cannot tell."""
        for line, call in ledger.under_way(self._ledger):
            settings = self._site.links.get(str(call.get("link")), {})
            most = float(settings.get("call_limit", 0))
            since = self._clock() - figure(call, "start")
            seconds = min(since, most) if since >= 0 else most
            line.fill({**call, "seconds": seconds,
                       "outcome": "its mailcheck was killed: the time is the most it may be",
                       "cost": str(tariff.make(settings).cost(seconds, 0)) if settings.get("currency") else ""})

    def _clear_up(self):
        recover(self.spool)
        resume_all(self.spool)
        self.spool.tidy(self._site.boxes, self._site.accounts, os.stat(self._site.path).st_mtime)
        decisions.obey(self._site, self.spool, self._log)

    # Calls

    def _make_calls(self):
        """Makes the calls of the plan, one after the other; what a link that does not come up should have carried is
        planned anew.  False if it was stopped."""
        todo = self._plan()
        self._say_why(todo)
        outsized.hold(self._site, self.spool, self._log, todo)
        if not todo.calls:
            self._screen.say(f"No call: {todo.why_none}.")
        tried, only, fetches = {}, None, True
        while todo.calls:
            first = todo.calls[0]
            call = self._make_call(first)
            if call is None:
                tried[first.link] = "its calls cannot be put on the bill"
            elif call.was_stopped:
                return False
            elif call.did_not_come_up:
                tried[first.link] = "it did not come up"
            else:
                tried[first.link] = "it may not carry this"
                only, fetches = todo.without(first.link)
            todo = self._plan(tried, only, fetches)
        return True

    def _say_why(self, todo):
        for verdict in todo.verdicts:
            if verdict.needs_person:
                self._trouble(PERMANENT, f"link {verdict.link}: {verdict.why_not}")
            elif verdict.why_not:
                self._screen.say(f"Link {verdict.link}: {verdict.why_not}.")

    def _make_call(self, planned):
        """Makes a PlannedCall, and gives the Call; None where it cannot be put on the bill, and has to be."""
        self._screen.say(f"To send: {counted(len(planned.messages), 'message')}, {planned.octets} octets. "
                         f"To fetch from: {', '.join(planned.accounts) or 'no account'}.")
        call = self._call_over(planned.link)
        start, begun = self._clock(), self._timer()
        entry = {"id": self._log.session, "link": planned.link, "why": planned.why, "start": int(start)}
        line = self._begin_bill({**entry, **call.figures()})
        if line is None and self._site.links[planned.link]["budget"]:
            self._trouble(PERMANENT, f"link {planned.link}: the ledger cannot be written, so a budget cannot be kept: "
                                     "nothing is dialled; look whether the disk is full")
            return None
        call.run({"config": self._site.path, "session": self._log.session, "link": planned.link,
                  "messages": planned.messages, "accounts": planned.accounts, "octets_in": planned.octets_in},
                 planned.allowance, start)
        self._troubles += call.troubles
        self._well |= call.well
        entry.update(call.figures(), start=self._dated(start, self._timer() - begun))
        self._kept += entry["kept"]
        self._log("call", **entry)
        self._end_bill(line, entry)
        self._say_what_it_took(entry)
        return call

    def _dated(self, start, lasted):
        """When a call began that lasted so many seconds, in whole seconds since the epoch.  `start` is what the clock
        showed then; if it was set meanwhile, as by NTP over the link, what it shows now is right."""
        by_now = self._clock() - lasted
        if abs(by_now - start) < _DRIFT:
            return int(start)
        self._log("clock-set", by=round(by_now - start))
        return int(by_now)

    def _say_what_it_took(self, entry):
        cost = f" {entry['cost']} {entry['currency']}." if entry["cost"] else ""
        self._screen.say(
            f"Link {entry['link']}: {entry['seconds']} s, {entry['bytes_up']} octets up, {entry['bytes_down']} down."
            f"{cost} Sent {entry['messages_out']}, refused {entry['refused']}, kept {entry['kept']}, "
            f"fetched {entry['messages_in']}.")

    def _begin_bill(self, entry):
        """The Line of the ledger for a call; None if the disk refuses it."""
        try:
            return ledger.begin(self._ledger, entry, self._site.boxes)
        except OSError as error:
            self._log("disk-error", problem=error)
            return None

    def _end_bill(self, line, entry):
        try:
            # There may be room now: what was sent made some.
            (line or ledger.begin(self._ledger, entry, self._site.boxes)).fill(entry)
        except OSError as error:
            self._trouble(TEMPORARY, f"the ledger cannot be written: {error}")

    def _tell_postmaster(self, troubles):
        """Tells postmaster what needs a person and was not told yet; gives that."""
        alarm = Alarm(self.spool.state("alarm.json"))
        try:
            news = alarm.news(troubles)
            if news:
                mail(self._site, self.spool, news)
            alarm.remember(troubles, self._well)
        except OSError as error:
            self._log("disk-error", problem=error)
            return troubles
        return news

    def _call_over(self, name):
        return Call(name, self._site.links[name], self._dialled, self._log, self._screen, self._timer)

    # The end

    def _trouble(self, kind, text):
        self._troubles.append((kind, text))
        self._log("trouble", kind=kind, problem=text)

    def _exit_code(self):
        """Says what went wrong (with --quiet only what needs a person, and only once), and gives the exit code."""
        news = self._tell_postmaster([text for kind, text in self._troubles if kind == PERMANENT])
        for text in news if self._quiet else [text for _, text in self._troubles]:
            print(f"mailcheck: {printable(text)}", file=sys.stderr)
        kinds = {kind for kind, _ in self._troubles} | ({TEMPORARY} if self._kept else set())
        return exits.UNAVAILABLE if PERMANENT in kinds else exits.TEMPFAIL if TEMPORARY in kinds else exits.OK

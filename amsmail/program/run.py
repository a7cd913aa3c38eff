"""One run of mailcheck: lock, plan, call, ledger."""

import sys
import time

from amsmail.link import ledger, links
from amsmail.link.dialled import Dialled
from amsmail.program import exits
from amsmail.program.alarm import Alarm, mail
from amsmail.program.call import Call
from amsmail.site import config
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, begin_anew, job_sink, new_session
from amsmail.store.delivery import recover
from amsmail.store.locks import Busy
from amsmail.store.seen import resume_all
from amsmail.store.spool import Spool
from amsmail.transport import decisions, outsized, waiting
from amsmail.transport.plan import plan
from amsmail.transport.result import PERMANENT, TEMPORARY


class Run:
    """One run for the mail.cfg at `path`.  `everything`: also messages that a pause holds back; `quiet`: say nothing
    unless a person is needed; `clock` gives the seconds since the epoch, `timer` those that a call lasts.  Raises
    ConfigError, SpoolError and OSError before anything is dialled, nothing after."""

    def __init__(self, path, screen, everything=False, quiet=False, clock=time.time, timer=time.monotonic):
        self._screen, self._everything, self._quiet, self._clock = screen, everything, quiet, clock
        self._timer = timer
        self._site = config.load(path)
        become_owner_of(self._site.spool)
        config.load(path)       # as that user too: the worker will have to
        self.spool = Spool(self._site.spool, self._site.hostname)
        self._log = Log(job_sink("mailcheck", self.spool.state("mailcheck.log")), new_session())
        self._dialled = Dialled(self.spool.state("dialled"))
        self._kept = 0              # messages that wait for another run
        self._troubles = []         # (TEMPORARY or PERMANENT, text), in order

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
                self._clear_up()
                self._call_if_there_is_a_reason()
                waiting.attend(self._site, self.spool, self._log, self._clock(), self._site.queue["warn_after"],
                               self._site.queue["expire_after"])
            except OSError as error:
                self._trouble(TEMPORARY, f"the disk failed: {error}")
        return self._exit_code()

    def plan(self):
        """The Plan for now; nothing is dialled, and nothing changed."""
        return self._plan()

    def _plan(self, tried=(), only=None, fetches=True):
        return plan(self._site, self.spool, self._log, self._clock(), self._everything,
                    ledger.read(self.spool.state("ledger.jsonl")), self._is_up, tried, only, fetches)

    def _is_up(self, name):
        return links.make(self._site.links[name]).is_up()

    def _hang_up_left_behind(self):
        name = self._dialled.left_behind()
        if name is None:
            return
        self._log("hanging-up", link=name, why="an earlier run dialled it and did not end properly")
        settings = self._site.links.get(name)
        if settings and links.make(settings).is_dialled:
            call = self._call_over(name)
            call.hang_up()
            self._troubles += call.troubles
        else:
            self._trouble(PERMANENT, f"link {name} MAY STILL BE UP: an earlier run dialled it and did not end, "
                                     "and mail.cfg does not say any more how to hang it up")
            self._dialled.clear()

    def _clear_up(self):
        recover(self.spool)
        resume_all(self.spool)
        self.spool.tidy(self._site.boxes)
        decisions.obey(self._site, self.spool, self._log)

    def _call_if_there_is_a_reason(self):
        """Makes the calls of the plan, one after the other; what a link that does not come up should have carried is
        planned anew."""
        todo = self._plan()
        self._say_why(todo)
        outsized.hold(self._site, self.spool, self._log, todo)
        if not todo.calls:
            self._screen.say(f"No call: {todo.why_none}.")
        tried, only, fetches = {}, None, True
        while todo.calls:
            first = todo.calls[0]
            if self._make(first):
                tried[first.link] = "it did not come up"
            else:
                tried[first.link] = "it may not carry this"
                only, fetches = todo.without(first.link)
            todo = self._plan(tried, only, fetches)

    def _say_why(self, todo):
        for verdict in todo.verdicts:
            if verdict.why_not:
                self._screen.say(f"Link {verdict.link}: {verdict.why_not}.")

    def _make(self, planned):
        """Makes a PlannedCall, and says whether its link did not come up."""
        self._screen.say(f"To send: {len(planned.messages)} messages, {planned.octets} octets. "
                         f"To fetch from: {', '.join(planned.accounts) or 'no account'}.")
        call = self._call_over(planned.link)
        start = self._clock()
        call.run({"config": self._site.path, "session": self._log.session, "link": planned.link,
                  "messages": planned.messages, "accounts": planned.accounts, "octets_in": planned.octets_in},
                 planned.allowance, start)
        self._troubles += call.troubles
        entry = {"id": self._log.session, "link": planned.link, "why": planned.why, "start": int(start),
                 **call.figures()}
        self._kept += entry["kept"]
        self._log("call", **entry)
        try:
            ledger.write(self.spool.state("ledger.jsonl"), entry)
        except OSError as error:
            self._trouble(TEMPORARY, f"the ledger cannot be written: {error}")
        cost = f" {entry['cost']} {entry['currency']}." if entry["cost"] else ""
        self._screen.say(
            f"Link {entry['link']}: {entry['seconds']} s, {entry['bytes_up']} octets up, {entry['bytes_down']} down."
            f"{cost} Sent {entry['messages_out']}, refused {entry['refused']}, kept {entry['kept']}, "
            f"fetched {entry['messages_in']}.")
        return call.did_not_come_up

    def _tell_postmaster(self, troubles):
        """Tells postmaster what needs a person and was not told yet; gives that."""
        alarm = Alarm(self.spool.state("alarm.json"))
        try:
            news = alarm.news(troubles)
            if news:
                mail(self._site, self.spool, news)
            alarm.remember(troubles)
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
            print(f"mailcheck: {text}", file=sys.stderr)
        kinds = {kind for kind, _ in self._troubles} | ({TEMPORARY} if self._kept else set())
        return exits.UNAVAILABLE if PERMANENT in kinds else exits.TEMPFAIL if TEMPORARY in kinds else exits.OK

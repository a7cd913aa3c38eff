"""A trial call: a link is brought up as mailcheck would, the providers are reached for, and it is hung up again.

It is a Call like any other, with its record, its limits and its way down; only that no mail is carried over it.
"""

import queue
import signal
import subprocess
import threading
import time
from datetime import datetime

from amsmail.link import choice, diallers, ledger, presence, tariff
from amsmail.link.failures import TRIAL
from amsmail.program import apart
from amsmail.program.call import Call
from amsmail.program.run import Run
from amsmail.program.screen import Screen
from amsmail.site import exits, windows
from amsmail.site.config_error import no_such
from amsmail.site.resolve import ResolveError, addresses
from amsmail.store.locks import Busy
from amsmail.transport.connect import targets
from amsmail.transport.reach import Unreached, connected
from amsmail.transport.result import PERMANENT, TEMPORARY, Result

_PATIENCE = 30          # seconds for a connection; a satellite's round trip takes two
_GRACE = 5              # seconds more for its name

# What to do where a link does not come up, by the name of a diallers.Reason.
_ADVICE = {
    diallers.BUSY.name: "Try again in a few minutes; with --attempts 3 a call dials up to three times.",
    diallers.NO_CARRIER.name: "Look at the number or the access point (APN), the antenna and the signal, and whether "
                              "the provider is down; then try again.",
    diallers.NO_DIALTONE.name: "Plug the line in, and see that no telephone on it is off the hook.",
    diallers.WRONG_PASSWORD.name: "Set the user name and the password as the provider gave them: mailcheckcfg link set "
                                  "{link} --password-stdin, or where the dialler keeps them; with a SIM, its PIN.",
    diallers.NO_ROUTE.name: "The line came up and is of no use yet: look whether the provider gives an address (the "
                            "dialler's log says so), and whether probe looks at the right thing.",
    diallers.NOT_THERE.name: "Look whether the entry, the device and the dialler's program are there, and are called "
                             "so.",
    diallers.TIMED_OUT.name: "If it needs longer by nature: mailcheckcfg link set {link} --up-limit 300.",
    diallers.FAILED.name: "What the dialler said stands above; its own log may say more.",
}
_UNREACHED = ("The link came up, but not everything is reached over it: see that host, port and tls are what the "
              "provider says, and that names can be looked up over this link.")


def run(path, name):
    """A trial call over the link `name` of the mail.cfg at `path`, told on standard output.  Gives the exit code.
    Raises ConfigError, SpoolError and OSError before anything is dialled, nothing after."""
    return Trial(path, name, _print).run()


def _print(text):
    """Says it at once.  Where nobody listens any more, the call goes on to its end in order all the same."""
    try:
        print(text, flush=True)
    except OSError:
        return


def run_apart(path, name):
    """The same in a process of its own, for a program that goes on after it: mail is carried as the user that the spool
    belongs to, and nobody becomes root again."""
    # Ctrl-C reaches it, too: it hangs up, and we wait for that.  A handler, unlike SIG_IGN, is not inherited.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(apart.command("mailcheckcfg", "link", "try", name, "--config", path),
                              check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)


class _Aloud(Screen):
    """What a Call says, said by `say`."""

    def __init__(self, say):
        super().__init__(True)
        self._say = say

    def say(self, text):
        self._say(text)


class Trial(Run):
    """One trial call over the link `name`; `say(text)` is told each step, and raises nothing."""

    def __init__(self, path, name, say, clock=time.time, timer=time.monotonic):
        super().__init__(path, _Aloud(say), clock=clock, timer=timer)
        if name not in self._site.links:
            raise no_such(self._site.path, "links", "link", name, self._site.links)
        self._name, self._settings, self._say = name, self._site.links[name], say
        self._call = self._reaching = None
        self._dials_since = None        # when the attempt began that brought it up; None: it was up already

    def run(self):
        """Gives the exit code."""
        try:
            lock = self.spool.lock("mailcheck")
        except Busy:
            self._say("A mailcheck is running now, and may use this link: try again when it has ended.")
            return exits.TEMPFAIL
        with lock:
            try:
                for left in self._dialled.left_behind():
                    self._say(f"An earlier run left link {left} up: it is hung up first.")
                self._hang_up_left_behind()
                self._close_bills()
                if not self._troubles:
                    self._try()
            except OSError as error:
                self._trouble(TEMPORARY, f"the disk failed: {error}")
        for _, text in self._troubles:
            self._say(f"{text[:1].upper()}{text[1:]}.")
        kinds = {kind for kind, _ in self._troubles}
        return exits.UNAVAILABLE if PERMANENT in kinds else exits.TEMPFAIL if kinds else exits.OK

    def _try(self):
        """Makes the call, if the budget leaves any."""
        now = self._clock()
        verdict = self._verdict(now)
        if verdict.why_not:
            self._trouble(TEMPORARY, f"no call: {verdict.why_not}")
            return
        if not windows.parse(self._settings["windows"]).is_open(datetime.fromtimestamp(now).astimezone()):
            self._say(f"Its windows, {self._settings['windows']}, are closed now: mailcheck would not call.")
        self._call = Call(self._name, self._settings, self._dialled, self._step, self._screen, self._timer, self._reach)
        entry = {"id": self._log.session, "link": self._name, "why": "a trial call", "start": int(now)}
        line = self._begin_bill({**entry, **self._call.figures()})
        if line is None and self._settings["budget"]:
            self._trouble(PERMANENT, "no call: the ledger cannot be written, so a budget cannot be kept; look whether "
                                     "the disk is full")
            return
        begun = self._timer()
        self._call.run({}, verdict.allowance, now)
        self._write_down(line, {**entry, **self._call.figures(), "start": self._dated(now, self._timer() - begun)})
        self._troubles += self._call.troubles
        if self._call.did_not_come_up:
            self._troubles.append((TEMPORARY, _ADVICE[self._call.reason.name].format(link=self._name).rstrip(".")))
        elif self._reaching and self._reaching.failed:
            self._troubles.append((TEMPORARY, _UNREACHED.rstrip(".")))

    def _verdict(self, now):
        """What there is to say of a call over the link now, whatever its windows and classes are."""
        settings = {**self._settings, "windows": "", "classes": [choice.NORMAL, choice.URGENT]}
        found, _ = choice.choose({self._name: settings}, [], True, now, ledger.read(self._ledger),
                                 {self._name: self._look(self._name)}, rests=False)
        return found[0]

    # What is told of it while it goes on

    def _step(self, event, **values):
        """What the Call logs, and in words what of it a person wants to know."""
        self._log(event, **values)
        if event == "dials":
            self._dials_since = self._timer()
        elif event == "link-down" and self._dials_since is not None:
            self._say("Hung up.")

    def _reach(self, _job):
        """The link is up: says so, and begins to reach for the providers."""
        interface = self._call.interface()
        address = presence.address(interface) if interface else ""
        where = f", by interface {interface}" + (f" with address {address}" if address else "") if interface else ""
        if self._settings["type"] in ("always", "present"):
            self._say(f"Link {self._name} is there{where}; it is never dialled.")
        elif self._dials_since is None:
            self._say(f"Link {self._name} was up already{where}; it stays up.")
        else:
            self._say(f"It came up in {self._timer() - self._dials_since:.1f} s{where}.")
        wanted = targets(self._site)
        if not wanted:
            self._say("mail.cfg names neither a relay nor an account, so there is nobody to reach over it.")
        self._reaching = _Reaching([(who, *target) for target, who in wanted.items()], self._say)
        return self._reaching

    # What it cost

    def _write_down(self, line, entry):
        """Fills the Line of the ledger in, or adds one where there is none yet."""
        entry["outcome"] = TRIAL + entry["outcome"]
        self._log("call", **entry)
        self._end_bill(line, entry)
        octets = entry["bytes_up"] + entry["bytes_down"]
        cost = f"cost {entry['cost']} {entry['currency']} by the tariff" if entry["cost"] else "cost nothing by use"
        self._say(f"What may be charged lasted {entry['seconds']} s"
                  + (f", carried {octets} octets" if octets else "") + f", and {cost}.")
        if tariff.make(self._settings).per_mb and entry["bytes_are"] != "interface":
            self._say("The link has no interface that counts octets, so those of this call are not among it.")


class _Reaching:
    """What a Call has instead of a Worker: a connection to each of `targets`, all at the same time, given up at once
    when it stands.  `say(text)` is told of each; `failed` says whether one was not reached."""

    def __init__(self, targets, say):
        self.ended_because, self.failed = "", False
        self._say = say
        self._waits_for = {who: (host, port) for who, host, port in targets}
        self._news = queue.SimpleQueue()        # its put() may interrupt its get(): end() comes from a signal
        for target in targets:
            threading.Thread(target=self._reach, args=target, daemon=True).start()

    def events(self):
        """The figures of a session with each that is not reached, as a Worker has them."""
        until = time.monotonic() + _PATIENCE + _GRACE
        while self._waits_for:
            try:
                who, reached, why = self._news.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                who, reached, why = next(iter(self._waits_for)), "", f"no answer within {_PATIENCE} s"
            if self.ended_because:
                return
            host, port = self._waits_for.pop(who)
            if why:
                self.failed = True
                result = Result(who)
                result.fail(TEMPORARY, f"{host} port {port} cannot be reached: {why}")
                yield result.figures()
            else:
                self._say(f"Reached: {who}, {host} port {port}, {reached}.")

    def _reach(self, who, host, port):
        """In a thread of its own: a name server that is silent cannot be broken off."""
        begun = time.monotonic()
        try:
            with connected(addresses(host), port, _PATIENCE) as connection:
                reached = (f"at {connection.getpeername()[0]} in {time.monotonic() - begun:.1f} s, from "
                           f"{connection.getsockname()[0]}")
        except (ResolveError, Unreached, OSError) as error:     # OSError: it stood, and was gone at once
            self._news.put((who, "", str(error)))
        else:
            self._news.put((who, reached, ""))

    def wait(self):
        """As of a Worker: it ended well."""
        return 0

    def end(self, why):
        """Nothing more is waited for."""
        self.ended_because = self.ended_because or why
        self._news.put(("", "", ""))

    def kill(self):
        """The same; the threads end by themselves."""
        self.end("broken off")

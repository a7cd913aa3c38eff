"""Links: what must be brought up before a provider can be reached, and down again afterwards.

All kinds have up(), down(), is_up(), interface(), octets(), and is_dialled, which says whether up() may cost anything.
"""

import math
import shutil
import time

from amsmail.link import command, counters, diallers, presence
from amsmail.link.diallers import FAILED, NO_ROUTE, NOT_THERE, TIMED_OUT
from amsmail.wire.text import printable

_SHOWN = 300            # characters of what a command said, in a message
_POLL = 0.5             # seconds between two looks at whether a link is usable, or gone
_QUESTION_LIMIT = 20    # seconds that a program has to say whether a link is up

# For settings that lack a key.
_DEFAULTS = {"entry": "", "user": "", "password": "", "password_command": (), "apn": "", "attempts": 1, "pause": 30,
             "up_limit": 120, "probe": "", "up": (), "down": ()}


class LinkError(Exception):
    """The link did not come up or down; the message says why, in words for a person, and holds no password.  `reason`
    is one of the Reasons of diallers.py."""

    def __init__(self, message, reason=FAILED):
        super().__init__(message)
        self.reason = reason


class _Link:
    """What all links have in common."""

    is_dialled = False

    def __init__(self, settings):
        self._settings = {**_DEFAULTS, **settings}
        self._probe = self._settings["probe"]

    def interface(self):
        """The name of the network interface that the link is, or None where that is not known."""
        return presence.interface(self._probe)

    def octets(self):
        """(received, sent) octets that the link's interface counted so far, or None where nothing counts."""
        name = self.interface()
        return counters.octets(name) if name else None

    def down(self):
        """What is not dialled is not hung up."""

    def _is_there(self):
        try:
            return presence.is_there(self._probe)
        except presence.CannotTell as error:
            raise LinkError(str(error), NOT_THERE) from error


class AlwaysLink(_Link):
    """A link that is taken to be there: it is never dialled and never hung up."""

    def is_up(self):
        return True

    def up(self):
        """There is nothing to do."""


class PresentLink(_Link):
    """A link that is there or not (a marina's Wi-Fi, what somebody else brings up), as its probe says.  It is never
    dialled and never hung up."""

    def is_up(self):
        """Whether it is there now.  Raises LinkError where the probe cannot tell."""
        return self._is_there()

    def up(self):
        """Raises LinkError if it is not there."""
        if not self.is_up():
            raise LinkError(f"the link is not there: {self._probe} finds nothing", NOT_THERE)


class DialledLink(_Link):
    """A link that a dialler brings up and down.

    `dials(attempt)` is told of each attempt, 1 the first, and gives how many seconds there are for it; where it raises
    LinkError there is none.
    `report(attempt, error)` is told of each that failed; `sleep` and `clock` are those of `time`.
    `is_ours` says whether down() hangs up: not after an up() that found the link up from somebody else's hand.
    """

    is_dialled = True

    def __init__(self, dialler, settings, report, sleep, clock, dials):
        super().__init__(settings)
        self._dials = dials
        self._dialler, self._report, self._sleep, self._clock = dialler, report, sleep, clock
        self._limit = self._settings["up_limit"]
        self._secrets = [self._settings["password"]] if self._settings["password"] else []
        self._interface = None
        self.is_ours = True

    def is_up(self):
        """Whether the link is up, by whomever, as far as its program or its probe can tell.  Raises LinkError where the
        probe cannot be made."""
        told = self._dialler.is_up(self._settings, self._ask)
        return bool(self._probe) and self._is_there() if told is None else told

    def up(self):
        """Brings it up, in as many attempts as there are to be, unless it is up already.

        Each attempt has up_limit seconds.  What failed may have left a line half open, so it is hung up before another
        attempt; after the last one that is for the caller, who calls down() whatever became of up().  Raises LinkError.
        """
        if self.is_up():
            self.is_ours = False
            return
        self._look_for_what_hangs_up()
        password = self._password()
        for attempt in range(1, self._settings["attempts"] + 1):
            failure = self._attempt(password, min(self._limit, self._dials(attempt)))
            if failure is None:
                return
            self._report(attempt, failure)
            if not failure.reason.again or attempt == self._settings["attempts"]:
                break
            self._hang_up_half_open(attempt)
            self._sleep(self._settings["pause"])
        raise LinkError(f"{attempt} attempts, the last: {failure}", failure.reason) if attempt > 1 else failure

    def down(self):
        """Brings it down, if it is ours.  Raises LinkError."""
        if self.is_ours:
            self._hang_up()

    def interface(self):
        """As of each link: from its probe, or as its program says while it is up."""
        self._interface = (super().interface() or self._interface
                           or self._dialler.interface(self._settings, "", self._ask))
        return self._interface

    # The way up

    def _look_for_what_hangs_up(self):
        """What cannot be hung up must not be dialled."""
        program = self._dialler.down(self._settings)[0]
        if shutil.which(program) is None:
            raise LinkError(f"the command that brings the link down cannot be started: {program}: not found, or not "
                            "executable; so it is not brought up", NOT_THERE)

    def _attempt(self, password, limit):
        """Why it did not come up within `limit` seconds, a LinkError, or None."""
        until = self._clock() + limit
        try:
            words = self._up_words(password)
            outcome = self._run("up", words, limit, self._dialler.given(password))
            if outcome.code:
                raise self._error("up", words[0], outcome, self._dialler.reason(outcome.code, outcome.said))
            self._interface = self._dialler.interface(self._settings, outcome.said, self._ask)
            self._wait_until_usable(until, limit)
        except LinkError as error:
            return error
        return None

    def _up_words(self, password):
        try:
            return self._dialler.up(self._settings, password)
        except ValueError as error:
            raise LinkError(str(error), NOT_THERE) from None

    def _wait_until_usable(self, until, limit):
        """Waits until the probe finds it or, without one, its interface has an address.  Raises LinkError."""
        while not self._is_usable():
            if self._clock() >= until:
                seen = self._probe or f"interface {self._interface}"
                raise LinkError(f"the link came up, but {NO_ROUTE.words} (looked for {round(limit, 1):g} s at: {seen})",
                                NO_ROUTE)
            self._sleep(_POLL)

    def _is_usable(self):
        if self._probe:
            return self._is_there()
        try:
            return self._interface is None or presence.has_address(self._interface)
        except presence.CannotTell:
            return True         # then the program's word must do

    def _password(self):
        """The password for the dialler, '' where there is none or it has no use for one.  Raises LinkError."""
        words = self._settings["password_command"]
        if not self._dialler.takes_password or not words:
            return self._settings["password"]
        try:
            outcome = command.run(words, self._limit, errors=False)
            why = f"ended with code {outcome.code}" if outcome.code else ""
        except command.NotStarted as error:
            raise LinkError(f"the command that prints the password cannot be started: {error}", NOT_THERE) from None
        except command.TookTooLong:
            why = f"did not end within {self._limit} s"
        lines = [] if why else outcome.said.splitlines()
        if not why and not (outcome.is_whole and lines and lines[0]):
            why = "printed none"
        if why:
            raise LinkError(f"the command that prints the password {why}: {words[0]}")
        self._secrets.append(lines[0])
        return lines[0]

    # The way down

    def _hang_up_half_open(self, attempt):
        try:
            self._hang_up()
        except LinkError as error:
            self._report(attempt, error)

    def _hang_up(self):
        """Raises LinkError unless the dialler says that the link is down."""
        self._interface = None
        words, until = self._dialler.down(self._settings), self._clock() + self._limit
        while True:
            outcome = self._run("down", words, self._limit)
            if any(text in outcome.said for text in self._dialler.is_down):
                return
            if outcome.code:
                raise self._error("down", words[0], outcome, FAILED)
            if not self._dialler.until_gone:
                return
            if self._clock() >= until:
                raise _too_long("down", self._limit, TIMED_OUT)
            self._sleep(_POLL)

    # Commands

    def _run(self, way, words, limit, given=b""):
        """The Outcome of a command that brings the link up or down.  Raises LinkError where there is none within
        `limit` seconds."""
        try:
            return command.run(words, limit, given, english=self._dialler.english)
        except command.NotStarted as error:
            raise LinkError(f"the command that brings the link {way} cannot be started: {error}", NOT_THERE) from None
        except command.TookTooLong as error:
            reason = self._dialler.reason(None, error.said)
        raise _too_long(way, limit, TIMED_OUT if reason == FAILED else reason, words[0])

    def _error(self, way, program, outcome, reason):
        said = self._shown(outcome.said)
        return LinkError(f"the link did not come {way}: " + ("" if reason == FAILED else f"{reason.words}: ")
                         + f"{program} ended with code {outcome.code}" + (f" and said: {said}" if said else ""), reason)

    def _shown(self, said):
        """What a command said, as it may stand in a log: without passwords, on one line, its end, and nothing
        that could move a cursor."""
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return printable(" ".join(self._dialler.shown(said).split()))[-_SHOWN:]

    def _ask(self, words):
        """What a program that was asked something says; '' where it fails, for then the link is not up by it."""
        try:
            outcome = command.run(words, min(self._limit, _QUESTION_LIMIT), english=self._dialler.english)
        except (command.NotStarted, command.TookTooLong):
            return ""
        return "" if outcome.code else outcome.said


def _too_long(way, limit, reason, program=""):
    return LinkError(f"the link did not come {way} within {round(limit, 1):g} s"
                     + ("" if reason == TIMED_OUT else f": {reason.words}")
                     + (f": {program} was ended" if program else ""), reason)


def _unheard(_attempt, _error):
    """What is told of attempts that failed where nobody listens: the last failure is raised anyway."""


def _unhurried(_attempt):
    """As long as an attempt may take by itself."""
    return math.inf


_UNDIALLED = {"always": AlwaysLink, "present": PresentLink}


def make(settings, report=_unheard, sleep=time.sleep, clock=time.monotonic, dials=_unhurried):
    """The link that a section of mail.cfg describes; see DialledLink for what else it may be given."""
    kind = settings["type"]
    if kind in _UNDIALLED:
        return _UNDIALLED[kind](settings)
    return DialledLink(diallers.TABLE[kind], settings, report, sleep, clock, dials)

"""amsd's clock: starts mailcheck at the minutes that [calls] schedule of mail.cfg names, on machines without cron."""

import subprocess
import threading
import time
from datetime import datetime, timedelta

from amsmail.program import apart
from amsmail.site import config
from amsmail.site.config import ConfigError
from amsmail.site.log import Log, new_session, to_stderr

_MINUTE = timedelta(minutes=1)
_LAST_WORDS = 60            # seconds for a mailcheck that is to end: it hangs up


class Schedule:
    """Runs in a thread of its own between start() and stop().  `command` is what is run, a list of words without the
    path of mail.cfg; `clock` gives the seconds since the epoch; at least every `look` seconds it looks at mail.cfg and
    the clock again, which may have been changed."""

    def __init__(self, config_path, command, clock=time.time, look=60):
        self._config_path, self._command, self._clock = config_path, command, clock
        self._look = look
        self._log = Log(to_stderr("amsd"), new_session())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._process = None

    def start(self):
        self._thread.start()

    def stop(self):
        """Ends it, and a mailcheck that runs, which hangs up first."""
        self._over.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_LAST_WORDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def _run(self):
        last = self._now()          # the minute that was looked after last
        while not self._over.is_set():
            due, now = self._next(last), self._now()
            if due is not None and due <= now:
                last = now.replace(second=0, microsecond=0)
                self._run_command()
                continue
            self._over.wait(self._look if due is None else min(self._look, (due - now).total_seconds()))
            if due is None or now < last:       # the clock was put back
                last = self._now()

    def _run_command(self):
        """Runs it to its end."""
        try:
            self._process = subprocess.Popen([*self._command, self._config_path], stdin=subprocess.DEVNULL,
                                             start_new_session=True)
        except OSError as error:
            self._log("not-started", command="mailcheck", problem=error)
            return              # the machine may have memory again in the next minute
        self._process.wait()

    def _next(self, last):
        """The first moment on the schedule in a minute after that of `last`; None if there is none."""
        from amsmail.site import windows        # on demand: most sites have cron
        try:
            schedule = config.load(self._config_path).calls["schedule"]
        except ConfigError:
            return None         # each session logs it
        return windows.parse(schedule).opens(last.replace(second=0, microsecond=0) + _MINUTE) if schedule else None

    def _now(self):
        if hasattr(time, "tzset"):      # not on Windows
            time.tzset()                # a ship that crosses into another zone: nobody else tells a process of it
        return datetime.fromtimestamp(self._clock()).astimezone()


def mailcheck():
    """The words of the command that runs mailcheck in silence."""
    return apart.command("mailcheck", "--quiet")

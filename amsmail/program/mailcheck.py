"""mailcheck: sends what is queued and fetches what is waiting, over a link that it brings up and down.  See
docs/mailcheck.8.

Two processes: this one dials, waits and hangs up; a worker, which it starts, talks to the providers.  So the link comes
down whatever becomes of the worker: an error, a kill, a hang.
"""

import os
import sys

from amsmail.program import options
from amsmail.program.ending import ended
from amsmail.program.options import UsageError
from amsmail.program.run import Run
from amsmail.program.screen import Screen
from amsmail.site import libraries
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailcheck [--now] [--quiet | --progress] [mail.cfg]
       mailcheck --plan [--now] [mail.cfg]
       mailcheck --status [mail.cfg]
       mailcheck --release ID | --delete ID ... [mail.cfg]
       mailcheck --report [--month [YYYY-MM]] [--by link|box|day] [--json] [--plot FILE.png] [mail.cfg]
       mailcheck queue [list|hold|release|expire|delete] [--json] [--yes] [ID ...] [--config mail.cfg]
--now        also try messages that wait after a temporary refusal
--quiet      say nothing unless a person is needed: for cron
--progress   show what happens (the way it runs at a terminal)
--plan       say what would be done now, and why; nothing is dialled
--status     say how things stand: queue, held mail, last calls, budgets, plan
--release    fetch a message that is held at its provider, over whatever link
--delete     delete such a message there, unread
--report     what the calls cost: more by `mailcheck --report -h`, and of the queue by `mailcheck queue -h`"""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcheck; gives the exit code."""
    if arguments[:1] == ["queue"]:
        from amsmail.program import queue
        return queue.main(arguments[1:], default_config)
    if "--report" in arguments:
        from amsmail.program import report
        return report.main(arguments, default_config)
    libraries.reach()
    return ended("mailcheck", lambda: _do(*_read(arguments, default_config)))


def _read(arguments, default_config):
    """(the path of mail.cfg, the flags, (option, ID) of what is decided on) of a command line.  Raises UsageError."""
    flags, choices, words = options.parse(
        USAGE, arguments, ("--now", "--quiet", "--progress", "--plan", "--status"), ("--release", "--delete"))
    path = os.path.abspath(options.one_path(words, default_config))
    if len(flags & {"--quiet", "--progress", "--plan", "--status"}) > 1:
        raise UsageError("--quiet, --progress, --plan and --status exclude each other")
    if {"--status", "--now"} <= flags:
        raise UsageError("--now is of no use with --status")
    if choices and flags:
        raise UsageError(f"{choices[0][0]} goes with no other option")
    return path, flags, choices


def _do(path, flags, choices):
    """What the options say; gives the exit code.  Raises ConfigError, SpoolError and OSError."""
    if choices:
        from amsmail.program import held
        return held.decide(path, choices)
    if flags & {"--plan", "--status"}:
        from amsmail.program import situation
        return situation.plan(path, "--now" in flags) if "--plan" in flags else situation.status(path)
    shows = "--progress" in flags or "--quiet" not in flags and sys.stderr.isatty()
    return Run(path, Screen(shows), "--now" in flags, "--quiet" in flags).run()

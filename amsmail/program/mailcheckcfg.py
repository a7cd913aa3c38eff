"""mailcheckcfg: the links that mailcheck calls over, which of them are used now, what they cost, and a trial call.  See
docs/mailcheckcfg.8."""

from amsmail.program.ending import ended
from amsmail.site import libraries
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailcheckcfg [mail.cfg]
       mailcheckcfg link [list | add NAME | set NAME] [--KEY VALUE ...]
       mailcheckcfg link add|set NAME [--password-stdin]
       mailcheckcfg link rename OLD NEW       mailcheckcfg link delete NAME
       mailcheckcfg link use [NAME ... | any]
       mailcheckcfg link try NAME
       mailcheckcfg calls [list | set --KEY VALUE ...]
       mailcheckcfg price [NAME ...] [--out OCTETS] [--in OCTETS]
use             the links to call over now, the first one first; any: all of
                them, by priority
try             a trial call: dials, reaches for the providers, hangs up; it
                costs what a call costs
price           what a call is expected to cost that sends and fetches so much
--config FILE   another mail.cfg      --dry-run   only show what would change
--json          list for machines
--KEY           as in mail.cfg(5), with hyphens: --per-minute
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcheckcfg; gives the exit code."""
    libraries.reach()       # before what needs them is imported
    return ended("mailcheckcfg", lambda: _do(arguments, default_config))


def _do(arguments, default_config):
    """What the words say; gives the exit code.  Raises ConfigError, SpoolError and OSError."""
    from amsmail.program import configuring
    if configuring.is_dialogue(arguments):
        from amsmail.program import mailcheckcfg_dialogue
        return mailcheckcfg_dialogue.run(arguments[0] if arguments else default_config)
    from amsmail.program import mailcheckcfg_commands
    return mailcheckcfg_commands.run(arguments, USAGE, default_config)

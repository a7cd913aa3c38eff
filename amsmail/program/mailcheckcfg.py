"""mailcheckcfg: the links that mailcheck calls over, which of them are used now, what they cost, and a trial call.  See
docs/mailcheckcfg.8."""

import os
import sys

from amsmail.program import exits
from amsmail.site import libraries
from amsmail.site.config import DEFAULT_PATH
from amsmail.site.config_error import ConfigError
from amsmail.store.spool import SpoolError

USAGE = """usage: mailcheckcfg [mail.cfg]
       mailcheckcfg link [list | add NAME | set NAME | rename OLD NEW | delete NAME] [--KEY VALUE ...]
       mailcheckcfg link add|set NAME [--password-stdin]
       mailcheckcfg link use [NAME ... | any]
       mailcheckcfg link try NAME
       mailcheckcfg calls [list | set --KEY VALUE ...]
       mailcheckcfg price [NAME ...] [--out OCTETS] [--in OCTETS]
use             the links to call over now, the first one first; any: all, by priority
try             a trial call: dials, reaches for the providers, hangs up; it costs what a call costs
price           what a call is expected to cost that sends and fetches so much mail
--config FILE   another mail.cfg        --dry-run   only show what would change
--json          list for machines       --KEY       as in mail.cfg(5), with hyphens: --per-minute
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcheckcfg; gives the exit code."""
    libraries.reach()       # before what needs them is imported
    try:
        if not arguments or len(arguments) == 1 and os.path.isabs(arguments[0]):
            from amsmail.program import mailcheckcfg_dialogue
            return mailcheckcfg_dialogue.run(arguments[0] if arguments else default_config)
        from amsmail.program import mailcheckcfg_commands
        return mailcheckcfg_commands.run(arguments, USAGE, default_config)
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG
    except SpoolError as error:
        print(f"mailcheckcfg: {error}", file=sys.stderr)
        return exits.CONFIG
    except OSError as error:
        print(f"mailcheckcfg: the spool cannot be used: {error}", file=sys.stderr)
        return exits.TEMPFAIL

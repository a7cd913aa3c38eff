"""mailcheckcfg: the links that mailcheck calls over, which of them are used now, what they cost, and a trial call.  See
docs/mailcheckcfg.8."""

from amsmail.program import configuring
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailcheckcfg [mail.cfg]
       mailcheckcfg link [list]
       mailcheckcfg link add|set NAME [--KEY VALUE ...] [--password-stdin]
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
--json          list for machines: list, use, price
--KEY           as in mail.cfg(5), with hyphens: --per-minute
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcheckcfg; gives the exit code."""
    return configuring.run("mailcheckcfg", USAGE, arguments, default_config)

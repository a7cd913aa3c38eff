"""mailtransportcfg: the provider's server that takes our mail, and the accounts that are fetched.  See
docs/mailtransportcfg.8."""

from amsmail.program import configuring
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailtransportcfg [mail.cfg]
       mailtransportcfg relay [list | set | test | remove]
       mailtransportcfg account [list | add NAME | set NAME | test [NAME]]
           set, add: [--KEY VALUE ...] [--password-stdin]
                     [--provider NAME] [--address ADDRESS [--yes]]
       mailtransportcfg account rename OLD NEW | delete NAME
       mailtransportcfg import fetchmailrc|getmailrc|mpoprc FILE
       mailtransportcfg provider [list | show NAME] [--json]
       mailtransportcfg discover ADDRESS [--json]
--config FILE   another mail.cfg; provider and discover need none
--dry-run       only show what would change
--json          list, or tell of tests, for machines
--KEY           as in mail.cfg(5), with hyphens: --ca-file
--yes           yes, that server in another domain than the address may get
                the password
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailtransportcfg; gives the exit code."""
    return configuring.run("mailtransportcfg", USAGE, arguments, default_config)

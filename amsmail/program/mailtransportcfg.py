"""mailtransportcfg: the provider's server that takes our mail, and the accounts that are fetched.  See
docs/mailtransportcfg.8."""

import os
import sys

from amsmail.program import exits
from amsmail.site import libraries
from amsmail.site.config import DEFAULT_PATH
from amsmail.site.config_error import ConfigError

USAGE = """usage: mailtransportcfg [mail.cfg]
       mailtransportcfg relay [list | set ... | test | remove]   with the options of account
       mailtransportcfg account [list | add NAME | set NAME | rename OLD NEW | delete NAME | test [NAME]]
                        [--KEY VALUE ...] [--provider NAME] [--address ADDRESS] [--password-stdin] [--yes]
       mailtransportcfg provider [list | show NAME] [--json]
       mailtransportcfg discover ADDRESS [--json]
       mailtransportcfg import fetchmailrc|getmailrc|mpoprc FILE
--config FILE   another mail.cfg        --dry-run   only show what would change
--json          list for machines       --KEY       as in mail.cfg(5), with hyphens: --ca-file
--yes           yes, that server in another domain than the address may get the password
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailtransportcfg; gives the exit code."""
    libraries.reach()       # before what needs them is imported
    try:
        if not arguments or len(arguments) == 1 and os.path.isabs(arguments[0]):
            from amsmail.program import mailtransportcfg_dialogue
            return mailtransportcfg_dialogue.run(arguments[0] if arguments else default_config)
        from amsmail.program import mailtransportcfg_commands
        return mailtransportcfg_commands.run(arguments, USAGE, default_config)
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG
    except KeyboardInterrupt:       # in a trial that takes long
        print(file=sys.stderr)
        return exits.TEMPFAIL

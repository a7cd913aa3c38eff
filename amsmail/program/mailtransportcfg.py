"""mailtransportcfg: the provider's server that takes our mail, and the accounts that are fetched.  See
docs/mailtransportcfg.8."""

from amsmail.program.ending import ended
from amsmail.site import libraries
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailtransportcfg [mail.cfg]
       mailtransportcfg relay [list | set | test | remove]
       mailtransportcfg account [list | add NAME | set NAME | test [NAME]]
               both: [--KEY VALUE ...] [--provider NAME] [--address ADDRESS]
                     [--password-stdin] [--yes]
       mailtransportcfg account rename OLD NEW | delete NAME
       mailtransportcfg provider [list | show NAME] [--json]
       mailtransportcfg discover ADDRESS [--json]
       mailtransportcfg import fetchmailrc|getmailrc|mpoprc FILE
--config FILE   another mail.cfg      --dry-run   only show what would change
--json          list for machines
--KEY           as in mail.cfg(5), with hyphens: --ca-file
--yes           yes, that server in another domain than the address may get
                the password
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailtransportcfg; gives the exit code."""
    libraries.reach()       # before what needs them is imported
    return ended("mailtransportcfg", lambda: _do(arguments, default_config))


def _do(arguments, default_config):
    """What the words say; gives the exit code.  Raises ConfigError, SpoolError and OSError."""
    from amsmail.program import configuring
    if configuring.is_dialogue(arguments):
        from amsmail.program import mailtransportcfg_dialogue
        return mailtransportcfg_dialogue.run(arguments[0] if arguments else default_config)
    from amsmail.program import mailtransportcfg_commands
    return mailtransportcfg_commands.run(arguments, USAGE, default_config)

"""mailcfg: the site, its domains, boxes, networks, limits and certificate, passwords, and the doctor.  See
docs/mailcfg.8."""

from amsmail.program import configuring
from amsmail.site.config import DEFAULT_PATH

USAGE = """\
usage: mailcfg [mail.cfg]
       mailcfg new --hostname NAME --domain DOMAIN [--unknown relay|refuse]
               --box BOX [--addresses LIST] [--spool FOLDER]
               [--password-stdin | --password-generate]
       mailcfg site|limits|certificate|queue [list | set --KEY VALUE ...]
       mailcfg domain|box [list | add NAME | set NAME] [--KEY VALUE ...]
       mailcfg domain|box rename OLD NEW       mailcfg domain delete NAME
       mailcfg box|queue ... [--password-stdin | --password-generate]
       mailcfg box lock|unlock NAME
       mailcfg box delete NAME [--mail keep|remove | --mail give --to BOX]
       mailcfg box adopt NAME --to BOX
       mailcfg network [list | add NETWORK | delete NETWORK]
       mailcfg certificate make [--certificate FILE --key FILE]
       mailcfg import passwd|dovecot|htpasswd|csv FILE [--shadow FILE]
       mailcfg import mail SOURCE [--box BOX]
       mailcfg check [--file] [--json] [mail.cfg]
       mailcfg password [--stdin] [--box BOX [--dry-run] [mail.cfg]]
--config FILE   another mail.cfg       --dry-run   only show what would change,
                                                   or come (import mail)
--json          list for machines
--KEY           as in mail.cfg(5), with hyphens: --relay-from for relay_from
Without words it is a dialogue."""


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcfg; gives the exit code."""
    return configuring.run("mailcfg", USAGE, arguments, default_config)

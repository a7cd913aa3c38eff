"""What every part of mailcheck opens first: the site, its spool and its log."""

from amsmail.site import config
from amsmail.site.identity import become_owner_of
from amsmail.site.log import Log, job_sink, new_session
from amsmail.store.spool import Spool


def open_site(path):
    """(the Site, its Spool, the Log) of the mail.cfg at `path`, as the user that the spool belongs to.  Raises
    ConfigError, SpoolError and OSError."""
    site = config.load(path)
    become_owner_of(site.spool)
    spool = Spool(site.spool, site.hostname)
    return site, spool, Log(job_sink("mailcheck", spool.state("mailcheck.log")), new_session())

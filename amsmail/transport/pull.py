"""The pull: fetches an inbound account into drop boxes, by the protocol that mail.cfg says."""

from amsmail.transport.pull_imap import ImapSession
from amsmail.transport.pull_pop3 import Pop3Session
from amsmail.transport.session import result_of

_SESSIONS = {"pop3": Pop3Session, "imap": ImapSession}


def pull(site, spool, name, call, log, progress):
    """Fetches what is new in the account `name` in `call`, a Call, and gives a Result.

    The caller holds the account's lock, and called resume_all() before.  `progress(octets)` is told of octets that
    came.  Raises nothing for what the line, the provider or the disk do: what was not fetched stays at the provider.
    """
    session = _SESSIONS[site.accounts[name]["type"]](site, spool, name, call, log, progress)
    return result_of(session)

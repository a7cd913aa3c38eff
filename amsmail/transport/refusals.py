"""Whether what a server refuses may be granted another time, or a person must do something first."""

from amsmail.protocol import smtp_client
from amsmail.transport.result import PERMANENT, TEMPORARY

# What POP3 (RFC 2449, section 8.1; RFC 3206) and IMAP (RFC 5530) say of a refusal that passes.
_TEMPORARY_CODES = ("[SYS/TEMP]", "[IN-USE]", "[LOGIN-DELAY]", "[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]")


def of_reply(reply):
    """TEMPORARY or PERMANENT, by an SMTP Reply that is no 2xx."""
    return PERMANENT if reply.permanent else TEMPORARY


def of_text(why, text):
    """The same of a session by POP3 or IMAP that failed over `why`, as SessionFailed has it; `text` is what the server
    said.  Who refuses to serve at all is busy, as far as these protocols can say it."""
    is_temporary = why == smtp_client.REFUSED or text.upper().startswith(_TEMPORARY_CODES)
    return TEMPORARY if is_temporary else PERMANENT

"""What was decided on held mail: by a reply to its notice, which smtpd took (only from the message's own box or a
listed network), or by the operator.

A decision is noted durably, and only then its request goes: after a crash in between it is found to be decided by that
request already.  What a reply does not say clearly decides nothing: its box is told what is understood.
"""

import time

from amsmail.site import notices, routing
from amsmail.site.words import in_octets
from amsmail.store.held import DELETE, HELD, RELEASED, HeldMail
from amsmail.store.locks import Busy
from amsmail.store.queue import Queue
from amsmail.store.spool import REQUESTS
from amsmail.transport.holding import reply_address

OPERATOR = "operator"
_WORDS = {"release": RELEASED, "delete": DELETE}
_CAP = 1 << 20          # octets of a reply that are read: what is said stands at its top
_MACHINES = ("bulk", "junk", "list", "auto_reply")      # Precedence, as vacation programs write it

_ANSWER = """\
This is the mail server {hostname}.

Your reply about the large message {id} was not understood:
nothing was fetched or deleted.

    From:     {sender}
    Subject:  {subject}
    Size:     {size}

Reply again, as plain text, with one of these words alone on the first line:

    release     fetch it with the next call, over whatever link that is
    delete      delete it at the provider, unread
"""

_ANSWER_OUTBOUND = """\
This is the mail server {hostname}.

Your reply about your large message {uid}
({size}) was not understood: it still waits.

Reply again, as plain text, with one of these words alone on the first line:

    release     send it with the next call, whatever its size
    delete      cancel it
"""

_LATE = """\
This is the mail server {hostname}.

Your reply about the large message {id} came too late: it was
decided on already, or the provider does not have it any more.
"""


def obey(site, spool, log):
    """Does what the requests ask for that smtpd took.  Nobody else may do so at the same time.  What the disk refuses
    is logged and left for the next run.  Raises OSError if there is no list of them."""
    requests = spool.box(REQUESTS)
    for entry in requests.list():
        try:
            with requests.open(entry) as f:
                text = f.read(_CAP)
            _obey(site, spool, log, entry.uid, text)
            requests.remove(entry)
        except OSError as error:
            log("disk-error", id=entry.uid, problem=error)
        except Busy:
            continue        # somebody has the queue now: the next run does it


def decide(spool, log, message, state, by):
    """Notes durably what becomes of a HeldMessage.  Raises OSError."""
    HeldMail(spool).put(message.but(state=state, by=by))
    log("decided", held=message.id, account=message.account, uid=message.uid, becomes=state, by=by)


def _obey(site, spool, log, uid, text):
    """One request.  Raises OSError."""
    about, _, text = text.partition(b"\n")
    locals_ = about.decode("ascii", "replace").removeprefix("Amsmail-Held: ").casefold().split()
    reply, is_automatic = _parsed(text)
    for local in locals_:
        message = HeldMail(spool).find(local.removeprefix(routing.HELD))
        if is_automatic or message is None or message.by == uid:
            log("request-ignored", id=uid, held=message.id if message else None,
                why="it is automatic" if is_automatic else "it was done" if message else "nothing is held")
        elif message.state != HELD:
            _answer(site, spool, log, uid, message, _LATE)
        elif (state := _WORDS.get(_first_word(reply))) is None:
            _answer(site, spool, log, uid, message, _ANSWER_OUTBOUND if message.is_outbound else _ANSWER,
                    reply_address(site, local.removeprefix(routing.HELD)))
        elif message.is_outbound:
            _send_or_cancel(spool, log, message, state, uid)
        else:
            decide(spool, log, message, state, uid)


def _send_or_cancel(spool, log, message, state, by):
    """Does with a message in the queue what its sender wants.  Raises OSError, and Busy if somebody has the queue."""
    queue = Queue(spool)
    with spool.lock("queue"):
        entry = next((entry for entry in queue.list() if entry.uid == message.uid), None)
        if entry and state == RELEASED:
            queue.release(entry, time.time(), freed=True)
        elif entry:
            queue.remove(entry)
    HeldMail(spool).forget([message])
    log("decided", held=message.uid, becomes=state, by=by)


def _answer(site, spool, log, uid, message, text, reply_to=""):
    words = text.format(hostname=site.hostname, id=message.id, sender=message.sender or "not known",
                        subject=message.subject or "not known", size=in_octets(message.octets), uid=message.uid)
    name = message.uid if message.is_outbound else message.id
    notice = notices.tell(site, spool, message.box, f"About the large mail {name}", words, reply_to)
    log("request-answered", id=uid, held=message.id, notice=notice)


def _parsed(text):
    """(the text of a reply, whether a machine wrote it)."""
    from email import errors, message_from_bytes        # on demand: replies are rare
    found = message_from_bytes(text)
    submitted = str(found.get("Auto-Submitted", "no")).split(";")[0].strip().casefold()
    is_automatic = (submitted != "no" or found.get("Return-Path") == "<>"
                    or str(found.get("Precedence", "")).strip().casefold() in _MACHINES)
    part = next((part for part in found.walk() if part.get_content_type() == "text/plain"), None)
    if part is None or part.is_multipart():
        return "", is_automatic
    try:
        octets = part.get_payload(decode=True) or b""
    except (ValueError, LookupError, errors.MessageError):
        return "", is_automatic
    return octets.decode("utf-8", "replace"), is_automatic     # both words are ASCII


def _first_word(text):
    """The first line that says something: not a quoted one, nor one that only says who is quoted."""
    lines = (line.strip() for line in text.splitlines())
    return next((line.casefold() for line in lines if line and line[0] not in ">|" and line[-1] != ":"), "")

"""Delivery status notifications (RFC 3464, with RFC 3461's fields), as pieces of a message in wire form."""

import re

from amsmail.wire.envelope import path
from amsmail.wire.parameters import from_xtext
from amsmail.wire.value import Value

# How a line of a header begins: with a field's name, behind which may be blanks (RFC 5322, section 4.5), or a blank.
_IN_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]")
_LONGEST = 1 << 10          # octets in which a field's name ends; a line has at most 998 (RFC 5322, section 2.1.1)
_WORDS = {
    "failed": ("Mail could not be delivered",
               "could not be delivered to the following addresses. It will not be tried again."),
    "delayed": ("Mail still waits",
                "could not be sent to the following addresses so far. It need not be sent again:\r\n"
                "this server goes on trying."),
    "relayed": ("Mail was passed on", "was passed on to a mail system that sends no notice of delivery."),
    "delivered": ("Mail was delivered", "was delivered."),
}


class Fate(Value):
    """What became of one recipient: `action` ('failed', 'delayed', 'relayed', 'delivered'), `status` ('5.1.1'),
    `diagnostic`, the SMTP reply as text, '' if there is none, `until` when it is tried, as RFC 5322 has dates, '' if it
    is not tried any more, and `why`, what a person is told besides."""

    __slots__ = ("recipient", "action", "status", "diagnostic", "until", "why")
    defaults = {"until": "", "why": ""}


def report(hostname, to, envelope, fates, identity, notice, dates, original, full, reply_to=""):
    """Yields the notification to the Address `to`, in pieces with CRLF line ends.

    `fates` share one action.  `identity` is the message's identity here, `notice` the notification's; `dates` the date
    of arrival and of now as RFC 5322 has them, `original` yields the message's own pieces in wire form, `full` says
    whether all of it is returned or its header only; `reply_to` is the address to which a reply is to go, if any.
    """
    action = fates[0].action
    subject, sentence = _WORDS[action]
    boundary = "=_" + ".".join(identity.split(".")[:2])     # at most 70 characters (RFC 2046, section 5.1.1)
    arrived, now = dates
    head = [
        f"From: Mail Delivery System <MAILER-DAEMON@{hostname}>",
        f"To: {to}",
        *([f"Reply-To: {reply_to}"] if reply_to else []),
        f"Subject: {subject}",
        f"Date: {now}",
        f"Message-ID: <{notice}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "Content-Transfer-Encoding: 8bit",
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"This is the mail server {hostname}.",
        "",
        f"Your message of {arrived} ({identity})",
        sentence,
        "",
    ]
    for fate in fates:
        head += [f"    {path(fate.recipient.address)}"]
        head += [f"        {_clean(fate.diagnostic)}"] if fate.diagnostic else []
        head += _wrapped(fate.why)
    head += ["", f"--{boundary}", f"Content-Type: message/{'global-' if _is_utf8(fates) else ''}delivery-status", "",
             f"Reporting-MTA: dns; {hostname}"]
    head += [f"Original-Envelope-Id: {from_xtext(envelope.envid)}"] if envelope.envid else []
    head += [f"Arrival-Date: {arrived}", ""]
    for fate in fates:
        head += _fields(fate)
    head += [f"--{boundary}", f"Content-Type: {'message/rfc822' if full else 'text/rfc822-headers'}",
             "Content-Transfer-Encoding: 8bit", "", ""]
    yield "\r\n".join(head).encode()
    for piece in original if full else header_of(original):
        yield piece
    yield f"\r\n--{boundary}--\r\n".encode()       # this line end belongs to the boundary (RFC 2046, section 5.1.1)


def _fields(fate):
    """The fields of one recipient (RFC 3464, section 2.3)."""
    address = str(fate.recipient.address)
    kind = "rfc822" if address.isascii() else "utf-8"
    original, _, wanted = fate.recipient.orcpt.partition(";")
    fields = [f"Original-Recipient: {original}; {from_xtext(wanted)}"] if original else []
    fields += [f"Final-Recipient: {kind}; {address}", f"Action: {fate.action}", f"Status: {fate.status}"]
    fields += [f"Diagnostic-Code: smtp; {_clean(fate.diagnostic)}"] if fate.diagnostic else []
    fields += [f"Will-Retry-Until: {fate.until}"] if fate.until else []
    return [*fields, ""]


def _wrapped(text):
    """Words for a person, in lines."""
    from textwrap import wrap       # on demand: most notifications have none
    return wrap(text, 72, initial_indent=" " * 8, subsequent_indent=" " * 8, break_long_words=False,
                break_on_hyphens=False)


def _clean(text):
    """What a server said, fit for a header field and a person's eyes: printable, and not longer than a line may be."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:900]


def _is_utf8(fates):
    return not all(fate.recipient.address.is_ascii for fate in fates)


def header_of(pieces):
    """The header out of a message's pieces: up to the blank line, or up to the first line that is no field and does not
    go on with one (RFC 5322, section 2.1 and 2.2), where a message without a blank line has its text."""
    held, inside = b"", False       # inside: the line that begins with `held` was begun before, and belongs to it
    for piece in pieces:
        *lines, held = (held + piece).split(b"\r\n")
        for line in lines:
            if not inside and not _IN_HEADER.match(line):
                return
            yield line + b"\r\n"
            inside = False
        if len(held) > _LONGEST:
            if not inside and not _IN_HEADER.match(held):
                return
            yield held[:-1]         # a CR may be the first half of a line end
            held, inside = held[-1:], True
    if inside or _IN_HEADER.match(held):
        yield held

"""What this site tells its people: delivery status notifications to senders, and notices to boxes."""

import time

from amsmail.site import routing
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.site.dates import rfc5322
from amsmail.wire.report import report

_FULL_OCTETS = 100_000      # a larger message is returned as its header: its sender has it

# The word of NOTIFY for each action.
_WORDS = {"failed": "FAILURE", "delayed": "DELAY", "relayed": "SUCCESS", "delivered": "SUCCESS"}


def wanted(recipient, action):
    """Whether the sender wants to hear of this (RFC 3461, section 4.1); without NOTIFY, of failures and delays."""
    words = recipient.notify.split(",") if recipient.notify else ["FAILURE", "DELAY"]
    return _WORDS[action] in words


def send(site, spool, envelope, fates, identity, size, original, reply_to=""):
    """Delivers one notification about the `fates` that are wanted, and gives its identity; None if there is none to
    send.

    It goes to the sender's box.  A failure that has no sender here (the null path, a stranger) goes to postmaster's; a
    success or a delay without one is not told.  Only a failure returns more than the header (RFC 3461, section 4.3).
    `original()` gives the message's pieces in wire form; `reply_to` as in `tell`.  Raises OSError.
    """
    fates = [fate for fate in fates if wanted(fate.recipient, fate.action)]
    if not fates:
        return None
    leads = envelope.sender and routing.route(site, envelope.sender, may_relay=False)
    box = leads.name if isinstance(leads, routing.ToBox) else None
    if box is None and fates[0].action != "failed":
        return None
    uid = new_uid(site.hostname)
    to = envelope.sender if box else f"postmaster@{routing.own_domain(site)}"
    full = fates[0].action == "failed" and size <= _FULL_OCTETS and envelope.ret != "HDRS"
    dates = rfc5322(envelope.arrival), rfc5322(time.time())
    pieces = report(site.hostname, to, envelope, fates, identity, uid, dates, original(), full, reply_to)
    return _deliver(spool, uid, box or site.postmaster, pieces)


def tell(site, spool, box, subject, text, reply_to=""):
    """Delivers a mail from the postmaster of this site to a box, and gives its identity.  `subject` is ASCII, `text`
    has LF line ends, and `reply_to` is the address to which a reply is to go, '' for the postmaster's.  Raises
    OSError."""
    uid = new_uid(site.hostname)
    head = [
        f"From: Postmaster <postmaster@{routing.own_domain(site)}>",
        f"To: {address_of(site, box)}",
        *([f"Reply-To: {reply_to}"] if reply_to else []),
        f"Subject: {subject}",
        f"Date: {rfc5322(time.time())}",
        f"Message-ID: <{uid}@{site.hostname}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
    ]
    lines = [*head, *text.rstrip("\n").split("\n"), ""]
    return _deliver(spool, uid, box, ["\r\n".join(lines).encode("utf-8", "replace")])


def address_of(site, box):
    """An address of a box, as text."""
    return next((address for address, owner in site.addresses.items() if owner == box),
                f"{box}@{routing.own_domain(site)}")


def _deliver(spool, uid, box, pieces):
    """Delivers a mail from nobody.  Raises OSError."""
    delivery = Delivery(spool, uid, [box], b"Return-Path: <>\n")
    try:
        for piece in pieces:
            delivery.write(piece)
        delivery.seal()
        delivery.commit()
    except BaseException:
        delivery.abort()
        raise
    return delivery.uid

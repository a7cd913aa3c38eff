"""Delivery status notifications to the senders of this site."""

import time

from amsmail.site import routing
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.site.dates import rfc5322
from amsmail.wire.report import report

_FULL_OCTETS = 100_000      # a larger message is returned as its header: its sender has it


def wanted(recipient, action):
    """Whether the sender wants to hear of this (RFC 3461, section 4.1); without NOTIFY, of failures only."""
    words = recipient.notify.split(",") if recipient.notify else ["FAILURE"]
    return ("FAILURE" if action == "failed" else "SUCCESS") in words


def send(site, spool, envelope, fates, identity, size, original):
    """Delivers one notification about the `fates` that are wanted, and gives its identity; None if there is none to
    send.

    It goes to the sender's box.  A failure that has no sender here (the null path, a stranger) goes to postmaster's; a
    success without one is not told.  `original()` gives the message's pieces in wire form.  Raises OSError.
    """
    fates = [fate for fate in fates if wanted(fate.recipient, fate.action)]
    if not fates:
        return None
    leads = envelope.sender and routing.route(site, envelope.sender, may_relay=False)
    box = leads.name if isinstance(leads, routing.ToBox) else None
    if box is None and fates[0].action != "failed":
        return None
    uid = new_uid(site.hostname)
    delivery = Delivery(spool, uid, [box or site.postmaster], b"Return-Path: <>\n")
    try:
        to = envelope.sender if box else f"postmaster@{next(iter(site.domains))}"
        full = size <= _FULL_OCTETS and envelope.ret != "HDRS"
        dates = rfc5322(envelope.arrival), rfc5322(time.time())
        for piece in report(site.hostname, to, envelope, fates, identity, uid, dates, original(), full):
            delivery.write(piece)
        delivery.seal()
        delivery.commit()
    except BaseException:
        delivery.abort()
        raise
    return delivery.uid

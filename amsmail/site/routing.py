"""Where an address leads: to a drop box, to the outbound queue, or nowhere.

Beside those of mail.cfg there is an address for each message that is held (store/held.py): held+TOKEN at any domain of
the site, and at its own name.  A reply to it decides what becomes of the message.
"""

from amsmail.wire.reply import Reply
from amsmail.wire.value import Value


HELD = "held+"
_TOKEN = "abcdefghijklmnopqrstuvwxyz234567", 32     # characters, and how many


class ToBox(Value):
    """Into the drop box `name`."""

    __slots__ = ("name",)


class ToQueue(Value):
    """Into the outbound queue, for the relay."""

    __slots__ = ()


class Refused(Value):
    """Nowhere: `reply` says why."""

    __slots__ = ("reply",)


def route(site, address, may_relay, here=""):
    """Where mail for `address` goes: ToBox, ToQueue or Refused.

    `may_relay`: whether the client may send to others than the site's own boxes.  `here`: this host's IP address as the
    client sees it, for addresses such as captain@[192.0.2.1] (RFC 5321, section 4.1.3).
    """
    if not address.domain:
        return ToBox(site.postmaster)
    is_here = bool(here) and address.domain.upper() in (f"[{here}]".upper(), f"[IPV6:{here}]".upper())
    box = site.addresses.get(address.but(domain=own_domain(site)).key if is_here else address.key)
    if box:
        return ToBox(box)
    if is_here or site.domains.get(address.domain.rstrip(".").casefold()) == "refuse":
        return Refused(Reply(550, "5.1.1", f"No box for <{address}> here"))
    if not may_relay:
        return Refused(Reply(550, "5.7.1", f"Relaying to <{address}> is refused: log in first"))
    if not site.relay["host"]:
        return Refused(Reply(550, "5.7.1", f"<{address}> is not here, and no relay is configured to reach it"))
    return ToQueue()


def own_domain(site):
    """A domain whose postmaster is ours: the first that nobody shares, else this host's name."""
    return next((domain for domain, unknown in site.domains.items() if unknown == "refuse"), site.hostname)


def held_token(site, address):
    """The token in an address that decides on a held message; '' if it is no such address."""
    local = address.local.casefold()
    token = local.removeprefix(HELD)
    characters, length = _TOKEN
    is_one = local != token and len(token) == length and not token.strip(characters)
    domain = address.domain.rstrip(".").casefold()
    return token if is_one and domain in (*site.domains, site.hostname.casefold()) else ""

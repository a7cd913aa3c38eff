"""Domains: which of our boxes' addresses are in one that is renamed or deleted, and what is not safe in one in which
strangers have addresses, too."""

import sys

from amsmail.setup.ask.forms import FORMS
from amsmail.site.values import listed
from amsmail.wire.value import Value

_BOX, _DOMAIN = FORMS["box"], FORMS["domain"]


def rename(draft, old, new):
    """Gives a domain another name in the draft, also in the addresses of the boxes."""
    draft.rename(("domains", old), new)
    for box in draft.names("boxes"):
        words = listed(draft.value(_BOX.keys(box, "addresses")))
        if any(_domain(word) == old.casefold() for word in words):
            draft.set(_BOX.keys(box, "addresses"), ", ".join(
                f"{word.rpartition('@')[0]}@{new}" if _domain(word) == old.casefold() else word for word in words))


def still_here(draft, domain):
    """In words, which addresses in a domain that is none of this site's stay with our boxes: their mail does not go to
    the provider."""
    return [f"{word} stays an address of box {box}: mail from here to it stays here" for box in draft.names("boxes")
            for word in listed(draft.value(_BOX.keys(box, "addresses"))) if _domain(word) == domain.casefold()]


def _domain(address):
    return address.rpartition("@")[2].casefold() if "@" in address else ""


def shared(draft):
    """The domains in which others have addresses, too."""
    return [domain for domain in draft.names("domains") if draft.value(_DOMAIN.keys(domain, "unknown")) == "relay"]


class _Addressed(Value):
    """What the doctor looks at of a site: `domains`, {name: unknown}, and `boxes`, {name: {"addresses": words}}."""

    __slots__ = ("domains", "boxes")


def unsafe(draft):
    """What the doctor finds of domains that strangers have addresses in, too, whatever else is wrong in the draft."""
    from amsmail.setup.doctor import settings       # on demand: it knows the diallers, too
    found = _Addressed({domain: _DOMAIN.in_effect(draft, domain, "unknown") for domain in draft.names("domains")},
                       {box: {"addresses": listed(draft.value(_BOX.keys(box, "addresses")))}
                        for box in draft.names("boxes")})
    return list(settings.shared(found, None))


def warnings(draft, before):
    """In words, what is unsafe in the draft and was not `before`."""
    return [f"warning: {finding.found}\n         {finding.remedy}" for finding in unsafe(draft)
            if finding not in before]


def warn(draft, before):
    """Tells that on standard error."""
    for warning in warnings(draft, before):
        print(warning, file=sys.stderr)

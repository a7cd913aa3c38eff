"""Domains: who else has addresses in one, which ones our boxes have, and what becomes of these when it is renamed or
deleted."""

import sys

from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider import presets
from amsmail.setup.provider.providers import Providers
from amsmail.site.values import listed
from amsmail.wire.value import Value

_BOX, _DOMAIN = FORMS["box"], FORMS["domain"]


def others(talk, draft, domain):
    """Asks whether others have addresses in a domain: these then go to the provider."""
    keys = _DOMAIN.keys(domain, "unknown")
    are_there = talk.yes(
        f"Do other people, who are not here, have addresses in {domain}",
        otherwise=draft.value(keys) == "relay" or Providers().by_domain(domain) is not None,
        hint="Yes: what is for them goes to the provider, as where the domain is Gmail's, or colleagues ashore are in "
        "it.  No: all of the domain is here, and an address that no box here has is refused.")
    draft.set(keys, "relay" if are_there else None)


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


def addresses(talk, draft, box, is_new):
    """Asks for the addresses of a box: its name is offered, but where a domain is shared: there it may be somebody
    else's, and the addresses of a new box are whole ones."""
    domains = shared(draft)
    if not domains:
        question = _BOX.question("addresses")
        questions = [each.but(default=box) if each is question else each for each in _BOX.questions]
        talk.fill(_BOX.but(questions=questions), draft, box, only=("addresses",))
        return
    keys = _BOX.keys(box, "addresses")
    there = draft.value(keys)
    own = [f"{box}@{domain}" for domain in draft.names("domains") if domain not in domains]

    def wrong(answer):
        return "" if answer == there and not is_new else _not_whole(answer, domains[0])
    answer = talk.text(
        f"Its own addresses, whole, such as ourboat@{domains[0]}", there or ", ".join(own),
        f"Commas between them.  Only these are this box's; the others in {domains[0]} are other people's.  A box that "
        f"has none ashore gets one that nobody else can have, such as {box}@{draft.value(('site', 'hostname'))}.",
        wrong)
    draft.set(keys, answer or None)


def of_boxes(talk, draft, domain):
    """Asks what each of the boxes has in a domain that is shared: until then, a name without @ counts in it, too."""
    if domain in shared(draft):
        talk.steps(draft, *(lambda box=box: _in_domain(talk, draft, box, domain) for box in draft.names("boxes")
                            if any("@" not in word for word in listed(_entries(draft, box)))))


def _in_domain(talk, draft, box, domain):
    elsewhere = [each for each in draft.names("domains") if each != domain]
    kept = [whole for word in listed(_entries(draft, box))
            for whole in ([word] if "@" in word else [f"{word}@{each}" for each in elsewhere])]
    answer = talk.text(f"Own addresses of {box} in {domain}, whole, or nothing", "",
                       f"Commas between them.  They come to these: {', '.join(kept) or 'none'}.",
                       lambda answer: _not_whole(answer, domain) if answer or not kept else "")
    draft.set(_BOX.keys(box, "addresses"), ", ".join(dict.fromkeys([*kept, *listed(answer)])))


def _entries(draft, box):
    return draft.value(_BOX.keys(box, "addresses")) or box


def _not_whole(text, domain):
    """What is expected instead of a text that is no list of whole addresses, '' if it will do."""
    if not listed(text):
        return f"a whole address, such as ourboat@{domain}"
    return next(filter(None, map(presets.address_problem, listed(text))), "")

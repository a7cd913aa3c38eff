"""What mailcfg's dialogue asks about the addresses in a domain: who else has some, and which ones our boxes have."""

from amsmail.program.mailcfg_domains import shared
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider.providers import Providers
from amsmail.site import entries
from amsmail.site.values import address_problem, listed

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
    own = entries.whole(box, [domain for domain in draft.names("domains") if domain not in domains])

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
                            if any("@" not in entry for entry in _entries(draft, box))))


def _in_domain(talk, draft, box, domain):
    elsewhere = [each for each in draft.names("domains") if each != domain]
    kept = [whole for entry in _entries(draft, box) for whole in entries.whole(entry, elsewhere)]
    answer = talk.text(f"Own addresses of {box} in {domain}, whole, or nothing", "",
                       f"Commas between them.  They come to these: {', '.join(kept) or 'none'}.",
                       lambda answer: _not_whole(answer, domain) if answer or not kept else "")
    draft.set(_BOX.keys(box, "addresses"), ", ".join(dict.fromkeys([*kept, *listed(answer)])))


def _entries(draft, box):
    return entries.entries(listed(draft.value(_BOX.keys(box, "addresses"))), box)


def _not_whole(text, domain):
    """What is expected instead of a text that is no list of whole addresses, '' if it will do."""
    if not listed(text):
        return f"a whole address, such as ourboat@{domain}"
    return next(filter(None, map(address_problem, listed(text))), "")

"""What fills in the relay or an account: an Offer of a provider, or what lets itself be guessed of an address."""

from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider.providers import SERVICES, Providers
from amsmail.site.entries import entries, whole
from amsmail.site.values import listed
from amsmail.wire.address import Address, AddressError, parse_address

RELAY = ("smtp",)
ACCOUNTS = tuple(service for service in SERVICES if service not in RELAY)
# What belongs to one server and is wrong for another.
_OF_A_SERVER = ("port", "fingerprint", "ca_file")
_ANYBODY = Address("x", "x.example")        # whose servers a provider's are where no address is given
_USUAL_HOSTS = {"smtp": "smtp.{domain}", "imap": "imap.{domain}", "pop3": "pop.{domain}"}


def services(form, kind=""):
    """The services that may serve a section, in order of preference; `kind` is the account's type, '' for any."""
    return RELAY if form.noun == "relay" else (kind,) if kind else ACCOUNTS


def offers_of(provider, address=""):
    """The Offers of a Provider for an address (text), or for nobody in particular."""
    return provider.offers(parse_address(address) if address else _ANYBODY)


def best(offers, wanted):
    """The first of `offers` for one of the services `wanted` that takes a password; None if there is none."""
    return next((offer for offer in offers if offer.service in wanted and offer.passwords), None)


def put(draft, form, name, offer, but=()):
    """Puts what an Offer says into a section of a Draft, all keys but those in `but`; what was said of another server
    goes."""
    found = {**dict.fromkeys(_OF_A_SERVER), **offer.settings}
    for question in form.questions:
        if question.key in found and question.key not in but:
            draft.set(form.keys(name, question.key), found[question.key] or None)


def clear(draft, form, name=""):
    """Removes all values of a section of a Draft; the section stays."""
    for question in form.questions:
        keys = form.keys(name, question.key)
        if draft.value(keys):
            draft.set(keys, None)


def guessed(address, service):
    """{key: text} that is likely for an Address where nothing is known of its provider."""
    return {"host": _USUAL_HOSTS[service].format(domain=address.domain), "user": str(address)}


def are_of_one(host, other):
    """Whether two servers are one provider's: of one that is known, or called alike, as smtp. and imap.shore.example
    are."""
    if host == other:
        return bool(host)
    if any({host.casefold(), other.casefold()} <= {server.host for server in provider.servers.values()}
           for provider in Providers()):
        return True
    domain = host.casefold().partition(".")[2]
    return "." in domain and domain == other.casefold().partition(".")[2]


def box_of(draft, address):
    """The box of a Draft that has an Address (text), '' if none has."""
    return next((box for box in draft.names("boxes") if _key(address) in _keys(draft, box)), "")


def _keys(draft, box):
    return {_key(text) for entry in entries(listed(draft.value(("boxes", box, "addresses"))), box)
            for text in whole(entry, draft.names("domains"))}


def _key(text):
    """The Address.key of a text; of one that is no address, which a draft may hold, the text itself."""
    try:
        return parse_address(text).key
    except AddressError:
        return text


def give(draft, box, address):
    """Makes an address (text) one of a box's."""
    keys = ("boxes", box, "addresses")
    draft.set(keys, ", ".join([*entries(listed(draft.value(keys)), box), address]))


def account_name(draft, address):
    """A name for an account that fetches the mail of an address, which none has."""
    wish = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-"
                   for char in address.partition("@")[0].lower()).strip("-") or FORMS["account"].noun
    taken = set(draft.taken())
    wishes = (wish, *(f"{wish}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in wishes if name not in taken)

"""The tables that the programs look things up in, made of what mail.cfg says."""

from amsmail.site.entries import entries, whole
from amsmail.wire.address import Address, parse_address


def converted(data):
    """The contents of a mail.cfg that keeps all rules, with the box of every address, the domains as one table, and
    addresses as their keys."""
    domains = {name.casefold(): settings["unknown"] for name, settings in data["domains"].items()}
    addresses = {parse_address(text).key: box for box, settings in data["boxes"].items()
                 for entry in entries(settings["addresses"], box) for text in whole(entry, domains)}
    # RFC 5321, section 4.5.1, unless a box has that address.  Of a domain that others share it is theirs.
    for domain in data["site"]["hostname"], *(name for name, unknown in domains.items() if unknown == "refuse"):
        addresses.setdefault(Address("postmaster", domain).key, data["site"]["postmaster"])
    calls = {**data["calls"], "urgent_from": [name_or_key(word, data["boxes"])
                                              for word in data["calls"]["urgent_from"]]}
    return {**data, "domains": domains, "addresses": addresses, "calls": calls}


def name_or_key(word, boxes):
    """Who a word of a list of boxes and addresses is: the box's name as it is, an address as its Address.key.  Raises
    AddressError."""
    return word if word in boxes else parse_address(word).key

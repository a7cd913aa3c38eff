"""IP addresses and networks, as small as a server's start needs them (`ipaddress` would cost a third of it)."""

import _socket      # the C part of `socket`: the same calls without the 7 ms of its Python part


def number(address):
    """An IP address in text as (bits, number); an IPv4-mapped IPv6 address counts as the IPv4 address that it is.
    None if it is none."""
    address = address.partition("%")[0]
    for family, bits in ((_socket.AF_INET, 32), (_socket.AF_INET6, 128)):
        try:
            value = int.from_bytes(_socket.inet_pton(family, address), "big")
        except OSError:
            continue
        if bits == 128 and value >> 32 == 0xFFFF:
            return 32, value & 0xFFFFFFFF
        return bits, value
    return None


def unmapped(address):
    """The address in text, an IPv4-mapped one as IPv4 (RFC 4291, section 2.5.5.2)."""
    found = number(address)
    if found and found[0] == 32:
        return _socket.inet_ntop(_socket.AF_INET, found[1].to_bytes(4, "big"))
    return address


def parse(text):
    """A network, 'address' or 'address/prefix', as (bits, number, prefix).  Raises ValueError."""
    address, slash, prefix = text.partition("/")
    found = number(address)
    if found is None:
        raise ValueError(f"{address!r} is no IP address")
    bits, value = found
    if slash and not (prefix.isascii() and prefix.isdigit() and int(prefix) <= bits):
        raise ValueError(f"/{prefix} is no prefix of 0 to {bits} bits")
    length = int(prefix) if slash else bits
    if value & ((1 << (bits - length)) - 1):
        raise ValueError(f"{text} has bits set behind its prefix")
    return bits, value, length


def contains(networks, address):
    """Whether one of the networks (as made by `parse`) holds the address; False for what is no address."""
    found = number(address)
    return found is not None and any(
        bits == found[0] and value >> (bits - length) == found[1] >> (bits - length)
        for bits, value, length in networks)

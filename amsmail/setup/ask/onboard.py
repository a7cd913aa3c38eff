"""The networks that this machine is in, to remind a person of them."""

import ipaddress

_ROUTES = "/proc/net/route"


def networks(routes=_ROUTES):
    """The private IPv4 networks that this machine reaches directly, as Linux lists them in the file `routes`, in order:
    '192.168.7.0/24'.  None elsewhere."""
    try:
        with open(routes, encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
    except OSError:
        return []
    found = {_network(row[1], row[7]) for row in rows if int(row[2], 16) == 0 and int(row[7], 16)}
    return [str(network) for network in sorted(found) if network.is_private and network.prefixlen < 32]


def _network(address, mask):
    """A network from two numbers in hexadecimal, whose octets are the wrong way round."""
    octets = [bytes.fromhex(text)[::-1] for text in (address, mask)]
    return ipaddress.ip_network((octets[0], bin(int.from_bytes(octets[1], "big")).count("1")))

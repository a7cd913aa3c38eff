"""The addresses of a host.  Imported by what talks to a provider, never by the servers."""

import ipaddress
import socket


class ResolveError(Exception):
    """A name that has no address now; the message is for a person."""


def addresses(host):
    """What to connect to, in order: a list of IP addresses as text.  Raises ResolveError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ResolveError(f"{host} has no address: {getattr(error, 'strerror', None) or error}") from error
    return list(dict.fromkeys(address[0] for _, _, _, _, address in found))


def is_address(host):
    """Whether `host` is an IP address itself."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True

"""The addresses of a host.  Imported by what talks to a provider, never by the servers."""

import socket


class ResolveError(Exception):
    """A name that has no address now; the message is for a person."""


def addresses(host, port):
    """What to connect to, in order: a list of (family, socket address).  Raises ResolveError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ResolveError(f"{host} has no address: {getattr(error, 'strerror', None) or error}") from error
    return [(family, address) for family, _, _, _, address in found]

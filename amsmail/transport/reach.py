"""A connection and nothing more: whether a server can be reached is seen by it."""

import socket


class Unreached(Exception):
    """No address took the connection; the message says why the last one did not."""


def connected(found, port, patience):
    """A socket, connected to the first that takes it of `found`, a list of IP addresses.  Each may take `patience`
    seconds.  Raises Unreached."""
    why = "it has no address"
    for address in found:
        try:
            return socket.create_connection((address, port), patience)
        except OSError as error:
            why = reason(error)
    raise Unreached(why)


def reason(error):
    """Why an OSError kept a connection from coming about, in words for a person."""
    return "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)

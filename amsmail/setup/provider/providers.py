"""Providers that are known by name: their servers, and what a person must know before the first login.

The facts are in providers.cfg, which says how one is added.
"""

import os

from configobj import ConfigObj

from amsmail.site.resolve import is_address
from amsmail.transport.connect import PORTS
from amsmail.wire.value import Value

SERVICES = ("smtp", "imap", "pop3")     # in order of preference: a call by IMAP is shorter than one by POP3
_TABLE = os.path.join(os.path.dirname(__file__), "providers.cfg")
_LOCAL_PART = "local-part"


class Offer(Value):
    """A server that may serve an address.  `service` is a key of connect.PORTS; `host`, `port`, `tls` and `user` are as
    in mail.cfg; `source` says in words where this was found; `needs_confirmation` that a person must say that this host
    may get the password; `passwords` whether a login by password is possible there; `note` what else there is to
    know of the provider, '' for nothing."""

    __slots__ = ("service", "host", "port", "tls", "user", "source", "needs_confirmation", "passwords", "note")
    defaults = {"needs_confirmation": False, "passwords": True, "note": ""}

    @property
    def settings(self):
        """{key: text} for mail.cfg's [relay], or for an account.  The port is there only where it is not the usual
        one."""
        port = {} if self.port == PORTS[self.service][self.tls] else {"port": str(self.port)}
        kind = {} if self.service == "smtp" else {"type": self.service}
        return {**kind, "host": self.host, **port, "tls": self.tls, "user": self.user}


class Server(Value):
    """One server of a provider; `has_short_names` says that the user's name there is the local part of the address."""

    __slots__ = ("host", "port", "tls", "has_short_names")

    def user(self, address):
        """The name to log in with of an Address."""
        return address.local if self.has_short_names else str(address)


class Provider(Value):
    """A section of providers.cfg; `servers` is {service: Server}, `oauth_only` the services that take no password."""

    __slots__ = ("name", "title", "domains", "mx", "servers", "oauth_only", "note")

    def offers(self, address, source=""):
        """The Offers for an Address, in order of preference."""
        return [Offer(service, server.host, server.port, server.tls, server.user(address), source or self.title,
                      False, service not in self.oauth_only, self.note)
                for service, server in self.servers.items()]


class Providers:
    """The table.  `path` is that of another one, for tests."""

    def __init__(self, path=_TABLE):
        table = ConfigObj(path, list_values=False, interpolation=False, file_error=True, encoding="utf-8")
        self._all = [_provider(name, table[name]) for name in table.sections]

    def __iter__(self):
        return iter(self._all)

    def by_name(self, name):
        """The Provider of that name or title, None if there is none; case does not matter."""
        name = name.strip().casefold()
        return next((each for each in self._all if name in (each.name, each.title.casefold())), None)

    def by_domain(self, domain):
        """That of addresses in a domain."""
        domain = domain.casefold()
        return next((each for each in self._all if domain in each.domains), None)

    def by_host(self, host, port):
        """That one of whose servers is called so.  What is an IP address in the table may be anybody's: there the port
        must be the same too."""
        host = host.casefold()
        return next((each for each in self._all if any(
            host == server.host and (port == server.port or not is_address(host))
            for server in each.servers.values())), None)

    def by_mx(self, host):
        """That whose mail exchanger `host` is: of several, the one whose entry says it most exactly."""
        found = [(len(domain), each) for each in self._all for domain in each.mx if is_within(host, domain)]
        return max(found, key=lambda pair: pair[0])[1] if found else None


def is_within(host, domain):
    """Whether a host is in a domain, or is called like it."""
    return f".{host}".casefold().endswith(f".{domain}".casefold())


def _provider(name, section):
    servers = {service: _server(service, section[service]) for service in SERVICES if service in section}
    return Provider(name, section["title"], tuple(section.get("domains", "").split()),
                    tuple(section.get("mx", "").split()), servers, tuple(section.get("oauth_only", "").split()),
                    section.get("note", ""))


def _server(service, text):
    place, tls, *names = text.split()
    host, _, port = place.partition(":")
    return Server(host, int(port or PORTS[service][tls]), tls, names == [_LOCAL_PART])

"""Where mail for our domains goes, by their MX records in the DNS."""

import socket

from dns import exception
from dns.resolver import NXDOMAIN, NoAnswer

from amsmail.setup import exchangers
from amsmail.setup.doctor.world import fine, note, wrong
from amsmail.transport.reach import Unreached, connected


def delivery(site, world):
    """Where mail from outside goes, for each domain of the site."""
    fetched = {account["host"] for account in site.accounts.values()}
    try:
        resolver = (world.resolver or exchangers.system_resolver)()
    except exception.DNSException as error:
        yield note(f"the MX of the domains cannot be looked up: {error}",
                   "see /etc/resolv.conf, if names are to be found")
        return
    for domain in site.domains:
        try:
            hosts = _exchangers(resolver, domain)
            comes_here = any(map(_can_bind, _addresses(resolver, hosts or ())))
            yield _delivered(world, domain, hosts, comes_here, fetched)
        except exception.Timeout:
            yield note(f"no name server answers, so the MX of {domain} was not looked at",
                       "see /etc/resolv.conf, if names are to be found")
            return
        except exception.DNSException as error:
            yield note(f"the MX of {domain} cannot be looked up: {error}", "try again later, or see /etc/resolv.conf")


def _exchangers(resolver, domain):
    """The hosts that take mail for `domain`, the preferred first; None if there is no such domain, empty if it takes no
    mail.  Raises dns.exception.DNSException."""
    try:
        found = exchangers.records(resolver, domain, "MX")
    except NXDOMAIN:
        return None
    if not found:           # RFC 5321, section 5.1: then its own address counts
        return [domain] if any(_addresses(resolver, [domain])) else []
    return exchangers.hosts(found)


def _delivered(world, domain, hosts, comes_here, fetched):
    """The Finding about where mail for a domain goes.  `hosts` is what _exchangers() gives; `fetched`, the servers of
    our accounts."""
    if hosts is None:
        return note(f"the domain {domain} is not in DNS, so nobody outside can write to it, and many servers refuse "
                    "mail from it", "register it and let its MX name your provider, or use addresses at the provider's "
                    "domain")
    if not hosts:
        return note(f"the domain {domain} has no MX and no address in DNS, so nobody outside can write to it",
                    "let its MX name your provider's server")
    if comes_here:
        if _is_served(world):
            return fine(f"mail for {domain} from outside comes to this machine")
        return wrong(f"mail for {domain} from outside is to come to this machine (MX {', '.join(hosts)}), and nobody "
                     f"listens on port {world.ports['smtp']} here",
                     "let a super-server start smtpd on that port, or let the MX name your provider's server")
    if not fetched:
        return note(f"mail for {domain} from outside goes to {hosts[0]}, and mail.cfg names no account to fetch "
                    "it from", "add an account at that provider to [accounts]")
    return fine(f"mail for {domain} from outside goes to {hosts[0]}; it is fetched from {', '.join(sorted(fetched))}")


def _is_served(world):
    """Whether somebody takes mail on this machine."""
    try:
        connected(["127.0.0.1"], world.ports["smtp"], world.patience).close()
    except Unreached:
        return False
    return True


def _addresses(resolver, hosts):
    """The IP addresses of hosts.  Raises dns.exception.DNSException."""
    for host in hosts:
        for kind in ("A", "AAAA"):
            try:
                yield from (record.address for record in resolver.resolve(host, kind))
            except (NXDOMAIN, NoAnswer):
                continue


def _can_bind(address):
    """Whether the address is this machine's: only such a one can be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False

"""The hosts that take a domain's mail, as its MX records say, and the name servers that are asked for them."""

import dns.name
import dns.resolver

# Seconds: for one question to one name server, and for the answer in all.  A round trip by satellite is up to 2.
_TRY, _IN_ALL = 4, 8


def system_resolver():
    """A dns.resolver.Resolver that asks this machine's name servers.  Raises dns.resolver.NoResolverConfiguration."""
    resolver = dns.resolver.Resolver()
    resolver.timeout, resolver.lifetime = _TRY, _IN_ALL
    return resolver


def records(resolver, name, kind):
    """The records of that kind of a name in the DNS, an rrset; () where it has others only.  Raises
    dns.exception.DNSException, which is dns.resolver.NXDOMAIN where there is no such name."""
    return resolver.resolve(dns.name.from_text(name), kind, raise_on_no_answer=False).rrset or ()


def hosts(found):
    """The hosts that MX records name, the preferred first (RFC 5321, section 5.1).  None at all where there are records
    means that the domain takes no mail (RFC 7505)."""
    named = sorted((record.preference, record.exchange.to_text(omit_final_dot=True).lower())
                   for record in found if record.exchange != dns.name.root)
    return [host for _, host in named]

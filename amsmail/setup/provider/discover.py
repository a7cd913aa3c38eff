"""Which servers may serve an address, as the DNS of its domain says (RFC 6186; RFC 8314, section 5.1) or lets guess.

The DNS is not to be trusted: whoever forges its answers must not get a password by it.  A server outside the domain
that is asked about is therefore only for a person to confirm (RFC 6186, section 6), and none is used without TLS whose
certificate is for its name.
"""

from concurrent.futures import ThreadPoolExecutor

import dns.exception
import dns.name
import dns.resolver

from amsmail.setup import exchangers
from amsmail.setup.provider.providers import SERVICES, Offer, Providers, is_within
from amsmail.site.values import is_domain
from amsmail.wire.address import parse_address
from amsmail.wire.value import Value

# What is looked up below the domain: service, TLS, and the name, that with implicit TLS first.
_SRV = (
    ("smtp", "implicit", "_submissions._tcp"),
    ("smtp", "starttls", "_submission._tcp"),
    ("imap", "implicit", "_imaps._tcp"),
    ("imap", "starttls", "_imap._tcp"),
    ("pop3", "implicit", "_pop3s._tcp"),
    ("pop3", "starttls", "_pop3._tcp"),
)
# Why nothing was found where the DNS failed; {domain} is that of the address.
_FAILURES = (
    (dns.resolver.NXDOMAIN, "there is no domain {domain}: is the address right?"),
    (dns.resolver.NoResolverConfiguration, "this machine knows no name server, so it is not on line"),
    (dns.resolver.LifetimeTimeout, "no name server answers: this machine is not on line, or its link is very slow"),
    (dns.resolver.NoNameservers, "the name servers give no answer about {domain}: not on line, or its DNS is broken"),
    (dns.exception.DNSException, "{domain} cannot be looked up: {error}"),
)


class Found(Value):
    """`offers`: Offers in order of preference.  `why`: where there are none, a sentence why."""

    __slots__ = ("offers", "why")
    defaults = {"why": ""}


class _Answer(Value):
    """What came of one question: `records`, an rrset or (); `error`, None or what was raised."""

    __slots__ = ("records", "error")
    defaults = {"records": (), "error": None}


def discover(address, resolver=None):
    """What is Found for an address (text): from the table of providers where its domain is in that, else from the DNS.

    `resolver` is a dns.resolver.Resolver; by default the system's, with times that are short.  Raises AddressError.
    """
    address = parse_address(address)
    providers = Providers()
    known = providers.by_domain(address.domain)
    if known:
        return Found(tuple(known.offers(address)))
    if not is_domain(address.domain):
        return Found((), f"{address.domain} is no domain, so nothing can be looked up")
    try:
        services, mail = _look_up(resolver or exchangers.system_resolver(), address.domain)
    except dns.exception.DNSException as error:
        return Found((), _failure(error, address.domain))
    by_name, declined = _by_name(providers, address, services)
    by_exchanger = [offer for offer in _by_exchanger(providers, address, exchangers.hosts(mail.records))
                    if offer.service not in {each.service for each in by_name}
                    and (offer.service, offer.tls) not in declined]
    offers = sorted(by_name + by_exchanger, key=lambda offer: SERVICES.index(offer.service))
    return Found(tuple(offers), "" if offers else _why_nothing(address.domain, services, mail, declined))


def _look_up(resolver, domain):
    """([_Answer to each of _SRV], _Answer with the MX): all asked at once, so it takes one round trip."""
    questions = [*((f"{name}.{domain}.", "SRV") for _, _, name in _SRV), (f"{domain}.", "MX")]
    with ThreadPoolExecutor(len(questions)) as pool:
        *services, mail = pool.map(lambda question: _ask(resolver, *question), questions)
    return services, mail


def _ask(resolver, name, kind):
    try:
        return _Answer(exchangers.records(resolver, name, kind))
    except dns.exception.DNSException as error:
        return _Answer(error=error)


def _by_name(providers, address, services):
    """(Offers that SRV records make, {(service, tls)} that they say are not there: those whose target is '.')."""
    offers, declined = [], set()
    for (service, tls, name), answer in zip(_SRV, services):
        for record in answer.records.processing_order() if answer.records else ():     # RFC 2782: priority, weight
            host = record.target.to_text(omit_final_dot=True).lower()
            if record.target == dns.name.root:
                declined.add((service, tls))
            elif is_domain(host) and record.port:
                offers.append(_offer(providers, address, Offer(
                    service, host, record.port, tls, str(address), f"{name}.{address.domain} in the DNS")))
    return offers, declined


def _offer(providers, address, offer):
    """The Offer with what follows from whose server it is."""
    offer = offer.but(needs_confirmation=not is_within(offer.host, address.domain))
    provider = providers.by_host(offer.host, offer.port)
    if provider is None:
        return offer
    server = provider.servers.get(offer.service)
    return offer.but(user=server.user(address) if server else offer.user,
                     passwords=offer.service not in provider.oauth_only, note=provider.note)


def _by_exchanger(providers, address, hosts):
    """The Offers of the provider of the first known of `hosts`, which take the domain's mail: it is likely to keep it
    too."""
    for host in hosts:
        if provider := providers.by_mx(host):
            source = f"{host}, which takes the mail for {address.domain}, is of {provider.title}"
            return [_offer(providers, address, offer) for offer in provider.offers(address, source)]
    return []


def _why_nothing(domain, services, mail, declined):
    # The mail exchangers first: only there does "no such name" mean that there is no such domain.
    failures = [mail.error, *(answer.error for answer in services
                                    if not isinstance(answer.error, dns.resolver.NXDOMAIN))]
    failed = next(filter(None, failures), None)
    if failed:
        return _failure(failed, domain)
    says = f"{domain} says that it has no servers for mail programs" if declined else (
        f"the DNS names no servers of {domain} for mail programs")
    hosts = exchangers.hosts(mail.records)
    if hosts:
        return f"{says}, and {hosts[0]}, which takes its mail, is of no provider that is known here"
    return f"{says}, and it takes no mail at all" if mail.records else f"{says}, nor any that takes its mail"


def _failure(error, domain):
    text = next(text for kind, text in _FAILURES if isinstance(error, kind))
    return text.format(domain=domain, error=error)

"""What lies beyond this machine: where the domains' mail is delivered, and whether the providers can be reached.

No link is dialled for it.  Where none is up, that is said, and nothing is looked at.
"""

import concurrent.futures
import socket

from amsmail.link import links
from amsmail.link.links import LinkError
from amsmail.setup.doctor.world import fine, note, wrong
from amsmail.site.resolve import ResolveError, addresses
from amsmail.transport.connect import targets
from amsmail.transport.reach import Unreached, connected


def network(site, world):
    """The state of the links, and then what can be seen over them."""
    up, unclear = [], []
    for name, settings in site.links.items():
        try:
            up += [name] if links.make(settings).is_up() else []
        except LinkError as error:
            unclear.append(wrong(f"whether link {name} is up cannot be seen: {error}",
                                 f"correct the probe of link {name} in mail.cfg"))
    yield from unclear
    if not up:
        yield note(f"we are not on line: no link is up ({', '.join(site.links)}), so DNS and the providers were not "
                   "looked at", "run `mailcfg check` again while a link is up")
        return
    yield fine(f"we are on line by link {up[0]}, as far as can be seen without asking anybody")
    yield from _providers(site, world)
    yield from _domains(site, world)


# The providers

def _providers(site, world):
    """Each server that mail.cfg names takes a connection."""
    wanted = {target: "the relay" if who == "relay" else f"{who}'s server" for target, who in targets(site).items()}
    if not wanted:
        yield note("mail.cfg names neither a relay nor an account, so mail stays on board",
                   "name the provider in [relay] and [accounts] if it should not")
        return
    with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
        yield from pool.map(lambda pair: _reached(*pair, world.patience), wanted.items())


def _reached(target, what, patience):
    host, port = target
    try:
        connected(addresses(host), port, patience).close()
    except ResolveError as error:
        return wrong(f"{what} has no address: {error}", "see that the name is right, and that the line and its name "
                     "server work")
    except Unreached as error:
        return wrong(f"{what}, {host} port {port}, cannot be reached: {error}",
                     "see that host, port and tls are what the provider says, and that no firewall stands between; if "
                     "they are, it is the line, or the provider is down")
    return fine(f"{what}, {host} port {port}, can be reached")


# The domains

def _domains(site, world):
    """Where mail from outside goes."""
    from dns import exception
    fetched = {account["host"] for account in site.accounts.values()}
    try:
        resolver = world.resolver()
    except exception.DNSException as error:
        yield note(f"the MX of the domains cannot be looked up: {error}",
                   "see /etc/resolv.conf, if names are to be found")
        return
    resolver.lifetime = world.patience
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
    """The hosts that take mail for `domain`, the preferred first (RFC 5321, section 5.1); None if there is no such
    domain, empty if it takes no mail.  Raises dns.exception.DNSException."""
    from dns.resolver import NXDOMAIN, NoAnswer
    try:
        answer = resolver.resolve(domain, "MX")
    except NXDOMAIN:
        return None
    except NoAnswer:
        return [domain] if any(_addresses(resolver, [domain])) else []
    records = sorted((record.preference, record.exchange.to_text(omit_final_dot=True)) for record in answer)
    return [] if [host for _, host in records] in ([""], ["."]) else [host for _, host in records]       # RFC 7505


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
    from dns.resolver import NXDOMAIN, NoAnswer
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

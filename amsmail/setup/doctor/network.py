"""What lies beyond this machine: whether the links are up, whether the providers can be reached, and what DNS says.

No link is dialled for it.  Where none is up, that is said, and nothing is looked at.
"""

import concurrent.futures

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
    from amsmail.setup.doctor import domains        # on demand: dnspython
    yield from domains.delivery(site, world)


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

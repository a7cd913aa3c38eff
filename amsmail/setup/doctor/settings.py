"""What mail.cfg itself lets happen: a relay for the world, boxes that nobody can open, links without their programs."""

import ipaddress
import os
import shutil

from amsmail.link.diallers import TABLE
from amsmail.setup.doctor.world import fine, note, owner, wrong
from amsmail.setup.provider.providers import Providers
from amsmail.site import networks
from amsmail.site.entries import entries, whole
from amsmail.site.values import listed

# Networks that nobody outside can send from.  Not ipaddress.is_private, which takes 0.0.0.0/0 for one.
_INSIDE = [ipaddress.ip_network(text) for text in (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16",
    "::1/128", "fe80::/10", "fc00::/7")]
_WIDE = {4: 16, 6: 32}      # a public network with a shorter prefix than this is nobody's own

# A list of networks -> (what one that is too wide means, what who is in it may do)
_LISTS = {
    "relay_from": ("anybody may send through this server",
                   "may send mail to anywhere through this site, without a login: an open relay"),
    "cleartext_login_from": ("passwords may be read on the way here by anybody",
                             "may send passwords in clear over the Internet"),
}


def relaying(site, _world):
    """Who may send to anywhere without a login, and who may log in without TLS."""
    outside = False
    for key, (_, what) in _LISTS.items():
        for network in map(_network, getattr(site, key)):
            if _is_inside(network):
                continue
            outside = True
            if _is_wide(network):
                yield wrong(f"{key} holds {network}: whoever is there {what}",
                            f"take it out of {key} in mail.cfg; name the networks on board, such as 192.168.7.0/24")
            else:
                yield note(f"{key} holds {network}, which is a public network: whoever is there {what}",
                           "keep it only if all its machines are yours")
    if not outside:
        yield fine("only networks on board may send to anywhere without a login, or log in without TLS")


def _network(parsed):
    """Of a network as amsmail.site.networks has it."""
    bits, number, prefix = parsed
    kind = ipaddress.IPv4Network if bits == 32 else ipaddress.IPv6Network
    return kind((number, prefix))


def _is_inside(network):
    return any(network.version == inside.version and network.subnet_of(inside) for inside in _INSIDE)


def _is_wide(network):
    return not _is_inside(network) and network.prefixlen < _WIDE[network.version]


def warning(key, text):
    """What the networks in `text`, as they stand in mail.cfg for `key`, let anybody do: a sentence without its end, ''
    if they are somebody's own."""
    for word in listed(text):
        try:
            network = _network(networks.parse(word))
        except ValueError:
            continue            # what is no network is told elsewhere
        if _is_wide(network):
            what = "a large part of the Internet" if network.prefixlen else "the whole Internet"
            return f"{network}: that is {what}: {_LISTS[key][0]}"
    return ""


def boxes(site, _world):
    """Boxes without a password, and addresses that lead to nowhere."""
    for name, box in site.boxes.items():
        if not box["password"]:
            yield note(f"box {name} has no password, so nobody can log in to it", f"mailcfg password --box {name}")
    for domain, unknown in site.domains.items():
        if unknown == "relay" and not site.relay["host"]:
            yield note(f"what no box of {domain} takes is to be relayed (unknown = relay), and there is no relay",
                       "name it in [relay], or say unknown = refuse")


def shared(site, _world):
    """Domains of providers, in which strangers have addresses."""
    providers = Providers()
    for domain, unknown in site.domains.items():
        if not providers.by_domain(domain):
            continue
        if unknown == "refuse":
            yield wrong(f"all addresses of {domain} that no box here has are refused, though others have them",
                        f"mailcfg domain set {domain} --unknown relay")
        for name, box in site.boxes.items():
            bare = [text for entry in entries(box["addresses"], name) for text in whole(entry, [domain])
                    if text != entry]
            if bare:
                yield wrong(f"box {name} gets what is for {', '.join(bare)}, which may be somebody else's: a name "
                            "without @ counts at each domain",
                            f"name its own addresses, whole: mailcfg box set {name} --addresses ...")


def programs(site, world):
    """The programs that links need, for the user that would run them."""
    if os.name == "nt":
        return
    user = owner(site.spool) if os.path.isdir(site.spool) else None
    for name, link in site.links.items():
        try:
            needed = _needed(link)
        except ValueError as error:
            yield wrong(f"link {name} cannot be dialled: {error}", "change that value in mail.cfg")
            continue
        problems = [_problem(program, shutil.which(program, mode=os.F_OK, path=world.path), user)
                    for program in needed]
        for what, remedy in filter(None, problems):
            yield wrong(f"link {name}: {what}", remedy)
        if needed and not any(problems):
            yield fine(f"link {name}: {', '.join(needed)} can be run")


def _needed(link):
    """The programs that bring a link up and down, and what prints its password, each once.  Raises ValueError."""
    if link["type"] not in TABLE:
        return []
    dialler = TABLE[link["type"]]
    words = [dialler.up(link, link["password"]), dialler.down(link), link["password_command"]]
    return list(dict.fromkeys(each[0] for each in words if each))


# Where Debian has the programs of the diallers.
_PACKAGES = {"pon": "ppp", "poff": "ppp", "pppd": "ppp", "nmcli": "network-manager", "mmcli": "modemmanager"}


def _problem(program, path, user):
    """(what is wrong with a program, what to do), or None."""
    if path is None:
        return (f"the program {program} is not there", f"apt-get install {_PACKAGES[program]}" if program in _PACKAGES
                else "install it, or correct the command in mail.cfg")
    try:
        obstacle = user.obstacle(path, os.X_OK) if user else ""
    except OSError:
        return None
    if not obstacle:
        return None
    return (f"user {user.name}, as whom mailcheck runs, may not run {path}, because of the mode of {obstacle}",
            _let_in(user, obstacle))


def _let_in(user, obstacle):
    """A program with a group of its own is for who is in it, as pppd's is."""
    found = os.stat(obstacle)
    if found.st_mode & 0o010 and not found.st_mode & 0o001:
        import grp
        try:
            return f"adduser {user.name} {grp.getgrgid(found.st_gid).gr_name}"
        except KeyError:
            pass        # a group without a name: then by mode
    return f"chmod +x {obstacle}, or let the link's command use sudo or another program that may"

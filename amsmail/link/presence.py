"""Is a link there?  A probe, as mail.cfg words it:

    interface NAME      the interface is up and has an address that leads somewhere (Linux only: elsewhere a command
                        has to say so)
    route ADDRESS       there is a route to the IP address; nothing is sent
    command WORDS ...   the command line ends with exit code 0
"""

import shlex
import socket
import struct
import sys

from amsmail.link import command

_LIMIT = 10                                         # seconds that a probe command has
_GET_FLAGS, _GET_ADDRESS = 0x8913, 0x8915           # SIOCGIFFLAGS and SIOCGIFADDR of Linux
_UP, _RUNNING = 0x1, 0x40                           # IFF_UP and IFF_RUNNING
_LINK_LOCAL = bytes((169, 254))                     # RFC 3927: what a host gives itself where nobody gave it an address
_LINK_LOCAL_SCOPE = "20"                            # of an IPv6 address, in /proc/net/if_inet6


class CannotTell(Exception):
    """The probe is not one, or cannot be made on this machine; the message says what to do."""


def is_there(probe, limit=_LIMIT):
    """Whether the link that `probe` looks at is there; a probe command has `limit` seconds.  Raises CannotTell."""
    kind, rest = _parted(probe)
    return _KINDS[kind](rest, limit)


def interface(probe):
    """The name of the interface that `probe` looks at, or None."""
    kind, _, rest = probe.partition(" ")
    return rest.strip() or None if kind == "interface" else None


def has_address(name):
    """Whether the interface is up and has an address that is more than link-local.  Raises CannotTell where there is
    no way to see it."""
    if not sys.platform.startswith("linux"):
        raise CannotTell("an interface can be looked at on Linux only: use `probe = command ...`")
    return _is_running(name) and bool(_ipv4(name) or _ipv6(name))


def address(name):
    """The interface's address that is more than link-local, IPv4 before IPv6, as text; '' where it has none, or where
    there is no way to see it."""
    if not sys.platform.startswith("linux"):
        return ""
    return _ipv4(name) or _ipv6(name)


def _parted(probe):
    kind, _, rest = probe.partition(" ")
    if kind not in _KINDS or not rest.strip():
        raise CannotTell(f"the probe {probe!r} is none of: interface NAME, route ADDRESS, command WORDS")
    return kind, rest.strip()


def _interface(name, _limit):
    return has_address(name)


def _route(address, _limit):
    """Connecting a UDP socket looks the route up and sends nothing."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM,
                                                               flags=socket.AI_NUMERICHOST)[0]
    except OSError as error:
        raise CannotTell(f"the probe's {address!r} is not an IP address: a name would have to be looked up") from error
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)
    except OSError:
        return False
    return True


def _command(line, limit):
    try:
        return command.run(shlex.split(line), limit).code == 0
    except command.TookTooLong:
        return False
    except (command.NotStarted, ValueError) as error:
        raise CannotTell(f"the probe command cannot be started: {error}") from error


_KINDS = {"interface": _interface, "route": _route, "command": _command}


# Asked of the kernel by socket and not read below /sys, which may show another network namespace than ours.

def _is_running(name):
    answer = _ask(name, _GET_FLAGS)
    wanted = _UP | _RUNNING
    return answer is not None and struct.unpack_from("H", answer, 16)[0] & wanted == wanted


def _ipv4(name):
    answer = _ask(name, _GET_ADDRESS)
    return "" if answer is None or answer[20:22] == _LINK_LOCAL else socket.inet_ntop(socket.AF_INET, answer[20:24])


def _ipv6(name):
    try:
        with open("/proc/self/net/if_inet6", encoding="ascii") as f:
            rows = [line.split() for line in f]
    except OSError:
        return ""               # a kernel without IPv6
    found = [row[0] for row in rows if row[5] == name and row[3] != _LINK_LOCAL_SCOPE]
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(found[0])) if found else ""


def _ask(name, question):
    """The kernel's struct ifreq for `question`, or None where it has no answer."""
    import fcntl                # on demand: there is none on Windows
    if len(name.encode()) > 15:
        return None
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            return fcntl.ioctl(any_socket, question, struct.pack("16s24x", name.encode()))
    except OSError:
        return None

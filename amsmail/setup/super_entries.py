"""What inetd and xinetd are told to start: the entries of inetd.conf, and of xinetd.conf and xinetd.d/.

inetd.conf is read as openbsd-inetd does: a # in the first column makes a comment, a line that begins with a blank goes
on with the one above it, and `host:` alone is the host of the lines that follow.  What xinetd passes over, or refuses,
is left out.  Of xinetd.conf's includes only the usual one, /etc/xinetd.d, is known here.
"""

import os
import re

from amsmail.wire.value import Value

INETD_CONF, XINETD_CONF, XINETD_FOLDER = "/etc/inetd.conf", "/etc/xinetd.conf", "/etc/xinetd.d"
_ALL = ("", "*")                # ways to write all addresses, and no program
_NONE = ("", "internal")
_FAMILIES = {"tcp4": "0.0.0.0", "tcp6": "::"}       # what "all addresses" is for a protocol of inetd.conf
_BLOCK = re.compile(r"(?ms)^[^\S\n]*(?:service[^\S\n]+(\S+)|defaults)[^\S\n]*\n\s*\{[^\S\n]*\n(.*?)^\s*\}[^\S\n]*$")
_ATTRIBUTE = re.compile(r"\s*(\w+)\s+([+-]?)=(.*)")


class Started(Value):
    """What is started for connections by TCP.

    server      'inetd' or 'xinetd'
    file, line  where that is said: a path as it was given, and the number of the first line
    title       what the entry is called there
    service     the name or the number of its port
    host        where it listens, an address or a name: '0.0.0.0' is all of IPv4, '::' all of IPv6, '' both
    command     the program, behind tcpd if that is there, and the words behind it; () where nothing is started, as
                for what inetd serves itself
    """

    __slots__ = ("server", "file", "line", "title", "service", "host", "command")


def inetd(path, text):
    """The Started of an inetd.conf, whose `text` is in `path`."""
    default = ""
    for number, words in _joined(text):
        hosts, colon, service = words[0].rpartition(":")
        if len(words) == 1 and colon and not service:
            default = hosts
        elif len(words) > 5 and words[1] == "stream" and words[2].startswith("tcp"):
            every = _FAMILIES.get(words[2].partition(",")[0], "")
            for host in (hosts if colon else default).split(","):
                yield Started("inetd", path, number, words[0], service, every if host in _ALL else host.strip("[]"),
                              _command(words[5], words[6:], words[7:]))


def _joined(text):
    """(number of its first line, its words) of each entry."""
    entries, goes_on = [], False
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if goes_on and line[:1] in (" ", "\t"):
            entries[-1][1].extend(words)
            continue
        goes_on = bool(words) and not words[0].startswith("#")
        if goes_on:
            entries.append((number, words))
    return entries


def _command(program, told, words):
    """The command line of a program with these words behind it, or for tcpd what that one is `told` to start."""
    if os.path.basename(program) == "tcpd":
        return tuple(told)
    return (program, *words) if program not in _NONE else ()


def is_included(name):
    """Whether xinetd reads a file of that name in a folder that it includes."""
    return "." not in name and not name.endswith("~")


def xinetd(files):
    """The Started of xinetd's files that are not disabled.  `files` is {path: text} of xinetd.conf and of what it
    includes, for `defaults` hold for all of them."""
    blocks = [(path, *block) for path, text in files.items() for block in _blocks(text)]
    defaults = {}
    for _, _, name, keys in blocks:
        defaults.update(keys if name is None else {})
    for path, number, name, keys in blocks:
        if name is not None and _is_tcp(keys) and not _is_disabled(keys, _word(keys, "id", name), defaults):
            words = keys.get("server_args", [])
            yield Started("xinetd", path, number, name, _word(keys, "port", name), _host(keys, defaults),
                          _command(_word(keys, "server", ""), words, words))


def _blocks(text):
    """(number of its first line, its service or None for defaults, {attribute: words}) of each block."""
    text = re.sub(r"(?m)^[^\S\n]*#.*$", "", text)
    for block in _BLOCK.finditer(text):
        attributes = [_ATTRIBUTE.fullmatch(line) for line in block[2].split("\n") if line.strip()]
        if all(attributes):         # it refuses the block for one that has no blank before the sign
            yield text.count("\n", 0, block.start()) + 1, block[1], _keys(attributes)


def _keys(attributes):
    """{attribute: words} of matches, in which an attribute may come again."""
    keys = {}
    for key, sign, value in (attribute.groups() for attribute in attributes):
        if sign == "-":
            keys[key] = [word for word in keys.get(key, ()) if word not in value.split()]
        elif sign or key not in keys:       # xinetd keeps to what it has read first
            keys[key] = [*keys.get(key, ()), *value.split()]
    return keys


def _word(keys, key, default):
    """The one word of an attribute."""
    return " ".join(keys.get(key) or [default])


def _is_disabled(keys, name, defaults):
    """By itself, or by the lists of names in `defaults`."""
    return (_word(keys, "disable", "no").casefold() == "yes"      # with more words xinetd does not heed it
            or name in defaults.get("disabled", ()) or name not in defaults.get("enabled", [name]))


def _is_tcp(keys):
    return _word(keys, "socket_type", "stream") == "stream" and _word(keys, "protocol", "tcp").startswith("tcp")


def _host(keys, defaults):
    host = next((_word(each, key, "") for each in (keys, defaults) for key in ("bind", "interface") if key in each), "")
    flags = keys.get("flags", ())
    if host in _ALL:
        return "0.0.0.0" if "IPv4" in flags and "IPv6" not in flags else ""
    return "" if host == "::" else host         # xinetd takes IPv4 there too


def tcp_ports(text):
    """{name: port}, of the names and their aliases in /etc/services."""
    found = {}
    for line in text.split("\n"):
        name, number, *aliases = *line.partition("#")[0].split(), "", ""
        port, _, protocol = number.partition("/")
        if protocol == "tcp" and port.isascii() and port.isdigit():
            found.update((each, int(port)) for each in (name, *aliases) if each and each not in found)
    return found


def port_of(service, known):
    """The number of a service's port, 0 where that is not known; `known` is what tcp_ports() gives."""
    return int(service) if service.isascii() and service.isdigit() else known.get(service, 0)

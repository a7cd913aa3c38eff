"""The values of mail.cfg: each check takes the text of one value and gives what the programs get, or raises Wrong with
what is expected."""

import os
import re
import shlex

from configobj.validate import ValidateError

from amsmail.site import budget, layout, networks, windows
from amsmail.site.passwords import LOCK, can_verify, is_hash
from amsmail.wire.address import AddressError, parse_address

SCHEMA = "1"


class Wrong(ValidateError):
    """A value that fails its check; the message says what is expected."""


def _schema(text):
    if text != SCHEMA:
        raise Wrong(f"{SCHEMA}, the version of mail.cfg that this amsmail reads")
    return text


def _matching(test, expected):
    """A check that lets a text pass as it is if `test(text)` is true; `expected` is what is expected of it."""
    def check(text):
        if not test(text):
            raise Wrong(expected)
        return text
    return check


def _is_path(text):
    return not text or os.path.isabs(text) and "\0" not in text and len(os.fsencode(text)) <= 1000


def _is_folder(text):
    """Whether a text is a path, and there is one: of a folder that must be, '' would be the one that a program happens
    to be in."""
    return bool(text) and _is_path(text)


def is_domain(text):
    """Whether a text is a domain name as mail.cfg has it: no address literal (RFC 5321, section 4.1.3), and written as
    it would be shown."""
    try:
        return str(parse_address(f"x@{text}").domain) == text and not text.startswith("[")
    except AddressError:
        return False


def in_ascii(text):
    """A domain name with its letters beyond ASCII in A-labels (RFC 5890); as it is where there is no such form."""
    try:
        return text.encode("idna").decode()
    except UnicodeError:
        return text


def _hostname(text):
    """A name for EHLO and the greeting, which knows but ASCII (RFC 6531, section 3.7.1)."""
    if not is_domain(text):
        raise Wrong("a domain name such as yacht.example")
    if not text.isascii():
        raise Wrong(f"a domain name in ASCII: {in_ascii(text)}" if in_ascii(text).isascii() else
                    "a domain name in ASCII")
    return text


def address_problem(text):
    """What is expected instead of a text that is no mail address, or none that can stand in mail.cfg, '' if it will
    do."""
    try:
        layout.quoted(str(parse_address(text)))
    except ValueError as error:
        return f"a mail address ({error})"
    return ""


def _count(text, most=""):
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and 0 < int(text) <= int(most or text)):
        raise Wrong(f"a whole number of 1 to {most}" if most else "a whole number, 1 or more")
    return int(text)


def _port(text):
    if text and not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise Wrong("a port number of 1 to 65535")
    return int(text or 0)


def _choice(text, *choices):
    if text not in choices:
        raise Wrong(" or ".join(filter(None, choices)))
    return text


def listed(text):
    """The words of a value that is a list: commas or white space are between them."""
    return text.replace(",", " ").split()


def _networks(text):
    try:
        return [networks.parse(word) for word in listed(text)]
    except ValueError as error:
        raise Wrong(f"networks such as 192.168.7.0/24 or ::1, with commas between them ({error})") from error


def _hash(text):
    if text:
        text, whole = text.removeprefix(LOCK), text
        if not is_hash(text):
            raise Wrong("a hash as `mailcfg password` makes it")
        if not can_verify(text):
            raise Wrong("a hash that the libraries on this machine can verify, as `mailcfg password` makes it")
        return whole
    return text


def _fingerprint(text):
    digits = text.removeprefix("sha256:").replace(":", "").lower()
    if text and not (text.startswith("sha256:") and re.fullmatch("[0-9a-f]{64}", digits)):
        raise Wrong("sha256: and the 64 hex digits of the certificate's SHA-256 digest")
    return digits


def _after(text):
    match = re.fullmatch(r"keep ([0-9]{1,5}) days?", text)
    if text not in ("delete", "keep") and not match:
        raise Wrong("delete, keep, or keep N days")
    return {"delete": 0, "keep": -1}.get(text, int(match[1]) * 86400 if match else 0)


def _backlog(text):
    match = re.fullmatch(r"newest ([0-9]{1,9})", text)
    if text not in ("all", "none") and not match:
        raise Wrong("all, none, or newest N")
    return {"all": -1, "none": 0}.get(text, int(match[1]) if match else 0)


def _command(text):
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Wrong(f"a command line ({error})") from error


def _rate(text):
    """(up, down) in bit/s, 0 for what is not known."""
    match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]+)?)(?:/([0-9]{1,7}(?:\.[0-9]+)?))?", text)
    rates = tuple(round(float(each) * 1000) for each in (match[1], match[2] or match[1])) if match else (0, 0)
    if text and not all(rates):
        raise Wrong("kbit/s, such as 64, or up/down, such as 256/1024")
    return rates


def _seconds(text):
    match = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text)
    if text and not (match and float(text)):
        raise Wrong("seconds, such as 0.7")
    return float(text or 0)


def _number(text):
    """A whole number; 0 for none."""
    return _count(text) if text else 0


def _money(text):
    if text and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise Wrong("an amount such as 1.20")
    return text


def _age(text):
    match = re.fullmatch(r"([1-9][0-9]{0,3}) (hour|day)s?", text)
    if not match:
        raise Wrong("an age such as 12 hours or 7 days")
    return int(match[1]) * {"hour": 3600, "day": 86400}[match[2]]


def _classes(text):
    words = listed(text)
    if not words or not set(words) <= {"normal", "urgent"}:
        raise Wrong("normal, urgent, or both with a comma between them")
    return words


def _windows(text):
    try:
        problems = windows.parse(text).problems()
    except ValueError as error:
        raise Wrong(str(error)) from error
    if problems:
        raise Wrong(f"windows that open and do not overlap: {'; '.join(problems)}")
    return text


def _budget(text):
    try:
        return budget.parse(text)
    except ValueError as error:
        raise Wrong(str(error)) from error


_ANYTHING = (lambda word: True, "")
_PROBES = {
    "interface": (lambda word: len(os.fsencode(word)) <= 15, "interface and a name of at most 15 octets"),
    "route": (networks.number, "route and an IP address: a name would have to be looked up"),
    "command": _ANYTHING,
}


def _probe(text):
    """What shows that a link is there."""
    kind, *words = _command(text) or [""]
    if text and (kind not in _PROBES or not words or kind != "command" and len(words) > 1):
        raise Wrong("interface NAME, route ADDRESS, or command and a command line")
    test, expected = _PROBES.get(kind, _ANYTHING)
    if not all(map(test, words)):
        raise Wrong(expected)
    return text


_A_PATH = "an absolute path of at most 1000 octets"

CHECKS = {
    "schema": _schema,
    "domain": _matching(is_domain, "a domain name such as yacht.example"),
    "hostname": _hostname,
    "host": _matching(lambda text: re.fullmatch(r"[A-Za-z0-9.:_-]*", text), "a host name or an IP address"),
    "path": _matching(_is_path, _A_PATH),
    "folder": _matching(_is_folder, _A_PATH),
    "word": _matching(lambda text: not re.search(r"\s", text), "one word"),
    "text": _matching(lambda text: not re.search(r"[\x00-\x1f]", text), "text without control characters"),
    "count": _count,
    "port": _port,
    "choice": _choice,
    "words": listed,
    "networks": _networks,
    "hash": _hash,
    "fingerprint": _fingerprint,
    "after": _after,
    "backlog": _backlog,
    "command": _command,
    "rate": _rate,
    "number": _number,
    "money": _money,
    "currency": _matching(lambda text: re.fullmatch(r"([A-Z]{3})?", text), "a currency's three letters, such as EUR"),
    "age": _age,
    "classes": _classes,
    "windows": _windows,
    "budget": _budget,
    "probe": _probe,
    "seconds": _seconds,
}

_EXPECTED_MISSING = {
    "schema": f"schema = {SCHEMA} at the top of the file",
    "hostname": "this site's own name, such as mail.yacht.example",
    "postmaster": "the name of a box",
    "type": "the type",
    "host": "the provider's host name",
    "user": "the user name at the provider",
    "password": "the password at the provider",
}


def expected_missing(key):
    """What is expected, in words, where a key must stand and does not."""
    return _EXPECTED_MISSING.get(key, "a value")

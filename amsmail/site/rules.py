"""The rules of mail.cfg in which one value must fit another, and what its sections may be called.

Each rule is a generator of (keys, what is wrong).
"""

import os
import re

from amsmail.site.entries import entries, whole
from amsmail.site.tables import name_or_key
from amsmail.site.values import is_domain
from amsmail.wire.address import AddressError, parse_address

_FILE = re.compile(r"[a-z0-9_-]([a-z0-9._-]*[a-z0-9_-])?")
_WINDOWS_RESERVES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}

ANY_LINK = "any"        # in the place of a link's name: all of them, by priority


# Names

def name_problem(section, name):
    """What is expected of the name of a section [[name]] instead, '' if it will do."""
    if section == "domains":
        return "" if is_domain(name) else "a domain name such as yacht.example"
    if section == "links" and name == ANY_LINK:
        return f"another name than {ANY_LINK!r}, which stands for all links"
    if is_file_name(name):
        return ""
    return ("1 to 64 of a-z, 0-9, '.', '_', '-', without a dot at the ends, and no name that Windows reserves")


def is_file_name(text):
    """Whether a box, an account or a link may be called so: files are named after them."""
    return bool(_FILE.fullmatch(text)) and len(text) <= 64 and text.partition(".")[0] not in _WINDOWS_RESERVES


# Rules

def broken(data, coming=()):
    """(keys, what is wrong) where one value must fit another; `coming` are the paths of files that are yet to be
    made."""
    for rule in _RULES:
        yield from rule(data)
    yield from _files(data, coming)


def _names(data):
    for section in "boxes", "domains", "accounts", "links":
        for name in data[section]:
            if expected := name_problem(section, name):
                yield (section, name), f"expected {expected}"


def _site(data):
    if data["site"]["postmaster"] not in data["boxes"]:
        yield ("site", "postmaster"), _no_box(data["site"]["postmaster"], data["boxes"])
    if not data["domains"]:
        yield ("domains",), "found nothing; expected at least one domain of this site, [[yacht.example]]"


def _no_box(name, boxes):
    return f"found {name!r}; expected one of the boxes: {', '.join(boxes)}"


def _addresses(data):
    owners = {}
    for box, settings in data["boxes"].items():
        for entry in entries(settings["addresses"], box):
            try:
                for address in map(parse_address, whole(entry, data["domains"])):
                    other = owners.setdefault(address.key, box)
                    if other != box:
                        yield ("boxes", box, "addresses"), f"{address} belongs to box {other} already"
            except AddressError as error:
                yield ("boxes", box, "addresses"), f"found {entry!r}; expected addresses: {error}"


# Two values of a section that go together.
_PAIRS = {"tls": ("certificate", "key"), "queue": ("login", "password"), "relay": ("user", "password")}


def _pairs(data):
    for section, (one, other) in _PAIRS.items():
        if bool(data[section][one]) != bool(data[section][other]):
            yield (section,), f"{one} and {other} go together: one of them is missing"


def _files(data, coming):
    for key in _PAIRS["tls"]:
        path = data["tls"][key]
        if path and path not in coming and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            yield ("tls", key), f"found {path!r}, which is no file that can be read; expected a PEM file"


def _queue(data):
    queue = data["queue"]
    if queue["login"] in data["boxes"]:
        yield ("queue", "login"), "is the name of a box; expected another name"
    if queue["warn_after"] >= queue["expire_after"]:
        yield ("queue", "warn_after"), "expected less than expire_after"


def _accounts(data):
    for name, account in data["accounts"].items():
        where = ("accounts", name)
        if bool(account["box"]) == bool(account["envelope"]):
            yield where, "expected either box (everything goes there) or envelope (a whole domain in one account)"
        elif account["box"] and account["box"] not in data["boxes"]:
            yield (*where, "box"), _no_box(account["box"], data["boxes"])
        yield from _imap_checks(where, account)


def _links(data):
    for name, link in data["links"].items():
        yield from _link_checks(("links", name), link)
    carries = {each for link in data["links"].values() for each in link["classes"]}
    if (data["accounts"] or data["relay"]["host"]) and "normal" not in carries:
        yield ("links",), "expected a link with normal among its classes: else normal mail never goes"


def _calls(data):
    use = data["calls"]["use"]
    for name in use:
        if name not in data["links"]:
            yield ("calls", "use"), f"found {name!r}; expected links: {', '.join(data['links'])}"
    if len(use) > len(set(use)):
        yield ("calls", "use"), f"found {', '.join(use)!r}; expected each link once"
    for word in data["calls"]["urgent_from"]:
        try:
            name_or_key(word, data["boxes"])
        except AddressError:
            yield ("calls", "urgent_from"), f"found {word!r}; expected boxes and addresses"


_RULES = (_names, _site, _addresses, _pairs, _queue, _accounts, _links, _calls)


# What a link of each type must say, and what it may say besides what all may.
LINK_KEYS = {
    "always": ((), ()),
    "present": (("probe",), ()),
    "command": (("up", "down"), ("probe",)),
    "rasdial": (("entry",), ("probe", "user", "password", "password_command")),
    "ppp": (("entry",), ("probe",)),
    "networkmanager": (("entry",), ("probe", "password", "password_command")),
    "modemmanager": (("entry",), ("probe", "apn", "user", "password", "password_command")),
}
_OF_SOME_LINKS = ("up", "down", "entry", "apn", "user", "password", "password_command", "probe")
_CHARGES = ("setup_charge", "per_increment", "per_minute", "minimum", "per_mb")


def _link_checks(where, link):
    required, allowed = LINK_KEYS[link["type"]]
    for key in _OF_SOME_LINKS:
        if key in required and not link[key]:
            yield (*where, key), f"found nothing; expected a value: a link of type {link['type']} needs it"
        elif link[key] and key not in (*required, *allowed):
            yield (*where, key), f"found a value; expected none: a link of type {link['type']} has no use for it"
    if link["password"] and link["password_command"]:
        yield (*where, "password_command"), "expected either password or password_command"
    if link["type"] == "rasdial" and link["user"] and not (link["password"] or link["password_command"]):
        yield (*where, "user"), "expected password or password_command with it"
    charges = [key for key in _CHARGES if link[key]]
    if charges and not link["currency"]:
        yield (*where, charges[0]), f"found {link[charges[0]]!r} and no currency; expected currency = EUR or another"
    if link["per_increment"] and not link["increment"]:
        yield (*where, "per_increment"), "expected increment = 20 or another number of seconds with it"
    if link["increment"] and not (link["per_increment"] or link["per_minute"]):
        yield (*where, "increment"), "expected per_increment or per_minute with it"
    if link["idle_floor"] and not link["per_mb"]:
        yield (*where, "idle_floor"), "expected per_mb with it"
    if link["urgent"] == "at any time" and "urgent" not in link["classes"]:
        yield (*where, "urgent"), "found 'at any time'; expected in windows: urgent is not among the link's classes"
    for _, unit, _ in link["budget"]:
        if unit not in ("minutes", "MB", link["currency"]):
            yield (*where, "budget"), f"found a budget in {unit}; expected one in the link's currency"
        elif unit == link["currency"] and not any(float(link[key]) for key in charges):
            yield (*where, "budget"), f"found a budget in {unit}; expected per_minute or another charge with it"


def _imap_checks(where, account):
    if account["type"] != "imap":
        for key, default in ("folder", "INBOX"), ("deletion", "expunge"), ("deletion_folder", ""):
            if account[key] != default:
                yield (*where, key), f"found {account[key]!r}; expected only where type is imap"
    elif not account["folder"]:
        yield (*where, "folder"), "found nothing; expected the name of a folder, such as INBOX"
    elif bool(account["deletion_folder"]) != (account["deletion"] == "move"):
        yield where, "deletion = move and deletion_folder go together: one of them is missing"
    elif account["deletion_folder"] == account["folder"]:
        yield (*where, "deletion_folder"), f"found {account['folder']!r}; expected another than that of the account"

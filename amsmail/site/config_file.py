"""Reading, checking and editing the file mail.cfg.

ConfigObj reads it with interpolation and list values off: passwords hold `%` and commas.  A mistake is reported with
file, line, key, what was found and what is expected; the line numbers come from an index of keys made here.
"""

import os
import re
import shlex

from configobj import ConfigObj, ConfigObjError, get_extra_values
from configobj.validate import ValidateError, Validator

from amsmail.site import networks
from amsmail.site.config_error import ConfigError
from amsmail.store import durable
from amsmail.wire.address import Address, AddressError, parse_address

SCHEMA = "1"
_SPEC = os.path.join(os.path.dirname(__file__), "mail.spec")
_SECTION = re.compile(r"\s*(\[+)\s*(.*?)\s*\]+\s*(#.*)?$")
_KEY_LINE = re.compile(r"""(\s*[^\[#\s=][^=]*=\s*)("[^"]*"|'[^']*'|.*?)(\s+#.*|\s*)$""")
_BOX = re.compile(r"[a-z0-9_-]([a-z0-9._-]*[a-z0-9_-])?")
_WINDOWS_RESERVES = {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}


class _Wrong(ValidateError):
    """A value that fails its check; the message says what is expected."""


def read(path):
    """The contents of the mail.cfg at `path`, checked and converted: {section: {...}}.  Raises ConfigError."""
    _check_mode(path)
    return _checked(path, _lines_of(path))


def edit(path, changes):
    """Changes values in the mail.cfg at `path`: {(section, [subsection,] key): value, or None to remove it}.

    Only the lines of these keys change; a section that is missing is added.  The file is replaced atomically, and only
    if nothing is wrong with the result that was not wrong before.  Raises ConfigError.
    """
    lines = _lines_of(path)
    before = {_without_line(problem) for problem in _problems(path, lines)}
    for keys, value in changes.items():
        _set(lines, keys, value)
    worse = [problem for problem in _problems(path, lines) if _without_line(problem) not in before]
    if worse:
        raise ConfigError(worse)
    with _open_errors(path):
        durable.replace(path, "".join(line + "\n" for line in lines).encode(), like=os.stat(path))


def box_names(path):
    """The names of the boxes in the mail.cfg at `path`, whatever else may be wrong with it.  Raises ConfigError."""
    index, _ = _index(_lines_of(path))
    return [keys[1] for keys in index if keys[0] == "boxes" and len(keys) == 2]


def _problems(path, lines):
    try:
        _checked(path, lines)
    except ConfigError as error:
        return error.problems
    return []


def _without_line(problem):
    """A problem's text without the file and the line, which an edit may move."""
    return problem.partition(": ")[2]


def _set(lines, keys, value):
    """Sets or removes one key in a list of lines."""
    index, _ = _index(lines)
    if keys in index:
        at = index[keys] - 1
        if value is None:
            del lines[at]
        else:
            start, _, comment = _KEY_LINE.match(lines[at]).groups()
            lines[at] = f"{start}{quoted(value)}{comment or ''}"
    elif value is not None:
        at, indent = _end_of_section(lines, keys[:-1])
        lines.insert(at, f"{indent}{keys[-1]} = {quoted(value)}")


def _end_of_section(lines, section):
    """Where a new key of a section goes, behind its last one, and its indentation; the section is added if need be."""
    index, _ = _index(lines)
    if section not in index:
        above = section[:-1]
        at, indent = _end_of_section(lines, above) if above else (len(lines), "")
        inside = [number for keys, number in index.items() if above and keys[:len(above)] == above]
        at = max([at, *inside])
        indent += "  " if above else ""
        lines[at:at] = [*([] if above else [""]), f"{indent}{'[' * len(section)}{section[-1]}{']' * len(section)}"]
        return at + (1 if above else 2), indent
    own = [number for keys, number in index.items() if keys[:-1] == section and _KEY_LINE.match(lines[number - 1])]
    last = max([index[section], *own])
    return last, re.match(r"\s*", lines[last - 1])[0]


def quoted(value):
    """A value as it must stand in the file, so that it is read back as it is.  Raises ValueError if it cannot be."""
    if not (value == "" or value != value.strip() or "#" in value or value[0] in "\"'"):
        if "\n" in value:
            raise ValueError("a value is one line")
        return value
    quote = next((q for q in "\"'" if q not in value), None)
    if quote is None or "\n" in value:
        raise ValueError("a value cannot hold both kinds of quotes, nor a line end")
    return f"{quote}{value}{quote}"


class _open_errors:
    """Turns what opening the file may raise into ConfigError."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        return self

    def __exit__(self, _type, error, _traceback):
        if isinstance(error, OSError):
            raise ConfigError([f"{self._path}: cannot be read or written: {error.strerror}"]) from error
        if isinstance(error, UnicodeDecodeError):
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigError([f"{self._path}:{line}: is not UTF-8 text: {error.reason}"]) from error


def _lines_of(path):
    with _open_errors(path), open(path, encoding="utf-8-sig") as f:
        return f.read().splitlines()


def _check_mode(path):
    if os.name == "nt":
        return
    with _open_errors(path):
        mode = os.stat(path).st_mode
    if mode & 0o007:
        raise ConfigError([f"{path}: mode {mode & 0o777:04o} lets everybody on this machine at the passwords in it; "
                           f"expected 0640 or 0600: chmod o= {path}"])
    if mode & 0o020:
        raise ConfigError([f"{path}: mode {mode & 0o777:04o} lets its group change it; expected 0640 or 0600: "
                           f"chmod g-w {path}"])


def _parse(path, lines):
    try:
        return ConfigObj(list(lines), list_values=False, interpolation=False,
                         configspec=ConfigObj(_SPEC, list_values=False, interpolation=False, _inspec=True))
    except ConfigObjError as error:
        raise ConfigError([_syntax_problem(path, e) for e in getattr(error, "errors", None) or [error]]) from error


def _syntax_problem(path, error):
    number = getattr(error, "line_number", None)
    message = str(error).partition(" at line")[0].rstrip(".")
    return f"{path}:{number}: {message}; expected `key = value`, `[section]` or a comment"


def _checked(path, lines):
    index, problems = _index(lines)
    problems = [f"{path}:{number}: {text}" for number, text in problems]
    config = _parse(path, lines)
    if not config.get("links"):
        config["links"] = {"network": {"type": "always"}}      # without one, the network is taken to be there
    config.walk(_unquote)

    def problem(keys, text):
        """Reported at the key's line, or at that of the nearest section around it."""
        where = next((index[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in index), 1)
        name = " ".join([f"[{keys[0]}]", *keys[1:]]) if len(keys) > 1 or keys[0] != "schema" else keys[0]
        problems.append(f"{path}:{where}: {name}: {text}")

    found = _values(config)
    results = config.validate(Validator(_CHECKS), preserve_errors=True)
    if results is not True:
        for keys, error in _failures(results):
            value = "nothing" if error is False else _shown(keys, found.get(keys, ""))
            expected = _EXPECTED_MISSING.get(keys[-1], "a value") if error is False else error
            problem(keys, f"found {value}; expected {expected}")
    for section, name in get_extra_values(config):
        known = _known(config.configspec, section)
        problem((*section, name), f"no such key; known here: {', '.join(known)}")
    if not problems:
        data = {name: config[name].dict() for name in config.sections}
        for keys, text in _cross_checks(data):
            problem(keys, text)
    if problems:
        raise ConfigError(problems)
    return _converted(data)


def _index(lines):
    """{keys: line number} of every section and key, and what only the raw line shows to be wrong."""
    index, problems, where = {}, [], ()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("["):
            match = _SECTION.match(line)
            if match:
                where = (*where[:len(match[1]) - 1], match[2].strip("\"'"))
                index.setdefault(where, number)
            continue
        key, _, value = text.partition("=")
        key, value = key.strip().strip("\"'"), value.strip()
        index.setdefault((*where, key), number)
        if value[:1] not in ("\"", "'") and re.search(r"\S#", value):
            problems.append((number, f"{key}: a # in the middle of a value would start a comment; expected the value "
                                     "in quotes, or a blank before the #"))
    return index, problems


def _unquote(section, key):
    value = section[key]
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        section[key] = value[1:-1]


def _values(section, above=()):
    found = {(*above, key): section[key] for key in section.scalars}
    for name in section.sections:
        found.update(_values(section[name], (*above, name)))
    return found


def _failures(results, above=()):
    """(keys, error or False) of each value that failed, out of ConfigObj's tree of results."""
    for key, result in results.items():
        if isinstance(result, dict):
            yield from _failures(result, (*above, key))
        elif result is not True:
            yield (*above, key), result


def _known(spec, section):
    for name in section:
        spec = spec[name] if name in spec else spec["__many__"]
    return spec.scalars + [s for s in spec.sections if s != "__many__"] or ["a section [[name]]"]


def _shown(keys, value):
    """A value for a message; a password is not shown."""
    return "a value that is not shown here" if keys[-1] == "password" else repr(value)


# The checks of mail.spec: each takes the text and gives the value, or raises _Wrong with what is expected.

def _schema(text):
    if text != SCHEMA:
        raise _Wrong(f"{SCHEMA}, the version of mail.cfg that this amsmail reads")
    return text


def _matching(test, expected):
    def check(text):
        if not test(text):
            raise _Wrong(expected)
        return text
    return check


def _is_path(text):
    return not text or os.path.isabs(text) and "\0" not in text and len(os.fsencode(text)) <= 1000


def _is_domain(text):
    try:
        return str(parse_address(f"x@{text}").domain) == text and not text.startswith("[")
    except AddressError:
        return False


def _count(text):
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text)):
        raise _Wrong("a whole number, 1 or more")
    return int(text)


def _port(text):
    if text and not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise _Wrong("a port number of 1 to 65535")
    return int(text or 0)


def _choice(text, *choices):
    if text not in choices:
        raise _Wrong(" or ".join(filter(None, choices)))
    return text


def _words(text):
    return text.replace(",", " ").split()


def _networks(text):
    try:
        return [networks.parse(word) for word in _words(text)]
    except ValueError as error:
        raise _Wrong(f"networks such as 192.168.7.0/24 or ::1, with commas between them ({error})") from error


def _hash(text):
    if text:
        from amsmail.site.passwords import can_verify, is_hash
        if not is_hash(text):
            raise _Wrong("a hash as `mailcfg password` makes it")
        if not can_verify(text):
            raise _Wrong("a hash that the libraries on this machine can verify, as `mailcfg password` makes it")
    return text


def _fingerprint(text):
    digits = text.removeprefix("sha256:").replace(":", "").lower()
    if text and not (text.startswith("sha256:") and re.fullmatch("[0-9a-f]{64}", digits)):
        raise _Wrong("sha256: and the 64 hex digits of the certificate's SHA-256 digest")
    return digits


def _after(text):
    match = re.fullmatch(r"keep ([0-9]{1,5}) days?", text)
    if text not in ("delete", "keep") and not match:
        raise _Wrong("delete, keep, or keep N days")
    return {"delete": 0, "keep": -1}.get(text, int(match[1]) * 86400 if match else 0)


def _backlog(text):
    match = re.fullmatch(r"newest ([0-9]{1,9})", text)
    if text not in ("all", "none") and not match:
        raise _Wrong("all, none, or newest N")
    return {"all": -1, "none": 0}.get(text, int(match[1]) if match else 0)


def _command(text):
    try:
        return shlex.split(text)
    except ValueError as error:
        raise _Wrong(f"a command line ({error})") from error


def _rate(text):
    """(up, down) in bit/s, 0 for what is not known."""
    match = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]+)?)(?:/([0-9]{1,7}(?:\.[0-9]+)?))?", text)
    rates = tuple(round(float(each) * 1000) for each in (match[1], match[2] or match[1])) if match else (0, 0)
    if text and not all(rates):
        raise _Wrong("kbit/s, such as 64, or up/down, such as 256/1024")
    return rates


def _seconds(text):
    match = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text)
    if text and not (match and float(text)):
        raise _Wrong("seconds, such as 0.7")
    return float(text or 0)


def _number(text):
    """A whole number; 0 for none."""
    return _count(text) if text else 0


def _money(text):
    if text and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise _Wrong("an amount such as 1.20")
    return text


def _age(text):
    match = re.fullmatch(r"([1-9][0-9]{0,3}) (hour|day)s?", text)
    if not match:
        raise _Wrong("an age such as 12 hours or 7 days")
    return int(match[1]) * {"hour": 3600, "day": 86400}[match[2]]


def _classes(text):
    words = _words(text)
    if not words or not set(words) <= {"normal", "urgent"}:
        raise _Wrong("normal, urgent, or both with a comma between them")
    return words


def _windows(text):
    from amsmail.site import windows
    try:
        problems = windows.parse(text).problems()
    except ValueError as error:
        raise _Wrong(str(error)) from error
    if problems:
        raise _Wrong(f"windows that open and do not overlap: {'; '.join(problems)}")
    return text


def _budget(text):
    from amsmail.site import budget
    try:
        return budget.parse(text)
    except ValueError as error:
        raise _Wrong(str(error)) from error


def _probe(text):
    """What shows that a link is there."""
    words = _command(text)
    kinds = {"interface": 2, "route": 2}
    if words and not (len(words) == kinds.get(words[0]) or words[0] == "command" and len(words) > 1):
        raise _Wrong("interface NAME, route ADDRESS, or command and a command line")
    return text


_CHECKS = {
    "schema": _schema,
    "domain": _matching(_is_domain, "a domain name such as yacht.example"),
    "host": _matching(lambda text: re.fullmatch(r"[A-Za-z0-9.:_-]*", text), "a host name or an IP address"),
    "path": _matching(_is_path, "an absolute path of at most 1000 octets"),
    "word": _matching(lambda text: not re.search(r"\s", text), "one word"),
    "text": _matching(lambda text: not re.search(r"[\x00-\x1f]", text), "text without control characters"),
    "count": _count,
    "port": _port,
    "choice": _choice,
    "words": _words,
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


def _cross_checks(data):
    """(keys, what is wrong) where one value must fit another."""
    boxes, site = data["boxes"], data["site"]
    for name in boxes:
        if not _BOX.fullmatch(name) or name.partition(".")[0] in _WINDOWS_RESERVES or len(name) > 64:
            yield ("boxes", name), ("a box's name is 1 to 64 of a-z, 0-9, '.', '_', '-', has no dot at its ends and is "
                                    "no name that Windows reserves")
    if site["postmaster"] not in boxes:
        yield ("site", "postmaster"), f"found {site['postmaster']!r}; expected one of the boxes: {', '.join(boxes)}"
    if not data["domains"]:
        yield ("domains",), "found nothing; expected at least one domain of this site, [[yacht.example]]"
    for name in data["domains"]:
        if not _is_domain(name):
            yield ("domains", name), "expected a domain name such as yacht.example"
    yield from _address_checks(data)
    if bool(data["tls"]["certificate"]) != bool(data["tls"]["key"]):
        yield ("tls",), "certificate and key go together: one of them is missing"
    for key in ("certificate", "key"):
        path = data["tls"][key]
        if path and not os.access(path, os.R_OK):
            yield ("tls", key), f"found {path!r}, which is not there or cannot be read; expected a PEM file"
    if data["queue"]["login"] in boxes:
        yield ("queue", "login"), "is the name of a box; expected another name"
    if bool(data["queue"]["login"]) != bool(data["queue"]["password"]):
        yield ("queue",), "login and password go together: one of them is missing"
    if bool(data["relay"]["user"]) != bool(data["relay"]["password"]):
        yield ("relay",), "user and password go together: one of them is missing"
    for name, account in data["accounts"].items():
        where = ("accounts", name)
        if not _BOX.fullmatch(name):
            yield where, "an account's name is 1 or more of a-z, 0-9, '.', '_', '-'"
        if bool(account["box"]) == bool(account["envelope"]):
            yield where, "expected either box (everything goes there) or envelope (a whole domain in one account)"
        elif account["box"] and account["box"] not in boxes:
            yield (*where, "box"), f"found {account['box']!r}; expected one of the boxes: {', '.join(boxes)}"
        yield from _imap_checks(where, account)
    for name, link in data["links"].items():
        yield from _link_checks(("links", name), link)
    for word in data["calls"]["urgent_from"]:
        if word not in boxes and "@" not in word:
            yield ("calls", "urgent_from"), f"found {word!r}; expected boxes and addresses"
    if data["queue"]["warn_after"] >= data["queue"]["expire_after"]:
        yield ("queue", "warn_after"), "expected less than expire_after"


# What a link of each type must say, and what it may say besides what all may.
_LINK_KEYS = {
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
    required, allowed = _LINK_KEYS[link["type"]]
    for key in _OF_SOME_LINKS:
        if key in required and not link[key]:
            yield (*where, key), f"found nothing; expected a value: a link of type {link['type']} needs it"
        elif link[key] and key not in (*required, *allowed):
            yield (*where, key), f"found a value; expected none: a link of type {link['type']} has no use for it"
    if link["password"] and link["password_command"]:
        yield (*where, "password_command"), "expected either password or password_command"
    charges = [key for key in _CHARGES if link[key]]
    if charges and not link["currency"]:
        yield (*where, charges[0]), f"found {link[charges[0]]!r} and no currency; expected currency = EUR or another"
    if link["per_increment"] and not link["increment"]:
        yield (*where, "per_increment"), "expected increment = 20 or another number of seconds with it"
    if link["increment"] and not (link["per_increment"] or link["per_minute"]):
        yield (*where, "increment"), "expected per_increment or per_minute with it"
    if link["idle_floor"] and not link["per_mb"]:
        yield (*where, "idle_floor"), "expected per_mb with it"
    for _, unit, _ in link["budget"]:
        if unit not in ("minutes", "MB", link["currency"]):
            yield (*where, "budget"), f"found a budget in {unit}; expected one in the link's currency"


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


def _address_checks(data):
    owners = {}
    for box, settings in data["boxes"].items():
        for text in settings["addresses"]:
            try:
                for address in _addresses(text, data["domains"]):
                    other = owners.setdefault(address.key, box)
                    if other != box:
                        yield ("boxes", box, "addresses"), f"{address} belongs to box {other} already"
            except AddressError as error:
                yield ("boxes", box, "addresses"), f"found {text!r}; expected addresses: {error}"


def _addresses(text, domains):
    """What an entry of `addresses` stands for: without an @, that name at each domain of the site."""
    return [parse_address(text)] if "@" in text else [parse_address(f"{text}@{domain}") for domain in domains]


def _converted(data):
    """What the programs look up: the box of every address, the domains as one table."""
    domains = {name.casefold(): settings["unknown"] for name, settings in data["domains"].items()}
    addresses = {}
    for box, settings in data["boxes"].items():
        for text in settings["addresses"] or [box]:
            addresses.update((address.key, box) for address in _addresses(text, domains))
    addresses.update((Address("postmaster", domain).key, data["site"]["postmaster"]) for domain in domains)
    return {**data, "domains": domains, "addresses": addresses}

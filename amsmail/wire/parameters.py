"""The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954), MT-PRIORITY
(RFC 6710) and those of DSN (RFC 3461)."""

from amsmail.wire.lines import is_number

ENVID_OCTETS, ORCPT_OCTETS = 100, 500       # RFC 3461, sections 4.4 and 4.2


class ParameterError(ValueError):
    """A parameter that is unknown (`unknown` is true: code 555) or wrong (501)."""

    def __init__(self, message, unknown=False):
        super().__init__(message)
        self.unknown = unknown


def is_xtext(text):
    """Whether `text` is xtext (RFC 3461, section 4): printable ASCII, with + only before two upper-case hex digits;
    what they stand for is printable too (section 4.4), since it goes into the fields of a notification."""
    pieces = text.split("+")
    return (all("!" <= c <= "~" and c != "=" for c in text)
            and all(len(p) >= 2 and all(c in "0123456789ABCDEF" for c in p[:2]) for p in pieces[1:])
            and all(" " <= c <= "~" for c in from_xtext(text)))


def from_xtext(text):
    """The text that xtext stands for."""
    first, *pieces = text.split("+")
    return first + "".join(chr(int(piece[:2], 16)) + piece[2:] for piece in pieces)


def _size(value):
    if not is_number(value):
        raise ParameterError("SIZE is a number of octets of at most 20 digits")
    return int(value)


def _one_of(name, *choices):
    def check(value):
        if value.upper() not in choices:
            raise ParameterError(f"{name} is {' or '.join(choices)}")
        return value.upper()
    return check


def _no_value(value):
    if value:
        raise ParameterError("SMTPUTF8 takes no value")
    return True


def _xtext(name, most):
    def check(value):
        if not value or len(value) > most or not is_xtext(value):
            raise ParameterError(f"{name} is xtext (RFC 3461, section 4) of at most {most} octets")
        return value
    return check


def _priority(value):
    if value not in _PRIORITIES:
        raise ParameterError("MT-PRIORITY is a number of -9 to 9")
    return value


def _notify(value):
    words = value.upper().split(",")
    if words != ["NEVER"] and not (set(words) <= {"SUCCESS", "FAILURE", "DELAY"} and len(set(words)) == len(words)):
        raise ParameterError("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return ",".join(words)


def _ascii(text):
    """A text of RFC 6533, section 3, with a letter for each character outside ASCII: what is left is xtext."""
    return "".join(c if c.isascii() else "x" for c in text)


def _orcpt(value):
    kind, mark, address = value.partition(";")
    if not (mark and kind and address and len(value) <= ORCPT_OCTETS and all("!" <= c <= "~" for c in kind)
            and is_xtext(_ascii(address) if kind.lower() == "utf-8" else address)):
        raise ParameterError(f"ORCPT is an address type, a semicolon and xtext, at most {ORCPT_OCTETS} octets")
    return value


# As RFC 6710 writes them: no sign but a minus, no zero in front.  Text, since 0 is not the same as nothing.
_PRIORITIES = {str(number) for number in range(-9, 10)}

MAIL = {
    "SIZE": _size,
    "BODY": _one_of("BODY", "7BIT", "8BITMIME"),
    "SMTPUTF8": _no_value,
    "AUTH": _xtext("AUTH", 500),
    "RET": _one_of("RET", "FULL", "HDRS"),
    "ENVID": _xtext("ENVID", ENVID_OCTETS),
    "MT-PRIORITY": _priority,
}
RCPT = {
    "NOTIFY": _notify,
    "ORCPT": _orcpt,
}


def parse(text, table):
    """The parameters behind a path, as {keyword: value}; `table` is MAIL or RCPT.  Raises ParameterError."""
    found = {}
    for word in text.split():
        keyword, _, value = word.partition("=")
        keyword = keyword.upper()
        if keyword not in table:
            raise ParameterError(f"no parameter {keyword[:40]} here", unknown=True)
        if keyword in found:
            raise ParameterError(f"{keyword} twice")
        found[keyword] = table[keyword](value)
    if text and not text[0].isspace():
        raise ParameterError(f"{text[:40]!r} right behind the path")
    return found

"""Lengths of time, sizes and numbers of things, as a person says them."""

_UNITS = (("days", 24 * 3600), ("hours", 3600))
_OCTETS = ((1_000_000, "MB"), (1000, "kB"))


def in_words(seconds):
    """A length of time, rounded down, as a person says it: '3 days', '25 hours', '1 minute'."""
    for name, length in _UNITS:
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {name}"
    return counted(max(int(seconds // 60), 0), "minute")


def in_octets(octets):
    """A size as a person says it."""
    for unit, name in _OCTETS:
        if octets >= 10 * unit:
            return f"{octets // unit} {name}"
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} octets"


def counted(number, what, several=""):
    """'1 message', '2 messages'; `several` is a plural that has more than an s behind it."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"

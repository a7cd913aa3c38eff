"""The figures of a call in the ledger, which a person or an older amsmail may have written: what cannot be read counts
as nothing."""

_MOST = 10**15          # no figure of a call is larger: it would be nonsense


def figure(record, key):
    """The number under `key` of a dict, at least 0; 0 where there is none that makes sense."""
    number = record.get(key)
    return number if is_number(number) and 0 <= number < _MOST else 0


def is_number(value):
    """Whether it is a number at all, maybe one that is none of a call."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)

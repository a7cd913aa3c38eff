"""The priority of a message: a number of -9 to 9, of which a higher one goes first (RFC 6710)."""

import re

URGENT, NON_URGENT = 4, -4      # in the policy MIXER (RFC 6710, appendix B), between which 0 is normal

# Field -> what its values say: Priority and Importance of RFC 2156, section 5.3.6 (registered by RFC 4021), and what
# mail programs write, of which 1 and 2 are above 3, the normal one.  Only Priority is about the transport: what the
# others call low need not wait.
_MARKS = {
    "priority": {"urgent": URGENT, "non-urgent": NON_URGENT},
    "importance": {"high": URGENT},
    "x-priority": {"1": URGENT, "2": URGENT},
    "x-msmail-priority": {"high": URGENT},
}
HEADER_CAP = 1 << 16        # octets in which the header is looked for


def priority(head, given=""):
    """A message's priority, as the server that took it determines it (RFC 6710, section 4.1).  `head`: its first
    octets, with LF or CRLF line ends.  `given`: its envelope's MT-PRIORITY, '' if it has none; if it has one, that
    alone counts: it is said to the transport, while the header speaks to the reader too.  Without one the highest that
    its header says, 0 if that says nothing."""
    if given:
        return int(given)
    header = re.split(rb"\n\r?\n", b"\n" + head, maxsplit=1)[0]
    unfolded = re.sub(rb"\r?\n[ \t]", b" ", header).decode("latin-1")
    # For splitlines() an octet of a letter in UTF-8 may be a line end.
    return max(filter(None, map(_mark, unfolded.split("\n"))), default=0)


def _mark(line):
    """The priority that a line of a header says, None if it says nothing of it."""
    name, _, value = line.partition(":")
    words = value.lower().split()       # `1 (Highest)` is 1
    return _MARKS.get(name.strip().lower(), {}).get(words[0]) if words else None

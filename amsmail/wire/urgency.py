"""How urgent a message says that it is."""

import re

# Field -> the values by which its sender asks for haste: Priority and Importance of RFC 2156, section 5.3.6 (registered
# by RFC 4021), and what mail programs write, of which 1 and 2 are above 3, the normal one.
_URGENT = {
    "priority": {"urgent"},
    "importance": {"high"},
    "x-priority": {"1", "2"},
    "x-msmail-priority": {"high"},
}
_FROM = 4                   # MT-PRIORITY: urgent in the policy MIXER (RFC 6710), whose other levels are -4 and 0
URGENT, NORMAL = 0, 1       # as ranks: what is lower comes first
HEADER_CAP = 1 << 16        # octets in which the header is looked for


def is_urgent(head, priority=""):
    """Whether a message is marked as urgent.  `head`: its first octets, with LF or CRLF line ends.  `priority`: its
    envelope's MT-PRIORITY, '' if it has none; if it has one, that alone counts: it is said to the transport, while the
    header speaks to the reader too."""
    if priority:
        return int(priority) >= _FROM
    header = re.split(rb"\n\r?\n", b"\n" + head, maxsplit=1)[0]
    unfolded = re.sub(rb"\r?\n[ \t]", b" ", header).decode("latin-1")
    for line in unfolded.split("\n"):       # for splitlines() an octet of a letter in UTF-8 may be a line end
        name, _, value = line.partition(":")
        words = value.split()
        if words and words[0].lower() in _URGENT.get(name.strip().lower(), ()):     # `1 (Highest)` is one too
            return True
    return False

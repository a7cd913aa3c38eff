"""What the wire allows at best: the messages' octets at the line's rate, and one round trip.

Floor a: the messages as they are.  Floor b: all of them as one stream compressed by xz (lzma at its highest preset, as
the standard library has it; zstd comes within a few per cent).  Both ways at once: the larger of the two directions.
"""

import lzma


def floors(profile, texts):
    """(floor a, floor b) in seconds for `texts`, {"out": messages, "in": messages}."""
    raw = {direction: sum(map(len, messages)) for direction, messages in texts.items()}
    packed = {direction: compressed(messages) for direction, messages in texts.items()}
    return seconds(profile, raw), seconds(profile, packed)


def compressed(messages):
    """Octets of the messages in one stream."""
    return len(lzma.compress(b"".join(messages), preset=9 | lzma.PRESET_EXTREME))


def seconds(profile, octets):
    rates = {"out": profile.rate_up, "in": profile.rate_down}
    return max(8 * count / rates[direction] for direction, count in octets.items()) + profile.round_trip

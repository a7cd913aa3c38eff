"""Passwords that are made up: long enough, and easy to read out over a noisy radio."""

import secrets

_CONSONANTS, _VOWELS = "bdfghjkmnprstvz", "aeiou"
_SYLLABLES, _GROUP = 12, 3      # (15 x 5) ** 12 is 74 bits


def passphrase():
    """Twelve syllables in four groups, such as `bodura-zefino-...`."""
    syllables = [secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(_SYLLABLES)]
    return "-".join("".join(syllables[at:at + _GROUP]) for at in range(0, _SYLLABLES, _GROUP))

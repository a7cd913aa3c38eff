"""Passwords of boxes: hashed by passlib, which is imported only when somebody logs in."""

from amsmail.site import libraries

# What mail.cfg may hold.  New ones are pbkdf2_sha256: its work is done by OpenSSL, so it is neither slow on a small
# machine nor missing on one (crypt(3) is gone from Python 3.13).
SCHEMES = ["pbkdf2_sha256", "pbkdf2_sha512", "sha512_crypt", "sha256_crypt", "scrypt", "bcrypt", "argon2"]

# What a password may be, of a box here or of an account elsewhere, in words.
EXPECTED = "1 to 1000 printable characters"

# Before a hash: nobody can log in with that password, until it goes.
LOCK = "!"

# The hash of a password that nobody has, made as `hashed` makes them.
_NOBODYS = "$pbkdf2-sha256$29000$mzPmfI/Ruvc.J6T0HiMkxA$WobYNQWXonQpypmR/yCRDKZj5iHEb6E2PuDuJ2hii.E"


def _context():
    libraries.reach()
    from passlib.context import CryptContext
    return CryptContext(SCHEMES)


def is_possible(text):
    """Whether `text`, in clear, may be a password: see EXPECTED."""
    return 0 < len(text) <= 1000 and text.isprintable()


def is_hash(text):
    """Whether `text` is a hash of one of SCHEMES."""
    return _context().identify(text) is not None


def hashed(password):
    """The hash of a password, for mail.cfg."""
    return _context().hash(password)


def verify(password, text):
    """Whether `password` is the one that was hashed to `text`; never for an empty hash, nor for a locked
    one."""
    # HMAC pads its key with NUL: 'x' and 'x NUL' would have the same hash.
    possible = bool(text) and not text.startswith(LOCK) and "\0" not in password
    try:
        # What is not possible takes as long: the time must not tell who has a box.
        return _context().verify(password, text if possible else _NOBODYS) and possible
    except (ValueError, TypeError):     # octets that are no UTF-8
        return False


def can_verify(text):
    """Whether what verifying a hash takes is installed."""
    handler = _context().handler(_context().identify(text))
    return not hasattr(handler, "has_backend") or handler.has_backend()

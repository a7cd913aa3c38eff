"""A certificate for the site, and where mail.cfg names it."""

import os

from amsmail.setup import certificate as making
from amsmail.site.config_error import ConfigError


def make_for(draft, certificate, key):
    """Makes a certificate for the site, and names it in the draft; gives what to tell the person.  Raises
    ConfigError."""
    folder = os.stat(os.path.dirname(draft.path))
    try:
        like = os.stat(draft.path) if os.path.exists(draft.path) else os.stat_result((0o100640, *tuple(folder)[1:]))
        fingerprint = making.make(draft.value(("site", "hostname")), certificate, key, like)
    except making.CannotMake as error:
        raise ConfigError([str(error)]) from error
    draft.set(("tls", "certificate"), certificate)
    draft.set(("tls", "key"), key)
    return (f"{certificate}: made, for ten years; mail programs ask once whether to trust it.  Its SHA-256 fingerprint:\n"
            + ":".join(fingerprint[at:at + 2] for at in range(0, 64, 2)).upper())

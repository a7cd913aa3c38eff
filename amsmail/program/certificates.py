"""A certificate for the site, and where mail.cfg names it."""

import os

from amsmail.setup import openssl
from amsmail.site import config_file
from amsmail.site.config_error import ConfigError


def make_for(draft, certificate="", key=""):
    """Makes a certificate for the site that is written with the draft, as these files or, without a name, beside
    mail.cfg; gives what to tell the person.  What is there is never written over: the old certificate and its key stay
    as they are until mail.cfg names the new ones.  Raises ConfigError."""
    certificate, key = (os.path.abspath(path) if path else _free(os.path.dirname(draft.path), name)
                        for path, name in ((certificate, "cert"), (key, "key")))
    for name, path in ("certificate", certificate), ("key", key):
        if expected := config_file.expected(("tls", name), path):
            raise ConfigError([f"--{name}: found {path!r}; expected {expected}"])
        if os.path.exists(path):
            raise ConfigError([f"{path}: is there already, and is not written over; name another file"])
    try:
        made = openssl.make(draft.value(("site", "hostname")))
    except openssl.CannotMake as error:
        raise ConfigError([str(error)]) from error
    for name, path, text in ("certificate", certificate, made.certificate), ("key", key, made.key):
        draft.put_file(path, text)
        draft.set(("tls", name), path)
    digits = made.fingerprint.upper()
    pairs = [digits[at:at + 2] for at in range(0, 64, 2)]
    return (f"{certificate}: a certificate for ten years; mail programs ask once whether to trust it.  "
            f"Its SHA-256 fingerprint:\n  {':'.join(pairs[:16])}:\n  {':'.join(pairs[16:])}")


def _free(folder, name):
    """A path for a PEM file that is not there yet."""
    number, path = 1, os.path.join(folder, f"{name}.pem")
    while os.path.exists(path):
        number += 1
        path = os.path.join(folder, f"{name}-{number}.pem")
    return path

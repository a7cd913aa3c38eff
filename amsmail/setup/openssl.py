"""A certificate of this site's own, for the mail programs on board, made by openssl(1).  Here it is octets; into which
files it goes, and that mail.cfg names these, is for program/certificates."""

import hashlib
import os
import ssl
import subprocess
import tempfile

from amsmail.wire.value import Value

_DAYS = 3650            # on board nobody renews it, and nobody but the crew trusts it
_COMMON_NAME = 64       # characters that a CN may have, RFC 5280, appendix A.1


class CannotMake(Exception):
    """There is no certificate; the message says why."""


class Made(Value):
    """certificate, key: PEM files' contents.  fingerprint: the certificate's SHA-256 digest, in hex."""

    __slots__ = ("certificate", "key", "fingerprint")


def make(hostname):
    """Makes a key and a certificate for `hostname` that it signs itself, ten years long.  Raises CannotMake."""
    try:
        name = hostname.encode("idna").decode()
    except UnicodeError as error:
        raise CannotMake(f"no certificate can be made for {hostname!r}: {error}") from error
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, kind) for kind in ("certificate", "key")]
        _run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
              str(_DAYS), "-subj", f"/CN={name if len(name) <= _COMMON_NAME else 'mail'}",
              "-addext", f"subjectAltName=DNS:{name}", "-out", paths[0], "-keyout", paths[1]])
        texts = []
        for path in paths:
            with open(path, "rb") as f:
                texts.append(f.read())
    return Made(*texts, hashlib.sha256(ssl.PEM_cert_to_DER_cert(texts[0].decode())).hexdigest())


def _run(words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise CannotMake("openssl is not installed: install Debian's package openssl, or name files of your own"
                         ) from None
    except subprocess.TimeoutExpired:
        raise CannotMake("openssl did not end within a minute") from None
    if done.returncode:
        raise CannotMake(f"openssl ended with code {done.returncode}: {done.stderr.strip()[-300:]}")

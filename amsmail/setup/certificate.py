"""A certificate of this site's own, for the mail programs on board: made by openssl(1)."""

import hashlib
import os
import ssl
import subprocess
import tempfile

from amsmail.store import durable

_DAYS = 3650            # on board nobody renews it, and nobody but the crew trusts it


class CannotMake(Exception):
    """There is no certificate; the message says why."""


def make(hostname, certificate, key, like):
    """Makes a key and a certificate for `hostname` that it signs itself, ten years long, as PEM files at these paths;
    `like`, a stat result, says whose they are and with which mode.  Gives the certificate's SHA-256 fingerprint, in hex.
    Raises CannotMake."""
    with tempfile.TemporaryDirectory() as folder:
        made = [os.path.join(folder, name) for name in ("certificate", "key")]
        _run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
              str(_DAYS), "-subj", f"/CN={hostname}", "-addext", f"subjectAltName=DNS:{hostname}", "-out", made[0],
              "-keyout", made[1]])
        try:
            texts = []
            for path in made:
                with open(path, "rb") as f:
                    texts.append(f.read())
            for path, text in zip((certificate, key), texts):
                durable.replace(path, text, like=like)
        except OSError as error:
            raise CannotMake(f"{error.filename or certificate}: cannot be written: {error.strerror}") from error
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(texts[0].decode())).hexdigest()


def _run(words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise CannotMake("openssl is not installed: install Debian's package openssl, or name files of your own") from None
    except subprocess.TimeoutExpired:
        raise CannotMake("openssl did not end within a minute") from None
    if done.returncode:
        raise CannotMake(f"openssl ended with code {done.returncode}: {done.stderr.strip()[-300:]}")

"""A certificate authority and a certificate for this machine, made with the openssl program."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .packages import environment, tree


@dataclass(frozen=True)
class Certificate:
    authority: Path             # the CA's certificate, for clients to trust
    chain: Path                 # the server's certificate
    key: Path
    fingerprint: str            # SHA-256 of the server's certificate: hexadecimal digits in upper case, with colons


def make_certificate(folder, names=("DNS:localhost", "IP:127.0.0.1")):
    def file(name):
        return folder / name

    _new(file("ca.pem"), file("ca.key"), "amsmail test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _new(file("cert.pem"), file("cert.key"), "localhost", "-CA", file("ca.pem"), "-CAkey", file("ca.key"),
         "-addext", f'subjectAltName={",".join(names)}', "-addext", "basicConstraints=critical,CA:FALSE",
         "-addext", "extendedKeyUsage=serverAuth")
    shown = _openssl("x509", "-in", file("cert.pem"), "-noout", "-fingerprint", "-sha256")
    return Certificate(file("ca.pem"), file("cert.pem"), file("cert.key"), shown.strip().partition("=")[2])


def _new(certificate, key, name, *extra):
    _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
             "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *extra)


def _openssl(*arguments):
    variables = None if shutil.which("openssl") else environment(tree("openssl"))
    return subprocess.run(["openssl", *arguments], env=variables, capture_output=True, text=True, check=True).stdout

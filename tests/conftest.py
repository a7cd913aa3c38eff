"""What the tests of several folders share."""

import hashlib
import ssl
import subprocess
from collections import namedtuple

import pytest

pytest_plugins = ["tests.real.left_out"]

# A server's certificate: the files of it and of its key, and the SHA-256 digest to pin it by.
Certificate = namedtuple("Certificate", "path key fingerprint")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    path, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=yacht.example", "-addext", "subjectAltName=DNS:yacht.example",
                    "-keyout", key, "-out", path], check=True, capture_output=True)
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()
    return Certificate(path, key, fingerprint)

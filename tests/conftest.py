"""What the tests of several folders share."""

import hashlib
import signal
import ssl
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.real.left_out"]

# No test asserts a time, hypothesis's deadline for an example included.
settings.register_profile("amsmail", deadline=None)
settings.load_profile("amsmail")

# The files that take longest come first: else one of them would be left for the end, when the other processes have
# nothing to do any more.
LONG = ("link/test_drops.py", "mailcheck/test_pull_imap_crash.py", "setup/test_install_machine.py",
        "scripts/test_scripts.py", "week/test_week.py", "setup/test_mailcheckcfg.py", "setup/test_dialogue.py",
        "mailcheck/test_held.py", "mailcheck/test_mailcheck.py", "interop/test_reading.py", "interop/test_sending.py",
        "interop/test_providers.py", "bench/test_link.py")

# A server's certificate: the files of it and of its key, and the SHA-256 digest to pin it by.
Certificate = namedtuple("Certificate", "path key fingerprint")


def pytest_configure():
    """What a shell runs in the background ignores SIGINT, and so would each program that is to be ended by Ctrl-C."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    order = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    path, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", "/CN=yacht.example", "-addext", "subjectAltName=DNS:yacht.example",
                    "-keyout", key, "-out", path], check=True, capture_output=True)
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()
    return Certificate(path, key, fingerprint)

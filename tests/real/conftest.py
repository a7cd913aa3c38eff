"""The provider's servers as fixtures."""

import pytest

from .boxes import Boxes
from .certificate import make_certificate
from .courier import Courier
from .dovecot import Dovecot
from .exim import Exim
from .opensmtpd import OpenSMTPD
from .postfix import Postfix
from .process import public_folder

PASSWORDS = {"owner": "secret", "mate": "other secret"}
REFUSED = {"full@shore.example": "452 4.2.2 mailbox full", "gone@shore.example": "550 5.1.6 moved away"}


@pytest.fixture(scope="module")
def folder():
    with public_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def provider_certificate(folder):
    return make_certificate(folder)


@pytest.fixture(scope="module")
def boxes(folder):
    return Boxes(folder / "mail", PASSWORDS)


@pytest.fixture(scope="module")
def dovecot(folder, boxes, provider_certificate):
    with Dovecot(folder / "dovecot", boxes, PASSWORDS, provider_certificate).running() as dovecot:
        yield dovecot


@pytest.fixture(scope="module")
def postfix(folder, boxes, dovecot):
    with Postfix(folder / "postfix", boxes, dovecot, refuse=REFUSED).running() as postfix:
        yield postfix


@pytest.fixture(scope="module")
def exim(folder, boxes, provider_certificate):
    with Exim(folder / "exim", boxes, PASSWORDS, provider_certificate, refuse=REFUSED).running() as exim:
        yield exim


@pytest.fixture(scope="module")
def opensmtpd(folder, boxes):
    with OpenSMTPD(folder / "opensmtpd", boxes, refuse=REFUSED).running() as opensmtpd:
        yield opensmtpd


@pytest.fixture(scope="module")
def courier(folder, provider_certificate):
    boxes = Boxes(folder / "courier-mail", PASSWORDS)
    with Courier(folder / "courier", boxes, PASSWORDS, provider_certificate).running() as courier:
        yield courier


@pytest.fixture(scope="module")
def dovecot_with_imap(folder, provider_certificate):
    boxes = Boxes(folder / "imap-mail", PASSWORDS)
    with Dovecot(folder / "imap", boxes, PASSWORDS, provider_certificate, with_imap=True).running() as dovecot:
        yield dovecot

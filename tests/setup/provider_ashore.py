"""A provider for the tests of trials and of the set-up: Postfix as its relay, Dovecot for its accounts."""

from collections import namedtuple
from contextlib import contextmanager

from ..real.boxes import Boxes
from ..real.certificate import make_certificate
from ..real.dovecot import Dovecot
from ..real.postfix import Postfix
from ..real.process import public_folder

PASSWORD = "Ahoy 77%31"
# Octets of the largest message that the relay takes, and no pause after a command that was wrong.
_SETTINGS = "message_size_limit = 10240000\nsmtpd_error_sleep_time = 0"

Ashore = namedtuple("Ashore", "certificate boxes dovecot postfix")


@contextmanager
def provider_ashore():
    """An Ashore, with the users owner and mate, whose boxes are empty."""
    with public_folder() as folder:
        certificate = make_certificate(folder)
        boxes = Boxes(folder / "mail", ["owner", "mate"])
        users = {"owner": PASSWORD, "mate": PASSWORD}
        dovecot = Dovecot(folder / "dovecot", boxes, users, certificate, with_imap=True)
        with dovecot.running():
            postfix = Postfix(folder / "postfix", boxes, dovecot, settings=_SETTINGS)
            with postfix.running():
                yield Ashore(certificate, boxes, dovecot, postfix)

"""The provider on shore: real Postfix and Dovecot, as a provider has them set up today."""

import signal

from tests.real.boxes import Boxes
from tests.real.certificate import make_certificate
from tests.real.dovecot import Dovecot
from tests.real.postfix import Postfix

from .link import SHORE

OWNER, AGENT = "owner", "agent"         # who fetches mail, and who gets what is sent
PASSWORDS = {OWNER: "secret of the owner", AGENT: "secret of the agent"}
CERTIFICATE_NAMES = ("DNS:localhost", f"IP:{SHORE}")
NAME = "localhost"                      # in the certificate, for clients that do not look for addresses there

NO_LOOKUPS = f"""
inet_interfaces = {SHORE}
mynetworks = {SHORE}
smtpd_peername_lookup = no
"""


class Provider:
    """The boxes, and on host `shore` the servers of them: `ports` has submissions, pop3s and imaps."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        folder.chmod(0o755)
        self.certificate = make_certificate(folder, CERTIFICATE_NAMES)
        self._boxes = Boxes(folder / "mail", PASSWORDS)
        self._dovecot = Dovecot(folder / "dovecot", self._boxes, PASSWORDS, self.certificate, with_imap=True,
                                listen=SHORE)
        self._postfix = _Postfix(folder / "postfix", self._boxes, self._dovecot, settings=NO_LOOKUPS)
        self.ports = {"submissions": self._postfix.submissions, "pop3s": self._dovecot.pop3s,
                      "imaps": self._dovecot.imaps}

    def serve(self, connection):
        """Runs the servers in this network namespace until it is ended."""
        with self._dovecot.running(), self._postfix.running():
            connection.send("ready")
            signal.pause()

    def fill(self, messages):
        """Puts `messages` into the owner's box; there is nothing else in the boxes then.  No UID is used again."""
        for name in PASSWORDS:
            self._boxes.empty(name)
        for message in messages:
            self._boxes.deliver(OWNER, message)

    def arrived(self, count):
        """What has come for the agent; waits for `count` messages, but not for long."""
        return self._boxes.messages(AGENT, count, limit=5)

    def left(self):
        """How many messages the owner has there."""
        return len(self._boxes.messages(OWNER))


class _Postfix(Postfix):
    def _write(self, name, lines):
        if name == "master.cf":
            lines = [line.replace("127.0.0.1:", f"{SHORE}:") for line in lines]
        super()._write(name, lines)

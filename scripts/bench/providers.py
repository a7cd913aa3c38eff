"""The provider on shore: real Postfix and Dovecot, as a provider has them set up today."""

import signal
from contextlib import contextmanager

from tests.real.boxes import Boxes
from tests.real.certificate import make_certificate
from tests.real.dovecot import Dovecot
from tests.real.packages import environment, tree
from tests.real.postfix import Postfix
from tests.real.process import free_port, running

from .link import SHORE

OWNER, AGENT = "owner", "agent"         # who fetches mail, and who gets what is sent
PASSWORDS = {OWNER: "secret of the owner", AGENT: "secret of the agent"}
CERTIFICATE_NAMES = ("DNS:localhost", f"IP:{SHORE}")
NAME = "localhost"                      # in the certificate, for clients that do not look for addresses there

DOVECOT = """
listen = {shore}
protocols = pop3 imap
mail_plugins = zlib
protocol imap {{
  mail_plugins = zlib imap_zlib
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
"""
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
        self._dovecot = _Dovecot(folder / "dovecot", self._boxes, PASSWORDS, self.certificate)
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


class _Dovecot(Dovecot):
    """With IMAP too, and for the other host."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.imaps = free_port()

    @contextmanager
    def running(self):
        root = tree("dovecot-imapd", "dovecot-pop3d")
        (self.folder / "run").mkdir(parents=True)
        self._configure(root)
        configuration = self.folder / "dovecot.conf"
        with configuration.open("a") as file:
            file.write(DOVECOT.format(shore=SHORE, imaps=self.imaps))
        variables = environment(root)
        variables["LD_LIBRARY_PATH"] = f'{self._movable_library(root)}:{variables["LD_LIBRARY_PATH"]}'
        command = [root / "usr/bin/doveconf", "-f", "service=master", "-m", "master", "-c", configuration,
                   "-e", root / "usr/sbin/dovecot", "-F", "-c", configuration]
        with running(command, {self.pop3s, self.imaps}, self.folder, variables):
            yield self

"""Courier, the POP3 and IMAP server of a provider."""

import base64
import hashlib
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager

from .exim import until_all_ended
from .opensmtpd import World
from .packages import environment, tree
from .process import START_LIMIT, free_port, mail_account, running

# Whom Courier looks for, and an account that every Debian system has.
ALIASES = {"courier": "daemon"}

AUTHDAEMONRC = """
authmodulelist="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
"""

# What is otherwise than in Debian's files.
SETTINGS = """
COURIERTLS={tree}/usr/bin/couriertls
TLS_CERTFILE=/etc/courier/both.pem
TLS_CACHEFILE=
TLS_TRUSTCERTS=
IMAP_STARTTLS=YES
# Else it starts a server that tells it of changes, and which stays.
IMAP_USELOCKS=0
"""

# A service is started as Debian's scripts do it: the settings are its environment.
SERVICE = """
set -a
. /etc/courier/$1; . /etc/courier/$1-ssl; . /etc/courier/settings
shift
exec "$@"
"""

# The programs behind a connection, and what tells them that TLS has begun already.
LIBRARIES = "usr/lib/courier/courier"
PROGRAMS = {
    "imapd": (f"{LIBRARIES}/imaplogin", "usr/bin/imapd", "IMAP_TLS=1"),
    "pop3d": (f"{LIBRARIES}/courierpop3login", f"{LIBRARIES}/courierpop3d", "POP3_TLS=1"),
}


class Courier:
    """Serves `boxes` to those who know the `passwords` ({name: password}): on port `pop3` plainly or with STLS, on
    `pop3s` with TLS, on `imap` and `imaps` likewise. All else is as Debian sets it up. What it is made of is fetched
    when the object is made, where there is a network."""

    def __init__(self, folder, boxes, passwords, certificate):
        self._root = tree("courier-imap", "courier-pop")
        self._world = World(folder, self._root, "courier", ALIASES)
        self.folder, self.boxes, self.passwords, self.certificate = folder, boxes, passwords, certificate
        self.pop3, self.pop3s, self.imap, self.imaps = (free_port() for _ in range(4))

    @contextmanager
    def running(self):
        self._world.make()
        self._configure()
        with ExitStack() as stack:
            stack.enter_context(self._running((), self._world.tree / "usr/lib/courier/courier-authlib/authdaemond"))
            self._wait_until_passwords_are_checked()
            for kind, port, tls in (("imapd", self.imap, False), ("imapd", self.imaps, True),
                                    ("pop3d", self.pop3, False), ("pop3d", self.pop3s, True)):
                stack.enter_context(self._running({port}, *self._service(kind, port, tls)))
            yield self

    @contextmanager
    def _running(self, ports, *words):
        variables = self._world.environment()
        for place in "usr/lib", "usr/lib/courier-authlib":
            variables["LD_LIBRARY_PATH"] += f":{self._world.tree / place}"
        with running(self._world.command(*words), ports, self.folder, variables) as process:
            yield
        until_all_ended(process)

    def _service(self, kind, port, tls):
        login, program, flag = PROGRAMS[kind]
        place = self._world.tree
        told, front = ([flag], [place / "usr/bin/couriertls", "-server", "-tcpd"]) if tls else ([], [])
        return ["sh", "-c", SERVICE, "sh", kind, "env", *told, place / "usr/sbin/couriertcpd", "-address=127.0.0.1",
                "-nodnslookup", "-noidentlookup", port, *front, place / login, place / program, "."]

    def _wait_until_passwords_are_checked(self):
        limit = time.monotonic() + START_LIMIT
        while not (self._world.run / "courier/authdaemon/socket").exists():
            if time.monotonic() > limit:
                raise RuntimeError(f'authdaemond does not listen:\n{(self.folder / "output").read_text()}')
            time.sleep(0.02)

    def _configure(self):
        world, account = self._world, mail_account()
        (world.run / "courier/authdaemon").mkdir(parents=True)
        shutil.copytree(self._root / "etc/courier", world.etc / "courier")
        world.write("courier/authdaemonrc", AUTHDAEMONRC)
        world.write("courier/settings", SETTINGS.format(tree=world.tree))
        world.write("courier/both.pem", self.certificate.key.read_text() + self.certificate.chain.read_text())
        self._database("userdb", {
            name: f"uid={account.pw_uid}|gid={account.pw_gid}|home={self.boxes.folder / name}|_="
            for name in self.passwords})
        self._database("userdbshadow", {name: f"systempw={hashed(word)}" for name, word in self.passwords.items()})

    def _database(self, name, fields):
        """What Courier's makeuserdb makes of a text file."""
        file = self._world.etc / "courier" / f"{name}.dat"
        subprocess.run([self._root / "usr/lib/courier/courier-authlib/makedatprog", "-", f"{file}.new", file],
                       input="".join(f"{key}\t{value}\n" for key, value in fields.items()) + ".\n", text=True,
                       env=environment(self._root), check=True)


def hashed(password):
    return "{SHA256}" + base64.b64encode(hashlib.sha256(password.encode()).digest()).decode()

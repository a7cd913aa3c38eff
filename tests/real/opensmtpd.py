"""OpenSMTPD, the SMTP server of a provider; and how servers are run that look for everything at places of their own."""

import pwd
import subprocess
from contextlib import contextmanager

from .exim import until_all_ended
from .packages import Unavailable, environment, tree
from .postfix import DOMAIN
from .process import free_port, mail_account, running

# Done in a mount namespace of the server's own, so that nobody else sees any of it.
WORLD = """
mount --make-rprivate / && mount --bind "$1" "$2/tree" || exit
for place in etc run var; do mount --bind "$2/$place" "/$place" || exit; done
if [ -d "$2/tree/usr/libexec" ]; then mount --bind "$2/tree/usr/libexec" /usr/libexec || exit; fi
shift 2
exec "$@"
"""


class World:
    """What a server sees for whom /etc, /run and /var are at fixed places: these are the folders `etc`, `run` and `var`
    in `folder`, new and empty but for users and groups: those of `aliases` ({name: user of this machine that it stands
    for}), root, and whom mail boxes belong to. `tree` is the tree `root` where users other than root can reach it; what
    it has in /usr/libexec is there for all."""

    def __init__(self, folder, root, name, aliases):
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            raise Unavailable(name, "only root can give it the /etc, /run and /var that it must have")
        self.folder, self._root = folder, root
        self.etc, self.run, self.var, self.tree = (folder / place for place in ("etc", "run", "var", "tree"))
        self._accounts = {name: pwd.getpwnam(user) for name, user in aliases.items()}
        for account in pwd.getpwnam("root"), mail_account():
            self._accounts[account.pw_name] = account

    def make(self):
        for place in self.etc, self.run, self.var, self.tree:
            place.mkdir(parents=True)
        (self.var / "run").symlink_to("/run")
        self.write("passwd", "".join(f"{name}:x:{account.pw_uid}:{account.pw_gid}::/:/bin/sh\n"
                                     for name, account in self._accounts.items()))
        self.write("group", "".join(f"{name}:x:{account.pw_gid}:\n" for name, account in self._accounts.items()))
        self.write("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
        self.write("hosts", "127.0.0.1 localhost\n")

    def write(self, name, text):
        """Makes a file below /etc."""
        path = self.etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def command(self, *words):
        """The command that runs another one there."""
        return ["unshare", "--mount", "sh", "-c", WORLD, "sh", self._root, self.folder, *words]

    def environment(self):
        """The environment to run a program of the tree in, whoever it becomes."""
        return {name: value.replace(str(self._root), str(self.tree)) for name, value in environment(self._root).items()}


# Whom OpenSMTPD looks for, and accounts that every Debian system has.
ALIASES = {"opensmtpd": "daemon", "opensmtpq": "bin"}

CONFIGURATION = """
table boxes {{ {boxes} }}
{filters}
listen on 127.0.0.1 port {smtp} hostname mx.{DOMAIN} {filter}
action "box" maildir "%{{user.directory}}" userbase <boxes>
match from any for domain "{DOMAIN}" action "box"
"""


class OpenSMTPD:
    """Takes mail for NAME@shore.example into `boxes`, from everybody on loopback, at port `smtp`; plainly and without a
    login, since the one of Debian 12 breaks off each handshake of TLS (with OpenSSL 3 it does not find its own key),
    and without TLS it lets nobody log in. `refuse` has the replies to certain recipients,
    {"full@shore.example": "452 4.2.2 mailbox full"}. What it is made of is fetched when the object is made, where there
    is a network."""

    def __init__(self, folder, boxes, refuse=()):
        self._root = tree("opensmtpd")
        self._world = World(folder, self._root, "opensmtpd", ALIASES)
        self.folder, self.boxes, self.refuse = folder, boxes, dict(refuse)
        self.smtp = free_port()

    @contextmanager
    def running(self):
        self._world.make()
        (self._world.var / "spool/smtpd").mkdir(parents=True)
        (self._world.var / "spool/smtpd").chmod(0o711)
        (self._world.var / "lib/opensmtpd/empty").mkdir(parents=True)
        self._configure()
        command = self._world.command(self._world.tree / "usr/sbin/smtpd", "-d")
        with running(command, {self.smtp}, self.folder, self._world.environment()) as process:
            yield self
        until_all_ended(process)

    def _configure(self):
        account = mail_account()
        boxes = ", ".join(f'"{name}" = "{account.pw_uid}:{account.pw_gid}:{self.boxes.folder / name}"'
                          for name in self.boxes.names)
        filters = [f'filter "{address}" phase rcpt-to match rcpt-to {{ "{address}" }} reject "{reply}"'
                   for address, reply in self.refuse.items()]
        if filters:
            chained = ", ".join(f'"{address}"' for address in self.refuse)
            filters.append(f'filter "refused" chain {{ {chained} }}')
        self._world.write("smtpd.conf", CONFIGURATION.format(
            boxes=boxes, filters="\n".join(filters), filter='filter "refused"' if filters else "", smtp=self.smtp,
            DOMAIN=DOMAIN))

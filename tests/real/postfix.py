"""Postfix, the SMTP server of a provider."""

import os
import pwd
import shutil
from contextlib import contextmanager

from .packages import Unavailable, environment, tree
from .process import free_port, mail_account, running

DOMAIN = "shore.example"

# Accounts every Debian system has. Postfix wants an owner whose uid and a group whose gid nobody else of its uses.
OWNER, SUBMITTERS = "daemon", "mail"

MAIN = """
compatibility_level = 3.6
daemon_directory = {libraries}/sbin
command_directory = {root}/usr/sbin
shlib_directory = {libraries}
meta_directory = {folder}/etc
queue_directory = {folder}/queue
data_directory = {folder}/data
import_environment = MAIL_CONFIG PATH LD_LIBRARY_PATH
mail_owner = {OWNER}
setgid_group = {SUBMITTERS}
maillog_file = {folder}/log
maillog_file_prefixes = {folder}

inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
myhostname = mx.{DOMAIN}
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
relay_domains = {relay_domains}
transport_maps = texthash:{folder}/etc/routes
default_transport = error:5.4.4 no such host in this world
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_base = {boxes.folder}
virtual_mailbox_maps = texthash:{folder}/etc/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{account.pw_uid}
virtual_gid_maps = static:{account.pw_gid}
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/etc/refused
"""

SASL = """
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {socket}
"""

TLS = """
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate.chain}
smtpd_tls_key_file = {certificate.key}
"""

MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

MASTER_WITH_LOGIN = """
127.0.0.1:{submission} inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_tls_auth_only=yes
  -o {{ smtpd_relay_restrictions = permit_sasl_authenticated, reject }}
127.0.0.1:{submissions} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o {{ smtpd_relay_restrictions = permit_sasl_authenticated, reject }}
"""


class Postfix:
    """Takes mail for NAME@shore.example into `boxes`, and refuses other names there.

    Port `smtp` relays for everybody on loopback. With a `dovecot` to check passwords, and its certificate, that port
    offers STARTTLS and AUTH too, and there are ports that insist on both: `submission` (STARTTLS) and `submissions`
    (implicit TLS). `refuse` has the replies to certain recipients, {"full@shore.example": "452 4.2.2 mailbox full"};
    `routes` the ports on this machine to which the mail for other domains goes, {"yacht.example": 2525}; `settings`
    are further lines of main.cf. What it is made of is fetched when the object is made, where there is a network."""

    def __init__(self, folder, boxes, dovecot=None, refuse=(), routes=(), settings=""):
        if os.geteuid() != 0:
            raise Unavailable("postfix", "only root can start it")
        self._root = tree("postfix")
        self.folder, self.boxes, self.dovecot, self.settings = folder, boxes, dovecot, settings
        self.refuse, self.routes = dict(refuse), dict(routes)
        self.log = folder / "log"
        self.smtp = free_port()
        self.submission, self.submissions = (free_port(), free_port()) if dovecot else (0, 0)

    @contextmanager
    def running(self):
        root = self._root
        self._make_folders(root)
        self._configure(root)
        command = [root / "usr/lib/postfix/sbin/master", "-d", "-c", self.folder / "etc"]
        with running(command, {self.smtp, self.submission, self.submissions} - {0}, self.folder, environment(root)):
            yield self

    def _make_folders(self, root):
        owner, submitters = pwd.getpwnam(OWNER).pw_uid, SUBMITTERS
        for name in "etc", "data", "queue", "queue/pid":
            (self.folder / name).mkdir(parents=True)
        for name in ("incoming", "active", "bounce", "defer", "deferred", "flush", "hold", "private", "saved", "trace",
                     "corrupt"):
            (self.folder / "queue" / name).mkdir(0o700)
            shutil.chown(self.folder / "queue" / name, owner)
        for name, mode in ("public", 0o710), ("maildrop", 0o730):
            (self.folder / "queue" / name).mkdir()
            shutil.chown(self.folder / "queue" / name, owner, submitters)
            (self.folder / "queue" / name).chmod(mode)
        shutil.chown(self.folder / "data", owner)

    def _configure(self, root):
        main, master = MAIN, MASTER
        if self.dovecot:
            main += SASL.format(socket=self.dovecot.auth_socket) + TLS.format(certificate=self.dovecot.certificate)
            master += MASTER_WITH_LOGIN
        main = main.format(root=root, libraries=root / "usr/lib/postfix", folder=self.folder, boxes=self.boxes,
                           OWNER=OWNER, SUBMITTERS=SUBMITTERS, DOMAIN=DOMAIN, account=mail_account(),
                           relay_domains=" ".join(self.routes))
        self._write("main.cf", [main, self.settings])
        self._write("master.cf", [master.format(**vars(self))])
        self._write("boxes", [f"{name}@{DOMAIN} {name}/" for name in self.boxes.names])
        self._write("refused", [f"{address} {reply}" for address, reply in self.refuse.items()])
        self._write("routes", [f"{domain} relay:[127.0.0.1]:{port}" for domain, port in self.routes.items()])

    def _write(self, name, lines):
        file = self.folder / "etc" / name
        file.write_text("\n".join(lines) + "\n")
        # Postfix waits for seconds if a file has just been written, in case more is to come.
        os.utime(file, (0, 0))

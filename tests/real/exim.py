"""Exim, the SMTP server of a provider."""

import os
import shutil
import time
from contextlib import contextmanager

from .packages import environment, tree
from .postfix import DOMAIN
from .process import free_port, mail_account, running

# Whom Debian's Exim must find among the users to start at all, whatever its configuration says of the user.
COMPILED_IN = b"Debian-exim\0"

CONFIGURATION = """
exim_user = {account.pw_uid}
exim_group = {account.pw_gid}
# It has no root: it delivers as the one it is.
deliver_drop_privilege
keep_environment = LD_LIBRARY_PATH
primary_hostname = mx.{DOMAIN}
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/pid
exim_path = {folder}/exim
local_interfaces = 127.0.0.1
daemon_smtp_ports = {smtp} : {submission} : {submissions}
tls_on_connect_ports = {submissions}
tls_advertise_hosts = *
tls_certificate = {certificate.chain}
tls_privatekey = {folder}/key.pem
host_lookup =
# However many messages a connection brings, each is delivered at once.
smtp_accept_queue_per_connection = 0
acl_smtp_rcpt = recipient
acl_smtp_data = accept

begin acl
recipient:
{refused}
  accept condition = ${{if eq {{$received_port}}{{{smtp}}}}}
  accept authenticated = *
  deny message = 530 5.7.0 log in first

begin routers
boxes:
  driver = accept
  domains = {DOMAIN}
  local_parts = {names}
  transport = box

begin transports
box:
  driver = appendfile
  maildir_format
  directory = {boxes.folder}/$local_part_data

begin authenticators
PLAIN:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq {{$auth3}}{{${{lookup {{$auth2}} lsearch {{{folder}/passwords}} {{$value}} fail}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""

# A reply that begins with 4 is a deferral, else the code would be replaced.
VERBS = {"4": "defer", "5": "deny"}

END_LIMIT = 15                  # seconds


def until_all_ended(process):
    """Waits for those whom a server, which has ended, has started: until then they write into its folder."""
    limit = time.monotonic() + END_LIMIT
    while time.monotonic() < limit:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise RuntimeError(f"what {process.args} has started does not end")


class Exim:
    """Takes mail for NAME@shore.example into `boxes`.

    Port `smtp` takes it from everybody on loopback, plainly or with STARTTLS; `submission` (STARTTLS) and `submissions`
    (implicit TLS) from those who know one of the `passwords` ({name: password}). `refuse` has the replies to certain
    recipients, {"full@shore.example": "452 4.2.2 mailbox full"}. What it is made of is fetched when the object is
    made, where there is a network. Anybody can start it; if root does, it runs as the owner of the boxes all the
    same."""

    def __init__(self, folder, boxes, passwords, certificate, refuse=()):
        self._root = tree("exim4-daemon-light")
        self.folder, self.boxes, self.passwords, self.certificate = folder, boxes, passwords, certificate
        self.refuse = dict(refuse)
        self.log = folder / "mainlog"
        self.smtp, self.submission, self.submissions = free_port(), free_port(), free_port()

    @contextmanager
    def running(self):
        account = mail_account()
        self.folder.mkdir()
        variables = self._copy(account)
        self._configure(account)
        command = [self.folder / "exim", "-C", self.folder / "exim.conf", "-bdf"]
        if os.geteuid() == 0:
            for path in self.folder, *self.folder.iterdir():
                os.chown(path, account.pw_uid, account.pw_gid)
            # A change of the user takes the wish for a signal away, so it is said again.
            command = ["setpriv", "--reuid", account.pw_uid, "--regid", account.pw_gid, "--clear-groups",
                       "setpriv", "--pdeathsig", "TERM", *command]
        with running(command, {self.smtp, self.submission, self.submissions}, self.folder, variables) as process:
            yield self
        until_all_ended(process)

    def _copy(self, account):
        """Copies the program, with our user compiled in and without its setuid bit, and its libraries to where that
        user can reach them. Gives the environment to run it in."""
        program = (self._root / "usr/sbin/exim4").read_bytes()
        user = str(account.pw_uid).encode().ljust(len(COMPILED_IN), b"\0")
        (self.folder / "exim").write_bytes(program.replace(COMPILED_IN, user))
        (self.folder / "exim").chmod(0o755)
        libraries = self.folder / "lib"
        libraries.mkdir()
        for file in {*self._root.glob("usr/lib/**/*.so.*"), *self._root.glob("lib/**/*.so.*")}:
            shutil.copy(file, libraries)
        return environment(self._root) | {"LD_LIBRARY_PATH": str(libraries)}

    def _configure(self, account):
        refused = "\n".join(f"  {VERBS[reply[0]]} recipients = {address}\n    message = {reply}"
                            for address, reply in self.refuse.items())
        (self.folder / "exim.conf").write_text(CONFIGURATION.format(
            **vars(self), DOMAIN=DOMAIN, account=account, refused=refused, names=" : ".join(self.boxes.names)))
        (self.folder / "passwords").write_text(
            "".join(f"{name}: {password}\n" for name, password in self.passwords.items()))
        (self.folder / "spool").mkdir()
        shutil.copy(self.certificate.key, self.folder / "key.pem")

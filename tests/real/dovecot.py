"""Dovecot, the POP3 and IMAP server of a provider."""

import grp
import os
import pwd
from contextlib import contextmanager

from .packages import environment, tree
from .process import free_port, mail_account, running

CONFIGURATION = """
protocols = {protocols}
listen = {listen}
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
libexec_dir = {libraries}
mail_plugin_dir = {libraries}/modules
import_environment = PATH LD_LIBRARY_PATH
# Loopback counts as secure, so that logging in works with and without TLS.
{tls}
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {folder}/passwords
}}
userdb {{
  driver = static
  args = uid={account.pw_uid} gid={account.pw_gid} home={boxes}/%u
}}
mail_location = maildir:~/
# A failed login must not slow the next one down.
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
service auth {{
  unix_listener auth-client {{
    mode = 0666
  }}
}}
"""

WITH_IMAP = """
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
protocol imap {{
  mail_plugins = $mail_plugins imap_zlib
}}
"""


class Dovecot:
    """Serves `boxes` to those who know the `passwords` ({name: password}): on port `pop3` plainly or with STLS, on
    `pop3s` with TLS, and if `with_imap`, on `imap` and `imaps` likewise. Others, such as Postfix, can have it check
    passwords at `auth_socket`. What it is made of is fetched when the object is made, where there is a network."""

    def __init__(self, folder, boxes, passwords, certificate=None, with_imap=False, listen="127.0.0.1"):
        self._root = tree("dovecot-pop3d", "dovecot-imapd") if with_imap else tree("dovecot-pop3d")
        self.folder, self.boxes, self.passwords, self.certificate = folder, boxes, passwords, certificate
        self._listen = listen
        self.log = folder / "log"
        self.auth_socket = folder / "run/auth-client"
        self.pop3 = free_port()
        self.pop3s = free_port() if certificate else 0
        self.imap = free_port() if with_imap else 0
        self.imaps = free_port() if with_imap and certificate else 0

    @contextmanager
    def running(self):
        root = self._root
        self.folder.mkdir()
        (self.folder / "run").mkdir()
        self._configure(root)
        variables = environment(root)
        variables["LD_LIBRARY_PATH"] = f'{self._movable_library(root)}:{variables["LD_LIBRARY_PATH"]}'
        # dovecot itself would look for doveconf in /usr/bin.
        configuration = self.folder / "dovecot.conf"
        command = [root / "usr/bin/doveconf", "-f", "service=master", "-m", "master", "-c", configuration,
                   "-e", root / "usr/sbin/dovecot", "-F", "-c", configuration]
        with running(command, {self.pop3, self.pop3s, self.imap, self.imaps} - {0}, self.folder, variables):
            yield self

    def _configure(self, root):
        account = mail_account()
        if os.geteuid() == 0:
            internal, login = pwd.getpwnam("daemon"), pwd.getpwnam("nobody")
        else:
            internal = login = account
        tls = "ssl = no"
        if self.certificate:
            tls = f"ssl = yes\nssl_cert = <{self.certificate.chain}\nssl_key = <{self.certificate.key}"
        (self.folder / "dovecot.conf").write_text((CONFIGURATION + WITH_IMAP * bool(self.imap)).format(
            protocols="pop3 imap" if self.imap else "pop3", imap=self.imap, imaps=self.imaps,
            listen=self._listen, folder=self.folder, libraries=root / "usr/lib/dovecot", tls=tls,
            internal=internal.pw_name, internal_group=grp.getgrgid(internal.pw_gid).gr_name, login=login.pw_name,
            account=account, boxes=self.boxes.folder, pop3=self.pop3, pop3s=self.pop3s))
        (self.folder / "passwords").write_text(
            "".join(f"{name}:{{PLAIN}}{password}\n" for name, password in self.passwords.items()))

    def _movable_library(self, root):
        """A folder with a copy of Dovecot's library that takes its TLS module from the tree instead of a place fixed
        when it was compiled: from `modules` in the folder where Dovecot's processes start."""
        fixed = b"/usr/lib/dovecot/modules\0"
        library = (root / "usr/lib/dovecot/libdovecot.so.0").read_bytes()
        (self.folder / "lib").mkdir()
        (self.folder / "lib/libdovecot.so.0").write_bytes(library.replace(fixed, b"modules".ljust(len(fixed), b"\0")))
        (self.folder / "run/modules").symlink_to(root / "usr/lib/dovecot/modules")
        return self.folder / "lib"

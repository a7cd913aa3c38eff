"""The clients at sea: each sends messages, fetches them, or does both in one go.

They run with their defaults, except that mail is deleted at the provider once it is fetched (mbsync has no simple way
to do that and leaves it there), and that Postfix with one connection is told so.  A peer's methods `prepare`, `work`
and `fetched` are called in this order; only `work` is measured, and it runs on host `sea`.
"""

import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mailcheck.sites import Site
from tests.real import clients
from tests.real.boxes import Boxes
from tests.real.packages import environment, tree
from tests.real.postfix import Postfix

from .corpus import RECIPIENT, SENDER
from .link import SHORE
from .providers import NAME, OWNER, PASSWORDS

CHECKOUT = Path(__file__).resolve().parent.parent.parent
CONNECTED = "01"                # in /proc/net/tcp


class Failure(Exception):
    """The client did not do its work; the text is what it says."""


class Peer:
    """One client with a new home, for the Work `work`.  A subclass has its name and what it can do; `provider` has
    ports and certificate."""

    sends = fetches = False
    remembers = False           # whether an earlier call makes the next one cheaper
    packages = ()               # of Debian

    def __init__(self, home, provider, work):
        self.home, self.provider = home, provider
        home.mkdir()
        home.chmod(0o755)
        self.maildir = home / "inbox"
        for package in self.packages:
            tree(package)       # now, as from `sea` there is no way to fetch it

    def prepare(self, messages):
        """Gets ready to send `messages`."""
        self.messages = messages

    def work(self):
        """Sends and fetches.  Raises Failure."""
        raise NotImplementedError

    def fetched(self):
        """The messages that came."""
        folder = self.maildir / "new"
        return [file.read_bytes() for file in folder.iterdir()] if folder.exists() else []

    def server(self, service):
        return clients.Server(self.provider.ports[service], OWNER, PASSWORDS[OWNER], "implicit",
                              self.provider.certificate.authority, SHORE)

    def context(self):
        return ssl.create_default_context(cafile=self.provider.certificate.authority)


def _checked(result):
    if result.code:
        raise Failure(f"exit code {result.code}: {result.output[-2000:]}")


# amsmail

class Amsmail(Peer):
    """mailcheck, with a link that is always up and whose rate and round trip mail.cfg says."""

    name, account_type, service = "amsmail", "pop3", "pop3s"
    sends = fetches = remembers = True

    def __init__(self, home, provider, work):
        super().__init__(home, provider, work)
        common = {"host": SHORE, "tls": "implicit", "user": OWNER, "password": PASSWORDS[OWNER],
                  "ca_file": provider.certificate.authority}
        profile = work.profile
        sections = {"links": {"sea": {"type": "always", "round_trip": f"{profile.round_trip:g}",
                                      "rate": f"{profile.rate_up / 1000:g}/{profile.rate_down / 1000:g}"}}}
        if work.out:
            sections["relay"] = {**common, "port": provider.ports["submissions"]}
        if work.incoming:
            sections["accounts"] = {"owner": {**common, "type": self.account_type, "box": "captain",
                                              "port": provider.ports[self.service]}}
        self._site = Site(home / "site", **sections)

    def prepare(self, messages):
        for message in messages:
            self._site.enqueue(message, [RECIPIENT], SENDER)
        box = self._site.spool.box("captain")
        for entry in box.list():
            box.remove(entry)

    def work(self):
        done = subprocess.run([sys.executable, CHECKOUT / "bin/mailcheck", "--quiet", self._site.path],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        _checked(clients.Result(done.returncode, done.stdout))

    def fetched(self):
        return self._site.box("captain")


class AmsmailImap(Amsmail):
    name, account_type, service = "amsmail-imap", "imap", "imaps"

    @staticmethod
    def is_possible():
        """Whether mail.cfg knows such accounts."""
        accounts = (CHECKOUT / "amsmail/site/mail.spec").read_text().partition("[accounts]")[2]
        return '"imap"' in next(line for line in accounts.splitlines() if line.startswith("type ="))


# Those that send

class Smtplib(Peer):
    """What a script does: one connection, a message after the other."""

    name, sends = "smtplib", True

    def work(self):
        server = self.server("submissions")
        try:
            with smtplib.SMTP_SSL(server.host, server.port, "yacht.example", context=self.context()) as smtp:
                smtp.login(server.user, server.password)
                for message in self.messages:
                    smtp.sendmail(SENDER, RECIPIENT, message)
        except (OSError, smtplib.SMTPException) as error:
            raise Failure(repr(error)) from error


class Msmtp(Peer):
    """One run a message: that is how it is used."""

    name, sends, packages = "msmtp", True, ("msmtp",)

    def work(self):
        for message in self.messages:
            _checked(clients.msmtp(self.server("submissions"), self.home, SENDER, [RECIPIENT],
                                   message.replace(b"\r\n", b"\n")))


SMARTHOST = """
relayhost = [{server.host}]:{server.port}
default_transport = smtp
virtual_mailbox_domains =
myhostname = yacht.example
inet_interfaces = all
smtp_tls_wrappermode = yes
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = {name}
smtp_tls_CAfile = {server.authority}
smtp_sasl_auth_enable = yes
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = inline:{{ {{ [{server.host}]:{server.port} = {server.user}:{server.password} }} }}
import_environment = MAIL_CONFIG PATH LD_LIBRARY_PATH SASL_PATH={plugins}
export_environment = MAIL_CONFIG PATH LD_LIBRARY_PATH
"""


class PostfixAtSea(Peer):
    """Postfix finds its queue full when it starts, as after a while without a link."""

    name, sends, packages = "postfix", True, ("postfix", "libsasl2-modules")
    settings = ""

    def work(self):
        [plugins] = tree("libsasl2-modules").glob("usr/lib/*/sasl2")
        settings = SMARTHOST.format(server=self.server("submissions"), name=NAME, plugins=plugins) + self.settings
        postfix = _Smarthost(self.home / "postfix", Boxes(self.home / "boxes", ()), self.messages, settings)
        with postfix.running():
            while postfix.is_busy() or _is_connected(SHORE):
                time.sleep(0.1)


class PostfixOne(PostfixAtSea):
    """Its way to spare a small provider: one connection for all messages, held for two seconds after the last."""

    name = "postfix-1"
    settings = "default_destination_concurrency_limit = 1\nsmtp_tls_connection_reuse = yes\n"


class _Smarthost(Postfix):
    def __init__(self, folder, boxes, messages, settings):
        super().__init__(folder, boxes, settings=settings)
        self._messages = messages

    def _write(self, name, lines):
        if name == "master.cf":
            lines = [*lines, "tlsproxy unix - - n - 0 tlsproxy"]        # for connections with TLS that are used again
        super()._write(name, lines)

    def _configure(self, root):
        super()._configure(root)
        variables = environment(root) | {"MAIL_CONFIG": str(self.folder / "etc")}
        for message in self._messages:
            done = subprocess.run([root / "usr/sbin/sendmail", "-i", "-f", SENDER, RECIPIENT], input=message,
                                  env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            _checked(clients.Result(done.returncode, done.stdout.decode()))

    def is_busy(self):
        """Whether there are messages that it has not tried yet.  Raises Failure if one was not accepted."""
        def count(*queues):
            return sum(path.is_file() for queue in queues for path in (self.folder / "queue" / queue).rglob("*"))

        if count("maildrop", "incoming", "active"):
            return True
        if count("deferred"):
            raise Failure(f"messages are deferred: {self.log.read_text()[-2000:]}")
        return False


def _is_connected(host):
    """Whether this network namespace has a connection to `host`."""
    number = socket.inet_aton(host)[::-1].hex().upper()     # as the kernel of a little-endian machine shows it
    lines = Path("/proc/thread-self/net/tcp").read_text().splitlines()[1:]
    return any(remote.startswith(number) and state == CONNECTED
               for _, _, remote, state, *_ in map(str.split, lines))


# Those that fetch

class Poplib(Peer):
    """What a script does."""

    name, fetches = "poplib", True

    def work(self):
        server = self.server("pop3s")
        clients.make_maildir(self.maildir)
        try:
            pop = poplib.POP3_SSL(server.host, server.port, context=self.context())
            pop.user(server.user)
            pop.pass_(server.password)
            for n in range(1, pop.stat()[0] + 1):
                (self.maildir / "new" / str(n)).write_bytes(b"\r\n".join(pop.retr(n)[1]) + b"\r\n")
                pop.dele(n)
            pop.quit()
        except (OSError, poplib.error_proto) as error:
            raise Failure(repr(error)) from error


class Fetchmail(Peer):
    name, fetches, packages = "fetchmail", True, ("fetchmail",)
    service, protocol = "pop3s", "pop3"

    def work(self):
        _checked(clients.fetchmail(self.server(self.service), self.home, "--protocol", self.protocol,
                                   "--sslcommonname", NAME, into=self.maildir))


class FetchmailImap(Fetchmail):
    name, service, protocol = "fetchmail-imap", "imaps", "imap"


class Mpop(Peer):
    name, fetches, packages = "mpop", True, ("mpop",)

    def work(self):
        _checked(clients.mpop(self.server("pop3s"), self.home, into=self.maildir))


class Getmail(Peer):
    name, fetches, packages = "getmail6", True, ("getmail6",)

    def work(self):
        _checked(clients.getmail(self.server("pop3s"), self.home, "--delete", into=self.maildir))


MBSYNC = """
IMAPStore shore
Host {server.host}
Port {server.port}
User {server.user}
Pass "{server.password}"
AuthMechs LOGIN
SSLType IMAPS
SystemCertificates no
CertificateFile {certificate}

MaildirStore sea
Inbox {inbox}

Channel mail
Far :shore:
Near :sea:
Sync Pull
"""


class Mbsync(Peer):
    """IMAP with COMPRESS."""

    name, fetches, packages = "mbsync", True, ("isync",)

    def work(self):
        clients.make_maildir(self.maildir)
        file = self.home / "mbsyncrc"
        file.touch(0o600)
        file.write_text(MBSYNC.format(server=self.server("imaps"), certificate=self.provider.certificate.chain,
                                      inbox=self.maildir))
        _checked(clients.run(["isync"], ["mbsync", "-c", file, "mail"], self.home))


# Both

class _Pair(Peer):
    """Two clients at the same time."""

    sends = fetches = True

    def __init__(self, home, provider, work):
        super().__init__(home, provider, work)
        self._sender = self.sender(home / "sender", provider, work)
        self._fetcher = self.fetcher(home / "fetcher", provider, work)

    def prepare(self, messages):
        self._sender.prepare(messages)

    def work(self):
        with ThreadPoolExecutor() as threads:
            for ended in [threads.submit(client.work) for client in (self._sender, self._fetcher)]:
                ended.result()

    def fetched(self):
        return self._fetcher.fetched()


class PostfixAndMpop(_Pair):
    name, sender, fetcher = "postfix-1+mpop", PostfixOne, Mpop


class PostfixAndMbsync(_Pair):
    name, sender, fetcher = "postfix-1+mbsync", PostfixOne, Mbsync


class SmtplibAndPoplib(_Pair):
    name, sender, fetcher = "smtplib+poplib", Smtplib, Poplib


class MsmtpAndFetchmail(_Pair):
    name, sender, fetcher = "msmtp+fetchmail", Msmtp, Fetchmail


PEERS = {peer.name: peer for peer in (
    Amsmail, AmsmailImap,
    PostfixAtSea, PostfixOne, Smtplib, Msmtp,
    Mbsync, Mpop, Poplib, Getmail, Fetchmail, FetchmailImap,
    PostfixAndMpop, PostfixAndMbsync, SmtplibAndPoplib, MsmtpAndFetchmail)}


def for_workload(workload):
    """The names of those who do just that; amsmail-imap sends as amsmail does, so it is left out of `out`."""
    wanted = {"out": (True, False), "in": (False, True), "both": (True, True)}[workload]
    names = [name for name, peer in PEERS.items() if (peer.sends, peer.fetches) == wanted]
    ours = ["amsmail"]
    if workload != "out" and AmsmailImap.is_possible():
        ours.append("amsmail-imap")
    return ours + [name for name in names if name not in ("amsmail", "amsmail-imap")]

"""Mail clients, each called as its users call it. All return the exit code and what was printed.

The `home` they are given is a folder for their configuration and state; it may be used for several calls."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .packages import environment, tree

TIME_LIMIT = 60                 # seconds


class Result(NamedTuple):
    code: int
    output: str


@dataclass(frozen=True)
class Server:
    """A server on this machine and how to log in there: `tls` is none, starttls or implicit."""
    port: int
    user: str = ""
    password: str = ""
    tls: str = "none"
    authority: Path | None = None
    host: str = "localhost"

    def choose(self, **by_tls):
        return by_tls[self.tls]


def run(packages, command, home, stdin=b"", **variables):
    """Run the system's program, or else the one from its package."""
    home.mkdir(exist_ok=True)
    surroundings = dict(os.environ)
    if not shutil.which(command[0]):
        surroundings = environment(tree(*packages))
    surroundings |= {"HOME": str(home), "LC_ALL": "C.UTF-8"} | variables
    done = subprocess.run(list(map(str, command)), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          cwd=home, env=surroundings, timeout=TIME_LIMIT)
    return Result(done.returncode, done.stdout.decode(errors="replace"))


def _private(file, text):
    """A file with a password: several clients insist that nobody else can read it."""
    file.parent.mkdir(exist_ok=True)
    file.touch(0o600)
    file.write_text(text)
    return file


def make_maildir(folder):
    for part in "tmp", "new", "cur":
        (folder / part).mkdir(parents=True, exist_ok=True)
    return folder


# Fetching.

MAILDIR_SCRIPT = """#!/bin/sh
name=$(date +%s%N).$$.localhost
cat > "{maildir}/tmp/$name" && mv "{maildir}/tmp/$name" "{maildir}/new/$name"
"""


def _delivery_script(home, maildir):
    """For clients that do not deliver into Maildirs themselves, or, as getmail, not for root."""
    make_maildir(maildir)
    home.mkdir(exist_ok=True)
    script = home / "deliver"
    script.write_text(MAILDIR_SCRIPT.format(maildir=maildir))
    script.chmod(0o755)
    return script


def fetchmail(server, home, *options, into):
    """Deliver to the Maildir `into`, or, if that is a port, by SMTP."""
    tls = server.choose(none='sslproto ""', starttls='sslproto "TLS1+"', implicit="ssl")
    trust = f'sslcertck sslcertfile "{server.authority}"' if server.authority else "no sslcertck"
    if isinstance(into, int):
        delivery = f'smtphost "localhost/{into}"'
    else:
        delivery = f'mda "{_delivery_script(home, into)}"'
    file = _private(home / "fetchmailrc", f"poll {server.host} service {server.port} protocol pop3 auth password\n"
                    f'user "{server.user}" password "{server.password}" {tls} {trust} {delivery}\n')
    command = ["fetchmail", "-f", file, "--pidfile", home / "pid", "--idfile", home / "ids", "-v", *options]
    return run(["fetchmail"], command, home)


def getmail(server, home, *options, into):
    kind = server.choose(none="SimplePOP3Retriever", starttls="", implicit="SimplePOP3SSLRetriever")
    if not kind:
        raise ValueError("getmail has no STLS")
    trust = f"ca_certs = {server.authority}" if server.authority else ""
    file = _private(home / "getmailrc", f"[retriever]\ntype = {kind}\nserver = {server.host}\nport = {server.port}\n"
                    f"username = {server.user}\npassword = {server.password}\n{trust}\n"
                    f"[destination]\ntype = MDA_external\n"
                    f"path = {_delivery_script(home, into)}\nallow_root_commands = true\n")
    # Not by its own first line, as Debian's Python may be in the tree too.
    if shutil.which("getmail"):
        return run([], ["getmail", "--getmaildir", home, "--rcfile", file, *options], home)
    root = tree("getmail6")
    python = next((path for path in (root / "usr/bin/python3", Path("/usr/bin/python3")) if path.exists()), "python3")
    return run(["getmail6"], [python, root / "usr/bin/getmail", "--getmaildir", home, "--rcfile", file, *options], home,
               PYTHONPATH=str(root / "usr/lib/python3/dist-packages"))


def mpop(server, home, *options, into):
    make_maildir(into)
    file = _private(home / "mpoprc", f"account default\nhost {server.host}\nport {server.port}\nuser {server.user}\n"
                    f"password {server.password}\nauth user\ndelivery maildir {into}\nuidls_file {home}/uidls\n"
                    f"{_tls_lines(server)}")
    return run(["mpop"], ["mpop", "-C", file, *options], home)


def curl(home, *options):
    return run(["curl"], ["curl", "-sS", *options], home)


# Sending.

def msmtp(server, home, sender, recipients, message):
    login = f"auth on\nuser {server.user}\npassword {server.password}\n" if server.user else ""
    file = _private(home / "msmtprc", f"account default\nhost {server.host}\nport {server.port}\n"
                    f"{login}{_tls_lines(server)}")
    return run(["msmtp"], ["msmtp", "-C", file, "-f", sender, "--", *recipients], home, message)


def _tls_lines(server):
    """The lines of msmtp's and mpop's configuration."""
    return (f'tls {server.choose(none="off", starttls="on", implicit="on")}\n'
            f'tls_starttls {server.choose(none="off", starttls="on", implicit="off")}\n'
            + (f"tls_trust_file {server.authority}\n" if server.authority else ""))


def swaks(server, home, *options):
    tls = server.choose(none=[], starttls=["--tls"], implicit=["--tls-on-connect"])
    trust = ["--tls-verify", "--tls-ca-path", server.authority] if server.authority else []
    login = ["--auth", "PLAIN", "--auth-user", server.user, "--auth-password", server.password] if server.user else []
    return run(["swaks", "libnet-ssleay-perl", "libauthen-sasl-perl"],
               ["swaks", "--server", server.host, "--port", server.port, *tls, *trust, *login, *options], home)


def mutt(server, home, subject, recipients, text, sender):
    scheme = server.choose(none="smtp", starttls="smtp", implicit="smtps")
    login = f"{server.user}:{server.password}@" if server.user else ""
    trust = f'set certificate_file="{server.authority}"\n' if server.authority else ""
    file = _private(home / "muttrc", f'set smtp_url="{scheme}://{login}{server.host}:{server.port}"\n{trust}'
                    f'set ssl_starttls={server.choose(none="no", starttls="yes", implicit="no")}\n'
                    f'set ssl_force_tls={server.choose(none="no", starttls="yes", implicit="yes")}\n'
                    f'set from="{sender}"\nset envelope_from=yes\nset copy=no\n')
    return run(["mutt"], ["mutt", "-n", "-F", file, "-s", subject, "--", *recipients], home, text)


def s_nail(server, home, subject, recipients, text, sender):
    scheme = server.choose(none="smtp", starttls="smtp", implicit="smtps")
    login = f"{server.user}:{server.password}@" if server.user else ""
    settings = ["v15-compat=yes", f"mta={scheme}://{login}{server.host}:{server.port}", f"from={sender}",
                f'smtp-auth={"plain" if server.user else "none"}']
    if server.tls == "starttls":
        settings.append("smtp-use-starttls")
    if server.authority:
        settings += ["tls-verify=strict", f"tls-ca-file={server.authority}", "tls-ca-no-defaults"]
    options = [option for setting in settings for option in ("-S", setting)]
    command = ["s-nail", "-:", "/", "-Sexpandaddr", "-Ssendwait", *options, "-s", subject, *recipients]
    return run(["s-nail"], command, home, text)

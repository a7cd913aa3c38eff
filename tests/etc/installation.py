"""A site made of the very files of etc/: only the ports, the user and the paths are others."""

import os
import pwd
import queue
import re
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from ..real.certificate import make_certificate
from ..real.packages import Unavailable
from ..real.process import free_port

PROJECT = Path(__file__).resolve().parents[2]
ETC = PROJECT / "etc"
PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "pop3": 110, "pop3s": 995}
PASSWORD = "correct horse"
HOSTNAME = "mail.yacht.example"         # as the sample says

_XINETD_CONF = """
defaults
{{
	bind = 127.0.0.1
	log_type = FILE {folder}/xinetd.log
}}
includedir {folder}/xinetd.d
"""
_BIND = """
mount --make-rprivate /
for device in null random urandom; do touch {dev}/$device && mount --bind /dev/$device {dev}/$device || exit; done
mount --rbind {dev} /dev && exec "$@"
"""


class Installation:
    """What README's manual installation makes, below `folder` instead of /, for whoever runs the tests."""

    def __init__(self, folder):
        self.folder = folder
        self.sbin, self.config, self.spool = folder / "sbin", folder / "mail.cfg", folder / "spool"
        self.ports = {service: free_port() for service in PORTS}
        self._launchers()
        certificate = make_certificate(folder)
        certificate.chain.rename(folder / "cert.pem")
        certificate.key.rename(folder / "key.pem")
        self.authority = certificate.authority
        self.write_config()

    def _launchers(self):
        subprocess.run([sys.executable, "-m", "amsmail.program.launchers", self.sbin, "--config", self.config],
                       cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)

    def write_config(self):
        """Puts the sample in place as its comments say: passwords made, paths set, TLS switched on."""
        text = self.adapted((ETC / "mail.cfg").read_text())
        hashed = subprocess.run([self.sbin / "mailcfg", "password", "--stdin"], input=PASSWORD + "\n", check=True,
                                capture_output=True, text=True).stdout.strip()
        text = text.replace("MAKE-THIS-WITH-mailcfg-password", hashed)
        text = re.sub(r"(?m)^#((certificate|key) = )", r"\1", text)
        self.config.touch(0o600)
        self.config.write_text(text)

    def adapted(self, text):
        """A file of etc/ with its user and paths replaced by ours."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        places = {"/usr/local/sbin": self.sbin, "/var/spool/amsmail": self.spool, "/etc/amsmail": self.folder}
        for there, here in places.items():
            text = text.replace(f"{there}/", f"{here}/")
            text = re.sub(rf"{there}$", str(here), text, flags=re.MULTILINE)
        text = re.sub(r"(?m)^(\s*user\s*=\s*|User=)amsmail$", rf"\g<1>{user}", text)
        return re.sub(r"(\s)amsmail(\s+/)", rf"\g<1>{user}\g<2>", text)       # the column of inetd.conf and cron

    def inetd_conf(self):
        """inetd.conf, adapted, for inetd on loopback."""
        text = self.adapted((ETC / "inetd.conf").read_text())
        for service, port in self.ports.items():
            text = re.sub(rf"(?m)^{service}(?=\s)", f"127.0.0.1:{port}", text)
        return self._written("inetd.conf", text)

    def xinetd_conf(self):
        """A xinetd.conf for loopback that includes xinetd.d/, adapted."""
        (self.folder / "xinetd.d").mkdir()
        for file in (ETC / "xinetd.d").iterdir():
            text = self.adapted(file.read_text())
            for service, port in self.ports.items():
                text = re.sub(rf"(?m)^(\s*port\s*=\s*){PORTS[service]}$", rf"\g<1>{port}", text)
            self._written(f"xinetd.d/{file.name}", text)
        return self._written("xinetd.conf", _XINETD_CONF.format(folder=self.folder))

    def units(self):
        """systemd's units, adapted, as {name: path}."""
        (self.folder / "systemd").mkdir(exist_ok=True)
        found = {}
        for file in (ETC / "systemd").iterdir():
            text = self.adapted(file.read_text())
            for service, port in self.ports.items():
                text = re.sub(rf"(?m)^ListenStream={PORTS[service]}$", f"ListenStream=127.0.0.1:{port}", text)
            found[file.name] = self._written(f"systemd/{file.name}", text)
        return found

    def _written(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path


class Syslog:
    """Listens as a system's syslog does, and says how to start a program that finds it as /dev/log: in a mount
    namespace of its own, so that this machine's /dev is left alone."""

    def __init__(self, folder):
        self._dev = folder / "dev"
        self._dev.mkdir()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._dev / "log"))
        self._lines = queue.SimpleQueue()
        # Taken at once: the kernel keeps ten datagrams, and whoever logs the eleventh has to wait.
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        while line := self._socket.recv(4096):
            self._lines.put(line.decode())

    def command(self, *words):
        return ["unshare", "--mount", "sh", "-c", _BIND.format(dev=self._dev), "sh", *words]

    def lines_until(self, text):
        """Everything logged until a line with `text` came."""
        lines = []
        while not lines or text not in lines[-1]:
            lines.append(self._lines.get(timeout=10))
        return lines

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self._dev / "log"))
        self._listener.join()
        self._socket.close()


@contextmanager
def syslog(folder):
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        raise Unavailable("syslog", "only root can give a program another /dev/log than the machine's")
    listener = Syslog(folder)
    try:
        yield listener
    finally:
        listener.close()

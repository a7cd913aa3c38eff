"""mailcfg check: who serves clients, with real super-servers, ports and programs."""

import itertools
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import types
from contextlib import contextmanager

import pytest

from amsmail.setup import processes
from amsmail.setup.doctor import served, super_servers
from amsmail.setup.doctor.world import World
from amsmail.setup.processes import Process
from amsmail.site import config
from tests.etc.installation import ETC, PORTS, PROJECT, Installation
from tests.real.packages import environment, tree
from tests.real.process import _listening_ports, public_folder, running

from .doctor import as_user, levels, only
from .test_doctor_calls import machine

# A server that says another one's greeting; it runs until its standard input is closed.
OTHER = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def serve():
    while True:
        with listener.accept()[0] as connection:
            connection.sendall(sys.argv[2].encode() + b"\\r\\n")
threading.Thread(target=serve, daemon=True).start()
print(flush=True)
sys.stdin.read()
"""


class Machine:
    """An Installation whose files of super-servers are where the doctor looks, below `root`."""

    def __init__(self, installation, root):
        self.installation, self.root = installation, root
        self.ports = installation.ports
        (root / "etc").mkdir(parents=True)
        self.inetd_conf = self.root / "etc/inetd.conf"
        self.xinetd_conf = self.root / "etc/xinetd.conf"

    def lines(self):
        """inetd.conf's, for our ports."""
        return [line for line in self.installation.inetd_conf().read_text().splitlines() if line[:1] not in ("", "#")]

    def put_inetd(self, lines):
        self.inetd_conf.write_text("\n".join(lines) + "\n")

    def put_xinetd(self):
        self.installation.xinetd_conf()
        (self.root / "etc/xinetd.d").mkdir()
        self.xinetd_conf.write_text((self.installation.folder / "xinetd.conf").read_text().replace(
            f"includedir {self.installation.folder}", f"includedir {self.root}/etc"))

    def xinetd_entry(self, service):
        name = f"xinetd.d/amsmail-{service}"
        (self.root / "etc" / name).write_text((self.installation.folder / name).read_text())

    @contextmanager
    def inetd(self, *services):
        root = tree("openbsd-inetd")
        with self.serving([root / "usr/sbin/inetd", "-i", self.inetd_conf], root, services) as process:
            yield process

    @contextmanager
    def xinetd(self, *services):
        root = tree("xinetd")
        with self.serving([root / "usr/sbin/xinetd", "-dontfork", "-f", self.xinetd_conf, "-pidfile",
                           self.root / "pid", "-filelog", self.root / "log"], root, services) as process:
            yield process

    @contextmanager
    def serving(self, command, root, services):
        with running(command, {self.ports[service] for service in services}, self.root, environment(root)) as process:
            yield process

    def world(self, **changes):
        return World(**{"root": str(self.root), "proc": self.processes(), "ports": self.ports, "patience": 10,
                        **changes})

    def processes(self):
        """A /proc with those processes that a test started, and the first one: others may run an amsd on this
        machine."""
        folder = self.root / "proc"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
        for name in "stat", "net", "1", *children:
            (folder / name).symlink_to(f"/proc/{name}")
        return str(folder)

    def found(self, **changes):
        """What is found about our ports."""
        site = config.load(str(self.installation.config))
        found = list(served.services(site, self.world(**changes)))
        levels(found)
        return [each for each in found if any(str(port) in each.found for port in self.ports.values())
                or "no super-server" in each.found]

    def await_ports(self, *services):
        limit = time.monotonic() + 10
        while not {self.ports[service] for service in services} <= _listening_ports():
            assert time.monotonic() < limit
            time.sleep(0.02)


@pytest.fixture(scope="module")
def installation():
    with public_folder() as folder:
        yield Installation(folder)


@pytest.fixture
def machine_(installation):
    text = installation.config.read_text()
    yield Machine(installation, installation.folder / "root")
    installation.config.write_text(text)
    for name in ("root", "xinetd.d"):
        shutil.rmtree(installation.folder / name, ignore_errors=True)


@contextmanager
def another_program(port, greeting="220 mail.other.example ESMTP Postfix"):
    process = subprocess.Popen([sys.executable, "-c", OTHER, str(port), greeting], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        yield process
    finally:
        process.communicate()


def test_inetd_serves_all(machine_):
    machine_.put_inetd(machine_.lines())
    with machine_.inetd(*PORTS):
        findings = machine_.found()
    assert [each.found for each in findings] == [
        f"{'pop3d' if 'pop3' in service else 'smtpd'} serves port {machine_.ports[service]}, started by inetd"
        for service in PORTS]
    assert levels(findings) == ["fine"] * len(PORTS)


def test_inetd_that_has_not_read_the_entry(machine_):
    first, *others = machine_.lines()
    machine_.put_inetd([first])
    with machine_.inetd("smtp") as process:
        machine_.put_inetd([first, *others])
        os.utime(machine_.inetd_conf, (time.time() + 5, time.time() + 5))
        finding = only(machine_.found(), "wrong")
        ports = ", ".join(str(machine_.ports[service]) for service in PORTS if service != "smtp")
        assert f"inetd (process {process.pid}) does not listen on port {ports}," in finding.found
        assert "was changed after it started" in finding.found
        pid = re.match(r"kill -HUP (\d+);", finding.remedy)[1]
        os.kill(int(pid), signal.SIGHUP)
        machine_.await_ports(*PORTS)
        assert levels(machine_.found()) == ["fine"] * len(PORTS)


def test_inetd_that_does_not_run(machine_):
    machine_.put_inetd(machine_.lines())
    findings = machine_.found()
    assert "inetd does not run, although" in only(findings, "wrong").found
    assert findings[0].remedy == "service openbsd-inetd start"


def test_inetd_that_has_no_entry(machine_):
    machine_.put_inetd(["#" + line for line in machine_.lines()])
    assert "no super-server has an entry" in only(machine_.found(), "note").found


def test_a_service_that_is_not_in_etc_services(machine_):
    machine_.put_inetd([f"no-such-{line}" for line in ["service stream tcp nowait root /usr/sbin/tcpd /sbin/smtpd"]])
    site = config.load(str(machine_.installation.config))
    finding = only([each for each in served.services(site, machine_.world()) if "no-such" in each.found],
                   "wrong")
    assert "/etc/services lacks" in finding.found


def test_xinetd(machine_):
    machine_.put_xinetd()
    machine_.xinetd_entry("smtp")
    machine_.xinetd_entry("pop3s")
    with machine_.xinetd("smtp", "pop3s") as process:
        assert levels(machine_.found()) == ["fine", "fine"]
        machine_.xinetd_entry("pop3")
        finding = only(machine_.found(), "wrong")
        assert f"xinetd (process {process.pid}) does not listen on port {machine_.ports['pop3']}," in finding.found
        os.kill(process.pid, signal.SIGHUP)
        machine_.await_ports("pop3")
        assert levels(machine_.found()) == ["fine"] * 3
    assert "xinetd does not run" in only(machine_.found(), "wrong").found


def test_what_xinetd_passes_over(machine_):
    machine_.put_xinetd()
    folder = machine_.root / "etc/xinetd.d"
    machine_.xinetd_entry("smtp")
    (folder / "amsmail-smtp").rename(folder / "amsmail.smtp")
    machine_.xinetd_entry("pop3")
    (folder / "amsmail-pop3").write_text((folder / "amsmail-pop3").read_text().replace("= no\n}", "= yes\n}"))
    assert "no super-server has an entry" in only(machine_.found(), "note").found


def test_a_port_that_another_program_has(machine_):
    machine_.put_inetd(machine_.lines()[:1])
    with another_program(machine_.ports["smtp"]) as process:
        finding = only(machine_.found(), "wrong")
        assert f"(process {process.pid})" in finding.found and "ESMTP Postfix" in finding.found
        assert "stop python" in finding.remedy
        site, world = config.load(str(machine_.installation.config)), machine_.world()
        finding = only(as_user(pwd.getpwnam("nobody"), lambda: served.services(site, world)), "wrong")
        assert "run this as root to see which" in finding.found


@pytest.mark.parametrize("holders", list(itertools.permutations(["127.0.0.2", "127.0.0.1", "::1"])))
def test_of_several_programs_on_one_port_the_one_that_answers_is_named(machine_, tmp_path, holders):
    machine_.put_inetd(machine_.lines()[:1])            # for 127.0.0.1
    port = machine_.ports["smtp"]
    proc = pathlib.Path(machine(tmp_path / "proc", *(f"at {host}" for host in holders)))
    (proc / "net").mkdir()
    tables = {"tcp": "", "tcp6": ""}
    for number, host in enumerate(holders):
        packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
        words = struct.unpack(f"={len(packed) // 4}I", packed)
        tables["tcp6" if ":" in host else "tcp"] += (
            f"{number}: {''.join(f'{word:08X}' for word in words)}:{port:04X} 0:0 0A 0 0 0 0 0 {1000 + number}\n")
        (proc / str(number + 2) / "fd").mkdir()
        (proc / str(number + 2) / "fd/3").symlink_to(f"socket:[{1000 + number}]")
    for name, rows in tables.items():
        (proc / "net" / name).write_text(f"the heads of the columns\n{rows}")
    with another_program(port):
        assert "is taken by at 127.0.0.1 (process" in only(machine_.found(proc=str(proc)), "wrong").found


def test_a_port_that_another_program_has_before_there_is_an_entry(machine_):
    with another_program(machine_.ports["pop3"], "+OK Dovecot ready."):
        finding = only(machine_.found(), "wrong")
    assert "Dovecot ready" in finding.found and "so pop3d does not get it" in finding.found


def test_a_mail_cfg_that_is_wrong(machine_):
    machine_.put_inetd(machine_.lines())
    site = config.load(str(machine_.installation.config))
    with machine_.inetd(*PORTS), machine_.installation.config.open("a") as f:
        f.write("nonsense = 1\n")
        f.flush()
        findings = list(served.services(site, machine_.world()))
        ours = [each for each in findings if any(str(port) in each.found for port in machine_.ports.values())]
    assert levels(ours) == ["wrong"] * len(PORTS)
    assert sum("refuses to serve" in each.found for each in ours) == 3
    assert sum("says nothing" in each.found for each in ours) == 2      # under TLS there is no way to say it


def test_another_mail_cfg(machine_):
    machine_.put_inetd(machine_.lines()[:1])
    with machine_.inetd("smtp"):
        machine_.installation.config.write_text(machine_.installation.config.read_text().replace(
            "hostname = mail.yacht.example", "hostname = mail.ship.example"))
        site = config.load(str(machine_.installation.config))
        machine_.installation.config.write_text(machine_.installation.config.read_text().replace(
            "hostname = mail.ship.example", "hostname = mail.yacht.example"))
        finding = only(list(served.services(site, machine_.world())), "wrong")
    assert "which is not mail.ship.example" in finding.found


def test_a_program_that_does_not_start(machine_):
    machine_.put_inetd([machine_.lines()[0].replace("/sbin/smtpd", "/nowhere/smtpd")])
    with machine_.inetd("smtp"):
        assert "says nothing" in only(machine_.found(), "wrong").found


@contextmanager
def amsd(installation, *services):
    process = subprocess.Popen(
        [sys.executable, PROJECT / "bin/amsd", *(word for service in services for word in (
            "--listen", f"{service}=127.0.0.1:{installation.ports[service]}")), installation.config],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while process.stdout.readline() != b"ready\n":
        assert process.poll() is None
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def test_amsd(machine_):
    with amsd(machine_.installation, *PORTS):
        findings = machine_.found()
        assert levels(findings) == ["fine"] * len(PORTS)
        assert findings[0].found.endswith("started by amsd")
        machine_.put_inetd(machine_.lines()[:1])
        assert "both have an entry" in only(machine_.found(), "wrong").found


@pytest.mark.parametrize("addresses, meets", [("tcp", True), ("tcp4", True), ("tcp6", False)])
def test_two_super_servers_for_one_port_and_the_same_addresses(machine_, addresses, meets):
    port = machine_.ports["smtp"]
    machine_.put_inetd([f"{port} stream {addresses} nowait root /usr/sbin/tcpd /sbin/smtpd"])
    (machine_.root / "etc/xinetd.d").mkdir()
    (machine_.root / "etc/xinetd.d/mail").write_text(
        f"service mail\n{{\n\tport = {port}\n\tserver = /sbin/smtpd\n\tflags = IPv4\n}}\n")
    told = f"inetd and xinetd both have an entry for port {port}"
    assert any(told in each.found for each in machine_.found()) == meets


def test_an_entry_for_ipv6_alone_is_tried_there(machine_):
    machine_.put_inetd([machine_.lines()[0].replace("127.0.0.1:", "").replace(" tcp ", " tcp6 ")])
    with another_program(machine_.ports["smtp"]):       # at 127.0.0.1
        assert "inetd does not run" in only(machine_.found(), "wrong").found


def test_amsd_of_another_site_is_passed_over(machine_, tmp_path):
    with amsd(machine_.installation, "smtp"):
        site = config.load(str(machine_.installation.config))
        site.path = str(tmp_path / "other.cfg")
        assert not any("started by amsd" in each.found and str(machine_.ports["smtp"]) in each.found
                       for each in served.services(site, machine_.world()))


def test_amsd_that_does_not_listen(machine_):
    stuck = machine_.root / "amsd"          # a program of that name, which comes to nothing
    stuck.write_text("print(flush=True); input()\n")
    process = subprocess.Popen([sys.executable, stuck, "--listen", f"smtp={machine_.ports['smtp']}",
                                machine_.installation.config], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    finding = only(machine_.found(), "wrong")
    process.communicate(b"\n")
    assert f"(process {process.pid}) does not listen on port {machine_.ports['smtp']}" in finding.found
    assert finding.remedy == "start it again"


@pytest.mark.parametrize("words, entries", [
    ("python3 -IS /usr/local/sbin/amsd", [(name, "", port) for name, port in PORTS.items()]),
    ("amsd --listen smtp=127.0.0.1:0 --listen other=25 --listen=pop3=[::1]:1100 /etc/amsmail/mail.cfg",
     [("pop3", "::1", 1100)]),
    ("python3 /bin/amsd --listen smtp=*:2525 mail.cfg", [("smtp", "", 2525)]),
    ("python3 /bin/amsd --listen smtp=2525 other.cfg", []),
    ("amsd --listen smtp=2525 /srv/mail.cfg", []),
    ("vi /usr/local/sbin/amsd", [])])
def test_what_amsd_serves(words, entries):
    site = types.SimpleNamespace(path="/etc/amsmail/mail.cfg")
    found = super_servers.amsd(site, World(), [Process(7, "x", tuple(words.split()), 0)])
    assert [(each.service, each.host, each.port) for each in found] == entries


def test_amsd_that_systemd_should_have_started(machine_, tmp_path):
    wants = machine_.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "amsd.service").write_text((ETC / "systemd/amsd.service").read_text())
    site = config.load(str(machine_.installation.config))
    world = machine_.world(proc=machine(tmp_path / "proc", "systemd"))
    finding = only(list(served.services(site, world)), "wrong")
    assert finding.remedy.startswith("systemctl start amsd")


class TestSystemd:
    """The units are those of etc/; systemd itself cannot be had here, so its process is a stand-in, and amsd serves."""

    @pytest.fixture
    def enabled(self, machine_):
        units = machine_.root / "etc/systemd/system"
        (units / "sockets.target.wants").mkdir(parents=True)
        for name, path in machine_.installation.units().items():
            (units / name).write_text(path.read_text())

        def enable(*services):
            for service in services:
                (units / f"sockets.target.wants/amsmail-{service}.socket").symlink_to(
                    units / f"amsmail-{service}.socket")
        return enable

    def test_sockets_that_are_enabled_and_listen(self, machine_, enabled, tmp_path):
        enabled("smtp", "pop3s")
        with amsd(machine_.installation, "smtp", "pop3s"):
            findings = machine_.found(proc=machine(tmp_path / "proc", "systemd"))
        assert levels(findings) == ["fine", "fine"] and findings[0].found.endswith("by systemd")

    def test_one_that_does_not_listen(self, machine_, enabled, tmp_path):
        enabled("smtp", "pop3s")
        finding = only(machine_.found(proc=machine(tmp_path / "proc", "systemd")), "wrong")
        assert ("systemctl daemon-reload && systemctl restart amsmail-pop3s.socket amsmail-smtp.socket"
                in finding.remedy)

    def test_a_machine_without_systemd(self, machine_, enabled, tmp_path):
        enabled("smtp")
        finding = only(machine_.found(proc=machine(tmp_path / "proc")), "wrong")
        assert "systemd does not run" in finding.found

    def test_where_processes_cannot_be_seen(self, machine_, enabled, tmp_path):
        enabled("smtp")
        assert "cannot be seen" in only(machine_.found(proc=str(tmp_path)), "wrong").found

    def test_a_socket_that_is_not_enabled(self, machine_, enabled, tmp_path):
        findings = machine_.found(proc=machine(tmp_path / "proc", "systemd"))
        assert "no super-server" in only(findings, "note").found


def test_a_process_that_has_ended_is_none_though_nobody_asked_for_its_exit_code_yet():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert processes.process(processes.PROC, child.pid) is None
    child.wait()


def test_without_a_site_names_are_not_compared(machine_):
    machine_.put_inetd(machine_.lines()[:1])
    with machine_.inetd("smtp"):
        findings = served.services(None, machine_.world())
        assert any(str(machine_.ports["smtp"]) in each.found and each.level == "fine" for each in findings)


@pytest.mark.parametrize("server, name, words, reads", [
    ("inetd", "inetd", "/usr/sbin/inetd", True), ("inetd", "inetd", "/usr/sbin/inetd -R 9 /etc/other.conf", False),
    ("inetd", "inetutils-inetd", "/usr/sbin/inetutils-inetd", True), ("inetd", "cron", "/usr/sbin/cron", False),
    ("inetd", "xinetd", "/usr/sbin/xinetd -pidfile /run/xinetd.pid -stayalive -inetd_compat", True),
    ("inetd", "xinetd", "/usr/sbin/xinetd -pidfile /run/xinetd.pid", False)])
def test_which_process_reads_inetd_conf(server, name, words, reads):
    process = Process(7, name, tuple(words.split()), 0)
    assert served.STARTERS[server].reads(process, "/etc/inetd.conf") == reads


@pytest.mark.parametrize("words, reads", [("/usr/sbin/xinetd -pidfile /run/xinetd.pid", True),
                                          ("/usr/sbin/xinetd -f /etc/other.conf", False)])
def test_which_process_reads_xinetd_conf(words, reads):
    process = Process(7, "xinetd", tuple(words.split()), 0)
    assert served.STARTERS["xinetd"].reads(process, "/etc/xinetd.conf") == reads


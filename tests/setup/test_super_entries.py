"""What inetd and xinetd are told to start: what is read here is what the real ones listen for."""

import os
import subprocess
import time

import pytest

from amsmail.setup import processes, super_entries
from amsmail.setup.super_entries import Started, inetd, xinetd

from ..real.packages import Unavailable, environment, tree
from ..real.process import public_folder

SERVICES = "smtp 25/tcp mail # transfer\npop3\t110/tcp\t\tpop-3\nsnmp 161/udp\n\n#imap 143/tcp\n"


def places(found):
    return [(each.line, each.title, each.service, each.host) for each in found]


def test_an_entry_of_inetd():
    text = "# mail\nsmtp stream tcp nowait.1000 mail /usr/sbin/exim4 exim4 -bs\n"
    assert list(inetd("/etc/inetd.conf", text)) == [
        Started("inetd", "/etc/inetd.conf", 2, "smtp", "smtp", "", ("/usr/sbin/exim4", "-bs"))]


@pytest.mark.parametrize("words, command", [
    ("/usr/sbin/tcpd /usr/sbin/exim4 -bs", ("/usr/sbin/exim4", "-bs")), ("/usr/sbin/tcpd qpopper", ("qpopper",)),
    ("internal", ()), ("/usr/sbin/exim4", ("/usr/sbin/exim4",)), ("/sbin/smtpd smtpd --tls", ("/sbin/smtpd", "--tls"))])
def test_the_program_is_the_one_behind_tcpd(words, command):
    (found,) = inetd("x", f"smtp stream tcp nowait root {words}")
    assert found.command == command


@pytest.mark.parametrize("text, found", [
    ("#smtp stream tcp nowait root /x x\n # smtp stream tcp nowait root /x x", []),
    ("smtp dgram udp wait root /x x\nsmtp stream unix nowait root /x x\nsmtp stream tcp nowait", []),
    ("25 stream tcp4 nowait root /x x\n25 stream tcp6 nowait root /x x\n25 stream tcp,rcvbuf=4k nowait root /x x",
     [(1, "25", "25", "0.0.0.0"), (2, "25", "25", "::"), (3, "25", "25", "")]),
    ("*:25 stream tcp nowait root /x x\n[::1]:25 stream tcp6 nowait root /x x\n::1:25 stream tcp6 nowait root /x x",
     [(1, "*:25", "25", ""), (2, "[::1]:25", "25", "::1"), (3, "::1:25", "25", "::1")]),
    ("10.0.0.1,10.0.0.2:pop3 stream tcp nowait root /x x",
     [(1, "10.0.0.1,10.0.0.2:pop3", "pop3", "10.0.0.1"), (1, "10.0.0.1,10.0.0.2:pop3", "pop3", "10.0.0.2")]),
    ("10.0.0.1:\nsmtp stream tcp nowait root /x x\n*:\npop3 stream tcp nowait root /x x",
     [(2, "smtp", "smtp", "10.0.0.1"), (4, "pop3", "pop3", "")]),
    ("smtp stream tcp\n\tnowait root /x x\n#\n pop3 stream tcp nowait root /x x\n\tsmtp stream tcp nowait root /y y",
     [(1, "smtp", "smtp", ""), (4, "pop3", "pop3", "")]),
])
def test_the_lines_of_inetd(text, found):
    assert places(inetd("x", text)) == found


def block(service, *lines, head=""):
    return "\n".join([f"{head}service {service}", "{", *(f"\t{line}" for line in lines), "}", ""])


def test_an_entry_of_xinetd():
    text = block("mail-in", "port = 25", "server = /sbin/smtpd", "server_args = --submission --tls", head="# x\n\n")
    assert list(xinetd({"/etc/xinetd.d/mail": text})) == [
        Started("xinetd", "/etc/xinetd.d/mail", 3, "mail-in", "25", "", ("/sbin/smtpd", "--submission", "--tls"))]


@pytest.mark.parametrize("lines, found", [
    (["disable = yes"], None), (["disable = YES"], None), (["disable = no"], ""), (["disable = yes # not now"], ""),
    (["# disable = yes"], ""), (["disable=yes"], None), (["disable=no"], None), (["disable = no", "disable = yes"], ""),
    (["disable = yes", "disable = no"], None),
    (["id = mail"], None), (["id = post"], ""), (["id ="], ""),
    (["protocol = udp"], None), (["socket_type = dgram"], None), (["protocol = tcp", "socket_type = stream"], ""),
    (["bind = 10.0.0.1"], "10.0.0.1"), (["interface = 10.0.0.2"], "10.0.0.2"), (["bind = ::"], ""),
    (["flags = IPv4"], "0.0.0.0"), (["flags = IPv6"], ""), (["flags = IPv4", "flags += IPv6"], ""),
    (["flags = IPv4 IPv6", "flags -= IPv6 REUSE"], "0.0.0.0"), (["# }", "# {"], ""),
])
def test_the_attributes_of_xinetd(lines, found):
    files = {"conf": "defaults\n{\n\tdisabled = mail\n}\n", "x": block("smtp", *lines)}
    assert [each.host for each in xinetd(files)] == ([] if found is None else [found])


def test_the_defaults_of_xinetd_hold_for_every_file():
    files = {"a": block("smtp"), "b": block("pop3", "bind = 10.0.0.3"), "c": block("imap"),
             "conf": "defaults\n{\n\tbind = 10.0.0.4\n\tenabled = smtp pop3\n}\n"}
    assert places(xinetd(files)) == [(1, "smtp", "smtp", "10.0.0.4"), (1, "pop3", "pop3", "10.0.0.3")]


@pytest.mark.parametrize("lines, command", [
    (["server = /usr/sbin/tcpd", "server_args = /sbin/smtpd --tls", "flags = NAMEINARGS"], ("/sbin/smtpd", "--tls")),
    (["server = /sbin/smtpd", "server_args += --tls"], ("/sbin/smtpd", "--tls")),
    (["type = INTERNAL"], ()), (["redirect = 10.0.0.1 25"], ())])
def test_the_command_of_xinetd(lines, command):
    (found,) = xinetd({"x": block("smtp", *lines)})
    assert found.command == command


@pytest.mark.parametrize("name, is_included", [("smtp", True), ("amsmail-smtp", True), ("smtp.dpkg-old", False),
                                               ("smtp~", False), (".smtp", False)])
def test_what_xinetd_includes_by_its_name(name, is_included):
    assert super_entries.is_included(name) == is_included


@pytest.mark.parametrize("service, port", [("smtp", 25), ("mail", 25), ("pop-3", 110), ("2525", 2525), ("snmp", 0),
                                           ("imap", 0), ("transfer", 0), ("²", 0)])
def test_the_port_of_a_service(service, port):
    assert super_entries.port_of(service, super_entries.tcp_ports(SERVICES)) == port


# What the servers themselves make of such files: all that they listen on, in a network of their own.

INETD = """# comment
3000 stream tcp nowait root /bin/cat cat a # b
# x
\t# 3001 stream tcp nowait root /bin/cat cat
3002 stream tcp nowait root
\t/bin/cat cat
3003 stream tcp6 nowait root /bin/cat cat
3004 stream tcp4 nowait root /bin/cat cat
3005 dgram udp wait root /bin/cat cat
127.0.0.1:3006 stream tcp nowait root /bin/cat cat
[::1]:3007 stream tcp6 nowait root /bin/cat cat
*:3008 stream tcp nowait root /bin/cat cat
127.0.0.2,127.0.0.3:3009 stream tcp nowait root /bin/cat cat
3010 stream tcp,sndbuf=4k nowait root /bin/cat cat
127.0.0.4:
3011 stream tcp nowait root /bin/cat cat
*:
3012 stream tcp nowait root /bin/cat cat
\t3013 stream tcp nowait root /bin/cat cat
3099 stream tcp nowait root /bin/cat cat
"""
# By the file's name: what is behind what every entry has.
XINETD = {
    "a": "port = 3000", "b.dpkg-old": "port = 3001", "c~": "port = 3002", "d": "port = 3003\ndisable = YES",
    "e": "port = 3004\n# }\ndisable = yes # not now", "f": "port = 3005\nflags = IPv4", "g": "port = 3006\nbind = ::1",
    "h": "port = 3007\ninterface = 127.0.0.5", "i": "port = 3008\ndisable=yes", "j": "port = 3009\nid = off",
    "k": "port = 3010\nflags = IPv4 IPv6", "off": "port = 3011", "l": "port = 3012\ndisable = no\ndisable = yes",
    "m": "port = 3013\nserver_args = a\nserver_args += b", "n": "port = 3014\ndisable = yes\ndisable = no",
    "z": "port = 3099",
}
USUAL = "type = UNLISTED\nsocket_type = stream\nprotocol = tcp\nwait = no\nuser = root\nserver = /bin/cat\n"


@pytest.fixture
def folder():
    with public_folder() as made:
        yield made


def listening(command, root, folder):
    """{port: the hosts at which the server listens}, when it does at 3099, its last."""
    words = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *map(str, command)]
    with (folder / "output").open("w+") as output, subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(root)) as server:
        proc, limit = f"/proc/{server.pid}", time.monotonic() + 15
        while os.path.samefile(f"{proc}/ns/net", "/proc/self/ns/net") or 3099 not in processes.open_ports(proc):
            if server.poll() is not None or time.monotonic() > limit:
                server.kill()
                raise AssertionError((folder / "output").read_text())
            time.sleep(0.02)
        found = {}
        for each in processes.listeners(proc, range(65536)):
            found.setdefault(each.port, set()).add(each.host)
        server.kill()
    return found


def agree(read, found):
    """What was read says of each port where it listens; "" lets a server choose among the kinds of addresses."""
    said = {}
    for each in read:
        said.setdefault(int(each.service), set()).add(each.host)
    assert said.keys() == found.keys()
    assert {port: hosts for port, hosts in found.items() if said[port] != {""}} == {
        port: hosts for port, hosts in said.items() if hosts != {""}}
    assert all(found[port] <= {"0.0.0.0", "::"} for port in said if said[port] == {""})


def networks():
    if subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], capture_output=True).returncode:
        raise Unavailable("a network", "only root can make one")


def test_inetd_listens_as_it_was_read(folder):
    networks()
    root, conf = tree("openbsd-inetd"), folder / "inetd.conf"
    conf.write_text(INETD)
    agree(inetd(str(conf), INETD), listening([root / "usr/sbin/inetd", "-i", conf], root, folder))


def test_xinetd_listens_as_it_was_read(folder):
    networks()
    root, conf = tree("xinetd"), folder / "xinetd.conf"
    files = {conf: f"defaults\n{{\n\tdisabled = off\n}}\nincludedir {folder}/xinetd.d\n"}
    (folder / "xinetd.d").mkdir()
    for name, rest in XINETD.items():
        files[folder / "xinetd.d" / name] = block(name, *USUAL.splitlines(), *rest.splitlines())
    for path, text in files.items():
        path.write_text(text)
    command = [root / "usr/sbin/xinetd", "-dontfork", "-f", conf, "-pidfile", folder / "pid", "-filelog",
               folder / "log"]
    read = {path: text for path, text in files.items() if path == conf or super_entries.is_included(path.name)}
    agree(xinetd(read), listening(command, root, folder))

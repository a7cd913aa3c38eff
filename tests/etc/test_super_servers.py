"""Real super-servers, run with the files of etc/."""

from contextlib import contextmanager

import pytest

from ..real.packages import environment, tree
from ..real.process import public_folder, running
from .clients import check_nothing_but_the_protocol, check_services, said
from .installation import PORTS, Installation, syslog


@pytest.fixture
def installation():
    with public_folder() as folder:
        yield Installation(folder)


def openbsd_inetd(installation):
    root = tree("openbsd-inetd")
    return [root / "usr/sbin/inetd", "-i", installation.inetd_conf()], environment(root)


def xinetd(installation):
    root = tree("xinetd")
    return [root / "usr/sbin/xinetd", "-dontfork", "-f", installation.xinetd_conf(), "-pidfile",
            installation.folder / "xinetd.pid"], environment(root)


SUPER_SERVERS = [openbsd_inetd, xinetd]


@contextmanager
def serving(installation, super_server, log=None):
    command, variables = super_server(installation)
    if log:
        command = log.command(*command)
    with running(command, set(installation.ports.values()), installation.folder, variables):
        yield


@pytest.mark.parametrize("super_server", SUPER_SERVERS)
def test_mail_goes_in_and_out_by_every_service(installation, super_server):
    with serving(installation, super_server):
        check_services(installation)


@pytest.mark.parametrize("super_server", SUPER_SERVERS)
def test_clients_see_the_protocol_and_syslog_the_log(installation, super_server):
    with syslog(installation.folder) as log, serving(installation, super_server, log):
        check_nothing_but_the_protocol(installation)
        said(installation, "smtp", b"RSET LAST\r\nQUIT\r\n")
        lines = log.lines_until('command="RSET LAST"')
    assert any("smtpd[" in line and "connect peer=127.0.0.1" in line for line in lines)
    assert any("smtpd[" in line and 'refused command=... reply="500 5.5.2 Command unknown"' in line for line in lines)
    assert any("pop3d[" in line and "login user=captain result=refused" in line for line in lines)
    assert not any("wrong" in line for line in lines)
    ours = [line for line in lines if "smtpd[" in line or "pop3d[" in line]
    assert all(line.startswith("<22>") for line in ours)        # facility mail, level info


@pytest.mark.parametrize("super_server", SUPER_SERVERS)
def test_a_mistake_in_mail_cfg_is_told_to_syslog_and_hinted_at_to_clients(installation, super_server):
    with installation.config.open("a") as config:
        config.write("nonsense = 1\n")
    with syslog(installation.folder) as log, serving(installation, super_server, log):
        assert said(installation, "smtp", b"") == b"421 4.3.5 localhost mail.cfg is wrong, see the log\r\n"
        assert said(installation, "pop3", b"") == b"-ERR [SYS/TEMP] mail.cfg is wrong, see the log\r\n"
        log.lines_until("no such key")


def test_limits_are_explicit(installation):
    lines = [line.split() for line in installation.inetd_conf().read_text().splitlines() if line[:1] not in ("", "#")]
    assert len(lines) == len(PORTS)
    for words in lines:
        kind, _, most = words[3].partition(".")
        assert kind == "nowait" and int(most) > 256
    installation.xinetd_conf()
    files = list((installation.folder / "xinetd.d").iterdir())
    assert len(files) == len(PORTS)
    for file in files:
        settings = {line.split()[0] for line in file.read_text().splitlines() if " = " in line}
        assert {"instances", "per_source", "cps"} <= settings

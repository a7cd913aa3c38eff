"""The units of etc/systemd/: checked by systemd, and their commands run as its sockets run them."""

import os
import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from ..real.packages import Unavailable
from ..real.process import public_folder, running
from .clients import check_nothing_but_the_protocol, check_services
from .installation import PORTS, Installation


@pytest.fixture
def installation():
    for program in ("systemd-analyze", "systemd-socket-activate"):
        if not shutil.which(program):
            raise Unavailable(program, "not installed, and of no use from a package unpacked elsewhere")
    with public_folder() as folder:
        yield Installation(folder)


@contextmanager
def serving(installation):
    """A systemd-socket-activate for each socket unit and its service."""
    units = installation.units()
    with ExitStack() as stack:
        for service, port in installation.ports.items():
            address = value(units[f"amsmail-{service}.socket"], "ListenStream")
            command = value(units[f"amsmail-{service}@.service"], "ExecStart").split()
            folder = installation.folder / service
            folder.mkdir()
            activate = ["systemd-socket-activate", "--accept", "--inetd", "--listen", address]
            stack.enter_context(running([*activate, *command], {port}, folder, os.environ))
        yield


def value(unit, key):
    return re.search(rf"(?m)^{key}=(.*)$", unit.read_text())[1]


def test_systemd_finds_nothing_wrong(installation):
    run = subprocess.run(["systemd-analyze", "verify", "--man=no", *installation.units().values()],
                         capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_mail_goes_in_and_out_by_every_service(installation):
    with serving(installation):
        check_services(installation)


def test_clients_see_the_protocol_and_stderr_the_log(installation):
    with serving(installation):
        check_nothing_but_the_protocol(installation)
    assert "refused command=... reply=" in (installation.folder / "smtp" / "output").read_text()
    assert "login user=captain result=refused" in (installation.folder / "pop3" / "output").read_text()


def test_a_session_gets_the_connection_and_the_journal_gets_the_log(installation):
    units = installation.units()
    for service in PORTS:
        assert value(units[f"amsmail-{service}.socket"], "Accept") == "yes"
        text = units[f"amsmail-{service}@.service"].read_text()
        assert "\nStandardInput=socket\nStandardError=journal\n" in text


def test_all_sessions_are_confined_alike(installation):
    """What stands in five files must not come apart."""
    units = installation.units()
    for suffix in ("@.service", ".socket"):
        texts = (units[f"amsmail-{service}{suffix}"].read_text() for service in PORTS)
        own = r"(?m)^(Description|Documentation|ExecStart|ListenStream)=.*$"
        assert len({re.sub(own, "", text) for text in texts}) == 1

"""The super-servers themselves: every service of etc/, and how many clients its limits let in."""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..etc.clients import check_services, said
from ..etc.installation import Installation
from ..etc.test_super_servers import openbsd_inetd, serving, xinetd
from ..real.process import public_folder
from .table import shows

GREETING = b"+OK amsmail POP3 ready\r\n"


EVERY = "starts smtpd and pop3d for every service of etc/", "mail goes in and out"


@pytest.mark.parametrize("served_yacht", [
    pytest.param(xinetd, marks=shows("xinetd", *EVERY)),
    pytest.param(openbsd_inetd, marks=shows("openbsd-inetd", *EVERY))], indirect=True)
def test_every_service(yacht):
    check_services(yacht)


@pytest.fixture
def installation():
    with public_folder() as folder:
        yield Installation(folder)


AT_ONCE = "21 clients at once from one address"


@pytest.mark.parametrize("super_server, more", [
    pytest.param(xinetd, b"", marks=shows("xinetd", AT_ONCE, "20 are served: per_source")),
    pytest.param(openbsd_inetd, GREETING, marks=shows("openbsd-inetd", AT_ONCE, "all are served"))])
def test_clients_at_once(super_server, more, installation):
    with serving(installation, super_server), contextlib.ExitStack() as clients:
        def connected():
            client = clients.enter_context(socket.create_connection(("127.0.0.1", installation.ports["pop3"]), 20))
            return client, client.recv(100)
        greetings = [connected()[1] for _ in range(20)]
        assert greetings == 20 * [GREETING]
        assert connected()[1] == more


@shows("openbsd-inetd", "300 clients in less than a minute", "all are served: nowait.1000")
def test_clients_in_a_minute(installation):
    with serving(installation, openbsd_inetd), ThreadPoolExecutor(4) as pool:
        sessions = list(pool.map(lambda _: said(installation, "pop3", b"QUIT\r\n"), range(300)))
    assert all(session.startswith(GREETING) for session in sessions)

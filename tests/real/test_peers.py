"""The real software itself works here: what the tests against it rest on."""

import getpass
import socket
import sys
from dataclasses import replace

import pytest

from . import clients
from .clients import Server
from .inetd import openbsd_inetd, xinetd
from .postfix import Postfix
from .process import free_port

ECHO = 'print("echo", input())'


@pytest.fixture
def pop3(dovecot, provider_certificate):
    """The account `owner` at the provider, by the kind of TLS."""
    def account(tls):
        port = dovecot.pop3s if tls == "implicit" else dovecot.pop3
        authority = None if tls == "none" else provider_certificate.authority
        return Server(port, "owner", dovecot.passwords["owner"], tls, authority)
    return account


@pytest.fixture
def smtp(postfix, provider_certificate):
    ports = {"none": postfix.smtp, "starttls": postfix.submission, "implicit": postfix.submissions}

    def account(tls):
        if tls == "none":
            return Server(postfix.smtp)
        return Server(ports[tls], "owner", postfix.dovecot.passwords["owner"], tls, provider_certificate.authority)
    return account


@pytest.fixture
def waiting(boxes):
    """The subject of the one message that waits at the provider."""
    boxes.empty("owner")
    boxes.deliver("owner", b"Subject: fair winds\n\nFrom shore.\n")
    return b"Subject: fair winds"


FETCHES = [(fetch, tls) for fetch in (clients.fetchmail, clients.mpop, clients.getmail)
           for tls in ("none", "starttls", "implicit")
           if (fetch, tls) != (clients.getmail, "starttls")]          # which getmail can't


@pytest.mark.parametrize("fetch, tls", FETCHES)
def test_clients_fetch_from_dovecot(fetch, tls, pop3, waiting, tmp_path):
    result = fetch(pop3(tls), tmp_path / "home", into=tmp_path / "inbox")
    assert result.code == 0, result.output
    [file] = (tmp_path / "inbox/new").iterdir()
    assert waiting in file.read_bytes()


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_curl_fetches_from_dovecot(tls, pop3, waiting, provider_certificate, tmp_path):
    server = pop3(tls)
    options = server.choose(none=[], starttls=["--ssl-reqd"], implicit=[])
    scheme = server.choose(none="pop3", starttls="pop3", implicit="pop3s")
    result = clients.curl(tmp_path, *options, "--cacert", provider_certificate.authority,
                          "--user", f"{server.user}:{server.password}", f"{scheme}://localhost:{server.port}/1")
    assert result.code == 0, result.output
    assert waiting.decode() in result.output


def test_dovecot_refuses_a_wrong_password(dovecot, tmp_path):
    result = clients.mpop(Server(dovecot.pop3, "owner", "wrong"), tmp_path / "home", into=tmp_path / "inbox")
    assert result.code != 0
    assert "failed" in result.output


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_swaks_sends_to_postfix(tls, smtp, boxes, tmp_path):
    boxes.empty("mate")
    result = clients.swaks(smtp(tls), tmp_path / "home", "--from", "owner@shore.example", "--to", "mate@shore.example",
                           "--body", "Ahoy!")
    assert result.code == 0, result.output
    [message] = boxes.messages("mate", 1)
    assert b"Ahoy!" in message
    assert (b"with ESMTPSA" in message) == (tls != "none")


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_msmtp_sends_to_postfix(tls, smtp, boxes, tmp_path):
    boxes.empty("mate")
    result = clients.msmtp(smtp(tls), tmp_path / "home", "owner@shore.example", ["mate@shore.example"],
                           b"Subject: hi\n\nAhoy!\n")
    assert result.code == 0, result.output
    [message] = boxes.messages("mate", 1)
    assert b"Ahoy!" in message


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("send", [clients.mutt, clients.s_nail])
def test_readers_send_to_postfix(send, tls, smtp, boxes, tmp_path):
    boxes.empty("mate")
    result = send(smtp(tls), tmp_path / "home", "a subject", ["mate@shore.example"], b"Ahoy!\n", "owner@shore.example")
    assert result.code == 0, result.output
    [message] = boxes.messages("mate", 1)
    assert b"Subject: a subject" in message and b"Ahoy!" in message


@pytest.mark.parametrize("recipient, reply", [
    ("full", "452 4.2.2"), ("gone", "550 5.1.6"), ("nobody-here", "550 5.1.1")])
def test_postfix_refuses(recipient, reply, smtp, tmp_path):
    result = clients.swaks(smtp("none"), tmp_path / "home", "--to", f"{recipient}@shore.example")
    assert result.code == 24
    assert f"<** {reply}" in result.output


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_postfix_insists_on_a_login_for_submission(tls, smtp, tmp_path):
    server = replace(smtp(tls), user="")
    result = clients.swaks(server, tmp_path / "home", "--to", "mate@shore.example")
    assert result.code == 24
    assert "554 5.7.1" in result.output


def test_postfix_routes_a_domain_to_a_port(folder, boxes, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as next_hop:
        next_hop.settimeout(10)
        routes = {"yacht.example": next_hop.getsockname()[1]}
        with Postfix(folder / "router", boxes, routes=routes).running() as router:
            result = clients.swaks(Server(router.smtp), tmp_path / "home", "--to", "captain@yacht.example")
            assert result.code == 0, result.output
            connection, _ = next_hop.accept()
            with connection:
                connection.sendall(b"220 yacht.example\r\n")
                assert connection.recv(100) == b"EHLO mx.shore.example\r\n"


XINETD = """
service echo-line
{{
    type = UNLISTED
    socket_type = stream
    protocol = tcp
    wait = no
    bind = 127.0.0.1
    port = {port}
    user = {user}
    server = {script}
}}
"""


@pytest.mark.parametrize("kind", [openbsd_inetd, xinetd])
def test_inetd_starts_a_program_for_each_connection(kind, folder):
    port, user = free_port(), getpass.getuser()
    script = folder / "echo"
    script.write_text(f"#!{sys.executable}\n{ECHO}\n")
    script.chmod(0o755)
    if kind is xinetd:
        configuration = XINETD.format(port=port, user=user, script=script)
    else:
        configuration = f"127.0.0.1:{port} stream tcp nowait {user} {script} echo\n"
    with kind(folder / kind.__name__, configuration, [port]):
        for line in b"one\n", b"two\n":
            with (socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
                  connection.makefile("rwb") as stream):
                stream.write(line)
                stream.flush()
                assert stream.read() == b"echo " + line

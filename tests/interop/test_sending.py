"""Mail programs send through smtpd."""

import smtplib
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from ..etc.clients import trusting
from ..etc.installation import PASSWORD
from ..real import clients
from .messages import EIGHT_BIT, MESSAGES, PLAIN, on_wire
from .table import shows
from .yacht import SENDING, in_url

CAPTAIN, ENGINEER, STRANGER = "captain@yacht.example", "engineer@yacht.example", "agent@port.example"


def ways(program, did="sends", result="unchanged"):
    """A test by each of the three ways to send."""
    return pytest.mark.parametrize("way", [
        pytest.param(way, marks=shows(program, did, result, way)) for way in SENDING])


@ways("msmtp")
def test_msmtp(way, yacht, tmp_path):
    for message in MESSAGES:
        result = clients.msmtp(yacht.sending(way), tmp_path, CAPTAIN, [ENGINEER], message)
        assert result.code == 0, result.output
    assert yacht.arrived() == sorted(MESSAGES)


@shows("msmtp", "sends with AUTH LOGIN", "unchanged", "STARTTLS")
def test_msmtp_logs_in_by_login(yacht, tmp_path):
    result = clients.run(["msmtp"], [
        "msmtp", "--host=localhost", f"--port={yacht.ports['submission']}", "--tls=on",
        f"--tls-trust-file={yacht.authority}", "--auth=login", "--user=captain", f"--passwordeval=echo {PASSWORD}",
        "-f", CAPTAIN, "--", ENGINEER], tmp_path, PLAIN)
    assert result.code == 0, result.output
    assert yacht.arrived() == [PLAIN]


@shows("msmtp", "sends with --dsn-notify, --dsn-return", "queued with NOTIFY and RET", "plain")
def test_msmtp_asks_for_notifications(yacht, tmp_path):
    result = clients.run(["msmtp"], [
        "msmtp", "--host=localhost", f"--port={yacht.ports['smtp']}", "--dsn-notify=success,failure",
        "--dsn-return=headers", "-f", CAPTAIN, "--", STRANGER], tmp_path, PLAIN)
    assert result.code == 0, result.output
    [(envelope, message)] = yacht.queued()
    assert message == PLAIN
    assert (envelope.ret, envelope.recipients[0].notify) == ("HDRS", "SUCCESS,FAILURE")


@ways("swaks")
def test_swaks(way, yacht, tmp_path):
    file = tmp_path / "message"
    for message in MESSAGES:
        file.write_bytes(message.removesuffix(b"\n"))       # swaks ends the last line itself
        result = clients.swaks(yacht.sending(way), tmp_path, "--from", CAPTAIN, "--to", ENGINEER,
                               "--data", f"@{file}")
        assert result.code == 0, result.output
    assert yacht.arrived() == sorted(MESSAGES)


@pytest.mark.parametrize("method, way", [
    pytest.param(method, way, marks=shows("swaks", f"logs in by AUTH {method}", "235; wrong password: 535", way))
    for method in ("PLAIN", "LOGIN") for way in SENDING])
def test_swaks_logs_in(method, way, yacht, tmp_path):
    server = yacht.sending(way)
    if way == "plain":
        server = replace(yacht.sending("STARTTLS"), tls="none", authority=None)
    result = clients.swaks(server, tmp_path, "--auth", method, "--quit-after", "AUTH")
    assert result.code == 0, result.output
    assert f"> AUTH {method}" in result.output and "  235 2.7.0 " in result.output
    result = clients.swaks(server, tmp_path, "--auth", method, "--auth-password", "wrong", "--quit-after", "AUTH")
    assert result.code == 28
    assert "* 535 5.7.8 " in result.output


@shows("swaks", "sends pipelined to three, one of them unknown", "550 5.1.1 for that one only", "plain")
def test_swaks_pipelines(yacht, tmp_path):
    result = clients.swaks(yacht.sending("plain"), tmp_path, "--pipeline", "--from", CAPTAIN,
                           "--to", f"{ENGINEER},nobody@yacht.example,{STRANGER}",
                           "--data", PLAIN.decode().removesuffix("\n"))
    assert "PIPELINING" in result.output and "<** 550 5.1.1 " in result.output
    assert result.code == 0, result.output
    assert yacht.arrived() == [PLAIN]
    [(envelope, message)] = yacht.queued()
    assert [str(recipient.address) for recipient in envelope.recipients] == [STRANGER]
    assert message == PLAIN


@shows("swaks", "sends to an unknown box", "550 5.1.1", "plain")
@shows("swaks", "submits without a login", "530 5.7.0", "STARTTLS")
def test_swaks_is_refused(yacht, tmp_path):
    result = clients.swaks(yacht.sending("plain"), tmp_path, "--from", CAPTAIN, "--to", "nobody@yacht.example")
    assert result.code == 24
    assert "<** 550 5.1.1 " in result.output
    result = clients.swaks(replace(yacht.sending("STARTTLS"), user=""), tmp_path, "--to", STRANGER)
    assert result.code == 23
    assert "<~* 530 5.7.0 " in result.output


def curl_options(server):
    trust = ["--cacert", server.authority] if server.authority else []
    login = ["--user", f"{server.user}:{server.password}"] if server.user else []
    return server.choose(none=[], starttls=["--ssl-reqd"], implicit=[]) + trust + login


def curl_url(server):
    return f"{server.choose(none='smtp', starttls='smtp', implicit='smtps')}://localhost:{server.port}/bridge"


@ways("curl")
def test_curl(way, yacht, tmp_path):
    server = yacht.sending(way)
    for message in MESSAGES:
        (tmp_path / "message").write_bytes(on_wire(message))
        result = clients.curl(tmp_path, *curl_options(server), "--mail-from", CAPTAIN, "--mail-rcpt", ENGINEER,
                              "--upload-file", tmp_path / "message", curl_url(server))
        assert result.code == 0, result.output
    assert yacht.arrived() == sorted(MESSAGES)


@shows("curl", "sends with --mail-auth, AUTH LOGIN", "queued with the user's name", "STARTTLS")
def test_curl_passes_the_author_on(yacht, tmp_path):
    server = yacht.sending("STARTTLS")
    (tmp_path / "message").write_bytes(on_wire(EIGHT_BIT))
    result = clients.curl(tmp_path, *curl_options(server), "--login-options", "AUTH=LOGIN", "--mail-auth", CAPTAIN,
                          "--mail-from", CAPTAIN, "--mail-rcpt", STRANGER, "--upload-file", tmp_path / "message",
                          curl_url(server))
    assert result.code == 0, result.output
    [(envelope, message)] = yacht.queued()
    assert (str(envelope.sender), envelope.user, envelope.content) == (CAPTAIN, "captain", "8bit")
    assert message == EIGHT_BIT


@shows("curl", "asks by VRFY for a box", "252", "plain")
def test_curl_verifies(yacht, tmp_path):
    result = clients.curl(tmp_path, "--mail-rcpt", "captain", curl_url(yacht.sending("plain")))
    assert result.code == 0, result.output
    assert "252" in result.output


TEXT = "Grüße von Bord, 海.\n.\nFrom here\n"


@pytest.mark.parametrize("way, send", [
    pytest.param(way, send, marks=shows(program, "sends a text", "the text is unchanged", way))
    for send, program in ((clients.mutt, "mutt"), (clients.s_nail, "s-nail")) for way in SENDING])
def test_readers_send(way, send, yacht, tmp_path):
    result = send(in_url(yacht.sending(way)), tmp_path, "greetings", [ENGINEER], TEXT.encode(), CAPTAIN)
    assert result.code == 0, result.output
    [message] = yacht.arrived()
    message = message_from_bytes(message, policy=policy.default)
    assert message["Subject"] == "greetings"
    assert message.get_content() == TEXT


def smtplib_client(yacht, way):
    server = yacht.sending(way)
    if way == "implicit TLS":
        client = smtplib.SMTP_SSL("localhost", server.port, "bridge", context=trusting(yacht), timeout=20)
    else:
        client = smtplib.SMTP("localhost", server.port, "bridge", timeout=20)
    if way == "STARTTLS":
        client.starttls(context=trusting(yacht))
    if server.user:
        client.login(server.user, server.password)
    return client


@ways("Python", "smtplib sends")
def test_smtplib(way, yacht):
    with smtplib_client(yacht, way) as client:
        for message in MESSAGES:
            refused = client.sendmail(CAPTAIN, [ENGINEER, "nobody@yacht.example"], on_wire(message), ["BODY=8BITMIME"])
            assert refused.keys() == {"nobody@yacht.example"}
    assert yacht.arrived() == sorted(MESSAGES)


@shows("Python", "smtplib sends with SMTPUTF8 and DSN parameters", "queued with all of them", "STARTTLS")
def test_smtplib_keeps_parameters(yacht):
    with smtplib_client(yacht, "STARTTLS") as client:
        client.sendmail(CAPTAIN, ["αγεντ@port.example"], on_wire(EIGHT_BIT),
                        ["BODY=8BITMIME", "SMTPUTF8", "RET=HDRS", "ENVID=4711"], ["NOTIFY=FAILURE,DELAY"])
    [(envelope, message)] = yacht.queued()
    assert (envelope.smtputf8, envelope.body, envelope.ret, envelope.envid) == (True, "8BITMIME", "HDRS", "4711")
    [recipient] = envelope.recipients
    assert (str(recipient.address), recipient.notify) == ("αγεντ@port.example", "FAILURE,DELAY")
    assert message == EIGHT_BIT

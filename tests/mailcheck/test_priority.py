"""MT-PRIORITY (RFC 6710) from a mail program through smtpd and the queue to the relay, and whom it makes a call for."""

import os
import smtplib
import socket
import subprocess
import sys
import threading

import pytest

from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import FLOWS, relay
from tests.mailcheck.test_plan import planning

SMTPD = os.path.join(os.path.dirname(__file__), "..", "..", "bin", "smtpd")
NOTE = "Subject: x\r\n\r\nHello.\r\n"
SHOUTED = "Subject: x\r\nX-Priority: 1\r\n\r\nHello.\r\n"


@pytest.fixture
def boat(tmp_path):
    with planning(tmp_path / "boat") as boat:
        yield boat


def send(boat, text, *options, sender="captain@yacht.example", to="agent@port.example"):
    """Sends a message with smtplib through the real smtpd; `options` are parameters of MAIL."""
    def serve():
        connection, _ = listener.accept()
        with connection:
            subprocess.run([sys.executable, "-IS", SMTPD, boat.path], stdin=connection, stdout=connection,
                           stderr=subprocess.DEVNULL, timeout=20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        with smtplib.SMTP(*listener.getsockname(), timeout=20) as client:
            client.ehlo()
            assert client.esmtp_features["mt-priority"] == "MIXER"
            client.sendmail(sender, [to], text, mail_options=options)
        thread.join()


def test_it_is_kept_with_the_envelope(boat):
    for priority in ("-9", "0", "9"):
        send(boat, NOTE, f"MT-PRIORITY={priority}")
    send(boat, NOTE)
    assert sorted(queued.envelope.priority for queued in boat.queued()) == ["", "-9", "0", "9"]


def test_smtpd_refuses_what_is_no_priority(boat):
    with pytest.raises(smtplib.SMTPSenderRefused, match="501, b'5.5.4 MT-PRIORITY is a number of -9 to 9'"):
        send(boat, NOTE, "MT-PRIORITY=10")
    assert boat.queued() == []


@pytest.mark.parametrize("flow", FLOWS)
def test_the_relay_is_told_and_the_message_is_not_changed(boat, flow):
    """What is urgent goes first, although it is the largest; a header does not help what says that it is not.  The relay
    is told of each, as RFC 6710, section 4.2, wants it: 0 where nothing says more."""
    with Relay([*FLOWS[flow], "MT-PRIORITY STANAG4406"]) as provider:
        boat.configure(relay=relay(provider.port))
        send(boat, SHOUTED, "MT-PRIORITY=-4")
        send(boat, NOTE + "x" * 5000 + "\r\n", "MT-PRIORITY=4")
        send(boat, NOTE)
        result = boat.push()
    assert (result.failures, boat.queued()) == ([], [])
    assert [mail for mail, _, _ in provider.accepted] == [
        "MAIL FROM:<captain@yacht.example> MT-PRIORITY=4", "MAIL FROM:<captain@yacht.example> MT-PRIORITY=0",
        "MAIL FROM:<captain@yacht.example> MT-PRIORITY=-4"]
    assert [body.partition(b"Subject")[2].count(b"Priority") for _, _, body in provider.accepted] == [0, 0, 1]


@pytest.mark.parametrize("flow", FLOWS)
def test_a_relay_that_does_not_offer_it_hears_nothing_of_it(boat, flow):
    with Relay(FLOWS[flow]) as provider:
        boat.configure(relay=relay(provider.port))
        boat.enqueue(priority="4")
        assert boat.push().failures == []
    assert [(mail, body) for mail, _, body in provider.accepted] == [
        ("MAIL FROM:<captain@yacht.example>", b"Subject: x\r\n\r\nHello.\r\n")]


@pytest.mark.parametrize("text, priority, goes", [
    (NOTE, "", False), (NOTE, "3", False), (NOTE, "4", True), (NOTE, "9", True), (NOTE, "-4", False),
    (SHOUTED, "", True), (SHOUTED, "0", False), (SHOUTED, "-4", False), (SHOUTED, "4", True)])
def test_what_a_link_for_urgent_mail_carries(boat, text, priority, goes):
    boat.links(sat={"classes": "urgent"}, land={})
    boat.configure(calls={"use": "sat"})
    boat.enqueue(text.encode(), priority=priority)
    assert boat.says("--plan")[0].startswith("Call over sat") == goes


@pytest.mark.parametrize("listed, sender, goes", [
    ("captain", "captain@yacht.example", True),
    ("captain", "Skipper@YACHT.example", True),             # another address of that box
    ("Cook@Yacht.Example", "cook@yacht.example", True),
    ("cook@yacht.example", "COOK@yacht.EXAMPLE", True),
    ("agent@PORT.example", "Agent@port.example", True),     # an address that is not of this site
    ("skipper@yacht.example", "captain@yacht.example", False),      # an address, not its box
    ("cook", "captain@yacht.example", False),
    ("cook", None, False),
])
def test_whose_may_cost_money(boat, listed, sender, goes):
    """Addresses compare as they do everywhere, whatever the case."""
    boat.configure(calls={"urgent_from": listed, "use": "sat"},
                   boxes={"captain": {"addresses": "captain, skipper"}, "cook": {}})
    boat.links(sat={"classes": "urgent"}, land={})
    boat.enqueue(sender=sender, priority="6")
    assert boat.says("--plan")[0].startswith("Call over sat") == goes

"""What every super-server of etc/ must make possible, as a client sees it."""

import poplib
import re
import smtplib
import socket
import ssl

from .installation import HOSTNAME, PASSWORD

FIELDS = "From: captain@yacht.example\r\nTo: engineer@yacht.example\r\n"


def send(installation, service, subject, starttls=False):
    """Sends a message from captain to engineer."""
    port = installation.ports[service]
    if service == "submissions":
        client = smtplib.SMTP_SSL("localhost", port, timeout=20, local_hostname="bridge",
                                  context=trusting(installation))
    else:
        client = smtplib.SMTP("localhost", port, timeout=20, local_hostname="bridge")
    with client:
        if starttls:
            client.starttls(context=trusting(installation))
        if service != "smtp":
            client.login("captain", PASSWORD)
        client.sendmail("captain@yacht.example", ["engineer@yacht.example"],
                        f"{FIELDS}Subject: {subject}\r\n\r\nBy {service}.\r\n")


def fetch(installation, service, stls=False):
    """Reads the messages in engineer's box, as {subject: message}, and leaves them there."""
    port = installation.ports[service]
    if service == "pop3s":
        client = poplib.POP3_SSL("localhost", port, timeout=20, context=trusting(installation))
    else:
        client = poplib.POP3("localhost", port, timeout=20)
    if stls:
        client.stls(context=trusting(installation))
    client.user("engineer")
    client.pass_(PASSWORD)
    found = {}
    for number in range(1, client.stat()[0] + 1):
        message = b"\n".join(client.retr(number)[1]).decode()
        found[re.search("(?m)^Subject: (.*)$", message)[1]] = message
    client.quit()
    return found


def said(installation, service, commands):
    """All octets that the server sends to a client that says `commands` (octets) in one piece."""
    with socket.create_connection(("127.0.0.1", installation.ports[service]), timeout=20) as sock:
        sock.sendall(commands)
        return b"".join(iter(lambda: sock.recv(4096), b""))


def trusting(installation):
    return ssl.create_default_context(cafile=installation.authority)


def received(message):
    """The uppermost Received field, on one line."""
    return " ".join(re.search(r"(?m)^Received: .*(\n[ \t].*)*", message)[0].split())


def check_services(installation):
    """Every SMTP service takes a message, every POP3 service gives it, and the client's address is right."""
    ways = {     # subject: (service, STARTTLS or not, the protocol's keyword in the Received field)
        "handed in": ("smtp", False, "ESMTP"),
        "handed in with TLS": ("smtp", True, "ESMTPS"),
        "submitted from here": ("submission", False, "ESMTPA"),
        "submitted with TLS": ("submission", True, "ESMTPSA"),
        "submitted by TLS": ("submissions", False, "ESMTPSA"),
    }
    for subject, (service, starttls, _) in ways.items():
        send(installation, service, subject, starttls)
    messages = fetch(installation, "pop3")
    assert messages == fetch(installation, "pop3", stls=True) == fetch(installation, "pop3s")
    assert messages.keys() == ways.keys()
    for subject, (service, _, keyword) in ways.items():
        field = received(messages[subject])
        assert field.startswith("Received: from bridge ([127.0.0.1]) ")
        assert f" by {HOSTNAME} with {keyword} id " in field
        assert messages[subject].endswith(f"\n\nBy {service}.")


def check_nothing_but_the_protocol(installation):
    """What a client sees is the protocol to the last octet, whatever is logged meanwhile."""
    assert said(installation, "smtp", b"FOO\r\nQUIT\r\n") == (
        f"220 {HOSTNAME} ESMTP amsmail\r\n500 5.5.2 Command unknown\r\n221 2.0.0 {HOSTNAME} says good-bye\r\n").encode()
    assert said(installation, "pop3", b"FOO\r\nUSER captain\r\nPASS wrong\r\nQUIT\r\n") == (
        b"+OK amsmail POP3 ready\r\n-ERR Command unknown\r\n+OK Now the password\r\n"
        b"-ERR [AUTH] Wrong user or password\r\n+OK Good-bye\r\n")
    for service in ("submissions", "pop3s"):        # no handshake, so nothing but an alert of TLS may come
        assert said(installation, service, b"QUIT\r\n")[:1] in (b"", b"\x15")

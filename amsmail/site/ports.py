"""The services that amsmail offers to mail programs and servers, and the ports where these look for them."""

from amsmail.wire.value import Value


class Service(Value):
    """`port`, the one that is registered for it; `program`, which serves it, and the `flags` of that one's command
    line."""

    __slots__ = ("port", "program", "flags")


# RFC 8314, section 3.3 (TLS from the first octet); RFC 6409, section 3.1; RFC 5321; RFC 1939.
SERVED = {
    "smtp": Service(25, "smtpd", ()),
    "submission": Service(587, "smtpd", ("--submission",)),
    "submissions": Service(465, "smtpd", ("--submission", "--tls")),
    "pop3": Service(110, "pop3d", ()),
    "pop3s": Service(995, "pop3d", ("--tls",)),
}
REGISTERED = {name: service.port for name, service in SERVED.items()}


def written(ports):
    """{service: port} as command lines and manual pages have it: "smtp=25 pop3=110"."""
    return " ".join(f"{name}={port}" for name, port in ports.items())

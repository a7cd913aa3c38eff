"""Messages that every client here must carry as they are: complete headers, so that nobody adds to them."""

from email.utils import formatdate

TRACE = b"Return-Path:", b"X-Original-To:", b"Delivered-To:", b"Received:"
HEADER = ("From: Captain <captain@yacht.example>\n"
          "To: Engineer <engineer@yacht.example>\n"
          f"Date: {formatdate(1763700946)}\n"
          "Message-ID: <{name}@yacht.example>\n"
          "Subject: {name}\n"
          "MIME-Version: 1.0\n"
          "Content-Type: text/plain; charset={charset}\n"
          "Content-Transfer-Encoding: {encoding}\n"
          "\n")


def letter(name, body, charset="us-ascii", encoding="7bit"):
    """A message with LF line ends."""
    return HEADER.format(name=name, charset=charset, encoding=encoding).encode() + body


PLAIN = letter("plain", b"Fair winds.\n")
EIGHT_BIT = letter("8-bit", "Grüße von Bord, 海\n".encode(), "utf-8", "8bit")
MESSAGES = [
    PLAIN,
    EIGHT_BIT,
    letter("dots", b".\n..\n...\n.a\na.\n\n.\nend\n"),
    letter("blanks", b"trailing \t \n \n\n\n\n"),
    letter("from-line", b"first\n\nFrom here on\n>From there\n"),
    letter("long-line", b"x" * 998 + b"\n" + b"y" * 998 + b"\n"),
    letter("all-octets", bytes(octet for octet in range(1, 256) if octet not in b"\r\n") + b"\n", "latin1", "8bit"),
    letter("large", b"".join(b"%d bottles\n" % number for number in range(20_000))),
]


def on_wire(message):
    return message.replace(b"\n", b"\r\n")


def below_trace(message):
    """A message without the trace fields on top, whoever put them there."""
    lines = message.split(b"\n")
    while lines[0].startswith(TRACE):
        del lines[0]
        while lines[0][:1] in (b" ", b"\t"):
            del lines[0]
    return b"\n".join(lines)

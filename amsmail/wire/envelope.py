"""The envelope of a message, and the block that carries it at the top of a file in the outbound queue.

The block is a run of header fields, so that the file is a message for whoever fetches it by POP3:

    Amsmail-Envelope: 1 0000000291
    Amsmail-Arrival: 1763700946
    Amsmail-Content: 8bit
    Amsmail-Sender: <captain@yacht.example>
    Amsmail-Recipient: - <agent@port.example> NOTIFY=FAILURE ORCPT=rfc822;agent@port.example

The first line has the version and the block's length in octets: whoever strips the block parses nothing else.  What
changes later has a fixed width and is overwritten in place, so that the outcome for one recipient is one synced octet
and not a rewritten message: a recipient's state, and the class of the content, known only once the body has come.
"""

from amsmail.wire import parameters
from amsmail.wire.address import AddressError, parse_path
from amsmail.wire.value import Value

VERSION = 1
_FIRST = b"Amsmail-Envelope: "
FIRST_LINE_OCTETS = len(_FIRST) + len("1 0000000000\n")

# A recipient's state, one octet in the block.
WAITING, SENT, FAILED = "-", "S", "F"

# What the content needs of a relay: nothing, 8BITMIME, or SMTPUTF8 (characters outside ASCII in the header).
CONTENTS = ("7bit", "8bit", "utf8")


class EnvelopeError(ValueError):
    """A block that cannot be read."""


class Recipient(Value):
    """One recipient: `address` (Address), DSN's `notify` and `orcpt` as the client wrote them, and `state`."""

    __slots__ = ("address", "notify", "orcpt", "state")
    defaults = {"notify": "", "orcpt": "", "state": WAITING}


class Envelope(Value):
    """Who sent what to whom.

    `sender` is an Address, or None for the null path.  `recipients` is a tuple of Recipient.  `body` ('', '7BIT',
    '8BITMIME'), `smtputf8`, `ret` ('', 'FULL', 'HDRS'), `envid` and `priority` ('', or MT-PRIORITY's '-9' to '9') are
    MAIL's parameters; `arrival` is in seconds since the epoch; `user` is who logged in, '' if nobody did; `content` is
    one of CONTENTS.
    """

    __slots__ = ("sender", "recipients", "body", "smtputf8", "ret", "envid", "arrival", "user", "content", "priority")
    defaults = {"body": "", "smtputf8": False, "ret": "", "envid": "", "arrival": 0, "user": "", "content": "7bit",
                "priority": ""}


def path(address):
    """An Address as a path; None is the null path."""
    return f"<{'' if address is None else address}>"


def encode(envelope):
    """The block as bytes, and where what changes stands in it: (block, content's offset, [offset of each state])."""
    block = b""
    states = []
    content_at = 0

    def add(name, value):
        nonlocal block
        start = FIRST_LINE_OCTETS + len(block) + len(f"Amsmail-{name}: ")
        block += f"Amsmail-{name}: {value}\n".encode()
        return start

    add("Arrival", int(envelope.arrival))
    content_at = add("Content", envelope.content)
    add("Sender", path(envelope.sender))
    for name in _OPTIONAL:
        value = getattr(envelope, name)
        if value:
            add(name.capitalize(), "yes" if value is True else value)
    for recipient in envelope.recipients:
        words = [recipient.state, path(recipient.address)]
        words += [f"NOTIFY={recipient.notify}"] if recipient.notify else []
        words += [f"ORCPT={recipient.orcpt}"] if recipient.orcpt else []
        states.append(add("Recipient", " ".join(words)))
    first = _FIRST + b"%d %010d\n" % (VERSION, FIRST_LINE_OCTETS + len(block))
    return first + block, content_at, states


_OPTIONAL = ("body", "smtputf8", "ret", "envid", "user", "priority")


def block_length(first_line):
    """The length in octets of the block that starts with `first_line`.  Raises EnvelopeError."""
    version, _, length = first_line[len(_FIRST):].rstrip(b"\r\n").partition(b" ")
    if not (first_line.startswith(_FIRST) and version.isdigit() and length.isdigit()):
        raise EnvelopeError(f"no envelope at the start of the file, but {first_line[:60]!r}")
    if int(version) != VERSION:
        raise EnvelopeError(f"the envelope has version {int(version)}, this program knows version {VERSION}")
    return int(length)


def decode(block):
    """The Envelope in a block, and the offset of each recipient's state in it.  Raises EnvelopeError."""
    if len(block) != block_length(block[:block.find(b"\n") + 1]) or not block.endswith(b"\n"):
        raise EnvelopeError(f"the envelope is cut off: {len(block)} octets are there")
    fields = {}
    recipients, offsets = [], []
    at = FIRST_LINE_OCTETS
    try:
        for line in block[at:].split(b"\n")[:-1]:
            name, _, value = line.decode("utf-8").removeprefix("Amsmail-").partition(": ")
            if name == "Recipient":
                recipients.append(_decode_recipient(value))
                offsets.append(at + len("Amsmail-Recipient: "))
            else:
                fields[name.lower()] = value
            at += len(line) + 1
        sender, _ = parse_path(fields["sender"], null=True)
        arrival = int(fields["arrival"])
        content = fields["content"]
        if "priority" in fields:        # of these only it is counted with
            parameters.MAIL["MT-PRIORITY"](fields["priority"])
    except (AddressError, parameters.ParameterError, KeyError, ValueError) as error:
        raise EnvelopeError(f"the envelope cannot be read: {error!r}") from error
    optional = {name: fields.get(name, "") for name in _OPTIONAL}
    optional["smtputf8"] = optional["smtputf8"] == "yes"
    return Envelope(sender, tuple(recipients), arrival=arrival, content=content, **optional), offsets


def _decode_recipient(value):
    address, rest = parse_path(value[2:], postmaster=True)
    found = parameters.parse(rest, parameters.RCPT)
    return Recipient(address, found.get("NOTIFY", ""), found.get("ORCPT", ""), value[0])


class ContentScanner:
    """Sees while a message (LF line ends) goes by what its content needs of a relay: one of CONTENTS."""

    def __init__(self):
        self._tail = b"\n"
        self._in_header = True
        self._header_is_ascii = self._body_is_ascii = True

    def feed(self, text):
        if self._in_header:
            joined = self._tail + text
            end = joined.find(b"\n\n")
            header = joined if end < 0 else joined[:end]
            self._header_is_ascii = self._header_is_ascii and header.isascii()
            self._tail = joined[-1:]
            if end < 0:
                return
            self._in_header = False
            text = joined[end:]
        self._body_is_ascii = self._body_is_ascii and text.isascii()

    @property
    def content(self):
        if not self._header_is_ascii:
            return "utf8"
        return "7bit" if self._body_is_ascii else "8bit"

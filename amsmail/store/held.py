"""Messages that are held because they are too large for the link: inbound ones, which stay at their provider, and
outbound ones, which wait in the queue and whose senders may decide on them.  A file each in state/held/.

    ID      {"account": "owner", "uid": "17/8", "octets": 5100000, ..., "token": SHA-256, "state": "held"}

ID is the message's identity in hold, notice, log and ledger.  It is made of the account, the mailbox, the folder and
the provider's name for the message, so that it is the same again when a file is lost: then the message is only told of
once more.  A file is written after its box was told, replaced as a whole when somebody decides, and goes when the
provider shows the message no more, it was fetched or deleted, or the account reads another folder or mailbox.

TOKEN is what a reply must know to decide: random, told once in the notice, and kept as its digest only.
"""

import base64
import hashlib
import json
import os

from amsmail.store import durable
from amsmail.wire.value import Value

# What was decided: nothing yet; to fetch it whatever its size; to delete it at the provider.
HELD, RELEASED, DELETE = "held", "released", "delete"
_STATES = (HELD, RELEASED, DELETE)
_IDENTITY_OCTETS, _TOKEN_OCTETS = 5, 20     # in base32 8 and 32 characters: a token cannot be guessed


class HeldMessage(Value):
    """A message at a provider, or, where `account` is '', one in the outbound queue, whose `uid` is its identity there.
    id: ours.  account, mailbox, folder, uid: where it is (mailbox: as seen.mailbox() says
    it, '' if that was not noted; folder: '' for INBOX and by POP3; uid: by IMAP with its UIDVALIDITY, as in the
    journal, which two folders may have in common).  octets: its size.  sender, subject: as its header says, '' if
    unknown.  box: whose it is.  time: when it was held, in seconds since the epoch.  token: the digest of what a reply
    must know.  state: HELD, RELEASED or DELETE.  by: what decided, '' before."""

    __slots__ = ("id", "account", "uid", "octets", "sender", "subject", "box", "time", "token", "state", "by",
                 "folder", "mailbox")
    defaults = {"state": HELD, "by": "", "folder": "", "mailbox": ""}

    @property
    def is_outbound(self):
        return not self.account


class HeldMail:
    """What is held of a Spool.  Needs no lock: a file is there whole or not at all."""

    def __init__(self, spool):
        self._folder = os.path.dirname(spool.state("held", "x"))

    def list(self):
        """The HeldMessages at providers, oldest first; a file that cannot be read is passed over.  Raises OSError."""
        return [message for message in self._all() if not message.is_outbound]

    def outbound(self):
        """Those in the outbound queue.  Raises OSError."""
        return [message for message in self._all() if message.is_outbound]

    def _all(self):
        found = (self._read(name) for name in os.listdir(self._folder) if name.isalnum())
        return sorted((message for message in found if message), key=lambda message: (message.time, message.id))

    def find(self, token):
        """The HeldMessage that a token decides on, None if there is none.  Raises OSError."""
        wanted = digest(token)
        return next((message for message in self._all() if message.token == wanted), None)

    def put(self, message):
        """Notes a HeldMessage durably, a new one or what became of it.  Raises OSError."""
        values = {name: getattr(message, name) for name in message.__slots__ if name != "id"}
        durable.replace(self._path(message.id), json.dumps(values).encode())

    def forget(self, messages):
        """These are no longer there, or here."""
        durable.forget([self._path(message.id) for message in messages])

    def _read(self, name):
        try:
            with open(self._path(name), "rb", buffering=0) as f:
                message = HeldMessage(name, **json.loads(f.read()))
        except (OSError, ValueError, TypeError):
            return None
        return message if message.state in _STATES else None

    def _path(self, name):
        return os.path.join(self._folder, name)


def identity(account, mailbox, uid, folder=""):
    """The identity of the message that a provider calls `uid` in a folder of a mailbox: 8 characters of a-z and 2-7."""
    place = "\0".join([account, mailbox, uid, folder])
    octets = hashlib.sha256(place.encode("utf-8", "surrogateescape")).digest()
    return base64.b32encode(octets[:_IDENTITY_OCTETS]).decode().lower()


def new_token():
    """A token: 32 characters of a-z and 2-7, so that a mail program that changes case does it no harm."""
    return base64.b32encode(os.urandom(_TOKEN_OCTETS)).decode().lower()


def digest(token):
    """What is kept of a token."""
    return hashlib.sha256(token.casefold().encode()).hexdigest()

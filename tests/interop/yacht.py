"""The yacht's servers: an installation from the files of etc/, run by real super-servers."""

import re
from dataclasses import replace
from urllib.parse import quote

from amsmail.site import config
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid
from amsmail.store.queue import Queue
from amsmail.store.spool import Spool

from ..etc.installation import HOSTNAME, PASSWORD, Installation
from ..mailcheck.sites import without_trace
from ..real.clients import Server

# How clients come: (service, TLS).
SENDING = {"plain": ("smtp", "none"), "STARTTLS": ("submission", "starttls"),
           "implicit TLS": ("submissions", "implicit")}
READING = {"plain": ("pop3", "none"), "STLS": ("pop3", "starttls"), "implicit TLS": ("pop3s", "implicit")}


class Yacht(Installation):
    """Of the boxes in the sample, captain sends and engineer reads; `outbound` picks the queue up."""

    def __init__(self, folder):
        super().__init__(folder)
        self.spool_folder = Spool(str(self.spool), HOSTNAME)
        self.spool_folder.tidy(config.load(str(self.config)).boxes)

    def write_config(self):
        super().write_config()
        text = self.config.read_text()
        self.config.write_text(re.sub(r"(?m)^#(login = outbound|password = \$)", r"\1", text))

    def sending(self, way):
        """The server for a client that sends: by plain SMTP without a login, else with."""
        service, tls = SENDING[way]
        return self._server(service, tls, "" if way == "plain" else "captain")

    def reading(self, way, user="engineer"):
        return self._server(*READING[way], user)

    def _server(self, service, tls, user):
        authority = None if tls == "none" else self.authority
        return Server(self.ports[service], user, PASSWORD if user else "", tls, authority)

    def empty(self):
        """Empties engineer's box and the queue."""
        for box in self.spool_folder.box("engineer"), self.spool_folder.queue():
            for entry in box.list():
                box.remove(entry)

    def put(self, messages, box="engineer"):
        """Delivers messages (LF line ends) into a box just as they are."""
        for message in messages:
            delivery = Delivery(self.spool_folder, new_uid(HOSTNAME), [box], b"")
            delivery.write(message)
            delivery.seal()
            delivery.commit()

    def files(self, name="engineer"):
        """The messages in a box, oldest first, as they are on disk."""
        box = self.spool_folder.box(name)
        contents = []
        for entry in box.list():
            with box.open(entry) as file:
                contents.append(file.read())
        return contents

    def arrived(self):
        """The messages in engineer's box without the trace fields of smtpd, sorted."""
        return sorted(without_trace(message) for message in self.files())

    def queued(self):
        """The (envelope, message without trace field) of what is in the outbound queue."""
        queue = Queue(self.spool_folder)
        found = []
        for queued in map(queue.read, queue.list()):
            with queue.open(queued) as file:
                found.append((queued.envelope, without_trace(file.read())))
        return found


def in_url(server):
    """For clients that want the password as part of a URL."""
    return replace(server, password=quote(server.password))


def delivered(maildir):
    """What a client has put into a Maildir, with LF line ends, sorted."""
    files = [file for part in ("new", "cur") for file in (maildir / part).iterdir()]
    return sorted(file.read_bytes().replace(b"\r\n", b"\n") for file in files)

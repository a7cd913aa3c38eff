"""The IMAP server in memory of tests/protocol, behind a socket: for one folder that outlives its sessions."""

from tests.mailcheck.peers import Peer
from tests.protocol.imap_server import ImapServer, Mail


class ImapProvider(Peer):
    """Has `mails`, made of {UID: text}.  `cut` is after how many octets each session's line is cut.  `commands` are
    those of all sessions, `options` what ImapServer takes."""

    def __init__(self, texts, cut=None, certificate=None, implicit=False, **options):
        super().__init__(certificate=certificate, implicit=implicit)
        self.mails = []
        self.put(texts)
        self.cut_after, self.options = cut, options
        self.commands, self.sent = [], 0

    def put(self, texts):
        self.mails += [Mail(uid, text) for uid, text in texts.items()]

    @property
    def uids(self):
        return [mail.uid for mail in self.mails]

    def session(self):
        server = ImapServer(self.mails, **self.options)
        server.commands = self.commands     # noted before they are answered: who has the answer finds them here
        self.sent = 0
        self._say(server.greeting)
        while True:
            self.receive()
            data, self._input = self._input, b""
            self._say(server.receive(data))

    def _say(self, data):
        if self.cut_after is not None:
            data = data[:max(0, self.cut_after - self.sent)]
        self.sent += len(data)
        self.send(data)
        if self.sent == self.cut_after:
            self.cut()

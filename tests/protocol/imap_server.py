"""An IMAP server in memory for the client's tests: as correct as a test wants it."""

import re
import zlib

CAPABILITIES = "IMAP4rev1 SASL-IR AUTH=PLAIN LITERAL+ UIDPLUS MOVE COMPRESS=DEFLATE"


class Mail:
    """A message in the folder; `said` is its RFC822.SIZE."""

    def __init__(self, uid, text, said=None):
        self.uid, self.text, self.said = uid, text, len(text) if said is None else said
        self.flags = set()


class ImapServer:
    """One session with a folder, the list `mails`, which it changes.  `receive(bytes)` gives the bytes that it answers.

    `answers` replaces what it says to a command: {verb: text with '{tag}' in it, or function(server, tag, arguments)}.
    """

    def __init__(self, mails, capabilities=CAPABILITIES, uidvalidity=17, greeting=None, answers=(), announce=True):
        self.mails, self.uidvalidity = mails, uidvalidity
        self.capabilities = capabilities
        self.greeting = (greeting or f"* OK [CAPABILITY {capabilities}] ready\r\n").encode()
        self.announce = announce        # the capabilities with the answer to a login
        self.answers = dict(answers)
        self.moved = []
        self.commands = []              # all that was said, without tags
        self._input = b""
        self._inflate = self._deflate = None

    def receive(self, data):
        self._input += self._inflate.decompress(data) if self._inflate else data
        output = b""
        while b"\r\n" in self._input:
            line, self._input = self._input.split(b"\r\n", 1)
            compressed = self._deflate
            said = self._command(line.decode())
            said = said if isinstance(said, bytes) else said.encode()
            output += self._packed(said) if compressed else said
        return output

    def _packed(self, data):
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def _command(self, line):
        tag, verb, arguments = (line.split(" ", 2) + [""])[:3]
        if verb == "UID":
            verb, _, arguments = arguments.partition(" ")
            verb = f"UID {verb}"
        self.commands.append(f"{verb} {arguments}".strip())
        if verb in self.answers:
            answer = self.answers[verb]
            return answer(self, tag, arguments) if callable(answer) else answer.format(tag=tag)
        return getattr(self, "_" + verb.replace(" ", "_").lower())(tag, arguments)

    def _capability(self, tag, _):
        return f"* CAPABILITY {self.capabilities}\r\n{tag} OK done\r\n"

    def _authenticate(self, tag, _):
        return f"{tag} OK [CAPABILITY {self.capabilities}] welcome\r\n" if self.announce else f"{tag} OK welcome\r\n"

    _login = _authenticate

    def _compress(self, tag, _):
        self._inflate, self._deflate = zlib.decompressobj(-15), zlib.compressobj(wbits=-15)
        return f"{tag} OK deflating\r\n"

    def _select(self, tag, _):
        uidnext = max((mail.uid for mail in self.mails), default=0) + 1
        return (f"* FLAGS (\\Answered \\Deleted)\r\n* {len(self.mails)} EXISTS\r\n* 0 RECENT\r\n"
                f"* OK [UIDVALIDITY {self.uidvalidity}] UIDs valid\r\n* OK [UIDNEXT {uidnext}] next\r\n"
                f"{tag} OK [READ-WRITE] selected\r\n")

    _examine = _select

    def _uid_fetch(self, tag, arguments):
        uids, items = arguments.split(" ", 1)
        return b"".join(self.fetched(mail, items) for mail in self._in(uids)) + f"{tag} OK fetched\r\n".encode()

    def _fetch(self, tag, arguments):
        numbers, items = arguments.split(" ", 1)
        first = int(numbers.partition(":")[0])
        return b"".join(self.fetched(mail, items) for mail in self.mails[first - 1:]) + f"{tag} OK fetched\r\n".encode()

    def fetched(self, mail, items):
        if items == "(UID)":
            return f"* {self.mails.index(mail) + 1} FETCH (UID {mail.uid})\r\n".encode()
        origin, length = map(int, re.search(r"<(\d+)\.(\d+)>", items).groups())
        text = mail.text[origin:origin + length]
        flags = f" FLAGS ({' '.join(mail.flags)})" if "FLAGS" in items else ""
        return (f"* {self.mails.index(mail) + 1} FETCH (UID {mail.uid}{flags} RFC822.SIZE {mail.said} "
                f"BODY[]<{origin}> {{{len(text)}}}\r\n").encode() + text + b")\r\n"

    def _uid_store(self, tag, arguments):
        for mail in self._in(arguments.split(" ")[0]):
            mail.flags.add("\\Deleted")
        return f"{tag} OK stored\r\n"

    def _uid_expunge(self, tag, arguments):
        output = ""
        for mail in self._in(arguments):
            if "\\Deleted" in mail.flags:
                output += f"* {self.mails.index(mail) + 1} EXPUNGE\r\n"
                self.mails.remove(mail)
        return f"{output}{tag} OK expunged\r\n"

    def _uid_move(self, tag, arguments):
        for mail in self._in(arguments.split(" ")[0]):
            self.moved.append(mail)
            self.mails.remove(mail)
        return f"{tag} OK moved\r\n"

    def _uid_copy(self, tag, arguments):
        self.moved += self._in(arguments.split(" ")[0])
        return f"{tag} OK copied\r\n"

    def _logout(self, tag, _):
        return f"* BYE bye\r\n{tag} OK done\r\n"

    def _in(self, uids):
        """The mails in a set.  `n:*` has the last one in it, as the standard says."""
        last = max((mail.uid for mail in self.mails), default=0)
        found = set()
        for part in uids.split(","):
            low, _, high = part.partition(":")
            ends = sorted(last if end == "*" else int(end) for end in (low, high or low))
            found.update(mail.uid for mail in self.mails if ends[0] <= mail.uid <= ends[1])
        return [mail for mail in self.mails if mail.uid in found]

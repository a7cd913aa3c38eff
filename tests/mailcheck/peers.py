"""Servers that do what amsmail's own would not: refuse, cut the line, or talk nonsense at a chosen point.

    with Relay(replies={"RCPT TO:<b@": "550 5.1.1 Nobody"}) as relay: ...     a reply by the beginning of its command
    with Relay(at={3: "421 Later"}) as relay: ...                             instead of the third reply
    with Relay(at={3: CUT}) as relay: ...                                     the line is cut in its place

`said` has every line that the client sent, `count` is how many replies were given.
"""

import socket
import ssl
import threading
import time

CUT = object()


class _Gone(Exception):
    """The connection is over."""


class Peer:
    """What both servers have in common.  Clients are served one after the other, any number of them.

    `replies` is {beginning of a command: its reply, or CUT}, `at` {number of a reply, counted over all sessions: what
    comes instead}.  `certificate` makes TLS possible, `implicit` starts with it.
    """

    def __init__(self, replies=(), at=(), certificate=None, implicit=False):
        self.replies, self.at = dict(replies), dict(at)
        self._certificate, self._implicit = certificate, implicit
        self.said, self.count, self.sessions = [], 0, 0
        self._problem, self._stopping = None, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_error):
        self._stopping = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join(10)
        self._listener.close()
        if self._problem and kind is None:
            raise self._problem

    def settle(self):
        """Waits until the sessions so far are over: who comes after them is greeted after them."""
        with socket.create_connection(("127.0.0.1", self.port)) as behind:
            behind.recv(1)

    def _serve(self):
        while True:
            self._socket, _ = self._listener.accept()
            if self._stopping:
                self._socket.close()
                return
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(5)
            self._input = b""
            self.sessions += 1
            try:
                if self._implicit:
                    self.start_tls()
                self.session()
            except (_Gone, OSError):
                pass
            except Exception as error:
                self._problem = error
            finally:
                self._socket.close()

    def session(self):
        """Serves one client."""
        raise NotImplementedError

    # The line

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate.path, self._certificate.key)
        self._socket = context.wrap_socket(self._socket, server_side=True)

    def line(self):
        while b"\n" not in self._input:
            self.receive()
        line, _, self._input = self._input.partition(b"\n")
        text = line.rstrip(b"\r").decode("utf-8", "surrogateescape")
        self.said.append(text)
        return text

    def receive(self):
        data = self._socket.recv(1 << 16)
        if not data:
            raise _Gone
        self._input += data

    def send(self, octets):
        self._socket.sendall(octets)

    def reply(self, command, usual, behind=b""):
        """Gives the reply to a command, the usual one or what the test wants instead, and `behind` in the same packet.
        The reply's last line is given back."""
        self.count += 1
        wanted = next((text for start, text in self.replies.items() if command.startswith(start)), usual)
        wanted = self.at.get(self.count, wanted)
        if wanted is CUT:
            raise _Gone
        self.send("".join(line + "\r\n" for line in wanted.split("\n")).encode("utf-8", "surrogateescape") + behind)
        return wanted.rpartition("\n")[2]

    def cut(self):
        raise _Gone


class Relay(Peer):
    """An SMTP server that accepts everything.  `accepted` has (MAIL's line, [RCPT's lines], body as on the wire) of
    each message whose end it answered with a 2xx.  `cut_in_body` is after how many octets of a body the line is cut.
    Without `chunks` it does not know BDAT, whatever `extensions` say, and reads what follows as commands.
    `patient` waits before each reply and notes in `early` what a client in lock-step must not have sent by then."""

    def __init__(self, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE", "ENHANCEDSTATUSCODES"),
                 cut_in_body=None, patient=False, chunks=True, behind_starttls=b"", **peer):
        super().__init__(**peer)
        self.extensions, self.patient, self.chunks = extensions, patient, chunks
        self.cut_in_body, self._behind = cut_in_body, behind_starttls
        self.accepted, self.early = [], []

    def session(self):
        self.reply("greeting", "220 relay.example")
        mail, recipients = None, []
        while True:
            line = self.line()
            if self.patient:
                self._see_what_comes_early()
            verb = line.split(" ", 1)[0].split(":")[0].upper()
            if verb == "EHLO":
                self.reply(line, "\n".join(["250-relay.example", *(f"250-{e}" for e in self.extensions), "250 HELP"]))
            elif verb == "STARTTLS":
                if self.reply(line, "220 Go on", self._behind).startswith("220"):
                    self.start_tls()
            elif verb == "MAIL":
                mail = line if self.reply(line, "250 2.1.0 Sender").startswith("2") else None
            elif verb == "RCPT":
                if self.reply(line, "250 2.1.5 Recipient").startswith("2"):
                    recipients.append(line)
            elif verb == "DATA":
                if self.reply(line, "354 Go on").startswith("354"):
                    body = self._body()
                    if self.reply("final", "250 2.0.0 Accepted").startswith("2"):
                        self.accepted.append((mail, recipients, body))
                    mail, recipients = None, []
            elif verb == "BDAT" and self.chunks:
                body = self._chunk(int(line.split()[1]))
                usual = "250 2.0.0 Accepted" if mail and recipients else "503 5.5.1 Nobody to send it to"
                if self.reply("final", usual).startswith("2"):
                    self.accepted.append((mail, recipients, body))
                mail, recipients = None, []
            elif verb == "QUIT":
                self.reply(line, "221 Bye")
                return
            elif verb == "RSET":
                mail, recipients = None, []
                self.reply(line, "250 Fine")
            else:
                self.reply(line, {"AUTH": "235 Welcome", "HELO": "250 relay.example"}.get(verb, "500 5.5.2 What?"))

    def _body(self):
        """The body as on the wire, without the line with its end."""
        body = b"\r\n"
        while not body.endswith(b"\r\n.\r\n"):
            if self.cut_in_body is not None and len(body) > self.cut_in_body:
                self.cut()
            if not self._input:
                self.receive()
            end = (body[-4:] + self._input).find(b"\r\n.\r\n")
            taken = len(self._input) if end < 0 else end + 5 - len(body[-4:])
            body, self._input = body + self._input[:taken], self._input[taken:]
        return body[2:-3]

    def _chunk(self, size):
        while len(self._input) < size:
            if self.cut_in_body is not None and len(self._input) > self.cut_in_body:
                self.cut()
            self.receive()
        chunk, self._input = self._input[:size], self._input[size:]
        return chunk

    def _see_what_comes_early(self):
        self._socket.settimeout(0.02)
        try:
            self.receive()
        except (TimeoutError, _Gone):
            pass
        self._socket.settimeout(5)
        if self._input:
            self.early.append(self._input)


class Provider(Peer):
    """A POP3 server with `messages`, a list of (UID, octets as on the wire, with no dot-stuffing), for one user, whose
    messages it deletes when QUIT comes.  `uidl`: whether it has UIDL.  `capabilities` are the lines that it answers
    CAPA with, None where it does not know that.  `cut_in_body` is after how many octets of the message with the number
    `cut_message` the line is cut."""

    def __init__(self, messages, uidl=True, capabilities=None, cut_in_body=None, cut_message=1, behind_stls=b"",
                 **peer):
        super().__init__(**peer)
        self.messages, self.uidl, self.capabilities = list(messages), uidl, capabilities
        self.cut_in_body, self.cut_message, self._behind = cut_in_body, cut_message, behind_stls
        self.retrieved = []         # UIDs, once a RETR

    def session(self):
        self.reply("greeting", "+OK provider.example")
        deleted = set()
        while True:
            line = self.line()
            verb, _, argument = line.partition(" ")
            if verb == "STLS":
                if self.reply(line, "+OK Go on", self._behind).startswith("+OK"):
                    self.start_tls()
            elif verb == "LIST":
                self._listing(line, [f"{n} {len(text)}" for n, (_, text) in enumerate(self.messages, 1)])
            elif verb == "UIDL" and self.uidl:
                self._listing(line, [f"{n} {uid}" for n, (uid, _) in enumerate(self.messages, 1)])
            elif verb == "CAPA" and self.capabilities is not None:
                self._listing(line, self.capabilities)
            elif verb in ("UIDL", "CAPA"):
                self.reply(line, "-ERR What?")
            elif verb == "RETR":
                self._retrieve(line, int(argument))
            elif verb == "TOP":
                self._top(line, int(argument.split()[0]))
            elif verb == "DELE":
                if self.reply(line, "+OK Marked").startswith("+OK"):
                    deleted.add(int(argument))
            elif verb == "QUIT":
                # It deletes first and answers then: the answer may be lost on the way.
                self.messages = [m for n, m in enumerate(self.messages, 1) if n not in deleted]
                self.reply(line, "+OK Bye")
                return
            else:
                self.reply(line, "+OK")

    def _listing(self, command, lines):
        if self.reply(command, "+OK").startswith("+OK") and command not in self.replies:
            self.send("".join(line + "\r\n" for line in [*lines, "."]).encode("utf-8", "surrogateescape"))

    def _top(self, command, number):
        if self.reply(command, "+OK").startswith("+OK"):
            head = self.messages[number - 1][1].partition(b"\r\n\r\n")[0]
            self.send((b"\r\n" + head).replace(b"\r\n.", b"\r\n..")[2:] + b"\r\n\r\n.\r\n")

    def _retrieve(self, command, number):
        uid, text = self.messages[number - 1]
        self.retrieved.append(uid)
        if not self.reply(command, "+OK").startswith("+OK"):
            return
        body = (b"\r\n" + text).replace(b"\r\n.", b"\r\n..")[2:]
        if self.cut_in_body is not None and number == self.cut_message:
            self.send(body[:self.cut_in_body])
            time.sleep(0.02)
            self.cut()
        self.send(body + (b".\r\n" if body.endswith(b"\r\n") or not body else b"\r\n.\r\n"))

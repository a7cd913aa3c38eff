"""The POP3 server's side of a session (RFC 1939), with CAPA (2449), AUTH (5034), STLS (2595) and response codes (2449,
3206).  It follows RFC 1957's advice: verbs in any case, a password that may hold blanks, listings that are empty rather
than refused.

What is legal when is the table LEGAL below: state -> verbs.  The states are RFC 1939's AUTHORIZATION and TRANSACTION;
UPDATE is the question Update, between QUIT and its answer.
"""

from amsmail.protocol.engine import Engine, Event, StartTls
from amsmail.wire import sasl
from amsmail.wire.lines import TOO_LONG, loggable, without_end
from amsmail.wire.text import DotEncoder, to_wire
from amsmail.wire.value import Value

LINE_CAP = 255          # RFC 2449, section 4
AUTH_CAP = 12288        # RFC 5034, section 4
LOGIN_FAILURES = 3
SASL = ("PLAIN",)

_ANY = ("CAPA", "QUIT")
LEGAL = {
    "authorization": _ANY + ("USER", "PASS", "AUTH", "STLS"),
    "transaction": _ANY + ("STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "NOOP", "RSET"),
}


class Settings(Value):
    """What this server offers: `errors`, the limit; `starttls`, whether there is a certificate; `secure`, whether TLS
    is on from the start; `cleartext_login`, whether this client may log in without TLS; `version` for
    IMPLEMENTATION."""

    __slots__ = ("errors", "starttls", "secure", "cleartext_login", "version")
    defaults = {"errors": 20, "starttls": False, "secure": False, "cleartext_login": False, "version": ""}


class Refusal(Value):
    """Why not: `code` is a response code ('AUTH', 'IN-USE', 'SYS/TEMP', 'SYS/PERM' or ''), `text` is for a person."""

    __slots__ = ("code", "text")


class Login(Event):
    """Open the drop box of whom these Credentials belong to.  Answer with a list of (UID, octets as RETR sends them
    before dot-stuffing), or a Refusal."""

    __slots__ = ("credentials",)
    asks = True


class OpenMessage(Event):
    """Open message `index` (from 0) for reading.  Answer None, or a Refusal."""

    __slots__ = ("index",)
    asks = True


class ReadMessage(Event):
    """Answer with the next piece of the open message as it is on disk (LF line ends), b'' at its end."""

    __slots__ = ()
    asks = True


class CloseMessage(Event):
    """No more of the open message is wanted."""

    __slots__ = ()


class Update(Event):
    """Remove the messages with these indexes, durably.  Answer None, or a Refusal if some could not be removed."""

    __slots__ = ("indexes",)
    asks = True


class Refused(Event):
    """A command was refused: for the log."""

    __slots__ = ("command", "text")


def refusal(reason):
    """The bytes of a session that cannot even begin."""
    return b"-ERR [SYS/TEMP] " + reason.encode("ascii", "backslashreplace") + b"\r\n"


class Pop3Server(Engine):
    """One session.  `settings` is a Settings."""

    def __init__(self, settings):
        super().__init__()
        self._settings = settings
        self._secure = settings.secure
        self._state = "authorization"
        self._read = self._read_command
        self._command = b""
        self._user = None
        self._exchange = None
        self._errors = self._login_failures = 0
        self._messages = []
        self._deleted = set()
        self._ok("amsmail POP3 ready")

    def idle(self):
        """The client was silent for too long: the connection ends without a word and without UPDATE (RFC 1939,
        section 3)."""
        self._close("idle for too long")

    # Reading

    def _step(self):
        if self._read():
            return True
        if self._peer_closed:
            self._close("the client closed the connection")
            return True
        return False

    def _read_command(self):
        line = self._input.line(LINE_CAP)
        if line is None:
            return False
        self._command = b"" if line is TOO_LONG else line
        # RFC 1957: a password may hold blanks and octets outside ASCII, so only the verb is parted from the rest.
        words = without_end(self._command).decode("utf-8", "surrogateescape")
        verb, _, argument = words.partition(" ")
        verb = verb.upper()
        if line is TOO_LONG:
            self._fail(f"Line too long: at most {LINE_CAP} octets")
        elif not line.endswith(b"\r\n"):
            self._fail("Commands end with CRLF, not with LF alone")
        elif "\0" in words or "\r" in words:
            self._fail("Commands have no NUL, and no CR but at their end")
        elif verb not in COMMANDS:
            self._fail("Command unknown")
        elif verb not in LEGAL[self._state]:
            self._fail(f"Not in the {self._state.upper()} state")
        else:
            COMMANDS[verb](self, argument)
        return True

    def _read_response(self):
        line = self._input.line(AUTH_CAP)
        if line is None:
            return False
        self._read = self._read_command
        if line is TOO_LONG:
            self._fail(f"Line too long: at most {AUTH_CAP} octets")
        elif without_end(line) == b"*":
            self._fail("Authentication cancelled")
        else:
            self._exchange_step(without_end(line).decode("ascii", "replace"))
        return True

    def _read_message(self):
        """While a message is being sent, the next command waits: asks for one more piece of the message."""
        self._emit(ReadMessage())
        return True

    # Replies

    def _ok(self, text):
        self._send(b"+OK " + text.encode("ascii", "backslashreplace") + b"\r\n")

    def _fail(self, text, code=""):
        """Answers with an error, and ends the session after too many of them."""
        code = f"[{code}] " if code else ""
        self._send(f"-ERR {code}{text}\r\n".encode("ascii", "backslashreplace"))
        self._emit(Refused(loggable(self._command, COMMANDS, ("AUTH", "PASS")), text))
        self._errors += 1
        if self._errors >= self._settings.errors or self._login_failures >= LOGIN_FAILURES:
            self._close("too many errors")

    def _lines(self, first, lines):
        """A reply of several lines, in one piece."""
        self._ok(first)
        self._send("".join(f"{line}\r\n" for line in lines).encode("ascii", "backslashreplace") + b".\r\n")

    # Commands of the AUTHORIZATION state

    @property
    def _login_allowed(self):
        return self._secure or self._settings.cleartext_login

    def _capa(self, _argument):
        """RFC 2449, section 5."""
        lines = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER"]
        if self._login_allowed:
            lines += ["USER", f"SASL {' '.join(SASL)}"]
        if self._settings.starttls and not self._secure:
            lines.append("STLS")
        lines.append(f"IMPLEMENTATION amsmail-{self._settings.version}")
        self._lines("Capabilities", lines)

    def _user_command(self, argument):
        if not self._login_allowed:
            self._fail("Not without encryption: use TLS")
        elif not argument.strip():
            self._fail("USER needs a name")
        else:
            self._user = argument.strip()
            self._ok("Now the password")

    def _pass(self, argument):
        if self._user is None:
            self._fail("USER comes first")
            return
        user, self._user = self._user, None
        self._emit(Login(sasl.Credentials(user, argument)))

    def _auth(self, argument):
        """RFC 5034, section 4; without an argument, the list that RFC 1734's clients ask for."""
        mechanism, _, response = argument.strip().partition(" ")
        if not self._login_allowed:
            self._fail("Not without encryption: use TLS")
        elif not mechanism:
            self._lines("Mechanisms", SASL)
        elif mechanism.upper() not in SASL:
            self._fail(f"Mechanisms here: {' '.join(SASL)}")
        else:
            self._exchange = sasl.ServerExchange(mechanism.upper())
            self._exchange_step(sasl.initial_response(response.strip()))

    def _exchange_step(self, response):
        try:
            step = self._exchange.step(response)
        except sasl.SaslError as error:
            self._fail(str(error))
            return
        if isinstance(step, sasl.Credentials):
            self._emit(Login(step))
        else:
            self._send(f"+ {step}\r\n".encode())
            self._read = self._read_response

    def _stls(self, argument):
        if argument:
            self._fail("STLS takes no argument")
        elif self._secure:
            self._fail("TLS is on already")
        elif not self._settings.starttls:
            self._fail("There is no TLS here")
        else:
            self._ok("Start TLS")
            self._emit(StartTls())

    # Commands of the TRANSACTION state

    def _present(self):
        return [(i, m) for i, m in enumerate(self._messages) if i not in self._deleted]

    def _index(self, argument):
        """The index that a message number stands for, or None once the error has been answered."""
        if not (argument.isascii() and argument.isdigit() and len(argument) <= 9):
            self._fail("A message number, please: the first is 1")
        elif not 1 <= int(argument) <= len(self._messages):
            self._fail(f"No message {int(argument)}: there are {len(self._messages)}")
        elif int(argument) - 1 in self._deleted:
            self._fail(f"Message {int(argument)} is marked as deleted")
        else:
            return int(argument) - 1
        return None

    def _stat(self, _argument):
        present = self._present()
        self._ok(f"{len(present)} {sum(size for _, (_, size) in present)}")

    def _list(self, argument):
        self._listing(argument, "LIST", lambda message: message[1])

    def _uidl(self, argument):
        self._listing(argument, "UIDL", lambda message: message[0])

    def _listing(self, argument, what, value):
        if argument.strip():
            index = self._index(argument.strip())
            if index is not None:
                self._ok(f"{index + 1} {value(self._messages[index])}")
            return
        present = self._present()
        self._lines(f"{what} of {len(present)} messages", [f"{i + 1} {value(m)}" for i, m in present])

    def _retr(self, argument):
        index = self._index(argument.strip())
        if index is not None:
            self._send_message(index, None)

    def _top(self, argument):
        words = argument.split()
        if len(words) != 2 or not (words[1].isascii() and words[1].isdigit() and len(words[1]) <= 9):
            self._fail("TOP needs a message number and a number of lines")
            return
        index = self._index(words[0])
        if index is not None:
            self._send_message(index, TopFilter(int(words[1])))

    def _send_message(self, index, top):
        self._top_filter = top
        self._sending = index
        self._emit(OpenMessage(index))

    def _dele(self, argument):
        index = self._index(argument.strip())
        if index is not None:
            self._deleted.add(index)
            self._ok(f"Message {index + 1} will be deleted")

    def _noop(self, _argument):
        self._ok("Still here")

    def _rset(self, _argument):
        self._deleted.clear()
        self._ok(f"{len(self._messages)} messages")

    def _quit(self, _argument):
        if self._state == "transaction":
            self._emit(Update(tuple(sorted(self._deleted))))
        else:
            self._ok("Good-bye")
            self._close()

    # Answers

    def _answered(self, question, answer):
        ANSWERS[type(question)](self, answer)

    def _tls_started(self, _answer):
        self._input.clear()         # nothing said before the handshake counts after it (RFC 2595, section 4)
        self._secure = True
        self._user = None

    def _login_answered(self, answer):
        if isinstance(answer, Refusal):
            self._login_failures += answer.code == "AUTH"
            self._fail(answer.text, answer.code)
            return
        self._messages = answer
        self._state = "transaction"
        self._ok(f"{len(answer)} messages")

    def _opened(self, refusal):
        if refusal:
            self._fail(refusal.text, refusal.code)
            return
        self._ok(f"{self._messages[self._sending][1]} octets")
        self._encoder = DotEncoder()
        self._read = self._read_message

    def _piece(self, data):
        text = self._top_filter.feed(data) if self._top_filter else data
        self._send(self._encoder.feed(to_wire(text)))
        if not data or self._top_filter and self._top_filter.done:
            self._send(self._encoder.end())
            self._read = self._read_command
            self._emit(CloseMessage())

    def _updated(self, refusal):
        if refusal:
            self._fail(refusal.text, refusal.code)
        else:
            self._ok("Good-bye")
        if not self._closed:
            self._close()


class TopFilter:
    """Lets the header, the blank line and `lines` lines of the body through (RFC 1939, section 7: TOP)."""

    def __init__(self, lines):
        self._left = lines
        self._in_header = True
        self._tail = b"\n"
        self.done = False

    def feed(self, text):
        if self.done:
            return b""
        passed = b""
        if self._in_header:
            joined = self._tail + text
            end = joined.find(b"\n\n")
            if end < 0:
                self._tail = joined[-1:]
                return text
            header = end + 2 - len(self._tail)
            passed, text = text[:header], text[header:]
            self._in_header = False
        at = 0
        while self._left and at < len(text):
            end = text.find(b"\n", at)
            if end < 0:
                return passed + text
            at, self._left = end + 1, self._left - 1
        self.done = not self._left
        return passed + text[:at]


COMMANDS = {
    "USER": Pop3Server._user_command,
    "PASS": Pop3Server._pass,
    "AUTH": Pop3Server._auth,
    "STLS": Pop3Server._stls,
    "CAPA": Pop3Server._capa,
    "STAT": Pop3Server._stat,
    "LIST": Pop3Server._list,
    "UIDL": Pop3Server._uidl,
    "RETR": Pop3Server._retr,
    "TOP": Pop3Server._top,
    "DELE": Pop3Server._dele,
    "NOOP": Pop3Server._noop,
    "RSET": Pop3Server._rset,
    "QUIT": Pop3Server._quit,
}

ANSWERS = {
    StartTls: Pop3Server._tls_started,
    Login: Pop3Server._login_answered,
    OpenMessage: Pop3Server._opened,
    ReadMessage: Pop3Server._piece,
    Update: Pop3Server._updated,
}

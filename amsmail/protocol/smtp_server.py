"""The SMTP server's side of a session (RFC 5321), with SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531), PIPELINING
(2920), CHUNKING (3030), ENHANCEDSTATUSCODES (2034), DSN (3461), MT-PRIORITY (6710), STARTTLS (3207) and AUTH (4954).

What is legal when is the table LEGAL below: state -> verbs.  The states:

    fresh    before HELO or EHLO, and again after STARTTLS
    ready    greeted, no transaction
    mail     MAIL was accepted, no recipient yet
    rcpt     at least one recipient was accepted
    chunks   at least one BDAT was accepted, the last is still to come

A verb outside its row is answered with 503, one in no row with 500.  BDAT stands in every row: its octets follow the
command whatever the answer is, and must be taken off the stream (RFC 3030, section 2).
"""

from amsmail.protocol.engine import Engine, Event, StartTls
from amsmail.wire import parameters, sasl
from amsmail.wire.address import AddressError, parse_path
from amsmail.wire.envelope import Envelope, Recipient
from amsmail.wire.lines import TOO_LONG, is_number, loggable, without_end
from amsmail.wire.reply import Reply
from amsmail.wire.text import BareScanner, DotDecoder
from amsmail.wire.value import Value

# Octets of a command line with its CRLF: RFC 5321, section 4.5.3.1.4 and what each extension adds to it.
LINE_CAP = 512
LINE_CAPS = {
    "MAIL": 512 + 26 + 17 + 10 + 500 + 117 + 15,    # SIZE, BODY, SMTPUTF8, AUTH, RET and ENVID, MT-PRIORITY
    "RCPT": 512 + 36 + 508,                         # NOTIFY, ORCPT
    "AUTH": 12288,                                  # RFC 4954, section 4
}
LOGIN_FAILURES = 3      # then the connection ends: guessing passwords costs a new connection each time

_ANY = ("HELO", "EHLO", "RSET", "NOOP", "QUIT", "HELP", "VRFY", "EXPN", "BDAT")
LEGAL = {
    "fresh": _ANY,
    "ready": _ANY + ("MAIL", "AUTH", "STARTTLS"),
    "mail": _ANY + ("RCPT", "DATA"),
    "rcpt": _ANY + ("RCPT", "DATA"),
    "chunks": _ANY,
}


class Settings(Value):
    """What this server offers: `hostname`; `size`, `recipients`, `errors`, the limits; `starttls`, whether there is a
    certificate; `secure`, whether TLS is on from the start; `cleartext_login`, whether this client may log in without
    TLS; `login_required`, whether MAIL needs a login (a submission port, RFC 6409, section 4.3); `trusted`, whether
    this client's mail may have a priority above 0 without a login (RFC 6710, section 4.1)."""

    __slots__ = ("hostname", "size", "recipients", "errors", "starttls", "secure", "cleartext_login", "login_required",
                 "trusted")
    defaults = {"size": 20_000_000, "recipients": 100, "errors": 20, "starttls": False, "secure": False,
                "cleartext_login": False, "login_required": False, "trusted": False}


class Login(Event):
    """Are these Credentials right?  Answer True, or the Reply that says why not."""

    __slots__ = ("mechanism", "credentials")
    asks = True


class MayUse(Event):
    """May this client send from `sender` (an Address, or None) a message of `size` octets (0: not declared)?
    Answer None, or the Reply that refuses."""

    __slots__ = ("sender", "size", "user")
    asks = True


class MayReach(Event):
    """May this client send to `address`?  Answer None, or the Reply that refuses."""

    __slots__ = ("address", "user")
    asks = True


class OpenBody(Event):
    """A body begins.  Answer None once there is a place to put it, or the Reply that refuses it for now.

    `envelope` is an Envelope without arrival; `helo` is the client's name for itself; `protocol` is the keyword for the
    Received field (RFC 3848, RFC 6531 section 4.3).
    """

    __slots__ = ("envelope", "helo", "protocol")
    asks = True


class BodyData(Event):
    """A piece of the body, line ends CRLF, without dot-stuffing.  What goes wrong with it is said at EndBody."""

    __slots__ = ("data",)


class EndBody(Event):
    """The body is complete.  Answer with the final Reply: 250 only once the message is safe on disk.
    `completed`: the last line had no line end and was given one."""

    __slots__ = ("completed",)
    asks = True


class DropBody(Event):
    """The body that was begun will not be: forget it.  `why` is for the log."""

    __slots__ = ("why",)


class Refused(Event):
    """A command was refused: for the log.  `command` is the line as the client sent it, without arguments of AUTH."""

    __slots__ = ("command", "reply")


class _Body:
    """A message's body while it comes, of at most `most` octets, with CRLF line ends and without dot-stuffing."""

    def __init__(self, most):
        self.is_dropped = False     # on the way, for a fault; the reply waits for the body's end
        self._most = most
        self._size = 0
        self._tail = b"\r\n"        # its last two octets; none of it needs no line end
        self._scanner = BareScanner()

    def feed(self, data):
        self._size += len(data)
        self._tail = (self._tail + data)[-2:]
        self._scanner.feed(data)

    @property
    def fault(self):
        """What it is refused with, as far as it came: (code, status, text), None if nothing is wrong.  Of two faults it
        is always the same that is told, in whatever pieces they came."""
        return self._fault(self._scanner.found)

    @property
    def fault_at_end(self):
        """The same of a body that is complete."""
        return self._fault(self._scanner.found_at_end)

    @property
    def lacks_line_end(self):
        """Whether its last line has none: only BDAT can send such a body."""
        return self._tail != b"\r\n"

    def _fault(self, bare):
        if bare:
            return _BARE
        if self._size > self._most:
            return 552, "5.3.4", f"At most {self._most} octets a message here"
        return None


def refusal(hostname, reason):
    """The bytes of a session that cannot even begin (RFC 5321, section 3.8)."""
    return Reply(421, "4.3.5", f"{hostname} {reason}").encode()


class SmtpServer(Engine):
    """One session.  `settings` is a Settings."""

    def __init__(self, settings):
        super().__init__()
        self._settings = settings
        self._secure = settings.secure
        self._user = ""
        self._helo = ""
        self._extended = False
        self._errors = self._login_failures = 0
        self._read = self._read_command
        self._command = b""
        self._exchange = None
        self._reset()
        self._state = "fresh"
        self._reply(220, "", f"{settings.hostname} ESMTP amsmail")

    # What the program may say without being asked

    def idle(self):
        """The client was silent for too long (RFC 5321, section 4.5.3.2.7): ends the session."""
        self._abandon("idle for too long")
        self._say_goodbye("4.4.2", "idle for too long")

    # Reading

    def _step(self):
        progress = self._read()
        if progress or not self._peer_closed:
            return progress
        self._abandon("the client closed the connection")
        self._close("the client closed the connection")
        return True

    def _read_command(self):
        line = self._input.line(LINE_CAPS["AUTH"])
        if line is None:
            return False
        self._command = b"" if line is TOO_LONG else line
        verb, argument = _split(self._command)
        cap = LINE_CAPS["AUTH"] if line is TOO_LONG else LINE_CAPS.get(verb, LINE_CAP)
        if line is TOO_LONG or len(line) > cap:
            self._fail_line(f"Line too long: at most {cap} octets")
        elif not line.endswith(b"\r\n"):
            self._fail_line("Commands end with CRLF, not with LF alone")
        elif argument is None:
            self._fail_line("Commands are ASCII, or UTF-8 with SMTPUTF8, and have no control characters")
        elif verb not in COMMANDS:
            self._fail_line("Command unknown")
        elif verb not in LEGAL[self._state]:
            self._fail(503, "5.5.1", _OUT_OF_ORDER[verb])
        else:
            COMMANDS[verb](self, argument)
        return True

    def _read_response(self):
        """One line of an AUTH exchange."""
        line = self._input.line(LINE_CAPS["AUTH"])
        if line is None:
            return False
        self._read = self._read_command
        if line is TOO_LONG:
            self._fail(500, "5.5.6", f"Line too long: at most {LINE_CAPS['AUTH']} octets")
        elif without_end(line) == b"*":
            self._fail(501, "5.0.0", "Authentication cancelled")
        else:
            self._exchange_step(without_end(line).decode("ascii", "replace"))
        return True

    def _read_data(self):
        data = self._input.take(1 << 16)
        if not data:
            return False
        text, rest = self._decoder.feed(data)
        self._input.unread(rest)
        self._body_data(text)
        if self._decoder.ended:
            self._end_body()
        return True

    def _read_chunk(self):
        data = self._input.take(min(self._chunk_left, 1 << 16))
        self._chunk_left -= len(data)
        if self._chunk_open:
            self._body_data(data)
        if self._chunk_left:
            return bool(data)
        self._read = self._read_command
        if not self._chunk_open:
            self._fail(*self._chunk_refusal)
        elif self._chunk_last:
            self._end_body()
        elif self._body.is_dropped:
            fault = self._body.fault
            self._reset()
            self._fail(*fault)
        else:
            self._reply(250, "2.0.0", f"{self._chunk_size} octets received")
        return True

    # Replies

    def _reply(self, code, status, text):
        self._send(Reply(code, status, text).encode())

    def _fail(self, code, status, text):
        """Answers with an error, and ends the session after too many of them."""
        self._refuse(Reply(code, status, text))

    def _fail_line(self, text):
        """Answers a line that is no command.  If it was meant to be a BDAT, octets follow that will be read as
        commands: without a transaction that is safe."""
        if self._command[:4].upper() == b"BDAT":
            self._abandon("a wrong BDAT")
        self._fail(500, "5.5.2", text)

    def _refuse(self, reply):
        self._send(reply.encode())
        self._emit(Refused(loggable(self._command, COMMANDS, ("AUTH",)), reply))
        self._errors += reply.permanent
        if self._errors >= self._settings.errors or self._login_failures >= LOGIN_FAILURES:
            self._abandon("too many errors")
            self._say_goodbye("4.7.0", "too many errors")

    def _say_goodbye(self, status, why):
        self._reply(421, status, f"{self._settings.hostname} closes the connection: {why}")
        self._close(why)

    # Commands

    def _helo_command(self, name, extended):
        if not name or not all("!" <= c for c in name):
            self._fail(501, "5.5.4", "Say HELO or EHLO with the name of your host")
            return
        self._abandon("a new HELO or EHLO")
        self._helo, self._extended, self._state = name, extended, "ready"
        hostname = self._settings.hostname
        self._reply(250, "", "\n".join([f"{hostname} greets you", *self._extensions()]) if extended else hostname)

    def _extensions(self):
        yield f"SIZE {self._settings.size}"
        yield from ("8BITMIME", "SMTPUTF8", "PIPELINING", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN",
                    "MT-PRIORITY MIXER")
        if self._settings.starttls and not self._secure:
            yield "STARTTLS"
        if self._login_allowed:
            yield "AUTH " + " ".join(sasl.MECHANISMS)

    @property
    def _login_allowed(self):
        return self._secure or self._settings.cleartext_login

    def _mail(self, argument):
        if self._settings.login_required and not self._user:
            self._fail(530, "5.7.0", "Log in first: this port is for submission")
            return
        found = self._path_and_parameters(argument, "FROM:", parameters.MAIL, "5.1.7")
        if found is None:
            return
        address, given = found
        if given.get("SIZE", 0) > self._settings.size:
            self._fail(552, "5.3.4", f"At most {self._settings.size} octets a message here")
            return
        self._envelope = Envelope(address, (), body=given.get("BODY", ""), smtputf8=given.get("SMTPUTF8", False),
                                  ret=given.get("RET", ""), envid=given.get("ENVID", ""), user=self._user,
                                  priority=self._granted(given.get("MT-PRIORITY", "")))
        self._is_lowered = self._envelope.priority != given.get("MT-PRIORITY", "")
        self._emit(MayUse(address, given.get("SIZE", 0), self._user))

    def _granted(self, priority):
        """The priority that a message gets whose client asks for this one.  Strangers get none above 0 (RFC 6710,
        section 4.1): else they would say what is urgent here."""
        return priority if self._user or self._settings.trusted or int(priority or 0) <= 0 else "0"

    def _rcpt(self, argument):
        found = self._path_and_parameters(argument, "TO:", parameters.RCPT, "5.1.3")
        if found is None:
            return
        if len(self._envelope.recipients) >= self._settings.recipients:
            self._fail(452, "4.5.3", f"Too many recipients: at most {self._settings.recipients} a message here")
            return
        address, given = found
        self._candidate = Recipient(address, given.get("NOTIFY", ""), given.get("ORCPT", ""))
        self._emit(MayReach(address, self._user))

    def _path_and_parameters(self, argument, keyword, table, status):
        """(address, parameters) of MAIL or RCPT, or None once the error has been answered."""
        if argument[:len(keyword)].upper() != keyword:
            self._fail(501, "5.5.4", f"Expected {keyword}<address>")
            return None
        path = argument[len(keyword):].lstrip()
        sender = table is parameters.MAIL
        try:
            address, rest = parse_path(path, null=sender, postmaster=not sender)
            if rest.strip() and not self._extended:
                raise parameters.ParameterError("Parameters need EHLO", unknown=True)
            given = parameters.parse(rest, table)
        except AddressError as error:
            self._fail(501, status, f"Wrong address: {error}")
            return None
        except parameters.ParameterError as error:
            self._fail(555 if error.unknown else 501, "5.5.4", str(error))
            return None
        # MAIL's parameter SMTPUTF8 comes behind the path that it allows (RFC 6531, section 3.4).
        utf8 = given.get("SMTPUTF8") if sender else self._envelope.smtputf8
        if address and not address.is_ascii and not utf8:
            self._fail(553, "5.6.7", "An address with characters outside ASCII needs SMTPUTF8")
            return None
        return address, given

    def _data(self, argument):
        if argument:
            self._fail(501, "5.5.4", "DATA takes no argument")
        elif self._state == "mail":
            self._fail(554, "5.5.1", "No valid recipients")
        else:
            self._chunk_left = None
            self._emit(self._open_body())

    def _bdat(self, argument):
        words = argument.upper().split()
        if not words or len(words) > 2 or words[1:] not in ([], ["LAST"]) or not is_number(words[0]):
            # Nobody can say how many octets follow.  They will be read as commands; without a transaction that is safe.
            self._abandon("a wrong BDAT")
            self._fail(501, "5.5.4", "BDAT needs a number of octets, and LAST or nothing behind it")
            return
        self._chunk_size = self._chunk_left = int(words[0])
        self._chunk_last = bool(words[1:])
        self._chunk_open = self._state == "chunks"
        self._chunk_refusal = ((554, "5.5.1", "No valid recipients") if self._state == "mail"
                               else (503, "5.5.1", _OUT_OF_ORDER["BDAT"]))
        self._read = self._read_chunk
        if self._state == "rcpt":
            self._emit(self._open_body())

    def _open_body(self):
        keyword = "SMTP"        # with HELO, whatever else was agreed upon: RFC 3848 knows no other for it
        if self._extended:
            utf8 = "UTF8" if self._envelope.smtputf8 else "E"
            keyword = f"{utf8}SMTP{'S' if self._secure else ''}{'A' if self._user else ''}"
        return OpenBody(self._envelope, self._helo, keyword)

    def _rset(self, argument):
        if argument:
            self._fail(501, "5.5.4", "RSET takes no argument")
            return
        self._abandon("RSET")
        self._reply(250, "2.0.0", "Reset")

    def _noop(self, _argument):
        self._reply(250, "2.0.0", "Still here")

    def _help(self, _argument):
        verbs = [verb for verb in COMMANDS if verb != "STARTTLS" or self._settings.starttls]
        self._reply(214, "2.0.0", f"Commands: {' '.join(verbs)}\nSee RFC 5321")

    def _vrfy(self, argument):
        if argument:
            self._reply(252, "2.5.0", "Send a message and see")
        else:
            self._fail(501, "5.5.4", "VRFY needs a name or an address")

    def _expn(self, _argument):
        self._fail(502, "5.5.1", "EXPN is not served here")

    def _quit(self, argument):
        if argument:
            self._fail(501, "5.5.4", "QUIT takes no argument")
            return
        self._abandon("QUIT")
        self._reply(221, "2.0.0", f"{self._settings.hostname} says good-bye")
        self._close()

    def _starttls(self, argument):
        if argument:
            self._fail(501, "5.5.4", "STARTTLS takes no argument")
        elif self._secure:
            self._fail(503, "5.5.1", "TLS is on already")
        elif not self._settings.starttls:
            self._fail(502, "5.5.1", "There is no TLS here")
        else:
            self._reply(220, "2.0.0", "Start TLS")
            self._emit(StartTls())

    def _auth(self, argument):
        mechanism, _, response = argument.partition(" ")
        mechanism = mechanism.upper()
        if self._user:
            self._fail(503, "5.5.1", "You are logged in already")
        elif not self._login_allowed:
            self._fail(538, "5.7.11", "Not without encryption: use TLS")
        elif not mechanism:
            self._fail(501, "5.5.4", "AUTH needs a mechanism")
        elif mechanism not in sasl.MECHANISMS:
            self._fail(504, "5.5.4", f"Mechanisms here: {' '.join(sasl.MECHANISMS)}")
        else:
            self._mechanism = mechanism
            self._exchange = sasl.ServerExchange(mechanism)
            self._exchange_step(sasl.initial_response(response.strip()))

    def _exchange_step(self, response):
        try:
            step = self._exchange.step(response)
        except sasl.SaslError as error:
            self._fail(501, "5.5.2", str(error))
            return
        if isinstance(step, sasl.Credentials):
            self._credentials = step
            self._emit(Login(self._mechanism, step))
        else:
            self._reply(334, "", step)
            self._read = self._read_response

    # Bodies

    def _body_data(self, data):
        self._body.feed(data)
        if self._body.is_dropped or not data:
            return
        if fault := self._body.fault:
            self._drop_body(fault)
        else:
            self._emit(BodyData(data))

    def _drop_body(self, fault):
        self._body.is_dropped = True
        self._emit(DropBody(fault[2]))

    def _end_body(self):
        self._read = self._read_command
        if fault := self._body.fault_at_end:
            if not self._body.is_dropped:
                self._drop_body(fault)
            self._reset()
            self._fail(*fault)
            return
        completed = self._body.lacks_line_end
        if completed:
            self._emit(BodyData(b"\r\n"))
        self._emit(EndBody(completed))

    def _abandon(self, why):
        """Ends the transaction, if there is one, without a message."""
        if self._state == "chunks" and not self._body.is_dropped:
            self._emit(DropBody(why))
        self._reset()

    def _reset(self):
        self._state = "ready" if self._helo else "fresh"
        self._envelope = self._candidate = self._body = None

    # Answers

    def _answered(self, question, answer):
        ANSWERS[type(question)](self, answer)

    def _tls_started(self, _answer):
        self._input.clear()         # nothing said before the handshake counts after it (RFC 3207, section 4.2)
        self._secure = True
        self._helo = self._user = ""
        self._reset()

    def _login_answered(self, answer):
        if answer is True:
            self._user = self._credentials.user
            self._reply(235, "2.7.0", "Logged in")
        else:
            self._login_failures += answer.permanent
            self._refuse(answer)
        self._exchange = self._credentials = None

    def _sender_answered(self, refusal):
        if refusal:
            self._reset()
            self._refuse(refusal)
        else:
            self._state = "mail"
            self._reply(*_LOWERED if self._is_lowered else _SENDER_OK)

    def _recipient_answered(self, refusal):
        if refusal:
            self._refuse(refusal)
        else:
            self._envelope = self._envelope.but(recipients=(*self._envelope.recipients, self._candidate))
            self._state = "rcpt"
            self._reply(250, "2.1.5", "Recipient ok")

    def _opened(self, refusal):
        is_data = self._chunk_left is None
        if refusal:
            self._reset()
            if is_data:
                self._refuse(refusal)
            else:
                self._chunk_refusal = (refusal.code, refusal.status, refusal.text)
            return
        self._body = _Body(self._settings.size)
        self._state = "chunks"      # for DATA too: a body is open, and a lost connection must drop it
        if is_data:
            self._decoder = DotDecoder()
            self._read = self._read_data
            self._reply(354, "", "Go ahead, end with CRLF.CRLF")
        else:
            self._chunk_open = True

    def _stored(self, reply):
        self._reset()
        if reply.ok:
            self._errors = 0
            self._send(reply.encode())
        else:
            self._refuse(reply)


_SENDER_OK = (250, "2.1.0", "Sender ok")
_LOWERED = (250, "2.3.6", "0 is the priority of this message: a higher one needs a login")
_BARE = (550, "5.6.0", "A CR or LF alone in the message: lines end with CRLF")

_OUT_OF_ORDER = {
    "MAIL": "Not now: HELO or EHLO comes first, and a MAIL before this one must end",
    "RCPT": "Not now: MAIL comes first",
    "DATA": "Not now: MAIL and RCPT come first, and DATA does not follow BDAT",
    "BDAT": "Not now: MAIL and RCPT come first",
    "AUTH": "Not now: EHLO comes first, and AUTH is not for the middle of a transaction",
    "STARTTLS": "Not now: EHLO comes first, and STARTTLS is not for the middle of a transaction",
}

COMMANDS = {
    "HELO": lambda engine, argument: engine._helo_command(argument, extended=False),
    "EHLO": lambda engine, argument: engine._helo_command(argument, extended=True),
    "MAIL": SmtpServer._mail,
    "RCPT": SmtpServer._rcpt,
    "DATA": SmtpServer._data,
    "BDAT": SmtpServer._bdat,
    "RSET": SmtpServer._rset,
    "NOOP": SmtpServer._noop,
    "QUIT": SmtpServer._quit,
    "HELP": SmtpServer._help,
    "VRFY": SmtpServer._vrfy,
    "EXPN": SmtpServer._expn,
    "AUTH": SmtpServer._auth,
    "STARTTLS": SmtpServer._starttls,
}

ANSWERS = {
    StartTls: SmtpServer._tls_started,
    Login: SmtpServer._login_answered,
    MayUse: SmtpServer._sender_answered,
    MayReach: SmtpServer._recipient_answered,
    OpenBody: SmtpServer._opened,
    EndBody: SmtpServer._stored,
}


def _split(line):
    """The verb in upper case and its argument; the argument is None where the line is not text."""
    verb, _, argument = without_end(line).partition(b" ")
    verb = verb.decode("ascii", "replace").upper()
    try:
        argument = argument.decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        return verb, None
    return verb, None if any(c < " " and c != "\t" or "\x7f" <= c <= "\x9f" for c in argument) else argument

"""What the sides of an IMAP session say to each other whatever it is for (RFC 3501, 9051): greeting, STARTTLS, login,
compression; commands with their tags, and the answers to them.

COMPRESS may stand behind the login because neither PLAIN nor LOGIN changes how what follows is read (they have no
security layer).  Nothing at all is sent after STARTTLS and COMPRESS before their answer (RFC 3501, section 6.2.1; RFC
4978, section 3).
"""

from amsmail.protocol.engine import StartTls
from amsmail.protocol.imap_events import LOGIN, NOT_OFFERED, REFUSED, Ready, Refused, SessionFailed
from amsmail.protocol.script import PeerError, ScriptEngine
from amsmail.wire import imap, sasl
from amsmail.wire.deflate import DeflateError, Deflater, Inflater


class ImapSession(ScriptEngine):
    """One session; between login and LOGOUT a subclass does its work, `_work()`.

    `starttls` asks for TLS first; `options` are Options; `known` is what Ready said in an earlier call.  `has_hurried`
    says whether COMPRESS stood behind the login."""

    has_hurried = False

    def __init__(self, user, password, starttls, options, known):
        self._user, self._password, self._starttls = user, password, starttls
        self._options, self._known = options, known
        self._reader = imap.ResponseReader()
        self._inflater = self._deflater = None
        self._capabilities = None       # words in upper case; None while the server has not said them
        self._last_tag = 0
        self._commands = {}             # tag -> the verb of a command that was not answered yet
        self._statuses = {}             # tag -> (verb, Status), until it is asked for
        self._compressing = None        # the tag of COMPRESS, once it was asked for
        self._go_ahead = None           # whether the server's go-ahead came; None while there is nothing to wait for
        self._leaving = False           # LOGOUT was said
        super().__init__()

    # From the greeting to the good-bye

    def _script(self):
        greeting = yield from self._response()
        if not isinstance(greeting, imap.Status) or greeting.tag != "*":
            raise PeerError("the server does not greet as an IMAP server")
        if greeting.condition not in (imap.OK, imap.PREAUTH):
            yield SessionFailed(REFUSED, greeting.text)
            return
        yield from self._remark(greeting)
        if (yield from self._come_in(greeting.condition == imap.PREAUTH)):
            yield Ready(*(yield from self._get_ready()))
            yield from self._work()
        if not self._leaving:
            self._log_out()

    def _work(self):
        """What the session is for, from the login on."""
        raise NotImplementedError

    def _heard(self, response):
        """Takes a response (imap.Data, or imap.Streaming) that is about a folder and what is in it."""
        raise NotImplementedError

    def _come_in(self, preauth):
        """STARTTLS, and the login unless the server let us in with its greeting (`preauth`).  Gives whether we are
        in."""
        if self._starttls:
            if preauth:
                yield SessionFailed(NOT_OFFERED, "the server logged us in before TLS could begin")
                return False
            status = yield from self._ask("STARTTLS")
            if not status.ok:
                yield SessionFailed(NOT_OFFERED,
                                    f"STARTTLS was refused, and nothing is sent in the clear: {status.text}")
                return False
            self._input.clear()         # nothing said before the handshake counts after it (RFC 3501, section 6.2.1)
            self._capabilities = None
            yield StartTls()
        return preauth or (yield from self._log_in())

    def _log_in(self):
        """Gives whether we are logged in.  What was remembered of the server is believed first, and asked for anew
        where that went wrong."""
        remembered = self._capabilities is None and self._known.before != ""
        if remembered:
            self._capabilities = _words(self._known.before)
        status = yield from self._authenticate()
        if remembered and not self._compressing and (status is None or status.condition == imap.BAD):
            self._capabilities = None       # the server may have changed since then
            status = yield from self._authenticate()
        if status is None:
            yield SessionFailed(NOT_OFFERED, "the server offers no way to log in that is known here")
            return False
        if not status.ok:
            yield SessionFailed(LOGIN, status.text)
        return status.ok

    def _authenticate(self):
        """The server's answer to logging in; None if it offers no way."""
        if self._capabilities is None:
            yield from self._ask("CAPABILITY")
        offered = self._capabilities or set()
        self._known = self._known.but(before=" ".join(sorted(offered)))
        self._capabilities = None           # there are others after the login; many servers say them with its answer
        response = sasl.plain_message(self._user, self._password)
        if "AUTH=PLAIN" in offered and offered & {"SASL-IR", "IMAP4REV2"}:
            tag = self._command(f"AUTHENTICATE PLAIN {response}")
            self._compress_early()
        elif "LOGINDISABLED" not in offered:
            return (yield from self._say_login(offered))
        elif "AUTH=PLAIN" in offered:
            tag = self._command("AUTHENTICATE PLAIN")
        else:
            return None
        for answer in (response, "*"):      # a server that asks again has not understood
            if (yield from self._may_go_ahead(tag)):
                self._send(answer.encode() + b"\r\n")
        return (yield from self._result(tag))

    def _say_login(self, offered):
        """The server's answer to LOGIN, whose strings may be literals that it asks for one by one."""
        unasked = imap.HIGHEST if "LITERAL+" in offered else 4096 if offered & {"LITERAL-", "IMAP4REV2"} else 0
        first, *others = imap.fragments(
            ["LOGIN ", imap.String(self._user), " ", imap.String(self._password), "\r\n"], unasked)
        tag = self._begin("LOGIN", first)
        if not others:
            self._compress_early()
        for octets in others:
            if (yield from self._may_go_ahead(tag)):
                self._send(octets)
        return (yield from self._result(tag))

    def _compress_early(self):
        """Asks for compression behind the login, if an earlier session was offered it."""
        if self._options.compress_early and self._may_compress(_words(self._known.after)):
            self._compressing = self._command("COMPRESS DEFLATE")
            self.has_hurried = True

    def _may_compress(self, offered):
        return self._options.compress and "COMPRESS=DEFLATE" in offered

    def _get_ready(self):
        """(what is worth remembering of the server, whether both sides deflate)."""
        if self._capabilities is None and self._known.after:
            self._capabilities = _words(self._known.after)
        if self._capabilities is None:
            yield from self._ask("CAPABILITY")
        offered = self._capabilities or set()
        known = self._known.but(after=" ".join(sorted(offered)))
        if "IMAP4REV2" in offered:          # it has these in itself (RFC 9051, appendix E)
            offered |= {"UIDPLUS", "MOVE"}
        self._capabilities = offered
        if not self._compressing:
            if not self._may_compress(offered):
                return known, False
            self._compressing = self._command("COMPRESS DEFLATE")
        status = yield from self._result(self._compressing)
        if not status.ok:
            yield Refused("COMPRESS", status.text)
            return known, False
        self._inflater, self._deflater = Inflater(), Deflater()
        self._inflater.add(self._input.take(len(self._input)))      # what came behind the answer is deflated
        return known, True

    def _good_bye(self, tag):
        """Takes the answer to LOGOUT, if one comes: nothing depends on it."""
        try:
            self.is_answered = (yield from self._result(tag)).ok
        except PeerError:
            pass

    def _log_out(self):
        """Says LOGOUT without waiting; gives its tag."""
        self._leaving = True
        return self._command("LOGOUT")

    # Compression, which is below everything else

    def receive(self, data):
        if data and self._inflater is not None:
            self._inflater.add(data)
        else:
            super().receive(data)

    def output(self):
        data = super().output()
        return self._deflater.feed(data) if data and self._deflater is not None else data

    def _more(self):
        piece = b""
        if self._inflater is not None:
            try:
                piece = self._inflater.take()
            except DeflateError as error:
                raise PeerError(f"the server's words cannot be read: {error}") from error
        if piece:
            self._input.add(piece)
        else:
            yield from super()._more()

    # Commands and responses

    def _ask(self, command):
        """The Status that a command is answered with."""
        return (yield from self._result(self._command(command)))

    def _command(self, *parts):
        """Sends a command without waiting; gives its tag.  Strings in it must need no literal."""
        (octets,) = imap.fragments([*parts, "\r\n"], 0)
        verb = parts[0].removeprefix("UID ").partition(" ")[0]
        return self._begin(verb, octets)

    def _begin(self, verb, octets):
        """Sends the first octets of a command; gives its tag."""
        self._last_tag += 1
        tag = f"a{self._last_tag}"
        self._commands[tag] = verb
        self._send(tag.encode() + b" " + octets)
        return tag

    def _result(self, tag):
        """The Status of a command, once it is answered."""
        _, status = yield from self._answer_to(tag)
        return status

    def _answer_to(self, tag):
        """(verb, Status) of a command, once it is answered."""
        while tag not in self._statuses:
            yield from self._listen()
        return self._statuses.pop(tag)

    def _results(self, tags):
        """Tells of each of these commands that was refused; gives the last one's condition, OK if none was."""
        worst = imap.OK
        for tag in tags:
            verb, status = yield from self._answer_to(tag)
            if not status.ok:
                worst = status.condition
                yield Refused(verb, status.text)
        return worst

    def _may_go_ahead(self, tag):
        """Waits for the server to ask for more of a command; False if it answered instead."""
        self._go_ahead = False
        while not self._go_ahead and tag in self._commands:
            yield from self._listen()
        went, self._go_ahead = self._go_ahead, None
        return went

    def _listen(self):
        """Takes the server's next response."""
        response = yield from self._response()
        if isinstance(response, imap.Data) and response.name == "CAPABILITY":
            self._capabilities = {word.upper() for word in response.values if isinstance(word, str)}
        elif isinstance(response, (imap.Data, imap.Streaming)):
            yield from self._heard(response)
        elif isinstance(response, imap.GoAhead):
            if self._go_ahead is not False:
                raise PeerError("the server asks for more of a command that was complete")
            self._go_ahead = True
        elif response.tag == "*":
            yield from self._remark(response)
        elif response.tag in self._commands:
            self._note(response)
            self._statuses[response.tag] = self._commands.pop(response.tag), response
        else:
            raise PeerError(f"the server answers a command that was not given: {response.tag[:20]!r}")

    def _remark(self, status):
        """Takes a Status that answers no command."""
        self._note(status)
        if status.condition == imap.BYE:
            if not self._leaving:
                raise PeerError(f"the server closes the session: {status.text}")
        elif status.condition in (imap.NO, imap.BAD) or status.code == "ALERT":
            yield Refused("*", status.text)

    def _note(self, status):
        """What a response code says."""
        if status.code == "CAPABILITY":
            self._capabilities = _words(status.argument)

    def _response(self):
        """The server's next response, or the next part of one whose texts stream."""
        while True:
            try:
                response = self._reader.next(self._input)
            except imap.ImapError as error:
                raise PeerError(f"the server's words make no sense: {error}") from error
            if response is not None:
                return response
            yield from self._more()


def _words(text):
    return set(text.upper().split())

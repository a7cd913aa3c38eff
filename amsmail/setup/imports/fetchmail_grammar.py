"""The language of a fetchmailrc: fetchmail(1), Run Control Syntax, and what its scanner makes of odd input.

    statement   set [no] NAME [=] [VALUE]
                (poll NAME | skip NAME | defaults) server options, user entries
    user entry  user options, or any number of: user NAME [there] user options
                                                user NAME... here user options

The scanner takes the longest text that can be a token.  So "a"b is one word with two quotes in it, and a quote cannot
be hidden in a quoted string.  Behind user, password, is, to and = any word is a name.
"""

import re

from amsmail.wire.value import Value

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_WORD = re.compile(r"[^=;:, \t\r\n]+")
_LINE_END = re.compile(r"(?:#.*)?\\?\n")
_ESCAPE = re.compile(r"\\(?:[xX](?P<hex>[0-9a-fA-F]{0,2})|(?P<octal>0[0-7]{0,2})|(?P<decimal>[1-9][0-9]{0,2})"
                     r"|(?P<join>\n)|(?P<char>.)|$)")
_CHARS = {"n": b"\n", "t": b"\t", "b": b"\b", "r": b"\r"}

_NOISE = {"with", "and", "has", "wants", "options"}
_SAME = {"server": "poll", "local": "localdomains", "proto": "protocol", "authenticate": "auth", "preauth": "auth",
         "preauthenticate": "auth", "username": "user", "pass": "password", "folders": "folder", "smtp": "smtphost",
         "pre": "preconnect", "post": "postconnect", "pass8": "pass8bits", "mimedec": "mimedecode"}

_STRING, _NUMBER, _EITHER, _STRINGS, _NUMBERS, _FLAG, _SWITCH = range(7)
_PROTOCOLS = ("auto", "pop2", "sdps", "pop3", "imap", "apop", "rpop", "etrn", "odmr", "kpop")
_AUTHS = ("any", "gssapi", "kerberos", "kerberos4", "kerberos_v4", "kerberos5", "kerberos_v5", "ssh", "implicit",
          "external", "otp", "opie", "cram", "cram-md5", "msn", "ntlm")

# What stands behind each option; a flag may have `no` before it, a switch may not.
_SERVER = {"via": _STRING, "aka": _STRINGS, "localdomains": _STRINGS, "service": _EITHER, "port": _NUMBER,
           "interval": _NUMBER, "timeout": _NUMBER, "qvirtual": _STRING, "principal": _STRING, "esmtpname": _STRING,
           "esmtppassword": _STRING, "interface": _STRING, "monitor": _STRING, "plugin": _STRING, "plugout": _STRING,
           "dns": _FLAG, "uidl": _FLAG, "checkalias": _FLAG, "tracepolls": _FLAG}
_USER = {"password": _STRING, "folder": _STRINGS, "smtphost": _STRINGS, "fetchdomains": _STRINGS,
         "smtpaddress": _STRING, "smtpname": _STRING, "antispam": _NUMBERS, "mda": _STRING, "bsmtp": _STRING,
         "lmtp": _SWITCH, "preconnect": _STRING, "postconnect": _STRING, "keep": _FLAG, "flush": _FLAG,
         "limitflush": _FLAG, "fetchall": _FLAG, "rewrite": _FLAG, "forcecr": _FLAG, "stripcr": _FLAG,
         "pass8bits": _FLAG, "dropstatus": _FLAG, "dropdelivered": _FLAG, "mimedecode": _FLAG, "idle": _FLAG,
         "forceidle": _FLAG, "ssl": _FLAG, "sslkey": _STRING, "sslcert": _STRING, "sslproto": _STRING,
         "sslcertck": _FLAG, "sslcertfile": _STRING, "sslcertpath": _STRING, "sslcommonname": _STRING,
         "sslfingerprint": _STRING, "limit": _NUMBER, "warnings": _NUMBER, "fetchlimit": _NUMBER,
         "fetchsizelimit": _NUMBER, "fastuidl": _NUMBER, "batchlimit": _NUMBER, "expunge": _NUMBER,
         "properties": _STRING}
_SET = {"logfile": _STRING, "idfile": _STRING, "pidfile": _STRING, "daemon": _NUMBER, "postmaster": _STRING,
        "properties": _STRING, "bouncemail": _FLAG, "spambounce": _FLAG, "softbounce": _FLAG, "syslog": _FLAG,
        "invisible": _FLAG, "showdots": _FLAG}
_OTHERS = {"set", "no", "defaults", "poll", "skip", "protocol", "auth", "envelope", "bad-header", "accept", "reject",
           "user", "is", "to", "here", "there", "idletimeout"}
_KEYWORDS = {*_SERVER, *_USER, *_SET, *_OTHERS, *_PROTOCOLS, *_AUTHS, *map(str.upper, _PROTOCOLS)}
_GLUED = {"bouncemail", "uidl", "checkalias", "dns", "envelope", "keep", "flush", "limitflush", "fetchall", "rewrite",
          "forcecr", "stripcr", "pass8", "pass8bits", "dropstatus", "dropdelivered", "mimedec", "mimedecode",
          "spambounce", "idle", "forceidle"}        # that `no` may be written together with
_STARTS = {"set", "poll", "skip", "defaults"}


class Bad(Exception):
    """Text that fetchmail would refuse: at which line, at what, and why; `passed_over` is what was not read for it."""

    def __init__(self, token, why):
        super().__init__(why)
        self.line, self.passed_over = token.line, "this server, up to the next poll"
        # A word that is not of the language may be a piece of a password.
        self.what = token.text if token.kind == "word" else f"a {token.kind}" if token.text else "the end of the file"


class Token(Value):
    """`kind` is 'string', 'number', 'word' (of the language), '=' or 'end'."""

    __slots__ = ("kind", "text", "line")


class Entry(Value):
    """One account as the file says it: `server` ('' for defaults), whether it is polled, and options.

    options   {name: (value, line)}: text, numbers, True or False, lists.  `user` is the name at the provider,
              `localnames` a list of (name there, name here or None)
    """

    __slots__ = ("server", "is_polled", "line", "options")


def parse(text):
    """What the file says, and what is wrong with it: ([Entry], {name: (value, line)} of `set`, [Bad]).

    fetchmail refuses a file with an error in it; here the entry of that server is passed over, up to the next poll.
    What is wrong in the defaults is wrong in all: then nothing is read.
    """
    return _Parser(list(_tokens(text))).run()


def _tokens(text):
    text = text if text.endswith("\n") else text + "\n"
    at, line, names, auth = 0, 1, False, False
    while at < len(text):
        found = max(filter(None, (pattern.match(text, at) for pattern in (_LINE_END, _QUOTED, _WORD))),
                    key=lambda match: match.end(), default=None)
        if found is None:
            if text[at] == "=":
                yield Token("=", "=", line)
                names = True
            at += 1         # a blank, or punctuation, which says nothing
            continue
        word, at = found[0], found.end()
        if found.re is _LINE_END:
            line += 1
        elif found.re is _QUOTED:
            yield Token("string", _unescaped(word[1:-1]), line)
            names = False
        elif names:
            yield Token("string", _unescaped(word), line)
            names = False
        elif auth and word == "password":
            yield Token("word", word, line)
            auth = False
        else:
            yield from _words(word, line)
            names = _SAME.get(word, word) in ("user", "password", "is", "to")
            auth = _SAME.get(word, word) == "auth"
        line += word.count("\n") if found.re is _QUOTED else 0
    yield Token("end", "", line)


def _words(word, line):
    name = _SAME.get(word, word)
    if name in _KEYWORDS:
        yield Token("word", name.lower(), line)
    elif word[:2] == "no" and word[2:] in _GLUED:
        yield Token("word", "no", line)
        yield Token("word", _SAME.get(word[2:], word[2:]), line)
    elif re.fullmatch("-?[0-9]+", word):
        yield Token("number", word, line)
    elif word not in _NOISE:
        yield Token("string", _unescaped(word), line)


def _unescaped(text):
    """A string without its backslashes.  They name octets, so what comes out may be no UTF-8: surrogates then."""
    octets, at = b"", 0
    for match in _ESCAPE.finditer(text):
        octets += text[at:match.start()].encode("utf-8", "surrogateescape") + _escaped(match)
        at = match.end()
    return (octets + text[at:].encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _escaped(match):
    for name, base in ("hex", 16), ("octal", 8), ("decimal", 10):
        if match[name] is not None:
            return bytes([int(match[name] or "0", base) & 0xFF])
    if match["char"] is None:
        return b""
    return _CHARS.get(match["char"], match["char"].encode("utf-8", "surrogateescape"))


class _Parser:

    def __init__(self, tokens):
        self._tokens = tokens
        self._at = 0
        self._entries, self._globals, self._wrong = [], {}, []

    def run(self):
        while self._next.kind != "end":
            before, is_default = len(self._entries), self._is_word("defaults")
            try:
                self._statement()
            except Bad as error:
                del self._entries[before:]
                self._wrong.append(error)
                if is_default:
                    error.passed_over = "all servers"
                    return [], self._globals, self._wrong
                while self._next.kind != "end" and not self._is_word(*_STARTS):
                    self._at += 1
        return self._entries, self._globals, self._wrong

    @property
    def _next(self):
        return self._tokens[self._at]

    def _is_word(self, *words):
        return self._next.kind == "word" and self._next.text in words

    def _take(self, *kinds):
        token = self._next
        if token.kind not in kinds:
            raise Bad(token, f"expected a {' or a '.join(kinds)} here")
        self._at += 1
        return token

    def _accept(self, *words):
        """Whether one of the words stands here, which is then taken."""
        found = self._is_word(*words)
        self._at += found
        return found

    def _statement(self):
        start = self._next
        if self._accept("set"):
            self._set(start)
        elif self._accept("defaults"):
            before = len(self._entries)
            self._server("", True, start.line)
            if before or len(self._entries) > 1:
                raise Bad(start, "defaults stand once, before all servers, with one user at most")
        elif self._accept("poll", "skip"):
            self._server(self._take("string").text, start.text == "poll", start.line)
        else:
            raise Bad(start, "expected poll, skip, defaults or set here")

    def _set(self, start):
        negated = self._accept("no")
        name = self._take("word")
        kind = _SET.get(name.text)
        if kind is None or negated and kind != _FLAG:
            raise Bad(name, "set has no such option")
        if self._next.kind == "=":
            self._at += 1
        self._globals[name.text] = (self._value(kind, negated), start.line)

    def _server(self, server, is_polled, line):
        common = {}
        while self._server_option(common):
            pass        # each call takes one
        if self._is_word("user"):
            while self._is_word("user"):
                self._user(Entry(server, is_polled, self._next.line, dict(common)))
        else:
            entry = Entry(server, is_polled, line, common)
            self._options(entry.options)
            self._entries.append(entry)
        if self._next.kind != "end" and not self._is_word(*_STARTS):
            raise Bad(self._next, "a server's options stand before its users, and only the first user needs no name")

    def _user(self, entry):
        self._at += 1
        first = self._next
        names = self._mappings()
        if self._accept("here"):
            entry.options["localnames"] = (names, first.line)
        elif len(names) == 1 and names[0][1] is None:
            self._accept("there")
            entry.options["user"] = (names[0][0], first.line)
        else:
            raise Bad(self._next, "several names of users are those here: expected the word here behind them")
        self._options(entry.options)
        self._entries.append(entry)

    def _options(self, options):
        while self._user_option(options):
            pass        # each call takes one

    def _mappings(self):
        names = []
        while self._next.kind == "string":
            name, here = self._take("string").text, None
            if self._next.kind == "=":
                self._at += 1
                here = self._take("string").text
            names.append((name, here))
        if not names:
            raise Bad(self._next, "expected a name here")
        return names

    def _server_option(self, options):
        """Takes one option of a server; False if none stands here."""
        start = self._at
        token = self._next
        negated = self._accept("no")
        name = self._next.text if self._next.kind == "word" else ""
        if name in _SERVER and (not negated or _SERVER[name] == _FLAG):
            self._at += 1
            self._put(options, name, token.line, self._value(_SERVER[name], negated))
        elif self._accept("envelope"):
            skip = self._take("number").text if not negated and self._next.kind == "number" else "0"
            options["envelope"] = ("" if negated else self._take("string").text, token.line)
            options["envelope skip"] = (int(skip), token.line)
        elif not negated and self._accept("protocol"):
            options["protocol"] = (self._one_of(_PROTOCOLS), token.line)
        elif not negated and self._accept("auth"):
            options["auth"] = (self._one_of((*_AUTHS, "password")), token.line)
        elif not negated and self._accept("bad-header"):
            options["bad-header"] = (self._one_of(("accept", "reject")), token.line)
        else:
            self._at = start
            return False
        return True

    def _user_option(self, options):
        """Takes one option of a user; False if none stands here."""
        start, token = self._at, self._next
        negated = self._accept("no")
        name = self._next.text if self._next.kind == "word" else ""
        if name in _USER and (not negated or _USER[name] == _FLAG):
            self._at += 1
            self._put(options, name, token.line, self._value(_USER[name], negated))
        elif not negated and self._accept("is", "to"):
            names = self._mappings()
            if token.text == "is" and len(names) == 1 and names[0][1] is None and self._accept("there"):
                options["user"] = (names[0][0], token.line)
            else:
                self._accept("here")
                self._put(options, "localnames", token.line, names)
        else:
            self._at = start
            return False
        return True

    @staticmethod
    def _put(options, name, line, value):
        """Lists grow, all else is replaced."""
        if isinstance(value, list) and name in options:
            value = options[name][0] + value
        options[name] = (value, line)

    def _one_of(self, words):
        if not self._is_word(*words):
            raise Bad(self._next, f"expected one of {', '.join(words)} here")
        self._at += 1
        return self._tokens[self._at - 1].text

    def _value(self, kind, negated):
        if kind in (_FLAG, _SWITCH):
            return not negated
        if kind == _STRING:
            return self._take("string").text
        if kind == _EITHER:
            return self._take("string", "number").text
        if kind == _NUMBER:
            return int(self._take("number").text)
        wanted = "string" if kind == _STRINGS else "number"
        found = [self._take(wanted).text]
        while self._next.kind == wanted:
            found.append(self._take(wanted).text)
        return found

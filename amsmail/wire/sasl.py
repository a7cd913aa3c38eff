"""SASL as mail clients use it: PLAIN (RFC 4616) and LOGIN, seen from either side.  Base64 is RFC 4648's, strict."""

from amsmail.wire.value import Value


class SaslError(ValueError):
    """A response that is not what the mechanism asks for."""


class Credentials(Value):
    """What a client gave: `user`, `password`, and `acting_for`, another user it wants to act for ('' mostly)."""

    __slots__ = ("user", "password", "acting_for")
    defaults = {"acting_for": ""}


def _plain(responses):
    parts = responses[0].split("\0")
    if len(parts) != 3 or not parts[1]:
        raise SaslError("PLAIN is: who to act for (mostly nothing), NUL, user, NUL, password")
    return _credentials(parts[1], parts[2], parts[0])


def _login(responses):
    return _credentials(*responses)


def _credentials(user, password, acting_for=""):
    if any(char < " " or char == "\x7f" for char in user + acting_for) or "\0" in password:
        raise SaslError("a user's name has no control characters, a password no NUL")
    return Credentials(user, password, acting_for)


# What the server says to ask for each response, and what makes credentials of the responses.
MECHANISMS = {
    "PLAIN": ((b"",), _plain),
    "LOGIN": ((b"Username:", b"Password:"), _login),
}


class ServerExchange:
    """The server's side of one AUTH.  `step(response)` takes a line of base64 or None at the start without an initial
    response, and gives the next challenge in base64, or Credentials.  Raises SaslError."""

    def __init__(self, mechanism):
        self._prompts, self._finish = MECHANISMS[mechanism]
        self._responses = []

    def step(self, response):
        if response is not None:
            self._responses.append(_decode(response))
        if len(self._responses) == len(self._prompts):
            return self._finish(self._responses)
        return encode(self._prompts[len(self._responses)])


def initial_response(argument):
    """The initial response on an AUTH line: None where there is none; '=' stands for an empty one (RFC 4954)."""
    return "" if argument == "=" else argument or None


def encode(data):
    """Base64 on one line, as text."""
    import binascii         # on demand: most connections never log in
    return binascii.b2a_base64(data, newline=False).decode()


def _decode(text):
    import binascii
    try:
        if len(text) % 4:       # the strict mode itself takes one = too many
            raise ValueError(text)
        return binascii.a2b_base64(text, strict_mode=True).decode("utf-8")
    except ValueError as error:
        raise SaslError("this is not base64 of UTF-8 text") from error


def plain_message(user, password):
    """A client's PLAIN response in base64."""
    return encode(f"\0{user}\0{password}".encode())

"""What stands in a dialogue's line for octets that cannot be written down, or that vary.  See dialogues/README."""

import base64
import re

_NAMED = {"CR": b"\r", "LF": b"\n", "NUL": b"\0", "TAB": b"\t", "SP": b" "}
_OCTETS = re.compile(r"<(?:(?P<named>CR|LF|NUL|TAB|SP)|x(?P<hex>[0-9A-F]{2})|(?P<what>[^<>]+) x (?P<times>\d+)"
                     r"|base64 (?P<plain>[^<>]*))>")
_VARYING = re.compile(r"\{(id|date|number|tls|version)(?: (\w+))?\}")

_PATTERNS = {
    "id": rb"[0-9]{10}\.M[0-9]{6}R[0-9a-f]{10}\.yacht\.example",
    "date": rb"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [+-][0-9]{4}",
    "number": rb"[0-9]+",
    "tls": rb"TLSv1\.[23] [A-Z0-9_-]+",
    "version": rb"[0-9.]+",
}


def octets(text):
    """The octets that a piece of a line stands for."""
    pieces, at = [], 0
    for match in _OCTETS.finditer(text):
        pieces += [text[at:match.start()].encode(), _token(match)]
        at = match.end()
    return b"".join([*pieces, text[at:].encode()])


def _token(match):
    if match["named"]:
        return _NAMED[match["named"]]
    if match["hex"]:
        return bytes.fromhex(match["hex"])
    if match["times"]:
        return match["what"].encode() * int(match["times"])
    return base64.b64encode(match["plain"].encode().replace(rb"\0", b"\0"))


def sent(text, end=b"\r\n"):
    """The octets of a line with its end behind it, unless <NOEOL> says that there is none."""
    return octets(text.removesuffix("<NOEOL>")) + (b"" if text.endswith("<NOEOL>") else end)


def shown_octets(data):
    """Octets as a person may read them: lines, with all that cannot be seen named."""
    text = data.replace(b"\r\n", b"\n").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\n" else f"<x{ord(c):02X}>" for c in text)


class Pattern:
    """What is expected: `lines` of a dialogue, each with `end` behind it.  A pattern with a name, {id first}, is the
    same text wherever it comes in the dialogue; `known` remembers it."""

    def __init__(self, lines, end, known):
        self.wanted = "\n".join(lines)
        self._known = known
        self._names = []
        self._expression = b"".join(self._line(line) + re.escape(end) for line in lines)

    def _line(self, line):
        expression, at = b"", 0
        for match in _VARYING.finditer(line):
            expression += re.escape(octets(line[at:match.start()])) + self._varying(*match.groups())
            at = match.end()
        return expression + re.escape(octets(line[at:]))

    def _varying(self, kind, name):
        if name is None:
            return _PATTERNS[kind]
        if name in self._known:
            return re.escape(self._known[name])
        if name in self._names:
            return b"(?P=%b)" % name.encode()
        self._names.append(name)
        return b"(?P<%b>%b)" % (name.encode(), _PATTERNS[kind])

    def matches(self, found):
        match = re.fullmatch(self._expression, found, re.DOTALL)
        if match:
            self._known.update({name: match[name] for name in self._names})
        return bool(match)

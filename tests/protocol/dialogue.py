"""Reads a dialogue and plays its client.  How a dialogue is written: tests/dialogues/README."""

from amsmail.transport.tls import ClientTls

from .site import Site
from .tokens import Pattern, sent, shown_octets


class Step:
    """Consecutive lines of one kind: `number` is the first's in the file, `kind` is C, S or a directive, `words` are
    its arguments, `lines` its lines."""

    def __init__(self, number, kind, words, lines):
        self.number, self.kind, self.words, self.lines = number, kind, words, lines


def read(path):
    """The steps of the dialogue in a file."""
    steps = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        mark, _, rest = line.partition(" ")
        if mark == "|":
            steps[-1].lines.append(rest)
        elif mark == "--play":
            steps += read(path.parent / rest)
        elif mark.startswith("--"):
            steps.append(Step(number, mark, rest.split(), []))
        elif mark[:1] in ("C", "S") and mark.endswith(":"):
            kind, session = mark[0], mark[1:-1] or "1"
            if not (steps and steps[-1].kind == kind and steps[-1].words == [session]):
                steps.append(Step(number, kind, [session], []))
            steps[-1].lines.append(rest)
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"{path}:{number}: not a line of a dialogue: {line!r}")
    return steps


class Player:
    """Plays the steps of the dialogue `name` against a site in `folder`, reached one of the WAYS."""

    def __init__(self, name, steps, folder, way, certificate):
        self._name = name
        self._steps = steps
        self._certificate = certificate
        changes = [(section, key, " ".join(value)) for section, key, _, *value in
                   (step.words for step in steps if step.kind == "--config")]
        if any(step.kind == "--certificate" for step in steps):
            changes += [("tls", "certificate", str(certificate.path)), ("tls", "key", str(certificate.key))]
        self._site = Site(folder, changes)
        self._way = way(folder)
        self._clients = {}
        self._known = {}            # what the named patterns stood for
        self._accounted = set()     # messages in the spool that the dialogue spoke of

    def play(self):
        try:
            for step in self._steps:
                self._step = step
                _KINDS[step.kind](self, *step.words)
            self._finish()
        finally:
            self._way.close()

    def _connect(self, service, session="1", peer="127.0.0.1"):
        self._clients[session] = self._way.connect(service, peer)

    def _say(self, session):
        self._clients[session].stream.write(b"".join(map(sent, self._step.lines)))

    def _hear(self, session):
        expected = Pattern(self._step.lines, b"\r\n", self._known)
        self._check(expected.matches, self._clients[session].lines(len(self._step.lines)), expected.wanted)

    def _close(self, session="1"):
        """The client closes, after which the server has nothing to say."""
        self._check(b"".__eq__, self._clients.pop(session).hang_up(), "nothing")

    def _closed(self, session="1"):
        """The server has closed."""
        self._check(b"".__eq__, self._clients.pop(session).lines(None), "nothing, and a closed connection")

    def _tls(self, session="1"):
        self._clients[session].stream.start_tls(ClientTls(fingerprint=self._certificate.fingerprint), "yacht.example")

    def _put(self, place):
        self._site.put(place, b"".join(sent(line, b"\n") for line in self._step.lines))
        self._accounted.add(place)

    def _move(self, old, new):
        self._site.move(old, new)

    def _stored(self, folder):
        """A message that was not there before: in a drop box ('boxes/captain'), or in the queue."""
        expected = Pattern(self._step.lines, b"\n", self._known)
        new = {place: text for place, text in self._site.messages().items()
               if place.startswith(folder + "/") and place not in self._accounted}
        found = next((place for place, text in new.items() if expected.matches(text)), None)
        assert found, self._failure(b"\n".join(new.values()), expected.wanted)
        self._accounted.add(found)

    def _files(self, folder):
        """The messages that are left there, by name."""
        places = (place for place in self._site.messages() if place.startswith(folder + "/"))
        found = sorted(place.removeprefix(folder + "/") for place in places)
        expected = Pattern(self._step.lines, b"\n", self._known)
        self._check(expected.matches, "".join(f"{place}\n" for place in found).encode(), expected.wanted)
        self._accounted.update(f"{folder}/{place}" for place in found)

    def _finish(self):
        """Every session has ended, and nothing lies in the spool that the dialogue did not speak of."""
        assert not self._clients, f"{self._name}: sessions left open: {list(self._clients)}"
        self._check(lambda found: not found, sorted(self._site.messages().keys() - self._accounted), "no other message")
        self._check(lambda found: not found, self._site.unfinished(), "nothing unfinished in the spool")

    def _check(self, good, found, wanted):
        assert good(found), self._failure(found, wanted)

    def _failure(self, found, wanted):
        shown = shown_octets(found) if isinstance(found, bytes) else found
        return f"{self._name}:{self._step.number}\n--- expected\n{wanted}\n--- found\n{shown}"


_KINDS = {
    "C": Player._say,
    "S": Player._hear,
    "--connect": Player._connect,
    "--close": Player._close,
    "--closed": Player._closed,
    "--tls": Player._tls,
    "--put": Player._put,
    "--move": Player._move,
    "--stored": Player._stored,
    "--files": Player._files,
    "--config": lambda player, *_: None,        # the site was made by them
    "--certificate": lambda player: None,
}

"""What came of a push or a pull."""

# How a session failed as a whole: it may work another time, or a person must do something.
TEMPORARY, PERMANENT = "temporary", "permanent"


class Result:
    """Figures of one session, filled while it goes on: `done` messages, `octets` of them, `refused` for good, `kept`
    for another time, octets `sent` and `received` on the line, and `failures`, a list of (TEMPORARY or PERMANENT,
    text)."""

    def __init__(self, name):
        self.name = name
        self.done = self.octets = self.refused = self.kept = self.sent = self.received = 0
        self.failures = []

    def fail(self, kind, text):
        self.failures.append((kind, f"{self.name}: {text}"))

    def count(self, stream):
        """Takes the line's figures from a stream that is not used any more."""
        self.sent += stream.sent
        self.received += stream.received

    def figures(self):
        """As a dict, for the way between processes."""
        return dict(vars(self))

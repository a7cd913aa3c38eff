"""What came of a push or a pull."""

# How a session failed as a whole: it may work another time, or a person must do something.
TEMPORARY, PERMANENT = "temporary", "permanent"


class Result:
    """Figures of one session, filled while it goes on: `done` messages, `octets` of them, `refused` for good, `kept`
    for another time, `held`, the identities of those that are held since now, octets `sent` and `received` on the line,
    `failures`, a list of (TEMPORARY or PERMANENT, text), and `boxes`, {box: {"in" or "out": octets, "messages": how
    many}}."""

    def __init__(self, name):
        self.name = name
        self.done = self.octets = self.refused = self.kept = self.sent = self.received = 0
        self.held = []
        self.failures = []
        self.boxes = {}

    def fail(self, kind, text):
        self.failures.append((kind, f"{self.name}: {text}"))

    def carried(self, box, way, octets):
        """A message went "in" to or "out" from a box."""
        self.done += 1
        self.octets += octets
        figures = self.boxes.setdefault(box, {})
        figures[way] = figures.get(way, 0) + octets
        figures["messages"] = figures.get("messages", 0) + 1

    def count(self, stream):
        """Takes the line's figures from a stream that is not used any more."""
        self.sent += stream.sent
        self.received += stream.received

    def figures(self):
        """As a dict, for the way between processes."""
        return dict(vars(self))

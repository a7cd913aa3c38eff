"""What was fetched already: one journal an account, in state/seen/.

A line a message: `UID TIME TOKEN .`, whose dot says that it is whole: a power cut may leave a part of it.  It is
written after the message is safe in tmp/ and before it is moved to where readers look, so that a crash at any point
leaves either a message that was not fetched, or one that delivery.resume() finds by its token.  A UID is forgotten only
when a later listing no longer shows it.

TOKEN is `-` once nothing is left to resume, `passed` for a message that stays there (the first call's backlog left it,
or the provider can only mark it as deleted), and `gone` for one that was deleted there.  The last line of a UID counts.
"""

import os

from amsmail.store import durable
from amsmail.store.delivery import resume

_DONE, _PASSED, _GONE = "-", "passed", "gone"


class Seen:
    """The journal at `path`.  Raises OSError if it cannot be read."""

    def __init__(self, path):
        self._path = path
        self._known = {}        # UID -> (seconds since the epoch, whether it was passed over)
        self.tokens = []        # of messages that may still have to be resumed
        self.exists = False
        self._shrinks = False   # whether the journal has lines that can go
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as f:
                text = f.read()
        except FileNotFoundError:
            return
        self.exists = True
        for line in text.split("\n"):
            words = line.split(" ")
            if len(words) == 4 and words[3] == "." and words[1].isdigit():
                self._shrinks = self._shrinks or words[0] in self._known
                self._known[words[0]] = int(words[1]), words[2] == _PASSED
                if words[2] == _GONE:
                    del self._known[words[0]]
                elif words[2] not in (_DONE, _PASSED):
                    self.tokens.append(words[2])

    def __contains__(self, uid):
        return uid in self._known

    def __iter__(self):
        return iter(self._known)

    def since(self, uid):
        """When it was fetched, in seconds since the epoch; None if it was passed over, and so is not ours to delete."""
        when, passed = self._known[uid]
        return None if passed else when

    def add(self, uid, now, token=_DONE):
        """Notes durably that a message was fetched.  Raises OSError."""
        durable.append(self._path, _line(uid, int(now), token))
        self._known[uid] = int(now), False

    def pass_over(self, uids, now):
        """Notes durably that these messages are to stay where they are.  Raises OSError."""
        self._known.update((uid, (int(now), True)) for uid in uids)
        self._rewrite()

    def start_over(self, uids, now):
        """Forgets everything and passes over `uids`, durably and in one step.  Raises OSError."""
        self._known = {}
        self.pass_over(uids, now)

    def leave(self, uids, now):
        """As pass_over(), in the middle of a session: tokens stay.  Raises OSError."""
        self._append(uids, now, _PASSED)
        self._known.update((uid, (int(now), True)) for uid in uids)

    def forget(self, uids, now):
        """Notes that the provider has these no more, in the middle of a session: tokens stay.  Raises OSError."""
        self._append(uids, now, _GONE)
        for uid in uids:
            self._known.pop(uid, None)

    def _append(self, uids, now, token):
        if uids:
            durable.append(self._path, b"".join(_line(uid, int(now), token) for uid in uids))

    def keep_only(self, uids):
        """Forgets what a complete listing of the account no longer shows, and tokens that were resumed.
        Raises OSError."""
        kept = {uid: known for uid, known in self._known.items() if uid in uids}
        if kept != self._known or self.tokens or self._shrinks or not self.exists:
            self._known = kept
            self._rewrite()

    def _rewrite(self):
        durable.replace(self._path, b"".join(
            _line(uid, when, _PASSED if passed else _DONE) for uid, (when, passed) in self._known.items()))
        self.tokens, self.exists, self._shrinks = [], True, False


def resume_all(spool):
    """Delivers what a crash left between the journals and the drop boxes.  Raises OSError."""
    folder = os.path.dirname(spool.state("seen", "x"))
    durable.sync_directory(folder)      # a killed run may have made a journal and not come to flushing that
    for name in os.listdir(folder):
        for token in Seen(os.path.join(folder, name)).tokens:
            resume(spool, token)


def _line(uid, when, token):
    return f"{uid} {when} {token} .\n".encode("utf-8", "surrogateescape")

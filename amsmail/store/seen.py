"""What was fetched already: one journal an account, in state/seen/.

A line a message: `UID TIME TOKEN .`, whose dot says that it is whole: a power cut may leave a part of it.  It is
written after the message is safe in tmp/ and before it is moved to where readers look, so that a crash at any point
leaves either a message that was not fetched, or one that delivery.resume() finds by its token.  A UID is forgotten only
when a later listing no longer shows it.

A line `USER HOST .` says of which mailbox they are.  The names of messages are not: an account that mail.cfg points at
another mailbox may meet the same ones there (1, 2, 3), and what was never read must not be taken for fetched.  So the
journal of another user's mailbox is none; the first that is written then replaces it, in one step.  Where only the host
is another, its mailbox may still be the same one, of a server that was renamed: a name that no two mailboxes have by
accident counts as passed over, so that the message is neither fetched again nor ours to delete; other names do not
count.  A journal that does not say of which mailbox it is, is of the one that mail.cfg says, and notes that when it is
rewritten.

TOKEN is `-` once nothing is left to resume, `passed` for a message that stays there (the first call's backlog left it,
or the provider can only mark it as deleted), and `gone` for one that was deleted there.  The last line of a UID counts.
"""

import os
from urllib.parse import quote

from amsmail.store import durable
from amsmail.store.delivery import resume

_DONE, _PASSED, _GONE = "-", "passed", "gone"
_AS_LONG_AS_A_TIME = 9      # figures: the seconds since 1970 have ten, or eight in hexadecimal with a UID before them


class Seen:
    """The journal at `path`, for `mailbox`, as mailbox() says it, '' to take it as it is.  Raises OSError if it cannot
    be read."""

    def __init__(self, path, mailbox=""):
        self._path, self._mine = path, mailbox
        self.mailbox = ""       # of which the file is, '' if it does not say
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
            elif len(words) == 3 and words[2] == ".":
                self.mailbox = f"{words[0]} {words[1]}"
        self._mine = mailbox or self.mailbox
        if self.is_of_another:
            self._take_over()

    @property
    def is_of_another(self):
        """Whether the file is of another mailbox."""
        return self.mailbox not in ("", self._mine)

    def _take_over(self):
        """Keeps what counts of another mailbox's journal."""
        is_same_user = self.mailbox.split(" ")[0] == self._mine.split(" ")[0]
        lasting = {uid: (when, True) for uid, (when, _) in self._known.items() if _is_lasting(uid)}
        self.exists = is_same_user and bool(lasting or not self._known)
        self._known = lasting if self.exists else {}

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
        self._write(_line(uid, int(now), token))
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
            self._write(b"".join(_line(uid, int(now), token) for uid in uids))

    def _write(self, lines):
        if self.is_of_another:
            self._rewrite()
        durable.append(self._path, lines)

    def keep_only(self, uids):
        """Forgets what a complete listing of the account no longer shows, and tokens that were resumed.
        Raises OSError."""
        kept = {uid: known for uid, known in self._known.items() if uid in uids}
        if kept != self._known or self.tokens or self._shrinks or not self.exists or self.mailbox != self._mine:
            self._known = kept
            self._rewrite()

    def _rewrite(self):
        of = f"{self._mine} .\n".encode() if self._mine else b""
        durable.replace(self._path, of + b"".join(
            _line(uid, when, _PASSED if passed else _DONE) for uid, (when, passed) in self._known.items()))
        self.tokens, self.exists, self._shrinks, self.mailbox = [], True, False, self._mine


def resume_all(spool):
    """Delivers what a crash left between the journals and the drop boxes.  Raises OSError."""
    folder = os.path.dirname(spool.state("seen", "x"))
    durable.sync_directory(folder)      # a killed run may have made a journal and not come to flushing that
    for name in os.listdir(folder):
        for token in Seen(os.path.join(folder, name)).tokens:
            resume(spool, token)


def mailbox(user, host):
    """What a mailbox is known by: two words."""
    return f"{quote(user, safe='@')} {host.lower()}"


def _is_lasting(uid):
    """Whether no two mailboxes have this name by accident: the UIDVALIDITY before the slash (RFC 9051, section 2.3.1.1,
    recommends the time), or by POP3 the whole name, is longer than a count gets."""
    return len(uid.split("/")[0].lstrip("0")) >= _AS_LONG_AS_A_TIME


def _line(uid, when, token):
    return f"{uid} {when} {token} .\n".encode("utf-8", "surrogateescape")

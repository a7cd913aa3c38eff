"""Bringing the mail of other programs into the drop boxes, each message once however often it is done.

What was brought is in a journal of each box, state/seen/import+BOX, by the SHA-256 digest of the contents; the second
of two messages with the same contents has the number 2 behind it, and so on.  As with mail that is fetched (store/seen)
a message is synced, noted in the journal, and moved to where readers look, in this order: after a crash
seen.resume_all() ends what was noted, and another import brings the rest.  The journal is for good: a message that was
read and removed does not come back.

A name in the drop box begins with the time the message came, so that it is listed where it belongs by age.
"""

import hashlib
import os
import time
from collections import Counter

from amsmail.setup.imports.mail_sources import NotRead, is_maildir, letters, names
from amsmail.setup.rights import of_owner
from amsmail.store import durable
from amsmail.store.dropbox import Draft, new_uid
from amsmail.store.seen import Seen, resume_all
from amsmail.wire.value import Value


class ImportedMail(Value):
    """What became of the mail: `brought` and `known` are {box: messages}, now and by an earlier import; `left_out` is
    [(place, what, why)]."""

    __slots__ = ("brought", "known", "left_out")


def mail(spool, boxes, source, box="", progress=lambda box, messages: None, is_dry=False):
    """Brings what is at the path `source` into drop boxes: an mbox or a Maildir into `box`, or, without one, each mbox
    and Maildir in a folder into the box it is named for, as in /var/mail.

    `boxes` are the names that there are.  `progress(box, messages)` is called after each message.  `is_dry`: nothing is
    written, and `brought` is what would be.  The source is only read.  Raises store.locks.Busy while mailcheck or
    another import runs, OSError where the spool's disk fails, and NotRead if the source cannot be read at all; what was
    counted until then is safe.
    """
    with of_owner(spool.path):
        if is_dry:
            return _all_of(_DryRun(spool, progress), boxes, source, box)
        with spool.lock("mailcheck"):       # mailcheck would end what is half done here: resume_all()
            resume_all(spool)
            return _all_of(_Import(spool, progress), boxes, source, box)


def _all_of(task, boxes, source, box):
    """What became of the mail, as ImportedMail.  Raises OSError, NotRead."""
    for name, path in [(box, source)] if box else _named(source):
        if name not in boxes:
            task.leave_out(path, "the mail in it", f"there is no box {name!r}")
            continue
        try:
            task.bring(name, path)
        except NotRead as error:
            if box:
                raise
            task.leave_out(path, "the mail in it", str(error))
    return ImportedMail(dict(task.brought), dict(task.known), task.left_out)


def _named(folder):
    """(box, path) of what is in a folder of mail.  Raises NotRead."""
    if is_maildir(folder):
        raise NotRead("is a Maildir: say which box it is for")
    if os.path.isfile(folder):
        raise NotRead("is no folder of mailboxes that are named for boxes: say which box it is for")
    return [(name.lower(), os.path.join(folder, name)) for name in names(folder)]


class _Import:

    def __init__(self, spool, progress):
        self._spool, self._progress = spool, progress
        self.brought, self.known, self.left_out = Counter(), Counter(), []

    def leave_out(self, place, what, why):
        self.left_out.append((place, what, why))

    def bring(self, box, path):
        """Everything of one mbox or Maildir.  Raises OSError, NotRead."""
        found = letters(path, self.leave_out)
        journal = self._begun(box)
        copies = Counter()
        for number, letter in enumerate(found):
            draft = self._draft(box, _uid(self._spool.host, letter.arrival, number))
            try:
                digest = _written(draft, letter)
                copies[digest] += 1
                key = f"{digest}.{copies[digest]}"
                is_new = not letter.refusal and key not in journal
                if is_new:
                    draft.seal()
            except NotRead as error:
                letter.refusal, is_new = str(error), False
            except BaseException:
                draft.discard()
                raise
            if is_new:
                self._keep(draft, letter, journal, key)
                self.brought[box] += 1
            else:
                draft.discard()
                if letter.refusal:
                    self.leave_out(letter.place, "a message", letter.refusal)
                else:
                    self.known[box] += 1
            self._progress(box, self.brought[box] + self.known[box])
        self._ended(box, journal)

    # Where it is written

    def _journal_of(self, box):
        return os.path.join(self._spool.path, "state", "seen", f"import+{box}")

    def _begun(self, box):
        """The journal of a box, which is made if it is not there."""
        self._spool.box(box).make()
        durable.make_directory(os.path.dirname(self._journal_of(box)))
        return Seen(self._journal_of(box))

    def _draft(self, box, uid):
        return Draft(self._spool.box(box).path, uid)

    def _keep(self, draft, letter, journal, key):
        """Moves a sealed message to where readers look.  Where the disk fails it stays for resume_all()."""
        folder, name = ("new", draft.name) if letter.flags is None else (
            "cur", f"{draft.name}{self._spool.separator}2,{letter.flags}")
        final = os.path.join(draft.folder, folder, name)
        durable.sync_directory(os.path.dirname(draft.path))
        journal.add(key, time.time(), os.path.relpath(final, self._spool.path))
        durable.publish(draft.path, final)

    def _ended(self, box, journal):
        """All of it is where it belongs, so nothing of it is to be resumed."""
        Seen(self._journal_of(box)).keep_only(set(journal))


class _DryRun(_Import):
    """The same, and nothing is written."""

    def __init__(self, spool, progress):
        super().__init__(spool, progress)
        self._journals = {}         # box -> what would be in its journal

    def _begun(self, box):
        return self._journals.setdefault(box, set(Seen(self._journal_of(box))))

    def _draft(self, box, uid):
        return _Nowhere()

    def _keep(self, draft, letter, journal, key):
        journal.add(key)

    def _ended(self, box, journal):
        """Nothing was begun."""


class _Nowhere:
    """A Draft that keeps nothing."""

    def write(self, text):
        """The octets are only counted by whoever writes them."""

    def seal(self):
        """There is nothing to make safe."""

    def discard(self):
        """There is nothing to remove."""


def _uid(host, arrival, number):
    """A unique part as new_uid() makes it, but by the time of arrival, then by the order in the source."""
    now = int(time.time())
    seconds = now if arrival is None else min(max(arrival, 1), now)
    return f"{seconds}.M{number % 1_000_000:06}R{new_uid(host).partition('R')[2]}"


def _written(draft, letter):
    """Writes a whole message; gives the digest of its contents.  Raises OSError, NotRead."""
    digest, last = hashlib.sha256(), b"\n"
    for piece in letter.pieces():
        draft.write(piece)
        digest.update(piece)
        last = piece[-1:]
    if last != b"\n":
        draft.write(b"\n")      # a last line without an end gets one, as everywhere
        digest.update(b"\n")
    return digest.hexdigest()

"""A message on its way into drop boxes and the outbound queue.  Nobody sees it before commit().

One destination: the file is written in that drop box's tmp/ and its rename to new/ is the commit.

Several destinations: the files are written in state/commits/, with a record that says where each must be linked to.
The rename of the record from UID.draft to UID.commit is the commit; the links follow, each marked as done in the
record, and recover(), which every program calls when it starts, completes what a crash left:

    in state/commits/         a crash here leaves
    UID.box, UID.queue        files that do not count; swept later
    UID.draft                 the same
    UID.commit                a message that counts: the links not marked as done are made, then all of it is removed

A crash between a link and its mark makes the link again: harmless while the file is there, and a second copy in the one
case that its reader took the first away in that moment.
"""

import os

from amsmail.store import durable
from amsmail.store.dropbox import Draft
from amsmail.store.locks import Busy
from amsmail.wire import envelope as envelopes
from amsmail.wire.text import ToDisk

_COMMITS = os.path.join("state", "commits")


class Delivery:
    """Writes one message.  Raises OSError wherever the disk does; then abort() leaves nothing behind.

    `uid` is the message's identity, from `new_uid`.  `boxes` are names of drop boxes; `box_head` is put on top of what
    they get (LF line ends).  `envelope` is what the outbound queue's copy gets, None if it gets none; `queue_head`
    comes between its block and the message.
    """

    def __init__(self, spool, uid, boxes, box_head, envelope=None, queue_head=b""):
        self._spool = spool
        self.uid = uid
        self._to_disk = ToDisk()
        self.octets = 0         # of the message as it came
        self._scanner = envelopes.ContentScanner()
        self._boxes = boxes
        self._drafts = []
        self._record = None
        several = len(boxes) + (envelope is not None) > 1
        self._box_draft = self._queue_draft = None
        try:
            if boxes:
                self._box_draft = self._draft(spool.box(boxes[0]), several, ".box")
                self._box_draft.write(box_head)
            if envelope is not None:
                self._queue_draft = self._draft(spool.queue(), several, ".queue")
                block, self._content_at, _ = envelopes.encode(envelope)
                self._queue_draft.write(block + queue_head)
            if several:
                self._record = durable.NewFile(spool.state("commits", self.uid + ".draft"))
        except BaseException:
            self.abort()
            raise

    def _draft(self, drop_box, several, suffix):
        drop_box.make()
        if several:
            draft = Draft(drop_box.path, self.uid, self._spool.state("commits", self.uid + suffix))
        else:
            draft = Draft(drop_box.path, self.uid)
        self._drafts.append(draft)
        return draft

    def write(self, data):
        """Appends a piece of the message in wire form (CRLF line ends)."""
        self.octets += len(data)
        self._write(self._to_disk.feed(data))

    def _write(self, text):
        self._scanner.feed(text)
        for draft in self._drafts:
            draft.write(text)

    def seal(self):
        """Makes the contents safe.  After this the message is either where resume() finds it, or committed."""
        self._write(self._to_disk.end())
        if self._queue_draft:
            self._queue_draft.overwrite(self._content_at, self._scanner.content.encode())
        for draft in self._drafts:
            draft.seal()
        if self._record:
            self._record.write(self._plan().encode())
            self._record.seal()

    def _plan(self):
        """The record's lines: what is to be linked where, as paths below the spool."""
        lines = []
        if self._box_draft:
            folders = (os.path.relpath(self._spool.box(box).path, self._spool.path) for box in self._boxes)
            lines += [f"{_COMMITS}/{self.uid}.box {folder}/new/{self._box_draft.name}" for folder in folders]
        if self._queue_draft:
            lines.append(f"{_COMMITS}/{self.uid}.queue queue/new/{self._queue_draft.name}")
        return "".join(line + "\n" for line in lines)

    @property
    def token(self):
        """What resume() needs to find a sealed message for one destination again: a path below the spool, without
        blanks."""
        return os.path.relpath(self._drafts[0].final, self._spool.path)

    @property
    def _committed(self):
        return self._record.path.removesuffix(".draft") + ".commit"

    def make_findable(self):
        """Makes sure that a sealed message for one destination is still there for resume() after a power cut."""
        durable.sync_directory(os.path.dirname(self._drafts[0].path))

    def commit(self):
        """Makes the sealed message count.  When it returns, the message survives a power cut."""
        if self._record is None:
            self._drafts[0].publish()
            return
        with self._spool.lock("commits", wait=True):
            for draft in self._drafts:
                os.stat(draft.path)     # a clock that jumped may have made them look old, and so be swept
            try:
                durable.publish(self._record.path, self._committed)
            except OSError:
                durable.forget([self._committed])       # before anybody else may carry it out
                raise
            try:
                _carry_out(self._spool, self._committed)
            except OSError:
                pass        # it counts all the same, and recover() goes on with it

    def abort(self):
        """Leaves nothing of the message behind, as far as the disk allows."""
        if self._record:
            self._record.discard()
        for draft in self._drafts:
            draft.discard()


def resume(spool, token):
    """Commits what a crash left sealed under this token; what is not there any more was committed.  Raises OSError."""
    final = os.path.join(spool.path, token)
    folder, name = os.path.split(final)
    draft = os.path.join(os.path.dirname(folder), "tmp", name.partition(",")[0])
    if os.path.exists(draft):
        durable.publish(draft, final)
    elif os.path.isdir(folder):
        durable.sync_directory(folder)      # a killed program may have renamed it and not come to flushing that


def recover(spool):
    """Completes the commits that a crash interrupted.  Every program calls it when it starts.

    What cannot be completed now (a full disk, another program at it) stays for the next program.
    """
    try:
        records = [name for name in os.listdir(os.path.join(spool.path, _COMMITS)) if name.endswith(".commit")]
        if not records:
            return
        with spool.lock("commits"):
            for name in records:
                try:
                    _carry_out(spool, os.path.join(spool.path, _COMMITS, name))
                except (OSError, ValueError):
                    continue        # one record must not stop the others
    except (OSError, Busy):
        pass


def _carry_out(spool, record):
    """Makes the links of a commit record that are not marked as done, and removes it.  Raises OSError."""
    try:
        with open(record, encoding="ascii") as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        return          # another program was faster
    # What a full disk or a power cut left of a mark is neither the one nor the other.
    plan = [words for line in lines if len(words := line.split(" ")) == 2 and words[0].startswith(_COMMITS + "/")]
    done = {line[len("done "):] for line in lines if line.startswith("done ")}
    for source, target in plan:
        if target not in done:
            final = os.path.join(spool.path, target)
            drop_box = os.path.dirname(os.path.dirname(final))
            durable.make_directory(os.path.dirname(final))
            temporary = os.path.join(drop_box, "tmp", os.path.basename(final))
            try:
                durable.place(os.path.join(spool.path, source), temporary, final)
            except FileNotFoundError:
                continue        # an abort() that could remove the files but not the record
            durable.append(record, f"done {target}\n".encode())
    durable.remove(record)
    durable.forget({os.path.join(spool.path, source) for source, _ in plan})

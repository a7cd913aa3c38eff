"""A message on its way into drop boxes and the outbound queue.  Nobody sees it before commit().

One destination: the file is written in that drop box's tmp/ and its rename to new/ is the commit.

Several destinations: state/commits/ gets a file for each, hard links of one where the file system can link, and a
record that says where each belongs.  The rename of the record from UID.draft to UID.commit is the commit; each file is
then renamed to its place, and recover(), which every program calls when it starts, completes what a crash or the disk
left:

    in state/commits/               what is left there
    UID.box, UID.box1, UID.queue    files that do not count; swept later
    UID.draft                       the same
    UID.commit                      a message that counts: those of its files that are here are still to be moved

A file is here or in its place, never both, so that it arrives once whatever its reader does with it meanwhile.  Two
cases are not so.  A drop box on another file system than state/ gets a copy: a crash before the file here is removed
makes a second one.  So does a file system that after a power cut shows a file under its old name though the new one
was flushed, if the reader has moved or removed the new one by then.
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
    they get (LF line ends), and on top of that what `tops` has for the box, if anything.  `envelope` is what the
    outbound queue's copy gets, None if it gets none; `queue_head` comes between its block and the message.
    """

    def __init__(self, spool, uid, boxes, box_head, envelope=None, queue_head=b"", tops={}):
        self._spool = spool
        self.uid = uid
        self._to_disk = ToDisk()
        self.octets = 0         # of the message as it came
        self._scanner = envelopes.ContentScanner()
        self._boxes = {box: tops.get(box, b"") for box in boxes}
        self._drafts = []
        self._box_drafts = {}       # by what they have on top
        self._plan = {}             # path of a file in state/commits/ -> path where it belongs
        self._record = None
        several = len(boxes) + (envelope is not None) > 1
        self._queue_draft = None
        try:
            for number, (box, top) in enumerate(self._boxes.items()):
                if top not in self._box_drafts:
                    draft = self._box_drafts[top] = self._draft(spool.box(box), several, _suffix(number))
                    draft.write(top + box_head)
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
            self._make_plan()
            self._record.write("".join(f"{self._below(source)} {self._below(final)}\n"
                                       for source, final in self._plan.items()).encode())
            self._record.seal()

    def _make_plan(self):
        """A file for each destination.  Raises OSError."""
        for number, (box, top) in enumerate(self._boxes.items()):
            draft = self._box_drafts[top]
            source = self._spool.state("commits", self.uid + _suffix(number))
            self._plan[source] = os.path.join(self._spool.box(box).path, "new", draft.name)
            if source != draft.path:
                durable.duplicate(draft.path, source)
        if self._queue_draft:
            self._plan[self._queue_draft.path] = self._queue_draft.final

    def _below(self, path):
        """As the record has it."""
        return os.path.relpath(path, self._spool.path).replace(os.sep, "/")

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

    def commit(self, still=lambda: True):
        """Makes the sealed message count, and gives True: then it survives a power cut.  `still()` is asked last of
        all, when no other message to several destinations can come in between; where it says no, nothing is done, and
        this gives False."""
        if self._record is None:
            if still():
                self._drafts[0].publish()
                return True
            return False
        with self._spool.lock("commits", wait=True):
            if not still():
                return False
            for source in self._plan:
                os.stat(source)         # a clock that jumped may have made them look old, and so be swept
            try:
                durable.publish(self._record.path, self._committed)
            except OSError:
                durable.forget([self._committed])       # before anybody else may carry it out
                raise
            try:
                _carry_out(self._spool, self._committed)
            except OSError:
                pass        # it counts all the same, and recover() goes on with it
            return True

    def abort(self):
        """Leaves nothing of the message behind, as far as the disk allows."""
        if self._record:
            self._record.discard()
        for draft in self._drafts:
            draft.discard()
        durable.forget(self._plan)


def _suffix(number):
    """Of the name in state/commits/ of what a box gets, 0 the first."""
    return f".box{number or ''}"


def resume(spool, token):
    """Commits what a crash left sealed under this token; what is not there any more was committed.  Raises OSError."""
    final = os.path.join(spool.path, token)
    folder, name = os.path.split(final)
    draft = os.path.join(os.path.dirname(folder), "tmp", name.partition(",")[0])
    if os.path.exists(draft):
        durable.publish(draft, final)
        durable.forget([draft])     # where a power cut left both names of one file, rename(2) leaves them
    elif os.path.isdir(folder):
        durable.sync_directory(folder)      # a killed program may have renamed it and not come to flushing that


def recover(spool, wait=False):
    """Completes the commits that a crash interrupted.  Every program calls it when it starts.

    What cannot be completed now (a full disk, or, unless it is to `wait`, another program at it) stays for the next
    program.
    """
    try:
        if not wait and not _records(spool):
            return
        with spool.lock("commits", wait):
            for name in _records(spool):
                try:
                    _carry_out(spool, os.path.join(spool.path, _COMMITS, name))
                except (OSError, ValueError):
                    continue        # one record must not stop the others
    except (OSError, Busy):
        pass


def _records(spool):
    return [name for name in os.listdir(os.path.join(spool.path, _COMMITS)) if name.endswith(".commit")]


def _carry_out(spool, record):
    """Moves the files of a commit record that are still in state/commits/ to their places, and removes the record.
    Where it fails, it can be called again.  Raises OSError."""
    try:
        with open(record, encoding="ascii") as f:
            plan = [line.split(" ") for line in f.read().splitlines()]
    except FileNotFoundError:
        return          # another program was faster
    for source, target in plan:
        _put(os.path.join(spool.path, source), os.path.join(spool.path, target))
    durable.remove(record)


def _put(source, final):
    """Moves a file to its place in new/.  One that is not here was moved already (or removed by an abort() that could
    not remove the record), but perhaps not flushed.  Raises OSError."""
    folder, name = os.path.split(final)
    durable.make_directory(folder)
    try:
        os.stat(source)
    except FileNotFoundError:
        durable.sync_directory(folder)
        return
    durable.move(source, os.path.join(os.path.dirname(folder), "tmp", name), final)
    durable.forget([source])        # a rename between two links of one file leaves both (rename(2))

"""The pull by IMAP: one session with an account's server.

What was fetched is in the journal, which alone decides that nothing is fetched twice.  What only saves octets is
remembered of the server, and may be lost: from which UID on there are new messages, which below it are still to be
fetched, and how many octets are safe of each message that a cut left unfinished.
"""

import os
import time

from amsmail.protocol import imap_events as imap
from amsmail.protocol.engine import Closed
from amsmail.protocol.imap_client import ImapClient
from amsmail.store.partials import Partials
from amsmail.store.seen_uids import SeenUids
from amsmail.transport import refusals
from amsmail.transport.inbound import ALL, DELETE, KEEP, NO_ROOM, Arrival, Session
from amsmail.transport.result import PERMANENT, TEMPORARY
from amsmail.wire.urgency import HEADER_CAP, priority

_DELETIONS = {"expunge": imap.EXPUNGED, "flag": imap.FLAGGED, "move": imap.MOVED}
_COMPRESS = "COMPRESS"      # what a server may not bear behind the login
_BEGIN = 1 << 16            # octets that are fetched of every message at first
_LEAST_ROOM = 2 * _BEGIN    # octets on the disk
_CHECKPOINT = 10            # seconds of a message's octets that a power cut may cost


class ImapSession(Session):
    """See `inbound`."""

    PROTOCOL = "IMAP"

    def __init__(self, *account):
        super().__init__(*account)
        self._uids = self._partials = None
        self._uidvalidity = None    # of the folder; None before it is known what to take, 0 if the server has none
        self._first = 1             # UIDs below are known: in the journal, or in what follows
        self._open = {}             # UID -> size, of messages that are not whole: 0 if unknown, or nothing came yet
        self._failed_uids = {}      # UID -> why nothing more of it is taken in this session
        self._stay = set()          # UIDs of messages that are too large for this call
        self._is_newest = False     # the first UID that comes is the first that counts
        self._covered = self._failed = False
        self._refusal = ""
        self._checkpoint_at = 0

    def run(self):
        """The whole session.  Raises StreamError and OSError."""
        self.prepare()
        if self.spool.free() < _LEAST_ROOM:
            # What comes first cannot be weighed before it comes: it would come in every call, for nothing.
            self.fail_for_room()
            return
        self._uids = SeenUids(self.seen, self.account["folder"])
        take = self._ahead()
        engine = ImapClient(self.account["user"], self.account["password"], self.starttls, self._options(),
                            imap.Known(*self.known.get("imap", ("", ""))), take)
        self._checkpoint_at = time.monotonic() + _CHECKPOINT
        self.talk(engine, {
            imap.Ready: self._ready,
            imap.Selected: self._selected,
            imap.Choose: self._choose,
            imap.MessageBegins: self._begin,
            imap.MessageData: self._data,
            imap.MessagePauses: self._pauses,
            imap.MessageGoesOn: lambda event: self.log("goes-on", account=self.name, uid=event.uid, at=event.offset),
            imap.MessageDiffers: self._differs,
            imap.MessageEnds: self._end,
            imap.SizeDiffers: lambda event: self.log("size-differs", account=self.name, uid=event.uid, said=event.said,
                                                     octets=event.octets),
            imap.NotFetched: self._not_fetched,
            imap.Gone: self._gone,
            imap.Covered: self._cover,
            imap.Deleted: self._deleted,
            imap.Refused: self._refused,
            imap.SessionFailed: self._session_failed,
            Closed: self._closed,
        })

    def close(self):
        super().close()
        try:
            if self._partials:
                self._partials.pause()
            if self._uidvalidity:
                self._checkpoint()
        except OSError as error:
            self.log("disk-error", problem=error)       # the next call fetches more than it had to

    def _options(self):
        deletes = self.account["after"] != KEEP or any(map(self.holding.is_unwanted, self.holding))
        deletion = _DELETIONS[self.account["deletion"]] if deletes else ""
        most = [_BEGIN, self.call.message_in or _BEGIN, _BEGIN if self.call.octets_in is None else self.call.octets_in]
        begin = max(1, min(most))
        return imap.Options(self.account["folder"], deletion, self.account["deletion_folder"], begin,
                            compress_early=_COMPRESS not in self.avoided())

    def suspects(self):
        return _COMPRESS if self._engine.has_hurried and not self.is_welcome else None

    def _ready(self, event):
        self.is_welcome = True
        self.remember(imap=[event.known.before, event.known.after])

    # What is remembered from call to call

    def _recall(self):
        """What the last checkpoint left, if it is of the mailbox, folder and UIDVALIDITY that the journal is of."""
        found = self.known.get("folder")
        if found and found["journal"] == self._journal():
            self._first = found["first"]
            partial = {int(uid): figures for uid, figures in found["partial"].items() if int(uid) not in self._uids}
            self._open = {uid: size for uid, (_, size) in partial.items()}
            self._open.update((uid, 0) for uid in found["also"] if uid not in self._uids)
        else:
            self._first, partial = self._uids.first, {}
        self._partials = Partials(os.path.dirname(self.spool.state("partial", self.name, "x")),
                                  {self._file(uid): octets for uid, (octets, _) in partial.items()})
        if any(self._file(uid) not in self._partials for uid in partial):
            self._checkpoint()      # a file that begins anew must not be taken for one that is remembered

    def _journal(self):
        return [self.mailbox, self.account["folder"], self._uids.uidvalidity]

    def _file(self, uid):
        return self._uids.key(uid).replace("/", ".")

    def _checkpoint(self):
        """Makes safe what came, and remembers how much that is.  Raises OSError."""
        self._checkpoint_at = time.monotonic() + _CHECKPOINT
        safe = self._partials.safe()
        partial = {uid: [safe[self._file(uid)], size] for uid, size in self._open.items()
                   if safe.get(self._file(uid)) and uid not in self._uids}
        also = [uid for uid in self._open if uid < self._first and uid not in partial and uid not in self._uids]
        self.known.set(folder={"journal": self._journal(), "first": self._first, "also": sorted(also),
                               "partial": partial})

    def _forget_partial(self, uid):
        """Drops what is here of a message, and first of all what is remembered of that: a file that begins anew must
        not be taken for the old one.  Raises OSError."""
        found = self.known.get("folder")
        if found and found["partial"]:
            partial = {known: figures for known, figures in found["partial"].items() if int(known) != uid}
            self.known.set(folder={**found, "partial": partial, "also": sorted({*found["also"], uid})})
        self._partials.drop(self._file(uid))

    # What to fetch

    def _ahead(self):
        """The Take that can be said without asking the server first, None if there is none."""
        self._recall()
        if self._uids.uidvalidity:
            return self._take()
        return imap.Take(None) if self._takes_everything else None

    @property
    def _takes_everything(self):
        """Whether nothing need be known of the folder for a first call."""
        return self.account["backlog"] == ALL and self.account["after"] == DELETE

    def _take(self):
        """What there is to do in the folder that the journal is of."""
        now = time.time()
        self._recall_held()
        here = {uid: self._partials.octets(self._file(uid)) for uid in self._open
                if self._file(uid) in self._partials and uid not in self._stay}
        for uid in [uid for uid, octets in here.items() if not self._fits(self._open[uid], octets)]:
            self._leave_for_room(uid, self._open[uid])
        resume = {uid: self._partial(uid, self._open[uid]) for uid in here if uid not in self._failed_uids}
        return imap.Take(
            self._uids.uidvalidity, self._first,
            without=[uid for uid in {*self._uids, *self._failed_uids, *self._stay} if uid >= self._first],
            also=[uid for uid in self._open if uid < self._first and uid not in here and uid not in self._stay],
            resume=resume,
            delete=[uid for uid in self._uids if self.is_over(self._uids.since(uid), now)]
            + [uid for uid in self._stay if self.holding.is_unwanted(self._uids.key(uid))],
            watch=self._stay)

    def _recall_held(self):
        """What is held is not whole, also where the last checkpoint was lost."""
        self._forget_held_before()
        self.holding.over([key for key in self.holding if key in self.seen])
        for key in self.holding:
            self._open.setdefault(int(key.rpartition("/")[2]), self.holding.octets(key))
        self._stay = {uid for uid, size in self._open.items() if self.holding.stays(self._uids.key(uid), size)}

    def _forget_held_before(self):
        """Nothing is held any more of another UIDVALIDITY."""
        start = f"{self._uids.uidvalidity}/"
        self.holding.over([key for key in self.holding if not key.startswith(start)])

    def _fits(self, size, octets):
        """Whether there is room for the rest of a message of which `octets` are here: its file grows, and then it is
        copied into its box.  Raises OSError."""
        return 2 * size - octets <= self.spool.free()

    def _partial(self, uid, size):
        name = self._file(uid)
        return imap.Partial(self._partials.octets(name), self._partials.tail(name, imap.TAIL), size)

    def _selected(self, event):
        uidvalidity = event.folder.uidvalidity
        if uidvalidity and uidvalidity == self._uids.uidvalidity:
            self._uids.tidy()
            self.holding.over_elsewhere()
            self._uidvalidity = uidvalidity
        elif not self._uids.uidvalidity and self._takes_everything:
            self._start(uidvalidity, 1)

    def _start(self, uidvalidity, first):
        """Begins a journal; without a UIDVALIDITY there is none."""
        self._uidvalidity = uidvalidity
        self._open, self._first, self._stay = {}, first, set()
        if uidvalidity:
            self._uids.start(uidvalidity, first, time.time())
            self._forget_held_before()
            self.holding.over_elsewhere()
        else:
            self.log("no-uidvalidity", account=self.name, note="a call that is cut off may fetch messages twice")

    def _choose(self, event):
        folder, backlog = event.folder, self.account["backlog"]
        if not folder.uidvalidity and not self._takes_everything:
            return self._cannot("the provider cannot tell messages apart from call to call (no UIDVALIDITY), so only "
                                "after = delete with backlog = all can work")
        changed = self._uids.uidvalidity != 0
        if changed:
            self.log("uidvalidity-changed", account=self.name, note="everything that is there counts as new")
        if changed or backlog == ALL or backlog >= folder.exists:
            self._start(folder.uidvalidity, 1)
            return imap.Take(folder.uidvalidity)
        if not backlog and not folder.uidnext:
            return self._cannot("the provider does not say which UID is next, so backlog = none cannot work")
        self.log("backlog", account=self.name, left=folder.exists - backlog)
        if backlog:
            self._uidvalidity, self._is_newest = folder.uidvalidity, True
            return imap.Take(folder.uidvalidity, newest=backlog)
        self._start(folder.uidvalidity, folder.uidnext)
        return imap.Take(folder.uidvalidity, folder.uidnext)

    def _cannot(self, text):
        self._failed = True
        self.result.fail(PERMANENT, text)
        return imap.Take(None, newest=0)

    # One message

    def _meet(self, uid, size):
        """A message comes, or should have come."""
        if self._is_newest and self._uids.uidvalidity != self._uidvalidity:
            self._start(self._uidvalidity, uid)         # older ones are those that the first call leaves
        self._open[uid] = size

    def _begin(self, event):
        self._meet(event.uid, event.size)

    def _data(self, event):
        self.progress(len(event.data))
        if event.uid not in self._failed_uids:
            self._with_disk(event.uid, lambda: self._partials.write(self._file(event.uid), event.data))
            if self._uidvalidity and time.monotonic() >= self._checkpoint_at:
                self._with_disk(event.uid, self._checkpoint)

    def _pauses(self, event):
        """The rank of a large message among those whose rest is to come; None leaves it where it is."""
        self._with_disk(event.uid, self._partials.pause)
        if event.uid in self._failed_uids:
            return self._leave(event.uid, self._failed_uids[event.uid])
        try:
            if self.holding.stays(self._key(event.uid), event.size):
                return self._stays(event.uid, event.size)
            if not self._fits(event.size, event.octets):
                return self._leave_for_room(event.uid, event.size)
            head = self._partials.head(self._file(event.uid), HEADER_CAP)
        except OSError as error:
            return self._leave(event.uid, f"the disk failed: {error}")
        return -priority(head)      # the lowest rank comes first

    def _stays(self, uid, size):
        """A message is too large for this call.  Raises OSError."""
        key, name = self._key(uid), self._file(uid)
        if not self.holding.leave(key, size):
            self.holding.hold(key, size, self._partials.head(name, HEADER_CAP) if name in self._partials else b"")
        return None

    def _key(self, uid):
        """The journal's word for a message, '' where the provider has no names for them."""
        return self._uids.key(uid) if self._uidvalidity else ""

    def _leave(self, uid, problem):
        self.result.kept += 1
        self.result.fail(TEMPORARY, problem)
        self._failed_uids.setdefault(uid, problem)

    def _leave_for_room(self, uid, size):
        self.fail_for_room(1, size)
        self._failed_uids.setdefault(uid, NO_ROOM)

    def _with_disk(self, uid, action):
        """Does something with what is here of a message: where the disk fails it is given up for this session."""
        try:
            action()
        except OSError as error:
            self._failed_uids[uid] = f"the disk failed: {error}"
            self._partials.drop(self._file(uid))

    def _differs(self, event):
        self.log("differs", account=self.name, uid=event.uid, note="another message than before: fetched anew")
        self._open[event.uid] = 0
        self._with_disk(event.uid, lambda: self._forget_partial(event.uid))

    def _end(self, event):
        uid = event.uid
        problem = self._failed_uids.get(uid) or self._deliver(uid)
        if problem:
            self.result.kept += 1
            self.result.fail(TEMPORARY, problem)
            return False
        self._open.pop(uid, None)
        self._partials.drop(self._file(uid))
        return self.account["after"] == DELETE

    def _deliver(self, uid):
        """Puts a whole message into its box.  Gives what went wrong, '' if nothing did."""
        arrival = Arrival(self)
        try:
            for piece in self._partials.pieces(self._file(uid)):
                arrival.write(piece)
        except OSError as error:
            arrival.give_up(error)
        if not arrival.end(self._key(uid)):
            self._with_disk(uid, self._partials.pause)      # its octets are here, for another try
        return arrival.problem

    def _not_fetched(self, event):
        self._meet(event.uid, self._open.get(event.uid, 0))
        self.result.kept += 1
        self.result.fail(TEMPORARY, f"message {event.uid} was not sent: {event.text}")
        self._with_disk(event.uid, self._partials.pause)

    def _gone(self, event):
        self._is_gone(event.uid)

    def _is_gone(self, uid):
        self._open.pop(uid, None)
        self._partials.drop(self._file(uid))
        self.holding.over([self._uids.key(uid)])

    def _cover(self, event):
        self._covered = True
        self._first = max(self._first, event.uidnext)
        for uid in self._stay & self._open.keys():
            self._with_disk(uid, lambda uid=uid: self._stays(uid, self._open[uid]))
        if self._uidvalidity == 0:
            self.holding.met_all()

    # The end

    def _deleted(self, event):
        self.log("deleted-upstream", account=self.name, messages=len(event.uids), how=event.how)
        if self._uidvalidity:
            try:
                # What was only marked as deleted there may be seen for long: it stays in the journal.
                (self._uids.forget if event.how == imap.EXPUNGED else self._uids.leave)(event.uids, time.time())
                for uid in self._stay & set(event.uids):
                    self._is_gone(uid)
            except OSError as error:
                self.log("disk-error", problem=error)       # it is deleted once more in the next call

    def _refused(self, event):
        self.log("refused-upstream", account=self.name, command=event.command, text=event.text)
        if event.command in ("STORE", "EXPUNGE", "MOVE", "COPY"):
            self.result.fail(TEMPORARY, f"deleting at the provider was refused: {event.text}")
        elif event.command == "FETCH":
            self._refusal = event.text

    def _session_failed(self, event):
        words = {imap.LOGIN: "the login was refused", imap.NOT_OFFERED: "cannot be used as mail.cfg says",
                 imap.REFUSED: "refuses to serve us", imap.FOLDER: f"no folder {self.account['folder']}"}
        self._failed = True
        self.result.fail(refusals.of_text(event.why, event.text), f"{words[event.why]}: {event.text}")
        self.remember(imap=None)
        if keyword := self.suspects():          # perhaps it took what stood behind the login for a part of that
            self.suspect(keyword, event.text)

    def _closed(self, event):
        if event.why:
            self.result.fail(TEMPORARY, event.why)
            if self._uidvalidity is None:
                self.remember(imap=None)        # perhaps it is not true any more: the next call asks
        elif not self._covered and not self._failed:
            self.result.fail(TEMPORARY, f"the messages were not sent: {self._refusal or 'no reason given'}")

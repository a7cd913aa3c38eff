"""The pull by POP3: one session with an account's server."""

import time
from itertools import accumulate

from amsmail.protocol import pop3_client as pop3
from amsmail.protocol.engine import Closed
from amsmail.transport import refusals
from amsmail.transport.inbound import ALL, DELETE, Arrival, Session
from amsmail.transport.result import PERMANENT, TEMPORARY


class Pop3Session(Session):
    """See `inbound`."""

    PROTOCOL = "POP3"

    def __init__(self, *account):
        super().__init__(*account)
        self._arrival = None
        self._has_listed = False

    def run(self):
        """The whole session.  Raises StreamError and OSError."""
        self.prepare()
        engine = pop3.Pop3Client(self.account["user"], self.account["password"], self.starttls,
                                 self.known.get("capabilities"), max(pop3.WINDOW, self.call.line.window_down),
                                 self.avoided())
        self.talk(engine, {
            pop3.Capabilities: lambda event: self.remember(capabilities=event.capabilities),
            pop3.Choose: self._choose,
            pop3.Header: self._held,
            pop3.MessageBegins: self._begin,
            pop3.MessageData: self._data,
            pop3.MessageEnds: self._end,
            pop3.NotFetched: self._not_fetched,
            pop3.NotDeleted: self._not_deleted,
            pop3.Deleted: self._deleted,
            pop3.SessionFailed: self._failed,
            Closed: self._closed,
        })

    def suspects(self):
        if self._has_listed or not self._engine.has_hurried:
            return None
        is_shy = not self._engine.is_logged_in or pop3.BEHIND_LOGIN in self.avoided()
        return "PIPELINING" if is_shy else pop3.BEHIND_LOGIN

    def close(self):
        super().close()
        if self._arrival:
            self._arrival.abort()

    # What to fetch

    def _choose(self, event):
        self._has_listed = self.is_welcome = True
        after, now = self.account["after"], time.time()
        if not event.has_uids:
            if after != DELETE or self.account["backlog"] != ALL:
                self.result.fail(PERMANENT, "the provider cannot tell messages apart from call to call (no UIDL), so "
                                            "only after = delete with backlog = all can work")
                return [], [], []
            self.log("no-uidl", account=self.name, note="a call that is cut off may fetch messages twice")
            wanted, untold = self._wanted(event.messages)
            self.holding.met_all()
            return wanted, [], untold
        uids = {message.uid for message in event.messages}
        if self.seen.exists:
            self.seen.keep_only(uids)
        else:
            self._pass_over_backlog(event.messages, now)
        self.holding.over([uid for uid in self.holding if uid not in uids or uid in self.seen])
        self.holding.over_elsewhere()
        unwanted = [m.number for m in event.messages if self._is_done(m, now) or self.holding.is_unwanted(m.uid)]
        wanted, untold = self._wanted([message for message in event.messages if message.uid not in self.seen])
        return wanted, unwanted, untold

    def _wanted(self, new):
        """Of new messages the numbers of those to fetch, and of those that are too large and whose boxes must be told.
        """
        # The smallest first: of what a budget leaves, it makes the most.
        new = sorted(new, key=lambda message: message.size)
        stays = [message for message in new if self.holding.stays(message.uid, message.size)]
        untold = [message.number for message in stays if not self.holding.leave(message.uid, message.size)]
        return self._that_fit([message for message in new if message not in stays]), untold

    def _held(self, event):
        """A message is too large for this link, and its box does not know yet."""
        self.holding.hold(event.message.uid, event.message.size, event.octets)

    def _that_fit(self, messages):
        """The numbers of messages, smallest first, without those for which there is no room on the disk: they need not
        cross the line to find that out."""
        messages = sorted(messages, key=lambda message: message.size)
        room = self.spool.free()
        fit = [message.number for message, total in zip(messages, accumulate(message.size for message in messages))
               if total <= room]
        if left := messages[len(fit):]:
            self.fail_for_room(len(left), sum(message.size for message in left))
        return fit

    def _pass_over_backlog(self, messages, now):
        """Notes what a first call leaves where it is.  This makes the journal: until then a call is a first call."""
        backlog = self.account["backlog"]
        skip = 0 if backlog == ALL else max(0, len(messages) - backlog)
        self.seen.pass_over([message.uid for message in messages[:skip]], now)
        if skip:
            self.log("backlog", account=self.name, left=skip)

    def _is_done(self, message, now):
        """Whether a message was fetched in an earlier call and its time at the provider is over."""
        return message.uid in self.seen and self.is_over(self.seen.since(message.uid), now)

    # One message

    def _begin(self, _event):
        self._arrival = Arrival(self)

    def _data(self, event):
        self.progress(len(event.data))
        self._arrival.write(event.data)

    def _end(self, event):
        if not self._arrival.end(event.message.uid):
            self.result.kept += 1
            self.result.fail(TEMPORARY, self._arrival.problem)
            return False
        return self.account["after"] == DELETE

    def _not_fetched(self, event):
        self.result.kept += 1
        self.result.fail(TEMPORARY, f"message {event.message.number} was not sent: {event.text}")

    def _not_deleted(self, event):
        self.result.fail(TEMPORARY, f"DELE {event.message.number} was refused: {event.text}")

    # The end

    def _deleted(self, event):
        self.log("deleted-upstream", account=self.name, messages=len(event.messages))
        self.holding.over([message.uid for message in event.messages])

    def _failed(self, event):
        words = {pop3.LOGIN: "the login was refused", pop3.NOT_OFFERED: "cannot be used as mail.cfg says",
                 pop3.REFUSED: "refuses to serve us"}
        self.result.fail(refusals.of_text(event.why, event.text), f"{words[event.why]}: {event.text}")
        self.remember(capabilities=None)

    def _closed(self, event):
        if event.why:
            self.result.fail(TEMPORARY, event.why)
            self.remember(capabilities=None)        # perhaps they are not true any more: the next call asks


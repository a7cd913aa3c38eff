"""What was fetched already of an IMAP folder: the journal of `seen` with UIDs of one UIDVALIDITY.

Its keys are `UIDVALIDITY/UID`.  One more, `UIDVALIDITY/FIRST/FOLDER`, says of which folder they are, and that all UIDs
below FIRST are passed over: there from the beginning of the first call on, so that a journal without it is none.
"""

from urllib.parse import quote


class SeenUids:
    """The journal `seen`, a Seen, for the folder `folder`.  `uidvalidity` is 0 before a first call."""

    def __init__(self, seen, folder):
        self._seen, self._folder = seen, quote(folder, safe="")
        self.uidvalidity, self.first = 0, 1
        for key in seen:
            words = key.split("/")
            if len(words) == 3 and words[2] == self._folder:
                self.uidvalidity, self.first = int(words[0]), int(words[1])

    def start(self, uidvalidity, first, now):
        """Forgets everything: from now on this is about `uidvalidity`, and UIDs from `first` on.  Raises OSError."""
        self._seen.start_over([f"{uidvalidity}/{first}/{self._folder}"], now)
        self.uidvalidity, self.first = uidvalidity, first

    def tidy(self):
        """Makes the journal as short as it can be, once nothing is left to resume.  Raises OSError."""
        if self._seen.exists:
            self._seen.keep_only({key for key in self._seen if key.startswith(f"{self.uidvalidity}/")})

    def __contains__(self, uid):
        return self.key(uid) in self._seen

    def __iter__(self):
        """The UIDs."""
        start = f"{self.uidvalidity}/"
        return (int(key[len(start):]) for key in self._seen if key.startswith(start) and key.count("/") == 1)

    def key(self, uid):
        """The journal's word for a message."""
        return f"{self.uidvalidity}/{uid}"

    def since(self, uid):
        """As Seen.since()."""
        return self._seen.since(self.key(uid))

    def leave(self, uids, now):
        """Notes durably that these are to stay where they are.  Raises OSError."""
        self._seen.leave(list(map(self.key, uids)), now)

    def forget(self, uids, now):
        """Notes that the provider has these no more.  Raises OSError."""
        self._seen.forget(list(map(self.key, uids)), now)

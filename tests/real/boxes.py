"""The provider's mail boxes: Maildirs that Postfix delivers to and Dovecot serves."""

import mailbox
import os
import time

from .process import mail_account


class Boxes:
    def __init__(self, folder, names):
        self.folder = folder
        self.names = tuple(names)
        folder.mkdir()
        self._own(folder)
        for name in self.names:
            for part in "", "tmp", "new", "cur":
                (folder / name / part).mkdir()
                self._own(folder / name / part)

    def deliver(self, name, message):
        """Put `message` (octets) into a box."""
        box = mailbox.Maildir(self.folder / name)
        self._own(os.path.join(box._path, box._lookup(box.add(message))))

    def messages(self, name, count=0, limit=10):
        """The messages in a box, oldest first; waits until there are `count`, at most `limit` seconds."""
        limit += time.monotonic()
        while True:
            files = [file for part in ("new", "cur") for file in (self.folder / name / part).iterdir()]
            if len(files) >= count or time.monotonic() > limit:
                return [file.read_bytes() for file in sorted(files, key=lambda file: file.name)]
            time.sleep(0.02)

    def empty(self, name):
        for part in "new", "cur":
            for file in (self.folder / name / part).iterdir():
                file.unlink()

    @staticmethod
    def _own(path):
        if os.geteuid() == 0:
            account = mail_account()
            os.chown(path, account.pw_uid, account.pw_gid)

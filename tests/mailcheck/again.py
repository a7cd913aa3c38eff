"""A beginning that a test has many times: once for each file operation at which it crashes."""

import copy
import os
import shutil

from tests.store.disk import Disk, clear


class Beginning:
    """How it is now at a site, and with its provider, whose messages are in its attribute `messages_in`.

    A new site for each of a hundred crashes would be the same; but most of the time would go into reading mail.cfg,
    and thousands of files would stay until pytest removes them.
    """

    def __init__(self, site, provider=None, messages_in=""):
        self._spool, self._kept = site.spool.path, os.path.join(os.path.dirname(site.spool.path), "kept")
        self._provider, self._attribute = provider, messages_in
        self._messages = copy.deepcopy(getattr(provider, messages_in)) if provider else None
        self._folders = [folder for folder, _, _ in os.walk(self._spool)]
        shutil.copytree(self._spool, self._kept)

    def crashes(self):
        """A Disk for each file operation at which what is done with it may crash, the first, the second and so on, and
        each time it is as in the beginning; the last Disk crashes at none."""
        number, count = 0, 1
        while number <= count:
            number += 1
            self.again()
            disk = Disk(self._spool, crash_at=number)
            yield disk
            count = max(count, disk.count)

    def again(self):
        """Makes it so again.  No session may be open."""
        clear(self._spool, self._folders)
        shutil.copytree(self._kept, self._spool, dirs_exist_ok=True)
        if self._provider:
            setattr(self._provider, self._attribute, copy.deepcopy(self._messages))

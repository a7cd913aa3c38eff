"""A beginning that a test has many times: once for each file operation at which it crashes."""

import copy
import os
import shutil


class Beginning:
    """How it is now at a site, and with its provider, whose messages are in its attribute `messages_in`.

    A new site for each of a hundred crashes would be the same; but most of the time would go into reading mail.cfg,
    and thousands of files would stay until pytest removes them.
    """

    def __init__(self, site, provider=None, messages_in=""):
        self._spool, self._kept = site.spool.path, os.path.join(os.path.dirname(site.spool.path), "kept")
        self._provider, self._attribute = provider, messages_in
        self._messages = copy.deepcopy(getattr(provider, messages_in)) if provider else None
        shutil.copytree(self._spool, self._kept)

    def again(self):
        """Makes it so again.  No session may be open."""
        shutil.rmtree(self._spool)
        shutil.copytree(self._kept, self._spool)
        if self._provider:
            setattr(self._provider, self._attribute, copy.deepcopy(self._messages))

"""What needs a person is told once, and not at every run: to whoever reads cron's mail, and to postmaster."""

import json
import time

from amsmail.site.dates import rfc5322
from amsmail.store import durable
from amsmail.store.delivery import Delivery
from amsmail.store.dropbox import new_uid

_MESSAGE = """\
From: mailcheck <postmaster@{domain}>
To: postmaster@{domain}
Subject: mailcheck needs a person
Date: {date}
Message-ID: <{uid}>
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

mailcheck on {hostname} cannot go on without a person:

{troubles}

This is told once; `mailcheck --plan` says whether it is still so.
"""


class Alarm:
    """What was told, in the file `path`; it may be lost, and then it is told again."""

    def __init__(self, path):
        self._path = path

    def news(self, troubles):
        """Those of the texts `troubles` that were not told yet.  Raises OSError."""
        told = self._told()
        return [text for text in dict.fromkeys(troubles) if text not in told]

    def remember(self, troubles):
        """These are told; all others are over, and will be told again if they come back.  Raises OSError."""
        if set(troubles) != set(self._told()):
            durable.replace(self._path, json.dumps(sorted(set(troubles))).encode())

    def _told(self):
        try:
            with open(self._path, encoding="utf-8") as f:
                found = json.load(f)
        except (OSError, ValueError):
            return []
        return found if isinstance(found, list) else []


def mail(site, spool, troubles):
    """Puts a message about the texts `troubles` into postmaster's box.  Raises OSError."""
    uid = new_uid(site.hostname)
    delivery = Delivery(spool, uid, [site.postmaster], b"Return-Path: <>\n")
    text = _MESSAGE.format(domain=next(iter(site.domains)), date=rfc5322(time.time()), uid=f"{uid}@{site.hostname}",
                           hostname=site.hostname, troubles="\n".join(f"    {text}" for text in troubles))
    try:
        delivery.write(text.replace("\n", "\r\n").encode())
        delivery.seal()
        delivery.commit()
    except BaseException:
        delivery.abort()
        raise

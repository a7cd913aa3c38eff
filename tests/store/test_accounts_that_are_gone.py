"""What belongs to an account that mail.cfg has no more is swept after 36 hours; its journal stays."""

import os
import time

import pytest

from amsmail.store.held import HeldMail, HeldMessage
from amsmail.store.partials import Partials
from amsmail.store.seen import Seen
from amsmail.store.spool import Spool

HOUR = 3600


@pytest.mark.parametrize("since, accounts, left", [
    (37 * HOUR, ["owner"], ["owner"]), (37 * HOUR, [], []), (35 * HOUR, [], ["owner", "old"]),
    (-HOUR, [], ["owner", "old"]), (None, [], ["owner", "old"])], ids=str)
def test_what_is_left(tmp_path, since, accounts, left):
    spool = Spool(str(tmp_path / "spool"), "yacht.example")
    for number, name in enumerate(("owner", "old")):
        HeldMail(spool).put(HeldMessage(f"abcdefg{number}", name, "u1", 1, "", "", "captain", number, "digest"))
        partials = Partials(os.path.dirname(spool.state("partial", name, "x")), {})
        partials.write("17.1", b"beginning")
        partials.pause()
        Seen(spool.state("seen", name), "a host").pass_over(["u1"], 1)
    spool.tidy(["captain"], accounts, None if since is None else time.time() - since)
    assert [message.account for message in HeldMail(spool).list()] == left
    assert [name for name in ("owner", "old") if os.listdir(spool.state("partial", name))] == left
    assert all(list(Seen(spool.state("seen", name))) == ["u1"] for name in ("owner", "old"))

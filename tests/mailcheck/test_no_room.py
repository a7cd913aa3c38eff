"""Mail that stays at its provider because the disk is full needs a person, who is told once."""

from amsmail.transport.inbound import NO_ROOM
from tests.mailcheck.peers import Provider
from tests.mailcheck.sites import Site, account
from tests.mailcheck.test_alarm import mailcheck, told

LARGER_THAN_ANY_DISK = 10 ** 18


def test_told_once_until_there_was_room(tmp_path):
    boat = Site(tmp_path / "boat")
    listing = f"+OK\n1 {LARGER_THAN_ANY_DISK}\n2 30\n."
    with Provider([("a", b"Subject: large\r\n\r\n"), ("b", b"Subject: small\r\n\r\n")]) as provider:
        boat.configure(accounts=account(provider.port, after="keep", box="cook"))
        provider.replies = {"LIST": listing}
        assert mailcheck(boat) == (69, f"mailcheck: account owner: {NO_ROOM}\n")
        assert mailcheck(boat) == (69, "")
        assert len(boat.box("cook")) == 1
        provider.replies = {}
        assert mailcheck(boat) == (0, "")
        assert len(boat.box("cook")) == 2
        provider.replies, provider.messages[0] = {"LIST": listing}, ("c", b"Subject: large\r\n\r\n")
        assert mailcheck(boat)[0] == 69
    assert len(told(boat)) == 2 and all(NO_ROOM in text for text in told(boat))

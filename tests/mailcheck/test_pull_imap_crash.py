"""A pull by IMAP that crashes at each successive file operation: in the end every message is here once, whole, and gone
there."""

import pytest

from amsmail.transport import pull_imap
from tests.mailcheck.again import Beginning
from tests.mailcheck.imap_peer import ImapProvider
from tests.mailcheck.sites import Site, account, crash, without_trace
from tests.store.disk import Disk

LARGE = b"Subject: 3\r\n\r\n" + b"".join(b"line %d\r\n" % n for n in range(8_000))
TEXTS = {1: b"Subject: 1\r\n\r\nHello.\r\n", 2: b"Subject: 2\r\n\r\nHello.\r\n", 3: LARGE}
OTHER = b"Subject: 3\r\n\r\n" + b"".join(b"another line %d\r\n" % n for n in range(6_000))
CAPABILITIES = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS"
CUT = 68_000                # in the middle of the large one


class Call:
    """A pull that crashes, as often as wanted: where the line is cut, if `cut`, or goes on with the large message that
    an earlier call began, if `began`, which is another one since then if `differs`."""

    def __init__(self, folder, provider, backlog="all", cut=None, began=False, differs=False):
        self.provider, self.cut = provider, cut
        self.wanted = {uid: text for uid, text in TEXTS.items() if backlog == "all" or uid != 1}
        self.yacht = Site(folder, accounts=account(provider.port, type="imap", backlog=backlog))
        for kind in "seen", "known":
            self.yacht.spool.state(kind, "x")
        self.yacht.spool.state("partial", "owner", "x")
        self.yacht.start()
        if began:
            provider.cut_after = CUT
            self.yacht.pull()
            provider.cut_after = None
        if differs:
            self.wanted[3] = provider.mails[-1].text = OTHER
            provider.mails[-1].said = len(OTHER)
        self._beginning = Beginning(self.yacht, provider, "mails")

    def again(self, **failure):
        """Back to the beginning; gives the Disk that fails as told."""
        self._beginning.again()
        return Disk(self.yacht.spool.path, **failure)

    def arrived(self):
        return sorted(without_trace(text).replace(b"\n", b"\r\n") for text in self.yacht.box("captain"))

    def pull(self, disk, monkeypatch):
        self.provider.cut_after = self.cut
        result = crash(disk, self.yacht.pull, monkeypatch)
        self.provider.cut_after = None
        return result

    def check(self, why):
        """The next runs end it."""
        self.yacht.start()
        assert len(self.arrived()) == len(set(self.arrived())), why
        assert self.yacht.pull().failures == [], why
        assert self.arrived() == sorted(self.wanted.values()), why
        assert self.provider.uids == [uid for uid in TEXTS if uid not in self.wanted], why
        assert self.yacht.pull().done == 0, why


SITUATIONS = {"delete": {}, "newest 2": {"backlog": "newest 2"}, "cut": {"cut": CUT}, "goes on": {"began": True},
              "differs": {"began": True, "differs": True}}


@pytest.fixture(params=SITUATIONS)
def call(request, tmp_path, monkeypatch):
    if request.param == "cut":      # with a checkpoint at every piece, so that crashes come between them
        monkeypatch.setattr(pull_imap, "_CHECKPOINT", 0)
    with ImapProvider(TEXTS, capabilities=CAPABILITIES) as provider:
        yield Call(tmp_path / "yacht", provider, **SITUATIONS[request.param])


@pytest.fixture
def count(call, monkeypatch):
    """How many file operations the pull has."""
    disk = call.again()
    assert bool(call.pull(disk, monkeypatch).failures) == bool(call.cut)
    assert disk.count > 15
    return disk.count


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
def test_a_crash_at_each_operation(call, count, power_cut, monkeypatch):
    for n in range(1, count + 1):
        disk = call.again(crash_at=n)
        call.pull(disk, monkeypatch)
        if power_cut:
            disk.power_cut()
        call.check((n, disk.operations))


def test_killed_and_then_a_power_cut(call, count, monkeypatch):
    """What a killed run left unflushed, and the next run took for granted, must survive a power cut after that."""
    for n in range(1, count + 1):
        disk = call.again(crash_at=n)
        call.pull(disk, monkeypatch)
        disk.crash_at = None
        call.pull(disk, monkeypatch)
        disk.power_cut()
        call.check((n, disk.operations))


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
def test_a_disk_that_fails_at_each_operation(call, count, for_good, monkeypatch):
    for n in range(1, count + 1):
        disk = call.again(fail_at=n, for_good=for_good)
        with monkeypatch.context() as patch:
            patch.setattr(call.yacht, "start", lambda: None)        # it was started; only the pull raises nothing
            call.pull(disk, monkeypatch)
        call.check((n, disk.operations))

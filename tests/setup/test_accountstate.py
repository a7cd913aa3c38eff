"""An account that gets another name: what was fetched, begun and held of it goes on under that."""

import os
import random

import pytest

from amsmail.program import mailtransportcfg
from amsmail.setup.accountstate import AccountDraft
from amsmail.site.config_error import ConfigError
from amsmail.store.held import HeldMail, HeldMessage
from amsmail.store.seen import Seen

from ..mailcheck.imap_peer import ImapProvider
from ..mailcheck.peers import Provider
from ..mailcheck.sites import Site, account, crash
from ..real.packages import Unavailable
from ..real.process import mail_account, public_folder
from ..store.disk import Disk

TEXTS = {number: b"Subject: %d\r\n\r\nHello.\r\n" % number for number in (1, 2, 3)}


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def rename(site, old="owner", new="boss"):
    return mailtransportcfg.main(["account", "rename", old, new, "--config", str(site.path)])


def names(site):
    return list(site.site.accounts)


@pytest.fixture(params=["imap", "pop3"])
def provider(request):
    """One that has three messages, and what mail.cfg says of it."""
    texts = TEXTS if request.param == "imap" else [(f"uid-{number}", text) for number, text in TEXTS.items()]
    with (ImapProvider if request.param == "imap" else Provider)(texts) as server:
        yield account(server.port, type=request.param, after="keep")


def test_nothing_is_fetched_twice(yacht, provider):
    yacht.configure(accounts=provider)
    yacht.pull()
    assert rename(yacht) == 0 and names(yacht) == ["boss"]
    yacht.pull("boss")
    assert len(yacht.box("captain")) == 3
    assert sorted(os.listdir(os.path.join(yacht.spool.path, "state/seen"))) == ["boss"]
    assert os.listdir(os.path.join(yacht.spool.path, "state/known")) == ["account-boss"]


def test_the_account_has_its_journal_wherever_it_crashes(tmp_path, monkeypatch):
    number, outcomes, done = 0, set(), None
    while done is None:
        number += 1
        yacht = Site(tmp_path / f"yacht{number}", accounts=account(1))
        Seen(yacht.spool.state("seen", "owner")).pass_over(["a", "b"], 1)
        disk = Disk(tmp_path / f"yacht{number}", crash_at=number)
        done = crash(disk, lambda: rename(yacht), monkeypatch)      # noqa: B023
        (name,) = names(yacht)
        outcomes.add(name)
        assert list(Seen(yacht.spool.state("seen", name))) == ["a", "b"], disk.operations
        if name == "owner":
            assert rename(yacht) == 0
            assert list(Seen(yacht.spool.state("seen", "boss"))) == ["a", "b"], disk.operations
    assert outcomes == {"owner", "boss"} and number > 10


def test_what_had_come_in_part_goes_on_and_what_is_held_is_not_told_again(yacht):
    numbers = random.Random(7)          # what cannot be compressed
    large = b"Subject: large\r\n\r\n" + b"".join(b"%d\r\n" % numbers.getrandbits(200) for _ in range(5000))
    with ImapProvider({1: large}, cut=100_000) as server:
        yacht.configure(accounts=account(server.port, type="imap"))
        yacht.pull()
        assert not yacht.box("captain")
        held = HeldMessage("abcdefgh", "owner", "17/9", 5_000_000, "a@b.example", "x", "captain", 1, "0" * 64)
        HeldMail(yacht.spool).put(held)
        assert rename(yacht) == 0
        assert HeldMail(yacht.spool).list() == [held.but(account="boss")]
        server.cut_after = None
        yacht.pull("boss")
        assert len(yacht.box("captain")) == 1 and server.sent < len(large) // 2


def test_an_account_that_never_fetched_is_renamed_too(yacht):
    yacht.configure(accounts=account(1))
    assert rename(yacht) == 0 and names(yacht) == ["boss"]
    assert os.listdir(os.path.join(yacht.spool.path, "state/seen")) == []


def test_nothing_is_written_while_mailcheck_runs(yacht, capsys):
    yacht.configure(accounts=account(1))
    before = yacht.path.read_bytes()
    for lock in "mailcheck", "account-owner":
        with yacht.spool.lock(lock):
            assert rename(yacht) == 78
        assert "mailcheck runs right now" in capsys.readouterr().err
    assert yacht.path.read_bytes() == before
    assert rename(yacht) == 0


def test_nothing_is_written_where_the_disk_fails_before(yacht, monkeypatch):
    yacht.configure(accounts=account(1))
    Seen(yacht.spool.state("seen", "owner")).pass_over(["a"], 1)
    before = yacht.path.read_bytes()
    draft = AccountDraft(str(yacht.path))
    draft.rename(("accounts", "owner"), "boss")
    with monkeypatch.context() as patch:
        patch.setattr("amsmail.store.durable.os", Disk(yacht.spool.path, fail_at=2).os)
        with pytest.raises(ConfigError, match="nothing was written, since the spool cannot be changed"):
            draft.save()
    assert yacht.path.read_bytes() == before
    draft.save()
    assert names(yacht) == ["boss"] and "a" in Seen(yacht.spool.state("seen", "boss"))


def test_several_changes_at_once(yacht):
    settings = account(1)["owner"]
    yacht.configure(accounts={"a": settings, "b": settings, "c": settings})
    for name in "abc":
        Seen(yacht.spool.state("seen", name)).pass_over([f"of-{name}"], 1)
    draft = AccountDraft(str(yacht.path))
    draft.rename(("accounts", "a"), "x")
    draft.rename(("accounts", "x"), "y")
    mark = draft.mark()
    draft.rename(("accounts", "b"), "never")
    draft.undo(mark)
    draft.drop(("accounts", "c"))
    draft.add(("accounts", "new"))
    draft.rename(("accounts", "new"), "newer")
    assert draft.taken() == ["a", "b", "c", "newer", "y"]
    for key, value in settings.items():
        draft.set(("accounts", "newer", key), str(value))
    draft.save()
    assert names(yacht) == ["y", "b", "newer"]
    found = {name: list(Seen(yacht.spool.state("seen", name))) for name in "yb"}
    assert found == {"y": ["of-a"], "b": ["of-b"]}
    assert not os.path.exists(yacht.spool.state("seen", "a")) and draft.taken() == ["b", "newer", "y"]


def test_two_accounts_cannot_change_names_in_one_step(yacht):
    settings = account(1)["owner"]
    yacht.configure(accounts={"a": settings, "b": settings})
    draft = AccountDraft(str(yacht.path))
    for old, new in ("a", "x"), ("b", "a"), ("x", "b"):
        draft.rename(("accounts", old), new)
    with pytest.raises(ConfigError, match="a, b: an account can get this name when"):
        draft.save()


def test_root_leaves_the_files_to_the_owner_of_the_spool():
    if os.geteuid():
        raise Unavailable("root", "only root can be another user")
    owner = mail_account()
    with public_folder() as folder:
        site = Site(folder / "site", accounts=account(1))
        Seen(site.spool.state("seen", "owner")).pass_over(["a"], 1)
        for place, folders, files in os.walk(site.spool.path):
            for name in [place, *(os.path.join(place, each) for each in folders + files)]:
                os.chown(name, owner.pw_uid, owner.pw_gid)
        assert rename(site) == 0 and os.geteuid() == 0
        assert {os.stat(site.spool.state(*parts)).st_uid for parts in (("seen", "boss"), ("locks", "mailcheck"))} == {
            owner.pw_uid}

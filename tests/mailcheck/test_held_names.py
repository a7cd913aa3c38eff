"""By what a held message is known again: its account, its folder and its name there.  Two folders may give the same
names; a provider may give none, and then its box is told all the same."""

import os

import pytest

from amsmail.store.held import DELETE, HELD, HeldMail, identity
from amsmail.transport.result import TEMPORARY
from tests.mailcheck.again import Beginning
from tests.mailcheck.sites import account
from tests.mailcheck.test_held import HEAD, LARGE, MAILBOX, SMALL, Imap, Pop3, Ship

OTHER = HEAD + b"X: other\r\n\r\n" + b"other line\r\n" * 900


@pytest.fixture
def ship_of(tmp_path):
    """Makes the ship of an account."""
    return lambda provider, **settings: Ship(tmp_path / "ship", provider, **settings)


def read_folder(ship, provider, folder):
    """What the operator says in mail.cfg."""
    ship.configure(accounts=account(provider.server.port, **provider.settings, folder=folder))


def read_another_folder(ship, provider, texts=None):
    """The operator lets the account read another folder, which has the same UIDVALIDITY and UIDs; gives the mails of
    the one before."""
    old, provider.server.mails = provider.server.mails, []
    provider.server.put(texts or {1: OTHER})
    read_folder(ship, provider, "Charts")
    return old


# Folders

@pytest.mark.parametrize("decision", ["--release", "--delete"])
def test_a_decision_is_about_one_folder(ship_of, decision):
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        inbox, = ship.held()
        ship.mailcheck(decision, inbox)
        read_another_folder(ship, provider)
        for _ in range(3):
            assert ship.call().failures == []
        assert provider.uids == [1] and ship.mails() == []
        assert ship.held() == {identity("owner", MAILBOX, "17/1", "Charts"): HELD} and inbox not in ship.held()
        assert len(ship.notices()) == 2
        ship.mailcheck(decision, *ship.held())
        ship.call()
        assert provider.uids == [] and ship.mails() == ([] if decision == "--delete" else [OTHER])


def test_a_power_cut_that_brings_a_decision_back(ship_of):
    """What is held is removed without waiting for the disk."""
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        message, = HeldMail(ship.spool).list()
        read_another_folder(ship, provider)
        ship.call()
        HeldMail(ship.spool).put(message.but(state=DELETE))
        ship.call()
        assert provider.uids == [1] and list(ship.held().values()) == [HELD]


def test_nothing_of_another_folder_counts_as_fetched(ship_of):
    """Nor is it deleted there, unread."""
    provider = Imap({1: SMALL, 2: SMALL}, answers={"UID STORE": "{tag} NO Not now\r\n"})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        provider.server.options.pop("answers")
        texts = {uid: b"Subject: %d\r\n\r\n" % uid for uid in (1, 2, 3)}
        read_another_folder(ship, provider, texts=texts)
        assert ship.call().done == 3
        assert ship.mails() == sorted([SMALL, SMALL, *texts.values()]) and provider.uids == []


def test_a_beginning_is_of_one_folder(ship_of):
    """What came of a message in one folder is no part of one in another."""
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        read_another_folder(ship, provider, texts={1: LARGE[:-10] + b"the end\r\n"})
        ship.call(0)
        assert ship.mails() == [LARGE[:-10] + b"the end\r\n"]


def test_a_folder_that_cannot_be_opened_ends_nothing(ship_of):
    """A slip of the pen in mail.cfg."""
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        held = ship.held()
        provider.server.options["answers"] = {"SELECT": "{tag} NO [NONEXISTENT] What?\r\n"}
        mails = read_another_folder(ship, provider)
        assert "no folder Charts" in ship.call().failures[0][1]
        provider.server.options.pop("answers")
        provider.server.mails = mails
        ship.configure(accounts=account(provider.server.port, **provider.settings))
        ship.call()
        assert ship.held() == held and len(ship.notices()) == 1


@pytest.mark.parametrize("kind, folder", [(Pop3, "INBOX"), (Imap, "INBOX"), (Imap, "inbox")])
def test_what_was_held_before_folders_were_noted(ship_of, kind, folder):
    """It is of INBOX, whichever way that is written (RFC 3501, section 5.1)."""
    provider = kind({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        read_folder(ship, provider, folder)
        ship.call()
        mine, = ship.held()
        with open(ship.spool.state("held", mine), "r+", encoding="ascii") as f:
            text = f.read().replace(', "folder": ""', "")
            f.seek(0)
            f.truncate()
            f.write(text)
        ship.call()
        assert ship.held() == {mine: HELD} and "folder" not in text and len(ship.notices()) == 1


def test_an_account_that_becomes_one_by_pop3(ship_of):
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        read_folder(ship, provider, "Charts")
        ship.call()
        assert len(ship.held()) == 1
    other = Pop3({1: SMALL})
    with other.server:
        ship.configure(accounts=account(other.server.port))
        ship.call()
    assert ship.held() == {} and ship.mails() == [SMALL]


# Messages without names

class NamelessPop3(Pop3):
    def __init__(self, texts, **options):
        super().__init__(texts, uidl=False, **options)


class NamelessImap(Imap):
    def __init__(self, texts, **options):
        def select(server, tag, _arguments):
            return f"* {len(server.mails)} EXISTS\r\n{tag} OK [READ-WRITE] selected\r\n"
        super().__init__(texts, answers={"SELECT": select}, **options)


@pytest.fixture(params=[NamelessPop3, NamelessImap])
def nameless(request):
    return request.param


def test_the_box_is_told_once(nameless, ship_of):
    provider = nameless({1: LARGE, 2: SMALL})
    with provider.server:
        ship = ship_of(provider)
        for _ in range(3):
            result = ship.call()
            assert result.kept == 1
            (kind, text), = result.failures
            assert kind == TEMPORARY and "cannot be held" in text
        assert provider.uids == [1] and ship.mails() == [SMALL] and ship.held() == {}
        notice, = ship.notices()
        text = notice.get_content()
        assert notice["Reply-To"] is None and notice["Subject"] == "Large mail waits: 10.0 kB"
        assert "Charts of the coast" in text and "agent@shore.example" in text and "10.0 kB" in text
        assert "harbour" in text and "cannot" in text
        assert ship.call(0).failures == []
    assert ship.mails() == sorted([SMALL, LARGE]) and len(ship.notices()) == 1


def test_each_of_them_is_told_of(nameless, ship_of):
    """Also where two have the same size, and where one of that size was there before."""
    provider = nameless({1: LARGE, 2: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        ship.call()
        assert len(ship.notices()) == 2
        provider.remove(1)
        ship.call()
        (provider.server.put({3: LARGE}) if isinstance(provider, Imap) else
         provider.server.messages.append(("u3", LARGE)))
        ship.call()
        assert len(ship.notices()) == 3
        ship.call()
    assert len(ship.notices()) == 3


def test_the_box_of_a_whole_domain_is_told(nameless, ship_of):
    provider = nameless({1: b"Delivered-To: cook@yacht.example\r\n" + LARGE})
    with provider.server:
        ship = ship_of(provider, envelope="Delivered-To")
        ship.call()
        ship.call()
    assert len(ship.notices("cook")) == 1 and ship.notices() == []


def test_a_budget_is_no_reason_to_tell(nameless, ship_of):
    """And whoever was told once is not told again for it."""
    provider = nameless({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        provider.server.put({5: SMALL}) if isinstance(provider, Imap) else (
            provider.server.messages.append(("u5", SMALL)))
        result = ship.call(0, 10)
        assert (result.done, result.kept, result.failures) == (0, 2, [])
        ship.call()
    assert len(ship.notices()) == 1 and ship.mails() == [SMALL]


def test_told_again_where_it_was_forgotten(nameless, ship_of):
    provider = nameless({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        os.unlink(ship.spool.state("known", "account-owner"))
        ship.call()
    assert len(ship.notices()) == 2


def test_a_crash_at_each_operation(nameless, ship_of, monkeypatch):
    """Its box is told, at the most once more."""
    provider = nameless({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.start()
        for disk in Beginning(ship, provider.server, provider.messages_in).crashes():
            ship.call_on(disk, monkeypatch)
            ship.call()
            ship.call()
            assert 1 <= len(ship.notices()) <= 2 and provider.uids == [1], disk.operations
            assert ship.mails() == []
    assert disk.count > 10

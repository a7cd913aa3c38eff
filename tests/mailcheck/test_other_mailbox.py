"""An account of mail.cfg that is pointed at another mailbox, which gives its messages the same names: nothing of what
was fetched, begun, held or told of before is about them."""

import os

import pytest

from amsmail.store.held import DELETE, HELD, HeldMail
from amsmail.store.seen import Seen
from tests.mailcheck.again import Beginning
from tests.mailcheck.sites import account
from tests.mailcheck.test_held import HEAD, LARGE, SMALL, Imap, Pop3, Ship
from tests.mailcheck.test_held_names import NamelessImap, NamelessPop3
from tests.store.disk import Disk

OTHER = HEAD + b"X: other\r\n\r\n" + b"other line\r\n" * 900
LASTING = 1_700_000_000         # a UIDVALIDITY, or the end of a UIDL, that is a time


def texts(*numbers, of="the first"):
    return {n: b"Subject: %d of %s\r\n\r\n" % (n, of.encode()) for n in numbers}


@pytest.fixture(autouse=True)
def loopback(names):
    """`localhost` is where the tests' servers are, whatever the machine says of it."""


@pytest.fixture(params=[Pop3, Imap])
def kind(request):
    return request.param


@pytest.fixture
def ship_of(tmp_path):
    """Makes the ship of an account."""
    return lambda provider, **settings: Ship(tmp_path / "ship", provider, **settings)


def point(ship, provider, messages=None, **settings):
    """The operator writes other settings, and `messages` are what is there; gives the ones of before."""
    attribute = provider.messages_in
    before = getattr(provider.server, attribute)
    if messages is not None:
        setattr(provider.server, attribute, getattr(type(provider)(messages).server, attribute))
    ship.configure(accounts=account(provider.server.port, **provider.settings, **settings))
    return before


def put_back(provider, messages):
    setattr(provider.server, provider.messages_in, messages)


def name_lastingly(provider, end=LASTING):
    """The provider's names are such that no other mailbox has them."""
    if isinstance(provider, Imap):
        provider.server.options["uidvalidity"] = end
    else:
        provider.server.messages = [(f"{name}-{end}", text) for name, text in provider.server.messages]


def numbers(ship):
    """The subjects of what came, in order."""
    return sorted(text.split(b"\r\n")[0].removeprefix(b"Subject: ").decode() for text in ship.mails())


FIRST = ["1 of the first", "2 of the first"]


# What was fetched

@pytest.mark.parametrize("after", ["delete", "keep", "keep 3 days"])
def test_another_user_s_messages_are_new(ship_of, kind, after):
    provider = kind(texts(1, 2))
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        point(ship, provider, texts(1, 2, 3, of="the other"), user="other", after=after)
        assert ship.call().done == 3
        assert ship.call().done == 0
    assert numbers(ship) == sorted([*FIRST, *(f"{n} of the other" for n in (1, 2, 3))])
    assert provider.uids == ([] if after == "delete" else [1, 2, 3])
    assert any("other-mailbox" in line for line in ship.log)


@pytest.mark.parametrize("backlog, fetched", [("none", []), ("newest 1", ["2 of the other"])])
def test_the_backlog_of_another_mailbox(ship_of, kind, backlog, fetched):
    provider = kind(texts(1, 2))
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        point(ship, provider, texts(1, 2, of="the other"), user="other", backlog=backlog)
        for _ in range(2):
            ship.call()
        assert len(provider.uids) == 2 - len(fetched)
    assert numbers(ship) == sorted([*FIRST, *fetched])


def test_a_slip_of_the_pen_costs_nothing(ship_of, kind):
    """Nothing is forgotten before the other mailbox let us in."""
    provider = kind(texts(1, 2))
    refusal = {"USER": "-ERR [AUTH] Who?", "AUTHENTICATE": "{tag} NO Who?\r\n", "LOGIN": "{tag} NO Who?\r\n"}
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        wrong = provider.server.options.setdefault("answers", {}) if kind is Imap else provider.server.replies
        wrong.update(refusal)
        point(ship, provider, user="othre")
        assert "the login was refused" in ship.call().failures[0][1]
        for command in refusal:
            wrong.pop(command)
        point(ship, provider, after="keep")
        assert ship.call().done == 0
    assert numbers(ship) == FIRST


def test_back_to_the_first_mailbox(ship_of, kind):
    """Its journal is gone: nothing of it is lost, and what is there counts as new."""
    provider = kind(texts(1, 2))
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        mine = point(ship, provider, texts(1, of="the other"), user="other", after="keep")
        ship.call()
        put_back(provider, mine)
        point(ship, provider, after="keep", backlog="newest 1")
        assert ship.call().done == 1
    assert numbers(ship) == [*FIRST[:1], "1 of the other", FIRST[1], FIRST[1]]


def test_a_journal_of_before_mailboxes_were_noted(ship_of, kind):
    """The first call takes it for the mailbox that mail.cfg says, and notes that."""
    provider = kind(texts(1, 2))
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        journal = ship.spool.state("seen", "owner")
        with open(journal, "r+", encoding="ascii") as f:
            lines = [line for line in f if len(line.split(" ")) == 4]
            f.seek(0)
            f.truncate()
            f.writelines(lines)
        assert Seen(journal).mailbox == ""
        assert ship.call().done == 0
        assert Seen(journal).mailbox == "yacht 127.0.0.1"
        point(ship, provider, texts(1, of="the other"), user="other")
        assert ship.call().done == 1
    assert numbers(ship) == [FIRST[0], "1 of the other", FIRST[1]]


def test_a_user_of_any_kind(ship_of, kind):
    user = "The Yacht æ/1%2 3"
    provider = kind(texts(1), capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS") if kind is Imap else kind(texts(1))
    with provider.server:
        ship = ship_of(provider, after="keep", user=user)
        assert ship.call().done == 1 and ship.call().done == 0
        point(ship, provider, after="keep", user=user.upper())
        assert ship.call().done == 1


def test_where_nothing_changed_the_disk_is_left_alone(ship_of, kind, monkeypatch):
    provider = kind(texts(1, 2))
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        ship.call()
        ship.start()
        disk = Disk(ship.spool.path)
        ship.call_on(disk, monkeypatch)
    assert disk.operations == []


# The server alone is another: the mailbox may be the same, under another name of its server.

def test_a_server_that_was_renamed(ship_of, kind):
    """What has a name that no other mailbox has is not fetched twice, and what is new is fetched, whatever `backlog`
    says."""
    provider = kind(texts(1, 2))
    name_lastingly(provider)
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        if kind is Imap:
            provider.server.put(texts(3))
        else:
            provider.server.messages.append((f"u3-{LASTING}", texts(3)[3]))
        point(ship, provider, host="localhost", after="keep", backlog="none")
        assert ship.call().done == 1
        assert ship.call().done == 0
    assert numbers(ship) == [*FIRST, "3 of the first"]


def test_what_another_server_has_is_not_deleted_for_what_the_first_had(ship_of, kind):
    provider = kind(texts(1, 2))
    name_lastingly(provider)
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        point(ship, provider, host="localhost")
        for _ in range(2):
            assert ship.call().failures == []
        assert len(provider.server.messages if kind is Pop3 else provider.uids) == 2
    assert numbers(ship) == FIRST


def test_names_that_any_mailbox_has_are_new_at_another_server(ship_of, kind):
    provider = kind(texts(1, 2))
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        point(ship, provider, texts(1, 2, of="the other"), host="localhost", backlog="newest 1", after="keep")
        assert ship.call().done == 1
    assert numbers(ship) == [FIRST[0], FIRST[1], "2 of the other"]


def test_the_server_s_name_in_capitals_is_the_same(ship_of, kind):
    provider = kind(texts(1))
    with provider.server:
        ship = ship_of(provider, after="keep", host="localhost")
        ship.call()
        point(ship, provider, host="LOCALHOST", after="keep")
        assert ship.call().done == 0


# What was begun, and what is remembered

def test_a_beginning_is_of_one_mailbox(ship_of):
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        other = LARGE[:-10] + b"the end\r\n"
        point(ship, provider, {1: other}, user="other")
        ship.call(0)
    assert ship.mails() == [other]


@pytest.mark.parametrize("nameless", [NamelessPop3, NamelessImap])
def test_of_what_another_mailbox_has_without_a_name_its_box_is_told(nameless, ship_of):
    provider = nameless({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        for user in ("yacht", "yacht", "other", "other"):
            point(ship, provider, user=user)
            ship.call()
    assert len(ship.notices()) == 2


# What is held

@pytest.mark.parametrize("change", [{"user": "other"}, {"host": "localhost"}], ids=str)
@pytest.mark.parametrize("decision", ["--release", "--delete"])
def test_a_decision_is_about_one_mailbox(ship_of, kind, decision, change):
    provider = kind({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        mine, = ship.held()
        ship.mailcheck(decision, mine)
        message, = HeldMail(ship.spool).list()
        point(ship, provider, {1: OTHER}, **change)
        for _ in range(2):
            assert ship.call().failures == []
        assert provider.uids == [1] and ship.mails() == []
        (other, state), = ship.held().items()
        assert state == HELD and other != mine and len(ship.notices()) == 2
        HeldMail(ship.spool).put(message)       # a power cut brings it back
        ship.call()
        assert provider.uids == [1] and ship.held() == {other: HELD}
        ship.mailcheck(decision, other)
        ship.call()
        assert provider.uids == [] and ship.mails() == ([] if decision == "--delete" else [OTHER])


def test_what_is_held_outlives_a_server_that_is_not_there(ship_of, kind):
    """Another slip of the pen."""
    provider = kind({1: LARGE})
    name_lastingly(provider)
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        held = ship.held()
        ship.configure(accounts=account(1, **provider.settings, host="localhost"))
        assert "cannot be reached" in ship.call().failures[0][1]
        point(ship, provider)
        ship.call()
        assert ship.held() == held and len(ship.notices()) == 1


@pytest.mark.parametrize("is_noted", [False, True])
def test_what_was_held_before_mailboxes_were_noted(ship_of, kind, is_noted):
    """It is of the mailbox that its journal is of, where that does not say either; else it may be of any."""
    provider = kind({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        message, = HeldMail(ship.spool).list()
        HeldMail(ship.spool).put(message.but(mailbox="", state=DELETE))
        if not is_noted:
            journal = ship.spool.state("seen", "owner")
            with open(journal, encoding="ascii") as f:
                lines = f.readlines()
            with open(journal, "w", encoding="ascii") as f:
                f.writelines(line for line in lines if len(line.split(" ")) == 4)
        ship.call()
        assert provider.uids == ([1] if is_noted else [])
        assert list(ship.held().values()) == ([HELD] if is_noted else [])


def test_what_was_held_before_goes_on_being_held(ship_of, kind):
    provider = kind({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        message, = HeldMail(ship.spool).list()
        HeldMail(ship.spool).put(message.but(mailbox=""))
        journal = ship.spool.state("seen", "owner")
        with open(journal, encoding="ascii") as f:
            lines = f.readlines()
        with open(journal, "w", encoding="ascii") as f:
            f.writelines(line for line in lines if len(line.split(" ")) == 4)
        for _ in range(3):
            ship.call()
        assert HeldMail(ship.spool).list() == [message] and len(ship.notices()) == 1


# Crashes

@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("change", [{"user": "other"}, {"host": "localhost"}], ids=str)
def test_a_crash_at_each_operation_of_the_first_call_to_another_mailbox(ship_of, kind, change, power_cut, monkeypatch):
    """Both have a large message that was held, and somebody had the first one's deleted: the other's stays."""
    provider = kind({1: SMALL, 2: LARGE})
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        message, = HeldMail(ship.spool).list()
        HeldMail(ship.spool).put(message.but(state=DELETE))
        point(ship, provider, {1: texts(1, of="the other")[1], 2: OTHER}, **change)
        ship.start()
        for disk in Beginning(ship, provider.server, provider.messages_in).crashes():
            ship.call_on(disk, monkeypatch)
            if power_cut:
                disk.power_cut()
            for _ in range(2):
                assert ship.call().failures == [], disk.operations
            assert ship.mails() == sorted([SMALL, texts(1, of="the other")[1]]), disk.operations
            assert provider.uids == [2] and list(ship.held().values()) == [HELD], disk.operations
        assert disk.count > 20


# The journal itself

@pytest.fixture
def journal(tmp_path):
    return str(tmp_path / "owner")


def test_an_entry_before_anything_else_is_none_of_another_mailbox(journal):
    Seen(journal, "a host").pass_over(["1"], 1)
    other = Seen(journal, "b host")
    assert not other.exists and list(other) == []
    other.add("2", 5, "boxes/x/new/y")
    again = Seen(journal, "b host")
    assert list(again) == ["2"] and again.tokens == ["boxes/x/new/y"] and again.mailbox == "b host"


def test_what_is_still_to_be_resumed_is_so_in_the_journal_of_any_mailbox(journal):
    Seen(journal, "a host").pass_over([], 1)
    Seen(journal, "a host").add("2", 5, "boxes/x/new/y")
    assert Seen(journal).tokens == ["boxes/x/new/y"]


NAMES = {"7": False, "00000000000000000007": False, "1/7": False, "17/123456789": False,
         "0000000165f3e2b1": True, "1700000000/7": True, "QhdPYR:00WBw1Ph7x7": True}


@pytest.mark.parametrize("name, lasts", NAMES.items(), ids=NAMES)
def test_names_that_no_other_mailbox_has(journal, name, lasts):
    Seen(journal, "a here").add(name, 1)
    seen = Seen(journal, "a here")
    seen.keep_only({name})
    other = Seen(journal, "a there")
    assert (name in other) == lasts == other.exists
    assert not lasts or other.since(name) is None


def test_an_empty_journal_is_a_journal_at_another_server_too(journal):
    """There is nothing in it that could be mistaken, and mail came meanwhile that no backlog must leave."""
    Seen(journal, "a here").pass_over([], 1)
    assert Seen(journal, "a there").exists and not Seen(journal, "b here").exists


def test_partial_files_are_none_of_another_mailbox_after_a_crash(ship_of, monkeypatch):
    """Going back to the first mailbox: a file of the same name may be the other one's by now."""
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        mine = point(ship, provider, {1: OTHER}, user="other")
        ship.start()
        for disk in Beginning(ship, provider.server, "mails").crashes():
            point(ship, provider, user="other")
            ship.call_on(disk, monkeypatch)
            theirs = provider.server.mails
            put_back(provider, mine[:])
            point(ship, provider)
            assert ship.call(0).done == 1 and ship.mails() == [LARGE], disk.operations
            put_back(provider, theirs)
    assert os.listdir(os.path.dirname(ship.spool.state("partial", "owner", "x"))) == []

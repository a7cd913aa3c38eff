"""Mail that is too large for the link: it stays at its provider, its box is told once, and a person decides, or a
cheaper link comes up.  Nobody else's word spends money."""

import base64
import email
import email.policy
import json
import os
import re
import subprocess
import sys

import pytest

from amsmail.store.held import DELETE, HELD, RELEASED, HeldMail, digest, identity, new_token
from amsmail.store.spool import REQUESTS
from amsmail.transport import decisions
from amsmail.transport.call import Call
from amsmail.transport.pull import pull
from tests.mailcheck.again import Beginning
from tests.mailcheck.imap_peer import ImapProvider
from tests.mailcheck.peers import Provider
from tests.mailcheck.sites import Site, account, crash, without_trace
from tests.store.disk import Disk

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin")
MAILBOX = "yacht 127.0.0.1"
LIMIT = 2000            # octets, of the link in these tests
HEAD = b"From: \"The =?utf-8?q?Ag=C3=A9nt?=\" <agent@shore.example>\r\nSubject: Charts of\r\n the coast\r\n"
LARGE = HEAD + b"X: y\r\n\r\n" + b"".join(b"line %d\r\n" % n for n in range(1000))
SMALL = b"Subject: small\r\n\r\nHello.\r\n"
PIPELINED = ["PIPELINING", "USER", "UIDL", "TOP"]
LINKS = {"sat": {"type": "always", "message_in": LIMIT, "currency": "EUR", "per_mb": 100},
         "modem": {"type": "always", "currency": "EUR", "per_minute": "1.5", "classes": "urgent"},
         "harbour": {"type": "always", "priority": 60}}


class Pop3:
    """An account by POP3 with the messages {UID: text}."""

    settings, messages_in = {}, "messages"

    def __init__(self, texts, capabilities=PIPELINED, **options):
        self.server = Provider([(f"u{uid}", text) for uid, text in texts.items()], capabilities=capabilities, **options)

    @property
    def uids(self):
        return [int(uid[1:]) for uid, _ in self.server.messages]

    def remove(self, uid):
        self.server.messages = [found for found in self.server.messages if found[0] != f"u{uid}"]

    def asked(self, uid):
        """What was asked of a message that is the only one there."""
        return [line for line in self.server.said if line.startswith(("RETR", "TOP"))]


class Imap:
    """The same by IMAP."""

    settings, messages_in = {"type": "imap"}, "mails"

    def __init__(self, texts, **options):
        self.server = ImapProvider(texts, **{"capabilities": "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS", **options})

    @property
    def uids(self):
        return self.server.uids

    def remove(self, uid):
        self.server.mails = [mail for mail in self.server.mails if mail.uid != uid]

    def asked(self, uid):
        return [command for command in self.server.commands if "BODY.PEEK" in command]


@pytest.fixture(params=[Pop3, Imap])
def kind(request):
    return request.param


class Ship(Site):
    """A yacht with an account at `provider` (Pop3 or Imap)."""

    def __init__(self, folder, provider, **settings):
        super().__init__(folder, links=LINKS, tls={"cleartext_login_from": "127.0.0.1, 192.0.2.1"},
                         accounts=account(provider.server.port, **provider.settings, **settings))

    def call(self, message_in=LIMIT, octets_in=None):
        """What one mailcheck does over a link that fetches nothing larger than `message_in`, and in all no more than
        `octets_in`."""
        self.start()
        decisions.obey(self.site, self.spool, self._logger())
        call = Call(self.line, message_in, octets_in)
        return pull(self.site, self.spool, "owner", call, self._logger(), lambda octets: None)

    def call_on(self, disk, monkeypatch):
        """A call on a Disk that fails, at a site that was started before; what crash() gives."""
        with monkeypatch.context() as patch:
            patch.setattr(self, "start", lambda: None)
            return crash(disk, self.call, monkeypatch)

    def held(self):
        """{identity: state} of what is held."""
        return {message.id: message.state for message in HeldMail(self.spool).list()}

    def mails(self, box="captain"):
        """What came from the account, as on the wire."""
        return sorted(without_trace(text).replace(b"\n", b"\r\n") for text in self.box(box)
                      if not text.startswith(b"Return-Path: <>"))

    def notices(self, box="captain"):
        """What the site told a box, oldest first."""
        return [email.message_from_bytes(text, policy=email.policy.default) for text in self.box(box)
                if text.startswith(b"Return-Path: <>")]

    def reply(self, to, body="release\n", peer="192.0.2.1", login="captain", head=""):
        """Sends a reply through smtpd, and gives what smtpd said to RCPT and in the end."""
        secret = base64.b64encode(f"\0{login}\0secret".encode()).decode()
        lines = ["EHLO captain.example", *([f"AUTH PLAIN {secret}"] if login else []),
                 "MAIL FROM:<captain@yacht.example>", f"RCPT TO:<{to}>", "DATA",
                 *f"{head}Subject: Re: x\n\n{body}".splitlines(), ".", "QUIT"]
        said = subprocess.run([sys.executable, "-IS", os.path.join(BIN, "smtpd"), self.path], timeout=20, check=True,
                              input="".join(line + "\r\n" for line in lines).encode(), capture_output=True,
                              env={**os.environ, "TCPREMOTEIP": peer}).stdout.decode().splitlines()
        said = [line for line in said if not line.startswith(("220", "221", "250-", "235"))][2:]
        return said[0], said[-1]

    def mailcheck(self, *options):
        """Runs mailcheck: (exit code, what it said)."""
        run = subprocess.run([sys.executable, "-IS", os.path.join(BIN, "mailcheck"), *options, self.path], timeout=30,
                             capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr


@pytest.fixture
def ship_of(tmp_path):
    """Makes the ship of an account."""
    return lambda provider, **settings: Ship(tmp_path / "ship", provider, **settings)


@pytest.fixture
def held(kind, ship_of):
    """(ship, account, notice): a large message is held, and its box was told."""
    provider = kind({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        notice, = ship.notices()
        yield ship, provider, notice


def test_held_and_told_once(kind, ship_of):
    provider = kind({1: LARGE, 2: SMALL})
    with provider.server:
        ship = ship_of(provider)
        for number in range(3):
            result = ship.call()
            assert (result.failures, result.kept) == ([], 0)
            assert result.held == (list(ship.held()) if number == 0 else [])
        assert provider.uids == [1] and ship.mails() == [SMALL]
        (mine, state), = ship.held().items()
        assert state == HELD and mine == identity("owner", MAILBOX, "u1" if kind is Pop3 else "17/1")
        notice, = ship.notices()
        asked = provider.asked(1)
    assert mine in notice["Subject"] and mine in notice.get_content()
    assert [line for line in ship.log if " held " in line and mine in line]
    # What went over the line for it: its header, or its beginning, once.
    assert asked in (["TOP 1 0", "RETR 2"], [command for command in asked if f"<0.{LIMIT}>" in command])
    assert len([command for command in asked if "UID FETCH 1:" in command]) <= 1


def test_what_the_notice_says(held):
    ship, provider, notice = held
    assert (notice["From"], notice["To"]) == (
        "Postmaster <postmaster@yacht.example>", "captain@yacht.example")
    assert notice["Auto-Submitted"] == "auto-generated" and notice.get_content_type() == "text/plain"
    assert re.fullmatch("held[+][a-z2-7]{32}@yacht.example", notice["Reply-To"])
    text = notice.get_content()
    assert "The Agént" in text and "agent@shore.example" in text and "Charts of the coast" in text
    assert "10.0 kB" in text and f"mailcheck --release {list(ship.held())[0]}" in text
    table = [line.split() for line in text.splitlines() if line.startswith("    ") and line.split()[0] in LINKS]
    sat, modem, harbour = table
    assert sat[2:] == "EUR no: at most 2.0 kB".split() and 1 < float(sat[1]) < 3
    assert modem[1:] == "not known no: it carries urgent mail only".split() and harbour[1:] == ["-", "yes"]


def test_only_the_digest_of_the_token_is_kept(held):
    ship, provider, notice = held
    token = notice["Reply-To"][len("held+"):].partition("@")[0]
    name, = ship.held()
    with open(ship.spool.state("held", name), encoding="ascii") as f:
        text = f.read()
    assert token not in text and json.loads(text)["token"] == digest(token)
    assert token not in "".join(ship.log)


@pytest.mark.parametrize("who", [{}, {"login": "captain@yacht.example"}, {"login": "", "peer": "127.0.0.1"}],
                         ids=["the box", "by its address", "a listed network"])
def test_released_by_a_reply(held, who):
    ship, provider, notice = held
    to = notice["Reply-To"].upper().replace("HELD", "Held")
    assert ship.reply(to, "RELEASE\n\n> quoted\n", **who)[1][:3] == "250"
    assert ship.call().done == 1
    assert ship.mails() == [LARGE] and provider.uids == [] and ship.held() == {}
    assert ship.spool.box(REQUESTS).list() == []
    assert len(ship.notices()) == 1


def test_deleted_by_a_reply(held):
    ship, provider, notice = held
    before = provider.asked(1)
    assert ship.reply(notice["Reply-To"], "\n> release\nThe captain wrote:\n  Delete\nThank you\n")[1][:3] == "250"
    assert ship.call().failures == []
    assert ship.mails() == [] and provider.uids == [] and ship.held() == {}
    assert [command for command in provider.asked(1)[len(before):] if "PEEK" not in command] == []
    assert ship.call().failures == [] and len(ship.notices()) == 1


@pytest.mark.parametrize("option, mails", [("--release", [LARGE]), ("--delete", [])])
def test_decided_by_command(held, option, mails):
    ship, provider, notice = held
    mine, = ship.held()
    code, said = ship.mailcheck("--status")
    assert "Held at providers: 1 message, 10.0 kB:" in said and mine in said and "Charts of the coast" in said
    assert ship.mailcheck(option, "xyz") == (64, "mailcheck: no held messages have an identity that begins with 'xyz'\n"
                                                 "Nothing was changed.\n")
    assert ship.held() == {mine: HELD}
    code, said = ship.mailcheck(option, mine[:5])
    assert code == 0 and mine in said
    assert ship.held() == {mine: RELEASED if mails else DELETE}
    assert ship.reply(notice["Reply-To"])[0].startswith("550 5.7.1")        # it is decided
    ship.call()
    assert ship.mails() == mails and provider.uids == [] and ship.held() == {}


@pytest.mark.parametrize("message_in", [0, len(LARGE)], ids=["no limit", "its size"])
def test_fetched_over_a_cheaper_link(held, message_in):
    ship, provider, notice = held
    ship.call(message_in - 1 if message_in else LIMIT)
    assert ship.mails() == []
    assert ship.call(message_in).done == 1
    assert ship.mails() == [LARGE] and provider.uids == [] and ship.held() == {}
    assert ship.reply(notice["Reply-To"])[0].startswith("550 5.1.1")


def test_forged_replies_are_refused(held):
    ship, provider, notice = held
    to = notice["Reply-To"]
    guessed = to.replace(to[5:8], "zzz")
    assert ship.reply(to, login="")[0].startswith("550 5.7.1")                  # from a network that is not listed
    assert ship.reply(to, login="cook")[0].startswith("550 5.7.1")              # by another box
    assert ship.reply(to, login="cook@yacht.example", peer="192.0.2.1")[0].startswith("550 5.7.1")
    assert ship.reply(guessed)[0].startswith("550 5.1.1")
    assert ship.reply("held+@yacht.example")[0].startswith("550 5.1.1")
    assert ship.reply(to.replace("yacht", "other"), login="", peer="127.0.0.1")[0][:3] == "550"     # no relay here
    ship.call()
    assert provider.uids == [1] and list(ship.held().values()) == [HELD] and ship.mails() == []


def test_a_token_serves_once(held):
    """Also where two replies were taken before mailcheck came: the first counts, and the second is answered."""
    ship, provider, notice = held
    for body in "release\n", "delete\n":
        assert ship.reply(notice["Reply-To"], body)[1][:3] == "250"
    ship.call()
    assert ship.mails() == [LARGE] and provider.uids == []
    assert ["too late" in notice.get_content() for notice in ship.notices()] == [False, True]
    assert ship.reply(notice["Reply-To"])[0].startswith("550 5.1.1")


def test_a_reply_that_a_crash_left_behind_is_no_second_one(held):
    """It decided already: its box is not told that it came too late."""
    ship, provider, notice = held
    ship.reply(notice["Reply-To"])
    request, = ship.spool.box(REQUESTS).list()
    with open(request.path, "rb") as f:
        text = f.read()
    for _ in range(2):
        decisions.obey(ship.site, ship.spool, ship._logger())
        with open(request.path, "wb") as f:     # as if its removal had not come to the disk
            f.write(text)
    assert set(ship.held().values()) == {RELEASED} and len(ship.notices()) == 1


@pytest.mark.parametrize("body", ["yes please\n", "", "> release\n", "releases\n", "release it\n"])
def test_a_reply_that_says_nothing_clear_is_answered(held, body):
    ship, provider, notice = held
    ship.reply(notice["Reply-To"].upper(), body)        # as some mail programs write an address
    ship.call()
    ship.call()
    _, answer = ship.notices()
    assert "was not understood" in answer.get_content() and answer["Reply-To"] == notice["Reply-To"]
    assert provider.uids == [1] and list(ship.held().values()) == [HELD]
    ship.reply(answer["Reply-To"], "release\n")
    ship.call()
    assert ship.mails() == [LARGE]


@pytest.mark.parametrize("head", ["Auto-Submitted: auto-replied\n", "Auto-Submitted: Auto-Generated; x=y\n",
                                  "Precedence: bulk\n", "Precedence: Auto_Reply\n"])
def test_what_a_machine_replies_decides_nothing(held, head):
    ship, provider, notice = held
    assert ship.reply(notice["Reply-To"], "release\n", head=head)[1][:3] == "250"
    ship.call()
    assert provider.uids == [1] and list(ship.held().values()) == [HELD] and len(ship.notices()) == 1
    assert ship.spool.box(REQUESTS).list() == []
    assert ship.reply(notice["Reply-To"], "release\n", head="Auto-Submitted: no\n")[1][:3] == "250"
    ship.call()
    assert ship.mails() == [LARGE]


WRITTEN = {
    "html too": 'Content-Type: multipart/alternative; boundary="b"\nMIME-Version: 1.0\n|--b\n'
                "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nUmVsZWFzZQ0K\n"
                "--b\nContent-Type: text/html\n\n<p>Release</p>\n--b--\n",
    "quoted-printable": "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n|"
                        "rel=\nease\n\n=E9\n",
    "signed": "Content-Type: multipart/signed; boundary=b\n|preamble\n--b\n\nrelease\n--b--\n",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_replies_as_mail_programs_write_them(ship_of, written):
    provider = Pop3({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        head, _, body = WRITTEN[written].partition("|")
        ship.reply(ship.notices()[0]["Reply-To"], body, head=head)
        ship.call()
    assert ship.mails() == [LARGE]


def test_a_reply_with_a_copy_for_another_box(held):
    ship, provider, notice = held
    ship.reply(f"{notice['Reply-To']}>\r\nRCPT TO:<cook@yacht.example")
    ship.call()
    copy, = ship.box("cook")
    assert ship.mails() == [LARGE] and b"held" not in copy.lower()


def test_the_provider_has_it_no_more(held):
    ship, provider, notice = held
    provider.remove(1)
    assert ship.call().failures == []
    assert ship.held() == {}
    assert ship.reply(notice["Reply-To"])[0].startswith("550 5.1.1")


def test_lost_notes_are_told_again_under_the_same_identity(held):
    ship, provider, notice = held
    mine, = ship.held()
    with open(ship.spool.state("held", mine), "w", encoding="ascii") as f:
        f.write("{")
    ship.call()
    assert ship.held() == {mine: HELD}
    assert len(ship.notices()) == 2 and all(mine in notice["Subject"] for notice in ship.notices())


def test_after_keep_a_decision_to_delete_still_deletes(kind, ship_of):
    provider = kind({1: LARGE, 2: SMALL})
    with provider.server:
        ship = ship_of(provider, after="keep")
        ship.call()
        assert ship.mails() == [SMALL]
        assert ship.reply(ship.notices()[0]["Reply-To"], "delete\n")[1][:3] == "250"
        ship.call()
        assert provider.uids == [2] and ship.held() == {} and ship.mails() == [SMALL]


def test_the_box_of_a_whole_domain_is_told(kind, ship_of):
    provider = kind({1: b"Delivered-To: cook@yacht.example\r\n" + LARGE})
    with provider.server:
        ship = ship_of(provider, envelope="Delivered-To")
        ship.call()
        notice, = ship.notices("cook")
        assert ship.notices() == [] and notice["To"] == "cook@yacht.example"
        assert ship.reply(notice["Reply-To"])[0].startswith("550 5.7.1")
        assert ship.reply(notice["Reply-To"], login="cook")[1][:3] == "250"
        ship.call()
    assert len(ship.mails("cook")) == 1 and ship.mails() == []


def test_a_budget_that_is_nearly_used_up_is_no_reason_to_tell(held):
    """What only the rest of a budget has no room for waits for another call."""
    ship, provider, notice = held
    ship.mailcheck("--delete", list(ship.held())[0])
    ship.call()
    provider.server.put({5: SMALL}) if isinstance(provider, Imap) else provider.server.messages.append(("u5", SMALL))
    result = ship.call(LIMIT, 10)
    assert (result.done, result.kept, ship.held(), len(ship.notices())) == (0, 1, {}, 1)
    assert ship.call().done == 1 and ship.mails() == [SMALL]


def test_what_was_released_waits_for_room_in_a_budget(held):
    ship, provider, notice = held
    mine, = ship.held()
    ship.mailcheck("--release", mine)
    result = ship.call(LIMIT, len(LARGE) - 1)
    assert (result.done, result.kept, ship.held()) == (0, 1, {mine: RELEASED})
    assert ship.call(LIMIT, len(LARGE)).done == 1 and ship.held() == {} and len(ship.notices()) == 1


@pytest.mark.parametrize("option", ["--release", "--delete"])
def test_no_identity_is_not_the_only_one(held, option):
    """As of a script whose variable is empty."""
    ship, provider, notice = held
    before = ship.held()
    assert ship.mailcheck(option, "")[0] == ship.mailcheck(f"{option}=")[0] == 64
    assert ship.held() == before


def test_both_decisions_at_once_are_none(held):
    ship, provider, notice = held
    mine, = ship.held()
    assert ship.mailcheck("--release", mine, "--delete", mine[:4]) == (
        64, f"mailcheck: {mine} can be released or deleted, not both\nNothing was changed.\n")
    assert ship.held() == {mine: HELD}


# What only one protocol has

def test_without_top_sender_and_subject_are_not_known(ship_of):
    provider = Pop3({1: LARGE}, capabilities=["PIPELINING", "USER", "UIDL"])
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        notice, = ship.notices()
        assert notice.get_content().count("not known") >= 2
        assert ship.reply(notice["Reply-To"])[1][:3] == "250"
        ship.call()
        assert provider.asked(1) == ["RETR 1"]
    assert ship.mails() == [LARGE]


def test_messages_without_names_cannot_be_held(ship_of):
    provider = Pop3({1: LARGE, 2: SMALL}, uidl=False)
    with provider.server:
        ship = ship_of(provider)
        result = ship.call()
        assert "cannot be held" in result.failures[0][1] and result.kept == 1
        assert ship.mails() == [SMALL] and provider.uids == [1]
        ship.call(0)
    assert ship.mails() == sorted([SMALL, LARGE])


def test_the_beginning_that_came_by_imap_is_not_fetched_again(ship_of):
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        ship.call()
        ship.call(0)
        assert ship.mails() == [LARGE]
        beginning, rest = [command for command in provider.asked(1) if "UID FETCH 1 " in command or "1:" in command]
    assert f"<0.{LIMIT}>" in beginning and f"<{LIMIT - 64}." in rest


def test_a_lost_beginning_costs_nothing_while_it_is_held(ship_of):
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        os.unlink(ship.spool.state("known", "account-owner"))
        provider.server.sent = 0
        ship.call()
        assert provider.server.sent < 1000 and len(ship.notices()) == 1
        ship.mailcheck("--release", list(ship.held())[0])
        ship.call()
    assert ship.mails() == [LARGE] and ship.held() == {}


def test_another_uidvalidity_is_another_message(ship_of):
    provider = Imap({1: LARGE})
    with provider.server:
        ship = ship_of(provider)
        ship.call()
        provider.server.options["uidvalidity"] = 18
        ship.call()
        assert list(ship.held()) == [identity("owner", MAILBOX, "18/1")]
    assert len(ship.notices()) == 2


# The whole way

def test_by_mailcheck_from_the_hold_to_the_ledger(ship_of):
    provider = Pop3({1: LARGE, 2: SMALL})
    with provider.server:
        ship = ship_of(provider)
        ship.configure(links={"sat": LINKS["sat"]})
        for _ in range(3):
            assert ship.mailcheck("--quiet") == (0, "")
        notice, = ship.notices()
        mine, = ship.held()
        assert ship.reply(notice["Reply-To"])[1][:3] == "250"
        assert ship.mailcheck("--quiet") == (0, "")
        assert ship.mails() == sorted([LARGE, SMALL])
    with open(ship.spool.state("ledger.jsonl"), encoding="utf-8") as f:
        calls = [json.loads(line) for line in f]
    assert [call["held"] for call in calls] == [[mine], [], [], []]


# Crashes

def _decided(ship, word):
    """As if smtpd had taken a reply."""
    message, = HeldMail(ship.spool).list()
    token = new_token()
    HeldMail(ship.spool).put(message.but(token=digest(token)))
    box = ship.spool.box(REQUESTS)
    box.make()
    with open(os.path.join(box.path, "new", "1.M1R1.yacht"), "wb") as f:
        f.write(f"Amsmail-Held: held+{token}\nSubject: Re: x\n\n{word}\n".encode())


STEPS = {"held": ("", [], [1], [HELD]), "release": ("release", [LARGE], [], []), "delete": ("delete", [], [], []),
         "anything else": ("what?", [], [1], [HELD])}


@pytest.mark.parametrize("power_cut", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_each_operation(kind, step, tmp_path, power_cut, monkeypatch):
    """In the end the message is where it belongs, once, and its box was told: at the most once more."""
    word, mails, uids, states = STEPS[step]
    told = 1 + (step == "anything else")
    provider = kind({1: LARGE})
    with provider.server:
        ship = Ship(tmp_path / "ship", provider)
        for folder in "seen", "known", "held":
            ship.spool.state(folder, "x")
        ship.spool.state("partial", "owner", "x")
        ship.start()
        if word:
            ship.call()
            _decided(ship, word)
        beginning = Beginning(ship, provider.server, provider.messages_in)
        disk = Disk(ship.spool.path)
        assert ship.call_on(disk, monkeypatch).failures == []
        assert disk.count > 10
        for number in range(1, disk.count + 1):
            beginning.again()
            disk = Disk(ship.spool.path, crash_at=number)
            crash(disk, ship.call, monkeypatch)
            if power_cut:
                disk.power_cut()
            assert ship.call().failures == [], disk.operations
            assert ship.mails() == mails and provider.uids == uids, disk.operations
            assert list(ship.held().values()) == states, disk.operations
            assert told <= len(ship.notices()) <= told + 1, disk.operations
            assert ship.spool.box(REQUESTS).list() == [], disk.operations


def test_a_disk_that_fails_at_each_operation(kind, tmp_path, monkeypatch):
    """A full disk holds nothing up for good."""
    provider = kind({1: LARGE, 2: SMALL})
    with provider.server:
        ship = Ship(tmp_path / "ship", provider)
        ship.start()
        beginning = Beginning(ship, provider.server, provider.messages_in)
        for number in range(1, 60):
            beginning.again()
            ship.call_on(Disk(ship.spool.path, fail_at=number), monkeypatch)
            assert ship.call().failures == []
            assert list(ship.held().values()) == [HELD] and provider.uids == [1]
            assert ship.mails() == [SMALL] and 1 <= len(ship.notices()) <= 2

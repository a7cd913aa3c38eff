"""The pull by IMAP: what the provider has is fetched once, goes on where it was cut, and is deleted only as mail.cfg
says."""

import os
import random
import time

import pytest

from amsmail.transport import pull_imap
from amsmail.transport.inbound import NO_ROOM
from amsmail.transport.result import PERMANENT, TEMPORARY
from tests.mailcheck.imap_peer import ImapProvider
from tests.mailcheck.sites import Impatient, Site, account, without_trace
from tests.protocol.imap_server import ImapServer

PLAIN = "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS MOVE"        # no compression, so that octets can be counted


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def pull(yacht, provider, **settings):
    yacht.configure(accounts=account(provider.port, type="imap", **settings))
    return yacht.pull()


def texts(*numbers):
    return {n: b"Subject: %d\r\n\r\nHello.\r\n" % n for n in numbers}


def large(number, octets):
    noise = random.Random(number)
    lines = b"".join(b"%060x\r\n" % noise.getrandbits(240) for _ in range(octets // 62 + 1))
    return b"Subject: %d\r\n\r\n" % number + lines


def subjects(yacht, box="captain"):
    """The numbers in the subjects of a box, each with how many there are."""
    return sorted(int(text.partition(b"Subject: ")[2].split()[0]) for text in yacht.box(box))


def arrived(yacht):
    return sorted(without_trace(text).replace(b"\n", b"\r\n") for text in yacht.box("captain"))


def partials(yacht):
    folder = os.path.dirname(yacht.spool.state("partial", "owner", "x"))
    return os.listdir(folder) if os.path.isdir(folder) else []


# What stays at the provider

@pytest.mark.parametrize("way", [{}, {"envelope": "Delivered-To"}], ids=["one box", "by envelope"])
def test_delete(yacht, way):
    with ImapProvider(texts(3, 7)) as provider:
        result = pull(yacht, provider, **way)
        assert (result.done, result.kept, result.failures) == (2, 0, [])
        assert result.octets == sum(map(len, texts(3, 7).values())) and result.received
        assert subjects(yacht) == [3, 7] and provider.uids == []
        provider.put(texts(9))
        assert pull(yacht, provider, **way).done == 1
        assert pull(yacht, provider, **way).done == 0
    assert subjects(yacht) == [3, 7, 9] and provider.uids == [] and partials(yacht) == []
    trace = b"Received: from 127.0.0.1 (account owner)\n\tby yacht.example with IMAP id "
    assert all(text.startswith(trace) for text in yacht.box("captain"))


def test_a_message_of_each_size(yacht):
    sizes = [1, 1000, 65_535, 65_536, 65_537, 200_000, 500_000]
    whole = {n: (b"Subject: %d\r\n\r\n" % n + large(n, size))[:size] for n, size in enumerate(sizes, 1)}
    with ImapProvider(whole) as provider:
        assert pull(yacht, provider).failures == []
    assert arrived(yacht) == sorted(whole.values())
    assert provider.uids == [] and partials(yacht) == []


def test_keep(yacht):
    with ImapProvider(texts(1, 2)) as provider:
        assert pull(yacht, provider, after="keep").done == 2
        provider.put(texts(3))
        assert pull(yacht, provider, after="keep").done == 1
        assert pull(yacht, provider, after="keep").done == 0
        assert provider.uids == [1, 2, 3] and subjects(yacht) == [1, 2, 3]
        assert not any(command.startswith("UID STORE") for command in provider.commands)
        pull(yacht, provider, after="delete")
    assert provider.uids == [] and subjects(yacht) == [1, 2, 3]


def test_keep_some_days(yacht, monkeypatch):
    now = time.time()
    with ImapProvider(texts(1)) as provider:
        for days, left in (0, [1]), (2.9, [1]), (3.1, []):
            monkeypatch.setattr(time, "time", lambda days=days: now + days * 86400)
            assert pull(yacht, provider, after="keep 3 days").failures == []
            assert provider.uids == left
    assert subjects(yacht) == [1]


def test_what_was_remembered_of_the_server_may_be_lost(yacht):
    with ImapProvider(texts(1, 2, 5)) as provider:
        pull(yacht, provider, after="keep")
        os.unlink(yacht.spool.state("known", "account-owner"))
        provider.put(texts(6))
        assert pull(yacht, provider, after="keep").done == 1
    assert subjects(yacht) == [1, 2, 5, 6]


@pytest.mark.parametrize("capabilities, left", [(PLAIN, []), (PLAIN.replace(" UIDPLUS", ""), [1, 2])])
def test_without_uidplus_only_flagged(yacht, capabilities, left):
    with ImapProvider(texts(1, 2), capabilities=capabilities) as provider:
        assert pull(yacht, provider).failures == []
        assert provider.uids == left and all(mail.flags == {"\\Deleted"} for mail in provider.mails)
        before = len(provider.commands)
        assert pull(yacht, provider).done == 0
        os.unlink(yacht.spool.state("known", "account-owner"))
        assert pull(yacht, provider).done == 0
    assert not any(command.startswith(("EXPUNGE", "UID STORE")) for command in provider.commands[before:])
    assert subjects(yacht) == [1, 2]


def test_flag(yacht):
    with ImapProvider(texts(1)) as provider:
        assert pull(yacht, provider, deletion="flag").failures == []
    assert provider.uids == [1] and provider.mails[0].flags == {"\\Deleted"}


def test_move(yacht):
    with ImapProvider(texts(1)) as provider:
        assert pull(yacht, provider, deletion="move", deletion_folder="Old mail").failures == []
    assert provider.uids == [] and 'UID MOVE 1 "Old mail"' in provider.commands


def test_a_deletion_that_is_refused_is_asked_for_again(yacht):
    with ImapProvider(texts(1), answers={"UID STORE": "{tag} NO [NOPERM] Not now\r\n"}) as provider:
        (kind, text), = pull(yacht, provider).failures
        assert kind == TEMPORARY and "Not now" in text and subjects(yacht) == [1]
        provider.options.clear()
        assert pull(yacht, provider).failures == []
    assert provider.uids == [] and subjects(yacht) == [1]


# The first call

@pytest.mark.parametrize("backlog, fetched", [("all", [1, 2, 3, 4]), ("none", []), ("newest 1", [4]),
                                              ("newest 3", [2, 3, 4]), ("newest 4", [1, 2, 3, 4]),
                                              ("newest 9", [1, 2, 3, 4])])
@pytest.mark.parametrize("after", ["delete", "keep", "keep 3 days"])
def test_backlog(yacht, backlog, fetched, after, monkeypatch):
    passed_over = [n for n in range(1, 5) if n not in fetched]
    with ImapProvider(texts(1, 2, 3, 4)) as provider:
        pull(yacht, provider, backlog=backlog, after=after)
        assert subjects(yacht) == fetched
        provider.put(texts(5))
        later = time.time() + 1e7
        monkeypatch.setattr(time, "time", lambda: later)
        os.unlink(yacht.spool.state("known", "account-owner"))
        pull(yacht, provider, backlog=backlog, after=after)
        assert subjects(yacht) == [*fetched, 5]
        pull(yacht, provider, backlog="all", after="delete")       # what was passed over is nobody's to delete
    assert provider.uids == passed_over and subjects(yacht) == [*fetched, 5]


def test_a_first_call_with_nothing_there_was_the_first(yacht):
    with ImapProvider({}) as provider:
        pull(yacht, provider, backlog="none")
        provider.put(texts(1))
        pull(yacht, provider, backlog="none")
    assert subjects(yacht) == [1]


@pytest.mark.parametrize("cut", range(300, 900, 60))
def test_a_first_call_that_is_cut(yacht, cut):
    with ImapProvider(texts(1, 2, 3, 4), cut=cut, capabilities=PLAIN) as provider:
        pull(yacht, provider, backlog="newest 3")
        provider.cut_after = None
        provider.put(texts(5))
        before = subjects(yacht)
        assert pull(yacht, provider, backlog="newest 3").failures == []
    assert subjects(yacht) == ([2, 3, 4, 5] if before else subjects(yacht)) and subjects(yacht)[-3:] == [3, 4, 5]


# The folder's UIDVALIDITY

def test_another_uidvalidity(yacht):
    with ImapProvider(texts(1, 2)) as provider:
        pull(yacht, provider, after="keep")
        provider.options["uidvalidity"] = 18
        provider.mails.clear()
        provider.put({1: b"Subject: 3\r\n\r\n"})
        assert pull(yacht, provider, after="keep", backlog="none").done == 1
        assert pull(yacht, provider, after="keep").done == 0
    assert subjects(yacht) == [1, 2, 3]
    assert any("uidvalidity-changed" in line for line in yacht.log)


def test_nothing_is_deleted_by_the_uids_of_another_uidvalidity(yacht):
    with ImapProvider(texts(1), answers={"UID STORE": "{tag} NO Not now\r\n"}) as provider:
        pull(yacht, provider)
        provider.options = {"uidvalidity": 18}
        provider.mails.clear()
        provider.put({1: b"Subject: 9\r\n\r\n"})
        provider.commands.clear()
        assert pull(yacht, provider).done == 1
        assert subjects(yacht) == [1, 9]
    stored = next(n for n, command in enumerate(provider.commands) if command.startswith("UID STORE"))
    assert any(command.startswith("UID FETCH 1:*") for command in provider.commands[:stored])


def test_what_began_under_another_uidvalidity_begins_anew(yacht):
    with ImapProvider({1: large(1, 200_000)}, cut=100_000, capabilities=PLAIN) as provider:
        pull(yacht, provider)
        assert partials(yacht) == ["17.1"]
        provider.options["uidvalidity"] = 18
        provider.mails[0].text = large(2, 150_000)
        provider.mails[0].said = len(provider.mails[0].text)
        provider.cut_after = None
        assert pull(yacht, provider).failures == []
        assert arrived(yacht) == [large(2, 150_000)]
        pull(yacht, provider)
    assert partials(yacht) == []


def test_another_folder(yacht):
    with ImapProvider(texts(1, 2)) as provider:
        pull(yacht, provider, after="keep")
        pull(yacht, provider, after="keep", folder="Other mail")
        assert 'SELECT "Other mail"' in provider.commands
    assert subjects(yacht) == [1, 1, 2, 2]


@pytest.mark.parametrize("settings, works", [({}, True), ({"after": "keep"}, False), ({"backlog": "none"}, False),
                                             ({"after": "keep 3 days", "backlog": "newest 1"}, False)], ids=str)
def test_without_uidvalidity(yacht, settings, works):
    def select(_server, tag, _arguments):
        return f"* 2 EXISTS\r\n{tag} OK [READ-WRITE] selected\r\n"
    with ImapProvider(texts(1, 2), answers={"SELECT": select}) as provider:
        result = pull(yacht, provider, **settings)
    if works:
        assert result.failures == [] and subjects(yacht) == [1, 2] and provider.uids == []
    else:
        (kind, text), = result.failures
        assert kind == PERMANENT and "UIDVALIDITY" in text
        assert yacht.box("captain") == [] and provider.uids == [1, 2]


# A line that is cut

@pytest.mark.parametrize("capabilities", [PLAIN, PLAIN + " COMPRESS=DEFLATE"], ids=["plain", "compressed"])
@pytest.mark.parametrize("octets", [10_000, 37_000, 100_000])
def test_calls_that_are_cut_go_on_where_they_stopped(yacht, octets, capabilities):
    whole = {1: large(1, 300_000), 2: texts(2)[2], 3: large(3, 120_000)}
    total = calls = 0
    with ImapProvider(whole, cut=octets, capabilities=capabilities) as provider:
        while True:
            result = pull(yacht, provider)
            total, calls = total + provider.sent, calls + 1
            if not result.failures:
                break
            assert calls < 60 and result.failures[0][0] == TEMPORARY
    assert arrived(yacht) == sorted(whole.values())
    assert provider.uids == [] and partials(yacht) == []
    assert total < 423_000 * (1 if "COMPRESS" not in capabilities else 0.9) + calls * 2_500


def test_a_cut_at_each_place_of_a_session(yacht):
    """Nothing partial is seen, and the next call has each message exactly once."""
    with ImapProvider({}, capabilities=PLAIN) as provider:
        pull(yacht, provider)
        for n, cut in enumerate(range(1, 1500, 23)):
            provider.put(texts(2 * n + 1, 2 * n + 2))
            provider.cut_after = cut
            pull(yacht, provider)
            provider.cut_after = None
            assert pull(yacht, provider).failures == []
            assert subjects(yacht) == list(range(1, 2 * n + 3)), cut
            assert provider.uids == [] and partials(yacht) == []


@pytest.mark.parametrize("other", [large(1, 70_000), large(2, 200_000), texts(1)[1]],
                         ids=["its beginning only", "of that size", "small"])
def test_a_message_that_is_not_the_one_that_began(yacht, other):
    with ImapProvider({1: large(1, 200_000)}, cut=100_000, capabilities=PLAIN) as provider:
        pull(yacht, provider)
        assert partials(yacht) == ["17.1"]
        provider.mails.clear()
        provider.put({1: other})
        provider.cut_after = None
        assert pull(yacht, provider).failures == []
    assert arrived(yacht) == [other] and provider.uids == [] and partials(yacht) == []
    assert any("differs" in line for line in yacht.log)


@pytest.mark.parametrize("damage", [lambda path: os.unlink(path), lambda path: os.truncate(path, 5_000)],
                         ids=["gone", "shorter"])
def test_a_file_that_does_not_fit_what_is_remembered(yacht, damage):
    with ImapProvider({1: large(1, 200_000)}, cut=100_000, capabilities=PLAIN) as provider:
        pull(yacht, provider)
        damage(yacht.spool.state("partial", "owner", "17.1"))
        provider.cut_after = None
        assert pull(yacht, provider).failures == []
    assert arrived(yacht) == [large(1, 200_000)] and provider.uids == []


def test_a_message_that_went_while_it_was_unfinished(yacht):
    with ImapProvider({1: large(1, 200_000)}, cut=100_000, capabilities=PLAIN) as provider:
        pull(yacht, provider)
        provider.mails.clear()
        provider.cut_after = None
        assert pull(yacht, provider).failures == []
        assert partials(yacht) == [] and yacht.box("captain") == []
        pull(yacht, provider)
    assert sum("<" in command and "FETCH 1 " in command for command in provider.commands) == 2


def test_checkpoints_on_the_way(yacht, monkeypatch):
    monkeypatch.setattr(pull_imap, "_CHECKPOINT", 0)
    with ImapProvider({1: large(1, 200_000), 2: texts(2)[2]}) as provider:
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2] and partials(yacht) == []


# What goes wrong

SESSIONS = {
    "wrong password": ({"AUTHENTICATE": "{tag} NO [AUTHENTICATIONFAILED] Wrong\r\n"}, PERMANENT, "login was refused"),
    "login not now": ({"AUTHENTICATE": "{tag} NO [UNAVAILABLE] Later\r\n"}, TEMPORARY, "login was refused"),
    "no such folder": ({"SELECT": "{tag} NO [NONEXISTENT] What?\r\n"}, PERMANENT, "no folder INBOX"),
    "texts are refused": ({"UID FETCH": "{tag} NO [SERVERBUG] Disk\r\n"}, TEMPORARY, "Disk"),
    "nonsense": ({"SELECT": "a99 OK done\r\n"}, TEMPORARY, "the server answers a command that was not given"),
}


@pytest.mark.parametrize("answers, kind, words", SESSIONS.values(), ids=SESSIONS)
def test_a_session_that_fails(yacht, answers, kind, words):
    yacht.line = Impatient()
    with ImapProvider(texts(1, 2), answers=answers) as provider:
        (found, text), = pull(yacht, provider).failures
        assert found == kind and words in text
        assert yacht.box("captain") == [] and provider.uids == [1, 2]
        provider.options.clear()
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2] and provider.uids == []


def test_one_message_that_is_not_sent(yacht):
    def fetch(server, tag, arguments):
        items = arguments.partition(" ")[2]
        said = [server.fetched(mail, items) for mail in server.mails if mail.uid != 2]
        return b"".join([*said, b"* 2 FETCH (UID 2 RFC822.SIZE 25 BODY[]<0> NIL)\r\n", f"{tag} OK done\r\n".encode()])
    with ImapProvider(texts(1, 2, 3), answers={"UID FETCH": fetch}) as provider:
        result = pull(yacht, provider)
        assert (result.done, result.kept) == (2, 1) and [kind for kind, _ in result.failures] == [TEMPORARY]
        assert subjects(yacht) == [1, 3] and provider.uids == [2]
        provider.options.clear()
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2, 3] and provider.uids == []


def test_a_later_call_asks_for_nothing_that_is_known(yacht):
    with ImapProvider(texts(1), greeting="* OK ready\r\n", announce=False) as provider:
        pull(yacht, provider, after="keep")
        provider.settle()
        assert provider.commands.count("CAPABILITY") == 2
        provider.commands.clear()
        pull(yacht, provider, after="keep")
    verbs = [command.split()[0] for command in provider.commands]
    assert verbs == ["AUTHENTICATE", "COMPRESS", "SELECT", "UID", "LOGOUT"]


# A server that does not bear COMPRESS behind the login

def forgetful(server, tag, _arguments):
    """An answer to the login of a server that drops what stands behind it."""
    server._input = b""
    return server._authenticate(tag, _arguments)


class Attentive(ImapProvider):
    """Notes which commands come together, as long as they come in the clear."""

    flights = ()

    def receive(self):
        super().receive()
        verbs = [line.split(b" ")[1].decode() for line in self._input.split(b"\r\n") if line[:1] == b"a"]
        self.flights = [*self.flights, verbs]

    def login(self):
        """The verbs of the flight with the login, and of the next one."""
        flights, self.flights = self.flights, ()
        return flights[:2]


EARLY, LATE = ["AUTHENTICATE", "COMPRESS"], [["AUTHENTICATE"], ["COMPRESS"]]


def test_a_server_that_falls_silent_over_compress_behind_the_login(yacht, monkeypatch):
    yacht.line = Impatient()
    with Attentive(texts(1)) as provider:
        assert pull(yacht, provider).failures == [] and provider.login() == LATE
        provider.put(texts(2))
        provider.options["answers"] = {"AUTHENTICATE": forgetful}
        (kind, text), = pull(yacht, provider).failures
        assert kind == TEMPORARY and "nothing came for 0.3 s" in text and provider.login() == [EARLY]
        assert any(" quirk " in line and "COMPRESS" in line for line in yacht.log)
        assert pull(yacht, provider).failures == [] and provider.login() == LATE
        assert subjects(yacht) == [1, 2] and provider.uids == []
        now = time.time()
        for later, expected in (86000, LATE[0]), (86800, EARLY):
            monkeypatch.setattr(time, "time", lambda later=later: now + later)
            pull(yacht, provider)
            assert provider.login()[0] == expected


def test_silence_before_the_login_is_no_quirk(yacht):
    yacht.line = Impatient()
    with Attentive(texts(1)) as provider:
        pull(yacht, provider)
        say, provider._say = provider._say, lambda data: None
        assert len(pull(yacht, provider).failures) == 1
        assert not any(" quirk " in line for line in yacht.log)
        provider._say = say
        provider.login()
        assert pull(yacht, provider).failures == [] and provider.login()[0] == EARLY


def test_a_server_that_takes_compress_for_a_part_of_the_login(yacht, monkeypatch):
    """It offers SASL-IR, and asks for the response all the same.  It must not refuse every second call."""
    asked = []          # the tag of an AUTHENTICATE whose response is the next line
    usual = ImapServer._command

    def command(server, line):
        if asked:
            return asked.pop() + (" BAD not base64\r\n" if " " in line else " OK welcome\r\n")
        if " AUTHENTICATE " in line:
            asked.append(line.split()[0])
            return "+ \r\n"
        return "" if " " not in line else usual(server, line)
    monkeypatch.setattr(ImapServer, "_command", command)
    with ImapProvider(texts(1)) as provider:
        assert [len(pull(yacht, provider).failures) for _ in range(5)] == [0, 1, 0, 0, 0]
    assert subjects(yacht) == [1] and provider.uids == []


@pytest.mark.parametrize("verb", ["SELECT", "UID FETCH", "UID STORE"])
def test_silence_later_on_is_no_quirk(yacht, verb):
    yacht.line = Impatient()
    with Attentive(texts(1)) as provider:
        assert pull(yacht, provider).failures == []
        provider.put(texts(2))
        provider.options["answers"] = {verb: ""}
        assert len(pull(yacht, provider).failures) == 1
        assert not any(" quirk " in line for line in yacht.log)
        provider.options.clear()
        provider.login()
        assert pull(yacht, provider).failures == [] and provider.login()[0] == EARLY
    assert subjects(yacht) == [1, 2] and provider.uids == []


# Room on the disk

def test_the_rest_of_a_message_for_which_there_is_no_room_is_left_there(yacht, monkeypatch):
    whole = {1: texts(1)[1], 2: large(2, 300_000), 3: large(3, 100_000)}
    octets = len(whole[2])
    with ImapProvider(whole, capabilities=PLAIN) as provider:
        monkeypatch.setattr(type(yacht.spool), "free", lambda self: 200_000)
        for call in range(2):
            result = pull(yacht, provider)
            assert result.failures == [(PERMANENT, f"account owner: {NO_ROOM}")]
            assert any(f" no-room account=owner messages=1 octets={octets} room=200000" in line for line in yacht.log)
            assert (result.done, result.kept) == ((2, 1), (0, 1))[call]
            assert subjects(yacht) == [1, 3] and provider.uids == [2] and partials(yacht) == ["17.2"]
        monkeypatch.undo()
        assert pull(yacht, provider).failures == []
        assert provider.sent < octets - 65_000
    assert sum(command.startswith("UID FETCH 2 ") for command in provider.commands) == 1
    assert arrived(yacht) == sorted(whole.values()) and provider.uids == [] and partials(yacht) == []
    assert any(" goes-on " in line and "uid=2 at=65536" in line for line in yacht.log)


def test_on_a_full_disk_nothing_is_fetched(yacht, monkeypatch):
    """What comes before it is known how large a message is would come in each call, and could not be kept."""
    with ImapProvider(texts(1), capabilities=PLAIN) as provider:
        for room, sessions in (0, 0), (2 * 65536 - 1, 0), (2 * 65536, 1):
            monkeypatch.setattr(type(yacht.spool), "free", lambda self, room=room: room)
            result = pull(yacht, provider)
            assert provider.sessions == sessions
            if not sessions:
                assert result.failures == [(PERMANENT, f"account owner: {NO_ROOM}")]
                assert (result.done, result.sent, result.received) == (0, 0, 0)
        assert result.failures == [] and result.done == 1
    assert subjects(yacht) == [1] and provider.uids == []


def test_a_message_is_copied_when_it_is_whole_and_needs_its_room_twice(yacht, monkeypatch):
    text = large(1, 200_000)
    with ImapProvider({1: text}, capabilities=PLAIN) as provider:
        for room, fits in (2 * len(text) - 65_537, False), (2 * len(text) - 65_536, True):
            monkeypatch.setattr(type(yacht.spool), "free", lambda self, room=room: room)
            assert (pull(yacht, provider).failures == []) == fits
    assert arrived(yacht) == [text]


# Order

def marked(number, octets, field=b""):
    head, _, body = large(number, octets).partition(b"\r\n\r\n")
    return head + b"\r\n" + field + b"\r\n" + body


def test_the_rest_of_what_is_urgent_comes_first_and_then_that_of_what_is_small(yacht):
    whole = {1: marked(1, 300_000), 2: marked(2, 100_000), 3: marked(3, 200_000, b"X-Priority: 1 (Highest)\r\n"),
             4: marked(4, 150_000, b"Importance: High\r\n")}
    with ImapProvider(whole, capabilities=PLAIN) as provider:
        assert pull(yacht, provider).failures == []
    rests = [command.split()[2] for command in provider.commands
             if command.startswith("UID FETCH") and "<0." not in command]
    assert rests == ["4", "3", "2", "1"]
    assert arrived(yacht) == sorted(whole.values())

"""The pull: what the provider has is fetched once, into the right box, and is deleted there only as mail.cfg says."""

import os
import time

import pytest

from amsmail.transport.inbound import NO_ROOM
from amsmail.transport.result import PERMANENT, TEMPORARY
from tests.mailcheck.peers import CUT, Provider
from tests.mailcheck.silence import drop_what_is_behind, fall_silent
from tests.mailcheck.sites import Impatient, Shore, Site, account, without_trace


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def pull(yacht, provider, **settings):
    yacht.configure(accounts=account(provider.port, **settings))
    return yacht.pull()


ABLE = ["USER", "UIDL", "PIPELINING"]


def messages(*numbers):
    return [(f"uid{n}", b"Subject: %d\r\n\r\nHello.\r\n" % n) for n in numbers]


def subjects(yacht, box="captain"):
    """The numbers in the subjects of a box, each with how many there are."""
    return sorted(int(text.partition(b"Subject: ")[2].split()[0]) for text in yacht.box(box))


def uids(provider):
    return [uid for uid, _ in provider.messages]


# What stays at the provider

def test_from_an_amsmail_site(tmp_path, yacht):
    with Shore(tmp_path / "shore", "pop3") as shore:
        texts = [b"Subject: %d\n\n.dots\n..\n.\n" % n for n in range(20)]
        for text in texts:
            shore.put("yacht", text)
        yacht.configure(accounts=account(shore.ports["pop3"]))
        result = yacht.pull()
        assert (result.done, result.kept, result.failures) == (20, 0, [])
        assert result.octets == sum(len(t) + t.count(b"\n") for t in texts) < result.received
        assert yacht.bodies("captain") == sorted(texts)
        assert shore.box("yacht") == []
        assert yacht.pull().done == 0 and len(yacht.box("captain")) == 20


def test_delete(yacht):
    with Provider(messages(1, 2)) as provider:
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2] and provider.messages == []


def test_keep(yacht):
    with Provider(messages(1, 2)) as provider:
        assert pull(yacht, provider, after="keep").done == 2
        provider.messages += messages(3)
        assert pull(yacht, provider, after="keep").done == 1
    assert subjects(yacht) == [1, 2, 3] and len(provider.messages) == 3
    assert provider.retrieved == ["uid1", "uid2", "uid3"]


def test_keep_for_days(yacht, monkeypatch):
    begin, left = time.time(), []
    with Provider(messages(1)) as provider:
        for day in (0, 1, 2, 2.9, 3.1):
            monkeypatch.setattr(time, "time", lambda: begin + day * 86400)
            pull(yacht, provider, after="keep 3 days")
            left.append(len(provider.messages))
            provider.messages += messages(2) if day == 2 else []
    assert left == [1, 1, 1, 2, 1]
    assert uids(provider) == ["uid2"] and subjects(yacht) == [1, 2]


def test_from_keep_to_delete(yacht):
    with Provider(messages(1, 2)) as provider:
        pull(yacht, provider, after="keep")
        provider.messages += messages(3)
        pull(yacht, provider, after="delete")
    assert provider.messages == [] and subjects(yacht) == [1, 2, 3]
    assert provider.retrieved == ["uid1", "uid2", "uid3"]


def test_a_clock_that_went_back_keeps_nothing(yacht, monkeypatch):
    with Provider(messages(1)) as provider:
        pull(yacht, provider, after="keep")
        now = time.time()
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: now - 1e7)
            pull(yacht, provider, after="delete")
    assert provider.messages == [] and subjects(yacht) == [1]


BACKLOGS = {"all": [1, 2, 3, 4], "none": [], "newest 1": [4], "newest 3": [2, 3, 4], "newest 9": [1, 2, 3, 4]}


@pytest.mark.parametrize("after", ["delete", "keep", "keep 1 days"])
@pytest.mark.parametrize("backlog, fetched", BACKLOGS.items(), ids=BACKLOGS)
def test_the_first_call(yacht, backlog, fetched, after, monkeypatch):
    passed_over = [f"uid{n}" for n in range(1, 5) if n not in fetched]
    with Provider(messages(1, 2, 3, 4)) as provider:
        pull(yacht, provider, backlog=backlog, after=after)
        assert subjects(yacht) == fetched
        provider.messages += messages(5)
        later = time.time() + 1e7
        monkeypatch.setattr(time, "time", lambda: later)
        pull(yacht, provider, backlog=backlog, after=after)
        assert subjects(yacht) == [*fetched, 5]
        pull(yacht, provider, backlog="all", after="delete")       # what was passed over is nobody's to delete
    assert uids(provider) == passed_over and subjects(yacht) == [*fetched, 5]


def test_a_first_call_with_nothing_there_was_the_first(yacht):
    with Provider([]) as provider:
        pull(yacht, provider, backlog="none")
        provider.messages += messages(1)
        pull(yacht, provider, backlog="none")
    assert subjects(yacht) == [1]


def test_a_uid_that_came_back_after_it_was_gone_is_a_new_message(yacht):
    with Provider(messages(1)) as provider:
        pull(yacht, provider)
        pull(yacht, provider)
        provider.messages = [("uid1", b"Subject: 2\r\n\r\n")]
        pull(yacht, provider)
    assert subjects(yacht) == [1, 2]


def test_uids_outside_ascii_are_told_apart(yacht):
    strange = [(uid.decode("utf-8", "surrogateescape"), text)
               for uid, (_, text) in zip((b"\xff", b"\xfe"), messages(1, 2))]
    with Provider(strange[:1]) as provider:
        pull(yacht, provider, after="keep")
        provider.messages = strange
        pull(yacht, provider, after="keep")
    assert subjects(yacht) == [1, 2]


def test_the_smallest_comes_first(yacht):
    sizes = {1: 900, 2: 10, 3: 400}
    with Provider([(f"uid{n}", b"x" * size + b"\r\n") for n, size in sizes.items()]) as provider:
        pull(yacht, provider)
    assert provider.retrieved == ["uid2", "uid3", "uid1"]


# Without UIDL

def test_without_uidl(yacht):
    with Provider(messages(1, 2), uidl=False) as provider:
        result = pull(yacht, provider)
    assert result.failures == [] and subjects(yacht) == [1, 2] and provider.messages == []
    assert any("no-uidl" in line for line in yacht.log)


@pytest.mark.parametrize("settings", [{"after": "keep"}, {"after": "keep 3 days"}, {"backlog": "none"},
                                      {"backlog": "newest 1"}], ids=str)
def test_what_cannot_work_without_uidl(yacht, settings):
    with Provider(messages(1, 2), uidl=False) as provider:
        (kind, text), = pull(yacht, provider, **settings).failures
    assert kind == PERMANENT and "UIDL" in text
    assert provider.retrieved == [] and len(provider.messages) == 2


# What lands on disk: (as sent by the provider, as stored, whether it is logged)
FORMS = {
    "plain": (b"Subject: x\r\n\r\nHello.\r\n", b"Subject: x\n\nHello.\n", False),
    "dots": (b".\r\n..\r\n.x\r\n", b".\n..\n.x\n", False),
    "a bare LF becomes a line end": (b"Subject: x\r\n\r\none\ntwo\r\n", b"Subject: x\n\none\ntwo\n", True),
    "only bare LF": (b"Subject: x\n\none\n.two\n\r\n", b"Subject: x\n\none\n.two\n\n", True),
    "a bare CR is kept": (b"Subject: x\r\n\r\none\rtwo\r\n", b"Subject: x\n\none\rtwo\n", True),
    "CR CR LF": (b"one\r\r\ntwo\r\n", b"one\r\ntwo\n", True),
    "NUL": (b"Subject: x\r\n\r\n\0\r\n", b"Subject: x\n\n\0\n", False),
    "8 bit": (b"Subject: \xff\r\n\r\n\xe6\xf8\r\n", b"Subject: \xff\n\n\xe6\xf8\n", False),
    "a huge line": (b"x" * 300_000 + b"\r\n", b"x" * 300_000 + b"\n", False),
    "a huge header": (b"X: y\r\n" * 60_000 + b"\r\nbody\r\n", b"X: y\n" * 60_000 + b"\nbody\n", False),
    "empty": (b"", b"", False),
    "a blank line": (b"\r\n", b"\n", False),
    "a header only": (b"Subject: x\r\n", b"Subject: x\n", False),
    "a header and its blank line": (b"Subject: x\r\n\r\n", b"Subject: x\n\n", False),
    "no last line end": (b"Subject: x\r\n\r\nend", b"Subject: x\n\nend\n", False),
    "a dot in the middle that ends nothing": (b"a\r\n\r\n\n.\n\r\nb\r\n", b"a\n\n\n.\n\nb\n", True),
}


@pytest.mark.parametrize("way", [{}, {"envelope": "Delivered-To"}], ids=["one box", "by envelope"])
@pytest.mark.parametrize("sent, stored, logged", FORMS.values(), ids=FORMS)
def test_what_lands_on_disk(yacht, sent, stored, logged, way):
    with Provider([("a", sent)]) as provider:
        assert pull(yacht, provider, **way).failures == []
    assert provider.messages == []
    text, = yacht.box("captain")
    assert without_trace(text) == stored
    assert text.startswith(b"Received: from 127.0.0.1 (account owner)\n\tby yacht.example with POP3 id ")
    assert any("bare-line-ends" in line for line in yacht.log) == logged
    entry, = yacht.spool.box("captain").list()
    assert f",S={len(text)},W={len(text) + text.count(b'%c' % 10)}" in entry.path and entry.size is not None


# A whole domain in one account: (envelope, prefix, header, whose box)
ENVELOPES = {
    "Delivered-To": ("Delivered-To", "", "Delivered-To: cook@yacht.example", "cook"),
    "X-Original-To": ("X-Original-To", "", "X-Original-To: cook@yacht.example", "cook"),
    "Envelope-To": ("Envelope-To", "", "Envelope-To: <cook@yacht.example>", "cook"),
    "Received": ("Received", "", "Received: from a by b with SMTP\r\n\tid 1 for <cook@yacht.example>; today", "cook"),
    "Received, no brackets": ("Received", "", "Received: from a by b for cook@yacht.example; today", "cook"),
    "the second Received": (
        "Received", "", "Received: from b by c; now\r\nReceived: from a by b for <cook@yacht.example>; now", "cook"),
    "case does not matter": ("Delivered-To", "", "DELIVERED-TO: Cook@Yacht.Example", "cook"),
    "folded": ("Delivered-To", "", "Delivered-To:\r\n cook@yacht.example", "cook"),
    "a prefix": ("Delivered-To", "mbox-", "Delivered-To: mbox-cook@yacht.example", "cook"),
    "a prefix that is not there": ("Delivered-To", "mbox-", "Delivered-To: cook@yacht.example", "cook"),
    "the topmost counts": (
        "Delivered-To", "", "Delivered-To: cook@yacht.example\r\nDelivered-To: captain@yacht.example", "cook"),
    "behind other fields": ("Delivered-To", "", "X: y\r\n z\r\nDelivered-To: cook@yacht.example\r\nA: b", "cook"),
    "after 64 kB": ("Delivered-To", "", "X: y\r\n" * 20_000 + "Delivered-To: cook@yacht.example", "cook"),
    "bare LF": ("Delivered-To", "", "X: y\nDelivered-To: cook@yacht.example\nA: b", "cook"),
    "unknown box": ("Delivered-To", "", "Delivered-To: nobody@yacht.example", "captain"),
    "another domain": ("Delivered-To", "", "Delivered-To: cook@far.example", "captain"),
    "no address": ("Delivered-To", "", "Delivered-To: cook and others", "captain"),
    "empty": ("Delivered-To", "", "Delivered-To:", "captain"),
    "missing": ("Delivered-To", "", "To: cook@yacht.example", "captain"),
    "in the body only": ("Delivered-To", "", "X: y\r\n\r\nDelivered-To: cook@yacht.example", "captain"),
    "in the body only, bare LF": ("Delivered-To", "", "X: y\n\nDelivered-To: cook@yacht.example", "captain"),
    "in the body, no header": ("Delivered-To", "", "\r\nDelivered-To: cook@yacht.example", "captain"),
}


@pytest.mark.parametrize("envelope, prefix, header, box", ENVELOPES.values(), ids=ENVELOPES)
def test_a_whole_domain_in_one_account(yacht, envelope, prefix, header, box):
    yacht.configure(relay={"host": "relay.example"})       # and yet nothing of it is relayed
    text = header.encode() + b"\r\n\r\nHello.\r\n"
    with Provider([("a", text)]) as provider:
        assert pull(yacht, provider, envelope=envelope, envelope_prefix=prefix).failures == []
    assert provider.messages == []
    assert yacht.bodies(box) == [text.replace(b"\r\n", b"\n")]
    assert yacht.box("cook" if box == "captain" else "captain") == [] and yacht.queued() == []


# What goes wrong

def test_one_message_that_is_not_sent(yacht):
    with Provider(messages(1, 2, 3), replies={"RETR 2": "-ERR gone"}) as provider:
        result = pull(yacht, provider)
        assert [kind for kind, _ in result.failures] == [TEMPORARY]
        assert (result.done, result.kept) == (2, 1)
        assert subjects(yacht) == [1, 3] and uids(provider) == ["uid2"]
        provider.replies.clear()
        pull(yacht, provider)
    assert subjects(yacht) == [1, 2, 3]


# Replies that end a session before anything is fetched: by command, whether for good
SESSIONS = {
    "greeting": ("greeting", "-ERR Go away", TEMPORARY),
    "[SYS/TEMP] greeting": ("greeting", "-ERR [SYS/TEMP] Later", TEMPORARY),
    "wrong password": ("PASS", "-ERR Wrong", PERMANENT),
    "[AUTH]": ("PASS", "-ERR [AUTH] Wrong", PERMANENT),
    "[IN-USE]": ("PASS", "-ERR [IN-USE] Locked", TEMPORARY),
    "[SYS/TEMP]": ("PASS", "-ERR [SYS/TEMP] Disk", TEMPORARY),
    "[LOGIN-DELAY]": ("PASS", "-ERR [LOGIN-DELAY] Wait", TEMPORARY),
    "[in-use] in small letters": ("PASS", "-ERR [in-use] Locked", TEMPORARY),
    "no such user": ("USER", "-ERR Who?", PERMANENT),
    "no LIST": ("LIST", "-ERR What?", TEMPORARY),
    "LIST and UIDL disagree": ("LIST", "+OK\n1 10\n.", TEMPORARY),
    "UIDL has one less": ("UIDL", "+OK\n1 uid1\n.", TEMPORARY),
    "UIDL has other numbers": ("UIDL", "+OK\n1 uid1\n3 uid2\n.", TEMPORARY),
    "LIST with a size that is none": ("LIST", "+OK\n1 10\n2 x\n.", TEMPORARY),
    "LIST with nonsense": ("LIST", "+OK\nnonsense\n.", TEMPORARY),
    "no POP3 at all": ("greeting", "220 smtp.example", TEMPORARY),
    "an endless line": ("greeting", "+OK " + "x" * 100_000, TEMPORARY),
}


@pytest.mark.parametrize("command, reply, kind", SESSIONS.values(), ids=SESSIONS)
def test_a_session_that_fails(yacht, command, reply, kind):
    with Provider(messages(1, 2), replies={command: reply}) as provider:
        result = pull(yacht, provider)
    assert [k for k, _ in result.failures] == [kind], result.failures
    assert yacht.box("captain") == [] and len(provider.messages) == 2 and provider.retrieved == []


# The replies of a whole session with two messages, in order.
REPLIES = ["greeting", "CAPA", "USER", "PASS", "UIDL", "LIST", "RETR 1", "RETR 2", "DELE 1", "DELE 2", "QUIT"]


@pytest.mark.parametrize("capabilities", [ABLE, []], ids=["pipelined", "in lock-step"])
@pytest.mark.parametrize("instead", [CUT, "-ERR [SYS/TEMP] Later", "Hello?"], ids=["cut", "-ERR", "garbage"])
@pytest.mark.parametrize("number", range(1, len(REPLIES) + 1), ids=REPLIES)
def test_trouble_at_each_reply(yacht, number, instead, capabilities):
    """Nothing partial is seen, and the next run has every message exactly once."""
    with Provider(messages(1, 2), at={number: instead}, capabilities=capabilities) as provider:
        result = pull(yacht, provider)
        assert provider.count >= number
        done_without = REPLIES[number - 1] in ("CAPA", "UIDL") and str(instead).startswith("-ERR")
        assert bool(result.failures) != done_without
        before = len(yacht.box("captain"))
        assert subjects(yacht) == sorted(set(subjects(yacht)))
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2] and before <= 2
    assert provider.messages == []
    assert provider.retrieved.count("uid1") <= 1 + (REPLIES[number - 1] == "RETR 1")
    assert provider.retrieved.count("uid2") <= 1 + (REPLIES[number - 1] in ("RETR 1", "RETR 2"))


@pytest.mark.parametrize("octets", [0, 5, 1000, 100_000])
def test_a_cut_in_a_body(yacht, octets):
    large = b"Subject: 2\r\n\r\n" + b"A line of text.\r\n" * 10_000
    with Provider([*messages(1), ("uid2", large)], cut_in_body=octets, cut_message=2) as provider:
        (kind, _), = pull(yacht, provider).failures
        assert kind == TEMPORARY and subjects(yacht) == [1]
        assert os.listdir(os.path.join(yacht.spool.box("captain").path, "tmp")) == []
        provider.cut_in_body = None
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2] and provider.messages == []
    assert large.replace(b"\r\n", b"\n") in map(without_trace, yacht.box("captain"))
    assert provider.retrieved == ["uid1", "uid2", "uid2"]


def test_a_silent_provider_is_given_up(yacht):
    yacht.line = Impatient()
    with Provider(messages(1)) as provider:
        provider.reply = lambda *_: time.sleep(0.5) or provider.cut()
        (kind, text), = pull(yacht, provider).failures
    assert kind == TEMPORARY and "0.3 s" in text


# What is known of a provider

def commands(provider):
    """The verbs of what was said since the last time."""
    said = provider.said[:]
    provider.said.clear()
    return [line.partition(" ")[0] for line in said]


LOGIN = ["USER", "PASS", "UIDL", "LIST"]


@pytest.mark.parametrize("capabilities", [ABLE, ["USER", "UIDL"], None], ids=["pipelining", "lock-step", "no CAPA"])
def test_capabilities_are_asked_for_once(yacht, capabilities):
    with Provider(messages(1), capabilities=capabilities) as provider:
        pull(yacht, provider)
        assert commands(provider) == ["CAPA", *LOGIN, "RETR", "DELE", "QUIT"]
        provider.messages += messages(2)
        pull(yacht, provider)
        assert commands(provider) == [*LOGIN, "RETR", "DELE", "QUIT"]
    assert subjects(yacht) == [1, 2]


@pytest.mark.parametrize("command, reply", [("PASS", "-ERR [IN-USE] Locked"), ("PASS", CUT), ("LIST", "-ERR What?"),
                                            ("RETR 1", CUT), ("QUIT", "-ERR no")])
def test_capabilities_are_asked_for_anew_after_a_failure(yacht, command, reply):
    with Provider(messages(1), capabilities=ABLE) as provider:
        pull(yacht, provider)
        provider.messages += messages(2)
        provider.replies = {command: reply}
        pull(yacht, provider)
        provider.replies = {}
        commands(provider)
        pull(yacht, provider)
        assert "CAPA" in commands(provider)
    assert subjects(yacht) == [1, 2] and provider.messages == []


def test_capabilities_of_one_server_are_not_those_of_another(yacht):
    for number in (1, 2):
        with Provider(messages(number), capabilities=ABLE) as provider:
            pull(yacht, provider)
            assert commands(provider)[0] == "CAPA"
    assert subjects(yacht) == [1, 2]


def test_an_account_without_user_logs_in_with_auth(yacht):
    with Provider(messages(1), capabilities=["SASL PLAIN", "UIDL", "PIPELINING"]) as provider:
        pull(yacht, provider)
        assert commands(provider) == ["CAPA", "AUTH", "UIDL", "LIST", "RETR", "DELE", "QUIT"]
    assert subjects(yacht) == [1]


# Servers that offer PIPELINING and drop what they did not expect

def quirks(yacht):
    """The keywords of the quirks that were found since the last time."""
    found = [line.partition("keyword=")[2].split()[0] for line in yacht.log if " quirk " in line]
    yacht.log.clear()
    return found


@pytest.fixture
def impatient(yacht):
    yacht.line = Impatient()
    return yacht


def test_a_server_that_drops_what_is_behind_the_login(impatient, monkeypatch):
    with Provider(messages(1, 2, 3), capabilities=ABLE) as provider:
        dropped = drop_what_is_behind(provider, "PASS")
        (kind, text), = pull(impatient, provider).failures
        assert kind == TEMPORARY and "nothing came for 0.3 s" in text and dropped == [b"UIDL\r\nLIST\r\n"]
        assert quirks(impatient) == ["behind-login"] and commands(provider) == ["CAPA", "USER", "PASS"]
        del provider.reply

        dropped += drop_what_is_behind(provider, "PASS", "RETR 1")
        pull(impatient, provider)       # falls silent behind RETR 1, of which it drops what stands behind
        assert commands(provider) == [*LOGIN, "RETR"] and quirks(impatient) == []
        del provider.reply

        dropped = drop_what_is_behind(provider, "PASS")
        assert pull(impatient, provider).failures == []
        assert dropped == [b""] and quirks(impatient) == []
        assert subjects(impatient) == [1, 2, 3] and provider.messages == []

        del provider.reply
        behind = drop_what_is_behind(provider, "PASS")
        now = time.time()
        for later, expected in (86000, b""), (86800, b"UIDL\r\nLIST\r\n"):
            monkeypatch.setattr(time, "time", lambda later=later: now + later)
            pull(impatient, provider)
            assert behind.pop() == expected


def test_who_calls_once_a_day_gets_over_a_server_that_drops_too(impatient, monkeypatch):
    """The second time it is remembered for so long that the next call still knows it."""
    now, found = time.time(), []
    with Provider(messages(1), capabilities=ABLE) as provider:
        drop_what_is_behind(provider, "PASS")
        for day in range(4):
            monkeypatch.setattr(time, "time", lambda day=day: now + day * 90000)
            found.append((pull(impatient, provider).done, quirks(impatient)))
    assert found == [(0, ["behind-login"]), (0, ["behind-login"]), (1, []), (0, [])]
    assert subjects(impatient) == [1] and provider.messages == []


def test_behind_the_login_pipelining_is_still_used(impatient):
    with Provider(messages(1, 2, 3), capabilities=ABLE) as provider:
        drop_what_is_behind(provider, "PASS")
        pull(impatient, provider)
        del provider.reply
        usual, waiting = provider.reply, {}
        provider.reply = lambda command, *text: waiting.update({command: provider._input}) or usual(command, *text)
        assert pull(impatient, provider).failures == []
    assert waiting["USER yacht"] == b"PASS secret\r\n" and waiting["PASS secret"] == b""
    assert waiting["UIDL"] == b"LIST\r\n" and waiting["RETR 1"] == b"RETR 2\r\nRETR 3\r\n"


def test_a_server_that_drops_even_so_is_spared_pipelining(impatient):
    with Provider(messages(1, 2, 3), capabilities=ABLE) as provider:
        drop_what_is_behind(provider, "PASS", "UIDL")
        found = []
        for _ in range(3):
            result = pull(impatient, provider)
            found.append(quirks(impatient))
        assert found == [["behind-login"], ["PIPELINING"], []] and result.failures == []
    assert subjects(impatient) == [1, 2, 3] and provider.messages == []


def test_a_server_that_drops_all_that_it_did_not_wait_for_is_spared_pipelining(impatient):
    with Provider(messages(1, 2, 3), capabilities=ABLE) as provider:
        drop_what_is_behind(provider, "")
        assert len(pull(impatient, provider).failures) == 1
        assert quirks(impatient) == ["PIPELINING"]
        assert pull(impatient, provider).failures == []
    assert subjects(impatient) == [1, 2, 3] and provider.messages == []


@pytest.mark.parametrize("command", ["greeting", "CAPA", "RETR 1", "RETR 2", "DELE"])
def test_silence_that_is_not_about_a_flight_with_the_login_is_no_quirk(impatient, command):
    with Provider(messages(1, 2), capabilities=ABLE) as provider:
        fall_silent(provider, command)
        assert len(pull(impatient, provider).failures) == 1
        assert quirks(impatient) == []
        del provider.reply
        assert pull(impatient, provider).failures == []
    assert subjects(impatient) == [1, 2] and provider.messages == []


# Room on the disk

def test_what_does_not_fit_on_the_disk_is_not_asked_for(yacht, monkeypatch):
    sizes = {1: 5000, 2: 100, 3: 900, 4: 300}
    texts = [(f"uid{n}", b"Subject: %d\r\n\r\n" % n + b"x" * size + b"\r\n") for n, size in sizes.items()]
    with Provider(texts, capabilities=ABLE) as provider:
        monkeypatch.setattr(type(yacht.spool), "free", lambda self: 1000)
        result = pull(yacht, provider)
        assert result.failures == [(PERMANENT, f"account owner: {NO_ROOM}")]
        assert any(" no-room account=owner messages=2 octets=5932 room=1000" in line for line in yacht.log), yacht.log
        assert (result.done, result.kept) == (2, 2) and subjects(yacht) == [2, 4]
        assert provider.retrieved == ["uid2", "uid4"] and uids(provider) == ["uid1", "uid3"]
        monkeypatch.undo()
        assert pull(yacht, provider).failures == []
    assert subjects(yacht) == [1, 2, 3, 4] and provider.messages == []


def test_room_that_cannot_be_measured_fetches_nothing(yacht, monkeypatch):
    def free(_self):
        raise OSError(5, "Input/output error")
    with Provider(messages(1)) as provider:
        monkeypatch.setattr(type(yacht.spool), "free", free)
        ((kind, text),) = pull(yacht, provider).failures
    assert kind == TEMPORARY and "the disk failed" in text and provider.retrieved == []

"""The IMAP client's engine: what it says and fetches, how often it waits, and servers that misbehave."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsmail.protocol import imap_events as imap
from amsmail.protocol.engine import Closed, Misuse, StartTls
from amsmail.protocol.imap_client import ImapClient

from .drive import events_of, talk
from .imap_server import CAPABILITIES, ImapServer, Mail

_SMALL = imap.Options(begin=100, spare=80)      # so that what is large is small


def _text(uid, octets):
    """A text of so many octets that is like no other at any place."""
    return b"".join(b"%d.%d " % (uid, n) for n in range(octets // 3 + 1))[:octets]


class Program:
    """What a program does with the events, over as many sessions as it takes."""

    def __init__(self, options=_SMALL, first=1, safe=True):
        self.options, self.safe = options, safe
        self.known, self.ahead = imap.Known(), imap.Take(None if first == 1 else 17, first)
        self.begun, self.whole = {}, []         # {UID: octets}, [(UID, octets)]
        self.gone, self.deleted, self.events = [], [], []
        self.waits = 0
        self.engine = None

    def session(self, server, cut=None, step=1 << 16, starttls=False):
        """Talks to the server until the end, or until `cut` octets of what the server says came, `step` at a time."""
        engine = self.engine = ImapClient("owner", "secret", starttls, self.options, self.known, self.ahead)
        self.events, self.waits = [], 0
        said, heard = server.greeting, 0
        while not (self.events and isinstance(self.events[-1], Closed)):
            ends = b"" if cut is not None and heard >= cut else said[:step if cut is None else min(step, cut - heard)]
            engine.receive(ends)
            said, heard = said[len(ends):], heard + len(ends)
            for event in events_of(engine, self.answer):
                self.events.append(event)
                self.answer(event) if not event.asks else None
            self.waits += not said
            said += server.receive(engine.output())
        self._end(engine)
        return self

    def answer(self, event):
        if isinstance(event, imap.Ready):
            self.known = event.known
        elif isinstance(event, imap.Choose):
            return imap.Take(event.folder.uidvalidity)
        elif isinstance(event, (imap.MessageBegins, imap.MessageDiffers, imap.Gone)):
            self.begun[event.uid] = b""
        elif isinstance(event, imap.MessageData):
            assert event.offset == len(self.begun[event.uid])
            self.begun[event.uid] += event.data
        elif isinstance(event, imap.MessageEnds):
            assert event.octets == len(self.begun[event.uid])
            self.whole.append((event.uid, self.begun.pop(event.uid)))
            return self.safe
        elif isinstance(event, imap.Deleted):
            self.deleted += event.uids
        return True

    def _end(self, engine):
        """Notes what the next session must know."""
        unfinished = engine.unfinished()
        if unfinished is not None:
            have = [uid for uid, _ in self.whole]
            self.ahead = imap.Take(17, 1, without=have, resume=unfinished,
                                   delete=[uid for uid in have if uid not in self.deleted])
            for uid, partial in unfinished.items():
                assert len(self.begun[uid]) == partial.offset and self.begun[uid].endswith(partial.tail)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


def _mails(*sizes):
    return [Mail(uid, _text(uid, size)) for uid, size in enumerate(sizes, 7)]


def _fetched(program):
    return sorted(program.whole)


def _expected(mails):
    return [(mail.uid, mail.text) for mail in mails]


_SIZES = (1, 50, 99, 100, 101, 179, 180, 181, 1000, 260)


@pytest.mark.parametrize("step", [1, 7, 1 << 16])
@pytest.mark.parametrize("compress", [False, True])
def test_messages_are_fetched_whole_and_deleted(step, compress):
    mails = _mails(*_SIZES)
    server = ImapServer(list(mails))
    program = Program(_SMALL.but(compress=compress)).session(server, step=step)
    assert program.of(imap.Ready)[0].compressed == compress
    assert _fetched(program) == _expected(mails)
    assert sorted(program.deleted) == [mail.uid for mail in mails]
    assert server.mails == []
    assert server.commands[-1] == "LOGOUT"
    assert program.events[-1] == Closed()
    assert not program.of(imap.SizeDiffers) + program.of(imap.Refused)


def _idle(program, server, octets):
    """How long the line to the client is idle in a session, in round trips, where it carries `octets` in each."""
    engine = ImapClient("owner", "secret", False, program.options, program.known, program.ahead)
    now, idle, coming, closed = 0, 0, [(1, server.greeting)], False
    while not closed:
        ready, said = coming.pop(0)
        idle += max(0, ready - now)
        now = max(now, ready)
        for at in range(0, len(said), 500):
            now += len(said[at:at + 500]) / octets
            engine.receive(said[at:at + 500])
            for event in events_of(engine, program.answer):
                program.answer(event) if not event.asks else None
                closed = isinstance(event, Closed)
            if output := engine.output():
                coming.append((now + 1, server.receive(output)))
    return idle


@pytest.mark.parametrize("large, waits", [(0, 4), (20000, 5)])
def test_the_same_number_of_waits_whatever_the_number_of_messages(large, waits):
    """Greeting, login and compression, fetch, (rest), deletion; to them come TCP's and TLS's own."""
    found = {}
    for count in (1, 10, 100):
        program = Program(imap.Options(begin=1000))
        program.ahead = imap.Take(17, 7)
        program.known = imap.Known(CAPABILITIES.upper(), CAPABILITIES.upper())
        server = ImapServer(_mails(*[500] * count, *[large] * count * bool(large)))
        found[count] = _idle(program, server, 10_000)
        assert len(program.whole) == (2 if large else 1) * count and server.mails == []
    assert all(waits - 0.3 < idle <= waits for idle in found.values()), found


def test_what_is_known_need_not_be_asked():
    server = ImapServer(_mails(10), greeting="* OK ready\r\n", announce=False)
    program = Program().session(server)
    assert server.commands.count("CAPABILITY") == 2
    server = ImapServer(_mails(10), greeting="* OK ready\r\n", announce=False)
    program.session(server)
    assert server.commands.count("CAPABILITY") == 0


_CUT_SIZES = (30, 250, 120, 90, 400)


def test_a_cut_at_every_octet_loses_nothing_and_fetches_nothing_twice():
    whole = Program(_SMALL.but(compress=False))
    server = ImapServer(_mails(*_CUT_SIZES))
    whole.session(server)
    heard = 3000        # more than the server says
    resumed = 0
    for cut in range(1, heard):
        mails = _mails(*_CUT_SIZES)
        folder = list(mails)
        program = Program(_SMALL.but(compress=False)).session(ImapServer(folder), cut)
        if program.events[-1] == Closed():
            break
        # As the connection is cut while the server already did all that it heard, the rest may be deleted.
        resumed += bool(program.ahead.resume)
        program.session(ImapServer(folder))
        assert _fetched(program) == _expected(mails), cut
        assert folder == [], cut
        assert program.events[-1] == Closed(), cut
    else:
        raise AssertionError("no session came to its end")
    assert cut > sum(_CUT_SIZES) and resumed > 500


def test_a_cut_costs_no_octet_twice_but_the_overlap():
    folder = _mails(1000)
    server = ImapServer(folder)
    program = Program(_SMALL.but(compress=False)).session(server, cut=1200)
    (partial,) = program.ahead.resume.values()
    server = ImapServer(folder)
    program.session(server)
    first = next(command for command in server.commands if command.startswith("UID FETCH 7 "))
    assert f"BODY.PEEK[]<{partial.offset - 64}.{1000 - partial.offset + 64 + 80}>" in first
    assert program.of(imap.MessageGoesOn) == [imap.MessageGoesOn(7, partial.offset)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 500), min_size=1, max_size=6), st.lists(st.integers(1, 3000), max_size=4),
       st.integers(1, 200))
def test_any_number_of_cuts(sizes, cuts, step):
    mails = _mails(*sizes)
    folder = list(mails)
    program = Program()
    for cut in cuts:
        program.session(ImapServer(folder), cut, step)
    program.session(ImapServer(folder), None, step)
    assert _fetched(program) == _expected(mails)
    assert folder == []


def test_a_message_that_differs_begins_anew():
    program = Program(_SMALL.but(compress=False)).session(ImapServer(_mails(1000)), cut=1200)
    assert program.ahead.resume
    other = Mail(7, _text(8, 700))
    program.session(ImapServer([other]))
    assert program.of(imap.MessageDiffers) == [imap.MessageDiffers(7)]
    assert program.whole == [(7, other.text)]


@pytest.mark.parametrize("size", [0, 10, 150])
def test_a_message_that_became_shorter_than_what_is_here(size):
    program = Program(_SMALL.but(compress=False)).session(ImapServer(_mails(1000)), cut=1200)
    (partial,) = program.ahead.resume.values()
    assert partial.offset > 150
    other = Mail(7, _text(7, size))
    program.session(ImapServer([other]))
    assert program.whole == ([(7, other.text)] if size else [])
    assert bool(program.of(imap.NotFetched)) == (size == 0)


def test_a_message_that_is_gone_does_not_go_on():
    program = Program(_SMALL.but(compress=False)).session(ImapServer(_mails(1000)), cut=1200)
    program.session(ImapServer([]))
    assert program.of(imap.Gone) == [imap.Gone(7)]
    assert program.ahead.resume == {}


def test_another_uidvalidity_makes_all_uids_mean_nothing():
    program = Program(_SMALL.but(compress=False)).session(ImapServer(_mails(1000)), cut=1200)
    program.ahead = program.ahead.but(delete=(8, 9))
    folder = _mails(30, 40, 50)
    server = ImapServer(list(folder), uidvalidity=18)
    program.begun.clear()
    engine = ImapClient("owner", "secret", False, _SMALL, program.known, program.ahead)
    program.session(server)
    assert program.of(imap.Choose) == [imap.Choose(imap.Folder(18, 10, 3))]
    assert _fetched(program) == _expected(folder)
    assert server.commands[-4].startswith("UID FETCH 1:* ")
    assert engine.unfinished() is None


@pytest.mark.parametrize("said", [0, 1, 99, 100, 5000, 10 ** 19])
@pytest.mark.parametrize("size", [5, 100, 250])
def test_a_size_that_is_wrong_is_not_believed(said, size):
    mails = [Mail(7, _text(7, size), said)]
    program = Program().session(ImapServer(list(mails)))
    assert program.whole == _expected(mails)
    assert program.of(imap.SizeDiffers) == ([imap.SizeDiffers(7, said, size)] if said not in (0, size) else [])


def test_uids_below_the_first_are_ignored():
    def fetch(server, tag, arguments):
        return b"".join(server.fetched(mail, arguments) for mail in server.mails) + f"{tag} OK\r\n".encode()
    program = Program(first=8).session(ImapServer(_mails(10, 20), answers={"UID FETCH": fetch}))
    assert [uid for uid, _ in program.whole] == [8]


def test_a_server_that_takes_no_uid_so_high_is_asked_again():
    def fetch(server, tag, arguments):
        return f"{tag} BAD what\r\n" if "4294967295" in arguments else server._uid_fetch(tag, arguments)
    mails = _mails(10, 20)
    program = Program().session(ImapServer(list(mails), answers={"UID FETCH": fetch}))
    assert _fetched(program) == _expected(mails)


def test_nothing_is_fetched_where_nothing_is_new():
    server = ImapServer(_mails(10))
    program = Program()
    program.ahead = None
    program.answer = lambda event: imap.Take(17, 8) if isinstance(event, imap.Choose) else True
    program.session(server)
    assert not any("FETCH" in command for command in server.commands)
    assert program.of(imap.Covered) == [imap.Covered(8)]


@pytest.mark.parametrize("newest, uids", [(0, []), (2, [8, 9]), (5, [7, 8, 9])])
def test_a_first_call_may_take_only_the_newest(newest, uids):
    program = Program()
    program.ahead = None
    usual = program.answer
    program.answer = lambda event: (imap.Take(17, newest=newest) if isinstance(event, imap.Choose) else usual(event))
    program.session(ImapServer(_mails(1, 2, 3)))
    assert [uid for uid, _ in program.whole] == uids
    assert program.of(imap.Covered) == [imap.Covered(10)]


def test_without_uidplus_messages_are_only_flagged():
    server = ImapServer(_mails(10, 20), CAPABILITIES.replace("UIDPLUS", ""))
    program = Program().session(server)
    assert program.of(imap.Deleted) == [imap.Deleted((7, 8), imap.FLAGGED)]
    assert not any("EXPUNGE" in command for command in server.commands)
    assert all("\\Deleted" in mail.flags for mail in server.mails)


@pytest.mark.parametrize("deletion, last", [(imap.FLAGGED, "UID STORE 7 +FLAGS.SILENT (\\Deleted)"),
                                            (imap.MOVED, 'UID MOVE 7 "Old &- &AOk-"')])
def test_other_kinds_of_deletion(deletion, last):
    server = ImapServer(_mails(10))
    program = Program(_SMALL.but(deletion=deletion, target="Old & é")).session(server)
    assert server.commands[-2:] == [last, "LOGOUT"]
    assert program.of(imap.Deleted) == [imap.Deleted((7,), deletion)]


def test_without_move_messages_are_copied_before_they_are_expunged():
    server = ImapServer(_mails(10), CAPABILITIES.replace("MOVE", ""))
    program = Program(_SMALL.but(deletion=imap.MOVED, target="Old")).session(server)
    assert [command.split(" ")[1] for command in server.commands[-4:-1]] == ["COPY", "STORE", "EXPUNGE"]
    assert program.of(imap.Deleted) == [imap.Deleted((7,), imap.MOVED)]


def test_what_cannot_be_copied_is_not_expunged():
    server = ImapServer(_mails(10), CAPABILITIES.replace("MOVE", ""),
                        answers={"UID COPY": "{tag} NO [TRYCREATE] no\r\n"})
    program = Program(_SMALL.but(deletion=imap.MOVED, target="Old")).session(server)
    assert program.of(imap.Refused) == [imap.Refused("COPY", "[TRYCREATE] no")]
    assert len(server.mails) == 1 and not server.mails[0].flags and not program.deleted


def test_a_folder_that_is_never_changed_is_selected_all_the_same():
    """Courier gives other UIDs in each session to a folder that is only examined."""
    server = ImapServer(_mails(10, 200))
    program = Program(_SMALL.but(deletion="")).session(server)
    assert len(program.whole) == 2 and len(server.mails) == 2
    assert 'SELECT "INBOX"' in server.commands
    assert not any("STORE" in command for command in server.commands)


def test_what_is_not_safe_here_stays_there():
    server = ImapServer(_mails(10, 200))
    assert Program(safe=False).session(server).deleted == []
    assert len(server.mails) == 2


@pytest.mark.parametrize("verb", ["UID STORE", "UID EXPUNGE"])
def test_a_deletion_that_is_refused_is_none(verb):
    program = Program().session(ImapServer(_mails(10), answers={verb: "{tag} NO read-only\r\n"}))
    assert program.deleted == []
    assert imap.Refused(verb.removeprefix("UID "), "read-only") in program.events
    assert program.events[-1] == Closed()


def test_what_was_safe_in_an_earlier_call_is_deleted():
    program = Program()
    program.ahead = imap.Take(17, 9, delete=(7, 8))
    server = ImapServer(_mails(10, 20))
    program.session(server)
    assert program.deleted == [7, 8] and not server.mails and not program.whole


def test_long_sets_are_cut():
    mails = [Mail(uid, b"x") for uid in range(1000001, 1001001, 2)]
    server = ImapServer(list(mails))
    program = Program(_SMALL.but(compress=False)).session(server)
    assert len(program.deleted) == 500 and not server.mails
    assert max(map(len, server.commands)) < 1100


# What is left there

def _left(mails, take, **options):
    """A session that takes as `take` says ahead, from a server that has `mails`."""
    program = Program(_SMALL.but(compress=False))
    program.ahead = take
    return program.session(ImapServer(list(mails), **options))


def test_of_what_is_watched_the_program_hears_only_that_it_is_gone():
    mails = _mails(50, 1000, 60)
    program = _left(mails, imap.Take(17, 9, watch=(2, 7, 8, 30)))
    assert program.of(imap.Gone) == [imap.Gone(2), imap.Gone(30)]
    assert [uid for uid, _ in program.whole] == [9] and program.of(imap.Covered) == [imap.Covered(10)]


def test_what_is_watched_in_another_uidvalidity_is_not_gone():
    program = _left(_mails(50), imap.Take(16, 9, watch=(2, 7)))
    assert program.of(imap.Gone) == [] and [uid for uid, _ in program.whole] == [7]


def test_watching_costs_no_round_trip():
    server = ImapServer(_mails(50))
    program = Program(_SMALL.but(compress=False))
    program.ahead = imap.Take(17, 8, watch=(7,))
    program.session(server)
    at = next(n for n, command in enumerate(server.commands) if "SELECT" in command)
    assert ["(UID)" in command for command in server.commands[at + 1:at + 3]] == [True, False]


# Before the folder

def _run(lines, **options):
    known, options = options.pop("known", imap.Known()), {"starttls": False, **options}
    user, password = options.pop("user", "owner"), options.pop("password", "secret")
    client = ImapClient(user, password, options.pop("starttls"), imap.Options(**options), known)
    return talk(client, lines, lambda event: imap.Take(17) if isinstance(event, imap.Choose) else True)


def _failure(events):
    (failed,) = [event for event in events if isinstance(event, imap.SessionFailed)]
    return failed.why, failed.text


_PLAIN = "AUTHENTICATE PLAIN AG93bmVyAHNlY3JldA=="
_LOGIN = ["S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi",
          f"C: a1 {_PLAIN}", "S: a1 OK [CAPABILITY IMAP4rev1] in"]
_EMPTY = ["S: * 0 EXISTS", "S: * OK [UIDVALIDITY 17]", "S: * OK [UIDNEXT 1]"]
_IN = [*_LOGIN, 'C: a2 SELECT "INBOX"', *_EMPTY, "S: a2 OK [READ-WRITE] open", "C: a3 LOGOUT"]


def test_an_empty_folder():
    assert _run(_IN) == [
        imap.Ready(imap.Known("AUTH=PLAIN IMAP4REV1 SASL-IR", "IMAP4REV1"), False),
        imap.Selected(imap.Folder(17, 1, 0)), imap.Choose(imap.Folder(17, 1, 0)), imap.Covered(1), Closed()]


@pytest.mark.parametrize("lines", [
    ["S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi", 'C: a1 LOGIN "owner" "secret"', "S: a1 OK in"],
    ["S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED] hi", "C: a1 AUTHENTICATE PLAIN", "S: + ",
     "C: AG93bmVyAHNlY3JldA==", "S: a1 OK in"],
    ["S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi", f"C: a1 {_PLAIN}", "S: +", "C: AG93bmVyAHNlY3JldA==",
     "S: a1 OK in"],
])
def test_ways_to_log_in(lines):
    events = _run([*lines, "C: a2 CAPABILITY", "S: * CAPABILITY IMAP4rev1 X", "S: a2 OK", 'C: a3 SELECT "INBOX"',
                   *_EMPTY, "S: a3 OK open", "C: a4 LOGOUT"])
    assert events[0].known.after == "IMAP4REV1 X"


@pytest.mark.parametrize("offered, lines", [
    ("", ['C: a1 LOGIN "owner" {3}', "S: + go", "C: é!"]),
    (" LITERAL+", ['C: a1 LOGIN "owner" {3+}', "C: é!"]),
    (" LITERAL-", ['C: a1 LOGIN "owner" {3+}', "C: é!"]),
])
def test_a_password_that_needs_a_literal(offered, lines):
    events = _run([f"S: * OK [CAPABILITY IMAP4rev1{offered}] hi", *lines, "S: a1 NO no", "C: a2 LOGOUT"],
                  password="é!")
    assert _failure(events) == ("login", "no")


def test_a_literal_that_the_server_does_not_want():
    events = _run(["S: * OK [CAPABILITY IMAP4rev1] hi", 'C: a1 LOGIN "owner" {3}', "S: a1 BAD no", "C: a2 LOGOUT"],
                  password="é!")
    assert _failure(events) == ("login", "no")


def test_a_server_that_asks_again_has_not_understood():
    events = _run(["S: * OK [CAPABILITY AUTH=PLAIN SASL-IR] hi", f"C: a1 {_PLAIN}", "S: + ", "C: AG93bmVyAHNlY3JldA==",
                   "S: + ", "C: *", "S: a1 BAD cancelled", "C: a2 LOGOUT"])
    assert _failure(events) == ("login", "cancelled")


def test_a_server_without_a_way_to_log_in():
    events = _run(["S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] hi", "C: a1 LOGOUT"])
    assert _failure(events)[0] == "not-offered"


def test_what_is_known_and_no_longer_true_is_asked_again():
    events = _run(["S: * OK hi", f"C: a1 {_PLAIN}", "S: a1 BAD what", "C: a2 CAPABILITY", "S: * CAPABILITY IMAP4rev1",
                   "S: a2 OK", 'C: a3 LOGIN "owner" "secret"', "S: a3 NO no", "C: a4 LOGOUT"],
                  known=imap.Known("AUTH=PLAIN SASL-IR", "IDLE"))
    assert _failure(events) == ("login", "no")


def test_a_greeting_that_refuses():
    assert _failure(_run(["S: * BYE [UNAVAILABLE] later"])) == ("refused", "[UNAVAILABLE] later")


@pytest.mark.parametrize("said", ["220 relay.example ESMTP", "", "+OK POP3", "OK", "\0\xff", "* 3 EXISTS", "a1 OK hi",
                                  "* (((", "* FETCH {99999999999999999999999}", "* OK"[:3]])
def test_a_peer_that_does_not_speak_imap(said):
    why = _run([f"S: {said}"])[-1].why
    assert "no sense" in why or "does not greet" in why


def test_somebody_who_is_logged_in_already():
    events = _run(["S: * PREAUTH [CAPABILITY IMAP4rev1] hi", 'C: a1 SELECT "INBOX"', *_EMPTY, "S: a1 OK",
                   "C: a2 LOGOUT"])
    assert events[-1] == Closed()


def test_somebody_who_is_logged_in_before_tls():
    assert _failure(_run(["S: * PREAUTH hi", "C: a1 LOGOUT"], starttls=True))[0] == "not-offered"


def test_starttls_that_is_refused_is_never_done_without():
    assert _failure(_run(["S: * OK hi", "C: a1 STARTTLS", "S: a1 BAD what", "C: a2 LOGOUT"],
                         starttls=True))[0] == "not-offered"


def test_what_is_said_before_the_handshake_does_not_count_after_it():
    client = ImapClient("owner", "secret", True)
    client.receive(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n")
    assert client.next_event() is None
    client.receive(b"a1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\na2 OK forged\r\n")
    assert client.next_event() == StartTls()
    assert client.output() == b"a1 STARTTLS\r\n"
    client.answer(True)
    assert client.next_event() is None
    assert client.output() == b"a2 CAPABILITY\r\n"


def test_a_folder_that_is_not_there():
    events = _run([*_LOGIN, 'C: a2 SELECT "INBOX"', "S: a2 NO [NONEXISTENT] no", "C: a3 LOGOUT"])
    assert _failure(events) == ("folder", "[NONEXISTENT] no")


# Compression behind the login

_ABLE = imap.Known("AUTH=PLAIN IMAP4REV1 SASL-IR", "COMPRESS=DEFLATE IMAP4REV1 UIDPLUS")
_BOTH = ["S: * OK hi", f"C: a1 {_PLAIN}", "C: a2 COMPRESS DEFLATE"]


def _flights(server, known=imap.Known(), options=imap.Options(), ahead=None):
    """The verbs that the client says at once, flight by flight, with its Program."""
    program, flights = Program(options), []
    program.known, program.ahead = known, ahead
    usual = server.receive

    def receive(data):
        before = len(server.commands)
        answer = usual(data)
        if said := [command.split()[0] for command in server.commands[before:]]:
            flights.append(said)
        return answer
    server.receive = receive
    program.session(server)
    return flights, program


def test_compression_is_asked_for_with_the_login_only_where_it_is_known():
    flights, program = _flights(ImapServer(_mails(10)))
    assert flights[:2] == [["AUTHENTICATE"], ["COMPRESS"]] and program.of(imap.Ready)[0].compressed
    flights, program = _flights(ImapServer(_mails(10)), program.known)
    assert flights[0] == ["AUTHENTICATE", "COMPRESS"] and program.of(imap.Ready)[0].compressed
    assert program.whole == _expected(_mails(10))


@pytest.mark.parametrize("options, compressed", [({"compress_early": False}, True), ({"compress": False}, False)],
                         ids=str)
def test_compression_that_is_not_wanted_with_the_login(options, compressed):
    flights, program = _flights(ImapServer(_mails(10)), _ABLE, imap.Options(**options))
    assert flights[:1 + compressed] == [["AUTHENTICATE"], ["COMPRESS"]][:1 + compressed]
    assert program.of(imap.Ready)[0].compressed == compressed and len(program.whole) == 1
    assert any("COMPRESS" in flight for flight in flights) == compressed


def test_compression_with_a_login_command():
    flights, program = _flights(ImapServer(_mails(10), "IMAP4rev1 COMPRESS=DEFLATE UIDPLUS"), _ABLE)
    assert flights[0] == ["LOGIN", "COMPRESS"] and len(program.whole) == 1


def test_nothing_stands_behind_a_login_that_takes_more_than_one_step():
    """The server would take it for a part of the login."""
    events = _run(["S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED] hi", "C: a1 AUTHENTICATE PLAIN", "S: + ",
                   "C: AG93bmVyAHNlY3JldA==", "S: a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] in",
                   "C: a2 COMPRESS DEFLATE"], known=_ABLE)
    assert events == []
    _run(["S: * OK [CAPABILITY IMAP4rev1] hi", 'C: a1 LOGIN "owner" {3}', "S: + go", "C: é!",
          "S: a1 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] in", "C: a2 COMPRESS DEFLATE"], known=_ABLE, password="é!")


@pytest.mark.parametrize("condition, text", [("NO", "[AUTHENTICATIONFAILED] no"), ("BAD", "what")])
def test_a_login_that_is_refused_with_compress_behind_it(condition, text):
    """What is said next is not deflated; and the login is not tried again behind an answer that is still to come."""
    events = _run([*_BOTH, f"S: a1 {condition} {text}", "C: a3 LOGOUT"], known=_ABLE)
    assert _failure(events) == ("login", text) and events[-1] == Closed()


@pytest.mark.parametrize("refusal", ["NO [COMPRESSIONACTIVE] no", "BAD what"])
def test_compress_behind_a_login_that_is_refused_is_done_without(refusal):
    events = _run([*_BOTH, "S: a1 OK in", f"S: a2 {refusal}", 'C: a3 SELECT "INBOX"', *_EMPTY, "S: a3 OK open",
                   "C: a4 LOGOUT"], known=_ABLE)
    assert imap.Refused("COMPRESS", refusal.partition(" ")[2]) in events and events[-1] == Closed()
    (ready,) = [event for event in events if isinstance(event, imap.Ready)]
    assert not ready.compressed


def test_nothing_is_said_behind_compress_before_its_answer():
    events = _run([*_BOTH, "S: a1 OK in"], known=_ABLE)
    assert events == []


# The last word

@pytest.mark.parametrize("mails, options, is_answered", [
    ((10,), {}, True), ((10, 300), {}, True), ((), {}, False), ((10,), {"deletion": ""}, False),
    ((10,), {"deletion": imap.FLAGGED}, True), ((10,), {"deletion": imap.MOVED, "target": "Old"}, True),
], ids=str)
def test_the_last_word_is_answered_with_the_deletions(mails, options, is_answered):
    program = Program(_SMALL.but(**options)).session(ImapServer(_mails(*mails)))
    assert program.events[-1] == Closed() and len(program.whole) == len(mails)
    assert program.engine.is_answered == is_answered


@pytest.mark.parametrize("answer", ["{tag} BAD no\r\n", "* BYE bye\r\n", "what?\r\n"])
def test_a_last_word_that_is_not_answered_well_changes_nothing(answer):
    program = Program(_SMALL.but(compress=False))
    program.session(ImapServer(_mails(10), answers={"LOGOUT": answer}))
    assert program.events[-1] == Closed() and program.deleted == [7] and not program.engine.is_answered


# The order of what is large

def _ranked(ranks, sizes, **options):
    """(The UIDs whose rests were asked for, in order; the Program), where a pause is answered with its UID's rank."""
    program = Program(_SMALL.but(compress=False, **options))
    usual = program.answer
    program.answer = lambda event: ranks[event.uid] if isinstance(event, imap.MessagePauses) else usual(event)
    server = ImapServer(_mails(*sizes))
    program.session(server)
    rests = [command.split()[2] for command in server.commands
             if command.startswith("UID FETCH") and "<0." not in command]
    return list(map(int, rests)), program


@pytest.mark.parametrize("ranks, order", [
    ((1, 1, 1), [8, 9, 7]), ((0, 1, 1), [7, 8, 9]), ((1, 1, 0), [9, 8, 7]), ((2, 1, 0), [9, 8, 7]),
    ((0, 1, 0), [9, 7, 8]), ((0, 2, 1), [7, 9, 8])])
def test_ranks_decide_which_rest_comes_first_and_then_the_size(ranks, order):
    found, program = _ranked(dict(zip((7, 8, 9), ranks)), (900, 300, 500))
    assert found == order
    assert _fetched(program) == _expected(_mails(900, 300, 500))


def test_a_pause_says_how_large_the_message_is():
    _, program = _ranked({7: 1, 8: 1}, (900, 300))
    assert program.of(imap.MessagePauses) == [imap.MessagePauses(7, 100, 900), imap.MessagePauses(8, 100, 300)]


def test_a_rest_that_is_not_wanted_now_is_left_for_another_call():
    found, program = _ranked({7: 1, 8: None, 9: 0}, (900, 300, 500))
    assert found == [9, 7] and [uid for uid, _ in program.whole] == [9, 7] and sorted(program.deleted) == [7, 9]
    assert program.ahead.resume == {8: imap.Partial(100, _text(8, 300)[36:100], 300)}
    assert program.events[-1] == Closed() and program.of(imap.Covered) == [imap.Covered(10)]
    program.session(ImapServer(_mails(900, 300, 500)[1:2]))
    assert program.of(imap.MessageGoesOn) == [imap.MessageGoesOn(8, 100)]
    assert _fetched(program) == _expected(_mails(900, 300, 500))


def test_no_rest_is_wanted_at_all():
    found, program = _ranked({7: None, 8: None}, (900, 300))
    assert found == [] and program.whole == [] and set(program.ahead.resume) == {7, 8}
    assert program.events[-1] == Closed() and not program.deleted


def test_nothing_is_sent_behind_a_command_that_changes_the_connection():
    server = ImapServer(_mails(10), answers={"COMPRESS": "{tag} NO [COMPRESSIONACTIVE] no\r\n"})
    program = Program().session(server)
    assert program.of(imap.Refused) == [imap.Refused("COMPRESS", "[COMPRESSIONACTIVE] no")]
    assert len(program.whole) == 1
    for verb in ("AUTHENTICATE", "COMPRESS"):
        server = ImapServer(_mails(10), answers={verb: ""})
        engine = ImapClient("owner", "secret", False, ahead=imap.Take(None))
        said = server.greeting
        while said:
            engine.receive(said)
            list(events_of(engine, lambda event: True))
            said = server.receive(engine.output())
        assert server.commands[-1].startswith(verb)


# Wrong servers

def _wrong(answers, sizes=(10, 200), **options):
    return Program(_SMALL.but(compress=False, **options)).session(ImapServer(_mails(*sizes), answers=answers))


def _fetches(text):
    """An answer to a FETCH: `text` with the tag."""
    return {"UID FETCH": lambda server, tag, arguments: text.replace("\n", "\r\n").replace("TAG", tag)}


@pytest.mark.parametrize("text, why", [
    ("* 1 FETCH (UID 7 BODY[]<0> {101}\n", "101 octets where 100 were asked for"),
    ("* 1 FETCH (UID 7 BODY[]<0> {99999999999}\n", "a literal of 99999999999 octets"),
    ("* 1 FETCH (UID 7 BODY[]<0> {999999999999999999999999999}\n", "absurd"),
    ("* 1 FETCH (UID 7 ENVELOPE {300000}\n", "a response of more than"),
    ("* 1 FETCH " + "(" * 50 + "\n", "lists in lists"),
    ("* 1 FETCH (UID 7))\n", "not opened"),
    ("* 1 FETCH (UID 7\n", "not closed"),
    ("* 1 FETCH (UID 7 \"\n", "not an IMAP value"),
    ("* 1 FETCH (BODY[]<0> {2}\nhi)\n", "without its UID"),
    ("* 1 FETCH (BODY[]<0> {2000000}\n", "without saying of which message"),
    ("* 1 FETCH (" + "x " * 40000 + ")\n", "a line of more than"),
    ("* BYE [UNAVAILABLE] shutting down\n", "closes the session: [UNAVAILABLE] shutting down"),
    ("+ more\n", "complete"),
    ("b7 OK\n", "not given: 'b7'"),
    ("* 1 FETCH (UID 4294967296 BODY[]<0> {2}\nhi)\n", "the UID 4294967296"),
    ("* 1 FETCH (UID 0 BODY[]<0> \"hi\")\n", "the UID 0"),
    ("a1 OK again\nTAG OK\n", "not given: 'a1'"),
    ("* OK [UIDVALIDITY 99] changed\n", "changed the folder's UIDVALIDITY"),
])
def test_a_server_that_makes_no_sense_ends_the_session_in_words(text, why):
    program = _wrong(_fetches(text))
    assert why in program.events[-1].why
    assert not program.deleted


def test_other_orders_and_forms_of_a_fetch():
    program = _wrong(_fetches(
        '* 1 fetch (body[]<0> {5}\nhello flags (\\seen) uid 7)\n'
        '* 2 FETCH (UID 8 BODY[]<0> "quo\\"ted" RFC822.SIZE 7)\n'
        "* 3 FETCH (X-A (1 (2 {3}\nabc)) UID 9 BODY[]<0> {3}\nsee RFC822.SIZE 3)\n"
        "* 4 FETCH (UID 10 BODY[] {200}\n" + "x" * 200 + ")\n"
        "* 5 FETCH (FLAGS (\\Seen))\n* 9 EXISTS\n* 1 EXPUNGE\n* OK [ALERT] full\n* NO slow\n"
        "* XSTRANGE (1 2) {2}\nab c\nTAG OK\n"), (1, 1, 1, 200))
    assert program.whole == [(7, b"hello"), (8, b'quo"ted'), (9, b"see"), (10, b"x" * 200)]
    assert program.of(imap.Refused) == [imap.Refused("*", "[ALERT] full"), imap.Refused("*", "slow")]


@pytest.mark.parametrize("body", ["BODY[]<0> NIL", 'BODY[]<0> ""', "BODY[]<0> {0}\n", "FLAGS ()"])
def test_a_message_without_a_text_is_not_fetched(body):
    program = _wrong(_fetches(f"* 1 FETCH (UID 7 RFC822.SIZE 10 {body})\nTAG OK\n"))
    assert [event.uid for event in program.of(imap.NotFetched)] == [7]
    assert not program.deleted and not program.whole


@pytest.mark.parametrize("condition", ["NO", "BAD"])
def test_a_fetch_that_is_refused(condition):
    program = _wrong(_fetches(f"TAG {condition} [LIMIT] busy\n"))
    assert imap.Refused("FETCH", "[LIMIT] busy") in program.events
    assert not program.of(imap.Covered) and program.events[-1] == Closed()


def _refusing_the_rest(server, tag, arguments):
    return server._uid_fetch(tag, arguments) if "<0." in arguments else f"{tag} NO broken\r\n"


def test_the_rest_of_a_message_that_is_refused():
    program = _wrong({"UID FETCH": _refusing_the_rest})
    assert program.of(imap.NotFetched) == [imap.NotFetched(8, "broken")]
    assert program.deleted == [7]
    assert program.engine.unfinished()[8].offset == 100


def test_a_server_that_gives_no_parts():
    def fetch(server, tag, arguments):
        items = arguments.partition(" ")[2]
        said = b"".join(server.fetched(mail, "<0.99999>").replace(b"BODY[]<0>", b"BODY[]")
                        for mail in server._in(arguments.partition(" ")[0]))
        return said + f"{tag} OK {len(items)}\r\n".encode()
    program = _wrong({"UID FETCH": fetch}, (10, 1000))
    assert _fetched(program) == _expected(_mails(10, 1000))
    program = Program(_SMALL.but(compress=False)).session(ImapServer(_mails(1000)), cut=1200)
    program.session(ImapServer(_mails(1000), answers={"UID FETCH": fetch}))
    assert program.of(imap.NotFetched) == [imap.NotFetched(7, "the server gave another part than was asked for")]


def test_the_rest_of_several_messages_in_another_order():
    """Dovecot does so where its output has to wait."""
    held = []

    def fetch(server, tag, arguments):
        answer = server._uid_fetch(tag, arguments)
        if "<0." in arguments or arguments.startswith("10 "):
            return answer + b"".join(held[::-1])
        return held.append(answer) or b""
    mails = _mails(10, 300, 400, 500)
    assert _fetched(_wrong({"UID FETCH": fetch}, (10, 300, 400, 500))) == _expected(mails)


def test_a_text_before_its_folder_is_open_is_fetched_again():
    def select(server, tag, arguments):
        return server.fetched(server.mails[0], "<0.100>") + server._select(tag, arguments).encode()
    mails = _mails(10, 20)
    assert _fetched(Program().session(ImapServer(list(mails), answers={"SELECT": select}))) == _expected(mails)


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"* OK not deflated at all\r\n", b"\x03\x00"])
def test_a_compressed_stream_that_is_broken(garbage):
    server = ImapServer([], answers={"SELECT": lambda server, tag, arguments: b""})
    engine = ImapClient("owner", "secret", False)
    said = server.greeting
    while said:
        engine.receive(said)
        list(events_of(engine, lambda event: True))
        said = server.receive(engine.output())
    engine.receive(garbage)
    (closed,) = events_of(engine, lambda event: True)
    assert "cannot be read" in closed.why or "no sense" in closed.why


def test_what_deflates_well_is_read_piece_by_piece():
    text = b"x" * 20_000_000
    program = Program(imap.Options(begin=100))
    program.session(ImapServer([Mail(7, text)]))
    assert program.whole == [(7, text)]
    assert max(len(event.data) for event in program.of(imap.MessageData)) <= 1 << 16


@given(st.lists(st.sampled_from([
    b"* 1 FETCH (", b"UID 7 ", b"UID 8 ", b"FLAGS (\\Seen) ", b"RFC822.SIZE 300 ", b"RFC822.SIZE NIL ", b")\r\n",
    b"BODY[]<0> {3}\r\nabc ", b"BODY[]<0> {100}\r\n" + b"x" * 100, b"BODY[] {3}\r\nabc", b"BODY[]<100> \"d\" ",
    b"BODY[]<0> NIL ", b"BODY[]<0> (a) ", b"a3 OK\r\n", b"a4 OK\r\n", b"a4 NO\r\n", b"a5 BAD\r\n", b"a6 OK\r\n",
    b"* 3 EXPUNGE\r\n", b"* OK\r\n", b"+ \r\n", b"* OK [UIDVALIDITY 17]\r\n", b"* OK [UIDVALIDITY]\r\n",
    b"* CAPABILITY (X)\r\n", b"* EXISTS\r\n", b"* FETCH NIL\r\n", b"* 1 FETCH\r\n", b"* BYE\r\n"]), max_size=30))
def test_no_server_makes_the_engine_fail(pieces):
    engine = ImapClient("owner", "secret", False, _SMALL, ahead=imap.Take(17, resume={8: imap.Partial(3, b"abc")}))
    for piece in (b"* OK [CAPABILITY IMAP4rev1] hi\r\n", b"a1 OK [CAPABILITY UIDPLUS] in\r\n",
                  b"* OK [UIDVALIDITY 17]\r\na2 OK open\r\n", *pieces, b""):
        engine.receive(piece)
        events = list(events_of(engine, lambda event: True))
        if events and isinstance(events[-1], Closed):
            return
    raise AssertionError("the end of the connection is not the end of the session")


@pytest.mark.parametrize("take", [imap.Take(None, 5), imap.Take(None, delete=(1,)), imap.Take(17, newest=5)])
def test_what_cannot_be_taken_ahead(take):
    with pytest.raises(Misuse):
        ImapClient("owner", "secret", False, ahead=take)


def test_an_answer_for_another_uidvalidity():
    with pytest.raises(Misuse):
        Program().session(ImapServer([], uidvalidity=18)) and talk(
            ImapClient("owner", "secret", False), _IN, lambda event: imap.Take(99))

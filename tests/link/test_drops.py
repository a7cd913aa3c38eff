"""The link drops after a chosen number of bytes, in every phase of a call: nothing is lost, and the next call does the
rest.  The real mailcheck, over linkem, with Postfix and Dovecot ashore: needs root."""

import os
import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from ..real.packages import Unavailable
from ..real.process import public_folder
from .rig import GONE, LONG, RECIPIENT, SENDER, SERVICES, SILENT, Sea, copies, message, rig

# Octets of the messages that go out and come in.
LOADS = {
    "small": ((700,), (900,)),
    "out": ((1000, 3000, 10_000, 30_000, 90_000), (2000, 8000, 30_000)),
    "in": ((1000, 3000), (2000, 8000, 30_000, 400_000)),
}
# Where the link drops: after so many bytes, or at this part of those that an undisturbed call takes.  With `small`, a
# third of these are TCP's and TLS's handshakes, and then a packet is a command or a reply.
DROPS = (
    ("small", 1, GONE), ("small", 600, GONE), ("small", 2500, SILENT), ("small", 0.4, GONE), ("small", 0.55, GONE),
    ("small", 0.68, GONE), ("small", 0.76, GONE), ("small", 0.84, GONE), ("small", 0.92, GONE),
    ("out", 0.15, GONE), ("out", 0.7, SILENT), ("out", 0.97, GONE),
    ("in", 0.3, GONE), ("in", 0.7, SILENT), ("in", 0.85, GONE), ("in", 0.95, GONE), ("in", 0.98, GONE),
)
# At the very end it depends on how many segments TCP acknowledges at once whether the call is over before.
MAYBE = (("small", 0.98, GONE), ("out", 0.996, GONE), ("in", 0.994, GONE))

WHY = {
    GONE: ("the connection broke: ", "cannot be reached: "),
    SILENT: ("the call was ended: it took longer than call_limit, ",),
}

# One drop: what there was after the call that it cut, and after the next one; and the call without a drop.
Outcome = namedtuple("Outcome", "drop out incoming cut after whole")
# A rig's Call; lists of messages: still in the queue, come for the agent, in the captain's box, still at the provider;
# and the link's commands so far, whether it is on record as dialled, and the ledger's last word.
Seen = namedtuple("Seen", "call queued arrived fetched left commands is_dialled outcome")


@pytest.fixture(scope="module")
def outcomes():
    """{type of account: its Outcomes}: two links at the same time, since the time goes by with waiting."""
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise Unavailable("linkem", "only root can make network namespaces and TUN devices")
    with public_folder() as folder, ExitStack() as rigs:
        started = {name: rigs.enter_context(rig(folder / name, name)) for name in SERVICES}
        with ThreadPoolExecutor() as threads:
            found = {name: threads.submit(list, sweep(rig)) for name, rig in started.items()}
        return {name: future.result() for name, future in found.items()}


def sweep(rig):
    """The Outcomes of all drops, each with a new site."""
    whole = {}
    for n, load in enumerate(("small", *LOADS)):    # the first call is another one: nothing is known of the provider
        sea, _, _ = prepared(rig, f"whole-{n}", load)
        call = sea.mailcheck()
        assert (call.code, call.said, call.figures["link"]) == (0, "", "down")
        whole[load], rig.warm = call, sea.known
    for n, (load, where, how) in enumerate(DROPS + MAYBE):
        sea, out, incoming = prepared(rig, f"drop-{n}", load)
        call = whole[load]
        cut = sea.mailcheck(drop=where if where >= 1 else int(where * octets(call)), how=how,
                            limit=max(3, round(4 * call.seconds)) if how == SILENT else LONG)
        cut = look(rig, sea, cut, out)
        after = sea.mailcheck()         # while the provider still holds the session that was cut
        rig.settle()
        yield Outcome((load, where, how), out, incoming, cut, look(rig, sea, after, out), call)


def prepared(rig, name, load):
    """A site with messages in its queue and at the provider, and these messages."""
    # What an earlier drop left hanging would send again as soon as the link is up, and be on the bill of this call.
    rig.link.control("down")
    rig.link.end_connections("sea", "shore")
    sea = Sea(name, rig)
    if rig.warm:
        shutil.copytree(rig.warm, sea.known, dirs_exist_ok=True)
    out, incoming = [[message(f"{rig.account_type}-{name}-{way}-{size}", size, way) for size in sizes]
                     for way, sizes in zip(("out", "in"), LOADS[load])]
    rig.provider.fill(incoming)
    for text in out:
        sea.enqueue(text.replace(b"\n", b"\r\n"), [RECIPIENT], SENDER)
    return sea, out, incoming


def octets(call):
    return call.figures["bytes_up"] + call.figures["bytes_down"]


def look(rig, sea, call, out):
    queued = [sea.content(queued) for queued in sea.queued() if queued.waiting]
    return Seen(call, queued, rig.arrived([text for text in out if text not in queued]), sea.bodies("captain"),
                rig.provider.kept(), sea.calls, sea.is_dialled, sea.ledger[-1]["outcome"])


@pytest.fixture(params=SERVICES)
def dropped(request, outcomes):
    """The Outcomes with an account of one type: what the tests look for is a list of those that are wrong."""
    return outcomes[request.param]


def described(outcome, *more):
    """For the message of a test that fails."""
    return (*outcome.drop, outcome.cut.call, *more)


def test_a_call_that_is_cut_says_why(dropped):
    def is_told(outcome):
        lines = outcome.cut.call.said.splitlines()
        return outcome.cut.call.code == 75 and lines and all(
            line.startswith("mailcheck: ") and any(words in line for words in WHY[outcome.drop[2]]) for line in lines)

    assert [described(outcome) for outcome in dropped
            if not is_told(outcome) and not (outcome.drop in MAYBE and outcome.cut.call[:2] == (0, ""))] == []


def test_it_hangs_up_all_the_same(dropped):
    for outcome in dropped:
        assert outcome.cut.call.figures["link"] == "down" and not outcome.cut.is_dialled, described(outcome)
        assert outcome.cut.commands == ["up", "down"], described(outcome)


def test_the_ledger_tells_it_too(dropped):
    for outcome in dropped:
        lines = [line.removeprefix("mailcheck: ") for line in outcome.cut.call.said.splitlines()]
        assert outcome.cut.outcome == ("; ".join(lines) or "ok"), described(outcome)


def test_all_mail_is_at_one_side_at_least(dropped):
    for outcome in dropped:
        seen = outcome.cut
        assert [text for text in outcome.out if text not in seen.queued and not copies(text, seen.arrived)] == []
        assert [text for text in outcome.incoming if text not in seen.fetched and text not in seen.left] == []


def test_the_next_call_does_the_rest(dropped):
    for outcome in dropped:
        seen = outcome.after
        assert (seen.call.code, seen.call.said, seen.outcome) == (0, "", "ok"), described(outcome, seen.call)
        assert seen.commands == ["up", "down"] * 2 and not seen.is_dialled
        assert seen.queued == seen.left == [], described(outcome)


def test_what_goes_out_arrives_and_twice_only_if_its_final_reply_was_cut_off(dropped):
    """RFC 1047: nobody can tell whether the relay has a message whose final reply did not come."""
    for outcome in dropped:
        for text in outcome.out:
            times = copies(text, outcome.after.arrived)
            assert 1 <= times <= 1 + (text in outcome.cut.queued), described(outcome, len(text), times)


def test_what_comes_in_is_here_once_octet_for_octet(dropped):
    for outcome in dropped:
        assert outcome.after.fetched == sorted(outcome.incoming), described(outcome, map(len, outcome.after.fetched))


def test_nothing_that_a_cut_session_left_is_sent_later(dropped):
    """Only the mail itself goes up in the next call: what was queued for a connection that broke, and the good-byes of
    TLS and TCP, would be on its bill."""
    for outcome in dropped:
        sent, call = sum(map(len, outcome.cut.queued)), outcome.after.call
        assert call.figures["bytes_up"] < 1.12 * sent + 20_000, described(outcome, sent, call)


def test_a_large_message_goes_on_where_it_stopped(outcomes):
    """By IMAP: the octets that had come are not on the bill again."""
    for outcome in outcomes["imap"]:
        if outcome.drop in (("in", 0.85, GONE), ("in", 0.95, GONE)):
            [large] = [text for text in outcome.incoming if len(text) > 400_000]
            assert large not in outcome.cut.fetched and large in outcome.cut.left
            whole, rest = (call.figures["bytes_down"] for call in (outcome.whole, outcome.after.call))
            assert rest < 0.6 * whole, described(outcome, whole, rest)


def test_the_link_dropped_in_every_phase(dropped):
    """That the drops are well chosen: what they left behind says where they were."""
    hit = {phase for phase, is_it in PHASES.items() for outcome in dropped if is_it(outcome, outcome.cut)}
    assert hit == set(PHASES)


PHASES = {
    "before a connection": lambda outcome, seen: "cannot be reached" in seen.call.said,
    "before anything was done": lambda outcome, seen: (
        "broke" in seen.call.said and len(seen.queued) == len(outcome.out) and seen.left == sorted(outcome.incoming)),
    "between two that go out": lambda outcome, seen: 0 < len(seen.queued) < len(outcome.out),
    "between two that come in": lambda outcome, seen: 0 < len(seen.fetched) < len(outcome.incoming),
    "before the relay's final reply": lambda outcome, seen: any(
        copies(text, outcome.after.arrived) > 1 for text in seen.queued),
    "before the provider heard what to delete": lambda outcome, seen: any(text in seen.left for text in seen.fetched),
    "when the provider had deleted all": lambda outcome, seen: seen.call.code and not seen.left,
}

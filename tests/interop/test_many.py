"""Many messages in a box."""

import os
import poplib
import time

import pytest

from ..etc.test_super_servers import xinetd
from ..real import clients
from ..real.clients import Server
from ..real.process import mail_account
from .messages import PLAIN, letter, on_wire
from .table import shows
from .yacht import delivered

MANY, VERY_MANY = 1_000, 10_000

# One super-server is enough here.
pytestmark = pytest.mark.parametrize("served_yacht", [xinetd], indirect=True)


@shows("mpop", f"fetches {MANY:,} messages, pipelined", "each once", "plain")
def test_a_thousand_messages(yacht, tmp_path):
    messages = [letter(f"number-{number}", b"Fair winds.\n") for number in range(MANY)]
    fill(yacht.spool / "boxes/engineer/new", messages)
    result = clients.mpop(yacht.reading("plain"), tmp_path, "--pipelining=on", "--received-header=off",
                          into=tmp_path / "inbox")
    assert result.code == 0, result.output
    assert delivered(tmp_path / "inbox") == sorted(messages)
    assert yacht.files() == []


def fill(folder, messages):
    """Puts messages into new/ as our programs and Dovecot name them."""
    for number, message in enumerate(messages):
        (folder / name(number, message)).write_bytes(message)


def own(box):
    """Hands a box over to whom the provider's servers run as."""
    if os.geteuid() == 0:
        for path in box.rglob("*"):
            os.chown(path, mail_account().pw_uid, mail_account().pw_gid)


def name(number, message):
    return f"1763700946.R{number:013}.yacht,S={len(message)},W={len(on_wire(message))}"


def listings(server):
    """STAT, LIST and UIDL of a box, and the seconds from the connection to the last of them."""
    begun = time.monotonic()
    client = poplib.POP3("localhost", server.port, timeout=60)
    client.user(server.user)
    client.pass_(server.password)
    found = client.stat(), client.list()[1], client.uidl()[1]
    seconds = time.monotonic() - begun
    client.quit()
    return found, seconds


@shows("Python", f"poplib, STAT LIST UIDL of {VERY_MANY:,} messages", "none of them is opened")
def test_no_message_is_opened_for_a_listing(yacht):
    box = yacht.spool / "boxes/engineer/new"
    for number in range(VERY_MANY):
        (box / name(number, PLAIN)).symlink_to("nowhere")        # whoever opens or measures it fails
    (stat, sizes, uids), _ = listings(yacht.reading("plain"))
    size = len(on_wire(PLAIN))
    assert stat == (VERY_MANY, VERY_MANY * size)
    assert sizes == [f"{number} {size}".encode() for number in range(1, VERY_MANY + 1)]
    assert len({uid.split()[1] for uid in uids}) == VERY_MANY
    for file in box.iterdir():
        file.unlink()


@shows("Dovecot", f"STAT LIST of {VERY_MANY:,} messages", "as pop3d's")
def test_a_large_box_beside_dovecot(yacht, dovecot, boxes, capsys):
    """The times are printed and not asserted: they say more about the machine than about the programs."""
    messages = [PLAIN] * VERY_MANY
    fill(yacht.spool / "boxes/engineer/new", messages)
    boxes.empty("mate")
    fill(boxes.folder / "mate/new", messages)
    own(boxes.folder / "mate")
    results = [(listings(yacht.reading("plain")), listings(Server(dovecot.pop3, "mate", dovecot.passwords["mate"])))
               for _ in range(3)]
    for (ours, _), (theirs, _) in results:
        assert ours[:2] == theirs[:2]
    with capsys.disabled():
        print(f"\nSTAT, LIST, UIDL of {VERY_MANY:,} messages, seconds from connection on:",
              "; ".join(f"pop3d {ours:.2f}, Dovecot {theirs:.2f}" for (_, ours), (_, theirs) in results))

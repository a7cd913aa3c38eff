"""Where an address leads."""

import pathlib
import re

import pytest

from amsmail.site import accounts, config, notices, routing
from amsmail.store.spool import Spool
from amsmail.wire.address import Address, parse_address
from amsmail.wire.sasl import Credentials

GOOD = (pathlib.Path(__file__).parent / "good.cfg").read_text()


def site(folder, text=GOOD):
    path = folder / "mail.cfg"
    path.write_text(text.replace("/tmp/never/used", str(folder / "spool")))
    path.chmod(0o600)
    return config.load(str(path))


def words(leads):
    return {routing.ToBox: lambda: f"box {leads.name}", routing.ToQueue: lambda: "queue",
            routing.Refused: lambda: f"{leads.reply.code} {leads.reply.status}"}[type(leads)]()


@pytest.mark.parametrize("address, stranger, crew", [
    # who                          for a stranger  for who may relay
    ("captain@yacht.example",      "box captain",  "box captain"),
    ("CAPTAIN@Yacht.Example",      "box captain",  "box captain"),
    ("skipper@fleet.example",      "box captain",  "box captain"),
    ("captain@provider.example",   "box captain",  "box captain"),      # a foreign domain, but ours
    ("postmaster@yacht.example",   "box captain",  "box captain"),
    ("postmaster@mail.yacht.example", "box captain", "box captain"),    # this host
    ("postmaster@fleet.example",   "550 5.7.1",    "queue"),            # shared: who runs it is ashore
    ("cook@yacht.example",         "box cook",     "box cook"),
    ("stoker@yacht.example",       "550 5.1.1",    "550 5.1.1"),
    ("stoker@fleet.example",       "550 5.7.1",    "queue"),            # a colleague ashore
    ("cook@provider.example",      "550 5.7.1",    "queue"),
    ("cook@[192.0.2.1]",           "box cook",     "box cook"),         # this host by its address
    ("stoker@[192.0.2.1]",         "550 5.1.1",    "550 5.1.1"),        # not sent to somebody ashore
    ("cook@[192.0.2.2]",           "550 5.7.1",    "queue"),
])
def test_where_an_address_leads(tmp_path, address, stranger, crew):
    ours = site(tmp_path)
    assert words(routing.route(ours, parse_address(address), False, "192.0.2.1")) == stranger
    assert words(routing.route(ours, parse_address(address), True, "192.0.2.1")) == crew


@pytest.mark.parametrize("domains, own", [
    ("[[yacht.example]]\n[[fleet.example]]\nunknown = relay", "yacht.example"),
    ("[[fleet.example]]\nunknown = relay\n[[yacht.example]]", "yacht.example"),
    ("[[fleet.example]]\nunknown = relay", "mail.yacht.example"),      # notices do not come from a stranger
])
def test_whose_postmaster_we_are(tmp_path, domains, own):
    ours = site(tmp_path, re.sub(r"(?s)(?<=\[domains\]\n).*?(?=\n\[\w)", domains + "\n", GOOD))
    assert routing.own_domain(ours) == own
    notices.tell(ours, Spool(ours.spool, ours.hostname), "cook", "x", "y")
    box = Spool(ours.spool, ours.hostname).box("cook")
    with box.open(*box.list()) as message:
        assert f"From: Postmaster <postmaster@{own}>".encode() in message.read(-1)
    assert words(routing.route(ours, parse_address(f"postmaster@{own}"), False)) == "box captain"
    token = f"held+{'a' * 32}"
    assert routing.held_token(ours, parse_address(f"{token}@{own}")) == "a" * 32


@pytest.mark.parametrize("entry", ["postmaster", "Postmaster@yacht.example"])
def test_a_box_that_has_postmasters_address_gets_what_is_for_it(tmp_path, entry):
    ours = site(tmp_path, GOOD.replace("[[cook]]", f"[[cook]]\n  addresses = cook, {entry}"))
    assert words(routing.route(ours, parse_address("postmaster@yacht.example"), False)) == "box cook"
    assert words(routing.route(ours, parse_address("postmaster@mail.yacht.example"), False)) == "box captain"


def test_postmaster_without_a_domain(tmp_path):
    assert words(routing.route(site(tmp_path), Address("Postmaster", ""), False)) == "box captain"


def test_without_a_relay_foreign_addresses_are_refused(tmp_path):
    ours = site(tmp_path, GOOD.replace("host = smtp.provider.example", ""))
    assert words(routing.route(ours, parse_address("a@provider.example"), True)) == "550 5.7.1"


@pytest.mark.parametrize("user, password, acting_for, opens", [
    ("captain", "aye", "", ("box", "captain")),
    ("Captain", "aye", "", ("box", "captain")),
    ("captain@provider.example", "aye", "", ("box", "captain")),
    ("captain", "aye", "captain", ("box", "captain")),
    ("captain", "aye", "cook", None),
    ("captain", "Aye", "", None),
    ("captain", "", "", None),
    ("captain", "aye\0", "", None),
    ("captain", "aye\udcff", "", None),
    ("cook", "", "", None),                     # a box without a password is locked
    ("nobody", "aye", "", None),
    ("nobody", "aye\udcff", "", None),
    ("nobody", "aye\0", "", None),
    ("", "", "", None),
    ("outbound", "fetch", "", ("queue", "outbound")),
    ("outbound", "aye", "", None),
])
def test_who_may_log_in(tmp_path, user, password, acting_for, opens):
    from passlib.hash import pbkdf2_sha256
    text = GOOD.replace(next(line for line in GOOD.splitlines() if "password = $pbkdf2" in line),
                        f"  password = {pbkdf2_sha256.using(rounds=100).hash('aye')}")
    text += f"[queue]\nlogin = outbound\npassword = {pbkdf2_sha256.using(rounds=100).hash('fetch')}\n"
    assert accounts.login(site(tmp_path, text), Credentials(user, password, acting_for)) == opens

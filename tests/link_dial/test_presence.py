"""Links that are there or not, what shows it, and what an interface counted."""

import json
import os
import socket
import subprocess
import sys

import pytest

from amsmail.link import counters, presence
from amsmail.link.diallers import NOT_THERE
from amsmail.link.links import LinkError
from tests.etc.installation import PROJECT
from tests.real.packages import Unavailable


def in_a_namespace(*commands, look):
    """What the Python expression `look` is, in a network namespace of its own after the commands of ip(8)."""
    script = "\n".join([*(f"ip {command} || exit 9" for command in commands), 'exec "$0" -c "$1"'])
    program = f"import json\nfrom amsmail.link import counters, presence\nprint(json.dumps({look}))"
    own = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-r", "-n"]
    run = subprocess.run([*own, "sh", "-c", script, sys.executable, program], cwd=PROJECT, capture_output=True,
                         text=True, timeout=20)
    if run.returncode:
        raise Unavailable("a network namespace", run.stderr.strip().splitlines()[-1])
    return json.loads(run.stdout)


# The loopback is the one interface that each kernel has; its own addresses go, and others take their place.
UP = "link set lo up"
BARE = (UP, "address flush dev lo")
IPV4 = "address add 192.0.2.2/24 dev lo"


@pytest.mark.parametrize("commands, there", [
    ([IPV4], False),                                                        # not up
    ([*BARE], False),
    ([*BARE, "address add fe80::7/64 dev lo"], False),                      # what each IPv6 interface has
    ([*BARE, "address add 169.254.7.7/16 dev lo"], False),                  # what it has where nobody gave it one
    ([*BARE, IPV4], True),
    ([*BARE, "address add 2001:db8::2/64 dev lo nodad"], True),
], ids=["down", "no address", "link-local", "link-local IPv4", "IPv4", "IPv6"])
def test_an_interface(commands, there):
    assert in_a_namespace(*commands, look="presence.is_there('interface lo')") == there


@pytest.mark.parametrize("commands, address, there", [
    ([], "192.0.2.9", False), ([UP, IPV4], "192.0.2.9", True), ([UP, IPV4], "198.51.100.1", False),
    ([UP, IPV4], "2001:db8::1", False), ([UP, "route add default dev lo"], "198.51.100.1", True)])
def test_a_route(commands, address, there):
    assert in_a_namespace(*commands, look=f"presence.is_there('route {address}')") == there


def test_looking_for_a_route_sends_nothing():
    assert in_a_namespace(UP, look="(presence.is_there('route 127.0.0.1'), counters.octets('lo'))") == [True, [0, 0]]


def test_a_command():
    assert presence.is_there("command test 'a b' = 'a b'") and not presence.is_there("command false")
    assert not presence.is_there("command sleep 60", limit=0.2)


@pytest.mark.parametrize("probe", ["", "interface", "route ", "ping 192.0.2.1", "route mail.example",
                                   "command /no/such/program", "command 'open"])
def test_what_is_no_probe(probe):
    with pytest.raises(presence.CannotTell):
        presence.is_there(probe)


def test_where_interfaces_cannot_be_looked_at_a_command_must(monkeypatch):
    monkeypatch.setattr(presence.sys, "platform", "win32")
    with pytest.raises(presence.CannotTell, match="probe = command"):
        presence.is_there("interface lo")


def test_a_name_that_no_interface_can_have():
    assert not presence.is_there("interface " + "x" * 16) and not presence.is_there("interface none0")


# Links

def test_a_link_that_is_present_is_used_and_left_alone(line):
    link = line.link("present", probe="interface lo")
    assert not link.is_dialled and link.is_up()
    link.up()
    link.down()
    assert link.is_up() and link.interface() == "lo"


def test_a_link_that_is_not_present(line):
    link = line.link("present", probe="command false")
    assert not link.is_up() and link.interface() is None and link.octets() is None
    with pytest.raises(LinkError, match="the link is not there: command false") as caught:
        link.up()
    assert caught.value.reason == NOT_THERE


def test_a_probe_that_cannot_be_made(line):
    for link in (line.link("present", probe="route mail.example"), line.link("ppp", probe="route mail.example")):
        with pytest.raises(LinkError, match="is not an IP address"):
            link.up()


def test_a_link_that_is_always_there(line):
    link = line.link("always")
    link.up()
    link.down()
    assert link.is_up() and not link.is_dialled and link.octets() is None
    assert line.link("always", probe="interface lo").interface() == "lo"


# Counters

def test_an_interface_counts_octets(line):
    link = line.link("always", probe="interface lo")
    before = link.octets()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(bytes(1000), receiver.getsockname())
        receiver.recv(2000)
    after = link.octets()
    assert all(new - old >= 1028 for old, new in zip(before, after))


def test_an_interface_that_is_not_there_counts_nothing():
    assert counters.octets("none0") is None

"""mailcfg check: the links' state, the providers and DNS, with servers on loopback."""

import socket
import threading

import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from amsmail.setup import exchangers
from amsmail.setup.doctor import network
from tests.real.process import free_port, public_folder

from .doctor import Owned, levels, only

BOARD = {"type": "present", "probe": "interface no-such-0"}


class NameServer:
    """A name server on loopback.  `zone` is {(name, type): [text of a record]}; a name that is in none is not there."""

    def __init__(self, zone):
        self._zone = zone
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.asked = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                question, client = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(dns.message.from_wire(question)), client)
            except OSError:
                return

    def _answer(self, question):
        (wanted,) = question.question
        name, kind = wanted.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(wanted.rdtype)
        self.asked.append((name, kind))
        answer = dns.message.make_response(question)
        if name == "broken.example":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in self._zone:
            answer.answer.append(dns.rrset.from_text(wanted.name, 60, "IN", kind, *self._zone[name, kind]))
        elif name not in {known for known, _ in self._zone}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()

    def resolver(self):
        """A dns.resolver.Resolver that asks here alone."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self._socket.getsockname()[1]
        return resolver

    def close(self):
        self._socket.close()


ZONE = {
    ("yacht.example", "MX"): ["20 backup.provider.example.", "10 mx.provider.example."],
    ("here.example", "MX"): ["10 mail.here.example."],
    ("mail.here.example", "AAAA"): ["::ffff:127.0.0.1"],
    ("mx.provider.example", "A"): ["203.0.113.9"],
    ("address.example", "A"): ["203.0.113.8"],
    ("none.example", "MX"): ["0 ."],
    ("text.example", "TXT"): ["x"],
}


@pytest.fixture(scope="module")
def name_server():
    server = NameServer(ZONE)
    yield server
    server.close()


@pytest.fixture(scope="module")
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def site():
    with public_folder() as folder:
        yield Owned(folder / "site")


def account(port, host="127.0.0.1"):
    return {"owner": {"type": "pop3", "host": host, "port": port, "tls": "none", "user": "u", "password": "p",
                      "box": "captain"}}


def found(site, name_server, ports=None, domains=("yacht.example",), **sections):
    site.configure(**{"links": {"ashore": {"type": "always"}}, "relay": {}, "accounts": {},
                      "domains": {name: {} for name in domains}, **sections})
    return site.found(network.network, resolver=name_server.resolver, ports=ports or {"smtp": free_port()})


class TestLinks:
    def test_off_line_nothing_is_looked_at(self, site, name_server, listening):
        asked = len(name_server.asked)
        finding = only(found(site, name_server, links={"marina": BOARD}, relay={"host": "127.0.0.1"}), "note")
        assert "not on line: no link is up (marina)" in finding.found and "DNS" in finding.found
        assert len(name_server.asked) == asked

    def test_a_link_that_has_to_be_dialled_is_not(self, site, name_server, tmp_path):
        dial = {"type": "command", "up": f"touch {tmp_path}/dialled", "down": "true"}
        assert levels(found(site, name_server, links={"gsm": dial})) == ["note"]
        assert not (tmp_path / "dialled").exists()

    def test_one_that_is_up_by_another_hand(self, site, name_server, listening):
        dial = {"type": "command", "up": "false", "down": "true", "probe": "command true"}
        findings = found(site, name_server, links={"marina": BOARD, "gsm": dial}, accounts=account(listening))
        assert findings[0].found.startswith("we are on line by link gsm") and levels(findings) == ["fine"] * 3

    def test_a_probe_that_cannot_be_made(self, site, name_server):
        probe = {"type": "present", "probe": "command /nowhere/probe"}
        assert "whether link marina is up" in only(found(site, name_server, links={"marina": probe}), "wrong").found


class TestProviders:
    def test_all_can_be_reached(self, site, name_server, listening):
        findings = found(site, name_server, relay={"host": "127.0.0.1", "port": listening, "tls": "none"},
                         accounts=account(listening, "localhost"))
        assert levels(findings) == ["fine"] * 4
        assert findings[1].found == f"the relay, 127.0.0.1 port {listening}, can be reached"
        assert f"account owner's server, localhost port {listening}," in findings[2].found

    def test_one_that_refuses(self, site, name_server, listening):
        port = free_port()
        findings = found(site, name_server, relay={"host": "127.0.0.1", "port": port}, accounts=account(listening))
        assert f"127.0.0.1 port {port}, cannot be reached: Connection refused" in only(findings, "wrong").found

    def test_one_that_does_not_answer(self, site, name_server):
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            waiting = [socket.socket() for _ in range(3)]       # a queue that is full: the kernel drops what comes
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            site.configure(links={"ashore": {"type": "always"}}, relay={"host": "127.0.0.1", "port": port}, accounts={},
                           domains={"yacht.example": {}})
            finding = only(site.found(network.network, resolver=name_server.resolver, patience=0.2), "wrong")
            for each in waiting:
                each.close()
        assert finding.found.endswith("cannot be reached: no answer")

    def test_a_name_that_there_is_not(self, site, name_server):
        finding = only(found(site, name_server, relay={"host": "smtp..provider"}), "wrong")
        assert "the relay has no address: smtp..provider" in finding.found

    def test_none(self, site, name_server):
        findings = found(site, name_server)
        assert [each.level for each in findings if "stays on board" in each.found] == ["note"]


class TestDomains:
    """What the last Findings say: those about domains."""

    def test_mail_that_waits_at_the_provider(self, site, name_server, listening):
        finding = found(site, name_server, accounts=account(listening))[-1]
        assert finding.level == "fine"
        assert "goes to mx.provider.example; it is fetched from 127.0.0.1" in finding.found

    def test_mail_that_nobody_fetches(self, site, name_server):
        finding = found(site, name_server)[-1]
        assert finding.level == "note" and "no account to fetch it from" in finding.found

    def test_mail_that_comes_here(self, site, name_server, listening):
        finding = found(site, name_server, {"smtp": listening}, ["here.example"])[-1]
        assert finding.level == "fine" and "comes to this machine" in finding.found

    def test_mail_that_would_come_here_if_somebody_listened(self, site, name_server):
        finding = found(site, name_server, domains=["here.example"])[-1]
        assert finding.level == "wrong" and "MX mail.here.example" in finding.found

    @pytest.mark.parametrize("domain, what", [
        ("nowhere.example", "is not in DNS"), ("none.example", "no MX and no address"),
        ("text.example", "no MX and no address"), ("address.example", "goes to address.example")])
    def test_domains_without_mx(self, site, name_server, domain, what):
        finding = found(site, name_server, domains=[domain])[-1]
        assert finding.level == "note" and what in finding.found

    def test_a_name_server_that_does_not_answer(self, site):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))

            def resolver():
                found = dns.resolver.Resolver(configure=False)
                found.nameservers, found.port, found.lifetime = ["127.0.0.1"], silent.getsockname()[1], 0.2
                return found
            site.configure(links={"ashore": {"type": "always"}}, relay={}, accounts={},
                           domains={"yacht.example": {}, "here.example": {}})
            findings = site.found(network.network, resolver=resolver)
        assert "no name server answers" in findings[-1].found and len(findings) == 3

    def test_a_name_server_that_fails(self, site, name_server):
        finding = found(site, name_server, domains=["broken.example"])[-1]
        assert finding.level == "note" and "the MX of broken.example cannot be looked up" in finding.found

    def test_the_systems_name_servers_are_asked_by_default(self, site, name_server, monkeypatch):
        monkeypatch.setattr(exchangers, "system_resolver", name_server.resolver)
        site.configure(links={"ashore": {"type": "always"}}, relay={}, accounts={}, domains={"yacht.example": {}})
        assert "goes to mx.provider.example" in site.found(network.network)[-1].found

    def test_a_machine_without_name_servers(self, site, tmp_path):
        site.configure(links={"ashore": {"type": "always"}}, relay={}, accounts={}, domains={"yacht.example": {}})
        finding = site.found(network.network, resolver=lambda: dns.resolver.Resolver(str(tmp_path / "none")))[-1]
        assert "/etc/resolv.conf" in finding.remedy and finding.level == "note"

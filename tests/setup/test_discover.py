"""What the DNS of a domain says about its servers for mail programs, asked of a real name server on loopback."""

import random
import socket

import dns.resolver
import pytest

from amsmail.setup.provider.discover import discover
from amsmail.wire.address import AddressError

from ..real.packages import environment, tree
from ..real.process import free_port, public_folder, running

RECORDS = """
# harbour.example has everything, and likes one host better than another
srv-host=_submissions._tcp.harbour.example,out.harbour.example,465,0,1
srv-host=_submission._tcp.harbour.example,out.harbour.example,587,0,1
srv-host=_imaps._tcp.harbour.example,second.harbour.example,993,20,1
srv-host=_imaps._tcp.harbour.example,first.harbour.example,1993,10,1
srv-host=_imap._tcp.harbour.example,first.harbour.example,143,10,1
srv-host=_pop3s._tcp.harbour.example,first.harbour.example,995,10,1
mx-host=harbour.example,aspmx.l.google.com,10
# weights
srv-host=_imaps._tcp.weights.example,light.weights.example,993,0,1
srv-host=_imaps._tcp.weights.example,heavy.weights.example,993,0,60000
# some services are not there, and it says so
srv-host=_submissions._tcp.declines.example,mail.declines.example,465,0,1
srv-host=_imaps._tcp.declines.example
srv-host=_pop3s._tcp.declines.example
srv-host=_pop3._tcp.declines.example
mx-host=declines.example,aspmx.l.google.com,10
# nothing is there
srv-host=_imaps._tcp.nothing.example
mx-host=nothing.example,mx.nothing.example,10
# at others
srv-host=_imaps._tcp.elsewhere.example,imap.fastmail.com,993,0,1
srv-host=_pop3s._tcp.elsewhere.example,mail.notelsewhere.example,995,0,1
# some here, the rest at the mail exchanger's
srv-host=_imaps._tcp.mixed.example,mail.mixed.example,993,0,1
mx-host=mixed.example,aspmx.l.google.com,10
# only a mail exchanger
mx-host=workspace.example,alt1.aspmx.l.google.com,20
mx-host=workspace.example,aspmx.l.google.com,10
mx-host=office.example,office-example.mail.protection.outlook.com,0
mx-host=filter.example,mx.filter.elsewhere.example,10
mx-host=filter.example,mx00.kundenserver.de,20
mx-host=own.example,mx.own.example,10
mx-host=silent.example,.,0
# nothing that could stand in mail.cfg
srv-host=_imaps._tcp.odd.example,mail.odd.example,0,0,1
txt-record=empty.example,there is a domain
"""


@pytest.fixture(scope="module")
def name_server():
    """The port of a dnsmasq."""
    root = tree("dnsmasq-base")
    with public_folder() as folder:
        port = free_port()
        (folder / "dnsmasq.conf").write_text(
            f"port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nlocal=/example/\npid-file=\n"
            f"user=root\nkeep-in-foreground\nlog-facility=-\n{RECORDS}")
        command = [root / "usr/sbin/dnsmasq", f"--conf-file={folder / 'dnsmasq.conf'}"]
        with running(command, {port}, folder, environment(root)):
            yield port


def resolver_at(port, lifetime=5):
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], port
    resolver.timeout = resolver.lifetime = lifetime
    return resolver


@pytest.fixture
def find(name_server):
    return lambda address: discover(address, resolver_at(name_server))


def places(found):
    return [(offer.service, offer.tls, offer.host, offer.port) for offer in found.offers]


def test_what_srv_records_say_in_order_of_preference(find):
    assert places(find("cook@harbour.example")) == [
        ("smtp", "implicit", "out.harbour.example", 465),
        ("smtp", "starttls", "out.harbour.example", 587),
        ("imap", "implicit", "first.harbour.example", 1993),
        ("imap", "implicit", "second.harbour.example", 993),
        ("imap", "starttls", "first.harbour.example", 143),
        ("pop3", "implicit", "first.harbour.example", 995),
    ]


def test_a_server_in_the_domain_needs_no_confirmation(find):
    offers = find("cook@harbour.example").offers
    assert not any(offer.needs_confirmation for offer in offers)
    assert {offer.user for offer in offers} == {"cook@harbour.example"}
    assert offers[0].source == "_submissions._tcp.harbour.example in the DNS"


def test_the_case_of_the_domain_does_not_matter(find):
    assert places(find("cook@Harbour.EXAMPLE")) == places(find("cook@harbour.example"))
    assert not any(offer.needs_confirmation for offer in find("cook@Harbour.EXAMPLE").offers)


def test_among_equals_the_heavier_comes_first_mostly(find):
    random.seed(1)
    first = [find("cook@weights.example").offers[0].host for _ in range(10)]
    assert first.count("heavy.weights.example") >= 9


def test_what_is_declined_is_not_offered_though_the_mail_exchanger_would_let_guess_it(find):
    assert places(find("cook@declines.example")) == [("smtp", "implicit", "mail.declines.example", 465)]


def test_a_server_elsewhere_must_be_confirmed(find):
    imap, pop3 = find("cook@elsewhere.example").offers
    assert imap.needs_confirmation and pop3.needs_confirmation
    assert "app password" in imap.note and not pop3.note


def test_a_mail_exchanger_leads_to_the_provider_it_is_of(find):
    found = find("cook@workspace.example")
    assert places(found) == [("smtp", "implicit", "smtp.gmail.com", 465), ("imap", "implicit", "imap.gmail.com", 993),
                             ("pop3", "implicit", "pop.gmail.com", 995)]
    assert all(offer.needs_confirmation and offer.user == "cook@workspace.example" for offer in found.offers)
    assert found.offers[0].source == "aspmx.l.google.com, which takes the mail for workspace.example, is of Gmail"


def test_what_the_domain_says_itself_comes_before_what_its_mail_exchanger_lets_guess(find):
    assert [(offer.service, offer.host) for offer in find("cook@mixed.example").offers] == [
        ("smtp", "smtp.gmail.com"), ("imap", "mail.mixed.example"), ("pop3", "pop.gmail.com")]


def test_a_provider_that_takes_no_password_says_so_here_too(find):
    assert [(offer.service, offer.passwords) for offer in find("cook@office.example").offers] == [
        ("smtp", True), ("imap", False), ("pop3", False)]


def test_another_mail_exchanger_is_seen_where_the_first_is_of_nobody(find):
    assert find("cook@filter.example").offers[0].host == "smtp.ionos.de"


@pytest.mark.parametrize("address, why", [
    ("cook@own.example", "the DNS names no servers of own.example for mail programs, and mx.own.example, which takes "
                         "its mail, is of no provider that is known here"),
    ("cook@nothing.example", "nothing.example says that it has no servers for mail programs, and mx.nothing.example, "
                             "which takes its mail, is of no provider that is known here"),
    ("cook@silent.example", "the DNS names no servers of silent.example for mail programs, and it takes no mail at "
                            "all"),
    ("cook@empty.example", "the DNS names no servers of empty.example for mail programs, nor any that takes its mail"),
    ("cook@odd.example", "the DNS names no servers of odd.example for mail programs, nor any that takes its mail"),
    ("cook@no-such.example", "there is no domain no-such.example: is the address right?"),
    ("cook@[192.0.2.1]", "[192.0.2.1] is no domain, so nothing can be looked up"),
])
def test_where_nothing_is_found_a_sentence_says_why(find, address, why):
    found = find(address)
    assert (found.offers, found.why) == ((), why)


def test_what_the_name_server_refuses_is_told(find):
    # dnsmasq answers only for .example here.
    assert find("cook@refused.test").why == (
        "the name servers give no answer about refused.test: not on line, or its DNS is broken")


def test_a_name_server_that_is_silent_is_told_in_time():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        found = discover("cook@harbour.example", resolver_at(silent.getsockname()[1], 0.2))
    assert found.why == "no name server answers: this machine is not on line, or its link is very slow"


def test_a_machine_that_knows_no_name_server_is_not_on_line(monkeypatch):
    def no_configuration():
        raise dns.resolver.NoResolverConfiguration
    monkeypatch.setattr(dns.resolver, "Resolver", no_configuration)
    assert discover("cook@harbour.example").why == "this machine knows no name server, so it is not on line"


def test_the_systems_name_servers_are_asked_by_default_and_not_for_long(name_server, monkeypatch):
    resolver = resolver_at(name_server, 99)
    monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)
    assert places(discover("cook@weights.example"))
    assert resolver.timeout <= resolver.lifetime < 10


def test_for_a_known_domain_nothing_is_asked():
    found = discover("cook@gmail.com", resolver=object())
    assert [offer.host for offer in found.offers] == ["smtp.gmail.com", "imap.gmail.com", "pop.gmail.com"]
    assert not any(offer.needs_confirmation for offer in found.offers)
    assert found.offers[0].source == "Gmail"


def test_what_is_no_address_is_refused():
    with pytest.raises(AddressError):
        discover("cook", resolver=object())

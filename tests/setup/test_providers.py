"""The table of providers, and how one is found in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.setup.provider.providers import SERVICES, Offer, Providers, is_within
from amsmail.site.values import is_domain
from amsmail.transport.connect import PORTS
from amsmail.wire.address import parse_address

from ..mailcheck.sites import Site

ALL = list(Providers())
KEYS = {"title", "domains", "mx", *SERVICES, "oauth_only", "note"}


@pytest.fixture
def providers():
    return Providers()


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.name)
def test_an_entry_is_whole(provider):
    assert provider.title and provider.name == provider.name.casefold()
    assert "smtp" in provider.servers and {"imap", "pop3"} & provider.servers.keys()
    assert provider.domains or provider.mx
    assert all(is_domain(domain) and domain == domain.casefold() for domain in provider.domains + provider.mx)
    assert set(provider.oauth_only) <= provider.servers.keys()
    assert not provider.oauth_only or "OAuth only" in provider.note
    assert len(provider.note) <= 120
    for service, server in provider.servers.items():
        assert re.fullmatch(r"[a-z0-9.-]+", server.host) and 0 < server.port < 65536
        assert server.tls in ("implicit", "starttls"), "no provider's password goes in the clear"


def test_the_table_has_no_key_that_is_not_read():
    from amsmail.setup.provider import providers
    with open(providers._TABLE, encoding="utf-8") as f:
        keys = {line.partition("=")[0].strip() for line in f if "=" in line and not line.startswith("#")}
    assert keys <= KEYS


def test_no_domain_and_no_name_leads_to_two():
    for kind in ([each.name for each in ALL], [each.title.casefold() for each in ALL],
                 [domain for each in ALL for domain in each.domains], [mx for each in ALL for mx in each.mx]):
        assert len(kind) == len(set(kind))


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.name)
def test_what_an_entry_says_can_stand_in_mail_cfg(provider, tmp_path):
    offers = provider.offers(parse_address("captain@yacht.example"))
    relay = next(offer.settings for offer in offers if offer.service == "smtp")
    accounts = {offer.service: {**offer.settings, "password": "x", "box": "captain"}
                for offer in offers if offer.service != "smtp"}
    site = Site(tmp_path, relay={**relay, "password": "x"}, accounts=accounts).site
    assert site.relay["host"] == provider.servers["smtp"].host
    for service, account in site.accounts.items():
        server = provider.servers[service]
        assert (account["port"] or PORTS[service][account["tls"]]) == server.port
        assert (account["type"], account["host"], account["tls"]) == (service, server.host, server.tls)


def test_found_by_name_and_by_title(providers):
    assert providers.by_name(" GMail ").name == "gmail"
    assert providers.by_name("Microsoft 365").name == "office365"
    assert providers.by_name("nobody") is None


def test_found_by_the_domain_of_an_address(providers):
    assert providers.by_domain("GoogleMail.com").name == "gmail"
    assert providers.by_domain("mail.gmail.com") is None


def test_found_by_its_host(providers):
    assert providers.by_host("IMAP.fastmail.com", 1993).name == "fastmail"
    assert providers.by_host("fastmail.com", 993) is None


def test_found_by_an_address_only_with_the_port(providers):
    assert providers.by_host("127.0.0.1", 1143).name == "proton"
    assert providers.by_host("127.0.0.1", 143) is None


@pytest.mark.parametrize("host, name", [
    ("aspmx.l.google.com", "gmail"),
    ("google.com", "gmail"),
    ("yacht-example.mail.protection.outlook.com", "office365"),
    ("eur.olc.protection.outlook.com", "outlook"),
    ("mx-aol.mail.gm0.yahoodns.net", "aol"),
    ("mta5.am0.yahoodns.net", "yahoo"),
    ("MX2.Zoho.com", "zoho-domain"),
])
def test_found_by_its_mail_exchanger(providers, host, name):
    assert providers.by_mx(host).name == name


@pytest.mark.parametrize("host", ["notgoogle.com", "google.com.evil.example", "protection.outlook.com", "com", ""])
def test_a_name_that_only_looks_like_a_mail_exchanger_is_none(providers, host):
    assert providers.by_mx(host) is None


@given(st.text("ab.", max_size=8), st.text("ab", min_size=1, max_size=3))
def test_a_host_is_within_a_domain_by_whole_labels(host, domain):
    assert is_within(host, domain) == (host.split(".")[-1:] == [domain])


def test_the_user_is_the_address_or_its_local_part(providers):
    users = {offer.service: offer.user for offer in providers.by_name("icloud").offers(parse_address("cook@me.com"))}
    assert users == {"smtp": "cook@me.com", "imap": "cook"}


def test_imap_comes_before_pop3(providers):
    offers = providers.by_name("gmail").offers(parse_address("cook@gmail.com"))
    assert [offer.service for offer in offers] == ["smtp", "imap", "pop3"]


def test_who_takes_no_passwords_says_so(providers):
    address = parse_address("cook@outlook.com")
    takes = {name: [offer.service for offer in providers.by_name(name).offers(address) if offer.passwords]
             for name in ("gmail", "outlook", "office365")}
    assert takes == {"gmail": ["smtp", "imap", "pop3"], "outlook": [], "office365": ["smtp"]}


def test_a_port_stands_in_mail_cfg_only_where_it_is_not_the_usual_one():
    offer = Offer("imap", "mail.example", 993, "implicit", "cook", "")
    assert offer.settings == {"type": "imap", "host": "mail.example", "tls": "implicit", "user": "cook"}
    assert offer.but(port=1993).settings["port"] == "1993"
    assert "type" not in offer.but(service="smtp", port=465).settings


def test_a_provider_of_ones_own_is_a_section(tmp_path):
    path = tmp_path / "providers.cfg"
    path.write_text("[harbour]\ntitle = Harbour\ndomains = harbour.example\n"
                    "smtp = mail.harbour.example:2465 implicit local-part\npop3 = mail.harbour.example starttls\n")
    smtp, pop3 = Providers(str(path)).by_domain("harbour.example").offers(parse_address("cook@harbour.example"))
    assert (smtp.port, smtp.user, pop3.port, pop3.user) == (2465, "cook", 110, "cook@harbour.example")

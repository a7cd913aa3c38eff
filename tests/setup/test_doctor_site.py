"""mailcfg check: what mail.cfg itself lets happen."""

import os

import pytest

from amsmail.setup.doctor import settings
from tests.real.process import public_folder

from .doctor import Owned, as_root, levels, only


@pytest.fixture(scope="module")
def site():
    with public_folder() as folder:
        yield Owned(folder / "site")


BASE = {"hostname": "yacht.example", "postmaster": "captain"}
RELAY = {"host": "smtp.provider.example"}


def relaying(site, relay_from, relay=RELAY, clear="127.0.0.1"):
    site.configure(site={**BASE, "relay_from": relay_from}, relay=relay, tls={"cleartext_login_from": clear})
    return site.found(settings.relaying)


@pytest.mark.parametrize("networks", [
    "127.0.0.0/8, ::1", "192.168.7.0/24, 10.0.0.0/8, 172.16.0.0/12, fd00:1::/32, fe80::/10", ""])
def test_networks_on_board_are_fine(site, networks):
    assert levels(relaying(site, networks)) == ["fine"]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "198.0.0.0/8", "2000::/3",
                                     "172.0.0.0/8", "192.0.0.0/8", "fc00::/6"])
def test_an_open_relay(site, network):
    finding = only(relaying(site, f"127.0.0.1, {network}"), "wrong")
    assert f"relay_from holds {network}" in finding.found and "open relay" in finding.found
    assert only(relaying(site, network, relay={}), "wrong")     # the relay is named next


@pytest.mark.parametrize("network", ["198.51.100.0/24", "2001:db8:1::/48", "100.64.0.0/16"])
def test_a_public_network_may_be_ones_own(site, network):
    assert "only if all its machines are yours" in only(relaying(site, network), "note").remedy


def test_passwords_in_clear_from_anywhere(site):
    finding = only(relaying(site, "127.0.0.1", clear="0.0.0.0/0"), "wrong")
    assert "cleartext_login_from holds 0.0.0.0/0" in finding.found and "passwords in clear" in finding.found


def test_boxes_without_a_password_and_a_domain_without_a_relay(site):
    site.configure(boxes={"captain": {}, "cook": {}}, domains={"yacht.example": {"unknown": "relay"}}, relay={})
    findings = site.found(settings.boxes)
    assert levels(findings) == ["note", "note", "note"]
    assert findings[0].remedy == "mailcfg password --box captain"
    assert "there is no relay" in findings[2].found
    site.configure(boxes={"captain": {"password": "$pbkdf2-sha256$1000$ytm7NwbAeK91bu1da.3d2w$"
                                                  "skXfjL8POTd.y8M5czphH1w7P.JnjPQ8M1azYuSWsak"}}, relay=RELAY)
    assert site.found(settings.boxes) == []


def test_a_domain_in_which_strangers_have_addresses(site):
    site.configure(domains={"gmail.com": {}}, boxes={"captain": {}, "cook": {"addresses": "cook, chef@gmail.com"}})
    refused, captain, cook = site.found(settings.shared)
    assert levels([refused, captain, cook]) == ["wrong"] * 3
    assert "all addresses of gmail.com that no box here has are refused" in refused.found
    assert refused.remedy == "mailcfg domain set gmail.com --unknown relay"
    assert "captain@gmail.com" in captain.found and "mailcfg box set captain --addresses" in captain.remedy
    assert "cook@gmail.com" in cook.found and "chef" not in cook.found
    site.configure(domains={"gmail.com": {"unknown": "relay"}},
                   boxes={"captain": {"addresses": "ourboat@gmail.com"}, "cook": {"addresses": "cook@home.arpa"}})
    assert site.found(settings.shared) == []
    site.configure(domains={"yacht.example": {}}, boxes={"captain": {}})
    assert site.found(settings.shared) == []


class TestPrograms:
    @pytest.fixture
    def programs(self, site):
        folder = site.path.parent / "programs"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        for name in ("dial", "hangup", "secret", "mmcli"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        return folder

    def found(self, site, programs, **link):
        site.configure(links={"gsm": link})
        return site.found(settings.programs, path=str(programs))

    def command(self, programs):
        return {"type": "command", "up": programs / "dial", "down": programs / "hangup"}

    def test_all_can_be_run(self, site, programs):
        assert "dial" in only(self.found(site, programs, **self.command(programs)), "fine").found
        assert levels(self.found(site, programs, type="modemmanager", entry=0, apn="x",
                                 password_command="secret")) == ["fine"]

    def test_links_that_need_none(self, site, programs):
        assert self.found(site, programs, type="always") == []

    def test_one_is_missing(self, site, programs):
        (programs / "hangup").unlink()
        finding = only(self.found(site, programs, **self.command(programs)), "wrong")
        assert f"link gsm: the program {programs}/hangup is not there" in finding.found

    def test_a_dialler_is_not_installed(self, site, programs):
        finding = only(self.found(site, programs, type="networkmanager", entry="x"), "wrong")
        assert finding.remedy == "apt-get install network-manager"

    def test_a_password_command_is_missing(self, site, programs):
        (programs / "secret").unlink()
        finding = only(self.found(site, programs, type="modemmanager", entry=0, password_command="secret"), "wrong")
        assert "the program secret is not there" in finding.found

    def test_one_that_mailchecks_user_may_not_run(self, site, programs):
        (programs / "dial").chmod(0o600)
        finding = only(self.found(site, programs, **self.command(programs)), "wrong")
        assert f"user {site.user.pw_name}" in finding.found and "chmod +x" in finding.remedy

    def test_one_that_is_for_a_group_as_pppd_is(self, site, programs):
        import grp
        as_root("give a file to another group")
        group = grp.getgrnam("dip" if any(g.gr_name == "dip" for g in grp.getgrall()) else "daemon")
        os.chown(programs / "dial", 0, group.gr_gid)
        (programs / "dial").chmod(0o4750)
        finding = only(self.found(site, programs, **self.command(programs)), "wrong")
        assert finding.remedy == f"adduser {site.user.pw_name} {group.gr_name}"

    def test_a_value_that_its_dialler_cannot_take(self, site, programs):
        finding = only(self.found(site, programs, type="modemmanager", entry=0, apn="a'b\"c"), "wrong")
        assert "both kinds of quotes" in finding.found

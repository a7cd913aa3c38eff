"""What fills in the relay or an account: whose an address is."""

import pytest

from amsmail.setup.provider import presets
from amsmail.site import config
from amsmail.site.draft import Draft

TEXT = """\
schema = 1
[site]
hostname = mail.yacht.example
postmaster = captain
[domains]
[[yacht.example]]
[[fleet.example]]
[boxes]
[[captain]]
addresses = Captain, captain@provider.example
[[cook]]
addresses =
[[mate]]
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mail.cfg"
    path.write_text(TEXT)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("address, box", [
    ("captain@YACHT.example", "captain"), ("captain@fleet.example", "captain"), ("captain@provider.example", "captain"),
    ("cook@yacht.example", "cook"), ("mate@fleet.example", "mate"), ('"mate"@fleet.example', "mate"),
    ("cook@provider.example", ""), ("cook", ""), ("", "")])
def test_the_box_of_an_address_is_the_one_that_gets_its_mail(path, address, box):
    assert presets.box_of(Draft(path), address) == box
    assert config.load(str(path)).addresses.get(address.casefold().replace('"', ""), "") == box


def test_an_entry_that_is_no_address_is_nobodys(path):
    path.write_text(TEXT.replace("addresses =\n", "addresses = c@@x cook\n"))
    assert presets.box_of(Draft(path), "c@@y") == "" and presets.box_of(Draft(path), "cook@yacht.example") == "cook"


@pytest.mark.parametrize("addresses, found", [("captain", "captain"), ("", "captain"), (",", "captain"),
                                              ("a b", "a, b")])
def test_a_box_that_gets_an_address_keeps_what_it_has(path, addresses, found):
    draft = Draft(path)
    draft.set(("boxes", "captain", "addresses"), addresses)
    presets.give(draft, "captain", "boat@provider.example")
    assert draft.value(("boxes", "captain", "addresses")) == f"{found}, boat@provider.example"

"""Addresses and paths: what is parsed is written the same, and wrong text is an AddressError and nothing else."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.address import Address, AddressError, is_ipv4, is_ipv6, parse_address, parse_path

_atoms = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~üπ", min_size=1, max_size=8)
_locals = st.lists(_atoms, min_size=1, max_size=4).map(".".join) | st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("üπ\u2028 "), max_size=20)
_labels = st.from_regex(r"[a-zA-Z0-9ü]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?", fullmatch=True)
_domains = (st.lists(_labels, min_size=1, max_size=4).map(".".join) | st.ip_addresses(v=4).map("[{}]".format)
            | st.ip_addresses(v=6).map("[IPv6:{}]".format))
addresses = st.builds(Address, _locals.filter(lambda text: len(text.encode()) <= 64), _domains)
_pieces = list('<>@",:;.[]\\ ') + ["a", "IPv6:", "::", "ü", "postmaster", "\0", "\udce9"]
_texts = st.text(max_size=40) | st.lists(st.sampled_from(_pieces), max_size=20).map("".join)


@given(addresses)
def test_an_address_is_read_as_it_was_written(address):
    assert parse_address(str(address)) == address
    assert parse_path(f"<{address}> SIZE=1") == (address, " SIZE=1")
    assert parse_path(f"<@a.example,@b.example:{address}>") == (address, "")


@given(_texts)
def test_wrong_text_raises_address_error_and_nothing_else(text):
    for parse in (parse_address, parse_path, lambda t: parse_path("<" + t + ">", null=True, postmaster=True)):
        try:
            parse(text)
        except AddressError as error:
            assert "\n" not in str(error) and "\r" not in str(error)


@pytest.mark.parametrize("text", ["caf\udce9@yacht.example", '"caf\udce9"@yacht.example', "cook@yach\udce9.example"])
def test_what_is_no_text_is_no_address(text):
    """As arguments in another character set come out of the operating system."""
    with pytest.raises(AddressError):
        parse_address(text)


@given(_texts)
def test_what_is_read_can_be_written_and_read_again(text):
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address
    assert not set("\r\n\0") & set(str(address))


@given(st.text("0123456789abcdef:.", max_size=20))
def test_ip_addresses_are_what_the_standard_library_takes_for_them(text):
    def known(kind):
        try:
            return bool(kind(text))
        except ValueError:
            return False
    numbers = text.replace(":", ".").split(".")
    if not any(number[0] == "0" for number in numbers if len(number) > 1):      # 01 is a matter of taste
        assert is_ipv4(text) == known(ipaddress.IPv4Address)
        assert is_ipv6(text) == known(ipaddress.IPv6Address)


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_one(address):
    assert is_ipv6(str(address)) and is_ipv6(address.exploded)


def test_null_path_and_postmaster_only_where_they_are_allowed():
    assert parse_path("<> x", null=True) == (None, " x")
    assert parse_path("<PostMaster>", postmaster=True) == (Address("PostMaster", ""), "")
    for wrong in ("<>", "<postmaster>"):
        with pytest.raises(AddressError):
            parse_path(wrong)


@pytest.mark.parametrize("local, domain, good", [
    ("a" * 64, "example", True),
    ("a" * 65, "example", False),
    ("ü" * 32, "example", True),
    ("ü" * 33, "example", False),
    ("a", ".".join(["b" * 63] * 3 + ["c" * 60]), True),       # a path of 256 octets
    ("a", ".".join(["b" * 63] * 3 + ["c" * 61]), False),
    ("a", "b" * 63, True),
    ("a", "b" * 64, False),
])
def test_limits(local, domain, good):
    try:
        assert parse_path(f"<{local}@{domain}>")[0] == Address(local, domain)
        assert good
    except AddressError:
        assert not good


def test_case_and_a_final_dot_make_no_other_mailbox():
    assert Address("Captain", "Yacht.Example.").key == Address("captain", "yacht.example").key
    assert Address("captain", "yacht.example").key != Address("cook", "yacht.example").key


def test_quoting_is_written_only_where_it_must_be():
    assert str(parse_address('"captain"@yacht.example')) == "captain@yacht.example"
    assert str(parse_address(r'"a\"b\\c\d"@yacht.example')) == r'"a\"b\\cd"@yacht.example'
    assert str(parse_address('""@yacht.example')) == '""@yacht.example'

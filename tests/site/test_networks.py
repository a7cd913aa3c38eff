"""Addresses and networks, compared with the standard library's."""

import ipaddress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amsmail.site import networks

addresses = st.ip_addresses().map(str)


@given(addresses, st.ip_addresses().flatmap(
    lambda a: st.integers(0, a.max_prefixlen).map(lambda n: ipaddress.ip_network((a, n), strict=False))))
def test_contains_agrees_with_ipaddress(address, network):
    assume(networks.unmapped(str(network[0])) == str(network[0]))
    as_it_is = ipaddress.ip_address(networks.unmapped(address))
    assert networks.contains([networks.parse(str(network))], address) == (as_it_is in network)
    assert networks.contains([networks.parse(str(network))], str(network[0]))


@given(st.ip_addresses(v=4).map(str))
def test_an_ipv4_address_in_ipv6s_clothes_is_that_address(address):
    assert networks.unmapped(f"::ffff:{address}") == address
    assert networks.contains([networks.parse(address)], f"::ffff:{address}")


@pytest.mark.parametrize("address", ["", "unknown", "1.2.3", "::g"])
def test_what_is_no_address_is_in_no_network(address):
    assert not networks.contains([networks.parse("0.0.0.0/0"), networks.parse("::/0")], address)


@pytest.mark.parametrize("text", ["", "x", "1.2.3.4/33", "1.2.3.4/", "::1/129", "10.0.0.1/8", "1.2.3.4/-1"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):
        networks.parse(text)

"""PLAIN and LOGIN from both sides."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.sasl import Credentials, SaslError, ServerExchange, encode, initial_response, plain_message

_words = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)


@given(_words.filter(bool), _words)
def test_plain_as_a_client_says_it(user, password):
    assert ServerExchange("PLAIN").step(plain_message(user, password)) == Credentials(user, password)


@given(_words, _words)
def test_login_in_two_steps(user, password):
    exchange = ServerExchange("LOGIN")
    assert base64.b64decode(exchange.step(None)) == b"Username:"
    assert base64.b64decode(exchange.step(encode(user.encode()))) == b"Password:"
    assert exchange.step(encode(password.encode())) == Credentials(user, password)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@given(response=st.text(max_size=20) | st.binary(max_size=20).map(encode))
def test_any_response_is_taken_or_a_sasl_error(mechanism, response):
    exchange = ServerExchange(mechanism)
    try:
        while not isinstance(exchange.step(response), Credentials):
            pass
    except SaslError:
        pass


@pytest.mark.parametrize("response", ["=", "====", "AGEAYg==x", "AGEAYg==\n", " AGEAYg==", "AGEAYg", "AGEAYmM=====",
                                      "AGEAYmNk="])
def test_base64_is_taken_strictly(response):
    with pytest.raises(SaslError):
        ServerExchange("PLAIN").step(response)


def test_initial_responses():
    assert [initial_response(text) for text in ("", "=", "AGEAYg==")] == [None, "", "AGEAYg=="]

"""A connection and nothing more: which of a server's addresses takes it, and why none does."""

import socket

import pytest

from amsmail.transport import reach


@pytest.fixture(scope="module")
def listening():
    """A port at 127.0.0.1 that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_first_address_that_takes_us_will_do(listening):
    with reach.connected(["127.0.0.9", "127.0.0.1", "127.0.0.8"], listening, 2) as connection:
        assert connection.getpeername()[0] == "127.0.0.1"


@pytest.mark.parametrize("found, why", [(["127.0.0.9", "127.0.0.8"], "Connection refused"), ([], "it has no address")])
def test_none_takes_us(listening, found, why):
    with pytest.raises(reach.Unreached, match=why):
        reach.connected(found, listening, 2)


@pytest.mark.parametrize("error, why", [(TimeoutError(), "no answer"), (OSError(101, "Network is unreachable"),
                                        "Network is unreachable"), (OSError("odd"), "odd")])
def test_why_in_words(error, why):
    assert reach.reason(error) == why

"""A line that breaks while a large body goes out: what the relay had said by then counts."""

import pytest

from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import FLOWS, Site, relay

SMALL = b"Subject: small\r\n\r\nHello.\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"A line of a large text.\r\n" * 400_000       # more than the kernels hold


@pytest.fixture
def yacht(tmp_path):
    return Site(tmp_path / "yacht")


def subjects(provider):
    return [body.partition(b"Subject: ")[2].split()[0] for _, _, body in provider.accepted]


@pytest.mark.parametrize("flow", FLOWS)
def test_an_acceptance_that_had_come_before_the_line_broke_counts(yacht, flow):
    yacht.enqueue(SMALL)
    yacht.enqueue(LARGE)
    with Relay(FLOWS[flow], cut_in_body=200_000) as provider:
        yacht.configure(relay=relay(provider.port))
        result = yacht.push()
        (_, text), = result.failures
        assert (result.done, result.refused, result.kept) == (1, 0, 1) and "the connection broke" in text
        assert [queued.size for queued in yacht.queued()] == [len(LARGE)]
        assert not any("quirk" in line for line in yacht.log)
        provider.cut_in_body = None
        assert yacht.push().failures == []
    assert subjects(provider) == [b"small", b"large"]


class Full(Relay):
    """Says in the middle of a body larger than a limit that it is too large, and closes without reading the rest."""

    def _chunk(self, size):
        return super()._chunk(size) if size < 100_000 else self._too_large()

    def _body(self):
        while len(self._input) < 100_000:
            if b"\r\n.\r\n" in self._input:
                return super()._body()
            self.receive()
        return self._too_large()

    def _too_large(self):
        self.send(b"552 5.3.4 Too large for us\r\n")
        self.cut()


@pytest.mark.parametrize("flow", FLOWS)
def test_a_refusal_in_the_middle_of_a_body_counts(yacht, flow):
    """Else the message would be tried in each call for ever, and paid for."""
    yacht.enqueue(SMALL)
    yacht.enqueue(LARGE)
    with Full(FLOWS[flow]) as provider:
        yacht.configure(relay=relay(provider.port))
        result = yacht.push()
        assert (result.done, result.refused, result.kept) == (1, 1, 0)
        assert yacht.queued() == []
    notice, = yacht.box("captain")
    assert b"Status: 5.3.4" in notice and b"Too large for us" in notice and b"Subject: large" in notice
    assert subjects(provider) == [b"small"]


@pytest.mark.parametrize("flow", FLOWS)
def test_a_line_that_breaks_with_nothing_said_leaves_the_message_where_it_was(yacht, flow):
    yacht.enqueue(LARGE)
    with Relay(FLOWS[flow], cut_in_body=200_000) as provider:
        yacht.configure(relay=relay(provider.port))
        result = yacht.push()
    (_, text), = result.failures
    assert (result.done, result.refused, result.kept) == (0, 0, 1) and "the connection broke" in text
    assert len(yacht.queued()) == 1 and yacht.box("captain") == []

"""An address literal that names this very machine is ours (RFC 5321, section 4.1.3)."""

import pytest

from .site import Site
from .ways import Embedded

_SESSION = """\
HELO client.example
MAIL FROM:<>
RCPT TO:<captain@[127.0.0.1]>
RCPT TO:<nobody@[127.0.0.1]>
RCPT TO:<captain@[127.0.0.2]>
QUIT
"""


@pytest.fixture
def embedded(tmp_path):
    Site(tmp_path)
    way = Embedded(tmp_path)
    yield way
    way.close()


def test_a_literal_of_this_machine_leads_to_its_boxes(embedded):
    client = embedded.connect("smtp", "127.0.0.9")
    client.stream.write(_SESSION.replace("\n", "\r\n").encode())
    assert [line[:9] for line in client.lines(None).splitlines()] == [
        b"220 yacht", b"250 yacht", b"250 2.1.0", b"250 2.1.5", b"550 5.1.1", b"550 5.7.1", b"221 2.0.0"]

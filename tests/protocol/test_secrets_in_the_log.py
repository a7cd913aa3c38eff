"""What a reply must know that decides on a held message is told to its box only: smtpd's log does not tell it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .site import Site

_SMTPD = Path(__file__).parents[2] / "bin/smtpd"
_TOKEN, _GUESS = "abcdefgh" * 4, "zyxw7654" * 4
_HELD = {"account": "owner", "uid": "u1", "octets": 9000, "sender": "", "subject": "", "box": "captain", "time": 1,
         "token": hashlib.sha256(_TOKEN.encode()).hexdigest(), "state": "held", "by": ""}


@pytest.fixture
def log(tmp_path):
    """Gives what the real smtpd logs of a session with these recipients, from a network that may decide."""
    Site(tmp_path).put("state/held/aaaaaaaa", json.dumps(_HELD).encode())

    def log(*recipients):
        said = ["EHLO client.example", "MAIL FROM:<captain@yacht.example>", *(f"RCPT TO:{each}" for each in recipients),
                "DATA", "Subject: Re", "", "release", ".", "QUIT", ""]
        run = subprocess.run([sys.executable, "-IS", _SMTPD, tmp_path / "mail.cfg"], input="\r\n".join(said),
                             capture_output=True, text=True, timeout=20, env={**os.environ, "TCPREMOTEIP": "127.0.0.1"})
        assert "250 2.0.0 Accepted" in run.stdout
        return run.stderr
    return log


def test_it_is_not_in_the_line_of_an_accepted_reply(log):
    said = log(f"<held+{_TOKEN}@yacht.example>", "<agent@port.example>", f"<Held+{_TOKEN.upper()}@Friends.example>")
    assert " to=held+...@yacht.example,agent@port.example,Held+...@Friends.example " in said
    assert _TOKEN not in said.casefold()


@pytest.mark.parametrize("recipient, shown", [
    (f"<held+{_GUESS}@yacht.example>", "RCPT TO:<held+...@yacht.example>"),
    (f"<held+{_TOKEN}@yacht.example", "RCPT TO:<held+...@yacht.example"),
    (f"held+{_TOKEN}@yacht.example", "RCPT TO:held+...@yacht.example"),
    (f"<HELD+{_TOKEN.upper()}@yacht.example> XYZZY=1", "RCPT TO:<HELD+...@yacht.example> XYZZY=1"),
    (f"<captain@yacht.example>held+{_TOKEN}", "RCPT TO:<captain@yacht.example>held+..."),
])
def test_it_is_not_in_the_line_of_a_refused_command(log, recipient, shown):
    """What is refused for its form, or too early, may decide a moment later."""
    said = log("<cook@yacht.example>", recipient)
    assert _TOKEN not in said.casefold() and _GUESS not in said
    assert f'refused command="{shown}" reply=' in said.replace("\\=", "=")


def test_other_addresses_are_logged_as_they_are(log):
    assert " to=cook@yacht.example,held+berth@port.example " in log("<cook@yacht.example>", "<held+berth@port.example>")

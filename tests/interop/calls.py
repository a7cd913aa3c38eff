"""Calls over a link that is really brought up and down, for the tests of relays and providers."""

import json
import socket
import subprocess
import sys

import pytest

from ..mailcheck.sites import Site
from ..real.process import free_port
from .table import FOLDER

PROJECT = FOLDER.parents[1]


class Link:
    """A `command` link that scripts/demo-link really brings up and down; on it, a port leads to a server ashore."""

    def __init__(self, folder):
        self._forwards = []
        self._command = f"{sys.executable} {PROJECT}/scripts/demo-link"
        self._folder = folder / "link"
        self.ports = []

    def to(self, port):
        near = free_port()
        self.ports.append(near)
        self._forwards.append(f"{near}=127.0.0.1:{port}")
        return near

    @property
    def section(self):
        return {"gsm": {"type": "command", "down": f"{self._command} down {self._folder}",
                        "up": " ".join([f"{self._command} up {self._folder}", *self._forwards])}}

    def is_up(self):
        with socket.socket() as probe:
            return any(probe.connect_ex(("127.0.0.1", port)) == 0 for port in self.ports)


@pytest.fixture
def link(tmp_path):
    return Link(tmp_path)


@pytest.fixture
def site(tmp_path, boxes):
    for name in boxes.names:
        boxes.empty(name)
    return Site(tmp_path / "site")


def mailcheck(site, link):
    """Runs bin/mailcheck over the link; gives its exit code, what it said, and the call's line in the ledger."""
    site.configure(links=link.section)
    assert not link.is_up()
    done = subprocess.run([sys.executable, PROJECT / "bin/mailcheck", site.path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert not link.is_up()
    call = json.loads((site.path.parent / "spool/state/ledger.jsonl").read_text().splitlines()[-1])
    assert call["link"] == "gsm"
    return done.returncode, done.stdout + done.stderr, call


def relay(link, port, **settings):
    return {"relay": {"host": "localhost", "port": link.to(port), **settings}}

"""A line of the fake diallers, and a clock that only its owner moves."""

import json
import os
import sys
from pathlib import Path

import pytest

from amsmail.link import links

FAKES = Path(__file__).with_name("fakes")
ENTRIES = {"rasdial": "Station: Nord", "ppp": "station", "networkmanager": "Station: Nord", "modemmanager": "0"}
PROGRAMS = {"rasdial": "rasdial", "ppp": "pppd", "networkmanager": "nmcli", "modemmanager": "mmcli"}


class Clock:
    """Time that goes by only where somebody sleeps."""

    def __init__(self):
        self.now, self.sleeps = 1000.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.sleeps.append(seconds)
        self.now += seconds


class Line:
    """What the fake diallers play, and the links that dial with them."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = Clock()
        self.reported = []      # (attempt, LinkError) of attempts that failed

    def link(self, kind, **settings):
        """A link of type `kind` as mail.cfg would describe it, with the clock above."""
        described = {"type": kind, "entry": ENTRIES.get(kind, ""), "user": "yacht", "apn": "sea.example",
                     "up_limit": 20, **settings}
        return links.make(described, lambda *failure: self.reported.append(failure), self.clock.sleep, self.clock)

    def play(self, *failures):
        """What the next attempts are to play."""
        self.write("play", "\n".join(failures))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def set_up(self, kind):
        """Somebody else brings the line up."""
        self.write("up", json.dumps({PROGRAMS[kind]: {ENTRIES[kind]: "up"}}))

    def is_up(self, kind):
        """Whether anything is left of the line."""
        up = self.folder / "up"
        return bool(up.exists() and json.loads(up.read_text()).get(PROGRAMS[kind]))

    @property
    def calls(self):
        """How the fakes were called: [program, argument, ...] each."""
        calls = self.folder / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    @property
    def attempts(self):
        """The calls that were to bring the line up or down, as "up" and "down"."""
        words = {"/DISCONNECT": "down", "poff": "down", "pon": "up", "up": "up", "down": "down",
                 "--simple-disconnect": "down"}
        found = []
        for call in self.calls:
            simple = [word.partition("=")[0] for word in call]
            dials = "--simple-connect" in simple or call[0] == "rasdial" and len(call) > 1 and call[-1] != "/DISCONNECT"
            known = [words[word] for word in call if word in words]
            found += ["up"] if dials else known[:1]
        return found

    def script(self, name, text):
        """The path of a script of /bin/sh."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)


@pytest.fixture
def line(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_DIAL_STATE", str(tmp_path))
    python = os.path.dirname(sys.executable)        # what `env python3` finds: fakes start as quickly as they can
    monkeypatch.setenv("PATH", os.pathsep.join([str(FAKES), python, os.environ["PATH"]]))
    return Line(tmp_path)

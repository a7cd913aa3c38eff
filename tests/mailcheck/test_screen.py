"""What a person sees: whatever mail, ledger and providers say, it is printed, and moves no cursor."""

import io
import os
import sys

import pytest

from amsmail.program.screen import Screen, tell


@pytest.mark.parametrize("encoding, shown", [("utf-8", "日本 Škoda\n"), ("iso-8859-1", "\\u65e5\\u672c \\u0160koda\n")])
def test_what_the_terminal_has_no_letters_for(monkeypatch, encoding, shown):
    screen = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    tell("日本 Škoda")
    screen.seek(0)
    assert screen.read() == shown


def test_a_line_is_a_line(capsys):
    tell("red: \x1b[31m\r\n", "half of a letter: \ud800")
    assert capsys.readouterr().out == "red: ?[31m??\nhalf of a letter: ?\n"


def test_who_reads_no_further_ends_nothing(monkeypatch):
    """`mailcheck --progress 2>&1 | head`: a call must go on to its end."""
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True))
    screen = Screen(True)
    screen.say("Bringing up link gsm ...")
    screen.say("There is more.")
    assert not screen.shows

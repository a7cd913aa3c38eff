"""The log: one line an event, whatever a client sent."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.site.log import Log


def logged(**values):
    lines = []
    Log(lines.append, "s1")("refused", **values)
    line, = lines
    return line


def test_a_line():
    line = logged(command="RCPT TO:<x@y>", reply=None, octets=5, empty="")
    assert line == 's1 refused command="RCPT TO:<x@y>" octets=5'


@given(st.text(st.characters(codec=None), max_size=600))
def test_what_a_client_sent_neither_breaks_nor_forges_a_line(text):
    line = logged(command=text, end="here")
    assert re.fullmatch(r"[ -~]*", line)
    value = line.removeprefix("s1 refused").removesuffix(" end=here")
    assert value == "" or re.fullmatch(r' command=(?:[^ "=]+|"(?:[^"\\]|\\.)*")', value)


@pytest.mark.parametrize("text, shown", [("a\r\nb", r"a\r\nb"), ("\udc80", r"\udc80"), ("ü", r"\xfc"), ('"', r'"\""')])
def test_how_it_is_escaped(text, shown):
    assert logged(x=text) == f"s1 refused x={shown}"

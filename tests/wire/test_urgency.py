"""Which messages say that they are urgent, or that they may wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.urgency import HEADER_CAP, NON_URGENT, URGENT as FROM, priority

URGENT = {
    "Priority": ["Priority: urgent", "priority: URGENT", "PRIORITY:urgent", "Priority:  urgent (now)"],
    "Importance": ["Importance: high", "Importance: High"],
    "X-Priority": ["X-Priority: 1", "X-Priority: 2", "X-Priority: 1 (Highest)", "X-Priority: 2 (High)", "X-PRIORITY:1"],
    "X-MSMail-Priority": ["X-MSMail-Priority: High"],
    "a blank before the colon": ["Priority : urgent"],
    "the value on a line of its own": ["Priority:\n urgent", "Importance:\r\n\thigh", "X-Priority:\n 1 (Highest)"],
}
NORMAL = {
    "Priority": ["Priority: normal", "Priority: non-urgent", "Priority:", "Priority: not urgent", "Priority: urgently"],
    "Importance": ["Importance: low", "Importance: normal", "Importance: urgent"],
    "X-Priority": ["X-Priority: 3", "X-Priority: 5 (Lowest)", "X-Priority: 0", "X-Priority: 12", "X-Priority: high",
                   "X-Priority: 3 (1)"],
    "X-MSMail-Priority": ["X-MSMail-Priority: Normal", "X-MSMail-Priority: 1"],
    "other fields": ["Subject: urgent", "Subject: Priority: urgent", "X-Importance: high", "Auto-Priority: urgent",
                     "Precedence: bulk"],
    "folded into another field": ["Subject: Re\n Priority: urgent", "Subject:\r\n\tX-Priority: 1"],
    "no field": ["Priority urgent", "", "urgent"],
}


def is_urgent(head):
    return priority(head) >= FROM


def _cases(table):
    return [pytest.param(text, id=f"{name}: {text!r}") for name, texts in table.items() for text in texts]


def _placed(field):
    """A field as the first, the last and the only one of a header, with LF and with CRLF."""
    for lines in (f"{field}\nFrom: a@b.example\n\nbody\n", f"From: a@b.example\n{field}\n\nbody\n", f"{field}\n\n",
                  field, f"{field}\n"):
        yield lines.replace("\r\n", "\n").encode()
        yield lines.replace("\r\n", "\n").replace("\n", "\r\n").encode()


@pytest.mark.parametrize("field", _cases(URGENT))
def test_what_is_urgent(field):
    assert all(map(is_urgent, _placed(field)))


@pytest.mark.parametrize("field", _cases(NORMAL))
def test_what_is_not(field):
    assert not any(map(is_urgent, _placed(field)))


@pytest.mark.parametrize("field", _cases(URGENT))
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_what_stands_in_the_body_does_not_count(field, end):
    for text in (f"Subject: x{end}{end}{field}{end}", f"{end}{field}{end}", f"Subject: x{end}{end}> y{end}{field}"):
        assert not is_urgent(text.encode())


def test_one_mark_is_enough():
    assert is_urgent(b"Priority: normal\nX-Priority: 3\nImportance: high\n\n")


def test_a_header_that_is_no_text_is_read_all_the_same():
    assert is_urgent(b"Subject: \xff\xfe\0\nPriority: urgent\n\n") and not is_urgent(b"\xff\xfe\0\r\r\n")


def test_a_line_end_of_another_alphabet_is_none():
    """Only CR and LF end a line (RFC 5322, section 2.3): else a subject could make its message urgent."""
    for end in ("\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"):
        assert not is_urgent(f"Subject: x{end}Priority: urgent\n\n".encode("latin-1")), end


@given(st.binary(max_size=300))
def test_whatever_there_is_it_is_told(octets):
    assert priority(octets) in (NON_URGENT, 0, FROM)


def test_a_long_header_is_looked_through():
    assert is_urgent(b"Received: x\n" * (HEADER_CAP // 12 - 3) + b"Priority: urgent\n\n")


@pytest.mark.parametrize("head", [b"", b"Subject: x\n\n", b"Priority: urgent\n\n", b"X-Priority: 5\n\n"])
def test_an_mt_priority_decides_whatever_the_header_says(head):
    assert [priority(head, str(number)) for number in range(-9, 10)] == list(range(-9, 10))
    assert priority(head, "") == priority(head)


@pytest.mark.parametrize("head, level", [
    (b"Priority: urgent", 4), (b"Priority: normal", 0), (b"Priority: non-urgent", -4), (b"Subject: x", 0),
    (b"Priority: non-urgent\nX-Priority: 1", 4), (b"X-Priority: 5 (Lowest)", 0), (b"Importance: low", 0)])
def test_the_levels_of_a_header_are_those_of_mixer(head, level):
    """RFC 6710, appendix B, for the field of RFC 2156; the highest counts."""
    assert priority(head + b"\n\n") == level

"""A server's IMAP, read in any pieces; a client's IMAP, written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire import imap
from amsmail.wire.imap import Data, GoAhead, ImapError, ResponseReader, Status, Streamed, Streaming
from amsmail.wire.lines import LineBuffer


def _read(*pieces):
    """The responses in pieces of bytes, and the texts that streamed, each in one."""
    reader, buffer, found = ResponseReader(), LineBuffer(), []
    for piece in pieces:
        buffer.add(piece)
        while True:
            if reader.left and isinstance(found[-1], bytes):
                text = reader.text(buffer)
                found[-1] += text
                if not text:
                    break
                continue
            response = reader.next(buffer)
            if response is None:
                break
            found.append(response)
            if isinstance(response, Streaming):
                found.append(b"")
    return found


def _bytewise(data):
    return [data[at:at + 1] for at in range(len(data))]


_RESPONSES = [
    (b"* OK [CAPABILITY IMAP4rev1 X] hi {5}",
     Status("*", "OK", "CAPABILITY", "IMAP4rev1 X", "[CAPABILITY IMAP4rev1 X] hi {5}")),
    (b"a1 no [trycreate] what \"", Status("a1", "NO", "TRYCREATE", "", "[trycreate] what \"")),
    (b"a1 BAD", Status("a1", "BAD", "", "", "")),
    (b"a1 OK [unfinished", Status("a1", "OK", "", "", "[unfinished")),
    (b"* BYE \xff", Status("*", "BYE", "", "", "\ufffd")),
    (b"* PREAUTH in", Status("*", "PREAUTH", "", "", "in")),
    (b"+", GoAhead("")),
    (b"+ idling", GoAhead("idling")),
    (b"* 23 EXISTS", Data("EXISTS", 23, ())),
    (b"* SEARCH", Data("SEARCH", None, ())),
    (b"* SEARCH 1 2", Data("SEARCH", None, ("1", "2"))),
    (b"* FLAGS (\\Seen \\* $Junk)", Data("FLAGS", None, (("\\Seen", "\\*", "$Junk"),))),
    (b"* LIST (\\X) \"/\" nil", Data("LIST", None, (("\\X",), b"/", None))),
    (b'* X "a\\"b\\\\" "" "{3}" "NIL"', Data("X", None, (b'a"b\\', b"", b"{3}", b"NIL"))),
    (b"* X (() (a (b)))", Data("X", None, (((), ("a", ("b",))),))),
    (b"* X {3}\r\n\r\n) ~{2+}\r\nhi z", Data("X", None, (b"\r\n)", b"hi", "z"))),
    (b"* X {0}\r\n", Data("X", None, (b"",))),
    (b"* 1 FETCH (BODY[HEADER.FIELDS (To From)]<5> \"x\" UID 7)",
     Data("FETCH", 1, (("BODY[HEADER.FIELDS (To From)]<5>", b"x", "UID", "7"),))),
]


@pytest.mark.parametrize("line, response", _RESPONSES)
@pytest.mark.parametrize("cut", [lambda data: [data], _bytewise])
def test_responses(line, response, cut):
    assert _read(*cut(line + b"\r\n" + b"* 1 EXISTS\r\n")) == [response, Data("EXISTS", 1, ())]


def test_a_bare_lf_ends_a_line_too():
    assert _read(b"* 1 EXISTS\n") == [Data("EXISTS", 1, ())]


_FETCH = b"* 3 fetch (UID 7 RFC822.SIZE 9 body[]<0> {9}\r\n(text)\r\n) FLAGS (\\Seen) BODY[] {2}\r\nhi X {1}\r\nx)\r\n"


@pytest.mark.parametrize("cut", [lambda data: [data], _bytewise])
def test_the_text_of_a_message_streams(cut):
    begins, text, again, second, data = _read(*cut(_FETCH))
    assert begins == Streaming({"UID": "7", "RFC822.SIZE": "9"}, "BODY[]<0>", 9)
    assert (text, second) == (b"(text)\r\n)", b"hi")
    assert again.items["BODY[]<0>"] == Streamed(9) and again.name == "BODY[]"
    assert data.items == {"UID": "7", "RFC822.SIZE": "9", "BODY[]<0>": Streamed(9), "FLAGS": ("\\Seen",),
                          "BODY[]": Streamed(2), "X": b"x"}


def test_a_large_text_is_never_held():
    reader, buffer = ResponseReader(), LineBuffer()
    buffer.add(b"* 1 FETCH (UID 7 BODY[] {10000000}\r\n")
    assert reader.next(buffer).size == 10_000_000
    for _ in range(1000):
        buffer.add(b"x" * 10_000)
        while reader.text(buffer):
            pass
        assert len(buffer) == 0
    assert reader.left == 0
    buffer.add(b")\r\n")
    assert reader.next(buffer).items == {"UID": "7", "BODY[]": Streamed(10_000_000)}


def test_other_literals_do_not_stream():
    assert _read(b"* 1 FETCH (BODY[TEXT] {2}\r\nhi X (BODY[] {2}\r\nho))\r\n* X (BODY[] {2}\r\nhu)\r\n") == [
        Data("FETCH", 1, (("BODY[TEXT]", b"hi", "X", ("BODY[]", b"ho")),)), Data("X", None, (("BODY[]", b"hu"),))]


@pytest.mark.parametrize("data, why", [
    (b"\r\n", "not an IMAP response"),
    (b"hello there\r\n", "not an IMAP response"),
    (b"a1 PREAUTH\r\n", "not an IMAP response"),
    (b"* \r\n", "without a name"),
    (b"* 5\r\n", "without a name"),
    (b"* (a) b\r\n", "without a name"),
    (b"* X (\r\n", "not closed"),
    (b"* X )\r\n", "not opened"),
    (b"* X \"a\r\n", "not an IMAP value"),
    (b"* X {5\r\n", "not an IMAP value"),
    (b"* X {5} y\r\n", "not an IMAP value"),
    (b"* X \x01\r\n", "not an IMAP value"),
    (b"* X " + b"(" * 21 + b"\r\n", "lists in lists"),
    (b"* X {300000}\r\n", "a response of more than"),
    (b"* X " + b"{65000}\r\n" + b"x" * 65000 + b" {200000}\r\n", "a response of more than"),
    (b"* X {4294967296}\r\n", "a literal of 4294967296 octets"),
    (b"* 1 FETCH (BODY[] {4294967296}\r\n", "a literal of 4294967296 octets"),
    (b"* X {" + b"9" * 5000 + b"}\r\n", "absurd length"),
    (b"* X " + b"y" * 70000, "a line of more than"),
])
def test_what_is_refused_in_words(data, why):
    with pytest.raises(ImapError, match=why):
        _read(data, b"\r\n")


def test_a_line_without_an_end_is_refused_while_it_comes():
    with pytest.raises(ImapError, match="a line of more than"):
        _read(*[b"* OK " + b"y" * 30000] * 3)


def test_many_responses_do_not_add_up_to_one_that_is_too_large():
    assert len(_read(b"* X {60000}\r\n" + b"x" * 60000 + b"\r\n", *[b"* X " + b"y" * 60000 + b"\r\n"] * 9)) == 10


_ATOMS = st.text("abcXYZ0123456789.$\\*-", min_size=1).filter(lambda atom: atom.upper() != "NIL")
_VALUES = st.recursive(_ATOMS | st.none() | st.binary(max_size=50),
                       lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


def _spelled(value, draw):
    if value is None:
        return b"NIL"
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, tuple):
        return b"(" + b" ".join(_spelled(each, draw) for each in value) + b")"
    if draw(st.booleans()) and not set(value) & set(b"\r\n\0"):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n" % len(value) + value


@given(st.lists(_VALUES, max_size=5), st.data(), st.integers(1, 40))
def test_any_values_in_any_pieces(values, data, size):
    octets = b"* TEST " + b" ".join(_spelled(value, data.draw) for value in values) + b"\r\n"
    pieces = [octets[at:at + size] for at in range(0, len(octets), size)]
    assert _read(*pieces) == [Data("TEST", None, tuple(values))]


@given(st.lists(st.binary(max_size=30) | st.sampled_from(
    [b"* ", b"\r\n", b"(", b")", b"{3}\r\n", b'"', b"OK ", b"1 FETCH (", b"BODY[]<0> ", b"UID 7 ", b"+ ", b"[", b"]"])))
def test_no_bytes_do_worse_than_an_error(pieces):
    try:
        whole = _read(b"".join(pieces))
    except ImapError:
        with pytest.raises(ImapError):
            _read(*_bytewise(b"".join(pieces)))
    else:
        assert _read(*_bytewise(b"".join(pieces))) == whole


@pytest.mark.parametrize("name, text, origin", [
    ("BODY[]", True, None), ("BODY[]<0>", True, 0), ("body[]<70>", True, 70), ("BODY[TEXT]", False, None),
    ("BODY[]<x>", False, None), ("UID", False, None), (b"BODY[]", False, None), (None, False, None)])
def test_names_of_texts(name, text, origin):
    assert imap.is_text(name) == text
    if text:
        assert imap.origin(name) == origin


@pytest.mark.parametrize("value, number", [("7", 7), ("07", 7), ("", None), ("-7", None), (b"7", None), (None, None),
                                           ("9" * 21, None), (("7",), None)])
def test_numbers(value, number):
    assert imap.number(value) == number


@pytest.mark.parametrize("text, unasked, sent", [
    ("a b", 0, [b'X "a b"\r\n']),
    ('a"\\', 0, [b'X "a\\"\\\\"\r\n']),
    ("", 0, [b'X ""\r\n']),
    ("é", 0, [b"X {2}\r\n", b"\xc3\xa9\r\n"]),
    ("é", 2, [b"X {2+}\r\n\xc3\xa9\r\n"]),
    ("a\r\nb", 1, [b"X {4}\r\n", b"a\r\nb\r\n"]),
])
def test_strings_in_commands(text, unasked, sent):
    assert imap.fragments(["X ", imap.String(text), "\r\n"], unasked) == sent


@pytest.mark.parametrize("name, coded", [
    ("INBOX", "INBOX"), ("a & b", "a &- b"), ("Entwürfe", "Entw&APw-rfe"), ("a\r\nb", "a&AA0ACg-b"),
    ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-")])
def test_names_of_folders(name, coded):
    assert imap.mailbox(name) == imap.String(coded)


@pytest.mark.parametrize("numbers, parts", [([], []), ([3], ["3"]), ([1, 2, 3, 7, 9, 8, 7], ["1:3", "7:9"])])
def test_ranges(numbers, parts):
    assert imap.ranges(numbers) == parts


@given(st.integers(1, 30), st.sets(st.integers(1, 30)))
def test_all_from_a_number_on(first, without):
    expected = set(range(first, 50)) - without
    found = [part.partition(":") for part in imap.from_on(first, without, "49")]
    numbers = [n for low, _, high in found for n in range(int(low), int(high or low) + 1)]
    assert len(numbers) == len(set(numbers)) and set(numbers) == expected


def test_sets_are_cut():
    assert imap.sets(["1", "2:3", "4", "55555555"], 6) == ["1,2:3", "4", "55555555"]
    assert imap.sets([], 6) == []

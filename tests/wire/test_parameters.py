"""Parameters of MAIL and RCPT: any text is parameters or a ParameterError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.wire.parameters import MAIL, RCPT, ParameterError, from_xtext, is_xtext, parse

_words = st.sampled_from(["SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID", "NOTIFY", "ORCPT", "MT-PRIORITY", "-",
                          "=", ";", "+", "2B", "rfc822", "<>", "7bit", "never", ",", " ", "ü", "²", "9" * 30, "x"])
_texts = st.text(max_size=30) | st.lists(_words, max_size=12).map("".join).map(" {}".format)


@pytest.mark.parametrize("table", [MAIL, RCPT])
@given(text=_texts)
def test_any_text_gives_parameters_or_a_parameter_error(table, text):
    try:
        found = parse(text, table)
    except ParameterError as error:
        assert "\n" not in str(error) and "\r" not in str(error)
        return
    assert set(found) <= set(table)
    assert not any(c.isspace() for value in found.values() for c in str(value))


@given(st.lists(st.sampled_from(["+", "2B", "0D", "0A", "a", "ü", "7F", "rfc822;", "utf-8;", "="]),
                max_size=8).map("".join))
def test_what_xtext_stands_for_cannot_break_a_line(value):
    for text, table in ((f" ENVID={value}", MAIL), (f" ORCPT={value}", RCPT)):
        try:
            (found,) = parse(text, table).values()
        except ParameterError:
            continue
        assert all(" " <= c <= "~" or c == "ü" for c in from_xtext(found.partition(";")[2] or found))


def test_keywords_in_any_case_and_values_as_written():
    assert parse(" size=10 Body=8bitmime smtputf8 ret=full envid=aB+3D auth=<> mt-Priority=-9", MAIL) == {
        "SIZE": 10, "BODY": "8BITMIME", "SMTPUTF8": True, "RET": "FULL", "ENVID": "aB+3D", "AUTH": "<>",
        "MT-PRIORITY": "-9"}
    assert parse(" notify=failure,Delay orcpt=RFC822;Friend@far.example", RCPT) == {
        "NOTIFY": "FAILURE,DELAY", "ORCPT": "RFC822;Friend@far.example"}
    assert parse(" orcpt=utf-8;jürgen@far.example", RCPT) == {"ORCPT": "utf-8;jürgen@far.example"}


def test_a_priority_is_a_number_of_minus_9_to_9_in_one_spelling():
    def is_one(text):
        try:
            return parse(f" MT-PRIORITY={text}", MAIL) == {"MT-PRIORITY": text}
        except ParameterError:
            return False
    spellings = [f"{sign}{zero}{number}" for sign in ("", "+", "-") for zero in ("", "0") for number in range(12)]
    assert {text for text in [*spellings, "", "-", "٤", "4.0"] if is_one(text)} == {
        "0", *(f"{sign}{digit}" for sign in ("", "-") for digit in range(1, 10))}


@pytest.mark.parametrize("text, unknown", [
    (" XYZZY=1", True), (" NOTIFY=NEVER", True), (" SIZE=1 SIZE=1", False), (" ENVID=a=b", False), (" BODY", False)])
def test_unknown_is_told_from_wrong(text, unknown):
    with pytest.raises(ParameterError) as caught:
        parse(text, MAIL)
    assert caught.value.unknown == unknown


def test_xtext():
    assert all(map(is_xtext, ["", "a", "+2B", "a+3Db", "<>", "+20"]))
    assert not any(map(is_xtext, ["+", "+2", "+2b", "a=b", "a b", "ü", "+2+2B", "\x7f", "a+0D+0Ab", "+00", "+7F",
                                  "+FF"]))

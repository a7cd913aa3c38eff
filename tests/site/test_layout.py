"""The lines of mail.cfg: a change changes its own line, and what is set is read back."""

import pytest
from configobj import ConfigObj
from hypothesis import assume, example, given
from hypothesis import strategies as st

from amsmail.site import layout

GOOD = """\
# The yacht's mail.
schema = 1

[site]
hostname = mail.yacht.example       # what we call ourselves

[boxes]
  # The captain.
  [[captain]]
  password = x
  #addresses = skipper
  [[ "cook" ]]

# The end.
""".splitlines()


def changed(function, *arguments, lines=GOOD):
    result = list(lines)
    function(result, *arguments)
    return result


def test_sections_and_values():
    assert layout.sections(GOOD) == [("site",), ("boxes",), ("boxes", "captain"), ("boxes", "cook")]
    assert layout.values(GOOD) == {
        ("schema",): "1", ("site", "hostname"): "mail.yacht.example", ("boxes", "captain", "password"): "x"}


def test_a_value_keeps_the_comment_behind_it():
    result = changed(layout.put, ("site", "hostname"), "a # b")
    assert result[4] == 'hostname = "a # b"       # what we call ourselves'
    assert result[:4] + result[5:] == GOOD[:4] + GOOD[5:]


def test_a_line_without_an_equals_sign_is_no_key():
    result = changed(layout.put, ("site", "spool"), "/x", lines=["[site]", "spool", "hostname = h"])
    assert result == ["[site]", "spool", "hostname = h", "spool = /x"]
    assert layout.values(result) == {("site", "hostname"): "h", ("site", "spool"): "/x"}


def test_a_new_key_stands_behind_the_last_of_its_section():
    assert changed(layout.put, ("boxes", "cook", "password"), "y")[11:13] == ['  [[ "cook" ]]', "  password = y"]
    assert changed(layout.put, ("calls", "use"), "gsm")[-3:] == ["", "[calls]", "use = gsm"]


def test_a_new_section_stands_behind_the_last_around_it_and_what_was_put_out_of_use():
    assert changed(layout.add, ("boxes", "stoker"))[11:13] == ['  [[ "cook" ]]', "  [[stoker]]"]
    without_cook = [line for line in GOOD if "cook" not in line]
    assert changed(layout.add, ("boxes", "cook"), lines=without_cook)[10:12] == ["  #addresses = skipper", "  [[cook]]"]


def test_a_section_that_is_there_is_not_added_again():
    assert changed(layout.add, ("boxes", "captain")) == GOOD


def test_dropping_takes_what_was_put_out_of_use_and_no_other_comment():
    assert changed(layout.drop, ("boxes", "captain")) == GOOD[:8] + GOOD[11:]
    assert changed(layout.drop, ("boxes", "stoker")) == GOOD


def test_renaming_changes_the_name_alone():
    assert changed(layout.rename, ("boxes", "cook"), "stoker") == [*GOOD[:11], "  [[ stoker ]]", *GOOD[12:]]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "\x1b[A", "\x7f", "'\"", "#'\""])
def test_what_cannot_stand_in_a_line_is_refused(value):
    with pytest.raises(ValueError):
        layout.quoted(value)


@given(st.text(max_size=20))
@example("\x85 ")
@example("a\u2028b")
@example("''")
@example('"""')
@example("50%, a # and more")
def test_a_value_is_read_back_by_us_and_by_configobj(value):
    try:
        lines = changed(layout.put, ("boxes", "cook", "password"), value)
        "".join(lines).encode()
    except ValueError:
        assume(False)
    assert layout.values(lines)["boxes", "cook", "password"] == value
    read = ConfigObj("\n".join(lines).split("\n"), list_values=False, interpolation=False)["boxes"]["cook"]["password"]
    assert layout.unquoted(read) == value


@given(st.text(" \t", max_size=3), st.text("ab ,%=", max_size=6), st.sampled_from(["", "#", "# why", "#a # b"]))
@example("   ", "", "# its own name")
@example("", "", "#")
def test_a_value_before_a_comment_is_what_configobj_reads(blank, value, comment):
    line = f"key ={blank}{value}{' ' if value.strip() and comment else ''}{comment}"
    read = ConfigObj([line], list_values=False, interpolation=False)["key"]
    assert layout.values([line])["key",] == read
    lines = [line]
    layout.put(lines, ("key",), "another")
    assert layout.values(lines)["key",] == "another" and lines[0].endswith(comment)


NAMES = st.sampled_from(["captain", "cook", "stoker", "mate"])
KEYS = st.sampled_from(["password", "addresses"])
VALUES = st.text("ab #\"'=[]%,ü", max_size=8).filter(lambda text: not ("'" in text and '"' in text))
STEPS = st.lists(st.one_of(
    st.tuples(st.just("put"), NAMES, KEYS, st.none() | VALUES), st.tuples(st.just("add"), NAMES),
    st.tuples(st.just("drop"), NAMES), st.tuples(st.just("rename"), NAMES, NAMES)), max_size=8)
NOISE = st.lists(st.sampled_from(["", "# said", "   # more", "#   "]), max_size=2)


@st.composite
def files(draw):
    """A mail.cfg with comments and empty lines anywhere, each comment another."""
    lines = [*draw(NOISE), "schema = 1", "[site]", "hostname = h.example  # ours", *draw(NOISE), "[boxes]"]
    for name in draw(st.lists(NAMES, unique=True)):
        lines += [*draw(NOISE), f"  [[{name}]]"]
        for key in draw(st.lists(KEYS, unique=True)):
            lines += [*draw(NOISE), f"  {key} = {draw(st.sampled_from(['x', 'y', chr(34) + '# z' + chr(34)]))}"]
    lines += [*draw(NOISE), "[links]", *draw(NOISE)]
    return [f"{line} {number}" if "#" in line[:4] else line for number, line in enumerate(lines)]


@given(files(), STEPS)
def test_random_changes_keep_every_line_that_they_do_not_mean(lines, steps):
    result, model = list(lines), _model(lines)
    touched = set()
    for step, name, *rest in steps:
        if step == "put" and (rest[1] is not None or (name, rest[0]) in model):
            layout.put(result, ("boxes", name, rest[0]), rest[1])
            model.setdefault((name,), None)
            model.pop((name, rest[0]), None)
            if rest[1] is not None:
                model[name, rest[0]] = rest[1]
        elif step == "add":
            layout.add(result, ("boxes", name))
            model.setdefault((name,), None)
        elif step == "drop":
            layout.drop(result, ("boxes", name))
            model = {keys: text for keys, text in model.items() if keys[0] != name}
        elif step == "rename" and (name,) in model and (rest[0],) not in model:
            layout.rename(result, ("boxes", name), rest[0])
            model = {(rest[0] if keys[0] == name else keys[0], *keys[1:]): text for keys, text in model.items()}
            touched.add(rest[0])
        touched.add(name)
    assert _model(result) == model
    assert _untouched(result, touched) == _untouched(lines, touched)
    kept, said = _comments(result), _comments(lines)
    assert kept == [line for line in said if line in kept]
    assert kept == said or any(step[0] == "drop" for step in steps)
    ConfigObj(result, list_values=False, interpolation=False)


def _model(lines):
    """{(box,): None, (box, key): text}."""
    return {**{keys[1:]: None for keys in layout.sections(lines) if keys[0] == "boxes" and keys[1:]},
            **{keys[1:]: text for keys, text in layout.values(lines).items() if keys[0] == "boxes"}}


def _untouched(lines, touched):
    """The sections and values that belong to no box of `touched`, in order."""
    kept, box = [], None
    for line in lines:
        if layout.is_section(line):
            box = line.strip(" []") if "[[" in line else None
        if box not in touched and line.strip() and not line.strip().startswith("#"):
            kept.append(line)
    return kept


def _comments(lines):
    return [line for line in lines if line.strip().startswith("#")]

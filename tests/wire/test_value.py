"""Frozen records."""

import pytest

from amsmail.wire.value import Value


class _Point(Value):
    __slots__ = ("x", "y")
    defaults = {"y": 0}


def test_fields_by_place_by_name_and_by_default():
    assert _Point(1) == _Point(x=1, y=0) == _Point(1, 2).but(y=0)
    assert hash(_Point(1)) == hash(_Point(1, 0))
    assert repr(_Point(1, "a")) == "_Point(x=1, y='a')"


@pytest.mark.parametrize("given, named", [((), {}), ((1, 2, 3), {}), ((1,), {"z": 2})])
def test_fields_that_are_missing_or_unknown(given, named):
    with pytest.raises(TypeError):
        _Point(*given, **named)


def test_a_record_does_not_change():
    with pytest.raises(AttributeError):
        _Point(1).x = 2

"""The figures of a call in the ledger, which a person may have written."""

import pytest

from amsmail.site.figures import figure


@pytest.mark.parametrize("number", [0, 1, 61.5, 10**14])
def test_a_figure(number):
    assert figure({"seconds": number}, "seconds") == number


@pytest.mark.parametrize("number", [
    -1, 1e300, float("inf"), float("nan"), 10**400, True, None, "5", [5], {}])
def test_what_is_none_counts_as_nothing(number):
    assert figure({"seconds": number}, "seconds") == 0 == figure({}, "seconds")

"""How a test is left out when something it needs can't be had.

No test is left out but by `Unavailable`, raised by a fixture or by the test itself, for want of root or of a package.
Each such test is listed at the end of the run with its reason; where CI is set, nothing may be left out, and it fails.
"""

import os

import pytest

from .packages import Unavailable

_left_out = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.excinfo and call.excinfo.errisinstance(Unavailable):
        reason = str(call.excinfo.value)
        _left_out.append((item.nodeid, reason))
        if os.environ.get("CI"):
            report.longrepr = f"{reason} (with CI set, nothing is left out)"
        else:
            report.outcome = "skipped"
            report.longrepr = (*item.location[:2], reason)
    return report


def pytest_terminal_summary(terminalreporter):
    if _left_out:
        terminalreporter.section("left out, for want of what they need")
        for test, reason in _left_out:
            terminalreporter.line(f"{test}: {reason}")

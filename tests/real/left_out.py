"""How a test is left out when something it needs can't be had.

No test is left out but by `Unavailable`, raised by a fixture or by the test itself, for want of root or of a package.
Each such test is listed at the end of the run with its reason; where CI is set, nothing may be left out, and it fails.
"""

import os

import pytest

from .packages import Unavailable

REASON = "left out"     # the property of a report that has the reason


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.excinfo and call.excinfo.errisinstance(Unavailable):
        reason = str(call.excinfo.value)
        report.user_properties.append((REASON, reason))
        if os.environ.get("CI"):
            report.longrepr = f"{reason} (with CI set, nothing is left out)"
        else:
            report.outcome = "skipped"
            report.longrepr = (*item.location[:2], reason)
    return report


def reported(terminalreporter, name):
    """The (report, value) of all reports that have the property `name`.  What is summed up over a run is read from
    reports, for these come together in one process also where the tests are spread over several."""
    return [(report, value) for reports in terminalreporter.stats.values() for report in reports
            if isinstance(report, pytest.TestReport) for key, value in report.user_properties if key == name]


def pytest_terminal_summary(terminalreporter):
    left_out = reported(terminalreporter, REASON)
    if left_out:
        terminalreporter.section("left out, for want of what they need")
        for test, reason in sorted((report.nodeid, reason) for report, reason in left_out):
            terminalreporter.line(f"{test}: {reason}")

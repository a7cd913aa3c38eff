"""Collects what the tests show, and writes docs/INTEROP if asked to. The yacht's and the provider's servers."""

import pytest

from ..etc.test_super_servers import SUPER_SERVERS, serving
from ..real.conftest import (boxes, courier, dovecot, dovecot_with_imap, exim, folder, opensmtpd, postfix,
                             provider_certificate)
from ..real.left_out import reported
from ..real.process import public_folder
from . import table
from .calls import link, site
from .yacht import Yacht

__all__ = ["boxes", "courier", "dovecot", "dovecot_with_imap", "exim", "folder", "link", "opensmtpd", "postfix",
           "provider_certificate", "site"]


def pytest_addoption(parser):
    parser.addoption("--interop-table", action="store_true", help="write docs/INTEROP from what tests/interop shows")


def pytest_configure(config):
    config.addinivalue_line("markers", "shows(program, did, result, way): told in docs/INTEROP, see table.py")


def pytest_ignore_collect(collection_path, config):
    """The table as it was is of no interest when it is written anew."""
    return collection_path.name == "test_table.py" and config.getoption("interop_table", False) or None


def pytest_collection_modifyitems(items):
    """So each report of a test has the rows that the test shows, also where it comes from another process."""
    for item in items:
        item.user_properties.extend((mark.name, mark.args) for mark in item.iter_markers("shows"))


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("interop_table", False):
        return
    shown, not_shown = set(), set()
    for report, row in reported(terminalreporter, "shows"):
        if not report.passed:
            not_shown.add(tuple(row))
        elif report.when == "call":
            shown.add(tuple(row))
    lacking = (table.declared() - shown) | not_shown
    if lacking:
        terminalreporter.line("docs/INTEROP is not written: not everything in it was shown.", red=True)
        for row in sorted(lacking):
            terminalreporter.line("    " + ", ".join(filter(None, row)))
    else:
        table.FILE.write_text(table.text(shown))
        terminalreporter.line(f"{table.FILE} is written.")


@pytest.fixture(scope="module", params=SUPER_SERVERS)
def served_yacht(request):
    with public_folder() as folder:
        yacht = Yacht(folder)
        with serving(yacht, request.param):
            yield yacht


@pytest.fixture
def yacht(served_yacht):
    """The yacht's servers, run by each super-server, with nothing in engineer's box and in the queue."""
    served_yacht.empty()
    return served_yacht

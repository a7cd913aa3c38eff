"""A test that lacks something is named with its reason, and fails where CI is set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

LACKING = """
from tests.real.packages import Unavailable

def test_of_postfix():
    raise Unavailable("postfix", "only root can start it")
"""


@pytest.mark.parametrize("processes", ["0", "1"])       # here, or in a process that sends its reports here
@pytest.mark.parametrize("ci, code", [("", 0), ("true", 1)])
def test_left_out(ci, code, processes, tmp_path):
    (tmp_path / "test_lacking.py").write_text(LACKING)
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.real.left_out", "-p", "no:cacheprovider",
               "-n", processes, "--basetemp", tmp_path / "own", tmp_path]
    variables = {"CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}       # they take longer to start than all the rest
    run = subprocess.run(command, cwd=PROJECT, env=os.environ | variables, capture_output=True, text=True)
    assert run.returncode == code
    assert "test_lacking.py::test_of_postfix: postfix: only root can start it" in run.stdout

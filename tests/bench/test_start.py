"""scripts/bench-start: what it prints; the figures are the machine's."""

import re
import subprocess
import sys

from ..etc.installation import PROJECT

NAMES = ["bare interpreter (python -IS)", "amsmail smtpd", "amsmail pop3d",
         "amsmail smtpd, without compiled mail.cfg", "exim4 -bs"]


def test_each_program_is_measured_beside_the_bare_interpreter():
    done = subprocess.run([sys.executable, "-m", "scripts.bench.start", "1"], cwd=PROJECT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["ms", "cpu", "ms", "cpu", "ratio"]
    figures = dict(re.fullmatch(r"(.*?)\s+([\d.]+\s+[\d.]+\s+[\d.]+)", row).groups() for row in rows)
    assert list(figures) == NAMES
    assert all(float(figure) > 0 for row in figures.values() for figure in row.split())
    assert float(figures[NAMES[0]].split()[2]) == 1

"""The manual pages and FLOW, against the programs."""

import re
import shutil
import subprocess

import pytest
from configobj import ConfigObj

from amsmail.program.launchers import PROGRAMS

from ..real.packages import environment, tree
from .installation import PROJECT

DOCS = PROJECT / "docs"
PAGES = sorted(DOCS.glob("*.[1-8]"))

# What mandoc says about the machine it runs on, and not about the page.
ABOUT_THE_MACHINE = ("referenced manual not found", "outdated mandoc.db")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing_to_complain_about(page):
    found = shutil.which("mandoc")
    variables = None if found else environment(tree("mandoc"))
    run = subprocess.run(["mandoc", "-Tlint", "-Wstyle", page], env=variables, capture_output=True, text=True)
    complaints = (run.stdout + run.stderr).splitlines()
    assert [line for line in complaints if not any(words in line for words in ABOUT_THE_MACHINE)] == []


def test_there_is_a_page_for_each_program():
    assert {path.name for path in (PROJECT / "bin").iterdir()} == {page.stem for page in PAGES if page.suffix == ".8"}


def test_pages_tell_every_option_of_their_program():
    for page in ("smtpd", "pop3d", "amsd", "mailcheck", "mailcfg"):
        source = PROGRAMS[page]
        code = (PROJECT / f"amsmail/program/{source}.py").read_text()
        options = set(re.findall(r"--([a-z]+)", re.search(r'(?s)^USAGE = """(.*?)"""', code, re.M)[1])) if "USAGE" in code else None
        if source in ("smtpd", "pop3d"):
            options = set(re.findall(r'"--(\w+)"', re.search(r"(?m)^FLAGS = \((.*)\)$", code)[1]))
        assert options == set(re.findall(r"Fl -([a-z]+)", (DOCS / f"{page}.8").read_text())), page


def test_mail_cfg_5_tells_every_key_in_its_section():
    parts = re.split(r"(?m)^\.Ss \[(\w+)\].*$", (DOCS / "mail.cfg.5").read_text())
    told = {"": parts[0], **dict(zip(parts[1::2], parts[2::2]))}
    spec = ConfigObj(str(PROJECT / "amsmail/site/mail.spec"), list_values=False, interpolation=False, _inspec=True)
    assert list(told)[1:] == spec.sections
    for section in spec.sections:
        keys = spec[section]["__many__"].scalars if spec[section].sections else spec[section].scalars
        words = " ".join(re.findall(r"(?m)^\.It Cm (.*)$", told[section])).split()
        assert sorted(word for word in words if word != ",") == sorted(keys), section
    assert ".It Cm schema = 1" in told[""]


def test_mail_cfg_5_has_the_defaults_of_the_programs():
    text = (DOCS / "mail.cfg.5").read_text()
    spec = (PROJECT / "amsmail/site/mail.spec").read_text()
    for key, default in re.findall(r'(?m)^(\w+) = count\(default="(\d+)"\)$', spec):
        assert re.search(rf"\.It Cm {key}\n(?:(?!\.It).*\n)*?Default: {default}\b", text), key


def test_flow_names_only_modules_that_are_there():
    named = set(re.findall(r"\b\w+/\w+\.py\b", (DOCS / "FLOW").read_text()))
    assert len(named) > 20
    for path in named:
        assert (PROJECT / "amsmail" / path).is_file(), path

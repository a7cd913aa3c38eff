"""The manual pages and FLOW, against the programs."""

import re
import shutil
import subprocess

import pytest
from configobj import ConfigObj

from amsmail.program.launchers import PROGRAMS
from amsmail.setup.forms import FORMS

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
    installer = {"amsmail-install"}         # scripts/install makes it
    programs = {path.name for path in (PROJECT / "bin").iterdir()} | installer
    assert programs == {page.stem for page in PAGES if page.suffix == ".8"}


# What each page's options are: those of the program's USAGE, or of its FLAGS where it has no more to say.
DAEMONS = ("smtpd", "pop3d")
PROGRAMS_WITH_USAGE = ("amsd", "mailcheck", "mailcfg", "mailcheckcfg", "mailtransportcfg")
CONFIGURING = ("mailcfg", "mailcheckcfg", "mailtransportcfg")


def options(text):
    """The options in a text; --KEY stands for the keys of mail.cfg."""
    return set(re.findall(r"--([a-zA-Z][a-zA-Z-]*)", text))


def source(program):
    return (PROJECT / f"amsmail/program/{PROGRAMS[program]}.py").read_text()


def usage(program):
    return re.search(r'(?s)^USAGE = """(.*?)"""', source(program), re.M)[1]


def told(program):
    """The options that a page tells of."""
    return set(re.findall(r"Fl -([a-zA-Z][a-zA-Z-]*)", (DOCS / f"{program}.8").read_text()))


@pytest.mark.parametrize("program", DAEMONS)
def test_pages_tell_every_flag_of_their_program(program):
    assert told(program) == set(re.findall(r'"--(\w+)"', re.search(r"(?m)^FLAGS = \((.*)\)$", source(program))[1]))


@pytest.mark.parametrize("program", PROGRAMS_WITH_USAGE)
def test_pages_tell_every_option_of_their_program_and_no_other(program):
    """What is an option since it is a key of mail.cfg is told as such, and need not be named."""
    keys = {question.option[2:] for form in FORMS.values() for question in form.questions}
    assert told(program) - (keys if program in CONFIGURING else set()) <= options(usage(program)) <= told(program)
    assert ("KEY" in told(program)) == (program in CONFIGURING)


@pytest.mark.parametrize("program", CONFIGURING)
def test_what_a_configure_script_takes_is_in_its_usage(program):
    """The options in its source, but for those of mail.cfg's keys."""
    keys = {question.option[2:] for form in FORMS.values() for question in form.questions}
    modules = (PROJECT / "amsmail/program").glob(f"{program}*.py")
    taken = {option for path in modules for option in re.findall(r'"--([a-z-]+)"', path.read_text())}
    assert taken - keys <= options(usage(program)), program


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

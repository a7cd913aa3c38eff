"""The manual pages and FLOW, against the programs."""

import ast
import re
import shutil
import subprocess

import pytest
from configobj import ConfigObj

from amsmail.program.launchers import PROGRAMS
from amsmail.setup.ask.forms import FORMS

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


# Who writes the log of mailcheck.
OF_MAILCHECK = ["transport/*.py", *(f"program/{name}.py" for name in ("call", "held", "queue", "run", "trialcall"))]


def events(path):
    """The events that a module logs, as far as they stand in its text."""
    for node in ast.walk(ast.parse(path.read_text())):
        name = isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("log", "_log") and node.args and not isinstance(node.args[0], ast.JoinedStr):
            yield from (part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant))
        if name == "done" and path.stem == "queue":
            yield f"queue-{node.args[1].value}"


def test_mailcheck_8_tells_every_event_of_its_log_and_no_other():
    log = re.search(r"(?s)^\.Sh LOG\n(.*?)^\.Sh ", (DOCS / "mailcheck.8").read_text(), re.M)[1]
    examples = re.findall(r"(?m)^mailcheck\[\d+\]: \w+ ([a-z-]+) ", log)
    listed = log[log.index("The other events are"):log.index("Every\n")]
    others = [word for line in re.findall(r"(?m)^\.Cm (.*)$", listed) for word in re.findall(r"[a-z-]+", line)]
    logged = {event for pattern in OF_MAILCHECK for path in (PROJECT / "amsmail").glob(pattern)
              for event in events(path)}
    assert sorted([*others, *set(examples)]) == sorted(logged)


def test_flow_names_only_modules_that_are_there():
    named = set(re.findall(r"\b\w+/\w+\.py\b", (DOCS / "FLOW").read_text()))
    assert len(named) > 20
    for path in named:
        assert (PROJECT / "amsmail" / path).is_file(), path

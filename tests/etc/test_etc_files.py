"""The samples of etc/ that no super-server runs."""

import os
import re
import subprocess

import pytest

from ..real.process import free_port, public_folder
from .installation import ETC, PORTS, PROJECT, Installation

SECTIONS = ["site", "limits", "tls", "domains", "boxes", "queue", "relay", "accounts", "links"]


@pytest.fixture
def installation():
    with public_folder() as folder:
        yield Installation(folder)


def check(installation):
    return subprocess.run([installation.sbin / "mailcfg", "check", "--file"], capture_output=True, text=True)


def test_mail_cfg_is_valid_once_passwords_and_paths_are_set(installation):
    run = check(installation)
    assert (run.returncode, run.stderr) == (0, "")
    assert "2 boxes, 6 addresses, 1 account, 1 link; relay smtp.provider.example" in run.stdout


def test_mail_cfg_as_it_comes_says_what_to_do(installation):
    installation.config.write_text((ETC / "mail.cfg").read_text())
    run = check(installation)
    assert run.returncode == 78
    assert len(run.stderr.splitlines()) == 2
    for line in run.stderr.splitlines():
        assert line.endswith("expected a hash as `mailcfg password` makes it")


def test_what_mail_cfg_has_in_comments_is_valid_too(installation):
    installation.config.write_text(re.sub(r"(?m)^#(?=\S)", "", installation.config.read_text()))
    run = check(installation)
    assert (run.returncode, run.stderr) == (0, "")
    assert "2 links" in run.stdout


def test_mail_cfg_explains_every_section_above_it():
    lines = (ETC / "mail.cfg").read_text().splitlines()
    for section in SECTIONS:
        assert lines[lines.index(f"[{section}]") - 1].startswith("# ")


def test_cron_calls_mailcheck_as_user_amsmail(installation):
    lines = [line for line in (ETC / "cron.d/amsmail").read_text().splitlines() if line and not line.startswith("#")]
    settings, (call,) = lines[:-1], lines[-1:]
    assert all(re.fullmatch(r"[A-Z]+=\S+", line) for line in settings)
    *when, user, command = call.split(None, 6)
    for field, (low, high) in zip(when, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)], strict=True):
        assert field == "*" or low <= int(field) <= high
    assert user == "amsmail"
    assert "%" not in command       # cron would make a line end of it
    # In cron's environment, with a provider that is not there: no person is needed, and nothing is said.
    sample = installation.config.read_text()
    installation.config.write_text(
        sample.replace("host = pop.provider.example", f"host = 127.0.0.1\nport = {free_port()}"))
    run = subprocess.run(["sh", "-c", installation.adapted(command)], env={"PATH": os.defpath}, capture_output=True,
                         text=True)
    assert run.returncode == 75
    assert run.stdout == run.stderr == ""


def test_services_has_the_ports_of_all_services():
    found = {}
    for line in (ETC / "services").read_text().splitlines():
        if line and not line.startswith("#"):
            name, port = line.split()[:2]
            found[name] = port
    assert found == {name: f"{port}/tcp" for name, port in PORTS.items()}


def test_everything_names_the_same_paths_and_programs():
    programs = {path.name for path in (PROJECT / "bin").iterdir()}
    for file in ETC.rglob("*"):
        if file.is_file():
            assert set(re.findall(r"/usr/local/sbin/(\w+)", file.read_text())) <= programs, file

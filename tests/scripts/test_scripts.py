"""What a newcomer runs first: quickstart, and `pip install .` on every Python that amsmail is for."""

import contextlib
import os
import pathlib
import pty
import shutil
import socket
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PYTHONS = ["python3.11", "python3.12", "python3.13"]


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, **options)


def test_what_is_to_be_installed_by_apt_is_what_debian_12_has():
    """apt-get installs nothing where it does not know one of the names."""
    code = "import environment; environment.shutil.which = str; print(environment.debian_hint({'tqdm', 'cronsim'}))"
    said = run(sys.executable, "-c", code, cwd=CHECKOUT / "scripts").stdout
    assert said.endswith("apt-get install python3-tqdm\n") and "but for cronsim" in said


def test_quickstart_runs_the_main_job():
    done = run(CHECKOUT / "scripts/quickstart", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All of it worked" in done.stdout
    assert "1 sent, 1 fetched; ok" in done.stdout


def test_quickstart_beside_something_on_its_ports():
    try:
        taken = socket.create_server(("127.0.0.1", 2525))
    except OSError:
        taken = contextlib.nullcontext()        # somebody has it already: as good
    with taken:
        done = run(CHECKOUT / "scripts/quickstart", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(smtp would be 2525, but something else uses that port)" in done.stdout


def test_quickstart_says_which_step_failed(tmp_path):
    checkout = tmp_path / "amsmail"
    shutil.copytree(CHECKOUT, checkout, ignore=shutil.ignore_patterns(".local", ".git", "__pycache__", "tests"))
    link = checkout / "scripts/demo-link"
    link.write_text("#!/bin/sh\necho no carrier\nexit 3\n")
    done = run(checkout / "scripts/quickstart", "--once", env={**os.environ, "PYTHON": sys.executable})
    assert done.returncode != 0
    assert "FAILED" in done.stdout + done.stderr and "no carrier" in done.stdout + done.stderr


def test_quickstart_serves_until_it_is_interrupted():
    """At a terminal: the settings are shown, and Ctrl-C ends it in peace."""
    process, terminal = pty.fork()
    if not process:
        os.execv(CHECKOUT / "scripts/quickstart", ["quickstart"])
    said = b""
    while b"Serving until Ctrl-C" not in said:
        said += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    assert b"outgoing: SMTP" in said and b"All of it worked" in said
    with contextlib.suppress(OSError):          # what Linux says at the end of a terminal
        while os.read(terminal, 4096):
            pass
    assert os.waitpid(process, 0)[1] == 0


@pytest.mark.parametrize("name", PYTHONS)
def test_pip_install_gives_working_programs(name, tmp_path, interpreter):
    python = interpreter(name)
    source = tmp_path / "amsmail source"
    shutil.copytree(CHECKOUT, source,
                    ignore=shutil.ignore_patterns(".local", ".git", "__pycache__", "build", "*.egg-info"))
    assert run(python, "-m", "venv", tmp_path / "env").returncode == 0
    done = run(tmp_path / "env/bin/pip", "install", "--quiet", source)
    assert done.returncode == 0, done.stderr
    config = tmp_path / "mail.cfg"
    config.write_text(f"schema = 1\n[site]\nhostname = yacht.example\nspool = {tmp_path}/spool\npostmaster = captain\n"
                      "[domains]\n[[yacht.example]]\n[boxes]\n[[captain]]\n")
    config.chmod(0o640)
    for programs in (tmp_path / "env/bin", tmp_path / "launchers"):
        if programs.name == "launchers":
            made = run(tmp_path / "env/bin/python", "-m", "amsmail.program.launchers", programs, "--config", config)
            assert made.returncode == 0, made.stderr
        arguments = [] if programs.name == "launchers" else [config]
        assert "fine: 1 box," in run(programs / "mailcfg", "check", *arguments).stdout
        for program, greeting in (("smtpd", "220 yacht.example ESMTP amsmail"), ("pop3d", "+OK amsmail POP3 ready")):
            served = subprocess.run([programs / program, *arguments], input="QUIT\r\n", capture_output=True, text=True)
            assert served.stdout.startswith(greeting), served.stderr
        assert run(programs / "mailcheck", *arguments).returncode == 0
    # Compiled at install: user amsmail could not write it later.
    library = next((tmp_path / "env").glob("lib/*/site-packages/amsmail"))
    assert list(library.glob("protocol/__pycache__/smtp_server.*.pyc"))


@pytest.fixture
def interpreter():
    """Finds an interpreter by its name, on the path or among pyenv's."""
    def find(name):
        candidates = [shutil.which(name),
                      *map(str, pathlib.Path.home().glob(f".pyenv/versions/{name[6:]}.*/bin/{name}"))]
        for python in filter(None, candidates):
            if run(python, "-c", "import venv, ensurepip").returncode == 0:
                return python
        from tests.real.packages import Unavailable
        raise Unavailable(name, "no such interpreter with venv and ensurepip here")
    return find

"""A server process is started for every connection, so what it imports before its greeting is held to a list."""

import importlib.util
import os
import re
import socket
import subprocess
import sys

import pytest

from ..etc.installation import Installation
from ..real.process import public_folder

# What the interpreter (run with -I and -S) has not imported yet by itself, and both servers need.
LIBRARY = {"os", "stat", "_stat", "posixpath", "genericpath", "_collections_abc", "errno", "select", "_socket"}
COMMON = {
    "amsmail",
    "amsmail.program", "amsmail.program.options", "amsmail.program.session",
    "amsmail.protocol", "amsmail.protocol.engine",
    "amsmail.site", "amsmail.site.config", "amsmail.site.config_error", "amsmail.site.exits",
    "amsmail.site.identity",
    "amsmail.site.libraries", "amsmail.site.log", "amsmail.site.networks",
    "amsmail.store", "amsmail.store.delivery", "amsmail.store.dropbox", "amsmail.store.durable",
    "amsmail.store.locks", "amsmail.store.spool",
    "amsmail.transport", "amsmail.transport.carrier", "amsmail.transport.pump", "amsmail.transport.stream",
    "amsmail.wire", "amsmail.wire.address", "amsmail.wire.envelope", "amsmail.wire.lines", "amsmail.wire.parameters",
    "amsmail.wire.sasl", "amsmail.wire.text", "amsmail.wire.value",
}
OWN = {
    "smtpd": {"amsmail.program.smtpd", "amsmail.protocol.smtp_server", "amsmail.site.dates", "amsmail.site.routing",
              "amsmail.wire.reply"},
    "pop3d": {"amsmail.program.pop3d", "amsmail.protocol.pop3_server"},
}
HEAVY = {"ssl", "passlib", "configobj", "dns", "tqdm", "re", "socket", "logging", "email", "json", "argparse",
         "asyncio", "dataclasses", "enum", "subprocess", "threading", "tempfile", "shutil", "site", "ipaddress",
         "hashlib", "syslog"}


@pytest.fixture(scope="module")
def installation():
    with public_folder() as folder:
        made = Installation(folder)
        os.utime(made.config, (1, 1))       # old enough for its compiled form to be trusted
        yield made


def imported(*command, **streams):
    """The modules that a run of the interpreter imports, and its exit code."""
    run = subprocess.run([sys.executable, "-IS", "-X", "importtime", *command], stderr=subprocess.PIPE, text=True,
                         timeout=30, **streams)
    return set(re.findall(r"(?m)^import time: +\d+ \| +\d+ \| +(\S+)$", run.stderr)), run.returncode


def before_the_greeting(installation, program):
    """What `program` imports for a client that hears the greeting and goes."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        connection, _ = listener.accept()
        client.shutdown(socket.SHUT_WR)
        with connection:
            found, code = imported(installation.sbin / program, stdin=connection, stdout=connection)
        greeting = client.recv(4096)
    assert code == 0 and greeting[:3] in (b"220", b"+OK")
    return found - imported("-c", "")[0]


@pytest.mark.parametrize("program", ["smtpd", "pop3d"])
def test_a_server_imports_what_is_on_the_list_and_nothing_else(installation, program):
    before_the_greeting(installation, program)      # makes the spool
    before_the_greeting(installation, program)      # compiles mail.cfg
    found = before_the_greeting(installation, program)
    ours = {name for name in found if name.partition(".")[0] == "amsmail"}
    assert ours == COMMON | OWN[program]
    assert found - ours == LIBRARY
    assert not found & HEAVY


def test_mail_cfg_is_compiled_once_there_is_a_spool(installation):
    """Otherwise the test above would measure another start than the one that counts."""
    before_the_greeting(installation, "smtpd")
    before_the_greeting(installation, "smtpd")
    assert (installation.spool / "state/mail.cfg.compiled").exists()
    assert "amsmail.site.config_file" not in before_the_greeting(installation, "smtpd")


def test_modules_are_compiled_at_installation(installation):
    """User amsmail may not write beside them."""
    for module in before_the_greeting(installation, "smtpd"):
        if module.startswith("amsmail."):
            source = importlib.util.find_spec(module).origin
            assert os.path.exists(importlib.util.cache_from_source(source)), module

"""A password that a slip put where none belongs in mail.cfg is in no message, no log and no diff."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsmail.site import config_file, shown, spec
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Conflict, Draft

BIN = Path(__file__).parents[2] / "bin"
SECRET = "hunter2"
GOOD = """\
schema = 1
[site]
hostname = mail.yacht.example
spool = /tmp/never/used
postmaster = captain
[domains]
[[yacht.example]]
[boxes]
[[captain]]
[relay]
host = smtp.provider.example
user = yacht
"""
SLIPS = ["password: hunter2", "password hunter2", "hunter2", "pasword = hunter2", "Password = hunter2",
         "password = x\npassword = hunter2", 'password = "hunter2', "password = '''a\nb = hunter2'''",
         "password = a\\\nhunter2", "password: hunter2=", "password:hunter2 = x", "hunter2 = x", "hunter2==",
         "password = a#hunter2", "password:hunter2 = a#b", "[password = hunter2]", "[password = hunter2",
         "[[hunter2 = x]]", "password = hunter2 # of old", "user = x # password = hunter2", "#password = hunter2",
         "# password hunter2", "# pasword: hunter2", "password_command = 'echo hunter2", "[[password]]\nx = hunter2"]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mail.cfg"
    path.write_text(GOOD)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_tells_nothing(path, slip):
    path.write_text(f"{GOOD}{slip}\n")
    draft = Draft(path)
    draft.set(("relay", "host"), "post.provider.example")
    diff = draft.diff()
    assert SECRET not in "\n".join(config_file.problems(str(path), draft.lines) + diff)
    assert "+host = post.provider.example" in diff
    assert SECRET not in "\n".join(Draft(path.with_name("new.cfg"), draft.lines).diff())


@pytest.mark.parametrize("slip", ["password: hunter2", "password hunter2", "relay: hunter2 = x",
                                  "password = a#hunter2"])
def test_no_program_tells_it(path, slip):
    path.write_text(f"{GOOD}{slip}\n")
    for words in ["smtpd", path], ["mailcfg", "check", path], ["mailcfg", "check", "--json", path]:
        done = subprocess.run([sys.executable, BIN / words[0], *words[1:]], input="QUIT\r\n", capture_output=True,
                              text=True, env={**os.environ, "TCPREMOTEIP": "127.0.0.1"}, timeout=30)
        assert f"{path}:13" in done.stdout + done.stderr and SECRET not in done.stdout + done.stderr, words


def test_the_cause_of_what_is_raised_does_not_tell_it_either():
    with pytest.raises(ConfigError) as caught:
        config_file._parse("mail.cfg", ["password: hunter2"])
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_what_somebody_else_changed_is_named_by_its_key_only(path):
    draft = Draft(path)
    draft.drop(("relay",))
    path.write_text(f"{GOOD}password: hunter2=\n")
    with pytest.raises(Conflict) as caught:
        draft.save()
    assert caught.value.problems == [
        f"{path}: [relay] (not shown) was changed by somebody else meanwhile; nothing was written"]


@pytest.mark.parametrize("line, told", [
    ("", ""), ("# The relay.", "# The relay."), ("[relay]", "[relay]"), ("  [[gsm]] # ours", "  [[gsm]] # ours"),
    ("host = a.example  # ours", "host = a.example  # ours"), ("  'user'= \"a # b\"", "  'user'= \"a # b\""),
    ("#host = a.example", "#host = a.example"), ("# mail.cfg: see there", "# mail.cfg: see there"),
    ("password = x # old", "password = (not shown)"), (' "password"= x', ' "password"= (not shown)'),
    ("  pasword = x", "  pasword = (not shown)"), ("#password = x", "#password = (not shown)"),
    ("host = a.example # password x", "host = a.example # (not shown)"), ("x", "(not shown)"),
    ("password: x = y", "(not shown)"), ("[relay", "(not shown)"), ("[a = b]", "(not shown)"),
    ("password_command = pass show gsm", "password_command = (not shown)")])
def test_what_is_shown_of_a_line(line, told):
    assert shown.lines([line]) == [told]


@given(st.lists(st.text("ab:=#'\"[] \té", max_size=12), max_size=4))
def test_of_any_line_only_what_a_harmless_key_says_is_shown(texts):
    """None of these letters makes a key of mail.cfg: so no value is shown."""
    for text, told in zip(texts, shown.lines(texts)):
        found = told.partition("=")[2].partition("#")[0].strip()
        assert told == text and ("=" not in text or "#" in text) or found in ("", "(not shown)"), (text, told)


def test_every_key_is_known():
    assert {"schema", "hostname", "password", "unknown", "probe", "ca_file"} <= spec.keys()
    assert not any("_" * 2 in key for key in spec.keys())

"""mailcfg check as a whole: what it prints, its exit codes, and a mail.cfg that is wrong."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from amsmail.setup.doctor import checkup
from tests.real.process import public_folder

from .doctor import Owned, as_root, as_user, levels
from .test_doctor_calls import machine

CHECKOUT = pathlib.Path(__file__).parents[2]
OFF_LINE = {"marina": {"type": "present", "probe": "interface no-such-0"}}


@pytest.fixture(scope="module")
def site():
    with public_folder() as folder:
        yield Owned(folder / "site", links=OFF_LINE)


def mailcfg(*words):
    return subprocess.run([sys.executable, CHECKOUT / "bin/mailcfg", "check", *words], capture_output=True, text=True)


def test_every_check_is_made_once_and_what_is_wrong_comes_first(site, tmp_path):
    world = site.world(proc=machine(tmp_path / "proc"))
    findings = checkup.check(site.site, world)
    order = ["wrong", "note", "fine"]
    assert levels(findings) == sorted(levels(findings), key=order.index)
    assert "no certificate" in " ".join(each.found for each in findings)
    assert len({each.found for each in findings}) == len(findings)
    assert len({row.run for row in checkup.EVERY_CHECK}) == len(checkup.EVERY_CHECK)


def test_without_a_site_the_machine_is_looked_at(site, tmp_path):
    findings = checkup.check(None, site.world(proc=machine(tmp_path / "proc")))
    assert [each.found.partition(",")[0] for each in findings] == [
        "no super-server has an entry for smtpd or pop3d", "nothing starts mailcheck"]


def test_a_check_that_fails_leaves_the_others(site, tmp_path):
    folder = os.path.join(site.spool.path, "queue", "new")
    os.rename(folder, folder + "-")
    open(folder, "w").close()
    findings = checkup.check(site.site, site.world(proc=machine(tmp_path / "proc")))
    os.unlink(folder)
    os.rename(folder + "-", folder)
    (failed,) = [each for each in findings if "cannot be looked at" in each.found]
    assert failed.level == "note" and failed.remedy.startswith("mend that")
    assert failed.found.startswith("what was left lying in the spool: this cannot be looked at: [Errno 20] Not a dir")
    assert any("not on line" in each.found for each in findings)


def test_what_only_root_may_look_at_is_left_to_root(site, tmp_path):
    world = site.world(proc=machine(tmp_path / "proc"))
    folder = os.path.join(site.spool.path, "queue", "new")
    as_root("take a folder from a user")
    os.chown(folder, 0, 0)
    try:
        findings = as_user(site.user, lambda: checkup.check(site.site, world))
    finally:
        os.chown(folder, site.user.pw_uid, site.user.pw_gid)
    (failed,) = [each for each in findings if "this cannot be looked at" in each.found]
    assert failed.remedy == "run this as root" and "Permission denied" in failed.found


def test_what_is_printed(site):
    done = mailcfg(site.path)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    heads = [line for line in lines if not line.startswith("      ")]
    *found, count = heads
    counts = [sum(line.startswith(f"{level}: ") for line in found) for level in ("wrong", "note", "fine")]
    assert count == "{} wrong, {} to know, {} fine".format(*counts) and sum(counts) == len(found)
    for line, after in zip(lines, lines[1:]):
        is_to_be_done = line.startswith(("wrong: ", "note: "))
        assert after.startswith("      ") == is_to_be_done, line
    assert f"fine: 2 boxes, 3 addresses, 0 accounts, 1 link; relay none: {site.path}" in found
    assert done.returncode == (69 if counts[0] else 0)


def test_the_exit_code_says_whether_a_person_must_do_something(site):
    assert mailcfg("--file", site.path).returncode == 0
    site.configure(site={"hostname": "yacht.example", "postmaster": "captain", "relay_from": "0.0.0.0/0"},
                   relay={"host": "smtp.provider.example"})
    for words in ([], ["--file"]):
        done = mailcfg(*words, site.path)
        assert done.returncode == 69 and "wrong: relay_from holds 0.0.0.0/0" in done.stdout
    site.configure(site={"hostname": "yacht.example", "postmaster": "captain"}, relay={})


def test_mail_cfg_alone(site):
    done = mailcfg("--file", site.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("fine: 2 boxes,") and "spool" not in done.stdout


def test_mail_cfg_alone_needs_no_dns(site):
    """Which takes longer to import than all the rest."""
    code = "import sys; from amsmail.program import mailcfg; mailcfg.main(sys.argv[1:]); print('dns' in sys.modules)"
    words = [sys.executable, "-c", code, "check", "--file", site.path]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.stdout.splitlines()[0].startswith("fine: 2 boxes,") and done.stdout.endswith("\nFalse\n"), done


def test_json(site):
    done = mailcfg("--json", site.path)
    found = json.loads(done.stdout)
    assert all(each.keys() == {"level", "found", "remedy"} for each in found)
    assert any(each["level"] == "note" and "not on line" in each["found"] for each in found)


class TestWrong:
    @pytest.fixture
    def wrong(self, site):
        text = site.path.read_text()
        site.path.write_text(text + "nonsense = 1\n")
        yield site.path
        site.path.write_text(text)

    def test_its_mistakes_are_told_and_the_machine_is_looked_at(self, wrong):
        done = mailcfg(wrong)
        assert done.returncode == 78
        assert "no such key" in done.stderr and len(done.stderr.splitlines()) == 1
        assert "mailcheck" in done.stdout
        # It counts with what is wrong on the machine.
        *found, count = [line for line in done.stdout.splitlines() if not line.startswith("      ")]
        assert count.startswith(f"{1 + sum(line.startswith('wrong: ') for line in found)} wrong, ")

    def test_mail_cfg_alone(self, wrong):
        done = mailcfg("--file", wrong)
        assert (done.returncode, done.stdout) == (78, "") and "no such key" in done.stderr

    def test_json(self, wrong):
        done = mailcfg("--json", wrong)
        assert (done.returncode, done.stderr) == (78, "")
        first = json.loads(done.stdout)[0]
        assert first["level"] == "wrong" and "no such key" in first["found"] and first["remedy"]

    def test_one_that_is_not_there(self, tmp_path):
        done = mailcfg(tmp_path / "mail.cfg")
        assert done.returncode == 78 and "cannot be read" in done.stderr


def test_two_words_are_wrong(site):
    assert mailcfg(site.path, site.path).returncode == 64
    assert mailcfg("--nonsense").returncode == 64

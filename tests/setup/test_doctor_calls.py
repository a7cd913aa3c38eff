"""mailcfg check: who starts mailcheck, the clock, and what was left lying."""

import os
import pwd
import subprocess
import sys
import time

import pytest

from amsmail.link.dialled import Dialled
from amsmail.setup.doctor import calls
from amsmail.store.held import HeldMail, HeldMessage
from tests.etc.installation import ETC
from tests.real.process import public_folder

from .doctor import Owned, as_root, as_user, levels, only

CRON = (ETC / "cron.d/amsmail").read_text()


@pytest.fixture
def site():
    with public_folder() as folder:
        yield Owned(folder / "site")


def machine(folder, *names):
    """A stand-in for /proc, in which programs run that a test cannot start."""
    folder.mkdir()
    (folder / "stat").write_text("btime 1700000000\n")
    for number, name in enumerate(("init", *names), 1):
        (folder / str(number)).mkdir()
        (folder / str(number) / "stat").write_text(f"{number} ({name}) S" + " 0" * 18 + " 100 0\n")
        (folder / str(number) / "cmdline").write_text(f"/usr/sbin/{name}\0")
    return str(folder)


class TestSchedule:
    def found(self, site, tmp_path, *running):
        return site.found(calls.schedule, proc=machine(tmp_path / "proc", *running))

    def test_nothing(self, site, tmp_path):
        site.put("etc/cron.d/other", "# mailcheck\n0 0 * * * root true\n")
        assert "nothing starts mailcheck" in only(self.found(site, tmp_path, "cron"), "note").found

    def test_cron(self, site, tmp_path):
        as_root("make a file of root's")
        path = site.put("etc/cron.d/amsmail", CRON)
        assert str(path) in only(self.found(site, tmp_path, "cron"), "fine").found

    def test_cron_that_does_not_run(self, site, tmp_path):
        as_root("make a file of root's")
        site.put("etc/cron.d/amsmail", CRON)
        assert only(self.found(site, tmp_path), "wrong").remedy == "service cron start"

    def test_a_name_that_cron_passes_over(self, site, tmp_path):
        as_root("make a file of root's")
        site.put("etc/cron.d/amsmail.cron", CRON)
        assert only(self.found(site, tmp_path, "cron"), "wrong").remedy.endswith("amsmail-cron")

    def test_rights_that_cron_passes_over(self, site, tmp_path):
        site.put("etc/cron.d/amsmail", CRON, 0o666)
        assert "chmod 644" in only(self.found(site, tmp_path, "cron"), "wrong").remedy

    def test_a_crontab_and_a_timer_are_one_too_many(self, site, tmp_path):
        site.put("var/spool/cron/crontabs/amsmail", "7 * * * * mailcheck --quiet\n")
        assert levels(self.found(site, tmp_path)) == ["fine"]
        site.put("etc/systemd/system/timers.target.wants/amsmail-mailcheck.timer", "")
        assert "more than one" in only(site.found(calls.schedule, proc=str(tmp_path / "proc")), "note").found

    def test_crontabs_that_an_ordinary_user_cannot_see(self, site):
        as_root("become another user")
        path = site.put("var/spool/cron/crontabs/amsmail", "7 * * * * mailcheck --quiet\n")
        path.parent.chmod(0o730)        # as Debian has it
        loaded, world = site.site, site.world()
        finding = only(as_user(pwd.getpwnam("nobody"), lambda: calls.schedule(loaded, world)), "note")
        assert "crontabs of users were not looked at" in finding.found
        path.unlink()
        assert "crontabs of users" not in only(site.found(calls.schedule), "note").found

    def test_amsd(self, site, tmp_path):
        site.configure(calls={"schedule": "08:00-09:00"})
        assert "start amsd" in only(self.found(site, tmp_path), "wrong").remedy
        (tmp_path / "proc").rename(tmp_path / "old")
        assert "[calls] schedule" in only(self.found(site, tmp_path, "amsd"), "fine").found


class TestClock:
    def test_is_right(self, site):
        site.enqueue()
        assert levels(site.found(calls.clock)) == ["fine"]

    def test_is_before_the_newest_mail(self, site):
        site.enqueue()
        finding = only(site.found(calls.clock, clock=lambda: time.time() - 86400), "wrong")
        assert "was written at" in finding.found and "timedatectl" in finding.remedy

    def test_is_before_this_program(self, tmp_path, site):
        os.rename(site.spool.path, tmp_path / "elsewhere")
        finding = only(site.found(calls.clock, clock=lambda: 0), "wrong")
        assert "the clock says 1970-01-01" in finding.found


class TestLeftovers:
    def test_nothing(self, site):
        site.enqueue()
        assert site.found(calls.leftovers) == []

    def test_a_link_that_may_be_up(self, site):
        Dialled(site.spool.state("dialled")).write("gsm", time.time())
        finding = only(site.found(calls.leftovers), "wrong")
        assert "link gsm may still be up" in finding.found
        lock = site.spool.state("locks", "mailcheck")
        assert not os.path.exists(lock)         # root's would lock mailcheck out
        open(lock, "w").close()
        holder = subprocess.Popen([sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1], 'a'); "
                                   "fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()",
                                   lock], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        holder.stdout.readline()
        assert site.found(calls.leftovers) == []          # a mailcheck is at it
        holder.communicate()
        assert levels(site.found(calls.leftovers)) == ["wrong"]

    def test_mail_that_waits(self, site):
        uid = site.enqueue()
        assert site.found(calls.leftovers, clock=lambda: time.time() + 6 * 86400) == []
        finding = only(site.found(calls.leftovers, clock=lambda: time.time() + 8 * 86400), "note")
        assert f"the oldest {uid}" in finding.found

    def test_mail_that_is_held(self, site):
        HeldMail(site.spool).put(HeldMessage("abcdefgh", "owner", "1", 5, "", "", "captain", time.time(), "x"))
        assert site.found(calls.leftovers) == []
        finding = only(site.found(calls.leftovers, clock=lambda: time.time() + 31 * 86400), "note")
        assert "mailcheck --release abcdefgh" in finding.remedy

    def test_mail_of_a_box_that_is_no_more(self, site):
        box = site.spool.box("stoker")
        box.make()
        for number in range(2):
            with open(os.path.join(box.path, "new", f"1.M1R{number}.h"), "w") as f:
                f.write("Subject: x\n\nHello.\n")
        finding = only(site.found(calls.leftovers), "wrong")
        assert finding.found == "2 messages in boxes/stoker, which is no box in mail.cfg"
        assert finding.remedy == "mailcfg box adopt stoker --to BOX"

    def test_a_spool_of_something_else(self, site):
        with open(os.path.join(site.spool.path, "format"), "w") as f:
            f.write("nonsense\n")
        assert "no spool of amsmail" in only(site.found(calls.leftovers), "wrong").found

    def test_a_new_spool_is_not_made(self, site, tmp_path):
        os.rename(site.spool.path, tmp_path / "elsewhere")
        os.mkdir(site.spool.path)
        assert site.found(calls.leftovers) == []
        assert "format" not in os.listdir(site.spool.path)

"""amsmail-install on a machine: with real super-servers and a real Postfix, at their real paths and ports."""

import os

import pytest

from amsmail.setup.installing.starting import UNITS
from amsmail.site import passwords

from ..etc.installation import PASSWORD, PROJECT
from ..real.packages import Unavailable
from . import install_world
from .install_world import world

public, source = install_world.public, install_world.source      # the fixtures

MESSAGE = "From: captain@yacht.example\nTo: engineer@yacht.example\nSubject: installed\n\nIt works.\n"


@pytest.fixture(scope="module")
def config(public):
    text = (PROJECT / "etc/mail.cfg").read_text()
    path = public / "mail.cfg"
    path.touch(0o600)
    path.write_text(text.replace("MAKE-THIS-WITH-mailcfg-password", passwords.hashed(PASSWORD)))
    return path


@pytest.fixture
def machine(request, tmp_path, source):
    """A World with the packages that the test names; "systemd" is this machine's own."""
    packages = [name for name in request.param if name != "systemd"]
    if packages != list(request.param) and not os.path.exists("/lib/systemd/systemd"):
        raise Unavailable("systemd", "not installed here, and of no use from a package unpacked elsewhere")
    with world(tmp_path, source, *packages, systemd="systemd" in request.param) as made:
        if "openbsd-inetd" in request.param:
            made.write("/etc/inetd.conf", "# what this machine serves\n#discard stream tcp nowait root internal")
        yield made


def with_packages(*names):
    return pytest.mark.parametrize("machine", [names], indirect=True, ids=lambda names: "+".join(names) or "none")


def round_trip(machine):
    """A message goes in by SMTP and comes out by POP3."""
    machine.must("curl", "-sS", "smtp://127.0.0.1", "--mail-from", "captain@yacht.example", "--mail-rcpt",
                 "engineer@yacht.example", "--crlf", "-T", "-", input=MESSAGE)
    read = machine.must("curl", "-sS", "-u", f"engineer:{PASSWORD}", "pop3://127.0.0.1/1")
    assert "Subject: installed" in read and "It works." in read


def installs(machine, config, service):
    """From nothing to a message, the same again, and back to nothing."""
    before = machine.look()

    shown = machine.install("--dry-run", "--config", config)
    assert shown.returncode == 0 and f"served by {service}" in shown.stdout
    assert machine.look() == before

    refused = machine.install("--config", config, input="n\n")
    assert refused.returncode == 75 and "Nothing was done" in refused.stderr
    assert machine.look() == before

    done = machine.install("--config", config, "--yes")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    round_trip(machine)
    assert machine.must("stat", "-c", "%A %U %G", "/etc/amsmail", "/etc/amsmail/mail.cfg", "/var/spool/amsmail").split(
        "\n")[:3] == ["drwxr-x--- root amsmail", "-rw-r----- root amsmail", "drwxr-x--- amsmail amsmail"]
    passwd = machine.must("getent", "passwd", "amsmail").strip().split(":")
    assert passwd[5:] == ["/nonexistent", "/usr/sbin/nologin"]
    assert machine.must("id", "-Gn", "amsmail") == "amsmail\n"

    installed = machine.look()
    again = machine.install("--yes")
    assert again.returncode == 0 and again.stdout.endswith("Nothing to do: all of this is in place.\n")
    assert machine.look() == installed

    # What is in the spool, and its owner, stay; told so, they go too.
    undone = machine.must("/usr/local/sbin/amsmail-install", "--undo", "--yes")
    assert "/var/spool/amsmail stays, with what is in it" in undone
    assert "user and group amsmail stay: /var/spool/amsmail is theirs" in undone
    assert machine.run("curl", "-sS", "smtp://127.0.0.1").returncode == 7       # nobody listens
    left = machine.look().keys() - before.keys()
    assert left and all(path.startswith(("/var/spool/amsmail", "/var/lib/amsmail")) for path in left)
    assert machine.install("--undo", "--purge", "--yes").returncode == 0
    assert machine.look() == before


@with_packages("openbsd-inetd")
def test_openbsd_inetd_that_does_not_run_yet(machine, config):
    installs(machine, config, "inetd")


@with_packages("xinetd")
def test_xinetd_that_does_not_run_yet(machine, config):
    installs(machine, config, "xinetd")


@with_packages("systemd")
def test_systemd(machine, config):
    machine.must("rm", "-rf", "/etc/cron.d")
    machine.must("sh", "-c", "until systemctl is-active -q sysinit.target; do sleep 0.05; done")
    installs(machine, config, "systemd")
    assert "amsmail" not in machine.must("systemctl", "list-units", "--all", "--type=socket,service,timer")
    assert "amsmail" not in machine.must("ls", "/var/lib/systemd/timers")


@with_packages("systemd")
def test_amsd_by_systemd(machine, config):
    machine.must("sh", "-c", "until systemctl is-active -q sysinit.target; do sleep 0.05; done")
    before = machine.look()
    done = machine.install("--config", config, "--yes", "--service", "amsd", "--port", "pop3=1110")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "ExecStart=/usr/local/sbin/amsd --listen smtp=25 " in machine.must("cat", f"{UNITS}/amsd.service")
    machine.must("curl", "-sS", "-u", f"engineer:{PASSWORD}", "pop3://127.0.0.1:1110")
    assert machine.install("--yes").stdout.endswith("Nothing to do: all of this is in place.\n")
    other = machine.install("--yes", "--service", "systemd")
    assert other.returncode == 69 and "amsmail is installed here with amsd: take it away by --undo" in other.stderr
    assert machine.install("--undo", "--purge", "--yes").returncode == 0
    assert machine.look() == before


# What sysvinit does with a line of its table, of which there is one here: starts the process by a shell, and ends its
# group when the line is gone.
TELINIT = """#!/bin/sh
line=$(sed -n 's/^am:2345:respawn://p' /etc/inittab)
if [ -n "$line" ]; then
    setsid sh -c "exec $line" < /dev/null > /run/amsd.log 2>&1 &
    echo $! > /run/amsd.pid
else
    kill -- -$(cat /run/amsd.pid)
fi
"""


@pytest.fixture
def with_init(machine):
    machine.write("/usr/local/sbin/telinit", TELINIT)
    machine.must("chmod", "755", "/usr/local/sbin/telinit")
    machine.write("/etc/inittab", "id:2:initdefault:\n")
    return machine


@with_packages()
def test_amsd_by_init(with_init, config):
    installs(with_init, config, "amsd")


@with_packages()
def test_an_amsd_that_takes_its_time_to_end_is_waited_for(with_init, config):
    assert with_init.install("--config", config, "--yes").returncode == 0
    round_trip(with_init)
    # Stopped, it obeys only when it goes on; user amsmail cannot be removed before.
    with_init.write("/usr/local/sbin/telinit", "#!/bin/sh\ngroup=$(cat /run/amsd.pid)\nkill -STOP -- -$group\n"
                    "kill -- -$group\n(sleep 1; kill -CONT -- -$group) > /dev/null 2>&1 &\n")
    undone = with_init.install("--undo", "--purge", "--yes")
    assert (undone.returncode, undone.stderr) == (0, ""), undone.stdout
    assert with_init.run("id", "amsmail").returncode == 1


@with_packages("xinetd")
def test_xinetd_that_runs_is_told_and_goes_on(machine, config):
    machine.must("sh", "-c", "/etc/init.d/xinetd start; until [ -s /run/xinetd.pid ]; do sleep 0.02; done")
    machine.must("useradd", "--system", "--user-group", "amsmail")      # not ours to remove
    pid = machine.must("cat", "/run/xinetd.pid")
    assert machine.install("--config", config, "--yes").returncode == 0
    round_trip(machine)
    assert machine.install("--undo", "--purge", "--yes").returncode == 0
    assert machine.must("cat", "/run/xinetd.pid") == pid
    machine.must("id", "amsmail")
    assert machine.run("curl", "-sS", "smtp://127.0.0.1").returncode == 7


@with_packages("openbsd-inetd")
def test_a_super_server_that_takes_its_time_to_end_is_waited_for(machine, config):
    assert machine.install("--config", config, "--yes").returncode == 0
    pid = machine.must("cat", "/run/inetd.pid").strip()
    # A stopped process obeys when it goes on; the init script does not wait for that.
    machine.must("sh", "-c", f"kill -STOP {pid}; (sleep 0.7; kill -CONT {pid}) > /dev/null 2>&1 &")
    undone = machine.install("--undo", "--purge", "--yes")
    assert (undone.returncode, undone.stderr) == (0, ""), undone.stdout
    assert machine.run("ps", "-o", "stat=", "-p", pid).stdout.strip() in ("", "Z", "Zs")
    assert machine.install("--config", config, "--yes").returncode == 0
    round_trip(machine)


def start_postfix(machine):
    """As its package would have left it: set up, started at boot, and running."""
    for name in ("postfix", "postdrop"):
        machine.must("groupadd", "--system", name)
    machine.must("useradd", "--system", "--gid", "postfix", "--no-create-home", "postfix")
    machine.write("/etc/postfix/main.cf", "compatibility_level = 3.6\ninet_interfaces = loopback-only\n"
                                          "inet_protocols = ipv4\nmydestination = localhost\nalias_maps =\n")
    machine.must("cp", "/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf")
    machine.must("install", "-d", "-o", "postfix", "/var/lib/postfix")
    machine.run("postfix", "set-permissions")       # complains of files that only the package's scripts make
    machine.must("update-rc.d", "postfix", "defaults")
    machine.must("/etc/init.d/postfix", "start", stdout=None)
    assert "Postfix" in greeting(machine)


def greeting(machine):
    """What the server on port 25 says first."""
    return machine.must("sh", "-c", "curl -sSv smtp://127.0.0.1 -X NOOP 2>&1 | sed -n 's/^< 220 //p'")


@with_packages("openbsd-inetd", "postfix")
def test_another_mail_server_is_named_and_left_alone_unless_told_otherwise(machine, config):
    start_postfix(machine)
    before = machine.look()
    refused = machine.install("--config", config, "--yes")
    assert refused.returncode == 69
    assert "  Postfix is started at boot, and serves port 25" in refused.stderr
    assert "/usr/lib/postfix/sbin/master listens on port 25 (smtp)" in refused.stderr
    assert refused.stderr.count("--replace-mail-server stops and disables postfix, until --undo") == 2
    assert machine.look() == before and "Postfix" in greeting(machine)

    # On another port the two live side by side.
    assert machine.install("--config", config, "--yes", "--port", "smtp=2525").returncode == 0
    assert "Postfix" in greeting(machine)
    machine.must("curl", "-sS", "smtp://127.0.0.1:2525", "-X", "NOOP")
    machine.must("curl", "-sS", "-u", f"engineer:{PASSWORD}", "pop3://127.0.0.1")
    assert machine.install("--undo", "--purge", "--yes").returncode == 0
    assert machine.look() == before

    assert machine.install("--config", config, "--yes", "--replace-mail-server").returncode == 0
    round_trip(machine)
    assert "Postfix" not in greeting(machine)
    assert not machine.must("sh", "-c", "ls /etc/rc?.d | grep S..postfix || true")
    assert machine.install("--yes").stdout.endswith("Nothing to do: all of this is in place.\n")

    assert machine.install("--undo", "--purge", "--yes").returncode == 0
    assert "Postfix" in greeting(machine)
    assert machine.must("sh", "-c", "ls /etc/rc?.d | grep -c S..postfix") == "4\n"

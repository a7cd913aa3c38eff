"""Calls: whether anything starts mailcheck, whether the clock is right, and what has been left lying.

The clock.  Nobody is asked for the time: SMTP and POP3 do not tell it, and NTP over a paid link is the site's business.
What is known for nothing: no file of the spool and of the program can be newer than now, and a certificate that is not
yet valid (doctor/tls) says the same.  A clock that is ahead shows only there, as a certificate that has expired.
"""

import os
import time

from amsmail.link.dialled import Dialled
from amsmail.setup import boxmail
from amsmail.setup.doctor import super_servers
from amsmail.setup.doctor.world import fine, lines, note, wrong
from amsmail.setup.processes import named, processes, sees_all
from amsmail.site.words import counted
from amsmail.store.held import HeldMail
from amsmail.store.locks import Busy, Lock
from amsmail.store.spool import Spool, SpoolError

_TOLERANCE = 120                    # seconds by which a file may be newer than now
_WEEK, _MONTH = 7 * 86400, 30 * 86400
_CRONTABS = ("var", "spool", "cron", "crontabs")
_TIMER = ("etc", "systemd", "system", "timers.target.wants", "amsmail-mailcheck.timer")
_CRONS = ("cron", "crond", "fcron", "bcron-sched", "systemd-cron")


def schedule(site, world):
    """Something runs mailcheck from time to time: cron, systemd's timer, or amsd by [calls]."""
    running = processes(world.proc)
    tables = [path for path in (*world.files("etc", "cron.d"), world.file("etc", "crontab")) if _calls_mailcheck(path)]
    for path in tables:
        yield from _cron(path, running)
    timer = world.file(*_TIMER)
    found = [*tables, *filter(_calls_mailcheck, world.files(*_CRONTABS)), *([timer] if os.path.lexists(timer) else [])]
    if site and site.calls["schedule"]:
        if super_servers.amsds(site, running) or super_servers.amsd_unit(world) or not sees_all(running):
            found.append("[calls] schedule of mail.cfg")
        else:
            yield wrong("mail.cfg has a schedule for calls, and amsd, which would keep it, does not run",
                        "start amsd, or let cron or a timer run mailcheck (etc/cron.d, etc/systemd)")
    yield _started_by(found, world.file(*_CRONTABS))


def _calls_mailcheck(path):
    return any("mailcheck" in line and not line.lstrip().startswith("#") for line in lines(path))


def _started_by(found, crontabs):
    """The Finding on what starts mailcheck; `crontabs` is the folder of those of users."""
    if len(found) > 1:
        return note(f"mailcheck is started by more than one: {', '.join(found)}", "keep one of them")
    if found:
        return fine(f"mailcheck is started by {found[0]}")
    hidden = os.path.isdir(crontabs) and not os.access(crontabs, os.R_OK | os.X_OK)
    unseen = "; crontabs of users were not looked at, for want of rights" if hidden else ""
    return note(f"nothing starts mailcheck, so mail goes out and comes in only when it is run by hand{unseen}",
                "cp etc/cron.d/amsmail /etc/cron.d/, or enable amsmail-mailcheck.timer, or with amsd set schedule "
                "in [calls]")


def _cron(path, running):
    """Why cron would pass over its file: cron(8)."""
    found = os.stat(path)
    if os.path.basename(path) != "crontab" and "." in os.path.basename(path):
        yield wrong(f"cron passes over {path}: names with a dot do not count", f"mv {path} {path.replace('.', '-')}")
    if found.st_uid or found.st_mode & 0o022:
        yield wrong(f"cron passes over {path}: it must belong to root, and nobody else may write it",
                    f"chown root {path} && chmod 644 {path}")
    if sees_all(running) and not any(named(process, name) for process in running for name in _CRONS):
        yield wrong(f"{path} runs mailcheck, and cron does not run", "service cron start")


def clock(site, world):
    """It is not before the newest file."""
    now = world.clock()
    newest = max(_files(site), default=None)
    if newest is None or newest[0] <= now + _TOLERANCE:
        yield fine(f"the clock says {_date(now)}, later than every file")
        return
    written, path = newest
    yield wrong(f"the clock says {_date(now)}, and {path} was written at {_date(written)}: the clock is wrong, or was",
                f"set it (date -s, or `timedatectl set-ntp true`); if it is right now: touch {path}")


def _files(site):
    """(time of writing, path) of this program, and of what the site wrote."""
    folders = [os.path.dirname(__file__), *(os.path.join(site.spool, *names) for names in (
        ("state",), ("queue", "new"), ("boxes", site.postmaster, "new")))]
    for folder in folders:
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            try:
                yield entry.stat().st_mtime, entry.path
            except FileNotFoundError:
                continue


def leftovers(site, world):
    """A link that may still be up, mail that waits or is held for long, and mail of boxes that are no more."""
    if not os.path.isdir(site.spool):
        return
    for name in {} if _is_running(site) else Dialled(os.path.join(site.spool, "state", "dialled")).left_behind():
        yield wrong(f"link {name} may still be up: a mailcheck dialled it and did not end properly",
                    "run mailcheck, which hangs it up first")
    if not os.path.exists(os.path.join(site.spool, "format")):
        return              # nothing was ever stored, and opening the spool would make it
    try:
        spool = Spool(site.spool, site.hostname)
    except SpoolError as error:
        yield wrong(str(error), "correct spool in mail.cfg")
        return
    old = [entry.uid for entry in spool.queue().list() if _arrival(entry.uid) < world.clock() - _WEEK]
    if old:
        yield note(f"{len(old)} messages wait in the queue for more than a week, the oldest {old[0]}",
                   "`mailcheck queue` says why; `mailcheck queue release ID` or `delete ID`")
    if os.path.isdir(os.path.join(site.spool, "state", "held")):
        held = [message for message in HeldMail(spool).list() if message.time < world.clock() - _MONTH]
        if held:
            yield note(f"{len(held)} messages are held at the provider for more than a month, the oldest {held[0].id}",
                       f"mailcheck --release {held[0].id}, or --delete {held[0].id}")
    for name, count in boxmail.strays(site).items():
        yield wrong(f"{counted(count, 'message')} in boxes/{name}, which is no box in mail.cfg",
                    f"mailcfg box adopt {name} --to BOX")


def _is_running(site):
    """Whether a mailcheck runs now, which holds its lock."""
    path = os.path.join(site.spool, "state", "locks", "mailcheck")
    if os.path.islink(path) or not os.path.isfile(path):
        return False            # root must not make it: mailcheck's user could not open it
    try:
        Lock(path).release()
    except Busy:
        return True
    return False


def _arrival(uid):
    seconds = os.path.basename(uid).partition(".")[0]
    return int(seconds) if seconds.isascii() and seconds.isdigit() else float("inf")


def _date(seconds):
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))

"""Where things lie on each platform, and what Windows is told: tasks of Task Scheduler, and cygrunsrv's service.

amsd runs on Windows as a task that starts with the machine, not as a service: a service must answer the service control
manager, which a Python program does only with an extension, while Task Scheduler runs any program, as any account,
and starts it again when it fails.  The XML follows [MS-TSCH] 2.5.  None of this was tried on Windows.
"""

import os
import subprocess
import sys
from xml.etree import ElementTree

from amsmail.site.config import DEFAULT_SPOOL
from amsmail.wire.value import Value

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
LOCAL_SERVICE, SYSTEM, ADMINISTRATORS = "S-1-5-19", "S-1-5-18", "S-1-5-32-544"       # well-known SIDs
_START = "2024-01-01T00:07:00"      # any time past: the task repeats from there


class Places(Value):
    """Folders; `man` and `share` may be ''."""

    __slots__ = ("library", "sbin", "man", "etc", "spool", "state", "share")


def _windows(variable, otherwise):
    return os.environ.get(variable, otherwise).replace("\\", "/") + "/amsmail"


UNIX = Places("/usr/local/lib/amsmail", "/usr/local/sbin", "/usr/local/share/man", "/etc/amsmail",
              DEFAULT_SPOOL, "/var/lib/amsmail", "")
CYGWIN = UNIX.but(share="/usr/local/share/amsmail")
_PROGRAMS, _DATA = _windows("ProgramFiles", "C:/Program Files"), _windows("ProgramData", "C:/ProgramData")
WINDOWS = Places(f"{_PROGRAMS}/lib", f"{_PROGRAMS}/sbin", "", _DATA, f"{_DATA}/spool", f"{_DATA}/installed",
                 f"{_PROGRAMS}/tasks")
PLACES = {"cygwin": CYGWIN, "windows": WINDOWS}


def places(service):
    """The Places of an installation that is served by `service`."""
    return PLACES.get(service, UNIX)


def here():
    """'windows', 'cygwin', or '' on a Unix."""
    return "windows" if os.name == "nt" else "cygwin" if sys.platform == "cygwin" else ""


def amsd_task(python, arguments):
    """The XML, in UTF-16, of the task that runs amsd as LocalService from the machine's start on."""
    settings = {"RestartOnFailure": {"Interval": "PT1M", "Count": "255"}, "ExecutionTimeLimit": "PT0S"}
    return _task("amsmail: serves mail programs", {"BootTrigger": {"Enabled": "true"}}, settings, LOCAL_SERVICE,
                 _native(python), f'-IS "{_native(WINDOWS.sbin)}\\amsd"{arguments}')


def mailcheck_task(service, python):
    """The XML of the task that runs mailcheck every hour, on native Windows or in Cygwin."""
    repeated = {"Enabled": "true", "StartBoundary": _START, "Repetition": {"Interval": "PT1H"}, "RandomDelay": "PT5M"}
    # mailcheck limits itself; this is for one that hangs all the same.
    settings = {"StartWhenAvailable": "true", "ExecutionTimeLimit": "PT12H"}
    if service == "cygwin":
        # Windows cannot follow Cygwin's link python3, so the shell starts it.
        user, command = SYSTEM, _native("/bin/bash.exe")
        arguments = f'-lc "{CYGWIN.sbin}/mailcheck --quiet"'
    else:
        user, command = LOCAL_SERVICE, _native(python)
        arguments = f'-IS "{_native(WINDOWS.sbin)}\\mailcheck" --quiet'
    return _task("amsmail: one call", {"TimeTrigger": repeated}, settings, user, command, arguments)


def _task(description, triggers, settings, user, command, arguments):
    task = ElementTree.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    # A laptop or a boat on batteries has mail too; and never two calls at once.
    settings = {"MultipleInstancesPolicy": "IgnoreNew", "DisallowStartIfOnBatteries": "false",
                "StopIfGoingOnBatteries": "false", **settings}
    _fill(task, {"RegistrationInfo": {"Description": description}, "Triggers": triggers, "Settings": settings})
    principal = ElementTree.SubElement(ElementTree.SubElement(task, "Principals"), "Principal", id="Author")
    _fill(principal, {"UserId": user, "RunLevel": "LeastPrivilege"})
    actions = ElementTree.SubElement(task, "Actions", Context="Author")
    _fill(actions, {"Exec": {"Command": command, "Arguments": arguments}})
    ElementTree.indent(task)
    return ElementTree.tostring(task, encoding="UTF-16", xml_declaration=True)


def _fill(element, contents):
    for name, value in contents.items():
        child = ElementTree.SubElement(element, name)
        if isinstance(value, dict):
            _fill(child, value)
        else:
            child.text = value


def task_commands(name, path):
    """The command lines that make a task of an XML file and start it, and those that take it back."""
    task = f"amsmail\\{name}"
    start = [["schtasks", "/Run", "/TN", task]] if name == "amsd" else []
    return ([["schtasks", "/Create", "/F", "/TN", task, "/XML", _native(path)], *start],
            [["schtasks", "/End", "/TN", task], ["schtasks", "/Delete", "/F", "/TN", task]])


def rights_commands(etc, spool):
    """The command lines that let LocalService read `etc` and change `spool`, administrators all, and nobody else."""
    return [["icacls", _native(path), "/inheritance:r", "/grant", f"*{LOCAL_SERVICE}:(OI)(CI){right}",
             f"*{ADMINISTRATORS}:(OI)(CI)F", f"*{SYSTEM}:(OI)(CI)F"] for path, right in ((etc, "RX"), (spool, "M"))]


def cygwin_service(command):
    """cygrunsrv's command lines: to install and start the service, and to remove it.  It starts a program by its
    path, which for a script is the interpreter's."""
    install = ["cygrunsrv", "--install", "amsmail", "--path", "/usr/bin/python3", "--args", f"-IS {command}",
               "--disp", "amsmail", "--desc", "serves mail programs", "--type", "auto", "--termsig", "TERM"]
    return ([install, ["cygrunsrv", "--start", "amsmail"]],
            [["cygrunsrv", "--stop", "amsmail"], ["cygrunsrv", "--remove", "amsmail"]])


def _native(path):
    """A path as Windows' own programs take it."""
    if path.startswith("/"):
        path = _cygwin_root() + path
    return path.replace("/", "\\")


def _cygwin_root():
    if sys.platform != "cygwin":
        return "C:/cygwin64"        # its installer's proposal; of use below a scratch root only
    return subprocess.run(["cygpath", "-m", "/"], capture_output=True, text=True, check=True).stdout.strip().rstrip("/")

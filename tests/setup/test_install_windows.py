"""What Windows and Cygwin are told, as far as it can be checked elsewhere: tasks against Task Scheduler's schema, and
the command lines against the documented options."""

import re
from xml.etree import ElementTree

import pytest

from amsmail.setup.installing import platforms

BOOLEAN = "true|false|0|1"
DURATION = r"P(?!$)(\d+D)?(T(?!$)(\d+H)?(\d+M)?(\d+S)?)?"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
TEXT = r"(?s).*"

# The part of the schema in [MS-TSCH] 2.5 that a task of ours may use.  element: (whether its children have an order,
# {child: what it contains}); a content is the name of such an element type, or a regular expression.
TRIGGER = {"Enabled": BOOLEAN, "StartBoundary": TIME, "EndBoundary": TIME, "Repetition": "repetition",
           "ExecutionTimeLimit": DURATION}
SCHEMA = {
    "task": (False, {"RegistrationInfo": "registration", "Triggers": "triggers", "Settings": "settings",
                     "Principals": "principals", "Actions": "actions"}),
    "registration": (False, {"URI": TEXT, "Source": TEXT, "Author": TEXT, "Version": TEXT, "Description": TEXT}),
    "triggers": (False, {"BootTrigger": "boot", "TimeTrigger": "time"}),
    "boot": (True, {**TRIGGER, "Delay": DURATION}),
    "time": (True, {**TRIGGER, "RandomDelay": DURATION}),
    "repetition": (False, {"Interval": DURATION, "Duration": DURATION, "StopAtDurationEnd": BOOLEAN}),
    "settings": (False, {"AllowStartOnDemand": BOOLEAN, "RestartOnFailure": "restart",
                         "MultipleInstancesPolicy": "Parallel|Queue|IgnoreNew|StopExisting",
                         "DisallowStartIfOnBatteries": BOOLEAN, "StopIfGoingOnBatteries": BOOLEAN,
                         "AllowHardTerminate": BOOLEAN, "StartWhenAvailable": BOOLEAN, "Enabled": BOOLEAN,
                         "ExecutionTimeLimit": DURATION, "Priority": r"\d|10"}),
    "restart": (False, {"Interval": DURATION, "Count": r"[1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]"}),
    "principals": (False, {"Principal": "principal"}),
    "principal": (False, {"UserId": r"S-1-\d+(-\d+)+", "LogonType": "S4U|Password|InteractiveToken",
                          "RunLevel": "LeastPrivilege|HighestAvailable"}),
    "actions": (False, {"Exec": "exec"}),
    "exec": (False, {"Command": r"(?s).{1,260}", "Arguments": TEXT, "WorkingDirectory": r"(?s).{1,260}"}),
}
REQUIRED = {"task": {"Actions"}, "repetition": {"Interval"}, "restart": {"Interval", "Count"}, "exec": {"Command"},
            "triggers": set()}

TASKS = {
    "amsd": platforms.amsd_task("C:/Program Files/Python/python.exe", " --listen smtp=2525"),
    "mailcheck": platforms.mailcheck_task("windows", "C:/Program Files/Python/python.exe"),
    "mailcheck in Cygwin": platforms.mailcheck_task("cygwin", "/usr/bin/python3"),
}


def problems(element, kind, where=""):
    """What the schema does not allow in an element."""
    ordered, children = SCHEMA[kind]
    names = [child.tag.removeprefix(f"{{{platforms.NAMESPACE}}}") for child in element]
    where = f"{where}/{kind}"
    if len(set(names)) < len(names):
        yield f"{where}: twice the same of {names}"
    if ordered and names != sorted(names, key=lambda name: list(children).index(name) if name in children else -1):
        yield f"{where}: the order of {names}"
    if missing := REQUIRED.get(kind, set()) - set(names):
        yield f"{where}: no {missing}"
    for name, child in zip(names, element):
        if name not in children:
            yield f"{where}: {child.tag}"
        elif children[name] in SCHEMA:
            yield from problems(child, children[name], where)
        elif len(child) or not re.fullmatch(children[name], child.text or ""):
            yield f"{where}/{name}: {child.text}"


def task(name):
    return ElementTree.fromstring(TASKS[name])


def text(name, path):
    return task(name).find(path, {"": platforms.NAMESPACE}).text


@pytest.mark.parametrize("name", TASKS)
def test_a_task_keeps_to_the_schema(name):
    assert task(name).tag == f"{{{platforms.NAMESPACE}}}Task"
    assert re.fullmatch(r"1\.[2-4]", task(name).get("version"))
    assert list(problems(task(name), "task")) == []
    principal = task(name).find("Principals/Principal", {"": platforms.NAMESPACE})
    assert task(name).find("Actions", {"": platforms.NAMESPACE}).get("Context") == principal.get("id")


@pytest.mark.parametrize("damage, complaint", [
    (("PT1H", "1 hour"), "/task/triggers/time/repetition/Interval: 1 hour"),
    (("StartWhenAvailable", "StartIfAvailable"), "StartIfAvailable"),
    (("IgnoreNew", "Ignore"), "MultipleInstancesPolicy: Ignore"),
    (("S-1-5-19", "LocalService"), "principal/UserId: LocalService"),
    (("<Enabled>true</Enabled>", ""), None),
])
def test_the_check_of_the_schema_can_fail(damage, complaint):
    damaged = TASKS["mailcheck"].decode("utf-16").replace(*damage)
    found = list(problems(ElementTree.fromstring(damaged), "task"))
    assert (found == []) if complaint is None else any(complaint in problem for problem in found)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_written_as_schtasks_reads_it(name):
    assert TASKS[name].startswith(b"\xff\xfe") and "encoding='utf-16'" in TASKS[name].decode("utf-16").lower()


def test_amsd_starts_with_the_machine_and_again_after_a_failure():
    assert task("amsd").find("Triggers/BootTrigger", {"": platforms.NAMESPACE}) is not None
    assert text("amsd", "Settings/ExecutionTimeLimit") == "PT0S"        # none
    assert text("amsd", "Settings/RestartOnFailure/Interval") == "PT1M"
    assert text("amsd", "Actions/Exec/Command") == r"C:\Program Files\Python\python.exe"
    assert text("amsd", "Actions/Exec/Arguments") == r'-IS "C:\Program Files\amsmail\sbin\amsd" --listen smtp=2525'


def test_mailcheck_runs_every_hour_and_never_twice_at_a_time():
    for name in ("mailcheck", "mailcheck in Cygwin"):
        assert text(name, "Triggers/TimeTrigger/Repetition/Interval") == "PT1H"
        assert text(name, "Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert text("mailcheck", "Actions/Exec/Arguments") == r'-IS "C:\Program Files\amsmail\sbin\mailcheck" --quiet'
    assert text("mailcheck in Cygwin", "Actions/Exec/Command") == r"C:\cygwin64\bin\bash.exe"
    assert text("mailcheck in Cygwin", "Actions/Exec/Arguments") == '-lc "/usr/local/sbin/mailcheck --quiet"'


@pytest.mark.parametrize("name", ["amsd", "mailcheck"])
def test_native_tasks_run_without_rights(name):
    assert text(name, "Principals/Principal/UserId") == platforms.LOCAL_SERVICE
    assert text(name, "Principals/Principal/RunLevel") == "LeastPrivilege"


def test_schtasks_is_told_to_make_start_and_remove_a_task():
    forth, back = platforms.task_commands("amsd", "C:/Program Files/amsmail/tasks/amsd.xml")
    assert forth == [["schtasks", "/Create", "/F", "/TN", r"amsmail\amsd", "/XML",
                      r"C:\Program Files\amsmail\tasks\amsd.xml"], ["schtasks", "/Run", "/TN", r"amsmail\amsd"]]
    assert back == [["schtasks", "/End", "/TN", r"amsmail\amsd"], ["schtasks", "/Delete", "/F", "/TN", r"amsmail\amsd"]]


def test_local_service_reads_mail_cfg_and_writes_the_spool():
    config, spool = platforms.rights_commands("C:/ProgramData/amsmail", "C:/ProgramData/amsmail/spool")
    assert config[:5] == ["icacls", r"C:\ProgramData\amsmail", "/inheritance:r", "/grant", "*S-1-5-19:(OI)(CI)RX"]
    assert spool[4] == "*S-1-5-19:(OI)(CI)M"


# What `cygrunsrv --help` lists of long options with a value.
CYGRUNSRV = {"--install", "--path", "--args", "--chdir", "--env", "--disp", "--desc", "--type", "--user", "--passwd",
             "--termsig", "--shutsig", "--dep", "--stdin", "--stdout", "--stderr", "--start", "--stop", "--remove"}


def test_cygrunsrv_is_told_what_it_knows():
    forth, back = platforms.cygwin_service("/usr/local/sbin/amsd --listen smtp=2525")
    for words in [*forth, *back]:
        assert words[0] == "cygrunsrv" and len(words) % 2 == 1
        assert set(words[1::2]) <= CYGRUNSRV
    assert forth[0][forth[0].index("--args") + 1] == "-IS /usr/local/sbin/amsd --listen smtp=2525"
    assert back == [["cygrunsrv", "--stop", "amsmail"], ["cygrunsrv", "--remove", "amsmail"]]

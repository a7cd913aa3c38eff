"""What an installation is made of: folders, files, marked lines in files of others, and an account.

Each kind has the same things: `kind` and `path`, its name in the record; `done(machine, entry)`, whether it is as it
should be; `before(machine)`, what there was, for the record, and `now()`, what it will be; `do(machine)`; and
`undo(machine, entry, purge)`, a static method that needs the record alone.  That gives None, or (whether it stays, a
sentence that says why).  The record is written before anything is done, so an undo also takes back a piece that is half
done, or was never begun.  `keeps` names what an entry of the kind must have for that.
"""

import hashlib
import os
import re
import shutil
from pathlib import Path

from amsmail.setup.installing.machine import USER, Owner, Trouble
from amsmail.store import durable
from amsmail.wire.value import Value

BEGIN = "# >>> amsmail: these lines were put in by amsmail-install, and `amsmail-install --undo` takes them out >>>"
END = "# <<< amsmail <<<"
ROOTS = "root:root"


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Piece(Value):
    """What the kinds have in common."""

    keeps = ()
    __slots__ = ()

    def before(self, _machine):
        return {}

    def now(self):
        return {}

    def changed(self, _machine, _entry):
        """Whether it stays as a person made it since."""
        return False


class Folder(Piece):
    """A folder.  With a mode it is amsmail's own; without one, any folder will do.  `kind` may be 'filled'."""

    keeps = ("made",)
    __slots__ = ("path", "mode", "owner", "kind")
    defaults = {"mode": None, "owner": ROOTS, "kind": "folder"}

    def done(self, machine, entry):
        path = machine.path(self.path)
        if self.mode is None and not (entry and entry["made"] and not entry["complete"]):
            return os.path.isdir(path)
        return os.path.isdir(path) and has_owner(path, machine.owner(self.owner, self.mode or 0o755))

    def before(self, machine):
        path = machine.path(self.path)
        if not os.path.isdir(path):
            return {"made": True}
        status = os.stat(path)
        return {"made": False, "mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}

    def do(self, machine):
        path = machine.path(self.path)
        durable.make_directory(path)
        give(path, machine.owner(self.owner, self.mode or 0o755))

    @staticmethod
    def undo(machine, entry, _purge):
        path = Path(machine.path(entry["path"]))
        if not path.is_dir():
            return None
        if not entry["made"]:
            give(path, Owner(entry["mode"], entry["uid"], entry["gid"]))
            return None
        if any(path.iterdir()):
            return True, f"{entry['path']} stays: it is not empty"
        path.rmdir()
        return None


class Filled:
    """How a folder of kind 'filled' is undone.  What a person or the mail put into it goes only when that is told."""

    keeps = Folder.keeps

    @staticmethod
    def undo(machine, entry, purge):
        if purge and entry["made"]:
            shutil.rmtree(machine.path(entry["path"]), ignore_errors=True)
        stays = Folder.undo(machine, entry, purge)
        return (True, f"{entry['path']} stays, with what is in it") if stays else None


class File(Piece):
    """A file.  `ours` says what becomes of it where somebody changed it: 'program' is put right again, 'settings' (a
    service entry) stays as it is until --undo, 'site' (mail.cfg) is never touched if it is there."""

    kind = "file"
    keeps = ("ours", "backup", "replaced")
    __slots__ = ("path", "data", "mode", "owner", "ours")
    defaults = {"mode": 0o644, "owner": ROOTS, "ours": "settings"}

    def done(self, machine, entry):
        found = machine.read(self.path)
        if found is None:
            return False
        if self.ours == "site":
            return True
        right = found == self.data and has_owner(machine.path(self.path), machine.owner(self.owner, self.mode))
        return right or self.changed(machine, entry)

    def changed(self, machine, entry):
        found = machine.read(self.path)
        return self.ours == "settings" and found not in (None, self.data) and _changed(found, entry)

    def before(self, machine):
        return _backup(machine, self.path, machine.read(self.path))

    def now(self):
        return {"ours": self.ours, "written": digest(self.data)}

    def do(self, machine):
        durable.replace(machine.path(self.path), self.data, machine.owner(self.owner, self.mode))

    @staticmethod
    def undo(machine, entry, purge):
        found = machine.read(entry["path"])
        changed = found is not None and _changed(found, entry)
        if changed and entry["ours"] == "site" and not purge:
            return True, f"{entry['path']} stays: it was changed since it was put there"
        old = machine.read(entry["backup"]) if entry["backup"] else None
        place = machine.path(entry["path"])
        if old is not None:
            durable.replace(place, old, Owner(entry["mode"], entry["uid"], entry["gid"]))
            _remove(machine.path(entry["backup"]))
        elif found is not None:
            _remove(place)
        return (False, f"{entry['path']} was changed by hand; it is gone all the same") if changed else None


class Lines(Piece):
    """Lines between two marks, at the end of a file that belongs to somebody else."""

    kind = "lines"
    keeps = ("backup", "replaced")
    __slots__ = ("path", "text")

    def done(self, machine, entry):
        return parts(machine, self.path)[1] == self.text or self.changed(machine, entry)

    def changed(self, machine, entry):
        found = parts(machine, self.path)[1]
        return found not in ("", self.text) and _changed(found.encode("utf-8", "surrogateescape"), entry)

    def before(self, machine):
        return _backup(machine, self.path, machine.read(self.path))

    def now(self):
        return {"written": digest(self.text.encode())}

    def do(self, machine):
        above, _, below = parts(machine, self.path)
        if above and not above.endswith("\n"):
            above += "\n"
        _rewrite(machine, self.path, f"{above}{BEGIN}\n{self.text}{END}\n{below}")

    @staticmethod
    def undo(machine, entry, _purge):
        above, found, below = parts(machine, entry["path"])
        old = machine.read(entry["backup"]) if entry["backup"] else None
        if found and old is None and not (above + below).strip():
            _remove(machine.path(entry["path"]))
        elif found:
            # A line end that was put in for the mark goes too, if nobody else changed the file.
            rest = (above + below).encode("utf-8", "surrogateescape")
            same = old is not None and rest.rstrip(b"\n") == old.rstrip(b"\n")
            _rewrite(machine, entry["path"], (old if same else rest).decode("utf-8", "surrogateescape"))
        if old is not None:
            _remove(machine.path(entry["backup"]))
        return None


class Account(Piece):
    """The group and the user amsmail: no password, no shell, no home, no other group."""

    kind = "account"
    keeps = ("user", "group", "homes")
    __slots__ = ("path", "homes")

    def done(self, machine, _entry):
        return machine.user() is not None and machine.group() is not None

    def before(self, machine):
        return {"user": machine.user() is None, "group": machine.group() is None}

    def now(self):
        return {"homes": list(self.homes)}

    def do(self, machine):
        tools = _account_tools(machine)
        if machine.group() is None:
            machine.run(*tools["group"])
        if machine.user() is None:
            machine.run(*tools["user"])

    @staticmethod
    def undo(machine, entry, _purge):
        left = [path for path in entry["homes"] if machine.has(path)]
        if left:
            return True, f"user and group {USER} stay: {left[0]} is theirs"
        tools = _account_tools(machine)
        if entry["user"] and machine.user() is not None:
            machine.run(*tools["no user"])
        if entry["group"] and machine.group() is not None:
            machine.run(*tools["no group"])
        return None


# (a program that shows which tools a system has, their command lines)
_ACCOUNT_TOOLS = (
    ("useradd", {
        "group": ("groupadd", "--system", USER),
        "user": ("useradd", "--system", "--gid", USER, "--home-dir", "/nonexistent", "--no-create-home",
                 "--shell", "/usr/sbin/nologin", "--comment", "amsmail mail server", USER),
        "no user": ("userdel", USER),
        "no group": ("groupdel", USER)}),
    ("addgroup", {        # busybox
        "group": ("addgroup", "-S", USER),
        "user": ("adduser", "-S", "-D", "-H", "-h", "/nonexistent", "-s", "/sbin/nologin", "-G", USER, USER),
        "no user": ("deluser", USER),
        "no group": ("delgroup", USER)}),
)


def _account_tools(machine):
    for shown_by, tools in _ACCOUNT_TOOLS:
        if machine.program(shown_by):
            return {what: (machine.program(words[0]) or words[0], *words[1:]) for what, words in tools.items()}
    raise Trouble(f"there is neither useradd nor adduser here: make a user and a group {USER} by hand, and start again")


class Commands(Piece):
    """Command lines: `forth` are run now, `back` at --undo; below a scratch root neither.  `of` stands for what they
    are about: when that changes they are run again."""

    kind = "commands"
    keeps = ("back",)
    __slots__ = ("path", "forth", "back", "of")
    defaults = {"of": ""}

    def done(self, _machine, entry):
        return bool(entry) and entry["complete"] and self.now().items() <= entry.items()

    def now(self):
        return {"forth": _lists(self.forth), "back": _lists(self.back), "of": self.of}

    def do(self, machine):
        _run_all(machine, self.forth)

    @staticmethod
    def undo(machine, entry, _purge):
        _run_all(machine, entry["back"])
        return None


def _lists(commands):
    return [list(words) for words in commands]


def _run_all(machine, commands):
    for words in commands if machine.real else ():
        machine.run(*words)


def parents(*paths):
    """A Folder for each folder above these paths, the highest first."""
    found = []
    for path in paths:
        above = os.path.dirname(path)
        chain = []
        while above and not above.endswith(":") and above != os.path.dirname(above):
            chain.append(above)
            above = os.path.dirname(above)
        found += [folder for folder in reversed(chain) if folder not in found]
    return [Folder(folder) for folder in found]


def parts(machine, path):
    """(what is above our lines in a file, our lines, what is below).  Raises Trouble where one of the marks is gone,
    for then nobody but a person can tell which lines are ours."""
    # An editor may have put blanks or a CR behind a mark.
    lines = re.findall(r"[^\n]*\n|[^\n]+", (machine.read(path) or b"").decode("utf-8", "surrogateescape"))
    begin, end = ([number for number, line in enumerate(lines) if line.rstrip() == mark] for mark in (BEGIN, END))
    if not begin and not end:
        return "".join(lines), "", ""
    if len(begin) != 1 or len(end) != 1 or begin > end:
        raise Trouble(f"{path} has not one line `{BEGIN}` and below it one line `{END}`, between which our lines "
                      "stand: put the mark back, or take our lines out by hand, with the marks")
    return tuple("".join(part) for part in (lines[:begin[0]], lines[begin[0] + 1:end[0]], lines[end[0] + 1:]))


def has_owner(path, owner):
    """Whether a path has this Owner's mode, user and group."""
    status = os.stat(path)
    if not hasattr(os, "geteuid"):
        return True         # Windows keeps no such modes
    return (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (owner.st_mode, owner.st_uid, owner.st_gid)


def give(path, owner):
    """Gives a path this Owner's mode, user and group."""
    os.chmod(path, owner.st_mode)
    status = os.stat(path)
    if hasattr(os, "chown") and (status.st_uid, status.st_gid) != (owner.st_uid, owner.st_gid):
        os.chown(path, owner.st_uid, owner.st_gid)


def _rewrite(machine, path, text):
    """Writes a file of somebody else's, with the owner and mode that it has."""
    place = machine.path(path)
    like = os.stat(place) if os.path.exists(place) else machine.owner(ROOTS, 0o644)
    durable.replace(os.path.realpath(place), text.encode("utf-8", "surrogateescape"), like)


def _backup(machine, path, data):
    """Keeps what a file was, for --undo; gives what the record needs of it."""
    if data is None:
        return {"backup": None, "replaced": None}
    status = os.stat(machine.path(path))
    name = f"{machine.state}/backup/{path.strip('/').replace('/', '_')}"
    durable.make_directory(machine.path(os.path.dirname(name)))
    durable.replace(machine.path(name), data, Owner(0o600, *_myself()))
    return {"backup": name, "replaced": digest(data),
            "mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}


def _changed(data, entry):
    """Whether somebody else wrote this since we did."""
    return bool(entry) and digest(data) not in (*entry["all written"], entry["replaced"])


def _remove(path):
    if os.path.lexists(path):
        durable.remove(path)


def _myself():
    return (os.geteuid(), os.getegid()) if hasattr(os, "geteuid") else (0, 0)

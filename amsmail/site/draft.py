"""mail.cfg while it is being changed: what was said so far, what is wrong with it, how it differs, and how it is
written.

Changes are kept as what was asked for (set this key, drop that section), not as a text: so two people who edit at once
both get their way, unless they changed the same thing.
"""

import difflib
import os
import stat
import time

from amsmail.site import config_file, layout, shown
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError, NotWritten
from amsmail.site.values import CHECKS, Wrong
from amsmail.store import durable
from amsmail.store.locks import Busy, Lock

_PREVIOUS, _LOCK = ".previous", ".lock"
_PATIENCE = 10      # seconds in which somebody else who writes it must have ended


class Conflict(NotWritten):
    """Somebody else changed the same meanwhile; nothing was written."""


class Draft:
    """The mail.cfg at `path` with changes.  `lines`: what to begin with where there is no file yet; without them a
    file that is missing is a ConfigError, as is one that cannot be read."""

    def __init__(self, path, lines=None):
        self.path = os.path.abspath(path)
        self._file = os.path.realpath(self.path)        # what a link leads to is written, and the link stays
        self.is_new = lines is not None and _is_missing(self._file)
        self.had_previous = False                       # whether save() left a FILE.previous
        self._seen = [] if self.is_new else self._now()
        self._template = list(lines) if self.is_new else None
        self.lines = list(self._template or self._seen)
        self._changes = []          # (function of layout, arguments)
        self._files = {}            # {path: octets}, to be written before mail.cfg is

    def _now(self):
        if _is_missing(self._file):
            raise ConfigError([f"{self.path}: there is no such file; `mailcfg` makes one"])
        return config_file.lines_of(self._file)

    # What it says

    def value(self, keys, otherwise=""):
        """The text of a value, as it would be read back."""
        return layout.values(self.lines).get(tuple(keys), otherwise)

    def names(self, section):
        """The names of a section's subsections, in the file's order."""
        return _names(self.lines, section)

    def spool(self):
        """The folder that it names for the spool.  Raises ConfigError where it names none."""
        text = self.value(("site", "spool"), DEFAULT_SPOOL)
        try:
            return CHECKS["folder"](text)
        except Wrong as error:
            raise ConfigError([f"{self.path}: [site] spool: found {text!r}; expected {error}"]) from None

    def in_effect(self, section):
        """The names of a section's subsections in the file, as it is until this is saved."""
        return _names(self._seen, section)

    def renamed(self, section):
        """{name in the file: name now} of a section's subsections that have another name now."""
        names = {name: name for name in self.in_effect(section)}        # name now -> name in the file
        for function, (keys, *more) in self._changes:
            if keys[0] == section and len(keys) == 2:
                if function is layout.drop:
                    names.pop(keys[1], None)
                elif function is layout.rename and keys[1] in names:
                    names[more[0]] = names.pop(keys[1])
        return {old: new for new, old in names.items() if new != old}

    @property
    def is_changed(self):
        return self.is_new or self.lines != self._seen or bool(self._files)

    # Changes

    def set(self, keys, value):
        """Sets a value, or removes it (None).  Raises ValueError if it cannot stand in the file."""
        if self.value(keys, None) != value:
            self._change(layout.put, tuple(keys), value)

    def add(self, section):
        """Adds a subsection, (section, name)."""
        self._change(layout.add, tuple(section))

    def drop(self, section):
        """Removes a subsection, (section, name), with all that is in it."""
        self._change(layout.drop, tuple(section))

    def rename(self, section, name):
        """Gives a subsection another name."""
        self._change(layout.rename, tuple(section), name)

    def put_file(self, path, data):
        """A file that mail.cfg will name: it is written with it, with its owner and mode, and never over another."""
        self._files[path] = data

    def mark(self):
        """Where undo() can go back to."""
        return len(self._changes), dict(self._files)

    def undo(self, mark):
        """Forgets what was changed since `mark`."""
        count, self._files = mark[0], dict(mark[1])
        del self._changes[count:]
        self.lines = self._changed(self._template or self._seen)

    def undo_all(self):
        """Forgets every change."""
        self.undo((0, {}))

    def _changed(self, lines):
        """These lines with the changes."""
        lines = list(lines)
        for function, arguments in self._changes:
            function(lines, *arguments)
        return lines

    def _change(self, function, *arguments):
        function(self.lines, *arguments)
        self._changes.append((function, arguments))

    # What is wrong with it, and how it differs

    def problems(self):
        """What is wrong that was not wrong before, as ConfigError has it: a file with two mistakes can be mended one by
        one.  In a file that is no mail.cfg at all, everything is."""
        found = config_file.problems(self.path, self.lines, self._files)
        if self.is_new or not found or not config_file.is_readable(self.lines):
            return found
        before = {_without_line(problem) for problem in config_file.problems(self.path, self._seen)}
        return [problem for problem in found if _without_line(problem) not in before]

    def diff(self):
        """The change as lines of a unified diff, a new file as what it says without its comments; of each line as much
        as may be shown."""
        if self.is_new:
            return shown.lines(line for line in self.lines if line.strip() and not line.lstrip().startswith("#"))
        head = [f"--- {self.path}", f"+++ {self.path} (changed)"]
        lines = list(difflib.unified_diff(self._seen, self.lines, lineterm="", n=2))[len(head):]
        texts = shown.lines(line[1:] for line in lines)
        return lines and head + [line if line.startswith("@@") else line[0] + text
                                 for line, text in zip(lines, texts)]

    # Writing

    def check_writable(self):
        """Raises ConfigError where it is plain already that save() will not be able to write."""
        folder = os.path.dirname(self._file)
        if not os.path.isdir(folder):
            raise ConfigError([f"{self.path}: there is no folder {folder}; make it first"])
        if not os.access(folder, os.W_OK):
            raise ConfigError([f"{self.path}: cannot be written by this user; are you root?"])

    def save(self):
        """Writes the file, the old one as FILE.previous, and goes on from there.  Raises ConfigError: nothing was
        written then, because of what is wrong, or (Conflict) because somebody else changed the same."""
        if not self.is_changed:
            return
        try:
            with self._locked() as lock:
                self._give(lock)
                self._catch_up(_clash)
                if problems := self.problems():
                    raise ConfigError(problems)
                self._write()
        except Busy:
            raise NotWritten([f"{self.path}: somebody else is writing it right now; try again"]) from None
        except OSError as error:
            kind, who = (ConfigError, "; are you root?") if isinstance(error, PermissionError) else (NotWritten, "")
            at = f" ({error.filename})" if error.filename == self._file + _LOCK else ""
            raise kind([f"{self.path}: cannot be written: {error.strerror}{at}{who}"]) from error
        self.had_previous = not self.is_new
        self._seen, self._template, self.is_new = list(self.lines), None, False
        self._changes, self._files = [], {}

    def _locked(self):
        """The lock of whoever writes the file, which they have but for a moment.  Raises Busy, OSError."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return Lock(self._file + _LOCK)
            except Busy:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.05)

    def _give(self, lock):
        """Whoever owns mail.cfg must be able to lock it after root did."""
        if hasattr(os, "geteuid") and os.geteuid() == 0 and os.path.exists(self._file):
            owner = os.stat(self._file)
            lock.give(owner.st_uid, owner.st_gid)

    def take_over(self):
        """After a Conflict: makes the changes to the file as it is now, whatever others changed in it.  Raises
        ConfigError."""
        self._catch_up(lambda changes, old, new: ())

    def _catch_up(self, clash):
        """Makes the changes to the file as it is now, if it is another than it was."""
        if not os.path.exists(self._file):
            if self.is_new:
                return
            raise ConfigError([f"{self.path}: was removed meanwhile; nothing was written"])
        if self.is_new:
            raise ConfigError([f"{self.path}: was made by somebody else meanwhile; nothing was written, start again"])
        now = self._now()
        if now == self._seen:
            return
        if keys := clash(self._changes, _told(self._seen), _told(now)):
            if keys not in {*layout.sections(now), *layout.sections(self._seen)}:
                keys = (*keys[:-1], shown.name(keys[-1]))
            raise Conflict([f"{self.path}: {shown.place(keys)} was changed by somebody else meanwhile; nothing was "
                            "written"])
        self._seen, self.lines = now, self._changed(now)

    def _write(self):
        try:
            octets = "".join(line + "\n" for line in self.lines).encode()
        except UnicodeEncodeError as error:     # before any other file is written
            raise ConfigError([f"{self.path}: cannot be written: it would be no UTF-8 text"]) from error
        folder = os.path.dirname(self._file)
        like = _new_file(folder) if self.is_new else os.stat(self._file)
        for path, data in self._files.items():
            if _other_contents(path, data):
                raise ConfigError([f"{path}: is there already, and is not written over; name another file"])
            durable.replace(path, data, like=like)
        if not self.is_new:
            with open(self._file, "rb") as f:
                durable.replace(self._file + _PREVIOUS, f.read(), like=like)
        durable.replace(self._file, octets, like=like)


def _is_missing(path):
    """Whether there is no such file; one in a folder that this user may not look into may be there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False        # reading it says what hinders
    return False


def _other_contents(path, data):
    """Whether there is such a file, and not from a save() that failed half-way.  Raises OSError."""
    if not os.path.exists(path):
        return False
    with open(path, "rb") as f:
        return f.read() != data


def _names(lines, section):
    return [keys[1] for keys in layout.sections(lines) if len(keys) == 2 and keys[0] == section]


def _told(lines):
    """{keys: text} of all that a file says; a section that is there says ''."""
    return {**layout.values(lines), **dict.fromkeys(layout.sections(lines), "")}


def _clash(changes, old, new):
    """The keys of something that both these changes and those from `old` to `new` touch, () if there is none."""
    theirs = {keys for keys in {*old, *new} if old.get(keys) != new.get(keys)
              and not (len(keys) == 1 and keys in new)}         # that [calls] is there now is nobody's change
    for function, arguments in changes:
        mine = arguments[0]
        if function is layout.put and mine in new and new[mine] == arguments[1]:
            continue        # both wanted the same
        made = {mine, (mine[0], arguments[1])} if function is layout.rename else {mine}
        for keys in sorted(theirs):
            gone = keys not in new
            if any(keys[:len(name)] == name or gone and name[:len(keys)] == keys for name in made):
                return keys
    return ()


def _new_file(folder):
    """Whose owner and mode a new file gets: whoever makes it, and the group of its folder."""
    found = os.stat(folder)
    return os.stat_result((stat.S_IFREG | 0o640, *tuple(found)[1:4], os.geteuid() if hasattr(os, "geteuid") else 0,
                           found.st_gid, *tuple(found)[6:]))


def _without_line(problem):
    """A problem's text without the file and the line, which a change may move."""
    return problem.partition(": ")[2]

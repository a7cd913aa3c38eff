"""mail.cfg while it is being changed: what was said so far, what is wrong with it, how it differs, and how it is written.

Changes are kept as what was asked for (set this key, drop that section), not as a text: so two people who edit at once
both get their way, unless they changed the same thing.
"""

import difflib
import os
import re
import stat

from amsmail.site import config_file, layout
from amsmail.site.config_error import ConfigError
from amsmail.store import durable
from amsmail.store.locks import Busy, Lock

_SECRET = re.compile(r"([+ -]\s*password\s*=\s*)\S.*", re.I)
_PREVIOUS, _LOCK = ".previous", ".lock"


class Draft:
    """The mail.cfg at `path` with changes.  `lines`: what to begin with where there is no file yet; without them a
    file that is missing is a ConfigError, as is one that cannot be read."""

    def __init__(self, path, lines=None):
        self.path = os.path.abspath(path)
        self.is_new = lines is not None and not os.path.exists(self.path)
        self.had_previous = not self.is_new         # there is a FILE.previous after save()
        self._seen = [] if self.is_new else config_file.lines_of(self.path)
        self._template = list(lines) if self.is_new else None
        self.lines = self._template or list(self._seen)
        self._changes = []          # (function of layout, arguments)

    # What it says

    def value(self, keys, otherwise=""):
        """The text of a value, as it would be read back."""
        return layout.values(self.lines).get(tuple(keys), otherwise)

    def names(self, section):
        """The names of a section's subsections, in the file's order."""
        index, _ = layout.index(self.lines)
        return [keys[1] for keys in index if len(keys) == 2 and keys[0] == section and layout.is_section(
            self.lines[index[keys] - 1])]

    @property
    def is_changed(self):
        return self.is_new or self.lines != self._seen

    # Changes

    def set(self, keys, value):
        """Sets a value, or removes it (None).  Raises ValueError if it cannot stand in the file."""
        if value is None or tuple(keys) not in layout.values(self.lines) or self.value(keys) != value:
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

    def undo_all(self):
        """Forgets every change."""
        self.lines, self._changes = self._template or list(self._seen), []

    def _change(self, function, *arguments):
        function(self.lines, *arguments)
        self._changes.append((function, arguments))

    # What is wrong with it, and how it differs

    def problems(self):
        """What is wrong that was not wrong before, as ConfigError has it."""
        before = {_without_line(problem) for problem in config_file.problems(self.path, self._seen)}
        return [problem for problem in config_file.problems(self.path, self.lines)
                if self.is_new or _without_line(problem) not in before]

    def diff(self):
        """The change as lines of a unified diff; passwords are not shown."""
        lines = difflib.unified_diff(self._seen, self.lines, self.path, f"{self.path} (changed)", lineterm="", n=2)
        return [_SECRET.sub(r"\1(not shown)", line) for line in lines]

    # Writing

    def save(self):
        """Writes the file, the old one as FILE.previous, and goes on from there.  Raises ConfigError: nothing was
        written then, because of what is wrong, or because somebody else changed the same."""
        try:
            with Lock(self.path + _LOCK):
                self._catch_up()
                if problems := self.problems():
                    raise ConfigError(problems)
                self._write()
        except Busy:
            raise ConfigError([f"{self.path}: somebody else is writing it right now; try again"]) from None
        except OSError as error:
            raise ConfigError([f"{self.path}: cannot be written: {error.strerror}; are you root?"]) from error
        self._seen, self._changes, self._template, self.is_new = list(self.lines), [], None, False

    def _catch_up(self):
        """Makes the changes to the file as it is now, if it is another than it was."""
        if not os.path.exists(self.path):
            if self.is_new:
                return
            raise ConfigError([f"{self.path}: was removed meanwhile"])
        now = config_file.lines_of(self.path)
        if self.is_new:
            raise ConfigError([f"{self.path}: was made by somebody else meanwhile; start again"])
        if now == self._seen:
            return
        old, new = layout.values(self._seen), layout.values(now)
        theirs = {keys for keys in {*old, *new} if old.get(keys) != new.get(keys)}
        for function, arguments in self._changes:
            mine = arguments[0]
            both = sorted(keys for keys in theirs if keys[:len(mine)] == mine)
            if both:
                raise ConfigError([f"{self.path}: [{both[0][0]}] {' '.join(both[0][1:])} was changed by somebody else "
                                   "meanwhile; nothing was written, start again"])
        for function, arguments in self._changes:
            function(now, *arguments)
        self._seen, self.lines = config_file.lines_of(self.path), now

    def _write(self):
        data = "".join(line + "\n" for line in self.lines).encode()
        if self.is_new:
            durable.replace(self.path, data, like=_new_file(os.path.dirname(self.path)))
            return
        like = os.stat(self.path)
        with open(self.path, "rb") as f:
            durable.replace(self.path + _PREVIOUS, f.read(), like=like)
        durable.replace(self.path, data, like=like)


def _new_file(folder):
    """Whose owner and mode a new file gets: whoever makes it, and the group of its folder."""
    found = os.stat(folder)
    return os.stat_result((stat.S_IFREG | 0o640, *tuple(found)[1:4], os.geteuid() if hasattr(os, "geteuid") else 0,
                           found.st_gid, *tuple(found)[6:]))


def _without_line(problem):
    """A problem's text without the file and the line, which a change may move."""
    return problem.partition(": ")[2]


def edit(path, changes):
    """Changes values in the mail.cfg at `path` at once: {(section, [subsection,] key): text, or None to remove it}.
    Raises ConfigError."""
    draft = Draft(path)
    for keys, value in changes.items():
        draft.set(keys, value)
    draft.save()

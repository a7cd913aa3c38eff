"""The record of an installation: what was really made, and what was there before.  `--undo` goes by it alone."""

import json
import os

from amsmail.setup.installing.software import Library
from amsmail.setup.installing.machine import Trouble
from amsmail.setup.installing.pieces import Account, Commands, File, Filled, Folder, Lines
from amsmail.setup.installing.starting import Reload, Start
from amsmail.setup.installing.rivals import Disabled
from amsmail.setup.installing.services import NAMES
from amsmail.store import durable

KINDS = {"filled": Filled, "folder": Folder,
         **{kind.kind: kind for kind in (Account, Commands, Disabled, File, Library, Lines, Reload, Start)}}
_LIBRARIES = 2      # kept: the one that is used, and the one that programs may still run from
_MODE = 0o600


class Record:
    """Read from the machine's state folder; empty where nothing was installed.  Raises Trouble."""

    def __init__(self, machine):
        self._machine = machine
        self._path = f"{machine.state}/installed.json"
        data = machine.read(self._path)
        self._data = {"choice": {}, "entries": []} if data is None else _parsed(data)
        if self._data is None:
            raise Trouble(f"{self._path} is damaged, or of another amsmail: what was installed is not known")

    @property
    def choice(self):
        return self._data["choice"]

    @property
    def entries(self):
        return list(self._data["entries"])

    def find(self, piece):
        """The entry of a piece, or None."""
        return next((entry for entry in self._data["entries"]
                     if (entry["kind"], entry["path"]) == (piece.kind, piece.path)), None)

    def choose(self, choice):
        """Remembers what was chosen; it is written with the next step."""
        self._data["choice"] = choice

    def do(self, pieces):
        """Makes those pieces that are not as they should be.  Raises Trouble and OSError."""
        missing = [piece for piece in pieces if not piece.done(self._machine, self.find(piece))]
        for piece in missing:
            self._begin(piece)
        if not self._machine.has(self._machine.state):
            for piece in missing:       # folders alone: the record's own, which it cannot be written before
                piece.do(self._machine)
        if missing:
            self._save()
        for piece in missing:
            piece.do(self._machine)
            self.find(piece)["complete"] = True
        if missing:
            self._save()

    def _begin(self, piece):
        """What there was before the first installation is kept, however often it is repeated."""
        entry = self.find(piece)
        if entry is None:
            entry = {"kind": piece.kind, "path": piece.path, "all written": [], **piece.before(self._machine)}
            self._data["entries"].append(entry)
        now = piece.now()
        entry.update(now, complete=False)
        if now.get("written") and now["written"] not in entry["all written"]:
            entry["all written"].append(now["written"])

    def forget_libraries(self, current):
        """Removes the libraries of installations before the last one."""
        old = [entry for entry in self.entries if entry["kind"] == Library.kind and entry["path"] != current]
        for entry in old[:-(_LIBRARIES - 1)]:
            self._undo(entry, purge=False)

    def undo(self, purge):
        """Takes everything back, the last first.  Gives ([(entry, why it stays)], [what else a person should know])."""
        staying, told = [], []
        self._data["choice"] = {}       # mail may stay, and be served by another super-server next
        self._forget_leftovers(self._path)
        for entry in reversed(self.entries):
            if entry["path"] == f"{self._machine.state}/backup" and not staying:
                self._forget_backups()
            if entry["path"] == self._machine.state:
                if staying:
                    break       # the record is still needed, and so is its folder
                durable.remove(self._machine.path(self._path))
            try:
                stays, why = self._undo(entry, purge)
            except (Trouble, OSError) as error:
                stays, why = True, str(error)
            if stays:
                staying.append((entry, why))
            elif why:
                told.append(why)
        return staying, told

    def sweep(self):
        """Removes the record's own folders, which a run made that was broken off before there was a record."""
        state = self._machine.state
        for path in (f"{state}/backup", state):
            folder = self._machine.path(path)
            names = os.listdir(folder) if os.path.isdir(folder) else []
            durable.forget([os.path.join(folder, name) for name in names if durable.is_leftover(name)])
            Folder.undo(self._machine, {"path": path, "made": True}, False)

    def _forget_backups(self):
        """Removes what is left of a run that was broken off between a backup and the record of it."""
        folder = self._machine.path(f"{self._machine.state}/backup")
        durable.forget([entry.path for entry in os.scandir(folder)] if os.path.isdir(folder) else [])

    def _forget_leftovers(self, path):
        """Removes what is left of a run that was killed while it wrote that file."""
        folder, name = os.path.split(self._machine.path(path))
        durable.forget([os.path.join(folder, each) for each in (os.listdir(folder) if os.path.isdir(folder) else ())
                        if durable.is_leftover(each) and each.startswith(f".{name}.")])

    def _undo(self, entry, purge):
        if entry["kind"] in (File.kind, Lines.kind):
            self._forget_leftovers(entry["path"])
        stays, why = KINDS[entry["kind"]].undo(self._machine, entry, purge) or (False, "")
        if not stays:
            self._data["entries"].remove(entry)
            if self._machine.has(self._path):
                self._save()
        return stays, why

    def _save(self):
        text = json.dumps(self._data, indent=1)
        durable.replace(self._machine.path(self._path), text.encode(), self._machine.owner("root:root", _MODE))


def _parsed(data):
    """The record in these octets; None where they are none."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    choice, entries = found.get("choice"), found.get("entries")
    whole = isinstance(entries, list) and all(map(_is_entry, entries))
    return found if whole and (choice == {} or _is_choice(choice)) else None


def _is_choice(choice):
    return isinstance(choice, dict) and choice.get("service") in NAMES and isinstance(choice.get("ports"), dict)


def _is_entry(entry):
    """Whether it has what is needed of an entry of its kind."""
    if not isinstance(entry, dict) or entry.get("kind") not in [*KINDS] or not isinstance(entry.get("path"), str):
        return False
    needed = {"all written", "complete", *KINDS[entry["kind"]].keeps}
    if entry.get("made") is False or entry.get("backup"):
        needed |= {"mode", "uid", "gid"}        # of what was there before
    return needed <= entry.keys()

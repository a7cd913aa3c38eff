"""What an installation does, step by step: [(a line for a person, pieces)], in the order it is done in."""

import os

from amsmail.setup.installing import platforms, services, software
from amsmail.setup.installing.machine import USER, Trouble
from amsmail.setup.installing.pieces import Account, Commands, File, Folder, parents
from amsmail.setup.installing.rivals import Disabled
from amsmail.site import layout
from amsmail.wire.value import Value

_OF_A_DISK = "lost+found"       # is in an empty file system


class Choice(Value):
    """The super-server's name, {service: port}, and the mail.cfg to put in place (octets), b"" for none."""

    __slots__ = ("service", "ports", "config")


def steps(machine, choice, disabled):
    """The steps, and notes: sentences on what a person has to do.  `disabled` are the names of mail servers that this
    one takes the place of.  Raises Trouble."""
    where = platforms.places(choice.service)
    spool = _spool(machine, choice)
    entries, notes = services.entries(machine, choice.service, choice.ports, spool)
    calls, more = services.calls(machine, choice.service, spool)
    return [
        (f"keep a record of this in {where.state}, for --undo",
         [*parents(where.state), Folder(where.state, 0o700), Folder(f"{where.state}/backup", 0o700)]),
        *_account(machine, choice, spool),
        *_programs(choice, where),
        *_site(choice, where, spool),
        *((f"stop {name}, and do not start it at boot", [Disabled(name)]) for name in disabled),
        *entries,
        *calls,
    ], notes + more


def _account(machine, choice, spool):
    if not machine.real or choice.service in platforms.PLACES:
        return []
    where = platforms.places(choice.service)
    return [(f"make group {USER} and user {USER}, without password, shell, home or other groups",
             [Account(USER, (spool, where.etc))])]


def _programs(choice, where):
    python = software.interpreter()
    contents = software.files(python)
    library = f"{where.library}/{software.version(python, contents)}"
    copied = sorted({name.partition("/")[0] for name in contents if "-info/" not in name})
    launchers = [File(f"{where.sbin}/{name}", data, 0o755, ours="program") for name, data in
                 software.launchers(python, library, f"{where.etc}/mail.cfg").items()]
    if choice.service == "windows":
        launchers += [File(f"{file.path}.cmd", f'@"{python}" -IS "%~dp0{os.path.basename(file.path)}" %*\r\n'.encode(),
                           ours="program") for file in launchers]
    yield (f"copy {', '.join(copied)} to {library}",
           [*parents(library), software.Library(library, contents)])
    yield (f"put {', '.join(os.path.basename(file.path) for file in launchers)} into {where.sbin}, for {python}",
           [*parents(launchers[0].path), *launchers])
    if where.man:
        pages = [File(f"{where.man}/man{page.suffix[1:]}/{page.name}", page.read_bytes(), ours="program")
                 for page in sorted((software.CHECKOUT / "docs").glob("*.[58]"))]
        yield f"put {len(pages)} manual pages into {where.man}", [*parents(*(page.path for page in pages)), *pages]


def _site(choice, where, spool):
    config = f"{where.etc}/mail.cfg"
    unix = choice.service not in platforms.PLACES
    # What mailcfg makes in it later gets its group.
    yield (f"make {where.etc}{f' (root:{USER}, 0750)' if unix else ''}",
           [*parents(where.etc), Folder(where.etc, 0o750, f"root:{USER}", "filled")])
    if choice.config:
        yield (f"put {config} there, if there is none{f' (root:{USER}, 0640)' if unix else ''}",
               [File(config, choice.config, 0o640, f"root:{USER}", "site")])
    yield (f"make the spool, {spool}{f' ({USER}:{USER}, 0750)' if unix else ''}",
           [*parents(spool), Folder(spool, 0o750, f"{USER}:{USER}", "filled")])
    if choice.service == "windows":
        yield ("let LocalService read mail.cfg and write in the spool, and nobody else but administrators",
               [Commands("rights", platforms.rights_commands(where.etc, spool), ())])


def _spool(machine, choice):
    """The spool that mail.cfg names, the one that is there or else the one that is given."""
    where = platforms.places(choice.service)
    config = machine.read(f"{where.etc}/mail.cfg") or choice.config
    lines = config.decode("utf-8-sig", "surrogateescape").split("\n")
    return layout.values(lines).get(("site", "spool")) or where.spool


def check_spool(machine, choice, record):
    """Raises Trouble where the spool that mail.cfg names is somebody's folder with other files, which would be given to
    user amsmail."""
    spool = _spool(machine, choice)
    place = machine.path(spool)
    if not os.path.isdir(place) or any(entry["path"] == spool for entry in record.entries):
        return
    found = set(os.listdir(place)) - {_OF_A_DISK}
    if found and "format" not in found:         # the file by which a spool is known, see store/spool.py
        raise Trouble(f"{spool} is no spool, and {min(found)} is in it: name a folder for the mail alone in mail.cfg, "
                      "[site] spool")

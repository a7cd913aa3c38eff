"""amsmail-install: puts amsmail onto a machine, or takes it away again.  See docs/amsmail-install.8.

Everything is decided before anything is done: the steps are shown, then asked about, then done one by one, each
written to the record first.  What is in place already is not done again, so a run that was broken off is continued by
the next one, and an installation is repaired by repeating it.
"""

import argparse
import os
import shlex
import sys

from amsmail import __version__
from amsmail.setup.installing import plan, platforms, rivals, services, software, starting
from amsmail.setup.installing.machine import Closed, Machine, Trouble
from amsmail.setup.installing.record import Record
from amsmail.site import libraries
from amsmail.site.config_error import ConfigError
from amsmail.site.exits import CONFIG, NOPERM, OK, TEMPFAIL, UNAVAILABLE, USAGE
from amsmail.site.ports import REGISTERED, written
from amsmail.store.locks import Busy

# What --undo may leave without having failed, by its kind: it holds mail, or what a person wrote, or belongs to those.
_MAY_STAY = ("folder", "filled", "file", "account")
_OWNERS = ("/etc/passwd", "/etc/group")


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def _options():
    parser = _Parser(prog="amsmail-install", allow_abbrev=False, description=(
        "Puts amsmail onto this machine: shows what it will do, asks, and does it. Repeat it to repair; --undo takes "
        "it away."))
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--undo", action="store_true", help="take away what was installed")
    parser.add_argument("--purge", action="store_true", help="with --undo: mail.cfg and all mail too")
    parser.add_argument("--config", metavar="FILE",
                        help="the mail.cfg to start with (default: none; mailcfg makes one)")
    parser.add_argument("--service", choices=services.NAMES, help="what starts the servers (default: what is there)")
    parser.add_argument("--port", metavar="SERVICE=NUMBER", action="append", default=[], type=_port,
                        help=f"another port than {written(REGISTERED)}")
    parser.add_argument("--replace-mail-server", action="store_true",
                        help="stop and disable the mail server that serves our ports now")
    parser.add_argument("--root", metavar="DIR", type=_folder,
                        help="install into a folder that becomes a machine later")
    parser.add_argument("--version", action="version", version=f"amsmail {__version__}")
    return parser


def _folder(text):
    if not text:        # a script's variable that is not set must not mean this machine
        raise argparse.ArgumentTypeError("expected a folder, found nothing")
    return text


def _port(text):
    service, _, port = text.partition("=")
    if service not in REGISTERED or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(REGISTERED)}, = and a number, found {text}")
    return service, int(port)


def main(arguments, _config=None):
    """Installs or undoes; gives the exit code."""
    libraries.reach()
    parser = _options()
    options = parser.parse_args(arguments)
    if options.purge and not options.undo:
        parser.error("--purge goes with --undo")
    try:
        code = _run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Otherwise the interpreter would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if options.dry_run:     # `| head` has seen enough
            return OK
        return _fail(TEMPFAIL, "Nobody read what this says: run it again, and it shows what is to do.")
    except ConfigError as error:
        return _fail(CONFIG, "\n".join(error.problems), "Nothing was done.")
    except Closed as error:
        return _fail(NOPERM, error, f"Run it as root, or with sudo: sudo {_again()}", "Nothing was done.")
    except Trouble as error:
        return _fail(UNAVAILABLE, error, "Nothing was done.")
    except Busy:
        return _fail(TEMPFAIL, "Another amsmail-install is at work here: run this again when it has ended.",
                     "Nothing was done.")
    except KeyboardInterrupt:
        return _fail(TEMPFAIL, "Interrupted. Run it again to go on, or with --undo to take it back.")


def _run(options):
    machine = Machine(options.root, _places(options).state)
    action = _undo if options.undo else _install
    # A root that is not there is not made to take something out of it.
    if options.dry_run or not machine.may_change() or options.undo and not machine.is_there():
        return action(options, machine, Record(machine))
    with machine.alone():       # from the reading of the record on
        return action(options, machine, Record(machine))


def _places(options):
    return platforms.places(options.service or ("" if options.root else platforms.here()))


def _install(options, machine, record):
    if not (software.CHECKOUT / "setup.cfg").is_file():
        raise Trouble("This is the installed copy, which can only --undo. To install, repair or renew, start "
                      "scripts/install in the unpacked archive.")
    choice = _chosen(options, machine, record)
    steps, notes = _planned(options, machine, record, choice)
    missing = _show(machine, record, choice, steps)
    notes += _site_notes(machine, choice, options)
    if not missing:
        print("Nothing to do: all of this is in place.")
        return OK
    if options.dry_run:
        _say(notes)
        return OK
    return _stopped(options, machine, "Or look at what it would make: --root DIR") or _done(
        machine, record, choice, steps, notes)


def _chosen(options, machine, record):
    """The Choice, of the options, the installation that is there, and what is found.  Raises Trouble and
    ConfigError."""
    before = record.choice
    if before and options.service and options.service != before["service"]:
        raise Trouble(f"amsmail is installed here with {before['service']}: take it away by --undo first, then install "
                      f"it with {options.service}. Mail and mail.cfg stay where they are.")
    service = before.get("service") or options.service or starting.choose(machine)
    ports = {**REGISTERED, **before.get("ports", {}), **dict(options.port)}
    if len(set(ports.values())) < len(ports):
        raise Trouble("two services cannot have the same port")
    return plan.Choice(service, ports, _mail_cfg(options.config))


def _mail_cfg(path):
    """The octets of the mail.cfg to start with, b"" for none.  Raises Trouble and ConfigError."""
    if not path:
        return b""
    if os.path.exists(path) and not os.path.isfile(path):
        raise Trouble(f"{path} is no file")         # a pipe could be read but once, and be waited for
    from amsmail.site import config_file            # on demand: --undo needs no library of others
    config_file.read(os.path.abspath(path))
    with open(path, "rb") as f:
        return f.read()


def _planned(options, machine, record, choice):
    """The steps, and notes for a person: see plan.steps().  Raises Trouble where something is in the way."""
    disabled = _rivals(machine, record, choice, options.replace_mail_server)
    plan.check_spool(machine, choice, record)
    if machine.real and not platforms.here():
        software.check_reachable(software.interpreter(), machine.systemd_runs())
    steps, notes = plan.steps(machine, choice, disabled)
    # All is inside the root, before the first is made: the pieces, and the tables that say whose they are.
    for path in (*_OWNERS, *(piece.path for piece in _pieces(steps))):
        machine.path(path)
    return steps, notes


def _pieces(steps):
    return [piece for _, pieces in steps for piece in pieces]


def _rivals(machine, record, choice, replace):
    """The names of the mail servers to disable.  Raises Trouble where there are some and that was not told."""
    own = {name for server in starting.BY_PID_FILE.values() for name in server.processes}
    if record.choice:
        own |= {"systemd", "amsd"}
    found = rivals.find(machine, choice.ports, own)
    if found and not (replace and all(rival.service for rival in found)):
        lines = [f"  {rival.what}: {rival.remedy}" for rival in found]
        raise Trouble("\n".join(["There is another mail server here, which would be in the way:", *lines]))
    return sorted({rival.service for rival in found})


def _show(machine, record, choice, steps):
    """Prints the plan; gives whether anything of it is to do."""
    at = "this machine" if machine.real else machine.root
    print(f"amsmail {__version__} on {at}, served by {choice.service}:")
    missing = False
    for words, pieces in steps:
        done = all(piece.done(machine, record.find(piece)) for piece in pieces)
        missing = missing or not done
        print(f"  {'done' if done else 'to do':>5}  {words}")
        for piece in pieces:
            if piece.changed(machine, record.find(piece)):
                print(f"         ({piece.path} was changed by hand, and stays as it is)")
    return missing


def _site_notes(machine, choice, options):
    """What there is to say about mail.cfg."""
    path = f"{platforms.places(choice.service).etc}/mail.cfg"
    if machine.has(path):
        return [f"{path} was there and stays; {options.config} was not used."] if options.config else []
    if options.config:
        return []
    return ["Next: `mailcfg` asks what this site is, `mailtransportcfg` who its provider is, `mailcheckcfg` over which "
            f"links; they write {path}.  Until then no mail is taken."]


def _done(machine, record, choice, steps, notes):
    """Does the steps; gives the exit code."""
    software.sweep(machine, platforms.places(choice.service).library)
    record.choose({"service": choice.service, "ports": choice.ports})
    for words, pieces in steps:
        try:
            record.do(pieces)
        except (Trouble, OSError) as error:
            return _fail(TEMPFAIL, f"It failed at: {words}", error,
                         "Run it again to go on, or with --undo to take it back.")
    library, = (piece.path for piece in _pieces(steps) if isinstance(piece, software.Library))
    record.forget_libraries(library)
    print("Done.")
    _say(notes)
    return OK


def _undo(options, machine, record):
    entries = record.entries
    for entry in entries:
        machine.path(entry["path"])     # all is inside the root, before the first is taken away
    if not entries:
        if not options.dry_run and machine.may_change():
            software.sweep(machine, _places(options).library)
            record.sweep()
        print("Nothing to do: there is no record of an installation here.")
        return OK
    _show_undo(entries, options.purge)
    if options.dry_run:
        return OK
    return _stopped(options, machine) or _undone(options, machine, record)


def _show_undo(entries, purge):
    print("This takes away, and puts back what was there before:")
    for entry in reversed(entries):
        if entry["kind"] != "folder" or entry.get("made"):
            print(f"  {entry['kind']:<12} {entry['path']}")
    print("With all mail and mail.cfg." if purge else
          "What is in the spool stays, and so does a mail.cfg that was changed (--purge takes them too).")


def _undone(options, machine, record):
    """Takes all away; gives the exit code."""
    software.sweep(machine, _places(options).library)
    staying, told = record.undo(options.purge)
    left = [entry["path"] for entry, _ in staying]
    # Why a folder stays is said once, of the innermost.
    _say(told + [why for entry, why in staying if not any(path.startswith(entry["path"] + "/") for path in left)])
    failed = [entry for entry, _ in staying if entry["kind"] not in _MAY_STAY]
    print("Done." if not failed else "Not all could be taken back. Run it again when that is mended.")
    return TEMPFAIL if failed else OK


def _stopped(options, machine, *advice):
    """The exit code with which this ends before anything is changed, OK to go on."""
    if not machine.may_change():
        return _fail(NOPERM, "This needs root: it changes users and services, and writes below /etc and /usr/local.",
                     f"Run it as root, or with sudo: sudo {_again()}", *advice)
    if not options.yes and not _agreed():
        return _fail(TEMPFAIL, "Nothing was done. (--yes does it without a question.)")
    sys.stdout.flush()          # what is to be done is seen before it is
    return OK


def _agreed():
    sys.stdout.write("Go on? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print()
    return answer.strip().lower() in ("y", "yes")


def _say(notes):
    for note in notes:
        print(note)


def _fail(code, *lines):
    print(*lines, sep="\n", file=sys.stderr)
    return code


def _again():
    """The command line, to type it once more."""
    installed = os.path.basename(sys.argv[0]) == "amsmail-install"
    return shlex.join([sys.argv[0] if installed else "scripts/install", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

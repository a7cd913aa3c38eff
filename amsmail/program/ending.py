"""How a program that a person or cron starts ends: what went wrong, in words on standard error, and the exit code."""

import io
import os
import sys

from amsmail.program import output
from amsmail.program.options import UsageError
from amsmail.site import exits, libraries
from amsmail.site.config_error import ConfigError
from amsmail.store.spool import SpoolError


def ended(program, action, explained_by=""):
    """The exit code that `action()` gives, or that of the UsageError, ConfigError, SpoolError, OSError, Ctrl-C or lack
    of a library that ends it; what it was is told on standard error, with the name of the `program`.  `explained_by`:
    the words whose --help shows what a command line may say, where these are more than the program's name.  What
    standard output does not take ends it as output.done() says."""
    _open_streams()
    return output.done(_code(program, action, explained_by))


def _code(program, action, explained_by):
    try:
        return action()
    except SystemExit as error:         # --help, --version
        return error.code
    except ModuleNotFoundError as error:
        return _lacks(program, error)
    except UsageError as error:
        print(f"{error}\n`{explained_by or program} --help` shows what there is.", file=sys.stderr)
        return exits.USAGE
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return error.code
    except SpoolError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return exits.CONFIG
    except OSError as error:
        if not error.filename and output.is_stuck():
            return exits.OK             # it is standard output's own, and told when that is done
        print(f"{program}: {_worded(error)}", file=sys.stderr)
        return exits.TEMPFAIL
    except KeyboardInterrupt:       # what was begun goes on with the next run
        print(file=sys.stderr)
        return exits.TEMPFAIL


def _lacks(program, error):
    """Tells of a library that is not there; gives the exit code.  Raises the error where it is a bug of ours."""
    if not (words := libraries.missing(error)):
        raise error
    print(f"{program}: {words}", file=sys.stderr)
    return exits.UNAVAILABLE


def _worded(error):
    """An OSError as people say it: of which file, and what; that it is one of the spool's is seen by its path."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _open_streams():
    """Opens /dev/null for each stream that was closed before the program began (`<&-`, `>&-`): nothing is read, and
    what is said goes nowhere.  Also no file that is opened later can get the number of one of them.  What the others'
    character set has no character for is shown by its number."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))
    for stream in sys.stdout, sys.stderr:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

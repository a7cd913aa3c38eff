"""How a program that a person or cron starts ends: what went wrong, in words on standard error, and the exit code."""

import os
import sys

from amsmail.program.options import UsageError
from amsmail.site import exits
from amsmail.site.config_error import ConfigError
from amsmail.store.spool import SpoolError


def ended(program, action):
    """The exit code that `action()` gives, or that of the UsageError, ConfigError, SpoolError, OSError or Ctrl-C that
    ends it; what it was is told on standard error, with the name of the `program`.  Who reads no further (`| head`) has
    seen enough."""
    _open_streams()
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Otherwise the interpreter would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.OK
    except UsageError as error:
        print(f"{error}\n`{program} --help` shows what there is.", file=sys.stderr)
        return exits.USAGE
    except ConfigError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return exits.CONFIG
    except SpoolError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return exits.CONFIG
    except OSError as error:
        print(f"{program}: {_worded(error)}", file=sys.stderr)
        return exits.TEMPFAIL
    except KeyboardInterrupt:       # what was begun goes on with the next run
        print(file=sys.stderr)
        return exits.TEMPFAIL


def _worded(error):
    """An OSError as people say it: of which file, and what; that it is one of the spool's is seen by its path."""
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


def _open_streams():
    """Opens /dev/null for each stream that was closed before the program began (`<&-`, `>&-`): nothing is read, and
    what is said goes nowhere.  Also no file that is opened later can get the number of one of them."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))

"""Standard output as programs leave it: what they said is out, or it is told on standard error that it is not."""

import os
import sys

from amsmail.site import exits


def said(text):
    """Prints the text that a program was asked for, and that is all that it does; gives its exit code."""
    try:
        print(text)
    except OSError:
        return done(exits.OK)       # the text waits still: it tells why
    return done(exits.OK)


def tell(text, otherwise=""):
    """Prints what was done; where standard output does not take it, standard error is told that, or `otherwise`.  So
    what is still to be done is done, and what done() says then is not all that the person hears."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stderr.write(f"{otherwise or text}\n")


def done(code):
    """The exit code of a program that said all it had to say, and would end with `code`: that one also where nobody
    reads on (`| head`), who has seen enough, and TEMPFAIL where standard output cannot be written."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        _silence()
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"standard output cannot be written: {error.strerror}; what was done is done all the "
                             "same\n")
            return exits.TEMPFAIL
    return code


def is_stuck():
    """Whether standard output does not take what was said."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _silence():
    """Lets what waits go nowhere: otherwise the interpreter would try once more at its end, and complain."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())

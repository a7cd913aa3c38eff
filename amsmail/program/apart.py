"""Another program of ours, in a process of its own."""

import os
import sys


def command(module, *arguments):
    """The words that run main(arguments) of a module of this folder with this interpreter, isolated, and make its exit
    code of what that gives."""
    library = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (f"import sys; sys.path.insert(0, sys.argv[1]); from amsmail.program.{module} import main; "
            "sys.exit(main(sys.argv[2:]))")
    return [sys.executable, "-I", "-c", code, library, *arguments]

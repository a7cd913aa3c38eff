"""Writes the launchers that inetd starts: `python -I -m amsmail.program.launchers DIR [--config mail.cfg]`.

They name this interpreter by its absolute path, run it isolated (-I) and without `site` (-S), which halves the time of
a start, find amsmail by one path entry, and have the path of mail.cfg fixed.  The modules are compiled here, since user
amsmail may not write beside them later.
"""

import compileall
import os
import sys

import amsmail
from amsmail.site import exits
from amsmail.site.config import DEFAULT_PATH

PROGRAMS = {"smtpd": "smtpd", "pop3d": "pop3d", "amsd": "serve", "mailcheck": "mailcheck", "mailcfg": "mailcfg",
            "mailtransportcfg": "mailtransportcfg", "mailcheckcfg": "mailcheckcfg"}

_TEMPLATE = """\
{start}
import sys

sys.path.insert(0, {library!r})
from amsmail.program.{module} import main

sys.exit(main(sys.argv[1:], {config!r}))
"""


def write(folder, config):
    """Writes a launcher for each program into `folder`.  Raises OSError."""
    library = os.path.dirname(os.path.dirname(os.path.abspath(amsmail.__file__)))
    os.makedirs(folder, exist_ok=True)
    for name, module in PROGRAMS.items():
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(_TEMPLATE.format(start=_start(sys.executable), library=library, module=module, config=config))
        os.chmod(path, 0o755)
    compileall.compile_dir(os.path.dirname(amsmail.__file__), quiet=1)


def _start(python):
    """The first lines of a launcher.  The kernel takes no blank in an interpreter's path, and not more than 127 octets
    everywhere; a shell, which reads the third line as its own and Python as the end of a string, takes both."""
    if " " not in python and len(python) < 120:
        return f"#!{python} -IS"
    return f"""#!/bin/sh
'''exec' "{python}" -IS "$0" "$@"
# '''"""


def main(arguments):
    """Runs the program; gives the exit code."""
    config = DEFAULT_PATH
    if len(arguments) == 3 and arguments[1] == "--config":
        config = os.path.abspath(arguments[2])
    elif len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -I -m amsmail.program.launchers DIR [--config mail.cfg]", file=sys.stderr)
        return exits.USAGE
    write(arguments[0], config)
    print(f"{', '.join(PROGRAMS)} are in {os.path.abspath(arguments[0])}, for {config}")
    return exits.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

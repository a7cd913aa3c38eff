"""What is raised about a wrong mail.cfg."""

import stat

from amsmail.site import exits


class ConfigError(Exception):
    """mail.cfg is wrong.  `problems` is a list of lines for a person: file, line, key, found, expected.  `code` is that
    with which a program ends over it."""

    code = exits.CONFIG

    def __init__(self, problems):
        super().__init__("\n".join(problems))
        self.problems = problems


class NotWritten(ConfigError):
    """mail.cfg was not written, and would be another time: the disk failed, or somebody else was at it."""

    code = exits.TEMPFAIL


def check_kind(path, mode):
    """Raises ConfigError where the `mode` of what is at `path` is not that of a regular file: a pipe would be waited
    for, and some devices never end."""
    if not stat.S_ISREG(mode):
        raise ConfigError([f"{path}: is no regular file; expected a mail.cfg"])


def no_such(path, section, noun, name, there):
    """The ConfigError about a name that mail.cfg at `path` has no subsection [[name]] for; `there` are those that it
    has, and `noun` is what each is, in words."""
    return ConfigError([f"{path}: [{section}]: there is no {noun} {name!r}; there are: {', '.join(there) or 'none'}"])

"""mail.spec: what mail.cfg may hold, as a configspec of ConfigObj."""

import os

from configobj import ConfigObj

_FILE = os.path.join(os.path.dirname(__file__), "mail.spec")
_ANY = "__many__"       # a subsection of whatever name


def read():
    """The whole of it, as ConfigObj wants it."""
    return ConfigObj(_FILE, list_values=False, interpolation=False, _inspec=True)


def check(keys):
    """How the value at `keys`, (section, [subsection,] key), is checked: the words of mail.spec."""
    return _section(read(), keys[:-1])[keys[-1]]


def known(section):
    """The names of all keys and subsections that the section of these names may have, in mail.spec's order."""
    found = _section(read(), section)
    return found.scalars + [name for name in found.sections if name != _ANY]


def keys():
    """The names of all keys, of whatever section."""
    return _keys(read())


def misplaced(config):
    """(keys, what is wrong) of each section of a ConfigObj where a value belongs, and of each value where a section
    does."""
    return _misplaced(config, read(), ())


def _misplaced(section, spec, above):
    for name in section.scalars:
        if name in spec.sections and name != _ANY:
            yield (*above, name), "found a value; expected a section"
    for name in section.sections:
        if name in spec.scalars:
            yield (*above, name), "found a section; expected a value"
        elif inside := spec.get(name, spec.get(_ANY)):
            yield from _misplaced(section[name], inside, (*above, name))


def _section(spec, names):
    for name in names:
        spec = spec[name] if name in spec else spec[_ANY]
    return spec


def _keys(section):
    return set(section.scalars).union(*(_keys(section[name]) for name in section.sections))

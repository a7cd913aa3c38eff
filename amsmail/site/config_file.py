"""Reading and checking the file mail.cfg; draft.py changes it.

ConfigObj reads it with interpolation and list values off: passwords hold `%` and commas.  A mistake is reported with
file, line, key, what was found and what is expected; the line numbers come from an index of keys of our own (layout).
"""

import contextlib
import os

from configobj import ConfigObj, ConfigObjError, DuplicateError, NestingError, get_extra_values
from configobj.validate import ValidateError, Validator

from amsmail.site import layout, rules, shown, spec, tables
from amsmail.site.config_error import ConfigError, check_kind
from amsmail.site.values import CHECKS, expected_missing

# What is wrong with a line that ConfigObj cannot take.  Its own words would show the line, and what stands there may be
# a password.
_ODD = {
    DuplicateError: "found a section or a key for the second time; expected each once",
    NestingError: "found a section that does not fit into the one before; expected [section] or [[name]]",
}
_OTHERWISE = "found no line of mail.cfg; expected `key = value`, `[section]` or a comment"


def read(path):
    """The contents of the mail.cfg at `path`, checked and converted: {section: {...}}.  Raises ConfigError."""
    _check_mode(path)
    return _checked(path, lines_of(path))


def problems(path, lines, coming=()):
    """What is wrong with a mail.cfg of these lines, as ConfigError has it; `coming` are the paths of files that will be
    there when it is."""
    try:
        _checked(path, lines, coming)
    except ConfigError as error:
        return error.problems
    return []


def is_readable(lines):
    """Whether these lines are sections and keys at all, whatever they say."""
    try:
        _parse("", lines)
    except ConfigError:
        return False
    return True


def expected(keys, text):
    """What is expected of the value at `keys`, in words, '' if `text` is one ('': nothing stands there); `keys` as in
    layout."""
    check = spec.check(keys)
    if not text:
        return "" if "default=" in check else expected_missing(keys[-1])
    try:
        Validator(CHECKS).check(check, text)
        layout.quoted(text)
    except (ValidateError, ValueError) as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _reading(path):
    """Turns what reading the file at `path` may raise into ConfigError."""
    try:
        yield
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: is not UTF-8 text: {error.reason}"]) from error


def lines_of(path):
    """The lines of the file.  Raises ConfigError."""
    with _reading(path):
        check_kind(path, os.stat(path).st_mode)
    with _reading(path), open(path, encoding="utf-8-sig") as f:
        return f.read().removesuffix("\n").split("\n")     # splitlines() would break a line at U+2028, too


def _check_mode(path):
    if os.name == "nt":
        return
    with _reading(path):
        mode = os.stat(path).st_mode
    if mode & 0o007:
        raise ConfigError([f"{path}: mode {mode & 0o777:04o} lets everybody on this machine at the passwords in it; "
                           f"expected 0640 or 0600: chmod o= {path}"])
    if mode & 0o020:
        raise ConfigError([f"{path}: mode {mode & 0o777:04o} lets its group change it; expected 0640 or 0600: "
                           f"chmod g-w {path}"])


def _parse(path, lines):
    if numbers := layout.in_three_quotes(lines):
        raise ConfigError([f"{path}:{number}: found three quotes; expected a value of one line, with one quote on "
                           "either side" for number in numbers])
    try:
        config = ConfigObj(list(lines), list_values=False, interpolation=False, configspec=spec.read())
    except ConfigObjError as error:
        raise ConfigError([f"{path}:{each.line_number}: {_ODD.get(type(each), _OTHERWISE)}"
                           for each in getattr(error, "errors", None) or [error]]) from None
    if misplaced := list(spec.misplaced(config)):       # ConfigObj cannot check such a file
        index, _ = layout.index(lines)
        raise ConfigError([_located(path, index, *mistake) for mistake in misplaced])
    return config


def _checked(path, lines, coming=()):
    index, unclear = layout.index(lines)
    problems = [f"{path}:{number}: {shown.name(key)}: {text}" for number, key, text in unclear]
    config = _parse(path, lines)
    if not config.get("links"):
        config["links"] = {"network": {"type": "always"}}      # without one, the network is taken to be there
    config.walk(_unquote)
    problems += [_located(path, index, *mistake) for mistake in (*_mistakes(config), *_surplus(config))]
    if not problems:
        data = {name: config[name].dict() for name in config.sections}
        problems = [_located(path, index, *mistake) for mistake in rules.broken(data, coming)]
        if not problems:
            return tables.converted(data)
    raise ConfigError(problems)


def _located(path, index, keys, text, last=""):
    """A problem with what stands at `keys`, as it is reported: at the key's line, or at that of the nearest section
    around it.  `last` is said instead of the last of the keys."""
    where = next((index[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in index), 1)
    return f"{path}:{where}: {shown.place((*keys[:-1], last or keys[-1]))}: {text}"


def _mistakes(config):
    """(keys, what is wrong) of each value that is not as mail.spec wants it; converts the others."""
    found = _values(config)
    results = config.validate(Validator(CHECKS), preserve_errors=True)
    for keys, error in _failures({} if results is True else results):
        if error is False:
            yield keys, f"found nothing; expected {expected_missing(keys[-1])}"
        else:
            yield keys, f"found {shown.value(keys, found[keys])}; expected {error}"


def _surplus(config):
    """(keys, what is wrong, what is said instead of the last of them) of each key that mail.spec does not know."""
    for section, name in get_extra_values(config):
        known = ", ".join(spec.known(section)) or "a section [[name]]"
        yield (*section, name), f"no such key; known here: {known}", shown.name(name)


def _unquote(section, key):
    if isinstance(section[key], str):
        section[key] = layout.unquoted(section[key])


def _values(section, above=()):
    found = {(*above, key): section[key] for key in section.scalars}
    for name in section.sections:
        found.update(_values(section[name], (*above, name)))
    return found


def _failures(results, above=()):
    """(keys, error or False) of each value that failed, out of ConfigObj's tree of results."""
    for key, result in results.items():
        if isinstance(result, dict):
            yield from _failures(result, (*above, key))
        elif result is not True:
            yield (*above, key), result

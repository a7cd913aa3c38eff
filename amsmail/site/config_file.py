"""Reading and checking the file mail.cfg; draft.py changes it.

ConfigObj reads it with interpolation and list values off: passwords hold `%` and commas.  A mistake is reported with
file, line, key, what was found and what is expected; the line numbers come from an index of keys of our own (layout).
"""

import contextlib
import os

from configobj import ConfigObj, ConfigObjError, get_extra_values
from configobj.validate import ValidateError, Validator

from amsmail.site import layout, rules
from amsmail.site.config_error import ConfigError
from amsmail.site.values import CHECKS, EXPECTED_MISSING

_SPEC = os.path.join(os.path.dirname(__file__), "mail.spec")


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
    spec = _spec()
    for name in keys[:-1]:
        spec = spec[name] if name in spec else spec["__many__"]
    check = spec[keys[-1]]
    if not text:
        return "" if "default=" in check else EXPECTED_MISSING.get(keys[-1], "a value")
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


def _spec():
    return ConfigObj(_SPEC, list_values=False, interpolation=False, _inspec=True)


def _parse(path, lines):
    try:
        return ConfigObj(list(lines), list_values=False, interpolation=False,
                         configspec=_spec())
    except ConfigObjError as error:
        raise ConfigError([_syntax_problem(path, e) for e in getattr(error, "errors", None) or [error]]) from error


def _syntax_problem(path, error):
    number = getattr(error, "line_number", None)
    message = str(error).partition(" at line")[0].rstrip(".")
    return f"{path}:{number}: {message}; expected `key = value`, `[section]` or a comment"


def _checked(path, lines, coming=()):
    index, problems = layout.index(lines)
    problems = [f"{path}:{number}: {text}" for number, text in problems]
    config = _parse(path, lines)
    if not config.get("links"):
        config["links"] = {"network": {"type": "always"}}      # without one, the network is taken to be there
    config.walk(_unquote)

    def problem(keys, text):
        """Reported at the key's line, or at that of the nearest section around it."""
        where = next((index[keys[:n]] for n in range(len(keys), 0, -1) if keys[:n] in index), 1)
        name = " ".join([f"[{keys[0]}]", *keys[1:]]) if len(keys) > 1 or keys[0] != "schema" else keys[0]
        problems.append(f"{path}:{where}: {name}: {text}")

    found = _values(config)
    results = config.validate(Validator(CHECKS), preserve_errors=True)
    if results is not True:
        for keys, error in _failures(results):
            value = "nothing" if error is False else _shown(keys, found.get(keys, ""))
            expected = EXPECTED_MISSING.get(keys[-1], "a value") if error is False else error
            problem(keys, f"found {value}; expected {expected}")
    for section, name in get_extra_values(config):
        known = _known(config.configspec, section)
        problem((*section, name), f"no such key; known here: {', '.join(known)}")
    if not problems:
        data = {name: config[name].dict() for name in config.sections}
        for keys, text in rules.broken(data, coming):
            problem(keys, text)
    if problems:
        raise ConfigError(problems)
    return rules.converted(data)


def _unquote(section, key):
    value = section[key]
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        section[key] = value[1:-1]


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


def _known(spec, section):
    for name in section:
        spec = spec[name] if name in spec else spec["__many__"]
    return spec.scalars + [s for s in spec.sections if s != "__many__"] or ["a section [[name]]"]


def _shown(keys, value):
    """A value for a message; a password is not shown."""
    return "a value that is not shown here" if keys[-1] == "password" else repr(value)

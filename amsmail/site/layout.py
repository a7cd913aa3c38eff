"""The lines of mail.cfg: where each section and key stands, and how one value is changed while all else stays."""

import re

_SECTION = re.compile(r"\s*(\[+)\s*(.*?)\s*\]+\s*(#.*)?$")
_UNUSED = re.compile(r"\s*#\s*[a-z_]+\s*=")
_KEY_LINE = re.compile(r"""(\s*[^\[#\s=][^=]*=\s*)("[^"]*"|'[^']*'|.*?)((?:\s+|(?<=[\s=]))#.*|\s*)$""")
_THREE_QUOTES = re.compile(r"""\s*[^\[#\s=][^=]*=\s*("{3}|'{3})""")


def index(lines):
    """{keys: line number} of every section and key, and what only the raw line shows to be wrong: [(line number, what
    stands where the key belongs, what is wrong)]."""
    found, problems, where = {}, [], ()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("["):
            match = _SECTION.match(line)
            if match:
                where = (*where[:len(match[1]) - 1], match[2].strip("\"'"))
                found.setdefault(where, number)
            continue
        key, equals, value = text.partition("=")
        if not equals:
            continue        # no line of mail.cfg: who reads it says so
        key, value = key.strip().strip("\"'"), value.strip()
        found.setdefault((*where, key), number)
        if value[:1] not in ("\"", "'") and re.search(r"\S#", value):
            problems.append((number, key, "a # in the middle of a value would start a comment; expected the value in "
                                          "quotes, or a blank before the #"))
    return found, problems


def is_section(line):
    """Whether a line begins a section."""
    return _SECTION.match(line) is not None


def parts(line):
    """A line `key = value` in three: up to the value, the value with the quotes around it, and the comment behind it;
    None if it is none."""
    match = _KEY_LINE.match(line)
    return match.groups() if match else None


def in_three_quotes(lines):
    """The numbers of the lines whose value begins with three quotes.  For ConfigObj it goes on to the next three, over
    several lines; here a value is one line."""
    return [number for number, line in enumerate(lines, 1) if _THREE_QUOTES.match(line)]


def sections(lines):
    """The keys of every section, in order."""
    found, _ = index(lines)
    return [keys for keys, number in found.items() if is_section(lines[number - 1])]


def values(lines):
    """{keys: text} of every value, without the quotes around it."""
    found, _ = index(lines)
    read = {keys: parts(lines[number - 1]) for keys, number in found.items() if not is_section(lines[number - 1])}
    return {keys: unquoted(line[1]) for keys, line in read.items() if line}


def unquoted(text):
    """A value without the quotes around it."""
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def drop(lines, section):
    """Removes a section with all that is in it, and what was put out of use at its end (`#key = value`)."""
    found, _ = index(lines)
    if section not in found:
        return
    end = max(number for keys, number in found.items() if keys[:len(section)] == section)
    while end < len(lines) and _UNUSED.match(lines[end]):
        end += 1
    del lines[found[section] - 1:end]


def add(lines, section):
    """Adds a section at the end of the one around it, or of the file, if it is not there."""
    _end_of_section(lines, section)


def rename(lines, section, name):
    """Gives a section another name."""
    found, _ = index(lines)
    if section in found:
        at = found[section] - 1
        lines[at] = re.sub(r"(\[+\s*)(.*?)(\s*\]+)", lambda match: f"{match[1]}{name}{match[3]}", lines[at], count=1)


def put(lines, keys, value):
    """Sets or removes one key in a list of lines."""
    found, _ = index(lines)
    if keys in found:
        at = found[keys] - 1
        if value is None:
            del lines[at]
        else:
            start, _, comment = parts(lines[at])
            blank = " " if comment.startswith("#") else ""      # the value was empty, and the blank stood before it
            lines[at] = f"{start}{quoted(value)}{blank}{comment}"
    elif value is not None:
        at, indent = _end_of_section(lines, keys[:-1])
        lines.insert(at, f"{indent}{keys[-1]} = {quoted(value)}")


def _end_of_section(lines, section):
    """Where a new key of a section goes, behind its last one, and its indentation; the section is added if need be."""
    found, _ = index(lines)
    if section not in found:
        above = section[:-1]
        at, indent = _end_of_section(lines, above) if above else (len(lines), "")
        inside = [number for keys, number in found.items() if above and keys[:len(above)] == above]
        at = max([at, *inside])
        while above and at < len(lines) and _UNUSED.match(lines[at]):
            at += 1         # what was put out of use belongs to the section before
        indent += "  " if above else ""
        lines[at:at] = [*([] if above else [""]), f"{indent}{'[' * len(section)}{section[-1]}{']' * len(section)}"]
        return at + (1 if above else 2), indent
    own = [number for keys, number in found.items() if keys[:-1] == section and parts(lines[number - 1])]
    last = max([found[section], *own])
    return last, re.match(r"\s*", lines[last - 1])[0]


def quoted(value):
    """A value as it must stand in the file, so that it is read back as it is.  Raises ValueError if it cannot be."""
    if any(c < " " or c == "\x7f" for c in value):
        raise ValueError("one line, without control characters")
    if any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError("text in UTF-8: this terminal or script sends another character set")
    if value and value == value.strip() and "#" not in value and value[0] not in "\"'":
        return value
    quote = next((q for q in "\"'" if q not in value), None)
    if quote is None:
        raise ValueError("a value without both kinds of quotes, if it begins with one or holds a #")
    return f"{quote}{value}{quote}"

"""Changes to a mail.cfg, for tests of what else happens then."""

from amsmail.site import config_file
from amsmail.site.draft import Draft


def edit(path, changes):
    """Changes values in the mail.cfg at `path` at once: {(section, [subsection,] key): text, or None to remove it}."""
    draft = Draft(path)
    for keys, value in changes.items():
        draft.set(keys, value)
    draft.save()


def is_sound(imported):
    """Whether mail.cfg takes each value of what was Imported, and what was left out is in the order of the lines."""
    lines = [line for line, _, _ in imported.left_out]
    return lines == sorted(lines) and not any(config_file.expected(keys, text)
                                              for keys, text in imported.changes.items())

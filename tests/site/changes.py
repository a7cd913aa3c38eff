"""Changes to a mail.cfg, for tests of what else happens then."""

from amsmail.site.draft import Draft


def edit(path, changes):
    """Changes values in the mail.cfg at `path` at once: {(section, [subsection,] key): text, or None to remove it}."""
    draft = Draft(path)
    for keys, value in changes.items():
        draft.set(keys, value)
    draft.save()

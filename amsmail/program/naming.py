"""A name for a section of mail.cfg, as the dialogues ask for it."""

from amsmail.site import rules


def new_name(talk, form, taken, now="", suggestion="", text=""):
    """A name for a section of a Form that none of `taken` is, or `now`, its own; `suggestion` is offered where it has
    none.  `text` is asked instead of the form's.  Raises Back and Left."""
    def wrong(answer):
        if answer in taken and answer != now:
            return f"a name that is not taken, as these are: {', '.join(taken)}"
        return rules.name_problem(form.section, answer)
    return talk.text(text or form.naming[0], now or suggestion, form.naming[1], wrong)

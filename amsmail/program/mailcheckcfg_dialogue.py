"""mailcheckcfg's dialogue: the links, which of them are used now, and a trial call."""

from amsmail.program import dialogues, linking, mailcheckcfg_link
from amsmail.program.naming import new_name
from amsmail.setup.ask.dialogue import Back
from amsmail.setup.ask.forms import FORMS
from amsmail.site import exits
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft

_FORM = FORMS["link"]


def run(path):
    """The dialogue about the mail.cfg at `path`.  Gives the exit code.  Raises ConfigError."""
    draft = Draft(path)
    title = "\n".join(["mailcheckcfg: the links that calls go over.", *_summary(draft)])
    return dialogues.menu_dialogue(title, _ENTRIES, draft, begin=None if draft.names("links") else _first_link)


def _first_link(talk, draft):
    """Whether a link must be described; if so, it is asked for."""
    while True:
        if talk.yes("Is the network always there, at no cost by use",
                    hint="As with a cable to the router of an office, or a flat rate without a limit.  < leads to what "
                    "else there is, such as a schedule."):
            talk.say("Then nothing more is needed: where there is no link, one of type always is assumed.")
            return False
        try:
            talk.steps(draft, lambda: _add(talk, draft))
        except Back:
            continue        # no link after all
        return True


def _summary(draft):
    """What is set, in lines."""
    lines = [f"  {name}: {_described(draft, name)}" for name in draft.names("links")]
    return [*(lines or ["  There is no link yet: the network is taken to be there."]),
            f"Now {linking.used_now(draft)}."]


def _described(draft, name):
    values = [draft.value(("links", name, key)) for key in ("type", "entry", "probe", "windows")]
    return ", ".join(filter(None, values)) or "nothing is said of it"


def _name(talk, draft, now=""):
    return new_name(talk, _FORM, draft.names("links"), now)


def _pick(talk, draft):
    return dialogues.pick(talk, draft, _FORM, _described)


# Which one to use now

def _use(talk, draft):
    names = draft.names("links")
    if not names:
        talk.say("There is no link yet.")
        return
    before = linking.in_use(draft)
    choices = [(linking.ANY, "all, by priority"), *((name, _described(draft, name)) for name in names)]
    first = talk.choose("Which link now", choices, before[0] if before else linking.ANY,
                        "The others are left alone until you come here again, or choose any.")
    linking.use(draft, [] if first == linking.ANY else _with_others(talk, draft, first))
    talk.say(f"So {linking.used_now(draft)}.")


def _with_others(talk, draft, first):
    """The names of the links to use: `first`, and those behind it."""
    before, chosen = linking.in_use(draft), [first]
    while others := [name for name in draft.names("links") if name not in chosen]:
        if not talk.yes("Another one behind it, where that one may not carry something or does not come up",
                        otherwise=len(chosen) < len(before)):
            break
        chosen.append(talk.choose("Which link then", [(name, _described(draft, name)) for name in others],
                                  next((name for name in before if name in others), "")))
    return chosen


# One link

def _add(talk, draft):
    name = _name(talk, draft)
    draft.add(("links", name))
    mailcheckcfg_link.go_through(talk, draft, name, mailcheckcfg_link.PAGES, rare=False)
    used = linking.in_use(draft)
    if used and talk.yes(f"Only {', '.join(used)} may be used now.  Use {name} too, behind them", otherwise=False):
        linking.use(draft, [*used, name])


def _change(talk, draft):
    name = _pick(talk, draft)
    if not name:
        return
    pages = {page.title: page for page in mailcheckcfg_link.PAGES if page.is_for(draft, name)}
    title = talk.choose(f"What of {name}", [*((title, "") for title in pages), (_ALL, "")], _ALL)
    chosen = mailcheckcfg_link.PAGES if title == _ALL else [pages[title]]
    if chosen == [mailcheckcfg_link.KIND]:
        chosen.append(mailcheckcfg_link.DIALLING)       # another kind is dialled in another way
    mailcheckcfg_link.go_through(talk, draft, name, chosen, rare=title != _ALL)


_ALL = "all of it"


def _rename(talk, draft):
    if name := _pick(talk, draft):
        new = _name(talk, draft, now=name)
        if new != name and _is_down(talk, draft, name):
            linking.rename(draft, name, new)
            talk.say(linking.LEDGER.format(name=name))


def _delete(talk, draft):
    if (name := _pick(talk, draft)) and _is_down(talk, draft, name):
        talk.say(*linking.delete(draft, name))


def _is_down(talk, draft, name):
    try:
        linking.check_is_down(draft, name)
    except ConfigError as error:
        talk.say(*error.problems)
        return False
    return True


def _try(talk, draft):
    """A trial call is made by what stands in the file: what is changed is written first, if the person wants it."""
    from amsmail.program import trialcall
    name = _pick(talk, draft)
    if not name or (mailcheckcfg_link.kind(draft, name) not in ("always", "present")
                    and not talk.yes(f"It dials {name}, and costs what a call costs; go on")):
        return
    if dialogues.offer_to_write(talk, draft):
        talk.say("", "The trial call ended well." if trialcall.run_apart(draft.path, name) == exits.OK
                 else "The trial call did not end well: change what it says, and try again.")


def _calls(talk, draft):
    talk.fill(FORMS["calls"], draft, only=("schedule", "urgent_from"))


_ENTRIES = {
    "which link to use now": _use,
    "add a link": _add,
    "change a link": _change,
    "rename a link": _rename,
    "delete a link": _delete,
    "trial call": _try,
    "schedule, and whose mail is urgent": _calls,
}

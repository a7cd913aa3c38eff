"""mailcheckcfg's dialogue: the links, which of them are used now, and a trial call."""

from datetime import datetime

from amsmail.link import tariff
from amsmail.program import configuring, linking
from amsmail.setup.ask import found_links
from amsmail.setup.ask.dialogue import Back
from amsmail.setup.ask.forms import FORMS
from amsmail.site import exits, windows
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.site.rules import LINK_KEYS
from amsmail.wire.value import Value

_FORM = FORMS["link"]


def run(path):
    """The dialogue about the mail.cfg at `path`.  Gives the exit code.  Raises ConfigError."""
    draft = Draft(path)
    return configuring.dialogue("\n".join(["mailcheckcfg: the links that calls go over.", *_summary(draft)]), _ENTRIES,
                                draft, begin=None if draft.names("links") else _first_link)


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
    """A name for a link that is not there yet, or `now`."""
    taken = draft.names("links")

    def wrong(answer):
        if answer in taken and answer != now:
            return f"a name that is not taken: {', '.join(taken)}"
        return linking.name_problem(answer)
    return talk.text(_FORM.naming[0], now, _FORM.naming[1], wrong)


# Which one to use now

def _use(talk, draft):
    names = draft.names("links")
    if not names:
        talk.say("There is no link yet.")
        return
    before = linking.in_use(draft)
    choices = [(linking.ANY, "all, by priority"), *((name, _described(draft, name)) for name in names)]
    chosen = [talk.choose("Which link now", choices, before[0] if before else linking.ANY,
                          "The others are left alone until you come here again, or choose any.")]
    if chosen == [linking.ANY]:
        chosen = []
    while chosen and (others := [name for name in names if name not in chosen]):
        if not talk.yes("Another one behind it, where that one may not carry something or does not come up",
                        otherwise=len(chosen) < len(before)):
            break
        chosen.append(talk.choose("Which link then", [(name, _described(draft, name)) for name in others],
                                  next((name for name in before if name in others), "")))
    linking.use(draft, chosen)
    talk.say(f"So {linking.used_now(draft)}.")


# The questions of one link, in pages

class _Page(Value):
    """Questions that belong together.  title: for a menu.  ask: function(Dialogue, Draft, name, rare).  keys: the
    values that it asks for.  is_for: given the draft and the link's name, whether there is anything to ask."""

    __slots__ = ("title", "ask", "keys", "is_for")
    defaults = {"is_for": lambda draft, name: True}


def _ask_type(talk, draft, name, rare):
    talk.fill(_FORM, draft, name, rare, only=("type",))


def _type(draft, name):
    return draft.value(("links", name, "type"))


_ENTRY = {"networkmanager": "The connection of NetworkManager", "modemmanager": "The modem", "ppp": "The peer of pppd",
          "rasdial": "The entry in Windows' phone book"}


def _ask_dialling(talk, draft, name, rare):
    kind = _type(draft, name)
    entries = found_links.ENTRIES.get(kind, list)()
    if kind in found_links.ENTRIES and not entries:
        talk.say(f"  {_ENTRY[kind]}: none is found on this machine, so it must be typed.")
    changes = {"entry": {"text": _ENTRY.get(kind, ""), "choices": tuple(entries)},
               # One that is always there, such as a cable's, would show nothing of a link that is dialled otherwise.
               "probe": {"choices": tuple(found_links.interfaces() if kind in ("present", "command") else ())}}
    form = _FORM.but(questions=tuple(question.but(**changes.get(question.key, {})) for question in _FORM.questions))
    talk.fill(form, draft, name, rare, only=_DIALLING)


def _ask_windows(talk, draft, name, rare):
    talk.fill(_FORM, draft, name, rare, only=_WINDOWS)
    talk.say(f"  {_opening(draft.value(('links', name, 'windows')))}")


def _opening(text):
    """When calls are allowed, in words."""
    if not text:
        return "Calls are allowed at any time."
    opening, now = windows.parse(text), datetime.now().astimezone()
    if opening.is_open(now):
        closes = opening.closes(now)
        return "Calls are allowed now" + (f", until {closes:%a %Y-%m-%d %H:%M}." if closes else ".")
    opens = opening.opens(now)
    return f"Calls are allowed next from {opens:%a %Y-%m-%d %H:%M} on." if opens else "Calls are never allowed."


# What is charged by: (what it means, the keys that are asked for then).
_BY_TIME, _BY_OCTETS = ("increment", "per_increment", "per_minute"), ("per_mb", "idle_floor")
_CHARGED = {
    "nothing": ("nothing by use, or a flat rate", ()),
    "time": ("by the minute, or by another increment", ("currency", "setup_charge", *_BY_TIME, "minimum")),
    "octets": ("by what it carries", ("currency", "setup_charge", *_BY_OCTETS, "minimum")),
    "both": ("by time and by what it carries", ("currency", "setup_charge", *_BY_TIME, *_BY_OCTETS, "minimum")),
    "call": ("the same for each call", ("currency", "setup_charge")),
}


def _charged(draft, name):
    """What of _CHARGED holds now."""
    time, octets, call = (any(draft.value(("links", name, key)) for key in keys)
                          for keys in (_BY_TIME, _BY_OCTETS, ("setup_charge", "minimum")))
    return "both" if time and octets else "time" if time else "octets" if octets else "call" if call else "nothing"


# What is of use only with a link that costs something, and what only (or also) where there is another link.
_IF_IT_COSTS = {"budget", "message_out", "message_in", "rate", "round_trip"}
_IF_THERE_ARE_MORE = {"budget", "message_out", "message_in", "priority"}


def _of_use(draft, name, keys, rare, costs):
    """Those of `keys` that a link has a use for, or a value of: all of them with `rare`.  costs: whether it costs
    something."""
    more = len(draft.names("links")) > 1
    return tuple(key for key in keys if rare or draft.value(("links", name, key))
                 or key not in _IF_IT_COSTS | _IF_THERE_ARE_MORE
                 or costs and key in _IF_IT_COSTS or more and key in _IF_THERE_ARE_MORE)


def _ask_money(talk, draft, name, rare):
    while True:
        by = talk.choose("Does a call cost by time, by octets, or nothing",
                         [(value, meaning) for value, (meaning, _) in _CHARGED.items()], _charged(draft, name),
                         "As the carrier's price list or your last bill has it.")
        asked = _CHARGED[by][1]
        for key in _MONEY:
            if key != "budget" and key not in asked and draft.value(("links", name, key)):
                draft.set(("links", name, key), None)
        try:
            if keys := (*asked, *_of_use(draft, name, ("budget",), rare, costs=by != "nothing")):
                talk.fill(_FORM, draft, name, rare=True, only=keys)
        except Back:
            continue
        if by == "nothing" or draft.value(("links", name, "currency")):
            break
        talk.say("  Expected a currency, such as EUR: without one nothing is charged.")
    talk.say(f"  {_example(draft, name)}")


_EXAMPLES = (70, 10**6), (600, 5 * 10**6)       # (seconds, octets)


def _example(draft, name):
    """What the tariff of a link means, in a sentence that can be compared with a bill."""
    texts = {key: draft.value(("links", name, key)) for key in tariff.Tariff.__slots__}
    costs = tariff.Tariff(**{**texts, **{key: int(texts[key] or 0) for key in ("increment", "idle_floor")}})
    if not costs.currency:
        return "A call costs nothing by use."
    short, long = (f"{costs.cost(seconds, octets)} {costs.currency}" for seconds, octets in _EXAMPLES)
    return (f"So a call of 70 s that carries 1 MB costs {short}, and one of 10 minutes with 5 MB {long}: compare that "
            "with your bill.")


def _ask_rest(talk, draft, name, rare):
    costs = bool(draft.value(("links", name, "currency")))
    talk.fill(_FORM, draft, name, rare, only=_of_use(draft, name, _REST, rare, costs))


_DIALLING = ("entry", "up", "down", "apn", "user", "password", "password_command", "probe")
_WINDOWS = ("windows", "urgent", "classes")
_MONEY = (*dict.fromkeys(key for _, keys in _CHARGED.values() for key in keys), "budget")
_REST = ("rate", "round_trip", "priority", "message_out", "message_in", "attempts", "pause", "up_limit",
         "call_limit")
_PAGES = (
    _Page("its kind", _ask_type, ("type",)),
    _Page("how it is dialled", _ask_dialling, _DIALLING,
          lambda draft, name: LINK_KEYS.get(_type(draft, name)) != ((), ())),
    _Page("when calls are allowed", _ask_windows, _WINDOWS),
    _Page("what it costs", _ask_money, _MONEY),
    _Page("speed, priority, sizes and limits", _ask_rest, _REST),
)


def _go_through(talk, draft, name, pages, rare):
    """Asks page after page.  Raises Back from the first question of the first, and Left."""
    at = 0
    while at < len(there := [page for page in pages if page.is_for(draft, name)]):
        try:
            there[at].ask(talk, draft, name, rare)
        except Back:
            if not at:
                raise
            at -= 1
            continue
        wrong = [problem for problem in draft.problems()
                 if any(f": [links] {name} {key}: " in problem for key in there[at].keys)]
        talk.say(*(f"  {problem}" for problem in wrong))
        at += not wrong


# What the menu offers

def _add(talk, draft):
    name = _name(talk, draft)
    draft.add(("links", name))
    _go_through(talk, draft, name, _PAGES, rare=False)
    used = linking.in_use(draft)
    if used and talk.yes(f"Only {', '.join(used)} may be used now.  Use {name} too, behind them", otherwise=False):
        linking.use(draft, [*used, name])


def _change(talk, draft):
    name = configuring.pick(talk, draft, FORMS["link"], _described)
    if not name:
        return
    pages = {page.title: page for page in _PAGES if page.is_for(draft, name)}
    title = talk.choose(f"What of {name}", [*((title, "") for title in pages), (_ALL, "")], _ALL)
    chosen = _PAGES if title == _ALL else [pages[title]]
    if chosen == [_PAGES[0]]:
        chosen = _PAGES[:2]     # another kind is dialled in another way
    _go_through(talk, draft, name, chosen, rare=title != _ALL)


_ALL = "all of it"


def _rename(talk, draft):
    if name := configuring.pick(talk, draft, FORMS["link"], _described):
        new = _name(talk, draft, now=name)
        if new != name and _is_down(talk, draft, name):
            linking.rename(draft, name, new)
            talk.say(linking.LEDGER.format(name=name))


def _delete(talk, draft):
    if (name := configuring.pick(talk, draft, FORMS["link"], _described)) and _is_down(talk, draft, name):
        linking.delete(draft, name)
        talk.say(linking.LEDGER.format(name=name))


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
    name = configuring.pick(talk, draft, FORMS["link"], _described)
    if not name or (_type(draft, name) not in ("always", "present")
                    and not talk.yes(f"It dials {name}, and costs what a call costs; go on")):
        return
    if configuring.finish(talk, draft):
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

"""What mailcheckcfg's dialogue asks about one link, in pages."""

from datetime import datetime

from amsmail.link import tariff
from amsmail.setup.ask import found_links
from amsmail.setup.ask.dialogue import Back
from amsmail.setup.ask.forms import FORMS
from amsmail.site import windows
from amsmail.site.rules import LINK_KEYS
from amsmail.wire.value import Value

_FORM = FORMS["link"]


class Page(Value):
    """Questions that belong together.  title: for a menu.  ask: function(Dialogue, Draft, name, rare).  keys: the
    values that it asks for.  is_for: given the draft and the link's name, whether there is anything to ask."""

    __slots__ = ("title", "ask", "keys", "is_for")
    defaults = {"is_for": lambda draft, name: True}


def go_through(talk, draft, name, pages, rare):
    """Asks page after page, again where an answer is wrong; `rare` as in Dialogue.fill().  Raises Back from the first
    question of the first, and Left."""
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


def kind(draft, name):
    """The type of a link, '' where it has none yet."""
    return draft.value(("links", name, "type"))


def _has(draft, name, *keys):
    """Whether one of these is set."""
    return any(draft.value(("links", name, key)) for key in keys)


# Its kind, and how it is dialled

def _ask_kind(talk, draft, name, rare):
    talk.fill(_FORM, draft, name, rare, only=("type",))


_ENTRY = {"networkmanager": "The connection of NetworkManager", "modemmanager": "The modem", "ppp": "The peer of pppd",
          "rasdial": "The entry in Windows' phone book"}


def _ask_dialling(talk, draft, name, rare):
    of_kind = kind(draft, name)
    entries = found_links.ENTRIES.get(of_kind, list)()
    if of_kind in found_links.ENTRIES and not entries:
        talk.say(f"  {_ENTRY[of_kind]}: none is found on this machine, so it must be typed.")
    changes = {"entry": {"text": _ENTRY.get(of_kind, ""), "choices": tuple(entries)},
               # One that is always there, such as a cable's, would show nothing of a link that is dialled otherwise.
               "probe": {"choices": tuple(found_links.interfaces() if of_kind in ("present", "command") else ())}}
    form = _FORM.but(questions=tuple(question.but(**changes.get(question.key, {})) for question in _FORM.questions))
    talk.fill(form, draft, name, rare, only=_DIALLING)


# When it may be used

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


# What it costs

_BY_TIME, _BY_OCTETS, _BY_CALL = ("increment", "per_increment", "per_minute"), ("per_mb", "idle_floor"), (
    "setup_charge", "minimum")
# What is charged by: (what it means, the keys that are asked for then).
_CHARGED = {
    "nothing": ("nothing by use, or a flat rate", ()),
    "time": ("by the minute, or by another increment", ("currency", "setup_charge", *_BY_TIME, "minimum")),
    "octets": ("by what it carries", ("currency", "setup_charge", *_BY_OCTETS, "minimum")),
    "both": ("by time and by what it carries", ("currency", "setup_charge", *_BY_TIME, *_BY_OCTETS, "minimum")),
    "call": ("the same for each call", ("currency", "setup_charge")),
}
# The same by what is set: (time, octets); a charge for the call may come with each.
_SET = {(True, True): "both", (True, False): "time", (False, True): "octets"}


def _charged(draft, name):
    """What of _CHARGED holds now."""
    otherwise = "call" if _has(draft, name, *_BY_CALL) else "nothing"
    return _SET.get((_has(draft, name, *_BY_TIME), _has(draft, name, *_BY_OCTETS)), otherwise)


# What is of use only with a link that costs something, and what only (or also) where there is another link.
_IF_IT_COSTS = {"budget", "message_out", "message_in", "rate", "round_trip"}
_IF_THERE_ARE_MORE = {"budget", "message_out", "message_in", "priority"}


def _of_use(draft, name, keys, rare, costs):
    """Those of `keys` that a link has a use for, or a value of: all of them with `rare`.  costs: whether it costs
    something."""
    of_no_use = (_IF_IT_COSTS | _IF_THERE_ARE_MORE) - (_IF_IT_COSTS if costs else set()) - (
        _IF_THERE_ARE_MORE if len(draft.names("links")) > 1 else set())
    return tuple(key for key in keys if rare or key not in of_no_use or _has(draft, name, key))


def _ask_money(talk, draft, name, rare):
    while not _is_told(talk, draft, name, rare):
        pass            # it has said why, or the person went back from the charges
    talk.say(f"  {_example(draft, name)}")


def _is_told(talk, draft, name, rare):
    """Asks by what is charged, and how much.  Whether it was told, and fits together.  Raises Back and Left."""
    by = talk.choose("Does a call cost by time, by octets, or nothing",
                     [(value, meaning) for value, (meaning, _) in _CHARGED.items()], _charged(draft, name),
                     "As the carrier's price list or your last bill has it.")
    asked = _CHARGED[by][1]
    for key in _MONEY:
        if key not in (*asked, "budget") and _has(draft, name, key):
            draft.set(("links", name, key), None)       # it was said of another tariff
    try:
        if keys := (*asked, *_of_use(draft, name, ("budget",), rare, costs=by != "nothing")):
            talk.fill(_FORM, draft, name, rare=True, only=keys)
    except Back:
        return False
    if by == "nothing" or _has(draft, name, "currency"):
        return True
    talk.say("  Expected a currency, such as EUR: without one nothing is charged.")
    return False


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


# The rest

def _ask_rest(talk, draft, name, rare):
    talk.fill(_FORM, draft, name, rare, only=_of_use(draft, name, _REST, rare, _has(draft, name, "currency")))


_DIALLING = ("entry", "up", "down", "apn", "user", "password", "password_command", "probe")
_WINDOWS = ("windows", "urgent", "classes")
_MONEY = (*dict.fromkeys(key for _, keys in _CHARGED.values() for key in keys), "budget")
_REST = ("rate", "round_trip", "priority", "message_out", "message_in", "attempts", "pause", "up_limit", "call_limit")
KIND = Page("its kind", _ask_kind, ("type",))
DIALLING = Page("how it is dialled", _ask_dialling, _DIALLING,
                lambda draft, name: LINK_KEYS.get(kind(draft, name)) != ((), ()))
PAGES = (
    KIND,
    DIALLING,
    Page("when calls are allowed", _ask_windows, _WINDOWS),
    Page("what it costs", _ask_money, _MONEY),
    Page("speed, priority, sizes and limits", _ask_rest, _REST),
)

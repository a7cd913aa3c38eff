"""`mailtransportcfg import`: the accounts of another program.  What its configuration does not say is asked for at a
terminal, and listed where there is none."""

import sys

from amsmail.program import dialogues, nouns, options
from amsmail.program.mailtransportcfg_server import ServerDialogue
from amsmail.program.options import UsageError
from amsmail.setup.accountstate import AccountDraft
from amsmail.setup.ask.dialogue import SKIPPED
from amsmail.setup.imports import source
from amsmail.setup.imports.accounts import FORMATS
from amsmail.site import exits
from amsmail.wire.text import printable

_NEXT = "Next: `mailtransportcfg account test` tries them; then switch the other program off."


def run(arguments, usage, default_config):
    """Runs it; gives the exit code.  Raises UsageError, ConfigError and OSError."""
    flags, pairs, words = options.parse(usage, arguments, ("--dry-run",), ("--config",))
    if len(words) != 2 or words[0] not in FORMATS:
        raise UsageError(f"import: expected {' or '.join(FORMATS)}, and a file")
    draft = AccountDraft(options.once(pairs).get("--config", default_config))
    found = _with_boxes(FORMATS[words[0]](source.text(words[1]), draft.taken()), draft)
    print(*(printable(f"{words[1]}{f':{line}' if line else ''}: {what}: {why}") for line, what, why in found.left_out),
          sep="\n", end="\n" if found.left_out else "")
    if not found.names():
        print(f"{words[1]}: no account in it can be taken over")
        return exits.UNAVAILABLE
    if sys.stdin.isatty() and "--dry-run" not in flags:
        return dialogues.first_dialogue(f"mailtransportcfg: accounts from {words[1]}.",
                                        lambda talk, draft: _ask(talk, draft, found), draft, _NEXT)
    return _take_whole(found, draft, flags)


def _with_boxes(found, draft):
    """What was Imported, where a box that is not here counts as wanted."""
    boxes = draft.names("boxes")
    strange = {keys: box for keys, box in found.changes.items() if keys[2] == "box" and box not in boxes}
    return found.but(changes={keys: text for keys, text in found.changes.items() if keys not in strange},
                     wanted={**found.wanted, **{keys: f"the box that its mail goes to; there is no box {box}"
                                                for keys, box in strange.items()}})


def _take_whole(found, draft, flags):
    """Takes over what is whole and lists what is not.  Gives the exit code."""
    taken, partly = [], False
    for name in found.names():
        problems = [f"account {name}: {keys[2]} is missing: {why}"
                    for keys, why in found.wanted.items() if keys[1] == name]
        if not problems:
            found.put(draft, name)
            if problems := draft.problems():
                draft.drop(("accounts", name))
        if problems:
            partly = True
            print(*problems, f"account {name} was not taken over: do this at a terminal, or use mailtransportcfg "
                  "account add", sep="\n")
        else:
            taken.append(name)
    nouns.finish(draft, flags, f"{draft.path}: taken over: {', '.join(taken)}")
    return exits.TEMPFAIL if partly else exits.OK


def _ask(talk, draft, found):
    """Asks, account by account, whether it is wanted, and for what is missing.  Raises Back and Left."""
    talk.steps(draft, *(lambda name=name: _ask_one(talk, draft, found, name) for name in found.names()))


def _ask_one(talk, draft, found, name):
    account = ServerDialogue(talk, draft, "account", name)
    missing = {keys[2]: why for keys, why in found.wanted.items() if keys[1] == name}
    is_taken = []

    def take():
        place = [found.changes.get(("accounts", name, key)) or "?" for key in ("user", "host")]
        talk.say("", f"Account {name}: {place[0]} at {place[1]}",
                 *(f"  {key} is missing: {why}" for key, why in missing.items()))
        is_taken[:] = [talk.yes("Take it over")]
        if is_taken[0]:
            found.put(draft, name)

    def need(key, ask):
        return lambda: ask() if is_taken[0] and key in missing else SKIPPED

    talk.steps(draft, take, need("host", lambda: account.fill("host")), need("user", lambda: account.fill("user")),
               need("password", account.password), need("box", account.mail.box))

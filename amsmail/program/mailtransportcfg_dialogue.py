"""mailtransportcfg's dialogue: a first set-up of the relay and then of the accounts, or changes to them."""

from amsmail.program import dialogues, mailtransportcfg_server
from amsmail.program.mailtransportcfg_server import ServerDialogue
from amsmail.program.naming import new_name
from amsmail.setup.accountstate import AccountDraft
from amsmail.setup.ask.dialogue import SKIPPED, Back
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider import presets, trials

_TITLE = "mailtransportcfg: the provider that takes our mail, and the accounts that are fetched."
_FIRST = f"{_TITLE}  Neither is set yet."
_NEXT = ("Next: mailcheckcfg (the links), and `mailcfg check`, which finds what is wrong.  `mailtransportcfg account "
         "test` tries all of this again at any time.")


def run(path):
    """The dialogue about the mail.cfg at `path`.  Gives the exit code.  Raises ConfigError."""
    draft = AccountDraft(path)
    if draft.value(("relay", "host")) or draft.names("accounts"):
        return dialogues.menu_dialogue(_TITLE, _ENTRIES, draft)
    return dialogues.first_dialogue(_FIRST, _first_time, draft, _NEXT, entries=_ENTRIES)


# A first set-up

def _first_time(talk, draft):
    relay = ServerDialogue(talk, draft, "relay")
    wanted = []

    def has_relay():
        wanted[:] = [talk.yes("Is there a provider that sends our mail on",
                              hint="Without one, mail to other than our own people is refused.")]

    talk.steps(draft, has_relay, lambda: relay.ask() if wanted[0] else SKIPPED,
               lambda: _accounts(talk, draft, relay))


def _accounts(talk, draft, relay):
    """Accounts, as long as there is one more; what was said of `relay`, a ServerDialogue, is offered for the first
    one."""
    marks = []
    while True:
        there = draft.names("accounts")
        talk.say("")
        try:
            if not talk.yes("One more account" if there else "Is there an account at a provider to fetch from",
                            otherwise=not there):
                return
            mark = talk.mark(draft)
        except Back:
            if not marks:
                raise
            talk.undo(draft, marks.pop())   # to the last account
            continue
        try:
            ServerDialogue(talk, draft, "account", address="" if there else relay.address, found=relay.found).ask()
            marks.append(mark)
        except Back:
            continue        # to the question whether there is one


# Changes

def _try_all(talk, draft):
    site = trials.candidate(draft)
    found = mailtransportcfg_server.in_a_moment(talk, lambda: trials.try_all(site, trials.all_names(site)))
    talk.say(*(line for name, outcome in found.items() for line in trials.told(name, outcome)))


def _relay(talk, draft):
    relay = ServerDialogue(talk, draft, "relay")
    if draft.value(("relay", "host")) and not talk.yes("Is it another provider now", otherwise=False):
        relay.change()
    else:
        relay.ask()


def _no_relay(talk, draft):
    if talk.yes("Then mail to other than our own people is refused. Remove the relay", otherwise=False):
        presets.clear(draft, FORMS["relay"])


def _add_account(talk, draft):
    ServerDialogue(talk, draft, "account").ask()


def _pick_account(talk, draft):
    return dialogues.pick(talk, draft, FORMS["account"], lambda draft, name: " at ".join(
        draft.value(("accounts", name, key)) for key in ("user", "host")))


def _change_account(talk, draft):
    if name := _pick_account(talk, draft):
        ServerDialogue(talk, draft, "account", name).change()


def _rename_account(talk, draft):
    if old := _pick_account(talk, draft):
        new = new_name(talk, FORMS["account"], draft.taken(), old, text="Its new name")
        if new != old:
            draft.rename(("accounts", old), new)


def _delete_account(talk, draft):
    name = _pick_account(talk, draft)
    if name and talk.yes(f"What is at the provider stays there. Delete the account {name} here", otherwise=False):
        draft.drop(("accounts", name))


_ENTRIES = {
    "try all": _try_all,
    "relay": _relay,
    "no relay": _no_relay,
    "add an account": _add_account,
    "change an account": _change_account,
    "rename an account": _rename_account,
    "delete an account": _delete_account,
}

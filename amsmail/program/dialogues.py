"""The dialogues of the scripts that set a site up: a menu, or first of all what a mail.cfg cannot do without; then the
change is shown, and written if the person wants it."""

import contextlib
import signal

from amsmail.setup.ask.dialogue import HELP, Back, Dialogue, Left
from amsmail.setup.ask.forms import FORMS
from amsmail.site import exits
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Conflict

_DONE = "done"


def menu_dialogue(title, entries, draft, talk=None, begin=None):
    """Offers `entries`, {text: function(Dialogue, Draft)}, until the person has done and what was said is written.
    `begin(Dialogue, Draft)` asks something before that; is there nothing more to do then, it is False.  Gives the exit
    code.  Raises ConfigError where the file cannot be written."""
    draft.check_writable()
    talk = talk or Dialogue()
    talk.say(title, f"The file is {draft.path}.", HELP)
    try:
        if begin is None or _begun(talk, draft, begin):
            _menu(talk, entries, draft)
    except (Left, KeyboardInterrupt) as error:      # Ctrl-C may come between two questions, too
        return _left(talk, error)
    return talk.do_the_rest()


def pick(talk, draft, form, described=lambda draft, name: ""):
    """The name of one of the sections of a form; says so where there is none, and gives ''.  `described(draft, name)`
    is what stands behind a name.  Raises Back and Left."""
    names = draft.names(form.section)
    if not names:
        talk.say(f"There is no {form.noun} yet.")
        return ""
    return talk.choose(f"Which {form.noun}", [(name, described(draft, name)) for name in names],
                       names[0] if len(names) == 1 else "")


def _begun(talk, draft, begin):
    """What `begin` gives; whoever goes back from its first question comes to the menu."""
    talk.say("")
    mark = talk.mark(draft)
    try:
        return begin(talk, draft)
    except Back:
        talk.undo(draft, mark)
        return True


def first_dialogue(title, ask, draft, ending, talk=None, entries=None):
    """A dialogue that makes the file, or what a file cannot do without: `ask(Dialogue, Draft)`, from the beginning
    where the person goes back from the first question.  Who does not want to write it goes on with the menu of
    `entries`, or without them from the beginning.  Gives the exit code.  Raises ConfigError where the file cannot be
    written."""
    draft.check_writable()
    talk = talk or Dialogue()
    talk.say(title, f"The file {'will be' if draft.is_new else 'is'} {draft.path}.", HELP, "")
    try:
        while True:
            try:
                ask(talk, draft)
            except Back:
                talk.undo_all(draft)
                talk.say("That was the first question.  From the beginning:")
                continue
            if offer_to_write(talk, draft):
                break
            if entries:
                _menu(talk, entries, draft)
                break
            talk.undo_all(draft)
            talk.say("From the beginning:")
    except (Left, KeyboardInterrupt) as error:      # Ctrl-C may come between two questions, too
        return _left(talk, error)
    talk.say(ending)
    return talk.do_the_rest()


def _left(talk, error):
    talk.say(*([] if isinstance(error, Left) else [""]),
             "Nothing more was written." if talk.has_written else "Nothing was written.")
    return exits.USAGE


def _menu(talk, entries, draft):
    while True:
        talk.say("")
        try:
            answer = talk.choose("What now", [*((text, "") for text in entries), (_DONE, "")], _DONE,
                                 "Done shows the change, and asks whether to write it.")
            if answer == _DONE:
                if offer_to_write(talk, draft):
                    return
            else:
                talk.steps(draft, lambda: entries[answer](talk, draft))
        except Back:
            continue        # to the menu


def offer_to_write(talk, draft):
    """Shows the change and asks whether to write it.  Whether the person has done.  Raises Left."""
    while draft.is_changed:
        if problems := draft.problems():
            talk.say("This cannot be written yet:", *(f"  {problem}" for problem in problems))
            return _forget(talk, draft)
        talk.say("", f"{draft.path} will say:" if draft.is_new else "The change:")
        talk.show(*draft.diff(), "")
        try:
            if not talk.yes("Write this"):
                return _forget(talk, draft)
            with _undisturbed():
                draft.save()
        except Back:
            return False
        except Conflict as error:
            talk.say(*error.problems, "Here is your change to the file as it is now.")
            _take_over(talk, draft)
            continue
        except ConfigError as error:
            talk.say(*error.problems)
            return False
        talk.has_written = True
        talk.say(f"Written; the file as it was is {draft.path}.previous." if draft.had_previous else "Written.")
    return True


def _take_over(talk, draft):
    """Makes the change to the file as it is now; says which sections others deleted that it would make anew, out of
    what was said of them alone."""
    forms = [form for form in FORMS.values() if form.has_names]
    before = [(form, name, draft.renamed(form.section).get(name, name)) for form in forms
              for name in draft.in_effect(form.section)]
    draft.take_over()
    talk.say(*(f"{form.noun} {name} was deleted by somebody else: this makes a new one, {now}, of nothing but what you "
               "said." for form, name, now in before
               if name not in draft.in_effect(form.section) and now in draft.names(form.section)))


def _forget(talk, draft):
    """Asks whether to forget what was said.  Whether the person has done, which is not so.  Raises Left."""
    try:
        if talk.yes("Forget all that was said", otherwise=False):
            if draft.is_new:
                raise Left
            talk.undo_all(draft)
    except Back:
        pass        # to where "Write this" was answered with no, too
    return False


@contextlib.contextmanager
def _undisturbed():
    """Ctrl-C does not count within: what is said afterwards must be true."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

"""mailcfg's dialogue: a new site, or changes to one."""

import os
import socket

from amsmail.program import boxes, certificates, configuring
from amsmail.setup import newsite
from amsmail.setup.forms import FORMS
from amsmail.site import networks, rules
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft

_NEXT = """\
Next: mailtransportcfg (the provider), mailcheckcfg (the links), and `mailcfg check`, which finds what is wrong."""


def run(path):
    """The dialogue about the mail.cfg at `path`.  Gives the exit code.  Raises ConfigError."""
    if os.path.exists(path):
        return configuring.dialogue("mailcfg: this site, its boxes, and who may do what.", _ENTRIES, Draft(path))
    draft = Draft(path, newsite.lines(DEFAULT_SPOOL))
    return configuring.first("There is no mail.cfg yet: a new site.", _new_site, draft, _NEXT)


def _new_site(talk, draft):
    """Asks what a site cannot do without."""
    host = socket.getfqdn()
    talk.fill(FORMS["site"].but(questions=FORMS["site"].questions[:1]), draft,
              suggestions={"hostname": host if "." in host and "localhost" not in host else ""})
    domain = _name(talk, draft, FORMS["domain"], "", draft.value(("site", "hostname")).partition(".")[2])
    draft.add(("domains", domain))
    talk.say("", "Now the drop boxes: one for each person or post on board. The first one is postmaster, too: it gets what "
             "is for nobody else.")
    box = _new_box(talk, draft, "captain")
    draft.set(("site", "postmaster"), box)
    while talk.yes("One more box", otherwise=False):
        _new_box(talk, draft)
    if talk.yes("Will mail programs on other machines than this one use it"):
        _open_to(talk, draft)


def _open_to(talk, draft):
    """Networks on board, and a certificate for their mail programs."""
    network = talk.text("The network that they are in, such as 192.168.7.0/24", hint="Whoever is in it may send to "
                        "anywhere without a login: only machines of this ship or station. Nothing: all must log in.",
                        wrong=lambda answer: _no_network(answer) if answer else "")
    if network:
        draft.set(("site", "relay_from"), f"127.0.0.0/8, ::1, {network}")
    if draft.value(("tls", "certificate")):
        return
    if talk.yes("Make a certificate, so that their passwords cannot be read on the way"):
        _certificate(talk, draft)
    elif network and talk.yes("Let them log in without encryption, then", otherwise=False):
        draft.set(("tls", "cleartext_login_from"), f"127.0.0.0/8, ::1, {network}")


def _no_network(text):
    try:
        networks.parse(text)
    except ValueError as error:
        return f"a network such as 192.168.7.0/24 ({error})"
    return ""


def _certificate(talk, draft):
    folder = os.path.dirname(draft.path)
    try:
        talk.say(certificates.make_for(draft, os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")))
    except ConfigError as error:
        talk.say(*(f"  {problem}" for problem in error.problems))


# Names

def _name(talk, draft, form, now="", suggestion=""):
    """A name for a section that is not there yet, or `now`."""
    taken = draft.names(form.section)

    def wrong(answer):
        if answer in taken and answer != now:
            return f"a name that is not taken: {', '.join(taken)}"
        return rules.name_problem(form.section, answer)
    return talk.text(form.naming[0], now or suggestion, form.naming[1], wrong)


def _pick(talk, draft, form):
    """One of the sections that are there; says so where there is none, and gives ''."""
    names = draft.names(form.section)
    if not names:
        talk.say(f"There is no {form.noun} yet.")
        return ""
    return talk.choose(f"Which {form.noun}", [(name, "") for name in names], names[0] if len(names) == 1 else "")


# Boxes

def _new_box(talk, draft, suggestion=""):
    form = FORMS["box"]
    name = _name(talk, draft, form, suggestion=suggestion)
    draft.add(("boxes", name))
    talk.fill(form.but(questions=form.questions[:1]), draft, name)
    _password(talk, draft, name)
    return name


def _password(talk, draft, name):
    keys, question = ("boxes", name, "password"), FORMS["box"].question("password")
    how = talk.choose(f"A password for {name}", [("type", "you type one"), ("make", "one is made up and shown once"),
                                                 ("none", "nobody can log in to it")], "make")
    if how == "make":
        from amsmail.setup.passphrase import passphrase
        password = passphrase()
        talk.say(f"  The password of {name} is: {password}", "  Write it down: it is not kept here.")
        draft.set(keys, question.kept(password))
    elif how == "type" and (password := talk.secret(question.text)):
        draft.set(keys, question.kept(password))
    elif how == "none":
        draft.set(keys, None)


def _change_box(talk, draft):
    form = FORMS["box"]
    if name := _pick(talk, draft, form):
        talk.fill(form.but(questions=form.questions[:1]), draft, name)
        if talk.yes("Change its password", otherwise=False):
            _password(talk, draft, name)


def _rename_box(talk, draft):
    """Its mail must move along, which only the command does, behind the writing."""
    if name := _pick(talk, draft, FORMS["box"]):
        new = _name(talk, draft, FORMS["box"], now=name)
        if new != name:
            boxes.rename(draft, name, new)
            talk.after(lambda: boxes.settle(draft.path, name, "give", new))


def _delete_box(talk, draft):
    name = _pick(talk, draft, FORMS["box"])
    if not name:
        return
    others = [other for other in draft.names("boxes") if other != name]
    what = talk.choose(f"What becomes of the mail in {name}", [
        ("keep", "it stays in the spool, where `mailcfg box adopt` finds it"),
        *([("give", "another box gets it")] if others else []), ("remove", "it is removed")], "keep")
    to = talk.choose("Which box gets it", [(other, "") for other in others]) if what == "give" else ""
    draft.drop(("boxes", name))
    talk.after(lambda: boxes.settle(draft.path, name, what, to))


# Domains, and the rest

def _new_domain(talk, draft):
    form = FORMS["domain"]
    name = _name(talk, draft, form)
    draft.add((form.section, name))
    talk.fill(form, draft, name)


def _delete_domain(talk, draft):
    if name := _pick(talk, draft, FORMS["domain"]):
        draft.drop(("domains", name))


def _form(noun):
    return lambda talk, draft: talk.fill(FORMS[noun], draft, rare=True)


_ENTRIES = {
    "add a box": _new_box,
    "change a box": _change_box,
    "rename a box": _rename_box,
    "delete a box": _delete_box,
    "add a domain": _new_domain,
    "delete a domain": _delete_domain,
    "site: name, postmaster, networks": _form("site"),
    "machines on board": _open_to,
    "certificate": _form("certificate"),
    "limits": _form("limits"),
    "waiting mail": _form("queue"),
}

"""mailcfg's dialogue: a new site, or changes to one."""

import os
import socket

from amsmail.program import boxes, certificates, dialogues, mailcfg_domains, mailcfg_domains_dialogue
from amsmail.program.naming import new_name
from amsmail.setup.ask import newsite, onboard
from amsmail.setup.ask.dialogue import Back
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.ask.passphrase import passphrase
from amsmail.setup.boxmail import GIVE, KEEP, REMOVE
from amsmail.site import networks
from amsmail.site.config_error import ConfigError
from amsmail.site.draft import Draft
from amsmail.site.values import in_ascii, listed

_NEXT = """\
Next: mailtransportcfg (the provider), mailcheckcfg (the links), and `mailcfg check`, which finds what is wrong."""


def run(path):
    """The dialogue about the mail.cfg at `path`.  Gives the exit code.  Raises ConfigError."""
    if os.path.exists(path):
        return dialogues.menu_dialogue("mailcfg: this site, its boxes, and who may do what.", _ENTRIES, Draft(path))
    draft = Draft(path, newsite.lines())
    return dialogues.first_dialogue("There is no mail.cfg yet: a new site.", _new_site, draft, _NEXT, entries=_ENTRIES)


def _new_site(talk, draft):
    """Asks what a site cannot do without."""
    talk.steps(
        draft,
        lambda: _first_domain(talk, draft),
        lambda: mailcfg_domains_dialogue.others(talk, draft, draft.names("domains")[0]),
        lambda: _hostname(talk, draft),
        lambda: _first_box(talk, draft),
        lambda: _more_boxes(talk, draft),
        lambda: _machines(talk, draft))
    talk.after(lambda: boxes.tell_of_strays(draft.path))


def _first_domain(talk, draft):
    talk.say("First the domain: what stands behind the @ of your addresses.")
    host = socket.gethostname()
    draft.add(("domains", _name(talk, draft, FORMS["domain"], suggestion=host.partition(".")[2])))


def _hostname(talk, draft):
    domain, host = draft.names("domains")[0], socket.gethostname()
    # In a domain of other people, too, no name is ours; home.arpa is for such (RFC 8375).
    name = f"{host.partition('.')[0]}.home.arpa" if mailcfg_domains.shared(draft) else in_ascii(f"mail.{domain}")
    talk.fill(FORMS["site"], draft, only=("hostname",), suggestions={
        "hostname": host if host.endswith(f".{in_ascii(domain)}") else name})


def _first_box(talk, draft):
    talk.say("", "Now the drop boxes: one for each person or post on board.  The first one is postmaster, too: it gets "
             "what is for nobody else.")
    draft.set(("site", "postmaster"), _new_box(talk, draft, "captain"))
    talk.say("")


def _more_boxes(talk, draft):
    while talk.yes("One more box", otherwise=False):
        try:
            talk.steps(draft, lambda: _new_box(talk, draft))
        except Back:
            continue        # no box after all


def _machines(talk, draft):
    talk.say("")
    if talk.yes("Will mail programs on other machines than this one use it"):
        _open_to(talk, draft)


def _open_to(talk, draft):
    """Networks on board, and a certificate for their mail programs."""
    if here := onboard.networks():
        talk.say(f"This machine is in {', '.join(here)}.")
    talk.steps(draft, lambda: _sure(talk, draft, lambda: _network(talk, draft)),
               lambda: _sure(talk, draft, lambda: _encryption(talk, draft)))


def _network(talk, draft):
    _ask_network(talk, draft, FORMS["site"], "relay_from", "The network that they are in, or nothing",
                 "Such as 192.168.7.0/24.  Whoever is in it may send to anywhere without a login: only machines of "
                 "this ship or station, never strangers'.  Nothing: all must log in.")


def _ask_network(talk, draft, form, key, text, hint):
    """Asks for a network to be added to those of a key of the form."""
    network = talk.text(text, hint=hint, wrong=lambda answer: _no_network(answer) if answer else "")
    if network:
        there = listed(form.in_effect(draft, "", key))
        draft.set(form.keys("", key), ", ".join(dict.fromkeys([*there, network])))


_NETWORKS = ("site", "relay_from"), ("tls", "cleartext_login_from")


def _sure(talk, draft, ask):
    """Calls `ask()`, and asks once more where somebody named the whole Internet; if it is not meant, the networks stay
    as they were."""
    from amsmail.setup.doctor import settings
    before = {keys: draft.value(keys, None) for keys in _NETWORKS}
    ask()
    for keys, was in before.items():
        warning = settings.warning(keys[1], draft.value(keys)) if draft.value(keys, None) != was else ""
        if warning and not talk.yes(f"{warning}.  Really", otherwise=False):
            draft.set(keys, was)


def _encryption(talk, draft):
    if draft.value(("tls", "certificate")):
        talk.say("They can log in with TLS: there is a certificate.")
    elif talk.yes("Make a certificate, so that their passwords cannot be read on the way"):
        _certificate(talk, draft)
    else:
        _ask_network(talk, draft, FORMS["certificate"], "cleartext_login_from",
                     "The network that may log in without encryption, or nothing",
                     "In it a password can be read by whoever listens.  Nothing: programs on other machines cannot log "
                     "in, and so not fetch mail.")


def _no_network(text):
    try:
        networks.parse(text)
    except ValueError as error:
        return f"a network such as 192.168.7.0/24 ({error})"
    return ""


def _certificate(talk, draft):
    try:
        talk.say(certificates.make_for(draft))
    except ConfigError as error:
        talk.say(*(f"  {problem}" for problem in error.problems))


def _set_certificate(talk, draft):
    form = FORMS["certificate"]
    if talk.yes("Make a new certificate", otherwise=not draft.value(("tls", "certificate"))):
        _certificate(talk, draft)
        form = form.but(questions=[form.question("cleartext_login_from")])
    _sure(talk, draft, lambda: talk.fill(form, draft))


# Names

def _name(talk, draft, form, now="", suggestion=""):
    return new_name(talk, form, draft.names(form.section), now, suggestion)


# Boxes

def _new_box(talk, draft, suggestion=""):
    """Asks for a box; gives its name."""
    form, names = FORMS["box"], [suggestion]

    def name():
        names.append(_name(talk, draft, form, suggestion=names[-1]))
        draft.add(("boxes", names[-1]))
    talk.steps(draft, name, lambda: mailcfg_domains_dialogue.addresses(talk, draft, names[-1], is_new=True),
               lambda: _password(talk, draft, names[-1]))
    _tell_of_earlier(talk, draft, names[-1])
    return names[-1]


def _password(talk, draft, name):
    """Asks how the box gets a password, and for it."""
    how = talk.choose(f"A password for {name}", [("make", "one is made up and shown once"), ("type", "you type one"),
                                                 ("none", "nobody can log in to it")], "make")
    _PASSWORDS[how](talk, draft, name, FORMS["box"].question("password"))


def _make_password(talk, draft, name, question):
    password = passphrase()
    talk.say(f"  The password of {name} is: {password}", "  Write it down: it is not kept here.")
    draft.set(("boxes", name, "password"), question.kept(password))


def _type_password(talk, draft, name, question):
    talk.fill(FORMS["box"], draft, name, only=("password",))
    if not draft.value(("boxes", name, "password")):
        talk.say(f"  {name} has no password: nobody can log in to it.")


def _no_password(_talk, draft, name, _question):
    draft.set(("boxes", name, "password"), None)


_PASSWORDS = {"make": _make_password, "type": _type_password, "none": _no_password}


def _change_box(talk, draft):
    form = FORMS["box"]
    if name := dialogues.pick(talk, draft, form):
        talk.steps(draft, lambda: mailcfg_domains_dialogue.addresses(talk, draft, name, is_new=False),
                   lambda: talk.yes("Change its password", otherwise=False) and _password(talk, draft, name))


def _rename_box(talk, draft):
    """Its mail moves along once mail.cfg is written."""
    if name := dialogues.pick(talk, draft, FORMS["box"]):
        new = _name(talk, draft, FORMS["box"], now=name)
        if new != name:
            boxes.rename(draft, name, new)
            _tell_of_earlier(talk, draft, new)
            _settle(talk, draft, name, GIVE, new)


def _delete_box(talk, draft):
    name = dialogues.pick(talk, draft, FORMS["box"])
    if not name:
        return
    others = [other for other in draft.names("boxes") if other != name]
    if not others:
        talk.say(f"{name} is the only box; a site needs one, for postmaster.")
        return
    what = talk.choose(f"What becomes of the mail in {name}", [
        (KEEP, "it stays in the spool, where `mailcfg box adopt` finds it"), (GIVE, "another box gets it"),
        (REMOVE, "it is removed")], KEEP)
    to = talk.choose("Which box gets it", [(other, "") for other in others]) if what == GIVE else ""
    boxes.delete(draft, name, to)
    _settle(talk, draft, name, what, to)


def _settle(talk, draft, name, what, to):
    """What becomes of the mail, once mail.cfg is written.  A box that is added again has what was to be kept or
    removed, and what is said of it later counts; mail that moves to another box does so before that."""
    talk.after(lambda: boxes.settle(draft.path, name, what, to), about=("mail", name), stands=what == GIVE)


def _tell_of_earlier(talk, draft, name):
    talk.after(lambda: boxes.tell_of_earlier(draft.path, name), about=("earlier", name), stands=False)


# Domains, and the rest

def _new_domain(talk, draft):
    names = []

    def name():
        names.append(_name(talk, draft, FORMS["domain"], suggestion=names[-1] if names else ""))
        draft.add(("domains", names[-1]))
    talk.steps(draft, name, lambda: mailcfg_domains_dialogue.others(talk, draft, names[-1]),
               lambda: mailcfg_domains_dialogue.of_boxes(talk, draft, names[-1]))


def _delete_domain(talk, draft):
    if name := dialogues.pick(talk, draft, FORMS["domain"]):
        draft.drop(("domains", name))
        talk.say(*mailcfg_domains.still_here(draft, name))


def _form(noun):
    return lambda talk, draft: _sure(talk, draft, lambda: talk.fill(FORMS[noun], draft, rare=True))


def _guarded(entry):
    """An entry of the menu that warns of what it made unsafe in domains that strangers have addresses in, too."""
    def guarded(talk, draft):
        before = mailcfg_domains.unsafe(draft)
        entry(talk, draft)
        talk.say(*mailcfg_domains.warnings(draft, before))
    return guarded


_ENTRIES = {
    "add a box": _guarded(_new_box),
    "change a box": _guarded(_change_box),
    "rename a box": _guarded(_rename_box),
    "delete a box": _delete_box,
    "add a domain": _guarded(_new_domain),
    "delete a domain": _delete_domain,
    "site: name, postmaster, networks": _form("site"),
    "machines on board": _open_to,
    "certificate": _set_certificate,
    "limits": _form("limits"),
    "waiting mail": _form("queue"),
}

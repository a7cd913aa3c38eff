"""mailtransportcfg's dialogue: a first set-up of the relay and then of the accounts, or changes to them."""

from itertools import accumulate

from amsmail.program import configuring
from amsmail.setup.provider import presets, trials
from amsmail.setup.accountstate import AccountDraft
from amsmail.setup.ask.dialogue import SKIPPED, Back, Left
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider.providers import Providers
from amsmail.site import rules
from amsmail.site.words import counted, in_octets
from amsmail.wire.address import Address, parse_address

_TITLE = "mailtransportcfg: the provider that takes our mail, and the accounts that are fetched."
_FIRST = f"{_TITLE}  Neither is set yet."
_NEXT = ("Next: mailcheckcfg (the links), and `mailcfg check`, which finds what is wrong.  `mailtransportcfg account "
         "test` tries all of this again at any time.")
_OF_SPECIAL_SERVERS = ("port", "fingerprint", "ca_file")
_WHOLE_DOMAIN = "several people"
_COUNTS = (10, 50, 200)         # what a first call may take of many messages, as it is offered


def run(path):
    """The dialogue about the mail.cfg at `path`.  Gives the exit code.  Raises ConfigError."""
    draft = AccountDraft(path)
    if draft.value(("relay", "host")) or draft.names("accounts"):
        return configuring.dialogue(_TITLE, _ENTRIES, draft)
    return configuring.first(_FIRST, _first_time, draft, _NEXT, entries=_ENTRIES)


def _first_time(talk, draft):
    relay = Server(talk, draft, "relay")
    wanted = []

    def has_relay():
        wanted[:] = [talk.yes("Is there a provider that sends our mail on",
                              hint="Without one, mail to other than our own people is refused.")]

    talk.steps(draft, has_relay, lambda: relay.ask() if wanted[0] else SKIPPED,
               lambda: _accounts(talk, draft, relay))


def _accounts(talk, draft, relay):
    """Accounts, as long as there is one more; what was said of `relay`, a Server, is offered for the first one."""
    marks = []
    while True:
        there = draft.names("accounts")
        talk.say("")
        try:
            if not talk.yes("One more account" if there else "Is there an account at a provider to fetch from",
                            otherwise=not there):
                return
            mark = draft.mark()
        except Back:
            if not marks:
                raise
            draft.undo(marks.pop())         # to the last account
            continue
        try:
            Server(talk, draft, "account", address="" if there else relay.address, found=relay.found).ask()
            marks.append(mark)
        except Back:
            continue        # to the question whether there is one


def _new_account(talk, draft):
    Server(talk, draft, "account").ask()


class Server:
    """What is being asked about the relay, or about an account: each method asks one thing, and puts it into the draft.
    `name` is that of an account that there is, `address` one that is offered, `found` {address: Offers} what the DNS
    said of others already."""

    def __init__(self, talk, draft, noun, name="", address="", found=()):
        self._talk, self._draft, self.form, self.name, self.address = talk, draft, FORMS[noun], name, address
        self.found = dict(found)
        self._provider = self._offer = self._trial = None
        self._is_special = self._is_relays_login = False

    def ask(self):
        """Everything, from the beginning.  Raises Back and Left."""
        steps = [self._identify, self._find, *self._server_steps(), self._try]
        if self.form.has_names:
            steps[1:1] = [self._call]
            steps += self._mail_steps()
        self._talk.steps(self._draft, *steps)

    def change(self):
        """Everything of what there is already."""
        steps = [*self._server_steps(), self._try]
        self._talk.steps(self._draft, *steps, *(self._mail_steps() if self.form.has_names else []))

    def _server_steps(self):
        return [self._kind, self._special, self._server, self._relays_login, self._user, self.password]

    def _mail_steps(self):
        return [self.box, self._own_address, self._after, self._backlog, self._rare]

    def fill(self, *keys, rare=False, suggestions=(), **changes):
        """Asks for the values of these keys; `changes` are those of the Questions."""
        questions = tuple(question.but(**changes) if question.key in keys else question
                          for question in self.form.questions)
        self._talk.fill(self.form.but(questions=questions), self._draft, self.name, rare, suggestions, keys)

    def _value(self, key):
        return self._draft.value(self.form.keys(self.name, key))

    def _set(self, key, value):
        self._draft.set(self.form.keys(self.name, key), value)

    # Whose server it is

    def _identify(self):
        providers = Providers()

        def wrong(answer):
            if not answer or providers.by_name(answer) or not presets.address_problem(answer):
                return ""
            return "a mail address, the name of a provider that is known here (`?` lists them), or -"
        if not self.form.has_names:
            self._talk.say("", self.form.text + ".")
        answer = self._talk.text(
            "A mail address there, or the provider's name", self.address,
            "What is known of the provider is then filled in; - if you want to say all yourself. Known by name: "
            f"{', '.join(each.name for each in providers)}.", wrong)
        self.address = answer if "@" in answer else ""
        self._provider = (providers.by_domain(parse_address(answer).domain) if self.address
                          else providers.by_name(answer))

    def _call(self):
        """The account's name."""
        self.name = _name(self._talk, self._draft, self.name or presets.account_name(self._draft, self.address))
        self._draft.add((self.form.section, self.name))

    def _find(self):
        """What is known of the provider, or what the DNS says, which is asked once for an address."""
        self._offer, silent = None, SKIPPED
        if self._provider:
            offers = self._provider.offers(parse_address(self.address) if self.address else Address("x", "x.example"))
        elif not self.address:
            return SKIPPED
        elif self.address in self.found:
            offers = self.found[self.address]
        else:
            silent = None
            if not self._talk.yes(
                    f"Ask the DNS for the servers of {parse_address(self.address).domain}",
                    hint="It takes some seconds and needs a network that is there now: nothing is dialled."):
                return None
            offers = self._looked_up()
        offer = presets.best(offers, presets.services(self.form))
        if not offer:
            self._talk.say(*dict.fromkeys(f"  {offers[0].source}: {each.note}." for each in offers if each.note))
            return silent
        if self._takes(offer):
            self._offer = offer
            presets.put(self._draft, self.form, self.name, offer, () if self.address else ("user",))
        return None

    def _looked_up(self):
        from amsmail.setup.provider.discover import discover      # on demand: dnspython
        found = _in_a_moment(self._talk, lambda: discover(self.address))
        if not found.offers:
            self._talk.say(f"  {found.why}.")
        self.found[self.address] = found.offers
        return found.offers

    def _takes(self, offer):
        """Whether the person wants this server."""
        self._talk.say(f"  {offer.source}: {offer.host}, port {offer.port}, {offer.service.upper()}, tls = {offer.tls}")
        if offer.note:
            self._talk.say(f"  {offer.note[0].upper()}{offer.note[1:]}.")
        if offer.needs_confirmation:
            return self._talk.yes(
                f"It is not in {parse_address(self.address).domain}. May it get the password", otherwise=False,
                hint="Whoever forges the DNS could name a server of his own: say yes only if your provider names it.")
        return self._talk.yes("Is that right")

    # The server, by hand

    def _kind(self):
        if self._offer or not self.form.has_names:
            return SKIPPED
        return self.fill("type", suggestions={"type": "imap"})

    def _special(self):
        if self._offer:
            return SKIPPED
        self._is_special = self._talk.yes("Has it a special port, or a certificate of its own", otherwise=False,
                                          hint="Most have not; then these are not asked for.")
        return None

    def _server(self):
        if self._offer:
            return SKIPPED
        return self.fill("host", "tls", *_OF_SPECIAL_SERVERS, rare=self._is_special,
                         suggestions=self._guessed())

    def _guessed(self):
        service = presets.services(self.form, self._value("type"))[0]
        return presets.guessed(parse_address(self.address), service) if self.address else {}

    def _relays_login(self):
        """The same user and password as the relay's, if they are likely to be, and the person says so."""
        self._is_relays_login = False
        user, password = (self._draft.value(("relay", key)) for key in ("user", "password"))
        likely = self._value("user") or self._guessed().get("user")
        if (not self.form.has_names or self._value("password") or not password or user != likely
                or not presets.are_of_one(self._draft.value(("relay", "host")), self._value("host"))):
            return SKIPPED
        if self._talk.yes(f"The same login as the relay's ({user})",
                          hint="Its user name and its password; no: they are asked for."):
            self._is_relays_login = True
            self._set("user", user)
            self._set("password", password)
        return None

    def _user(self):
        if self._is_relays_login:
            return SKIPPED
        return self.fill("user", suggestions=self._guessed())

    def password(self):
        """The password, which there must be."""
        if not self._value("user") or self._is_relays_login:
            return SKIPPED
        while True:
            self.fill("password")
            if self._value("password"):
                return None
            self._talk.say("  Expected the password: without one there is no login.")

    # A trial

    def _try(self):
        self._trial = None
        if not self._talk.yes("Try it now", hint="The network that is there now is used: nothing is dialled, "
                              "sent, fetched or deleted."):
            return
        is_to_be_tried = True
        while True:
            if is_to_be_tried:
                trial = self._tried()
                if trial.ok:
                    self._trial = trial
                    return
            what = self._talk.choose("What now", [
                ("password", "say the password again"), ("server", "say the server and the user again"),
                ("again", "try once more"), ("leave", "leave it as it is")], "password")
            if what == "leave":
                return
            is_to_be_tried = self._mended(what)

    def _tried(self):
        name = f"account {self.name}" if self.form.has_names else trials.RELAY
        site = trials.candidate(self._draft)
        trial = _in_a_moment(self._talk, lambda: trials.try_all(site, [name])[name])
        self._talk.say(*trials.told(name, trial))
        return trial

    def _mended(self, what):
        """Whether the person has said another thing."""
        self._is_relays_login = False
        try:
            if what == "server":
                self._offer = None
                self.fill("type", "host", "tls", "user", *_OF_SPECIAL_SERVERS, rare=True)
            if what != "again":
                self.password()
        except Back:
            return False
        return True

    # What becomes of the mail

    def box(self):
        """The box, or the header field that tells it."""
        draft = self._draft
        boxes = draft.names("boxes")
        likely = [presets.box_of(draft, self.address), self.address.partition("@")[0].lower(),
                  *(boxes if len(boxes) == 1 else [])]
        now = self._value("box") or (_WHOLE_DOMAIN if self._value("envelope") else
                                     next((box for box in likely if box in boxes), ""))
        choices = [*((box, draft.value(("boxes", box, "addresses"))) for box in boxes),
                   (_WHOLE_DOMAIN, "a header field names them: a whole domain's mail")]
        box = self._talk.choose(self.form.question("box").text, choices, now,
                                "All that comes goes there.")
        if box == _WHOLE_DOMAIN:
            self._set("box", None)
            self.fill("envelope", suggestions={"envelope": "Delivered-To"})
        else:
            for key, value in ("envelope", None), ("envelope_prefix", None), ("box", box):
                self._set(key, value)

    def _own_address(self):
        """An address at the provider becomes one of the box's."""
        box, address = self._value("box"), self.address
        if not address or not box or presets.box_of(self._draft, address):
            return SKIPPED
        if self._talk.yes(f"Mail from here to {address}: put it straight into {box}", hint="Then it is an address of "
                          "that box here, and mail to it does not travel to the provider and back."):
            presets.give(self._draft, box, address)
        return None

    def _after(self):
        self.fill("after")

    def _backlog(self):
        self.fill("backlog", choices=backlog_choices(self._trial) or self.form.question("backlog").choices)

    def _rare(self):
        said = () if self._offer else _OF_SPECIAL_SERVERS
        keys = [question.key for question in self.form.questions
                if question.key in self.form.rare and question.key not in said]
        if self._talk.yes("The rare questions too", otherwise=False, hint="A folder other than INBOX, how it deletes "
                          "there, a port, a certificate: most need none."):
            self.fill(*keys, rare=True)


def _in_a_moment(talk, action):
    """What `action()` gives, which takes some seconds.  Raises Left where the person does not wait."""
    talk.say("  One moment ...")
    try:
        return action()
    except KeyboardInterrupt:
        talk.say("")
        raise Left from None


def backlog_choices(trial):
    """What a first call may take, with counts and sizes, as a Trial found them; () without one."""
    if not trial or trial.messages is None:
        return ()
    octets = "" if trial.octets is None else f", {in_octets(trial.octets)}"
    newest = dict(enumerate(accumulate(reversed(trial.sizes)), 1))          # count -> octets of so many newest ones
    return (("all", f"{counted(trial.messages, 'message')}{octets}"), ("none", "only what comes from now on"),
            *((f"newest {count}", f"{in_octets(newest[count])}; any number") for count in _COUNTS
              if count in newest and count < trial.messages))


def _name(talk, draft, now, text=FORMS["account"].naming[0]):
    """A name for an account: `now`, or one that no other has."""
    taken = draft.taken()

    def wrong(answer):
        if answer in taken and answer != now:
            return f"a name that is not taken: {', '.join(taken)}"
        return rules.name_problem("accounts", answer)
    return talk.text(text, now, FORMS["account"].naming[1], wrong)


# Changes

def _place(draft, name):
    return f"{draft.value(('accounts', name, 'user'))} at {draft.value(('accounts', name, 'host'))}"


def _relay(talk, draft):
    relay = Server(talk, draft, "relay")
    if draft.value(("relay", "host")) and not talk.yes("Is it another provider now", otherwise=False):
        relay.change()
    else:
        relay.ask()


def _no_relay(talk, draft):
    if talk.yes("Then mail to other than our own people is refused. Remove the relay", otherwise=False):
        presets.clear(draft, FORMS["relay"])


def _change_account(talk, draft):
    if name := configuring.pick(talk, draft, FORMS["account"], _place):
        Server(talk, draft, "account", name).change()


def _rename_account(talk, draft):
    if old := configuring.pick(talk, draft, FORMS["account"], _place):
        new = _name(talk, draft, old, "Its new name")
        if new != old:
            draft.rename(("accounts", old), new)


def _delete_account(talk, draft):
    name = configuring.pick(talk, draft, FORMS["account"], _place)
    if name and talk.yes(f"What is at the provider stays there. Delete the account {name} here", otherwise=False):
        draft.drop(("accounts", name))


def _try_all(talk, draft):
    site = trials.candidate(draft)
    found = _in_a_moment(talk, lambda: trials.try_all(site, trials.all_names(site)))
    talk.say(*(line for name, trial in found.items() for line in trials.told(name, trial)))


_ENTRIES = {
    "try all": _try_all,
    "relay": _relay,
    "no relay": _no_relay,
    "add an account": _new_account,
    "change an account": _change_account,
    "rename an account": _rename_account,
    "delete an account": _delete_account,
}

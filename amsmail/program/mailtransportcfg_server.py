"""What mailtransportcfg's dialogue asks about one server, the relay or that of an account: whose it is, where it is,
the login, and whether to try it."""

from amsmail.program.mailtransportcfg_mail import MailDialogue
from amsmail.program.naming import new_name
from amsmail.setup.ask.dialogue import SKIPPED, Back, Left
from amsmail.setup.ask.forms import FORMS
from amsmail.setup.provider import presets, trials
from amsmail.setup.provider.providers import Providers
from amsmail.site.values import address_problem
from amsmail.transport.result import PERMANENT, TEMPORARY
from amsmail.wire.address import parse_address

_OF_SPECIAL_SERVERS = ("port", "fingerprint", "ca_file")
# What is offered after a trial, by what came of it.
_NEXT_STEP = {PERMANENT: "password", TEMPORARY: "again"}


class ServerDialogue:
    """The dialogue about the relay, or about an account: each method asks one thing, and puts it into the draft.
    `name` is that of an account that there is, `address` one that is offered, `found` {address: Offers} what the DNS
    said of others already.  `mail` asks what becomes of an account's mail; `outcome` is what came of a trial that
    went well, or None."""

    def __init__(self, talk, draft, noun, name="", address="", found=()):
        self.talk, self.draft, self.form, self.name, self.address = talk, draft, FORMS[noun], name, address
        self.found = dict(found)
        self.mail = MailDialogue(self)
        self.outcome = self._provider = self._offer = None
        self._is_special = self._is_relays_login = False

    def ask(self):
        """Everything, from the beginning.  Raises Back and Left."""
        name = [self._call] if self.form.has_names else []
        self.talk.steps(self.draft, self._identify, *name, self._find, *self._steps())

    def change(self):
        """Everything of what there is already.  Raises Back and Left."""
        self.talk.steps(self.draft, *self._steps())

    def _steps(self):
        return [self._kind, self._special, self._server, self._relays_login, self._user, self.password, self._try,
                *(self.mail.steps if self.form.has_names else [])]

    @property
    def said(self):
        """The keys of rare questions that were asked already."""
        return () if self._offer else _OF_SPECIAL_SERVERS

    def fill(self, *keys, rare=False, suggestions=(), **changes):
        """Asks for the values of these keys; `changes` are those of the Questions."""
        questions = tuple(question.but(**changes) if question.key in keys else question
                          for question in self.form.questions)
        self.talk.fill(self.form.but(questions=questions), self.draft, self.name, rare, suggestions, keys)

    def value(self, key):
        return self.draft.value(self.form.keys(self.name, key))

    def set(self, key, value):
        self.draft.set(self.form.keys(self.name, key), value)

    # Whose server it is

    def _identify(self):
        providers = Providers()

        def wrong(answer):
            if not answer or providers.by_name(answer) or not address_problem(answer):
                return ""
            return "a mail address, the name of a provider that is known here (`?` lists them), or -"
        if not self.form.has_names:
            self.talk.say("", self.form.text + ".")
        answer = self.talk.text(
            "A mail address there, or the provider's name", self.address,
            "What is known of the provider is then filled in; - if you want to say all yourself. Known by name: "
            f"{', '.join(each.name for each in providers)}.", wrong)
        self.address = answer if "@" in answer else ""
        self._provider = (providers.by_domain(parse_address(answer).domain) if self.address
                          else providers.by_name(answer))

    def _call(self):
        """The account's name."""
        self.name = new_name(self.talk, self.form, self.draft.taken(), self.name,
                             presets.account_name(self.draft, self.address))
        self.draft.add((self.form.section, self.name))

    def _find(self):
        """What is known of the provider, or what the DNS says, which is asked once for an address."""
        self._offer = None
        offers, has_asked = self._offers()
        offer = presets.best(offers, presets.services(self.form))
        if offer is None:
            self.talk.say(*dict.fromkeys(f"  {offers[0].source}: {each.note}." for each in offers if each.note))
            return None if has_asked else SKIPPED
        if self._takes(offer):
            self._offer = offer
            presets.put(self.draft, self.form, self.name, offer, () if self.address else ("user",))
        return None

    def _offers(self):
        """(the Offers that there are, whether the person was asked anything)"""
        if self._provider:
            return presets.offers_of(self._provider, self.address), False
        if not self.address or self.address in self.found:
            return self.found.get(self.address, ()), False
        if not self.talk.yes(f"Ask the DNS for the servers of {parse_address(self.address).domain}",
                             hint="It takes some seconds and needs a network that is there now: nothing is dialled."):
            return (), True
        return self._looked_up(), True

    def _looked_up(self):
        from amsmail.setup.provider.discover import discover      # on demand: dnspython
        found = in_a_moment(self.talk, lambda: discover(self.address))
        if not found.offers:
            self.talk.say(f"  {found.why}.")
        self.found[self.address] = found.offers
        return found.offers

    def _takes(self, offer):
        """Whether the person wants this server."""
        self.talk.say(f"  {offer.source}: {offer.host}, port {offer.port}, {offer.service.upper()}, tls = {offer.tls}")
        if offer.note:
            self.talk.say(f"  {offer.note[0].upper()}{offer.note[1:]}.")
        if offer.needs_confirmation:
            return self.talk.yes(
                f"It is not in {parse_address(self.address).domain}. May it get the password", otherwise=False,
                hint="Whoever forges the DNS could name a server of his own: say yes only if your provider names it.")
        return self.talk.yes("Is that right")

    # The server, by hand

    def _kind(self):
        if self._offer or not self.form.has_names:
            return SKIPPED
        return self.fill("type", suggestions={"type": "imap"})

    def _special(self):
        if self._offer:
            return SKIPPED
        self._is_special = self.talk.yes("Has it a special port, or a certificate of its own", otherwise=False,
                                         hint="Most have not; then these are not asked for.")
        return None

    def _server(self):
        if self._offer:
            return SKIPPED
        return self.fill("host", "tls", *_OF_SPECIAL_SERVERS, rare=self._is_special, suggestions=self._guessed())

    def _guessed(self):
        service = presets.services(self.form, self.value("type"))[0]
        return presets.guessed(parse_address(self.address), service) if self.address else {}

    # The login

    def _relays_login(self):
        """The same user and password as the relay's, if they are likely to be, and the person says so."""
        self._is_relays_login = False
        host, user, password = (self.draft.value(("relay", key)) for key in ("host", "user", "password"))
        likely = self.value("user") or self._guessed().get("user")
        if (not self.form.has_names or self.value("password") or not password or user != likely
                or not presets.are_of_one(host, self.value("host"))):
            return SKIPPED
        if self.talk.yes(f"The same login as the relay's ({user})",
                         hint="Its user name and its password; no: they are asked for."):
            self._is_relays_login = True
            self.set("user", user)
            self.set("password", password)
        return None

    def _user(self):
        if self._is_relays_login:
            return SKIPPED
        return self.fill("user", suggestions=self._guessed())

    def password(self):
        """The password, which there must be."""
        if not self.value("user") or self._is_relays_login:
            return SKIPPED
        while True:
            self.fill("password")
            if self.value("password"):
                return None
            self.talk.say("  Expected the password: without one there is no login.")

    # A trial

    def _try(self):
        self.outcome = None
        if not self.talk.yes("Try it now", hint="The network that is there now is used: nothing is dialled, "
                             "sent, fetched or deleted."):
            return
        found = self._tried()
        while not found.ok:
            what = self.talk.choose("What now", [
                ("password", "say the password again"), ("server", "say the server and the user again"),
                ("again", "try once more"), ("leave", "leave it as it is")], _NEXT_STEP[found.failure])
            if what == "leave":
                return
            if self._is_mended(what):
                found = self._tried()
        self.outcome = found

    def _tried(self):
        name = f"account {self.name}" if self.form.has_names else trials.RELAY
        site = trials.candidate(self.draft)
        found = in_a_moment(self.talk, lambda: trials.try_all(site, [name])[name])
        self.talk.say(*trials.told(name, found))
        return found

    def _is_mended(self, what):
        """Asks again for what is to be mended.  Whether the person has not gone back from it."""
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


def in_a_moment(talk, action):
    """What `action()` gives, which takes some seconds.  Raises Left where the person does not wait."""
    talk.say("  One moment ...")
    try:
        return action()
    except KeyboardInterrupt:
        talk.say("")
        raise Left from None

"""What mailtransportcfg's dialogue asks about the mail of an account, once its server is known."""

from itertools import accumulate

from amsmail.setup.ask.dialogue import SKIPPED
from amsmail.setup.provider import presets
from amsmail.site.words import counted, in_octets

_WHOLE_DOMAIN = "several people"
_COUNTS = (10, 50, 200)         # what a first call may take of many messages, as it is offered


class MailDialogue:
    """Each method asks one thing about the account of `server`, a ServerDialogue, and puts it into the draft."""

    def __init__(self, server):
        self._server = server

    @property
    def steps(self):
        return [self.box, self._own_address, self._after, self._backlog, self._rare]

    def box(self):
        """The box, or the header field that tells it."""
        server, draft = self._server, self._server.draft
        boxes = draft.names("boxes")
        likely = [presets.box_of(draft, server.address), server.address.partition("@")[0].lower(),
                  *(boxes if len(boxes) == 1 else [])]
        now = server.value("box") or (_WHOLE_DOMAIN if server.value("envelope") else
                                      next((box for box in likely if box in boxes), ""))
        choices = [*((box, draft.value(("boxes", box, "addresses"))) for box in boxes),
                   (_WHOLE_DOMAIN, "a header field names them: a whole domain's mail")]
        box = server.talk.choose(server.form.question("box").text, choices, now, "All that comes goes there.")
        if box == _WHOLE_DOMAIN:
            server.set("box", None)
            server.fill("envelope", suggestions={"envelope": "Delivered-To"})
        else:
            for key, value in ("envelope", None), ("envelope_prefix", None), ("box", box):
                server.set(key, value)

    def _own_address(self):
        """An address at the provider becomes one of the box's."""
        server = self._server
        box, address = server.value("box"), server.address
        if not address or not box or presets.box_of(server.draft, address):
            return SKIPPED
        if server.talk.yes(f"Mail from here to {address}: put it straight into {box}", hint="Then it is an address of "
                           "that box here, and mail to it does not travel to the provider and back."):
            presets.give(server.draft, box, address)
        return None

    def _after(self):
        self._server.fill("after")

    def _backlog(self):
        usual = self._server.form.question("backlog").choices
        self._server.fill("backlog", choices=backlog_choices(self._server.outcome) or usual)

    def _rare(self):
        keys = [question.key for question in self._server.form.questions
                if question.key in self._server.form.rare and question.key not in self._server.said]
        if self._server.talk.yes("The rare questions too", otherwise=False, hint="A folder other than INBOX, how it "
                                 "deletes there, a port, a certificate: most need none."):
            self._server.fill(*keys, rare=True)


def backlog_choices(outcome):
    """What a first call may take, with counts and sizes, as the Outcome of a trial has them; () without one."""
    if not outcome or outcome.messages is None:
        return ()
    octets = "" if outcome.octets is None else f", {in_octets(outcome.octets)}"
    newest = dict(enumerate(accumulate(reversed(outcome.sizes)), 1))        # count -> octets of so many newest ones
    return (("all", f"{counted(outcome.messages, 'message')}{octets}"), ("none", "only what comes from now on"),
            *((f"newest {count}", f"{in_octets(newest[count])}; any number") for count in _COUNTS
              if count in newest and count < outcome.messages))

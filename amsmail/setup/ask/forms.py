"""What there is to ask, one table for the dialogues and for the command lines.

A Form is a section of mail.cfg; a Question is one of its values.  What an answer may be is not said here: mail.spec and
site/rules have it, and the same words refuse a wrong answer at the prompt, on a command line and in the file.
"""

from amsmail.site import passwords
from amsmail.site.config import DEFAULT_SPOOL
from amsmail.site.rules import LINK_KEYS
from amsmail.wire.value import Value


class Question(Value):
    """One value of a section.  key: in mail.cfg; the option on a command line is --key with hyphens.  text: what is
    asked.  hint: one line that explains it.  choices: ((value, what it means), ...) where there are few.  is_for: given
    the values of the section, {key: text}, whether it is to be asked.  default: what is offered where nothing is set.
    is_secret: it is never shown.  is_hashed: only its hash is kept."""

    __slots__ = ("key", "text", "hint", "choices", "is_for", "default", "is_secret", "is_hashed")
    defaults = {"hint": "", "choices": (), "is_for": None, "default": "", "is_secret": False, "is_hashed": False}

    @property
    def option(self):
        return "--" + self.key.replace("_", "-")

    def kept(self, text):
        """What mail.cfg keeps of an answer."""
        return passwords.hashed(text) if self.is_hashed else text


class Form(Value):
    """A section.  noun: what a command line calls it.  section: in mail.cfg.  has_names: whether there is one for each
    name, [[name]].  text: what it is, for a heading.  naming: what a name is asked for with, and its hint.  rare: the
    keys that most sites leave as they are; a dialogue asks for them only if it is told to."""

    __slots__ = ("noun", "section", "text", "questions", "has_names", "naming", "rare")
    defaults = {"has_names": False, "naming": ("", ""), "rare": frozenset()}

    def keys(self, name, key):
        """Where a value stands in mail.cfg."""
        return (self.section, name, key) if self.has_names else (self.section, key)

    def in_effect(self, draft, name, key):
        """The text of a value in a Draft, or the default that counts where nothing stands there."""
        return draft.value(self.keys(name, key), self.question(key).default)

    def asked(self, values, rare=True):
        """The Questions that are to be asked, where the section has these values: {key: text}.  Without `rare` only
        those of interest to most sites, or that were answered before."""
        return [question for question in self.of_use(values)
                if rare or question.key not in self.rare or values.get(question.key, "") not in ("", question.default)]

    def of_use(self, values):
        """The Questions that matter where the section has these values."""
        return [question for question in self.questions if question.is_for is None or question.is_for(values)]

    def question(self, key):
        return next(question for question in self.questions if question.key == key)


def _says(key, *values):
    """Asked where another answer is one of these; '' is what stands there before anything was answered."""
    return lambda answers: answers.get(key, "") in values


def _has(*keys):
    """Asked where all of these were answered."""
    return lambda answers: all(answers.get(key) for key in keys)


def _used_by(key):
    """Asked where a link of that type has a use for it."""
    return lambda answers: key in sum(LINK_KEYS.get(answers.get("type"), ((), ())), ())


TLS = (("implicit", "TLS from the first octet (usual, and the quickest)"), ("starttls", "begins in clear, then TLS"),
       ("none", "no encryption: passwords can be read on the way"))

SITE = Form("site", "site", "This site", (
    Question("hostname", "This machine's own name",
             "A full name such as mail.yacht.example; it need not be known to the Internet."),
    Question("postmaster", "The box that gets what is for nobody else",
             "Complaints of this server and mail that no box has an address for: somebody who reads mail."),
    Question("relay_from", "Networks that may send to anywhere without a login",
             "Commas between them, such as 127.0.0.0/8, 192.168.7.0/24; never a network that strangers are in.",
             default="127.0.0.0/8, ::1"),
    Question("spool", "The folder for all mail", "It belongs to user amsmail and wants a disk that is not a network's.",
             default=DEFAULT_SPOOL),
), rare=frozenset({"spool"}))

LIMITS = Form("limits", "limits", "What a client may ask for", (
    Question("message_size", "Octets of the largest message", "20000000 is 20 MB.", default="20000000"),
    Question("recipients", "Recipients of one message", default="100"),
    Question("errors", "Refused commands in one session", default="20"),
    Question("smtp_idle", "Seconds without a sign from a client that sends", default="300"),
    Question("pop3_idle", "Seconds without a sign from a client that fetches", "RFC 1939 wants 600 at least.",
             default="600"),
))

CERTIFICATE = Form("certificate", "tls", "Encryption between the mail programs on board and this server", (
    Question("certificate", "The file with the certificate", "A PEM file; `mailcfg certificate make` makes one."),
    Question("key", "The file with its key", "A PEM file that user amsmail can read.", is_for=_has("certificate")),
    Question("cleartext_login_from", "Networks that may log in without TLS",
             "Commas between them; in them a password can be read by whoever listens.", default="127.0.0.0/8, ::1"),
))

DOMAIN = Form("domain", "domains", "Domains whose mail belongs here", (
    Question("unknown", "Addresses in it that no box here has", choices=(
        ("refuse", "are refused: all of the domain is here"), ("relay",
                                                               "go to the provider: colleagues ashore have them")),
        default="refuse"),
), has_names=True, naming=("The domain", "What stands behind the @ of your addresses, such as yacht.example."))

BOX = Form("box", "boxes", "Drop boxes, one for each person or post on board", (
    Question("addresses", "Addresses whose mail goes into it",
             "Commas between them; a name without @ counts at each domain. Nothing: the box's name."),
    Question("password", "Its password", "For fetching its mail, and for sending.", is_secret=True, is_hashed=True),
), has_names=True, naming=("The box's name", "Small letters, digits, dot, hyphen: such as captain."))

CALLS = Form("calls", "calls", "Calls in general", (
    Question("use", "The links to use now, the first one first",
             "Names with commas between them; nothing: all of them, "
             "by priority."),
    Question("schedule", "When amsd calls by itself, where there is no cron",
             "Such as */30 * * * * (every half hour) or 06:00-22:00; nothing: cron does it."),
    Question("urgent_from", "Whose mail may be urgent", "Boxes and addresses with commas between them; nothing: all."),
))

QUEUE = Form("queue", "queue", "Mail that waits to be sent", (
    Question("warn_after", "After how long a sender is told that it still waits", "Such as 12 hours.", default="1 day"),
    Question("expire_after", "After how long it is given up, and the sender told", "Such as 7 days.", default="7 days"),
    Question("login", "A login by which another machine may pick it up by POP3", "Nothing: nobody may."),
    Question("password", "Its password", is_for=_has("login"), is_secret=True, is_hashed=True),
))

_SERVER = (
    Question("host", "The provider's server", "Its name, such as mail.provider.example."),
    Question("tls", "Encryption on the way there", choices=TLS, default="implicit"),
    Question("port", "Its port", "Nothing: the usual one."),
    Question("user", "The user name there", "As the provider gave it: often the whole address."),
    Question("password", "The password there", "It is kept as it is in mail.cfg, since it must be sent.",
             is_secret=True,
             is_for=_has("user")),
    Question("fingerprint", "The certificate's fingerprint, for a server without a known authority",
             "sha256: and 64 hex digits; nothing: the usual authorities."),
    Question("ca_file", "A file with the authorities to trust instead of the system's",
             "A PEM file; nothing: the system's.",
             is_for=lambda answers: not answers.get("fingerprint")),
)

_RARE = {"port", "fingerprint", "ca_file"}

RELAY = Form("relay", "relay", "The provider's server that takes our mail to everywhere else", _SERVER,
             rare=frozenset(_RARE))

ACCOUNT = Form("account", "accounts", "Boxes at providers that are emptied into ours at each call", (
    Question("type", "Protocol", choices=(
        ("imap", "quicker on a slow link, and goes on where a broken call stopped"), ("pop3",
                                                                                      "where there is no IMAP"))),
    *_SERVER,
    Question("box", "The box here that its mail goes to", "Nothing: it holds the mail of a whole domain."),
    Question("envelope", "The header field that names the recipient", choices=(
        ("Delivered-To", ""), ("X-Original-To", ""), ("Envelope-To", ""), ("Received", "its `for`")),
        is_for=_says("box", "")),
    Question("envelope_prefix", "What the provider puts in front of the address there", "Mostly nothing.",
             is_for=_has("envelope")),
    Question("after", "What becomes of a message there once it is safe here", choices=(
        ("delete", "it is deleted"), ("keep", "it stays there"), ("keep 30 days", "it stays so long; any number")),
        default="delete"),
    Question("backlog", "What the first call takes of the messages that are there", choices=(
        ("all", "all of them"), ("none", "only what comes from now on"), ("newest 50", "so many; any number")),
        default="all"),
    Question("folder", "The folder there", default="INBOX", is_for=_says("type", "imap")),
    Question("deletion", "How it deletes there", choices=(
        ("expunge", "for good"), ("flag", "only marks as deleted"), ("move", "moves to another folder")),
        default="expunge", is_for=lambda answers: answers.get("type") == "imap" and answers.get("after") != "keep"),
    Question("deletion_folder", "The folder that it moves them to", is_for=_says("deletion", "move")),
), has_names=True, naming=("A name for the account", "Small letters, such as owner."),
    rare=frozenset(_RARE | {"envelope_prefix", "folder", "deletion", "deletion_folder"}))

LINK = Form("link", "links", "How we get to the providers", (
    Question("type", "What kind of link", choices=(
        ("always", "it is always there"), ("present", "it is there or not, as a marina's Wi-Fi; never dialled"),
        ("networkmanager", "dialled by NetworkManager"), ("modemmanager", "dialled by ModemManager"),
        ("ppp", "dialled by pppd (pon and poff)"), ("rasdial", "Windows' phone book"),
        ("command", "brought up and down by commands of yours"))),
    Question("entry", "Its entry",
             "The connection of NetworkManager, the modem, the peer of pppd, the phone book's entry.",
             is_for=_used_by("entry")),
    Question("up", "The command that brings it up", "Exit code 0 means success.", is_for=_used_by("up")),
    Question("down", "The command that brings it down", is_for=_used_by("down")),
    Question("apn", "The access point's name (APN)", is_for=_used_by("apn")),
    Question("user", "The user name for dialling", "Nothing: none is needed.", is_for=_used_by("user")),
    Question("password", "The password for dialling", is_secret=True,
             is_for=lambda answers: _used_by("password")(answers)
             and not answers.get("password_command")),
    Question("password_command", "Instead, a command that prints the password", is_for=lambda answers:
             _used_by("password_command")(answers) and not answers.get("password")),
    Question("probe", "What shows that it is there", "interface wlan0, route 10.0.0.1, or command and a command line.",
             is_for=_used_by("probe")),
    Question("priority", "Its priority: the lower comes first", default="50"),
    Question("windows", "When calls are allowed", "Such as 22:00-06:00, or Mon-Fri 08:00-09:30; nothing: always."),
    Question("classes", "What it carries", "normal, urgent, or both.", default="normal, urgent"),
    Question("urgent", "Urgent mail", choices=(("in windows", "waits for its window"), ("at any time", "goes at once")),
             default="in windows", is_for=_has("windows")),
    Question("message_out", "Octets of the largest message that it sends",
             "Larger ones wait for another link; nothing: any."),
    Question("message_in", "Octets of the largest message that it fetches",
             "Larger ones are asked about; nothing: any."),
    Question("currency", "The currency of its bill", "Three letters, such as EUR; nothing: it costs nothing by use."),
    Question("setup_charge", "Charge for each call", is_for=_has("currency")),
    Question("increment", "Seconds of an increment", "Such as 20, where each 20 s begun are charged.",
             is_for=_has("currency")),
    Question("per_increment", "Charge for each increment begun", is_for=_has("currency", "increment")),
    Question("per_minute", "Charge for a minute", is_for=_has("currency")),
    Question("per_mb", "Charge for 1,000,000 octets", is_for=_has("currency")),
    Question("idle_floor", "Octets a second that are charged at least", is_for=_has("per_mb")),
    Question("minimum", "What a call costs at least", is_for=_has("currency")),
    Question("budget", "What may be spent on it",
             "Such as 20 EUR a month, 60 minutes a day, 5 MB a month; nothing: any."),
    Question("attempts", "How often one call dials", default="1", is_for=_used_by("entry")),
    Question("pause", "Seconds between two attempts", default="30", is_for=lambda answers: answers.get("attempts",
                                                                                                       "1") != "1"),
    Question("up_limit", "Seconds that an attempt may take", default="120",
             is_for=lambda answers: answers.get("type") not in ("always", "present")),
    Question("call_limit", "Seconds that a call may take", default="3600"),
    Question("rate", "What the line carries, in kbit/s", "Such as 64, or 256/1024 up and down; nothing: not known."),
    Question("round_trip", "How long an answer takes on an idle line, in seconds", "As ping shows it, such as 0.7.",
             is_for=_has("rate")),
), has_names=True, naming=("A name for the link", "Small letters, such as gsm."), rare=frozenset({
    "classes", "urgent", "idle_floor", "minimum", "attempts", "pause", "up_limit", "call_limit"}))

FORMS = {form.noun: form for form in (SITE, LIMITS, CERTIFICATE, DOMAIN, BOX, CALLS, QUEUE, RELAY, ACCOUNT, LINK)}

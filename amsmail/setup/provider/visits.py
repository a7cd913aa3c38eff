"""What a trial looks at where the mail would begin, by protocol: the engine that holds the session, and what its events
tell a Report.

By POP3 the listing says what waits.  By IMAP the engine tells sizes only with a text, so one octet is asked of each of
the newest messages: PEEK leaves their flags as they are.
"""

from amsmail.protocol import imap_events as imap
from amsmail.protocol import pop3_client as pop3
from amsmail.protocol import smtp_client as smtp
from amsmail.protocol.imap_client import ImapClient
from amsmail.site.words import in_octets
from amsmail.transport import refusals
from amsmail.wire.lines import is_number

SIZES = 500                     # messages whose size is asked for by IMAP: about 100 octets each on the line

_FLOWS = {
    "chunked": "CHUNKING and PIPELINING: all messages go in one flow",
    "pipelined": "PIPELINING without CHUNKING: each message costs one wait",
    "in lock-step": "no PIPELINING: each message costs several waits",
}
# As Report.offers() wants it.
_SMTP = {
    "8BITMIME": ("", "no 8BITMIME: messages with 8-bit text cannot be sent, their senders are told so"),
    "SMTPUTF8": ("", "no SMTPUTF8: mail to or from addresses outside ASCII cannot be sent"),
}
_IMAP = {
    "UIDPLUS": ("UIDPLUS: what was fetched is deleted there at once",
                "no UIDPLUS: what was fetched is only marked as deleted there"),
    "COMPRESS=DEFLATE": ("COMPRESS: everything comes compressed", "no COMPRESS: nothing comes compressed"),
}
_POP3 = {
    "PIPELINING": ("PIPELINING: all messages come in one flow", "no PIPELINING: each message costs a wait"),
    "TOP": ("", "no TOP: the notice of a message that is held cannot say who sent it"),
}


def _visit_relay(report, settings, starttls):
    def ready(event):
        report.is_complete = True
        if settings["user"]:
            report.welcome()
        else:
            report.say("No login is set, though the server offers one (AUTH): probably it wants one."
                       if "AUTH" in event.extensions else "No login is set, and the server offers none.")
        limit = (event.extensions.get("SIZE") or ["0"])[0]
        if is_number(limit) and int(limit):
            report.say(f"SIZE: it takes messages of up to {in_octets(int(limit))}.")
        else:
            report.say("It does not say how large a message may be.")
        report.say(f"{_FLOWS[event.flow]}.")
        report.offers(_SMTP, event.extensions)

    login = smtp.Login(settings["user"], settings["password"])
    return smtp.SmtpClient(settings["hostname"], starttls, login), {
        smtp.Ready: ready,
        smtp.SessionFailed: lambda event: report.refused(event.why, str(event.reply), refusals.of_reply(event.reply)),
    }


def _visit_imap(report, settings, starttls):
    sizes = {}                  # UID: octets

    def ready(event):
        report.welcome()
        offered = event.known.after.split()
        report.offers(_IMAP, {*offered, "UIDPLUS"} if "IMAP4REV2" in offered else offered)

    def choose(event):
        report.messages = event.folder.exists
        return imap.Take(None, newest=min(report.messages, SIZES))

    options = imap.Options(settings["folder"], deletion="", begin=1)
    return ImapClient(settings["user"], settings["password"], starttls, options), {
        imap.Ready: ready,
        imap.Choose: choose,
        imap.MessageBegins: lambda event: sizes.update({event.uid: event.size}),
        imap.MessagePauses: lambda event: None,         # the rest is not for us
        imap.MessageEnds: lambda event: False,
        imap.Covered: lambda event: report.waiting(report.messages, [size for _, size in sorted(sizes.items())]),
        imap.Refused: lambda event: report.remark(event.text),
        imap.SessionFailed: lambda event: report.refused(event.why, event.text,
                                                         refusals.of_text(event.why, event.text)),
    }


def _visit_pop3(report, settings, starttls):
    offered = {}                # keyword: parameters

    def choose(event):
        report.welcome()
        report.offers(_POP3, offered)
        if not event.has_uids:
            report.say("no UIDL: messages cannot be told apart from call to call, so only after = delete with backlog "
                       "= all works.")
        report.waiting(len(event.messages), [message.size for message in event.messages])
        return (), (), ()

    return pop3.Pop3Client(settings["user"], settings["password"], starttls), {
        pop3.Capabilities: lambda event: offered.update(event.capabilities),
        pop3.Choose: choose,
        pop3.SessionFailed: lambda event: report.refused(event.why, event.text,
                                                         refusals.of_text(event.why, event.text)),
    }


# By service: function(Report, section of mail.cfg, whether TLS begins with a command) that gives (engine, {type of
# event: function of the event}).
VISITS = {"smtp": _visit_relay, "imap": _visit_imap, "pop3": _visit_pop3}

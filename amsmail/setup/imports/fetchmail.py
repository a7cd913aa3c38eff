"""A fetchmailrc as accounts: fetchmail(1), of release 6.4."""

from amsmail.setup.imports.fetchmail_grammar import parse
from amsmail.setup.imports.notes import (AGAIN, CLIENT_CERTIFICATE, FIELDS, OTHER_NAME, PASSWORD_SENT,
                                        SEVERAL, STARTTLS, TLS_VERSION, UNCHECKED)
from amsmail.setup.imports.result import Accounts

_STORED = "messages are stored as they come"
_DELIVERY = "mail goes into drop boxes, not to a program or another server"
_LINKS = "what link must be there, and what is run for it, is said in [links]"
_EACH_CALL = "each account is asked at each call; when there is one is said in [calls] or by cron"
_LIMITS = "the size of what is fetched is limited by message_in of a link"
_OWN_PACE = "amsmail finds out itself how to fetch and delete quickly"
_NOTICES = "what a fetch tells, and to whom, is mailcheck's own; see mailcheck(8)"
_ODMR = "it is for ETRN and ODMR only"
_ENVELOPE = "a recipient is found by the envelope's field alone"

# Options that nothing here corresponds to.
_LEFT = {
    "aka": _ENVELOPE, "dns": _ENVELOPE, "checkalias": _ENVELOPE,
    "localdomains": "whose mail belongs here is said in [domains]: put these domains there",
    "interval": _EACH_CALL, "timeout": "amsmail has time limits of its own",
    "interface": _LINKS, "monitor": _LINKS, "preconnect": _LINKS, "postconnect": _LINKS,
    "principal": "there is no Kerberos here", "esmtpname": _ODMR, "esmtppassword": _ODMR, "fetchdomains": _ODMR,
    "plugout": _DELIVERY, "smtphost": _DELIVERY, "smtpaddress": _DELIVERY, "smtpname": _DELIVERY, "mda": _DELIVERY,
    "bsmtp": _DELIVERY, "lmtp": _DELIVERY, "antispam": _DELIVERY,
    "bad-header": _STORED, "rewrite": _STORED, "forcecr": _STORED, "stripcr": _STORED, "pass8bits": _STORED,
    "dropstatus": _STORED, "dropdelivered": _STORED, "mimedecode": _STORED,
    "tracepolls": "a Received field says which account a message came from",
    "uidl": "messages are always told apart by UIDL",
    "flush": "nothing is deleted that was not fetched", "limitflush": "nothing is deleted that was not fetched",
    "idle": _EACH_CALL, "forceidle": _EACH_CALL, "limit": _LIMITS, "warnings": _LIMITS,
    "fetchlimit": _LIMITS, "fetchsizelimit": _OWN_PACE, "fastuidl": _OWN_PACE, "batchlimit": _OWN_PACE,
    "expunge": _OWN_PACE, "properties": "it is for other programs",
    "sslkey": CLIENT_CERTIFICATE, "sslcert": CLIENT_CERTIFICATE,
    "sslcertpath": "authorities are those of the system or of one file: say ca_file",
    "sslcommonname": OTHER_NAME,
    "sslfingerprint": "it is an MD5 digest, which can be forged; say the certificate's SHA-256 digest as fingerprint "
                      "(openssl x509 -noout -fingerprint -sha256)",
}
_GLOBALS = {
    "daemon": _EACH_CALL, "logfile": "the log is amsmail's own", "syslog": "the log is amsmail's own",
    "postmaster": "say it as postmaster in [site]: mail for nobody goes to that box",
    "idfile": "what was fetched is kept in the spool; fetchmail's list is not read",
    "pidfile": "mailcheck has a lock of its own", "bouncemail": _NOTICES, "spambounce": _NOTICES,
    "softbounce": _NOTICES, "invisible": _STORED, "showdots": _NOTICES, "properties": "it is for other programs",
}
# Options without which the account would be another one: it is not taken over.
_OTHER_PROTOCOL = "there is only POP3 and IMAP with a password here"
_PREVENTS = {"plugin": "connections are made by amsmail itself, not through a command"}
_PROTOCOLS = {"pop3": "pop3", "apop": "pop3", "imap": "imap", "auto": "imap"}
_AUTHS = {"any", "password", "cram", "cram-md5"}
# (option, its default, what of it can be taken over)
_KNOWN = (("protocol", "auto", _PROTOCOLS), ("auth", "any", _AUTHS))
_SERVICES = {"pop3": "110", "pop3s": "995", "imap": "143", "imap2": "143", "imaps": "993"}


def fetchmailrc(text, taken=()):
    """The accounts of a fetchmailrc, as Imported; `taken` are the names of accounts that mail.cfg has already."""
    accounts = Accounts(taken)
    entries, settings, wrong = parse(text)
    for error in wrong:
        accounts.leave_out(error.line, error.what, f"{error}; passed over: {error.passed_over}")
    for name, (_, line) in settings.items():
        accounts.leave_out(line, f"set {name}", _GLOBALS[name])
    defaults = {}
    for entry in entries:
        if entry.server:
            _account(accounts, entry, {**defaults, **entry.options})
        else:
            defaults = entry.options
    return accounts.imported()


def _account(accounts, entry, options):
    """Adds what one entry stands for: an account for each folder."""
    def value(name, default=None):
        return options.get(name, (default,))[0]

    def told(name, why, what=None):
        accounts.leave_out(options.get(name, (None, entry.line))[1], what or name, why)

    user = value("user", "")
    title = f"{user or 'account'} at {entry.server}"
    for name in options:
        if name in _LEFT:
            told(name, _LEFT[name], name if value(name) else f"no {name}")
    is_prevented = _tell_prevented(options, value, told, title)
    if not entry.is_polled:
        accounts.leave_out(entry.line, f"skip {entry.server}",
                           "it was not asked without being named, and here each account is; it was not taken over")
    if is_prevented or not entry.is_polled:
        return
    kind = _kind(value, told, title)
    account = {"type": kind, "host": value("via") or entry.server, "port": _port(value, told), "user": user,
               "password": _password(value, told, title), "tls": _tls(value, told), "after": _after(kind, value, told),
               "ca_file": value("sslcertfile", ""), **_recipients(value, told, title)}
    if value("sslcertck") is False:
        told("sslcertck", UNCHECKED, "no sslcertck")
    if value("user") is None:
        told("user", "fetchmail took the name of whoever ran it; say it as user", f"{title}: no user")
    for folder in _folders(kind, value, told):
        accounts.add(entry.line, user or entry.server, {**account, "folder": folder})


def _tell_prevented(options, value, told, title):
    """Tells what makes an account another one than there can be here.  Gives whether there is anything."""
    prevented = [(name, _PREVENTS[name]) for name in options if name in _PREVENTS]
    prevented += [(name, _OTHER_PROTOCOL) for name, default, known in _KNOWN if value(name, default) not in known]
    for name, why in prevented:
        told(name, f"{why}; the account was not taken over", f"{title}: {name} {value(name)}")
    return bool(prevented)


def _kind(value, told, title):
    """The key type."""
    protocol = value("protocol", "auto")
    if protocol == "auto":
        told("protocol", "fetchmail tried IMAP and then POP3; here type = imap was taken: if the provider has no IMAP, "
                         "say type = pop3", f"{title}: no protocol")
    return _PROTOCOLS[protocol]


def _password(value, told, title):
    """The key password, '' where fetchmail had it from elsewhere."""
    if _hides_password(value):
        is_apop = value("protocol") == "apop"
        told("protocol" if is_apop else "auth", PASSWORD_SENT, "apop" if is_apop else f"auth {value('auth')}")
    if value("password") is None:
        told("password", "fetchmail looked for it in .netrc or asked for it; say it as password",
             f"{title}: no password")
    return value("password", "")


def _folders(kind, value, told):
    """The folders to fetch, '' for the default: an account each."""
    folders = value("folder", [])
    if folders and kind == "pop3":
        told("folder", "by POP3 there is only one")
        return [""]
    if len(folders) > 1:
        told("folder", "one account fetches one folder: there is an account for each", f"folder {', '.join(folders)}")
    return folders or [""]


def _port(value, told):
    service = str(value("port") or value("service") or "")
    if service.isdigit() or not service:
        return service
    if service.lower() not in _SERVICES:
        told("service", "the number of this service is not known here; say it as port", f"service {service}")
    return _SERVICES.get(service.lower(), "")


def _tls(value, told):
    """TLS as strict as fetchmail had it, or stricter."""
    if value("sslproto"):
        told("sslproto", TLS_VERSION)
    if value("ssl"):
        return "implicit"
    if value("sslproto") == "" and not _hides_password(value):
        told("sslproto", "the password and all mail travel in clear, as they did; try tls = starttls or implicit",
             'sslproto ""')
        return "none"
    if not value("sslproto"):
        told("ssl", STARTTLS, "no ssl")
    return "starttls"


def _hides_password(value):
    """Whether fetchmail logged in without sending the password, which nothing does here."""
    return value("protocol") == "apop" or value("auth") in ("cram", "cram-md5")


def _after(kind, value, told):
    if value("keep"):
        told("keep", AGAIN)
        return "keep"
    if kind == "imap" and not value("fetchall"):
        told("fetchall", "fetchmail passed over messages that were read already; here they are fetched and deleted too",
             "no fetchall")
    return "delete"


def _recipients(value, told, title):
    """Whose mail it is: the keys box, or envelope and envelope_prefix; none if a person must say."""
    names = value("localnames", [])
    wildcard = any(name == "*" and here is None for name, here in names)
    if len(names) <= 1 and not wildcard:
        for name in "envelope", "qvirtual":
            if value(name):
                told(name, "it counts only where one account holds the mail of several users")
        if not names:
            told("localnames", "fetchmail gave the mail to whoever ran it; say the box", f"{title}: no local user")
        return {"box": (here or name).lower() for name, here in names}
    told("localnames", SEVERAL,
         f"is {' '.join(f'{name}={here}' if here else name for name, here in names)}")
    if wildcard:
        told("localnames", "mail for names that no box has goes to postmaster", "*")
    field = (value("envelope", "Received") or "").rstrip(":")
    if field.lower() not in FIELDS:
        told("envelope", f"the recipient can be read from {', '.join(FIELDS.values())} only; the account was given no "
                         "envelope: ask the provider for such a field, or say one box",
             f"envelope {field}" if field else "no envelope")
        return {}
    if value("envelope skip"):
        told("envelope", "only the topmost such field is read; the account was given no envelope: say it, or one box",
             f"envelope {value('envelope skip')} {field}")
        return {}
    return {"envelope": FIELDS[field.lower()], "envelope_prefix": value("qvirtual", "")}

"""A getmailrc as an account: the configuration of getmail 6 (its documentation, Creating a getmail rc file)."""

import ast
import configparser
import re

from amsmail.setup.imports.notes import (AGAIN, CLIENT_CERTIFICATE, FIELDS, OTHER_NAME, PASSWORD_SENT,
                                        SEVERAL, STARTTLS, TLS_VERSION, UNCHECKED)
from amsmail.setup.imports.result import Accounts, owner

_OWN_PACE = "amsmail finds out itself how to fetch and delete quickly"
_LIMITS = "the size of what is fetched is limited by message_in of a link"
_STORED = "messages are stored as they come, with a Received field that names the account"
_LOG = "the log is amsmail's own"
_LEFT = {
    "retriever": {
        "timeout": "amsmail has time limits of its own", "delete_dup_msgids": "nothing is deleted that was not fetched",
        "record_mailbox": _STORED, "use_peek": "messages are fetched without marking them as seen",
        "keyfile": CLIENT_CERTIFICATE, "certfile": CLIENT_CERTIFICATE, "ssl_version": TLS_VERSION,
        "ssl_ciphers": TLS_VERSION,
        "ssl_cert_hostname": OTHER_NAME,
        "imap_search": "all messages of the folder are fetched, read or not",
        "imap_on_delete": "how messages are deleted is said by deletion",
        "use_apop": PASSWORD_SENT, "use_cram_md5": PASSWORD_SENT,
    },
    "options": {
        "verbose": _LOG, "message_log": _LOG, "message_log_syslog": _LOG, "message_log_verbose": _LOG, "logfile": _LOG,
        "fingerprint": _LOG, "use_netrc": "the user and the password stand in mail.cfg: say them there",
        "netrc_file": "the user and the password stand in mail.cfg: say them there",
        "to_oldmail_on_each_mail": "this is always so", "skip_imap_fetch_size": _OWN_PACE,
        "delete_bigger_than": "messages are deleted by age, not by size", "max_bytes_per_session": _LIMITS,
        "max_message_size": _LIMITS, "max_messages_per_session": _LIMITS, "delivered_to": _STORED, "received": _STORED,
    },
}
_TAKEN = {"retriever": {"type", "server", "port", "username", "password", "password_command", "mailboxes", "ca_certs",
                        "move_on_delete", "ssl_fingerprints", "envelope_recipient", "use_kerberos", "use_xoauth2"},
          "options": {"delete", "delete_after", "read_all"}}
_TYPE = re.compile(r"(Simple|Multidrop|BrokenUIDL)(POP3|IMAP)(SSL)?Retriever")
_TRUE = {"true", "yes", "on", "1"}


def getmailrc(text, taken=()):
    """The account of a getmailrc, as Imported; `taken` are the names of accounts that mail.cfg has already."""
    accounts = Accounts(taken)
    parser = configparser.RawConfigParser(default_section="DEFAULT")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        accounts.leave_out(getattr(error, "lineno", None) or 0, "the file",
                           f"getmail cannot read it: {type(error).__name__}; nothing was taken over")
        return accounts.imported()
    file = _File(parser, _lines(text), accounts)
    file.leave_out_others()
    _account(file, accounts)
    return accounts.imported()


def _lines(text):
    """{(section, key or ''): line number}."""
    found, section = {}, ""
    for number, row in enumerate(text.splitlines(), 1):
        if match := re.match(r"\[(.+)\]", row):
            section = match[1]
            found.setdefault((section, ""), number)
        elif match := re.match(r"([^\s#;:=][^:=]*?)\s*[:=]", row):
            found.setdefault((section, match[1].lower()), number)
    return found


class _File:
    """The values of one file."""

    def __init__(self, parser, lines, accounts):
        self._parser, self._lines, self._accounts = parser, lines, accounts

    def value(self, section, key):
        return self._parser.get(section, key, fallback="")

    def is_true(self, section, key):
        return self.value(section, key).lower() in _TRUE

    def strings(self, key):
        """A tuple of quoted strings; None if it is none."""
        try:
            found = ast.literal_eval(self.value("retriever", key) or "()")
        except (ValueError, SyntaxError):
            return None
        return found if isinstance(found, tuple) and all(isinstance(each, str) for each in found) else None

    def line(self, section, key=""):
        return next((self._lines[each] for each in ((section, key), ("DEFAULT", key), (section, ""))
                     if each in self._lines), 0)

    def told(self, section, key, why, what=None):
        self._accounts.leave_out(self.line(section, key), what or f"[{section}] {key}", why)

    def leave_out_others(self):
        """Lists the sections and keys that nothing here corresponds to."""
        for section in self._parser.sections():
            if section.startswith("filter"):
                self.told(section, "", "messages go through no filter here; a mail program's own can do that",
                          f"[{section}]")
            elif section not in (*_LEFT, "destination"):
                self.told(section, "", "mail is sorted into boxes by their addresses; see [boxes] in mail.cfg(5)",
                          f"[{section}]")
        for section, known in _LEFT.items():
            for key in self._parser.options(section) if self._parser.has_section(section) else ():
                if key not in _TAKEN[section]:
                    self.told(section, key, known.get(key, "getmail has no such option"))


def _account(file, accounts):
    kind = file.value("retriever", "type")
    match = _TYPE.fullmatch(kind)
    prevented = [("type", f"{kind or 'no type'}: only POP3 and IMAP retrievers can be taken over")] if not match else []
    prevented += [(key, "there is only login with user and password here")
                  for key in ("use_kerberos", "use_xoauth2") if file.is_true("retriever", key)]
    for key, why in prevented:
        file.told("retriever", key, f"{why}; the account was not taken over")
    if prevented:
        return
    what, protocol, is_tls = match.groups()
    account = {"type": protocol.lower(), "host": file.value("retriever", "server"),
               "port": file.value("retriever", "port"), "user": file.value("retriever", "username"),
               "password": file.value("retriever", "password"), **_tls(file, is_tls), **_after(file, protocol),
               **(_envelope(file) if what == "Multidrop" else {"box": _box(file)})}
    if what == "BrokenUIDL":
        file.told("retriever", "type", "messages are told apart by UIDL here if the provider has it; if it names them "
                                       "wrongly, only after = delete is safe", f"[retriever] type = {kind}")
    if not account["password"]:
        file.told("retriever", "password_command",
                  "getmail ran a command for it, or asked; no command is run here: say the password",
                  None if file.value("retriever", "password_command") else "[retriever] without password")
    for folder in _folders(file, protocol):
        accounts.add(file.line("retriever"), account["user"] or account["host"], {**account, "folder": folder})


def _tls(file, is_tls):
    """The keys tls, fingerprint and ca_file."""
    if not is_tls:
        file.told("retriever", "type", STARTTLS)
        return {"tls": "starttls"}
    found = {"tls": "implicit", "ca_file": file.value("retriever", "ca_certs")}
    if not found["ca_file"]:
        file.told("retriever", "ca_certs", UNCHECKED, "[retriever] without ca_certs")
    digests = [digest.replace(":", "").lower() for digest in file.strings("ssl_fingerprints") or ()]
    if len(digests) == 1:
        found["fingerprint"] = f"sha256:{digests[0]}"
    elif file.value("retriever", "ssl_fingerprints"):
        file.told("retriever", "ssl_fingerprints", "there is one fingerprint here; say that of the present certificate")
    return found


def _after(file, protocol):
    """The keys after, deletion and deletion_folder.  getmail keeps what it fetched unless told otherwise."""
    days = file.value("options", "delete_after")
    if file.is_true("options", "delete"):
        found = {"after": "delete"}
    elif days.isdigit() and int(days):
        found = {"after": f"keep {int(days)} days"}
    else:
        found = {"after": "keep"}
    if found["after"] != "delete":
        file.told("options", "delete", AGAIN, f"after = {found['after']}")
    if file.value("options", "read_all") and file.is_true("options", "read_all"):
        file.told("options", "read_all", "each message is fetched once")
    folder = file.value("retriever", "move_on_delete")
    if folder and protocol == "IMAP" and found["after"] != "keep":
        found.update(deletion="move", deletion_folder=folder)
    elif folder:
        file.told("retriever", "move_on_delete", "nothing is deleted in this account, so nothing is moved")
    return found


def _folders(file, protocol):
    """The folders to fetch, '' for the default: an account each."""
    text = file.value("retriever", "mailboxes")
    found = file.strings("mailboxes")
    if not text or protocol == "POP3":
        return [""]
    if not found:
        file.told("retriever", "mailboxes", "folders are named one by one here; only INBOX was taken over",
                  f"[retriever] mailboxes = {text}")
        return [""]
    if len(found) > 1:
        file.told("retriever", "mailboxes", "one account fetches one folder: there is an account for each")
    return found


def _envelope(file):
    field, _, position = file.value("retriever", "envelope_recipient").partition(":")
    name = FIELDS.get(field.strip().lower())
    file.told("destination", "", SEVERAL, "[destination]")
    if name and position.strip() == "1":
        return {"envelope": name}
    file.told("retriever", "envelope_recipient",
              f"the recipient can be read from the topmost {', '.join(FIELDS.values())} only; the account was given "
              "no envelope: ask the provider for such a field, or say one box")
    return {}


def _box(file):
    """The box, if the place of delivery tells it."""
    is_folder = file.value("destination", "type") in ("Maildir", "Mboxrd")
    box = owner(file.value("destination", "path").rstrip("/")) if is_folder else ""
    file.told("destination", "type", f"mail goes into the drop box {box}" if box
              else "mail goes into a drop box; say which as box", "[destination]")
    return box

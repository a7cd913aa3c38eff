"""An mpoprc as accounts: mpop(1), of release 1.4."""

import re

from amsmail.setup.imports.notes import (AGAIN, CLIENT_CERTIFICATE, OTHER_NAME, PASSWORD_SENT, STARTTLS,
                                        TLS_VERSION, UNCHECKED)
from amsmail.setup.imports.result import Accounts, owner

_NO_PROXY = "there are no proxies here"
_DISCARDS = "nothing is deleted or passed over by its contents or size; see message_in in [links]"
_LEFT = {
    "timeout": "amsmail has time limits of its own", "pipelining": "amsmail finds out what the provider can do",
    "source_ip": "which way a connection goes is the system's; see [links]", "proxy_port": _NO_PROXY,
    "ntlmdomain": "there is no NTLM here", "tls_crl_file": "revoked certificates are not looked up",
    "tls_key_file": CLIENT_CERTIFICATE, "tls_cert_file": CLIENT_CERTIFICATE, "tls_priorities": TLS_VERSION,
    "tls_min_dh_prime_bits": TLS_VERSION, "tls_force_sslv3": TLS_VERSION,
    "tls_host_override": OTHER_NAME,
    "uidls_file": "what was fetched is kept in the spool; mpop's lists are not read",
    "killsize": _DISCARDS, "skipsize": _DISCARDS, "filter": _DISCARDS,
    "received_header": "a Received field says which account a message came from",
}
_NOTHING = {"killsize": "off", "skipsize": "off"}        # what switches an option off, if not an empty argument
_PREVENTS = {"proxy_host": _NO_PROXY, "socket": "connections go to a host and a port"}
_TAKEN = {"host", "port", "user", "password", "passwordeval", "tls", "tls_starttls", "tls_trust_file",
          "tls_fingerprint", "tls_certcheck", "keep", "only_new", "delivery", "auth"}
# Whether the method sends the password as it is.
_AUTHS = {"on": True, "": True, "user": True, "plain": True, "login": True, "apop": False, "cram-md5": False,
          "digest-md5": False, "scram-sha-1": False, "scram-sha-256": False}


def mpoprc(text, taken=()):
    """The accounts of an mpoprc, as Imported; `taken` are the names of accounts that mail.cfg has already."""
    accounts = Accounts(taken)
    definitions = {}
    for each in _definitions(text, accounts):
        same = next((other for other in each.inherits if definitions[other].options == each.options), None)
        definitions[each.name] = each
        if same and not each.own:
            accounts.leave_out(each.line, f"account {each.name}", f"it is the account {same}, which is emptied once")
        else:
            _account(accounts, each.name, each.line, each.options)
    return accounts.imported()


class _Definition:
    """An account: `own` are the options that it sets, {command: (argument, line)}; `said` those and the ones that it
    inherits, which are all that it hands on; `options` those and the defaults of where it stands."""

    def __init__(self, name, line, inherits, inherited, defaults):
        self.name, self.line, self.inherits = name, line, inherits
        self.own = {}
        self._inherited, self._defaults = inherited, dict(defaults)

    @property
    def said(self):
        return {**self._inherited, **self.own}

    @property
    def options(self):
        return {**self._defaults, **self.said}


def _definitions(text, accounts):
    """The accounts, in order, each a _Definition."""
    defaults, known, current = {}, {}, None
    for line, command, argument in _commands(text):
        if command == "defaults":
            current = defaults
        elif command == "account":
            one = _begun(line, argument, defaults, known, accounts)
            known[one.name] = one
            current = one.own
        elif command == "eval":
            accounts.leave_out(line, "eval", "no command is run to read a configuration; say what it prints")
        elif command not in _TAKEN | _LEFT.keys() | _PREVENTS.keys():
            accounts.leave_out(line, command, "mpop has no such command")
        elif current is None:
            accounts.leave_out(line, command, "it stands before the first account or defaults, which mpop refuses")
        else:
            current[command] = (argument, line)
    return known.values()


def _commands(text):
    for line, row in enumerate(text.splitlines(), 1):
        command, argument = (re.split(r"[ \t]+", row.strip(), maxsplit=1) + [""])[:2]
        if len(argument) > 1 and argument[0] == argument[-1] == '"':
            argument = argument[1:-1]
        if command and not command.startswith("#"):
            yield line, command, argument


def _begun(line, argument, defaults, known, accounts):
    name, _, others = (part.strip() for part in argument.partition(":"))
    inherits = [other.strip() for other in others.split(",") if other.strip()]
    for other in [other for other in inherits if other not in known]:
        accounts.leave_out(line, f"account {argument}", f"there is no account {other} before it")
        inherits.remove(other)
    if name in known:
        accounts.leave_out(line, f"account {name}", "there are two of this name, which mpop refuses; this was taken")
    inherited = {command: value for other in inherits for command, value in known[other].said.items()}
    return _Definition(name, line, inherits, inherited, defaults)


def _account(accounts, name, line, options):
    def value(command, default=""):
        return options.get(command, (default,))[0]

    def is_on(command, default):
        return value(command, default) in ("on", "")

    def told(command, why, what=None):
        accounts.leave_out(options.get(command, (None, line))[1], what or f"{command} {value(command)}".strip(), why)

    for command in options:
        if command in _LEFT and value(command) != _NOTHING.get(command, ""):
            told(command, _LEFT[command])
    prevented = [(command, why) for command, why in _PREVENTS.items() if value(command)]
    if value("auth", "on") not in _AUTHS:
        prevented.append(("auth", "there is only login with user and password here"))
    for command, why in prevented:
        told(command, f"{why}; the account {name} was not taken over")
    if prevented:
        return
    if not _AUTHS[value("auth", "on")]:
        told("auth", PASSWORD_SENT)
    account = {"type": "pop3", "host": value("host"), "port": value("port"), "user": value("user"),
               "password": value("password"), "after": "keep" if is_on("keep", "off") else "delete",
               **_tls(value, is_on, told, name), "box": _box(value, told)}
    if is_on("keep", "off"):
        told("keep", AGAIN)
    if not is_on("only_new", "on"):
        told("only_new", "each message is fetched once")
    if not value("password"):
        told("passwordeval", "no command is run for it; say the password",
             f"account {name}: {'passwordeval' if value('passwordeval') else 'no password'}")
    accounts.add(line, name, account)


def _tls(value, is_on, told, name):
    """The keys tls, fingerprint and ca_file, as strict as mpop had it, or stricter."""
    found = {}
    if not is_on("tls", "off"):
        told("tls", STARTTLS, f"account {name}: tls off")
        return {"tls": "starttls"}
    found["tls"] = "starttls" if is_on("tls_starttls", "on") else "implicit"
    if not is_on("tls_certcheck", "on"):
        told("tls_certcheck", UNCHECKED)
    digest = value("tls_fingerprint").replace(":", "").lower()
    if re.fullmatch("[0-9a-f]{64}", digest):
        found["fingerprint"] = f"sha256:{digest}"
    elif digest:
        told("tls_fingerprint", "it is no SHA-256 digest; say that of the certificate as fingerprint")
    if value("tls_trust_file", "system") not in ("system", ""):
        found["ca_file"] = value("tls_trust_file")
    return found


def _box(value, told):
    """The box, if the place of delivery tells it."""
    method, _, place = value("delivery").partition(" ")
    box = owner(place.strip()) if method in ("maildir", "mbox") else ""
    told("delivery", f"mail goes into the drop box {box}" if box else "mail goes into a drop box; say which as box",
         None if method else "no delivery")
    return box

"""The diallers: how each program is told to bring a link up and down, and what its exit codes and words mean.

A dialler is a row of TABLE; links.py runs what it says.  Facts about each program stand at its row.
"""

import re
import shutil

from amsmail.wire.value import Value


class Reason(Value):
    """Why a link did not come up: a name, words for an operator, and whether another attempt may help."""

    __slots__ = ("name", "words", "again")


BUSY = Reason("BUSY", "the line is busy", True)
NO_CARRIER = Reason("NO_CARRIER", "there is no carrier: nobody answered, or the connection broke off", True)
NO_DIALTONE = Reason("NO_DIALTONE", "there is no dial tone: is the line plugged in?", True)
WRONG_PASSWORD = Reason("WRONG_PASSWORD", "the user name or password was refused", False)
NO_ROUTE = Reason("NO_ROUTE", "it has no address or no route", True)
NOT_THERE = Reason("NOT_THERE", "there is no such entry or device", False)
TIMED_OUT = Reason("TIMED_OUT", "nothing came of it in time", True)
FAILED = Reason("FAILED", "it failed", True)


def _nothing(*_):
    return None


class Dialler(Value):
    """One program that dials.  Where `settings` stands, it is the link's section of mail.cfg.

    up(settings, password)      the words of the command line that brings the link up
    down(settings)              and of the one that brings it down
    takes_password              whether `up` or `given` has a use for the password
    given(password)             the octets that the first command reads on its standard input
    codes, texts                {exit code: Reason}, and (text, Reason) in the order they are looked for in what the
                                program said; a code counts first
    is_down                     texts by which the command that brings it down says that there was nothing up
    until_gone                  whether it only asks the link to come down, so that it is repeated until it says so
    is_up(settings, ask)        whether the link is up, by whomever; None where the program can't tell.  `ask(words)`
                                runs a command line and gives what it said, '' where it failed
    interface(settings, said, ask)  the network interface of the link that is up, or None; `said` is what `up` said
    english                     whether the program is to speak English, as its words are looked up here
    hidden                      a pattern of what must not be shown of its words
    """

    __slots__ = ("up", "down", "takes_password", "given", "codes", "texts", "is_down", "until_gone", "is_up",
                 "interface", "english", "hidden")
    defaults = {"takes_password": False, "given": lambda password: b"", "codes": {}, "texts": (), "is_down": (),
                "until_gone": False, "is_up": _nothing, "interface": _nothing, "english": True, "hidden": None}

    def reason(self, code, said):
        """The Reason for an `up` that ended with `code` (None: it was ended) and said `said`."""
        seen = self.shown(said)
        return self.codes.get(code) or next((reason for text, reason in self.texts if text in seen), FAILED)

    def shown(self, said):
        """What the program said, without what must not be shown of it."""
        return self.hidden.sub("***", said) if self.hidden else said


# What modems answer (Hayes, ITU-T V.250), as chat(8) and scripts of one's own pass it on.
_MODEM = (("BUSY", BUSY), ("NO CARRIER", NO_CARRIER), ("NO DIALTONE", NO_DIALTONE), ("NO DIAL TONE", NO_DIALTONE),
          ("NO ANSWER", NO_CARRIER))


# rasdial (Windows).  Its exit code is the RAS error, which it also says: "Remote Access error 676 - ...".  Without a
# word it lists the connections, a name a line; hanging up what is not up is no error.  The password stands on its
# command line, as it reads one from nowhere else; other users of the machine may see it while it dials.  An entry whose
# password Windows has saved needs none here.

_RAS = {
    676: BUSY,
    628: NO_CARRIER, 629: NO_CARRIER, 650: NO_CARRIER, 668: NO_CARRIER, 677: NO_CARRIER, 678: NO_CARRIER,
    679: NO_CARRIER, 719: NO_CARRIER,
    680: NO_DIALTONE,
    647: WRONG_PASSWORD, 648: WRONG_PASSWORD, 649: WRONG_PASSWORD, 691: WRONG_PASSWORD,
    720: NO_ROUTE, 731: NO_ROUTE, 732: NO_ROUTE, 733: NO_ROUTE,
    608: NOT_THERE, 609: NOT_THERE, 615: NOT_THERE, 621: NOT_THERE, 622: NOT_THERE, 623: NOT_THERE, 797: NOT_THERE,
    638: TIMED_OUT, 718: TIMED_OUT,
}


def _rasdial_up(settings, password):
    return ["rasdial", settings["entry"], *([settings["user"], password] if settings["user"] else [])]


def _rasdial_is_up(settings, ask):
    return settings["entry"].casefold() in (line.strip().casefold() for line in ask(["rasdial"]).splitlines())


# pppd, by Debian's pon and poff, or by its own name where there is no pon.  With `updetach` it stays until the link is
# up, and then goes on in the background.  It reads user and password from its own files (/etc/ppp/pap-secrets,
# chap-secrets), so it is given none.  Why a connect script failed is known from chat(8): its words, if the script has
# `chat -s`; else its exit code, which pppd says with `debug`: 4 is the first ABORT string, and so on, here in the order
# of Debian's chatscripts.  pppd's own words hold no password (hide-password is its default), but the script's command
# line, which `debug` shows, and what `chat -v` sends, may; that command line also names all the words that the script
# waits for.  poff only asks pppd to end, which hangs up first.

_CHAT = (*((f"Failed ({word})", reason) for word, reason in _MODEM),
         ("status = 0x4", BUSY), ("status = 0x6", NO_CARRIER), ("status = 0x7", NO_DIALTONE),
         ("status = 0x8", NO_DIALTONE), ("status = 0x9", NO_CARRIER))


def _ppp_up(settings, _password):
    call = ["pon"] if shutil.which("pon") else ["pppd", "call"]
    return [*call, settings["entry"], "updetach", "debug"]


def _ppp_interface(_settings, said, _ask):
    return next(reversed(re.findall(r"Using interface (\S+)", said)), None)


# nmcli (NetworkManager).  The password goes through its standard input: `passwd-file` takes a line for each secret that
# it may be asked for, and which one that is depends on the connection's type, so it gets all.  The user's name is in
# the connection.  Its answers are separated by colons, with a backslash before one that belongs to a value.

_SECRETS = ("gsm.password", "cdma.password", "pppoe.password", "adsl.password", "802-1x.password",
            "802-11-wireless-security.psk", "vpn.secrets.password")


def _nmcli_up(settings, password):
    return ["nmcli", "--wait", str(max(1, int(settings["up_limit"]))), "connection", "up", settings["entry"],
            *(["passwd-file", "/dev/stdin"] if password else [])]


def _nmcli_given(password):
    return "".join(f"{secret}:{password}\n" for secret in _SECRETS).encode() if password else b""


def _nmcli_device(settings, ask):
    """The device of the connection if it is up, or None."""
    for line in ask(["nmcli", "-t", "-f", "NAME,UUID,DEVICE,STATE", "connection", "show", "--active"]).splitlines():
        values = [re.sub(r"\\(.)", r"\1", value) for value in re.split(r"(?<!\\):", line)]
        if settings["entry"] in values[:2] and values[-1] == "activated":
            return values[2]
    return None


def _nmcli_is_up(settings, ask):
    return _nmcli_device(settings, ask) is not None


def _nmcli_interface(settings, _said, ask):
    """A modem's device is its port; its network interface is another name."""
    device = _nmcli_device(settings, ask)
    return device and ask(["nmcli", "-g", "GENERAL.IP-IFACE", "device", "show", device]).strip() or device


# mmcli (ModemManager).  It always ends with 1, and its words hold the D-Bus name of the error.  The password stands on
# its command line, as it reads one from nowhere else; other users of the machine may see it while it dials.  It makes
# the modem connect and leaves its interface alone: an address comes from whatever else configures that (a DHCP client,
# systemd-networkd), and a link whose interface gets none counts as up without a route.

def _mmcli_up(settings, password):
    given = {"apn": settings["apn"], "user": settings["user"], "password": password}
    pairs = ",".join(f"{key}={_quoted(value)}" for key, value in given.items() if value)
    return ["mmcli", "-m", settings["entry"], f"--timeout={max(1, int(settings['up_limit']))}",
            f"--simple-connect={pairs}"]


def _quoted(value):
    """Values are separated by commas; one in quotes may hold any, and nothing escapes a quote."""
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise ValueError("mmcli cannot be given a value that has both kinds of quotes")
    return f"{quote}{value}{quote}"


def _mmcli_bearer(settings, ask):
    """{name: value} of the modem's bearer that is connected; empty where none is."""
    modem = _pairs(ask(["mmcli", "-m", settings["entry"], "-K"]))
    paths = [path for name, path in modem.items() if name.startswith("modem.generic.bearers.value")]
    bearers = (_pairs(ask(["mmcli", "-b", path, "-K"])) for path in paths)
    return next((bearer for bearer in bearers if bearer.get("bearer.status.connected") == "yes"), {})


def _pairs(said):
    lines = (line.partition(":") for line in said.splitlines())
    return {name.strip(): value.strip() for name, colon, value in lines if colon}


def _mmcli_is_up(settings, ask):
    return bool(_mmcli_bearer(settings, ask))


def _mmcli_interface(settings, _said, ask):
    name = _mmcli_bearer(settings, ask).get("bearer.status.interface", "--")
    return None if name == "--" else name


TABLE = {
    "command": Dialler(
        up=lambda settings, password: settings["up"],
        down=lambda settings: settings["down"],
        texts=_MODEM, english=False),
    "rasdial": Dialler(
        up=_rasdial_up,
        down=lambda settings: ["rasdial", settings["entry"], "/DISCONNECT"],
        takes_password=True,
        codes=_RAS, texts=tuple((f"error {code} ", reason) for code, reason in _RAS.items()),
        is_up=_rasdial_is_up),
    "ppp": Dialler(
        up=_ppp_up,
        down=lambda settings: ["poff", settings["entry"]],
        codes={2: NOT_THERE, 7: NOT_THERE, 10: NO_ROUTE, 15: NO_CARRIER, 16: NO_CARRIER, 19: WRONG_PASSWORD},
        texts=(*_CHAT, ("does not exist", NOT_THERE), ("authentication failed", WRONG_PASSWORD)),
        is_down=("No pppd is running", "could not find a pppd process"), until_gone=True,
        interface=_ppp_interface,
        hidden=re.compile(r"(?<=Script ).*(?= finished \(pid)|(?<=send \().*(?=\))")),
    "networkmanager": Dialler(
        up=_nmcli_up,
        down=lambda settings: ["nmcli", "connection", "down", settings["entry"]],
        takes_password=True, given=_nmcli_given,
        codes={3: TIMED_OUT, 8: NOT_THERE, 10: NOT_THERE},
        texts=(("The line is busy", BUSY), ("No dial tone", NO_DIALTONE),
               ("No carrier could be established", NO_CARRIER), ("The dialing request timed out", NO_CARRIER),
               ("network could not be found", NO_CARRIER), ("Secrets were required", WRONG_PASSWORD),
               ("No agents were available", WRONG_PASSWORD), ("SIM PIN", WRONG_PASSWORD), ("SIM PUK", WRONG_PASSWORD),
               ("IP configuration could not be reserved", NO_ROUTE), ("IP configuration is no longer", NO_ROUTE),
               ("No suitable device found", NOT_THERE), ("The modem could not be found", NOT_THERE),
               ("SIM card not inserted", NOT_THERE), ("Modem failed or no longer available", NOT_THERE),
               ("Failed to select the specified APN", NOT_THERE), ("Could not create NMClient", NOT_THERE)),
        is_down=("is not an active connection",),
        is_up=_nmcli_is_up, interface=_nmcli_interface),
    "modemmanager": Dialler(
        up=_mmcli_up,
        down=lambda settings: ["mmcli", "-m", settings["entry"], "--simple-disconnect"],
        takes_password=True,
        texts=(("Connection.Busy", BUSY), ("Connection.NoCarrier", NO_CARRIER), ("Connection.NoAnswer", NO_CARRIER),
               ("MobileEquipment.NoNetwork", NO_CARRIER), ("MobileEquipment.NetworkTimeout", NO_CARRIER),
               ("Connection.NoDialtone", NO_DIALTONE), ("UserAuthenticationFailed", WRONG_PASSWORD),
               ("IncorrectPassword", WRONG_PASSWORD), ("SimPin", WRONG_PASSWORD), ("SimPuk", WRONG_PASSWORD),
               ("Modem is locked", WRONG_PASSWORD), ("couldn't find modem", NOT_THERE),
               ("couldn't find the ModemManager process", NOT_THERE), ("couldn't get bus", NOT_THERE),
               ("SimNotInserted", NOT_THERE), ("MissingOrUnknownApn", NOT_THERE),
               ("ServiceOptionNotSubscribed", NOT_THERE), ("Timeout was reached", TIMED_OUT),
               ("ResponseTimeout", TIMED_OUT)),
        is_down=("couldn't find modem",),       # it was pulled out, or began anew, and the connection went with it
        is_up=_mmcli_is_up, interface=_mmcli_interface),
}

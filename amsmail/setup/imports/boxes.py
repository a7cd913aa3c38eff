"""The users of other programs as boxes of mail.cfg.

Each function takes the text of a file, and the names of the boxes that mail.cfg has already, and gives Imported.  A
hash is taken over if the libraries here can verify it; no other scheme is learned for it.
"""

import csv
import io
import re

from amsmail.setup.imports.result import Imported
from amsmail.site import passwords
from amsmail.site.rules import is_file_name
from amsmail.site.values import listed
from amsmail.wire.address import AddressError, parse_address

_FIRST_PERSON, _NOBODY = 1000, 65534        # user numbers of Debian's policy, section 9.2.2
_NO_SHELLS = {"nologin", "false", "sync", "shutdown", "halt"}
_SET_ONE = "the box has no password: set one with mailcfg password --box"
_UNKNOWN = f"the hash is of a kind that cannot be verified here ({{}}); {_SET_ONE}"

# Dovecot's schemes whose text is a hash as crypt(3) knows it.
_CRYPT_SCHEMES = {"CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "BLF-CRYPT", "ARGON2I", "ARGON2ID"}
_PLAIN_SCHEMES = {"PLAIN", "CLEAR", "CLEARTEXT"}

_COLUMNS = ("box", "password", "hash", "addresses")


class _Boxes:
    """Gathers boxes.  Two users that would share a box are both left out: one would read the other's mail."""

    def __init__(self, taken):
        self._taken = set(taken)
        self._found = {}            # box -> [(line, user, password, addresses)]
        self._left_out = []

    def leave_out(self, line, what, why):
        self._left_out.append((line, what, why))

    def add(self, line, user, password="", addresses=()):
        """A box for `user`, with the hash of a password or '', and addresses besides the box's own name."""
        box = user.partition("@")[0].lower()
        if not is_file_name(box):
            self.leave_out(line, user, "no box can be called so: 1 to 64 of a-z, 0-9, '.', '_', '-'")
        elif box in self._taken:
            self.leave_out(line, user, f"there is a box {box} already; it was left as it is")
        else:
            self._found.setdefault(box, []).append((line, user, password, addresses))

    def imported(self):
        changes = {}
        for box, users in self._found.items():
            if len(users) > 1:
                names = ", ".join(user for _, user, _, _ in users)
                for line, user, _, _ in users:
                    self.leave_out(line, user, f"{names} would all be the box {box}; none was taken over: name the "
                                               "boxes yourself, in a CSV file")
                continue
            line, user, password, addresses = users[0]
            if user.partition("@")[0] != box:
                self.leave_out(line, user, f"the box is called {box}: names of boxes are lower-case")
            changes["boxes", box, "password"] = password
            if addresses:
                changes["boxes", box, "addresses"] = ", ".join(addresses)
        return Imported(changes, {}, sorted(self._left_out, key=lambda each: each[0]))

    def hash(self, line, user, text):
        """`text` if it is a hash that can be verified here, else ''; then the reason is listed."""
        if not text:
            self.leave_out(line, user, f"had no password; {_SET_ONE}")
        elif re.match(r"[!*]", text):
            self.leave_out(line, user, f"the login was locked; {_SET_ONE} if there is to be one")
        elif not passwords.is_hash(text) or not passwords.can_verify(text):
            self.leave_out(line, user, _UNKNOWN.format(_kind(text)))
        else:
            return text
        return ""

    def hashed(self, line, user, password):
        """The hash of a password in clear, '' if no box can have it."""
        if passwords.is_possible(password):
            return passwords.hashed(password)
        self.leave_out(line, user, f"a password is {passwords.EXPECTED}; {_SET_ONE}")
        return ""


def _kind(text):
    """The kind of a hash, without the hash."""
    match = re.match(r"\$[a-z0-9-]{1,20}\$|\{[A-Za-z0-9.-]{1,20}\}", text)
    return match[0] if match else "DES or unknown"


def _fields(text):
    """(line number, fields) of the lines of a file like passwd(5)."""
    for number, row in enumerate(text.splitlines(), 1):
        if row.strip() and not row.startswith("#"):
            yield number, row.split(":")


def passwd(text, shadow="", taken=()):
    """The people of passwd(5), with the hashes of shadow(5): who has a user number of 1000 or more and a shell."""
    boxes = _Boxes(taken)
    hashes = {fields[0]: fields[1:] for _, fields in _fields(shadow) if len(fields) > 1}
    others = []
    for line, fields in _fields(text):
        if len(fields) != 7 or not fields[2].isdigit():
            boxes.leave_out(line, "the line", "is none of passwd(5)")
        elif not _FIRST_PERSON <= int(fields[2]) < _NOBODY or fields[6].rpartition("/")[2] in _NO_SHELLS:
            others.append(fields[0])
        else:
            user, found = fields[0], hashes.get(fields[0], [])
            if fields[1] == "x" and not found:
                boxes.leave_out(line, user, f"shadow has no password for it; {_SET_ONE}")
                boxes.add(line, user)
            else:
                boxes.add(line, user, boxes.hash(line, user, found[0] if fields[1] == "x" else fields[1]))
            if len(found) > 6 and found[6]:
                boxes.leave_out(line, user, "the login expires on a day that shadow names; that of the box does not")
    if others:
        boxes.leave_out(0, ", ".join(others), "no people: a user number below 1000, or no shell")
    return boxes.imported()


def dovecot(text, taken=()):
    """The users of a passwd-file of Dovecot: user:{SCHEME}password:uid:gid:(gecos):home:(shell):extra fields."""
    boxes = _Boxes(taken)
    for line, fields in _fields(text):
        user, stored = fields[0], fields[1] if len(fields) > 1 else ""
        extra = ":".join(fields[7:]).strip()
        if extra:
            names = " ".join(word.partition("=")[0] for word in extra.split())
            boxes.leave_out(line, f"{user}: {names}", "there are no such fields here; a login is for the whole box")
        boxes.add(line, user, _dovecot_hash(boxes, line, user, stored), [user.lower()] if "@" in user else [])
    return boxes.imported()


def _dovecot_hash(boxes, line, user, stored):
    match = re.match(r"\{([A-Za-z0-9.-]+)\}", stored)
    scheme, text = (match[1].upper(), stored[match.end():]) if match else ("CRYPT", stored)
    if scheme in _PLAIN_SCHEMES:
        return boxes.hashed(line, user, text)
    if scheme in _CRYPT_SCHEMES:
        return boxes.hash(line, user, text)
    boxes.leave_out(line, user, _UNKNOWN.format(f"{{{scheme}}}"))
    return ""


def htpasswd(text, taken=()):
    """The users of a file that htpasswd(1) made: user:hash."""
    boxes = _Boxes(taken)
    for line, fields in _fields(text):
        if len(fields) < 2:
            boxes.leave_out(line, "the line", "is none of htpasswd(1)")
        else:
            boxes.add(line, fields[0], boxes.hash(line, fields[0], ":".join(fields[1:]).strip()))
    return boxes.imported()


def table(text, taken=()):
    """The rows of a CSV, whose first line names its columns: box, password or hash, addresses (with blanks between)."""
    boxes = _Boxes(taken)
    text = text.removeprefix("\ufeff")
    heading = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=";" if heading.count(";") > heading.count(",") else ",", strict=True)
    try:
        _rows(boxes, rows)
    except csv.Error as error:
        boxes.leave_out(rows.line_num, "the table", f"{error}; what stands from here on was passed over")
    return boxes.imported()


def _rows(boxes, rows):
    columns = [name.strip().lower() for name in next(rows, [])]
    if "box" not in columns:
        boxes.leave_out(1, "the first line", f"expected the names of the columns: {', '.join(_COLUMNS)}")
        return
    for name in columns:
        if name not in _COLUMNS:
            boxes.leave_out(1, name, f"no such column; expected {', '.join(_COLUMNS)}")
    for row in rows:
        if any(row):
            _row(boxes, rows.line_num, dict(zip(columns, row)), len(row) - len(columns))


def _row(boxes, line, row, surplus):
    box = row.get("box", "").strip()
    if not box:
        boxes.leave_out(line, "the line", "it names no box")
        return
    if surplus > 0:
        boxes.leave_out(line, box, "the line has more columns than the first line names")
    password, stored = row.get("password", ""), row.get("hash", "").strip()
    if password and stored:
        boxes.leave_out(line, box, "both a password and a hash; the hash counts")
    addresses = []
    for text in listed(row.get("addresses", "")):
        try:
            parse_address(text if "@" in text else f"{text}@yacht.example")
            addresses.append(text)
        except AddressError as error:
            boxes.leave_out(line, f"{box}: {text}", f"is no address: {error}")
    if password and not stored:
        found = boxes.hashed(line, box, password)
    else:
        found = boxes.hash(line, box, stored)
    boxes.add(line, box, found, addresses)


FORMATS = {"dovecot": dovecot, "htpasswd": htpasswd, "csv": table}        # and passwd, which takes two texts

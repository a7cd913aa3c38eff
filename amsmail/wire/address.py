"""Mail addresses and paths as SMTP writes them (RFC 5321, section 4.1.2; RFC 6531, section 3.3)."""

from amsmail.wire.value import Value

LOCAL_PART_OCTETS, DOMAIN_OCTETS, PATH_OCTETS = 64, 255, 256        # RFC 5321, section 4.5.3.1

_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_ATEXT = _ALNUM | frozenset("!#$%&'*+-/=?^_`{|}~")
_LET_DIG_HYP = _ALNUM | {"-"}


class AddressError(ValueError):
    """Text that is no address; the message says why."""


class Address(Value):
    """A mailbox: `local` without quoting, `domain` as written.  `domain` is '' for <Postmaster> alone."""

    __slots__ = ("local", "domain")

    def __str__(self):
        """The address as it stands between angle brackets, quoted only where it must be."""
        atoms = self.local.split(".")
        plain = all(atom and all(_is_atext(c) for c in atom) for atom in atoms)
        local = self.local if plain else '"' + self.local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def key(self):
        """What two spellings of one mailbox of ours have in common: boxes here do not tell case apart."""
        return f"{self.local}@{self.domain.rstrip('.')}".casefold()

    @property
    def is_ascii(self):
        return self.local.isascii() and self.domain.isascii()


def _is_atext(char):
    return char in _ATEXT or _is_beyond(char)


def _is_beyond(char):
    """Whether a character is one outside ASCII that UTF-8 can say, and no control character (RFC 6532, section 3.1)."""
    return char > "\x9f" and not "\ud800" <= char <= "\udfff"


class _Cursor:
    """A place in the text being parsed; every method is a production of the grammar."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def peek(self):
        return self.text[self.at:self.at + 1]

    def accept(self, char):
        if self.peek() != char:
            return False
        self.at += 1
        return True

    def expect(self, char, where):
        if not self.accept(char):
            found = repr(self.peek()) if self.peek() else "the end"
            raise AddressError(f"{found} where {where} needs {char!r}")

    def run(self, allowed):
        start = self.at
        while self.peek() and allowed(self.peek()):
            self.at += 1
        return self.text[start:self.at]

    def source_route(self):
        """A-d-l ":": accepted and dropped (RFC 5321, section 4.1.1.3, appendix C)."""
        while self.accept("@"):
            self.domain()
            if not self.accept(","):
                self.expect(":", "a source route")
                return

    def mailbox(self):
        local = self.quoted_string() if self.peek() == '"' else self.dot_string()
        if len(local.encode()) > LOCAL_PART_OCTETS:
            raise AddressError(f"the local part has more than {LOCAL_PART_OCTETS} octets")
        self.expect("@", "an address")
        return Address(local, self.address_literal() if self.peek() == "[" else self.domain())

    def dot_string(self):
        atoms = [self.run(_is_atext)]
        while self.accept("."):
            atoms.append(self.run(_is_atext))
        if not all(atoms):
            raise AddressError("a local part that is not quoted has an empty or wrong part")
        return ".".join(atoms)

    def quoted_string(self):
        self.expect('"', "a quoted string")
        chars = []
        while not self.accept('"'):
            self.accept("\\")
            char = self.peek()
            if not char or not (" " <= char <= "~" or _is_beyond(char)):
                raise AddressError("a quoted string has no end, or a control character in it")
            chars.append(char)
            self.at += 1
        return "".join(chars)

    def domain(self):
        labels = [self.run(_is_domain_char)]
        while self.accept("."):
            labels.append(self.run(_is_domain_char))
        for label in labels:
            if not label or label[0] == "-" or label[-1] == "-" or len(label.encode()) > 63:
                raise AddressError(f"{label[:70]!r} is no part of a domain name")
        domain = ".".join(labels)
        if len(domain.encode()) > DOMAIN_OCTETS:
            raise AddressError(f"the domain has more than {DOMAIN_OCTETS} octets")
        return domain

    def address_literal(self):
        self.expect("[", "an address literal")
        inside = self.run(lambda c: c not in "[]\\" and "!" <= c <= "~")
        self.expect("]", "an address literal")
        tag, colon, rest = inside.partition(":")
        good = is_ipv6(rest) if colon and tag.lower() == "ipv6" else is_ipv4(inside)
        if not good:
            raise AddressError(f"[{inside[:70]}] is no IPv4 address, and no IPv6 address with its tag")
        return f"[{inside}]"


def _is_domain_char(char):
    return char in _LET_DIG_HYP or _is_beyond(char)


def is_ipv4(text):
    """Whether `text` is four numbers of 0 to 255."""
    parts = text.split(".")
    return len(parts) == 4 and all(p.isascii() and p.isdigit() and len(p) <= 3 and int(p) <= 255 for p in parts)


def is_ipv6(text):
    """Whether `text` is an IPv6 address in one of the forms of RFC 4291, section 2.2."""
    groups = text.split(":")
    if groups[-1:] and "." in groups[-1]:
        if not is_ipv4(groups[-1]):
            return False
        groups[-1:] = ["0", "0"]
    if not all(len(g) <= 4 and all(c in "0123456789abcdefABCDEF" for c in g) for g in groups):
        return False
    if "::" not in text:
        return len(groups) == 8 and all(groups)
    if text.count("::") > 1 or ":::" in text:
        return False
    head, tail = text.split("::")
    ends_right = (not head or not head.startswith(":")) and not (tail.endswith(":"))
    return ends_right and sum(1 for g in groups if g) <= 7


def parse_path(text, null=False, postmaster=False):
    """A path at the start of `text`, and what follows it.

    Gives (Address, rest), or (None, rest) for the null path if `null` allows it.  `postmaster` allows <Postmaster>
    without a domain.  Characters outside ASCII (RFC 6531) are allowed.  Raises AddressError.
    """
    cursor = _Cursor(text)
    cursor.expect("<", "a path")
    if null and cursor.accept(">"):
        return None, text[cursor.at:]
    if postmaster and text[1:12].lower() == "postmaster>":
        return Address(text[1:11], ""), text[12:]
    cursor.source_route()
    address = cursor.mailbox()
    cursor.expect(">", "a path")
    if len(str(address).encode()) + 2 > PATH_OCTETS:
        raise AddressError(f"the path has more than {PATH_OCTETS} octets")
    return address, text[cursor.at:]


def parse_address(text):
    """The Address that is the whole of `text`, without angle brackets.  Raises AddressError."""
    cursor = _Cursor(text)
    address = cursor.mailbox()
    if cursor.at != len(text):
        raise AddressError(f"{text[cursor.at:][:70]!r} behind the address")
    return address

"""docs/FIRST-HOUR, done for real: a machine on which nothing is, its provider ashore, and mail that goes and comes.

The provider (Postfix, Dovecot and dnsmasq at their usual ports) and a laptop on board are in a network of their own,
and so talk with the yacht's machine over a wire.  The transcript in docs/FIRST-HOUR is what a person at a terminal sees
today; `AMSMAIL_WRITE_FIRST_HOUR=1 scripts/test tests/setup/test_first_hour.py` writes it anew.
"""

import ctypes
import os
import re
import subprocess
import sys
import textwrap
from contextlib import ExitStack, contextmanager

import pexpect
import pytest

from ..etc.installation import PROJECT
from ..real.boxes import Boxes
from ..real.certificate import make_certificate
from ..real.dovecot import Dovecot
from ..real.packages import Unavailable, environment, tree
from ..real.postfix import Postfix
from ..real.process import running
from . import install_world
from .install_world import world

public, source = install_world.public, install_world.source      # the fixtures

DOCUMENT = PROJECT / "docs/FIRST-HOUR"
SCRIPT = PROJECT / "docs/first-hour.sh"
WRITE = "AMSMAIL_WRITE_FIRST_HOUR"
BEGIN, END = "-------- the transcript --------\n", "-------- its end --------\n"
INDENT, WIDTH = "    ", 106     # WIDTH: columns of the transcript without its indent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Starts cron, and stops it when it is cron.
CRON = """
cron -f > /dev/null 2>&1 &
until [ "$(cat /proc/$!/comm)" = cron ]; do sleep 0.02; done
kill -STOP $!
"""
# What the test before installed.  Its last session may not have ended yet, and its user is in use until then.
UNDO = """
while pgrep -u amsmail > /dev/null; do sleep 0.02; done
if [ -e /usr/local/sbin/amsmail-install ]; then /usr/local/sbin/amsmail-install --undo --purge --yes; fi
"""
PATIENCE = 120                  # seconds for an answer, on a machine that has other work too

SHORE, YACHT, LAPTOP = "192.0.2.25", "192.168.7.2", "192.168.7.1"
AT_PROVIDER, COLLEAGUE = "yacht@shore.example", "colleague@shore.example"
PASSWORD = "as the provider gave it"
NAMES = f"""\
host-record=smtp.shore.example,{SHORE}
host-record=imap.shore.example,{SHORE}
host-record=mx.shore.example,{SHORE}
srv-host=_submissions._tcp.shore.example,smtp.shore.example,465
srv-host=_imaps._tcp.shore.example,imap.shore.example,993
mx-host=yacht.example,mx.shore.example
"""
LETTER = f"From: captain@yacht.example\nTo: {COLLEAGUE}\nSubject: We are under way\n\nAll is well.\n"
WAITING = (
    f"From: {COLLEAGUE}\nTo: captain@yacht.example\nSubject: A gale warning\n\nStay in port.\n",
    f"From: {COLLEAGUE}\nTo: captain@yacht.example\nSubject: The gale warning\n\nIt is over, says the radio.\n",
)

# The person's answers: (what is asked, the answer).
MAILCFG = (
    ("The domain", "yacht.example"),
    ("Do other people", ""),
    ("This machine's own name", ""),
    ("The box's name", ""),
    ("Addresses whose mail goes into it", ""),
    ("A password for captain", ""),
    ("One more box?", ""),
    ("Will mail programs on other machines", ""),
    ("The network that they are in", "192.168.7.0/24"),
    ("Make a certificate", ""),
    ("Write this?", ""),
)
MAILTRANSPORTCFG = (
    ("Is there a provider that sends our mail on?", ""),
    ("A mail address there, or the provider's name", AT_PROVIDER),
    ("Ask the DNS for the servers", ""),
    ("Is that right?", ""),
    ("The user name there", ""),
    ("The password there", PASSWORD),
    ("Once more", PASSWORD),
    ("Try it now?", ""),
    ("Is there an account at a provider to fetch from?", ""),
    ("A mail address there, or the provider's name", ""),
    ("A name for the account", ""),
    ("Is that right?", ""),
    ("The same login as the relay's", ""),
    ("Try it now?", ""),
    ("The box here that its mail goes to", "captain"),
    (f"Mail from here to {AT_PROVIDER}", ""),
    ("What becomes of a message there", ""),
    ("What the first call takes", ""),
    ("The rare questions too?", ""),
    ("One more account?", ""),
    ("Write this?", ""),
)
MAILCHECKCFG = (
    ("Is the network always there", "n"),
    ("A name for the link", "marina"),
    ("What kind of link", "present"),
    ("What shows that it is there", "interface eth0"),
    ("When calls are allowed", ""),
    ("Does a call cost by time, by octets, or nothing", ""),
    ("What now", "trial"),
    ("Which link", ""),
    ("Write this?", ""),
    ("What now", ""),
)


class AtShore(Postfix):
    """A Postfix that is reached from elsewhere, at the usual ports."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.submission, self.submissions = 587, 465

    def _write(self, name, lines):
        super()._write(name, [line.replace("127.0.0.1:", f"{SHORE}:").replace(
            "inet_interfaces = 127.0.0.1", f"inet_interfaces = {SHORE}") for line in lines])


@contextmanager
def inside(network):
    """This process in another network namespace, the file of which is given: what it starts there stays there."""
    setns = ctypes.CDLL(None, use_errno=True).setns
    with open("/proc/self/ns/net") as own, open(network) as other:
        if setns(other.fileno(), 0):
            raise Unavailable("a network of its own", os.strerror(ctypes.get_errno()))
        try:
            yield
        finally:
            setns(own.fileno(), 0)


class Provider:
    """shore.example, as a World reaches it: `network` is the file of the namespace that it and the laptop are in."""

    def __init__(self, folder, machine):
        self.folder, self._machine = folder, machine
        self.boxes = Boxes(folder / "mail", ("yacht", "colleague"))
        # Dovecot's boxes are named for the login, which is the whole address.
        for address in (AT_PROVIDER, COLLEAGUE):
            (self.boxes.folder / address).symlink_to(address.partition("@")[0])
        self.certificate = make_certificate(folder, ("DNS:smtp.shore.example", "DNS:imap.shore.example"))

    @contextmanager
    def running(self):
        passwords = dict.fromkeys((AT_PROVIDER, COLLEAGUE), PASSWORD)
        dovecot = Dovecot(self.folder / "dovecot", self.boxes, passwords, self.certificate, with_imap=True,
                          listen=SHORE)
        dovecot.pop3, dovecot.pop3s, dovecot.imap, dovecot.imaps = 110, 995, 143, 993
        postfix = AtShore(self.folder / "postfix", self.boxes, dovecot, settings="smtpd_peername_lookup = no")
        with ExitStack() as stack:
            holder = stack.enter_context(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo ready; exec sleep infinity"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE))
            stack.callback(holder.kill)
            holder.stdout.readline()
            self.network = f"/proc/{holder.pid}/ns/net"
            self._connect(holder.pid)
            with inside(self.network):
                for server in (dovecot.running(), postfix.running(), self._names()):
                    stack.enter_context(server)
            yield self

    def _connect(self, pid):
        """The yacht's machine has one cable, to the laptop, which is the router to the provider, too."""
        def run(network, *commands):
            for command in commands:
                subprocess.run(["nsenter", f"--net={network}", *command.split()], check=True)

        yacht = f"/proc/{self._machine.pid}/ns/net"
        run(yacht, f"ip link add eth0 type veth peer name lan netns {pid}",
            f"ip address add {YACHT}/24 dev eth0", "ip link set eth0 up")
        run(self.network, "ip link set lo up", f"ip address add {LAPTOP}/24 dev lan", "ip link set lan up",
            f"ip address add {SHORE}/32 dev lo")
        run(yacht, f"ip route add default via {LAPTOP}")

    def _names(self):
        root = tree("dnsmasq-base")
        folder = self.folder / "dns"
        folder.mkdir()
        (folder / "dnsmasq.conf").write_text(
            f"listen-address={SHORE}\nbind-interfaces\nno-resolv\nno-hosts\nlocal=/example/\npid-file=\n"
            f"user=root\nkeep-in-foreground\nlog-facility=-\n{NAMES}")
        return running([root / "usr/sbin/dnsmasq", f"--conf-file={folder / 'dnsmasq.conf'}"], {53}, folder,
                       environment(root))


class Person:
    """Somebody who types on the yacht's machine, or on the laptop; `seen` is what was on the screen."""

    def __init__(self, machine, provider, source):
        self._machine, self._provider, self.source = machine, provider, source
        self.seen = ""

    def on_yacht(self, command, *answers, piped=""):
        """Runs a command there as root, with answers (what is asked, the answer); gives its exit code.  `piped` is
        behind the command, and not seen."""
        enter = ["nsenter", f"--target={self._machine.pid}", "--mount", "--net", "--pid", "--root", "--wd"]
        # The machine's name is in what the programs say.
        line = f"hostname pi && cd {self.source} && {command} {piped}"
        return self._run(f"# {command}", [*enter, "unshare", "--uts", "sh", "-c", line], answers)

    def on_laptop(self, command, *answers):
        enter = ["nsenter", f"--net={self._provider.network}"]
        return self._run(f"laptop$ {command}", [*enter, "sh", "-c", command], answers)

    def _run(self, shown, command, answers):
        surroundings = {**os.environ, "PYTHON": sys.executable, "PATH": PATH, "LC_ALL": "C.UTF-8"}
        child = pexpect.spawn(command[0], command[1:], timeout=PATIENCE, encoding="utf-8", dimensions=(24, 200),
                              cwd=self._provider.folder, env=surroundings)
        child.delaybeforesend = None
        said = []
        for asked, answer in answers:
            for pattern in (r"\s+".join(map(re.escape, asked.split())), r"(: ?|> |\? |\] )$"):
                child.expect(pattern)
                said += [child.before, child.after]
            child.sendline(answer)
        child.expect(pexpect.EOF)
        said = "".join([*said, child.before]).replace("\r\n", "\n")
        child.close()
        self.seen += f"{shown}\n{said}\n"
        return child.exitstatus


# What is not the same each time, and what stands for it: (pattern, fixed words).
FIXED = (
    (r"copy amsmail\b.* to (/usr/local/lib/amsmail/)\S+", r"copy amsmail to \1VERSION"),
    (r"(?m)^amsmail \S+ on", "amsmail VERSION on"),
    (r"/usr/local/sbin, for \S+", "/usr/local/sbin, for /usr/bin/python3"),
    (r"(password of captain is: )\S+", r"\1bodura-zefino-kamibe-rotuvi"),
    (r"(?m)^  ([0-9A-F]{2}:){15}[0-9A-F]{2}:?$", "  3B:07:...:A9"),
    (r"(  3B:07:...:A9\n)+", "  3B:07:...:A9\n"),
    (r"TLSv1\.\d \w+", "TLSv1.3 TLS_AES_256_GCM_SHA384"),
    (r"(?m)^ +\d+ interface (?!eth0$).*\n", ""),
    (r"(?m)^ +\d+ (interface eth0)$", r"   1 \1"),
    (r"(?m)^@@ .* @@$", "@@ ... @@"),
    (r"\d+\.\d s\b", "0.3 s"),
    (r"\d+ octets( up)?, \d+ down", r"3500 octets\1, 5900 down"),
    (r"(carried) \d+ octets", r"\1 1500 octets"),
    (r"and the \d+ files in it", "and the 4 files in it"),
    (r"lies on \S+ \(\w+\)", "lies on / (ext4)"),
    (r"[\d,.]+ MB left", "12,000.0 MB left"),
    (r"valid until .* GMT", "valid until Nov 18 19:18:23 2036 GMT"),
    (r"the clock says \S+ \S+,", "the clock says 2026-11-21 19:18,"),
    (r"(?m)^(Received: (.*\n[ \t]+)*.*\n)+", ""),
)


def transcript(seen):
    """What was seen, with fixed words for what changes, in lines that fit."""
    for pattern, words in FIXED:
        seen = re.sub(pattern, words, seen)
    # The servers are reached at the same time.
    seen = re.sub(r"(?m)(^Reached: .*\n)+", lambda found: "".join(sorted(found[0].splitlines(True))), seen)
    return "\n".join(_folded(line.rstrip()) for line in seen.rstrip().split("\n")) + "\n"


def _folded(line):
    indent = INDENT + " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(line, WIDTH, initial_indent=INDENT, subsequent_indent=indent + "    ", break_long_words=False,
                         break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False) if line else ""


def told():
    """The transcript in the document."""
    return DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0].strip("\n") + "\n"


def write(text):
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


@pytest.fixture(scope="module")
def connected(public, source):
    """(a World with a super-server, cron and a provider, the Provider)."""
    with world(public, source, "openbsd-inetd", "cron") as machine:
        provider = Provider(public, machine)
        with provider.running():
            machine.write("/etc/resolv.conf", f"nameserver {SHORE}\n")
            where = "import ssl; print(ssl.get_default_verify_paths().openssl_cafile)"
            trusted = machine.must(sys.executable, "-c", where).strip()
            machine.write(trusted, provider.certificate.authority.read_text())
            machine.must("mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys")       # shows the network's interfaces
            # cron is there, and stopped, lest it calls in the midst of what is looked at.
            machine.must("sh", "-c", CRON)
            yield machine, provider


@pytest.fixture
def person(connected, source):
    """A Person before a machine on which nothing is; mail waits at the provider."""
    machine, provider = connected
    machine.must("sh", "-c", UNDO)
    for name in provider.boxes.names:
        provider.boxes.empty(name)
    for message in WAITING:
        provider.boxes.deliver("yacht", message)
    (provider.folder / "letter.txt").write_text(LETTER)
    return Person(machine, provider, source)


def send(person, machine, provider, password):
    """The laptop's mail program sends the letter, by TLS and with the box's login."""
    (provider.folder / "cert.pem").write_text(machine.must("cat", "/etc/amsmail/cert.pem"))
    assert person.on_laptop(
        f"curl -sS --cacert cert.pem --resolve mail.yacht.example:465:{YACHT} -u captain --crlf -T letter.txt "
        f"--mail-from captain@yacht.example --mail-rcpt {COLLEAGUE} smtps://mail.yacht.example",
        ("Enter host password for user 'captain'", password)) == 0, person.seen


def fetch(person, number, password):
    """It fetches a message by POP3; gives that."""
    before = len(person.seen)
    assert person.on_laptop(
        f"curl -sS --cacert cert.pem --resolve mail.yacht.example:995:{YACHT} -u captain "
        f"pop3s://mail.yacht.example/{number}", ("Enter host password for user 'captain'", password)) == 0, person.seen
    return person.seen[before:]


def read_ashore(person):
    """The colleague reads his mail at the provider; gives it."""
    before = len(person.seen)
    assert person.on_laptop(
        f"curl -sS --cacert ca.pem --resolve imap.shore.example:995:{SHORE} -u {COLLEAGUE} "
        "pop3s://imap.shore.example/1 | sed -n '/^From:/,$p'",
        (f"Enter host password for user '{COLLEAGUE}'", PASSWORD)) == 0, person.seen
    return person.seen[before:]


def test_from_nothing_to_a_message_that_went_out_and_one_that_came_in(connected, person):
    machine, provider = connected
    assert person.on_yacht("scripts/install", ("Go on?", "y")) == 0, person.seen
    assert person.on_yacht("mailcfg", *MAILCFG) == 0
    password = re.search("password of captain is: (.*)", person.seen)[1]
    assert person.on_yacht("mailtransportcfg", *MAILTRANSPORTCFG) == 0
    assert person.on_yacht("mailcheckcfg", *MAILCHECKCFG) == 0
    assert person.on_yacht("mailcfg check") == 0, person.seen
    send(person, machine, provider, password)
    # Without the bars of a terminal, which move.
    assert person.on_yacht("mailcheck", piped="--progress 2>&1 | cat") == 0
    assert "Stay in port." in fetch(person, 1, password)
    provider.boxes.messages("colleague", 1, PATIENCE)   # waits for Postfix to put it there
    assert "All is well." in read_ashore(person)
    text = transcript(person.seen)
    if os.environ.get(WRITE):
        write(text)
    assert told() == text, f"write it anew: {WRITE}=1 scripts/test tests/setup/test_first_hour.py"


def test_the_same_without_a_question(connected, person):
    """In the same words, docs/first-hour.sh makes the same site."""
    machine, provider = connected
    for name, password in {"captain.password": "correct horse", "provider.password": PASSWORD}.items():
        machine.write(f"{person.source}/{name}", password + "\n")
    assert person.on_yacht("sh -e docs/first-hour.sh < /dev/null") == 0, person.seen
    send(person, machine, provider, "correct horse")
    assert person.on_yacht("mailcheck") == 0
    assert "Stay in port." in fetch(person, 1, "correct horse")
    assert [LETTER.rstrip() in text.decode() for text in provider.boxes.messages("colleague", 1, PATIENCE)] == [
        True]
    for password in ("correct horse", PASSWORD):
        assert password not in person.seen


def test_the_script_is_short_and_has_no_secrets_on_its_lines():
    lines = SCRIPT.read_text().splitlines()
    assert len(lines) <= 15 and max(map(len, lines)) <= 106
    assert not re.search(r"--password[ =]|echo|printf", SCRIPT.read_text())
    assert all(f"    {line}".rstrip() in DOCUMENT.read_text().splitlines() for line in lines)


def test_the_document_can_be_read_at_a_console():
    text = DOCUMENT.read_text()
    assert max(map(len, text.splitlines())) <= 110 and text.isascii()

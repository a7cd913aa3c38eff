"""The main job of amsmail for you to watch, between two sites on this machine.

yacht.example is a small site with the boxes captain and cook.  provider.example is its provider ashore: a relay that
asks for a password, a mailbox where the yacht's mail waits, and a colleague.  The link between them is really dialled:
while it is down, the yacht reaches nothing ashore.
"""

import argparse
import contextlib
import fcntl
import itertools
import json
import os
import poplib
import secrets
import shlex
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from email.message import EmailMessage
from email.policy import SMTP as WITH_CRLF
from email.utils import formatdate, make_msgid
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PATIENCE, CALL = 20, 120       # seconds: for an answer, for a whole call

LOCK = "quickstart.lock"

YACHT_PORTS = {"smtp": 2525, "submission": 2587, "pop3": 2110}
PROVIDER_PORTS = {"smtp": 3525, "pop3": 3110}

CAPTAIN, COOK = "captain@yacht.example", "cook@yacht.example"
COLLEAGUE = "colleague@provider.example"

YACHT_CONFIG = """\
# The site of scripts/quickstart.  It is written anew at every start.
schema = 1

[site]
hostname = yacht.example
spool = {spool}
postmaster = captain
# Nobody relays without logging in.
relay_from =

[domains]
  [[yacht.example]]
  unknown = refuse

[boxes]
  [[captain]]
  password = {captain}
  [[cook]]
  password = {cook}

[relay]
host = {host}
port = {link_smtp}
tls = none
user = yacht
password = {yacht_password}

[accounts]
  [[provider]]
  type = pop3
  host = {host}
  port = {link_pop3}
  tls = none
  user = yacht
  password = {yacht_password}
  box = captain

[links]
  [[ashore]]
  type = command
  up = {up}
  down = {down}
"""

PROVIDER_CONFIG = """\
# The provider of scripts/quickstart.  It is written anew at every start.
schema = 1

[site]
hostname = provider.example
spool = {spool}
postmaster = colleague
relay_from =

[domains]
  [[provider.example]]
  unknown = refuse

[boxes]
  [[colleague]]
  password = {colleague}
  # Mail for the yacht waits here.
  [[yacht]]
  password = {yacht}
  addresses = yacht, captain@yacht.example, cook@yacht.example
"""


class Failure(Exception):
    """Something did not go as it must; the message says what."""


def main(arguments):
    """Runs it; gives the exit code."""
    options = parse(arguments)
    serving = not options.once and sys.stdin.isatty() and sys.stdout.isatty()
    signals.catch()
    cleanup = contextlib.ExitStack()
    sites = []
    try:
        folder = choose_folder(options.dir, serving, cleanup)
        run(folder, serving, sites, cleanup)
    except (Failure, OSError, smtplib.SMTPException, poplib.error_proto) as error:
        return complain(error, sites)
    finally:
        signals.ignore()
        cleanup.close()
    return 0


def parse(arguments):
    parser = argparse.ArgumentParser(usage="scripts/quickstart [--once] [--dir DIR]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="end after the round trip instead of serving until Ctrl-C; "
                                                            "so does a run without a terminal")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="keep both sites in DIR, not in .local/quickstart (or, "
                                                                "with --once, in a folder that is removed)")
    return parser.parse_args(arguments)


class Signals:
    """Turns the first signal that asks us to stop into SystemExit, but not while `held`; later ones change nothing.

    So a process that was just started is always known to the cleanup, and the cleanup is never cut short.
    """

    _STOP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

    def __init__(self):
        self._held = False
        self._came = None

    def catch(self):
        for number in self._STOP:
            signal.signal(number, self._on_signal)

    def ignore(self):
        for number in self._STOP:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def held(self):
        self._held = True
        yield
        self._held = False
        if self._came:
            self._leave()

    def _on_signal(self, number, _frame):
        self._came = number
        if not self._held:
            self._leave()

    def _leave(self):
        self.ignore()
        raise SystemExit(128 + self._came)


signals = Signals()


def complain(error, sites):
    with contextlib.suppress(BrokenPipeError):
        print(f"\nFAILED: {error}", flush=True)
        for line in itertools.chain.from_iterable(site.log_tail() for site in sites):
            print(f"  {line}", flush=True)
    return 1


# Where both sites live.

def choose_folder(wanted, serving, cleanup):
    if wanted:
        folder = wanted.absolute()
        if folder.is_dir() and any(folder.iterdir()) and not (folder / LOCK).exists():
            raise Failure(f"{folder} holds something else; name a folder that is new or empty")
        if not take(folder, cleanup):
            raise Failure(f"another quickstart is at work in {folder}")
        return folder
    if serving:
        folder = CHECKOUT / ".local" / "quickstart"
        try:
            if take(folder, cleanup):
                return folder
            why = "another quickstart is at work there"
        except PermissionError:
            why = "it belongs to another user"
        print(f"Not in {folder}: {why}. What follows is removed at the end.")
    with signals.held():
        folder = Path(tempfile.mkdtemp(prefix="amsmail.quickstart."))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def take(folder, cleanup):
    """Whether the folder is ours alone until the end."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = cleanup.enter_context(open(folder / LOCK, "w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def passwords_in(folder):
    """Those of the last run here, so that a mail program that knows them goes on working."""
    path = folder / "passwords"
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        passwords = {name: secrets.token_hex(4) for name in ("captain", "cook", "colleague", "yacht")}
        write_secret(path, json.dumps(passwords))
        return passwords


def write_secret(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        os.fchmod(f.fileno(), 0o600)
        f.write(text)


# The servers.

class Site:
    """One site: its folder, its mail.cfg, and the amsd that serves it."""

    def __init__(self, name, folder, preferred_ports, cleanup):
        self.name = name
        self.folder = folder
        self.spool = folder / "spool"
        self.config = folder / "mail.cfg"
        self.ports = self.preferred_ports = preferred_ports
        self._log = folder / "amsd.log"
        self._cleanup = cleanup
        folder.mkdir(exist_ok=True)

    def configure(self, template, **values):
        write_secret(self.config, template.format(spool=f'"{self.spool}"', **values))
        mailcfg("check", "--file", self.config)

    def serve(self):
        """Starts amsd.  When something else was quicker to take a port, all are chosen by the system."""
        free = dict.fromkeys(self.preferred_ports, 0)
        if not self._listen(choose_ports(self.preferred_ports)) and not self._listen(free):
            raise Failure(f"amsd of {self.name} does not start")

    def _listen(self, ports):
        listen = [f"--listen={service}={HOST}:{port}" for service, port in ports.items()]
        with open(self._log, "w") as log:
            self._amsd = self.start("amsd", *listen, self.config, stderr=log)
        timer = threading.Timer(PATIENCE, self._amsd.kill)
        timer.daemon = True
        timer.start()
        lines = []
        for line in self._amsd.stdout:
            lines.append(line.split())
            if lines[-1] == ["ready"]:
                break
        timer.cancel()
        self.ports = {words[1]: int(words[3]) for words in lines if words[0] == "listening"}
        return ["ready"] in lines

    def start(self, name, *arguments, stderr):
        """One of our programs, in a session of its own: Ctrl-C is for quickstart, which stops all in order."""
        with signals.held():
            process = subprocess.Popen(program(name, *arguments), start_new_session=True, text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr)
            self._cleanup.callback(stop, process)
        return process

    def is_served(self):
        return self._amsd.poll() is None

    def log_tail(self):
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return [f"{self.name}: {line}" for line in lines[-10:]]


def program(name, *arguments):
    return [sys.executable, CHECKOUT / "bin" / name, *arguments]


def mailcfg(*arguments, stdin=""):
    """What mailcfg prints."""
    result = subprocess.run(program("mailcfg", *arguments), input=stdin, capture_output=True, text=True,
                            start_new_session=True)
    if result.returncode:
        raise Failure(f"mailcfg {arguments[0]}: {result.stderr.strip()}")
    return result.stdout.strip()


def stop(process):
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def choose_ports(preferred):
    """{service: port}; a port that something else has is replaced by a free one."""
    chosen = {}
    for service, port in preferred.items():
        try:
            socket.create_server((HOST, port)).close()
            chosen[service] = port
        except OSError:
            chosen[service] = 0
    return chosen


def hold_port(cleanup):
    """A free port that nobody else gets, although nothing listens there until the link is up."""
    holder = cleanup.enter_context(socket.socket())
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((HOST, 0))
    return holder.getsockname()[1]


class Link:
    """The yacht's link: two ports on its side that reach the provider's servers while the link is up."""

    def __init__(self, folder, provider, cleanup):
        self._ports = {service: hold_port(cleanup) for service in ("smtp", "pop3")}
        forwards = [f"{port}={HOST}:{provider.ports[service]}" for service, port in self._ports.items()]
        command = [sys.executable, str(CHECKOUT / "scripts" / "demo-link")]
        self._up = [*command, "up", str(folder), *forwards]
        self._down = [*command, "down", str(folder)]
        cleanup.callback(subprocess.run, self._down)

    def values(self):
        return {"host": HOST, "link_smtp": self._ports["smtp"], "link_pop3": self._ports["pop3"],
                "up": f'"{shlex.join(self._up)}"', "down": f'"{shlex.join(self._down)}"'}

    def check_down(self):
        """Says what a connection attempt gives, which must be nothing."""
        port = self._ports["smtp"]
        try:
            socket.create_connection((HOST, port), PATIENCE).close()
        except ConnectionRefusedError:
            tell("the link is down", f"port {port} to the provider: connection refused")
        else:
            raise Failure(f"the link is not down: somebody answers on port {port}")


# What mail programs do.

def compose(sender, recipient, subject, text):
    message = EmailMessage(policy=WITH_CRLF)
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain=sender.partition("@")[2])
    message.set_content(text)
    return message.as_bytes()


def send(site, service, login, sender, recipient, message):
    """Sends it by SMTP; gives the server's answer to the message."""
    with contextlib.closing(smtplib.SMTP(HOST, site.ports[service], timeout=PATIENCE)) as client:
        client.login(*login)
        for reply in (client.mail(sender), client.rcpt(recipient), client.data(message)):
            if reply[0] != 250:
                raise Failure(f"{site.name} refuses the message to {recipient}: {words_of(reply)}")
        client.quit()
        return words_of(reply)


def words_of(reply):
    code, text = reply
    return f"{code} {text.decode(errors='replace')}"


def fetch(site, login):
    """All messages of a box, by POP3, newest first."""
    user, password = login
    with contextlib.closing(poplib.POP3(HOST, site.ports["pop3"], timeout=PATIENCE)) as client:
        client.user(user)
        client.pass_(password)
        count = client.stat()[0]
        messages = [b"".join(line + b"\r\n" for line in client.retr(number)[1]) for number in range(count, 0, -1)]
        client.quit()
        return messages


def expect(site, login, message, why):
    """The message must be in the box as it was sent, octet for octet, below the lines that servers put on top."""
    for received in fetch(site, login):
        if received.endswith(message):
            trace = received.removesuffix(message).splitlines()
            if all(line.startswith((b"Return-Path:", b"Received:", b" ", b"\t")) for line in trace):
                tell(why, f"as it was sent: {len(message)} octets, below {len(trace)} lines of trace")
                return
    raise Failure(f"{why}: the message is not in box {login[0]} as it was sent")


def size_of(folder):
    """(number, octets) of the messages in a drop box."""
    sizes = [entry.stat().st_size for entry in os.scandir(folder / "new")] if folder.exists() else []
    return len(sizes), sum(sizes)


# The story.

_steps = itertools.count(1)


def run(folder, serving, sites, cleanup):
    started = time.monotonic()
    yacht = Site("yacht.example", folder / "yacht", YACHT_PORTS, cleanup)
    provider = Site("provider.example", folder / "provider", PROVIDER_PORTS, cleanup)
    sites += [yacht, provider]
    passwords = passwords_in(folder)
    hashes = {name: mailcfg("password", "--stdin", stdin=password) for name, password in passwords.items()}

    provider.configure(PROVIDER_CONFIG, **hashes)
    provider.serve()
    link = Link(folder / "link", provider, cleanup)
    yacht.configure(YACHT_CONFIG, **hashes, **link.values(), yacht_password=passwords["yacht"])
    yacht.serve()
    introduce(folder, yacht, provider)

    story(yacht, provider, link, {name: (name, password) for name, password in passwords.items()})
    print(f"\nAll of it worked, in {time.monotonic() - started:.1f} s.", flush=True)
    if serving:
        settings(yacht, provider, passwords)
        serve(sites)


def introduce(folder, yacht, provider):
    print(f"Two sites on this machine, in {folder}")
    for site, what in (yacht, "a small site"), (provider, "its provider ashore"):
        tell(f"{site.name}, {what}", ", ".join(f"{service} {port}" for service, port in site.ports.items()))
        for service, port in site.preferred_ports.items():
            if site.ports[service] != port:
                tell("", f"({service} would be {port}, but something else uses that port)")


def story(yacht, provider, link, logins):
    step("From box to box")
    supper = compose(CAPTAIN, COOK, "Supper", "Six of us tonight.\n\n.. and the pilot, if the wind holds.\n")
    reply = send(yacht, "submission", logins["captain"], CAPTAIN, COOK, supper)
    tell("captain sends to cook by SMTP", reply)
    expect(yacht, logins["cook"], supper, "cook reads it by POP3")

    step("One for a colleague ashore, while the link is down")
    order = compose(CAPTAIN, COLLEAGUE, "Spare parts", "Two impellers, please, before Friday.\n")
    tell("captain sends it by SMTP", send(yacht, "submission", logins["captain"], CAPTAIN, COLLEAGUE, order))
    count, octets = size_of(yacht.spool / "queue")
    if not count:
        raise Failure("the message is not in the outbound queue")
    tell("outbound queue", f"{count} message{'s' * (count > 1)}, {octets} octets with the envelope")
    link.check_down()

    step("One from the colleague, waiting at the provider")
    answer = compose(COLLEAGUE, CAPTAIN, "Berth 14", "The harbour master expects you at 0700.\n")
    tell("colleague sends it by SMTP", send(provider, "smtp", logins["colleague"], COLLEAGUE, CAPTAIN, answer))
    count, octets = size_of(provider.spool / "boxes" / "yacht")
    tell("the yacht's mailbox ashore", f"{count} message{'s' * (count > 1)}, {octets} octets")

    step("mailcheck: dials, relays, fetches, hangs up")
    mailcheck(yacht)
    count, _ = size_of(yacht.spool / "queue")
    if count:
        raise Failure(f"{count} messages are still in the outbound queue")
    tell("outbound queue", "empty")
    link.check_down()

    step("Both have arrived")
    expect(provider, logins["colleague"], order, "colleague reads it by POP3, ashore")
    expect(yacht, logins["captain"], answer, "captain reads it by POP3, on board")


def mailcheck(site):
    process = site.start("mailcheck", "--now", "--progress", site.config, stderr=subprocess.STDOUT)
    try:
        output, _ = process.communicate(timeout=CALL)
    except subprocess.TimeoutExpired:
        raise Failure(f"mailcheck has not ended after {CALL} s") from None
    for line in output.splitlines():
        print(f"   | {line}")
    if process.returncode:
        raise Failure(f"mailcheck exits with {process.returncode}")
    call = json.loads((site.spool / "state" / "ledger.jsonl").read_text().splitlines()[-1])
    tell("ledger", f"link {call['link']}, {call['seconds']} s, {call['bytes_up']} octets up, {call['bytes_down']} down")
    tell("", f"{call['messages_out']} sent, {call['messages_in']} fetched; {call['outcome']}")


def settings(yacht, provider, passwords):
    print("\nFor a mail program on this machine (connection security: none; authentication: normal password)")
    for site, service, names in ((yacht, "submission", ("captain", "cook")), (provider, "smtp", ("colleague",))):
        tell("incoming: POP3", f"{HOST}  port {site.ports['pop3']}")
        tell("outgoing: SMTP", f"{HOST}  port {site.ports[service]}")
        for name in names:
            tell(f"{name}@{site.name}", f"user name {name}, password {passwords[name]}")
    print("\nTo call the provider:\n   " + shlex.join(map(str, program("mailcheck", "--now", yacht.config))))
    print("\nServing until Ctrl-C.", flush=True)


def serve(sites):
    """Until Ctrl-C, which is the good end."""
    try:
        while all(site.is_served() for site in sites):
            time.sleep(0.5)
    except SystemExit as end:
        if end.code != 128 + signal.SIGINT:
            raise
        print("\nStopped.")
        return
    raise Failure("a server has ended by itself")


def step(title):
    print(f"\n{next(_steps)}  {title}", flush=True)


def tell(what, result):
    print(f"   {what:<37} {result}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

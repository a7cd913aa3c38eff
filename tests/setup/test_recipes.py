"""docs/RECIPES: what stands there is run, makes the mail.cfg that stands there, and does what is promised.

`AMSMAIL_WRITE_RECIPES=1 scripts/test tests/setup/test_recipes.py` writes the mail.cfgs into it anew.
"""

import os
import poplib
import re
import smtplib
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import datetime

import pytest

from amsmail.site import config, routing, windows
from amsmail.site.accounts import login
from amsmail.wire.address import parse_address
from amsmail.wire.sasl import Credentials
from tests.mailcheck.sites import Shore

from ..etc.installation import PASSWORD, PROJECT

DOCUMENT = PROJECT / "docs/RECIPES"
WRITE = "AMSMAIL_WRITE_RECIPES"
TITLES = ("One relay, and one account per person", "A whole domain in one account", "No domain of our own",
          "Three links", "A classroom without Internet")


def recipe(title):
    """The text of one of the recipes."""
    return re.search(rf"(?ms)^\d\. {re.escape(title)}$(.*?)(?=^\d\. |\Z)", DOCUMENT.read_text())[1]


def block(text, heading):
    """The indented lines that follow a heading, without their indent."""
    found = re.search(rf"(?m)^{re.escape(heading)}:\n\n((?:    .*\n)+)", text)
    return re.sub(r"(?m)^    ", "", found[1]) if found else ""


def short(text):
    """A mail.cfg without comments, empty lines and sections, defaults of a new one, and secrets."""
    text = re.sub(r"(?m)^(#.*|\s*|schema = .*|spool = .*)\n", "", text)
    text = re.sub(r"(?m)^(relay_from|cleartext_login_from) = 127.0.0.0/8, ::1\n", "", text)
    text = re.sub(r"(?m)^( *password = ).*$", r"\1(not shown)", text)
    return re.sub(r"(?m)^\[\w+\]\n(?=\[\w|\Z)", "", text)


class Made:
    """The site that a recipe made in `folder`: `text`, its mail.cfg; run(*words) runs a program there."""

    def __init__(self, folder, title):
        self.folder = folder
        subprocess.run([sys.executable, "-m", "amsmail.program.launchers", folder, "--config", folder / "mail.cfg"],
                       cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
        commands = block(recipe(title), "Commands")
        for name in set(re.findall(r"< (\S+)", commands)):
            (folder / name).write_text(PASSWORD + "\n")
        (folder / "class.csv").write_text(block(recipe(title), "class.csv"))
        # All that is not as it stands there: the spool is not the machine's.
        (folder / "recipe").write_text(commands.replace("mailcfg new", f"mailcfg new --spool {folder}/spool"))
        self.run("sh", "-e", "recipe")
        self.text = (folder / "mail.cfg").read_text()

    @property
    def site(self):
        return config.load(self.folder / "mail.cfg")

    def run(self, *words, code=0):
        """What a program prints; its exit code has to be `code`."""
        surroundings = {**os.environ, "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(list(map(str, words)), cwd=self.folder, env=surroundings, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def leads(self, address):
        """Where mail for an address leads: a box's name, ToQueue, or Refused."""
        found = routing.route(self.site, parse_address(address), may_relay=True)
        return found.name if isinstance(found, routing.ToBox) else type(found).__name__


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Gives the Made of a title, made once."""
    sites = {}

    def make(title):
        if title not in sites:
            sites[title] = Made(tmp_path_factory.mktemp("recipe"), title)
        return sites[title]
    return make


@pytest.mark.parametrize("title", TITLES)
def test_a_recipe_makes_the_mail_cfg_that_stands_below_it(title, made):
    """And mailcfg finds nothing wrong in it."""
    found = short(made(title).text)
    if os.environ.get(WRITE):
        write(title, found)
    assert block(recipe(title), "mail.cfg") == found, (
        f"write it anew: {WRITE}=1 scripts/test tests/setup/test_recipes.py")
    assert "\n0 wrong, " in made(title).run("mailcfg", "check", "--file")


def write(title, found):
    text = DOCUMENT.read_text()
    old = recipe(title)
    before, heading, after = old.partition("\nmail.cfg:\n")
    after = re.sub(r"\A\n(?:    .*\n)+", "", after)
    shown = re.sub(r"(?m)^(?=.)", "    ", found)
    DOCUMENT.write_text(text.replace(old, f"{before}{heading}\n{shown}{after}"))


def test_each_recipe_is_looked_at():
    assert tuple(re.findall(r"(?m)^\d\. (.*)$", DOCUMENT.read_text())) == TITLES


def test_the_document_can_be_read_at_a_console():
    text = DOCUMENT.read_text()
    assert max(map(len, text.splitlines())) <= 110 and text.isascii()


def test_one_account_per_person(made):
    made = made(TITLES[0])
    assert {name: account["box"] for name, account in made.site.accounts.items()} == {"captain": "captain",
                                                                                      "cook": "cook"}
    assert made.leads("galley@yacht.example") == "cook" and made.leads("captain@yacht.example") == "captain"
    assert made.leads("agent@port.example") == "ToQueue"
    assert login(made.site, Credentials("cook", PASSWORD, "")) == ("box", "cook")


def test_a_whole_domain_in_one_account(made, tmp_path):
    """With a real call, to a provider on this machine."""
    made = made(TITLES[1])
    with Shore(tmp_path, "pop3") as shore:
        made.run("mailtransportcfg", "account", "set", "station", "--type", "pop3", "--host", "127.0.0.1", "--tls",
                 "none", "--port", shore.ports["pop3"], "--user", "yacht")
        made.run("sh", "-c", "echo secret | mailtransportcfg account set station --password-stdin")
        for to in "lab", "clinic", "nobody":
            shore.put("yacht", f"Delivered-To: {to}@station.example\nSubject: To {to}\n\nHello.\n".encode())
        made.run("mailcheck")
        assert {box: subjects(made, box) for box in made.site.boxes} == {
            "lab": ["To lab"], "doctor": ["To clinic"], "office": ["To nobody"]}
        made.run("mailtransportcfg", "account", "set", "station", "--envelope-prefix", "station-")
        shore.put("yacht", b"Delivered-To: station-lab@station.example\nSubject: With prefix\n\nHello.\n")
        made.run("mailcheck")
        assert subjects(made, "lab") == ["To lab", "With prefix"]


def subjects(made, box):
    folder = made.folder / "spool/boxes" / box / "new"
    return sorted(re.search(r"(?m)^Subject: (.*)$", path.read_text())[1] for path in folder.iterdir())


def test_no_domain_of_our_own(made):
    made = made(TITLES[2])
    assert made.leads("ourboat@provider.example") == "captain"
    assert made.leads("captain@provider.example") == "ToQueue"      # somebody else's, ashore
    assert made.leads("agent@port.example") == "ToQueue"


def test_three_links(made):
    made = made(TITLES[3])
    plan = made.run("mailcheck", "--plan")
    assert re.search(r"(?m)^Call over (marina: it is up|gsm: the first that may be used; marina: it is not there)\.$",
                     plan), plan
    assert "  fetches from yacht" in plan
    assert re.search(r"(?m)^Link satellite: (its window is closed until .* 22:00|may be used.*)\.$", plan), plan
    assert made.run("mailcheckcfg", "price").splitlines()[1:] == [
        "  marina: nothing by use", "  gsm: 0.11 EUR", "  satellite: 8.00 EUR"]
    opening = windows.parse(made.site.links["satellite"]["windows"])
    assert [opening.is_open(datetime(2026, 7, 1, hour).astimezone()) for hour in (5, 6, 21, 22)] == [
        True, False, False, True]
    made.run("mailcheckcfg", "link", "use", "satellite")
    plan = made.run("mailcheck", "--plan")
    assert "satellite" in plan and "marina" not in plan and "gsm" not in plan
    made.run("mailcheckcfg", "link", "use", "any")
    assert "gsm" in made.run("mailcheck", "--plan")


@contextmanager
def served(program):
    """The port at which a program serves each connection, started for it as by inetd."""
    def serve():
        with listener:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    sessions.append(subprocess.Popen([program], stdin=connection, stdout=connection))

    sessions, listener = [], socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for session in sessions:
            session.wait(30)


def test_a_classroom_without_internet(made):
    made = made(TITLES[4])
    with served(made.folder / "smtpd") as port, smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.login("anna", "blue-boat-9")
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="no relay is configured"):
            client.sendmail("anna@class.home.arpa", "friend@far.example", "Subject: Out\n\nInto the world.\n")
        client.sendmail("anna@class.home.arpa", ["ben@class.home.arpa", "teacher@class.home.arpa"],
                        "Subject: Hello\n\nGood morning.\n")
    for name, password in ("ben", "red-kite-4"), ("teacher", PASSWORD):
        with served(made.folder / "pop3d") as port:
            client = poplib.POP3("127.0.0.1", port, timeout=30)
            client.user(name)
            client.pass_(password)
            assert b"Good morning." in client.retr(1)[1]
            client.quit()
    assert made.run("mailcheck") == ""

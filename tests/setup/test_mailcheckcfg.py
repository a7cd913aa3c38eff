"""mailcheckcfg: its commands, the trial call with fake diallers, and its dialogue through a pseudo-terminal."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime, timedelta

import pytest

from amsmail.link import diallers, failures, ledger, presence
from amsmail.link.dialled import Dialled
from amsmail.program import mailcheckcfg, trialcall
from amsmail.setup.ask import found_links
from tests.link_dial.conftest import ENTRIES, FAKES, Line
from tests.mailcheck.peers import Relay
from tests.mailcheck.sites import Site, account, relay

from .terminal import PATIENCE, Terminal

BIN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "bin", "mailcheckcfg")
MONEY = {"currency": "EUR", "setup_charge": "0.10", "per_minute": "0.25"}


class Boat(Site):
    """A site whose links are set up by mailcheckcfg."""

    def __init__(self, folder, capsys):
        super().__init__(folder)
        self._capsys = capsys

    def run(self, *words):
        """(exit code, what it said, what it complained of) of a command line."""
        self._capsys.readouterr()
        try:
            code = mailcheckcfg.main([*words, "--config", str(self.path)])
        except SystemExit as end:
            code = end.code
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def does(self, *words):
        """What it says of a command line that it obeys."""
        code, said, complaint = self.run(*words)
        assert (code, complaint) == (0, ""), complaint
        return said

    def refuses(self, *words, code=78):
        """What it complains of; mail.cfg is left as it is."""
        before = self.path.read_bytes()
        found, _, complaint = self.run(*words)
        assert found == code and self.path.read_bytes() == before
        return complaint

    def links(self, **links):
        self.configure(links=links)

    @property
    def ledger(self):
        return ledger.read(self.spool.state("ledger.jsonl"))

    @property
    def left_behind(self):
        """The links of which there is a record that they may be up."""
        return list(Dialled(self.spool.state("dialled")).left_behind())


@pytest.fixture
def boat(tmp_path, capsys):
    return Boat(tmp_path / "boat", capsys)


@pytest.fixture
def line(tmp_path, monkeypatch):
    """What the fake diallers play."""
    folder = tmp_path / "line"
    folder.mkdir()
    monkeypatch.setenv("FAKE_DIAL_STATE", str(folder))
    monkeypatch.setenv("PATH", os.pathsep.join([str(FAKES), os.path.dirname(sys.executable), os.environ["PATH"]]))
    return Line(folder)


# Commands

def test_links_are_added_changed_and_listed(boat):
    assert "link gsm added" in boat.does("link", "add", "gsm", "--type", "ppp", "--entry", "station")
    boat.does("link", "set", "gsm", "--windows", "22:00-06:00", "--currency", "EUR", "--per-minute", "0.30")
    assert boat.site.links["gsm"]["per_minute"] == "0.30"
    assert "  windows = 22:00-06:00\n" in boat.does("link")
    assert json.loads(boat.does("link", "list", "--json")) == {"gsm": {
        "type": "ppp", "entry": "station", "windows": "22:00-06:00", "currency": "EUR", "per_minute": "0.30"}}
    boat.does("link", "set", "gsm", "--windows", "")
    assert boat.site.links["gsm"]["windows"] == ""


def test_a_password_comes_from_standard_input_and_is_never_shown(boat, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("gsm's secret\n"))
    said = boat.does("link", "add", "gsm", "--type", "modemmanager", "--entry", "0", "--password-stdin")
    assert boat.site.links["gsm"]["password"] == "gsm's secret"
    assert "secret" not in said + boat.does("link", "list") + boat.does("link", "list", "--json")
    monkeypatch.setattr(sys, "stdin", io.StringIO("another\n"))
    assert "another" not in boat.does("link", "set", "gsm", "--password-stdin", "--dry-run")


def test_a_password_command_is_never_shown_either(boat):
    """A command line may hold the password itself."""
    boat.links(gsm={"type": "modemmanager", "entry": "0", "password_command": "echo secret"})
    assert "password_command = (not shown)" in boat.does("link", "list")
    assert "secret" not in boat.does("link", "list", "--json") + boat.does(
        "link", "set", "gsm", "--password-command", "echo secret2", "--dry-run")


def test_a_password_is_locked_only_where_it_is_a_box_s(boat, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("!secret\n"))
    boat.does("link", "add", "gsm", "--type", "modemmanager", "--entry", "0", "--password-stdin")
    assert json.loads(boat.does("link", "list", "--json"))["gsm"]["password"] == "(not shown)"


@pytest.mark.parametrize("words, complaint", [
    (["link", "set", "gsm", "--windows", "22:00-06:00; 23:00-24:00"], "--windows: found '22:00-06:00; 23:00-24:00'; "
     "expected windows that open and do not overlap: '22:00-06:00' and '23:00-24:00' overlap, for instance on Mon "),
    (["link", "set", "gsm", "--priority", "first"], "--priority: found 'first'; expected a whole number, 1 or more"),
    (["link", "set", "gsm", "--per-minute", "0.30"], "[links] gsm per_minute: found '0.30' and no currency; expected"),
    (["link", "set", "gsm", "--type", "command"], "[links] gsm up: found nothing; expected a value"),
    (["link", "set", "nix", "--priority", "1"], "there is no link 'nix'; there are: gsm, vsat"),
    (["link", "add", "gsm", "--type", "always"], "there is a link 'gsm' already"),
    (["link", "add", "a b", "--type", "always"], "found 'a b'; expected 1 to 64 of a-z"),
    (["link", "add", "any", "--type", "always"], "found 'any'; expected another name"),
    (["link", "rename", "gsm", "a,b"], "found 'a,b'; expected 1 to 64 of a-z"),
    (["link", "use", "gsm", "nix"], "there is no link 'nix'; there are: gsm, vsat; any: all of them, by priority"),
    (["link", "use", "nil", "nix"], "there is no link 'nil'; there are: gsm, vsat; any: all of them, by priority"),
    (["link", "use", "nil", "nix"], "there is no link 'nix'; there are: gsm, vsat; any: all of them, by priority"),
    (["link", "try", "nix"], "there is no link 'nix'; there are: gsm, vsat"),
    (["calls", "set", "--schedule", "now and then"], "--schedule: found 'now and then'; expected windows such as"),
    (["calls", "set", "--use", "nix"], "[calls] use: found 'nix'; expected links: gsm, vsat"),
    (["price", "nix"], "there is no link 'nix'; there are: gsm, vsat"),
])
def test_what_is_refused(boat, words, complaint):
    boat.links(gsm={"type": "ppp", "entry": "station"}, vsat={"type": "always"})
    assert complaint in boat.refuses(*words)


@pytest.mark.parametrize("words, complaint", [
    (["links"], "expected link or calls, found 'links'"),
    (["link", "lock"], "link: expected list or add or set"),
    (["calls", "add", "x"], "calls: expected list or set"),
    (["link", "set", "gsm", "--password", "secret"], "--password is no option here"),
    (["calls", "set", "--password-stdin"], "--password-stdin is no option here"),
    (["price", "--out", "1 MB"], "--out: found '1 MB'; expected octets"),
    (["price", "--dry-run"], "--dry-run is no option here"),
    (["price", "--in", "1", "--in", "2"], "found --in twice; expected it once"),
    (["link", "rename", "gsm"], "expected the old name and the new one, found 1"),
    (["link", "delete"], "expected one name of a link, found 0"),
    (["link", "set", "gsm", "--yes"], "--yes is no option here"),
    (["link", "set", "gsm", "--json"], "--json is of no use to link set"),
    (["link", "delete", "gsm", "--priority", "1"], "--priority is of no use to link delete"),
    (["link", "try"], "expected one name of a link, found 0"),
    (["link", "try", "gsm", "--dry-run"], "--dry-run is of no use to link try"),
    (["link", "use", "land", "any"], "link use: found any beside land; expected either any alone, for all links by "
     "priority, or the names of those to use, the first one first"),
    (["link", "use", "land", "--json"], "shows which links are used now: expected no name with it, found 'land'"),
    (["link", "use", "--dry-run"], "expected the links to use, or any: without a name nothing is changed"),
])
def test_a_command_line_that_is_wrong(boat, words, complaint):
    first, *more = boat.refuses(*words, code=64).splitlines()
    assert complaint in first and more == ["`mailcheckcfg --help` shows what there is."]


def test_a_dry_run_shows_the_change_and_makes_none(boat):
    before = boat.path.read_bytes()
    said = boat.does("link", "add", "gsm", "--type", "ppp", "--entry", "station", "--dry-run")
    assert "+  [[gsm]]" in said and "+  entry = station" in said and boat.path.read_bytes() == before


def test_which_links_are_used_now(boat):
    boat.links(gsm={"type": "ppp", "entry": "station"}, vsat={"type": "always"}, marina={
        "type": "present", "probe": "interface wlan0"})
    assert boat.does("link", "use") == "calls go over any link, by priority\n"
    assert "calls go over vsat, then gsm, and over no other link" in boat.does("link", "use", "vsat", "gsm", "vsat")
    assert boat.site.calls["use"] == ["vsat", "gsm"]
    assert json.loads(boat.does("link", "use", "--json")) == ["vsat", "gsm"]
    boat.does("link", "use", "any")
    assert boat.site.calls["use"] == [] and "\nuse =" not in boat.path.read_text()


def test_what_link_use_refuses_where_mail_cfg_has_no_such_link(boat):
    assert "there is no link 'land'; there are: none" in boat.refuses("link", "use", "land")
    boat.links(**{"a b": {"type": "always"}})
    assert "found a link 'a b', which cannot stand in [calls] use; expected 1 to 64 of a-z" in boat.refuses(
        "link", "use", "a b")


def test_a_link_that_is_renamed_or_deleted_is_so_where_it_is_used(boat):
    boat.links(gsm={"type": "ppp", "entry": "station"}, vsat={"type": "always"})
    boat.does("link", "use", "gsm", "vsat")
    assert "The ledger keeps its calls under the name gsm, and a budget" in boat.does("link", "rename", "gsm", "lte")
    assert boat.site.calls["use"] == ["lte", "vsat"] and list(boat.site.links) == ["lte", "vsat"]
    said = boat.does("link", "delete", "vsat")
    assert "under the name vsat" in said and "From now on calls go over lte, and over no other link." in said
    assert boat.site.calls["use"] == ["lte"]
    assert "From now on calls go over any link, by priority." in boat.does("link", "delete", "lte")
    assert boat.site.calls["use"] == [] and list(boat.site.links) == ["network"]


@pytest.mark.parametrize("words", [["rename", "gsm", "lte"], ["delete", "gsm"]])
def test_a_link_that_may_be_up_keeps_its_name(boat, words):
    boat.links(gsm={"type": "ppp", "entry": "station"})
    Dialled(boat.spool.state("dialled")).write("gsm", 0)
    assert "link gsm may be up: a mailcheck dialled it" in boat.refuses("link", *words)


def test_calls(boat):
    boat.does("calls", "set", "--schedule", "*/30 * * * *", "--urgent-from", "captain")
    assert boat.site.calls["urgent_from"] == ["captain"] and boat.site.calls["schedule"] == "*/30 * * * *"
    assert json.loads(boat.does("calls", "--json")) == {"schedule": "*/30 * * * *", "urgent_from": "captain"}


def test_the_price_of_a_call(boat):
    """1 MB at 64 kbit/s takes more than two minutes, and less than three."""
    boat.links(gsm={"type": "ppp", "entry": "station", "rate": "64", "round_trip": "0.7", **MONEY},
               slow={"type": "ppp", "entry": "station", **MONEY}, vsat={"type": "always"})
    assert boat.does("price", "--out", "1000000", "--in", "0").splitlines() == [
        "A call that sends 1000000 octets of mail and fetches 0:", "  gsm: 0.85 EUR",
        "  slow: not known, since time is charged and it has no rate: set it, with --rate", "  vsat: nothing by use"]
    assert json.loads(boat.does("price", "gsm", "--out=1000000", "--in=0", "--json")) == {
        "gsm": {"cost": "0.85", "currency": "EUR"}}


def test_a_mail_cfg_that_is_not_there(tmp_path, capsys):
    assert mailcheckcfg.main([str(tmp_path / "mail.cfg")]) == 78
    assert "mail.cfg: there is no such file" in capsys.readouterr().err


# The trial call

def dialled(boat, kind, **settings):
    boat.links(gsm={"type": kind, "entry": ENTRIES[kind], **MONEY, **settings})


@pytest.mark.parametrize("kind", ["ppp", "networkmanager", "modemmanager"])
def test_a_trial_call(boat, line, kind):
    """Up, a connection to each server, down; in words, and in the ledger."""
    dialled(boat, kind)
    with Relay() as provider:
        boat.configure(relay=relay(provider.port), accounts=account(provider.port, type="pop3"))
        said = boat.does("link", "try", "gsm").splitlines()
    assert said[0] == "Bringing up link gsm ..."
    assert said[1].startswith("It came up in ") and said[1].endswith(" s, by interface lo with address 127.0.0.1.")
    assert said[2].startswith(f"Reached: relay, 127.0.0.1 port {provider.port}, at 127.0.0.1 in ")
    assert said[3] == "Hung up." and said[4].endswith(" and cost 0.35 EUR by the tariff.") and len(said) == 5
    call, = boat.ledger
    assert (call["link"], call["why"], call["outcome"], call["cost"]) == ("gsm", "a trial call", "trial: ok", "0.35")
    assert line.attempts[:2] == ["up", "down"] and not line.is_up(kind) and boat.left_behind == []


@pytest.mark.parametrize("kind, played, words", [
    ("ppp", "busy", "Try again in a few minutes"),
    ("ppp", "no-carrier", "Look at the number or the access point"),
    ("ppp", "no-dialtone", "Plug the line in"),
    ("networkmanager", "wrong-password", "mailcheckcfg link set gsm --password-stdin"),
    ("networkmanager", "no-route", "look whether the provider gives an address"),
    ("modemmanager", "no-apn", "Look whether the entry, the device"),
    ("modemmanager", "timeout", "mailcheckcfg link set gsm --up-limit 300"),
    ("modemmanager", "fail", "What the dialler said stands above"),
])
def test_a_trial_call_that_does_not_come_up(boat, line, kind, played, words):
    dialled(boat, kind)
    line.play(played)
    code, said, _ = boat.run("link", "try", "gsm")
    assert code == (69 if played in ("wrong-password", "no-apn") else 75)      # what does not mend itself
    assert "Hung up." in said and "It came up" not in said
    assert "\nLink gsm: the link " in said and words in said.splitlines()[-1]
    assert boat.ledger[0]["outcome"].startswith("trial: link gsm: ")
    assert not line.is_up(kind) and boat.left_behind == []


def test_every_reason_has_advice():
    reasons = {reason.name for reason in vars(diallers).values() if isinstance(reason, diallers.Reason)}
    assert reasons == set(trialcall._ADVICE)


def test_up_without_a_route(boat, line):
    dialled(boat, "networkmanager", up_limit=1)
    line.write("interface", "none0")
    code, said, _ = boat.run("link", "try", "gsm")
    assert code == 75 and "The line came up and is of no use yet" in said and not line.is_up("networkmanager")


def test_it_counts_how_often_it_dials(boat, line):
    dialled(boat, "ppp", attempts=2, pause=1)
    line.play("busy", "ok")
    said = boat.does("link", "try", "gsm")
    assert "Attempt 1: the link did not come up: the line is busy" in said and line.attempts.count("up") == 2


def test_a_provider_that_is_not_reached(boat, line):
    dialled(boat, "networkmanager")
    boat.configure(relay=relay(1))
    code, said, _ = boat.run("link", "try", "gsm")
    assert code == 75 and "Relay: 127.0.0.1 port 1 cannot be reached: Connection refused." in said
    assert "The link came up, but not everything is reached over it" in said and not line.is_up("networkmanager")
    assert "cannot be reached" in boat.ledger[0]["outcome"]


def test_a_name_server_that_is_silent(boat, line, monkeypatch):
    dialled(boat, "networkmanager")
    boat.configure(relay={"host": "smtp.provider.example"})
    monkeypatch.setattr(trialcall, "addresses", lambda host: time.sleep(1) or [])
    monkeypatch.setattr(trialcall, "_PATIENCE", 0.1)
    monkeypatch.setattr(trialcall, "_GRACE", 0.1)
    code, said, _ = boat.run("link", "try", "gsm")
    assert code == 75 and "smtp.provider.example port 465 cannot be reached: no answer within" in said
    assert line.attempts == ["up", "down"]


def test_a_link_that_is_up_already_stays_up(boat, line):
    dialled(boat, "networkmanager")
    line.set_up("networkmanager")
    said = boat.does("link", "try", "gsm")
    assert "was up already, by interface lo with address 127.0.0.1; it stays up." in said and "Hung up" not in said
    assert "mail.cfg names neither a relay nor an account" in said
    assert line.attempts == [] and line.is_up("networkmanager")


def test_a_link_that_is_never_dialled(boat):
    boat.links(vsat={"type": "always"}, marina={"type": "present", "probe": "interface none0"})
    assert "Link vsat is there; it is never dialled." in boat.does("link", "try", "vsat")
    code, said, _ = boat.run("link", "try", "marina")
    assert (code, said) == (75, "No call: it is not there.\n")


def test_it_never_runs_beside_a_mailcheck(boat, line):
    dialled(boat, "ppp")
    with boat.spool.lock("mailcheck"):
        code, said, _ = boat.run("link", "try", "gsm")
    assert code == 75 and "A mailcheck is running now" in said and line.calls == []


def test_what_an_earlier_run_left_up_is_hung_up_first(boat, line):
    dialled(boat, "networkmanager")
    line.set_up("networkmanager")
    Dialled(boat.spool.state("dialled")).write("gsm", 0)
    said = boat.does("link", "try", "gsm")
    assert said.startswith("An earlier run left link gsm up: it is hung up first.\nBringing up link gsm")
    assert line.attempts == ["down", "up", "down"] and boat.left_behind == []


def test_a_link_that_does_not_come_down(boat, line):
    boat.links(gsm={"type": "command", "up": line.script("up", ""), "down": line.script("down", "exit 1")})
    code, said, _ = boat.run("link", "try", "gsm")
    assert code == 69 and "Link gsm MAY STILL BE UP" in said and boat.left_behind == ["gsm"]
    assert boat.run("link", "try", "gsm")[0] == 69 and len(boat.ledger) == 1       # it is not dialled anew


def test_a_budget_holds_for_a_trial_too(boat, line):
    dialled(boat, "ppp", budget="1 EUR a month")
    spent = {"link": "gsm", "start": int(time.time()), "cost": "1.00", "currency": "EUR", "outcome": "ok"}
    ledger.begin(boat.spool.state("ledger.jsonl"), spent, []).fill(spent)
    code, said, _ = boat.run("link", "try", "gsm")
    assert code == 75 and said == "No call: its budget of 1 EUR a month is used up.\n" and line.attempts == []


def test_a_window_does_not_hinder_a_person(boat, line):
    later = datetime.now() + timedelta(hours=3)
    window = f"{later:%H:%M}-{later + timedelta(hours=1):%H:%M}"
    dialled(boat, "ppp", windows=window, classes="urgent")
    said = boat.does("link", "try", "gsm")
    assert f"Its windows, {window}, are closed now: mailcheck would not call." in said and "It came up" in said


def test_a_trial_that_went_well_ends_the_rest_of_a_link():
    failed = {"link": "gsm", "start": 1000, "seconds": 10, "outcome": "link gsm: it failed"}
    assert failures.rests_until([failed], "gsm", 1100)[1] == 1
    assert failures.rests_until([failed, {**failed, "outcome": "trial: ok"}], "gsm", 1100) == (0, 0)
    assert failures.rests_until([failed, {**failed, "outcome": "trial: busy"}], "gsm", 1100)[1] == 2


def test_the_address_of_an_interface(monkeypatch):
    assert presence.address("lo") == "127.0.0.1" and presence.address("none0") == ""
    rows = ("fe800000000000000000000000000001 02 40 20 80 wwan0\n20010db8000000000000000000000007 02 40 00 80 wwan0\n"
            "20010db8000000000000000000000008 03 40 00 80 wlan0\n")
    monkeypatch.setattr(presence, "open", lambda *_, **__: io.StringIO(rows), raising=False)
    assert presence.address("wwan0") == "2001:db8::7" and presence.address("none0") == ""


@pytest.fixture
def silent():
    """The port of a server that takes no connection: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as one, socket.socket() as two:
        for client in one, two:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@pytest.mark.parametrize("when", ["while it dials", "while it reaches"])
def test_ctrl_c_hangs_up(boat, line, silent, when):
    dialled(boat, "networkmanager")
    boat.configure(relay=relay(silent))
    line.play("hang" if when == "while it dials" else "ok")
    process = subprocess.Popen([sys.executable, "-IS", BIN, "link", "try", "gsm", "--config", boat.path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = "up" if when == "while it dials" else "down"
    said = ""
    end = time.monotonic() + PATIENCE
    if until == "up":
        while not line.is_up("networkmanager"):         # it is on its way up
            assert time.monotonic() < end
            time.sleep(0.01)
    else:
        while "It came up" not in said:
            said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 75 and "Hung up." in said and "topped by SIGINT." in said and complaint == ""
    assert not line.is_up("networkmanager") and boat.left_behind == [] and line.attempts == ["up", "down"]
    assert "stopped by SIGINT" in boat.ledger[0]["outcome"]


# What is found on the machine

@pytest.fixture
def machine(line, monkeypatch):
    """NetworkManager has two connections that can be dialled, ModemManager a modem."""
    names = "Station\\: Nord:gsm\nHarbour:802-11-wireless\nlo:loopback\n"
    line.script("nmcli", f"""case "$*" in
        "-t -f NAME,TYPE connection show") printf '%s' '{names}' ;;
        *) exec {FAKES}/nmcli "$@" ;; esac""")
    line.script("mmcli", f"""case "$*" in
        -L) echo '    /org/freedesktop/ModemManager1/Modem/3 [Maker] Model' ;;
        *) exec {FAKES}/mmcli "$@" ;; esac""")
    monkeypatch.setenv("PATH", f"{line.folder}{os.pathsep}{os.environ['PATH']}")
    return line


def test_what_is_found(machine, tmp_path):
    assert found_links.connections() == [("Station: Nord", "gsm"), ("Harbour", "802-11-wireless")]
    assert found_links.modems() == [("/org/freedesktop/ModemManager1/Modem/3", "[Maker] Model")]
    for name in "station", "station.bak", "README.txt":
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    assert found_links.peers(tmp_path) == [("station", "")]
    (tmp_path / "net").mkdir()
    for name in "lo", "wlan0":
        (tmp_path / "net" / name).mkdir()
    assert found_links.interfaces(tmp_path / "net") == [("interface wlan0", "")]


def test_nothing_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    none = tmp_path / "none"
    assert [found_links.connections(), found_links.modems(), found_links.peers(none), found_links.interfaces(none)] == [
        [], [], [], []]
    for name in "nmcli", "mmcli":
        (tmp_path / name).write_text("#!/bin/sh\necho a:b; exit 8\n")
        (tmp_path / name).chmod(0o755)
    assert found_links.connections() == found_links.modems() == []


# The dialogue

def talk(boat, answers):
    """A whole dialogue: (exit code, all that came on the screen)."""
    terminal = Terminal(mailcheckcfg.main, boat.path)
    terminal.play(answers)
    return terminal.end(), " ".join(terminal.said.split())


SIZES = [("largest message that it sends", ""), ("largest message that it fetches", "")]
LINE, PRIORITY = ("What the line carries", ""), ("Its priority", "")
BEGIN = ("Is the network always there", "n")
WRITE = [("What now", "done"), ("Write this", "")]
GSM = [
    BEGIN, ("A name for the link", "gsm"), ("What kind of link", "networkmanager"),
    ("The connection of NetworkManager", "1"), ("The password for dialling", "Gr%g,se'cret"),
    ("Once more", "Gr%g,se'cret"), ("What shows that it is there", ""), ("When calls are allowed", "22:00-06:00"),
    ("Does a call cost", "time"), ("The currency", "EUR"), ("Charge for each call", "0.10"),
    ("Seconds of an increment", "20"), ("Charge for each increment begun", "0.15"), ("Charge for a minute", ""),
    ("What a call costs at least", ""), ("What may be spent on it", "20 EUR a month"), *SIZES, LINE]


def test_three_links(boat, machine):
    """A dialled one, one that is there or not, one of commands; then which of them is used, and the schedule."""
    code, said = talk(boat, [
        *GSM,
        ("What now", "add"), ("A name for the link", "marina"), ("What kind of link", "present"),
        ("What shows that it is there", "interface wlan7"), ("When calls are allowed", ""),
        ("Does a call cost", ""), ("What may be spent on it", ""), PRIORITY, *SIZES,
        ("What now", "2"), ("A name for the link", "iridium"), ("What kind of link", "command"),
        ("The command that brings it up", "/usr/local/bin/dial up"), ("The command that brings it down",
                                                                      "/usr/local/bin/dial down"),
        ("What shows that it is there", ""), ("When calls are allowed", ""), ("Does a call cost", "octets"),
        ("The currency", "USD"), ("Charge for each call", ""), ("Charge for 1,000,000 octets", "9.50"),
        ("Octets a second that are charged", ""), ("What a call costs at least", ""), ("What may be spent on it", ""),
        PRIORITY, *SIZES, ("What the line carries", "2.4"), ("How long an answer takes", "1.8"),
        ("What now", "which"), ("Which link now", "marina"), ("Another one behind it", "y"), ("Which link then", "gsm"),
        ("Another one behind it", "n"),
        ("What now", "schedule"), ("When amsd calls by itself", "*/30 * * * *"),
        ("Whose mail may be urgent", "captain"),
        *WRITE])
    assert code == 0 and "Written" in said and "se'cret" not in said
    site = boat.site
    assert site.links["gsm"]["entry"] == "Station: Nord" and site.links["gsm"]["password"] == "Gr%g,se'cret"
    assert site.links["gsm"]["budget"] == [("20", "EUR", "month")] and site.links["gsm"]["increment"] == 20
    assert site.links["marina"]["probe"] == "interface wlan7" and site.links["marina"]["currency"] == ""
    assert site.links["iridium"]["rate"] == (2400, 2400) and site.links["iridium"]["per_mb"] == "9.50"
    assert site.calls == {"use": ["marina", "gsm"], "schedule": "*/30 * * * *", "urgent_from": ["captain"]}
    assert "So a call of 70 s that carries 1 MB costs 0.70 EUR, and one of 10 minutes with 5 MB 4.60 EUR" in said
    assert "So a call of 70 s that carries 1 MB costs 9.50 USD" in said and "A call costs nothing by use." in said
    assert "Calls are allowed at any time." in said
    assert "So calls go over marina, then gsm, and over no other link." in said


def test_wrong_answers_and_the_way_back(boat, machine):
    """What is wrong is asked again, with what is expected; `<` goes back over the pages, `?` explains, `-` clears."""
    code, said = talk(boat, [
        ("Is the network always there", "<"), ("What now", "9"), ("What now", "add a link"),
        ("A name for the link", "any"), ("A name for the link", "a b"),
        ("A name for the link", "gsm"), ("What kind of link", "pigeon"), ("What kind of link", "?"),
        ("What kind of link", "command"), ("The command that brings it up", ""),
        ("The command that brings it down", "/bin/false"), ("What shows that it is there", "a look out of the window"),
        ("What shows that it is there", ""),
        # What brings it up is missing: the page again, and back to the kind.
        ("The command that brings it up", "<"), ("What kind of link", "networkmanager"),
        ("The connection of NetworkManager", "Harbour"), ("The password for dialling", "<"),
        ("The connection of NetworkManager", ""), ("The password for dialling", "one"), ("Once more", "two"),
        ("The password for dialling", ""), ("a command that prints the password", ""),
        ("What shows that it is there", ""), ("When calls are allowed", "22:00-06:00; 23:00-24:00"),
        ("When calls are allowed", "<"), ("The connection of NetworkManager", ""), ("The password for dialling", ""),
        ("a command that prints the password", ""), ("What shows that it is there", ""),
        ("When calls are allowed", "?"), ("When calls are allowed", "08:00-09:00"), ("Does a call cost", "time"),
        ("The currency", "<"), ("Does a call cost", "time"), ("The currency", "euros"), ("The currency", ""),
        ("What may be spent on it", ""), ("Does a call cost", "time"), ("The currency", "EUR"),
        ("Charge for each call", "a lot"), ("Charge for each call", ""), ("Seconds of an increment", "20"),
        ("Charge for each increment begun", ""), ("Charge for a minute", ""), ("What a call costs at least", ""),
        ("What may be spent on it", ""),
        # An increment without a charge: the page again.
        ("Does a call cost", ""), ("The currency", ""), ("Charge for each call", ""), ("Seconds of an increment", "-"),
        ("Charge for a minute", "0.30"), ("What a call costs at least", ""),
        ("What may be spent on it", "20 USD a month"),
        ("Does a call cost", ""), ("The currency", ""), ("Charge for each call", ""), ("Seconds of an increment", ""),
        ("Charge for a minute", ""), ("What a call costs at least", ""), ("What may be spent on it", "-"),
        *SIZES, LINE,
        ("What now", "change a link"), ("Which link", ""), ("What of gsm", "when calls are allowed"),
        ("When calls are allowed", "-"), ("What it carries", ""), *WRITE])
    assert code == 0
    for words in ("Not '9': expected", "expected another name than 'any'", "expected always or present or command",
                  "There is nothing", "Not 'a look out of the window': expected interface NAME", "The two differ.",
                  "[links] gsm up: found nothing; expected a value",
                  "'22:00-06:00' and '23:00-24:00' overlap, for instance on", "Such as 22:00-06:00, or Mon-Fri",
                  "Not 'euros': expected a currency's three letters", "Expected a currency, such as EUR",
                  "Not 'a lot': expected an amount such as 1.20", "expected per_increment or per_minute with it",
                  "found a budget in USD; expected one in the link's currency"):
        assert words in said, words
    link = boat.site.links["gsm"]
    assert (link["type"], link["entry"], link["down"], link["windows"]) == ("networkmanager", "Harbour", [], "")
    assert (link["increment"], link["per_minute"], link["budget"], link["currency"]) == (0, "0.30", [], "EUR")


def test_a_tariff_of_another_kind_takes_the_place_of_the_old_one(boat):
    boat.links(gsm={"type": "ppp", "entry": "station", "increment": "20", **MONEY})
    _, said = talk(boat, [("What now", "change a link"), ("Which link", ""), ("What of gsm", "what it costs"),
                          ("Does a call cost", "octets"), ("The currency", ""), ("Charge for each call", ""),
                          ("Charge for 1,000,000 octets", "2"), ("Octets a second that are charged", ""),
                          ("What a call costs at least", ""), ("What may be spent on it", ""), *WRITE])
    link = boat.site.links["gsm"]
    assert (link["increment"], link["per_minute"], link["per_mb"], link["setup_charge"]) == (0, "", "2", "0.10")
    assert "So a call of 70 s that carries 1 MB costs 2.10 EUR" in said


def test_nothing_stays_of_a_link_that_is_not_added_after_all(boat):
    before = boat.path.read_bytes()
    code, said = talk(boat, [
        BEGIN, ("A name for the link", "<"), BEGIN, ("A name for the link", "gsm"), ("What kind of link", "<"),
        ("Is the network always there", "<"), ("What now", "add a link"), ("A name for the link", "gsm"),
        ("What kind of link", "<"), ("What now", "")])
    assert code == 0 and "Written" not in said and boat.path.read_bytes() == before


def test_rename_and_delete(boat):
    boat.links(gsm={"type": "ppp", "entry": "station"}, vsat={"type": "always"})
    boat.does("link", "use", "gsm")
    _, said = talk(boat, [("What now", "rename a link"), ("Which link", "gsm"), ("A name for the link", "vsat"),
                          ("A name for the link", "lte"), ("What now", "delete a link"), ("Which link", "vsat"),
                          *WRITE])
    assert "Not 'vsat': expected a name that is not taken" in said and "under the name vsat" in said
    assert "From now on" not in said
    assert list(boat.site.links) == ["lte"] and boat.site.calls["use"] == ["lte"]


def test_a_link_is_added_to_those_in_use_if_asked(boat):
    boat.links(vsat={"type": "always"})
    boat.does("link", "use", "vsat")
    talk(boat, [("What now", "add a link"), ("A name for the link", "shore"), ("What kind of link", "always"),
                ("When calls are allowed", ""), ("Does a call cost", "<"), ("When calls are allowed", "<"),
                ("What kind of link", ""), ("When calls are allowed", ""), ("Does a call cost", ""),
                ("What may be spent on it", ""), PRIORITY, *SIZES, ("Use shore too", "y"), *WRITE])
    assert boat.site.calls["use"] == ["vsat", "shore"]


def test_without_a_link(boat):
    entries = ("which", "change", "rename", "delete", "trial")
    _, said = talk(boat, [("Is the network always there", "<"), *(("What now", entry) for entry in entries),
                          ("What now", "")])
    assert said.count("There is no link yet.") == 5


def test_a_network_that_is_always_there_needs_no_link(boat):
    before = boat.path.read_bytes()
    code, said = talk(boat, [("Is the network always there", "?"), ("Is the network always there", "")])
    assert code == 0 and "nothing more is needed" in said and "What now" not in said
    assert boat.path.read_bytes() == before and list(boat.site.links) == ["network"]


def test_one_link_that_costs_nothing_has_few_questions(boat):
    code, _ = talk(boat, [BEGIN, ("A name for the link", "marina"), ("What kind of link", "present"),
                          ("What shows that it is there", "interface wlan7"), ("When calls are allowed", ""),
                          ("Does a call cost", ""), *WRITE])
    assert code == 0 and boat.site.links["marina"]["probe"] == "interface wlan7"


def test_what_was_said_of_a_link_is_asked_again_whether_of_use_or_not(boat):
    boat.links(shore={"type": "always", "budget": "5 MB a month", "rate": "64"})
    talk(boat, [("What now", "change a link"), ("Which link", ""), ("What of shore", ""), ("What kind of link", ""),
                ("When calls are allowed", ""), ("Does a call cost", ""), ("What may be spent on it", "9 MB a month"),
                ("What the line carries", "128"), ("What now", "change a link"), ("Which link", ""),
                ("What of shore", "speed"), PRIORITY, *SIZES, ("Seconds that a call may take", ""), LINE,
                ("How long an answer takes", ""), *WRITE])
    assert boat.site.links["shore"]["rate"] == (128000, 128000)
    assert boat.site.links["shore"]["budget"] == [("9", "MB", "month")]


def test_a_trial_call_in_the_dialogue(boat, line):
    dialled(boat, "networkmanager")
    code, said = talk(boat, [("What now", "trial call"), ("It dials gsm", "y"), ("What now", "done")][:1] + [
        ("Which link", ""), ("It dials gsm", "y"), ("What now", "")])
    assert code == 0 and "It came up in " in said and "The trial call ended well." in said
    assert line.attempts == ["up", "down"] and len(boat.ledger) == 1


def test_a_trial_call_after_a_change_comes_when_it_is_written(boat, line):
    dialled(boat, "networkmanager")
    line.play("busy")
    code, said = talk(boat, [("What now", "schedule"), ("When amsd calls by itself", "06:00-22:00"),
                             ("Whose mail may be urgent", ""), ("What now", "trial call"), ("Which link", ""),
                             ("It dials gsm", ""), ("Write this", ""), ("What now", "")])
    assert code == 0 and said.index("Written") < said.index("the line is busy") and not line.is_up("networkmanager")
    assert "The trial call did not end well" in said


def test_without_writing_there_is_no_trial_call(boat, line):
    dialled(boat, "networkmanager")
    before = boat.path.read_bytes()
    talk(boat, [("What now", "schedule"), ("When amsd calls by itself", "06:00-22:00"),
                ("Whose mail may be urgent", ""), ("What now", "trial call"), ("Which link", ""), ("It dials gsm", ""),
                ("Write this", "n"), ("Forget", "y"), ("What now", "")])
    assert line.attempts == [] and boat.path.read_bytes() == before


def test_whoever_leaves_after_a_trial_call_is_told_what_holds(boat, line):
    dialled(boat, "networkmanager")
    terminal = Terminal(mailcheckcfg.main, boat.path)
    terminal.play([("What now", "schedule"), ("When amsd calls by itself", "06:00-22:00"),
                   ("Whose mail may be urgent", ""), ("What now", "trial call"), ("Which link", ""),
                   ("It dials gsm", ""), ("Write this", "")])
    terminal.wait_for("What now")
    terminal.press("\x04")
    assert terminal.end() == 64 and "Nothing more was written." in terminal.said
    assert boat.site.calls["schedule"] == "06:00-22:00"


def test_ctrl_c_in_a_trial_call_leaves_the_dialogue_alive(boat, line):
    dialled(boat, "networkmanager")
    line.play("hang")
    terminal = Terminal(mailcheckcfg.main, boat.path)
    terminal.play([("What now", "trial call"), ("Which link", ""), ("It dials gsm", "y")])
    end = time.monotonic() + PATIENCE
    while not line.is_up("networkmanager"):
        assert time.monotonic() < end
        time.sleep(0.01)
    terminal.press("\x03")
    said = terminal.answer("What now", "")
    assert "topped by SIGINT." in said and "The trial call did not end well" in said and terminal.end() == 0
    assert not line.is_up("networkmanager") and boat.left_behind == []


CUT = [*GSM, *WRITE]


@pytest.mark.parametrize("key", ["\x04", "\x03"], ids=["end of input", "Ctrl-C"])
@pytest.mark.parametrize("count", range(len(CUT)))
def test_whoever_leaves_at_any_question_changes_nothing(boat, machine, count, key):
    before = boat.path.read_bytes(), os.stat(boat.path).st_mtime_ns
    terminal = Terminal(mailcheckcfg.main, boat.path)
    terminal.play(CUT[:count])
    terminal.wait_for(CUT[count][0])
    terminal.press(key)
    assert terminal.end() == 64 and "Nothing was written." in terminal.said
    assert (boat.path.read_bytes(), os.stat(boat.path).st_mtime_ns) == before
    assert sorted(os.listdir(boat.path.parent)) == ["mail.cfg", "spool"]

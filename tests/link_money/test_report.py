"""mailcheck --report: what it prints, and what it answers to what is wrong."""

import io
import json
import os
import subprocess
import sys
import time

import pytest

from amsmail.link import bill, ledger
from amsmail.program import report
from amsmail.site import exits
from amsmail.store import durable
from tests.link_money.test_bill import NOON, box, call
from tests.real.packages import Unavailable

LIBRARY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(report.__file__))))
SCRIPT = "import sys; sys.path.insert(0, {!r}); from amsmail.program.report import main; sys.exit(main(sys.argv[1:]))"
CONFIG = """\
schema = 1
[site]
hostname = yacht.example
spool = {spool}
postmaster = captain
[domains]
[[yacht.example]]
[boxes]
[[captain]]
"""
CALLS = [
    call("iridium", NOON, "1.50", "USD", {"captain": box(900), "cook": box(0, 100)}, seconds=61.5, bytes_up=20_000),
    call("gsm", NOON + 86400, "0.20", "EUR", {"cook": box(100)}),
    call("marina", NOON + 31 * 86400, "", "", {"captain": box(50)}, bytes_are="estimated"),
]


class Yacht:
    """A site with a ledger, and mailcheck --report run on it."""

    def __init__(self, folder, capsys):
        self.config, self._capsys = folder / "mail.cfg", capsys
        self.spool = folder / "spool"
        self.ledger = self.spool / "state/ledger.jsonl"
        self.config.write_text(CONFIG.format(spool=self.spool))
        self.config.chmod(0o640)

    def calls(self, *calls):
        self.ledger.parent.mkdir(parents=True, exist_ok=True)
        for each in calls:
            durable.append(str(self.ledger), json.dumps(each).encode() + b"\n")

    def report(self, *options):
        """(exit code, stdout, stderr)"""
        try:
            code = report.main(["--report", *options], str(self.config))
        except SystemExit as end:
            code = end.code
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def document(self, *options):
        code, out, err = self.report("--json", *options)
        assert (code, err) == (exits.OK, "")
        return json.loads(out)


@pytest.fixture
def yacht(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield Yacht(tmp_path, capsys)
    monkeypatch.undo()
    time.tzset()


# The table

def test_the_bill_by_link(yacht):
    yacht.calls(*CALLS)
    assert yacht.report() == (exits.OK, """\
Calls on record, by link

link     calls  messages       time  bytes up  bytes down      cost
gsm          1         3  0:00:10.5      1000        2000  0.20 EUR
iridium      1         3  0:01:01.5     20000        2000  1.50 USD
marina       1         3  0:00:10.5     ~1000       ~2000         -
total        3         9  0:01:22.5    ~22000       ~6000  0.20 EUR
                                                           1.50 USD
~ estimated: not all of it was counted by a network interface.
Calls without a cost on record: 1 of 3.
""", "")


def test_the_bill_of_a_month_by_box(yacht):
    yacht.calls(*CALLS, call("gsm", NOON, "0.05", boxes={}, seconds=0.0, bytes_up=0, bytes_down=0, messages_out=0,
                             messages_in=0))
    assert yacht.report("--by", "box", "--month", "2026-03") == (exits.OK, """\
Calls in 2026-03, by box

box       messages       time  bytes up  bytes down      cost
captain          1  0:00:55.4     18000        1800  1.35 USD
cook             2  0:00:16.6      3000        2200  0.20 EUR
                                                     0.15 USD
(no box)         0  0:00:00.0         0           0  0.05 EUR
total            3  0:01:12.0     21000        4000  0.25 EUR
                                                     1.50 USD
Time, bytes and cost of a call are shared by the octets of the boxes' mail.
""", "")


def test_the_bill_by_day(yacht):
    yacht.calls(*CALLS)
    _, out, _ = yacht.report("--by=day")
    assert [line.split()[0] for line in out.splitlines()[3:6]] == ["2026-03-03", "2026-03-04", "2026-04-03"]


@pytest.mark.parametrize("by", bill.WAYS)
def test_the_table_fits_80_columns(yacht, by):
    """Nine hundred hours, 20 GB, more than a million, and a name that nobody should have."""
    yacht.calls(call("the-link-of-the-harbour-master-of-antibes-and-of-his-brother", cost="1234567.89",
                     seconds=3_240_000.1, bytes_up=10**10, bytes_down=10**10, bytes_are="estimated",
                     boxes={"a-box-with-a-name-that-goes-on-and-on-and-on-to-no-end": box(1)}))
    _, out, _ = yacht.report("--by", by)
    assert max(map(len, out.splitlines())) <= 80
    assert "1234567.89 EUR" in out and "~10000000000" in out and "900:00:00.1" in out


def test_a_name_that_the_terminal_has_no_letters_for(yacht, monkeypatch):
    yacht.calls(call("île"))
    out = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert report.main([], str(yacht.config)) == exits.OK
    assert b"\n\\xeele " in out.buffer.getvalue()


# Months

def test_month_alone_is_this_month(yacht, monkeypatch):
    yacht.calls(*CALLS)
    monkeypatch.setattr(time, "time", lambda: NOON + 31 * 86400)
    assert yacht.document("--month")["month"] == "2026-04"
    assert yacht.document("--month", "--by", "box")["rows"][0]["box"] == "captain"
    assert yacht.document("--month", str(yacht.config))["total"]["calls"] == 1


@pytest.mark.parametrize("options", [("--month", "2026-03"), ("--month=2026-03",)])
def test_a_month_that_is_named(yacht, options):
    yacht.calls(*CALLS)
    assert yacht.document(*options, str(yacht.config))["total"]["calls"] == 2


def test_a_month_without_calls_says_so(yacht):
    yacht.calls(*CALLS)
    assert yacht.report("--month", "2025-12") == (exits.OK, "There are no calls in 2025-12.\n", "")


# The document

def test_the_document(yacht):
    yacht.calls(*CALLS)
    assert yacht.document("--month", "2026-03") == {
        "by": "link", "month": "2026-03",
        "rows": [{"link": "gsm", "calls": 1, "seconds": 10.5, "bytes_up": 1000, "bytes_down": 2000,
                  "bytes_are": "interface", "messages": 3, "cost": {"EUR": "0.20"}},
                 {"link": "iridium", "calls": 1, "seconds": 61.5, "bytes_up": 20000, "bytes_down": 2000,
                  "bytes_are": "interface", "messages": 3, "cost": {"USD": "1.50"}}],
        "total": {"calls": 2, "seconds": 72.0, "bytes_up": 21000, "bytes_down": 4000, "bytes_are": "interface",
                  "messages": 6, "cost": {"EUR": "0.20", "USD": "1.50"}},
        "calls_without_cost": 0}


def test_the_document_of_all_calls(yacht):
    yacht.calls(*CALLS, call(boxes={}))
    made = yacht.document("--by", "box")
    assert made["month"] is None and made["rows"][-1]["box"] is None and made["calls_without_cost"] == 1
    assert made["total"]["bytes_are"] == "estimated"


# Ledgers

def test_a_site_that_never_called(yacht):
    """And nothing is made in its spool: it may be another user who asks."""
    assert yacht.report() == (exits.OK, "There are no calls on record.\n", "")
    assert yacht.document()["rows"] == []
    assert not yacht.ledger.exists()


def test_an_empty_ledger(yacht):
    yacht.ledger.parent.mkdir(parents=True)
    yacht.ledger.write_bytes(b"")
    assert yacht.report() == (exits.OK, "There are no calls on record.\n", "")


def test_a_ledger_torn_at_any_octet_of_its_last_line(yacht):
    yacht.calls(*CALLS)
    whole = yacht.ledger.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole) - 1):
        yacht.ledger.write_bytes(whole[:end])
        assert yacht.document()["total"]["calls"] == 2, whole[last:end]


def test_what_comes_after_a_torn_line_counts(yacht):
    yacht.calls(*CALLS)
    yacht.ledger.write_bytes(yacht.ledger.read_bytes()[:-9] + bytes(100))
    yacht.calls(CALLS[0])
    assert yacht.document()["total"]["calls"] == 3


def test_a_ledger_that_cannot_be_read(yacht):
    yacht.ledger.mkdir(parents=True)
    code, out, err = yacht.report()
    assert code == exits.UNAVAILABLE and out == ""
    assert err.startswith("mailcheck: the ledger cannot be read: ") and str(yacht.ledger) in err


# What is wrong

@pytest.mark.parametrize("options, words", [
    (("--by", "week"), "--by is link, box or day, not week"),
    (("--by=",), "--by is link, box or day, not empty"),
    (("--by",), "--by needs a value"),
    (("--month", "2026-13"), "--month is a year and a month such as 2026-03, not 2026-13"),
    (("--month", "2026.03"), "not 2026.03"),
    (("--month", "03"), "not 03"),
    (("--month", "March"), "not March"),
    (("--month=",), "not empty"),
    (("--month=2026-3",), "not 2026-3"),
    (("--month", "2026-03", "--month=2026-04"), "found --month twice; expected it once"),
    (("--plot",), "--plot needs a value"),
    (("--now",), "--now is no option here"),
    (("a.cfg", "b.cfg"), "one mail.cfg, not 2"),
])
def test_a_wrong_command_line_is_told(yacht, options, words):
    code, out, err = yacht.report(*options)
    assert (code, out) == (exits.USAGE, "")
    first, *more = err.splitlines()
    assert words in first and more == ["`mailcheck --report --help` shows what there is."]


def test_a_mail_cfg_that_is_wrong_or_not_there(yacht):
    code, _, err = yacht.report("/nowhere/mail.cfg")
    assert code == exits.CONFIG and "/nowhere/mail.cfg: cannot be read" in err
    yacht.config.write_text("schema = 1\n[site]\nhostnam = x\n")
    code, _, err = yacht.report()
    assert code == exits.CONFIG and "hostnam" in err


# As a program

def run(yacht, *options, **streams):
    return subprocess.run([sys.executable, "-IS", "-c", SCRIPT.format(LIBRARY), "--report", *options, yacht.config],
                          stderr=subprocess.PIPE, text=True, timeout=60, **streams)


def test_a_reader_that_has_seen_enough(yacht):
    yacht.calls(*CALLS)
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(yacht, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (exits.OK, "")


def test_a_disk_that_is_full(yacht):
    yacht.calls(*CALLS)
    with open("/dev/full", "w") as full:
        ended = run(yacht, stdout=full)
    assert ended.returncode == exits.UNAVAILABLE
    assert ended.stderr.startswith("mailcheck: the bill cannot be written: ") and ended.stderr.count("\n") == 1


def test_without_plot_matplotlib_is_not_wanted(yacht):
    yacht.calls(*CALLS)
    code = SCRIPT.format(LIBRARY).replace("sys.exit(main(sys.argv[1:]))",
                                          "main(sys.argv[1:]); sys.exit('matplotlib' in sys.modules)")
    assert subprocess.run([sys.executable, "-IS", "-c", code, yacht.config], stdout=subprocess.DEVNULL).returncode == 0


# The chart

@pytest.fixture(scope="module")
def matplotlib():
    try:
        import matplotlib.figure
    except ImportError as error:
        raise Unavailable("matplotlib", error) from error
    return matplotlib


def test_without_matplotlib_the_bill_is_printed_and_the_package_named(yacht, monkeypatch):
    yacht.calls(*CALLS)
    for name in [*(name for name in sys.modules if name.startswith("matplotlib.")), "matplotlib", "matplotlib.figure"]:
        monkeypatch.setitem(sys.modules, name, None)        # what import takes for "not there"
    path = yacht.config.with_name("bill.png")
    code, out, err = yacht.report("--plot", str(path))
    assert code == exits.UNAVAILABLE and not path.exists()
    assert out.startswith("Calls on record, by link\n")
    assert err.startswith("mailcheck: --plot needs the package matplotlib: ")
    assert f"{sys.executable} -m pip install matplotlib" in err and "apt-get install python3-matplotlib" in err


def test_the_chart_is_a_png(yacht, matplotlib):
    yacht.calls(*CALLS)
    path = yacht.config.with_name("bill.png")
    code, out, err = yacht.report("--plot", str(path))
    assert (code, err) == (exits.OK, "") and "iridium" in out
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_chart_as_a_launcher_draws_it(yacht, matplotlib):
    """The second time mail.cfg is compiled, and nothing but --plot needs a library of others."""
    yacht.calls(*CALLS)
    os.utime(yacht.config, (1, 1))
    path = yacht.config.with_name("bill.png")
    for options in [(), ("--plot", path)]:
        # Not what it says: where matplotlib may not write to a home, it does so with a warning.
        assert run(yacht, *options, stdout=subprocess.DEVNULL).returncode == exits.OK
    assert (yacht.spool / "state/mail.cfg.compiled").exists() and path.exists()


def test_a_chart_that_cannot_be_written(yacht, matplotlib):
    yacht.calls(*CALLS)
    code, _, err = yacht.report("--plot", str(yacht.config.with_name("nowhere") / "bill.png"))
    assert code == exits.UNAVAILABLE and err.startswith("mailcheck: the chart cannot be written: ")


def test_no_chart_of_nothing(yacht):
    path = yacht.config.with_name("bill.png")
    code, out, err = yacht.report("--plot", str(path))
    assert (code, out) == (exits.OK, "There are no calls on record.\n")
    assert err == "mailcheck: there is nothing to draw a chart of\n" and not path.exists()


def panels(made):
    """What a chart shows: {label: [(bottom, height) of each bar]}, and the labels below."""
    axes = report.chart(made).axes
    shown = {each.get_ylabel(): [(round(bar.get_y(), 9), round(bar.get_height(), 9)) for bar in each.patches]
             for each in axes}
    return shown, [label.get_text() for label in axes[-1].get_xticklabels()]


@pytest.mark.parametrize("by", bill.WAYS)
def test_the_bars_are_the_bills_figures(matplotlib, by):
    made = bill.make([*CALLS, call(start=None)], by)
    shown, labels = panels(made)
    ups, downs = [row.bytes_up / 1e6 for row in made.rows], [row.bytes_down / 1e6 for row in made.rows]
    assert shown == {
        "EUR": [(0, float(dict(row.costs).get("EUR", 0))) for row in made.rows],
        "USD": [(0, float(dict(row.costs).get("USD", 0))) for row in made.rows],
        "MB": [*((0, up) for up in ups), *zip(ups, downs)],
        "minutes": [(0, round(float(row.seconds) / 60, 9)) for row in made.rows],
    }
    assert labels == [row.key or f"(no {'date' if by == 'day' else by})" for row in made.rows]


def test_a_chart_of_years_has_all_bars_and_as_many_labels_as_can_be_read(matplotlib):
    made = bill.make([call(start=NOON + 86400 * day) for day in range(500)], "day")
    shown, labels = panels(made)
    assert len(shown["EUR"]) == 500 and 30 <= len(labels) <= 60
    assert labels[:2] == ["2026-03-03", "2026-03-12"]


def test_a_dollar_sign_is_no_formula(yacht, matplotlib):
    yacht.calls(call("a$b$c$", currency="$x$"))
    code, _, err = yacht.report("--plot", str(yacht.config.with_name("bill.png")))
    assert (code, err) == (exits.OK, "")
    axes = report.chart(bill.make(ledger.read(str(yacht.ledger)), "link")).axes
    assert not axes[0].yaxis.label.get_parse_math() and not axes[-1].get_xticklabels()[0].get_parse_math()

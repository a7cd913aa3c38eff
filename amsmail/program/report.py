"""mailcheck --report: the bill of the calls in the ledger, as a table, as JSON, as a chart.  It dials nothing and
changes nothing in the spool.  See docs/mailcheck.8."""

import json
import os
import re
import sys
import time

from amsmail.link import bill, ledger
from amsmail.program import options
from amsmail.program.ending import ended
from amsmail.program.options import UsageError
from amsmail.program.screen import tell
from amsmail.site import config, exits, libraries
from amsmail.site.config import DEFAULT_PATH

USAGE = """usage: mailcheck --report [--month [YYYY-MM]] [--by link|box|day] [--json] [--plot FILE.png] [mail.cfg]
--month      only the calls of that month; without one, of this month
--by         a row for each link (the way it is if not said), box or day
--json       one JSON document instead of a table
--plot       also draws a chart into this file; needs matplotlib"""

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_WIDTH = 80             # columns of a terminal
_GAP = "  "
_NOBODY = {"link": "(no link)", "box": "(no box)", "day": "(no date)"}

# The chart, in inches
_PANEL_HEIGHT = 2.6
_ROW_WIDTH, _LEAST_WIDTH, _MOST_WIDTH = 0.4, 6.4, 24.0
_MOST_LABELS = 60


def main(arguments, default_config=DEFAULT_PATH):
    """Runs mailcheck --report; gives the exit code."""
    libraries.reach()
    return ended("mailcheck", lambda: _report(arguments, default_config), "mailcheck --report")


def _report(arguments, default_config):
    """Makes the bill; gives the exit code.  Raises UsageError and ConfigError."""
    flags, pairs, words = options.parse(USAGE, _with_month(arguments), ("--report", "--json"),
                                        ("--month", "--by", "--plot"))
    values = {"--by": bill.WAYS[0], **options.once(pairs)}
    by, month = values["--by"], values.get("--month")
    if by not in bill.WAYS:
        raise UsageError(f"--by is {', '.join(bill.WAYS[:-1])} or {bill.WAYS[-1]}, not {by or 'empty'}")
    if month is not None and not _MONTH.fullmatch(month):
        raise UsageError(f"--month is a year and a month such as 2026-03, not {month or 'empty'}")
    site = config.load(options.one_path(words, default_config))
    try:
        # Not by Spool: whoever may read the ledger may see the bill, and root must leave nothing of its own there.
        calls = ledger.read(os.path.join(site.spool, "state", "ledger.jsonl"))
    except OSError as error:
        return _failed(f"the ledger cannot be read: {error}")
    made = bill.make(calls, by, month or "")
    code = _print(document(made) if "--json" in flags else table(made))
    return code or (_save_chart(made, values["--plot"]) if "--plot" in values else exits.OK)


def table(made):
    """A bill as text, lines of at most 80 columns, as long as no figure is absurd."""
    if not made.rows:
        return f"There are no calls {_when(made)}."
    columns = [column for column in _COLUMNS if made.by not in column[2]]
    cells = [[made.by, *(heading for heading, _, _ in columns), "cost"]]
    for row, name in [*((row, _name(made.by, row.key)) for row in made.rows), (made.total, "total")]:
        costs = [f"{amount} {currency}" for currency, amount in row.costs] or ["-"]
        cells.append([name, *(text(row) for _, text, _ in columns), costs[0]])
        # Another currency is another line: amounts are not added across currencies.
        cells += [["", *("" for _ in columns), cost] for cost in costs[1:]]
    return "\n".join([f"Calls {_when(made)}, by {made.by}", "", *_aligned(cells), *_remarks(made)])


def document(made):
    """A bill as one JSON object: "by", "month" (null: all), "rows", "total", "calls_without_cost".  Money is text."""
    def figures(row):
        return {"calls": row.calls, "seconds": float(row.seconds), "bytes_up": row.bytes_up,
                "bytes_down": row.bytes_down, "bytes_are": "estimated" if row.estimated else "interface",
                "messages": row.messages, "cost": {currency: str(amount) for currency, amount in row.costs}}
    return json.dumps({"by": made.by, "month": made.month or None,
                       "rows": [{made.by: row.key, **figures(row)} for row in made.rows],
                       "total": figures(made.total), "calls_without_cost": made.unpriced}, indent=2)


def chart(made):
    """A bill with rows as a Figure: the panels of _panels one above the other.  Raises ImportError where there is no
    matplotlib."""
    from matplotlib.figure import Figure        # without pyplot: no display is wanted, and no state of its own
    rows, panels = made.rows, _panels(made)
    width = min(max(_LEAST_WIDTH, _ROW_WIDTH * len(rows)), _MOST_WIDTH)
    figure = Figure((width, _PANEL_HEIGHT * len(panels)), layout="constrained")
    figure.suptitle(f"Calls {_when(made)}, by {made.by}")
    all_axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axes, (label, layers) in zip(all_axes, panels):
        _draw_bars(axes, label, layers)
    step = -(-len(rows) // _MOST_LABELS)
    all_axes[-1].set_xticks(range(0, len(rows), step), [_name(made.by, row.key) for row in rows[::step]], rotation=90,
                            parse_math=False)
    return figure


def _when(made):
    """Of when the calls of a bill are, in words."""
    return f"in {made.month}" if made.month else "on record"


def _print(text):
    """Prints the bill; gives the exit code."""
    try:
        tell(*text.split("\n"))
        sys.stdout.flush()
        return exits.OK
    except OSError as error:
        # Otherwise the interpreter would try once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):      # `| head` has seen enough
            return exits.OK
        return _failed(f"the bill cannot be written: {error}")


def _with_month(arguments):
    """The arguments, with --month always given a value: what follows it, unless that is an option or a path."""
    arguments = list(arguments)
    if "--month" not in arguments:
        return arguments
    at = arguments.index("--month")
    following = arguments[at + 1:at + 2]
    given = [word for word in following if word[:1].isdigit() or not re.search(r"^-|[./\\]", word)]
    month = given[0] if given else bill.day(time.time())[:7]
    return [*arguments[:at], f"--month={month}", *arguments[at + 1 + len(given):]]


# The table

# Heading, text of a row's cell, and which bills go without: the calls of the boxes do not add up to the calls.
_COLUMNS = (
    ("calls", lambda row: str(row.calls), ("box",)),
    ("messages", lambda row: str(row.messages), ()),
    ("time", lambda row: _duration(row.seconds), ()),
    ("bytes up", lambda row: _octets(row.bytes_up, row.estimated), ()),
    ("bytes down", lambda row: _octets(row.bytes_down, row.estimated), ()),
)


def _duration(seconds):
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60}:{int(minutes % 60):02}:{seconds:04}"


def _octets(number, estimated):
    return f"~{number}" if estimated else str(number)


def _name(by, key):
    return _NOBODY[by] if key is None else key


def _aligned(cells):
    """Lines of columns: names to the left, and cut if they are too long for the line, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*cells)]
    widths[0] = min(widths[0], max(_WIDTH - sum(len(_GAP) + width for width in widths[1:]), len("total")))
    return [_GAP.join([_cut(row[0], widths[0]).ljust(widths[0]),
                       *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in cells]


def _cut(name, width):
    return name if len(name) <= width else name[:width - 1] + "*"


def _remarks(made):
    if made.total.estimated:
        yield "~ estimated: not all of it was counted by a network interface."
    if made.by == "box":
        yield "Time, bytes and cost of a call are shared by the octets of the boxes' mail."
    if made.unpriced:
        yield f"Calls without a cost on record: {made.unpriced} of {made.total.calls}."


# The chart

def _panels(made):
    """What a chart shows: [(unit, {name of a layer: its height for each row})], where layers stand on top of each
    other.  A panel for each currency, one for octets and one for time."""
    rows = made.rows
    costs = [(currency, {"": [float(dict(row.costs).get(currency, 0)) for row in rows]})
             for currency, _ in made.total.costs]
    return [*costs,
            ("MB", {"up": [row.bytes_up / 1e6 for row in rows], "down": [row.bytes_down / 1e6 for row in rows]}),
            ("minutes", {"": [float(row.seconds) / 60 for row in rows]})]


def _draw_bars(axes, unit, layers):
    """Draws a panel into matplotlib's axes."""
    axes.set_ylabel(unit, parse_math=False)         # text as it stands: a dollar sign begins no formula
    below = None
    for name, heights in layers.items():
        axes.bar(range(len(heights)), heights, bottom=below, label=name)
        below = [low + height for low, height in zip(below or [0.0] * len(heights), heights)]
    if len(layers) > 1:
        axes.legend()


def _save_chart(made, path):
    """Writes the chart; gives the exit code."""
    if not made.rows:
        return _failed("there is nothing to draw a chart of", exits.OK)
    try:
        figure = chart(made)
    except ImportError as error:
        return _failed(f"--plot needs the package matplotlib: {error}\nInstall it: {sys.executable} -m pip install "
                       "matplotlib (for Debian's own Python: apt-get install python3-matplotlib)")
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        return _failed(f"the chart cannot be written: {error}")
    return exits.OK


def _failed(why, code=exits.UNAVAILABLE):
    print(f"mailcheck: {why}", file=sys.stderr)
    return code

"""The command line of scripts/bench-link."""

import argparse
import os
import shutil
import signal
import sys
from pathlib import Path

from tests.real.packages import Unavailable
from tests.real.process import public_folder

from . import corpus, peers, table
from .link import PROFILES, Link
from .providers import Provider
from .run import READY_LIMIT, Work, measure, median

CANNOT_RUN = 77
TOOLS = {"ip": "iproute2", "tc": "iproute2", "setpriv": "util-linux", "openssl": "openssl"}
DESCRIPTION = """Link time, octets and round trips of amsmail and of other mail programs, on the same messages over the
same emulated link. Needs root."""
COLUMNS = """columns:
  link s     from the first packet to the last
  /a, /b     its ratio to the floors: all messages raw at the line's rate and one round trip; the same as one xz stream
  kB         with TCP, IP and framing
  waits      (link time - time that the busier direction was sending) / round trip
  turns      waits for the provider that follow one another, counted in a capture: see scripts/bench/capture.py
  conns      connections
  lost       packets
What is the same for all is said in scripts/bench/__init__.py. The exit code is 0 if every peer delivered everything
once, 77 without root."""


def main():
    options = arguments()
    if os.geteuid() != 0:
        return unable("root: it makes network namespaces and TUN devices, and runs mail servers in them")
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            return unable(f"the program {tool} of Debian's package {package}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.pcap:
        options.pcap.mkdir(parents=True, exist_ok=True)
    try:
        rows = [row for name in options.profile or ["inmarsat64"] for row in bench(PROFILES[name], options)]
    except Unavailable as missing:
        print(f"bench-link cannot run: {missing}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return int(any(row.note or row.delivered != row.expected or row.duplicates for row in rows))


def unable(need):
    print(f"bench-link needs {need}.", file=sys.stderr)
    return CANNOT_RUN


def arguments():
    parser = argparse.ArgumentParser("bench-link", description=DESCRIPTION, epilog=COLUMNS,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="append", choices=sorted(PROFILES), help="default: inmarsat64")
    parser.add_argument("--peer", action="append", choices=list(peers.PEERS), help="default: all that do the workload")
    parser.add_argument("--workload", action="append", choices=("out", "in", "both"),
                        help="send, fetch, or both at the same time; default: each of them")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="print medians of N runs")
    parser.add_argument("--messages", type=int, metavar="N", help="N small messages each way, instead of the corpus")
    parser.add_argument("--cold", action="store_true", help="measure amsmail's first call, with nothing remembered")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--pcap", type=lambda text: Path(text).absolute(), metavar="DIR", help="keep captures there")
    return parser.parse_args()


def bench(profile, options):
    """Runs everything on one profile; gives the rows."""
    texts = {direction: corpus.messages(direction, profile.name == "iridium", options.messages)
             for direction in ("out", "in")}
    if not options.json:
        print(*(f"corpus {direction}: {len(messages)} messages, digest {corpus.digest(messages)}"
                for direction, messages in texts.items()), sep="\n")
    rows = []
    with public_folder() as folder, Link(profile) as link:
        provider = Provider(folder / "provider")
        if link.start("shore", provider.serve).receive(READY_LIMIT) != "ready":
            raise RuntimeError("the provider's servers do not start")
        for workload in options.workload or ("out", "in", "both"):
            wanted = ("out", "in") if workload == "both" else (workload,)
            work = Work(workload, {direction: texts[direction] for direction in wanted}, profile)
            if not options.json:
                print(f"\n{table.heading(work)}", flush=True)
            for name in peers.for_workload(workload):
                if options.peer and name not in options.peer:
                    continue
                row = median([run(name, work, link, provider, folder, n, options) for n in range(options.runs)])
                print(table.as_json(row) if options.json else table.line(row), flush=True)
                rows.append(row)
    return rows


def run(name, work, link, provider, folder, n, options):
    print(f"{work.profile.name} {work.name} {name} {n + 1}/{options.runs} ...", file=sys.stderr, flush=True)
    label = f"{work.profile.name}-{work.name}-{name}-{n + 1}"
    row = measure(peers.PEERS[name], work, link, provider, folder / label, options.cold,
                  options.pcap and options.pcap / f"{label}.pcap")
    if row.note:
        print(f"{name} failed: {row.note}", file=sys.stderr)
    return row


if __name__ == "__main__":
    sys.exit(main())
